//! The JSON of the state file, and the way from it to the engine's snapshot and back.
//!
//! Instants are wall-clock milliseconds since 1970 here, because the engine's clock does not survive a
//! reboot; one in the future counts as the present. Deliberately unknown: files.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use crate::daemon::clock::Both;
use crate::engine::address::Believed;
use crate::engine::credential::CredentialMemory;
use crate::engine::names::{Family, Moment, Name, Record, RecordId, Ttl, ZoneId};
use crate::engine::settings::AccountName;
use crate::engine::zone::{Block, Claim};
use crate::engine::{Snapshot, ZoneMemory};

/// Another number is another program's file.
const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct State {
    version: u32,
    addresses: Vec<Address>,
    zones: Vec<Zone>,
    spent: BTreeMap<String, Vec<u64>>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Address {
    value: IpAddr,
    confirmed_at: u64,
    said: BTreeMap<Box<str>, IpAddr>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Zone {
    account: String,
    id: String,
    name: Option<String>,
    names: Vec<String>,
    listed_at: Option<u64>,
    records: Vec<Entry>,
    aliases: Vec<String>,
    adopted: Vec<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    id: String,
    name: String,
    content: IpAddr,
    ttl: u32,
    proxied: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    comment: Option<Box<str>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    tags: Vec<Box<str>>,
}

/// The text of the file.
pub fn write(snapshot: &Snapshot, clocks: Both) -> Vec<u8> {
    let stamp = |moment| stamp(moment, clocks);
    let state = State {
        version: VERSION,
        addresses: snapshot
            .addresses
            .values()
            .map(|believed| Address {
                value: believed.address,
                confirmed_at: stamp(believed.confirmed_at),
                said: believed.said.clone(),
            })
            .collect(),
        zones: snapshot.zones.iter().map(|zone| write_zone(zone, clocks)).collect(),
        spent: snapshot
            .by_account
            .iter()
            .map(|(account, memory)| {
                let stamps = memory.spent.iter().map(|moment| stamp(*moment)).collect();
                (account.0.to_string(), stamps)
            })
            .collect(),
    };
    let mut text = serde_json::to_vec(&state).unwrap_or_default();
    text.push(b'\n');
    text
}

/// The snapshot in a file's bytes.
///
/// # Errors
/// Why it is none: the words of the JSON parser, another version, a value that is not what it should be.
pub fn read(bytes: &[u8], clocks: Both) -> Result<Snapshot, String> {
    #[derive(Deserialize)]
    struct Versioned {
        version: u32,
    }
    let Versioned { version } = serde_json::from_slice(bytes).map_err(|e| e.to_string())?;
    if version != VERSION {
        return Err(format!("it is of version {version}, not {VERSION}"));
    }
    let state: State = serde_json::from_slice(bytes).map_err(|e| e.to_string())?;
    let moment = |stamp| moment(stamp, clocks);
    let mut snapshot = Snapshot::default();
    for address in state.addresses {
        let believed = Believed {
            address: address.value,
            confirmed_at: moment(address.confirmed_at),
            said: address.said,
        };
        let family = Family::of(address.value);
        snapshot.addresses.insert(family, believed);
    }
    for zone in state.zones {
        snapshot.zones.push(read_zone(zone, clocks)?);
    }
    for (account, stamps) in state.spent {
        let mut moments: Vec<Moment> = stamps.into_iter().map(moment).collect();
        moments.sort_unstable();
        let memory = CredentialMemory { spent: moments, ..CredentialMemory::default() };
        snapshot.by_account.insert(AccountName(account.into()), memory);
    }
    Ok(snapshot)
}

fn write_zone(zone: &ZoneMemory, clocks: Both) -> Zone {
    let words = |names: &[Name]| names.iter().map(ToString::to_string).collect();
    Zone {
        account: zone.account.0.to_string(),
        id: zone.id.to_string(),
        name: zone.name.as_ref().map(ToString::to_string),
        names: words(&zone.names),
        listed_at: zone.listed_at.map(|moment| stamp(moment, clocks)),
        records: zone.records.iter().map(write_record).collect(),
        aliases: zone
            .blocks
            .iter()
            .filter(|(_, block)| *block == Block::Alias)
            .map(|(name, _)| name.to_string())
            .collect(),
        adopted: zone
            .ours
            .iter()
            .filter(|(_, claim)| *claim == Claim::Adopted)
            .map(|(id, _)| id.to_string())
            .collect(),
    }
}

fn read_zone(zone: Zone, clocks: Both) -> Result<ZoneMemory, String> {
    let parsed =
        |words: Vec<String>| -> Result<Vec<Name>, String> { words.iter().map(|word| name(word)).collect() };
    Ok(ZoneMemory {
        account: AccountName(zone.account.into()),
        id: ZoneId::parse(&zone.id).ok_or("a zone's id is none")?,
        name: zone.name.as_deref().map(name).transpose()?,
        names: parsed(zone.names)?,
        listed_at: zone.listed_at.map(|stamp| moment(stamp, clocks)),
        records: zone.records.into_iter().map(read_record).collect::<Result<_, _>>()?,
        blocks: parsed(zone.aliases)?.into_iter().map(|name| (name, Block::Alias)).collect(),
        ours: zone
            .adopted
            .iter()
            .map(|id| Ok((record_id(id)?, Claim::Adopted)))
            .collect::<Result<_, String>>()?,
        foreign: Vec::new(),
        released: Vec::new(),
        leaving: Vec::new(),
        plan: None,
    })
}

fn write_record(record: &Record) -> Entry {
    Entry {
        id: record.id.to_string(),
        name: record.name.to_string(),
        content: record.content,
        ttl: record.ttl.to_api(),
        proxied: record.proxied,
        comment: record.comment.clone(),
        tags: record.tags.clone(),
    }
}

fn read_record(entry: Entry) -> Result<Record, String> {
    Ok(Record {
        id: record_id(&entry.id)?,
        name: name(&entry.name)?,
        content: entry.content,
        ttl: Ttl::from_api(entry.ttl),
        proxied: entry.proxied,
        comment: entry.comment,
        tags: entry.tags,
    })
}

fn name(text: &str) -> Result<Name, String> {
    Name::parse(text).map_err(|error| error.to_string())
}

fn record_id(text: &str) -> Result<RecordId, String> {
    RecordId::parse(text).ok_or_else(|| "a record's id is none".into())
}

fn stamp(moment: Moment, clocks: Both) -> u64 {
    let since = clocks.to_wall(moment).duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |span| u64::try_from(span.as_millis()).unwrap_or(u64::MAX))
}

fn moment(stamp: u64, clocks: Both) -> Moment {
    // A stamp beyond what the clock can hold is in the future, which is the present.
    let wall = SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(stamp));
    wall.map_or(clocks.moment(), |wall| clocks.to_moment(wall))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    use crate::engine::request::Request;
    use crate::engine::{Command, Engine, Mode, Start};

    /// A snapshot with something in every place.
    pub fn full() -> Snapshot {
        let home = Name::parse("home.example.com").unwrap();
        let id = |digit: char| digit.to_string().repeat(32);
        let address = IpAddr::from([203, 0, 113, 7]);
        let believed = Believed {
            address,
            confirmed_at: Moment::from_millis(900_000),
            said: BTreeMap::from([("cloudflare".into(), address)]),
        };
        let zone = ZoneMemory {
            account: AccountName::default(),
            id: ZoneId::parse(&id('a')).unwrap(),
            name: Name::parse("example.com").ok(),
            names: vec![home.clone()],
            listed_at: Some(Moment::from_millis(-4_000)),
            records: vec![Record {
                id: RecordId::parse(&id('b')).unwrap(),
                name: home,
                content: address,
                ttl: Ttl::Seconds(120),
                proxied: true,
                comment: Some("stayput".into()),
                tags: vec!["team:home".into()],
            }],
            blocks: vec![(Name::parse("www.example.com").unwrap(), Block::Alias)],
            ours: vec![(RecordId::parse(&id('b')).unwrap(), Claim::Adopted)],
            foreign: Vec::new(),
            released: Vec::new(),
            leaving: Vec::new(),
            plan: None,
        };
        Snapshot {
            addresses: BTreeMap::from([(Family::V4, believed)]),
            zones: vec![zone],
            by_account: BTreeMap::from([(
                AccountName::default(),
                CredentialMemory {
                    spent: vec![Moment::from_millis(1), Moment::from_millis(2)],
                    ..CredentialMemory::default()
                },
            )]),
            ..Snapshot::default()
        }
    }

    fn clocks(wall_seconds: u64, moment: i64) -> Both {
        let wall = SystemTime::UNIX_EPOCH + Duration::from_secs(wall_seconds);
        Both::at(wall, Moment::from_millis(moment))
    }

    #[test]
    fn after_a_reboot_everything_is_as_old_as_it_really_is() {
        let text = write(&full(), clocks(1_800_000_000, 1_000_000));
        // Ten minutes later, the clock starts from zero.
        let read = read(&text, clocks(1_800_000_600, 0)).unwrap();
        let believed = &read.addresses[&Family::V4];
        assert_eq!(believed.confirmed_at, Moment::from_millis(-700_000));
        let listed = read.zones[0].listed_at;
        assert_eq!(listed, Some(Moment::from_millis(-1_604_000)));
    }

    #[test]
    fn after_the_clock_went_back_nothing_lies_in_the_future() {
        let text = write(&full(), clocks(1_800_000_000, 1_000_000));
        let read = read(&text, clocks(3, 50)).unwrap();
        let now = Moment::from_millis(50);
        assert_eq!(read.addresses[&Family::V4].confirmed_at, now);
        assert_eq!(read.by_account[&AccountName::default()].spent, [now, now]);
    }

    #[test]
    fn stamps_that_no_clock_can_hold_are_read_without_a_panic() {
        let text = String::from_utf8(write(&full(), clocks(1_800_000_000, 0))).unwrap();
        let (before, rest) = text.split_once("\"listed_at\":").unwrap();
        let (_, after) = rest.split_once(',').unwrap();
        let far = format!("{before}\"listed_at\":{},{after}", u64::MAX);
        let read = read(far.as_bytes(), clocks(1_800_000_000, 9)).unwrap();
        assert_eq!(read.zones[0].listed_at, Some(Moment::from_millis(9)));
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
    fn check_taken(snapshot: &Snapshot, clocks: Both, now: Moment) {
        let stamps = snapshot.addresses.values().map(|believed| believed.confirmed_at);
        let stamps = stamps.chain(snapshot.zones.iter().filter_map(|zone| zone.listed_at));
        let mut stamps = stamps.chain(snapshot.by_account.values().flat_map(|memory| memory.spent.clone()));
        assert!(stamps.all(|stamp| stamp <= now), "something lies in the future: {snapshot:?}");
        let again = read(&write(snapshot, clocks), clocks).unwrap();
        assert_eq!(again, *snapshot);
    }

    #[test]
    fn after_thirty_years_without_a_clock_zones_are_old_and_the_budget_is_whole() {
        const THIRTY_YEARS: u64 = 30 * 365 * 86_400;
        let text = write(&full(), clocks(5_000, 1_000_000));
        let now = Moment::from_millis(1_060_000);
        let read = read(&text, clocks(5_000 + THIRTY_YEARS, 1_060_000)).unwrap();
        let old = Duration::from_secs(THIRTY_YEARS);
        assert!(now.since(read.zones[0].listed_at.unwrap()) >= old);
        assert!(
            read.by_account.values().flat_map(|memory| &memory.spent).all(|spent| now.since(*spent) >= old)
        );
        let config = "[[record]]\nname = \"home.example.com\"\n";
        let config = crate::config::from_toml(config, std::path::Path::new("stayput.toml")).unwrap();
        let start = Start { mode: Mode::Daemon, seed: 1, eager: true, now };
        let mut engine = Engine::new(config.settings, start, Some(read));
        let budget = engine.status(now).budgets[&AccountName::default()];
        assert_eq!((budget.left, budget.limit), (300, 300), "none of it is locked");
        let commands: Vec<Command> = std::iter::from_fn(|| engine.next_command(now)).collect();
        let lists = |command: &Command| {
            matches!(command, Command::Ask(_, _, Request::Records { .. } | Request::Zones { .. }))
        };
        assert!(commands.iter().any(lists), "an old copy is not believed: {commands:?}");
    }

    proptest! {
        #[test]
        fn a_state_that_was_tampered_with_is_refused_or_taken_in_good_order(
            deeds in proptest::collection::vec((0usize..40, any::<usize>()), 1..4),
            wall in prop_oneof![Just(0), Just(3), Just(1_800_000_000), Just(9_000_000_000_u64)],
        ) {
            let text = write(&full(), clocks(1_800_000_000, 1_000_000));
            let mut value: Value = serde_json::from_slice(&text).unwrap();
            for (mut at, what) in deeds {
                mutate(&mut value, &mut at, what);
            }
            let clocks = clocks(wall, 50);
            if let Ok(snapshot) = read(value.to_string().as_bytes(), clocks) {
                check_taken(&snapshot, clocks, Moment::from_millis(50));
            }
        }

        #[test]
        fn any_bytes_in_the_midst_of_a_state_are_refused_or_taken_in_good_order(
            at in 0usize..700, bytes in proptest::collection::vec(any::<u8>(), 0..4), skip in 0usize..4,
        ) {
            let mut text = write(&full(), clocks(1_800_000_000, 1_000_000));
            let at = at.min(text.len());
            let end = (at + skip).min(text.len());
            text.splice(at..end, bytes);
            let clocks = clocks(1_800_000_000, 50);
            if let Ok(snapshot) = read(&text, clocks) {
                check_taken(&snapshot, clocks, Moment::from_millis(50));
            }
        }

        #[test]
        fn a_file_cut_anywhere_is_refused(at in 0usize..500) {
            let text = write(&full(), clocks(1_800_000_000, 0));
            prop_assume!(at < text.len() - 2);
            prop_assert!(read(&text[..at], clocks(1_800_000_000, 0)).is_err());
        }
    }
}
