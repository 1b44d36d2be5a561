//! `stayput plan`: what `once` would send, as a diff. Sends nothing but reads.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde::Serialize;

use crate::cli::exit::Exit;
use crate::cli::loading;
use crate::cli::options::Everywhere;
use crate::cli::show::{self, Form, Ink, Tone};
use crate::daemon::status::FORMAT;
use crate::daemon::{Job, Outcome, StateMode};
use crate::engine::names::Record;
use crate::engine::notice::{Notice, count};
use crate::engine::{Action, BlockedRecord, Change, Mode, Plan, Shape};
use crate::report::log;
use crate::report::reporter::Output;

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
    let form = Form::asked(options.json);
    #[cfg(feature = "sandbox")]
    if options.sandbox {
        let (job, _server) = super::sandbox::job(everywhere, Mode::Plan, form, &[])?;
        return make(everywhere, options, job).await;
    }
    let job = Job {
        output: if form == Form::Text { Output::CollectProblems } else { Output::Log },
        state: loading::state_file().map_or(StateMode::None, StateMode::ReadOnly),
        ..loading::job(everywhere, Mode::Plan, form)?
    };
    make(everywhere, options, job).await
}

async fn make(everywhere: &Everywhere, options: Options, job: Job) -> Result<Exit, Exit> {
    let Outcome { engine, seen } = loading::run(job, Form::asked(options.json)).await?;
    let plan = engine.plan();
    // What is told as a reason is not told before as well.
    let reasons: BTreeSet<&str> = plan.blocked.iter().map(|record| &*record.why).collect();
    seen.notices.iter().filter(|notice| !tells(notice, &reasons)).for_each(log::tell);
    if options.json {
        show::json(&Document::from(&plan))?;
    } else {
        show::result(&text(&plan, everywhere.ink()))?;
    }
    Ok(exit(&plan, options, engine.verdict().into()))
}

/// Whether a notice is about something that is wrong for one of these reasons.
fn tells(notice: &Notice, reasons: &BTreeSet<&str>) -> bool {
    let Notice::Problem(trouble) = notice else { return false };
    let words = trouble.to_string();
    let without_record = words.split_once(": ").map_or("", |(_, rest)| rest);
    reasons.contains(&*words) || reasons.contains(without_record)
}

/// The plan as people read it.
pub fn text(plan: &Plan, ink: Ink) -> String {
    let mut text = String::new();
    let mut zone = None;
    for change in &plan.changes {
        if zone != Some(&change.zone) {
            heading(&mut text, &change.zone, ink);
            zone = Some(&change.zone);
        }
        write_change(&mut text, change, ink);
    }
    write_blocked(&mut text, &plan.blocked, ink);
    write_leftovers(&mut text, &plan.leftovers, ink);
    if !text.is_empty() {
        text.push('\n');
    }
    text.push_str(&summary(plan));
    text.push('\n');
    text
}

/// Whether `--exit-code` makes a plan that was made an exit with 2.
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
        (plan.blocked.len(), "blocked"),
        (plan.leftovers.len(), "left over"),
    ];
    let mut summary = String::new();
    if plan.changes.is_empty() && plan.blocked.is_empty() {
        summary.push_str("nothing to do, ");
    }
    for (number, what) in parts.into_iter().filter(|(number, _)| *number > 0) {
        let _infallible = write!(summary, "{number} {what}, ");
    }
    summary + &format!("{} unchanged; {}", plan.unchanged, count(plan.requests, "request"))
}

/// Every name that is left alone, above the reason that it shares with others.
fn write_blocked(text: &mut String, blocked: &[BlockedRecord], ink: Ink) {
    if blocked.is_empty() {
        return;
    }
    heading(text, "blocked", ink);
    // Reasons that differ in the name alone are one.
    let of_any = |record: &BlockedRecord| record.why.replace(record.key.name.as_str(), "");
    let mut reasons: BTreeMap<String, Vec<&BlockedRecord>> = BTreeMap::new();
    for record in blocked {
        reasons.entry(of_any(record)).or_default().push(record);
    }
    let mut groups: Vec<Vec<&BlockedRecord>> = reasons.into_values().collect();
    groups.sort_by_key(|group| group.first().map(|record| &record.key));
    for group in groups {
        for record in &group {
            let _infallible = writeln!(text, "  {} {}", ink.paint(Tone::Bad, "!"), record.key);
        }
        let Some((first, others)) = group.split_first() else { continue };
        indented(text, &first.why, ink);
        if others.iter().any(|other| other.why != first.why) {
            indented(text, "likewise for the others", ink);
        }
    }
}

/// What carries our mark and is in no configuration. Nothing is done to it.
fn write_leftovers(text: &mut String, leftovers: &[(Box<str>, Record)], ink: Ink) {
    if leftovers.is_empty() {
        return;
    }
    heading(text, "left over", ink);
    for (_, record) in leftovers {
        let sign = ink.paint(Tone::Notable, "?");
        let _infallible = writeln!(text, "  {sign} {}  {}", record.key(), record.content);
    }
    let why = "they carry this instance's mark, and no [[record]] names them: nothing is done to them\n\
               remove them in the dashboard, or take the name into the configuration";
    indented(text, why, ink);
}

/// A heading, with an empty line above it unless it is the first.
fn heading(text: &mut String, words: &str, ink: Ink) {
    let gap = if text.is_empty() { "" } else { "\n" };
    let _infallible = writeln!(text, "{gap}{}", ink.paint(Tone::Strong, words));
}

fn write_change(text: &mut String, change: &Change, ink: Ink) {
    let (sign, word, tone) = looks(change.action);
    let action = ink.paint(tone, format!("{sign} {word}"));
    let _infallible = writeln!(text, "  {action} {}", change.key);
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
    indented(text, change.why, ink);
}

fn indented(text: &mut String, why: &str, ink: Ink) {
    for line in why.lines() {
        let _infallible = writeln!(text, "      {}", ink.paint(Tone::Faint, line));
    }
}

/// The fields as people read them, each with what is not worth saying of a whole record.
fn fields(shape: &Shape) -> [(&'static str, String, &'static str); 5] {
    // Foreign text: quoted and escaped, so that it cannot command the terminal.
    let comment = shape.comment.as_ref().map(|comment| format!("{comment:?}"));
    let tags = Some(format!("{:?}", shape.tags)).filter(|_| !shape.tags.is_empty());
    [
        ("content", shape.content.to_string(), ""),
        ("proxied", if shape.proxied { "yes" } else { "no" }.into(), "no"),
        ("ttl", show::ttl(shape.ttl), "auto"),
        ("comment", comment.unwrap_or("none".into()), "none"),
        ("tags", tags.unwrap_or("none".into()), "none"),
    ]
}

/// The fields that change, one line each.
fn differences(before: &Shape, after: &Shape) -> Vec<String> {
    let pairs = fields(before).into_iter().zip(fields(after));
    let differ = pairs.filter(|((_, old, _), (_, new, _))| old != new);
    differ.map(|((field, old, _), (_, new, _))| format!("{field} {old} → {new}")).collect()
}

/// The whole record in one line, without what every record has.
fn described(shape: &Shape) -> String {
    let [(_, content, _), others @ ..] = fields(shape);
    let others = others.into_iter().filter(|(_, value, usual)| value != usual);
    let said = others.map(|(field, value, _)| match &*value {
        "yes" => format!(", {field}"),
        _ => format!(", {field} {value}"),
    });
    content + &said.collect::<String>()
}

/// The plan as programs read it. Its form is fixed.
#[derive(Serialize)]
struct Document<'a> {
    format: u32,
    changes: Vec<Changed<'a>>,
    unchanged: usize,
    blocked: Vec<Blocked<'a>>,
    requests: usize,
}

#[derive(Serialize)]
struct Changed<'a> {
    zone: &'a str,
    name: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
    action: &'static str,
    before: Option<Shown<'a>>,
    after: Option<Shown<'a>>,
    why: &'a str,
}

#[derive(Serialize)]
struct Shown<'a> {
    content: String,
    proxied: bool,
    ttl: u32,
    comment: Option<&'a str>,
    tags: &'a [Box<str>],
}

#[derive(Serialize)]
struct Blocked<'a> {
    name: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
    why: &'a str,
}

impl<'a> From<&'a Plan> for Document<'a> {
    fn from(plan: &'a Plan) -> Document<'a> {
        let shown = |shape: &'a Shape| Shown {
            content: shape.content.to_string(),
            proxied: shape.proxied,
            ttl: shape.ttl.to_api(),
            comment: shape.comment.as_deref(),
            tags: &shape.tags,
        };
        let changed = |change: &'a Change| Changed {
            zone: &change.zone,
            name: change.key.name.as_str(),
            kind: change.key.kind.as_str(),
            action: looks(change.action).1,
            before: change.before.as_ref().map(shown),
            after: change.after.as_ref().map(shown),
            why: change.why,
        };
        let blocked = |BlockedRecord { key, why }: &'a BlockedRecord| Blocked {
            name: key.name.as_str(),
            kind: key.kind.as_str(),
            why,
        };
        Document {
            format: FORMAT,
            changes: plan.changes.iter().map(changed).collect(),
            unchanged: plan.unchanged,
            blocked: plan.blocked.iter().map(blocked).collect(),
            requests: plan.requests,
        }
    }
}

/// The sign, the word and the colour of an action.
fn looks(action: Action) -> (char, &'static str, Tone) {
    match action {
        Action::Create => ('+', "create", Tone::Good),
        Action::Update => ('~', "update", Tone::Notable),
        Action::Delete => ('-', "delete", Tone::Bad),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::names::{Content, Key, Name, RecordId, RecordType, Ttl};

    fn key(name: &str) -> Key {
        Key { name: Name::parse(name).unwrap(), kind: RecordType::A }
    }

    fn shape(last: u8) -> Shape {
        Shape {
            content: Content::A([203, 0, 113, last].into()),
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
        Change { zone: "example.com".into(), key: key(name), action, before, after, why: "because" }
    }

    /// A name that shares its reason with others, and one that has its own.
    fn blocked(name: &str) -> BlockedRecord {
        let why = if name.starts_with('e') {
            "it belongs to another".into()
        } else {
            format!("no zone for {name}\nadd it")
        };
        BlockedRecord { key: key(name), why }
    }

    fn leftover() -> Record {
        Record {
            id: RecordId::parse(&"a".repeat(32)).unwrap(),
            name: Name::parse("old.example.com").unwrap(),
            content: Content::A([203, 0, 113, 9].into()),
            proxied: false,
            ttl: Ttl::Auto,
            comment: Some("stayput".into()),
            tags: Vec::new(),
        }
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
            leftovers: vec![("example.com".into(), leftover())],
            blocked: ["d.example.com", "e.example.com", "f.example.com"].map(blocked).into(),
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

blocked
  ! d.example.com A
  ! f.example.com A
      no zone for d.example.com
      add it
      likewise for the others
  ! e.example.com A
      it belongs to another

left over
  ? old.example.com A  203.0.113.9
      they carry this instance's mark, and no [[record]] names them: nothing is done to them
      remove them in the dashboard, or take the name into the configuration

1 to create, 1 to update, 1 to delete, 3 blocked, 1 left over, 96 unchanged; 2 requests
";
        assert_eq!(text(&plan(), Ink::Plain), expected);
    }

    #[test]
    fn colour_adds_nothing_but_colour() {
        let colored = text(&plan(), Ink::Coloured);
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
    fn a_program_gets_the_agreed_form_in_its_order() {
        let mut plan = plan();
        plan.changes.drain(..1);
        plan.blocked.truncate(1);
        let expected = concat!(
            r#"{"format":1,"changes":[{"zone":"example.com","name":"b.example.com","type":"A","action":"update","#,
            r#""before":{"content":"203.0.113.1","proxied":false,"ttl":1,"comment":"stayput","tags":[]},"#,
            r#""after":{"content":"203.0.113.2","proxied":true,"ttl":300,"comment":"stayput","tags":[]},"#,
            r#""why":"because"},{"zone":"example.com","name":"c.example.com","type":"A","action":"delete","#,
            r#""before":{"content":"203.0.113.3","proxied":false,"ttl":1,"comment":"stayput","tags":[]},"#,
            r#""after":null,"why":"because"}],"unchanged":96,"#,
            r#""blocked":[{"name":"d.example.com","type":"A","why":"no zone for d.example.com\nadd it"}],"requests":2}"#,
        );
        assert_eq!(serde_json::to_string(&Document::from(&plan)).unwrap(), expected);
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
