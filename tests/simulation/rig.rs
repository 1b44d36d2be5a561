//! The engine, a world and a clock that jumps; and what is asserted while they run.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::rc::Rc;
use std::time::Duration;

use stayput::cloudflare::wire::{self, HttpAnswer};
use stayput::detect;
use stayput::engine::address::{SourceId, Unheard};
use stayput::engine::credential::Ticket;
use stayput::engine::failure::{Class, Failure};
use stayput::engine::names::{Family, Moment, ZoneId};
use stayput::engine::request::{Answer, Found, Request};
use stayput::engine::settings::{AccountName, OnExit, Settings};
use stayput::engine::{Command, Engine, Event, Mode, RecordState, Snapshot, Start};
use stayput::sandbox::{API_PATH, Armed, Fate, HttpRequest, Token, TokenState, World, other_address};

use super::oracle::{self, Oracle};
use super::scenario::{END, Happening, STORMY, Scenario, address, options};

/// How long the real client waits for an answer.
const PATIENCE: Duration = Duration::from_secs(30);

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
    pub lost_replies: u64,
    pub notices: u64,
}

impl Outcome {
    pub fn add(&mut self, other: &Outcome) {
        self.looks += other.looks;
        self.requests += other.requests;
        self.writes += other.writes;
        self.saves += other.saves;
        self.crashes += other.crashes;
        self.reloads += other.reloads;
        self.faults += other.faults;
        self.lost_replies += other.lost_replies;
        self.notices += other.notices;
    }
}

/// Something under way.
enum Travelling {
    Look(SourceId),
    Heard(SourceId, Result<IpAddr, Unheard>),
    Ask(Ticket, Request, Rc<Settings>),
    Answered(Ticket, Request, Answer),
}

pub struct Rig {
    seed: u64,
    told: bool,
    rng: fastrand::Rng,
    world: World,
    zones: BTreeMap<String, String>,
    settings: Rc<Settings>,
    original: Settings,
    script: VecDeque<(Duration, Happening)>,
    engine: Engine,
    now: Duration,
    down_until: Duration,
    life: u64,
    serial: u64,
    travelling: BTreeMap<(Duration, u64), (u64, Travelling)>,
    disk: Option<Snapshot>,
    has_disk: bool,
    disk_full: bool,
    secret: String,
    secret_on_disk: String,
    stopping: bool,
    oracle: Oracle,
    /// Zones of which our copy must be right, because Cloudflare has said so since the last doubt.
    believed: BTreeMap<ZoneId, bool>,
    arrivals: VecDeque<Duration>,
    outcome: Outcome,
}

impl Rig {
    pub fn new(scenario: Scenario, told: bool) -> Rig {
        let Scenario { seed, settings, mut world, zones, script, has_disk } = scenario;
        let secret = "sandbox-token-0000000000000000000000000".to_owned();
        world.doors.tokens = vec![Token::editing(&secret)];
        let mut oracle = Oracle::default();
        for family in Family::ALL {
            oracle.truths.insert(other_address(family));
            oracle.truths.insert(address(family, 0));
        }
        let start = Start { mode: Mode::Daemon, seed, eager: false, now: moment(Duration::ZERO) };
        let mut rig = Rig {
            seed,
            told,
            rng: fastrand::Rng::with_seed(seed ^ 0xd1ce),
            engine: Engine::new(settings.clone(), start, None),
            world,
            zones,
            original: settings.clone(),
            settings: Rc::new(settings),
            script: script.into(),
            now: Duration::ZERO,
            down_until: Duration::ZERO,
            life: 0,
            serial: 0,
            travelling: BTreeMap::new(),
            disk: None,
            has_disk,
            disk_full: false,
            secret_on_disk: secret.clone(),
            secret,
            stopping: false,
            oracle,
            believed: BTreeMap::new(),
            arrivals: VecDeque::new(),
            outcome: Outcome::default(),
        };
        rig.see_all();
        rig
    }

    pub fn outcome(self) -> Outcome {
        self.outcome
    }

    pub fn run(&mut self) {
        self.run_until(STORMY);
        self.world.faults.clear();
        for token in &mut self.world.doors.tokens {
            token.state = TokenState::Active;
        }
        self.run_until(STORMY + Duration::from_secs(86_400));
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
            let arrival = self.travelling.keys().next().map(|(at, _)| *at);
            let happening = self.script.front().map(|(at, _)| *at);
            let next = [wake, arrival, happening].into_iter().flatten().min().unwrap_or(end).min(end);
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
        }
    }

    fn pump(&mut self) {
        if self.now < self.down_until {
            return;
        }
        for turn in 0.. {
            assert!(turn < 10_000, "seed {}: the engine never rests at {:?}", self.seed, self.now);
            let Some(command) = self.engine.next_command(moment(self.now)) else { break };
            self.carry_out(command);
        }
        for notice in self.engine.take_notices() {
            self.outcome.notices += 1;
            let text = notice.to_string();
            assert!(!text.contains(&self.secret), "the secret was said: {text}");
            self.tell(|| format!("{:?}: {text}", notice.severity()));
        }
        if self.engine.unsaved() && self.travelling.values().all(|(life, _)| *life != self.life) {
            self.save();
        }
    }

    fn carry_out(&mut self, command: Command) {
        match command {
            Command::Look(source) => {
                self.outcome.looks += 1;
                let takes = self.rng.u64(2..60);
                self.travel(takes, Travelling::Look(source));
            }
            Command::Ask(ticket, _, request) => {
                self.tell(|| format!("  asks {:?}", brief(&request)));
                if self.engine.unsaved() {
                    self.save();
                }
                if let Request::Batch { zone, .. } = &request {
                    assert_eq!(
                        self.believed.get(zone),
                        Some(&true),
                        "a write left on a doubted copy of {zone}"
                    );
                    self.believed.insert(zone.clone(), false);
                    let saved =
                        self.disk.iter().flat_map(|disk| &disk.zones).find(|memory| memory.id == *zone);
                    assert!(
                        saved.is_none_or(|memory| memory.listed_at.is_none()),
                        "the disk believes a copy of {zone} that a write is about to change"
                    );
                }
                let takes = self.rng.u64(5..200);
                self.travel(takes, Travelling::Ask(ticket, request, Rc::clone(&self.settings)));
            }
            Command::RereadSecret(account) => {
                if self.secret != self.secret_on_disk {
                    self.secret.clone_from(&self.secret_on_disk);
                    self.engine.handle(Event::SecretChanged(account, Default::default()), moment(self.now));
                }
            }
        }
    }

    fn travel(&mut self, millis: u64, what: Travelling) {
        self.serial += 1;
        let at = self.now + Duration::from_millis(millis);
        self.travelling.insert((at, self.serial), (self.life, what));
    }

    fn arrive(&mut self) {
        while let Some(entry) = self.travelling.first_entry().filter(|entry| entry.key().0 <= self.now) {
            let (life, what) = entry.remove();
            match what {
                Travelling::Look(source) => self.echo(life, source),
                Travelling::Ask(ticket, request, settings) => self.api(life, ticket, request, &settings),
                _ if life != self.life => {}
                Travelling::Heard(source, answer) => {
                    self.engine.handle(Event::Heard(source, answer), moment(self.now));
                }
                Travelling::Answered(ticket, request, answer) => self.answered(ticket, &request, answer),
            }
        }
    }

    // --- the other side ---

    fn echo(&mut self, life: u64, source: SourceId) {
        let operator =
            self.settings.sources.get(&source.family).map(|sources| sources[source.index].label.clone());
        let Some(operator) = operator else { return };
        let path = format!("/echo/{operator}");
        let headers = [("host".to_owned(), "echo.test".to_owned())];
        let request =
            HttpRequest { method: "GET", path: &path, headers: &headers, body: b"", over: source.family };
        let reply = self.world.answer(&request, self.now);
        let mut takes = self.rng.u64(2..60);
        let answer = match (reply.fate, reply.status) {
            (Fate::DeliverAfter(late), _) if late > Duration::from_secs(10) => {
                takes = 10_000;
                Err(Unheard::TimedOut)
            }
            (Fate::Deliver | Fate::DeliverAfter(_), 200) if reply.body.len() > 4096 => Err(Unheard::TooLong),
            (Fate::Deliver | Fate::DeliverAfter(_), 200) => match &*operator {
                "cloudflare" => detect::answer::parse_trace(&reply.body, "echo.test", source.family),
                _ => detect::answer::parse_address(&reply.body, source.family),
            },
            (Fate::Deliver | Fate::DeliverAfter(_), status) => Err(Unheard::Status(status)),
            (Fate::DropBeforeReply | Fate::Cut | Fate::Unreachable, _) => {
                Err(Unheard::Unreachable("simulated".to_owned()))
            }
        };
        if life == self.life {
            self.travel(takes, Travelling::Heard(source, answer));
        }
    }

    fn api(&mut self, life: u64, ticket: Ticket, request: Request, settings: &Settings) {
        self.outcome.requests += 1;
        self.check_pace();
        let http = wire::encode(&request);
        let path = format!("{API_PATH}{}", http.path);
        let headers = [
            ("authorization".to_owned(), format!("Bearer {}", self.secret)),
            ("content-type".to_owned(), "application/json".to_owned()),
            ("user-agent".to_owned(), "stayput/test".to_owned()),
        ];
        let body = http.body.unwrap_or_default();
        let zone = match &request {
            Request::Batch { zone, .. } => Some(zone.to_string()),
            _ => None,
        };
        let before = zone.as_ref().map(|zone| self.world.records(zone));
        let sent = HttpRequest {
            method: http.method,
            path: &path,
            headers: &headers,
            body: body.as_bytes(),
            over: Family::V4,
        };
        let reply = self.world.answer(&sent, self.now);
        if let (Some(zone), Some(before)) = (zone, before) {
            self.outcome.writes += 1;
            let after = self.world.records(&zone);
            self.oracle.check_write(&before, &after, settings, self.stopping);
            if before != after && reply.fate == Fate::DropBeforeReply {
                self.outcome.lost_replies += 1;
            }
            self.see_all();
        }
        let (takes, answer) = self.answer_of(&request, &reply);
        if life == self.life {
            self.travel(takes, Travelling::Answered(ticket, request, answer));
        }
    }

    /// What the real client would make of a reply, and how many milliseconds later.
    fn answer_of(&mut self, request: &Request, reply: &stayput::sandbox::Reply) -> (u64, Answer) {
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
                let answer = HttpAnswer {
                    status: reply.status,
                    headers: reply.headers.clone(),
                    body: &reply.body,
                    took: Duration::from_millis(takes),
                };
                (takes, wire::decode(request, &answer))
            }
        }
    }

    fn answered(&mut self, ticket: Ticket, request: &Request, answer: Answer) {
        self.tell(|| format!("  {:?} → {}", brief(request), told(&answer)));
        match (request, &answer.outcome) {
            (Request::Records { zone, .. }, Ok(Found::Records(_))) | (Request::Batch { zone, .. }, Ok(_)) => {
                self.believed.insert(zone.clone(), true);
            }
            (Request::Batch { zone, .. }, Err(failure)) => {
                let nothing_done = !matches!(failure.class, Class::Unsure | Class::CopyWrong);
                self.believed.insert(zone.clone(), nothing_done);
            }
            _ => {}
        }
        let wrote = request.writes();
        self.engine.handle(Event::Answered(ticket, answer), moment(self.now));
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
            self.see_all();
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
                self.world.faults.disarm(name);
            }
            Happening::Address(family, address) => {
                self.oracle.truths.insert(address);
                self.world.addresses.change(family, Some(address));
            }
            Happening::Unrelated(zone, body) => {
                let id = self.zones[&zone].clone();
                let _ = self.world.add_record(&id, &body);
            }
            Happening::Deleted(key) => self.by_hand(&key, |world, zone, id| {
                let _ = world.remove_record(zone, id);
            }),
            Happening::Edited(key, content) => self.by_hand(&key, |world, zone, id| {
                let _ = world.edit_record(zone, id, &serde_json::json!({ "content": content.to_string() }));
            }),
            Happening::Decorated(key, body) => self.by_hand(&key, |world, zone, id| {
                let _ = world.edit_record(zone, id, &body);
            }),
            Happening::Crash => self.crash(),
            Happening::Reload => self.reload(),
            Happening::Refresh => {
                self.engine.handle(Event::RefreshNow, moment(self.now));
                self.believed.clear();
            }
            Happening::OthersSpend(requests) => self.world.spend("user@example.com", requests),
            Happening::DiskFull => self.disk_full = true,
            Happening::DiskWell => self.disk_full = false,
            Happening::Revoked => {
                for token in &mut self.world.doors.tokens {
                    token.state = TokenState::Revoked;
                }
            }
            Happening::Rotated => {
                self.secret_on_disk = format!("sandbox-token-{:025}", self.rng.u64(..));
                self.world.doors.tokens.push(Token::editing(&self.secret_on_disk));
            }
        }
    }

    fn by_hand(&mut self, key: &stayput::engine::names::Key, act: impl Fn(&mut World, &str, &str)) {
        for zone in self.zones.values() {
            let record = self.world.records(zone).into_iter().find(|record| oracle::is_at(record, key));
            if let Some(record) = record {
                act(&mut self.world, zone, &record.id);
            }
        }
    }

    fn crash(&mut self) {
        self.outcome.crashes += 1;
        self.life += 1;
        self.down_until = self.now + Duration::from_millis(self.rng.u64(1_000..60_000));
        if !self.has_disk {
            self.disk = None;
        }
        let (now, seed) = (moment(self.down_until), self.rng.u64(..));
        let start = Start { mode: Mode::Daemon, seed, eager: false, now };
        self.believed.clear();
        for memory in self.disk.iter().flat_map(|disk| &disk.zones) {
            self.believed.insert(memory.id.clone(), memory.listed_at.is_some());
        }
        // Without a disk nobody can know what was spent.
        if self.disk.is_none() {
            self.arrivals.clear();
        }
        self.engine = Engine::new((*self.settings).clone(), start, self.disk.clone());
    }

    fn reload(&mut self) {
        self.outcome.reloads += 1;
        let mut settings = (*self.settings).clone();
        let keys: Vec<_> = self.original.records.keys().cloned().collect();
        let chosen = &keys[self.rng.usize(..keys.len())];
        match self.rng.u8(0..4) {
            0 if settings.records.len() > 1 => {
                settings.records.remove(chosen);
            }
            1 => settings.records.clone_from(&self.original.records),
            2 => settings.max_deletes = 100,
            _ => {
                if let Some(wanted) = settings.records.get_mut(chosen) {
                    wanted.options = options(settings.owner.is_some(), &mut self.rng);
                }
            }
        }
        self.settings = Rc::new(settings.clone());
        self.engine.reconfigure(settings, moment(self.now));
    }

    fn save(&mut self) {
        self.outcome.saves += 1;
        let snapshot = self.engine.snapshot(moment(self.now));
        self.disk = (self.has_disk && !self.disk_full).then_some(snapshot);
    }

    // --- what is asserted ---

    fn see_all(&mut self) {
        for zone in self.zones.values() {
            let records = self.world.records(zone);
            self.oracle.see(&records, &self.settings);
        }
    }

    /// In every window there are never more requests than the budget allows.
    fn check_pace(&mut self) {
        let budget = self.settings.accounts[&AccountName::default()].budget;
        self.arrivals.push_back(self.now);
        while self.arrivals.front().is_some_and(|first| *first + budget.per < self.now) {
            self.arrivals.pop_front();
        }
        let most = usize::try_from(budget.requests).unwrap();
        assert!(self.arrivals.len() <= most, "{} requests in a window of {most}", self.arrivals.len());
    }

    /// The confirmed copy holds only what Cloudflare said.
    fn check_copies(&mut self) {
        let snapshot = self.engine.clone().snapshot(moment(self.now));
        for memory in snapshot.zones {
            for record in memory.records {
                assert!(self.oracle.was_said(&record), "the copy has what Cloudflare never said: {record:?}");
            }
        }
    }

    fn check_converged(&mut self) {
        let status = self.engine.status(moment(self.now));
        for record in &status.records {
            let zone = self.zone_of(&record.key);
            let records = self.world.records(&zone);
            let address = self.world.addresses.get(record.key.family).unwrap();
            let options = &self.settings.records[&record.key].options;
            match record.state {
                RecordState::Current => {
                    if let Err(wrong) = oracle::is_right(&records, &record.key, address, options) {
                        panic!("called current, but {wrong}");
                    }
                }
                RecordState::Blocked => {
                    let rightly = oracle::may_be_refused(&records, &record.key, &self.settings);
                    assert!(rightly, "{} is refused without a cause: {:?}", record.key, record.why);
                }
                RecordState::Behind => {
                    // Only deletions wait for ever: for somebody who raises max-deletes.
                    let mut wanting = options.clone();
                    if wanting.beside == stayput::engine::settings::Beside::Nobody {
                        wanting.beside = stayput::engine::settings::Beside::Tolerated;
                    }
                    let right = oracle::is_right(&records, &record.key, address, &wanting);
                    let many = records.iter().filter(|r| oracle::is_at(r, &record.key)).count() > 1;
                    assert!(right.is_ok() && many, "{} waits: {:?} {right:?}", record.key, record.why);
                }
                RecordState::Unknown => panic!("{} is unknown: {:?}", record.key, record.why),
            }
        }
    }

    /// In a quiet day nothing is asked but one source a look, and what the refresh asks for.
    fn check_quiet(&self, requests: u64, looks: u64, saves: u64) {
        let account = self.settings.accounts[&AccountName::default()].clone();
        let day = Duration::from_secs(86_400);
        let rounds = |period: Duration| (day.as_secs_f64() / (period.as_secs_f64() * 0.9)).ceil() + 1.0;
        let zones = self.engine.zones().len() as f64;
        let status = self.engine.status(moment(self.now));
        let refused = status.records.iter().filter(|record| record.state == RecordState::Blocked).count();
        // A refused record is tried again rarely, and a missing zone looked for rarely.
        let most = zones * rounds(account.refresh) + refused as f64 * 30.0;
        assert!(requests as f64 <= most, "{requests} requests in a quiet day, {most} expected");
        assert!(saves as f64 <= most * 2.0, "{saves} saves in a quiet day");
        let most = rounds(self.settings.every) * self.settings.sources.len() as f64;
        assert!(looks as f64 <= most, "{looks} looks in a quiet day, {most} expected");
    }

    /// A restart with a believed copy costs no request.
    fn check_restart(&mut self) {
        let status = self.engine.status(moment(self.now));
        let steady = status.records.iter().all(|record| record.state == RecordState::Current);
        let account = self.settings.accounts[&AccountName::default()].clone();
        self.run_until(self.now + Duration::from_secs(600));
        let young = |memory: &stayput::engine::ZoneMemory| {
            let age = memory.listed_at.map(|at| moment(self.now).since(at));
            age.is_some_and(|age| age + Duration::from_secs(1_200) < account.refresh.mul_f64(0.9))
        };
        let believed = self.disk.as_ref().is_some_and(|disk| disk.zones.iter().all(young));
        self.crash();
        let requests = self.outcome.requests;
        self.run_until(self.now + Duration::from_secs(600));
        let cost = self.outcome.requests - requests;
        assert!(cost == 0 || !steady || !believed, "a restart cost {cost} requests");
    }

    /// After the daemon is stopped, our records are gone, or all there.
    fn check_stop(&mut self) {
        self.run_until(self.now + Duration::from_secs(3_600));
        let ours = |rig: &Rig| -> usize {
            let mark = oracle::our_mark(&rig.settings);
            let at = |record: &stayput::sandbox::Record| {
                rig.settings.records.keys().any(|key| oracle::is_at(record, key))
            };
            let all = rig.zones.values().flat_map(|zone| rig.world.records(zone));
            all.filter(|record| at(record) && oracle::owner_of(record).as_deref() == Some(&mark)).count()
        };
        let before = ours(self);
        self.stopping = true;
        self.engine.handle(Event::Stop, moment(self.now));
        let begin = self.now;
        while !self.engine.settled(moment(self.now)) {
            assert!(self.now < begin + Duration::from_secs(600), "it never stops");
            self.run_until(self.now + Duration::from_millis(100));
        }
        let after = ours(self);
        match self.settings.on_exit {
            OnExit::Keep => assert_eq!(before, after, "records changed at the stop"),
            OnExit::Delete => {
                assert!(
                    after == 0 || before > self.settings.max_deletes || after == before,
                    "{after} of {before} left"
                );
            }
        }
    }

    fn zone_of(&self, key: &stayput::engine::names::Key) -> String {
        let name = key.name.as_str();
        self.zones.iter().find(|(zone, _)| name.ends_with(&format!(".{zone}"))).unwrap().1.clone()
    }
}

/// The clock does not begin at zero, so that the past before the start exists.
const ORIGIN: i64 = 1_000_000_000;

fn since_origin(at: Moment) -> Duration {
    Duration::from_millis(u64::try_from(at.as_millis() - ORIGIN).unwrap_or(0))
}

fn moment(now: Duration) -> Moment {
    // Rounded up: what is to happen at an instant happens then, not just before.
    let millis = now.as_micros().div_ceil(1_000);
    Moment::from_millis(ORIGIN + i64::try_from(millis).unwrap())
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
