//! The JSON of the state file, and the way from it to the engine's snapshot and back.
//!
//! Instants are wall-clock milliseconds since 1970 here, because the engine's clock does not survive a
//! reboot; one in the future counts as the present, unless something is held until then. Deliberately
//! unknown: files.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::file::unusable;
use super::version_1;
use crate::cloudflare::identity::HashKey;
use crate::engine::cache::{Block, Claim};
use crate::engine::credential::{CredentialMemory, LONGEST_HOLD};
use crate::engine::flaps::{self, Flaps};
use crate::engine::names::{
    self, Content, Family, Key, Moment, Name, Record, RecordId, RecordType, Ttl, ZoneId,
};
use crate::engine::settings::{AccountName, CredentialId};
use crate::engine::time::ClockPair;
use crate::engine::watch::{Believed, Holds};
use crate::engine::{Snapshot, ZoneMemory};

/// A higher number is a later program's file.
const VERSION: u32 = 2;

/// What the file holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// What the engine remembers.
    pub snapshot: Snapshot,
    /// The key that it names credentials by.
    pub hash_key: Option<HashKey>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct State {
    version: u32,
    /// 32 hexadecimal digits.
    hash_key: Option<String>,
    addresses: Vec<Address>,
    lines: Vec<Line>,
    zones: Vec<Zone>,
    credentials: BTreeMap<String, Credential>,
    /// When the zones of each account were last looked for.
    searched: BTreeMap<String, u64>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Address {
    value: IpAddr,
    confirmed_at: u64,
    said: BTreeMap<Box<str>, IpAddr>,
}

/// What keeps new addresses of a family from being published.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    #[serde(with = "Type")]
    family: Family,
    tunnelled: bool,
    left: BTreeMap<IpAddr, u64>,
    returned_at: Option<u64>,
    held_until: Option<u64>,
    holds: u32,
    flapped_at: Option<u64>,
}

/// A family, by the type of its records.
#[derive(Serialize, Deserialize)]
#[serde(remote = "Family")]
enum Type {
    #[serde(rename = "A")]
    V4,
    #[serde(rename = "AAAA")]
    V6,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Credential {
    spent: Vec<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    held_until: Option<u64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    holds: Vec<Hold>,
}

/// What Cloudflare asked not to be asked for.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Hold {
    /// `None`: the list of zones.
    zone: Option<String>,
    until: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Zone {
    pub(super) account: String,
    pub(super) id: String,
    pub(super) name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) plan: Option<Box<str>>,
    pub(super) names: Vec<String>,
    pub(super) listed_at: Option<u64>,
    pub(super) records: Vec<Entry>,
    pub(super) blocks: Vec<Obstacle>,
    pub(super) marked: Vec<String>,
    pub(super) adopted: Vec<String>,
    pub(super) foreign: Vec<String>,
    pub(super) released: Vec<String>,
    pub(super) leaving: Vec<Place>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Entry {
    id: String,
    name: String,
    content: String,
    ttl: u32,
    proxied: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    comment: Option<Box<str>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    tags: Vec<Box<str>>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Obstacle {
    pub(super) name: String,
    pub(super) by: By,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum By {
    /// A CNAME record.
    Alias,
    Delegated(Box<str>),
    Managed(Option<Box<str>>),
    Unreadable(Box<str>),
}

/// A name and type.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Place {
    name: String,
    #[serde(with = "Kind")]
    r#type: RecordType,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "RecordType")]
enum Kind {
    A,
    #[serde(rename = "AAAA")]
    Aaaa,
}

/// The text of the file.
pub fn write(kept: &Kept, clocks: ClockPair) -> Vec<u8> {
    let snapshot = &kept.snapshot;
    let state = State {
        version: VERSION,
        hash_key: kept.hash_key.map(HashKey::to_hex),
        addresses: snapshot.addresses.values().map(|believed| Address::of(believed, clocks)).collect(),
        lines: snapshot.holds.iter().map(|(line, holds)| Line::of(line.family, holds, clocks)).collect(),
        zones: snapshot.zones.iter().map(|zone| Zone::of(zone, clocks)).collect(),
        credentials: snapshot
            .credentials
            .iter()
            .map(|(id, memory)| (id.0.to_string(), Credential::of(memory, clocks)))
            .collect(),
        searched: snapshot
            .searched
            .iter()
            .map(|(account, at)| (account.0.to_string(), stamp(*at, clocks)))
            .collect(),
    };
    let mut text = serde_json::to_vec(&state).unwrap_or_default();
    text.push(b'\n');
    text
}

/// What is in a file's bytes.
///
/// # Errors
/// Why it is none: it is damaged, of another version, or has a value that is not what it should be.
pub fn read(bytes: &[u8], clocks: ClockPair) -> Result<Kept, String> {
    #[derive(Deserialize)]
    struct Versioned {
        version: u32,
    }
    let Versioned { version } = serde_json::from_slice(bytes).map_err(|error| unusable(&error))?;
    match version {
        1 => version_1::read(bytes, clocks),
        VERSION => {
            let state: State = serde_json::from_slice(bytes).map_err(|error| unusable(&error))?;
            state.meaning(clocks)
        }
        _ => Err(format!("it is of version {version}, and this program knows 1 and {VERSION}")),
    }
}

impl State {
    fn meaning(self, clocks: ClockPair) -> Result<Kept, String> {
        let hash_key = self.hash_key.map(|text| HashKey::from_hex(&text).ok_or("the key is none"));
        let mut snapshot = Snapshot { addresses: believed(self.addresses, clocks), ..Snapshot::default() };
        for line in self.lines {
            let (family, holds) = line.meaning(clocks);
            snapshot.holds.insert(names::Line::only(family), holds);
        }
        for zone in self.zones {
            snapshot.zones.push(zone.meaning(clocks)?);
        }
        for (id, credential) in self.credentials {
            snapshot.credentials.insert(CredentialId(id.into()), credential.meaning(clocks)?);
        }
        for (account, at) in self.searched {
            snapshot.searched.insert(AccountName(account.into()), moment(at, clocks));
        }
        Ok(Kept { snapshot, hash_key: hash_key.transpose()? })
    }
}

impl Address {
    fn of(believed: &Believed, clocks: ClockPair) -> Address {
        Address {
            value: believed.address,
            confirmed_at: stamp(believed.confirmed_at, clocks),
            said: believed.said.clone(),
        }
    }
}

pub(super) fn believed(addresses: Vec<Address>, clocks: ClockPair) -> BTreeMap<names::Line, Believed> {
    let believed = |Address { value, confirmed_at, said }| {
        let confirmed_at = moment(confirmed_at, clocks);
        (names::Line::only(Family::of(value)), Believed { address: value, confirmed_at, said })
    };
    addresses.into_iter().map(believed).collect()
}

impl Line {
    fn of(family: Family, holds: &Holds, clocks: ClockPair) -> Line {
        let stamp = |moment| stamp(moment, clocks);
        let flaps = &holds.flaps;
        Line {
            family,
            tunnelled: holds.tunnelled,
            left: flaps.left.iter().map(|(address, at)| (*address, stamp(*at))).collect(),
            returned_at: flaps.returned_at.map(stamp),
            held_until: flaps.held_until.map(stamp),
            holds: flaps.holds,
            flapped_at: flaps.flapped_at.map(stamp),
        }
    }

    fn meaning(self, clocks: ClockPair) -> (Family, Holds) {
        let moment = |stamp| moment(stamp, clocks);
        let flaps = Flaps {
            left: self.left.into_iter().map(|(address, at)| (address, moment(at))).collect(),
            returned_at: self.returned_at.map(moment),
            held_until: self.held_until.map(|until| until_at_most(until, flaps::LONGEST_HOLD, clocks)),
            holds: self.holds,
            flapped_at: self.flapped_at.map(moment),
        };
        (self.family, Holds { flaps, tunnelled: self.tunnelled })
    }
}

impl Credential {
    fn of(memory: &CredentialMemory, clocks: ClockPair) -> Credential {
        let hold = |(zone, until): &(Option<ZoneId>, Moment)| Hold {
            zone: zone.as_ref().map(ToString::to_string),
            until: stamp(*until, clocks),
        };
        Credential {
            spent: memory.spent.iter().map(|moment| stamp(*moment, clocks)).collect(),
            held_until: memory.hold.map(|until| stamp(until, clocks)),
            holds: memory.holds.iter().map(hold).collect(),
        }
    }

    fn meaning(self, clocks: ClockPair) -> Result<CredentialMemory, String> {
        let until = |stamp| until_at_most(stamp, LONGEST_HOLD, clocks);
        let hold =
            |Hold { zone, until: stamp }: Hold| Ok((zone.as_deref().map(zone_id).transpose()?, until(stamp)));
        Ok(CredentialMemory {
            spent: spent(self.spent, clocks),
            hold: self.held_until.map(until),
            holds: self.holds.into_iter().map(hold).collect::<Result<_, String>>()?,
        })
    }
}

pub(super) fn spent(stamps: Vec<u64>, clocks: ClockPair) -> Vec<Moment> {
    let mut moments: Vec<Moment> = stamps.into_iter().map(|stamp| moment(stamp, clocks)).collect();
    moments.sort_unstable();
    moments
}

impl Zone {
    fn of(zone: &ZoneMemory, clocks: ClockPair) -> Zone {
        let words = |names: &[Name]| names.iter().map(ToString::to_string).collect();
        let ids = |ids: &[RecordId]| ids.iter().map(ToString::to_string).collect();
        let claimed = |why| {
            let ours = zone.ours.iter().filter(|(_, claim)| *claim == why);
            ours.map(|(id, _)| id.to_string()).collect()
        };
        Zone {
            account: zone.account.0.to_string(),
            id: zone.id.to_string(),
            name: zone.name.as_ref().map(ToString::to_string),
            plan: zone.plan.clone(),
            names: words(&zone.names),
            listed_at: zone.listed_at.map(|moment| stamp(moment, clocks)),
            records: zone.records.iter().map(Entry::of).collect(),
            blocks: zone.blocks.iter().map(Obstacle::of).collect(),
            marked: claimed(Claim::Marked),
            adopted: claimed(Claim::Adopted),
            foreign: ids(&zone.foreign),
            released: ids(&zone.released),
            leaving: zone.leaving.iter().map(Place::of).collect(),
        }
    }

    pub(super) fn meaning(self, clocks: ClockPair) -> Result<ZoneMemory, String> {
        let ids = |ids: Vec<String>| ids.iter().map(|id| record_id(id)).collect::<Result<Vec<_>, _>>();
        let claims =
            |all: Vec<String>, claim| Ok::<_, String>(ids(all)?.into_iter().map(move |id| (id, claim)));
        let mut ours: Vec<(RecordId, Claim)> = claims(self.marked, Claim::Marked)?.collect();
        ours.extend(claims(self.adopted, Claim::Adopted)?);
        ours.sort_by(|(one, _), (two, _)| one.cmp(two));
        Ok(ZoneMemory {
            account: AccountName(self.account.into()),
            id: zone_id(&self.id)?,
            name: self.name.as_deref().map(name).transpose()?,
            names: names(&self.names)?,
            listed_at: self.listed_at.map(|stamp| moment(stamp, clocks)),
            records: records(self.records)?,
            blocks: self.blocks.into_iter().map(Obstacle::meaning).collect::<Result<_, _>>()?,
            ours,
            foreign: ids(self.foreign)?,
            released: ids(self.released)?,
            leaving: self.leaving.into_iter().map(Place::meaning).collect::<Result<_, _>>()?,
            plan: self.plan,
        })
    }
}

impl Entry {
    fn of(record: &Record) -> Entry {
        Entry {
            id: record.id.to_string(),
            name: record.name.to_string(),
            content: record.content.to_string(),
            ttl: record.ttl.to_api(),
            proxied: record.proxied,
            comment: record.comment.clone(),
            tags: record.tags.clone(),
        }
    }
}

fn records(entries: Vec<Entry>) -> Result<Vec<Record>, String> {
    let record = |entry: Entry| {
        Ok(Record {
            id: record_id(&entry.id)?,
            name: name(&entry.name)?,
            content: content(&entry.content)?,
            ttl: Ttl::from_api(entry.ttl),
            proxied: entry.proxied,
            comment: entry.comment,
            tags: entry.tags,
        })
    };
    entries.into_iter().map(record).collect()
}

impl Obstacle {
    fn of((name, block): &(Name, Block)) -> Obstacle {
        Obstacle { name: name.to_string(), by: By::of(block.clone()) }
    }

    fn meaning(self) -> Result<(Name, Block), String> {
        Ok((name(&self.name)?, self.by.meaning()))
    }
}

impl By {
    fn of(block: Block) -> By {
        match block {
            Block::Other(_) => By::Alias,
            Block::Delegated(server) => By::Delegated(server),
            Block::Managed(product) => By::Managed(product),
            Block::Unreadable(id) => By::Unreadable(id),
        }
    }

    fn meaning(self) -> Block {
        match self {
            By::Alias => Block::Other("CNAME".into()),
            By::Delegated(server) => Block::Delegated(server),
            By::Managed(product) => Block::Managed(product),
            By::Unreadable(id) => Block::Unreadable(id),
        }
    }
}

impl Place {
    fn of(key: &Key) -> Place {
        Place { name: key.name.to_string(), r#type: key.kind }
    }

    fn meaning(self) -> Result<Key, String> {
        Ok(Key { name: name(&self.name)?, kind: self.r#type })
    }
}

fn name(text: &str) -> Result<Name, String> {
    Name::parse(text).map_err(|error| error.to_string())
}

fn content(text: &str) -> Result<Content, String> {
    let address: IpAddr = text.parse().map_err(|_| "a record's content is no address")?;
    Ok(address.into())
}

fn names(texts: &[String]) -> Result<Vec<Name>, String> {
    texts.iter().map(|text| name(text)).collect()
}

fn zone_id(text: &str) -> Result<ZoneId, String> {
    ZoneId::parse(text).ok_or_else(|| "a zone's id is none".into())
}

fn record_id(text: &str) -> Result<RecordId, String> {
    RecordId::parse(text).ok_or_else(|| "a record's id is none".into())
}

fn stamp(moment: Moment, clocks: ClockPair) -> u64 {
    let since = clocks.to_wall(moment).duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |span| u64::try_from(span.as_millis()).unwrap_or(u64::MAX))
}

fn moment(stamp: u64, clocks: ClockPair) -> Moment {
    until_at_most(stamp, Duration::ZERO, clocks)
}

/// The instant of a stamp; one that is further away than `most` counts as that, so that a clock which was
/// wrong holds nothing for years.
fn until_at_most(stamp: u64, most: Duration, clocks: ClockPair) -> Moment {
    // A stamp beyond what the clock can hold is in the future.
    let wall = SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(stamp));
    wall.map_or(clocks.moment() + most, |wall| clocks.to_moment(wall, most))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    use crate::engine::api::Request;
    use crate::engine::{Command, Engine, Mode, Start};

    const V4: names::Line = names::Line::only(Family::V4);

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
        let zone_memory = ZoneMemory {
            account: AccountName::default(),
            id: zone('a'),
            name: Some(name("example.com")),
            names: vec![name("home.example.com")],
            listed_at: Some(at(-4_000)),
            records: vec![entry],
            blocks: vec![
                (name("www.example.com"), Block::Other("CNAME".into())),
                (name("sub.example.com"), Block::Delegated("ada.ns.example.net".into())),
                (name("worker.example.com"), Block::Managed(Some("Workers".into()))),
                (name("tunnel.example.com"), Block::Managed(None)),
                (name("odd.example.com"), Block::Unreadable("x".into())),
            ],
            ours: vec![(record('b'), Claim::Adopted), (record('c'), Claim::Marked)],
            foreign: vec![record('d')],
            released: vec![record('e')],
            leaving: vec![Key { name: name("old.example.com"), kind: RecordType::Aaaa }],
            plan: Some("free".into()),
        };
        let credential = CredentialMemory {
            spent: vec![at(1), at(2)],
            hold: Some(at(1_500_000)),
            holds: vec![(None, at(1_400_000)), (Some(zone('a')), at(1_300_000))],
        };
        let snapshot = Snapshot {
            addresses: BTreeMap::from([(V4, believed)]),
            holds: BTreeMap::from([(V4, Holds { flaps, tunnelled: true })]),
            zones: vec![zone_memory],
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
        let believed = &read.addresses[&V4];
        assert_eq!(believed.confirmed_at, Moment::from_millis(-700_000));
        let listed = read.zones[0].listed_at;
        assert_eq!(listed, Some(Moment::from_millis(-1_604_000)));
    }

    #[test]
    fn after_the_clock_went_back_nothing_is_held_for_longer_than_a_hold_lasts() {
        let text = write(&full(), clocks(1_800_000_000, 1_000_000));
        let read = read(&text, clocks(3, 50)).unwrap().snapshot;
        let now = Moment::from_millis(50);
        assert_eq!(read.addresses[&V4].confirmed_at, now);
        let credential = &read.credentials[&CredentialId("c0ffee".into())];
        assert_eq!(credential.spent, [now, now]);
        let hours = |hours: u64| now + Duration::from_secs(hours * 3600);
        assert_eq!(credential.hold, Some(hours(1)), "a clock that was wrong holds nothing for years");
        assert_eq!(credential.holds, [(None, hours(1)), (credential.holds[1].0.clone(), hours(1))]);
        assert_eq!(read.holds[&V4].flaps.held_until, Some(hours(2)));
        assert_eq!(read.holds[&V4].flaps.flapped_at, Some(now));
    }

    #[test]
    fn stamps_that_no_clock_can_hold_are_read_without_a_panic() {
        let text = String::from_utf8(write(&full(), clocks(1_800_000_000, 0))).unwrap();
        let (before, rest) = text.split_once("\"listed_at\":").unwrap();
        let (_, after) = rest.split_once(',').unwrap();
        let far = format!("{before}\"listed_at\":{},{after}", u64::MAX);
        let read = read(far.as_bytes(), clocks(1_800_000_000, 9)).unwrap().snapshot;
        assert_eq!(read.zones[0].listed_at, Some(Moment::from_millis(9)));
    }

    #[test]
    fn what_is_held_is_held_as_long_after_a_restart() {
        let text = write(&full(), clocks(1_800_000_000, 1_000_000));
        // Ten minutes later, the clock starts from zero.
        let read = read(&text, clocks(1_800_000_600, 0)).unwrap().snapshot;
        let credential = &read.credentials[&CredentialId("c0ffee".into())];
        assert_eq!(credential.hold, Some(Moment::from_millis(-100_000)), "it is over");
        assert_eq!(read.holds[&V4].flaps.held_until, Some(Moment::from_millis(0)));
        let read = super::read(&text, clocks(1_800_000_060, 0)).unwrap().snapshot;
        let credential = &read.credentials[&CredentialId("c0ffee".into())];
        assert_eq!(credential.hold, Some(Moment::from_millis(440_000)));
        assert_eq!(read.holds[&V4].flaps.held_until, Some(Moment::from_millis(540_000)));
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
        let stamps = stamps.chain(snapshot.zones.iter().filter_map(|zone| zone.listed_at));
        let mut stamps = stamps.chain(credentials().flat_map(|memory| memory.spent.clone()));
        assert!(stamps.all(|stamp| stamp <= now), "something lies in the future: {snapshot:?}");
        let asked = credentials()
            .flat_map(|memory| memory.hold.into_iter().chain(memory.holds.iter().map(|hold| hold.1)));
        let lines = snapshot.holds.values().filter_map(|holds| holds.flaps.held_until);
        let far = |until: Moment, hours: u64| until > now + Duration::from_secs(hours * 3600);
        assert!(
            !asked.into_iter().any(|until| far(until, 1)) && !lines.into_iter().any(|until| far(until, 2))
        );
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
        assert!(now.since(read.zones[0].listed_at.unwrap()) >= old);
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
            let mut value: Value = serde_json::from_slice(&text).unwrap();
            for (mut at, what) in deeds {
                mutate(&mut value, &mut at, what);
            }
            let clocks = clocks(wall, 50);
            if let Ok(kept) = read(value.to_string().as_bytes(), clocks) {
                check_taken(&kept, clocks, Moment::from_millis(50));
            }
        }

        #[test]
        fn any_bytes_in_the_midst_of_a_state_are_refused_or_taken_in_good_order(
            at in 0usize..1900, bytes in proptest::collection::vec(any::<u8>(), 0..4), skip in 0usize..4,
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

        #[test]
        fn a_file_cut_anywhere_is_refused(at in 0usize..1900) {
            let text = write(&full(), clocks(1_800_000_000, 0));
            prop_assume!(at < text.len() - 2);
            prop_assert!(read(&text[..at], clocks(1_800_000_000, 0)).is_err());
        }
    }
}
