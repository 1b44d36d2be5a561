//! One account of the configuration: what is wrong with its credential, the zones that it reaches, and
//! which request leaves next.
//!
//! Deliberately unknown: addresses, other accounts, and how anything is said.

mod places;

use std::collections::BTreeMap;
use std::time::Duration;

use super::api::{Answer, Request, ZoneInfo};
use super::credential::Credential;
use super::discovery::Discovery;
use super::failure::{Class, Failure};
use super::limiter::{Backoff, CLOCK_RETRY, Persist};
use super::names::{Moment, Name, Ticket, ZoneId};
use super::ownership::OwnerMark;
use super::settings::{self, ZoneHint};
use super::zone::{Job, Writing, Zone};

/// How often missing zones are looked for again.
const SEARCH_RETRY: (Duration, Duration) = (Duration::from_secs(900), Duration::from_secs(6 * 3600));
/// How soon a zone may be listed at the next suspicion after one that came to nothing.
const FALSE_ALARM: Duration = Duration::from_secs(300);

/// One account and everything that hangs on it.
#[derive(Clone, Debug)]
pub struct Account {
    settings: settings::Account,
    places: BTreeMap<Name, Location>,
    overview: Overview,
    hints: BTreeMap<Name, ZoneHint>,
    discovery: Discovery,
    discover_at: Option<Moment>,
    /// Zones are looked for although every name has one: there may be a better one by now.
    verifying: bool,
    verified_at: Option<Moment>,
    searches: Backoff,
    search_worked: bool,
    search_refused: bool,
    /// A search has ended just now, so that what it has not shown is not there.
    searched_just_now: bool,
    zones: BTreeMap<ZoneId, Zone>,
    in_flight: Option<InFlight>,
    refused: Option<Moment>,
    refusals: Backoff,
    outage: Backoff,
    outage_until: Option<Moment>,
    /// The last failure was of a write: only a write shows that it is over.
    writes_fail: bool,
    /// When a zone may be listed at a mere suspicion, and how long it is until the next time.
    alarm: (Option<Moment>, Duration),
    turn: u64,
    tally: Tally,
}

/// What every request depends on of the places, noted when they change: there may be thousands.
#[derive(Clone, Copy, Debug, Default)]
struct Overview {
    /// Where a name lies is not known yet.
    undecided: bool,
    /// A name has no zone, or too many.
    lost: bool,
    /// A name lies in whichever zone fits best.
    finds: bool,
}

/// Where a name lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// In this zone.
    In(ZoneId),
    /// In no zone that the credential sees.
    Nowhere,
    /// In one of these zones of the same name.
    Ambiguous(Vec<ZoneInfo>),
    /// Not in the zone that its `zone-id` names, which is called so.
    Outside(Name),
    /// Not known yet.
    Undecided,
}

/// The request that is on its way.
#[derive(Clone, Debug)]
pub struct InFlight {
    /// What the answer is known by.
    pub ticket: Ticket,
    /// The request.
    pub request: Request,
    /// The zone that it is for.
    pub zone: Option<ZoneId>,
}

/// What the next request depends on, beside the account.
#[derive(Clone, Copy, Debug)]
pub struct Circumstances<'a> {
    /// What may be written.
    pub writing: Writing,
    /// Whether an address is about to change.
    pub ahead: Ahead,
    /// Our mark.
    pub mark: &'a OwnerMark,
}

/// Whether an address is about to change, so that the first zone is listed before that is certain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ahead {
    /// As far as is known, none is.
    No,
    /// A source says something new.
    Suspicion,
    /// One has changed; writes wait for what is known of the other one.
    Certain,
}

/// What the next request is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Task {
    Search,
    Zone {
        rank: Rank,
        served: u64,
        job: Job,
        id: ZoneId,
    },
    /// One that has failed before, or only verifies, gives way to everything else.
    SearchAgain,
}

impl Task {
    fn zone(&self) -> Option<&ZoneId> {
        match self {
            Task::Zone { id, .. } => Some(id),
            Task::Search | Task::SearchAgain => None,
        }
    }
}

/// A zone that was read is written before the next one is read, and what only refreshes comes last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Write,
    Needed,
    Refresh,
}

impl Rank {
    fn of(job: Job) -> Rank {
        match job {
            Job::Send | Job::Retry => Rank::Write,
            Job::Identify | Job::List | Job::Read | Job::Ahead => Rank::Needed,
            Job::Refresh => Rank::Refresh,
        }
    }
}

/// The next request, and what it waits for.
#[derive(Clone, Debug)]
pub struct Due {
    /// When there is a reason to send it, and nothing that failed stands against it.
    pub wanted_at: Moment,
    /// When the budget allows it, too.
    pub at: Moment,
    /// Cloudflare asked not to be asked for it until then, and nothing else stands against it for longer.
    pub held_until: Option<Moment>,
    task: Task,
}

impl Due {
    /// The zone that it is for; `None`: the list of zones.
    pub fn zone(&self) -> Option<&ZoneId> {
        self.task.zone()
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    requests: u64,
    throttled: u64,
    failed: u64,
    millis: u64,
    /// When the API last did what it should, or refused it; and when it last did neither.
    served_at: Option<Moment>,
    missed_at: Option<Moment>,
}

impl Account {
    /// An account of which nothing is known.
    pub fn new(settings: settings::Account) -> Account {
        Account {
            settings,
            places: BTreeMap::new(),
            overview: Overview::default(),
            hints: BTreeMap::new(),
            discovery: Discovery::default(),
            discover_at: None,
            verifying: false,
            verified_at: None,
            searches: Backoff::between(SEARCH_RETRY.0, SEARCH_RETRY.1),
            search_worked: false,
            search_refused: false,
            searched_just_now: false,
            zones: BTreeMap::new(),
            in_flight: None,
            refused: None,
            refusals: Backoff::between(Duration::from_secs(60), Duration::from_secs(2 * 3600)),
            outage: Backoff::between(Duration::from_secs(2), Duration::from_secs(600)),
            outage_until: None,
            writes_fail: false,
            alarm: (None, FALSE_ALARM),
            turn: 0,
            tally: Tally::default(),
        }
    }

    /// Takes over a zone from before a restart.
    pub fn remember(&mut self, zone: Zone, names: &[Name]) {
        for name in names {
            self.places.insert(name.clone(), Location::In(zone.id().clone()));
        }
        self.zones.insert(zone.id().clone(), zone);
    }

    /// Takes over when the zones were last looked for.
    pub fn remember_search(&mut self, at: Moment) {
        self.verified_at = Some(at);
        self.search_worked = true;
    }

    /// When every name was last found to lie in the best zone that there is.
    pub fn verified_at(&self) -> Option<Moment> {
        self.verified_at
    }

    /// Other settings for the same account.
    pub fn reconfigure(&mut self, settings: settings::Account) {
        self.settings = settings;
    }

    /// What the configuration says.
    pub fn settings(&self) -> &settings::Account {
        &self.settings
    }

    /// How long a copy is believed.
    pub fn refresh(&self) -> Duration {
        self.settings.refresh
    }

    /// The zones.
    pub fn zones(&self) -> impl Iterator<Item = &Zone> {
        self.zones.values()
    }

    /// A zone.
    pub fn zone(&mut self, id: &ZoneId) -> Option<&mut Zone> {
        self.zones.get_mut(id)
    }

    /// Every zone.
    pub fn zones_mut(&mut self) -> impl Iterator<Item = &mut Zone> {
        self.zones.values_mut()
    }

    /// Where a name lies.
    pub fn place(&self, name: &Name) -> &Location {
        self.places.get(name).unwrap_or(&Location::Undecided)
    }

    /// The zone that has a name, if it is known.
    pub fn zone_of(&self, name: &Name) -> Option<&Zone> {
        match self.place(name) {
            Location::In(id) => self.zones.get(id),
            _ => None,
        }
    }

    /// The names that are looked for, with where they lie.
    pub fn places(&self) -> impl Iterator<Item = (&Name, &Location)> {
        self.places.iter()
    }

    /// The zones that a search has shown.
    pub fn seen(&self) -> impl Iterator<Item = &ZoneInfo> {
        self.discovery.zones()
    }

    /// The next request: `None` if there is none, ever, or one is on its way.
    pub fn due(&self, what: Circumstances<'_>, credential: &Credential, now: Moment) -> Option<Due> {
        if self.in_flight.is_some() || credential.open.is_some() {
            return None;
        }
        let search = self.search_due(credential, now);
        let ahead = self.zone_ahead(what.ahead, now);
        let zones = self.zones.values().filter_map(|zone| {
            let id = zone.id();
            let (at, job) = zone.job(what.writing, ahead == Some(id), what.mark, now)?;
            let held = credential.held_until(&Some(id.clone()), now).unwrap_or(now);
            // The zone that has waited longest comes first, so that none starves.
            let task = Task::Zone { rank: Rank::of(job), served: zone.served(), job, id: id.clone() };
            Some((at.max(held), task))
        });
        let (at, task) = search.into_iter().chain(zones).min()?;
        let holds = [self.refused, self.outage_until, credential.limiter.held_until(now)];
        let wanted_at = holds.into_iter().flatten().fold(at.max(now), Moment::max);
        let ready_at = match task {
            // A list for a write is of no use where the write has to wait for the budget.
            Task::Zone { job: Job::Read | Job::Ahead, .. } => credential.limiter.ready_beside(1, now),
            Task::Search | Task::Zone { rank: Rank::Write | Rank::Needed, .. } => {
                credential.limiter.ready_at(now)
            }
            Task::SearchAgain | Task::Zone { rank: Rank::Refresh, .. } => {
                credential.limiter.ready_beside(self.kept_free(), now)
            }
        };
        let held = credential.held_until(&task.zone().cloned(), now);
        let held_until = held.filter(|until| *until == wanted_at);
        Some(Due { wanted_at, at: wanted_at.max(ready_at), held_until, task })
    }

    /// Requests that are kept free for a change of address: two a zone, at most half the budget.
    fn kept_free(&self) -> u32 {
        let zones = u32::try_from(self.zones.len()).unwrap_or(u32::MAX);
        zones.saturating_mul(2).min(self.settings.budget.requests / 2)
    }

    /// The zone that is listed before it is certain that something changes: one at most, so that it can
    /// be written while its list is fresh.
    fn zone_ahead(&self, ahead: Ahead, now: Moment) -> Option<&ZoneId> {
        let allowed = match ahead {
            Ahead::No => false,
            Ahead::Suspicion => self.alarm.0.is_none_or(|at| at <= now),
            Ahead::Certain => true,
        };
        if !allowed || self.zones.values().any(|zone| zone.is_fresh(now) && !zone.keys().is_empty()) {
            return None;
        }
        let known = self.zones.values().filter(|zone| zone.is_believed() && !zone.keys().is_empty());
        known.min_by_key(|zone| (zone.served(), zone.id())).map(Zone::id)
    }

    /// Whether nothing may be sent because of a failure.
    pub fn is_held(&self, credential: &Credential, now: Moment) -> bool {
        let holds = [self.refused, self.outage_until, credential.limiter.held_until(now)];
        holds.into_iter().flatten().any(|until| until > now)
    }

    /// Whether the credential was refused at the last try.
    pub fn is_refused(&self) -> bool {
        self.refused.is_some()
    }

    /// Whether anything is refused to this credential, so that another one may help.
    pub fn lacks_something(&self) -> bool {
        let zone = |zone: &Zone| zone.refused().is_some_and(Failure::is_of_rights);
        self.refused.is_some() || self.search_refused || self.zones.values().any(zone)
    }

    /// Until when it waits, after a refusal or an outage.
    pub fn waits_until(&self) -> (Option<Moment>, Option<Moment>, Option<Moment>) {
        (self.refused, self.outage_until, self.discover_at)
    }

    /// Begins what is due. The second value says whether a snapshot must be saved first.
    pub fn begin(
        &mut self,
        due: Due,
        what: Circumstances<'_>,
        (credential, ticket): (&mut Credential, Ticket),
        now: Moment,
    ) -> Option<(Request, Persist)> {
        self.turn += 1;
        let (request, zone) = match due.task {
            Task::Search | Task::SearchAgain => {
                if self.next_search().is_none() {
                    self.search_anew(now);
                }
                (self.next_search()?, None)
            }
            Task::Zone { job, id, .. } => {
                let (turn, write) = (self.turn, (what.writing, what.mark));
                let request = self.zones.get_mut(&id)?.begin(job, write, turn, now)?;
                if job == Job::Ahead && what.ahead == Ahead::Suspicion {
                    let (at, wait) = (now + self.alarm.1, (self.alarm.1 * 2).min(self.settings.refresh));
                    self.alarm = (Some(at), wait.max(FALSE_ALARM));
                }
                (request, Some(id))
            }
        };
        self.tally.requests += 1;
        let mut saving = credential.limiter.spend(now);
        if request.writes() {
            saving = Persist::First;
        }
        credential.open = Some(ticket);
        self.in_flight = Some(InFlight { ticket, request: request.clone(), zone });
        Some((request, saving))
    }

    /// The request was answered: what it was, and what follows for the credential as a whole.
    pub fn answered(
        &mut self,
        answer: &Answer,
        credential: &mut Credential,
        now: Moment,
        rng: &mut fastrand::Rng,
    ) -> Option<(InFlight, Effect)> {
        let in_flight = self.in_flight.take()?;
        self.tally.millis += u64::try_from(answer.took.as_millis()).unwrap_or(0);
        let throttled = matches!(&answer.outcome, Err(failure) if failure.class == Class::Throttled);
        if let Some(wait) = answer.retry_after.filter(|_| !throttled) {
            credential.hold(in_flight.zone.clone(), wait, now);
        }
        let effect = match &answer.outcome {
            Ok(_) => {
                credential.limiter.welcome();
                self.worked(&in_flight, now)
            }
            Err(_) if throttled => {
                self.tally.throttled += 1;
                self.tally.missed_at = Some(now);
                Effect::Throttled(credential.limiter.throttle(answer.retry_after, now, rng))
            }
            Err(failure) => {
                credential.limiter.welcome();
                self.failed(failure, &in_flight, now, rng)
            }
        };
        Some((in_flight, effect))
    }

    fn worked(&mut self, in_flight: &InFlight, now: Moment) -> Effect {
        self.tally.served_at = Some(now);
        let writes = in_flight.request.writes();
        if writes {
            self.alarm = (None, FALSE_ALARM);
        }
        self.outage_until = None;
        self.refusals.reset();
        let zone_was_refused = in_flight
            .zone
            .as_ref()
            .and_then(|id| self.zones.get(id))
            .is_some_and(|zone| zone.refused().is_some());
        if let Some(granted) = &in_flight.zone {
            let others = self.zones.iter_mut().filter(|(id, _)| *id != granted);
            others.for_each(|(_, zone)| zone.is_refused_alone());
        }
        // What was refused with the same credential may work again, too.
        if self.refused.take().is_some() || zone_was_refused {
            self.zones.values_mut().filter(|zone| zone.refused().is_some()).for_each(|zone| zone.hurry(now));
            if self.search_refused {
                self.discover_at = None;
            }
        }
        if self.writes_fail && !writes {
            return Effect::Answers;
        }
        self.writes_fail = false;
        self.outage.reset();
        Effect::Works
    }

    fn failed(
        &mut self,
        failure: &Failure,
        in_flight: &InFlight,
        now: Moment,
        rng: &mut fastrand::Rng,
    ) -> Effect {
        self.tally.failed += 1;
        let search = in_flight.zone.is_none();
        match failure.class {
            Class::Credential | Class::Search if search && self.refuses_search_alone(failure) => {
                self.tally.served_at = Some(now);
                self.search_refused = true;
                let until = now + self.refusals.next(rng);
                self.discover_at = Some(until);
                Effect::SearchRefused(until)
            }
            Class::Credential | Class::Search => self.refuse(failure, now, rng),
            Class::Forbidden if self.blames_credential(in_flight) => self.refuse(failure, now, rng),
            Class::NotSent | Class::Unsure => {
                self.tally.missed_at = Some(now);
                self.writes_fail |= in_flight.request.writes();
                let wait = self.outage.next(rng);
                // One zone in trouble, or the search, does not hold back the others; the API as a whole does.
                if search && failure.answered {
                    self.discover_at = Some(now + wait);
                } else if !failure.answered || self.outage.failures() > 1 {
                    self.outage_until = Some(now + wait);
                }
                Effect::Down
            }
            Class::Clock => {
                self.tally.missed_at = Some(now);
                self.outage_until = Some(now + self.outage.next(rng).min(CLOCK_RETRY));
                Effect::Down
            }
            Class::Forbidden
            | Class::ZoneGone
            | Class::Zone
            | Class::Content
            | Class::ZoneFull
            | Class::CopyWrong
            | Class::Throttled => {
                self.tally.served_at = Some(now);
                if search {
                    self.discover_at = Some(now + self.searches.next(rng));
                }
                self.outage.reset();
                self.writes_fail = false;
                self.refused = None;
                Effect::Works
            }
        }
    }

    /// A list shows that a write was done which got no usable answer.
    pub fn write_found(&mut self) {
        self.writes_fail = false;
        self.outage.reset();
    }

    fn refuse(&mut self, failure: &Failure, now: Moment, rng: &mut fastrand::Rng) -> Effect {
        self.tally.served_at = Some(now);
        let until = now + self.refusals.next(rng).max(failure.least_wait);
        self.refused = Some(until);
        Effect::Refused(until)
    }

    /// Whether only looking for zones is refused, as far as is known: zones are known, and the search never
    /// worked, or Cloudflare knows the credential.
    fn refuses_search_alone(&self, failure: &Failure) -> bool {
        !self.zones.is_empty() && (!self.search_worked || failure.class == Class::Search)
    }

    /// Whether what a zone refuses is the credential's trouble: a second zone that has worked before refuses,
    /// and none was granted since; or the credential was refused already.
    fn blames_credential(&self, in_flight: &InFlight) -> bool {
        let Some(id) = &in_flight.zone else { return false };
        let suspicious = self.zones.get(id).is_some_and(Zone::speaks_against_credential);
        let another = self.zones.values().any(|zone| {
            let refused = zone.refused().is_some_and(Failure::is_of_rights);
            zone.id() != id && refused && zone.speaks_against_credential()
        });
        self.refused.is_some() || suspicious && another
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
        if self.discover_at.take().is_some() && !self.verifying {
            self.search_anew(now);
        }
        for zone in self.zones.values_mut() {
            zone.hurry(now);
        }
    }

    /// The network may be back: what could not be sent is tried again. Refusals and limits still hold.
    pub fn reconnect(&mut self) {
        if self.outage_until.take().is_some() {
            self.zones.values_mut().for_each(Zone::reconnect);
        }
    }

    /// The ticket of the request that is on its way.
    pub fn ticket(&self) -> Option<Ticket> {
        self.in_flight.as_ref().map(|in_flight| in_flight.ticket)
    }

    /// Whether a request is on its way.
    pub fn is_busy(&self) -> bool {
        self.in_flight.is_some()
    }

    /// Whether every request since then failed for an outage of Cloudflare, or for its limits; and there was one.
    pub fn is_out_since(&self, since: Moment) -> bool {
        self.tally.missed_at.is_some_and(|at| at >= since) && self.tally.served_at.is_none_or(|at| at < since)
    }

    /// What the operator allows.
    pub fn limit(&self) -> settings::Budget {
        self.settings.budget
    }

    /// How the requests fared.
    pub fn budget(&self, credential: Option<&Credential>, now: Moment) -> Usage {
        let answered = self.tally.requests.saturating_sub(u64::from(self.in_flight.is_some()));
        Usage {
            limit: self.settings.budget.requests,
            left: credential.map_or(self.settings.budget.requests, |it| it.limiter.left(now)),
            resets_at: credential.and_then(|it| it.limiter.resets_at(now)),
            requests: self.tally.requests,
            throttled: self.tally.throttled,
            failed: self.tally.failed,
            mean_millis: self.tally.millis.checked_div(answered).unwrap_or(0),
        }
    }
}

/// What was spent of a budget, and how requests fared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Requests in a window.
    pub limit: u32,
    /// Requests left in the window that ends now.
    pub left: u32,
    /// When the oldest request leaves the window.
    pub resets_at: Option<Moment>,
    /// Requests since the start.
    pub requests: u64,
    /// Those that were answered with 429.
    pub throttled: u64,
    /// Those that failed otherwise.
    pub failed: u64,
    /// Milliseconds that an answer took on average.
    pub mean_millis: u64,
}

/// What an answer means for the credential as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// The API answers, and accepts the credential.
    Works,
    /// The same; but a write failed before, and this was none.
    Answers,
    /// Silence until then.
    Throttled(Moment),
    /// The credential is refused, and tried again then.
    Refused(Moment),
    /// The list of zones is refused, and asked for again then; the zones that are known are not.
    SearchRefused(Moment),
    /// The API does not answer as it should.
    Down,
}
