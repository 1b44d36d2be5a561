//! What a DNS record is, and which ones Cloudflare accepts.
//!
//! The fields of a request are laid over what is there or over the defaults (`Draft`), then checked and
//! normalised (`Draft::checked`). Deliberately unknown: other records of the zone, requests.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde_json::{Map, Value, json};

use super::http::{Refusal, Stamp};
use super::names::full_name;
use super::plan::Plan;
use super::quirks::{ErrorShape, Quirks};
use super::ranges::can_be_origin;

/// A record, as the simulated Cloudflare keeps it.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// 32 hexadecimal digits.
    pub id: String,
    /// Punycode, lower case, no trailing dot.
    pub name: String,
    /// `A`, `AAAA`, `CNAME`, …
    pub kind: String,
    /// Canonical.
    pub content: String,
    /// Seconds, or 1 for automatic.
    pub ttl: u32,
    /// Whether Cloudflare's proxy answers for it.
    pub proxied: bool,
    /// Never empty.
    pub comment: Option<String>,
    /// `name:value` or `name`.
    pub tags: Vec<String>,
    /// Of MX and URI records.
    pub priority: Option<u16>,
    /// The parts of a record that is not plain text, such as SRV.
    pub data: Option<Value>,
    /// An object.
    pub settings: Value,
    /// An object; `read_only: true` where a Cloudflare product manages the record.
    pub meta: Value,
    /// When it was created.
    pub created: Stamp,
    /// When it was last written.
    pub modified: Stamp,
    /// When the comment was last set; `None` without a comment.
    pub comment_modified: Option<Stamp>,
    /// When the tags were last set; `None` without tags.
    pub tags_modified: Option<Stamp>,
}

impl Record {
    /// The object of the API.
    pub fn to_json(&self) -> Value {
        let mut object = json!({
            "id": self.id,
            "name": self.name,
            "type": self.kind,
            "content": self.content,
            "proxiable": proxiable(&self.kind, &self.content),
            "proxied": self.proxied,
            "ttl": self.ttl,
            "settings": self.settings,
            "meta": self.meta,
            "comment": self.comment,
            "tags": self.tags,
            "created_on": self.created.to_string(),
            "modified_on": self.modified.to_string(),
        });
        let mut add = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                object[name] = value;
            }
        };
        add("priority", self.priority.map(Value::from));
        add("data", self.data.clone());
        let stamp = |stamp: Option<Stamp>| stamp.map(|stamp| stamp.to_string().into());
        add("comment_modified_on", stamp(self.comment_modified));
        add("tags_modified_on", stamp(self.tags_modified));
        object
    }

    /// Whether a Cloudflare product manages it, so that nobody else can change it.
    pub(super) fn is_read_only(&self) -> bool {
        self.meta.get("read_only") == Some(&Value::Bool(true))
    }

    /// Whether the two mean the same in DNS: name, type and content.
    pub(super) fn says_the_same(&self, draft: &Draft) -> bool {
        self.name == draft.name
            && self.kind == draft.kind
            && self.content == draft.content
            && self.priority == draft.priority
    }
}

/// The answer to a body that is no JSON, or has the wrong shape.
pub(super) fn bad_body() -> Refusal {
    Refusal::new(400, 9207, "Request body is invalid.")
}

fn text(value: &Value) -> Result<String, Refusal> {
    value.as_str().map(str::to_owned).ok_or_else(bad_body)
}

fn object(value: &Value) -> Result<Option<Value>, Refusal> {
    if value.is_object() { Ok(Some(value.clone())) } else { Err(bad_body()) }
}

/// A string has been refused since June 2024, a fraction (even `60.0`) was in August 2026.
fn read_ttl(value: &Value) -> Result<i64, Refusal> {
    match value {
        Value::String(_) => Err(Refusal::new(400, 9022, "TTL must be a number, not a string.")),
        Value::Number(number) if number.is_f64() => {
            Err(Refusal::new(400, 9208, "Failed to parse. ttl must be a number."))
        }
        Value::Number(number) => Ok(number.as_i64().unwrap_or(i64::MAX)),
        _ => Err(bad_body()),
    }
}

fn read_tags(value: &Value) -> Result<Vec<String>, Refusal> {
    value.as_array().ok_or_else(bad_body)?.iter().map(text).collect()
}

/// A record that is to be, before it has an identity.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Draft {
    pub(super) kind: String,
    pub(super) name: String,
    pub(super) content: String,
    pub(super) ttl: i64,
    pub(super) proxied: bool,
    pub(super) comment: String,
    pub(super) tags: Vec<String>,
    pub(super) priority: Option<u16>,
    pub(super) data: Option<Value>,
    pub(super) settings: Option<Value>,
}

impl Draft {
    /// A new record: what the body leaves out has its default.
    pub(super) fn fresh(body: &Value) -> Result<Draft, Refusal> {
        Draft { ttl: 1, ..Draft::default() }.with(body)
    }

    /// A record that is there, with what the body names changed.
    pub(super) fn over(record: &Record, body: &Value) -> Result<Draft, Refusal> {
        let draft = Draft { settings: None, ..Draft::of(record) }.with(body)?;
        // The settings of another type would be of no use.
        let settings = (draft.kind == record.kind).then(|| record.settings.clone());
        Ok(Draft { settings: draft.settings.or(settings), ..draft })
    }

    /// A record that is there.
    pub(super) fn of(record: &Record) -> Draft {
        Draft {
            kind: record.kind.clone(),
            name: record.name.clone(),
            content: record.content.clone(),
            ttl: record.ttl.into(),
            proxied: record.proxied,
            comment: record.comment.clone().unwrap_or_default(),
            tags: record.tags.clone(),
            priority: record.priority,
            data: record.data.clone(),
            settings: Some(record.settings.clone()),
        }
    }

    /// Reads a body; `null` counts as absent, and unknown fields are ignored.
    fn with(mut self, body: &Value) -> Result<Draft, Refusal> {
        let fields = body.as_object().ok_or_else(bad_body)?;
        for (field, value) in fields.iter().filter(|(_, value)| !value.is_null()) {
            match field.as_str() {
                "type" => self.kind = text(value)?,
                "name" => self.name = text(value)?,
                "content" => self.content = text(value)?,
                "ttl" => self.ttl = read_ttl(value)?,
                "proxied" => self.proxied = value.as_bool().ok_or_else(bad_body)?,
                "comment" => self.comment = text(value)?,
                "tags" => self.tags = read_tags(value)?,
                "priority" => {
                    let number = value.as_u64().and_then(|number| u16::try_from(number).ok());
                    self.priority = Some(number.ok_or_else(bad_body)?);
                }
                "data" => self.data = object(value)?,
                "settings" => self.settings = object(value)?,
                _ => {}
            }
        }
        Ok(self)
    }

    /// The record as Cloudflare would keep it in the zone `zone` (ASCII), or why it refuses.
    pub(super) fn checked(mut self, zone: &str, plan: Plan, quirks: &Quirks) -> Result<Draft, Refusal> {
        self.kind.make_ascii_uppercase();
        if !TYPES.split(' ').any(|known| known == self.kind) {
            return Err(invalid(quirks, 9002, "DNS record type is invalid."));
        }
        self.name =
            full_name(&self.name, zone).ok_or_else(|| invalid(quirks, 9000, "DNS name is invalid."))?;
        self.check_content(quirks)?;
        self.check_ttl(plan, quirks)?;
        self.check_proxy(quirks)?;
        self.check_comment(plan, quirks)?;
        self.check_tags(plan, quirks)?;
        if self.proxied {
            self.ttl = 1;
        }
        if self.kind != "MX" && self.kind != "URI" {
            self.priority = None;
        }
        Ok(self)
    }

    fn check_content(&mut self, quirks: &Quirks) -> Result<(), Refusal> {
        let unfit = || invalid(quirks, 9007, format!("Content for {} record is invalid.", self.kind));
        match &*self.kind {
            "A" => {
                let bad = |_| invalid(quirks, 9005, "Content for A record must be a valid IPv4 address.");
                self.content = self.content.parse::<Ipv4Addr>().map_err(bad)?.to_string();
            }
            "AAAA" => {
                let bad = || invalid(quirks, 9006, "Content for AAAA record must be a valid IPv6 address.");
                let refused =
                    |address: &Ipv6Addr| quirks.refuses_mapped_ipv6 && address.to_ipv4_mapped().is_some();
                let address = self.content.parse().ok().filter(|address| !refused(address));
                self.content = address.ok_or_else(bad)?.to_string();
            }
            "CNAME" | "NS" | "MX" | "PTR" => {
                let content = self.content.to_ascii_lowercase();
                let bare = content.strip_suffix('.').unwrap_or(&content);
                let fits = bare.len() <= 253
                    && !bare.contains(char::is_whitespace)
                    && !bare.split('.').any(str::is_empty);
                if !fits {
                    return Err(unfit());
                }
                if self.kind == "MX" && self.priority.is_none() {
                    return Err(bad_body());
                }
                self.content = bare.to_owned();
            }
            "TXT" | "OPENPGPKEY" if self.content.is_empty() => return Err(unfit()),
            "TXT" | "OPENPGPKEY" => {}
            _ => {
                let parts = self.data.as_ref().and_then(Value::as_object).ok_or_else(bad_body)?;
                self.content = written_out(parts);
            }
        }
        Ok(())
    }

    fn check_ttl(&self, plan: Plan, quirks: &Quirks) -> Result<(), Refusal> {
        let least = plan.least_ttl();
        if self.ttl == 1 || (least..=86_400).contains(&self.ttl) {
            return Ok(());
        }
        let message = format!("Invalid TTL. Must be between {least} and 86400 seconds, or 1 for Automatic.");
        Err(invalid(quirks, 9021, message))
    }

    fn check_proxy(&self, quirks: &Quirks) -> Result<(), Refusal> {
        if !self.proxied || proxiable(&self.kind, &self.content) {
            return Ok(());
        }
        if !CAN_BE_PROXIED.contains(&&*self.kind) {
            return Err(invalid(quirks, 9004, "This record type cannot be proxied."));
        }
        Err(invalid(quirks, 9003, format!("Target {} is not allowed for a proxied record.", self.content)))
    }

    fn check_comment(&self, plan: Plan, quirks: &Quirks) -> Result<(), Refusal> {
        let most = plan.longest_comment();
        if self.comment.chars().count() > most {
            let message = format!("DNS record comment exceeds the maximum length of {most} characters.");
            return Err(invalid(quirks, 9313, message));
        }
        if self.comment.contains(['\n', '\r']) {
            return Err(bad_body());
        }
        Ok(())
    }

    fn check_tags(&self, plan: Plan, quirks: &Quirks) -> Result<(), Refusal> {
        let (count, quota) = (self.tags.len(), plan.most_tags());
        if count > quota {
            let message = format!("DNS record has {count} tags, exceeding the quota of {quota}.");
            return Err(invalid(quirks, 9300, message));
        }
        let fits = |tag: &String| {
            let (name, value) = tag.split_once(':').unwrap_or((tag, ""));
            (1..=32).contains(&name.len())
                && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
                && value.chars().count() <= 100
        };
        if self.tags.iter().all(fits) { Ok(()) } else { Err(bad_body()) }
    }

    /// The record with its identity; `before` is the record that it takes the place of.
    pub(super) fn into_record(self, id: String, at: Stamp, before: Option<&Record>) -> Record {
        let comment = Some(self.comment).filter(|comment| !comment.is_empty());
        // A stamp stays while what it is about stays.
        let since = |empty: bool, same: bool, old: Option<Stamp>| match (empty, same) {
            (true, _) => None,
            (false, true) => old,
            (false, false) => Some(at),
        };
        let same_comment = before.is_some_and(|old| old.comment == comment);
        let same_tags = before.is_some_and(|old| old.tags == self.tags);
        let settings = self.settings.unwrap_or_else(|| {
            if self.kind == "CNAME" { json!({"flatten_cname": false}) } else { json!({}) }
        });
        Record {
            comment_modified: since(
                comment.is_none(),
                same_comment,
                before.and_then(|old| old.comment_modified),
            ),
            tags_modified: since(self.tags.is_empty(), same_tags, before.and_then(|old| old.tags_modified)),
            id,
            name: self.name,
            kind: self.kind,
            content: self.content,
            ttl: u32::try_from(self.ttl).unwrap_or(1),
            proxied: self.proxied,
            comment,
            tags: self.tags,
            priority: self.priority,
            data: self.data,
            settings,
            meta: before.map_or_else(|| json!({}), |old| old.meta.clone()),
            created: before.map_or(at, |old| old.created),
            modified: at,
        }
    }
}

/// A refusal of a record's content, in the shape in which such a one was recorded.
pub(super) fn invalid(quirks: &Quirks, code: i64, message: impl AsRef<str>) -> Refusal {
    let message = message.as_ref();
    let wrapped = match quirks.error_shape {
        ErrorShape::Plain => false,
        ErrorShape::Wrapped => true,
        ErrorShape::AsRecorded => matches!(code, 9000 | 9021 | 9300 | 9313),
    };
    if wrapped {
        Refusal::chained(400, (1004, "DNS Validation Error"), (code, message))
    } else {
        Refusal::new(400, code, message)
    }
}

const TYPES: &str = "A AAAA CAA CERT CNAME DNSKEY DS HTTPS LOC MX NAPTR NS OPENPGPKEY PTR SMIMEA SRV SSHFP \
    SVCB TLSA TXT URI";

const CAN_BE_PROXIED: [&str; 3] = ["A", "AAAA", "CNAME"];

/// Whether a record could be proxied: what the proxy cannot or must not reach is refused.
fn proxiable(kind: &str, content: &str) -> bool {
    let reaches = |address: IpAddr| can_be_origin(address.to_canonical());
    CAN_BE_PROXIED.contains(&kind) && content.parse().map_or(true, reaches)
}

/// The content of a record that is given in parts, such as `10 5 8806 host.example.com`.
fn written_out(parts: &Map<String, Value>) -> String {
    // In the order of the text form; what is not named here follows in the order of its keys.
    const FIRST: [&str; 6] = ["priority", "weight", "port", "flags", "tag", "target"];
    let known = FIRST.iter().filter_map(|name| parts.get(*name));
    let others = parts.iter().filter(|(name, _)| !FIRST.contains(&name.as_str())).map(|(_, value)| value);
    let words: Vec<String> = known
        .chain(others)
        .map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned))
        .collect();
    words.join(" ")
}
