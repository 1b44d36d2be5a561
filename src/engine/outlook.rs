//! What the engine can say of itself: a plan, a status, a verdict, and what to remember.
//!
//! Plain values; the words for them are chosen by those who show them.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::address::Believed;
use super::names::{Family, Key, Moment, Name, Record, RecordId, Ttl, ZoneId};
use super::request::{Patch, Post};
use super::settings::AccountName;
use super::zone::{Operation, Step};

/// How a pass ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Everything is as it should be (or, in a plan, known). Exit 0.
    Done,
    /// Some of it is not; a later try may help. Exit 69.
    Partly,
    /// Nothing could be done for now. Exit 75.
    Nothing,
    /// The credential was refused or lacks a permission. Exit 77.
    Refused,
}

/// What would be sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// The changes, sorted by zone, name and type.
    pub changes: Vec<Change>,
    /// How many names and types are as they should be.
    pub unchanged: usize,
    /// Names and types that are left alone although something is wanted of them.
    pub refused: Vec<RefusedRecord>,
    /// How many requests the changes would cost.
    pub requests: usize,
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The zone's name, or its identifier where the name is not known.
    pub zone: Box<str>,
    /// The name and type.
    pub key: Key,
    /// What kind of change.
    pub action: Action,
    /// The record as it is.
    pub before: Option<Shape>,
    /// The record as it will be.
    pub after: Option<Shape>,
    /// Why.
    pub why: String,
}

/// A kind of change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Action {
    /// A record is made.
    Create,
    /// A record is changed.
    Update,
    /// A record goes.
    Delete,
}

/// A record without its identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Its address.
    pub content: IpAddr,
    /// Whether it is proxied.
    pub proxied: bool,
    /// Its TTL.
    pub ttl: Ttl,
    /// Its comment.
    pub comment: Option<Box<str>>,
    /// Its tags.
    pub tags: Vec<Box<str>>,
}

/// A name and type that is left alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedRecord {
    /// The name and type.
    pub key: Key,
    /// Why, with the remedy.
    pub why: String,
}

/// What the engine knows, as `stayput status` shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// The families that are on.
    pub addresses: BTreeMap<Family, Option<AddressStatus>>,
    /// What is kept, sorted by name and type.
    pub records: Vec<RecordStatus>,
    /// For each account.
    pub budgets: BTreeMap<AccountName, BudgetStatus>,
    /// When a source is asked next.
    pub next_look_at: Option<Moment>,
}

/// An address that is believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressStatus {
    /// The address.
    pub value: IpAddr,
    /// When a look last ended with it.
    pub confirmed_at: Moment,
    /// The labels of the sources that said so.
    pub sources: Vec<Box<str>>,
}

/// A name and type that is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordStatus {
    /// The name and type.
    pub key: Key,
    /// How it is.
    pub state: RecordState,
    /// The address in the zone, if it is known.
    pub content: Option<IpAddr>,
    /// Since when it has been so, if that is known.
    pub since: Option<Moment>,
    /// Why it is not current.
    pub why: Option<String>,
}

/// How a name and type is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RecordState {
    /// As it should be.
    Current,
    /// A change is about to be sent.
    Pending,
    /// Left alone until somebody acts.
    Refused,
    /// The zone or the address is not known yet.
    Unknown,
}

/// What was spent of a budget, and how requests fared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BudgetStatus {
    /// Requests in a window.
    pub limit: u32,
    /// Requests left in the window that ends now.
    pub left: u32,
    /// When the oldest request leaves the window.
    pub resets_at: Option<Moment>,
    /// Requests since the start.
    pub requests: u64,
    /// Those that were answered with 429.
    pub throttled: u64,
    /// Those that failed otherwise.
    pub failed: u64,
    /// Milliseconds that an answer took on average.
    pub mean_millis: u64,
}

/// What is remembered across a restart. All moments are on the clock of `now`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// The addresses that are believed.
    pub addresses: BTreeMap<Family, Believed>,
    /// The zones that are kept.
    pub zones: Vec<ZoneMemory>,
    /// When requests left, for each account; those still to come count as now when they are read.
    pub spent: BTreeMap<AccountName, Vec<Moment>>,
}

/// A zone, as it is remembered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZoneMemory {
    /// The account that reaches it.
    pub account: AccountName,
    /// Its identifier.
    pub id: ZoneId,
    /// Its name, if Cloudflare has said it.
    pub name: Option<Name>,
    /// The names that the copy covers.
    pub names: Vec<Name>,
    /// When the copy was listed; `None`: doubted.
    pub listed_at: Option<Moment>,
    /// The A and AAAA records of those names.
    pub records: Vec<Record>,
    /// Those of the names that have a CNAME.
    pub aliases: Vec<Name>,
    /// Records that are ours although they have no mark.
    pub adopted: Vec<RecordId>,
}

impl Change {
    /// The change that an operation makes.
    #[must_use]
    pub fn of(zone: Box<str>, operation: &Operation) -> Change {
        let before = operation.before.as_ref().map(|record| Shape {
            content: record.content,
            proxied: record.proxied,
            ttl: record.ttl,
            comment: record.comment.clone(),
            tags: record.tags.clone(),
        });
        let (action, after) = match &operation.step {
            Step::Post(post) => (Action::Create, Some(created(post))),
            Step::Patch(patch) => (Action::Update, before.as_ref().map(|before| patched(before, patch))),
            Step::Delete(_) => (Action::Delete, None),
        };
        let why = why(action, before.as_ref(), after.as_ref());
        Change { zone, key: operation.key.clone(), action, before, after, why }
    }
}

fn created(post: &Post) -> Shape {
    Shape {
        content: post.content,
        proxied: post.proxied,
        ttl: post.ttl,
        comment: Some(post.comment.clone()),
        tags: post.tags.clone(),
    }
}

fn patched(before: &Shape, patch: &Patch) -> Shape {
    let proxied = patch.proxied.unwrap_or(before.proxied);
    Shape {
        content: patch.content,
        proxied,
        ttl: if proxied { Ttl::Auto } else { patch.ttl.unwrap_or(before.ttl) },
        comment: patch.comment.clone().or_else(|| before.comment.clone()),
        tags: patch.tags.clone().unwrap_or_else(|| before.tags.clone()),
    }
}

fn why(action: Action, before: Option<&Shape>, after: Option<&Shape>) -> String {
    match (action, before, after) {
        (Action::Create, ..) => "the record is missing".to_owned(),
        (Action::Delete, ..) => "the record is ours and no longer wanted".to_owned(),
        (Action::Update, Some(before), Some(after)) if before.content != after.content => {
            "the address differs".to_owned()
        }
        (Action::Update, ..) => "a setting differs".to_owned(),
    }
}
