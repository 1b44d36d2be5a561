//! `stayput check`: will it work? The configuration, the clock, the secret, the sources, and then by the
//! real reads the permissions, the zones and the records; each with a remedy where it is needed.
//!
//! Sends nothing but reads. Deliberately unknown: the words for what is wrong at Cloudflare, which are
//! the engine's.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write as _};
use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use crate::cli::exit::Exit;
use crate::cli::show::{self, Ink, Tone};
use crate::cli::{Everywhere, loading};
use crate::cloudflare::client::Client;
use crate::config::Config;
use crate::daemon::{Audience, Job, Memory, Outcome, Secrets, Seen, accounts};
use crate::engine::address::{self, Unheard};
use crate::engine::names::{Key, Name};
use crate::engine::notice::{Notice, Severity, Trouble};
use crate::engine::request::{Found, Request, Zone};
use crate::engine::settings::{AccountName, Wanted};
use crate::engine::{Engine, Mode, Verdict};

/// Options of `check`.
#[derive(clap::Args, Clone, Copy, Debug)]
pub struct Options {
    /// Check the configuration only; nothing is asked of anybody
    #[arg(long)]
    offline: bool,
}

/// This version was written after this instant (2026-11-01): a clock that shows less is wrong.
const WRITTEN_AFTER: Duration = Duration::from_secs(1_793_491_200);

/// Checks, and prints a line for each thing that was checked.
///
/// # Errors
/// The configuration is wrong, or nobody takes the result.
pub async fn run(everywhere: &Everywhere, options: Options) -> Result<Exit, Exit> {
    let mut report = Report::new(everywhere.ink());
    let config = loading::load(everywhere)?;
    configuration(&mut report, &config);
    if options.offline {
        report.print()?;
        return Ok(Exit::Done);
    }
    clock(&mut report, SystemTime::now());
    if !secrets(&mut report, &config).await {
        report.print()?;
        return Ok(Exit::Configuration);
    }
    report.print()?;
    let job = Job {
        mode: Mode::Plan,
        audience: Audience::Caller,
        reread: loading::reread(everywhere),
        config: config.clone(),
        memory: Memory::None,
        secrets: Secrets::Real,
        socket: None,
    };
    let Outcome { engine, seen } = loading::run(job).await?;
    sources(&mut report, &config, &seen);
    believed(&mut report, &engine);
    zones(&mut report, &config, &seen);
    troubles(&mut report, &seen);
    explain(&mut report, &config, &seen).await;
    records(&mut report, &engine);
    report.print()?;
    Ok(exit(&engine, &seen))
}

fn exit(engine: &Engine, seen: &Seen) -> Exit {
    // A name whose zone is not to be seen: in all likelihood the token does not reach it.
    let out_of_sight = |notice: &Notice| matches!(notice, Notice::Trouble(Trouble::NoZone(..)));
    match engine.verdict() {
        Verdict::Partly if seen.notices.iter().any(out_of_sight) => Exit::Refused,
        verdict => verdict.into(),
    }
}

/// The lines of the check, in their order.
struct Report {
    ink: Ink,
    text: String,
}

#[derive(Clone, Copy)]
enum Mark {
    Ok,
    Warn,
    Fail,
}

impl Report {
    fn new(ink: Ink) -> Report {
        Report { ink, text: String::new() }
    }

    fn line(&mut self, mark: Mark, what: &str, words: impl fmt::Display) {
        let (sign, tone) = match mark {
            Mark::Ok => ("ok  ", Tone::Good),
            Mark::Warn => ("warn", Tone::Notable),
            Mark::Fail => ("FAIL", Tone::Bad),
        };
        let sign = self.ink.paint(tone, sign);
        let words = words.to_string();
        let mut lines = words.lines();
        let first = lines.next().unwrap_or_default();
        let _infallible = writeln!(self.text, "{sign}  {what:<13}  {first}");
        for line in lines {
            let _infallible = writeln!(self.text, "{:21}{line}", "");
        }
    }

    /// Shows what was found so far: the rest may take a while.
    fn print(&mut self) -> Result<(), Exit> {
        show::result(&std::mem::take(&mut self.text))
    }
}

fn configuration(report: &mut Report, config: &Config) {
    let settings = &config.settings;
    let names: BTreeSet<&Name> = settings.records.keys().map(|key| &key.name).collect();
    let words = format!(
        "{} ({}), {}",
        show::count(names.len(), "name"),
        show::count(settings.records.len(), "record"),
        show::count(settings.accounts.len(), "account")
    );
    report.line(Mark::Ok, "configuration", words);
    for warning in &config.warnings {
        report.line(Mark::Warn, "configuration", warning);
    }
    for (family, sources) in &settings.sources {
        let needed = address::needed(sources, settings.agree);
        if needed < settings.agree {
            let words = format!(
                "{family} is asked of {}, so {needed} must agree although agree = {}; name more sources, or lower agree",
                show::count(needed, "operator"),
                settings.agree
            );
            report.line(Mark::Warn, "configuration", words);
        }
    }
}

fn clock(report: &mut Report, now: SystemTime) {
    let time = humantime::format_rfc3339_seconds(now);
    if now < SystemTime::UNIX_EPOCH + WRITTEN_AFTER {
        let words = format!(
            "it shows {time}, which is before this program was written: no certificate will be accepted\nset the clock (is NTP running?); stayput itself needs no restart"
        );
        report.line(Mark::Fail, "clock", words);
    } else {
        report.line(Mark::Ok, "clock", time);
    }
}

/// Reads every secret; says whether all could be had.
async fn secrets(report: &mut Report, config: &Config) -> bool {
    let readings = accounts::read(config.accounts.clone(), Secrets::Real).await;
    let mut all = true;
    for (name, reading) in readings {
        match reading {
            Ok(reading) => {
                report.line(Mark::Ok, "secret", format!("{name}: read"));
                for warning in reading.warnings {
                    report.line(Mark::Warn, "secret", format!("{name}: {warning}"));
                }
            }
            Err(error) => {
                report.line(Mark::Fail, "secret", format!("{name}: {error}"));
                all = false;
            }
        }
    }
    all
}

/// What each source said the last time it was asked.
fn sources(report: &mut Report, config: &Config, seen: &Seen) {
    let last: BTreeMap<_, &Result<IpAddr, Unheard>> =
        seen.heard.iter().map(|(source, heard)| (*source, heard)).collect();
    for (id, heard) in last {
        let sources = config.settings.sources.get(&id.family);
        let label = sources.and_then(|sources| sources.get(id.index)).map_or("", |source| &*source.label);
        match heard {
            Ok(address) => {
                let words = format!("{}: {label} says {address}", id.family);
                report.line(Mark::Ok, "source", words);
            }
            Err(why) => {
                let words = format!("{}: {label}: {why}", id.family);
                report.line(Mark::Warn, "source", words);
            }
        }
    }
}

fn believed(report: &mut Report, engine: &Engine) {
    let status = engine.status(crate::daemon::clock::now());
    for (family, address) in status.addresses {
        if let Some(address) = address {
            let words = format!("{family}: {}", address.value);
            report.line(Mark::Ok, "address", words);
        }
    }
}

/// The zones that the names are in, as far as they were seen, and what may be done in them.
fn zones(report: &mut Report, config: &Config, seen: &Seen) {
    let mut zones: BTreeMap<(&AccountName, &Name), &Zone> = BTreeMap::new();
    for (account, _, answer) in &seen.answers {
        let found: &[Zone] = match &answer.outcome {
            Ok(Found::Zones(page)) => &page.items,
            Ok(Found::Zone(zone)) => std::slice::from_ref(zone),
            _ => &[],
        };
        zones.extend(found.iter().map(|zone| ((account, &zone.name), zone)));
    }
    for ((account, _), zone) in zones {
        let mine =
            |(key, wanted): (&Key, &Wanted)| wanted.account == *account && key.name.is_within(&zone.name);
        if config.settings.records.iter().any(mine) {
            permissions(report, zone);
        }
    }
}

fn permissions(report: &mut Report, zone: &Zone) {
    let name = &zone.name;
    let may = |what: &str| {
        let list = zone.permissions.as_deref();
        list.map(|list| list.iter().any(|permission| **permission == *what))
    };
    match (may("#dns_records:read"), may("#dns_records:edit")) {
        (_, Some(true)) => report.line(Mark::Ok, "zone", format!("{name}: DNS can be edited")),
        (Some(_), Some(false)) => report.line(
            Mark::Fail,
            "zone",
            format!("{name}: the credential may not edit DNS\ngive it Zone · DNS · Edit for this zone (My Profile, API Tokens)"),
        ),
        _ => report.line(
            Mark::Ok,
            "zone",
            format!("{name}: seen (Cloudflare does not say whether DNS may be edited)"),
        ),
    }
}

/// What the engine had to say.
fn troubles(report: &mut Report, seen: &Seen) {
    for notice in &seen.notices {
        let mark = match notice.severity() {
            Severity::Detail | Severity::News => continue,
            Severity::Warning => Mark::Warn,
            Severity::Error => Mark::Fail,
        };
        report.line(mark, topic(notice), notice);
    }
}

fn topic(notice: &Notice) -> &'static str {
    let (Notice::Trouble(trouble) | Notice::StillWrong(trouble, _)) = notice else {
        return "source";
    };
    match trouble {
        Trouble::Silence { .. } | Trouble::Unconfirmed { .. } | Trouble::Flapping { .. } => "address",
        Trouble::Obstacle(..) | Trouble::Parked(..) | Trouble::TooManyDeletes { .. } => "record",
        Trouble::NoZone(..)
        | Trouble::Ambiguous(..)
        | Trouble::Outside(..)
        | Trouble::OddZone(..)
        | Trouble::ZoneRefused(..) => "zone",
        Trouble::Credential(..) => "secret",
        Trouble::Api(..) | Trouble::Throttled(..) | Trouble::Spent(..) => "network",
    }
}

/// Asks what Cloudflare knows of a token that was refused. A refusal here proves nothing: a token of an
/// account is not one of a user.
async fn explain(report: &mut Report, config: &Config, seen: &Seen) {
    let refused = seen.notices.iter().filter_map(|notice| match notice {
        Notice::Trouble(Trouble::Credential(account, ..)) => Some(account),
        _ => None,
    });
    for account in refused.collect::<BTreeSet<_>>() {
        let Some(access) = config.accounts.get(account) else {
            continue;
        };
        let (Ok(client), Ok(reading)) = (Client::new(&access.api), access.login.read().await) else {
            continue;
        };
        let answer = client.ask(&reading.credential, &Request::Verify(None)).await;
        if let Ok(Found::Token(token)) = answer.outcome {
            let until = token.expires_on.map(|end| format!(", until {end}")).unwrap_or_default();
            let words = format!("{account}: Cloudflare says that the token is {}{until}", token.status);
            report.line(Mark::Warn, "secret", words);
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
    report.line(Mark::Ok, "records", words);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::names::ZoneId;

    fn zone(permissions: Option<&[&str]>) -> Zone {
        Zone {
            id: ZoneId::parse(&"a".repeat(32)).unwrap(),
            name: Name::parse("example.com").unwrap(),
            account: None,
            status: "active".into(),
            kind: "full".into(),
            plan: None,
            paused: false,
            permissions: permissions.map(|list| list.iter().map(|word| (*word).into()).collect()),
        }
    }

    fn said(fill: impl FnOnce(&mut Report)) -> String {
        let mut report = Report::new(Ink::Plain);
        fill(&mut report);
        report.text
    }

    #[test]
    fn a_token_that_may_only_read_is_told_what_it_lacks() {
        let text = said(|report| permissions(report, &zone(Some(&["#dns_records:read"]))));
        assert!(text.starts_with("FAIL  zone"), "{text}");
        assert!(text.contains("give it Zone · DNS · Edit"), "{text}");
        let text = said(|report| permissions(report, &zone(Some(&["#dns_records:edit"]))));
        assert!(text.starts_with("ok "), "{text}");
        let text = said(|report| permissions(report, &zone(None)));
        assert!(text.contains("does not say"), "{text}");
    }

    #[test]
    fn a_clock_from_before_this_program_is_wrong() {
        let text = said(|report| clock(report, SystemTime::UNIX_EPOCH));
        assert!(text.starts_with("FAIL  clock") && text.contains("NTP"), "{text}");
        let later = SystemTime::UNIX_EPOCH + WRITTEN_AFTER;
        assert!(said(|report| clock(report, later)).starts_with("ok "));
    }

    #[test]
    fn further_lines_stand_below_the_first() {
        let text = said(|report| report.line(Mark::Warn, "zone", "one\ntwo"));
        assert_eq!(text, "warn  zone           one\n                     two\n");
    }
}
