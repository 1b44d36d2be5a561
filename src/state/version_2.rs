//! The state file as 0.1.0 wrote it before version 3: read, and never written any more.
//!
//! One JSON text with every zone in it; a CNAME record was the only record that stood in the way.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use serde::Deserialize;

use super::rest::{
    self, Address, Credential, Kept, Line, Place, Rest, moment, name, record_id, unusable, zone_id,
};
use crate::engine::cache::{Block, Changed, Claim, ZoneCache};
use crate::engine::names::{Name, Record, RecordId, Ttl};
use crate::engine::settings::AccountName;
use crate::engine::time::ClockPair;
use crate::engine::{ZoneKey, ZoneMemory};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct State {
    #[expect(dead_code, reason = "it was read before")]
    version: u32,
    hash_key: Option<String>,
    addresses: Vec<Address>,
    lines: Vec<Line>,
    zones: Vec<Zone>,
    credentials: BTreeMap<String, Credential>,
    searched: BTreeMap<String, u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Zone {
    pub(super) account: String,
    pub(super) id: String,
    pub(super) name: Option<String>,
    #[serde(default)]
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

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Entry {
    id: String,
    name: String,
    content: IpAddr,
    ttl: u32,
    proxied: bool,
    #[serde(default)]
    comment: Option<Box<str>>,
    #[serde(default)]
    tags: Vec<Box<str>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Obstacle {
    pub(super) name: String,
    pub(super) by: By,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum By {
    /// A CNAME record.
    Alias,
    Delegated(Box<str>),
    Managed(Option<Box<str>>),
    Unreadable(Box<str>),
}

/// What is in a file's bytes.
pub(super) fn read(bytes: &[u8], clocks: ClockPair) -> Result<Kept, String> {
    let State { hash_key, addresses, lines, zones, credentials, searched, .. } =
        serde_json::from_slice(bytes).map_err(|error| unusable(&error))?;
    let mut snapshot = Rest { addresses, lines, credentials, searched }.meaning(clocks)?;
    for zone in zones {
        let (key, zone) = zone.meaning(clocks)?;
        snapshot.zones.insert(key, zone);
    }
    Ok(Kept { snapshot, hash_key: rest::hash_key(hash_key)? })
}

impl Zone {
    pub(super) fn meaning(self, clocks: ClockPair) -> Result<(ZoneKey, ZoneMemory), String> {
        let records = self.records.into_iter().map(Entry::meaning).collect::<Result<Vec<_>, _>>()?;
        let records: BTreeMap<RecordId, Record> =
            records.into_iter().map(|record| (record.id.clone(), record)).collect();
        // What is known of a record that is not there is of no use.
        let ids = |ids: Vec<String>| {
            let ids = ids.iter().map(|id| record_id(id)).collect::<Result<BTreeSet<_>, _>>()?;
            Ok::<_, String>(ids.into_iter().filter(|id| records.contains_key(id)).collect::<BTreeSet<_>>())
        };
        let marked = ids(self.marked)?.into_iter().map(|id| (id, Claim::Marked));
        let adopted = ids(self.adopted)?.into_iter().map(|id| (id, Claim::Adopted));
        let copy = ZoneCache {
            names: self.names.iter().map(|text| name(text)).collect::<Result<_, _>>()?,
            blocks: self.blocks.into_iter().map(Obstacle::meaning).collect::<Result<_, _>>()?,
            ours: marked.chain(adopted).collect(),
            foreign: ids(self.foreign)?,
            released: ids(self.released)?,
            changed: Changed::nothing(),
            records: BTreeMap::new(),
        };
        let memory = ZoneMemory {
            name: self.name.as_deref().map(name).transpose()?,
            plan: self.plan,
            listed_at: self.listed_at.map(|stamp| moment(stamp, clocks)),
            leaving: self.leaving.into_iter().map(Place::meaning).collect::<Result<_, _>>()?,
            copy: ZoneCache { records, ..copy },
        };
        Ok(((AccountName(self.account.into()), zone_id(&self.id)?), memory))
    }
}

impl Entry {
    fn meaning(self) -> Result<Record, String> {
        Ok(Record {
            id: record_id(&self.id)?,
            name: name(&self.name)?,
            content: self.content.into(),
            ttl: Ttl::from_api(self.ttl),
            proxied: self.proxied,
            comment: self.comment,
            tags: self.tags,
        })
    }
}

impl Obstacle {
    fn meaning(self) -> Result<(Name, Block), String> {
        let block = match self.by {
            By::Alias => Block::Other("CNAME".into()),
            By::Delegated(server) => Block::Delegated(server),
            By::Managed(product) => Block::Managed(product),
            By::Unreadable(id) => Block::Unreadable(id),
        };
        Ok((name(&self.name)?, block))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::{Duration, SystemTime};

    use super::*;
    use crate::engine::names::{Family, Moment, RecordType};
    use crate::engine::settings::CredentialId;
    use crate::engine::{Command, Engine, Event, Mode, RecordState, Start};
    use crate::state::json;

    /// What the last program with this version left, stopped 25 s after a cold start with the configuration
    /// below; meanwhile the address changed, and the mark was taken out of one record's comment.
    const FILE: &[u8] = include_bytes!("../../tests/state/version-2.json");
    const STOPPED_AT: u64 = 1_795_725_767_000;
    const CONFIG: &str = r#"
        [cloudflare]
        token = { file = "/run/token" }
        [cloudflare.second]
        token = { file = "/run/second-token" }
        [address]
        allow = ["203.0.113.0/24", "2001:db8::/32"]
        ipv4 = [{ url = "http://127.0.0.1:39939/echo/ipify" }]
        ipv6 = [{ url = "http://[::1]:39939/echo/ipify" }]
        [[record]]
        name = ["home.example.com", "adopted.example.com", "alias.example.com", "a.sub.example.com",
                "released.example.com"]
        types = ["A"]
        [[record]]
        name = "home.example.com"
        types = ["AAAA"]
        ttl = "5m"
        comment = "at home"
        [[record]]
        name = "home.example.net"
        account = "second"
        types = ["A"]
    "#;

    fn clocks() -> ClockPair {
        let wall = SystemTime::UNIX_EPOCH + Duration::from_millis(STOPPED_AT + 60_000);
        ClockPair::at(wall, Moment::from_millis(10_000))
    }

    fn engine(kept: Kept) -> Engine {
        let mut config = crate::config::from_toml(CONFIG, Path::new("stayput.toml")).unwrap();
        let known = ["a05cd96a743081d98af65313c8a2805c", "40984f203f86203629939a9eacc7adf7"];
        for (account, known) in config.settings.accounts.values_mut().zip(known) {
            account.credential = CredentialId(known.into());
        }
        let now = clocks().moment();
        let start = Start { mode: Mode::Daemon, seed: 1, eager: true, now };
        Engine::new(config.settings, start, Some(kept.snapshot))
    }

    /// How each record is after a start at which the sources say what they said before; no request may leave.
    fn states(kept: Kept) -> Vec<(String, RecordState)> {
        let now = clocks().moment();
        let mut engine = engine(kept);
        while let Some(command) = engine.next_command(now) {
            let Command::Look { ticket, line, .. } = command else { panic!("{command:?}") };
            let address = ["203.0.113.8", "2001:db8::7"][usize::from(line.family == Family::V6)];
            engine.handle(Event::Heard(ticket, Ok(address.parse().unwrap())), now);
        }
        let records = engine.status(now).records.into_iter();
        records.map(|record| (record.key.to_string(), record.state)).collect()
    }

    #[test]
    fn everything_that_it_knew_is_known() {
        let Kept { snapshot, hash_key } = json::read(FILE, clocks()).unwrap();
        assert!(hash_key.is_some());
        let com = snapshot.zones.values().next().unwrap();
        assert_eq!((com.copy.names.len(), com.copy.records.len(), com.copy.blocks.len()), (5, 4, 2));
        assert_eq!((com.copy.ours.len(), com.copy.released.len()), (3, 1));
        assert!(com.copy.records.values().any(|record| record.content.kind() == RecordType::Aaaa));
        assert_eq!((com.plan.as_deref(), com.listed_at.is_some()), (Some("free"), true));
        assert_eq!(snapshot.holds.values().map(|holds| holds.flaps.left.len()).collect::<Vec<_>>(), [1]);
        assert_eq!((snapshot.credentials.len(), snapshot.searched.len()), (2, 2));
    }

    #[test]
    fn a_start_with_it_costs_no_request_nor_does_one_with_what_is_made_of_it() {
        let kept = json::read(FILE, clocks()).unwrap();
        let text = json::file(&kept.snapshot.clone().into(), kept.hash_key, clocks());
        let again = json::read(&text, clocks()).unwrap();
        assert_eq!(again, kept);
        for kept in [kept, again] {
            let states = states(kept);
            let of = |state| states.iter().filter(|(_, is)| *is == state).count();
            assert_eq!((of(RecordState::Current), of(RecordState::Blocked)), (4, 3), "{states:?}");
        }
    }
}
