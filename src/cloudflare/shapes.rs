//! The JSON that Cloudflare answers with, read into the engine's values.
//!
//! Tolerant of what does not matter: fields that are unknown, missing, null or of another kind.
//! Strict where a wrong guess would change somebody's records: the id, type, name and content of A
//! and AAAA records, the id and name of zones. A list with one malformed entry of these is refused
//! as a whole. Entries of other types are stepped over without being stored. Deliberately unknown:
//! HTTP, what a refusal means.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::de::{self, Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::error::Category;

use super::excerpt;
use crate::engine::failure::ApiError;
use crate::engine::names::{AccountId, Family, Name, Record, RecordId, Ttl, ZoneId};
use crate::engine::request::{Listed, TokenStatus, Written, Zone};

/// Errors of one answer that are kept.
const MOST_ERRORS: usize = 20;
/// Characters of an error's message that are kept.
const MOST_MESSAGE: usize = 300;

/// What every answer has around its result.
pub struct Envelope {
    /// Whether Cloudflare says that it did what was asked.
    pub success: bool,
    /// All errors, those inside `error_chain` included, outermost first.
    pub errors: Vec<ApiError>,
}

/// Why a body is no envelope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoEnvelope {
    /// It begins as JSON and stops in the middle.
    CutOff,
    /// It is JSON of another kind.
    OtherJson,
    /// It is no JSON.
    NoJson,
}

/// Reads the envelope; the result is only stepped over.
pub fn envelope(body: &[u8]) -> Result<Envelope, NoEnvelope> {
    #[derive(serde::Deserialize)]
    struct Raw<'a> {
        #[serde(default, borrow)]
        success: Atom<'a>,
        #[serde(default)]
        errors: Errors,
    }
    let raw: Raw<'_> = serde_json::from_slice(body).map_err(|error| match error.classify() {
        Category::Eof if begins_as_json(body) => NoEnvelope::CutOff,
        Category::Data => NoEnvelope::OtherJson,
        _ => NoEnvelope::NoJson,
    })?;
    let success = match raw.success {
        Atom::Flag(success) => success,
        _ if !raw.errors.0.is_empty() => false,
        _ => return Err(NoEnvelope::OtherJson),
    };
    Ok(Envelope { success, errors: raw.errors.0 })
}

fn begins_as_json(body: &[u8]) -> bool {
    body.trim_ascii_start().first() == Some(&b'{')
}

/// Reads the result of an answer.
///
/// # Errors
/// What is wrong with it, to be shown.
pub fn result<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, String> {
    #[derive(serde::Deserialize)]
    struct Raw<T> {
        result: T,
    }
    let raw: Raw<T> = serde_json::from_slice(body)
        .map_err(|error| format!("the answer cannot be used: {}", excerpt::clean(&error.to_string(), 200)))?;
    Ok(raw.result)
}

/// How many entries there are on all pages, if the answer says so; `page` is the one asked for and
/// `entries` what is on it.
///
/// Newer lists say `total_count`, some only `total_pages`; then it is exact on the last page, and as
/// many as fit before. A total below what is on the page itself is not believed.
pub fn total(body: &[u8], page: u32, entries: u32) -> Option<u32> {
    #[derive(serde::Deserialize)]
    struct Raw<'a> {
        #[serde(borrow)]
        result_info: Paging<'a>,
    }
    #[derive(Default, serde::Deserialize)]
    #[serde(default)]
    struct Paging<'a> {
        #[serde(borrow)]
        total_count: Atom<'a>,
        #[serde(borrow)]
        total_pages: Atom<'a>,
        #[serde(borrow)]
        per_page: Atom<'a>,
    }
    let paging = serde_json::from_slice::<Raw<'_>>(body).ok()?.result_info;
    let from_pages = || {
        let (pages, per_page) = (paging.total_pages.number()?, paging.per_page.number()?);
        let before = |pages: u32| pages.checked_mul(per_page);
        if pages > page { before(pages) } else { before(page.saturating_sub(1))?.checked_add(entries) }
    };
    let total = paging.total_count.number().or_else(from_pages)?;
    (total >= entries).then_some(total)
}

/// A list of which only some entries are kept, each read and judged as it comes by.
pub struct List<E: Entry> {
    /// What is kept.
    pub items: Vec<E::Item>,
    /// How many entries there were.
    pub entries: u32,
}

/// The raw form of an entry of a list.
pub trait Entry {
    /// What it becomes.
    type Item;

    /// `None` for an entry that does not matter here.
    ///
    /// # Errors
    /// What is wrong with an entry that does.
    fn read(self) -> Result<Option<Self::Item>, &'static str>;
}

impl<'de, E: Entry + Deserialize<'de>> Deserialize<'de> for List<E> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries<E>(PhantomData<E>);

        impl<'de, E: Entry + Deserialize<'de>> Visitor<'de> for Entries<E> {
            type Value = List<E>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<List<E>, A::Error> {
                let mut list = List { items: Vec::new(), entries: 0 };
                while let Some(raw) = seq.next_element::<E>()? {
                    list.entries = list.entries.saturating_add(1);
                    list.items.extend(raw.read().map_err(de::Error::custom)?);
                }
                Ok(list)
            }
        }
        deserializer.deserialize_seq(Entries(PhantomData))
    }
}

/// A record of any type.
#[derive(Default, serde::Deserialize)]
#[serde(default)]
pub struct RawRecord<'a> {
    #[serde(borrow)]
    id: Atom<'a>,
    #[serde(borrow, rename = "type")]
    kind: Atom<'a>,
    #[serde(borrow)]
    name: Atom<'a>,
    #[serde(borrow)]
    content: Atom<'a>,
    #[serde(borrow)]
    ttl: Atom<'a>,
    #[serde(borrow)]
    proxied: Atom<'a>,
    #[serde(borrow)]
    comment: Atom<'a>,
    #[serde(borrow)]
    tags: Atom<'a>,
}

impl Entry for RawRecord<'_> {
    type Item = Listed;

    fn read(self) -> Result<Option<Listed>, &'static str> {
        let kind = self.kind.text().ok_or("a record without a type")?;
        if kind.eq_ignore_ascii_case("CNAME") {
            let name = self.name.text().and_then(|name| Name::parse(name).ok());
            return Ok(name.map(Listed::Alias));
        }
        match Family::of_record_type(kind) {
            Some(family) => Ok(self.address(family)?.map(Listed::Address)),
            None => Ok(None),
        }
    }
}

impl RawRecord<'_> {
    /// The A or AAAA record that a write must answer with.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn written(self) -> Result<Record, &'static str> {
        let kind = self.kind.text().and_then(Family::of_record_type);
        let family = kind.ok_or("a record of another type than was written")?;
        self.address(family)?.ok_or("a record of another name than was written")
    }

    /// `None` if the record's name is none that this program manages.
    fn address(self, family: Family) -> Result<Option<Record>, &'static str> {
        let id = self.id.text().and_then(RecordId::parse);
        let id = id.ok_or("an address record without a proper id")?;
        let name = self.name.text().ok_or("an address record without a name")?;
        let content = self.content.text().unwrap_or_default();
        let content = match family {
            Family::V4 => content.parse::<Ipv4Addr>().map(IpAddr::V4),
            Family::V6 => content.parse::<Ipv6Addr>().map(IpAddr::V6),
        };
        let content = content.map_err(|_| "an address record whose content is no address")?;
        let Ok(name) = Name::parse(name) else {
            return Ok(None);
        };
        Ok(Some(Record {
            id,
            name,
            content,
            ttl: Ttl::from_api(self.ttl.number().unwrap_or(1)),
            proxied: self.proxied.flag().unwrap_or(false),
            comment: self.comment.text().filter(|c| !c.is_empty()).map(Into::into),
            tags: self.tags.texts().unwrap_or_default(),
        }))
    }
}

/// A zone.
#[derive(Default, serde::Deserialize)]
#[serde(default)]
pub struct RawZone<'a> {
    #[serde(borrow)]
    id: Atom<'a>,
    #[serde(borrow)]
    name: Atom<'a>,
    #[serde(borrow)]
    account: Atom<'a>,
    #[serde(borrow)]
    status: Atom<'a>,
    #[serde(borrow, rename = "type")]
    kind: Atom<'a>,
    #[serde(borrow)]
    paused: Atom<'a>,
    #[serde(borrow)]
    permissions: Atom<'a>,
}

impl Entry for RawZone<'_> {
    type Item = Zone;

    fn read(self) -> Result<Option<Zone>, &'static str> {
        let id = self.id.text().and_then(ZoneId::parse);
        let id = id.ok_or("a zone without a proper id")?;
        let name = self.name.text().ok_or("a zone without a name")?;
        let Ok(name) = Name::parse(name) else {
            return Ok(None);
        };
        let word =
            |atom: &Atom<'_>| atom.text().map_or("unknown".into(), |text| excerpt::clean(text, 40).into());
        Ok(Some(Zone {
            id,
            name,
            status: word(&self.status),
            kind: word(&self.kind),
            plan: None,
            paused: self.paused.flag().unwrap_or(false),
            account: self.account.id().and_then(AccountId::parse),
            permissions: self.permissions.texts(),
        }))
    }
}

/// What a batch did.
#[derive(serde::Deserialize)]
pub struct RawWritten<'a> {
    #[serde(default, borrow)]
    deletes: Option<Vec<RawRecord<'a>>>,
    #[serde(default, borrow)]
    patches: Option<Vec<RawRecord<'a>>>,
    #[serde(default, borrow)]
    posts: Option<Vec<RawRecord<'a>>>,
}

impl RawWritten<'_> {
    /// # Errors
    /// What is wrong with one of the records.
    pub fn read(self) -> Result<Written, &'static str> {
        let id = |raw: RawRecord<'_>| {
            let id = raw.id.text().and_then(RecordId::parse);
            id.ok_or("a deleted record without a proper id")
        };
        let all = |raw: Option<Vec<RawRecord<'_>>>| {
            let records = raw.unwrap_or_default().into_iter();
            records.map(RawRecord::written).collect::<Result<_, _>>()
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
#[derive(Default, serde::Deserialize)]
#[serde(default)]
pub struct RawToken<'a> {
    #[serde(borrow)]
    status: Atom<'a>,
    #[serde(borrow)]
    expires_on: Atom<'a>,
}

impl RawToken<'_> {
    /// # Errors
    /// The answer has no status.
    pub fn read(self) -> Result<TokenStatus, &'static str> {
        let short = |text: &str| excerpt::clean(text, 40).into();
        Ok(TokenStatus {
            status: short(self.status.text().ok_or("a token without a status")?),
            expires_on: self.expires_on.text().map(short),
        })
    }
}

/// A JSON value, as far as it can matter: a field that turns out to be of another kind than
/// expected reads as absent instead of spoiling the whole answer.
#[derive(Default)]
enum Atom<'a> {
    Text(Cow<'a, str>),
    Number(u64),
    Flag(bool),
    /// The texts of an array.
    Texts(Vec<Box<str>>),
    /// The `id` of an object.
    Id(Box<str>),
    #[default]
    Other,
}

impl Atom<'_> {
    fn text(&self) -> Option<&str> {
        match self {
            Atom::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Also a number that is written as a text.
    fn number(&self) -> Option<u32> {
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

    fn id(&self) -> Option<&str> {
        match self {
            Atom::Id(id) => Some(id),
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

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Atom<'de>, E> {
        Ok(Atom::Flag(flag))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Atom<'de>, E> {
        Ok(Atom::Number(number))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Atom<'de>, E> {
        Ok(Atom::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Atom<'de>, E> {
        Ok(Atom::Other)
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
        let mut found = Atom::Other;
        while let Some(key) = map.next_key::<Cow<'de, str>>()? {
            if key != "id" {
                map.next_value::<IgnoredAny>()?;
            } else if let Atom::Text(id) = map.next_value::<Atom<'de>>()? {
                found = Atom::Id(id.into());
            }
        }
        Ok(found)
    }
}

/// The errors of an answer, in whatever form: a list of objects with chains below them, one object,
/// plain texts.
#[derive(Default)]
struct Errors(Vec<ApiError>);

impl Errors {
    fn add(&mut self, more: Vec<ApiError>) {
        let room = MOST_ERRORS.saturating_sub(self.0.len());
        self.0.extend(more.into_iter().take(room));
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

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("errors")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Errors, E> {
        Ok(Errors::default())
    }

    fn visit_u64<E>(self, _: u64) -> Result<Errors, E> {
        Ok(Errors::default())
    }

    fn visit_i64<E>(self, _: i64) -> Result<Errors, E> {
        Ok(Errors::default())
    }

    fn visit_f64<E>(self, _: f64) -> Result<Errors, E> {
        Ok(Errors::default())
    }

    fn visit_unit<E>(self) -> Result<Errors, E> {
        Ok(Errors::default())
    }

    fn visit_str<E>(self, text: &str) -> Result<Errors, E> {
        Ok(Errors(vec![ApiError { code: 0, message: excerpt::clean(text, MOST_MESSAGE) }]))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Errors, A::Error> {
        let mut errors = Errors::default();
        while let Some(more) = seq.next_element::<Errors>()? {
            errors.add(more.0);
        }
        Ok(errors)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Errors, A::Error> {
        let (mut code, mut message, mut chain) = (Atom::Other, Atom::Other, Errors::default());
        while let Some(key) = map.next_key::<Cow<'de, str>>()? {
            match &*key {
                "code" => code = map.next_value()?,
                "message" => message = map.next_value()?,
                "error_chain" => chain = map.next_value()?,
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        let mut errors = Errors(vec![ApiError {
            code: code.number().map_or(0, i64::from),
            message: excerpt::clean(message.text().unwrap_or("no message"), MOST_MESSAGE),
        }]);
        errors.add(chain.0);
        Ok(errors)
    }
}
