//! What a running daemon says of itself: the document that its socket gives and `stayput status` reads.
//!
//! No secret can pass here, because nothing here knows one. Deliberately unknown: sockets, and how a
//! person is shown it.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::daemon::clock::Both;
use crate::engine::names::Family;
use crate::engine::{self, RecordState};

/// The document. Its form is fixed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Document {
    /// The daemon's version.
    pub version: String,
    /// When the daemon started.
    pub since: Stamp,
    /// `ipv4` and `ipv6`, as far as they are on; `None`: not known.
    pub addresses: BTreeMap<String, Option<Address>>,
    /// What is kept, sorted by name and type.
    pub records: Vec<Record>,
    /// What is left of the budget; of all accounts together.
    pub budget: Budget,
    /// How requests fared since the start.
    pub api: Api,
    /// When a source is asked next.
    pub next_look_at: Option<Stamp>,
}

/// An address that is believed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Address {
    /// The address.
    pub value: IpAddr,
    /// When a look last ended with it.
    pub confirmed_at: Stamp,
    /// Who said so.
    pub sources: Vec<String>,
}

/// A name and type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The name.
    pub name: String,
    /// `A` or `AAAA`.
    #[serde(rename = "type")]
    pub kind: String,
    /// How it is.
    pub state: State,
    /// The address in the zone, if it is known.
    pub content: Option<IpAddr>,
    /// Since when it has been so, if that is known.
    pub since: Option<Stamp>,
    /// Why it is not current.
    pub why: Option<String>,
}

/// How a name and type is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// As it should be.
    Current,
    /// A change is about to be sent.
    Pending,
    /// Left alone until somebody acts.
    Refused,
    /// The zone or the address is not known yet.
    Unknown,
}

/// Requests in a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Budget {
    /// How many there may be.
    pub limit: u32,
    /// How many are left.
    pub left: u32,
    /// When there will be more.
    pub resets_at: Option<Stamp>,
}

/// Requests since the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Api {
    /// All of them.
    pub requests: u64,
    /// Those that were answered with 429.
    pub throttled: u64,
    /// Those that failed otherwise.
    pub failed: u64,
    /// Milliseconds that an answer took on average.
    pub mean_ms: u64,
}

/// An instant on the wall clock, written as RFC 3339 in whole seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Stamp(pub SystemTime);

impl From<Stamp> for String {
    fn from(stamp: Stamp) -> String {
        humantime::format_rfc3339_seconds(stamp.0).to_string()
    }
}

impl TryFrom<String> for Stamp {
    type Error = humantime::TimestampError;

    fn try_from(text: String) -> Result<Stamp, Self::Error> {
        humantime::parse_rfc3339(&text).map(Stamp)
    }
}

impl Document {
    /// What the engine knows, dated by the wall clock.
    #[must_use]
    pub fn of(status: engine::Status, since: SystemTime, clocks: Both) -> Document {
        let stamp = |moment| Stamp(clocks.to_wall(moment));
        let addresses = status.addresses.into_iter().map(|(family, address)| {
            let address = address.map(|address| Address {
                value: address.value,
                confirmed_at: stamp(address.confirmed_at),
                sources: address.sources.into_iter().map(String::from).collect(),
            });
            (key(family).to_owned(), address)
        });
        let records = status.records.into_iter().map(|record| Record {
            name: record.key.name.to_string(),
            kind: record.key.family.record_type().to_owned(),
            state: record.state.into(),
            content: record.content,
            since: record.since.map(stamp),
            why: record.why,
        });
        let budgets = || status.budgets.values();
        let requests: u64 = budgets().map(|budget| budget.requests).sum();
        let millis: u64 = budgets().map(|budget| budget.mean_millis.saturating_mul(budget.requests)).sum();
        Document {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            since: Stamp(since),
            addresses: addresses.collect(),
            records: records.collect(),
            budget: Budget {
                limit: budgets().map(|budget| budget.limit).sum(),
                left: budgets().map(|budget| budget.left).sum(),
                resets_at: budgets().filter_map(|budget| budget.resets_at).min().map(stamp),
            },
            api: Api {
                requests,
                throttled: budgets().map(|budget| budget.throttled).sum(),
                failed: budgets().map(|budget| budget.failed).sum(),
                mean_ms: millis.checked_div(requests).unwrap_or(0),
            },
            next_look_at: status.next_look_at.map(stamp),
        }
    }
}

impl From<RecordState> for State {
    fn from(state: RecordState) -> State {
        match state {
            RecordState::Current => State::Current,
            RecordState::Behind => State::Pending,
            RecordState::Blocked => State::Refused,
            RecordState::Unknown => State::Unknown,
        }
    }
}

fn key(family: Family) -> &'static str {
    match family {
        Family::V4 => "ipv4",
        Family::V6 => "ipv6",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    use crate::engine::names::{Key, Moment, Name};
    use crate::engine::settings::AccountName;
    use crate::engine::{AddressStatus, BudgetStatus, RecordStatus};

    fn status() -> engine::Status {
        let at = Moment::from_millis;
        let address = AddressStatus {
            value: [93, 184, 216, 34].into(),
            confirmed_at: at(1_000),
            sources: vec!["ipify".into(), "amazon".into()],
        };
        let record = |name: &str, state, why: Option<&str>| RecordStatus {
            key: Key { name: Name::parse(name).unwrap(), family: Family::V4 },
            state,
            content: Some([93, 184, 216, 34].into()),
            wanted: None,
            since: why.map(|_| at(3_000)),
            why: why.map(str::to_owned),
        };
        let budget = |requests, mean_millis| BudgetStatus {
            limit: 300,
            left: 298,
            resets_at: Some(at(60_000)),
            requests,
            throttled: 1,
            failed: 0,
            mean_millis,
        };
        engine::Status {
            addresses: BTreeMap::from([(Family::V4, Some(address)), (Family::V6, None)]),
            records: vec![
                record("home.example.com", RecordState::Current, None),
                record("nas.example.com", RecordState::Blocked, Some("there is a CNAME")),
            ],
            budgets: BTreeMap::from([
                (AccountName::default(), budget(3, 100)),
                (AccountName("other".into()), budget(1, 20)),
            ]),
            next_look_at: Some(at(301_000)),
            troubles: Vec::new(),
            ill: None,
        }
    }

    fn document() -> Document {
        let clocks = Both::at(SystemTime::UNIX_EPOCH, Moment::from_millis(0));
        Document::of(status(), SystemTime::UNIX_EPOCH, clocks)
    }

    #[test]
    fn the_document_has_the_form_that_scripts_know() {
        let expected = json!({
            "version": env!("CARGO_PKG_VERSION"),
            "since": "1970-01-01T00:00:00Z",
            "addresses": {
                "ipv4": {
                    "value": "93.184.216.34",
                    "confirmed-at": "1970-01-01T00:00:01Z",
                    "sources": ["ipify", "amazon"],
                },
                "ipv6": null,
            },
            "records": [
                {
                    "name": "home.example.com", "type": "A", "state": "current",
                    "content": "93.184.216.34", "since": null, "why": null,
                },
                {
                    "name": "nas.example.com", "type": "A", "state": "refused",
                    "content": "93.184.216.34", "since": "1970-01-01T00:00:03Z", "why": "there is a CNAME",
                },
            ],
            "budget": {"limit": 600, "left": 596, "resets-at": "1970-01-01T00:01:00Z"},
            "api": {"requests": 4, "throttled": 2, "failed": 0, "mean-ms": 80},
            "next-look-at": "1970-01-01T00:05:01Z",
        });
        assert_eq!(serde_json::to_value(document()).unwrap(), expected);
    }

    #[test]
    fn what_is_written_can_be_read() {
        let text = serde_json::to_string(&document()).unwrap();
        assert_eq!(serde_json::from_str::<Document>(&text).unwrap(), document());
    }
}
