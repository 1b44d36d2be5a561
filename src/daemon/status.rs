//! What a running daemon says of itself: the document that its socket gives and `stayput status` reads.
//!
//! No secret can pass here, because nothing here knows one. Deliberately unknown: sockets, and how a
//! person is shown it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::engine::names::{Family, Line, Moment};
use crate::engine::settings::AccountName;
use crate::engine::time::ClockPair;
use crate::engine::{AddressStatus, ProblemStatus, RecordStatus, Status, Usage};

/// The number of the form of every JSON document: a change that would break a reader raises it.
pub const FORMAT: u32 = 1;

/// The document. Its form is fixed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Document {
    /// [`FORMAT`].
    pub format: u32,
    pub version: String,
    pub since: Stamp,
    /// By `ipv4` and `ipv6`; `None`: not known, or not asked for.
    pub addresses: BTreeMap<String, Option<Address>>,
    /// What is kept, sorted by name and type.
    pub records: Vec<Record>,
    /// What is wrong, each thing once.
    pub troubles: Vec<Trouble>,
    /// Each credential, sorted by name.
    pub accounts: Vec<Account>,
    /// When a source is asked next.
    pub next_look_at: Option<Stamp>,
    /// The last changes: none are kept yet.
    #[serde(skip_deserializing)]
    pub history: Vec<()>,
}

/// An address that is believed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address {
    pub value: IpAddr,
    /// When a look last ended with it.
    pub confirmed_at: Stamp,
    pub sources: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    pub name: String,
    /// `A` or `AAAA`.
    #[serde(rename = "type")]
    pub kind: String,
    /// `current`, `behind`, `blocked` or `unknown`.
    pub state: String,
    /// What the zone holds, if it is known.
    pub content: Option<String>,
    /// What is wanted there, if it is known.
    pub wanted: Option<String>,
    /// Since when it has been so, if that is known.
    pub since: Option<Stamp>,
    /// Why it is not current, or what is odd about it. A trouble is named here and told in full in
    /// `troubles`.
    pub why: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trouble {
    pub text: String,
    /// Since when.
    pub since: Stamp,
    /// How often it has been tried since then.
    pub tries: u32,
    /// When it is tried next, where that is known.
    pub next_try_at: Option<Stamp>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// NAME of `[cloudflare.NAME]`; `cloudflare` for `[cloudflare]` itself.
    pub name: String,
    /// What is left to be spent.
    pub budget: Budget,
    pub api: Api,
    /// When the token ends: not known yet.
    pub token_expires_at: Option<Stamp>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Budget {
    /// How many there may be.
    pub limit: u32,
    pub left: u32,
    /// When there will be more.
    pub resets_at: Option<Stamp>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Api {
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
    /// What the engine knows. Every instant is dated by the wall clock of now: a clock that was set since
    /// makes no age wrong.
    pub fn of(status: Status, since: Moment, clocks: ClockPair) -> Document {
        let stamp = |moment| Stamp(clocks.to_wall(moment));
        let told = told(&status.troubles);
        let named = |why: String| if told.contains(&*why) { name_of(&why).to_owned() } else { why };
        let address = |address: AddressStatus| Address {
            value: address.value,
            confirmed_at: stamp(address.confirmed_at),
            sources: address.sources.into_iter().map(String::from).collect(),
        };
        let record = |record: RecordStatus| Record {
            name: record.key.name.to_string(),
            kind: record.key.kind.as_str().to_owned(),
            state: record.state.word().to_owned(),
            content: record.content.map(|content| content.to_string()),
            wanted: record.wanted.map(|wanted| wanted.to_string()),
            since: record.since.map(stamp),
            why: record.why.map(named),
        };
        let trouble = |problem: &ProblemStatus| Trouble {
            text: problem.text.clone(),
            since: stamp(problem.since),
            tries: problem.tries,
            next_try_at: problem.next_try_at.map(stamp),
        };
        let account = |(name, spent): (AccountName, Usage)| Account {
            name: name.label().to_owned(),
            budget: Budget { limit: spent.limit, left: spent.left, resets_at: spent.resets_at.map(stamp) },
            api: Api {
                requests: spent.requests,
                throttled: spent.throttled,
                failed: spent.failed,
                mean_ms: spent.mean_millis,
            },
            token_expires_at: None,
        };
        let mut addresses = status.addresses;
        let addresses = Family::ALL.map(|family| {
            let known = addresses.remove(&Line::only(family)).flatten();
            (family.key().to_owned(), known.map(address))
        });
        Document {
            format: FORMAT,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            since: stamp(since),
            addresses: addresses.into(),
            records: status.records.into_iter().map(record).collect(),
            troubles: status.troubles.iter().map(trouble).collect(),
            accounts: status.budgets.into_iter().map(account).collect(),
            next_look_at: status.next_look_at.map(stamp),
            history: Vec::new(),
        }
    }
}

/// Whether all is well, in one line.
pub fn health(status: &Status) -> String {
    match &status.ill {
        None => HEALTHY.to_owned(),
        Some(why) => format!("ill: {}", why.replace('\n', " ")),
    }
}

/// What [`health`] says when all is well.
pub const HEALTHY: &str = "healthy";

/// What the troubles say in full, with and without the record that each begins with.
fn told(troubles: &[ProblemStatus]) -> BTreeSet<&str> {
    let without_record = |text| str::split_once(text, ": ").map(|(_, rest)| rest);
    let texts = troubles.iter().map(|trouble| &*trouble.text);
    texts.flat_map(|text| [Some(text), without_record(text)]).flatten().collect()
}

/// The first words of a trouble: what is wrong, without why and what to do.
fn name_of(text: &str) -> &str {
    let ends = [": ", "; "].iter().filter_map(|sign| text.find(sign)).min();
    &text[..ends.unwrap_or(text.len())]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::RecordState;
    use crate::engine::names::{Content, Key, Name, RecordType};

    fn status() -> Status {
        let at = Moment::from_millis;
        let address = AddressStatus {
            value: [93, 184, 216, 34].into(),
            confirmed_at: at(1_000),
            sources: vec!["ipify".into(), "amazon".into()],
        };
        let record = |name: &str, state, why: Option<&str>| RecordStatus {
            key: Key { name: Name::parse(name).unwrap(), kind: RecordType::A },
            state,
            content: Some(Content::A([93, 184, 216, 34].into())),
            wanted: Some(Content::A([93, 184, 216, 34].into())),
            since: why.map(|_| at(3_000)),
            why: why.map(str::to_owned),
        };
        let budget = |requests, mean_millis| Usage {
            limit: 300,
            left: 298,
            resets_at: Some(at(60_000)),
            requests,
            throttled: 1,
            failed: 0,
            mean_millis,
        };
        Status {
            addresses: BTreeMap::from([
                (Line::only(Family::V4), Some(address)),
                (Line::only(Family::V6), None),
            ]),
            records: vec![
                record("home.example.com", RecordState::Current, None),
                record("nas.example.com", RecordState::Blocked, Some("a CNAME is in the way; delete it")),
            ],
            troubles: vec![ProblemStatus {
                text: "nas.example.com A: a CNAME is in the way; delete it".into(),
                since: at(3_000),
                tries: 2,
                next_try_at: Some(at(4_000)),
            }],
            budgets: BTreeMap::from([
                (AccountName::default(), budget(3, 100)),
                (AccountName("other".into()), budget(0, 0)),
            ]),
            next_look_at: Some(at(301_000)),
            ill: Some("nas.example.com A is blocked:\na CNAME".into()),
        }
    }

    fn document() -> Document {
        let clocks = ClockPair::at(SystemTime::UNIX_EPOCH, Moment::from_millis(0));
        Document::of(status(), Moment::from_millis(0), clocks)
    }

    #[test]
    fn the_document_has_the_form_that_scripts_know() {
        let expected = concat!(
            r#"{"format":1,"version":""#,
            env!("CARGO_PKG_VERSION"),
            r#"","since":"1970-01-01T00:00:00Z","#,
            r#""addresses":{"ipv4":{"value":"93.184.216.34","confirmed_at":"1970-01-01T00:00:01Z","#,
            r#""sources":["ipify","amazon"]},"ipv6":null},"#,
            r#""records":[{"name":"home.example.com","type":"A","state":"current","content":"93.184.216.34","#,
            r#""wanted":"93.184.216.34","since":null,"why":null},"#,
            r#"{"name":"nas.example.com","type":"A","state":"blocked","content":"93.184.216.34","#,
            r#""wanted":"93.184.216.34","since":"1970-01-01T00:00:03Z","why":"a CNAME is in the way"}],"#,
            r#""troubles":[{"text":"nas.example.com A: a CNAME is in the way; delete it","#,
            r#""since":"1970-01-01T00:00:03Z","tries":2,"next_try_at":"1970-01-01T00:00:04Z"}],"#,
            r#""accounts":[{"name":"cloudflare","#,
            r#""budget":{"limit":300,"left":298,"resets_at":"1970-01-01T00:01:00Z"},"#,
            r#""api":{"requests":3,"throttled":1,"failed":0,"mean_ms":100},"token_expires_at":null},"#,
            r#"{"name":"other","budget":{"limit":300,"left":298,"resets_at":"1970-01-01T00:01:00Z"},"#,
            r#""api":{"requests":0,"throttled":1,"failed":0,"mean_ms":0},"token_expires_at":null}],"#,
            r#""next_look_at":"1970-01-01T00:05:01Z","history":[]}"#,
        );
        assert_eq!(serde_json::to_string(&document()).unwrap(), expected);
    }

    #[test]
    fn what_is_written_can_be_read() {
        let text = serde_json::to_string(&document()).unwrap();
        assert_eq!(serde_json::from_str::<Document>(&text).unwrap(), document());
    }

    #[test]
    fn a_clock_that_was_set_makes_no_age_wrong() {
        let day = std::time::Duration::from_secs(86_400);
        let later = SystemTime::UNIX_EPOCH + day * 20_783;
        let minute = Moment::from_millis(60_000);
        let document = Document::of(status(), Moment::from_millis(0), ClockPair::at(later, minute));
        assert_eq!(later.duration_since(document.since.0).unwrap().as_secs(), 60);
    }

    #[test]
    fn health_is_one_line() {
        assert_eq!(health(&status()), "ill: nas.example.com A is blocked: a CNAME");
        assert_eq!(health(&Status { ill: None, ..status() }), HEALTHY);
    }
}
