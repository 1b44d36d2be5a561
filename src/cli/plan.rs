//! `stayput plan`: what `once` would send, as a diff. Sends nothing but reads.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::cli::exit::Exit;
use crate::cli::show::{self, Ink, Tone};
use crate::cli::{Everywhere, loading};
use crate::daemon::{Audience, Job, Memory, Secrets};
use crate::engine::{Action, Change, Mode, Plan, Shape};

/// Options of `plan`.
#[derive(clap::Args, Clone, Copy, Debug)]
pub struct Options {
    /// Print the plan as JSON
    #[arg(long)]
    pub json: bool,
    /// Exit with 2 if there are changes
    #[arg(long)]
    pub exit_code: bool,
    /// Against a simulated Cloudflare inside this process
    #[cfg(feature = "sandbox")]
    #[arg(long)]
    sandbox: bool,
}

/// Makes the plan and prints it.
///
/// # Errors
/// The configuration is wrong, a secret cannot be had, or nobody takes the result.
pub async fn run(everywhere: &Everywhere, options: Options) -> Result<Exit, Exit> {
    #[cfg(feature = "sandbox")]
    if options.sandbox {
        let (job, _server) = super::sandbox::job(everywhere, Mode::Plan)?;
        return make(everywhere, options, job).await;
    }
    let job = Job {
        mode: Mode::Plan,
        audience: Audience::Log,
        config: loading::load(everywhere)?,
        reread: loading::reread(everywhere),
        memory: loading::state_file().map_or(Memory::None, Memory::Looked),
        secrets: Secrets::Real,
        socket: None,
    };
    make(everywhere, options, job).await
}

async fn make(everywhere: &Everywhere, options: Options, job: Job) -> Result<Exit, Exit> {
    let engine = loading::run(job).await?.engine;
    let plan = engine.plan();
    if options.json {
        show::result(&format!("{:#}\n", json(&plan)))?;
    } else {
        show::result(&text(&plan, everywhere.ink()))?;
    }
    Ok(exit(&plan, options, engine.verdict().into()))
}

/// The plan as people read it.
#[must_use]
pub fn text(plan: &Plan, ink: Ink) -> String {
    let mut text = String::new();
    let mut zone = None;
    for change in &plan.changes {
        if zone != Some(&change.zone) {
            let gap = if zone.is_some() { "\n" } else { "" };
            let heading = ink.paint(Tone::Strong, &change.zone);
            let _infallible = writeln!(text, "{gap}{heading}");
            zone = Some(&change.zone);
        }
        write_change(&mut text, change, ink);
    }
    if !plan.blocked.is_empty() {
        let gap = if zone.is_some() { "\n" } else { "" };
        let heading = ink.paint(Tone::Strong, "not possible");
        let _infallible = writeln!(text, "{gap}{heading}");
    }
    for refused in &plan.blocked {
        let sign = ink.paint(Tone::Bad, "!");
        let _infallible = writeln!(text, "  {sign} {}", refused.key);
        indented(&mut text, &refused.why, ink);
    }
    if !text.is_empty() {
        text.push('\n');
    }
    text.push_str(&summary(plan));
    text.push('\n');
    text
}

/// The plan as scripts read it.
#[must_use]
pub fn json(plan: &Plan) -> Value {
    let changes: Vec<Value> = plan.changes.iter().map(change_json).collect();
    let refused: Vec<Value> = plan
        .blocked
        .iter()
        .map(|refused| {
            json!({
                "name": refused.key.name.as_str(),
                "type": refused.key.family.record_type(),
                "why": refused.why,
            })
        })
        .collect();
    json!({
        "changes": changes,
        "unchanged": plan.unchanged,
        "refused": refused,
        "requests": plan.requests,
    })
}

/// Whether `--exit-code` makes a plan that was made an exit with 2.
#[must_use]
pub fn exit(plan: &Plan, options: Options, made: Exit) -> Exit {
    match made {
        Exit::Done if options.exit_code && !plan.changes.is_empty() => Exit::Changes,
        made => made,
    }
}

fn summary(plan: &Plan) -> String {
    let number = |action| plan.changes.iter().filter(|c| c.action == action).count();
    let parts = [
        (number(Action::Create), "to create"),
        (number(Action::Update), "to update"),
        (number(Action::Delete), "to delete"),
        (plan.blocked.len(), "not possible"),
    ];
    let mut summary = String::new();
    for (number, what) in parts.into_iter().filter(|(number, _)| *number > 0) {
        let _infallible = write!(summary, "{number} {what}, ");
    }
    if plan.changes.is_empty() && plan.blocked.is_empty() {
        summary.push_str("nothing to do, ");
    }
    let requests = show::count(plan.requests, "request");
    let _infallible = write!(summary, "{} unchanged; {requests}", plan.unchanged);
    summary
}

fn write_change(text: &mut String, change: &Change, ink: Ink) {
    let (sign, tone) = match change.action {
        Action::Create => ("+ create", Tone::Good),
        Action::Update => ("~ update", Tone::Notable),
        Action::Delete => ("- delete", Tone::Bad),
    };
    let _infallible = writeln!(text, "  {} {}", ink.paint(tone, sign), change.key);
    match (&change.before, &change.after) {
        (Some(before), Some(after)) => {
            for line in differences(before, after) {
                let _infallible = writeln!(text, "      {line}");
            }
        }
        (None, Some(shape)) | (Some(shape), None) => {
            let _infallible = writeln!(text, "      {}", described(shape));
        }
        (None, None) => {}
    }
    indented(text, &change.why, ink);
}

fn indented(text: &mut String, why: &str, ink: Ink) {
    for line in why.lines() {
        let _infallible = writeln!(text, "      {}", ink.paint(Tone::Faint, line));
    }
}

/// The fields that change, one line each.
fn differences(before: &Shape, after: &Shape) -> Vec<String> {
    let mut lines = Vec::new();
    let mut differ = |field: &str, old: String, new: String| {
        if old != new {
            lines.push(format!("{field} {old} → {new}"));
        }
    };
    differ("content", before.content.to_string(), after.content.to_string());
    differ("proxied", yes(before).into(), yes(after).into());
    differ("ttl", show::ttl(before.ttl), show::ttl(after.ttl));
    differ("comment", comment(before), comment(after));
    differ("tags", tags(before), tags(after));
    lines
}

/// The whole record in one line, without what every record has.
fn described(shape: &Shape) -> String {
    let mut line = shape.content.to_string();
    if shape.proxied {
        line.push_str(", proxied");
    }
    if shape.ttl.to_api() != 1 {
        let _infallible = write!(line, ", ttl {}", show::ttl(shape.ttl));
    }
    if shape.comment.is_some() {
        let _infallible = write!(line, ", comment {}", comment(shape));
    }
    if !shape.tags.is_empty() {
        let _infallible = write!(line, ", tags {}", tags(shape));
    }
    line
}

fn yes(shape: &Shape) -> &'static str {
    if shape.proxied { "yes" } else { "no" }
}

fn comment(shape: &Shape) -> String {
    // Foreign text: quoted and escaped, so that it cannot command the terminal.
    let comment = shape.comment.as_deref();
    comment.map_or("none".into(), |comment| format!("{comment:?}"))
}

fn tags(shape: &Shape) -> String {
    if shape.tags.is_empty() {
        return "none".into();
    }
    format!("{:?}", shape.tags)
}

fn change_json(change: &Change) -> Value {
    let action = match change.action {
        Action::Create => "create",
        Action::Update => "update",
        Action::Delete => "delete",
    };
    json!({
        "zone": change.zone,
        "name": change.key.name.as_str(),
        "type": change.key.family.record_type(),
        "action": action,
        "before": change.before.as_ref().map(shape_json),
        "after": change.after.as_ref().map(shape_json),
        "why": change.why,
    })
}

fn shape_json(shape: &Shape) -> Value {
    json!({
        "content": shape.content.to_string(),
        "proxied": shape.proxied,
        "ttl": shape.ttl.to_api(),
        "comment": shape.comment,
        "tags": shape.tags,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::BlockedRecord;
    use crate::engine::names::{Family, Key, Name, Ttl};

    fn key(name: &str) -> Key {
        Key { name: Name::parse(name).unwrap(), family: Family::V4 }
    }

    fn shape(last: u8) -> Shape {
        Shape {
            content: [203, 0, 113, last].into(),
            proxied: false,
            ttl: Ttl::Auto,
            comment: Some("stayput".into()),
            tags: Vec::new(),
        }
    }

    fn change(name: &str, before: Option<Shape>, after: Option<Shape>) -> Change {
        let action = match (&before, &after) {
            (None, _) => Action::Create,
            (_, None) => Action::Delete,
            _ => Action::Update,
        };
        Change { zone: "example.com".into(), key: key(name), action, before, after, why: "because".into() }
    }

    fn plan() -> Plan {
        let proxied = Shape { proxied: true, ttl: Ttl::Seconds(300), ..shape(2) };
        Plan {
            changes: vec![
                change("a.example.com", None, Some(shape(1))),
                change("b.example.com", Some(shape(1)), Some(proxied)),
                change("c.example.com", Some(shape(3)), None),
            ],
            unchanged: 96,
            leftovers: Vec::new(),
            blocked: vec![BlockedRecord {
                key: key("d.example.com"),
                why: "a CNAME is in the way\ndelete it".into(),
            }],
            requests: 2,
        }
    }

    #[test]
    fn a_person_sees_only_what_changes_and_why() {
        let expected = "\
example.com
  + create a.example.com A
      203.0.113.1, comment \"stayput\"
      because
  ~ update b.example.com A
      content 203.0.113.1 → 203.0.113.2
      proxied no → yes
      ttl auto → 5m
      because
  - delete c.example.com A
      203.0.113.3, comment \"stayput\"
      because

not possible
  ! d.example.com A
      a CNAME is in the way
      delete it

1 to create, 1 to update, 1 to delete, 1 not possible, 96 unchanged; 2 requests
";
        assert_eq!(text(&plan(), Ink::Plain), expected);
    }

    #[test]
    fn colour_adds_nothing_but_colour() {
        let colored = text(&plan(), Ink::Colored);
        let mut plain = colored.clone();
        for code in ["32", "33", "31", "1", "2", "0"] {
            plain = plain.replace(&format!("\x1b[{code}m"), "");
        }
        assert!(colored.contains("\x1b[32m+ create\x1b[0m"));
        assert_eq!(plain, text(&plan(), Ink::Plain));
    }

    #[test]
    fn nothing_to_do_is_said_in_one_line() {
        let plan = Plan { unchanged: 1, ..Plan::default() };
        assert_eq!(text(&plan, Ink::Plain), "nothing to do, 1 unchanged; 0 requests\n");
    }

    #[test]
    fn a_script_gets_the_agreed_shape() {
        let json = json(&plan());
        assert_eq!(json["changes"][0]["before"], Value::Null);
        assert_eq!(
            json["changes"][1],
            json!({
                "zone": "example.com", "name": "b.example.com", "type": "A", "action": "update",
                "before": {"content": "203.0.113.1", "proxied": false, "ttl": 1, "comment": "stayput", "tags": []},
                "after": {"content": "203.0.113.2", "proxied": true, "ttl": 300, "comment": "stayput", "tags": []},
                "why": "because",
            })
        );
        assert_eq!(json["unchanged"], 96);
        assert_eq!(json["requests"], 2);
        assert_eq!(json["refused"][0]["name"], "d.example.com");
    }

    #[test]
    fn only_a_plan_that_could_be_made_exits_with_2() {
        let asked = Options {
            json: false,
            exit_code: true,
            #[cfg(feature = "sandbox")]
            sandbox: false,
        };
        assert_eq!(exit(&plan(), asked, Exit::Done), Exit::Changes);
        assert_eq!(exit(&plan(), asked, Exit::Nothing), Exit::Nothing);
        assert_eq!(exit(&Plan::default(), asked, Exit::Done), Exit::Done);
    }
}
