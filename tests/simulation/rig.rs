//! The engine, a world and a clock that jumps; and what is asserted while they run.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;
use std::rc::Rc;
use std::time::Duration;

use stayput::detect;
use stayput::engine::api::{Answer, Batch, Found, Listed, Request};
use stayput::engine::failure::{Class, Failure};
use stayput::engine::names::{Family, Key, Line, Moment, Ticket, ZoneId};
use stayput::engine::notice::{Notice, Problem};
use stayput::engine::settings::{AccountName, Beside, CredentialId, OnExit, Settings, Source, ZoneHint};
use stayput::engine::watch::LookError;
use stayput::engine::{Command, Engine, Event, HintFrom, Mode, RecordState, Snapshot, Start};
use stayput::sandbox::{Armed, Fate, Fault, NewZone, Reply, Token, TokenState, World, Zone};

use super::beliefs::Beliefs;
use super::deadline::{BACKOFF, Deadlines};
use super::hands;
use super::harness::{self, OnTheWay, moment, since_origin};
use super::messages::Messages;
use super::oracle::{self, Actor, Oracle, Write};
use super::scenario::{Deed, END, Happening, Reload, STORMY, Scenario, When, options};
use super::traffic::Traffic;

/// How long the real client waits for an answer.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long the real program waits for its deletes when it is stopped.
const GRACE: Duration = Duration::from_secs(8);
/// How often is looked whether all is in time.
const TICK: Duration = Duration::from_secs(300);
const DAY: Duration = Duration::from_secs(86_400);

/// What a run came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    pub looks: u64,
    pub requests: u64,
    pub writes: u64,
    pub saves: u64,
    pub crashes: u64,
    pub reloads: u64,
    pub faults: u64,
    pub deeds: u64,
    pub lost_replies: u64,
    pub notices: u64,
}

impl Outcome {
    pub fn add(&mut self, other: &Outcome) {
        let sums = [
            (&mut self.looks, other.looks),
            (&mut self.requests, other.requests),
            (&mut self.writes, other.writes),
            (&mut self.saves, other.saves),
            (&mut self.crashes, other.crashes),
            (&mut self.reloads, other.reloads),
            (&mut self.faults, other.faults),
            (&mut self.deeds, other.deeds),
            (&mut self.lost_replies, other.lost_replies),
            (&mut self.notices, other.notices),
        ];
        for (sum, more) in sums {
            *sum += more;
        }
    }
}

/// A request on its way, with what was so when it left.
struct Departure {
    ticket: Ticket,
    account: AccountName,
    request: Request,
    secret: String,
    settings: Rc<Settings>,
    believed: BTreeMap<Family, (IpAddr, Duration)>,
    list_began: Duration,
    stopped_at: Option<Duration>,
}

/// Something under way.
enum Travelling {
    Look(Ticket, Line, Box<str>),
    Heard(Ticket, Line, Result<IpAddr, LookError>, Told),
    Ask(Box<Departure>),
    Answered(Box<Departure>, Box<Reply>, Answer),
}

/// What a source's answer says to somebody who reads it.
struct Told {
    label: Box<str>,
    operator: Box<str>,
    says: Option<IpAddr>,
    tunnelled: bool,
}

pub struct Rig {
    seed: u64,
    told: bool,
    rng: fastrand::Rng,
    world: World,
    settings: Rc<Settings>,
    original: Settings,
    script: VecDeque<(Duration, Happening)>,
    ambushes: Vec<(When, Key, Deed)>,
    engine: Engine,
    now: Duration,
    next_tick: Duration,
    down_until: Duration,
    life: u64,
    travelling: OnTheWay<(u64, Travelling)>,
    disk: Option<Snapshot>,
    has_disk: bool,
    disk_full: bool,
    /// Which secret each account has, what the process has read of it, and what there is to read.
    slots: BTreeMap<AccountName, usize>,
    in_use: BTreeMap<AccountName, String>,
    on_disk: Vec<String>,
    missing: BTreeSet<Family>,
    stopped_at: Option<Duration>,
    oracle: Oracle,
    traffic: Traffic,
    beliefs: Beliefs,
    deadlines: Deadlines,
    messages: Messages,
    /// Until when what is wrong with a zone, a name or everything excuses a delay.
    excused: BTreeMap<String, Duration>,
    /// What the program said that it could not delete at its end.
    not_deleted: BTreeSet<Key>,
    outcome: Outcome,
}

/// What excuses every delay.
const EVERYTHING: &str = "*";
/// What excuses that a zone is not found, that a proxied record is not created, and that none is.
const SEARCH: &str = "search";
const PROXY: &str = "proxy";
const FULL: &str = "full";

impl Rig {
    pub fn new(scenario: Scenario, told: bool) -> Rig {
        let Scenario { seed, mut settings, mut world, secrets, script, has_disk } = scenario;
        let on_disk: Vec<String> = (0..2).map(|slot| format!("sandbox-token-{slot:025}")).collect();
        world.auth.tokens = on_disk.iter().map(|secret| Token::editing(secret)).collect();
        let in_use: BTreeMap<AccountName, String> =
            secrets.iter().map(|(account, slot)| (account.clone(), on_disk[*slot].clone())).collect();
        for (name, account) in &mut settings.accounts {
            account.credential = credential(&in_use[name]);
        }
        let start = Start { mode: Mode::Daemon, seed, eager: false, now: moment(Duration::ZERO) };
        let mut rig = Rig {
            seed,
            told,
            rng: fastrand::Rng::with_seed(seed ^ 0xd1ce),
            engine: Engine::new(settings.clone(), start, None),
            world,
            original: settings.clone(),
            settings: Rc::new(settings),
            script: script.into(),
            ambushes: Vec::new(),
            now: Duration::ZERO,
            next_tick: TICK,
            down_until: Duration::ZERO,
            life: 0,
            travelling: OnTheWay::nothing(),
            disk: None,
            has_disk,
            disk_full: false,
            slots: secrets,
            in_use,
            on_disk,
            missing: BTreeSet::new(),
            stopped_at: None,
            oracle: Oracle::default(),
            traffic: Traffic::default(),
            beliefs: Beliefs::default(),
            deadlines: Deadlines::default(),
            messages: Messages::default(),
            excused: BTreeMap::new(),
            not_deleted: BTreeSet::new(),
            outcome: Outcome::default(),
        };
        rig.see_all(Actor::Others);
        rig
    }

    pub fn outcome(self) -> Outcome {
        self.outcome
    }

    pub fn run(&mut self) {
        self.run_until(STORMY);
        self.world.faults.clear();
        self.ambushes.clear();
        for token in &mut self.world.auth.tokens {
            token.state = TokenState::Active;
        }
        self.run_until(STORMY + DAY);
        let (requests, looks, saves) = (self.outcome.requests, self.outcome.looks, self.outcome.saves);
        self.run_until(END);
        self.check_converged();
        self.check_quiet(
            self.outcome.requests - requests,
            self.outcome.looks - looks,
            self.outcome.saves - saves,
        );
        self.check_restart();
        self.check_stop();
    }

    fn tell(&self, what: impl FnOnce() -> String) {
        if self.told {
            println!("{:>14.3} {}", self.now.as_secs_f64(), what());
        }
    }

    // --- the loop ---

    fn run_until(&mut self, end: Duration) {
        let mut idle_turns = 0;
        while self.now < end {
            self.pump();
            let wake = self.engine.wake_at(moment(self.now)).map(|at| since_origin(at).max(self.down_until));
            let arrival = self.travelling.next();
            let happening = self.script.front().map(|(at, _)| *at);
            let next = [wake, arrival, happening, Some(self.next_tick)].into_iter().flatten().min();
            let next = next.unwrap_or(end).min(end);
            idle_turns = if next <= self.now { idle_turns + 1 } else { 0 };
            assert!(
                idle_turns < 1_000,
                "seed {}: the engine spins at {:?}: wake {wake:?}",
                self.seed,
                self.now
            );
            self.now = self.now.max(next);
            self.world.advance(self.now);
            self.happen();
            self.arrive();
            if self.now >= self.next_tick {
                self.next_tick = self.now + TICK;
                self.tick();
            }
        }
    }

    fn pump(&mut self) {
        if self.now < self.down_until {
            return;
        }
        for turn in 0.. {
            assert!(turn < 10_000, "seed {}: the engine never rests at {:?}", self.seed, self.now);
            let Some(command) = self.engine.next_command(moment(self.now)) else { break };
            self.listen();
            self.carry_out(command);
        }
        self.listen();
        if self.engine.unsaved() {
            self.save();
        }
        let stopped = self.stopped_at.filter(|_| self.now < END);
        if stopped.is_some_and(|at| self.engine.settled(moment(self.now)) || self.now >= at + GRACE) {
            self.tell(|| "*** stopped".to_owned());
            self.begin_anew();
        }
    }

    fn listen(&mut self) {
        for notice in self.engine.take_notices() {
            self.outcome.notices += 1;
            let text = notice.to_string();
            for secret in self.in_use.values() {
                assert!(!text.contains(secret), "the secret was said: {text}");
            }
            self.tell(|| format!("{:?}: {text}", notice.severity()));
            match &notice {
                Notice::Address { line, to, .. } => self.believes(line.family, *to),
                Notice::NotDeleted(keys) => self.not_deleted.extend(keys.iter().cloned()),
                _ => {}
            }
            self.note_saying(&notice);
            let oracle = &self.oracle;
            self.messages.take(&notice, |address| oracle.has_told(address), self.now);
            self.check_well(&notice);
        }
    }

    /// A record that is said to be as it should be has our address.
    fn check_well(&self, notice: &Notice) {
        let Notice::Well(Problem::Obstacle(key, _) | Problem::Parked { key, .. }, _) = notice else { return };
        let believed = self.beliefs.believed.get(&key.kind.family()).map(|(address, _)| address.to_string());
        let is_there = |zone: &Zone| {
            let mut records = zone.records().values();
            records.any(|it| oracle::is_at(it, key) && Some(&it.content) == believed.as_ref())
        };
        let edited = |zone: &Zone| self.oracle.edited_since(&zone.id, self.traffic.rests_on(&zone.id));
        let zones = self.world.zones();
        assert!(zones.iter().any(is_there) || zones.iter().any(edited), "{key} is said to be well: {notice}");
    }

    /// What is said to be in force excuses that an address is not published.
    fn note_saying(&mut self, notice: &Notice) {
        if let Notice::Problem(Problem::Throttled(..)) = notice {
            self.excuse(EVERYTHING, BACKOFF);
        }
    }

    fn believes(&mut self, family: Family, address: IpAddr) {
        self.beliefs.believes(family, address, &self.settings, self.now);
        let keys = self.settings.records.keys().filter(|key| key.kind.family() == family);
        for key in keys {
            self.deadlines.begin(key.clone(), address);
        }
    }

    fn carry_out(&mut self, command: Command) {
        match command {
            Command::Look { ticket, line, source } => {
                self.outcome.looks += 1;
                let takes = self.rng.u64(2..60);
                self.travel(takes, Travelling::Look(ticket, line, source));
            }
            Command::Ask { ticket, account, request } => {
                self.tell(|| format!("  asks {}", brief(&request)));
                if self.engine.unsaved() {
                    self.save();
                }
                self.depart(ticket, account, request);
            }
            Command::ReadSecret { ticket, account } => {
                let secret = self.slots.get(&account).map(|slot| self.on_disk[*slot].clone());
                let changed = secret.filter(|secret| self.in_use.get(&account) != Some(secret));
                let id = changed.as_deref().map(credential);
                changed.and_then(|secret| self.in_use.insert(account, secret));
                self.engine.handle(Event::SecretRead(ticket, id), moment(self.now));
            }
        }
    }

    fn depart(&mut self, ticket: Ticket, account: AccountName, request: Request) {
        let secret = self.in_use[&account].clone();
        self.traffic.leaves(&request, &secret, self.now);
        let mut list_began = Duration::ZERO;
        if let Request::Batch { zone, batch } = &request {
            list_began = self.traffic.rests_on(zone.as_str());
            self.check_disk(zone);
            self.check_confirmed(batch);
        }
        let takes = self.rng.u64(5..200);
        let departure = Departure {
            ticket,
            account,
            request,
            secret,
            settings: Rc::clone(&self.settings),
            believed: self.beliefs.believed.clone(),
            list_began,
            stopped_at: self.stopped_at,
        };
        self.travel(takes, Travelling::Ask(Box::new(departure)));
    }

    fn travel(&mut self, millis: u64, what: Travelling) {
        self.travelling.add(self.now + Duration::from_millis(millis), (self.life, what));
    }

    fn arrive(&mut self) {
        while let Some((life, what)) = self.travelling.take(self.now) {
            match what {
                Travelling::Look(ticket, line, source) => self.echo(life, ticket, line, &source),
                Travelling::Ask(departure) => self.api(life, departure),
                _ if life != self.life => {}
                Travelling::Heard(ticket, line, answer, told) => {
                    let (label, operator) = (&*told.label, &*told.operator);
                    let said = (told.says, told.tunnelled);
                    // What nobody waits for any more is not heard.
                    if self.engine.is_open(ticket) {
                        self.beliefs.heard(line.family, (label, operator), said, self.now);
                    }
                    self.engine.handle(Event::Heard(ticket, answer), moment(self.now));
                    self.listen();
                }
                Travelling::Answered(departure, reply, answer) => self.answered(*departure, &reply, answer),
            }
        }
    }

    // --- the other side ---

    fn echo(&mut self, life: u64, ticket: Ticket, line: Line, source: &str) {
        let sources = self.settings.sources.get(&line);
        let named = |sources: &Vec<Source>| sources.iter().find(|known| *known.label == *source).cloned();
        let Some(asked) = sources.and_then(named) else { return };
        let reply = harness::look(&mut self.world, self.now, &asked.operator, line.family);
        let mut takes = self.rng.u64(2..60);
        let answer = match (reply.fate, reply.status) {
            (Fate::DeliverAfter(late), _) if late > Duration::from_secs(10) => {
                takes = 10_000;
                Err(LookError::TimedOut)
            }
            (Fate::Deliver | Fate::DeliverAfter(_), 200) if reply.body.len() > 4096 => {
                Err(LookError::TooLong)
            }
            (Fate::Deliver | Fate::DeliverAfter(_), 200) => match &*asked.operator {
                "cloudflare" => detect::answer::parse_trace(&reply.body, "echo.test", line.family),
                _ => detect::answer::parse_address(&reply.body, line.family),
            },
            (Fate::Deliver | Fate::DeliverAfter(_), status) => Err(LookError::Status(status)),
            (Fate::DropBeforeReply | Fate::Cut | Fate::Unreachable, _) => {
                match self.missing.contains(&line.family) {
                    true => Err(LookError::NoRoute),
                    false => Err(LookError::Unreachable("simulated".to_owned())),
                }
            }
        };
        let text = String::from_utf8_lossy(&reply.body);
        let told = Told {
            label: asked.label,
            operator: asked.operator,
            says: answer.as_ref().ok().copied(),
            tunnelled: reply.status == 200 && text.contains("warp=on"),
        };
        if life == self.life {
            self.travel(takes, Travelling::Heard(ticket, line, answer, told));
        }
    }

    fn api(&mut self, life: u64, departure: Box<Departure>) {
        self.outcome.requests += 1;
        let budget = departure.settings.accounts[&departure.account].budget;
        if life == self.life || self.has_disk {
            self.traffic.arrives(&departure.secret, budget, self.now);
        }
        let reply = match &departure.request {
            Request::Batch { zone, batch } => self.write(&departure, zone, batch),
            Request::Records { zone, .. } => self.list(&departure, zone),
            _ => self.send(&departure),
        };
        let (takes, answer) = self.answer_of(&departure.request, &reply);
        if life == self.life {
            self.travel(takes, Travelling::Answered(departure, Box::new(reply), answer));
        }
    }

    fn send(&mut self, departure: &Departure) -> Reply {
        harness::send(&mut self.world, self.now, &departure.request, &departure.secret)
    }

    fn list(&mut self, departure: &Departure, zone: &ZoneId) -> Reply {
        self.oracle.consider(zone.as_str(), &self.settings, &self.beliefs.believed, (self.now, self.now));
        let reply = self.send(departure);
        self.spring(When::AfterList, zone);
        let info = reply.value()["result_info"].clone();
        if info["page"].as_u64() < info["total_pages"].as_u64() {
            self.spring(When::BetweenPages, zone);
        }
        reply
    }

    fn write(&mut self, departure: &Departure, zone: &ZoneId, batch: &Batch) -> Reply {
        self.outcome.writes += 1;
        self.spring(When::BeforeWrite, zone);
        let times = (departure.list_began, self.now);
        self.oracle.consider(zone.as_str(), &departure.settings, &departure.believed, times);
        let write = Write {
            settings: &departure.settings,
            zone: zone.as_str(),
            batch,
            list_began: departure.list_began,
            believed: &departure.believed,
            stopped_at: departure.stopped_at,
        };
        self.oracle.check_asked(&write);
        let before = self.world.zone(zone.as_str()).map(|zone| zone.records().clone()).unwrap_or_default();
        let reply = self.send(departure);
        let Some(there) = self.world.zone(zone.as_str()) else { return reply };
        let after = there.records();
        self.oracle.check_done(&before, after, &write);
        if departure.stopped_at.is_none() {
            let here = |key: &Key| {
                let place = place_of(&self.world, key, &departure.settings);
                place.is_none_or(|place| place.id == zone.as_str())
            };
            self.oracle.check_emptied(
                &before,
                after,
                departure.settings.records.keys().filter(|key| here(key)),
            );
        }
        if before != *after && reply.fate == Fate::DropBeforeReply {
            self.outcome.lost_replies += 1;
        }
        self.see_all(Actor::Us);
        reply
    }

    /// Does the deeds that wait for this.
    fn spring(&mut self, when: When, zone: &ZoneId) {
        let ambushes = std::mem::take(&mut self.ambushes);
        for (at, key, deed) in ambushes {
            let here = hands::zone_of(&self.world, &key.name).is_some_and(|it| it.id == zone.as_str());
            if at == when && here {
                self.deed(&key, &deed);
            } else {
                self.ambushes.push((at, key, deed));
            }
        }
    }

    /// What the real client would make of a reply, and how many milliseconds later.
    fn answer_of(&mut self, request: &Request, reply: &Reply) -> (u64, Answer) {
        let lost = if request.writes() { Class::Unsure } else { Class::NotSent };
        let without = |class| Answer {
            limits: Vec::new(),
            retry_after: None,
            took: PATIENCE,
            outcome: Err(Failure::without_answer(class, "simulated")),
        };
        let mut takes = self.rng.u64(5..200);
        match reply.fate {
            Fate::DeliverAfter(late) if late > PATIENCE => (30_000, without(lost)),
            Fate::DropBeforeReply | Fate::Cut => (takes, without(lost)),
            Fate::Unreachable => (takes, without(Class::NotSent)),
            Fate::Deliver | Fate::DeliverAfter(_) => {
                if let Fate::DeliverAfter(late) = reply.fate {
                    takes += u64::try_from(late.as_millis()).unwrap();
                }
                (takes, harness::decode(request, reply, Duration::from_millis(takes)))
            }
        }
    }

    fn answered(&mut self, departure: Departure, reply: &Reply, answer: Answer) {
        let Departure { ticket, request, secret, .. } = departure;
        self.tell(|| format!("  {} → {}", brief(&request), told(&answer)));
        // What did not arrive was not read.
        let nothing = Reply { status: 0, headers: Vec::new(), body: Vec::new(), fate: reply.fate };
        let arrived = matches!(&answer.outcome, Err(failure) if !failure.answered);
        let read = if arrived { &nothing } else { reply };
        self.traffic.answered(&request, &secret, read, answer.outcome.is_ok(), self.now);
        match &answer.outcome {
            Ok(Found::Records(page)) => {
                let records = page.items.iter().filter_map(|item| match item {
                    Listed::Record(record) => Some(record),
                    _ => None,
                });
                self.oracle.told(records, self.now);
            }
            Ok(Found::Written(written)) => {
                self.oracle.told(written.patched.iter().chain(&written.posted), self.now);
            }
            _ => {}
        }
        let wrote = request.writes();
        self.engine.handle(Event::Answered(ticket, answer), moment(self.now));
        self.listen();
        if wrote {
            self.check_copies();
        }
    }

    // --- what happens ---

    fn happen(&mut self) {
        while self.script.front().is_some_and(|(at, _)| *at <= self.now) {
            let Some((_, happening)) = self.script.pop_front() else { break };
            self.tell(|| format!("*** {happening:?}"));
            self.carry_on(happening);
            self.see_all(Actor::Others);
        }
    }

    fn carry_on(&mut self, happening: Happening) {
        match happening {
            Happening::Fault(text) => {
                self.outcome.faults += 1;
                let armed: Armed = text.parse().unwrap_or_else(|bad| panic!("{text}: {bad}"));
                self.world.faults.arm(armed);
            }
            Happening::Over(name) => {
                self.note_faults();
                self.world.faults.disarm(name);
            }
            Happening::Address(family, address) => self.change_address(family, address),
            Happening::Hint => self.handle(Event::Hint { line: None, from: HintFrom::Kernel }),
            Happening::WayOutGone(family) => {
                self.beliefs.release(family);
                self.handle(Event::WayOutGone(Line::only(family)));
            }
            Happening::Unrelated(zone, body) => {
                let id = hands::named(&self.world, &zone).map(|zone| zone.id.clone());
                if let Some(id) = id {
                    let _refused = self.world.add_record(&id, &body);
                }
            }
            Happening::Deed(When::Now, key, deed) => self.deed(&key, &deed),
            Happening::Deed(when, key, deed) => self.ambushes.push((when, key, deed)),
            Happening::ZoneAppears(..)
            | Happening::ZoneGone(_)
            | Happening::ZoneRecreated(..)
            | Happening::Twin(..)
            | Happening::Status(..) => self.change_zones(happening),
            Happening::Crash => self.begin_anew(),
            Happening::Restart => self.stop(),
            Happening::Reload(reload) => self.reload(reload),
            Happening::Refresh => {
                for family in Family::ALL {
                    self.beliefs.release(family);
                }
                self.handle(Event::RefreshNow);
            }
            Happening::OthersSpend(requests) => self.world.spend("user@example.com", requests),
            Happening::DiskFull => self.disk_full = true,
            Happening::DiskWell => self.disk_full = false,
            Happening::Revoked => {
                for token in &mut self.world.auth.tokens {
                    token.state = TokenState::Revoked;
                }
                // Until it is rotated, and read again.
                self.excuse(EVERYTHING, Duration::from_secs(110_000));
            }
            Happening::Rotated => {
                for secret in &mut self.on_disk {
                    *secret = format!("sandbox-token-{:025}", self.rng.u64(..));
                    self.world.auth.tokens.push(Token::editing(secret));
                }
                self.excused.remove(EVERYTHING);
                self.excuse(EVERYTHING, BACKOFF);
            }
        }
    }

    /// Tells the process, if there is one.
    fn handle(&mut self, event: Event) {
        if self.now >= self.down_until && self.stopped_at.is_none() {
            self.engine.handle(event, moment(self.now));
        }
    }

    fn change_address(&mut self, family: Family, address: Option<IpAddr>) {
        self.world.addresses.change(family, address);
        let missing: BTreeSet<Family> =
            Family::ALL.into_iter().filter(|family| self.world.addresses.get(*family).is_none()).collect();
        if missing != self.missing && missing.len() < 2 {
            self.missing.clone_from(&missing);
            self.handle(Event::Missing(missing));
        }
    }

    fn deed(&mut self, key: &Key, deed: &Deed) {
        self.outcome.deeds += 1;
        self.tell(|| format!("*** by hand: {key}: {deed:?}"));
        self.meet_deadlines();
        let mark = oracle::our_mark(&self.settings);
        hands::deed(&mut self.world, key, deed, &mark, &mut self.rng);
        self.see_all(Actor::Others);
    }

    fn change_zones(&mut self, happening: Happening) {
        let world = &mut self.world;
        let name = match &happening {
            Happening::ZoneAppears(name, delegated) => {
                hands::add_zone(world, name, *delegated);
                name
            }
            Happening::ZoneGone(name) => {
                hands::remove_zone(world, name);
                self.oracle.zone_gone(name);
                name
            }
            Happening::ZoneRecreated(name, kept) => {
                hands::recreate_zone(world, name, *kept);
                name
            }
            Happening::Twin(name, status) => {
                let twin = NewZone::named(name);
                let account = "Second Account".to_owned();
                world.add_zone(NewZone { status: (*status).to_owned(), account, ..twin });
                name
            }
            Happening::Status(name, status) => {
                hands::set_status(world, name, status);
                name
            }
            _ => return,
        };
        // Found by the next refresh at the latest.
        let root = name.strip_prefix("sub.").unwrap_or(name).to_owned();
        self.excuse(&root, self.refresh() + Duration::from_secs(7 * 3_600));
    }

    fn stop(&mut self) {
        if self.now >= self.down_until {
            self.stopped_at = Some(self.now);
            self.engine.handle(Event::Stop, moment(self.now));
        }
    }

    /// The process is dead, and another one begins with what is on disk.
    fn begin_anew(&mut self) {
        self.outcome.crashes += 1;
        self.life += 1;
        self.stopped_at = None;
        self.down_until = self.now + Duration::from_millis(self.rng.u64(1_000..60_000));
        if !self.has_disk {
            self.disk = None;
        }
        let (now, seed) = (moment(self.down_until), self.rng.u64(..));
        let start = Start { mode: Mode::Daemon, seed, eager: false, now };
        let remembered = self.disk.as_ref().map(|disk| {
            let addresses = disk.addresses.iter();
            addresses.map(|(line, believed)| (line.family, believed.address)).collect()
        });
        self.traffic.forget(self.disk.is_some());
        self.beliefs.forget(remembered, self.down_until);
        self.oracle.forget(self.disk.as_ref(), &self.settings);
        self.messages.forget();
        self.in_use =
            self.slots.iter().map(|(name, slot)| (name.clone(), self.on_disk[*slot].clone())).collect();
        let mut settings = (*self.settings).clone();
        for (name, account) in &mut settings.accounts {
            account.credential = credential(&self.in_use[name]);
        }
        self.settings = Rc::new(settings.clone());
        self.engine = Engine::new(settings, start, self.disk.clone());
        if !self.missing.is_empty() {
            self.engine.handle(Event::Missing(self.missing.clone()), now);
        }
    }

    fn reload(&mut self, reload: Reload) {
        if self.now < self.down_until || self.stopped_at.is_some() {
            return;
        }
        self.outcome.reloads += 1;
        let mut settings = (*self.settings).clone();
        let keys: Vec<_> = self.original.records.keys().cloned().collect();
        let chosen = &keys[self.rng.usize(..keys.len())];
        match reload {
            Reload::Less => {
                if settings.records.len() > 1 {
                    settings.records.remove(chosen);
                }
            }
            Reload::All => self.restore_records(&mut settings),
            Reload::MoreDeletes => settings.max_deletes = 100,
            Reload::Options => {
                if let Some(wanted) = settings.records.get_mut(chosen) {
                    wanted.options = options(settings.owner.is_some(), &mut self.rng);
                }
            }
            Reload::Owner(owner) => {
                settings.owner = owner.map(Into::into);
                let wanted = settings.records.values_mut();
                for wanted in wanted.filter(|wanted| wanted.options.beside == Beside::Others) {
                    wanted.options.beside = Beside::Tolerated;
                }
            }
            Reload::Rename(name) => self.rename(&mut settings, AccountName(name.into())),
            Reload::Every(seconds) => settings.every = Duration::from_secs(seconds),
            Reload::Nothing => {}
        }
        for (name, account) in &mut settings.accounts {
            account.credential = credential(&self.in_use[name]);
        }
        self.oracle.reload(&settings);
        self.settings = Rc::new(settings.clone());
        self.engine.reconfigure(settings, moment(self.now));
    }

    fn restore_records(&self, settings: &mut Settings) {
        let named = |slot_of: &AccountName| {
            let second = AccountName("second".into());
            let is_second = *slot_of == second;
            let mut names = self.slots.keys().filter(|name| (**name == second) == is_second);
            names.next().cloned().unwrap_or_default()
        };
        settings.records.clone_from(&self.original.records);
        for wanted in settings.records.values_mut() {
            wanted.account = named(&wanted.account);
            if settings.owner.is_none() && wanted.options.beside == Beside::Others {
                wanted.options.beside = Beside::Tolerated;
            }
        }
    }

    /// The account that is not the second one gets another name.
    fn rename(&mut self, settings: &mut Settings, new: AccountName) {
        let second = AccountName("second".into());
        let Some(old) = self.slots.keys().find(|name| **name != second).cloned() else { return };
        let slot = self.slots.remove(&old).unwrap_or_default();
        let secret = self.in_use.get(&old).cloned().unwrap_or_default();
        self.slots.insert(new.clone(), slot);
        self.in_use.insert(new.clone(), secret);
        if let Some(account) = settings.accounts.remove(&old) {
            settings.accounts.insert(new.clone(), account);
        }
        for wanted in settings.records.values_mut().filter(|wanted| wanted.account == old) {
            wanted.account = new.clone();
        }
    }

    fn save(&mut self) {
        self.outcome.saves += 1;
        let now = moment(self.now);
        let changes =
            if self.disk.is_some() { self.engine.changes(now) } else { self.engine.everything(now) };
        let mut disk = self.disk.take().unwrap_or_default();
        disk.apply(changes);
        let whole = self.engine.clone().snapshot(now);
        assert_eq!(disk.zones, whole.zones, "what has changed is not all that has");
        self.disk = (self.has_disk && !self.disk_full).then_some(disk);
        if self.disk.is_some() {
            self.traffic.saved(self.now);
        }
    }

    // --- what is asserted ---

    fn see_all(&mut self, actor: Actor) {
        for zone in self.world.zones() {
            self.oracle.see(&zone.id, zone.records(), actor, self.now);
        }
        self.oracle.keep_zones(|id| self.world.zones().iter().any(|zone| zone.id == id));
    }

    /// The disk doubts a copy that a write is about to change.
    fn check_disk(&self, zone: &ZoneId) {
        let saved = self.disk.iter().flat_map(|disk| &disk.zones).find(|((_, id), _)| id == zone);
        assert!(
            saved.is_none_or(|(_, memory)| memory.listed_at.is_none()),
            "the disk believes a copy of {zone} that a write is about to change"
        );
    }

    /// What was believed before a restart is not published anew before a source has said it again.
    fn check_confirmed(&self, batch: &Batch) {
        let patched = batch.patches.iter().map(|patch| &patch.content);
        for content in patched.chain(batch.posts.iter().map(|post| &post.content)) {
            let family = content.kind().family();
            assert!(self.beliefs.is_confirmed(family), "{content} is published before a source has said it");
        }
    }

    /// The confirmed copy holds only what Cloudflare said.
    fn check_copies(&mut self) {
        let snapshot = self.engine.clone().snapshot(moment(self.now));
        for memory in snapshot.zones.values() {
            for record in memory.copy.records.values() {
                assert!(self.oracle.was_said(record), "the copy has what Cloudflare never said: {record:?}");
            }
        }
    }

    /// Every few minutes: is what is confirmed published, and what is called current so?
    fn tick(&mut self) {
        self.note_faults();
        for (key, wanted) in self.deadlines.waiting() {
            self.check_deadline(&key, wanted);
        }
        let hourly = self.now.as_secs() % 3_600 < TICK.as_secs();
        if hourly && self.now >= self.down_until {
            self.check_claims();
        }
    }

    /// What is published now was so in time, whatever somebody else makes of it.
    fn meet_deadlines(&mut self) {
        for (key, wanted) in self.deadlines.waiting() {
            if place_of(&self.world, &key, &self.settings).is_some_and(|zone| is_there(zone, &key, wanted)) {
                self.deadlines.met(&key);
            }
        }
    }

    fn check_deadline(&mut self, key: &Key, wanted: IpAddr) {
        let believed = self.beliefs.believed.get(&key.kind.family()).map(|(address, _)| *address);
        let place = place_of(&self.world, key, &self.settings);
        let gone = believed != Some(wanted) || !self.settings.records.contains_key(key);
        if gone || place.is_some_and(|zone| is_there(zone, key, wanted)) {
            self.deadlines.met(key);
            return;
        }
        if place.is_none_or(|zone| self.may_be_left(zone, key, Duration::ZERO)) {
            // What was in the way is found to be gone by the next refresh.
            self.excuse(key.name.as_str(), self.refresh() + BACKOFF);
        }
        let place = place_of(&self.world, key, &self.settings);
        if self.is_excused(key, place) {
            self.deadlines.excuse(key);
            return;
        }
        let waited = self.deadlines.pass(key, TICK);
        let most = BACKOFF + self.time_for_the_budget();
        if waited > most {
            let status = self.engine.status(moment(self.now));
            let record = status.records.iter().find(|record| record.key == *key);
            let judged = [RecordState::Current, RecordState::Blocked];
            let judged = record.is_some_and(|record| judged.contains(&record.state));
            let edited = |zone: &Zone| self.oracle.edited_since(&zone.id, self.traffic.rests_on(&zone.id));
            if judged && place.is_some_and(edited) {
                // It was there, or something was in its way, when the zone was listed: the next refresh tells.
                self.excuse(key.name.as_str(), self.refresh() + BACKOFF);
                return;
            }
            let there = self.oracle.told_of(key);
            panic!("{key} should be {wanted} for {waited:?} now: {record:?}; there is {there}");
        }
    }

    fn may_be_left(&self, zone: &Zone, key: &Key, long_ago: Duration) -> bool {
        self.oracle.may_be_left(zone, key, &self.settings, long_ago)
    }

    fn refresh(&self) -> Duration {
        self.settings.accounts.values().map(|account| account.refresh).max().unwrap_or_default()
    }

    /// What the budget makes of a list, a list for the deletes and a write in every zone.
    fn time_for_the_budget(&self) -> Duration {
        let budget = self.settings.accounts.values().next().unwrap().budget;
        let pages = 60_usize.div_ceil(self.world.quirks.most_records_per_page.min(5_000)) + 2;
        let requests = self.world.zones().len() * (3 * pages + 6);
        let windows = requests.div_ceil(usize::try_from(budget.requests).unwrap());
        budget.per * u32::try_from(windows).unwrap()
    }

    fn is_excused(&self, key: &Key, place: Option<&Zone>) -> bool {
        let Some(zone) = place else { return true };
        let wanted = &self.settings.records[key];
        let Some(secret) = self.in_use.get(&wanted.account) else { return true };
        let down = self.now < self.down_until || self.stopped_at.is_some();
        let held = self.traffic.is_held(secret, Some(&zone.id), self.now);
        let root = zone.name.strip_prefix("sub.").unwrap_or(&zone.name);
        let names = [EVERYTHING, root, &zone.name, key.name.as_str()];
        let troubled =
            names.iter().any(|name| self.excused.get(*name).is_some_and(|until| *until > self.now));
        let unknown =
            self.missing.contains(&key.kind.family()) || !self.beliefs.is_confirmed(key.kind.family());
        let lately = |what: &str| self.excused.get(what).is_some_and(|until| *until > self.now);
        let unfound = lately(SEARCH) && !self.traffic.has_listed(&zone.id);
        // What is to be proxied is not created without the proxy.
        let mark = oracle::our_mark(&self.settings);
        let there = zone.records().values().filter(|record| oracle::is_at(record, key)).any(|record| {
            wanted.options.beside != Beside::Others
                || oracle::mark_in(record.comment.as_deref()) == Some(&mark)
        });
        let exposed = lately(PROXY) && !there && wanted.options.proxied == Some(true);
        let full = lately(FULL) && !there;
        down || held || troubled || unknown || unfound || exposed || full
    }

    /// What is wrong now excuses delays until a while after it.
    fn note_faults(&mut self) {
        let armed: Vec<Fault> = self.world.faults.armed().iter().map(|armed| armed.fault.clone()).collect();
        for fault in armed {
            let (what, longest) = match fault {
                Fault::Address(_)
                | Fault::Flap(_)
                | Fault::Lie(..)
                | Fault::EchoDown(_)
                | Fault::EchoHtml(_)
                | Fault::Warp
                | Fault::WrongHost
                | Fault::StaleList(_)
                | Fault::RetryAfter(_) => continue,
                Fault::RefuseSearch => (SEARCH.to_owned(), Duration::from_secs(3 * 3_600)),
                Fault::Full => {
                    self.excuse(FULL, Duration::from_secs(13 * 3_600));
                    (EVERYTHING.to_owned(), BACKOFF)
                }
                Fault::DnsOnly => (PROXY.to_owned(), Duration::from_secs(13 * 3_600)),
                Fault::RefuseZone(zone) => (zone, Duration::from_secs(7 * 3_600)),
                Fault::Refuse(name) => (name, Duration::from_secs(13 * 3_600)),
                Fault::Spurious403 | Fault::Unsuccessful | Fault::Revoked => {
                    (EVERYTHING.to_owned(), Duration::from_secs(7 * 3_600))
                }
                _ => (EVERYTHING.to_owned(), BACKOFF),
            };
            self.excuse(&what, longest);
        }
    }

    fn excuse(&mut self, what: &str, longest: Duration) {
        let until = self.now + longest;
        let known = self.excused.entry(what.to_owned()).or_insert(until);
        *known = until.max(*known);
    }

    /// What is called current was so when Cloudflare was last asked.
    fn check_claims(&self) {
        let status = self.engine.status(moment(self.now));
        for record in status.records.iter().filter(|record| record.state == RecordState::Current) {
            let Some(content) = record.content.as_ref().map(ToString::to_string) else { continue };
            let holds = |zone: &Zone| {
                let mut records = zone.records().values();
                records.any(|it| oracle::is_at(it, &record.key) && it.content == content)
            };
            let edited =
                |zone: &Zone| self.oracle.edited_since(&zone.id, self.traffic.claims_rest_on(&zone.id));
            let zones = self.world.zones();
            let excused = self.excused.values().any(|until| *until > self.now);
            assert!(
                zones.iter().any(holds) || zones.iter().any(edited) || excused,
                "{} is called current, with {content}, which is not there",
                record.key
            );
        }
    }

    fn check_converged(&mut self) {
        let status = self.engine.status(moment(self.now));
        for record in &status.records {
            let options = &self.settings.records[&record.key].options;
            let address = self.world.addresses.get(record.key.kind.family()).unwrap();
            let Some(zone) = place_of(&self.world, &record.key, &self.settings) else {
                assert_ne!(record.state, RecordState::Current, "{} is in no zone", record.key);
                continue;
            };
            let right = oracle::is_right(zone, &record.key, address, options);
            let left = self.may_be_left(zone, &record.key, STORMY - BACKOFF);
            match record.state {
                RecordState::Current => {
                    assert!(right.is_ok() || left, "called current, but {right:?}");
                }
                RecordState::Blocked => {
                    let refused = oracle::is_refused_by_the_plan(options, zone);
                    assert!(left || refused, "{} is refused without a cause: {:?}", record.key, record.why);
                    let there = zone
                        .records()
                        .values()
                        .any(|it| oracle::is_at(it, &record.key) && it.content == address.to_string());
                    let published = there || left;
                    assert!(published, "{} is not published: {:?}", record.key, record.why);
                }
                RecordState::Behind => {
                    // Only deletions wait for ever: for somebody who raises max-deletes.
                    let mut wanting = options.clone();
                    if wanting.beside == Beside::Nobody {
                        wanting.beside = Beside::Tolerated;
                    }
                    let right = oracle::is_right(zone, &record.key, address, &wanting);
                    let many =
                        zone.records().values().filter(|it| oracle::is_at(it, &record.key)).count() > 1;
                    assert!(right.is_ok() && many, "{} waits: {:?} {right:?}", record.key, record.why);
                }
                RecordState::Unknown => panic!("{} is unknown: {:?}", record.key, record.why),
            }
        }
    }

    /// In a quiet day nothing is asked but one source a look, and what the refresh asks for.
    fn check_quiet(&self, requests: u64, looks: u64, saves: u64) {
        let account = self.settings.accounts.values().next().unwrap().clone();
        let rounds = |period: Duration| (DAY.as_secs_f64() / (period.as_secs_f64() * 0.9)).ceil() + 1.0;
        let pages = 80_usize.div_ceil(self.world.quirks.most_records_per_page.min(5_000));
        // A zone is listed, perhaps also for the delegations above one name, and child zones are looked for.
        let a_refresh = self.engine.zones().len() * (pages + 1) + self.settings.accounts.len();
        let status = self.engine.status(moment(self.now));
        let refused = status.records.iter().filter(|record| record.state != RecordState::Current).count();
        // A refused record is tried again rarely, and a missing zone looked for rarely.
        let most = a_refresh as f64 * rounds(account.refresh) + refused as f64 * 30.0;
        assert!(requests as f64 <= most, "{requests} requests in a quiet day, {most} expected");
        assert!(saves as f64 <= most * 2.0, "{saves} saves in a quiet day");
        let most = rounds(self.settings.every) * self.settings.sources.len() as f64;
        assert!(looks as f64 <= most, "{looks} looks in a quiet day, {most} expected");
    }

    /// A restart with a believed copy costs no request.
    fn check_restart(&mut self) {
        let status = self.engine.status(moment(self.now));
        let steady = status.records.iter().all(|record| record.state == RecordState::Current);
        let refresh = self.settings.accounts.values().next().unwrap().refresh;
        self.run_until(self.now + Duration::from_secs(600));
        let young = |at: Option<Moment>| {
            let age = at.map(|at| moment(self.now).since(at));
            age.is_some_and(|age| age + Duration::from_secs(1_200) < refresh.mul_f64(0.9))
        };
        let believed = self.disk.as_ref().is_some_and(|disk| {
            disk.zones.values().all(|zone| young(zone.listed_at))
                && disk.searched.values().all(|at| young(Some(*at)))
        });
        self.begin_anew();
        let requests = self.outcome.requests;
        self.run_until(self.now + Duration::from_secs(600));
        let mut cost = self.outcome.requests - requests;
        // Where the daemon before might have deleted at its end, one list a zone: of one page, or name by name.
        if self.settings.on_exit == OnExit::Delete {
            let lists = self.engine.zones().len() + self.settings.records.len();
            cost = cost.saturating_sub(lists as u64 * 2);
        }
        assert!(cost == 0 || !steady || !believed, "a restart cost {cost} requests");
    }

    /// What carries the mark of an earlier owner, and was out of our hands since, is not known to be ours.
    fn ours_at_the_stop(&self) -> Vec<stayput::sandbox::Record> {
        let mark = oracle::our_mark(&self.settings);
        let keeps = self.settings.on_exit == OnExit::Keep;
        let known = |record: &&stayput::sandbox::Record| {
            keeps || oracle::mark_in(record.comment.as_deref()).is_none_or(|found| found == mark)
        };
        self.oracle.ours(&self.settings).into_iter().filter(known).cloned().collect()
    }

    /// After the daemon is stopped, our records are gone, or all there.
    fn check_stop(&mut self) {
        self.run_until(self.now + Duration::from_secs(3_600));
        let before = self.ours_at_the_stop();
        self.stopped_at = Some(self.now);
        self.engine.handle(Event::Stop, moment(self.now));
        let begin = self.now;
        while !self.engine.settled(moment(self.now)) {
            assert!(self.now < begin + Duration::from_secs(600), "it never stops");
            self.run_until(self.now + Duration::from_millis(100));
        }
        self.engine.take_leave();
        self.listen();
        let left = self.ours_at_the_stop();
        let (before, after) = (before.len(), left.len());
        match self.settings.on_exit {
            OnExit::Keep => assert_eq!(before, after, "records changed at the stop"),
            OnExit::Delete if before > self.settings.max_deletes => {
                assert!(
                    before - after <= self.settings.max_deletes,
                    "more was deleted than max-deletes allows"
                );
            }
            // What the budget does not allow any more is named.
            OnExit::Delete => {
                let named = |record: &stayput::sandbox::Record| {
                    self.not_deleted.iter().any(|key| oracle::is_at(record, key))
                };
                assert!(left.iter().all(named), "{after} of {before} left: {left:?}");
            }
        }
    }
}

/// The zone in which a name is to be, as the configuration and the zones are now.
fn place_of<'w>(world: &'w World, key: &Key, settings: &Settings) -> Option<&'w Zone> {
    let candidates: Vec<String> = match &settings.records.get(key)?.zone {
        ZoneHint::Id(id, _) => return world.zones().iter().find(|zone| zone.id == id.as_str()),
        ZoneHint::Named(name) => vec![name.as_str().to_owned()],
        ZoneHint::Find => key.name.zone_candidates().map(|name| name.as_str().to_owned()).collect(),
    };
    for candidate in candidates {
        let zones: Vec<&Zone> = world.zones().iter().filter(|zone| zone.name == candidate).collect();
        let active: Vec<&&Zone> = zones.iter().filter(|zone| zone.status == "active").collect();
        match (zones.as_slice(), active.as_slice()) {
            ([], _) => {}
            ([zone], _) => return Some(zone),
            (_, [zone]) => return Some(zone),
            _ => return None,
        }
    }
    None
}

/// Tells secrets apart, as the shell does.
fn credential(secret: &str) -> CredentialId {
    let hash = secret.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    CredentialId(format!("{hash:016x}").into())
}

fn brief(request: &Request) -> String {
    let mut text = format!("{request:?}");
    text.truncate(text.char_indices().nth(300).map_or(text.len(), |(at, _)| at));
    text
}

fn told(answer: &Answer) -> String {
    match &answer.outcome {
        Ok(Found::Records(page)) => format!("{} records of {:?}", page.items.len(), page.total),
        Ok(_) => "ok".to_owned(),
        Err(failure) => format!("{:?} {failure}", failure.class),
    }
}

fn is_there(zone: &Zone, key: &Key, address: IpAddr) -> bool {
    let mut records = zone.records().values();
    records.any(|record| oracle::is_at(record, key) && record.content == address.to_string())
}
