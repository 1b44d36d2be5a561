//! What is remembered across a restart.
//!
//! Deliberately unknown: files, and the wall clock.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::{Engine, credential_of, unknown};
use crate::engine::cache::{Changed, ZoneCache};
use crate::engine::credential::{Credential, CredentialMemory};
use crate::engine::names::{Key, Line, Moment, Name, RecordId, ZoneId};
use crate::engine::settings::{AccountName, Budget, CredentialId, Settings};
use crate::engine::watch::{Believed, Holds};
use crate::engine::zone::Zone;

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

impl Engine {
    /// Takes over what was spent and held from a snapshot; an older one knows it by account.
    pub(super) fn recall_credentials(&mut self, snapshot: &mut Snapshot, settings: &Settings, now: Moment) {
        let mut memories = std::mem::take(&mut snapshot.credentials);
        for (name, memory) in std::mem::take(&mut snapshot.by_account) {
            let id = settings.accounts.get(&name).map(|account| credential_of(&name, account));
            let known = memories.entry(id.unwrap_or_else(|| unknown(&name))).or_default();
            known.spent.extend(memory.spent);
        }
        for (name, account) in &settings.accounts {
            memories.entry(credential_of(name, account)).or_default();
        }
        let any = Budget { requests: u32::MAX, per: Duration::from_secs(300) };
        let known = memories.into_iter().map(|(id, memory)| (id, Credential::new(any, memory, now)));
        self.credentials = known.collect();
    }

    /// Takes over addresses and zones from a snapshot, as far as the settings still want them.
    pub(super) fn recall(&mut self, snapshot: Snapshot, now: Moment) {
        for (line, believed) in snapshot.addresses {
            if let Some(watch) = self.watches.get_mut(&line) {
                watch.remember(believed);
            }
        }
        for (line, holds) in snapshot.holds {
            if let Some(watch) = self.watches.get_mut(&line) {
                watch.remember_holds(holds, now);
            }
        }
        for (name, at) in snapshot.searched {
            if let Some(account) = self.accounts.get_mut(&name) {
                account.remember_search(at.min(now));
            }
        }
        for ((name, id), memory) in snapshot.zones {
            let Some(account) = self.accounts.get_mut(&name) else {
                continue;
            };
            let mut zone = Zone::new(id, memory.name, now);
            let mut copy = memory.copy;
            copy.claim_marked(&self.mark);
            let left: BTreeSet<&Name> = memory.leaving.iter().map(|key| &key.name).collect();
            let names: Vec<Name> = copy.names.iter().filter(|name| !left.contains(name)).cloned().collect();
            let refresh = account.refresh();
            let listed_at = memory.listed_at.map(|listed_at| listed_at.min(now));
            zone.remember(copy, listed_at.filter(|at| now.since(*at) < refresh), refresh);
            zone.keep(BTreeSet::new(), memory.leaving);
            zone.is_on(memory.plan);
            account.remember(zone, &names);
        }
        self.assign(now);
    }

    /// Everything to remember across a restart; counts as saved from now on.
    pub fn snapshot(&mut self, now: Moment) -> Snapshot {
        let mut snapshot = Snapshot::default();
        snapshot.apply(self.everything(now));
        snapshot
    }

    /// The same, as changes to nothing.
    pub fn everything(&mut self, now: Moment) -> Changes {
        self.saved.clear();
        self.changes(now)
    }

    /// What has changed since this or a whole snapshot was last asked for; counts as saved from now on.
    pub fn changes(&mut self, now: Moment) -> Changes {
        self.unsaved = false;
        let rest = self.without_zones(now);
        let mut changes = Changes { anew: self.saved.is_empty(), rest, ..Changes::default() };
        let mut saved = std::mem::take(&mut self.saved);
        for (name, account) in &mut self.accounts {
            for zone in account.zones_mut() {
                let key = (name.clone(), zone.id().clone());
                let outline = ZoneMemory {
                    name: zone.name().cloned(),
                    plan: zone.plan().map(Into::into),
                    listed_at: zone.listed_at(),
                    leaving: zone.leaving().clone(),
                    copy: ZoneCache::default(),
                };
                let Some(copy) = zone.copy_mut() else { continue };
                let changed = std::mem::replace(&mut copy.changed, Changed::nothing());
                let before = saved.remove(&key);
                self.saved.insert(key.clone(), outline.clone());
                let (copy, extent) = match (changed, &before) {
                    (Changed::Records(ids), Some(before)) if ids.is_empty() && *before == outline => continue,
                    (Changed::Records(ids), Some(_)) => {
                        let (part, gone) = copy.part(&ids);
                        (part, Extent::Part(gone))
                    }
                    _ => (copy.clone(), Extent::Whole),
                };
                let zone = ZoneMemory { copy, ..outline };
                changes.zones.push((key, ZoneChange { zone, extent }));
            }
        }
        changes.left = saved.into_keys().collect();
        changes
    }

    fn without_zones(&mut self, now: Moment) -> Snapshot {
        let mut snapshot = Snapshot::default();
        for (line, watch) in &self.watches {
            if let Some(believed) = watch.believed() {
                snapshot.addresses.insert(*line, believed.clone());
            }
            if *watch.holds() != Holds::default() {
                snapshot.holds.insert(*line, watch.holds().clone());
            }
        }
        let in_flight: BTreeSet<CredentialId> = self
            .accounts
            .iter()
            .filter(|(name, account)| self.due(name, account, now).is_some_and(|due| due.wanted_at <= now))
            .map(|(name, account)| credential_of(name, account.settings()))
            .collect();
        for (id, credential) in &mut self.credentials {
            snapshot.credentials.insert(id.clone(), credential.remember(in_flight.contains(id), now));
        }
        for (name, account) in &self.accounts {
            snapshot.searched.extend(account.verified_at().map(|at| (name.clone(), at)));
        }
        snapshot
    }
}
