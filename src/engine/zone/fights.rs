//! Records that somebody else keeps writing, too: found out by refreshes, and written ever more slowly.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::engine::cache::{Happened, Surprise, ZoneCache};
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
struct Fight {
    found: Vec<Moment>,
    pause: Backoff,
    /// Until when `ours` is not written once more; another content is.
    until: Option<Moment>,
    ours: Content,
}

/// The records of a zone that somebody else writes, too.
#[derive(Clone, Debug, Default)]
pub(super) struct Fights(BTreeMap<Key, Fight>);

impl Fights {
    /// Until when a record is left alone because somebody else writes it, too.
    pub fn until(&self, key: &Key, now: Moment) -> Option<Moment> {
        self.0.get(key)?.until.filter(|until| *until > now)
    }

    /// When the next one that is left alone is written again.
    pub fn next(&self, now: Moment) -> Option<Moment> {
        self.0.values().filter_map(|fight| fight.until).filter(|until| *until > now).min()
    }

    /// Whether somebody else has written a record often enough of late.
    pub fn is_on(&self, key: &Key) -> bool {
        self.0.get(key).is_some_and(|fight| fight.until.is_some())
    }

    /// Whether somebody else has written this record often enough, and we would write the same once more.
    pub fn pauses(&self, operation: &Operation, now: Moment) -> bool {
        let Some(fight) = self.0.get(&operation.key) else { return false };
        fight.until.is_some_and(|until| until > now) && operation.step.content() == Some(&fight.ours)
    }

    pub fn keep(&mut self, is_kept: impl Fn(&Key) -> bool) {
        self.0.retain(|key, _| is_kept(key));
    }

    /// What we wrote last is what somebody else has to write over: an address from before is a new one.
    pub fn note_written(&mut self, sent: &[Operation]) {
        for operation in sent {
            if let (Some(fight), Some(content)) = (self.0.get_mut(&operation.key), operation.step.content()) {
                fight.ours = content.clone();
            }
        }
    }

    /// Counts a refresh that finds records of ours changed; `before` has them as we left them.
    pub fn note(&mut self, surprises: &[Surprise], before: &ZoneCache, now: Moment) {
        let changed = |surprise: &&Surprise| matches!(surprise.what, Happened::Readdressed | Happened::Gone);
        for surprise in surprises.iter().filter(changed) {
            let mut ours = before.records.values().filter(|record| before.ours.contains_key(&record.id));
            let Some(ours) = ours.find(|record| record.key() == surprise.key) else { continue };
            let fight = self.0.entry(surprise.key.clone()).or_insert_with(|| Fight {
                found: Vec::new(),
                pause: Backoff::between(FIGHT_PAUSE.0, FIGHT_PAUSE.1),
                until: None,
                ours: ours.content.clone(),
            });
            fight.found.push(now);
            fight.ours = ours.content.clone();
            if fight.found.len() >= FIGHT || fight.until.is_some() {
                fight.pause.count();
                let doubled = 1_u32.checked_shl(fight.pause.failures() - 1).unwrap_or(u32::MAX);
                fight.until = Some(now + FIGHT_PAUSE.0.saturating_mul(doubled).min(FIGHT_PAUSE.1));
            }
        }
    }

    /// Forgets what has been calm for a day.
    pub fn forget(&mut self, now: Moment) {
        for fight in self.0.values_mut() {
            fight.found.retain(|at| now.since(*at) < FIGHT_MEMORY);
        }
        let recent = |fight: &Fight| fight.until.is_some_and(|until| now.since(until) < FIGHT_MEMORY);
        self.0.retain(|_, fight| !fight.found.is_empty() || recent(fight));
    }
}
