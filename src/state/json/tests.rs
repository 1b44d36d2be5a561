//! What was written is read, whatever happened to the file and the clock since.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::engine::api::Request;
use crate::engine::credential::CredentialMemory;
use crate::engine::flaps::Flaps;
use crate::engine::names::{Key, Moment, Name, Record, ZoneId};
use crate::engine::settings::CredentialId;
use crate::engine::watch::{Believed, Holds};
use crate::engine::{Command, Engine, Mode, Start};

const LINE: names::Line = names::Line { wan: names::Wan::Only, family: names::Family::V4 };

fn write(kept: &Kept, clocks: ClockPair) -> Vec<u8> {
    file(&kept.snapshot.clone().into(), kept.hash_key, clocks)
}

fn only(snapshot: &Snapshot) -> &ZoneMemory {
    snapshot.zones.values().next().unwrap()
}

/// A state with something in every place.
pub fn full() -> Kept {
    let at = Moment::from_millis;
    let name = |text| Name::parse(text).unwrap();
    let id = |digit: char| digit.to_string().repeat(32);
    let (zone, record) =
        (|digit| ZoneId::parse(&id(digit)).unwrap(), |digit| RecordId::parse(&id(digit)).unwrap());
    let address = IpAddr::from([203, 0, 113, 7]);
    let believed = Believed {
        address,
        confirmed_at: at(900_000),
        said: BTreeMap::from([("cloudflare".into(), address)]),
    };
    let flaps = Flaps {
        left: BTreeMap::from([(IpAddr::from([203, 0, 113, 8]), at(800_000))]),
        returned_at: Some(at(850_000)),
        held_until: Some(at(1_600_000)),
        holds: 2,
        flapped_at: Some(at(870_000)),
    };
    let entry = Record {
        id: record('b'),
        name: name("home.example.com"),
        content: address.into(),
        ttl: Ttl::Seconds(120),
        proxied: true,
        comment: Some("stayput".into()),
        tags: vec!["team:home".into()],
    };
    let beside = |digit| Record { id: record(digit), ..entry.clone() };
    let copy = ZoneCache {
        names: [name("home.example.com")].into(),
        records: ['b', 'c', 'd', 'e'].map(|digit| (record(digit), beside(digit))).into(),
        blocks: BTreeMap::from([
            (name("www.example.com"), Block::Other("CNAME".into())),
            (name("sub.example.com"), Block::Delegated("ada.ns.example.net".into())),
            (name("worker.example.com"), Block::Managed(Some("Workers".into()))),
            (name("tunnel.example.com"), Block::Managed(None)),
            (name("odd.example.com"), Block::Unreadable("x".into())),
        ]),
        ours: BTreeMap::from([(record('b'), Claim::Adopted), (record('c'), Claim::Marked)]),
        foreign: [record('d')].into(),
        released: [record('e')].into(),
        changed: Changed::nothing(),
    };
    let zone_memory = ZoneMemory {
        name: Some(name("example.com")),
        listed_at: Some(at(-4_000)),
        leaving: [Key { name: name("old.example.com"), kind: RecordType::Aaaa }].into(),
        plan: Some("free".into()),
        copy,
    };
    let credential = CredentialMemory {
        spent: vec![at(1), at(2)],
        hold: Some(at(1_500_000)),
        holds: vec![(None, at(1_400_000)), (Some(zone('a')), at(1_300_000))],
    };
    let snapshot = Snapshot {
        addresses: BTreeMap::from([(LINE, believed)]),
        holds: BTreeMap::from([(LINE, Holds { flaps, tunnelled: true })]),
        zones: [((AccountName::default(), zone('a')), zone_memory)].into(),
        credentials: BTreeMap::from([(CredentialId("c0ffee".into()), credential)]),
        by_account: BTreeMap::new(),
        searched: BTreeMap::from([(AccountName("second".into()), at(700_000))]),
    };
    Kept { snapshot, hash_key: HashKey::from_hex("000102030405060708090a0b0c0d0e0f") }
}

fn clocks(wall_seconds: u64, moment: i64) -> ClockPair {
    let wall = SystemTime::UNIX_EPOCH + Duration::from_secs(wall_seconds);
    ClockPair::at(wall, Moment::from_millis(moment))
}

#[test]
fn after_a_reboot_everything_is_as_old_as_it_really_is() {
    let text = write(&full(), clocks(1_800_000_000, 1_000_000));
    // Ten minutes later, the clock starts from zero.
    let read = read(&text, clocks(1_800_000_600, 0)).unwrap().snapshot;
    let believed = &read.addresses[&LINE];
    assert_eq!(believed.confirmed_at, Moment::from_millis(-700_000));
    let listed = only(&read).listed_at;
    assert_eq!(listed, Some(Moment::from_millis(-1_604_000)));
}

#[test]
fn after_the_clock_went_back_nothing_is_held_for_longer_than_a_hold_lasts() {
    let text = write(&full(), clocks(1_800_000_000, 1_000_000));
    let read = read(&text, clocks(3, 50)).unwrap().snapshot;
    let now = Moment::from_millis(50);
    assert_eq!(read.addresses[&LINE].confirmed_at, now);
    let credential = &read.credentials[&CredentialId("c0ffee".into())];
    assert_eq!(credential.spent, [now, now]);
    let hours = |hours: u64| now + Duration::from_secs(hours * 3600);
    assert_eq!(credential.hold, Some(hours(1)), "a clock that was wrong holds nothing for years");
    assert_eq!(credential.holds, [(None, hours(1)), (credential.holds[1].0.clone(), hours(1))]);
    assert_eq!(read.holds[&LINE].flaps.held_until, Some(hours(2)));
    assert_eq!(read.holds[&LINE].flaps.flapped_at, Some(now));
}

#[test]
fn stamps_that_no_clock_can_hold_are_read_without_a_panic() {
    let text = String::from_utf8(write(&full(), clocks(1_800_000_000, 0))).unwrap();
    let (before, rest) = text.split_once("\"listed_at\":").unwrap();
    let (_, after) = rest.split_once(',').unwrap();
    let far = format!("{before}\"listed_at\":{},{after}", u64::MAX);
    let read = read(far.as_bytes(), clocks(1_800_000_000, 9)).unwrap().snapshot;
    assert_eq!(only(&read).listed_at, Some(Moment::from_millis(9)));
}

#[test]
fn what_is_held_is_held_as_long_after_a_restart() {
    let text = write(&full(), clocks(1_800_000_000, 1_000_000));
    // Ten minutes later, the clock starts from zero.
    let read = read(&text, clocks(1_800_000_600, 0)).unwrap().snapshot;
    let credential = &read.credentials[&CredentialId("c0ffee".into())];
    assert_eq!(credential.hold, Some(Moment::from_millis(-100_000)), "it is over");
    assert_eq!(read.holds[&LINE].flaps.held_until, Some(Moment::from_millis(0)));
    let read = super::read(&text, clocks(1_800_000_060, 0)).unwrap().snapshot;
    let credential = &read.credentials[&CredentialId("c0ffee".into())];
    assert_eq!(credential.hold, Some(Moment::from_millis(440_000)));
    assert_eq!(read.holds[&LINE].flaps.held_until, Some(Moment::from_millis(540_000)));
}

/// Something done to one place of a JSON text: `at` chooses the place, `what` the deed.
fn mutate(value: &mut Value, at: &mut usize, what: usize) {
    if *at == 0 {
        *value = match what % 12 {
            0 => Value::Null,
            1 => true.into(),
            2 => (-1).into(),
            3 => u64::MAX.into(),
            4 => 1e300.into(),
            5 => "".into(),
            6 => "*.\u{202e}example.com".into(),
            7 => "2001:db8::1".into(),
            8 => serde_json::json!([value.clone(), value.clone()]),
            9 => serde_json::json!({"": value.clone()}),
            10 => value.as_u64().map_or(Value::Null, |number| (number ^ (1 << 43)).into()),
            _ => value.as_u64().map_or(0, |number| number.wrapping_mul(10)).into(),
        };
    }
    *at = at.wrapping_sub(1);
    match value {
        Value::Array(items) if what % 5 == 0 && *at == 0 => {
            items.extend(items.clone());
        }
        Value::Array(items) => items.iter_mut().for_each(|item| mutate(item, at, what)),
        Value::Object(fields) => fields.values_mut().for_each(|field| mutate(field, at, what)),
        _ => {}
    }
}

/// What holds for any state that is taken.
fn check_taken(kept: &Kept, clocks: ClockPair, now: Moment) {
    let snapshot = &kept.snapshot;
    let credentials = || snapshot.credentials.values().chain(snapshot.by_account.values());
    let stamps = snapshot.addresses.values().map(|believed| believed.confirmed_at);
    let stamps = stamps.chain(snapshot.zones.values().filter_map(|zone| zone.listed_at));
    let mut stamps = stamps.chain(credentials().flat_map(|memory| memory.spent.clone()));
    assert!(stamps.all(|stamp| stamp <= now), "something lies in the future: {snapshot:?}");
    let asked = credentials()
        .flat_map(|memory| memory.hold.into_iter().chain(memory.holds.iter().map(|hold| hold.1)));
    let lines = snapshot.holds.values().filter_map(|holds| holds.flaps.held_until);
    let far = |until: Moment, hours: u64| until > now + Duration::from_secs(hours * 3600);
    assert!(!asked.into_iter().any(|until| far(until, 1)) && !lines.into_iter().any(|until| far(until, 2)));
    let mut again = read(&write(kept, clocks), clocks).unwrap();
    again.snapshot.by_account.clone_from(&snapshot.by_account);
    assert_eq!(again, *kept);
}

#[test]
fn after_thirty_years_without_a_clock_zones_are_old_and_the_budget_is_whole() {
    const THIRTY_YEARS: u64 = 30 * 365 * 86_400;
    let text = write(&full(), clocks(5_000, 1_000_000));
    let now = Moment::from_millis(1_060_000);
    let read = read(&text, clocks(5_000 + THIRTY_YEARS, 1_060_000)).unwrap().snapshot;
    let old = Duration::from_secs(THIRTY_YEARS);
    assert!(now.since(only(&read).listed_at.unwrap()) >= old);
    let mut spent = read.credentials.values().flat_map(|memory| &memory.spent);
    assert!(spent.all(|spent| now.since(*spent) >= old));
    let config = "[[record]]\nname = \"home.example.com\"\n";
    let mut config = crate::config::from_toml(config, std::path::Path::new("stayput.toml")).unwrap();
    let account = config.settings.accounts.get_mut(&AccountName::default()).unwrap();
    account.credential = CredentialId("c0ffee".into());
    let start = Start { mode: Mode::Daemon, seed: 1, eager: true, now };
    let mut engine = Engine::new(config.settings, start, Some(read));
    let budget = engine.status(now).budgets[&AccountName::default()];
    assert_eq!((budget.left, budget.limit), (300, 300), "none of it is locked");
    let commands: Vec<Command> = std::iter::from_fn(|| engine.next_command(now)).collect();
    let lists = |command: &Command| {
        matches!(command, Command::Ask { request: Request::Records { .. } | Request::Zones { .. }, .. })
    };
    assert!(commands.iter().any(lists), "an old copy is not believed: {commands:?}");
}

proptest! {
    #[test]
    fn a_state_that_was_tampered_with_is_refused_or_taken_in_good_order(
        deeds in proptest::collection::vec((0usize..120, any::<usize>()), 1..4),
        wall in prop_oneof![Just(0), Just(3), Just(1_800_000_000), Just(9_000_000_000_u64)],
    ) {
        let text = write(&full(), clocks(1_800_000_000, 1_000_000));
        let lines = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let mut lines: Vec<Value> = lines.map(|line| serde_json::from_slice(line).unwrap()).collect();
        for (mut at, what) in deeds {
            lines.iter_mut().for_each(|line| mutate(line, &mut at, what));
        }
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        let clocks = clocks(wall, 50);
        if let Ok(kept) = read(text.as_bytes(), clocks) {
            check_taken(&kept, clocks, Moment::from_millis(50));
        }
    }

    #[test]
    fn any_bytes_in_the_midst_of_a_state_are_refused_or_taken_in_good_order(
        at in 0usize..2600, bytes in proptest::collection::vec(any::<u8>(), 0..4), skip in 0usize..4,
    ) {
        let mut text = write(&full(), clocks(1_800_000_000, 1_000_000));
        let at = at.min(text.len());
        let end = (at + skip).min(text.len());
        text.splice(at..end, bytes);
        let clocks = clocks(1_800_000_000, 50);
        if let Ok(kept) = read(&text, clocks) {
            check_taken(&kept, clocks, Moment::from_millis(50));
        }
    }
}

/// The state after some saves, and the file after each.
fn saved() -> (Vec<Kept>, Vec<Vec<u8>>) {
    let clocks = clocks(1_800_000_000, 1_000_000);
    let mut kept = full();
    let mut files = vec![write(&kept, clocks)];
    let mut states = vec![kept.clone()];
    let (key, zone) =
        kept.snapshot.zones.first_key_value().map(|(key, zone)| (key.clone(), zone.clone())).unwrap();
    let rest = Snapshot { zones: BTreeMap::new(), ..kept.snapshot.clone() };
    let outline = ZoneMemory { copy: ZoneCache::default(), ..zone.clone() };
    let doubted = ZoneMemory { listed_at: None, ..outline.clone() };
    let mut changed = outline.clone();
    let id = RecordId::parse(&"b".repeat(32)).unwrap();
    let content = Content::A([203, 0, 113, 9].into());
    let record = Record { content, ..zone.copy.records[&id].clone() };
    changed.copy.records.insert(id.clone(), record);
    changed.copy.ours.insert(id, Claim::Adopted);
    let gone = RecordId::parse(&"c".repeat(32)).unwrap();
    let part = |zone, gone| vec![(key.clone(), ZoneChange { zone, extent: Extent::Part(gone) })];
    for (zones, left) in [
        (part(doubted, Vec::new()), Vec::new()),
        (part(changed, vec![gone]), Vec::new()),
        (Vec::new(), vec![key.clone()]),
    ] {
        let changes = Changes { anew: false, rest: rest.clone(), zones, left };
        files.push([files.last().unwrap().clone(), save(&changes, clocks)].concat());
        kept.snapshot.apply(changes);
        states.push(kept.clone());
    }
    (states, files)
}

#[test]
fn what_each_save_adds_is_read_as_one_state() {
    let (states, files) = saved();
    for (state, file) in states.iter().zip(&files) {
        assert_eq!(read(file, clocks(1_800_000_000, 1_000_000)).as_ref(), Ok(state));
    }
    assert_eq!(only(&states[1].snapshot).listed_at, None);
    let zone = only(&states[2].snapshot);
    assert_eq!((zone.copy.records.len(), zone.copy.ours.len()), (3, 1), "one is gone");
    assert!(states[3].snapshot.zones.is_empty());
}

#[test]
fn a_file_that_was_cut_off_anywhere_is_as_it_was_after_a_save_or_refused() {
    let (states, files) = saved();
    let clocks = clocks(1_800_000_000, 1_000_000);
    let whole = files.last().unwrap();
    for at in 0..whole.len() {
        // The newline after `end` tells nothing that `end` does not.
        let saves = files.iter().filter(|file| file.len() <= at + 1).count();
        match saves.checked_sub(1) {
            Some(last) => assert_eq!(read(&whole[..at], clocks).as_ref(), Ok(&states[last]), "at {at}"),
            None => assert!(read(&whole[..at], clocks).is_err(), "at {at}"),
        }
    }
}

#[test]
fn damage_before_the_end_of_a_save_is_refused_and_after_it_is_a_save_that_was_cut_off() {
    let (states, files) = saved();
    let clocks = clocks(1_800_000_000, 1_000_000);
    let torn = [files[1].clone(), vec![0; 100]].concat();
    assert_eq!(read(&torn, clocks).as_ref(), Ok(&states[1]), "a disk may leave nulls at the end");
    let mut holed = files[1].clone();
    holed[files[0].len() + 10] = 0;
    assert!(read(&holed, clocks).is_err());
    let lines: Vec<&[u8]> = files[0].split_inclusive(|byte| *byte == b'\n').collect();
    for missing in 1..lines.len() - 1 {
        let rest: Vec<&[u8]> = [&lines[..missing], &lines[missing + 1..]].concat();
        assert!(read(&rest.concat(), clocks).is_err(), "line {missing} is missing");
    }
}
