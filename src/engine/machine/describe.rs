//! What the engine can say of itself: a plan, a status, a verdict.
//!
//! Nothing here changes anything; the words for it are chosen by those who show it.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Engine, Mode};
use crate::engine::account::Account;
use crate::engine::alerts::AlertKey;
use crate::engine::api::Batch;
use crate::engine::desire::line_of;
use crate::engine::diff::Goal;
use crate::engine::names::{Content, Key, Moment, Name, ZoneId};
use crate::engine::settings::AccountName;
use crate::engine::view::{
    AddressStatus, BlockedRecord, Change, Plan, ProblemStatus, RecordState, RecordStatus, Status, Verdict,
};
use crate::engine::watch::Watch;
use crate::engine::zone::Zone;

/// The time that a record may be behind or unknown before the status says that the daemon is ill.
const ILL_AFTER: Duration = Duration::from_secs(600);

impl Engine {
    /// What would be sent now, and what is in the way.
    pub fn plan(&self) -> Plan {
        let mut plan = Plan::default();
        for account in self.accounts.values() {
            for zone in account.zones().filter(|zone| zone.is_believed()) {
                let operations = &zone.difference().operations;
                plan.changes.extend(operations.iter().map(|operation| Change::of(zone.label(), operation)));
                plan.leftovers.extend(zone.leftovers().iter().map(|record| (zone.label(), record.clone())));
                if !operations.is_empty() {
                    // The list that the writes rest on, and one more for what is deleted.
                    let lists = 1 + usize::from(zone.difference().deletes() > 0);
                    plan.requests += lists + operations.len().div_ceil(Batch::MOST_OPERATIONS);
                }
            }
        }
        plan.changes
            .sort_by(|one, two| (&one.zone, &one.key, one.action).cmp(&(&two.zone, &two.key, two.action)));
        for (key, (state, why)) in self.states() {
            match state {
                RecordState::Current => plan.unchanged += 1,
                RecordState::Behind => {}
                RecordState::Unknown if self.is_without(line_of(&key)) => {}
                RecordState::Blocked | RecordState::Unknown => {
                    plan.blocked.push(BlockedRecord { key, why: why.unwrap_or_default() });
                }
            }
        }
        plan
    }

    /// How the pass ended, for the exit code.
    pub fn verdict(&self) -> Verdict {
        let refused = |account: &Account| {
            account.is_refused()
                || account.zones().any(|zone| zone.refused().is_some_and(|failure| failure.answered))
        };
        if self.accounts.values().any(refused) {
            return Verdict::Refused;
        }
        let counted = self.states().into_iter().filter(|(key, _)| !self.is_without(line_of(key)));
        let counted: Vec<RecordState> = counted.map(|(_, (state, _))| state).collect();
        let good = |state: &RecordState| match state {
            RecordState::Current => true,
            RecordState::Behind => self.start.mode == Mode::Plan,
            RecordState::Blocked | RecordState::Unknown => false,
        };
        if counted.iter().all(good) {
            Verdict::Done
        } else if counted.iter().any(good) || counted.contains(&RecordState::Blocked) {
            Verdict::Partly
        } else {
            Verdict::Nothing
        }
    }

    /// How each name and type is, and why it is not current.
    pub(super) fn states(&self) -> BTreeMap<Key, (RecordState, Option<String>)> {
        let told = |(key, goal): (&Key, Goal)| {
            let Some(account) = self.accounts.get(&self.account_of(key)) else {
                return (key.clone(), (RecordState::Unknown, None));
            };
            let state = self.state_of(key, &goal, account);
            (key.clone(), (state, self.why(key, account, state)))
        };
        self.desired().into_iter().map(told).collect()
    }

    fn account_of(&self, key: &Key) -> AccountName {
        self.settings.records.get(key).map(|wanted| wanted.account.clone()).unwrap_or_default()
    }

    fn zone_of(&self, key: &Key) -> Option<&Zone> {
        self.accounts.get(&self.account_of(key))?.zone_of(&key.name)
    }

    fn state_of(&self, key: &Key, goal: &Goal, account: &Account) -> RecordState {
        if self.alerts.wrong(&AlertKey::Place(self.account_of(key), key.name.clone())).is_some() {
            return RecordState::Blocked;
        }
        let Some(zone) = account.zone_of(&key.name).filter(|zone| zone.is_believed()) else {
            return RecordState::Unknown;
        };
        let difference = zone.difference();
        let shown = if zone.parked().contains_key(key) {
            return RecordState::Blocked;
        } else if *goal == Goal::Leave {
            return RecordState::Unknown;
        } else if difference.obstacles.contains_key(key) {
            RecordState::Blocked
        } else if difference.current.contains(key) {
            RecordState::Current
        } else {
            return RecordState::Behind;
        };
        // What can no longer be read is not known to be as it was.
        let unread = account.is_refused() || zone.refused().is_some();
        if unread { RecordState::Unknown } else { shown }
    }

    /// Why a record is not current; of one that is, what is odd about it.
    fn why(&self, key: &Key, account: &Account, state: RecordState) -> Option<String> {
        let name = self.account_of(key);
        let wrong = |alert: AlertKey| self.alerts.wrong(&alert).map(ToString::to_string);
        let zone = account.zone_of(&key.name);
        let api = || {
            let zone = zone.map(|zone| zone.id().clone());
            let of_zone = zone.into_iter().flat_map(|id| {
                [
                    AlertKey::Permission(name.clone(), id.clone()),
                    AlertKey::Listing(name.clone(), id.clone()),
                    AlertKey::Wait(name.clone(), Some(id)),
                ]
            });
            let of_all = [
                AlertKey::Credential(name.clone()),
                AlertKey::Throttled(name.clone()),
                AlertKey::Budget(name.clone()),
                AlertKey::Wait(name.clone(), None),
                AlertKey::Api(name.clone()),
                AlertKey::Search(name.clone()),
            ];
            of_zone.chain(of_all).find_map(wrong)
        };
        match (state, zone) {
            (RecordState::Current, Some(zone)) if zone.difference().held_by_others.contains(key) => {
                Some("a record that is not ours has this address already".to_owned())
            }
            (RecordState::Current, _) => None,
            (RecordState::Blocked, Some(zone)) => {
                let difference = zone.difference();
                let obstacle = difference.obstacles.get(key).map(ToString::to_string);
                obstacle.or_else(|| zone.parked().get(key).map(|parked| parked.told(key)))
            }
            (RecordState::Blocked, None) => wrong(AlertKey::Place(name.clone(), key.name.clone())),
            (RecordState::Behind, _) => {
                wrong(AlertKey::Fight(key.clone())).or_else(|| wrong(AlertKey::Deletes)).or_else(api)
            }
            (RecordState::Unknown, None) => api().or_else(|| Some("its zone is not known yet".to_owned())),
            (RecordState::Unknown, Some(zone)) if !zone.is_believed() => {
                api().or_else(|| Some("its zone has not been listed yet".to_owned()))
            }
            (RecordState::Unknown, Some(zone)) if account.is_refused() || zone.refused().is_some() => api(),
            (RecordState::Unknown, Some(_)) => Some(self.why_unknown(line_of(key))),
        }
    }

    /// Notes since when each record is as it is.
    pub(super) fn observe(&mut self, now: Moment) {
        let before = std::mem::take(&mut self.since);
        let since = |(key, goal): (&Key, Goal)| {
            let state = self.state_of(key, &goal, self.accounts.get(&self.account_of(key))?);
            let same = before.get(key).filter(|(same, _)| *same == state);
            Some((key.clone(), (state, same.map_or(now, |(_, since)| *since))))
        };
        self.since = self.desired().into_iter().filter_map(since).collect();
    }

    /// Why a record has been behind or unknown for so long that somebody should look: an outage of
    /// Cloudflare alone is no reason.
    fn ill(&self, now: Moment) -> Option<String> {
        self.since.iter().find_map(|(key, (state, since))| {
            let lacks = match state {
                RecordState::Current | RecordState::Blocked => false,
                RecordState::Behind => true,
                RecordState::Unknown => !self.is_without(line_of(key)),
            };
            if !lacks || now.since(*since) < ILL_AFTER {
                return None;
            }
            let name = self.account_of(key);
            let account = self.accounts.get(&name)?;
            let credential = self.credential(&name, account);
            let held = credential.is_some_and(|credential| credential.limiter.held_until(now).is_some());
            let out = account.is_out_since(*since) || held;
            if out && self.alerts.wrong(&AlertKey::Address(line_of(key))).is_none() {
                return None;
            }
            let why = self.why(key, account, *state);
            Some(format!("{key}: {}", why.unwrap_or_else(|| "it is not yet as it should be".to_owned())))
        })
    }

    /// What is wrong, each thing once.
    fn troubles(&self, now: Moment) -> Vec<ProblemStatus> {
        let account = |name: &AccountName| self.accounts.get(name);
        let next = |key: &AlertKey| match key {
            AlertKey::Address(line) | AlertKey::Tunnel(line) => self.watches.get(line)?.wants_at(),
            AlertKey::Flaps(line) => self.watches.get(line)?.hold_until(),
            AlertKey::Credential(name) => account(name)?.waits_until().0,
            AlertKey::Api(name) => account(name)?.waits_until().1,
            AlertKey::Search(name) | AlertKey::Place(name, _) => account(name)?.waits_until().2,
            AlertKey::Wait(name, held) => self.credential(name, account(name)?)?.held_until(held, now),
            AlertKey::Throttled(name) | AlertKey::Budget(name) => {
                self.due(name, account(name)?, now).map(|due| due.at)
            }
            AlertKey::Permission(name, id) | AlertKey::Listing(name, id) | AlertKey::Zone(name, id) => {
                account(name)?.zones().find(|zone| zone.id() == id)?.waits_until()
            }
            AlertKey::Record(key) => self.zone_of(key)?.parked().get(key).map(|parked| parked.due),
            AlertKey::Fight(key) => self.zone_of(key)?.fights_until(key, now),
            AlertKey::Deletes => None,
        };
        let all = self.alerts.all();
        all.map(|(alert, problem, since, tries)| ProblemStatus {
            text: problem.to_string(),
            since,
            tries,
            next_try_at: next(alert).filter(|at| *at > now),
        })
        .collect()
    }

    /// What the engine knows, for `status`.
    pub fn status(&self, now: Moment) -> Status {
        let address = |watch: &Watch| {
            let believed = watch.believed()?;
            let agreeing = believed.said.iter().filter(|(_, says)| **says == believed.address);
            Some(AddressStatus {
                value: believed.address,
                confirmed_at: believed.confirmed_at,
                sources: agreeing.map(|(label, _)| label.clone()).collect(),
            })
        };
        let goals = self.desired();
        let contents = self.contents(&goals);
        let records = self.states().into_iter().map(|(key, (state, why))| RecordStatus {
            content: contents.get(&key).map(|content| (*content).clone()),
            wanted: match goals.get(&key) {
                Some(Goal::At(content)) => Some(content.clone()),
                Some(Goal::Leave | Goal::Gone) | None => None,
            },
            since: self.since.get(&key).map(|(_, since)| *since),
            key,
            state,
            why,
        });
        Status {
            addresses: self.watches.iter().map(|(line, watch)| (*line, address(watch))).collect(),
            records: records.collect(),
            troubles: self.troubles(now),
            ill: self.ill(now),
            budgets: self
                .accounts
                .iter()
                .map(|(name, account)| (name.clone(), account.budget(self.credential(name, account), now)))
                .collect(),
            next_look_at: self.watches.values().filter_map(Watch::wants_at).min(),
        }
    }

    /// What the zone of each name and type holds: what is wanted, if there are several.
    fn contents(&self, goals: &BTreeMap<&Key, Goal>) -> BTreeMap<Key, &Content> {
        let mut contents = BTreeMap::new();
        for (name, account) in &self.accounts {
            for zone in account.zones() {
                let here = |key: &Key| account.zone_of(&key.name).is_some_and(|it| it.id() == zone.id());
                for record in zone.copy().into_iter().flat_map(|copy| copy.records.values()) {
                    let key = record.key();
                    let wanted = goals.get(&key) == Some(&Goal::At(record.content.clone()));
                    if (wanted || !contents.contains_key(&key))
                        && here(&key)
                        && self.account_of(&key) == *name
                    {
                        contents.insert(key, &record.content);
                    }
                }
            }
        }
        contents
    }

    /// The name under which a person knows a zone: for tests and messages of the shell.
    pub fn zones(&self) -> Vec<(AccountName, ZoneId, Option<Name>)> {
        let zones =
            self.accounts.iter().flat_map(|(name, account)| account.zones().map(move |zone| (name, zone)));
        zones.map(|(name, zone)| (name.clone(), zone.id().clone(), zone.name().cloned())).collect()
    }
}
