//! What is said to be wrong with a zone's records, the budget and the waits that Cloudflare asked for.
//!
//! Deliberately unknown: the words, and what an answer means.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::engine::account::{Account, Due};
use crate::engine::alerts::{AlertKey, Alerts};
use crate::engine::credential::Credential;
use crate::engine::diff::Step;
use crate::engine::names::{Key, Moment};
use crate::engine::notice::Problem;
use crate::engine::settings::{AccountName, OnExit};
use crate::engine::zone::Zone;

/// Shorter waits for the budget are not said.
const LONG_WAIT: Duration = Duration::from_secs(10);

/// Says what is as it should be, and what is in the way.
pub(super) fn tell_difference(alerts: &mut Alerts, zone: &Zone, stopping: Option<OnExit>, now: Moment) {
    let difference = zone.difference();
    // At the end our records are gone, and so are those of a name that has moved to another zone, which is
    // not how they should be.
    let kept = |key: &&Key| stopping.is_none() && zone.keys().contains(*key);
    for key in difference.current.iter().filter(kept) {
        alerts.clear(&AlertKey::Record(key.clone()), now);
    }
    // What is to be done for each, and whether that is nothing but deletes.
    let mut deletes: BTreeMap<&Key, bool> = BTreeMap::new();
    for operation in difference.operations.iter().filter(|it| zone.keys().contains(&it.key)) {
        *deletes.entry(&operation.key).or_insert(true) &= matches!(operation.step, Step::Delete(_));
    }
    // What only waits for deletes to be allowed has nothing refused any more.
    let waits = deletes.iter().filter(|(key, deletes)| **deletes && !zone.parked().contains_key(**key));
    for (key, _) in waits {
        let topic = AlertKey::Record((*key).clone());
        if matches!(alerts.wrong(&topic), Some(Problem::Parked { .. })) {
            alerts.clear(&topic, now);
        }
    }
    alerts.forget_obstacles(|key| deletes.contains_key(key) && !difference.obstacles.contains_key(key));
    for (key, obstacle) in &difference.obstacles {
        let trouble = Problem::Obstacle(key.clone(), obstacle.clone());
        alerts.raise(AlertKey::Record(key.clone()), trouble, now);
    }
}

/// Says that work waits for the budget alone, and when it no longer does.
pub(super) fn tell_budget(
    alerts: &mut Alerts,
    name: &AccountName,
    account: &Account,
    due: Option<&Due>,
    now: Moment,
) {
    let topic = AlertKey::Budget(name.clone());
    match due {
        Some(due) if due.wanted_at <= now && due.at > now => {
            let wait = now.until(due.at);
            if wait >= LONG_WAIT || alerts.wrong(&topic).is_some() {
                alerts.raise(topic, Problem::Spent(name.clone(), account.limit(), wait), now);
            }
        }
        Some(due) if due.at <= now => {}
        None if account.is_busy() => {}
        Some(_) | None => alerts.clear(&topic, now),
    }
}

/// Says what waits because Cloudflare asked for it, where that was not said: before a restart, or under
/// another name of the account.
pub(super) fn tell_waits(
    alerts: &mut Alerts,
    (name, account, credential): (&AccountName, &Account, &Credential),
    due: Option<&Due>,
    now: Moment,
) {
    let throttled = AlertKey::Throttled(name.clone());
    let silence =
        credential.limiter.held_until(now).filter(|until| due.is_some_and(|due| due.wanted_at == *until));
    if let Some(until) = silence.filter(|_| alerts.wrong(&throttled).is_none()) {
        alerts.raise(throttled, Problem::Throttled(name.clone(), now.until(until)), now);
    }
    for topic in alerts.waits_of(name) {
        let over = matches!(&topic, AlertKey::Wait(_, held) if credential.held_until(held, now).is_none());
        if over {
            alerts.clear(&topic, now);
        }
    }
    let Some((due, until)) = due.and_then(|due| Some((due, due.held_until?))) else { return };
    let topic = AlertKey::Wait(name.clone(), due.zone().cloned());
    if alerts.wrong(&topic).is_none() && alerts.wrong(&AlertKey::Api(name.clone())).is_none() {
        let zone = due.zone().map(|id| {
            let zone = account.zones().find(|zone| zone.id() == id);
            zone.map_or_else(|| id.as_str().into(), Zone::label)
        });
        alerts.raise(topic, Problem::Waits(name.clone(), zone, now.until(until)), now);
    }
}
