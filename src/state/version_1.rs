//! The state file as version 0.1.0 wrote it: read, and never written any more.
//!
//! It knew budgets by the names of accounts, CNAME records as the only obstacles, and nothing of holds.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::rest::{self, Address, Kept};
use super::version_2::{self, By, Entry, Obstacle};
use crate::engine::credential::CredentialMemory;
use crate::engine::settings::AccountName;
use crate::engine::time::ClockPair;
use crate::engine::{Snapshot, ZoneKey, ZoneMemory};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct State {
    #[expect(dead_code, reason = "it was read before")]
    version: u32,
    addresses: Vec<Address>,
    zones: Vec<Zone>,
    spent: BTreeMap<String, Vec<u64>>,
}

#[derive(Deserialize)]
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

/// What is in a file's bytes.
pub(super) fn read(bytes: &[u8], clocks: ClockPair) -> Result<Kept, String> {
    let state: State = serde_json::from_slice(bytes).map_err(|error| rest::unusable(&error))?;
    let budget = |(account, stamps): (String, _)| {
        let memory = CredentialMemory { spent: rest::spent(stamps, clocks), ..CredentialMemory::default() };
        (AccountName(account.into()), memory)
    };
    let snapshot = Snapshot {
        addresses: rest::believed(state.addresses, clocks),
        zones: state.zones.into_iter().map(|zone| zone.meaning(clocks)).collect::<Result<_, _>>()?,
        by_account: state.spent.into_iter().map(budget).collect(),
        ..Snapshot::default()
    };
    Ok(Kept { snapshot, hash_key: None })
}

impl Zone {
    fn meaning(self, clocks: ClockPair) -> Result<(ZoneKey, ZoneMemory), String> {
        let alias = |name| Obstacle { name, by: By::Alias };
        let zone = version_2::Zone {
            account: self.account,
            id: self.id,
            name: self.name,
            plan: None,
            names: self.names,
            listed_at: self.listed_at,
            records: self.records,
            blocks: self.aliases.into_iter().map(alias).collect(),
            marked: Vec::new(),
            adopted: self.adopted,
            foreign: Vec::new(),
            released: Vec::new(),
            leaving: Vec::new(),
        };
        zone.meaning(clocks)
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::path::Path;
    use std::time::{Duration, SystemTime};

    use super::*;
    use crate::engine::RecordState;
    use crate::engine::cache::{Block, Claim};
    use crate::engine::names::{Family, Key, Moment, Name, Ttl};
    use crate::engine::settings::CredentialId;
    use crate::engine::{Command, Engine, Event, Mode, Start};
    use crate::state::json;

    /// What 0.1.0 left, stopped six seconds after a cold start with the configuration below.
    const FILE: &[u8] = include_bytes!("../../tests/state/version-1.json");
    const STOPPED_AT: u64 = 1_795_699_933_000;
    const CONFIG: &str = r#"
        [cloudflare]
        token = { file = "/run/token" }
        [cloudflare.second]
        token = { file = "/run/second-token" }
        [address]
        ipv4 = [{ url = "http://127.0.0.1:39939/echo/ipify" }]
        ipv6 = [{ url = "http://[::1]:39939/echo/ipify" }]
        [[record]]
        name = ["home.example.com", "adopted.example.com", "alias.example.com"]
        types = ["A"]
        [[record]]
        name = "home.example.com"
        types = ["AAAA"]
        ttl = "5m"
        [[record]]
        name = "home.example.net"
        account = "second"
        types = ["A"]
    "#;

    fn now() -> Moment {
        Moment::from_millis(10_000)
    }

    /// A minute after it was stopped.
    fn read() -> Kept {
        let wall = SystemTime::UNIX_EPOCH + Duration::from_millis(STOPPED_AT + 60_000);
        json::read(FILE, ClockPair::at(wall, now())).unwrap()
    }

    fn engine() -> Engine {
        let mut config = crate::config::from_toml(CONFIG, Path::new("stayput.toml")).unwrap();
        for (name, account) in &mut config.settings.accounts {
            account.credential = CredentialId(format!("credential of {name}").into());
        }
        let start = Start { mode: Mode::Daemon, seed: 1, eager: true, now: now() };
        Engine::new(config.settings, start, Some(read().snapshot))
    }

    fn key(name: &str, family: Family) -> Key {
        Key { name: Name::parse(name).unwrap(), kind: family.record_type() }
    }

    #[test]
    fn everything_that_it_knew_is_known() {
        let Kept { snapshot, hash_key } = read();
        assert_eq!(hash_key, None);
        let addresses: Vec<String> = snapshot.addresses.values().map(|it| it.address.to_string()).collect();
        assert_eq!(addresses, ["93.184.216.34", "2606:2800:220:1::34"]);
        let zones: Vec<_> = snapshot.zones.iter().collect();
        let [((_, _), com), ((second, _), net)] = zones[..] else { panic!("{zones:?}") };
        assert_eq!(com.name.as_ref().unwrap().to_string(), "example.com");
        assert_eq!((com.copy.names.len(), com.copy.records.len()), (3, 3));
        assert!(com.copy.records.values().any(|record| record.ttl == Ttl::Seconds(300)));
        assert_eq!(
            com.copy.blocks,
            BTreeMap::from([(Name::parse("alias.example.com").unwrap(), Block::Other("CNAME".into()))])
        );
        let adopted = com.copy.ours.iter().find(|(_, claim)| **claim == Claim::Adopted).unwrap().0;
        let adopted = &com.copy.records[adopted];
        assert_eq!(adopted.comment.as_deref(), Some("by hand"));
        assert_eq!(*second, AccountName("second".into()));
        assert!(com.listed_at.unwrap() <= now() && net.listed_at.is_some());
        let spent: Vec<usize> = snapshot.by_account.values().map(|memory| memory.spent.len()).collect();
        assert_eq!(spent, [11, 11], "three requests and eight that were counted ahead, for each");
    }

    #[test]
    fn a_start_with_it_costs_no_request_and_knows_what_was_spent() {
        let mut engine = engine();
        let mut looks = 0;
        while let Some(command) = engine.next_command(now()) {
            let Command::Look { ticket, line, .. } = command else { panic!("{command:?}") };
            let address: IpAddr = match line.family {
                Family::V4 => "93.184.216.34".parse().unwrap(),
                Family::V6 => "2606:2800:220:1::34".parse().unwrap(),
            };
            engine.handle(Event::Heard(ticket, Ok(address)), now());
            looks += 1;
        }
        assert_eq!(looks, 2);
        let status = engine.status(now());
        let state = |name, family| {
            let key = key(name, family);
            status.records.iter().find(|record| record.key == key).unwrap().state
        };
        for (name, family) in [
            ("home.example.com", Family::V4),
            ("home.example.com", Family::V6),
            ("adopted.example.com", Family::V4),
            ("home.example.net", Family::V4),
        ] {
            assert_eq!(state(name, family), RecordState::Current, "{name} {family}");
        }
        assert_eq!(state("alias.example.com", Family::V4), RecordState::Blocked);
        let left: Vec<u32> = status.budgets.values().map(|budget| budget.left).collect();
        assert_eq!(left, [289, 289]);
    }

    #[test]
    fn a_change_after_it_is_known_to_be_ours_to_write() {
        let mut engine = engine();
        let to: IpAddr = "93.184.216.35".parse().unwrap();
        let mut asked = Vec::new();
        while let Some(command) = engine.next_command(now()) {
            match command {
                Command::Look { ticket, line, .. } if line.family == Family::V4 => {
                    engine.handle(Event::Heard(ticket, Ok(to)), now());
                }
                Command::Look { .. } => {}
                Command::Ask { account, request, .. } => asked.push((account, request.writes())),
                Command::ReadSecret { .. } => panic!("nothing was refused"),
            }
        }
        assert!(
            !asked.is_empty() && asked.iter().all(|(_, writes)| !writes),
            "it reads before it writes: {asked:?}"
        );
    }
}
