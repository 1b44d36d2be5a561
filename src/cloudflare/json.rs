//! The JSON that Cloudflare answers with, read into the engine's values.
//!
//! Tolerant of what does not matter: fields that are unknown, missing, null or of another kind, and
//! whole entries of a list that cannot be read. Those at a name that can be read are handed on as
//! such, since they may stand in the way. Strict about what a write is answered with. Deliberately
//! unknown: HTTP, what a refusal means.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::value::MapDeserializer;
use serde_json::error::Category;
use serde_json::value::RawValue;

use super::classify::ApiError;
use crate::engine::api::{Listed, TokenStatus, Written, ZoneInfo};
use crate::engine::names::{AccountId, Content, Name, Record, RecordId, RecordType, Ttl, ZoneId};
use crate::secret::redact::quote;

/// Errors of one answer that are kept.
const MOST_ERRORS: usize = 20;
/// Characters of an error's message that are kept.
const MOST_MESSAGE: usize = 300;

/// A JSON value of an answer, read when it matters. One that is absent, null or of another kind than
/// expected says nothing, instead of spoiling the whole answer.
#[derive(Clone, Copy, Default, Deserialize)]
#[serde(transparent)]
pub struct Lenient<'a>(#[serde(borrow)] Option<&'a RawValue>);

impl<'a> Lenient<'a> {
    fn read<T: Deserialize<'a>>(self) -> Option<T> {
        serde_json::from_str(self.0?.get()).ok()
    }

    /// The value, or `None` where it is absent or null.
    ///
    /// # Errors
    /// It is of another kind.
    pub fn strict<T: Deserialize<'a>>(self) -> Result<Option<T>, &'static str> {
        serde_json::from_str(self.0.map_or("null", RawValue::get))
            .map_err(|_| "its result does not have the form that Cloudflare documents")
    }

    /// The text, if it is one.
    pub fn text(self) -> Option<String> {
        self.read()
    }

    /// The number, also one that is written as a text.
    pub fn number(self) -> Option<u32> {
        self.read().or_else(|| self.text()?.parse().ok())
    }

    fn flag(self) -> Option<bool> {
        self.read()
    }

    /// The texts of an array.
    fn texts(self) -> Option<Vec<Box<str>>> {
        let all: Vec<Lenient<'_>> = self.read()?;
        Some(all.into_iter().filter_map(Lenient::text).map(Into::into).collect())
    }

    fn is_object(self) -> bool {
        self.0.is_some_and(|raw| raw.get().starts_with('{'))
    }

    /// The fields of an object; of two of one name the last one counts. Anything else reads as one without
    /// fields; serde alone would take the items of an array for fields.
    pub fn object<T: Default + Deserialize<'a>>(self) -> T {
        let last_ones = || {
            let fields: BTreeMap<String, &RawValue> = self.read()?;
            T::deserialize(MapDeserializer::new(fields.into_iter())).ok()
        };
        self.read().or_else(last_ones).filter(|_| self.is_object()).unwrap_or_default()
    }
}

/// What every answer has around its result.
pub struct Envelope<'a> {
    /// Whether Cloudflare says that it did what was asked.
    pub success: bool,
    /// All errors, those inside `error_chain` included, outermost first.
    pub errors: Vec<ApiError>,
    /// What it says elsewhere when it has no errors, in `error`, `message` or `messages`. May be empty.
    pub words: String,
    /// Where Cloudflare explains the error.
    pub link: Option<String>,
    /// What was asked for.
    pub result: Lenient<'a>,
    /// What it says of the pages of a list.
    pub paging: Lenient<'a>,
}

/// Why a body is no envelope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoEnvelope {
    /// It begins as JSON and stops in the middle.
    CutOff,
    /// It tells a problem as RFC 9457 has it, which is how Cloudflare's edge answers.
    Problem(Problem),
    /// It is JSON of another kind, with these words in `error` or `message`, if any.
    OtherJson(String),
    /// It is no JSON.
    NoJson,
    /// It could not be read, for this reason.
    Unread(String),
}

/// A problem as RFC 9457 has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// What is wrong, in one line.
    pub title: String,
    /// The edge's number for it; its numbers are not the API's.
    pub code: Option<u32>,
    /// Seconds to wait before the next request.
    pub retry_after: Option<u32>,
}

/// Reads the envelope; the result is only stepped over.
pub fn envelope(body: &[u8]) -> Result<Envelope<'_>, NoEnvelope> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Raw<'a> {
        #[serde(borrow)]
        success: Lenient<'a>,
        errors: Lenient<'a>,
        error: Lenient<'a>,
        message: Lenient<'a>,
        messages: Lenient<'a>,
        title: Lenient<'a>,
        error_code: Lenient<'a>,
        retry_after: Lenient<'a>,
        result: Lenient<'a>,
        result_info: Lenient<'a>,
    }
    let raw: Raw<'_> = serde_json::from_slice(body).map_err(|error| match error.classify() {
        Category::Eof if begins_as_json(body) => NoEnvelope::CutOff,
        Category::Data => NoEnvelope::OtherJson(String::new()),
        _ => NoEnvelope::NoJson,
    })?;
    let elsewhere = [raw.error, raw.message, raw.messages].into_iter();
    let words = elsewhere.map(|raw| Errors::of(raw).words()).find(|words| !words.is_empty());
    let words = words.unwrap_or_default();
    let Errors { all: errors, link } = Errors::of(raw.errors);
    let success = match (raw.success.flag(), raw.title.text()) {
        (Some(success), _) => success,
        _ if !errors.is_empty() => false,
        (_, Some(title)) => {
            return Err(NoEnvelope::Problem(Problem {
                title: quote(&title, MOST_MESSAGE),
                code: raw.error_code.number(),
                retry_after: raw.retry_after.number(),
            }));
        }
        _ => return Err(NoEnvelope::OtherJson(words)),
    };
    Ok(Envelope { success, errors, words, link, result: raw.result, paging: raw.result_info })
}

fn begins_as_json(body: &[u8]) -> bool {
    body.trim_ascii_start().first() == Some(&b'{')
}

/// A record of any type.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct RawRecord<'a> {
    /// Its identifier.
    #[serde(borrow)]
    pub id: Lenient<'a>,
    #[serde(rename = "type")]
    kind: Lenient<'a>,
    name: Lenient<'a>,
    content: Lenient<'a>,
    ttl: Lenient<'a>,
    proxied: Lenient<'a>,
    comment: Lenient<'a>,
    tags: Lenient<'a>,
    meta: Lenient<'a>,
}

/// What may say that a record is a Cloudflare product's. There is no list of these fields; they were seen.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Meta<'a> {
    #[serde(borrow)]
    read_only: Lenient<'a>,
    product: Lenient<'a>,
    managed_by: Lenient<'a>,
    origin_worker_id: Lenient<'a>,
    managed_by_argo_tunnel: Lenient<'a>,
    managed_by_apps: Lenient<'a>,
    email_routing: Lenient<'a>,
}

impl RawRecord<'_> {
    /// The record, unless it is of a type that does not matter here.
    pub fn listed(&self) -> Option<Listed> {
        let text = self.kind.text().unwrap_or_default();
        let kind = RecordType::parse(&text);
        let is_in_the_way = RecordType::ALL.into_iter().any(|kept| kept.excludes(&text));
        let delegates = text.eq_ignore_ascii_case("NS");
        if !(kind.is_some() || is_in_the_way || delegates || text.is_empty()) {
            return None;
        }
        let name = Name::parse(&self.name.text()?).ok()?;
        if is_in_the_way {
            return Some(Listed::Other(name, text.to_ascii_uppercase().into()));
        }
        if delegates {
            let server = self.content.text().map(|server| quote(&server, MOST_MESSAGE));
            let server = server.filter(|server| !server.is_empty());
            return Some(Listed::Delegation(name, server.map_or("another server".into(), Into::into)));
        }
        let Some(record) = kind.and_then(|kind| self.record(kind).ok()) else {
            let id = self.id.text().and_then(|id| RecordId::parse(&id));
            return Some(Listed::Unreadable(name, id.map_or("".into(), |id| id.as_str().into())));
        };
        let meta: Meta<'_> = self.meta.object();
        Some(match meta.read_only.flag() {
            Some(true) => Listed::Managed(record, meta.manager()),
            _ => Listed::Record(record),
        })
    }

    /// The record that a write must answer with.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn written(&self) -> Result<Record, &'static str> {
        let kind = self.kind.text().and_then(|kind| RecordType::parse(&kind));
        self.record(kind.ok_or("a record is of another type than was written")?)
    }

    fn record(&self, kind: RecordType) -> Result<Record, &'static str> {
        let id = self.id.text().and_then(|id| RecordId::parse(&id));
        let name = self.name.text().and_then(|name| Name::parse(&name).ok());
        let content = Content::parse(kind, &self.content.text().unwrap_or_default());
        Ok(Record {
            id: id.ok_or("an address record has no proper id")?,
            name: name.ok_or("an address record has no proper name")?,
            content: content.ok_or("an address record's content is no address")?,
            ttl: Ttl::from_api(self.ttl.number().unwrap_or(1)),
            proxied: self.proxied.flag().unwrap_or(false),
            comment: self.comment.text().filter(|c| !c.is_empty()).map(Into::into),
            tags: self.tags.texts().unwrap_or_default(),
        })
    }
}

impl Meta<'_> {
    /// The Cloudflare product that manages the record, as far as it says so.
    fn manager(&self) -> Option<Box<str>> {
        let named = [self.product, self.managed_by].into_iter().find_map(Lenient::text);
        let named = named.map(|name| quote(&name, 40)).filter(|name| !name.is_empty());
        let says = |field: Lenient<'_>| {
            field.flag() == Some(true) || field.text().is_some_and(|text| !text.is_empty())
        };
        let seen = [
            (self.origin_worker_id, "Workers"),
            (self.managed_by_argo_tunnel, "Cloudflare Tunnel"),
            (self.managed_by_apps, "Cloudflare Apps"),
            (self.email_routing, "Email Routing"),
        ];
        let seen = || seen.into_iter().find(|(field, _)| says(*field)).map(|(_, product)| product.into());
        named.map(Into::into).or_else(seen)
    }
}

/// A zone.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct RawZone<'a> {
    /// Its identifier.
    #[serde(borrow)]
    pub id: Lenient<'a>,
    name: Lenient<'a>,
    account: Lenient<'a>,
    status: Lenient<'a>,
    #[serde(rename = "type")]
    kind: Lenient<'a>,
    plan: Lenient<'a>,
    paused: Lenient<'a>,
    permissions: Lenient<'a>,
}

/// What is read of the objects inside a zone.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Inside<'a> {
    /// Of the account.
    #[serde(borrow)]
    id: Lenient<'a>,
    /// Of the plan.
    legacy_id: Lenient<'a>,
}

impl RawZone<'_> {
    /// The zone, if it has a proper identifier and name.
    pub fn zone(&self) -> Option<ZoneInfo> {
        let word = |raw: Lenient<'_>| raw.text().map(|text| quote(&text, 40).into());
        let or_unknown = |raw| word(raw).unwrap_or_else(|| "unknown".into());
        let account: Inside<'_> = self.account.object();
        let plan: Inside<'_> = self.plan.object();
        Some(ZoneInfo {
            id: self.id.text().and_then(|id| ZoneId::parse(&id))?,
            name: Name::parse(&self.name.text()?).ok()?,
            status: or_unknown(self.status),
            kind: or_unknown(self.kind),
            plan: word(plan.legacy_id),
            paused: self.paused.flag().unwrap_or(false),
            account: account.id.text().and_then(|id| AccountId::parse(&id)),
            permissions: self.permissions.texts(),
        })
    }
}

/// What a batch did.
#[derive(Deserialize)]
pub struct RawWritten<'a> {
    #[serde(default, borrow)]
    deletes: Option<Vec<Lenient<'a>>>,
    #[serde(default, borrow)]
    patches: Option<Vec<Lenient<'a>>>,
    #[serde(default, borrow)]
    posts: Option<Vec<Lenient<'a>>>,
}

impl RawWritten<'_> {
    /// # Errors
    /// What is wrong with one of the records.
    pub fn read(self) -> Result<Written, &'static str> {
        let id = |raw: Lenient<'_>| {
            let id = raw.object::<RawRecord<'_>>().id.text().and_then(|id| RecordId::parse(&id));
            id.ok_or("a deleted record has no proper id")
        };
        let all = |raw: Option<Vec<Lenient<'_>>>| {
            let records = raw.unwrap_or_default().into_iter();
            records.map(|raw| raw.object::<RawRecord<'_>>().written()).collect::<Result<_, _>>()
        };
        let deletes = self.deletes.unwrap_or_default().into_iter();
        Ok(Written {
            deleted: deletes.map(id).collect::<Result<_, _>>()?,
            patched: all(self.patches)?,
            posted: all(self.posts)?,
        })
    }
}

/// What verification says of a token.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct RawToken<'a> {
    #[serde(borrow)]
    status: Lenient<'a>,
    expires_on: Lenient<'a>,
}

impl RawToken<'_> {
    /// # Errors
    /// The answer has no status.
    pub fn read(&self) -> Result<TokenStatus, &'static str> {
        let short = |raw: Lenient<'_>| raw.text().map(|text| quote(&text, 40).into());
        Ok(TokenStatus {
            status: short(self.status).ok_or("the token has no status")?,
            expires_on: short(self.expires_on),
        })
    }
}

/// The errors of an answer, in whatever form: a list of objects with chains below them, one object,
/// plain texts.
#[derive(Default)]
struct Errors {
    all: Vec<ApiError>,
    /// The first `documentation_url`.
    link: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct RawError<'a> {
    #[serde(borrow)]
    code: Lenient<'a>,
    message: Lenient<'a>,
    documentation_url: Lenient<'a>,
    error_chain: Lenient<'a>,
}

impl Errors {
    fn of(raw: Lenient<'_>) -> Errors {
        let mut errors = Errors::default();
        errors.add(raw);
        errors
    }

    fn add(&mut self, raw: Lenient<'_>) {
        for entry in raw.read().unwrap_or_else(|| vec![raw]) {
            // Each level below this one has an error of its own, which ends the recursion.
            if self.all.len() == MOST_ERRORS {
                return;
            }
            if let Some(text) = entry.text() {
                self.push(0, &text);
            } else if entry.is_object() {
                let error: RawError<'_> = entry.object();
                let message = error.message.text();
                let code = error.code.number().map_or(0, i64::from);
                self.push(code, message.as_deref().unwrap_or("no message"));
                let link = error.documentation_url.text().filter(|link| link.starts_with("https://"));
                let link = link.map(|link| quote(&link, MOST_MESSAGE));
                self.link = self.link.take().or(link);
                self.add(error.error_chain);
            }
        }
    }

    fn push(&mut self, code: i64, message: &str) {
        self.all.push(ApiError { code, message: quote(message, MOST_MESSAGE) });
    }

    /// All messages, without codes.
    fn words(&self) -> String {
        let words: Vec<_> = self.all.iter().map(|error| error.message.trim_end_matches('.')).collect();
        quote(words.join("; "), MOST_MESSAGE)
    }
}
