//! What the engine takes over from a snapshot, and what it tells to be remembered.
//!
//! Deliberately unknown: files, and the wall clock.

use std::collections::BTreeSet;
use std::time::Duration;

use super::{Engine, credential_of, unknown};
use crate::engine::cache::{Changed, ZoneCache};
use crate::engine::credential::Credential;
use crate::engine::names::{Moment, Name};
use crate::engine::settings::{Budget, CredentialId, Settings};
use crate::engine::snapshot::{Changes, Extent, Snapshot, ZoneChange, ZoneMemory};
use crate::engine::watch::Holds;
use crate::engine::zone::{FRESH, Zone};

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
            // Only the wall clock knows its age, and may have been set: no write rests on it.
            let listed_at = memory.listed_at.map(|listed_at| listed_at.min(now - 2 * FRESH));
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
