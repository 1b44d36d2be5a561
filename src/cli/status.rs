//! `stayput status`: asks the running daemon what it knows, and shows it.
//!
//! Deliberately unknown: where the daemon has it from.

use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::Deserialize;
use tokio::io::AsyncReadExt;
use tokio::net::UnixStream;

use crate::cli::exit::Exit;
use crate::cli::loading;
use crate::cli::options::Everywhere;
use crate::cli::show::{self, Ink, Tone};
use crate::daemon::status::{Account, Document, FORMAT, HEALTHY, Record, Stamp, Trouble};
use crate::engine::names::Family;
use crate::engine::notice::{count, rounded};

/// Options of `status`.
#[derive(clap::Args, Clone, Copy, Debug)]
pub struct Options {
    /// Print it as JSON
    #[arg(long)]
    json: bool,
    /// Say nothing and exit with 0, unless a record has not been as it should be for ten minutes, or no daemon answers
    #[arg(long, conflicts_with = "json")]
    healthy: bool,
}

/// How long the daemon may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// A longer answer is not the daemon's, in bytes.
const LONGEST: u64 = 16 * 1024 * 1024;

/// Asks, and shows the answer.
///
/// # Errors
/// No daemon answers, or one that this version does not understand.
pub async fn run(everywhere: &Everywhere, options: Options) -> Result<Exit, Exit> {
    let (place, text) = first_answer(loading::sockets(everywhere)).await.map_err(|silent| {
        show::aside(&unanswered(&silent));
        Exit::Nothing
    })?;
    let answer = Answer::read(&text, &place).map_err(|misfit| {
        show::aside(&format!("stayput: {misfit}\n"));
        Exit::Unexpected
    })?;
    if options.healthy {
        return Ok(verdict(answer.health));
    }
    if options.json {
        show::json(&answer.document)?;
    } else {
        #[expect(clippy::disallowed_methods, reason = "ages are shown")]
        let now = SystemTime::now();
        show::result(&page(&answer.document, Look { ink: everywhere.ink(), now }))?;
    }
    Ok(Exit::Done)
}

/// A place at which nobody answers, and why not.
type Silent = (PathBuf, io::Error);

/// What the first daemon that answers says, and where it is.
async fn first_answer(places: Vec<PathBuf>) -> Result<(PathBuf, String), Vec<Silent>> {
    let mut silent = Vec::new();
    for place in places {
        let asked = tokio::time::timeout(PATIENCE, ask(&place)).await;
        match asked.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
            Ok(text) => return Ok((place, text)),
            Err(error) => silent.push((place, error)),
        }
    }
    Err(silent)
}

async fn ask(place: &Path) -> io::Result<String> {
    let mut text = String::new();
    UnixStream::connect(place).await?.take(LONGEST).read_to_string(&mut text).await?;
    match text.is_empty() {
        true => Err(io::Error::new(io::ErrorKind::WouldBlock, "it has too many to answer at the moment")),
        false => Ok(text),
    }
}

fn unanswered(silent: &[Silent]) -> String {
    let mut text = "stayput: no daemon answers at ".to_owned();
    for (index, (place, error)) in silent.iter().enumerate() {
        let join = if index > 0 { ",\n  nor at " } else { "" };
        let _infallible = write!(text, "{join}{} ({error})", place.display());
    }
    let is = |kind| silent.iter().any(|(_, error)| error.kind() == kind);
    let absent = |kind| matches!(kind, io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused);
    text.push_str(if is(io::ErrorKind::PermissionDenied) {
        ": ask as root, or as the user that it runs as\n"
    } else if silent.iter().all(|(_, error)| absent(error.kind())) {
        ": is it running? Its log says at the start where it answers\n"
    } else {
        ": try again\n"
    });
    text
}

/// What a daemon of this form says.
struct Answer<'a> {
    document: Document,
    health: &'a str,
}

/// What every document has had, and will have.
#[derive(Deserialize)]
struct Head {
    version: String,
    format: Option<u32>,
}

impl Answer<'_> {
    /// # Errors
    /// Why what answers at `place` cannot be understood.
    fn read<'a>(text: &'a str, place: &Path) -> Result<Answer<'a>, String> {
        let (place, here) = (place.display(), env!("CARGO_PKG_VERSION"));
        let (first, health) = text.split_once('\n').unwrap_or((text, ""));
        let Ok(Head { version, format }) = serde_json::from_str(first) else {
            return Err(format!(
                "what answers at {place} is no stayput: correct [status] socket or $STAYPUT_SOCKET, whichever names this place"
            ));
        };
        if let Some(newer) = format.filter(|format| *format > FORMAT) {
            return Err(format!(
                "the daemon at {place} is stayput {version} and answers in format {newer}; this is stayput {here}, which reads format {FORMAT}: ask with the newer program"
            ));
        }
        let health = health.trim_end();
        match serde_json::from_str(first) {
            Ok(document) if !health.is_empty() => Ok(Answer { document, health }),
            _ => Err(format!(
                "the daemon at {place} is stayput {version}, and this is stayput {here}, which expects more of its answer: restart the daemon, so that both are of one version"
            )),
        }
    }
}

/// Whether all is as well as it can be; what is not is said.
fn verdict(health: &str) -> Exit {
    if health == HEALTHY {
        return Exit::Done;
    }
    show::aside(&format!("{health}\n"));
    Exit::Partly
}

/// How a page looks, and when it is.
#[derive(Clone, Copy)]
struct Look {
    ink: Ink,
    now: SystemTime,
}

/// The answer for a person.
fn page(document: &Document, look: Look) -> String {
    let mut text = String::new();
    let title = look.ink.paint(Tone::Strong, format!("stayput {}", document.version));
    let _infallible = writeln!(text, "{title}, running for {}", rounded(age(document.since, look.now)));
    for family in Family::ALL {
        write_address(&mut text, family, document, look);
    }
    text.push('\n');
    let widest = document.records.iter().map(|record| record.name.chars().count()).max().unwrap_or(0);
    for record in &document.records {
        write_record(&mut text, record, (widest, look));
    }
    for trouble in &document.troubles {
        write_trouble(&mut text, trouble, look);
    }
    text.push('\n');
    for account in &document.accounts {
        let name = if document.accounts.len() > 1 { format!("{}: ", account.name) } else { String::new() };
        let _infallible = writeln!(text, "{name}{}", spent(account));
    }
    if let Some(next) = document.next_look_at {
        let _infallible = writeln!(text, "next look in {}", rounded(age(Stamp(look.now), next.0)));
    }
    text
}

/// A family that no record is of is not asked for, and not told of.
fn write_address(text: &mut String, family: Family, document: &Document, look: Look) {
    let address = document.addresses.get(family.key()).and_then(Option::as_ref);
    let _infallible = match address {
        Some(address) => {
            let by = address.sources.join(", ");
            let by = if by.is_empty() { by } else { format!(" by {by}") };
            let confirmed = format!("confirmed {}{by}", ago(address.confirmed_at, look.now));
            writeln!(text, "{family}  {}  {}", address.value, look.ink.paint(Tone::Faint, confirmed))
        }
        None if document.records.iter().any(|record| record.kind == family.record_type().as_str()) => {
            writeln!(text, "{family}  {}", look.ink.paint(Tone::Notable, "not known"))
        }
        None => Ok(()),
    };
}

fn write_record(text: &mut String, record: &Record, (widest, look): (usize, Look)) {
    let tone = match &*record.state {
        "current" => Tone::Good,
        "blocked" => Tone::Bad,
        _ => Tone::Notable,
    };
    let mut content = record.content.clone().unwrap_or_else(|| "-".to_owned());
    if let Some(wanted) = record.wanted.as_ref().filter(|wanted| Some(*wanted) != record.content.as_ref()) {
        let _infallible = write!(content, " → {wanted}");
    }
    // Painted after it is padded: the terminal does not count a colour's characters, the padding does.
    let state = look.ink.paint(tone, format!("{:7}", record.state));
    let since = record.since.map(|since| format!("  since {}", ago(since, look.now))).unwrap_or_default();
    let (name, kind) = (&record.name, &record.kind);
    let _infallible = writeln!(text, "{name:widest$}  {kind:4}  {state}  {content}{since}");
    for line in record.why.iter().flat_map(|why| why.lines()) {
        let _infallible = writeln!(text, "    {}", look.ink.paint(Tone::Faint, line));
    }
}

fn write_trouble(text: &mut String, trouble: &Trouble, look: Look) {
    let sign = look.ink.paint(Tone::Bad, "!");
    let mut lines = trouble.text.lines();
    let _infallible = writeln!(text, "\n{sign} {}", lines.next().unwrap_or_default());
    for line in lines {
        let _infallible = writeln!(text, "  {line}");
    }
    let mut words = format!("since {}", ago(trouble.since, look.now));
    if trouble.tries > 0 {
        let _infallible = write!(words, ", tried {}", count(trouble.tries as usize, "time"));
    }
    if let Some(next) = trouble.next_try_at {
        let _infallible = write!(words, ", next try in {}", rounded(age(Stamp(look.now), next.0)));
    }
    let _infallible = writeln!(text, "  {}", look.ink.paint(Tone::Faint, words));
}

fn spent(account: &Account) -> String {
    let (budget, api) = (&account.budget, &account.api);
    let mut text = format!(
        "{} of {} requests left; {} since the start, {} throttled, {} failed",
        budget.left, budget.limit, api.requests, api.throttled, api.failed
    );
    if api.requests > 0 {
        let _infallible = write!(text, ", {} ms on average", api.mean_ms);
    }
    text
}

/// How long ago; a clock that was set back makes it zero.
fn age(stamp: Stamp, now: SystemTime) -> Duration {
    now.duration_since(stamp.0).unwrap_or_default()
}

fn ago(stamp: Stamp, now: SystemTime) -> String {
    format!("{} ago", rounded(age(stamp, now)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"{"format": 1,
        "version": "9.9.9", "since": "2026-01-01T00:00:00Z",
        "addresses": {
            "ipv4": {"value": "93.184.216.34", "confirmed_at": "2026-01-02T03:00:00Z", "sources": ["ipify"]},
            "ipv6": null
        },
        "records": [
            {"name": "home.example.com", "type": "A", "state": "current", "content": "93.184.216.34",
             "wanted": "93.184.216.34", "since": null, "why": null},
            {"name": "home.example.com", "type": "AAAA", "state": "unknown", "content": null,
             "wanted": null, "since": null, "why": "the IPv6 address is not known yet"},
            {"name": "nas.example.com", "type": "A", "state": "blocked", "content": null,
             "wanted": "93.184.216.34", "since": "2026-01-02T02:00:00Z", "why": "there is a CNAME\nremove it"},
            {"name": "web.example.com", "type": "A", "state": "behind", "content": "93.184.216.35",
             "wanted": "93.184.216.34", "since": "2026-01-02T03:02:00Z", "why": null}
        ],
        "troubles": [
            {"text": "Cloudflare's API does not answer", "since": "2026-01-02T03:02:00Z", "tries": 2,
             "next_try_at": "2026-01-02T03:02:15Z"}
        ],
        "accounts": [
            {"name": "cloudflare", "budget": {"limit": 300, "left": 297, "resets_at": null},
             "api": {"requests": 3, "throttled": 0, "failed": 1, "mean_ms": 80}, "token_expires_at": null}
        ],
        "next_look_at": "2026-01-02T03:05:00Z", "history": []
    }"#;

    fn document() -> Document {
        serde_json::from_str(TEXT).unwrap()
    }

    fn at(ink: Ink, text: &str) -> Look {
        Look { ink, now: humantime::parse_rfc3339(text).unwrap() }
    }

    #[test]
    fn the_page_says_what_is_known_and_what_comes() {
        let page = page(&document(), at(Ink::Plain, "2026-01-02T03:02:05Z"));
        let expected = "\
stayput 9.9.9, running for 1 d 3 h
IPv4  93.184.216.34  confirmed 2 min 5 s ago by ipify
IPv6  not known

home.example.com  A     current  93.184.216.34
home.example.com  AAAA  unknown  -
    the IPv6 address is not known yet
nas.example.com   A     blocked  - → 93.184.216.34  since 1 h 2 min ago
    there is a CNAME
    remove it
web.example.com   A     behind   93.184.216.35 → 93.184.216.34  since 5 s ago

! Cloudflare's API does not answer
  since 5 s ago, tried 2 times, next try in 10 s

297 of 300 requests left; 3 since the start, 0 throttled, 1 failed, 80 ms on average
next look in 2 min 55 s
";
        assert_eq!(page, expected);
    }

    #[test]
    fn a_family_that_no_record_is_of_is_not_told_of_and_accounts_have_names_where_there_are_several() {
        let mut document = document();
        document.records.retain(|record| record.kind == "A");
        let other = Account { name: "work".into(), ..document.accounts[0].clone() };
        document.accounts.push(other);
        let page = page(&document, at(Ink::Plain, "2026-01-02T03:02:05Z"));
        assert!(!page.contains("IPv6"), "{page}");
        assert!(page.contains("\ncloudflare: 297 of 300") && page.contains("\nwork: 297 of 300"), "{page}");
    }

    #[test]
    fn colour_adds_nothing_but_colour() {
        let now = "2026-01-02T03:02:05Z";
        let coloured = page(&document(), at(Ink::Coloured, now));
        assert!(coloured.contains("\x1b[31mblocked\x1b[0m"));
        let mut plain = coloured;
        for code in ["\x1b[0m", "\x1b[1m", "\x1b[2m", "\x1b[31m", "\x1b[32m", "\x1b[33m"] {
            plain = plain.replace(code, "");
        }
        assert_eq!(plain, page(&document(), at(Ink::Plain, now)));
    }

    #[test]
    fn a_clock_that_was_set_back_makes_nothing_negative() {
        let page = page(&document(), at(Ink::Plain, "1999-01-01T00:00:00Z"));
        assert!(page.starts_with("stayput 9.9.9, running for 0 s\n"), "{page}");
    }

    #[test]
    fn an_answer_of_another_version_or_of_something_else_is_called_what_it_is() {
        let one_line = TEXT.replace('\n', " ");
        let well = format!("{one_line}\nhealthy\n");
        let read = |text: &str| {
            let answer = Answer::read(text, Path::new("/run/s"));
            answer.map(|answer| answer.health.to_owned()).unwrap_or_else(|misfit| misfit)
        };
        assert_eq!(read(&well), "healthy");
        for foreign in ["SSH-2.0-OpenSSH_9.2", "{\"status\":\"ok\"}"] {
            assert!(read(foreign).contains("at /run/s is no stayput"), "{foreign}");
        }
        let older = read("{\"version\":\"0.1.0\",\"records\":[]}");
        assert!(older.contains("stayput 0.1.0") && older.contains("restart the daemon"), "{older}");
        let mute = read(&one_line);
        assert!(
            mute.contains("stayput 9.9.9") && mute.contains("expects more"),
            "it does not say whether it is well"
        );
        let newer = read(&well.replace("\"format\": 1", "\"format\": 2"));
        assert!(
            newer.contains("stayput 9.9.9") && newer.contains("format 2") && newer.contains("newer program"),
            "{newer}"
        );
    }

    #[test]
    fn who_does_not_answer_is_named_with_the_way_out() {
        let error = |kind: io::ErrorKind| io::Error::from(kind);
        let nobody = [
            ("/a".into(), error(io::ErrorKind::NotFound)),
            ("/b".into(), error(io::ErrorKind::ConnectionRefused)),
        ];
        let expected = "stayput: no daemon answers at /a (entity not found),\n  nor at /b (connection refused): is it running? Its log says at the start where it answers\n";
        assert_eq!(unanswered(&nobody), expected);
        let closed = [("/a".into(), error(io::ErrorKind::PermissionDenied))];
        assert!(unanswered(&closed).ends_with("ask as root, or as the user that it runs as\n"));
    }
}
