//! One credential: its budget, what is wrong with it, the zones that it reaches, and which request
//! leaves next.
//!
//! Deliberately unknown: addresses, other credentials, and how anything is said.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::discovery::{Discovery, Place};
use super::failure::{Class, Failure};
use super::names::{Key, Moment, Name, ZoneId};
use super::outlook::BudgetStatus;
use super::pace::{Backoff, CLOCK_RETRY, Pace, Saving};
use super::request::{Answer, Request, Zone};
use super::settings::{self, Wanted, ZoneHint};
use super::upkeep::{Job, Upkeep, Writing};

/// How often missing zones are looked for again.
const LOST_AND_FOUND: (Duration, Duration) = (Duration::from_secs(900), Duration::from_secs(6 * 3600));

/// One credential and everything that hangs on it.
#[derive(Clone, Debug)]
pub struct Account {
    settings: settings::Account,
    pace: Pace,
    places: BTreeMap<Name, Placed>,
    hints: BTreeMap<Name, ZoneHint>,
    discovery: Discovery,
    discover_at: Option<Moment>,
    searches: Backoff,
    zones: BTreeMap<ZoneId, Upkeep>,
    /// Zones from before a restart, until it is known which are still needed.
    busy: Option<Busy>,
    refused: Option<Moment>,
    refusals: Backoff,
    outage: Backoff,
    outage_until: Option<Moment>,
    turn: u64,
    tally: Tally,
}

/// Where a name lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Placed {
    /// In this zone.
    In(ZoneId),
    /// In no zone that the credential sees.
    Nowhere,
    /// In one of these zones of the same name.
    Ambiguous(Vec<ZoneId>),
    /// Not in the zone that its `zone-id` names, which is called so.
    Outside(Name),
    /// Not known yet.
    Undecided,
}

/// The request that is on its way.
#[derive(Clone, Debug)]
pub struct Busy {
    /// The request.
    pub request: Request,
    /// The zone that it is for.
    pub zone: Option<ZoneId>,
}

/// What the next request is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Errand {
    Search,
    Zone {
        rank: Rank,
        served: u64,
        job: Job,
        id: ZoneId,
    },
    /// One that has failed before gives way to everything else.
    SearchAgain,
}

/// What is needed comes before what only refreshes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Needed,
    Refresh,
}

/// The next request, and what it waits for.
#[derive(Clone, Debug)]
pub struct Due {
    /// When there is a reason to send it, and nothing that failed stands against it.
    pub wanted_at: Moment,
    /// When the budget allows it, too.
    pub at: Moment,
    errand: Errand,
}

#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    requests: u64,
    throttled: u64,
    failed: u64,
    millis: u64,
}

impl Account {
    /// A credential of which nothing is known but what was spent.
    #[must_use]
    pub fn new(settings: settings::Account, spent: Vec<Moment>, now: Moment) -> Account {
        Account {
            pace: Pace::new(settings.budget, spent, now),
            settings,
            places: BTreeMap::new(),
            hints: BTreeMap::new(),
            discovery: Discovery::default(),
            discover_at: None,
            searches: Backoff::between(LOST_AND_FOUND.0, LOST_AND_FOUND.1),
            zones: BTreeMap::new(),
            busy: None,
            refused: None,
            refusals: Backoff::between(Duration::from_secs(60), Duration::from_secs(2 * 3600)),
            outage: Backoff::between(Duration::from_secs(2), Duration::from_secs(600)),
            outage_until: None,
            turn: 0,
            tally: Tally::default(),
        }
    }

    /// Takes over a zone from before a restart.
    pub fn remember(&mut self, zone: Upkeep, names: &[Name]) {
        for name in names {
            self.places.insert(name.clone(), Placed::In(zone.id().clone()));
        }
        self.zones.insert(zone.id().clone(), zone);
    }

    /// Other settings for the same credential.
    pub fn reconfigure(&mut self, settings: settings::Account) {
        self.pace.rebudget(settings.budget);
        self.settings = settings;
    }

    /// How long a copy is believed.
    #[must_use]
    pub fn refresh(&self) -> Duration {
        self.settings.refresh
    }

    /// The zones.
    pub fn zones(&self) -> impl Iterator<Item = &Upkeep> {
        self.zones.values()
    }

    /// A zone.
    pub fn zone(&mut self, id: &ZoneId) -> Option<&mut Upkeep> {
        self.zones.get_mut(id)
    }

    /// Every zone.
    pub fn zones_mut(&mut self) -> impl Iterator<Item = &mut Upkeep> {
        self.zones.values_mut()
    }

    /// Where a name lies.
    #[must_use]
    pub fn place(&self, name: &Name) -> &Placed {
        self.places.get(name).unwrap_or(&Placed::Undecided)
    }

    /// The zone that has a name, if it is known.
    #[must_use]
    pub fn zone_of(&self, name: &Name) -> Option<&Upkeep> {
        match self.place(name) {
            Placed::In(id) => self.zones.get(id),
            _ => None,
        }
    }

    /// The names that are looked for, with where they lie.
    pub fn places(&self) -> impl Iterator<Item = (&Name, &Placed)> {
        self.places.iter()
    }

    /// The zones that a search has shown.
    pub fn seen(&self) -> impl Iterator<Item = &Zone> {
        self.discovery.zones()
    }

    /// Sets what is kept with this credential, and gives each name its zone as far as it is known.
    pub fn keep<'a>(&mut self, wanted: impl Iterator<Item = (&'a Key, &'a Wanted)>, now: Moment) {
        let wanted: Vec<_> = wanted.collect();
        let hints = wanted.iter().map(|(key, wanted)| (key.name.clone(), wanted.zone.clone()));
        let hints: BTreeMap<Name, ZoneHint> = hints.collect();
        // A name whose hint is another one than before is placed anew.
        let same = |name: &Name| self.hints.is_empty() || self.hints.get(name) == hints.get(name);
        let known: BTreeMap<Name, Placed> = std::mem::take(&mut self.places)
            .into_iter()
            .filter(|(name, placed)| same(name) && matches!(placed, Placed::In(_)))
            .collect();
        self.places = known;
        self.hints = hints;
        self.settle_places(now);
        // What an earlier search has not shown may be there by now.
        if self.has_lost() && self.discover_at.is_none() {
            self.search_anew(now);
        }
        let mut keys: BTreeMap<ZoneId, BTreeSet<Key>> = BTreeMap::new();
        for (key, _) in wanted {
            if let Placed::In(id) = self.place(&key.name) {
                keys.entry(id.clone()).or_default().insert(key.clone());
            }
        }
        // What is known of a zone that is named stays known, also when no name turns out to lie in it.
        let named =
            |id: &ZoneId| self.hints.values().any(|hint| matches!(hint, ZoneHint::Id(it, _) if it == id));
        self.zones.retain(|id, _| keys.contains_key(id) || named(id));
        for (id, zone) in &mut self.zones {
            zone.keep(keys.remove(id).unwrap_or_default());
        }
    }

    fn settle_places(&mut self, now: Moment) {
        for (name, hint) in &self.hints {
            let placed = match (hint, self.places.get(name)) {
                (ZoneHint::Id(id, _), _) => {
                    let zone =
                        self.zones.entry(id.clone()).or_insert_with(|| Upkeep::new(id.clone(), None, now));
                    match zone.name() {
                        Some(zone) if !name.is_within(zone) => Placed::Outside(zone.clone()),
                        _ => Placed::In(id.clone()),
                    }
                }
                (_, Some(Placed::In(id)))
                    if self.zones.get(id).is_some_and(|zone| suits(zone, name, hint)) =>
                {
                    Placed::In(id.clone())
                }
                _ => match self.discovery.place(name, hint) {
                    Place::In(zone) => {
                        let (id, called) = (zone.id.clone(), zone.name.clone());
                        let new = || Upkeep::new(id.clone(), None, now);
                        self.zones.entry(id.clone()).or_insert_with(new).is_called(called);
                        Placed::In(id)
                    }
                    Place::Nowhere => Placed::Nowhere,
                    Place::Ambiguous(zones) => {
                        Placed::Ambiguous(zones.iter().map(|zone| zone.id.clone()).collect())
                    }
                    Place::Undecided(_) => Placed::Undecided,
                },
            };
            self.places.insert(name.clone(), placed);
        }
        let hints = &self.hints;
        self.places.retain(|name, _| hints.contains_key(name));
    }

    /// The next request: `None` if there is none, ever, or one is on its way.
    #[must_use]
    pub fn due(&self, writing: Writing, now: Moment) -> Option<Due> {
        if self.busy.is_some() {
            return None;
        }
        let search = self.next_search().map(|_| match self.discover_at {
            Some(at) => (at.max(now), Errand::SearchAgain),
            None => (now, Errand::Search),
        });
        let zones = self.zones.values().filter_map(|zone| {
            let (at, job) = zone.job(writing, now)?;
            let rank = if job == Job::Refresh { Rank::Refresh } else { Rank::Needed };
            // The zone that has waited longest comes first, so that none starves.
            let errand = Errand::Zone { rank, served: zone.served(), job, id: zone.id().clone() };
            Some((at, errand))
        });
        let again = self.search_again_at().map(|at| (at.max(now), Errand::SearchAgain));
        let (at, errand) = search.into_iter().chain(zones).chain(again).min()?;
        let holds = [self.refused, self.outage_until, self.pace.held_until(now)];
        let wanted_at = holds.into_iter().flatten().fold(at.max(now), Moment::max);
        Some(Due { wanted_at, at: wanted_at.max(self.pace.ready_at(now)), errand })
    }

    /// Whether it is still to be found out which zones there are, and nothing stands against it.
    #[must_use]
    pub fn is_searching(&self, now: Moment) -> bool {
        self.next_search().is_some() && self.discover_at.is_none_or(|at| at <= now) && !self.is_held(now)
    }

    /// Whether nothing may be sent because of a failure.
    #[must_use]
    pub fn is_held(&self, now: Moment) -> bool {
        let holds = [self.refused, self.outage_until, self.pace.held_until(now)];
        holds.into_iter().flatten().any(|until| until > now)
    }

    /// Whether the credential was refused at the last try.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        self.refused.is_some()
    }

    fn next_search(&self) -> Option<Request> {
        let open = self.hints.iter().filter(|(name, _)| *self.place(name) == Placed::Undecided);
        self.discovery.next(open)
    }

    fn search_again_at(&self) -> Option<Moment> {
        self.discover_at.filter(|_| self.has_lost())
    }

    /// Whether a name has no zone, or too many.
    fn has_lost(&self) -> bool {
        self.places.values().any(|placed| matches!(placed, Placed::Nowhere | Placed::Ambiguous(_)))
    }

    fn search_anew(&mut self, now: Moment) {
        self.discovery = Discovery::default();
        self.settle_places(now);
    }

    /// Begins what is due. The second value says whether a snapshot must be saved first.
    pub fn begin(&mut self, due: Due, writing: Writing, now: Moment) -> Option<(Request, Saving)> {
        self.turn += 1;
        let (request, zone) = match due.errand {
            Errand::Search | Errand::SearchAgain => {
                if self.next_search().is_none() {
                    self.search_anew(now);
                }
                (self.next_search()?, None)
            }
            Errand::Zone { job, id, .. } => {
                let turn = self.turn;
                (self.zones.get_mut(&id)?.begin(job, writing, turn)?, Some(id))
            }
        };
        self.tally.requests += 1;
        let mut saving = self.pace.spend(now);
        if request.writes() {
            saving = Saving::Needed;
        }
        self.busy = Some(Busy { request: request.clone(), zone });
        Some((request, saving))
    }

    /// The request was answered: what it was, and what follows for the credential as a whole.
    pub fn answered(
        &mut self,
        answer: &Answer,
        now: Moment,
        dice: &mut fastrand::Rng,
    ) -> Option<(Busy, Effect)> {
        let busy = self.busy.take()?;
        self.pace.settle(now);
        self.pace.heed(&answer.limits, now);
        self.tally.millis += u64::try_from(answer.took.as_millis()).unwrap_or(0);
        let effect = match &answer.outcome {
            Ok(_) => {
                self.pace.welcome();
                self.outage.reset();
                self.outage_until = None;
                self.refusals.reset();
                self.refused = None;
                Effect::Works
            }
            Err(failure) => self.failed(failure, answer.retry_after, busy.zone.is_none(), now, dice),
        };
        Some((busy, effect))
    }

    fn failed(
        &mut self,
        failure: &Failure,
        retry_after: Option<Duration>,
        search: bool,
        now: Moment,
        dice: &mut fastrand::Rng,
    ) -> Effect {
        self.tally.failed += 1;
        match failure.class {
            Class::Throttled => {
                self.tally.failed -= 1;
                self.tally.throttled += 1;
                Effect::Throttled(self.pace.throttle(retry_after, now, dice))
            }
            Class::Credential => {
                let mut wait = self.refusals.next(dice);
                if failure.says("Max auth failures") {
                    wait = wait.max(Duration::from_secs(900));
                }
                let until = now + wait;
                self.refused = Some(until);
                Effect::Refused(until)
            }
            Class::NotSent | Class::Unsure => {
                let wait = self.outage.next(dice);
                // One zone in trouble, or the search, does not hold back the others; the API as a whole does.
                if search && failure.status.is_some() {
                    self.discover_at = Some(now + wait);
                } else if failure.status.is_none() || self.outage.failures() > 1 {
                    self.outage_until = Some(now + wait);
                }
                Effect::Down
            }
            Class::Clock => {
                self.outage_until = Some(now + self.outage.next(dice).min(CLOCK_RETRY));
                Effect::Down
            }
            Class::Zone | Class::Content | Class::CopyWrong => {
                if search {
                    self.discover_at = Some(now + self.searches.next(dice));
                }
                self.outage.reset();
                self.refused = None;
                Effect::Works
            }
        }
    }

    /// Takes in a page of zones. True: all names are decided.
    pub fn searched(
        &mut self,
        request: &Request,
        page: super::request::Page<Zone>,
        now: Moment,
        dice: &mut fastrand::Rng,
    ) -> bool {
        if let Request::Zones { page: number, name } = request {
            self.discovery.took(*number, name.clone(), page);
        }
        self.discover_at = None;
        self.settle_places(now);
        if self.next_search().is_some() {
            return false;
        }
        if self.has_lost() {
            self.discover_at = Some(now + self.searches.next(dice));
        } else {
            self.searches.reset();
        }
        true
    }

    /// A zone that was found is gone: find its names anew, later.
    pub fn lose(&mut self, id: &ZoneId, now: Moment, dice: &mut fastrand::Rng) {
        let hinted = self.hints.values().any(|hint| matches!(hint, ZoneHint::Id(hinted, _) if hinted == id));
        if hinted {
            return;
        }
        self.zones.remove(id);
        self.places.retain(|_, placed| *placed != Placed::In(id.clone()));
        self.discovery = Discovery::default();
        self.discover_at = Some(now + self.searches.next(dice));
    }

    /// The secret is another one: what was refused is tried at once.
    pub fn trust_again(&mut self, now: Moment) {
        self.refused = None;
        self.refusals.reset();
        self.hurry(now);
    }

    /// An operator asks: nothing that only waits because it failed waits any longer.
    pub fn hurry(&mut self, now: Moment) {
        self.outage_until = None;
        self.refused = self.refused.map(|until| until.min(now));
        if self.discover_at.take().is_some() {
            self.search_anew(now);
        }
        for zone in self.zones.values_mut() {
            zone.hurry(now);
        }
    }

    /// The network may be back: what could not be sent is tried again. Refusals and limits still hold.
    pub fn reconnect(&mut self) {
        if self.outage_until.take().is_some() {
            self.zones.values_mut().for_each(Upkeep::reconnect);
        }
    }

    /// Whether a request is on its way.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        self.busy.is_some()
    }

    /// What the operator allows.
    #[must_use]
    pub fn limit(&self) -> settings::Budget {
        self.settings.budget
    }

    /// When requests left, as far as they still count.
    #[must_use]
    pub fn spent(&self) -> Vec<Moment> {
        self.pace.spent()
    }

    /// What to remember of the budget.
    pub fn remember_spent(&mut self, now: Moment) -> Vec<Moment> {
        self.pace.remember(now)
    }

    /// How the requests fared.
    #[must_use]
    pub fn budget(&self, now: Moment) -> BudgetStatus {
        let answered = self.tally.requests.saturating_sub(u64::from(self.busy.is_some()));
        BudgetStatus {
            limit: self.pace.budget().requests,
            left: self.pace.left(now),
            resets_at: self.pace.resets_at(now),
            requests: self.tally.requests,
            throttled: self.tally.throttled,
            failed: self.tally.failed,
            mean_millis: self.tally.millis.checked_div(answered).unwrap_or(0),
        }
    }
}

/// Whether a name can lie in this zone, as far as its name and the configuration say.
fn suits(zone: &Upkeep, name: &Name, hint: &ZoneHint) -> bool {
    zone.name().is_some_and(|zone| match hint {
        ZoneHint::Named(named) => zone == named,
        ZoneHint::Find | ZoneHint::Id(..) => name.is_within(zone),
    })
}

/// What an answer means for the credential as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// The API answers, and accepts the credential.
    Works,
    /// Silence until then.
    Throttled(Moment),
    /// The credential is refused, and tried again then.
    Refused(Moment),
    /// The API does not answer as it should.
    Down,
}
