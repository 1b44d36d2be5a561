//! A list that is being read, what a page of it came to, and how it can contradict itself or what we did.
//!
//! Deliberately unknown: the zone that it is of.

use std::collections::BTreeSet;

use crate::engine::api::{Listed, Page};
use crate::engine::cache::{Surprise, ZoneCache};
use crate::engine::names::{Content, Moment, Name, RecordId};

/// A list that is being read.
#[derive(Clone, Debug)]
pub(super) struct Listing {
    pub(super) began: Moment,
    pub(super) refresh: bool,
    /// It is read for the second time, because one of ours was missing in the first.
    pub(super) again: bool,
    pub(super) doomed: BTreeSet<RecordId>,
    /// What is still to be asked for, the next one last.
    pub(super) parts: Vec<Part>,
    /// Whether the zone's NS records are asked for.
    pub(super) servers: bool,
    pub(super) entries: Vec<Listed>,
    pub(super) page: u32,
    pub(super) read: u32,
    pub(super) total: Option<u32>,
    pub(super) seen: BTreeSet<u64>,
}

/// One of the requests that a list is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// Every record of the zone.
    Whole,
    /// The records of one name.
    Name(Name),
    /// The NS records of the zone, which delegate names.
    NameServers,
}

/// What a page of a list came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// There is more to read.
    More,
    /// The list is whole and the copy is fresh; what somebody else did to our records.
    Whole(Vec<Surprise>),
    /// The list contradicts itself, repeatedly; why. It is read again later.
    Contradictory(&'static str),
    /// The list is longer than anything that is read.
    TooLong,
}

/// What we did a moment ago.
#[derive(Clone, Debug)]
pub(super) enum Recent {
    /// This record held something else before.
    Patched(RecordId, Content),
    Posted(RecordId),
    Deleted(RecordId),
}

impl Recent {
    /// Whether a list shows what was before.
    pub(super) fn is_denied_by(&self, copy: &ZoneCache) -> bool {
        match self {
            Recent::Patched(id, old) => copy.records.get(id).is_some_and(|record| record.content == *old),
            Recent::Posted(id) => !copy.records.contains_key(id),
            Recent::Deleted(id) => copy.records.contains_key(id),
        }
    }
}

/// What is wrong with a page, seen beside those before it.
pub(super) fn contradiction(
    listing: &mut Listing,
    page: &Page<Listed>,
    per_page: u32,
    ended: bool,
) -> Option<&'static str> {
    let moved = listing.page > 1 && listing.total != page.total;
    let repeated = page.ids.iter().filter(|id| !listing.seen.insert(**id)).count() > 0;
    if moved {
        Some("the number of records changed while it was read")
    } else if repeated {
        Some("it shows a record twice")
    } else if page.total.is_some_and(|total| total < listing.read) {
        Some("it has more records than it says")
    } else if !ended && page.entries < per_page && (page.per_page.is_some() || page.entries == 0) {
        Some("it has fewer records than it says")
    } else {
        None
    }
}
