//! A plan, a status and a verdict, as values.
//!
//! Deliberately unknown: how they come about, and how they are shown.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::account::Usage;
use super::api::{Patch, Post};
use super::diff::{Operation, Step};
use super::names::{Content, Key, Line, Moment, Record, Ttl};
use super::settings::AccountName;

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

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// The changes, sorted by zone, name and type.
    pub changes: Vec<Change>,
    /// How many names and types are as they should be.
    pub unchanged: usize,
    /// Names and types that are left alone although something is wanted of them.
    pub blocked: Vec<BlockedRecord>,
    /// Records that carry our mark under a name that the configuration does not have, by zone. Known
    /// where the zone was listed whole; nothing is done to them.
    pub leftovers: Vec<(Box<str>, Record)>,
    /// How many requests the changes would cost.
    pub requests: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The zone's name, or its identifier where the name is not known.
    pub zone: Box<str>,
    pub key: Key,
    pub action: Action,
    /// The record as it is.
    pub before: Option<Shape>,
    /// The record as it will be.
    pub after: Option<Shape>,
    pub why: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Action {
    Create,
    Update,
    Delete,
}

/// A record without its identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape {
    pub content: Content,
    pub proxied: bool,
    pub ttl: Ttl,
    pub comment: Option<Box<str>>,
    pub tags: Vec<Box<str>>,
}

/// A name and type that is left alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockedRecord {
    pub key: Key,
    pub why: String,
}

/// What the engine knows, as `stayput status` shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// The lines that are on.
    pub addresses: BTreeMap<Line, Option<AddressStatus>>,
    /// What is kept, sorted by name and type.
    pub records: Vec<RecordStatus>,
    /// What is wrong, each thing once.
    pub troubles: Vec<ProblemStatus>,
    pub budgets: BTreeMap<AccountName, Usage>,
    /// When a source is asked next.
    pub next_look_at: Option<Moment>,
    /// Why this host's records are ill, if they are: one has been behind, blocked or unknown for ten
    /// minutes, and not for an outage of Cloudflare alone.
    pub ill: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProblemStatus {
    pub text: String,
    /// Since when.
    pub since: Moment,
    /// How often it has been tried since then.
    pub tries: u32,
    /// When it is tried next, where that is known.
    pub next_try_at: Option<Moment>,
}

/// An address that is believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressStatus {
    pub value: IpAddr,
    /// When a look last ended with it.
    pub confirmed_at: Moment,
    /// The labels of the sources that said so.
    pub sources: Vec<Box<str>>,
}

/// A name and type that is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordStatus {
    pub key: Key,
    pub state: RecordState,
    /// What the zone holds, if it is known.
    pub content: Option<Content>,
    /// What is wanted there, if it is known.
    pub wanted: Option<Content>,
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
    /// What is wanted is known, and is not there yet.
    Behind,
    /// Left alone until somebody acts.
    Blocked,
    /// The zone or the address is not known yet.
    Unknown,
}

impl RecordState {
    /// All of them, the best first.
    pub const ALL: [RecordState; 4] =
        [RecordState::Current, RecordState::Behind, RecordState::Blocked, RecordState::Unknown];

    pub fn word(self) -> &'static str {
        match self {
            RecordState::Current => "current",
            RecordState::Behind => "behind",
            RecordState::Blocked => "blocked",
            RecordState::Unknown => "unknown",
        }
    }
}

impl Change {
    /// The change that an operation makes.
    pub fn of(zone: Box<str>, operation: &Operation) -> Change {
        let before = operation.before.as_ref().map(|record| Shape {
            content: record.content.clone(),
            proxied: record.proxied,
            ttl: record.ttl,
            comment: record.comment.clone(),
            tags: record.tags.clone(),
        });
        let (action, after, why) = match (&operation.step, &before) {
            (Step::Post(post), _) => (Action::Create, Some(created(post)), "the record is missing"),
            (Step::Delete(_), _) => (Action::Delete, None, "the record is ours and no longer wanted"),
            (Step::Patch(patch), Some(before)) if before.content != patch.content => {
                (Action::Update, Some(patched(before, patch)), "the address differs")
            }
            (Step::Patch(patch), before) => {
                let after = before.as_ref().map(|before| patched(before, patch));
                (Action::Update, after, "a setting differs")
            }
        };
        Change { zone, key: operation.key.clone(), action, before, after, why }
    }
}

fn created(post: &Post) -> Shape {
    Shape {
        content: post.content.clone(),
        proxied: post.proxied,
        ttl: post.ttl,
        comment: Some(post.comment.clone()),
        tags: post.tags.clone(),
    }
}

fn patched(before: &Shape, patch: &Patch) -> Shape {
    let proxied = patch.proxied.unwrap_or(before.proxied);
    Shape {
        content: patch.content.clone(),
        proxied,
        ttl: if proxied { Ttl::Auto } else { patch.ttl.unwrap_or(before.ttl) },
        comment: patch.comment.clone().or_else(|| before.comment.clone()),
        tags: patch.tags.clone().unwrap_or_else(|| before.tags.clone()),
    }
}
