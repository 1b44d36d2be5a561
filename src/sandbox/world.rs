//! The simulated Cloudflare as a pure state machine: a request and an instant in, an answer out.
//!
//! This file has the state; `gateway` has the way of a request into it. It is deterministic: two worlds with the
//! same options that are asked the same answer the same. Deliberately unknown: sockets, clocks, entropy.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use serde_json::Value;

use super::addresses::Addresses;
use super::auth::{Auth, RateLimit};
use super::edits::Transaction;
use super::faults::{Armed, Fault, Faults};
use super::http::{Kind, Refusal, Seen, Stamp};
use super::quirks::Quirks;
use super::records::Record;
use super::zones::{Account, NewZone, Zone};

/// How a world begins.
#[derive(Clone, Debug)]
pub struct WorldOptions {
    /// Everything that is made up comes from it.
    pub seed: u64,
    /// The date at which the world's clock begins.
    pub epoch: Stamp,
    /// What nobody knows for certain.
    pub quirks: Quirks,
    /// The rate limit of each user.
    pub limit: RateLimit,
}

impl Default for WorldOptions {
    /// Seed 0, New Year 2026, 1,200 requests in 300 s.
    fn default() -> WorldOptions {
        WorldOptions {
            seed: 0,
            epoch: Stamp(1_767_225_600_000_000),
            quirks: Quirks::default(),
            limit: RateLimit { requests: 1_200, window: Duration::from_secs(300) },
        }
    }
}

/// The simulated Cloudflare, and the internet as far as it tells a host its address.
#[derive(Clone, Debug)]
pub struct World {
    /// What nobody knows for certain.
    pub quirks: Quirks,
    /// What goes wrong on purpose.
    pub faults: Faults,
    /// Who may do what.
    pub auth: Auth,
    /// The host's addresses, and what is told of them.
    pub addresses: Addresses,
    pub(super) limit: RateLimit,
    pub(super) epoch: Stamp,
    pub(super) now: Duration,
    pub(super) rng: fastrand::Rng,
    accounts: Vec<Account>,
    pub(super) zones: Vec<Zone>,
    seen: VecDeque<Seen>,
    requests: BTreeMap<Kind, u64>,
    pub(super) echoes: BTreeMap<String, u64>,
}

/// The log forgets its beginning beyond so many requests; the counts stay.
const LONGEST_LOG: usize = 100_000;

impl World {
    /// A world without zones, in which any well-formed token may do everything.
    pub fn new(options: WorldOptions) -> World {
        let mut rng = fastrand::Rng::with_seed(options.seed);
        World {
            quirks: options.quirks,
            faults: Faults::new(rng.u64(..)),
            auth: Auth::default(),
            addresses: Addresses::new(rng.u64(..)),
            limit: options.limit,
            epoch: options.epoch,
            now: Duration::ZERO,
            rng,
            accounts: Vec::new(),
            zones: Vec::new(),
            seen: VecDeque::new(),
            requests: BTreeMap::new(),
            echoes: BTreeMap::new(),
        }
    }

    /// Lets the world's clock move on; it never goes back.
    pub fn advance(&mut self, now: Duration) {
        self.now = self.now.max(now);
        self.addresses.advance(self.now);
    }

    /// The latest instant that the world was told.
    pub fn now(&self) -> Duration {
        self.now
    }

    /// Adds a zone; the answer is its identifier.
    pub fn add_zone(&mut self, new: NewZone) -> String {
        let known = self.accounts.iter().find(|known| known.name == new.account).cloned();
        let account = known.unwrap_or_else(|| {
            let account = Account { id: self.made_up_id(), name: new.account.clone() };
            self.accounts.push(account.clone());
            account
        });
        let id = new.id.clone().unwrap_or_else(|| self.made_up_id());
        let zone = Zone::new(new, id.clone(), account, self.stamp());
        self.zones.push(zone);
        id
    }

    /// Removes a zone, by its identifier or its ASCII name, with its records, and says whether it was there.
    pub fn remove_zone(&mut self, key: &str) -> bool {
        let found = self.zones.iter().position(|zone| zone.id == key || zone.name == key);
        found.map(|at| self.zones.remove(at)).is_some()
    }

    /// The zones.
    pub fn zones(&self) -> &[Zone] {
        &self.zones
    }

    /// A zone by its identifier or its ASCII name.
    pub fn zone(&self, key: &str) -> Option<&Zone> {
        self.zones.iter().find(|zone| zone.id == key || zone.name == key)
    }

    /// A zone by its identifier or its ASCII name, to change its status or plan.
    pub fn zone_mut(&mut self, key: &str) -> Option<&mut Zone> {
        self.zones.iter_mut().find(|zone| zone.id == key || zone.name == key)
    }

    /// The records of a zone, sorted by name, type and content; none if there is no such zone.
    pub fn records(&self, zone: &str) -> Vec<Record> {
        let mut records: Vec<Record> =
            self.zone(zone).map(|zone| zone.records().values().cloned().collect()).unwrap_or_default();
        records.sort_by(|a, b| (&a.name, &a.kind, &a.content).cmp(&(&b.name, &b.kind, &b.content)));
        records
    }

    /// What a person does in the dashboard: adds a record, given as in a request body; with `meta`, what a
    /// Cloudflare product does.
    ///
    /// # Errors
    /// Cloudflare's code and words: the dashboard has the same rules.
    pub fn add_record(&mut self, zone: &str, body: &Value) -> Result<Record, Refusal> {
        self.as_a_person(zone, body, |transaction| transaction.create(body))
    }

    /// What a person does in the dashboard: changes the named fields of a record.
    ///
    /// # Errors
    /// As for [`World::add_record`].
    pub fn edit_record(&mut self, zone: &str, id: &str, body: &Value) -> Result<Record, Refusal> {
        self.as_a_person(zone, body, |transaction| transaction.patch(id, body))
    }

    /// What a person does in the dashboard: removes a record.
    ///
    /// # Errors
    /// As for [`World::add_record`].
    pub fn remove_record(&mut self, zone: &str, id: &str) -> Result<Record, Refusal> {
        self.as_a_person(zone, &Value::Null, |transaction| transaction.delete(id))
    }

    /// Uses up requests of a user's limit, as their dashboard or another program would.
    pub fn spend(&mut self, user: &str, requests: u32) {
        self.auth.spend(user, requests, self.limit, self.now);
    }

    /// The requests to the API, the oldest first.
    pub fn seen(&self) -> &VecDeque<Seen> {
        &self.seen
    }

    /// How many requests of one kind there were.
    pub fn count(&self, kind: Kind) -> u64 {
        self.requests.get(&kind).copied().unwrap_or(0)
    }

    /// How many requests to the API there were.
    pub fn total(&self) -> u64 {
        self.requests.values().sum()
    }

    /// How often each kind was asked.
    pub fn counts(&self) -> &BTreeMap<Kind, u64> {
        &self.requests
    }

    /// How often each operator's echo was asked.
    pub fn echoes(&self) -> &BTreeMap<String, u64> {
        &self.echoes
    }

    fn made_up_id(&mut self) -> String {
        format!("{:032x}", self.rng.u128(..))
    }

    /// The date, to the microsecond.
    pub(super) fn stamp(&self) -> Stamp {
        self.epoch.after(self.now)
    }

    fn as_a_person(
        &mut self,
        zone: &str,
        body: &Value,
        write: impl FnOnce(&mut Transaction<'_>) -> Result<Record, Refusal>,
    ) -> Result<Record, Refusal> {
        let id = self.zone(zone).map(|zone| zone.id.clone());
        // Faults are for the API's callers.
        let faults = std::mem::replace(&mut self.faults, Faults::new(0));
        let outcome = self.in_transaction(id.as_deref().unwrap_or(""), |transaction| {
            transaction.by_its_product = true;
            write(transaction).map(|record| transaction.mark(record, body))
        });
        self.faults = faults;
        outcome
    }

    /// Writes to the zone of this identifier: all of it, or with an error nothing.
    pub(super) fn in_transaction<T>(
        &mut self,
        zone: &str,
        act: impl FnOnce(&mut Transaction<'_>) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        let stale = self.staleness();
        // What the clock cannot tell apart, the microseconds do.
        let at = Stamp(self.stamp().0.saturating_add(self.rng.u64(0..1_000)));
        let found = self.zones.iter_mut().find(|known| known.id == zone);
        let zone = found.ok_or_else(|| Refusal::new(403, 10_000, "Authentication error"))?;
        zone.keep_history(self.now, stale);
        let outcome = act(&mut Transaction {
            zone,
            faults: &mut self.faults,
            rng: &mut self.rng,
            at,
            by_its_product: false,
        });
        match &outcome {
            Ok(_) => zone.commit(),
            Err(_) => zone.roll_back(),
        }
        outcome
    }

    /// How old the lists may be for which the history is kept.
    fn staleness(&self) -> Duration {
        let age = |armed: &Armed| if let Fault::StaleList(age) = armed.fault { Some(age) } else { None };
        self.faults.armed().iter().filter_map(age).max().unwrap_or_default()
    }

    pub(super) fn log(&mut self, kind: Kind, status: u16) {
        *self.requests.entry(kind).or_default() += 1;
        if self.seen.len() >= LONGEST_LOG {
            self.seen.pop_front();
        }
        self.seen.push_back(Seen { at: self.now, kind, status });
    }
}
