//! A home whose names lie in zones of a simulated Cloudflare, on a clock that jumps; and what it asks
//! of Cloudflare's API on days of several kinds.
//!
//! The engine, the real JSON (`cloudflare::wire`) and the sandbox's world, without sockets. Nothing
//! goes wrong here: what faults do is the simulation's affair. Deliberately unknown: what is a good
//! figure, and how figures are shown.

#![expect(clippy::panic, clippy::unwrap_used, reason = "a household that cannot be set up is no measurement")]

#[path = "../../tests/support/harness.rs"]
mod harness;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::{Duration, SystemTime};

use serde_json::json;
use stayput::detect::answer;
use stayput::engine::api::{Answer, Request};
use stayput::engine::names::{Content, Family, Key, Line, Name, Ticket};
use stayput::engine::settings::{
    Account, AccountName, Budget, OnExit, Options, Settings, Source, Wanted, ZoneHint,
};
use stayput::engine::time::ClockPair;
use stayput::engine::watch::LookError;
use stayput::engine::{Command, Engine, Event, Mode, RecordState, Snapshot, Start};
use stayput::sandbox::{NewZone, Plan, World, WorldOptions};
use stayput::state::json;

use harness::{OnTheWay, moment, since_origin};

/// How long a copy of a zone is believed: the default.
const REFRESH: Duration = Duration::from_secs(6 * 3600);
/// No refresh is earlier than this: a tenth of the time is jitter.
const SURELY_BELIEVED: Duration = Duration::from_secs(5 * 3600);
const DAY: Duration = Duration::from_secs(86_400);
/// How long Cloudflare takes to answer.
const API: Duration = Duration::from_millis(120);

/// How much is kept. Every name has an A and an AAAA record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Names, spread evenly over the zones.
    pub names: usize,
    /// Zones, at most as many as names.
    pub zones: usize,
}

/// Requests, by what they ask.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bill {
    /// Pages of `GET /zones`, and single zones.
    pub zones: usize,
    /// Pages of records.
    pub lists: usize,
    /// Batches.
    pub batches: usize,
}

impl Bill {
    /// All of them.
    pub fn total(self) -> usize {
        self.zones + self.lists + self.batches
    }
}

/// What each kind of day costs.
#[derive(Clone, Copy, Debug)]
pub struct Costs {
    /// From nothing known to everything current: half of the records are stale, half are missing.
    pub cold_start: Bill,
    /// The five hours after that, in which no copy grows too old.
    pub quiet_hours: Bill,
    /// How often the state was saved in these hours.
    pub quiet_saves: usize,
    /// The day after that, in which every copy is refreshed several times.
    pub day: Bill,
    /// A new process with the state of the one before, until it has confirmed the addresses.
    pub restart: Bill,
    /// Both addresses change at once.
    pub change: Bill,
    /// Bytes that were saved meanwhile.
    pub change_saved: usize,
}

/// Lives through all of it.
pub fn measure(size: Size) -> Costs {
    let mut home = Home::new(size);
    let cold_start = home.until_current();
    let saves = home.saves;
    let quiet_hours = home.pass(SURELY_BELIEVED);
    let quiet_saves = home.saves - saves;
    let day = home.pass(DAY);
    home.refresh();
    home.restart();
    let restart = home.pass(Duration::from_secs(600));
    home.assert_current();
    home.move_house();
    home.written = 0;
    let change = home.until_current();
    Costs { cold_start, quiet_hours, quiet_saves, day, restart, change, change_saved: home.written }
}

/// Something on its way.
enum Journey {
    Heard(Ticket, Result<IpAddr, LookError>),
    Answered(Ticket, Answer),
}

struct Home {
    world: World,
    settings: Settings,
    engine: Engine,
    now: Duration,
    journeys: OnTheWay<Journey>,
    disk: Option<Snapshot>,
    saves: usize,
    written: usize,
    bill: Bill,
}

impl Home {
    fn new(size: Size) -> Home {
        let mut world = World::new(WorldOptions::default());
        for family in Family::ALL {
            world.addresses.change(family, Some(address(family, 1)));
        }
        furnish(&mut world, size);
        let settings = settings(size);
        let engine = Engine::new(settings.clone(), start(Duration::ZERO), None);
        Home {
            world,
            settings,
            engine,
            now: Duration::ZERO,
            journeys: OnTheWay::nothing(),
            disk: None,
            saves: 0,
            written: 0,
            bill: Bill::default(),
        }
    }

    /// Lets time pass; what was asked of the API meanwhile.
    fn pass(&mut self, time: Duration) -> Bill {
        self.bill = Bill::default();
        let end = self.now + time;
        while self.now < end {
            self.step(end);
        }
        self.bill
    }

    /// Lets time pass until every record is as it should be; what was asked meanwhile.
    fn until_current(&mut self) -> Bill {
        self.bill = Bill::default();
        let end = self.now + Duration::from_secs(3600);
        while !self.is_current() {
            assert!(self.now < end, "not current within an hour: {:?}", self.bill);
            self.step(end);
        }
        self.save_if_needed();
        self.bill
    }

    /// Has every copy refreshed, so that a restart finds them young.
    fn refresh(&mut self) {
        self.engine.handle(Event::RefreshNow, moment(self.now));
        self.pass(Duration::from_secs(600));
    }

    /// The process dies, and another one begins with what is on the disk.
    fn restart(&mut self) {
        self.journeys = OnTheWay::nothing();
        self.engine = Engine::new(self.settings.clone(), start(self.now), self.disk.clone());
    }

    fn move_house(&mut self) {
        for family in Family::ALL {
            self.world.addresses.change(family, Some(address(family, 2)));
        }
    }

    fn is_current(&self) -> bool {
        let told = self.engine.status(moment(self.now));
        let truth = |family| self.world.addresses.get(family);
        told.records.iter().all(|record| {
            record.state == RecordState::Current
                && record.content == truth(record.key.kind.family()).map(Content::from)
        })
    }

    fn assert_current(&self) {
        assert!(self.is_current(), "{:?}", self.engine.status(moment(self.now)));
    }

    // --- the loop ---

    /// Does what is to be done now, and jumps to the next instant at which something happens.
    fn step(&mut self, end: Duration) {
        while let Some(command) = self.engine.next_command(moment(self.now)) {
            self.carry_out(command);
        }
        self.engine.take_notices();
        if self.journeys.next().is_none() {
            self.save_if_needed();
        }
        let wake = self.engine.wake_at(moment(self.now)).map(since_origin);
        let next = self.journeys.next().into_iter().chain(wake).min().unwrap_or(end);
        self.now = next.clamp(self.now, end);
        self.world.advance(self.now);
        while let Some(journey) = self.journeys.take(self.now) {
            let event = match journey {
                Journey::Heard(ticket, answer) => Event::Heard(ticket, answer),
                Journey::Answered(ticket, answer) => Event::Answered(ticket, answer),
            };
            self.engine.handle(event, moment(self.now));
        }
    }

    fn carry_out(&mut self, command: Command) {
        let (takes, journey) = match command {
            Command::Look { ticket, line, source } => {
                // The two families never answer in the same instant.
                let takes = Duration::from_millis(if line.family == Family::V4 { 30 } else { 80 });
                (takes, Journey::Heard(ticket, self.echo(line.family, &source)))
            }
            Command::Ask { ticket, request, .. } => {
                self.save_if_needed();
                self.count(&request);
                (API, Journey::Answered(ticket, self.ask(&request)))
            }
            Command::ReadSecret { account, .. } => panic!("nothing is refused here: {account}"),
        };
        self.journeys.add(self.now + takes, journey);
    }

    fn save_if_needed(&mut self) {
        if self.engine.unsaved() {
            self.saves += 1;
            let changes = self.engine.changes(moment(self.now));
            let clocks = ClockPair::at(SystemTime::UNIX_EPOCH, moment(self.now));
            self.written +=
                if changes.anew { json::file(&changes, None, clocks) } else { json::save(&changes, clocks) }
                    .len();
            self.disk.get_or_insert_default().apply(changes);
        }
    }

    fn count(&mut self, request: &Request) {
        let kind = match request {
            Request::Zones { .. } | Request::Zone(_) => &mut self.bill.zones,
            Request::Records { .. } | Request::NameServers { .. } => &mut self.bill.lists,
            Request::Batch { .. } => &mut self.bill.batches,
            Request::Verify(_) => panic!("nothing has to be explained here"),
        };
        *kind += 1;
    }

    // --- the other side ---

    fn ask(&mut self, request: &Request) -> Answer {
        let token = "of-a-household-in-a-benchmark-0000000";
        let reply = harness::send(&mut self.world, self.now, request, token);
        let answer = harness::decode(request, &reply, API);
        assert!(answer.outcome.is_ok(), "{request:?}: {:?}", answer.outcome);
        answer
    }

    fn echo(&mut self, family: Family, operator: &str) -> Result<IpAddr, LookError> {
        let reply = harness::look(&mut self.world, self.now, operator, family);
        answer::parse(&reply.body, "echo.test", family)
    }
}

/// Zones on a paid plan, since a free one holds 200 records; each with a few records of other people.
fn furnish(world: &mut World, size: Size) {
    for zone in 0..size.zones {
        let zone = zone_name(zone);
        let id = world.add_zone(NewZone { plan: Plan::Pro, ..NewZone::named(&zone) });
        for record in [
            json!({"type": "MX", "name": zone, "content": "mx.example.net", "priority": 10}),
            json!({"type": "A", "name": format!("mail.{zone}"), "content": "25.7.7.7"}),
        ] {
            world.add_record(&id, &record).unwrap();
        }
    }
    for number in (0..size.names).step_by(2) {
        let zone = zone_name(number % size.zones);
        let id = world.zone(&zone).unwrap().id.clone();
        for family in Family::ALL {
            let record = json!({
                "type": family.record_type().as_str(),
                "name": name(number, size).as_str(),
                "content": address(family, 9).to_string(),
            });
            world.add_record(&id, &record).unwrap();
        }
    }
}

fn settings(size: Size) -> Settings {
    let wanted =
        Wanted { account: AccountName::default(), zone: ZoneHint::Find, options: Options::default() };
    let keys = (0..size.names).flat_map(|number| {
        Family::ALL.map(|family| Key { name: name(number, size), kind: family.record_type() })
    });
    let source = |operator: &str| Source { label: operator.into(), operator: operator.into(), trace: false };
    let sources: Vec<Source> = ["cloudflare", "ipify", "amazon"].map(source).into();
    let budget = Budget { requests: 300, per: Duration::from_secs(300) };
    Settings {
        accounts: [(
            AccountName::default(),
            Account { credential: Default::default(), budget, refresh: REFRESH },
        )]
        .into(),
        sources: Family::ALL.map(|family| (Line::only(family), sources.clone())).into(),
        every: Duration::from_secs(300),
        agree: 2,
        allow: Vec::new(),
        records: keys.map(|key| (key, wanted.clone())).collect(),
        owner: None,
        max_deletes: 5,
        on_exit: OnExit::Keep,
        tunnel: Default::default(),
    }
}

fn zone_name(number: usize) -> String {
    format!("zone{number:02}.example")
}

fn name(number: usize, size: Size) -> Name {
    let text = format!("host{number:03}.{}", zone_name(number % size.zones));
    Name::parse(&text).unwrap()
}

fn address(family: Family, last: u8) -> IpAddr {
    match family {
        Family::V4 => Ipv4Addr::new(25, 1, 1, last).into(),
        Family::V6 => Ipv6Addr::new(0x2a01, 1, 0, 0, 0, 0, 0, last.into()).into(),
    }
}

fn start(now: Duration) -> Start {
    Start { mode: Mode::Daemon, seed: 7, eager: true, now: moment(now) }
}
