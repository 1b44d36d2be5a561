//! What is remembered across a restart.
//!
//! Deliberately unknown: files, and the wall clock.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::{Engine, credential_of, unknown};
use crate::engine::cache::{Block, Claim, ZoneCache};
use crate::engine::credential::{Credential, CredentialMemory};
use crate::engine::names::{Key, Line, Moment, Name, Record, RecordId, ZoneId};
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
    pub zones: Vec<ZoneMemory>,
    /// The budgets and the waits that Cloudflare asked for.
    pub credentials: BTreeMap<CredentialId, CredentialMemory>,
    /// The same of a state that knew credentials by the names of their accounts only.
    pub by_account: BTreeMap<AccountName, CredentialMemory>,
    /// When the zones of each account were last looked for.
    pub searched: BTreeMap<AccountName, Moment>,
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
    /// What stands in the way at names.
    pub blocks: Vec<(Name, Block)>,
    /// The records that are known to be ours; those with our mark are, too.
    pub ours: Vec<(RecordId, Claim)>,
    /// Records that never become ours while they exist.
    pub foreign: Vec<RecordId>,
    /// Records that were ours until their mark was taken away.
    pub released: Vec<RecordId>,
    /// Names and types that lie in another zone by now, and whose records here are to go.
    pub leaving: Vec<Key>,
    /// The zone's plan, if Cloudflare has said it.
    pub plan: Option<Box<str>>,
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
        for memory in snapshot.zones {
            let Some(account) = self.accounts.get_mut(&memory.account) else {
                continue;
            };
            let mut zone = Zone::new(memory.id, memory.name, now);
            let mut copy = ZoneCache {
                names: memory.names.iter().cloned().collect(),
                records: memory.records.into_iter().map(|record| (record.id.clone(), record)).collect(),
                blocks: memory.blocks.into_iter().collect(),
                ours: memory.ours.into_iter().collect(),
                foreign: memory.foreign.into_iter().collect(),
                released: memory.released.into_iter().collect(),
            };
            copy.claim_marked(&self.mark);
            let refresh = account.refresh();
            let listed_at = memory.listed_at.map(|listed_at| listed_at.min(now));
            zone.remember(copy, listed_at.filter(|at| now.since(*at) < refresh), refresh);
            let left: BTreeSet<&Name> = memory.leaving.iter().map(|key| &key.name).collect();
            let names: Vec<Name> = memory.names.into_iter().filter(|name| !left.contains(name)).collect();
            zone.keep(BTreeSet::new(), memory.leaving.into_iter().collect());
            zone.is_on(memory.plan);
            account.remember(zone, &names);
        }
        self.assign(now);
    }

    /// What to remember across a restart; counts as saved from now on.
    pub fn snapshot(&mut self, now: Moment) -> Snapshot {
        self.unsaved = false;
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
            for zone in account.zones() {
                let Some(copy) = zone.copy() else { continue };
                snapshot.zones.push(ZoneMemory {
                    account: name.clone(),
                    id: zone.id().clone(),
                    name: zone.name().cloned(),
                    names: copy.names.iter().cloned().collect(),
                    listed_at: zone.listed_at(),
                    records: copy.records.values().cloned().collect(),
                    blocks: copy.blocks.iter().map(|(name, block)| (name.clone(), block.clone())).collect(),
                    ours: copy.ours.iter().map(|(id, claim)| (id.clone(), *claim)).collect(),
                    foreign: copy.foreign.iter().cloned().collect(),
                    released: copy.released.iter().cloned().collect(),
                    leaving: zone.leaving().iter().cloned().collect(),
                    plan: zone.plan().map(Into::into),
                });
            }
        }
        snapshot
    }
}
