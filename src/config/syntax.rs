//! What the TOML parser says, in words for people, and what can be read all the same.
//!
//! A parser that has stumbled says much that only follows from the stumble. So each time only its first
//! complaint is believed; what that is about is blanked out, and the rest is parsed again.

use std::borrow::Cow;
use std::ops::Range;

use toml::de::{DeTable, DeValue, Error};

use super::conceal;
use super::mistake::Findings;

/// After so many places that cannot be parsed, the rest is not looked at.
const MOST_PLACES: usize = 49;

/// The text with blanks for every part that cannot be parsed, which is reported. Places stay the same.
pub(super) fn readable<'a>(findings: &mut Findings<'_>, text: &'a str) -> Cow<'a, str> {
    let mut rest = Cow::Borrowed(text);
    let mut secrets = None;
    for _ in 0..MOST_PLACES {
        let Some(problem) = first_problem(&rest) else {
            return rest;
        };
        let secrets = secrets.get_or_insert_with(|| conceal::merged(text, Vec::new()));
        let mut words = problem.words;
        // The advice to put a value into quotation marks must not be given for a secret.
        let touches = |part: &Range<usize>| part.start <= problem.at.end && problem.at.start <= part.end;
        if secrets.iter().any(touches) {
            let place = findings.secret_elsewhere("token");
            words.1 = format!("a secret does not stand in this file; write such as {place}");
        }
        findings.unreadable(Some(problem.at), words);
        let blanked = blanked(&rest, problem.part);
        if *blanked == *rest {
            break;
        }
        rest = Cow::Owned(blanked);
    }
    if first_problem(&rest).is_some() {
        let words = ("the rest cannot be read either".into(), "begin with the places above".into());
        findings.unreadable(None, words);
        rest = Cow::Borrowed("");
    }
    rest
}

/// A place that cannot be parsed.
struct Problem {
    /// What is pointed at.
    at: Range<usize>,
    /// What cannot be read because of it.
    part: Range<usize>,
    words: (String, String),
}

fn first_problem(text: &str) -> Option<Problem> {
    let (table, errors) = DeTable::parse_recoverable(text);
    let place = |error: &Error| error.span().unwrap_or(0..0);
    let first = errors.iter().min_by_key(|error| place(error).start)?;
    let value = value_at(text, table.get_ref(), place(first).start);
    // Where something is never closed, all that is said before its end follows from that.
    let never_closed = value.as_ref().and_then(|value| {
        let inside = |error: &&Error| value.contains(&place(error).start) || place(error).start == value.end;
        errors.iter().filter(inside).find(|error| what_is_open(text, error).is_some())
    });
    Some(Problem::of(text, never_closed.unwrap_or(first), value))
}

/// The text with blanks for the lines of `part`; of a table's name, for all that stands in the table.
fn blanked(text: &str, part: Range<usize>) -> String {
    let start = text.get(..part.start).and_then(|before| before.rfind('\n')).map_or(0, |at| at + 1);
    let line_end =
        |from: usize| text.get(from..).and_then(|rest| rest.find('\n')).map_or(text.len(), |at| from + at);
    let mut end = line_end(part.end.max(part.start));
    if text.get(start..).is_some_and(|line| line.trim_start().starts_with('[')) {
        while end < text.len() && !text.get(end + 1..).is_some_and(|line| line.trim_start().starts_with('['))
        {
            end = line_end(end + 1);
        }
    }
    let blanks =
        |part: &str| part.bytes().map(|byte| if byte == b'\n' { '\n' } else { ' ' }).collect::<String>();
    let (before, after) = (text.get(..start), text.get(end..));
    let part = text.get(start..end).unwrap_or_default();
    format!("{}{}{}", before.unwrap_or_default(), blanks(part), after.unwrap_or_default())
}

/// What the parser found open at the end, and what closes it.
fn what_is_open(text: &str, error: &Error) -> Option<(&'static str, &'static str)> {
    let message = error.message();
    let at_end = error.span().is_some_and(|at| at.end >= text.trim_end().len());
    if message == "unclosed array, expected `]`" {
        Some(("list", "]"))
    } else if message.starts_with("unclosed inline table") {
        Some(("table", "}"))
    } else if message.starts_with("invalid multi-line") && at_end {
        Some(("text", "three quotation marks"))
    } else {
        None
    }
}

impl Problem {
    fn of(text: &str, error: &Error, value: Option<Range<usize>>) -> Problem {
        let at = error.span().unwrap_or(0..0);
        if let (Some((kind, close)), Some(value)) = (what_is_open(text, error), &value) {
            return Problem {
                at: value.start..value.start + 1,
                part: value.start..next_statement(text, value.clone()),
                words: (
                    format!("the {kind} that begins here is never closed"),
                    format!("put {close} where it ends"),
                ),
            };
        }
        if let Some(word) = bare_word(text, (error.message(), at.start)) {
            let found = text.get(word.clone()).unwrap_or_default();
            return Problem { words: unquoted(found), part: value.unwrap_or(word.clone()), at: word };
        }
        let in_table_name = text.get(..at.start).is_some_and(|before| before.ends_with('['));
        Problem {
            words: words(error.message(), (text, &at), in_table_name),
            part: value.unwrap_or(at.clone()),
            at,
        }
    }
}

/// The value that was taken for a number, a date or a word of TOML only because of how it begins.
fn bare_word(text: &str, complaint: (&str, usize)) -> Option<Range<usize>> {
    let (message, at) = complaint;
    const OF_A_WORD: [&str; 5] =
        ["invalid ", "redundant ", "radix ", "unexpected sign", "unexpected leading"];
    const OF_SOMETHING_ELSE: [&str; 7] =
        ["basic", "literal", "multi-line", "unquoted", "comment", "inline table", "key-value"];
    let about = OF_A_WORD.iter().find_map(|start| message.strip_prefix(start))?;
    if OF_SOMETHING_ELSE.iter().any(|what| about.starts_with(what)) {
        return None;
    }
    let before = text.get(..at)?;
    let is_between = |char: char| matches!(char, '=' | '[' | ',' | '"' | '\'') || char.is_whitespace();
    let start = before
        .rfind(is_between)
        .map_or(0, |place| place + before[place..].chars().next().map_or(1, char::len_utf8));
    let rest = text.get(start..)?;
    let end = rest.find([',', ']', '}', '#', '"', '\'', '\n', '\r']).unwrap_or(rest.len());
    let word = rest.get(..end)?.trim_end();
    (!is_number(word)).then_some(start..start + word.len())
}

/// Whether a word is a number, right or wrong.
fn is_number(word: &str) -> bool {
    let digits = word.trim_start_matches(['+', '-']);
    let in_number = |char: char| char.is_ascii_digit() || matches!(char, '_' | '.');
    !digits.is_empty() && digits.chars().all(in_number) && digits.matches('.').count() <= 1
}

/// Where the next key or table probably begins, in something that is never closed.
fn next_statement(text: &str, value: Range<usize>) -> usize {
    let mut line_start = value.start;
    while let Some(next) = text.get(line_start..value.end).and_then(|rest| rest.find('\n')) {
        line_start += next + 1;
        let line = text.get(line_start..).unwrap_or_default();
        let is_key_char = |char: char| char.is_ascii_alphanumeric() || char == '-' || char == '_';
        let key = line.trim_start_matches(is_key_char);
        let is_key = key.len() < line.len() && key.trim_start_matches([' ', '\t']).starts_with('=');
        if is_key || line.starts_with('[') {
            return line_start - 1;
        }
    }
    value.end
}

/// Where the outermost value stands that holds this place.
fn value_at(text: &str, table: &DeTable<'_>, at: usize) -> Option<Range<usize>> {
    table.values().find_map(|value| {
        let span = value.span();
        let header = text.get(span.start..).is_some_and(|text| text.starts_with('['));
        match value.get_ref() {
            DeValue::Table(inner) if header => value_at(text, inner, at),
            DeValue::Array(list)
                if list.iter().next().is_some_and(|item| item.span().start == span.start) =>
            {
                let tables = list.iter().filter_map(|item| item.get_ref().as_table());
                tables.into_iter().find_map(|inner| value_at(text, inner, at))
            }
            _ if (span.start..=span.end).contains(&at) => Some(span),
            DeValue::Table(inner) => value_at(text, inner, at),
            _ => None,
        }
    })
}

/// What the parser says, and what to do.
fn words(message: &str, place: (&str, &Range<usize>), in_table_name: bool) -> (String, String) {
    const KNOWN: [(&str, &str, &str); 22] = [
        ("duplicate key", "this is already set further up", "keep one of the two"),
        ("key with no value", "this line has no value", "write it as: key = value"),
        ("invalid unquoted key", "a key is followed by =", "write it as: key = value"),
        ("unquoted keys cannot be empty", "there is a value without a key", "write it as: key = value"),
        ("unclosed table", "the name of a table ends in ]", "write it as: [name]"),
        ("unclosed array table", "the name of a repeated table ends in ]]", "write it as: [[name]]"),
        (
            "invalid basic string",
            "this character cannot stand in quotation marks",
            "take it out, or write it as \\u and four digits",
        ),
        ("invalid literal string", "this character cannot stand in quotation marks", "take it out"),
        (
            "too few unicode",
            "a \\ in \"…\" begins an escape, and this is none",
            "write \\\\ for a backslash, or put the text into '…'",
        ),
        ("extra assignment", "a comma is missing before this key", "put , between the entries of the table"),
        (
            "missing escaped value",
            "a \\ in \"…\" begins an escape, and this is none",
            "write \\\\ for a backslash, or put the text into '…'",
        ),
        (
            "missing comma between array elements",
            "a comma is missing before this",
            "put , between the entries of the list",
        ),
        (
            "missing comma between key-value pairs",
            "a comma is missing before this",
            "put , between the entries of the table",
        ),
        ("unexpected leading zero", "a number does not begin with 0", "take the 0 away"),
        ("`_` may only go between digits", "a _ in a number stands between two digits", "take it out"),
        (
            "unexpected key or value",
            "something follows where the line should end",
            "put it on a line of its own; what belongs to a text stands between its quotation marks",
        ),
        ("extra `=`", "there is a = too many", "take it out"),
        ("invalid mantissa", "a number has digits on both sides of its point", "write such as 0.5"),
        ("invalid fraction", "a number has digits on both sides of its point", "write such as 0.5"),
        ("invalid comment", "a comment has a control character in it", "take it out"),
        ("unexpected `=` in array", "a list has no = in it", "write { key = value } for a table in a list"),
        ("extra `,`", "there is a comma too many", "take it out"),
    ];
    let (text, at) = place;
    if message.starts_with("string values must be quoted") {
        let found = text.get(at.clone()).unwrap_or_default();
        let rest = text.get(at.end..).unwrap_or_default();
        if found.contains(' ') && rest.trim_start_matches(' ').starts_with('=') {
            let what = "a comma is missing in this, before the next key".into();
            return (what, "put , between the entries of the table".into());
        }
        return unquoted(found);
    }
    let rest = text.get(at.start..).unwrap_or_default();
    if let Some(after) = rest.strip_prefix(',').filter(|_| message.starts_with("unexpected key or value")) {
        let line = after.lines().next().unwrap_or_default();
        let words = if line.contains('=') {
            ("keys are not separated by commas", "put each on a line of its own")
        } else {
            ("several values stand in a list", "put [ before the first, and ] behind the last")
        };
        return (words.0.into(), words.1.into());
    }
    if rest.starts_with('}') && message.starts_with("invalid literal") {
        return ("a key between { and } has no value".into(), "write { key = value }".into());
    }
    let at_line_end = rest.is_empty() || rest.starts_with(['\n', '\r']);
    if at_line_end && (message.starts_with("invalid basic") || message.starts_with("invalid literal")) {
        let quote = if message.contains("basic") { '"' } else { '\'' };
        return (
            "the quotation marks are not closed on this line".into(),
            format!("put {quote} where the text ends"),
        );
    }
    if in_table_name && message.starts_with("duplicate key") {
        return ("this table is already there".into(), "put its keys there, further up".into());
    }
    // The longest first, since some begin with others.
    let known = KNOWN.iter().filter(|(start, ..)| message.starts_with(start));
    match known.max_by_key(|(start, ..)| start.len()) {
        Some((_, what, remedy)) => ((*what).to_owned(), (*remedy).to_owned()),
        None => (format!("this is not TOML: {message}"), "see https://toml.io for the form".into()),
    }
}

/// The words about a value that is neither a number nor a word of TOML.
fn unquoted(found: &str) -> (String, String) {
    let remedy = match found.trim().to_lowercase().as_str() {
        "" => "write it behind the =, texts in \"…\"".into(),
        "yes" | "on" => "write true".into(),
        "no" | "off" => "write false".into(),
        word @ ("true" | "false") => format!("write {word}, in small letters"),
        _ if found.starts_with(['\u{201c}', '\u{201d}', '\u{2018}', '\u{2019}', '\u{ab}', '`']) => {
            "these are typographic quotation marks; write \"…\"".into()
        }
        _ => "put it into \"…\"".to_owned(),
    };
    let what = match found.trim().to_lowercase().as_str() {
        "" => "the value is missing",
        "true" | "false" => "true and false are written in small letters",
        _ => "text needs quotation marks around it",
    };
    (what.into(), remedy)
}
