//! The engine as a whole, with answers made by hand: what goes wrong between its parts.
//!
//! `tests/simulation.rs` has the months of faults; here are single cases, each told in a few lines.

mod hardship;
mod lines;
mod ownership;
mod refusals;
mod waiting;

use super::*;
use crate::engine::api::Batch;
use crate::engine::api::{Found, Listed, Page, Written, ZoneInfo};
use crate::engine::failure::{Class, Failure};
use crate::engine::names::{Name, Record, RecordId, RecordType, Ttl};
use crate::engine::notice::Severity;
use crate::engine::settings::{
    Account as AccountSettings, Beside, Budget, Options, Source, Wanted, ZoneHint,
};
use crate::engine::{Verdict, limiter, names};

const V4: Line = Line::only(Family::V4);
const V6: Line = Line::only(Family::V6);
const HINT: Event = Event::Hint { line: None, from: HintFrom::Kernel };
const EVERY: Duration = Duration::from_secs(300);
const REFRESH: Duration = Duration::from_secs(6 * 3600);

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

fn key(text: &str) -> Key {
    Key { name: name(text), kind: RecordType::A }
}

fn ip(last: u8) -> IpAddr {
    IpAddr::from([25, 0, 0, last])
}

fn zone_id(number: usize) -> ZoneId {
    ZoneId::parse(&format!("{number:032x}")).unwrap()
}

fn record_id(number: usize) -> RecordId {
    RecordId::parse(&format!("{number:032x}")).unwrap()
}

fn at(seconds: u64) -> Moment {
    Moment::from_millis(1_000_000_000) + Duration::from_secs(seconds)
}

fn account(text: &str) -> AccountName {
    AccountName(text.into())
}

fn settings(names: &[&str]) -> Settings {
    let source = |operator: &str| Source { label: operator.into(), operator: operator.into(), trace: false };
    let mut settings = Settings {
        accounts: BTreeMap::new(),
        sources: [(V4, vec![source("a"), source("b")])].into(),
        every: EVERY,
        agree: 2,
        allow: Vec::new(),
        records: BTreeMap::new(),
        owner: None,
        max_deletes: 5,
        on_exit: OnExit::Keep,
        tunnel: Default::default(),
    };
    add_account(&mut settings, "");
    for name in names {
        want(&mut settings, name, ZoneHint::Find);
    }
    settings
}

fn add_account(settings: &mut Settings, name: &str) {
    let budget = Budget { requests: 300, per: Duration::from_secs(300) };
    settings
        .accounts
        .insert(account(name), AccountSettings { credential: Default::default(), budget, refresh: REFRESH });
}

fn want<'a>(settings: &'a mut Settings, name: &str, zone: ZoneHint) -> &'a mut Wanted {
    let wanted = Wanted { account: account(""), zone, options: Options::default() };
    settings.records.entry(key(name)).or_insert(wanted)
}

/// An answer that is a failure.
fn failure(class: Class) -> Failure {
    Failure { answered: true, ..Failure::without_answer(class, "made by hand") }
}

type Fault = Box<dyn FnMut(&Request) -> Option<Failure>>;

/// The engine, a clock, and a Cloudflare that fits on a screen.
struct Rig {
    engine: Engine,
    now: Moment,
    address: Option<IpAddr>,
    /// The one over IPv6, for settings that ask for it.
    address_v6: Option<IpAddr>,
    /// So many of the sources answer, the first ones.
    answering: usize,
    /// Why a look fails where there is no address.
    unheard: LookError,
    /// Sources that say something of their own, by their place.
    strange: BTreeMap<usize, Result<IpAddr, LookError>>,
    looked: Vec<Line>,
    zones: Vec<ZoneInfo>,
    records: BTreeMap<RecordId, (ZoneId, Record)>,
    /// What else a list of a zone shows.
    others: Vec<(ZoneId, Listed)>,
    /// Whether what is set beside the address is kept.
    keeps: bool,
    /// The `Retry-After` of the next failures.
    retry_after: Option<Duration>,
    serial: usize,
    fault: Fault,
    asked: Vec<Request>,
    rereads: Vec<AccountName>,
    said: Vec<String>,
    /// How many of them a log shows that was not asked for more.
    said_aloud: usize,
}

impl Rig {
    fn new(zones: &[&str], settings: Settings) -> Rig {
        let start = Start { mode: Mode::Daemon, seed: 1, eager: true, now: at(0) };
        let zone = |(number, text): (usize, &&str)| ZoneInfo::active(zone_id(number + 1), name(text));
        Rig {
            engine: Engine::new(settings, start, None),
            now: at(0),
            address: Some(ip(1)),
            address_v6: None,
            answering: usize::MAX,
            unheard: LookError::TimedOut,
            strange: BTreeMap::new(),
            looked: Vec::new(),
            zones: zones.iter().enumerate().map(zone).collect(),
            records: BTreeMap::new(),
            others: Vec::new(),
            keeps: true,
            retry_after: None,
            serial: 100,
            fault: Box::new(|_| None),
            asked: Vec::new(),
            rereads: Vec::new(),
            said: Vec::new(),
            said_aloud: 0,
        }
    }

    fn has(&mut self, zone: usize, text: &str, content: IpAddr, comment: Option<&str>) -> RecordId {
        self.serial += 1;
        let (id, comment) = (record_id(self.serial), comment.map(Into::into));
        let (ttl, proxied, tags) = (Ttl::Auto, false, Vec::new());
        let record =
            Record { id: id.clone(), name: name(text), content: content.into(), ttl, proxied, comment, tags };
        self.records.insert(id.clone(), (zone_id(zone), record));
        id
    }

    fn restart(&mut self, settings: Settings, mode: Mode) {
        let snapshot = self.engine.snapshot(self.now);
        let start = Start { mode, seed: 2, eager: true, now: self.now };
        self.engine = Engine::new(settings, start, Some(snapshot));
        self.asked.clear();
        self.said.clear();
    }

    /// Lets time pass; every request takes 10 ms.
    fn run(&mut self, span: Duration) {
        let end = self.now + span;
        for turn in 0.. {
            assert!(turn < 20_000, "it never rests: {:?}", self.asked.last());
            while let Some(command) = self.engine.next_command(self.now) {
                self.carry_out(command);
                assert!(self.asked.len() < 5_000, "it asks and asks: {:?}", self.asked.last());
            }
            let notices = self.engine.take_notices();
            let aloud = |notice: &&Notice| notice.severity() > Severity::Detail;
            self.said_aloud += notices.iter().filter(aloud).count();
            self.said.extend(notices.iter().map(ToString::to_string));
            match self.engine.wake_at(self.now).filter(|at| *at < end) {
                Some(at) => self.now = self.now.max(at),
                None => break,
            }
        }
        self.now = end;
    }

    fn carry_out(&mut self, command: Command) {
        match command {
            Command::Look { ticket, line, source } => {
                let address = match line.family {
                    Family::V4 => self.address,
                    Family::V6 => self.address_v6,
                };
                let sources = &self.engine.settings.sources[&line];
                let index = sources.iter().position(|known| known.label == source).unwrap();
                self.looked.push(line);
                let address = address.filter(|_| index < self.answering);
                let usual = || address.ok_or_else(|| self.unheard.clone());
                let answer = self.strange.get(&index).cloned().unwrap_or_else(usual);
                self.engine.handle(Event::Heard(ticket, answer), self.now);
            }
            Command::ReadSecret { ticket, account } => {
                self.rereads.push(account);
                self.engine.handle(Event::SecretRead(ticket, None), self.now);
            }
            Command::Ask { ticket, request, .. } => {
                self.asked.push(request.clone());
                let outcome = self.answer(&request);
                self.now = self.now + Duration::from_millis(10);
                let answer = Answer {
                    limits: Vec::new(),
                    retry_after: self.retry_after.filter(|_| outcome.is_err()),
                    took: Duration::from_millis(10),
                    outcome,
                };
                self.engine.handle(Event::Answered(ticket, answer), self.now);
            }
        }
    }

    fn answer(&mut self, request: &Request) -> Result<Found, Failure> {
        if let Some(failure) = (self.fault)(request) {
            return Err(failure);
        }
        match request {
            Request::Zones { name, .. } => {
                let fits = |zone: &&ZoneInfo| name.as_ref().is_none_or(|name| zone.name == *name);
                Ok(Found::Zones(page(self.zones.iter().filter(fits).cloned().collect())))
            }
            Request::Zone(id) => match self.zones.iter().find(|zone| zone.id == *id) {
                Some(zone) => Ok(Found::Zone(zone.clone())),
                None => Err(failure(Class::ZoneGone)),
            },
            Request::Records { zone, .. } if self.zones.iter().all(|known| known.id != *zone) => {
                Err(failure(Class::ZoneGone))
            }
            Request::Records { zone, name, .. } => {
                let here = self.records.values().filter(|(of, _)| of == zone).map(|(_, record)| record);
                let fits = |record: &&Record| name.as_ref().is_none_or(|name| record.name == *name);
                let others = self.others.iter().filter(|(of, _)| of == zone).map(|(_, other)| other.clone());
                let others = others.filter(|other| match other {
                    Listed::Delegation(at, _) => name.as_ref().is_none_or(|name| name == at),
                    _ => true,
                });
                let all = here.filter(fits).cloned().map(Listed::Record).chain(others);
                Ok(Found::Records(page(all.collect())))
            }
            Request::NameServers { zone, .. } => {
                let servers = self.others.iter().filter(|(of, _)| of == zone).map(|(_, other)| other.clone());
                let servers = servers.filter(|other| matches!(other, Listed::Delegation(..)));
                Ok(Found::Records(page(servers.collect())))
            }
            Request::Batch { zone, batch } => Ok(Found::Written(self.write(zone, batch))),
            Request::Verify(_) => Err(failure(Class::NotSent)),
        }
    }

    fn write(&mut self, zone: &ZoneId, batch: &Batch) -> Written {
        let mut written = Written { deleted: batch.deletes.clone(), ..Written::default() };
        for id in &batch.deletes {
            self.records.remove(id);
        }
        for patch in &batch.patches {
            let (_, record) = self.records.get_mut(&patch.id).expect("a patch of what is there");
            record.content = patch.content.clone();
            if self.keeps {
                record.proxied = patch.proxied.unwrap_or(record.proxied);
                record.ttl = patch.ttl.unwrap_or(record.ttl);
                record.comment = patch.comment.clone().or(record.comment.take());
                record.tags = patch.tags.clone().unwrap_or(std::mem::take(&mut record.tags));
            }
            written.patched.push(record.clone());
        }
        for post in &batch.posts {
            let id = self.has(0, post.name.as_str(), post.content.address().unwrap(), Some(&post.comment));
            self.records.get_mut(&id).unwrap().0 = zone.clone();
            written.posted.push(self.records[&id].1.clone());
        }
        written
    }

    fn contents(&self, text: &str) -> Vec<IpAddr> {
        let here = self.records.values().filter(|(_, record)| record.name == name(text));
        here.filter_map(|(_, record)| record.content.address()).collect()
    }

    fn state(&self, text: &str) -> RecordState {
        self.engine.states()[&key(text)].0
    }

    fn writes(&self) -> usize {
        self.asked.iter().filter(|request| request.writes()).count()
    }
}

fn page<T>(items: Vec<T>) -> Page<T> {
    let entries = u32::try_from(items.len()).unwrap();
    Page { items, entries, total: Some(entries), per_page: None, ids: Vec::new() }
}

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);

#[test]
fn a_record_is_created_once_and_then_nothing_is_asked() {
    let mut rig = Rig::new(&["example.com"], settings(&["home.example.com"]));
    rig.run(MINUTE);
    assert_eq!(rig.contents("home.example.com"), [ip(1)]);
    assert_eq!(rig.asked.len(), 4, "zones, records, name servers, a batch: {:?}", rig.asked);
    rig.run(5 * HOUR);
    assert_eq!(rig.asked.len(), 4);
}

#[test]
fn swapped_zone_ids_are_said_and_cost_no_endless_requests() {
    let mut wanted = settings(&[]);
    want(&mut wanted, "home.example.com", ZoneHint::Id(zone_id(2), None));
    want(&mut wanted, "home.example.net", ZoneHint::Id(zone_id(1), None));
    let mut rig = Rig::new(&["example.com", "example.net"], wanted.clone());
    rig.run(HOUR);
    assert!(rig.asked.len() <= 6, "{} requests", rig.asked.len());
    assert_eq!((rig.writes(), rig.state("home.example.com")), (0, RecordState::Blocked));
    want(&mut wanted, "home.example.com", ZoneHint::Find).zone = ZoneHint::Id(zone_id(1), None);
    want(&mut wanted, "home.example.net", ZoneHint::Find).zone = ZoneHint::Id(zone_id(2), None);
    rig.engine.reconfigure(wanted, rig.now);
    rig.run(MINUTE);
    assert_eq!(rig.state("home.example.com"), RecordState::Current);
    assert_eq!(rig.state("home.example.net"), RecordState::Current);
}

#[test]
fn a_name_that_is_added_while_a_list_is_under_way_is_not_taken_for_missing() {
    let mut wanted = settings(&["a.example.com"]);
    let mut rig = Rig::new(&["example.com"], wanted.clone());
    let known = rig.has(1, "b.example.com", ip(9), None);
    // Up to the list of the single name, which is asked for, but not answered yet.
    let mut listing = None;
    while let Some(command) = rig.engine.next_command(rig.now) {
        match command {
            Command::Ask { ticket, request: request @ Request::Records { .. }, .. } => {
                listing = Some((ticket, request))
            }
            command => rig.carry_out(command),
        }
    }
    want(&mut wanted, "b.example.com", ZoneHint::Find);
    rig.engine.reconfigure(wanted, rig.now);
    let (ticket, request) = listing.unwrap();
    let outcome = rig.answer(&request);
    let answer = Answer { limits: Vec::new(), retry_after: None, took: Duration::ZERO, outcome };
    rig.engine.handle(Event::Answered(ticket, answer), rig.now);
    rig.run(MINUTE);
    assert_eq!(rig.contents("a.example.com"), [ip(1)]);
    assert_eq!(rig.records[&known].1.content, ip(1), "its record is adopted");
    assert_eq!(rig.contents("b.example.com"), [ip(1)], "and no second one made");
}

#[test]
fn a_zone_that_came_after_the_first_search_is_found_on_reload() {
    let mut wanted = settings(&["home.example.com"]);
    let mut rig = Rig::new(&["example.com", "example.net"], wanted.clone());
    let late = rig.zones.pop().unwrap();
    rig.run(HOUR);
    rig.zones.push(late);
    rig.said.clear();
    want(&mut wanted, "home.example.net", ZoneHint::Find);
    rig.engine.reconfigure(wanted, rig.now);
    rig.run(MINUTE);
    assert_eq!(rig.contents("home.example.net"), [ip(1)]);
    assert!(!rig.said.iter().any(|said| said.contains("no zone")), "{:?}", rig.said);
}

#[test]
fn a_name_without_a_zone_is_looked_for_again_until_the_zone_is_there() {
    let mut wanted = settings(&["home.example.com"]);
    let mut rig = Rig::new(&["example.com", "example.net"], wanted.clone());
    let late = rig.zones.pop().unwrap();
    rig.run(HOUR);
    want(&mut wanted, "home.example.net", ZoneHint::Find);
    rig.engine.reconfigure(wanted, rig.now);
    rig.run(MINUTE);
    assert_eq!(rig.state("home.example.net"), RecordState::Blocked);
    rig.zones.push(late);
    rig.run(7 * HOUR);
    assert_eq!(rig.contents("home.example.net"), [ip(1)]);
}

#[test]
fn a_search_that_fails_does_not_starve_the_zones_that_are_known() {
    let mut wanted = settings(&["new.example.net"]);
    want(&mut wanted, "home.example.com", ZoneHint::Id(zone_id(1), None));
    let mut rig = Rig::new(&["example.com", "example.net"], wanted);
    let old = rig.has(1, "home.example.com", ip(9), None);
    let broken =
        |request: &Request| matches!(request, Request::Zones { .. }).then(|| failure(Class::NotSent));
    rig.fault = Box::new(broken);
    rig.run(10 * MINUTE);
    assert_eq!(rig.records[&old].1.content, ip(1));
    rig.address = Some(ip(2));
    rig.run(20 * MINUTE);
    assert_eq!(rig.records[&old].1.content, ip(2));
    rig.fault = Box::new(|_| None);
    rig.run(20 * MINUTE);
    assert_eq!(rig.contents("new.example.net"), [ip(2)]);
}

#[test]
fn a_place_from_before_a_restart_is_not_kept_against_the_configuration() {
    let mut wanted = settings(&["a.sub.example.com"]);
    let mut rig = Rig::new(&["example.com"], wanted.clone());
    rig.run(MINUTE);
    let sub = ZoneInfo { id: zone_id(2), name: name("sub.example.com"), ..rig.zones[0].clone() };
    rig.zones.push(sub);
    want(&mut wanted, "a.sub.example.com", ZoneHint::Find).zone = ZoneHint::Named(name("sub.example.com"));
    rig.restart(wanted, Mode::Daemon);
    rig.run(MINUTE);
    assert!(rig.records.values().any(|(zone, _)| *zone == zone_id(2)), "{:?}", rig.records);
}

#[test]
fn a_copy_that_grew_old_while_the_program_was_down_is_listed_before_anything_is_written() {
    let wanted = settings(&["home.example.com"]);
    let mut rig = Rig::new(&["example.com"], wanted.clone());
    rig.run(MINUTE);
    rig.now = rig.now + 7 * HOUR;
    rig.address = Some(ip(2));
    rig.restart(wanted, Mode::Daemon);
    rig.run(MINUTE);
    let [Request::Records { .. }, Request::Batch { .. }, Request::Zones { .. }] = &rig.asked[..] else {
        panic!("a list, the change, and whether there is a better zone by now: {:?}", rig.asked)
    };
}

#[test]
fn an_account_that_is_gone_is_gone_altogether() {
    let mut wanted = settings(&["home.example.com"]);
    add_account(&mut wanted, "old");
    want(&mut wanted, "home.example.net", ZoneHint::Id(zone_id(2), None)).account = account("old");
    let mut rig = Rig::new(&["example.com", "example.net"], wanted.clone());
    let refused = |request: &Request| match request {
        Request::Records { zone, .. } if *zone == zone_id(2) => Some(failure(Class::Credential)),
        _ => None,
    };
    rig.fault = Box::new(refused);
    rig.run(2 * MINUTE);
    assert!(rig.rereads.contains(&account("old")));
    rig.rereads.clear();
    wanted.accounts.remove(&account("old"));
    wanted.records.remove(&key("home.example.net"));
    rig.engine.reconfigure(wanted, rig.now);
    rig.run(HOUR);
    assert_eq!(rig.rereads, []);
}

#[test]
fn an_account_that_is_taken_out_and_put_back_keeps_its_budget() {
    let mut wanted = settings(&["home.example.com"]);
    wanted.accounts.get_mut(&account("")).unwrap().budget.requests = 3;
    let mut without = settings(&[]);
    without.accounts.clear();
    add_account(&mut without, "other");
    let mut rig = Rig::new(&["example.com"], wanted.clone());
    rig.run(MINUTE);
    assert_eq!(rig.asked.len(), 3);
    rig.engine.reconfigure(without, rig.now);
    rig.run(MINUTE);
    rig.engine.reconfigure(wanted, rig.now);
    rig.run(MINUTE);
    assert_eq!(rig.asked.len(), 3, "the budget is spent");
    rig.run(5 * MINUTE);
    assert!(rig.asked.len() > 3);
}

#[test]
fn a_plan_names_the_zone_and_knows_the_names_that_do_not_lie_in_it() {
    let mut wanted = settings(&[]);
    want(&mut wanted, "home.example.com", ZoneHint::Id(zone_id(1), None));
    want(&mut wanted, "home.example.net", ZoneHint::Id(zone_id(1), None));
    let mut rig = Rig::new(&["example.com"], settings(&[]));
    rig.restart(wanted, Mode::Plan);
    rig.run(MINUTE);
    let plan = rig.engine.plan();
    let changes: Vec<_> = plan.changes.iter().map(|change| (&*change.zone, change.key.to_string())).collect();
    assert_eq!(changes, [("example.com", "home.example.com A".to_owned())]);
    assert_eq!(plan.blocked.len(), 1, "{plan:?}");
    assert_eq!(rig.writes(), 0);
}

#[test]
fn our_records_go_on_exit_although_a_request_is_lost() {
    let mut wanted = settings(&["home.example.com"]);
    wanted.on_exit = OnExit::Delete;
    let mut rig = Rig::new(&["example.com"], wanted);
    rig.run(MINUTE);
    let mut lost = 0;
    rig.fault = Box::new(move |_| {
        lost += 1;
        (lost == 1).then(|| Failure::without_answer(Class::NotSent, "made by hand"))
    });
    rig.engine.handle(Event::Stop, rig.now);
    let begin = rig.now;
    while !rig.engine.settled(rig.now) {
        assert!(rig.now < begin + Duration::from_secs(15), "it never ends");
        rig.run(Duration::from_millis(100));
    }
    assert_eq!(rig.contents("home.example.com"), [] as [IpAddr; 0]);
}

#[test]
fn a_stop_does_not_wait_for_the_budget() {
    let mut wanted = settings(&["home.example.com"]);
    wanted.on_exit = OnExit::Delete;
    wanted.accounts.get_mut(&account("")).unwrap().budget.requests = 3;
    let mut rig = Rig::new(&["example.com"], wanted);
    rig.run(MINUTE);
    assert_eq!(rig.asked.len(), 3);
    rig.engine.handle(Event::Stop, rig.now);
    assert!(rig.engine.next_command(rig.now).is_none());
    assert!(rig.engine.settled(rig.now), "it would wait for minutes");
}

#[test]
fn what_is_in_the_way_is_said_anew_when_it_is_something_else() {
    let mut wanted = settings(&["home.example.com"]);
    wanted.max_deletes = 0;
    let mut rig = Rig::new(&["example.com"], wanted.clone());
    rig.has(1, "home.example.com", ip(8), Some("stayput/cellar"));
    rig.run(MINUTE);
    assert!(rig.said.iter().any(|said| said.contains("another instance")), "{:?}", rig.said);
    rig.has(1, "home.example.com", ip(9), None);
    rig.said.clear();
    rig.run(7 * HOUR);
    assert!(rig.said.iter().any(|said| said.contains("several records")), "{:?}", rig.said);
    want(&mut wanted, "home.example.com", ZoneHint::Find).options.beside = Beside::Nobody;
    rig.engine.reconfigure(wanted, rig.now);
    rig.run(MINUTE);
    assert_eq!(rig.state("home.example.com"), RecordState::Behind, "only the delete is held back");
}

#[test]
fn a_record_that_gets_the_mark_of_another_instance_is_theirs_from_then_on() {
    let mut rig = Rig::new(&["example.com"], settings(&["home.example.com"]));
    let adopted = rig.has(1, "home.example.com", ip(9), None);
    rig.run(MINUTE);
    assert_eq!(rig.records[&adopted].1.content, ip(1));
    let record = &mut rig.records.get_mut(&adopted).unwrap().1;
    (record.comment, record.content) = (Some("stayput/cellar".into()), ip(8).into());
    rig.run(7 * HOUR);
    assert_eq!(rig.records[&adopted].1.content, ip(8), "it was handed over");
}

#[test]
fn a_zone_that_is_gone_is_not_remembered_as_believed() {
    let mut rig = Rig::new(&["example.com"], settings(&["home.example.com"]));
    rig.run(MINUTE);
    rig.engine.snapshot(rig.now);
    rig.zones.clear();
    rig.now = rig.now + REFRESH;
    while let Some(command) = rig.engine.next_command(rig.now) {
        // As the shell does before a request leaves.
        if matches!(command, Command::Ask { .. }) && rig.engine.unsaved() {
            rig.engine.snapshot(rig.now);
        }
        rig.carry_out(command);
    }
    assert!(rig.engine.unsaved() && rig.engine.snapshot(rig.now).zones.is_empty());
}

#[test]
fn an_operators_wish_tries_a_refused_credential_at_once() {
    let mut rig = Rig::new(&["example.com"], settings(&["home.example.com"]));
    rig.fault = Box::new(|_| Some(failure(Class::Credential)));
    rig.run(24 * HOUR);
    assert!(rig.asked.len() < 40, "it is tried rarely: {}", rig.asked.len());
    rig.fault = Box::new(|_| None);
    rig.engine.handle(Event::RefreshNow, rig.now);
    rig.run(MINUTE);
    assert_eq!(rig.contents("home.example.com"), [ip(1)]);
}

#[test]
fn a_delete_that_is_refused_for_ever_does_not_use_up_max_deletes() {
    let mut wanted = settings(&["home.example.com", "stuck.example.com"]);
    wanted.max_deletes = 3;
    for wanted in wanted.records.values_mut() {
        wanted.options.beside = Beside::Nobody;
    }
    let mut rig = Rig::new(&["example.com"], wanted);
    rig.has(1, "stuck.example.com", ip(1), None);
    let stuck = rig.has(1, "stuck.example.com", ip(9), None);
    rig.fault = Box::new(move |request| match request {
        Request::Batch { batch, .. } if batch.deletes.contains(&stuck) => Some(failure(Class::Content)),
        _ => None,
    });
    for round in 0..6 {
        rig.has(1, "home.example.com", ip(20 + round), None);
        rig.run(7 * HOUR);
        assert_eq!(rig.contents("home.example.com"), [ip(1)], "round {round}");
    }
}

#[test]
fn a_setting_that_cloudflare_does_not_keep_is_tried_ever_more_rarely() {
    let mut wanted = settings(&["home.example.com"]);
    want(&mut wanted, "home.example.com", ZoneHint::Find).options.proxied = Some(true);
    let mut rig = Rig::new(&["example.com"], wanted);
    rig.has(1, "home.example.com", ip(9), None);
    rig.keeps = false;
    rig.run(24 * HOUR);
    assert!((3..20).contains(&rig.writes()), "{} writes", rig.writes());
    let said = rig.said.iter().filter(|said| said.contains("stays as it was")).count();
    assert!(said <= 3, "once, and a reminder: {:?}", rig.said);
}
