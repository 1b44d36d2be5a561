//! One table of the file: its keys as typed values, and mistakes for what is unknown or of the wrong kind.
//!
//! Knows the kinds of [`keys`], not what a single key means.

use std::ops::Range;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::keys::{self, Key, Kind, Place};
use super::mistake::{Findings, quote};

/// A value and where it stands.
pub(super) type Value<'a> = Spanned<DeValue<'a>>;

/// A text of the file and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Text {
    pub(super) text: String,
    pub(super) at: Range<usize>,
}

/// A table whose keys are known to be those of its place.
pub(super) struct Section<'a> {
    entries: &'a DeTable<'a>,
    /// Where the table is begun.
    pub(super) at: Range<usize>,
}

impl<'a> Section<'a> {
    /// The table, after every key that `place` does not have was reported, `besides` apart.
    pub(super) fn new(
        findings: &mut Findings<'_>,
        place: Place,
        table: (&'a DeTable<'a>, Range<usize>),
        besides: &dyn Fn(&str) -> bool,
    ) -> Section<'a> {
        let (entries, at) = table;
        for (key, value) in entries {
            let name = key.get_ref().as_ref();
            if place.key(name).is_some() || besides(name) {
                continue;
            }
            if let Some(later) = later(place, name, value) {
                let what = format!("this version of stayput has no {later} yet");
                findings.mistake(key.span(), what, "take it out");
                continue;
            }
            let misplaced = keys::ALL.iter().any(|key| key.name == name);
            let in_account =
                place == Place::Account && (value.get_ref().is_str() || value.get_ref().is_array());
            if place == Place::Secret || in_account && !misplaced {}
            let what = unknown(place, name, value);
            findings.mistake(key.span(), what, keys::remedy_for_unknown(place, name));
        }
        Section { entries, at }
    }

    /// Whether the key is in the table.
    pub(super) fn has(&self, key: &Key) -> bool {
        self.entries.contains_key(key.name)
    }

    /// Where the key's value stands; where the table begins, if it is left out.
    pub(super) fn place_of(&self, key: &Key) -> Range<usize> {
        self.entries.get(key.name).map_or(self.at.clone(), Spanned::span)
    }

    /// Where the key itself stands; where the table begins, if it is left out.
    pub(super) fn key_at(&self, key: &Key) -> Range<usize> {
        let entry = self.entries.get_key_value(key.name);
        entry.map_or(self.at.clone(), |(key, _)| key.span())
    }

    /// What `parse` makes of the key's value, or of its default.
    pub(super) fn read<T>(
        &self,
        key: &Key,
        findings: &mut Findings<'_>,
        parse: impl FnOnce(&mut Findings<'_>, &Key, &Value<'_>) -> Option<T>,
    ) -> Option<T> {
        match self.entries.get(key.name) {
            Some(value) => parse(findings, key, value),
            None => parse(findings, key, &key.default()?),
        }
    }
}

/// How a key or table is called that only a later version has.
fn later(place: Place, name: &str, value: &Value<'_>) -> Option<String> {
    let is_line = place == Place::Address && value.get_ref().is_table() && place.nearest(name).is_none();
    match place {
        Place::Top if place.is_for_later(name) => Some(format!("[[{name}]]")),
        _ if place.is_for_later(name) => Some(format!("key {} in {}", quote(name), place.title())),
        _ if is_line => Some(format!("[address.{name}]")),
        _ => None,
    }
}

/// What is said of a key that there is not.
fn unknown(place: Place, name: &str, value: &Value<'_>) -> String {
    let has_tables = |value: &Value<'_>| match value.get_ref() {
        DeValue::Array(list) => list.iter().any(|item| item.get_ref().is_table()),
        _ => false,
    };
    match place {
        _ if name.is_empty() => "this value has no key".into(),
        Place::Top if value.get_ref().is_table() => format!("there is no table [{name}]"),
        Place::Top if has_tables(value) => format!("there is no table [[{name}]]"),
        Place::Top => format!("there is no key {} at the top of the file", quote(name)),
        _ => format!("there is no key {} in {}", quote(name), place.title()),
    }
}

/// The value is not what the key takes.
pub(super) fn wrong_kind(findings: &mut Findings<'_>, key: &Key, value: &Value<'_>) {
    let found = match value.get_ref() {
        DeValue::String(text) if text.is_empty() => "an empty text",
        DeValue::String(_) => "text",
        DeValue::Integer(_) => "a number",
        DeValue::Float(_) => "a number with a point",
        DeValue::Boolean(true) => "true",
        DeValue::Boolean(false) => "false",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(list) if list.is_empty() => "an empty list",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    };
    if key == &keys::CLOUDFLARE {}
    let what = format!("{} takes {}; this is {found}", key.name, key.expected());
    findings.mistake(value.span(), what, format!("write {}", instead(key, value)));
}

/// What was probably meant by a value of the wrong kind, as it has to be written.
fn instead(key: &Key, value: &Value<'_>) -> String {
    let name = key.name;
    let in_list = |text: &str| format!("{name} = [\"{text}\"]");
    let in_quotes = |value: &dyn std::fmt::Display| format!("{name} = \"{value}\"");
    let is_text = matches!(key.kind, Kind::Text | Kind::OneOrMore) && key.place != Place::Secret;
    match (value.get_ref(), &key.kind) {
        (DeValue::Integer(number), _) if is_text => in_quotes(number),
        (DeValue::Float(number), _) if is_text => in_quotes(number),
        (DeValue::Boolean(truth), _) if is_text => in_quotes(truth),
        (DeValue::Datetime(time), _) if is_text => in_quotes(time),
        (DeValue::Integer(number), Kind::Span(..)) => {
            format!("{name} = \"{number}s\" if seconds are meant")
        }
        (DeValue::String(text), Kind::Count(..)) if text.trim().parse::<u32>().is_ok() => {
            format!("{name} = {}, without quotation marks", text.trim())
        }
        (DeValue::String(text), Kind::Switch) => match text.trim().to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" | "1" => format!("{name} = true"),
            _ => format!("{name} = false"),
        },
        (DeValue::Integer(number), Kind::Switch) => format!("{name} = {}", number.as_str() != "0"),
        (DeValue::String(text), Kind::Texts | Kind::Types | Kind::Sources | Kind::Command)
            if !text.is_empty() && !text.contains(['"', '\\']) =>
        {
            in_list(text)
        }
        (DeValue::Boolean(false), Kind::Sources) => format!("{name} = [] to turn the family off"),
        (DeValue::Boolean(true), Kind::Sources) => format!("{name} = [\"auto\"]"),
        (_, Kind::Table(_)) => format!("[{name}] on a line of its own, and the keys below it"),
        (_, Kind::Tables(_)) => format!("[[{name}]] on a line of its own, and the keys below it"),
        _ => format!("{name} = {}", key.example()),
    }
}

/// Text that is not empty and has no control characters.
pub(super) fn text(findings: &mut Findings<'_>, key: &Key, value: &Value<'_>) -> Option<Text> {
    let DeValue::String(text) = value.get_ref() else {
        wrong_kind(findings, key, value);
        return None;
    };
    let at = value.span();
    if text.trim().is_empty() {
        let remedy = format!("write {} = {}, or leave it out", key.name, key.example());
        return findings.reject(at, format!("{} is empty", key.name), remedy);
    }
    if text.contains(char::is_control) {
        let what = format!("{} has a line break or another control character in it", key.name);
        return findings.reject(at, what, "take it out");
    }
    if let Some(char) = text.chars().find(|char| is_invisible(*char)) {
        let what = format!("{} has an invisible character in it (U+{:04X})", key.name, u32::from(char));
        return findings.reject(at, what, "type the text anew");
    }
    Some(Text { text: text.as_ref().to_owned(), at })
}

/// Byte order marks and the like, which come along when a text is copied. The joiners belong to some scripts.
fn is_invisible(char: char) -> bool {
    matches!(char, '\u{ad}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// True or false.
pub(super) fn switch(findings: &mut Findings<'_>, key: &Key, value: &Value<'_>) -> Option<bool> {
    let switch = value.get_ref().as_bool();
    if switch.is_none() {
        wrong_kind(findings, key, value);
    }
    switch
}

/// One of the key's words, as its place among them.
pub(super) fn choice(findings: &mut Findings<'_>, key: &Key, value: &Value<'_>) -> Option<usize> {
    let Kind::Choice(words) = key.kind else {
        return None;
    };
    let Some(text) = value.get_ref().as_str() else {
        wrong_kind(findings, key, value);
        return None;
    };
    let chosen = words.iter().position(|word| *word == text);
    if chosen.is_none() {
        let what = format!("{} is {}; this is {}", key.name, key.expected(), quote(text));
        let meant = keys::nearest(&text.to_lowercase(), words.iter().copied());
        let remedy = match meant {
            Some(word) => format!("did you mean \"{word}\"?"),
            None => format!("write {} = \"{}\"", key.name, words.join(&format!("\" or {} = \"", key.name))),
        };
        findings.mistake(value.span(), what, remedy);
    }
    chosen
}

/// A whole number in the key's bounds.
pub(super) fn count(findings: &mut Findings<'_>, key: &Key, value: &Value<'_>) -> Option<u32> {
    let Kind::Count(least, most) = key.kind else {
        return None;
    };
    let Some(number) = value.get_ref().as_integer() else {
        wrong_kind(findings, key, value);
        return None;
    };
    let count = i128::from_str_radix(number.as_str(), number.radix()).unwrap_or(i128::MAX);
    let fits = u32::try_from(count).ok().filter(|count| (least..=most).contains(count));
    if fits.is_none() {
        let what = format!("{} takes {}; this is {number}", key.name, key.expected());
        let nearest = if count < i128::from(least) { least } else { most };
        let remedy = if key == &keys::REQUESTS && count > i128::from(most) {
            "Cloudflare allows 1,200 requests per 5 minutes for everything that you run together; 300 is plenty".into()
        } else {
            format!("write {} = {nearest}", key.name)
        };
        findings.mistake(value.span(), what, remedy);
    }
    fits
}

/// A duration in the key's bounds.
pub(super) fn span(findings: &mut Findings<'_>, key: &Key, value: &Value<'_>) -> Option<Duration> {
    let Kind::Span(least, most) = key.kind else {
        return None;
    };
    let duration = duration(findings, key, value)?;
    let (least, most) = keys::bounds(least, most);
    if (least..=most).contains(&duration) {
        return Some(duration);
    }
    let what = format!(
        "{} takes {} to {}; this is {}",
        key.name,
        shown(least),
        shown(most),
        value.get_ref().as_str().unwrap_or_default().trim()
    );
    let nearest = if duration < least { least } else { most };
    findings.reject(value.span(), what, format!("write {} = \"{}\"", key.name, shown(nearest)))
}

/// A duration, however long.
pub(super) fn duration(findings: &mut Findings<'_>, key: &Key, value: &Value<'_>) -> Option<Duration> {
    let Some(text) = value.get_ref().as_str() else {
        wrong_kind(findings, key, value);
        return None;
    };
    match humantime::parse_duration(text.trim()) {
        Ok(duration) => Some(duration),
        Err(error) => {
            let text = text.trim();
            let why = match error {
                humantime::DurationError::UnknownUnit { ref unit, .. } if !unit.is_empty() => {
                    format!("; {} is not a unit", quote(unit))
                }
                humantime::DurationError::UnknownUnit { .. } => "; the unit is missing".into(),
                humantime::DurationError::NumberOverflow => "; the number is too large or too precise".into(),
                _ => String::new(),
            };
            let what = format!("{} is not a duration{why}", quote(text));
            let remedy = if text.parse::<u32>().is_ok() {
                format!("write {} = \"{text}s\" if seconds are meant; units are s, m, h, d", key.name)
            } else {
                "write a number and a unit, such as \"30s\", \"5m\", \"1h 30m\" or \"2d\"".into()
            };
            findings.reject(value.span(), what, remedy)
        }
    }
}

/// A duration as people write it: whole days, hours and so on, never months, which have no length of their own.
pub(super) fn shown(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let parts = [
        (seconds / 86_400, "d"),
        (seconds / 3_600 % 24, "h"),
        (seconds / 60 % 60, "m"),
        (seconds % 60, "s"),
        (u64::from(duration.subsec_millis()), "ms"),
    ];
    let parts = parts.iter().filter(|(number, _)| *number > 0);
    let shown: Vec<String> = parts.map(|(number, unit)| format!("{number}{unit}")).collect();
    if shown.is_empty() { "0s".into() } else { shown.join(" ") }
}

/// The good ones of a list of texts.
pub(super) fn texts(findings: &mut Findings<'_>, key: &Key, value: &Value<'_>) -> Option<Vec<Text>> {
    let Some(list) = value.get_ref().as_array() else {
        wrong_kind(findings, key, value);
        return None;
    };
    Some(list.iter().filter_map(|item| item_text(findings, key, item)).collect())
}

/// A text in a list.
pub(super) fn item_text(findings: &mut Findings<'_>, key: &Key, item: &Value<'_>) -> Option<Text> {
    match item.get_ref().as_str() {
        Some(words) if !words.trim().is_empty() => text(findings, key, item),
        Some(_) => findings.reject(item.span(), format!("an entry of {} is empty", key.name), "take it out"),
        None => {
            let what = format!("the entries of {} are texts", key.name);
            findings.reject(item.span(), what, "put it into quotation marks")
        }
    }
}

/// One text, or a list of at least one.
pub(super) fn one_or_more(findings: &mut Findings<'_>, key: &Key, value: &Value<'_>) -> Option<Vec<Text>> {
    match value.get_ref() {
        DeValue::String(_) => text(findings, key, value).map(|text| vec![text]),
        DeValue::Array(list) if !list.is_empty() => {
            let texts: Vec<Text> = list.iter().filter_map(|item| item_text(findings, key, item)).collect();
            Some(texts)
        }
        _ => {
            wrong_kind(findings, key, value);
            None
        }
    }
}

/// A program and its arguments.
pub(super) fn command(findings: &mut Findings<'_>, key: &Key, value: &Value<'_>) -> Option<Vec<String>> {
    let list = match value.get_ref() {
        DeValue::Array(list) if !list.is_empty() => list,
        DeValue::String(line) => {
            let words: Vec<String> = line.split_whitespace().map(|word| format!("\"{word}\"")).collect();
            let what = "a command is a list of the program and its arguments, because no shell runs it";
            let remedy = format!("write {} = [{}]", key.name, words.join(", "));
            return findings.reject(value.span(), what, remedy);
        }
        _ => {
            wrong_kind(findings, key, value);
            return None;
        }
    };
    let mut words = Vec::new();
    for (index, item) in list.iter().enumerate() {
        match item.get_ref().as_str() {
            Some(word) if index == 0 && word.trim().is_empty() => {
                let remedy = format!("write {} = {}", key.name, key.example());
                findings.mistake(item.span(), "the program's name is empty", remedy);
            }
            Some(word) if word.contains('\0') => {
                let what = "a command cannot hold a NUL character";
                findings.mistake(item.span(), what, "take it out");
            }
            Some(word) => words.push(word.to_owned()),
            None => {
                let what = "the program and each argument are texts";
                findings.mistake(item.span(), what, "put it into quotation marks");
            }
        }
    }
    (words.len() == list.len()).then_some(words)
}
