//! Records that somebody else keeps writing, too: found out by refreshes, and written ever more slowly.

use std::time::Duration;

use super::Zone;
use crate::engine::cache::{Happened, Surprise};
use crate::engine::diff::Operation;
use crate::engine::limiter::Backoff;
use crate::engine::names::{Content, Key, Moment};

/// Refreshes within a day that find the address of one record changed: somebody else writes it, too.
const FIGHT: usize = 3;
const FIGHT_MEMORY: Duration = Duration::from_secs(86_400);
/// How long a record that somebody else writes is left alone.
const FIGHT_PAUSE: (Duration, Duration) = (Duration::from_secs(3600), Duration::from_secs(12 * 3600));

/// Somebody else writes a record of ours, too.
#[derive(Clone, Debug)]
pub(super) struct Fight {
    found: Vec<Moment>,
    pause: Backoff,
    /// Until when `ours` is not written once more; another content is.
    pub(super) until: Option<Moment>,
    ours: Content,
}

impl Zone {
    /// Until when a record is left alone because somebody else writes it, too.
    pub fn fights_until(&self, key: &Key, now: Moment) -> Option<Moment> {
        self.fights.get(key)?.until.filter(|until| *until > now)
    }

    /// Whether somebody else has written a record often enough of late.
    pub fn is_fought_over(&self, key: &Key) -> bool {
        self.fights.get(key).is_some_and(|fight| fight.until.is_some())
    }

    /// Whether somebody else has written this record often enough, and we would write the same once more.
    pub(super) fn is_paused(&self, operation: &Operation, now: Moment) -> bool {
        let Some(fight) = self.fights.get(&operation.key) else { return false };
        fight.until.is_some_and(|until| until > now) && operation.step.content() == Some(&fight.ours)
    }

    /// What we wrote last is what somebody else has to write over: an address from before is a new one.
    pub(super) fn note_written(&mut self, sent: &[Operation]) {
        for operation in sent {
            if let (Some(fight), Some(content)) =
                (self.fights.get_mut(&operation.key), operation.step.content())
            {
                fight.ours = content.clone();
            }
        }
    }

    /// Counts refreshes that find a record of ours changed.
    pub(super) fn note_fights(&mut self, surprises: &[Surprise], refresh: bool, now: Moment) {
        for fight in self.fights.values_mut() {
            fight.found.retain(|at| now.since(*at) < FIGHT_MEMORY);
        }
        let recent = |fight: &Fight| fight.until.is_some_and(|until| now.since(until) < FIGHT_MEMORY);
        self.fights.retain(|_, fight| !fight.found.is_empty() || recent(fight));
        let changed = |surprise: &&Surprise| matches!(surprise.what, Happened::Readdressed | Happened::Gone);
        for surprise in surprises.iter().filter(changed).filter(|_| refresh) {
            let copy = self.copy.as_ref();
            let mut ours = copy
                .iter()
                .flat_map(|copy| copy.records.values().filter(|record| copy.ours.contains_key(&record.id)));
            let Some(ours) =
                ours.find(|record| record.key() == surprise.key).map(|record| record.content.clone())
            else {
                continue;
            };
            let fight = self.fights.entry(surprise.key.clone()).or_insert_with(|| Fight {
                found: Vec::new(),
                pause: Backoff::between(FIGHT_PAUSE.0, FIGHT_PAUSE.1),
                until: None,
                ours: ours.clone(),
            });
            fight.found.push(now);
            fight.ours = ours;
            if fight.found.len() >= FIGHT || fight.until.is_some() {
                fight.pause.count();
                let doubled = 1_u32.checked_shl(fight.pause.failures() - 1).unwrap_or(u32::MAX);
                fight.until = Some(now + FIGHT_PAUSE.0.saturating_mul(doubled).min(FIGHT_PAUSE.1));
            }
        }
    }
}
