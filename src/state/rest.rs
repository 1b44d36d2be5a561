//! What the state file holds beside the zones, as JSON, and the values that all of it is made of.
//!
//! Instants are wall-clock milliseconds since 1970 here, because the engine's clock does not survive a
//! reboot; one in the future counts as the present, unless something is held until then. Deliberately
//! unknown: files, and how the zones are told.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use serde_json::error::Category;

use crate::cloudflare::identity::HashKey;
use crate::engine::Snapshot;
use crate::engine::credential::{CredentialMemory, LONGEST_HOLD};
use crate::engine::flaps::{self, Flaps};
use crate::engine::names::{self, Family, Key, Moment, Name, RecordId, RecordType, ZoneId};
use crate::engine::settings::{AccountName, CredentialId};
use crate::engine::time::ClockPair;
use crate::engine::watch::{Believed, Holds};

/// What the file holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// What the engine remembers.
    pub snapshot: Snapshot,
    /// The key that it names credentials by.
    pub hash_key: Option<HashKey>,
}

/// Everything but the zones.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rest {
    pub(super) addresses: Vec<Address>,
    pub(super) lines: Vec<Line>,
    pub(super) credentials: BTreeMap<String, Credential>,
    /// When the zones of each account were last looked for.
    pub(super) searched: BTreeMap<String, u64>,
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
pub(super) struct Line {
    /// By the type of its records.
    #[serde(with = "Kind")]
    family: RecordType,
    tunnelled: bool,
    left: BTreeMap<IpAddr, u64>,
    returned_at: Option<u64>,
    held_until: Option<u64>,
    holds: u32,
    flapped_at: Option<u64>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "RecordType")]
pub(super) enum Kind {
    A,
    #[serde(rename = "AAAA")]
    Aaaa,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Credential {
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

/// A name and type.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Place {
    name: String,
    #[serde(with = "Kind")]
    r#type: RecordType,
}

impl Rest {
    pub(super) fn of(snapshot: &Snapshot, clocks: ClockPair) -> Rest {
        let credentials = snapshot.credentials.iter();
        let searched = snapshot.searched.iter();
        Rest {
            addresses: snapshot.addresses.values().map(|believed| Address::of(believed, clocks)).collect(),
            lines: snapshot.holds.iter().map(|(line, holds)| Line::of(line.family, holds, clocks)).collect(),
            credentials: credentials
                .map(|(id, memory)| (id.0.to_string(), Credential::of(memory, clocks)))
                .collect(),
            searched: searched.map(|(account, at)| (account.0.to_string(), stamp(*at, clocks))).collect(),
        }
    }

    pub(super) fn meaning(self, clocks: ClockPair) -> Result<Snapshot, String> {
        let mut snapshot = Snapshot { addresses: believed(self.addresses, clocks), ..Snapshot::default() };
        for line in self.lines {
            let (line, holds) = line.meaning(clocks);
            snapshot.holds.insert(line, holds);
        }
        for (id, credential) in self.credentials {
            snapshot.credentials.insert(CredentialId(id.into()), credential.meaning(clocks)?);
        }
        for (account, at) in self.searched {
            snapshot.searched.insert(AccountName(account.into()), moment(at, clocks));
        }
        Ok(snapshot)
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
            family: family.record_type(),
            tunnelled: holds.tunnelled,
            left: flaps.left.iter().map(|(address, at)| (*address, stamp(*at))).collect(),
            returned_at: flaps.returned_at.map(stamp),
            held_until: flaps.held_until.map(stamp),
            holds: flaps.holds,
            flapped_at: flaps.flapped_at.map(stamp),
        }
    }

    fn meaning(self, clocks: ClockPair) -> (names::Line, Holds) {
        let moment = |stamp| moment(stamp, clocks);
        let flaps = Flaps {
            left: self.left.into_iter().map(|(address, at)| (address, moment(at))).collect(),
            returned_at: self.returned_at.map(moment),
            held_until: self.held_until.map(|until| until_at_most(until, flaps::LONGEST_HOLD, clocks)),
            holds: self.holds,
            flapped_at: self.flapped_at.map(moment),
        };
        (names::Line::only(self.family.family()), Holds { flaps, tunnelled: self.tunnelled })
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

impl Place {
    pub(super) fn of(key: &Key) -> Place {
        Place { name: key.name.to_string(), r#type: key.kind }
    }

    pub(super) fn meaning(self) -> Result<Key, String> {
        Ok(Key { name: name(&self.name)?, kind: self.r#type })
    }
}

pub(super) fn name(text: &str) -> Result<Name, String> {
    Name::parse(text).map_err(|error| error.to_string())
}

pub(super) fn zone_id(text: &str) -> Result<ZoneId, String> {
    ZoneId::parse(text).ok_or_else(|| "a zone's id is none".into())
}

pub(super) fn record_id(text: &str) -> Result<RecordId, String> {
    RecordId::parse(text).ok_or_else(|| "a record's id is none".into())
}

pub(super) fn stamp(moment: Moment, clocks: ClockPair) -> u64 {
    let since = clocks.to_wall(moment).duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |span| u64::try_from(span.as_millis()).unwrap_or(u64::MAX))
}

pub(super) fn moment(stamp: u64, clocks: ClockPair) -> Moment {
    until_at_most(stamp, Duration::ZERO, clocks)
}

/// The instant of a stamp; one that is further away than `most` counts as that, so that a clock which was
/// wrong holds nothing for years.
fn until_at_most(stamp: u64, most: Duration, clocks: ClockPair) -> Moment {
    // A stamp beyond what the clock can hold is in the future.
    let wall = SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(stamp));
    wall.map_or(clocks.moment() + most, |wall| clocks.to_moment(wall, most))
}

pub(super) fn hash_key(text: Option<String>) -> Result<Option<HashKey>, String> {
    let key = |text: String| HashKey::from_hex(&text).ok_or_else(|| "the key is none".to_owned());
    text.map(key).transpose()
}

/// What is wrong with the file, for people: where in its one line is of no use to them.
pub(super) fn unusable(error: &serde_json::Error) -> String {
    let words = match error.classify() {
        Category::Eof => "it ends too early",
        Category::Syntax | Category::Io => "it is damaged",
        Category::Data => "something in it is missing, or not as stayput writes it",
    };
    words.to_owned()
}
