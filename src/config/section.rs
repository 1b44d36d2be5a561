//! One table of the file: its keys as typed values, and mistakes for what is unknown or of the wrong kind.
//!
//! Knows the kinds of [`keys`], not what a single key means.

use std::path::PathBuf;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::keys::{self, Key, Kind, Place};
use super::mistake::{Findings, Grade, Span, quote};

/// A value and where it stands.
pub(super) type Value<'a> = Spanned<DeValue<'a>>;

/// A text of the file and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Text {
    pub(super) text: String,
    pub(super) at: Span,
}

/// A table whose keys are known to be those of its place.
pub(super) struct Section<'a> {
    place: Place,
    entries: &'a DeTable<'a>,
    /// Where the table is begun.
    pub(super) at: Span,
}

impl<'a> Section<'a> {
    /// The table, after every key that `place` does not have was reported, `besides` apart.
    pub(super) fn new(
        findings: &mut Findings<'_>,
        place: Place,
        table: (&'a DeTable<'a>, Span),
        besides: &dyn Fn(&str) -> bool,
    ) -> Section<'a> {
        let (entries, at) = table;
        for (key, value) in entries {
            let name = key.get_ref().as_ref();
            if place.key(name).is_some() || besides(name) {
                continue;
            }
            let (grade, what, remedy) = match (later(place, name, value), value.get_ref()) {
                (Some(later), _) => {
                    let what = format!("this version of stayput has no {later} yet");
                    (Grade::Here, what, "take it out".into())
                }
                // What the file seems to lack may stand in it.
                (None, DeValue::Table(_) | DeValue::Array(_)) if place == Place::Top => {
                    let what = format!("there is no table {}", quote(name));
                    (Grade::Unreadable, what, keys::remedy_for_unknown(place, name))
                }
                _ => {
                    let what = format!("there is no key {} {}", quote(name), place.title());
                    (Grade::Here, what, keys::remedy_for_unknown(place, name))
                }
            };
            findings.note(grade, Some(key.span()), what, remedy);
        }
        Section { place, entries, at }
    }

    /// Whether the key is in the table.
    pub(super) fn has(&self, key: &Key) -> bool {
        self.entries.contains_key(key.name)
    }

    /// Where the key's value stands; where the table begins, if it is left out.
    pub(super) fn place_of(&self, key: &Key) -> Span {
        self.entries.get(key.name).map_or(self.at.clone(), Spanned::span)
    }

    /// Where the key itself stands; where the table begins, if it is left out.
    pub(super) fn key_at(&self, key: &Key) -> Span {
        let entry = self.entries.get_key_value(key.name);
        entry.map_or(self.at.clone(), |(key, _)| key.span())
    }

    /// The one key of a table in which only one can stand.
    pub(super) fn only(&self, findings: &mut Findings<'_>, remedy: &str) -> Option<&'static Key> {
        let place = self.place;
        let stated: Vec<&Key> = place.keys().filter(|key| self.has(key)).collect();
        match stated.as_slice() {
            [one] => Some(one),
            // An unknown key was reported.
            [] if !self.entries.is_empty() => None,
            _ => {
                let names: Vec<&str> = place.keys().map(|key| key.name).collect();
                let what = format!("exactly one key can stand {}: {}", place.title(), names.join(", "));
                findings.reject(self.at.clone(), what, remedy)
            }
        }
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
        _ if place.is_for_later(name) => Some(format!("key {} {}", quote(name), place.title())),
        _ if is_line => Some(format!("[address.{name}]")),
        _ => None,
    }
}

/// The value is not what the key takes.
pub(super) fn wrong_kind<T>(findings: &mut Findings<'_>, key: &Key, value: &Value<'_>) -> Option<T> {
    let what = format!("{} takes {}, not this {}", key.name, key.expected(), value.get_ref().type_str());
    let remedy = match key.kind {
        Kind::Table(_) | Kind::Tables(_) => {
            format!("write {} on a line of its own, and the keys below it", keys::bracketed(key))
        }
        _ => format!("for example {} = {}", key.name, key.example()),
    };
    findings.reject(value.span(), what, remedy)
}

/// Text that is not empty and has no control characters.
pub(super) fn text(findings: &mut Findings<'_>, key: &Key, value: &Value<'_>) -> Option<Text> {
    let DeValue::String(text) = value.get_ref() else {
        return wrong_kind(findings, key, value);
    };
    let at = value.span();
    if text.trim().is_empty() {
        let remedy = format!("write {} = {}, or leave it out", key.name, key.example());
        return findings.reject(at, format!("{} has an empty text in it", key.name), remedy);
    }
    if let Some(char) = text.chars().find(|char| char.is_control() || is_invisible(*char)) {
        let what = format!("{} has an invisible character in it (U+{:04X})", key.name, u32::from(char));
        return findings.reject(at, what, "type the text anew, on one line");
    }
    Some(Text { text: text.as_ref().to_owned(), at })
}

/// Characters without a shape that come along when a text is copied. The joiners (U+200C, U+200D) belong to some
/// scripts and are left out.
fn is_invisible(char: char) -> bool {
    matches!(char, '\u{ad}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// The path of a file, from the root.
pub(super) fn path(findings: &mut Findings<'_>, key: &Key, value: &Value<'_>) -> Option<PathBuf> {
    let Text { text, at } = text(findings, key, value)?;
    let path = PathBuf::from(text.trim());
    if !path.is_absolute() {
        let what = "a daemon has no folder of its own, so this path leads nowhere";
        return findings.reject(at, what, format!("write the whole path, such as {}", key.example()));
    }
    Some(path)
}

pub(super) fn switch(findings: &mut Findings<'_>, key: &Key, value: &Value<'_>) -> Option<bool> {
    value.get_ref().as_bool().or_else(|| wrong_kind(findings, key, value))
}

/// One of the key's words, as its place among them.
pub(super) fn choice(findings: &mut Findings<'_>, key: &Key, value: &Value<'_>) -> Option<usize> {
    let Kind::Choice(words) = key.kind else {
        return None;
    };
    let Some(text) = value.get_ref().as_str() else {
        return wrong_kind(findings, key, value);
    };
    let chosen = words.iter().position(|word| *word == text);
    if chosen.is_none() {
        let what = format!("{} is {}; this is {}", key.name, key.expected(), quote(text));
        let remedy =
            format!("write {0} = \"{1}\"", key.name, words.join(&format!("\" or {} = \"", key.name)));
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
        return wrong_kind(findings, key, value);
    };
    let count = i128::from_str_radix(number.as_str(), number.radix()).unwrap_or(i128::MAX);
    let fits = u32::try_from(count).ok().filter(|count| (least..=most).contains(count));
    if fits.is_none() {
        let what = format!("{} takes {}; this is {number}", key.name, key.expected());
        let nearest = if count < i128::from(least) { least } else { most };
        let remedy = format!("write {} = {nearest}", key.name);
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
    let (least, most) = (Duration::from_secs(least), Duration::from_secs(most));
    if (least..=most).contains(&duration) {
        return Some(duration);
    }
    let said = value.get_ref().as_str().unwrap_or_default().trim();
    let what = format!("{} takes {} to {}; this is {said}", key.name, shown(least), shown(most));
    let nearest = if duration < least { least } else { most };
    findings.reject(value.span(), what, format!("write {} = \"{}\"", key.name, shown(nearest)))
}

/// A duration, however long.
pub(super) fn duration(findings: &mut Findings<'_>, key: &Key, value: &Value<'_>) -> Option<Duration> {
    let Some(text) = value.get_ref().as_str() else {
        return wrong_kind(findings, key, value);
    };
    match humantime::parse_duration(text.trim()) {
        Ok(duration) => Some(duration),
        Err(error) => {
            let what = format!("{} is not a duration: {error}", quote(text.trim()));
            let remedy = "write a number and a unit, such as \"30s\", \"5m\", \"1h 30m\" or \"2d\"";
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

/// The good ones of a list of texts, or of the one that may stand alone.
pub(super) fn texts(findings: &mut Findings<'_>, key: &Key, value: &Value<'_>) -> Option<Vec<Text>> {
    let list = match (value.get_ref(), &key.kind) {
        (DeValue::String(_), Kind::OneOrMore) => return text(findings, key, value).map(|text| vec![text]),
        (DeValue::Array(list), kind) if kind == &Kind::Texts || !list.is_empty() => list,
        _ => return wrong_kind(findings, key, value),
    };
    Some(list.iter().filter_map(|item| text(findings, key, item)).collect())
}

/// A program and its arguments.
pub(super) fn command(findings: &mut Findings<'_>, key: &Key, value: &Value<'_>) -> Option<Vec<String>> {
    let list = value.get_ref().as_array().map(|list| list.iter()).into_iter().flatten();
    let word =
        |item: &Value<'_>| item.get_ref().as_str().filter(|word| !word.contains('\0')).map(str::to_owned);
    let words = list.map(word).collect::<Option<Vec<String>>>().unwrap_or_default();
    if words.first().is_none_or(|program| program.trim().is_empty()) {
        return wrong_kind(findings, key, value);
    }
    Some(words)
}
