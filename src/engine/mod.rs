//! The pure core: it is told what happened and says what to do next.
//!
//! It never reads a clock, a random source, the environment, a file or a socket; `now` and a seed are
//! given to it. The shell (`daemon`) asks [`Engine::next_command`] until there is none, carries the
//! commands out, tells the engine what came of them with [`Engine::handle`], and sleeps until
//! [`Engine::wake_at`].

pub mod account;
pub mod address;
pub mod discovery;
pub mod failure;
pub mod flaps;
pub mod gathering;
pub mod names;
pub mod notice;
pub mod outlook;
pub mod pace;
pub mod ranges;
pub mod request;
pub mod settings;
#[cfg(test)]
mod tests;
pub mod upkeep;
mod watching;
pub mod zone;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

use account::{Account, Busy, Due, Effect, Placed};
use address::{Holds, SourceId, Unheard, Watch};
use failure::{Class, Failure};
use gathering::Gathering;
use names::{Family, Key, Moment, ZoneId};
use notice::{Bulletin, Notice, Topic, Trouble};
pub use outlook::*;
use pace::Saving;
use request::{Answer, Found, Request};
use settings::{AccountName, CredentialId, OnExit, Settings, Tunnel};
use upkeep::{Reaction, Reason, Upkeep, Writing};
use zone::{Copy, Goal, Mark, Operation};

/// The longest that the first look of a daemon waits, so that many do not start as one.
const LONGEST_SPREAD: Duration = Duration::from_secs(5);
/// How long a single pass, or the deletes at a stop, go on trying what failed.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often a refused secret is read again, in case somebody has put a better one in its place.
const REREAD_EVERY: Duration = Duration::from_secs(60);
/// A shorter wait for the budget is nobody's concern.
const LONG_WAIT: Duration = Duration::from_secs(10);

/// How the engine is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// For ever.
    Daemon,
    /// One full pass, with few retries: [`Engine::settled`] says when it is over.
    Once,
    /// As `Once`, but nothing is written: [`Engine::plan`] has the outcome.
    Plan,
}

/// How an engine starts.
#[derive(Clone, Copy, Debug)]
pub struct Start {
    /// How it is used.
    pub mode: Mode,
    /// Drives all jitter.
    pub seed: u64,
    /// A person is watching: the first look is not spread in time.
    pub eager: bool,
    /// The instant of the start.
    pub now: Moment,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A source answered [`Command::Look`], or failed to.
    Heard(SourceId, Result<IpAddr, Unheard>),
    /// Cloudflare answered the one [`Command::Ask`] of this account, or failed to.
    Answered(AccountName, Answer),
    /// The secret of this account was read again and differs from the one before.
    SecretChanged(AccountName, CredentialId),
    /// The families that this host does not have, by the kernel's addresses and routes: no default route
    /// or no usable address, while the other family has both. Told at the start and when it changes.
    Missing(BTreeSet<Family>),
    /// The kernel says that the way out with which the published address of this family was learned is gone.
    WayOutGone(Family),
    /// Something suggests that the address may have changed: look now.
    LookNow,
    /// The operator asks to look and to list everything again (SIGUSR1).
    RefreshNow,
    /// The program is to end: with `on-exit = "delete"` our records are deleted first.
    Stop,
}

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Ask a source; answer with [`Event::Heard`].
    Look(SourceId),
    /// Send a request; answer with [`Event::Answered`]. One at a time for each account.
    /// Before it leaves, an [`Engine::unsaved`] snapshot must be on disk (if there is a disk).
    Ask(AccountName, Request),
    /// The credential was refused: read the secret again, and tell [`Event::SecretChanged`] if it differs.
    RereadSecret(AccountName),
}

/// The engine.
#[derive(Clone, Debug)]
pub struct Engine {
    settings: Settings,
    start: Start,
    mark: Mark,
    dice: fastrand::Rng,
    watches: BTreeMap<Family, Watch>,
    /// Families whose belief has been confirmed since the start.
    confirmed: BTreeSet<Family>,
    gathering: Gathering,
    /// The families that the host does not have; see [`Event::Missing`].
    missing: BTreeSet<Family>,
    /// Those of them that were said to be left alone.
    said_missing: BTreeSet<Family>,
    accounts: BTreeMap<AccountName, Account>,
    /// When requests left for accounts that are not in the settings any more, in case they come back.
    retired: BTreeMap<AccountName, Vec<Moment>>,
    rereads: BTreeMap<AccountName, Moment>,
    bulletin: Bulletin,
    /// Deletes since there last was nothing to delete.
    deleted: usize,
    said_settled: bool,
    /// Since when the program is to end.
    stopped_at: Option<Moment>,
    unsaved: bool,
    urgent: VecDeque<Command>,
}

impl Engine {
    /// An engine that remembers what it can use of a snapshot.
    #[must_use]
    pub fn new(mut settings: Settings, start: Start, remembered: Option<Snapshot>) -> Engine {
        let records = std::mem::take(&mut settings.records);
        let mut engine = Engine {
            mark: Mark::of(settings.owner.as_deref()),
            dice: fastrand::Rng::with_seed(start.seed),
            settings: Settings { sources: BTreeMap::new(), accounts: BTreeMap::new(), ..settings.clone() },
            start,
            watches: BTreeMap::new(),
            confirmed: BTreeSet::new(),
            gathering: Gathering::default(),
            missing: BTreeSet::new(),
            said_missing: BTreeSet::new(),
            accounts: BTreeMap::new(),
            retired: BTreeMap::new(),
            rereads: BTreeMap::new(),
            bulletin: Bulletin::default(),
            deleted: 0,
            said_settled: false,
            stopped_at: None,
            unsaved: false,
            urgent: VecDeque::new(),
        };
        settings.records = records;
        let mut snapshot = remembered.unwrap_or_default();
        engine.retired = std::mem::take(&mut snapshot.spent);
        for (name, account) in &settings.accounts {
            let spent = engine.retired.remove(name).unwrap_or_default();
            engine.accounts.insert(name.clone(), Account::new(account.clone(), spent, start.now));
        }
        let spread = match (start.mode, start.eager) {
            (Mode::Daemon, false) => (settings.every / 10).min(LONGEST_SPREAD).mul_f64(engine.dice.f64()),
            _ => Duration::ZERO,
        };
        engine.apply(settings, start.now + spread);
        engine.recall(snapshot, start.now);
        engine
    }

    /// Takes over addresses and zones from a snapshot, as far as the settings still want them.
    fn recall(&mut self, snapshot: Snapshot, now: Moment) {
        for (family, believed) in snapshot.addresses {
            if let Some(watch) = self.watches.get_mut(&family) {
                watch.remember(believed);
            }
        }
        for (family, holds) in snapshot.holds {
            if let Some(watch) = self.watches.get_mut(&family) {
                watch.remember_holds(holds, now);
            }
        }
        for memory in snapshot.zones {
            let Some(account) = self.accounts.get_mut(&memory.account) else {
                continue;
            };
            let mut zone = Upkeep::new(memory.id, memory.name, now);
            let copy = Copy {
                names: memory.names.iter().cloned().collect(),
                records: memory.records.into_iter().map(|record| (record.id.clone(), record)).collect(),
                aliases: memory.aliases.into_iter().collect(),
                adopted: memory.adopted.into_iter().collect(),
            };
            let refresh = account.refresh();
            let listed_at = memory.listed_at.map(|listed_at| listed_at.min(now));
            zone.remember(copy, listed_at.filter(|at| now.since(*at) < refresh), refresh);
            account.remember(zone, &memory.names);
        }
        self.assign(now);
    }

    /// New settings (reload): copies of zones, budget and beliefs that still apply are kept.
    pub fn reconfigure(&mut self, settings: Settings, now: Moment) {
        for (name, account) in &self.accounts {
            self.retired.insert(name.clone(), account.spent());
        }
        self.accounts.retain(|name, _| settings.accounts.contains_key(name));
        self.rereads.retain(|name, _| settings.accounts.contains_key(name));
        self.urgent.retain(|command| match command {
            Command::RereadSecret(name) | Command::Ask(name, _) => settings.accounts.contains_key(name),
            Command::Look(_) => true,
        });
        for (name, new) in &settings.accounts {
            let spent = self.retired.remove(name).unwrap_or_default();
            match self.accounts.get_mut(name) {
                Some(account) => account.reconfigure(new.clone()),
                None => {
                    self.accounts.insert(name.clone(), Account::new(new.clone(), spent, now));
                }
            }
        }
        self.apply(settings, now);
        self.tell_missing(now);
        for account in self.accounts.values_mut() {
            account.hurry(now);
        }
        self.assign(now);
        self.unsaved = true;
    }

    /// Takes over settings; families whose sources changed are looked at anew at `first`.
    fn apply(&mut self, mut settings: Settings, first: Moment) {
        // A family that no record is of is of no interest.
        let wanted: BTreeSet<Family> = settings.records.keys().map(|key| key.family).collect();
        settings.sources.retain(|family, _| wanted.contains(family));
        if settings.tunnel == Tunnel::Allow {
            settings.sources.values_mut().flatten().for_each(|source| source.trace = false);
        }
        self.mark = Mark::of(settings.owner.as_deref());
        let same = settings.every == self.settings.every && settings.agree == self.settings.agree;
        self.watches.retain(|family, _| settings.sources.contains_key(family));
        for (family, sources) in &settings.sources {
            if same && self.settings.sources.get(family) == Some(sources) {
                continue;
            }
            let mut watch = Watch::new(sources, settings.agree, settings.every, first);
            if let Some(before) = self.watches.get(family) {
                watch.remember_holds(before.holds().clone(), first);
                before.believed().into_iter().for_each(|believed| watch.remember(believed.clone()));
            }
            if self.missing.contains(family) {
                watch.suspend();
            }
            self.watches.insert(*family, watch);
        }
        // Made anew at once: a tree that grew by single entries has half of its places empty.
        settings.records = settings.records.into_iter().collect();
        self.settings = settings;
        let Settings { records, sources, accounts, tunnel, .. } = &self.settings;
        self.bulletin.forget(|topic| match topic {
            Topic::Record(key) => records.contains_key(key),
            Topic::Place(account, name) => {
                records.iter().any(|(key, wanted)| key.name == *name && wanted.account == *account)
            }
            Topic::Address(family) | Topic::Flaps(family) => sources.contains_key(family),
            Topic::Tunnel(family) => sources.contains_key(family) && *tunnel == Tunnel::Hold,
            Topic::Zone(account, _) | Topic::Permission(account, _) => accounts.contains_key(account),
            Topic::Credential(account)
            | Topic::Api(account)
            | Topic::Search(account)
            | Topic::Throttled(account)
            | Topic::Budget(account) => accounts.contains_key(account),
            Topic::Deletes => true,
        });
    }

    /// Gives every record its account and zone, and works out what differs.
    fn assign(&mut self, now: Moment) {
        for (name, account) in &mut self.accounts {
            let mine = self.settings.records.iter().filter(|(_, wanted)| wanted.account == *name);
            account.keep(mine, now);
        }
        self.compare_all(now);
        self.tell_places(now);
    }

    // --- what happened ---

    /// Takes in what happened.
    pub fn handle(&mut self, event: Event, now: Moment) {
        match event {
            Event::Heard(source, answer) => self.heard(source, answer, now),
            Event::Answered(account, answer) => self.answered(&account, answer, now),
            Event::Missing(missing) => self.note_missing(missing, now),
            Event::WayOutGone(family) => self.way_out_gone(family, now),
            Event::SecretChanged(name, _) => {
                if let Some(account) = self.accounts.get_mut(&name) {
                    account.trust_again(now);
                    self.rereads.remove(&name);
                }
            }
            Event::LookNow => {
                self.watches.values_mut().for_each(|watch| watch.look_now(now));
                self.accounts.values_mut().for_each(Account::reconnect);
            }
            Event::RefreshNow => {
                self.watches.values_mut().for_each(|watch| watch.try_again(now));
                for account in self.accounts.values_mut() {
                    account.zones_mut().for_each(Upkeep::doubt);
                    account.hurry(now);
                }
            }
            Event::Stop => {
                self.stopped_at = Some(now);
                for account in self.accounts.values_mut() {
                    account.hurry(now);
                }
                self.compare_all(now);
            }
        }
    }

    fn answered(&mut self, name: &AccountName, answer: Answer, now: Moment) {
        let Some(account) = self.accounts.get_mut(name) else {
            return;
        };
        let Some((busy, effect)) = account.answered(&answer, now, &mut self.dice) else {
            return;
        };
        self.tell_effect(name, effect, answer.outcome.as_ref().err(), now);
        match answer.outcome {
            Ok(found) => self.found(name, &busy, found, now),
            Err(failure) => self.failed(name, &busy, &failure, now),
        }
    }

    fn found(&mut self, name: &AccountName, busy: &Busy, found: Found, now: Moment) {
        let Some(account) = self.accounts.get_mut(name) else {
            return;
        };
        let refresh = account.refresh();
        match (found, &busy.zone) {
            (Found::Zones(page), _) => {
                self.bulletin.clear(&Topic::Search(name.clone()), now);
                if account.searched(&busy.request, page, now, &mut self.dice) {
                    self.assign(now);
                }
            }
            (Found::Zone(zone), Some(id)) => {
                self.tell_odd(name, &zone, now);
                if let Some(upkeep) = self.accounts.get_mut(name).and_then(|account| account.zone(id)) {
                    upkeep.is_called(zone.name);
                }
                self.assign(now);
                self.unsaved = true;
            }
            (Found::Records(page), Some(id)) => {
                // A tenth of jitter, so that zones that were listed together drift apart.
                let refresh = refresh.mul_f64(1.0 - self.dice.f64() / 10.0);
                let Some(zone) = account.zone(id) else { return };
                if zone.listed(page, refresh, now) {
                    let records = zone.copy().map_or(0, |copy| copy.records.len());
                    self.bulletin.say(Notice::Listed { zone: zone.label(), records });
                    self.unsaved = true;
                    self.clear_refusal(name, id, now);
                    self.compare(name, id, now);
                }
            }
            (Found::Written(written), Some(id)) => {
                let Some(zone) = account.zone(id) else { return };
                let sent = zone.wrote(written);
                self.deleted +=
                    sent.iter().filter(|operation| matches!(operation.step, zone::Step::Delete(_))).count();
                self.bulletin.say(Notice::Written { zone: zone.label(), operations: sent.clone() });
                self.unsaved = true;
                self.clear_refusal(name, id, now);
                self.compare(name, id, now);
                self.park_unkept(name, id, &sent, now);
            }
            (Found::Token(_) | Found::Zone(_) | Found::Records(_) | Found::Written(_), _) => {}
        }
    }

    fn park_unkept(&mut self, name: &AccountName, id: &ZoneId, sent: &[Operation], now: Moment) {
        let zone = self.accounts.get_mut(name).and_then(|account| account.zone(id));
        let Some(zone) = zone else { return };
        for key in zone.park_unkept(sent, now, &mut self.dice) {
            let trouble = Trouble::Parked(key.clone(), Reason::NotKept);
            self.bulletin.raise(Topic::Record(key), trouble, now);
        }
    }

    fn clear_refusal(&mut self, name: &AccountName, id: &ZoneId, now: Moment) {
        self.bulletin.clear(&Topic::Permission(name.clone(), id.clone()), now);
    }

    fn failed(&mut self, name: &AccountName, busy: &Busy, failure: &Failure, now: Moment) {
        let Some(id) = &busy.zone else {
            if failure.class == Class::Zone || failure.class == Class::Content {
                let topic = Topic::Search(name.clone());
                self.bulletin.raise(topic, Trouble::Api(name.clone(), failure.clone()), now);
            }
            return;
        };
        let Some(account) = self.accounts.get_mut(name) else {
            return;
        };
        let Some(zone) = account.zone(id) else { return };
        let label = zone.label();
        match zone.failed(failure, now, &mut self.dice) {
            Reaction::None => {}
            Reaction::Parked(keys) => {
                for key in keys {
                    let trouble = Trouble::Parked(key.clone(), Reason::Refused(failure.clone()));
                    self.bulletin.raise(Topic::Record(key), trouble, now);
                }
            }
            Reaction::Refused => {
                let topic = Topic::Permission(name.clone(), id.clone());
                self.bulletin.raise(topic, Trouble::ZoneRefused(label, failure.clone()), now);
                if failure.status == Some(404) || failure.has_code(&[7003]) {
                    account.lose(id, now, &mut self.dice);
                    self.unsaved = true;
                }
                if matches!(failure.status, Some(401 | 403)) {
                    self.urgent.push_back(Command::RereadSecret(name.clone()));
                }
            }
        }
        if busy.request.writes() {
            self.unsaved = true;
        }
        self.compare(name, id, now);
    }

    /// Says what an answer means for the credential as a whole.
    fn tell_effect(&mut self, name: &AccountName, effect: Effect, failure: Option<&Failure>, now: Moment) {
        let credential = Topic::Credential(name.clone());
        let api = Topic::Api(name.clone());
        let throttled = Topic::Throttled(name.clone());
        match (effect, failure) {
            (Effect::Works, _) => {
                for topic in [credential, api, throttled] {
                    self.bulletin.clear(&topic, now);
                }
                self.rereads.remove(name);
            }
            (Effect::Throttled(until), _) => {
                let trouble = Trouble::Throttled(name.clone(), now.until(until));
                self.bulletin.raise(throttled, trouble, now);
            }
            (Effect::Refused(until), Some(failure)) => {
                let trouble = Trouble::Credential(name.clone(), failure.clone(), now.until(until));
                self.bulletin.raise(credential, trouble, now);
                self.urgent.push_back(Command::RereadSecret(name.clone()));
                self.rereads.insert(name.clone(), now + REREAD_EVERY);
            }
            (Effect::Down, Some(failure)) => {
                self.bulletin.raise(api, Trouble::Api(name.clone(), failure.clone()), now);
            }
            (Effect::Refused(_) | Effect::Down, None) => {}
        }
    }

    fn tell_odd(&mut self, name: &AccountName, zone: &request::Zone, now: Moment) {
        let topic = Topic::Zone(name.clone(), zone.id.clone());
        let odd = zone.paused || &*zone.status != "active" || !matches!(&*zone.kind, "full" | "");
        if odd {
            self.bulletin.raise(topic, Trouble::OddZone(zone.clone()), now);
        } else {
            self.bulletin.clear(&topic, now);
        }
    }

    /// Says which names have no zone, or several.
    fn tell_places(&mut self, now: Moment) {
        let mut troubles: Vec<(Topic, Option<Trouble>)> = Vec::new();
        let mut odd = Vec::new();
        for (account_name, account) in &self.accounts {
            for (name, placed) in account.places() {
                let topic = Topic::Place(account_name.clone(), name.clone());
                let (account, name) = (account_name.clone(), name.clone());
                let trouble = match placed {
                    Placed::In(_) => None,
                    Placed::Nowhere => Some(Trouble::NoZone(account, name)),
                    Placed::Ambiguous(ids) => Some(Trouble::Ambiguous(account, name, ids.clone())),
                    Placed::Outside(zone) => Some(Trouble::Outside(name, zone.clone())),
                    Placed::Undecided => continue,
                };
                troubles.push((topic, trouble));
            }
            let kept: BTreeSet<&ZoneId> = account.zones().map(Upkeep::id).collect();
            let seen = account.seen().filter(|zone| kept.contains(&zone.id));
            odd.extend(seen.map(|zone| (account_name.clone(), zone.clone())));
        }
        for (topic, trouble) in troubles {
            match trouble {
                Some(trouble) => self.bulletin.raise(topic, trouble, now),
                None => self.bulletin.clear(&topic, now),
            }
        }
        for (name, zone) in odd {
            self.tell_odd(&name, &zone, now);
        }
    }

    // --- what differs ---

    /// What is wanted of a name and type now.
    fn goal(&self, key: &Key) -> Goal {
        if self.stopped_at.is_some() {
            return match self.settings.on_exit {
                OnExit::Keep => Goal::Leave,
                OnExit::Delete => Goal::Gone,
            };
        }
        // What was believed before a restart is not published anew before a source has said it again.
        let confirmed = self.confirmed.contains(&key.family);
        let believed = self.watches.get(&key.family).and_then(Watch::believed).filter(|_| confirmed);
        believed.map_or(Goal::Leave, |believed| Goal::At(believed.address))
    }

    fn compare_all(&mut self, now: Moment) {
        let zones: Vec<(AccountName, ZoneId)> = self
            .accounts
            .iter()
            .flat_map(|(name, account)| account.zones().map(|zone| (name.clone(), zone.id().clone())))
            .collect();
        for (name, id) in zones {
            self.compare(&name, &id, now);
        }
    }

    fn compare(&mut self, name: &AccountName, id: &ZoneId, now: Moment) {
        let Some(mut account) = self.accounts.remove(name) else {
            return;
        };
        if let Some(zone) = account.zone(id) {
            let keys = zone.keys().clone();
            let goals = keys.iter().filter_map(|key| {
                let wanted = self.settings.records.get(key)?;
                Some((key, self.goal(key), &wanted.options))
            });
            let adopted = zone.compare(goals, &self.mark, now);
            self.unsaved |= adopted;
            if zone.is_believed() {
                let difference = zone.difference();
                for key in &difference.current {
                    self.bulletin.clear(&Topic::Record(key.clone()), now);
                }
                // What is only waiting for deletes to be allowed has nothing refused any more.
                for key in zone.keys().iter().filter(|key| !zone.parked().contains_key(*key)) {
                    let topic = Topic::Record(key.clone());
                    let refused = matches!(self.bulletin.wrong(&topic), Some(Trouble::Parked(..)));
                    let mut steps =
                        difference.operations.iter().filter(|operation| operation.key == *key).peekable();
                    let waits = refused && steps.peek().is_some();
                    if waits && steps.all(|operation| matches!(operation.step, zone::Step::Delete(_))) {
                        self.bulletin.clear(&topic, now);
                    }
                }
                let moves = |key: &Key| difference.operations.iter().any(|operation| operation.key == *key);
                self.bulletin.forget_obstacles(|key| moves(key) && !difference.obstacles.contains_key(key));
                for (key, obstacle) in &difference.obstacles {
                    let trouble = Trouble::Obstacle(key.clone(), obstacle.clone());
                    self.bulletin.raise(Topic::Record(key.clone()), trouble, now);
                }
            }
        }
        self.accounts.insert(name.clone(), account);
    }

    // --- what to do ---

    /// The next thing to do at once, if any. Call until `None`.
    pub fn next_command(&mut self, now: Moment) -> Option<Command> {
        if self.stopped_at.is_some() && self.settings.on_exit == OnExit::Keep {
            return None;
        }
        if let Some(command) = self.urgent.pop_front() {
            return Some(command);
        }
        if self.stopped_at.is_none() {
            for (family, watch) in &mut self.watches {
                if let Some(index) = watch.next_source(now) {
                    return Some(Command::Look(SourceId { family: *family, index }));
                }
            }
            if let Some((name, at)) = self.rereads.iter_mut().find(|(_, at)| **at <= now) {
                *at = now + REREAD_EVERY;
                return Some(Command::RereadSecret(name.clone()));
            }
        }
        let writing = self.writing(now);
        for (name, account) in &mut self.accounts {
            let due = account.due(writing, now);
            tell_budget(&mut self.bulletin, name, account, due.as_ref(), now);
            let Some(due) = due.filter(|due| due.at <= now) else {
                continue;
            };
            if let Some((request, saving)) = account.begin(due, writing, now) {
                self.unsaved |= saving == Saving::Needed;
                return Some(Command::Ask(name.clone(), request));
            }
        }
        self.tell_settled(now);
        None
    }

    /// When to call [`Engine::next_command`] again if nothing happens before.
    #[must_use]
    pub fn wake_at(&self, now: Moment) -> Option<Moment> {
        let writing = self.writing(now);
        let requests =
            self.accounts.values().filter_map(|account| account.due(writing, now)).map(|due| due.at);
        if self.stopped_at.is_some() {
            return requests.min();
        }
        let looks = self.watches.values().filter_map(Watch::wants_at);
        let gathered = self.gathering.until(&self.watches, now);
        requests.chain(looks).chain(self.rereads.values().copied()).chain(gathered).min()
    }

    /// What may be written: a pass that would delete too much deletes nothing.
    fn writing(&self, now: Moment) -> Writing {
        if self.start.mode == Mode::Plan {
            return Writing::Nothing;
        }
        if self.stopped_at.is_some() && self.settings.on_exit == OnExit::Keep {
            return Writing::Nothing;
        }
        if self.stopped_at.is_none() && self.gathering.until(&self.watches, now).is_some() {
            return Writing::Nothing;
        }
        let wanted = self.wanted_deletes();
        if wanted == 0 {
            return Writing::Allowed;
        }
        if wanted + self.deleted > self.settings.max_deletes {
            return Writing::NoDeletes;
        }
        let unknown = |account: &Account| {
            account.is_searching(now)
                || !account.is_held(now) && account.zones().any(|zone| zone.awaits_list(now))
        };
        if self.accounts.values().any(unknown) {
            return Writing::DeletesLater;
        }
        Writing::Allowed
    }

    fn wanted_deletes(&self) -> usize {
        let zones = self.accounts.values().flat_map(Account::zones);
        zones.map(|zone| zone.difference().deletes()).sum()
    }

    fn tell_settled(&mut self, now: Moment) {
        let wanted = self.wanted_deletes();
        if wanted + self.deleted > self.settings.max_deletes && wanted > 0 {
            let trouble =
                Trouble::TooManyDeletes { wanted: wanted + self.deleted, most: self.settings.max_deletes };
            self.bulletin.raise(Topic::Deletes, trouble, now);
        } else {
            self.bulletin.clear(&Topic::Deletes, now);
        }
        // A delete that is refused for ever does not keep the pass open.
        let mut zones = self.accounts.values().flat_map(Account::zones);
        if !zones.any(Upkeep::has_deletes) && self.writing(now) != Writing::DeletesLater {
            self.deleted = 0;
        }
        if !self.said_settled && self.start.mode != Mode::Plan && self.is_quiet(now) {
            self.said_settled = true;
            let mut states = self.states();
            states.retain(|key, _| !self.is_without(key.family));
            let current = states.values().filter(|(state, _)| *state == RecordState::Current).count();
            let requests = self.accounts.values().map(|account| account.budget(now).requests).sum();
            self.bulletin.say(Notice::Settled { current, all: states.len(), requests });
        }
    }

    /// Whether every look has ended, nothing is on its way, and nothing is about to be sent.
    fn is_quiet(&self, now: Moment) -> bool {
        let writing = self.writing(now);
        let due = |account: &Account| account.due(writing, now).is_some_and(|due| due.wanted_at <= now);
        self.watches.values().all(Watch::has_concluded)
            && !self.accounts.values().any(|account| account.is_busy() || due(account))
    }

    /// `Once` and `Plan`: whether the pass is over. After [`Event::Stop`]: whether the program may end.
    #[must_use]
    pub fn settled(&self, now: Moment) -> bool {
        if self.stopped_at.is_some() && self.settings.on_exit == OnExit::Keep {
            return true;
        }
        if self.accounts.values().any(Account::is_busy) || !self.urgent.is_empty() {
            return false;
        }
        let writing = self.writing(now);
        if let Some(stopped_at) = self.stopped_at {
            let until = stopped_at + PATIENCE;
            let waits = |account: &Account| account.due(writing, now).is_some_and(|due| due.at <= until);
            return !self.accounts.values().any(waits);
        }
        let until = now.max(self.start.now + PATIENCE);
        let waits = |account: &Account| account.due(writing, now).is_some_and(|due| due.wanted_at <= until);
        let looks_again =
            |watch: &Watch| watch.is_restless() && watch.wants_at().is_some_and(|at| at <= until);
        self.watches.values().all(|watch| watch.has_concluded() && !looks_again(watch))
            && !self.accounts.values().any(waits)
    }

    /// The messages since the last call.
    pub fn take_notices(&mut self) -> Vec<Notice> {
        self.bulletin.take()
    }

    // --- what is known ---

    /// Whether a snapshot must be on disk before the next request leaves, or when nothing more is to be done.
    #[must_use]
    pub fn unsaved(&self) -> bool {
        self.unsaved
    }

    /// What to remember across a restart; counts as saved from now on.
    pub fn snapshot(&mut self, now: Moment) -> Snapshot {
        self.unsaved = false;
        let mut snapshot = Snapshot { spent: self.retired.clone(), ..Snapshot::default() };
        for (family, watch) in &self.watches {
            if let Some(believed) = watch.believed() {
                snapshot.addresses.insert(*family, believed.clone());
            }
            if *watch.holds() != Holds::default() {
                snapshot.holds.insert(*family, watch.holds().clone());
            }
        }
        for (name, account) in &mut self.accounts {
            snapshot.spent.insert(name.clone(), account.remember_spent(now));
            for zone in account.zones() {
                let Some(copy) = zone.copy() else { continue };
                snapshot.zones.push(ZoneMemory {
                    account: name.clone(),
                    id: zone.id().clone(),
                    name: zone.name().cloned(),
                    names: copy.names.iter().cloned().collect(),
                    listed_at: zone.listed_at(),
                    records: copy.records.values().cloned().collect(),
                    aliases: copy.aliases.iter().cloned().collect(),
                    adopted: copy.adopted.iter().cloned().collect(),
                });
            }
        }
        snapshot
    }
}

/// Says that work waits for the budget alone, and when it no longer does.
fn tell_budget(
    bulletin: &mut Bulletin,
    name: &AccountName,
    account: &Account,
    due: Option<&Due>,
    now: Moment,
) {
    let topic = Topic::Budget(name.clone());
    match due {
        Some(due) if due.wanted_at <= now && due.at > now => {
            let wait = now.until(due.at);
            if wait >= LONG_WAIT || bulletin.wrong(&topic).is_some() {
                bulletin.raise(topic, Trouble::Spent(name.clone(), account.limit(), wait), now);
            }
        }
        Some(due) if due.at <= now => {}
        None if account.is_busy() => {}
        Some(_) | None => bulletin.clear(&topic, now),
    }
}
