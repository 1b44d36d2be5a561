//! The log: one line on standard error for each notice, in the form that its reader wants.
//!
//! For a person at a terminal, for a file, for the journal, or as JSON. A reader that went away or does
//! not read never holds up the program: what cannot be written is dropped, and counted. Deliberately
//! unknown: the words, which `engine::notice` has.

use std::any::Any;
use std::fmt::{self, Write as _};
use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;
use std::panic::Location;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use clap::ValueEnum;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde_json::json;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;

use crate::engine::notice::{Notice, Severity};
use crate::secret::redact;

/// How long a reader may keep the program waiting, in nanoseconds, before a line is dropped.
const PATIENCE_NANOS: i64 = 100_000_000;
/// What a pipe that says that it has room takes without waiting: `PIPE_BUF` of Linux.
const ROOM: usize = 4096;

/// How the log is written. The words of each are those of the help.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// journal where standard error is the journal, else text
    #[default]
    Auto,
    /// lines for people
    Text,
    /// one JSON object a line
    Json,
    /// lines with a priority in front
    Journal,
}

/// When colours are used. The words of each are those of the help.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// on a terminal, unless NO_COLOR is set
    #[default]
    Auto,
    /// also into files
    Always,
    /// nowhere
    Never,
}

/// Starts the log; before this, and after a first call, it does nothing. A panic is told there, too.
pub fn start(format: Format, color: Color, level: LevelFilter) {
    std::panic::set_hook(Box::new(|panic| {
        tracing::error!("{}", last_words(panic.payload(), panic.location()));
    }));
    // Libraries have their say in what we make of their errors, not in the log.
    let ours = Targets::new().with_target(env!("CARGO_CRATE_NAME"), level);
    let log = tracing_subscriber::registry().with(ours);
    let form = form(format, color);
    let layer = tracing_subscriber::fmt::layer().with_writer(move || Unfailing(form));
    // A second subscriber is refused; the first one then goes on, which is all that is wanted.
    let _first = match form {
        Form::Json => {
            let json = layer.json().flatten_event(true).with_target(false);
            tracing::subscriber::set_global_default(log.with(json))
        }
        lines => tracing::subscriber::set_global_default(log.with(layer.event_format(lines))),
    };
}

/// What is said of a panic. Words that were put together at run time may hold anything, a secret too.
fn last_words(payload: &(dyn Any + Send), place: Option<&Location<'_>>) -> String {
    let place = place.map_or_else(|| "a place that is not known".to_owned(), ToString::to_string);
    let words = payload.downcast_ref::<&'static str>();
    let words = words.unwrap_or(&"its words are not shown, for they may hold what is secret");
    format!("a part of stayput failed at {place}: {words}; please report it")
}

pub fn tell(notice: &Notice) {
    match notice.severity() {
        Severity::Detail => tracing::debug!("{notice}"),
        Severity::News => tracing::info!("{notice}"),
        Severity::Warning => tracing::warn!("{notice}"),
        Severity::Error => tracing::error!("{notice}"),
    }
}

impl Color {
    /// Whether colours are to be used on `stream`.
    pub fn on(self, stream: &impl IsTerminal) -> bool {
        let unset = |name| std::env::var_os(name).is_none_or(|value| value.is_empty());
        let dumb = || std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        match self {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => stream.is_terminal() && unset("NO_COLOR") && !dumb(),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// `{"timestamp":"2026-01-02T12:34:56.000000Z","level":"WARN","message":"message"}`
    Json,
    /// `12:34:56Z ! message`
    Terminal { color: bool },
    /// `2026-01-02T12:34:56Z WARN message`
    File { color: bool },
    /// `<4>message`
    Journal,
}

fn form(format: Format, color: Color) -> Form {
    let terminal = io::stderr().is_terminal();
    let color = color.on(&io::stderr());
    match format {
        Format::Json => Form::Json,
        Format::Auto if stderr_is_the_journal() => Form::Journal,
        Format::Journal => Form::Journal,
        Format::Auto | Format::Text if terminal => Form::Terminal { color },
        Format::Auto | Format::Text => Form::File { color },
    }
}

/// systemd says in `$JOURNAL_STREAM` which file the journal reads; after a redirection it is another.
fn stderr_is_the_journal() -> bool {
    let Ok(said) = std::env::var("JOURNAL_STREAM") else {
        return false;
    };
    let Ok(stat) = rustix::fs::fstat(rustix::stdio::stderr()) else {
        return false;
    };
    said == format!("{}:{}", stat.st_dev, stat.st_ino)
}

impl<S, N> FormatEvent<S, N> for Form
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _context: &FmtContext<'_, S, N>,
        mut to: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut words = Words::default();
        event.record(&mut words);
        let level = *event.metadata().level();
        to.write_str(&self.lines(level, &words.message, now()))
    }
}

impl Form {
    fn lines(self, level: Level, message: &str, at: SystemTime) -> String {
        if self == Form::Json {
            let timestamp = humantime::format_rfc3339_micros(at).to_string();
            let line = json!({"timestamp": timestamp, "level": level.as_str(), "message": message});
            return format!("{line}\n");
        }
        let time = humantime::format_rfc3339_seconds(at).to_string();
        let (color, word, sign, priority) = match level {
            Level::ERROR => ("\x1b[31m", "ERROR", "x", 3),
            Level::WARN => ("\x1b[33m", "WARN", "!", 4),
            Level::INFO => ("", "INFO", " ", 6),
            Level::DEBUG => ("\x1b[2m", "DEBUG", "·", 7),
            Level::TRACE => ("\x1b[2m", "TRACE", "·", 7),
        };
        let colors = matches!(self, Form::Terminal { color: true } | Form::File { color: true });
        let (on, off) = if colors && !color.is_empty() { (color, "\x1b[0m") } else { ("", "") };
        let mut lines = String::new();
        for (index, line) in message.split('\n').enumerate() {
            let line = Plain(line);
            let indent = if index == 0 { "" } else { "    " };
            let _infallible = match self {
                Form::Terminal { .. } => {
                    let clock = time.get(11..).unwrap_or(&time);
                    let (faint, over) = if colors { ("\x1b[2m", "\x1b[0m") } else { ("", "") };
                    writeln!(lines, "{faint}{clock}{over} {on}{sign} {indent}{line}{off}")
                }
                Form::File { .. } => writeln!(lines, "{time} {on}{word:<5}{off} {indent}{line}"),
                Form::Journal | Form::Json => writeln!(lines, "<{priority}>{indent}{line}"),
            };
        }
        lines
    }
}

/// The message of an event, with its fields behind it.
#[derive(Default)]
struct Words {
    message: String,
}

impl Visit for Words {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let _infallible = if field.name() == "message" {
            let behind = std::mem::take(&mut self.message);
            write!(self.message, "{value:?}{behind}")
        } else {
            write!(self.message, " {}={value:?}", field.name())
        };
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        let _infallible = write!(self.message, " {}={value}", field.name());
    }
}

/// Text that may hold foreign words, without what a terminal or a log could take as a command.
struct Plain<'a>(&'a str);

impl fmt::Display for Plain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            if character.is_control() && character != '\t' {
                write!(f, "{}", character.escape_default())?;
            } else {
                f.write_char(character)?;
            }
        }
        Ok(())
    }
}

/// Standard error that takes everything: a full or closed one must not become an error, because the
/// libraries would then try to complain about it on standard error. Nor must it wait: the daemon's work
/// matters more than its log.
struct Unfailing(Form);

/// Lines that were dropped and not spoken of yet.
static LOST: AtomicU64 = AtomicU64::new(0);

impl Write for Unfailing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = redact::redact(bytes);
        let mut to = io::stderr().lock();
        let lost = LOST.load(Ordering::Relaxed);
        let patience = if lost == 0 { PATIENCE_NANOS } else { 0 };
        let told = || self.0.lines(Level::WARN, &dropped(lost), now());
        let taken =
            (lost == 0 || pass_on(&mut to, told().as_bytes(), patience)) && pass_on(&mut to, &text, patience);
        match (taken, lost) {
            (true, 0) => {}
            (true, _) => LOST.store(0, Ordering::Relaxed),
            (false, _) => LOST.store(lost + 1, Ordering::Relaxed),
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes as long as the reader takes it; whether it took all. A reader that is gone counts as one that
/// did: nobody will ask for what was lost.
fn pass_on(to: &mut (impl Write + AsFd), bytes: &[u8], patience_nanos: i64) -> bool {
    bytes.chunks(ROOM).all(|chunk| {
        let wait = Timespec { tv_sec: 0, tv_nsec: patience_nanos };
        let ready = poll(&mut [PollFd::new(to, PollFlags::OUT)], Some(&wait));
        // What cannot be waited for is tried.
        ready != Ok(0)
            && to.write_all(chunk).map_or_else(|error| error.kind() != io::ErrorKind::WouldBlock, |()| true)
    })
}

#[expect(clippy::disallowed_methods, reason = "log lines are dated")]
fn now() -> SystemTime {
    SystemTime::now()
}

/// Says how many lines were dropped.
fn dropped(count: u64) -> String {
    let lines = if count == 1 { "line of the log was" } else { "lines of the log were" };
    format!("{count} {lines} dropped: nobody read it")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn at() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000)
    }

    #[test]
    fn each_reader_gets_its_own_form() {
        let line = |form: Form| form.lines(Level::WARN, "look out", at());
        assert_eq!(line(Form::Terminal { color: false }), "08:00:00Z ! look out\n");
        assert_eq!(
            line(Form::Terminal { color: true }),
            "\x1b[2m08:00:00Z\x1b[0m \x1b[33m! look out\x1b[0m\n"
        );
        assert_eq!(line(Form::File { color: false }), "2027-01-15T08:00:00Z WARN  look out\n");
        assert_eq!(line(Form::Journal), "<4>look out\n");
    }

    #[test]
    fn every_line_of_a_message_has_its_priority() {
        let lines = Form::Journal.lines(Level::ERROR, "one\ntwo", at());
        assert_eq!(lines, "<3>one\n<3>    two\n");
    }

    #[test]
    fn foreign_words_cannot_command_the_terminal() {
        let lines = Form::Journal.lines(Level::INFO, "a\x1b[2Jb\r\u{9b}c\td", at());
        assert_eq!(lines, "<6>a\\u{1b}[2Jb\\r\\u{9b}c\td\n");
    }

    #[test]
    fn a_reader_that_does_not_read_is_not_waited_for() {
        let (mut reader, mut writer) = std::os::unix::net::UnixStream::pair().unwrap();
        let line = [b'x'; 1000];
        let mut taken = 0;
        while pass_on(&mut writer, &line, 0) {
            taken += 1;
            assert!(taken < 10_000, "no queue is that long");
        }
        assert!(taken > 10, "only {taken} lines were taken");
        let mut all = vec![0; taken * line.len()];
        io::Read::read_exact(&mut reader, &mut all).unwrap();
        assert!(pass_on(&mut writer, &line, 0), "it goes on once somebody reads");
        drop(reader);
        assert!(pass_on(&mut writer, &line, 0), "nobody asks for what one lost who is gone");
    }

    #[test]
    fn what_was_dropped_is_counted_in_the_form_of_the_log() {
        let text = Form::Journal.lines(Level::WARN, &dropped(7), at());
        assert_eq!(text, "<4>7 lines of the log were dropped: nobody read it\n");
        let json: serde_json::Value =
            serde_json::from_str(&Form::Json.lines(Level::WARN, &dropped(7), at())).unwrap();
        assert_eq!(json["level"], "WARN");
        assert!(json["message"].as_str().unwrap().starts_with("7 lines"));
    }

    #[test]
    fn a_panic_is_told_with_its_place_and_without_what_may_be_secret() {
        let place = Location::caller();
        let words = |payload: Box<dyn Any + Send>| last_words(&*payload, Some(place));
        let fixed = words(std::panic::catch_unwind(|| panic!("there is no zone")).unwrap_err());
        assert_eq!(fixed, format!("a part of stayput failed at {place}: there is no zone; please report it"));
        let token = "tests-token-0123456789abcdefghijklmnopqr";
        let made = words(std::panic::catch_unwind(|| panic!("no header: {token:?}")).unwrap_err());
        assert!(!made.contains("tests-token") && made.contains(&place.to_string()), "{made}");
    }

    #[test]
    fn colour_is_used_where_it_was_asked_for() {
        let file = std::fs::File::open("/dev/null").unwrap();
        assert!(!Color::Auto.on(&file));
        assert!(Color::Always.on(&file));
        assert!(!Color::Never.on(&file));
    }
}
