//! A zone: what it says of itself, the records that it holds, and how a write is undone.
//!
//! Deliberately unknown: tokens, requests, which records are acceptable.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::http::Stamp;
use super::names::to_ascii;
use super::plan::Plan;
use super::records::Record;

/// A zone to be.
#[derive(Clone, Debug, Deserialize)]
#[serde(default)]
pub struct NewZone {
    /// Its name, in Unicode or punycode.
    pub name: String,
    /// 32 hexadecimal digits; `None`: made up.
    pub id: Option<String>,
    /// `active`, `pending`, `moved`, `initializing`.
    pub status: String,
    /// `full`, `partial`, `secondary`, `internal`.
    #[serde(rename = "type")]
    pub kind: String,
    /// What its owner pays for.
    pub plan: Plan,
    /// The name of the account that it belongs to; an account is made up for each new name.
    pub account: String,
}

impl Default for NewZone {
    /// An active, full zone on the free plan; it has no name yet.
    fn default() -> NewZone {
        NewZone {
            name: String::new(),
            id: None,
            status: "active".to_owned(),
            kind: "full".to_owned(),
            plan: Plan::Free,
            account: "Example Account".to_owned(),
        }
    }
}

impl NewZone {
    /// An active, full zone on the free plan.
    pub fn named(name: &str) -> NewZone {
        NewZone { name: name.to_owned(), ..NewZone::default() }
    }
}

/// An account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Account {
    /// 32 hexadecimal digits.
    pub id: String,
    /// Its name.
    pub name: String,
}

/// A zone.
#[derive(Clone, Debug)]
pub struct Zone {
    /// 32 hexadecimal digits.
    pub id: String,
    /// Punycode, lower case.
    pub name: String,
    /// `active`, `pending`, `moved`, `initializing`.
    pub status: String,
    /// `full`, `partial`, `secondary`, `internal`.
    pub kind: String,
    /// What its owner pays for.
    pub plan: Plan,
    /// How many records it may hold.
    pub quota: usize,
    /// The account that it belongs to.
    pub account: Account,
    created: Stamp,
    records: BTreeMap<String, Record>,
    /// Former values of what the running transaction wrote.
    journal: Vec<(String, Option<Record>)>,
    /// What the records were until each of the recent writes; only kept while lists may be stale.
    history: VecDeque<(Duration, BTreeMap<String, Record>)>,
}

impl Zone {
    pub(super) fn new(new: NewZone, id: String, account: Account, created: Stamp) -> Zone {
        Zone {
            id,
            name: to_ascii(&new.name).unwrap_or(new.name),
            status: new.status,
            kind: new.kind,
            plan: new.plan,
            quota: new.plan.most_records(),
            account,
            created,
            records: BTreeMap::new(),
            journal: Vec::new(),
            history: VecDeque::new(),
        }
    }

    /// The name in Unicode, as the API says it.
    pub fn shown_name(&self) -> String {
        idna::domain_to_unicode(&self.name).0
    }

    /// The records by their identifiers.
    pub fn records(&self) -> &BTreeMap<String, Record> {
        &self.records
    }

    /// The records as they were `age` before `now`, as far as the history goes.
    pub(super) fn records_before(&self, now: Duration, age: Duration) -> &BTreeMap<String, Record> {
        let then = now.saturating_sub(age);
        self.history
            .iter()
            .find(|(until, _)| !age.is_zero() && *until > then)
            .map_or(&self.records, |(_, records)| records)
    }

    /// Keeps what the records are now for lists that are up to `age` old.
    pub(super) fn keep_history(&mut self, now: Duration, age: Duration) {
        while self.history.front().is_some_and(|(until, _)| until.saturating_add(age) <= now) {
            self.history.pop_front();
        }
        if !age.is_zero() {
            self.history.push_back((now, self.records.clone()));
        }
    }

    pub(super) fn put(&mut self, record: Record) {
        let id = record.id.clone();
        let before = self.records.insert(id.clone(), record);
        self.journal.push((id, before));
    }

    pub(super) fn take(&mut self, id: &str) -> Option<Record> {
        let record = self.records.remove(id)?;
        self.journal.push((id.to_owned(), Some(record.clone())));
        Some(record)
    }

    /// Makes everything since the last commit final.
    pub(super) fn commit(&mut self) {
        self.journal.clear();
    }

    /// Undoes everything since the last commit.
    pub(super) fn roll_back(&mut self) {
        for (id, before) in std::mem::take(&mut self.journal).into_iter().rev() {
            match before {
                Some(record) => self.records.insert(id, record),
                None => self.records.remove(&id),
            };
        }
    }

    /// The object of the API; `permissions` is what the caller may do.
    pub(super) fn to_json(&self, permissions: &[&str]) -> Value {
        json!({
            "id": self.id,
            "name": self.shown_name(),
            "status": self.status,
            "paused": false,
            "type": self.kind,
            "development_mode": 0,
            "name_servers": ["bob.ns.cloudflare.com", "lola.ns.cloudflare.com"],
            "original_name_servers": null,
            "original_registrar": null,
            "original_dnshost": null,
            "created_on": self.created,
            "modified_on": self.created,
            "activated_on": (self.status == "active").then_some(self.created),
            "vanity_name_servers": [],
            "vanity_name_servers_ips": null,
            "meta": {
                "step": 2,
                "custom_certificate_quota": 0,
                "page_rule_quota": 3,
                "phishing_detected": false,
            },
            "owner": {"id": null, "type": "user", "email": null},
            "account": self.account,
            "tenant": {},
            "tenant_unit": {},
            "permissions": permissions,
            "plan": {
                "id": "0feeeeeeeeeeeeeeeeeeeeeeeeeeeeee",
                "name": "Website",
                "price": 0,
                "currency": "USD",
                "frequency": "",
                "is_subscribed": false,
                "can_subscribe": false,
                "legacy_id": self.plan,
                "legacy_discount": false,
                "externally_managed": false,
            },
        })
    }
}
