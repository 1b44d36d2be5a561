//! What can be asked of Cloudflare, and what it can answer, in the engine's words.
//!
//! Deliberately unknown: paths, methods, JSON; `cloudflare` turns these values into HTTP and back.

use std::time::Duration;

use super::failure::Failure;
use super::names::{AccountId, Content, Name, Record, RecordId, Ttl, ZoneId};

/// Zones on a page: the most that Cloudflare allows.
/// Source: the API's OpenAPI document, `GET /zones`, `per_page`.
pub const ZONES_PER_PAGE: u32 = 50;

/// One request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// A page (from 1) of the zones that the credential sees, 50 a page; or the zones of one name.
    Zones {
        /// Which page.
        page: u32,
        /// Only zones of exactly this name.
        name: Option<Name>,
    },
    /// One zone by its identifier.
    Zone(ZoneId),
    /// A page (from 1) of a zone's records of every type, or of one name's.
    Records {
        /// The zone.
        zone: ZoneId,
        /// Only records of exactly this name.
        name: Option<Name>,
        /// Which page.
        page: u32,
        /// Records on a page, 1 to 5,000.
        per_page: u32,
    },
    /// A page (from 1) of the NS records of a zone, which say what is delegated.
    NameServers {
        /// The zone.
        zone: ZoneId,
        /// Which page.
        page: u32,
        /// Records on a page, 1 to 5,000.
        per_page: u32,
    },
    /// Changes to a zone, all or none.
    Batch {
        /// The zone.
        zone: ZoneId,
        /// The changes.
        batch: Batch,
    },
    /// Whether Cloudflare knows the token: `None` asks about a user's token, `Some` about one that
    /// the account owns. Explains failures only: a refusal here proves nothing.
    Verify(Option<AccountId>),
}

impl Request {
    /// Whether the request changes anything.
    pub fn writes(&self) -> bool {
        matches!(self, Request::Batch { .. })
    }
}

/// Changes to one zone. Cloudflare carries out deletes, then patches, then posts, in one transaction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// Records to delete.
    pub deletes: Vec<RecordId>,
    /// Records to change.
    pub patches: Vec<Patch>,
    /// Records to create.
    pub posts: Vec<Post>,
}

impl Batch {
    /// The most operations in one batch on a free plan (3,500 on others).
    /// Source: developers.cloudflare.com, "batch record changes".
    pub const MOST_OPERATIONS: usize = 200;
    /// The most on a paid plan.
    pub const PAID_OPERATIONS: usize = 3_500;

    /// How many operations it has.
    pub fn len(&self) -> usize {
        self.deletes.len() + self.patches.len() + self.posts.len()
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// What changes in one record; `None` keeps what it has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Patch {
    /// The record.
    pub id: RecordId,
    /// Its name, which does not change; sent because the API's schema wants it.
    pub name: Name,
    /// What it holds or is to hold. Always sent.
    pub content: Content,
    /// Whether it is to be proxied.
    pub proxied: Option<bool>,
    /// Its TTL.
    pub ttl: Option<Ttl>,
    /// Its whole comment.
    pub comment: Option<Box<str>>,
    /// All of its tags.
    pub tags: Option<Vec<Box<str>>>,
}

/// A record to create.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Post {
    /// Its name.
    pub name: Name,
    /// What it holds.
    pub content: Content,
    /// Whether it is proxied.
    pub proxied: bool,
    /// Its TTL.
    pub ttl: Ttl,
    /// Its comment, stayput's mark included.
    pub comment: Box<str>,
    /// Its tags; not sent when empty.
    pub tags: Vec<Box<str>>,
}

/// What came back for one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// What the `Ratelimit` and `Ratelimit-Policy` headers said; empty without them.
    pub limits: Vec<RateLimit>,
    /// `Retry-After`, of whatever answer; a floor for the next request.
    pub retry_after: Option<Duration>,
    /// How long it took.
    pub took: Duration,
    /// What was asked for, or why not.
    pub outcome: Result<Found, Failure>,
}

impl Answer {
    /// No answer, but a failure.
    pub fn failed(failure: Failure, took: Duration) -> Answer {
        Answer { limits: Vec::new(), retry_after: None, took, outcome: Err(failure) }
    }
}

/// One item of the `Ratelimit` header, with the item of `Ratelimit-Policy` of the same name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// `r`: requests left.
    pub remaining: u32,
    /// `t`: until the count starts again.
    pub reset: Duration,
    /// `q` and `w` of the policy: so many requests in so long.
    pub quota: Option<(u32, Duration)>,
}

/// A successful answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// Answer to [`Request::Zones`].
    Zones(Page<ZoneInfo>),
    /// Answer to [`Request::Zone`].
    Zone(ZoneInfo),
    /// Answer to [`Request::Records`] and [`Request::NameServers`]: records of other types are left
    /// out, but are counted.
    Records(Page<Listed>),
    /// Answer to [`Request::Batch`].
    Written(Written),
    /// Answer to [`Request::Verify`].
    Token(TokenStatus),
}

/// One page of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// What is on it.
    pub items: Vec<T>,
    /// How many entries Cloudflare put on the page, those that are not in `items` included.
    pub entries: u32,
    /// How many entries there are on all pages, if the answer says so.
    pub total: Option<u32>,
    /// The page size that the answer says was used, which may be less than was asked for.
    pub per_page: Option<u32>,
    /// A hash of the identifier of each entry on the page, those that are not in `items` included.
    pub ids: Vec<u64>,
}

/// An entry of a list of records that matters here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listed {
    /// A record of a type that is kept.
    Record(Record),
    /// A record at this name of a type that excludes one that is kept.
    Other(Name, Box<str>),
    /// An NS record: this name is delegated to that server, and so is all that lies below it.
    Delegation(Name, Box<str>),
    /// A record of a type that is kept, which a Cloudflare product manages (`meta.read_only`), with the product's
    /// name where the answer says it: never ours, and never to be changed.
    Managed(Record, Option<Box<str>>),
    /// An entry at this name that cannot be read; its identifier, as far as there is one.
    Unreadable(Name, Box<str>),
}

/// A zone, as Cloudflare said it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZoneInfo {
    /// Its identifier.
    pub id: ZoneId,
    /// Its name, in ASCII (the API says it in Unicode).
    pub name: Name,
    /// The account that it belongs to, if the answer says so.
    pub account: Option<AccountId>,
    /// `active`, `pending`, `moved`, `initializing`, or whatever comes later.
    pub status: Box<str>,
    /// `full`, `partial`, `secondary`, `internal`, or whatever comes later.
    pub kind: Box<str>,
    /// `plan.legacy_id`: `free`, `pro`, `business`, `enterprise`, or whatever comes later.
    pub plan: Option<Box<str>>,
    /// Whether the zone is paused: names are answered, nothing is proxied.
    pub paused: bool,
    /// The deprecated list of permissions, such as `#dns_records:edit`; often absent.
    pub permissions: Option<Vec<Box<str>>>,
}

#[cfg(test)]
impl ZoneInfo {
    /// An active zone of which nothing else is said.
    pub fn active(id: ZoneId, name: Name) -> ZoneInfo {
        ZoneInfo {
            id,
            name,
            account: None,
            status: "active".into(),
            kind: "full".into(),
            plan: None,
            paused: false,
            permissions: None,
        }
    }
}

/// What a batch did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// The records that are gone.
    pub deleted: Vec<RecordId>,
    /// The records that were changed, as they are now.
    pub patched: Vec<Record>,
    /// The records that were created.
    pub posted: Vec<Record>,
}

/// What verification says of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenStatus {
    /// `active`, `disabled` or `expired`.
    pub status: Box<str>,
    /// When it ends, RFC 3339.
    pub expires_on: Option<Box<str>>,
}
