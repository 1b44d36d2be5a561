//! `[address]`: how often, by whom and how surely the host's addresses are found.
//!
//! Deliberately unknown: how a source is asked, and who runs it.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;
use reqwest::Url;
use toml::de::{DeTable, DeValue};

use super::account;
use super::keys::{self, Key, Place};
use super::mistake::{Findings, Span, quote};
use super::operator;
use super::section::{self, Section, Text, Value};
use crate::detect::{BuiltIn, Source};
use crate::engine::names::Family;
use crate::engine::ranges::publishable;
use crate::engine::settings::Tunnel;

/// What the file says about addresses. What was wrong is reported; something stands in for it.
pub(super) struct Found {
    pub(super) every: Duration,
    pub(super) agree: usize,
    pub(super) allow: Vec<IpNet>,
    pub(super) tunnel: Tunnel,
    /// For each family that is on.
    pub(super) sources: BTreeMap<Family, Vec<Source>>,
}

/// Reads `[address]`.
pub(super) fn read(findings: &mut Findings<'_>, table: (&DeTable<'_>, Span)) -> Found {
    let section = Section::new(findings, Place::Address, table, &|_| false);
    let every = section.read(&keys::EVERY, findings, section::span);
    let agree = section.read(&keys::AGREE, findings, section::count);
    let allow = section.read(&keys::ALLOW, findings, ranges).unwrap_or_default();
    let tunnel = match section.read(&keys::TUNNEL, findings, section::choice) {
        Some(1) => Tunnel::Allow,
        _ => Tunnel::Hold,
    };
    let agree = agree.and_then(|agree| usize::try_from(agree).ok());
    let mut sources = BTreeMap::new();
    for (family, key) in [(Family::V4, &keys::IPV4), (Family::V6, &keys::IPV6)] {
        let reading = Reading { family, allow: &allow, found: Vec::new() };
        let found = section.read(key, findings, |findings, key, value| reading.list(findings, key, value));
        if let Some(found) = found.as_ref().filter(|found| !found.is_empty()) {
            let at = section.place_of(if section.has(key) { key } else { &keys::AGREE });
            warn_about_agreement(findings, (family, found), agree.unwrap_or(1), at);
        }
        // An empty list turns the family off; one that cannot be read leaves it on.
        if found.as_ref().is_none_or(|found| !found.is_empty()) {
            sources.insert(family, found.unwrap_or_default());
        }
    }
    if sources.is_empty() {
        let what = "both families are turned off, so there is no address to publish";
        findings.mistake(section.place_of(&keys::IPV6), what, "leave one of them on");
    }
    Found { every: every.unwrap_or_default(), agree: agree.unwrap_or(1), allow, tunnel, sources }
}

fn warn_about_agreement(findings: &mut Findings<'_>, sources: (Family, &[Source]), agree: usize, at: Span) {
    let (family, sources) = sources;
    let mut operators: BTreeMap<Box<str>, Vec<String>> = BTreeMap::new();
    for source in sources {
        operators.entry(source.operator()).or_default().push(quote(&source.label()));
    }
    let said = sources.iter().all(|source| matches!(source, Source::Static(_)));
    if operators.len() >= agree || said {
        return;
    }
    let (number, all) = match operators.len() {
        1 => ("1 operator".to_owned(), "that one alone is believed".to_owned()),
        number => (format!("{number} operators"), format!("all {number} must say the same")),
    };
    let mut what = format!("agree = {agree}, but {family} has sources of {number} only: {all}");
    for (operator, labels) in operators.iter().filter(|(_, labels)| labels.len() > 1) {
        what.push_str(&format!("; {} count as one ({operator})", labels.join(", ")));
    }
    findings.warn(at, what, "add sources that somebody else runs, or lower agree");
}

/// Ranges that may be published although they are not public.
fn ranges(findings: &mut Findings<'_>, key: &Key, value: &Value<'_>) -> Option<Vec<IpNet>> {
    let texts = section::texts(findings, key, value)?;
    Some(texts.iter().filter_map(|text| range(findings, text)).collect())
}

fn range(findings: &mut Findings<'_>, text: &Text) -> Option<IpNet> {
    let Text { text, at } = text;
    let text = text.trim();
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(IpNet::from(address));
    }
    let Ok(range) = text.parse::<IpNet>() else {
        let what = format!("{} is not a range of addresses", quote(text));
        let remedy =
            "write an address and the length of the prefix, such as \"192.168.7.0/24\" or \"fd00::/8\"";
        return findings.reject(at.clone(), what, remedy);
    };
    if range != range.trunc() {
        let what = format!("{} has bits behind the /{}", quote(text), range.prefix_len());
        let remedy =
            format!("write \"{}\" for the range, or \"{}\" for the one address", range.trunc(), range.addr());
        return findings.reject(at.clone(), what, remedy);
    }
    Some(range)
}

/// The sources of one family, while they are read.
struct Reading<'a> {
    family: Family,
    allow: &'a [IpNet],
    found: Vec<Source>,
}

/// The words that this version cannot ask yet.
const NOT_YET: [&str; 4] = ["stun", "dns", "router", "interface"];

/// No list of sources is longer.
const MOST_SOURCES: usize = 32;

/// What can be said instead.
const USABLE: &str = "use \"auto\", \"cloudflare\", \"ipify\", \"amazon\", an https URL, { command = […] }, { file = \"…\" } or { static = \"…\" }";

impl Reading<'_> {
    /// The list; empty if the family is off, `None` if something in it is wrong.
    fn list(mut self, findings: &mut Findings<'_>, key: &Key, value: &Value<'_>) -> Option<Vec<Source>> {
        let Some(list) = value.get_ref().as_array() else {
            return section::wrong_kind(findings, key, value);
        };
        let mut fine = true;
        if list.len() > MOST_SOURCES {
            let what = format!("{} holds {} sources; {MOST_SOURCES} are the most", key.name, list.len());
            findings.mistake(value.span(), what, "a few of different operators are plenty");
            fine = false;
        }
        for item in list.iter().take(MOST_SOURCES) {
            fine &= self.item(findings, key, item).is_some();
        }
        if fine && self.found.is_empty() && !list.is_empty() {
            let what = format!("there is no source of {} in this list", self.family);
            findings.mistake(value.span(), what, USABLE);
            fine = false;
        }
        fine.then_some(self.found)
    }

    fn item(&mut self, findings: &mut Findings<'_>, key: &Key, item: &Value<'_>) -> Option<()> {
        let at = item.span();
        let source = match item.get_ref() {
            DeValue::String(word) if word.trim() == "auto" => {
                self.add_auto();
                return Some(());
            }
            DeValue::String(_) => {
                let text = section::text(findings, key, item)?;
                self.word(findings, text)?
            }
            DeValue::Table(entries) => self.table(findings, (entries, at.clone()))?,
            _ => {
                let what = "a source is a word, a URL or a table";
                return findings.reject(at, what, USABLE);
            }
        };
        if self.found.iter().any(|found| is_same(found, &source)) {
            let what = format!("{} is in this list already", quote(&source.label()));
            findings.warn(at, what, "it is asked once; take one of the two out");
        } else {
            self.found.push(source.told_apart_from(&self.found));
        }
        Some(())
    }

    fn add_auto(&mut self) {
        for which in [BuiltIn::Cloudflare, BuiltIn::Amazon, BuiltIn::Ipify] {
            let Some(source) = Source::built_in(which, self.family) else { continue };
            if !self.found.iter().any(|found| is_same(found, &source)) {
                self.found.push(source.told_apart_from(&self.found));
            }
        }
    }

    fn word(&self, findings: &mut Findings<'_>, text: Text) -> Option<Source> {
        let word = text.text.trim();
        let which = match word {
            "cloudflare" => BuiltIn::Cloudflare,
            "ipify" => BuiltIn::Ipify,
            "amazon" => BuiltIn::Amazon,
            _ if NOT_YET.contains(&word) => {
                let what = format!("this version cannot ask {} yet", quote(word));
                return findings.reject(text.at, what, USABLE);
            }
            _ if word.contains("://") => return self.url(findings, text),
            _ => return findings.reject(text.at, format!("there is no source {}", quote(word)), USABLE),
        };
        let source = Source::built_in(which, self.family);
        if source.is_none() {
            let what = format!("{} has no service for {}", quote(word), self.family);
            findings.mistake(text.at, what, USABLE);
        }
        source
    }

    fn url(&self, findings: &mut Findings<'_>, text: Text) -> Option<Source> {
        let url = account::url(findings, &text.text, text.at.clone())?;
        let literal = operator::address(&url).map(Family::of);
        if let Some(family) = literal.filter(|family| *family != self.family) {
            let what =
                format!("this host has an {family} address only, but is to be asked over {}", self.family);
            return findings.reject(text.at, what, "use a host name that has addresses of this family");
        }
        Some(Source::Url {
            label: shown(&url).into(),
            operator: operator::of(&url),
            url: url.as_str().into(),
        })
    }

    fn table(&self, findings: &mut Findings<'_>, table: (&DeTable<'_>, Span)) -> Option<Source> {
        let section = Section::new(findings, Place::Source, table, &|_| false);
        let one = section.only(findings, USABLE)?;
        section.read(one, findings, |findings, key, value| self.entry(findings, key, value))
    }

    fn entry(&self, findings: &mut Findings<'_>, key: &Key, value: &Value<'_>) -> Option<Source> {
        if key == &keys::SOURCE_COMMAND {
            let words = section::command(findings, key, value)?;
            return Some(Source::command(words.into_iter().map(Into::into).collect()));
        }
        let text = section::text(findings, key, value)?;
        if key == &keys::SOURCE_URL {
            return self.url(findings, text);
        }
        if key == &keys::SOURCE_STATIC {
            return self.fixed(findings, &text);
        }
        if key == &keys::SOURCE_FILE {
            return section::path(findings, key, value).map(Source::File);
        }
        let what = format!("this version cannot ask {{ {} = … }} yet", key.name);
        findings.reject(text.at, what, USABLE)
    }

    fn fixed(&self, findings: &mut Findings<'_>, text: &Text) -> Option<Source> {
        let at = text.at.clone();
        let Ok(address) = text.text.trim().parse::<IpAddr>() else {
            let what = format!("{} is not an address", quote(&text.text));
            return findings.reject(at, what, "write one address, such as \"198.51.100.7\"");
        };
        if Family::of(address) != self.family {
            let what =
                format!("{address} is an {} address, in the list for {}", Family::of(address), self.family);
            return findings.reject(at, what, "move it to the other list");
        }
        if let Err(why) = publishable(address, self.allow) {
            let what = format!("{address} cannot be published: {why}");
            let remedy = format!("write another address, or allow = [\"{address}\"] if it is meant");
            return findings.reject(at, what, remedy);
        }
        Some(Source::Static(address))
    }
}

/// Whether two sources are one.
fn is_same(a: &Source, b: &Source) -> bool {
    match (a, b) {
        (Source::Url { url: a, .. }, Source::Url { url: b, .. }) => a == b,
        (Source::Command { words: a, .. }, Source::Command { words: b, .. }) => a == b,
        _ => a.label() == b.label(),
    }
}

/// A URL in messages: its host and path, for a query may be secret.
fn shown(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    let path = url.path().trim_end_matches('/');
    let query = if url.query().is_some() { "?***" } else { "" };
    format!("{host}{port}{path}{query}")
}
