//! `[[record]]`: the names that are kept, and what is enforced of them.

use std::collections::{BTreeMap, BTreeSet};

use toml::de::DeTable;

use super::keys::{self, Key, Place};
use super::mistake::{Findings, Grade, Span, quote};
use super::section::{self, Section, Text, Value};
use crate::engine::names::{BadName, Family, Key as RecordKey, Name, RecordType, Ttl, ZoneId};
use crate::engine::settings::{AccountName, Beside, Options, Wanted, ZoneHint};
use crate::secret::looks_secret;

/// What the rest of the file says that concerns records.
pub(super) struct Context<'a> {
    pub(super) accounts: Vec<&'a AccountName>,
    /// The families that [address] has on.
    pub(super) families: Vec<Family>,
    pub(super) owner: Option<&'a str>,
    pub(super) has_owner: bool,
}

/// The records that were read.
#[derive(Default)]
pub(super) struct Found {
    pub(super) records: BTreeMap<RecordKey, Wanted>,
    /// Where each of them was named first.
    places: BTreeMap<RecordKey, Text>,
}

impl Found {
    /// Reads one `[[record]]`.
    pub(super) fn read(
        &mut self,
        findings: &mut Findings<'_>,
        table: (&DeTable<'_>, Span),
        context: &Context<'_>,
    ) {
        let section = Section::new(findings, Place::Record, table, &|_| false);
        let families = types(findings, &section, context);
        let wanted = Wanted {
            account: account(findings, &section, context),
            zone: zone(findings, &section),
            options: options(findings, &section, context),
        };
        if !section.has(&keys::NAME) {
            let remedy = format!("add name = {}", keys::NAME.example());
            findings.note(Grade::Missing, Some(section.at.clone()), "this [[record]] has no name", remedy);
            return;
        }
        let names = section.read(&keys::NAME, findings, section::texts);
        for text in names.unwrap_or_default() {
            let Some(name) = name(findings, &text, named(&wanted.zone)) else {
                continue;
            };
            self.add(findings, (name, text), &families, &wanted);
        }
    }

    fn add(&mut self, findings: &mut Findings<'_>, name: (Name, Text), families: &[Family], wanted: &Wanted) {
        let (name, text) = name;
        for family in families {
            let key = RecordKey { name: name.clone(), kind: family.record_type() };
            if let Some(first) = self.places.get(&key) {
                let line = findings.line_of(&first.at);
                let what = format!(
                    "{} is the same name as {} on line {line}, with a type in common",
                    quote(&text.text),
                    quote(&first.text)
                );
                findings.mistake(text.at.clone(), what, "keep one of the two");
                continue;
            }
            self.places.insert(key.clone(), text.clone());
            self.records.insert(key, wanted.clone());
        }
    }
}

/// The name of the zone, if it is said.
fn named(zone: &ZoneHint) -> Option<&Name> {
    match zone {
        ZoneHint::Named(zone) | ZoneHint::Id(_, Some(zone)) => Some(zone),
        ZoneHint::Find | ZoneHint::Id(_, None) => None,
    }
}

fn name(findings: &mut Findings<'_>, text: &Text, zone: Option<&Name>) -> Option<Name> {
    let at = text.at.clone();
    if text.text.trim() == "@" {
        let what = "\"@\" is the zone itself, and no zone is named here";
        let remedy = "add zone = \"example.com\", or write the zone's name in place of \"@\"";
        if zone.is_none() {
            findings.note(Grade::Missing, Some(at), what, remedy);
        }
        return zone.cloned();
    }
    let parts: Vec<&str> = text.text.split([',', ';', ' ', '\t']).filter(|part| !part.is_empty()).collect();
    let are_names = text.text.contains([',', ';']) || parts.iter().all(|part| part.contains('.'));
    if parts.len() > 1 && are_names {
        let what = "several names stand in one text";
        let list = parts.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ");
        return findings.reject(at, what, format!("write a list: [{list}]"));
    }
    let name = match Name::parse(&text.text) {
        Ok(name) => name,
        Err(BadName::Bare(label)) => {
            let what = format!("{} is a bare label, not a whole name", quote(&label));
            let zone = zone.map_or("example.com".to_owned(), Name::to_string);
            return findings.reject(at, what, format!("write the whole name, such as \"{label}.{zone}\""));
        }
        Err(error) => {
            let remedy = "write the whole name, such as \"home.example.com\"";
            return findings.reject(at, error.to_string(), remedy);
        }
    };
    if let Some(zone) = zone.filter(|zone| !name.is_within(zone)) {
        let what = format!("{name} is not in its zone {zone}");
        let remedy = format!("write a name that ends in \".{zone}\", or take zone out to have it found");
        return findings.reject(at, what, remedy);
    }
    Some(name)
}

fn types(findings: &mut Findings<'_>, section: &Section<'_>, context: &Context<'_>) -> Vec<Family> {
    if !section.has(&keys::TYPES) {
        return context.families.clone();
    }
    let families = section.read(&keys::TYPES, findings, |findings, key, value| {
        let texts = section::texts(findings, key, value)?;
        let mut families = BTreeSet::new();
        for text in &texts {
            let Some(family) = one_type(findings, text, context) else { continue };
            if !families.insert(family) {
                let what = format!("{} is in this list already", family.record_type());
                findings.mistake(text.at.clone(), what, "take one of the two out");
            }
        }
        Some(families)
    });
    families.unwrap_or_default().into_iter().collect()
}

fn one_type(findings: &mut Findings<'_>, text: &Text, context: &Context<'_>) -> Option<Family> {
    let at = text.at.clone();
    let Some(kind) = RecordType::parse(text.text.trim()) else {
        let what = format!("stayput keeps A and AAAA records, not {}", quote(text.text.trim()));
        let remedy = match text.text.trim().eq_ignore_ascii_case("CNAME") {
            true => "make the CNAME in the dashboard, and point it to a name that is kept here",
            false => "write \"A\", \"AAAA\" or both",
        };
        return findings.reject(at, what, remedy);
    };
    let family = kind.family();
    if !context.families.contains(&family) {
        let key = family.key();
        let what = format!("{kind} needs {family}, which {key} = [] in [address] turns off");
        let remedy = format!("take {kind} out here, or the line {key} = [] there");
        findings.note(Grade::Missing, Some(at), what, remedy);
        return None;
    }
    Some(family)
}

fn account(findings: &mut Findings<'_>, section: &Section<'_>, context: &Context<'_>) -> AccountName {
    let Some(Text { text, at }) = section.read(&keys::ACCOUNT, findings, section::text) else {
        return AccountName::default();
    };
    let name = AccountName(text.trim().into());
    if !context.accounts.contains(&&name) {
        let known = context.accounts.iter().map(|name| &*name.0).filter(|name| !name.is_empty());
        let remedy = match known.collect::<Vec<_>>().join(", ") {
            _ if ZoneId::parse(text.trim()).is_some() => {
                "take it out: this is an identifier of Cloudflare's, and account is the NAME of a [cloudflare.NAME]".into()
            }
            known if known.is_empty() => {
                format!("add {name} with its token, or take account out to use [cloudflare]")
            }
            known => format!("known accounts: {known}"),
        };
        findings.note(Grade::Missing, Some(at), format!("there is no account {name}"), remedy);
    }
    name
}

fn zone(findings: &mut Findings<'_>, section: &Section<'_>) -> ZoneHint {
    let name = section.read(&keys::ZONE, findings, |findings, key, value| {
        let Text { text, at } = section::text(findings, key, value)?;
        let wrong = match Name::parse(&text) {
            Ok(name) if !name.as_str().starts_with('*') => return Some(name),
            Ok(_) => "a zone's name cannot begin with \"*\"".to_owned(),
            Err(BadName::Bare(label)) => {
                format!("{} is a bare label, not a zone's name", quote(&label))
            }
            Err(error) => error.to_string(),
        };
        let remedy = match text.trim() {
            id if ZoneId::parse(id).is_some() => format!("this is an identifier: write zone-id = \"{id}\""),
            _ => "write the zone as Cloudflare shows it, such as \"example.com\"".into(),
        };
        findings.reject(at, wrong, remedy)
    });
    let id = section.read(&keys::ZONE_ID, findings, zone_id);
    match (id, name) {
        (Some(id), name) => ZoneHint::Id(id, name),
        (None, Some(name)) => ZoneHint::Named(name),
        (None, None) => ZoneHint::Find,
    }
}

fn zone_id(findings: &mut Findings<'_>, key: &Key, value: &Value<'_>) -> Option<ZoneId> {
    let Text { text, at } = section::text(findings, key, value)?;
    let text = text.trim();
    let id = ZoneId::parse(text);
    match id {
        None if looks_secret(text) => {
            let what = "this looks like a secret, not like a zone's identifier";
            findings.reject(at, what, "take it out; where the secret is, token says in [cloudflare]")
        }
        None => {
            let what = "a zone's identifier is 32 hexadecimal digits (0-9, a-f)";
            let remedy = "copy it from the zone's overview in the dashboard, or leave it out";
            findings.reject(at, what, remedy)
        }
        id => id,
    }
}

fn options(findings: &mut Findings<'_>, section: &Section<'_>, context: &Context<'_>) -> Options {
    let proxied = section.read(&keys::PROXIED, findings, section::switch);
    let ttl = section.read(&keys::TTL, findings, ttl);
    if let (Some(true), Some(Ttl::Seconds(_))) = (proxied, ttl) {
        let what = "a proxied record's TTL is always automatic; this one has no effect";
        findings.warn(section.place_of(&keys::TTL), what, "take ttl out, or write proxied = false");
    }
    Options {
        proxied,
        ttl,
        comment: section.read(&keys::COMMENT, findings, |findings, key, value| {
            comment(findings, (key, value), context.owner)
        }),
        tags: section.read(&keys::TAGS, findings, tags),
        beside: beside(findings, section, context),
    }
}

fn ttl(findings: &mut Findings<'_>, key: &Key, value: &Value<'_>) -> Option<Ttl> {
    let at = value.span();
    if value.get_ref().as_str().is_some_and(|text| text.trim().eq_ignore_ascii_case("auto")) {
        return Some(Ttl::Auto);
    }
    let duration = section::duration(findings, key, value)?;
    let seconds = u32::try_from(duration.as_secs()).ok().filter(|seconds| {
        (Ttl::LEAST_SECONDS..=Ttl::MOST_SECONDS).contains(seconds) && duration.subsec_nanos() == 0
    });
    if seconds.is_none() {
        let what = format!("ttl takes whole seconds from 30s to 1d; this is {}", section::shown(duration));
        let remedy = "write ttl = \"auto\", or from \"1m\" (\"30s\" on Enterprise plans) to \"1d\"";
        findings.mistake(at, what, remedy);
    }
    seconds.map(Ttl::Seconds)
}

fn comment(findings: &mut Findings<'_>, entry: (&Key, &Value<'_>), owner: Option<&str>) -> Option<Box<str>> {
    /// The most that Cloudflare takes on any plan, and on free ones.
    const MOST: usize = 500;
    const MOST_FREE: usize = 100;
    let (key, value) = entry;
    let at = value.span();
    let Some(text) = value.get_ref().as_str() else {
        return section::wrong_kind(findings, key, value);
    };
    if text.contains(char::is_control) {
        let what = "a comment is one line without control characters";
        return findings.reject(at, what, "write it on one line");
    }
    // The mark stands behind it: " [stayput/OWNER]".
    let mark = " [stayput]".len() + owner.map_or(0, |owner| 1 + owner.chars().count());
    let length = text.trim().chars().count() + mark;
    let long = |most| format!("with stayput's mark the comment is {length} characters long; {most}");
    if length > MOST {
        let what = long(format!("Cloudflare takes {MOST}"));
        return findings.reject(at, what, format!("shorten it to {}", MOST - mark));
    }
    if length > MOST_FREE {
        let remedy = format!("shorten it to {}, unless the zone has a paid plan", MOST_FREE - mark);
        findings.warn(at, long(format!("free plans take {MOST_FREE}")), remedy);
    }
    Some(text.trim().into())
}

fn tags(findings: &mut Findings<'_>, key: &Key, value: &Value<'_>) -> Option<Vec<Box<str>>> {
    let texts = section::texts(findings, key, value)?;
    if texts.len() > 20 {
        let what = format!("a record has at most 20 tags; these are {}", texts.len());
        findings.mistake(value.span(), what, "take some out");
    }
    let mut tags: Vec<Box<str>> = Vec::new();
    for Text { text, at } in texts {
        let text = text.trim();
        let (name, content) = text.split_once(':').unwrap_or((text, ""));
        let (name, content) = (name.trim(), content.trim());
        let wrong = match (name.chars().count(), content.chars().count()) {
            (0, _) => Some("a tag is a name, or name:value"),
            (33.., _) => Some("a tag's name has at most 32 characters"),
            (_, 101..) => Some("a tag's value has at most 100 characters"),
            _ if name.to_lowercase().starts_with("cf-") => {
                Some("tags that begin with cf- are Cloudflare's own")
            }
            _ if tags.iter().any(|tag| **tag == *text) => Some("this tag is there twice"),
            _ => None,
        };
        match wrong {
            Some(what) => findings.mistake(at, what, "change it, to such as \"site:home\", or take it out"),
            None => tags.push(text.into()),
        }
    }
    tags.sort();
    Some(tags)
}

fn beside(findings: &mut Findings<'_>, section: &Section<'_>, context: &Context<'_>) -> Beside {
    let exclusive = section.read(&keys::EXCLUSIVE, findings, section::switch);
    let shared = section.read(&keys::SHARED, findings, section::switch);
    if shared == Some(true) && !context.has_owner {
        let what = "shared = true needs an owner, to tell our record from the others'";
        let remedy = "add owner = \"…\" at the top of the file, a different one on each host";
        findings.note(Grade::Missing, Some(section.key_at(&keys::SHARED)), what, remedy);
    }
    if exclusive == Some(true) && shared == Some(true) {
        let what = "exclusive removes the records that shared is to stand beside";
        findings.mistake(section.key_at(&keys::EXCLUSIVE), what, "keep one of exclusive and shared");
    }
    match (exclusive.unwrap_or_default(), shared.unwrap_or_default()) {
        (true, _) => Beside::Nobody,
        (false, true) => Beside::Others,
        (false, false) => Beside::Tolerated,
    }
}
