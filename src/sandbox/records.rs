//! What a DNS record is, and which ones Cloudflare accepts.
//!
//! The fields of a request are laid over what is there or over the defaults, then checked and normalised.
//! Deliberately unknown: other records of the zone, requests.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::http::{Refusal, Stamp};
use super::names::full_name;
use super::plan::Plan;
use super::ranges::can_be_origin;

/// A record, as the simulated Cloudflare keeps it.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Record {
    /// 32 hexadecimal digits; empty while the record is only asked for.
    pub id: String,
    /// Punycode, lower case, no trailing dot.
    pub name: String,
    /// `A`, `AAAA`, `CNAME`, …
    #[serde(rename = "type")]
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
    pub data: Option<Map<String, Value>>,
    /// An object; `null` while a request has not named it.
    pub settings: Value,
    /// An object; `read_only: true` where a Cloudflare product manages the record.
    pub meta: Value,
    /// When it was created.
    pub created_on: Stamp,
    /// When it was last written.
    pub modified_on: Stamp,
    /// When the comment was last set; `None` without a comment.
    pub comment_modified_on: Option<Stamp>,
    /// When the tags were last set; `None` without tags.
    pub tags_modified_on: Option<Stamp>,
}

impl Record {
    /// The object of the API.
    pub fn to_json(&self) -> Value {
        let mut object = json!(self);
        object["proxiable"] = self.is_proxiable().into();
        if let Some(fields) = object.as_object_mut() {
            fields.retain(|name, value| name == "comment" || !value.is_null());
        }
        object
    }

    /// Whether a Cloudflare product manages it, so that nobody else can change it.
    pub(super) fn is_read_only(&self) -> bool {
        self.meta.get("read_only") == Some(&Value::Bool(true))
    }

    /// Whether the two mean the same in DNS: name, type and content.
    pub(super) fn says_the_same(&self, other: &Record) -> bool {
        self.name == other.name
            && self.kind == other.kind
            && self.content == other.content
            && self.priority == other.priority
    }

    /// A new record: what the body leaves out has its default.
    pub(super) fn fresh(body: &Value) -> Result<Record, Refusal> {
        Record { ttl: 1, ..Record::default() }.with(body)
    }

    /// This record, with what the body names changed.
    pub(super) fn patched(&self, body: &Value) -> Result<Record, Refusal> {
        let mut record = Record { settings: Value::Null, ..self.clone() }.with(body)?;
        // The settings of another type would be of no use.
        if record.settings.is_null() && record.kind == self.kind {
            record.settings = self.settings.clone();
        }
        Ok(record)
    }

    /// Reads a body; `null` counts as absent, and unknown fields are ignored.
    fn with(mut self, body: &Value) -> Result<Record, Refusal> {
        let fields = body.as_object().ok_or_else(bad_body)?;
        for (field, value) in fields.iter().filter(|(_, value)| !value.is_null()) {
            match field.as_str() {
                "type" => self.kind = read(value)?,
                "name" => self.name = read(value)?,
                "content" => self.content = read(value)?,
                "ttl" => self.ttl = read_ttl(value)?,
                "proxied" => self.proxied = read(value)?,
                "comment" => self.comment = Some(read(value)?).filter(|text: &String| !text.is_empty()),
                "tags" => self.tags = read(value)?,
                "priority" => self.priority = Some(read(value)?),
                "data" => self.data = Some(read(value)?),
                "settings" => self.settings = Value::Object(read(value)?),
                _ => {}
            }
        }
        Ok(self)
    }

    /// The record as Cloudflare would keep it in the zone `zone` (ASCII), or why it refuses.
    pub(super) fn checked(mut self, zone: &str, plan: Plan) -> Result<Record, Refusal> {
        self.kind.make_ascii_uppercase();
        if !TYPES.split(' ').any(|known| known == self.kind) {
            return Err(invalid(9002, "DNS record type is invalid."));
        }
        self.name = full_name(&self.name, zone).ok_or_else(|| invalid(9000, "DNS name is invalid."))?;
        self.check_content()?;
        self.check_ttl(plan)?;
        self.check_proxy()?;
        self.check_comment(plan)?;
        self.check_tags(plan)?;
        if self.proxied {
            self.ttl = 1;
        }
        if self.kind != "MX" && self.kind != "URI" {
            self.priority = None;
        }
        Ok(self)
    }

    fn check_content(&mut self) -> Result<(), Refusal> {
        let unfit = || invalid(9007, format!("Content for {} record is invalid.", self.kind));
        match &*self.kind {
            "A" => {
                let bad = |_| invalid(9005, "Content for A record must be a valid IPv4 address.");
                self.content = self.content.parse::<Ipv4Addr>().map_err(bad)?.to_string();
            }
            "AAAA" => {
                let bad = |_| invalid(9006, "Content for AAAA record must be a valid IPv6 address.");
                self.content = self.content.parse::<Ipv6Addr>().map_err(bad)?.to_string();
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
            _ => self.content = written_out(self.data.as_ref().ok_or_else(bad_body)?),
        }
        Ok(())
    }

    fn check_ttl(&self, plan: Plan) -> Result<(), Refusal> {
        let least = plan.least_ttl();
        if self.ttl == 1 || (least..=86_400).contains(&self.ttl) {
            return Ok(());
        }
        let message = format!("Invalid TTL. Must be between {least} and 86400 seconds, or 1 for Automatic.");
        Err(invalid(9021, message))
    }

    fn check_proxy(&self) -> Result<(), Refusal> {
        if !self.proxied || self.is_proxiable() {
            return Ok(());
        }
        if !CAN_BE_PROXIED.contains(&&*self.kind) {
            return Err(invalid(9004, "This record type cannot be proxied."));
        }
        Err(invalid(9003, format!("Target {} is not allowed for a proxied record.", self.content)))
    }

    fn check_comment(&self, plan: Plan) -> Result<(), Refusal> {
        let most = plan.longest_comment();
        let comment = self.comment.as_deref().unwrap_or("");
        if comment.chars().count() > most {
            let message = format!("DNS record comment exceeds the maximum length of {most} characters.");
            return Err(invalid(9313, message));
        }
        if comment.contains(['\n', '\r']) { Err(bad_body()) } else { Ok(()) }
    }

    fn check_tags(&self, plan: Plan) -> Result<(), Refusal> {
        let (count, quota) = (self.tags.len(), plan.most_tags());
        if count > quota {
            let message = format!("DNS record has {count} tags, exceeding the quota of {quota}.");
            return Err(invalid(9300, message));
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
    pub(super) fn dated(self, id: String, at: Stamp, before: Option<&Record>) -> Record {
        let nothing = Record { meta: json!({}), created_on: at, ..Record::default() };
        let before = before.unwrap_or(&nothing);
        // A stamp stays while what it is about stays.
        let comment = if self.comment == before.comment { before.comment_modified_on } else { Some(at) };
        let tags = if self.tags == before.tags { before.tags_modified_on } else { Some(at) };
        let settings = match self.settings {
            Value::Null if self.kind == "CNAME" => json!({"flatten_cname": false}),
            Value::Null => json!({}),
            settings => settings,
        };
        Record {
            id,
            settings,
            meta: before.meta.clone(),
            created_on: before.created_on,
            modified_on: at,
            comment_modified_on: comment.filter(|_| self.comment.is_some()),
            tags_modified_on: tags.filter(|_| !self.tags.is_empty()),
            ..self
        }
    }

    /// Whether it could be proxied: what the proxy cannot or must not reach is refused.
    fn is_proxiable(&self) -> bool {
        let reaches = |address: IpAddr| can_be_origin(address.to_canonical());
        CAN_BE_PROXIED.contains(&&*self.kind) && self.content.parse().map_or(true, reaches)
    }
}

/// The answer to a body that is no JSON, or has the wrong shape.
pub(super) fn bad_body() -> Refusal {
    Refusal::new(400, 9207, "Request body is invalid.")
}

fn read<T: DeserializeOwned>(value: &Value) -> Result<T, Refusal> {
    T::deserialize(value).map_err(|_| bad_body())
}

/// A string has been refused since June 2024, a fraction (even `60.0`) was in August 2026.
fn read_ttl(value: &Value) -> Result<u32, Refusal> {
    match value {
        Value::String(_) => Err(Refusal::new(400, 9022, "TTL must be a number, not a string.")),
        Value::Number(number) if number.is_f64() => {
            Err(Refusal::new(400, 9208, "Failed to parse. ttl must be a number."))
        }
        // Out of the range of the type is out of every plan's range, as 0 is.
        Value::Number(number) => Ok(number.as_u64().and_then(|ttl| ttl.try_into().ok()).unwrap_or(0)),
        _ => Err(bad_body()),
    }
}

/// A refusal of a record's content, in the shape in which such a one was recorded.
pub(super) fn invalid(code: i64, message: impl AsRef<str>) -> Refusal {
    let message = message.as_ref();
    match code {
        9000 | 9021 | 9300 | 9313 => Refusal::chained(400, (1004, "DNS Validation Error"), (code, message)),
        _ => Refusal::new(400, code, message),
    }
}

const TYPES: &str = "A AAAA CAA CERT CNAME DNSKEY DS HTTPS LOC MX NAPTR NS OPENPGPKEY PTR SMIMEA SRV SSHFP \
    SVCB TLSA TXT URI";

const CAN_BE_PROXIED: [&str; 3] = ["A", "AAAA", "CNAME"];

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
