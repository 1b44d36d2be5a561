//! `stayput status`: asks the running daemon what it knows, and shows it.
//!
//! Deliberately unknown: where the daemon has it from.

use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use tokio::io::AsyncReadExt;
use tokio::net::UnixStream;

use crate::cli::exit::Exit;
use crate::cli::show::{self, Ink, Tone};
use crate::cli::{Everywhere, loading};
use crate::daemon::socket::USUAL_PLACE;
use crate::daemon::status::{Document, Record, Stamp, State};

/// Options of `status`.
#[derive(clap::Args, Clone, Copy, Debug)]
pub struct Options {
    /// As JSON
    #[arg(long)]
    json: bool,
    /// Say nothing and exit with 0 if the daemon answers and nothing has been refused or unknown for long
    #[arg(long, conflicts_with = "json")]
    healthy: bool,
}

/// How long the daemon may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// A longer answer is not the daemon's, in bytes.
const LONGEST: u64 = 16 * 1024 * 1024;
/// What has been wrong for so long does not get well by itself.
const LONG: Duration = Duration::from_secs(600);

/// Asks, and shows the answer.
///
/// # Errors
/// No daemon answers.
pub async fn run(everywhere: &Everywhere, options: Options) -> Result<Exit, Exit> {
    let place = loading::socket().unwrap_or_else(|| PathBuf::from(USUAL_PLACE));
    let asked = tokio::time::timeout(PATIENCE, ask(&place)).await;
    let text = asked.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())).map_err(|error| {
        show::aside(&unanswered(&place, &error));
        Exit::Nothing
    })?;
    let document: Document = serde_json::from_str(&text).map_err(|_| {
        show::aside(&format!("stayput: what answers at {} is not this stayput\n", place.display()));
        Exit::Unexpected
    })?;
    let now = SystemTime::now();
    if options.healthy {
        return Ok(verdict(&document, now));
    }
    if options.json {
        show::result(&format!("{text}\n"))?;
    } else {
        show::result(&page(&document, everywhere.ink(), now))?;
    }
    Ok(Exit::Done)
}

async fn ask(place: &Path) -> io::Result<String> {
    let mut text = String::new();
    UnixStream::connect(place).await?.take(LONGEST).read_to_string(&mut text).await?;
    Ok(text)
}

fn unanswered(place: &Path, error: &io::Error) -> String {
    let remedy = match error.kind() {
        io::ErrorKind::PermissionDenied => "ask as root, or as the user that it runs as",
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
            "is it running? Under systemd it listens in its RuntimeDirectory; elsewhere set STAYPUT_SOCKET for both"
        }
        _ => "try again",
    };
    format!("stayput: no daemon answers at {} ({error}): {remedy}\n", place.display())
}

/// Whether all is as well as it can be; what is not is said.
fn verdict(document: &Document, now: SystemTime) -> Exit {
    let sick = document.records.iter().find(|record| {
        let since = record.since.unwrap_or(document.since);
        matches!(record.state, State::Refused | State::Unknown) && age(since, now) > LONG
    });
    match sick {
        None => Exit::Done,
        Some(record) => {
            let why = record.why.as_deref().unwrap_or("not known yet");
            show::aside(&format!("{} {}: {why}\n", record.name, record.kind));
            Exit::Partly
        }
    }
}

/// The answer for a person.
fn page(document: &Document, ink: Ink, now: SystemTime) -> String {
    let mut text = String::new();
    let title = ink.paint(Tone::Strong, format!("stayput {}", document.version));
    let _infallible = writeln!(text, "{title}, running for {}", span(age(document.since, now)));
    for (family, address) in &document.addresses {
        let family = if family == "ipv4" { "IPv4" } else { "IPv6" };
        let _infallible = match address {
            Some(address) => {
                let by = address.sources.join(", ");
                let by = if by.is_empty() { by } else { format!(" by {by}") };
                let confirmed = format!("confirmed {}{by}", ago(address.confirmed_at, now));
                writeln!(text, "{family}  {}  {}", address.value, ink.paint(Tone::Faint, confirmed))
            }
            None => writeln!(text, "{family}  {}", ink.paint(Tone::Notable, "not known")),
        };
    }
    text.push('\n');
    let widest = document.records.iter().map(|record| record.name.chars().count()).max().unwrap_or(0);
    for record in &document.records {
        write_record(&mut text, record, Look { widest, ink, now });
    }
    let api = &document.api;
    let _infallible = write!(
        text,
        "\n{} of {} requests left; {} since the start, {} throttled, {} failed",
        document.budget.left, document.budget.limit, api.requests, api.throttled, api.failed
    );
    if api.requests > 0 {
        let _infallible = write!(text, ", {} ms on average", api.mean_ms);
    }
    text.push('\n');
    if let Some(next) = document.next_look_at {
        let _infallible = writeln!(text, "next look in {}", span(age(Stamp(now), next.0)));
    }
    text
}

/// How the lines of a page look.
#[derive(Clone, Copy)]
struct Look {
    widest: usize,
    ink: Ink,
    now: SystemTime,
}

fn write_record(text: &mut String, record: &Record, look: Look) {
    let (word, tone) = match record.state {
        State::Current => ("current", Tone::Good),
        State::Pending => ("pending", Tone::Notable),
        State::Refused => ("refused", Tone::Bad),
        State::Unknown => ("unknown", Tone::Notable),
    };
    let content = record.content.map_or_else(|| "-".to_owned(), |content| content.to_string());
    let state = look.ink.paint(tone, word);
    let since = record.since.map(|since| format!("  since {}", ago(since, look.now))).unwrap_or_default();
    let (name, kind, widest) = (&record.name, &record.kind, look.widest);
    let _infallible = writeln!(text, "{name:widest$}  {kind:4}  {state}  {content}{since}");
    for line in record.why.iter().flat_map(|why| why.lines()) {
        let _infallible = writeln!(text, "    {}", look.ink.paint(Tone::Faint, line));
    }
}

/// How long ago; a clock that was set back makes it zero.
fn age(stamp: Stamp, now: SystemTime) -> Duration {
    now.duration_since(stamp.0).unwrap_or_default()
}

fn ago(stamp: Stamp, now: SystemTime) -> String {
    format!("{} ago", span(age(stamp, now)))
}

/// The two largest units of a time.
fn span(time: Duration) -> String {
    let seconds = time.as_secs();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, minutes) => format!("{minutes} min {} s", seconds % 60),
        (0, hours, minutes) => format!("{hours} h {minutes} min"),
        (days, hours, _) => format!("{days} d {hours} h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"{
        "version": "9.9.9", "since": "2026-01-01T00:00:00Z",
        "addresses": {
            "ipv4": {"value": "93.184.216.34", "confirmed-at": "2026-01-02T03:00:00Z", "sources": ["ipify"]},
            "ipv6": null
        },
        "records": [
            {"name": "home.example.com", "type": "A", "state": "current", "content": "93.184.216.34",
             "since": null, "why": null},
            {"name": "nas.example.com", "type": "A", "state": "refused", "content": null,
             "since": "2026-01-02T02:00:00Z", "why": "there is a CNAME\nremove it"}
        ],
        "budget": {"limit": 300, "left": 297, "resets-at": null},
        "api": {"requests": 3, "throttled": 0, "failed": 1, "mean-ms": 80},
        "next-look-at": "2026-01-02T03:05:00Z"
    }"#;

    fn document() -> Document {
        serde_json::from_str(TEXT).unwrap()
    }

    fn at(text: &str) -> SystemTime {
        humantime::parse_rfc3339(text).unwrap()
    }

    #[test]
    fn the_page_says_what_is_known_and_what_comes() {
        let page = page(&document(), Ink::Plain, at("2026-01-02T03:02:05Z"));
        let expected = "\
stayput 9.9.9, running for 1 d 3 h
IPv4  93.184.216.34  confirmed 2 min 5 s ago by ipify
IPv6  not known

home.example.com  A     current  93.184.216.34
nas.example.com   A     refused  -  since 1 h 2 min ago
    there is a CNAME
    remove it

297 of 300 requests left; 3 since the start, 0 throttled, 1 failed, 80 ms on average
next look in 2 min 55 s
";
        assert_eq!(page, expected);
    }

    #[test]
    fn colour_adds_nothing_but_colour() {
        let now = at("2026-01-02T03:02:05Z");
        let coloured = page(&document(), Ink::Colored, now);
        assert!(coloured.contains("\x1b[31mrefused\x1b[0m"));
        let mut plain = coloured;
        for code in ["\x1b[0m", "\x1b[1m", "\x1b[2m", "\x1b[31m", "\x1b[32m", "\x1b[33m"] {
            plain = plain.replace(code, "");
        }
        assert_eq!(plain, page(&document(), Ink::Plain, now));
    }

    #[test]
    fn only_what_has_been_wrong_for_long_is_sick() {
        let mut document = document();
        assert_eq!(verdict(&document, at("2026-01-02T02:09:00Z")), Exit::Done);
        assert_eq!(verdict(&document, at("2026-01-02T02:11:00Z")), Exit::Partly);
        document.records[1].state = State::Pending;
        assert_eq!(verdict(&document, at("2026-02-02T02:11:00Z")), Exit::Done);
        document.records[1] = Record { state: State::Unknown, since: None, ..document.records[1].clone() };
        assert_eq!(verdict(&document, at("2026-01-01T00:09:00Z")), Exit::Done);
        assert_eq!(verdict(&document, at("2026-01-01T00:11:00Z")), Exit::Partly);
    }

    #[test]
    fn a_clock_that_was_set_back_makes_nothing_negative() {
        let page = page(&document(), Ink::Plain, at("1999-01-01T00:00:00Z"));
        assert!(page.starts_with("stayput 9.9.9, running for 0 s\n"), "{page}");
    }
}
