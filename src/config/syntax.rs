//! What the TOML parser says, and what can be read all the same.
//!
//! A parser that has stumbled says much that only follows from the stumble. So each time only its first
//! complaint is believed; what that is about is blanked out, and the rest is parsed again.

use std::borrow::Cow;

use toml::de::{DeTable, DeValue, Error};

use super::mistake::{Findings, Grade, Span};
use super::section::Value;
use super::{conceal, keys};

/// Places that cannot be parsed after which the rest is not looked at.
const MOST_PLACES: usize = 49;

const FORM: &str = "write each key and table once, and key = value on a line of its own below its [table]; \
    several values are a list: [\"a\", \"b\"]";

/// The text with blanks for every part that cannot be parsed, which is reported. Places stay the same.
pub(super) fn readable<'a>(findings: &mut Findings<'_>, text: &'a str) -> Cow<'a, str> {
    let mut rest = Cow::Borrowed(text);
    let mut secret_lines = None;
    for _ in 0..MOST_PLACES {
        let (table, errors) = DeTable::parse_recoverable(&rest);
        let place = |error: &&Error| error.span().map_or(0, |at| at.start);
        let Some(first) = errors.iter().min_by_key(place) else {
            return rest;
        };
        let mut problem = Problem::of(&rest, first, table.get_ref());
        let secret_lines = secret_lines.get_or_insert_with(|| conceal::secret_lines(text));
        if problem.remedy != FORM && secret_lines.get(findings.line_of(&problem.at) - 1) == Some(&true) {
            let place = findings.secret_elsewhere("token");
            problem.remedy = format!("a secret does not stand in this file; write such as {place}");
        }
        findings.note(Grade::Unreadable, Some(problem.at), problem.what, problem.remedy);
        rest = Cow::Owned(blanked(&rest, problem.part));
    }
    if DeTable::parse(&rest).is_err() {
        findings.note(
            Grade::Unreadable,
            None,
            "the rest cannot be read either",
            "begin with the places above",
        );
        rest = Cow::Borrowed("");
    }
    rest
}

/// A place that cannot be parsed.
struct Problem {
    at: Span,
    /// What cannot be read because of it.
    part: Span,
    what: String,
    remedy: String,
}

impl Problem {
    fn of(text: &str, error: &Error, table: &DeTable<'_>) -> Problem {
        let at = error.span().unwrap_or(0..0);
        let values: Vec<Span> = table.values().flat_map(|value| values_at(text, value, at.start)).collect();
        let outer = values.first().unwrap_or(&at).clone();
        let words = |at: &Span| text.get(at.clone()).unwrap_or_default();
        let close = missing_end(words(&outer));
        let part = unreadable(text, &outer, close.is_some());
        if let Some(close) = close {
            let what = "what begins here is never closed".into();
            return Problem {
                at: outer.start..outer.start + 1,
                part,
                what,
                remedy: format!("put {close} where it ends"),
            };
        }
        match values.last().and_then(|word| Some((word, words_about(words(word))?))) {
            Some((word, (what, remedy))) => {
                Problem { at: word.clone(), part, what: what.into(), remedy: remedy.into() }
            }
            None => Problem { at, part, what: error.message().to_owned(), remedy: FORM.into() },
        }
    }
}

/// The values that hold this place, the outermost first. A table with a header of its own is none.
fn values_at(text: &str, value: &Value<'_>, at: usize) -> Vec<Span> {
    let span = value.span();
    let inner: Vec<&Value<'_>> = match value.get_ref() {
        DeValue::Table(table) => table.values().collect(),
        DeValue::Array(list) => list.iter().collect(),
        _ => Vec::new(),
    };
    let begins = |with| text.get(span.start..).is_some_and(|text| text.starts_with(with));
    let has_header = match value.get_ref() {
        DeValue::Table(_) => !begins('{'),
        _ => inner.first().is_some_and(|item| item.span().start == span.start),
    };
    let own = (!has_header && (span.start..=span.end).contains(&at)).then_some(span);
    own.into_iter().chain(inner.into_iter().flat_map(|value| values_at(text, value, at))).collect()
}

/// What closes this value, if it is never closed.
fn missing_end(value: &str) -> Option<&'static str> {
    const PAIRS: [(&str, &str); 6] =
        [("\"\"\"", "\"\"\""), ("'''", "'''"), ("\"", "\""), ("'", "'"), ("[", "]"), ("{", "}")];
    let (open, close) = PAIRS.iter().find(|(open, _)| value.starts_with(open))?;
    let is_closed = value.len() >= open.len() + close.len() && value.ends_with(close);
    (!is_closed).then_some(close)
}

/// The part of the text that cannot be read because of what `part` holds: its lines, those of an unclosed value up
/// to the next key, those of a table's name up to the next table.
fn unreadable(text: &str, part: &Span, is_open: bool) -> Span {
    let start = text.get(..part.start).and_then(|before| before.rfind('\n')).map_or(0, |at| at + 1);
    let lines = text.get(start..).unwrap_or_default().split_inclusive('\n');
    let is_header = lines.clone().next().is_some_and(|line| line.trim_start().starts_with('['));
    let mut end = start;
    for line in lines {
        let begins_table = line.trim_start().starts_with('[');
        let begins_key = keys::ALL.iter().any(|key| line.starts_with(key.name));
        let goes_on = match (is_header, is_open) {
            (true, _) => !begins_table,
            (_, true) => !begins_table && !begins_key,
            _ => end <= part.end,
        };
        if end > start && !goes_on {
            break;
        }
        end += line.len();
    }
    start..end
}

/// The text with blanks for a part of it.
fn blanked(text: &str, part: Span) -> String {
    let blank = |(at, byte)| if part.contains(&at) && byte != b'\n' { b' ' } else { byte };
    let bytes = text.bytes().enumerate().map(blank).collect();
    String::from_utf8(bytes).unwrap_or_default()
}

/// What people mostly mean who write such a value, and what to do.
fn words_about(word: &str) -> Option<(&'static str, &'static str)> {
    let digits = word.trim_start_matches(['+', '-']);
    let in_number = |char: char| char.is_ascii_digit() || matches!(char, '_' | '.');
    let is_number = !digits.is_empty() && digits.chars().all(in_number) && digits.matches('.').count() <= 1;
    if word.starts_with('"') && word.contains('\\') {
        return Some((
            "a \\ in \"…\" begins an escape",
            "write \\\\ for a backslash, or put the text into '…'",
        ));
    }
    if is_number || ["true", "false"].contains(&word) || word.starts_with(['"', '\'', '[', '{']) {
        return None;
    }
    Some(match word.trim().to_lowercase().as_str() {
        "" => ("the value is missing", "write it behind the =, texts in \"…\""),
        "true" | "false" | "yes" | "no" | "on" | "off" => (
            "this is neither true or false nor text in quotation marks",
            "write true or false, in small letters",
        ),
        _ => ("text needs quotation marks around it", "write it as \"…\", with straight quotation marks"),
    })
}
