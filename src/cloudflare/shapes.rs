//! The JSON that Cloudflare answers with, read into the engine's values.
//!
//! Tolerant of what does not matter: fields that are unknown, missing, null or of another kind, and
//! whole entries of a list that cannot be read. Those at a name that can be read are handed on as
//! such, since they may stand in the way. Strict about what a write is answered with. Deliberately
//! unknown: HTTP, what a refusal means.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::error::Category;

use super::excerpt;
use super::lists::{Entry, Paging};
use crate::engine::api::{Listed, TokenStatus, Written, ZoneInfo};
use crate::engine::failure::ApiError;
use crate::engine::names::{AccountId, Family, Name, Record, RecordId, Ttl, ZoneId};

/// Methods of a visitor for JSON that says nothing here.
macro_rules! says_nothing {
    ($($method:ident: $kind:ty),+) => {
        $(fn $method<E>(self, _: $kind) -> Result<Self::Value, E> {
            Ok(Self::Value::default())
        })+
    };
}

/// Errors of one answer that are kept.
const MOST_ERRORS: usize = 20;
/// Characters of an error's message that are kept.
const MOST_MESSAGE: usize = 300;
/// Fields of an object inside an entry that are kept.
const MOST_FIELDS: usize = 16;

/// What every answer has around its result.
pub struct Envelope {
    /// Whether Cloudflare says that it did what was asked.
    pub success: bool,
    /// All errors, those inside `error_chain` included, outermost first.
    pub errors: Vec<ApiError>,
    /// What it says elsewhere when it has no errors, in `error`, `message` or `messages`. May be empty.
    pub words: String,
    /// Where Cloudflare explains the error.
    pub link: Option<String>,
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
pub fn envelope(body: &[u8]) -> Result<Envelope, NoEnvelope> {
    #[derive(serde::Deserialize)]
    #[serde(default)]
    #[derive(Default)]
    struct Raw<'a> {
        #[serde(borrow)]
        success: Atom<'a>,
        errors: Errors,
        error: Errors,
        message: Errors,
        messages: Errors,
        #[serde(borrow)]
        title: Atom<'a>,
        #[serde(borrow)]
        error_code: Atom<'a>,
        #[serde(borrow)]
        retry_after: Atom<'a>,
    }
    let raw: Raw<'_> = serde_json::from_slice(body).map_err(|error| match error.classify() {
        Category::Eof if begins_as_json(body) => NoEnvelope::CutOff,
        Category::Data => NoEnvelope::OtherJson(String::new()),
        _ => NoEnvelope::NoJson,
    })?;
    let elsewhere = [raw.error, raw.message, raw.messages].into_iter();
    let words = elsewhere.map(|errors| errors.words()).find(|words| !words.is_empty()).unwrap_or_default();
    let success = match (raw.success, raw.title.text()) {
        (Atom::Flag(success), _) => success,
        _ if !raw.errors.all.is_empty() => false,
        (_, Some(title)) => {
            return Err(NoEnvelope::Problem(Problem {
                title: excerpt::clean(title, MOST_MESSAGE),
                code: raw.error_code.number(),
                retry_after: raw.retry_after.number(),
            }));
        }
        _ => return Err(NoEnvelope::OtherJson(words)),
    };
    Ok(Envelope { success, errors: raw.errors.all, words, link: raw.errors.link })
}

fn begins_as_json(body: &[u8]) -> bool {
    body.trim_ascii_start().first() == Some(&b'{')
}

/// Reads the result of an answer, and what it says of the pages of a list.
///
/// # Errors
/// What is wrong with it, to be shown.
pub fn result<'a, T: Default + Deserialize<'a>>(body: &'a [u8]) -> Result<(T, Paging<'a>), String> {
    #[derive(Default, serde::Deserialize)]
    #[serde(default)]
    struct Raw<'a, T> {
        result: T,
        #[serde(borrow)]
        result_info: Object<'a, Paging<'a>>,
    }
    let raw: Raw<'a, T> = serde_json::from_slice(body)
        .map_err(|_| "its result does not have the form that Cloudflare documents")?;
    Ok((raw.result, raw.result_info.fields))
}

/// Fields of a JSON object that are kept.
pub trait Fields<'a>: Default {
    /// Where the field of this name goes; `None` for one that is not kept.
    fn field(&mut self, name: &str) -> Option<&mut Atom<'a>>;
}

/// A JSON object of which some fields are kept. JSON of any other kind reads as one without fields,
/// and of two fields of one name the last one counts.
#[derive(Default)]
pub struct Object<'a, T> {
    /// The fields.
    pub fields: T,
    borrowed: PhantomData<&'a ()>,
}

impl<'de: 'a, 'a, T: Fields<'a>> Deserialize<'de> for Object<'a, T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyObject(Object { fields: T::default(), borrowed: PhantomData }))
    }
}

struct AnyObject<'a, T>(Object<'a, T>);

impl<'de: 'a, 'a, T: Fields<'a>> Visitor<'de> for AnyObject<'a, T> {
    type Value = Object<'a, T>;

    says_nothing!(visit_bool: bool, visit_u64: u64, visit_i64: i64, visit_f64: f64, visit_str: &str);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_unit<E>(self) -> Result<Object<'a, T>, E> {
        Ok(self.0)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Object<'a, T>, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(self.0)
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<Object<'a, T>, A::Error> {
        while let Some(key) = map.next_key::<Cow<'de, str>>()? {
            match self.0.fields.field(&key) {
                Some(field) => *field = map.next_value()?,
                None => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(self.0)
    }
}

/// A record of any type.
#[derive(Default)]
pub struct RawRecord<'a> {
    id: Atom<'a>,
    kind: Atom<'a>,
    name: Atom<'a>,
    content: Atom<'a>,
    ttl: Atom<'a>,
    proxied: Atom<'a>,
    comment: Atom<'a>,
    tags: Atom<'a>,
    meta: Atom<'a>,
}

impl<'a> Fields<'a> for RawRecord<'a> {
    fn field(&mut self, name: &str) -> Option<&mut Atom<'a>> {
        Some(match name {
            "id" => &mut self.id,
            "type" => &mut self.kind,
            "name" => &mut self.name,
            "content" => &mut self.content,
            "ttl" => &mut self.ttl,
            "proxied" => &mut self.proxied,
            "comment" => &mut self.comment,
            "tags" => &mut self.tags,
            "meta" => &mut self.meta,
            _ => return None,
        })
    }
}

impl<'a> Entry<'a> for RawRecord<'a> {
    type Item = Listed;

    fn read(self) -> Option<Listed> {
        let kind = self.kind.text().unwrap_or_default();
        let family = Family::of_record_type(kind);
        let is = |known: &str| kind.eq_ignore_ascii_case(known);
        if !(family.is_some() || is("CNAME") || is("NS") || kind.is_empty()) {
            return None;
        }
        let name = Name::parse(self.name.text()?).ok()?;
        if is("CNAME") {
            return Some(Listed::Alias(name));
        }
        if is("NS") {
            let server = self.content.text().map(|server| excerpt::clean(server, MOST_MESSAGE));
            let server = server.filter(|server| !server.is_empty());
            return Some(Listed::Delegation(name, server.map_or("another server".into(), Into::into)));
        }
        let read_only = self.meta.member("read_only").and_then(Atom::flag) == Some(true);
        let product = product(&self.meta);
        let id = self.id.text().and_then(RecordId::parse);
        Some(match (family.and_then(|family| self.address(family).ok()), read_only) {
            (Some(record), true) => Listed::Managed(record, product),
            (Some(record), false) => Listed::Address(record),
            (None, _) => Listed::Unreadable(name, id.map_or("".into(), |id| id.as_str().into())),
        })
    }
}

/// The Cloudflare product that manages a record, as far as its `meta` says. There is no list of the
/// names in it; these were seen.
fn product(meta: &Atom<'_>) -> Option<Box<str>> {
    const SEEN: [(&str, &str); 4] = [
        ("origin_worker_id", "Workers"),
        ("managed_by_argo_tunnel", "Cloudflare Tunnel"),
        ("managed_by_apps", "Cloudflare Apps"),
        ("email_routing", "Email Routing"),
    ];
    let says = |key| match meta.member(key) {
        Some(Atom::Text(text)) => !text.is_empty(),
        Some(Atom::Flag(flag)) => *flag,
        _ => false,
    };
    let named = ["product", "managed_by"].into_iter().find_map(|key| meta.member(key)?.text());
    let named = named.map(|name| excerpt::clean(name, 40)).filter(|name| !name.is_empty());
    let seen = || SEEN.into_iter().find(|(key, _)| says(key)).map(|(_, product)| product.into());
    named.map(Into::into).or_else(seen)
}

impl RawRecord<'_> {
    /// The A or AAAA record that a write must answer with.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn written(self) -> Result<Record, &'static str> {
        let kind = self.kind.text().and_then(Family::of_record_type);
        self.address(kind.ok_or("a record is of another type than was written")?)
    }

    fn address(self, family: Family) -> Result<Record, &'static str> {
        let id = self.id.text().and_then(RecordId::parse);
        let name = self.name.text().and_then(|name| Name::parse(name).ok());
        let content = self.content.text().unwrap_or_default();
        let content = match family {
            Family::V4 => content.parse::<Ipv4Addr>().map(IpAddr::V4),
            Family::V6 => content.parse::<Ipv6Addr>().map(IpAddr::V6),
        };
        Ok(Record {
            id: id.ok_or("an address record has no proper id")?,
            name: name.ok_or("an address record has no proper name")?,
            content: content.map_err(|_| "an address record's content is no address")?,
            ttl: Ttl::from_api(self.ttl.number().unwrap_or(1)),
            proxied: self.proxied.flag().unwrap_or(false),
            comment: self.comment.text().filter(|c| !c.is_empty()).map(Into::into),
            tags: self.tags.texts().unwrap_or_default(),
        })
    }
}

/// A zone.
#[derive(Default)]
pub struct RawZone<'a> {
    id: Atom<'a>,
    name: Atom<'a>,
    account: Atom<'a>,
    status: Atom<'a>,
    kind: Atom<'a>,
    plan: Atom<'a>,
    paused: Atom<'a>,
    permissions: Atom<'a>,
}

impl<'a> Fields<'a> for RawZone<'a> {
    fn field(&mut self, name: &str) -> Option<&mut Atom<'a>> {
        Some(match name {
            "id" => &mut self.id,
            "name" => &mut self.name,
            "account" => &mut self.account,
            "status" => &mut self.status,
            "type" => &mut self.kind,
            "plan" => &mut self.plan,
            "paused" => &mut self.paused,
            "permissions" => &mut self.permissions,
            _ => return None,
        })
    }
}

impl<'a> Entry<'a> for RawZone<'a> {
    type Item = ZoneInfo;

    fn read(self) -> Option<ZoneInfo> {
        let word = |text: &str| excerpt::clean(text, 40).into();
        let or_unknown = |atom: &Atom<'_>| atom.text().map_or("unknown".into(), word);
        Some(ZoneInfo {
            id: self.id.text().and_then(ZoneId::parse)?,
            name: Name::parse(self.name.text()?).ok()?,
            status: or_unknown(&self.status),
            kind: or_unknown(&self.kind),
            plan: self.plan.member("legacy_id").and_then(Atom::text).map(word),
            paused: self.paused.flag().unwrap_or(false),
            account: self.account.member("id").and_then(Atom::text).and_then(AccountId::parse),
            permissions: self.permissions.texts(),
        })
    }
}

/// What a batch did.
#[derive(serde::Deserialize)]
pub struct RawWritten<'a> {
    #[serde(default, borrow)]
    deletes: Option<Vec<Object<'a, RawRecord<'a>>>>,
    #[serde(default, borrow)]
    patches: Option<Vec<Object<'a, RawRecord<'a>>>>,
    #[serde(default, borrow)]
    posts: Option<Vec<Object<'a, RawRecord<'a>>>>,
}

impl RawWritten<'_> {
    /// # Errors
    /// What is wrong with one of the records.
    pub fn read(self) -> Result<Written, &'static str> {
        let id = |raw: Object<'_, RawRecord<'_>>| {
            let id = raw.fields.id.text().and_then(RecordId::parse);
            id.ok_or("a deleted record has no proper id")
        };
        let all = |raw: Option<Vec<Object<'_, RawRecord<'_>>>>| {
            let records = raw.unwrap_or_default().into_iter();
            records.map(|raw| raw.fields.written()).collect::<Result<_, _>>()
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
#[derive(Default)]
pub struct RawToken<'a> {
    status: Atom<'a>,
    expires_on: Atom<'a>,
}

impl<'a> Fields<'a> for RawToken<'a> {
    fn field(&mut self, name: &str) -> Option<&mut Atom<'a>> {
        match name {
            "status" => Some(&mut self.status),
            "expires_on" => Some(&mut self.expires_on),
            _ => None,
        }
    }
}

impl RawToken<'_> {
    /// # Errors
    /// The answer has no status.
    pub fn read(self) -> Result<TokenStatus, &'static str> {
        let short = |text: &str| excerpt::clean(text, 40).into();
        Ok(TokenStatus {
            status: short(self.status.text().ok_or("the token has no status")?),
            expires_on: self.expires_on.text().map(short),
        })
    }
}

/// A JSON value, as far as it can matter: a field that turns out to be of another kind than
/// expected reads as absent instead of spoiling the whole answer.
#[derive(Default)]
pub enum Atom<'a> {
    /// A text.
    Text(Cow<'a, str>),
    /// A whole number.
    Number(u64),
    /// `true` or `false`.
    Flag(bool),
    /// The texts of an array.
    Texts(Vec<Box<str>>),
    /// The first fields of an object.
    Members(Vec<(Cow<'a, str>, Atom<'a>)>),
    /// Anything else, and nothing.
    #[default]
    Other,
}

impl<'a> Atom<'a> {
    /// The text, if it is one.
    pub fn text(&self) -> Option<&str> {
        match self {
            Atom::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The number, also one that is written as a text.
    pub fn number(&self) -> Option<u32> {
        match self {
            Atom::Number(number) => u32::try_from(*number).ok(),
            Atom::Text(text) => text.parse().ok(),
            _ => None,
        }
    }

    fn flag(&self) -> Option<bool> {
        match self {
            Atom::Flag(flag) => Some(*flag),
            _ => None,
        }
    }

    fn texts(self) -> Option<Vec<Box<str>>> {
        match self {
            Atom::Texts(texts) => Some(texts),
            _ => None,
        }
    }

    fn member(&self, name: &str) -> Option<&Atom<'a>> {
        match self {
            Atom::Members(all) => all.iter().find(|(known, _)| known == name).map(|(_, value)| value),
            _ => None,
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Atom<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyAtom)
    }
}

struct AnyAtom;

impl<'de> Visitor<'de> for AnyAtom {
    type Value = Atom<'de>;

    says_nothing!(visit_i64: i64, visit_f64: f64);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Atom<'de>, E> {
        Ok(Atom::Flag(flag))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Atom<'de>, E> {
        Ok(Atom::Number(number))
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Atom<'de>, E> {
        Ok(Atom::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Atom<'de>, E> {
        Ok(Atom::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_unit<E>(self) -> Result<Atom<'de>, E> {
        Ok(Atom::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Atom<'de>, A::Error> {
        let mut texts = Vec::new();
        while let Some(atom) = seq.next_element::<Atom<'de>>()? {
            if let Atom::Text(text) = atom {
                texts.push(text.into());
            }
        }
        Ok(Atom::Texts(texts))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Atom<'de>, A::Error> {
        let mut members = Vec::new();
        while let Some((key, value)) = map.next_entry()? {
            if members.len() < MOST_FIELDS {
                members.push((key, value));
            }
        }
        Ok(Atom::Members(members))
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

impl Errors {
    fn add(&mut self, more: Errors) {
        let room = MOST_ERRORS.saturating_sub(self.all.len());
        self.all.extend(more.all.into_iter().take(room));
        self.link = self.link.take().or(more.link);
    }

    /// All messages, without codes.
    fn words(&self) -> String {
        let words: Vec<_> = self.all.iter().map(|error| error.message.trim_end_matches('.')).collect();
        excerpt::clean(&words.join("; "), MOST_MESSAGE)
    }
}

impl<'de> Deserialize<'de> for Errors {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyErrors)
    }
}

struct AnyErrors;

impl<'de> Visitor<'de> for AnyErrors {
    type Value = Errors;

    says_nothing!(visit_bool: bool, visit_u64: u64, visit_i64: i64, visit_f64: f64);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("errors")
    }

    fn visit_unit<E>(self) -> Result<Errors, E> {
        Ok(Errors::default())
    }

    fn visit_str<E>(self, text: &str) -> Result<Errors, E> {
        let error = ApiError { code: 0, message: excerpt::clean(text, MOST_MESSAGE) };
        Ok(Errors { all: vec![error], link: None })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Errors, A::Error> {
        let mut errors = Errors::default();
        while let Some(more) = seq.next_element::<Errors>()? {
            errors.add(more);
        }
        Ok(errors)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Errors, A::Error> {
        let (mut code, mut message, mut link) = (Atom::Other, Atom::Other, Atom::Other);
        let mut chain = Errors::default();
        while let Some(key) = map.next_key::<Cow<'de, str>>()? {
            match &*key {
                "code" => code = map.next_value()?,
                "message" => message = map.next_value()?,
                "documentation_url" => link = map.next_value()?,
                "error_chain" => chain = map.next_value()?,
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        let link = link.text().filter(|link| link.starts_with("https://"));
        let mut errors = Errors {
            all: vec![ApiError {
                code: code.number().map_or(0, i64::from),
                message: excerpt::clean(message.text().unwrap_or("no message"), MOST_MESSAGE),
            }],
            link: link.map(|link| excerpt::clean(link, MOST_MESSAGE)),
        };
        errors.add(chain);
        Ok(errors)
    }
}
