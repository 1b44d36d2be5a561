//! Results for people and scripts, on standard output, and the few colours they have.
//!
//! Deliberately unknown: what is shown.

use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use serde::Serialize;

use crate::cli::exit::Exit;
pub use crate::config::Ink;
use crate::engine::names::Ttl;
use crate::secret::redact;

/// Writes a result to standard output; `Err(Exit::Unexpected)` where nobody takes it.
///
/// # Errors
/// Says nothing: the reader that closed the pipe knows it, and a full disk shows in the exit code.
#[expect(clippy::disallowed_methods, reason = "the one way out")]
pub fn result(text: &str) -> Result<(), Exit> {
    let mut out = io::stdout().lock();
    out.write_all(&redact::redact(text.as_bytes())).and_then(|()| out.flush()).map_err(|_| Exit::Unexpected)
}

/// Writes a JSON document as a result: indented for a person at a terminal, one line for a program.
///
/// # Errors
/// As [`result`].
#[expect(clippy::disallowed_methods, reason = "asked whether it is a terminal")]
pub fn json(document: &impl Serialize) -> Result<(), Exit> {
    let text = match io::stdout().is_terminal() {
        true => serde_json::to_string_pretty(document),
        false => serde_json::to_string(document),
    };
    result(&(text.map_err(|_| Exit::Unexpected)? + "\n"))
}

/// What a result is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Text,
    Json,
}

impl Form {
    /// What `--json` asks for.
    pub fn asked(json: bool) -> Form {
        if json { Form::Json } else { Form::Text }
    }
}

/// Says something beside the result, on standard error. Nobody there to read it is no error.
pub fn aside(text: &str) {
    let _unread = io::stderr().write_all(&redact::redact(text.as_bytes()));
}

/// A colour, by what it means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// Created, in order.
    Good,
    /// Updated, doubtful.
    Notable,
    /// Deleted, refused, failed.
    Bad,
    /// A heading.
    Strong,
    /// Beside the point.
    Faint,
}

impl Ink {
    /// `text` in a colour, or as it is.
    pub fn paint<T: fmt::Display>(self, tone: Tone, text: T) -> String {
        let code = match tone {
            Tone::Good => "32",
            Tone::Notable => "33",
            Tone::Bad => "31",
            Tone::Strong => "1",
            Tone::Faint => "2",
        };
        match self {
            Ink::Plain => text.to_string(),
            Ink::Coloured => format!("\x1b[{code}m{text}\x1b[0m"),
        }
    }
}

/// A TTL as the configuration writes it.
pub fn ttl(ttl: Ttl) -> String {
    match ttl {
        Ttl::Auto => "auto".into(),
        Ttl::Seconds(seconds) => humantime::format_duration(Duration::from_secs(seconds.into())).to_string(),
    }
}
