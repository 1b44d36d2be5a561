//! `stayput check`: will it work? The configuration, the secret, the clock, the sources, and then by the
//! real reads the permissions, the zones and the records; each with a remedy where it is needed.
//!
//! Sends nothing but reads. Deliberately unknown: the words for what is wrong at Cloudflare, which are
//! the engine's.

mod report;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use crate::cli::exit::Exit;
use crate::cli::loading;
use crate::cli::options::Everywhere;
use crate::cli::show::Form;
use crate::cloudflare::client::Client;
use crate::config::Config;
use crate::daemon::{Job, Outcome, Secrets, Seen, accounts};
use crate::engine::api::{Found, Request, ZoneInfo};
use crate::engine::failure::Class;
use crate::engine::names::{Key, Name, Ttl, ZoneId};
use crate::engine::notice::{Notice, Problem, Severity, count};
use crate::engine::settings::{AccountName, Source, Wanted};
use crate::engine::watch::{self, LookError};
use crate::engine::{Engine, Mode};
use crate::http::BUILT_AT;
use crate::report::reporter::Output;
use report::{Mark, Report};

/// Options of `check`.
#[derive(clap::Args, Clone, Copy, Debug)]
pub struct Options {
    /// Check the configuration only; nothing is asked of anybody
    #[arg(long)]
    offline: bool,
    /// Print the findings as JSON
    #[arg(long)]
    json: bool,
    /// Against a simulated Cloudflare inside this process
    #[cfg(feature = "sandbox")]
    #[arg(long, conflicts_with = "offline")]
    sandbox: bool,
}

/// A clock that differs by more from the `Date` of an answer is wrong.
const MOST_SKEW: Duration = Duration::from_secs(5 * 60);

/// Checks, and prints a line for each thing that was checked.
///
/// # Errors
/// The configuration is wrong, or nobody takes the result.
pub async fn run(everywhere: &Everywhere, options: Options) -> Result<Exit, Exit> {
    let form = Form::asked(options.json);
    let mut report = Report::new(form, everywhere.ink());
    #[cfg(feature = "sandbox")]
    if options.sandbox {
        let (job, _server) = super::sandbox::job(everywhere, Mode::Plan, form, &[])?;
        configuration(&mut report, &job.config);
        return work(report, Job { output: Output::Collect, ..job }).await;
    }
    let job = loading::job(everywhere, Mode::Plan, form)?;
    configuration(&mut report, &job.config);
    if options.offline {
        return report.end(Exit::Done);
    }
    work(report, Job { output: Output::Collect, ..job }).await
}

/// What the configuration says is tried, as far as reading goes.
async fn work(mut report: Report, job: Job) -> Result<Exit, Exit> {
    let (config, origin) = (job.config.clone(), job.secrets);
    let Some(outdated) = secrets(&mut report, &config, origin).await else {
        return report.end(Exit::Configuration);
    };
    report.print()?;
    let Outcome { engine, seen } = match loading::run(job, Form::Text).await {
        Ok(outcome) => outcome,
        Err(exit) => return report.end(exit),
    };
    #[expect(clippy::disallowed_methods, reason = "the wall clock is what is checked")]
    let now = SystemTime::now();
    clock(&mut report, now, &seen);
    sources(&mut report, &config, &seen);
    believed(&mut report, &engine);
    zones(&mut report, &config, (&engine, &seen));
    problems(&mut report, &seen, &outdated);
    if origin == Secrets::Real {
        explain(&mut report, &config, &seen).await;
    }
    records(&mut report, &engine);
    report.end(engine.verdict().into())
}

fn configuration(report: &mut Report, config: &Config) {
    const STEP: &str = "configuration";
    let settings = &config.settings;
    let names: BTreeSet<&Name> = settings.records.keys().map(|key| &key.name).collect();
    let words = format!(
        "{} ({}), {}",
        count(names.len(), "name"),
        count(settings.records.len(), "record"),
        count(settings.accounts.len(), "account")
    );
    report.line(Mark::Ok, (STEP, "names"), &words);
    for warning in &config.warnings {
        let place = warning.place();
        let words = format!("{place}: {}\n{}", warning.what(), warning.remedy());
        report.line(Mark::Warn, (STEP, &place), &words);
    }
    if let Some(words) = config.told_authorities() {
        report.line(Mark::Ok, (STEP, "ca-file"), &words);
    }
    // Where too few are left, a warning of the configuration names them.
    let enough = |sources: &[Source]| watch::needed(sources, settings.agree) == settings.agree;
    for (line, sources) in settings.sources.iter().filter(|(_, sources)| enough(sources)) {
        let subject = line.to_string();
        for (operator, labels) in alike(sources) {
            let words = format!("{line}: {} count once, as {operator}", labels.join(" and "));
            report.line(Mark::Ok, (STEP, &subject), &words);
        }
    }
}

/// The operators of several sources, with the labels of these.
fn alike(sources: &[Source]) -> BTreeMap<&str, Vec<&str>> {
    let mut operators: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for source in sources {
        operators.entry(&source.operator).or_default().push(&source.label);
    }
    operators.retain(|_, labels| labels.len() > 1);
    operators
}

/// Reads every secret; names the accounts of which a new one would not be seen. `None`: not all could be had.
async fn secrets(report: &mut Report, config: &Config, origin: Secrets) -> Option<BTreeSet<AccountName>> {
    let readings = accounts::read(config.accounts.clone(), origin).await;
    let mut outdated = Some(BTreeSet::new());
    for (name, reading) in readings {
        let about = ("secret", name.label());
        match reading {
            Ok(reading) => {
                report.line(Mark::Ok, about, &format!("{name}: read"));
                if reading.outdated().is_some() {
                    outdated.iter_mut().for_each(|outdated| _ = outdated.insert(name.clone()));
                }
                for warning in reading.warnings {
                    report.line(Mark::Warn, about, &format!("{name}: {warning}"));
                }
            }
            Err(error) => {
                let error = error.to_string();
                let (what, remedy) = loading::parted(&error);
                let words = format!("{name}: {what}\n{}", remedy.unwrap_or_default());
                report.line(Mark::Fail(Exit::Configuration), about, &words);
                outdated = None;
            }
        }
    }
    outdated
}

/// The clock, by the date of an answer; where none came, by what is known without.
fn clock(report: &mut Report, now: SystemTime, seen: &Seen) {
    let shows = humantime::format_rfc3339_seconds(now);
    let denied = match seen.dated {
        Some(dated) => {
            let skew = now.duration_since(dated).unwrap_or_else(|early| early.duration());
            let date = humantime::format_rfc3339_seconds(dated);
            (skew > MOST_SKEW).then(|| format!("the API dates its answers {date}"))
        }
        None if now < SystemTime::UNIX_EPOCH + Duration::from_secs(BUILT_AT) => {
            Some("this program was written later, so no certificate is accepted".into())
        }
        None if is_out_of_date(seen) => Some("the certificates that servers show are of another time".into()),
        None => None,
    };
    let (mark, words) = match denied {
        Some(why) => {
            let remedy = "set the clock (is NTP running?); stayput itself needs no restart";
            (Mark::Fail(Exit::Partly), format!("it shows {shows}, but {why}\n{remedy}"))
        }
        None if seen.dated.is_some() => (Mark::Ok, shows.to_string()),
        None => (Mark::Warn, format!("it shows {shows}; no answer came to compare it with")),
    };
    report.line(mark, ("clock", "this host"), &words);
}

/// Whether a certificate was refused for its time.
fn is_out_of_date(seen: &Seen) -> bool {
    seen.heard.iter().any(|(_, _, heard)| matches!(heard, Err(LookError::Clock(_))))
        || seen
            .answers
            .iter()
            .any(|(_, _, answer)| answer.outcome.as_ref().is_err_and(|failure| failure.class == Class::Clock))
}

/// What each source said the last time it was asked.
fn sources(report: &mut Report, config: &Config, seen: &Seen) {
    let last: BTreeMap<_, &Result<IpAddr, LookError>> =
        seen.heard.iter().map(|(line, label, heard)| ((*line, &**label), heard)).collect();
    for (line, sources) in &config.settings.sources {
        for label in sources.iter().map(|source| &*source.label) {
            let (mark, words) = match last.get(&(*line, label)) {
                Some(Ok(address)) => (Mark::Ok, format!("{line}: {label} says {address}")),
                Some(Err(why)) => (Mark::Warn, format!("{line}: {label}: {why}")),
                None => continue,
            };
            report.line(mark, ("source", label), &words);
        }
    }
}

fn believed(report: &mut Report, engine: &Engine) {
    let status = engine.status(crate::daemon::clock::now());
    for (line, address) in status.addresses {
        if let Some(address) = address {
            let words = format!("{line}: {}", address.value);
            report.line(Mark::Ok, ("address", &line.to_string()), &words);
        }
    }
}

/// The zones of our names whose list came through, one statement each. Of what is wrong with the others
/// the engine speaks.
fn zones(report: &mut Report, config: &Config, (engine, seen): (&Engine, &Seen)) {
    let mut known: BTreeMap<&ZoneId, &ZoneInfo> = BTreeMap::new();
    let mut listed: BTreeMap<&ZoneId, bool> = BTreeMap::new();
    for (_, request, answer) in &seen.answers {
        if let Request::Records { zone, .. } = request {
            listed.insert(zone, answer.outcome.is_ok());
        }
        let found: &[ZoneInfo] = match &answer.outcome {
            Ok(Found::Zones(page)) => &page.items,
            Ok(Found::Zone(zone)) => std::slice::from_ref(zone),
            _ => &[],
        };
        known.extend(found.iter().map(|zone| (&zone.id, zone)));
    }
    for (account, id, name) in engine.zones() {
        let label = name.map_or_else(|| id.to_string(), |name| name.to_string());
        let spoken_of = |notice: &Notice| {
            matches!(notice, Notice::Problem(_)) && about(notice) == ("zone", label.clone())
        };
        if listed.get(&id) == Some(&true) && !seen.notices.iter().any(spoken_of) {
            permissions(report, &label, known.get(&id).and_then(|zone| zone.permissions.as_deref()));
        }
        if let Some(zone) = known.get(&id) {
            let of_zone =
                |(key, wanted): &(&Key, &Wanted)| wanted.account == account && key.name.is_within(&zone.name);
            let records: Vec<(&Key, &Wanted)> = config.settings.records.iter().filter(of_zone).collect();
            beyond_the_plan(report, zone, &records);
        }
    }
}

/// What is known of a zone whose list came through. That it may be edited only an edit shows: the
/// zone's list of permissions is the user's, who may have made the token with fewer.
fn permissions(report: &mut Report, zone: &str, listed: Option<&[Box<str>]>) {
    let has = |what: &str| listed.is_some_and(|listed| listed.iter().any(|permission| **permission == *what));
    let (mark, words) = if has("#dns_records:read") && !has("#dns_records:edit") {
        let words = "the credential may read its records, and not edit them\n\
                     give it Zone · DNS · Edit for this zone (My Profile, API Tokens)";
        (Mark::Fail(Exit::Refused), words)
    } else {
        (Mark::Ok, "its records were listed; the first change shows whether they may be edited")
    };
    report.line(mark, ("zone", zone), &format!("{zone}: {words}"));
}

/// What the plan of a zone has not, as far as records ask for it: Cloudflare will refuse it.
fn beyond_the_plan(report: &mut Report, zone: &ZoneInfo, records: &[(&Key, &Wanted)]) {
    let Some(plan) = &zone.plan else { return };
    let has_tags = |wanted: &Wanted| wanted.options.tags.as_ref().is_some_and(|tags| !tags.is_empty());
    let is_short = |wanted: &Wanted| matches!(wanted.options.ttl, Some(Ttl::Seconds(..60)));
    let mut warn = |asks: &dyn Fn(&Wanted) -> bool, what: &str, remedy: &str| {
        let mut names = records.iter().filter(|(_, wanted)| asks(wanted)).map(|(key, _)| &key.name);
        let Some(first) = names.next() else { return };
        let others: BTreeSet<&Name> = names.filter(|name| *name != first).collect();
        let and = match others.len() {
            0 => String::new(),
            others => format!(" and {}", count(others, "other name")),
        };
        let words =
            format!("{first}{and}: {} is a zone of the {plan} plan, which has {what}\n{remedy}", zone.name);
        report.line(Mark::Warn, ("record", first.as_str()), &words);
    };
    if &**plan == "free" {
        warn(&has_tags, "no tags", "take tags out, or the address will be published without them");
    }
    if &**plan != "enterprise" {
        let remedy = "set ttl to \"auto\" or to 60s and more, or the address will be published with another";
        warn(&is_short, "no ttl below 60s", remedy);
    }
}

/// What the engine had to say, but for what was resolved before the end.
fn problems(report: &mut Report, seen: &Seen, outdated: &BTreeSet<AccountName>) {
    let mut rest = seen.notices.as_slice();
    while let [notice, later @ ..] = rest {
        rest = later;
        let about = about(notice);
        let resolves = |later: &Notice| matches!(later, Notice::Well(..)) && self::about(later) == about;
        if later.iter().any(resolves) {
            continue;
        }
        let mark = match notice.severity() {
            _ if matches!(notice, Notice::Missing(_)) => Mark::Ok,
            Severity::Detail | Severity::News => continue,
            Severity::Warning => Mark::Warn,
            Severity::Error => Mark::Fail(exit_of(notice)),
        };
        let words = match notice {
            Notice::Problem(Problem::Credential(account, failure, _)) if outdated.contains(account) => {
                format!(
                    "the old credential of {account} is refused: {failure}\nsee above why a new one is not seen"
                )
            }
            _ => format!("{notice:#}"),
        };
        report.line(mark, (about.0, &about.1), &words);
    }
}

/// What a problem that somebody must act on means for the exit code.
fn exit_of(notice: &Notice) -> Exit {
    match notice {
        // A name whose zone is not to be seen: in all likelihood the token does not reach it.
        Notice::Problem(Problem::NoZone(..) | Problem::ZoneRefused(..) | Problem::Credential(..)) => {
            Exit::Refused
        }
        _ => Exit::Partly,
    }
}

/// The step that a notice belongs to, and its subject.
fn about(notice: &Notice) -> (&'static str, String) {
    match (notice, notice.problem()) {
        (Notice::Missing(line), _) => ("address", line.to_string()),
        (_, Some(problem)) => {
            let about = problem.about();
            (about.kind, about.subject)
        }
        _ => ("source", String::new()),
    }
}

/// Asks what Cloudflare knows of a token that was refused. A refusal here proves nothing: a token of an
/// account is not one of a user.
async fn explain(report: &mut Report, config: &Config, seen: &Seen) {
    let refused = seen.notices.iter().filter_map(|notice| match notice {
        Notice::Problem(Problem::Credential(account, ..)) => Some(account),
        _ => None,
    });
    for account in refused.collect::<BTreeSet<_>>() {
        let Some(access) = config.accounts.get(account) else {
            continue;
        };
        let (Ok(client), Ok(reading)) =
            (Client::new(&access.api, &config.authorities), access.login.read().await)
        else {
            continue;
        };
        let answer = client.ask(&reading.credential, &Request::Verify(None)).await;
        if let Ok(Found::Token(token)) = answer.outcome {
            let until = token.expires_on.map(|end| format!(", until {end}")).unwrap_or_default();
            let words = format!("{account}: Cloudflare says that the token is {}{until}", token.status);
            report.line(Mark::Warn, ("credential", account.label()), &words);
        }
    }
}

fn records(report: &mut Report, engine: &Engine) {
    let plan = engine.plan();
    let waiting: BTreeSet<_> = plan.changes.iter().map(|change| &change.key).collect();
    if waiting.is_empty() && plan.unchanged == 0 {
        return;
    }
    let words = format!("{} as wanted, {} to be changed (see stayput plan)", plan.unchanged, waiting.len());
    report.line(Mark::Ok, ("records", "all"), &words);
}

#[cfg(test)]
mod tests;
