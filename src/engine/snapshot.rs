//! What is remembered across a restart, and what has changed of it.
//!
//! Deliberately unknown: files, and the wall clock.

use std::collections::{BTreeMap, BTreeSet};

use super::cache::{Changed, ZoneCache};
use super::credential::CredentialMemory;
use super::names::{Key, Line, Moment, Name, RecordId, ZoneId};
use super::settings::{AccountName, CredentialId};
use super::watch::{Believed, Holds};

/// What is remembered across a restart. All moments are on the clock of `now`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// The addresses that are believed.
    pub addresses: BTreeMap<Line, Believed>,
    /// What keeps new addresses from being published.
    pub holds: BTreeMap<Line, Holds>,
    /// The zones that are kept.
    pub zones: BTreeMap<ZoneKey, ZoneMemory>,
    /// The budgets and the waits that Cloudflare asked for.
    pub credentials: BTreeMap<CredentialId, CredentialMemory>,
    /// The same of a state that knew credentials by the names of their accounts only.
    pub by_account: BTreeMap<AccountName, CredentialMemory>,
    /// When the zones of each account were last looked for.
    pub searched: BTreeMap<AccountName, Moment>,
}

/// A zone, and the account that reaches it.
pub type ZoneKey = (AccountName, ZoneId);

/// A zone, as it is remembered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ZoneMemory {
    /// Its name, if Cloudflare has said it.
    pub name: Option<Name>,
    /// The zone's plan, if Cloudflare has said it.
    pub plan: Option<Box<str>>,
    /// When the copy was listed; `None`: doubted.
    pub listed_at: Option<Moment>,
    /// Names and types that lie in another zone by now, and whose records here are to go.
    pub leaving: BTreeSet<Key>,
    /// What Cloudflare said of it.
    pub copy: ZoneCache,
}

/// What is to be remembered beside what was before. What is small is told whole each time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Nothing that was remembered before counts any more.
    pub anew: bool,
    /// All but the zones.
    pub rest: Snapshot,
    /// The zones of which something has changed.
    pub zones: Vec<(ZoneKey, ZoneChange)>,
    /// Zones that are kept no longer.
    pub left: Vec<ZoneKey>,
}

/// What has changed of a zone. Everything but its copy is told whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZoneChange {
    /// The zone, its copy with what has changed alone.
    pub zone: ZoneMemory,
    /// How much of the copy is told.
    pub extent: Extent,
}

/// How much of a copy is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Extent {
    /// All of it.
    Whole,
    /// The records that have changed; these are gone.
    Part(Vec<RecordId>),
}

impl From<Snapshot> for Changes {
    /// Everything, as changes to nothing.
    fn from(mut whole: Snapshot) -> Changes {
        let zones = std::mem::take(&mut whole.zones).into_iter();
        let change = |(key, zone)| (key, ZoneChange { zone, extent: Extent::Whole });
        Changes { anew: true, rest: whole, zones: zones.map(change).collect(), left: Vec::new() }
    }
}

impl Snapshot {
    /// Remembers what has changed.
    pub fn apply(&mut self, changes: Changes) {
        let mut zones = std::mem::take(&mut self.zones);
        if changes.anew {
            zones.clear();
        }
        for (key, ZoneChange { zone, extent }) in changes.zones {
            let known = zones.entry(key).or_default();
            let before = std::mem::replace(known, zone);
            if let Extent::Part(gone) = extent {
                let part = std::mem::replace(&mut known.copy, before.copy);
                known.copy.overlay(part, &gone);
            }
            known.copy.changed = Changed::nothing();
        }
        zones.retain(|key, _| !changes.left.contains(key));
        *self = Snapshot { zones, ..changes.rest };
    }
}
