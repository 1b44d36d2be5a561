//! The configuration as variables alone: what each of them says, for all records.
//!
//! Deliberately unknown: variables that belong to no key, and where the token is.

use std::collections::BTreeMap;
use std::ffi::OsString;

use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

use super::document::{self, Config};
use super::keys::{self, Key, Place};
use super::mistake::{Findings, Mistake};
use crate::cloudflare::credential::Login;
use crate::engine::settings::AccountName;
use crate::secret::Origin;

pub(super) const RECORDS: &str = "STAYPUT_RECORDS";
const HOW_TO_NAME: &str = "write names, separated by commas, such as home.example.com,*.home.example.com";
const PROXIED: &str = "STAYPUT_PROXIED";
const IPV4: &str = "STAYPUT_IPV4";
const IPV6: &str = "STAYPUT_IPV6";

/// The variables, and the keys of the file that say the same.
pub(super) static VARIABLES: [(&str, &Key); 6] = [
    (RECORDS, &keys::NAME),
    (PROXIED, &keys::PROXIED),
    ("STAYPUT_TTL", &keys::TTL),
    (IPV4, &keys::IPV4),
    (IPV6, &keys::IPV6),
    ("STAYPUT_EVERY", &keys::EVERY),
];

/// A variable that is set. All values make one text, a line each.
struct Line {
    variable: &'static str,
    key: &'static Key,
    value: String,
    /// Where its value begins in the text.
    start: usize,
}

/// Reads the variables among `ours`.
///
/// # Errors
/// All of their mistakes.
pub(super) fn read(ours: &BTreeMap<String, OsString>, token: Option<Origin>) -> Result<Config, Vec<Mistake>> {
    let mut mistakes = Vec::new();
    let lines = lines(ours, &mut mistakes);
    let text = lines.iter().map(|line| &*line.value).collect::<Vec<_>>().join("\n");
    let Some(tree) = tree(&lines, &mut mistakes) else {
        if !ours.contains_key(RECORDS) {
            mistakes.push(Mistake::about(RECORDS, "it is not set", HOW_TO_NAME));
        }
        return Err(mistakes);
    };
    let mut findings = Findings::new("the environment", &text);
    let mut config = document::read(&mut findings, &tree);
    if let (Some(origin), Some(access)) = (token, config.accounts.get_mut(&AccountName::default())) {
        access.login = Login::Token(origin);
    }
    let names: Vec<(&str, &str)> = lines.iter().map(|line| (line.variable, line.key.name)).collect();
    let in_variables = |list: Vec<Mistake>| list.into_iter().map(|one| one.in_variables(&names));
    match findings.judge() {
        Ok(warnings) if mistakes.is_empty() => {
            Ok(Config { warnings: in_variables(warnings).collect(), ..config })
        }
        Ok(_) => Err(mistakes),
        Err(wrong) => {
            mistakes.extend(in_variables(wrong.into_list()));
            Err(mistakes)
        }
    }
}

fn lines(ours: &BTreeMap<String, OsString>, mistakes: &mut Vec<Mistake>) -> Vec<Line> {
    let mut start = 0;
    let mut lines = Vec::new();
    for (variable, key) in VARIABLES {
        let Some(value) = ours.get(variable) else { continue };
        let Some(value) = value.to_str() else {
            mistakes.push(Mistake::about(variable, "it is not UTF-8", "write it in plain letters"));
            continue;
        };
        let value = value.replace(['\n', '\r'], " ");
        let next = start + value.len() + 1;
        lines.push(Line { variable, key, value, start });
        start = next;
    }
    lines
}

/// The tree of the file that says the same; `None` if it would keep no name.
fn tree<'a>(lines: &'a [Line], mistakes: &mut Vec<Mistake>) -> Option<DeTable<'a>> {
    let (mut record, mut address) = (DeTable::new(), DeTable::new());
    for line in lines {
        let at = line.start..line.start + line.value.len();
        let table = if line.key.place == Place::Record { &mut record } else { &mut address };
        match value(line) {
            Ok(value) => _ = table.insert(nowhere(line.key.name.into()), Spanned::new(at, value)),
            Err((what, remedy)) => mistakes.push(Mistake::about(line.variable, what, remedy)),
        }
    }
    record.get(keys::NAME.name)?;
    let records: DeArray<'a> = [nowhere(DeValue::Table(record))].into_iter().collect();
    let mut tree = DeTable::new();
    tree.insert(nowhere(keys::RECORD.name.into()), nowhere(DeValue::Array(records)));
    tree.insert(nowhere(keys::ADDRESS.name.into()), nowhere(DeValue::Table(address)));
    Some(tree)
}

fn nowhere<T>(value: T) -> Spanned<T> {
    Spanned::new(0..0, value)
}

/// What the variable says, as the file would; or what is wrong with it, and what to do.
fn value(line: &Line) -> Result<DeValue<'_>, (&'static str, &'static str)> {
    let word = line.value.trim().to_ascii_lowercase();
    match (line.variable, &*word) {
        (RECORDS, _) => Some(names(line))
            .filter(|names| !names.is_empty())
            .map(DeValue::Array)
            .ok_or(("it holds no name", HOW_TO_NAME)),
        (PROXIED, "true") => Ok(DeValue::Boolean(true)),
        (PROXIED, "false") => Ok(DeValue::Boolean(false)),
        (PROXIED, _) => Err(("it takes true or false", "write one of them, or take it away")),
        (IPV4 | IPV6, "off") => Ok(DeValue::Array(DeArray::new())),
        (IPV4 | IPV6, _) => {
            Err(("it takes off and nothing else", "write off, or take it away to leave the family on"))
        }
        _ => Ok(DeValue::String(line.value.as_str().into())),
    }
}

/// The names in the variable, with their places.
fn names(line: &Line) -> DeArray<'_> {
    let mut at = line.start;
    let mut names = Vec::new();
    for part in line.value.split_inclusive(|char: char| char == ',' || char.is_whitespace()) {
        let name = part.trim_end_matches(|char: char| char == ',' || char.is_whitespace());
        if !name.is_empty() {
            names.push(Spanned::new(at..at + name.len(), DeValue::String(name.into())));
        }
        at += part.len();
    }
    names.into_iter().collect()
}
