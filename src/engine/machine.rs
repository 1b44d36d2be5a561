//! The engine: it is told what happened and says what to do next.
//!
//! It never reads a clock, a random source, the environment, a file or a socket; `now` and a seed are
//! given to it. The shell (`daemon`) asks [`Engine::next_command`] until there is none, carries the
//! commands out, tells the engine what came of them with [`Engine::handle`], and sleeps until
//! [`Engine::wake_at`].

mod answers;
mod belief;
mod describe;
mod problems;
mod remember;
#[cfg(test)]
mod tests;
mod tickets;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use super::account::{Account, Ahead, Circumstances, Due};
use super::alerts::{AlertKey, Alerts};
use super::api::{Answer, Request};
use super::cache::ZoneCache;
use super::coalesce::Coalesce;
use super::credential::{Credential, CredentialMemory};
use super::desire::{desired, line_of};
use super::diff::Goal;
use super::limiter::Persist;
use super::names::{Content, Family, Key, Line, Moment, Ticket, ZoneId};
use super::notice::{Notice, Problem};
use super::ownership::OwnerMark;
use super::settings::{self, AccountName, Budget, CredentialId, OnExit, Settings, Tunnel};
use super::snapshot::{Snapshot, ZoneKey, ZoneMemory};
use super::view::RecordState;
use super::watch::{LookError, Watch};
use super::zone::{Writing, Zone};
use problems::{tell_budget, tell_difference, tell_waits};
use tickets::{Open, Tickets};

/// The longest that the first look of a daemon waits, so that many do not start as one.
const LONGEST_SPREAD: Duration = Duration::from_secs(5);
/// How long a single pass goes on trying what failed.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long the deletes at a stop are tried: Docker kills ten seconds after it has asked to stop.
const PATIENCE_AT_STOP: Duration = Duration::from_secs(7);
/// Least time between two refreshes that an operator asks for.
const REFRESH_AT_MOST: Duration = Duration::from_secs(60);
/// Wait after a start with `on-exit = "delete"` until the records are read again: another instance, which this
/// one replaces, may have deleted them at its own end.
const RECHECK: Duration = Duration::from_secs(120);
/// How often a refused secret is read again, in case somebody has put a better one in its place.
const REREAD_EVERY: Duration = Duration::from_secs(60);

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

/// What happened. What comes of a command bears its ticket, and is dropped where nobody waits for it any more.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields' names and types say what they are")]
pub enum Event {
    /// The source of a [`Command::Look`] answered, or failed to.
    Heard(Ticket, Result<IpAddr, LookError>),
    /// Cloudflare answered a [`Command::Ask`], or failed to.
    Answered(Ticket, Answer),
    /// What a [`Command::ReadSecret`] came to: the new credential, if there is one.
    SecretRead(Ticket, Option<CredentialId>),
    /// A reload found another secret for this account.
    SecretChanged(AccountName, CredentialId),
    /// The families that this host does not have, by the kernel's addresses and routes: no default route
    /// or no usable address, while the other family has both. Told at the start and when it changes.
    Missing(BTreeSet<Family>),
    /// The kernel says that the way out with which the published address of this line was learned is gone.
    WayOutGone(Line),
    /// The address of this line, or of any, may have changed: look soon.
    Hint { line: Option<Line>, from: HintFrom },
    /// The operator asks to look and to list everything again (SIGUSR1).
    RefreshNow,
    /// The program is to end: with `on-exit = "delete"` our records are deleted first.
    Stop,
}

/// Who says that an address may have changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HintFrom {
    /// The kernel: this host's addresses or routes changed, so what could not be sent may go through now.
    Kernel,
    /// A cheap question to somebody outside.
    Probe,
}

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields' names and types say what they are")]
pub enum Command {
    /// Ask the source of this label; answer with [`Event::Heard`].
    Look { ticket: Ticket, line: Line, source: Box<str> },
    /// Send a request; answer with [`Event::Answered`]. One at a time for each credential.
    /// It leaves when the snapshot that [`Engine::saving`] tells is on disk (if there is a disk).
    Ask { ticket: Ticket, account: AccountName, request: Request },
    /// The credential was refused: read the secret again; answer with [`Event::SecretRead`].
    ReadSecret { ticket: Ticket, account: AccountName },
}

/// The engine.
#[derive(Clone, Debug)]
pub struct Engine {
    settings: Settings,
    start: Start,
    mark: OwnerMark,
    rng: fastrand::Rng,
    watches: BTreeMap<Line, Watch>,
    /// Lines whose belief has been confirmed since the start.
    confirmed: BTreeSet<Line>,
    coalesce: Coalesce,
    /// The families that the host does not have; see [`Event::Missing`].
    missing: BTreeSet<Family>,
    /// The lines of them that were said to be left alone.
    said_missing: BTreeSet<Line>,
    accounts: BTreeMap<AccountName, Account>,
    /// By what tells them apart; those of removed accounts stay while what they spent still counts.
    credentials: BTreeMap<CredentialId, Credential>,
    /// What is under way.
    tickets: Tickets,
    /// When refused secrets are read again.
    rereads: BTreeMap<AccountName, Moment>,
    alerts: Alerts,
    /// Deletes since there last was nothing to delete.
    deleted: usize,
    said_settled: bool,
    /// Since when the program is to end.
    stopped_at: Option<Moment>,
    unsaved: bool,
    /// What was last told of each zone to be saved, without its copy.
    saved: BTreeMap<ZoneKey, ZoneMemory>,
    saving: Persist,
    /// What an operator asked for and has not got yet; and when they last got something.
    asked: Option<Wish>,
    granted_at: Option<Moment>,
    recheck_at: Option<Moment>,
    /// Whether anything was compared since it was last noted how the records are.
    compared: bool,
    /// How each name and type is, and since when.
    since: BTreeMap<Key, (RecordState, Moment)>,
}

/// What an operator asks for with a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Wish {
    /// To try again what failed, and to look for better zones (SIGHUP).
    Search,
    /// To list everything again, too (SIGUSR1).
    Refresh,
}

impl Engine {
    /// An engine that remembers what it can use of a snapshot.
    pub fn new(mut settings: Settings, start: Start, remembered: Option<Snapshot>) -> Engine {
        let records = std::mem::take(&mut settings.records);
        let mut engine = Engine {
            mark: OwnerMark::of(settings.owner.as_deref()),
            rng: fastrand::Rng::with_seed(start.seed),
            settings: Settings { sources: BTreeMap::new(), accounts: BTreeMap::new(), ..settings.clone() },
            start,
            watches: BTreeMap::new(),
            confirmed: BTreeSet::new(),
            coalesce: Coalesce::default(),
            missing: BTreeSet::new(),
            said_missing: BTreeSet::new(),
            accounts: BTreeMap::new(),
            credentials: BTreeMap::new(),
            tickets: Tickets::default(),
            rereads: BTreeMap::new(),
            alerts: Alerts::default(),
            deleted: 0,
            said_settled: false,
            stopped_at: None,
            unsaved: false,
            saved: BTreeMap::new(),
            saving: Persist::NotNeeded,
            asked: None,
            granted_at: None,
            recheck_at: None,
            compared: true,
            since: BTreeMap::new(),
        };
        settings.records = records;
        let mut snapshot = remembered.unwrap_or_default();
        engine.recall_credentials(&mut snapshot, &settings, start.now);
        for (name, account) in &settings.accounts {
            engine.accounts.insert(name.clone(), Account::new(account.clone()));
        }
        engine.share_budgets();
        if start.mode == Mode::Daemon && settings.on_exit == OnExit::Delete {
            engine.recheck_at = Some(start.now + RECHECK);
        }
        let spread = match (start.mode, start.eager) {
            (Mode::Daemon, false) => (settings.every / 10).min(LONGEST_SPREAD).mul_f64(engine.rng.f64()),
            _ => Duration::ZERO,
        };
        engine.apply(settings, start.now + spread);
        engine.recall(snapshot, start.now);
        engine
    }

    /// Accounts with the same credential share the smallest of their budgets.
    fn share_budgets(&mut self) {
        let mut budgets: BTreeMap<CredentialId, Budget> = BTreeMap::new();
        for (name, account) in &self.accounts {
            let budget = account.limit();
            let rate = |budget: &Budget| f64::from(budget.requests) / budget.per.as_secs_f64();
            let least = budgets.entry(credential_of(name, account.settings())).or_insert(budget);
            if rate(&budget) < rate(least) {
                *least = budget;
            }
        }
        for (id, budget) in budgets {
            if let Some(credential) = self.credentials.get_mut(&id) {
                credential.limiter.rebudget(budget);
            }
        }
    }

    /// New settings (reload): copies of zones, budget and beliefs that still apply are kept.
    pub fn reconfigure(&mut self, settings: Settings, now: Moment) {
        let mut before = std::mem::take(&mut self.accounts);
        for (name, new) in &settings.accounts {
            let id = credential_of(name, new);
            // An account of another name with the same credential is the same account, renamed.
            let renamed = || {
                let gone = |old: &&AccountName| !settings.accounts.contains_key(*old);
                before
                    .keys()
                    .filter(gone)
                    .find(|old| credential_of(old, before[*old].settings()) == id)
                    .cloned()
            };
            let old = Some(name.clone()).filter(|name| before.contains_key(name)).or_else(renamed);
            let mut account =
                old.and_then(|old| before.remove(&old)).unwrap_or_else(|| Account::new(new.clone()));
            self.succeed(&credential_of(name, account.settings()), &id, now);
            account.reconfigure(new.clone());
            self.accounts.insert(name.clone(), account);
        }
        self.share_budgets();
        self.rereads.retain(|name, _| settings.accounts.contains_key(name));
        self.tickets.void(|open| matches!(open, Open::Secret(_)));
        let mark = self.mark.clone();
        self.apply(settings, now);
        self.tell_missing(now);
        if mark != self.mark {
            let zones = self.accounts.values_mut().flat_map(Account::zones_mut);
            zones.for_each(|zone| zone.claim_marked(&self.mark));
        }
        self.asked = self.asked.max(Some(Wish::Search));
        self.assign(now);
        self.grant(now);
        self.unsaved = true;
    }

    /// Another credential takes the place of one: what that spent and what it is held for counts on.
    fn succeed(&mut self, old: &CredentialId, new: &CredentialId, now: Moment) {
        if !self.credentials.contains_key(new) {
            let any = Budget { requests: u32::MAX, per: Duration::from_secs(300) };
            let fresh = || Credential::new(any, CredentialMemory::default(), now);
            let heir = self.credentials.get(old).map_or_else(fresh, |old| old.replaced(now));
            self.credentials.insert(new.clone(), heir);
        }
    }

    /// Gives an operator what they asked for, at most once a minute.
    fn grant(&mut self, now: Moment) {
        if self.granted_at.is_some_and(|at| now.since(at) < REFRESH_AT_MOST) {
            return;
        }
        let Some(wish) = self.asked.take() else { return };
        self.granted_at = Some(now);
        for account in self.accounts.values_mut() {
            if wish == Wish::Refresh {
                account.zones_mut().for_each(|zone| zone.refresh_at(now));
            }
            account.verify_now();
            account.hurry(now);
        }
    }

    /// Takes over settings; lines whose sources changed are looked at anew at `first`.
    fn apply(&mut self, mut settings: Settings, first: Moment) {
        // A family that no record is of is of no interest.
        let wanted: BTreeSet<Family> = settings.records.keys().map(|key| key.kind.family()).collect();
        settings.sources.retain(|line, _| wanted.contains(&line.family));
        if settings.tunnel == Tunnel::Allow {
            settings.sources.values_mut().flatten().for_each(|source| source.trace = false);
        }
        self.mark = OwnerMark::of(settings.owner.as_deref());
        let same = settings.every == self.settings.every && settings.agree == self.settings.agree;
        self.watches.retain(|line, _| settings.sources.contains_key(line));
        let watches = &self.watches;
        self.tickets.void(|open| matches!(open, Open::Look(line, _) if !watches.contains_key(line)));
        for (line, sources) in &settings.sources {
            if same && self.settings.sources.get(line) == Some(sources) {
                continue;
            }
            let mut watch = Watch::new(sources, settings.agree, settings.every, first);
            if let Some(before) = self.watches.get(line) {
                watch.remember_holds(before.holds().clone(), first);
                before.believed().into_iter().for_each(|believed| watch.remember(believed.clone()));
            }
            if self.missing.contains(&line.family) {
                watch.suspend();
            }
            self.watches.insert(*line, watch);
            self.tickets.void_looks(*line);
        }
        // Made anew at once: a tree that grew by single entries has half of its places empty.
        settings.records = settings.records.into_iter().collect();
        self.settings = settings;
        let Settings { records, sources, accounts, tunnel, .. } = &self.settings;
        self.alerts.forget(|topic| match topic {
            AlertKey::Record(key) | AlertKey::Fight(key) => records.contains_key(key),
            AlertKey::Place(account, name) => {
                records.iter().any(|(key, wanted)| key.name == *name && wanted.account == *account)
            }
            AlertKey::Tunnel(_) if *tunnel == Tunnel::Allow => false,
            AlertKey::Address(line) | AlertKey::Flaps(line) | AlertKey::Tunnel(line) => {
                sources.contains_key(line)
            }
            AlertKey::Zone(account, _)
            | AlertKey::Permission(account, _)
            | AlertKey::Listing(account, _)
            | AlertKey::Wait(account, _)
            | AlertKey::Credential(account)
            | AlertKey::Api(account)
            | AlertKey::Search(account)
            | AlertKey::Throttled(account)
            | AlertKey::Budget(account) => accounts.contains_key(account),
            AlertKey::Deletes => true,
        });
    }

    /// Gives every record its account and zone, and works out what differs.
    fn assign(&mut self, now: Moment) {
        let mut moved = Vec::new();
        for (name, account) in &mut self.accounts {
            let mine = self.settings.records.iter().filter(|(_, wanted)| wanted.account == *name);
            moved.extend(account.keep(mine, now));
        }
        self.unsaved |= !moved.is_empty();
        moved.into_iter().for_each(|moved| self.alerts.say(moved));
        self.compare_all(now);
        self.tell_places(now);
    }

    // --- what happened ---

    /// Takes in what happened.
    pub fn handle(&mut self, event: Event, now: Moment) {
        // A look that confirms what is believed changes no record; there are many of these.
        self.compared |= !matches!(event, Event::Heard(..) | Event::Hint { .. });
        match event {
            Event::Heard(ticket, answer) => {
                if let Some(Open::Look(line, index)) = self.tickets.close(ticket) {
                    self.heard(line, index, answer, now);
                }
            }
            Event::Answered(ticket, answer) => {
                if let Some(Open::Request(id)) = self.tickets.close(ticket) {
                    self.answered(ticket, &id, answer, now);
                }
            }
            Event::SecretRead(ticket, changed) => {
                if let (Some(Open::Secret(name)), Some(id)) = (self.tickets.close(ticket), changed) {
                    self.secret_changed(&name, id, now);
                }
            }
            Event::Missing(missing) => self.note_missing(missing, now),
            Event::WayOutGone(line) => self.way_out_gone(line, now),
            Event::SecretChanged(name, id) => self.secret_changed(&name, id, now),
            Event::Hint { line, from } => {
                let hinted = self.watches.iter_mut().filter(|(of, _)| line.is_none_or(|line| **of == line));
                hinted.for_each(|(_, watch)| watch.hint(now));
                if from == HintFrom::Kernel {
                    self.accounts.values_mut().for_each(Account::reconnect);
                }
            }
            Event::RefreshNow => {
                self.watches.values_mut().for_each(|watch| watch.try_again(now));
                self.asked = Some(Wish::Refresh);
                self.grant(now);
            }
            Event::Stop => {
                self.stopped_at = Some(now);
                for account in self.accounts.values_mut() {
                    account.hurry(now);
                }
                self.compare_all(now);
            }
        }
        if std::mem::take(&mut self.compared) {
            self.observe(now);
        }
    }

    fn secret_changed(&mut self, name: &AccountName, id: CredentialId, now: Moment) {
        let Some(account) = self.accounts.get(name) else { return };
        let mut settings = account.settings().clone();
        let old = credential_of(name, &settings);
        settings.credential = id;
        self.succeed(&old, &credential_of(name, &settings), now);
        if let Some(account) = self.accounts.get_mut(name) {
            account.reconfigure(settings);
            account.trust_again(now);
        }
        self.share_budgets();
        self.rereads.remove(name);
        self.tickets.void(|open| matches!(open, Open::Secret(of) if of == name));
    }

    // --- what differs ---

    /// What is wanted of each name and type now.
    fn desired(&self) -> BTreeMap<&Key, Goal> {
        desired(self.settings.records.keys(), &self.beliefs(), self.stopping())
    }

    /// What is believed of each line. What was believed before a restart is not published anew before a source
    /// has said it again.
    fn beliefs(&self) -> BTreeMap<Line, Content> {
        let believed = |line: &Line| Some((*line, self.believed(*line)?.into()));
        self.confirmed.iter().filter_map(believed).collect()
    }

    /// What becomes of our records, where the program is to end.
    fn stopping(&self) -> Option<OnExit> {
        self.stopped_at.map(|_| self.settings.on_exit)
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
        self.compared = true;
        let (beliefs, stopping) = (self.beliefs(), self.stopping());
        let Some(zone) = self.accounts.get_mut(name).and_then(|account| account.zone(id)) else { return };
        let keys = zone.keys().clone();
        let goals = desired(&keys, &beliefs, stopping).into_iter().filter_map(|(key, goal)| {
            let wanted = self.settings.records.get(key)?;
            Some((key, goal, &wanted.options))
        });
        self.unsaved |= zone.compare(goals, &self.mark, now);
        if zone.is_believed() {
            tell_difference(&mut self.alerts, zone, stopping, now);
        }
    }

    // --- what to do ---

    /// The next thing to do at once, if any. Call until `None`.
    pub fn next_command(&mut self, now: Moment) -> Option<Command> {
        if self.stopping() == Some(OnExit::Keep) {
            return None;
        }
        if let Some((name, at)) = self.rereads.iter_mut().find(|(_, at)| **at <= now) {
            *at = now + REREAD_EVERY;
            let ticket = self.tickets.open(Open::Secret(name.clone()));
            return Some(Command::ReadSecret { ticket, account: name.clone() });
        }
        if let Some(look) = self.next_look(now) {
            return Some(look);
        }
        if self.recheck_at.is_some_and(|at| at <= now) {
            self.recheck_at = None;
            let zones = self.accounts.values_mut().flat_map(Account::zones_mut);
            zones.for_each(|zone| zone.refresh_at(now));
        }
        self.grant(now);
        if let Some(command) = self.next_request(now) {
            return Some(command);
        }
        self.credentials.retain(|id, credential| {
            let used =
                |(name, account): (&AccountName, &Account)| credential_of(name, account.settings()) == *id;
            self.accounts.iter().any(used) || !credential.is_forgettable(now)
        });
        self.tell_settled(now);
        None
    }

    fn next_look(&mut self, now: Moment) -> Option<Command> {
        let mut watches = self.watches.iter_mut().filter(|_| self.stopped_at.is_none());
        let (line, (index, source)) =
            watches.find_map(|(line, watch)| Some((*line, watch.next_source(now)?)))?;
        let ticket = self.tickets.open(Open::Look(line, index));
        Some(Command::Look { ticket, line, source: source.label.clone() })
    }

    fn next_request(&mut self, now: Moment) -> Option<Command> {
        let (writing, ahead) = (self.writing(now), self.ahead(now));
        let what = Circumstances { writing, ahead, mark: &self.mark };
        for (name, account) in &mut self.accounts {
            let id = credential_of(name, account.settings());
            let Some(credential) = self.credentials.get_mut(&id) else { continue };
            let due = account.due(what, credential, now);
            tell_budget(&mut self.alerts, name, account, due.as_ref(), now);
            tell_waits(&mut self.alerts, (name, account, credential), due.as_ref(), now);
            let Some(due) = due.filter(|due| due.at <= now) else {
                continue;
            };
            let ticket = self.tickets.open(Open::Request(id));
            let Some((request, saving)) = account.begin(due, what, (credential, ticket), now) else {
                self.tickets.close(ticket);
                continue;
            };
            self.unsaved |= saving == Persist::First;
            self.saving = saving;
            return Some(Command::Ask { ticket, account: name.clone(), request });
        }
        None
    }

    /// What the next request of an account is, and when.
    fn due(&self, name: &AccountName, account: &Account, now: Moment) -> Option<Due> {
        let what = Circumstances { writing: self.writing(now), ahead: self.ahead(now), mark: &self.mark };
        let credential = self.credential(name, account)?;
        account.due(what, credential, now)
    }

    fn credential(&self, name: &AccountName, account: &Account) -> Option<&Credential> {
        self.credentials.get(&credential_of(name, account.settings()))
    }

    /// Whether an address is about to change.
    fn ahead(&self, now: Moment) -> Ahead {
        if self.stopped_at.is_some() || self.start.mode == Mode::Plan {
            Ahead::No
        } else if self.coalesce.until(&self.watches, now).is_some() {
            Ahead::Certain
        } else if self.watches.values().any(Watch::is_suspicious) {
            Ahead::Suspicion
        } else {
            Ahead::No
        }
    }

    /// When to call [`Engine::next_command`] again if nothing happens before.
    pub fn wake_at(&self, now: Moment) -> Option<Moment> {
        let due = |(name, account)| self.due(name, account, now);
        let requests = self.accounts.iter().filter_map(due).map(|due| due.at);
        if self.stopped_at.is_some() {
            return requests.min();
        }
        let looks = self.watches.values().filter_map(Watch::wants_at);
        let coalesced = self.coalesce.until(&self.watches, now);
        let wish = self.asked.and(self.granted_at).map(|at| at + REFRESH_AT_MOST);
        let others = [coalesced, wish, self.recheck_at].into_iter().flatten();
        requests.chain(looks).chain(self.rereads.values().copied()).chain(others).min()
    }

    /// What may be written: a pass that would delete too much deletes nothing.
    fn writing(&self, now: Moment) -> Writing {
        if self.start.mode == Mode::Plan {
            return Writing::Nothing;
        }
        if self.stopping() == Some(OnExit::Keep) {
            return Writing::Nothing;
        }
        if self.stopped_at.is_none() && self.coalesce.until(&self.watches, now).is_some() {
            return Writing::Wait;
        }
        let wanted = self.wanted_deletes();
        if wanted == 0 {
            return Writing::Allowed;
        }
        if wanted + self.deleted > self.settings.max_deletes {
            return Writing::NoDeletes;
        }
        let unknown = |(name, account): (&AccountName, &Account)| {
            let Some(credential) = self.credential(name, account) else { return false };
            account.is_searching(credential, now)
                || !account.is_held(credential, now) && account.zones().any(|zone| zone.awaits_list(now))
        };
        if self.accounts.iter().any(unknown) {
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
                Problem::TooManyDeletes { wanted: wanted + self.deleted, most: self.settings.max_deletes };
            self.alerts.raise(AlertKey::Deletes, trouble, now);
        } else if self.accounts.values().flat_map(Account::zones).all(Zone::is_believed) {
            self.alerts.clear(&AlertKey::Deletes, now);
        }
        // A delete that is refused for ever does not keep the pass open.
        let mut zones = self.accounts.values().flat_map(Account::zones);
        if !zones.any(Zone::has_deletes) && self.writing(now) != Writing::DeletesLater {
            self.deleted = 0;
        }
        if !self.said_settled && self.start.mode != Mode::Plan && self.is_quiet(now) {
            self.said_settled = true;
            let mut states = self.states();
            states.retain(|key, _| !self.is_without(line_of(key)));
            let current = states.values().filter(|(state, _)| *state == RecordState::Current).count();
            let requests = self.accounts.values().map(|account| account.budget(None, now).requests).sum();
            self.alerts.say(Notice::Settled { current, all: states.len(), requests });
        }
    }

    /// Whether every look has ended, nothing is on its way, and nothing is about to be sent.
    fn is_quiet(&self, now: Moment) -> bool {
        let due = |(name, account): (&AccountName, &Account)| {
            account.is_busy() || self.due(name, account, now).is_some_and(|due| due.wanted_at <= now)
        };
        self.watches.values().all(Watch::has_concluded) && !self.accounts.iter().any(due)
    }

    /// `Once` and `Plan`: whether the pass is over. After [`Event::Stop`]: whether the program may end.
    pub fn settled(&self, now: Moment) -> bool {
        if self.stopping() == Some(OnExit::Keep) {
            return true;
        }
        let rereads = self.rereads.values().any(|at| *at <= now);
        if rereads || self.accounts.values().any(Account::is_busy) {
            return false;
        }
        if let Some(stopped_at) = self.stopped_at {
            let until = stopped_at + PATIENCE_AT_STOP;
            let waits = |(name, account): (&AccountName, &Account)| {
                self.due(name, account, now).is_some_and(|due| due.at <= until)
            };
            return !self.accounts.iter().any(waits);
        }
        let until = now.max(self.start.now + PATIENCE);
        let waits = |(name, account): (&AccountName, &Account)| {
            self.due(name, account, now).is_some_and(|due| due.wanted_at <= until)
        };
        let looks_again =
            |watch: &Watch| watch.is_restless() && watch.wants_at().is_some_and(|at| at <= until);
        self.watches.values().all(|watch| watch.has_concluded() && !looks_again(watch))
            && !self.accounts.iter().any(waits)
    }

    /// The program ends now: says what should have been deleted and was not.
    pub fn take_leave(&mut self) {
        if self.stopping() != Some(OnExit::Delete) {
            return;
        }
        let left = self.settings.records.iter().filter(|(key, wanted)| {
            let zone = self.accounts.get(&wanted.account).and_then(|account| account.zone_of(&key.name));
            let ours = |copy: &ZoneCache| {
                copy.records
                    .values()
                    .any(|record| record.key() == **key && copy.ours.contains_key(&record.id))
            };
            zone.is_some_and(|zone| !zone.is_believed() || zone.copy().is_some_and(ours))
        });
        let left: Vec<Key> = left.map(|(key, _)| key.clone()).collect();
        if !left.is_empty() {
            self.alerts.say(Notice::NotDeleted(left));
        }
    }

    /// The messages since the last call.
    pub fn take_notices(&mut self) -> Vec<Notice> {
        self.alerts.take()
    }

    // --- what is known ---

    /// Whether what comes of the command with this ticket is still waited for.
    pub fn is_open(&self, ticket: Ticket) -> bool {
        self.tickets.is_open(ticket)
    }

    /// Whether the request of the last [`Command::Ask`] needs a snapshot that is taken from now on, or the
    /// last one will do.
    pub fn saving(&self) -> Persist {
        self.saving
    }

    /// Whether something is known that the last snapshot does not have.
    pub fn unsaved(&self) -> bool {
        self.unsaved
    }
}

/// What tells an account's credential apart; where that is not known, the account's own name.
fn credential_of(name: &AccountName, account: &settings::Account) -> CredentialId {
    if account.credential.0.is_empty() { unknown(name) } else { account.credential.clone() }
}

fn unknown(name: &AccountName) -> CredentialId {
    CredentialId(format!("account {name}").into())
}
