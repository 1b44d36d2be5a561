//! What is wrong at the moment, and when it is said: once when it begins, rarely while it lasts, and once
//! when it is resolved.
//!
//! Deliberately unknown: how anything is worded.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use super::names::{Key, Line, Moment, Name, ZoneId};
use super::notice::{Notice, Problem};
use super::settings::AccountName;

/// The first reminder of something that still is wrong comes after this time, the later ones daily.
const FIRST_REMINDER: Duration = Duration::from_secs(6 * 3600);
const LATER_REMINDERS: Duration = Duration::from_secs(24 * 3600);
/// Kinds of one problem that are remembered as said.
const MOST_KINDS: usize = 8;

/// What a problem is about: there is one of each at a time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum AlertKey {
    /// Learning an address.
    Address(Line),
    /// A line that goes back and forth.
    Flaps(Line),
    /// A tunnel on the way to the sources.
    Tunnel(Line),
    Record(Key),
    /// Finding the zone of a name.
    Place(AccountName, Name),
    /// A zone's own state.
    Zone(AccountName, ZoneId),
    /// What a zone refuses.
    Permission(AccountName, ZoneId),
    /// Reading a zone's records.
    Listing(AccountName, ZoneId),
    /// Somebody else who writes a record, too.
    Fight(Key),
    Credential(AccountName),
    /// Reaching the API.
    Api(AccountName),
    /// Being refused the list of zones, by an API that answers all else.
    Search(AccountName),
    Throttled(AccountName),
    /// A wait that Cloudflare asked for: with a zone, or with the list of zones (`None`).
    Wait(AccountName, Option<ZoneId>),
    Budget(AccountName),
    Deletes,
}

/// What is to be said, and what is wrong at the moment.
#[derive(Clone, Debug, Default)]
pub struct Alerts {
    queue: Vec<Notice>,
    wrong: BTreeMap<AlertKey, Active>,
    /// Problems that come and go; what lasts for [`Recurrence::FIRST_SILENCE`] is said all the same.
    recurring: BTreeMap<AlertKey, Recurrence>,
    /// The same for each source that the others deny.
    dissents: BTreeMap<Box<str>, Recurrence>,
}

#[derive(Clone, Debug)]
struct Active {
    problem: Problem,
    /// One problem of each kind: a kind that comes back is no news.
    said: Vec<Problem>,
    since: Moment,
    remind_at: Moment,
    /// Whether its beginning was said.
    told: bool,
    tries: u32,
}

impl Alerts {
    pub fn say(&mut self, notice: Notice) {
        self.queue.push(notice);
    }

    /// Sets the alert, and says so if it is new or of a kind that was not said yet, else rarely.
    pub fn raise(&mut self, key: AlertKey, problem: Problem, now: Moment) {
        let Some(active) = self.wrong.get_mut(&key) else {
            self.begin(key, problem, now);
            return;
        };
        active.problem = problem.clone();
        active.tries = active.tries.saturating_add(1);
        let known = active.said.iter().any(|said| said.is_like(&problem));
        if !known {
            if active.said.len() == MOST_KINDS {
                active.said.remove(0);
            }
            active.said.push(problem.clone());
        }
        if !known && active.told {
            active.remind_at = now + FIRST_REMINDER;
            self.queue.push(Notice::Problem(problem));
        } else if active.remind_at <= now {
            active.remind_at = now + if active.told { LATER_REMINDERS } else { FIRST_REMINDER };
            active.told = true;
            self.queue.push(Notice::StillWrong(problem, now.since(active.since)));
        }
    }

    fn begin(&mut self, key: AlertKey, problem: Problem, now: Moment) {
        let times = match key {
            AlertKey::Record(_) | AlertKey::Place(..) | AlertKey::Fight(_) | AlertKey::Deletes => Some(1),
            _ => self.recurring.entry(key.clone()).or_default().count(now),
        };
        match times {
            Some(1) => self.queue.push(Notice::Problem(problem.clone())),
            Some(times) => self.queue.push(Notice::Again(problem.clone(), times)),
            None => {}
        }
        let told = times.is_some();
        let remind_at = now + if told { FIRST_REMINDER } else { Recurrence::FIRST_SILENCE };
        let said = vec![problem.clone()];
        self.wrong.insert(key, Active { problem, said, since: now, remind_at, told, tries: 1 });
    }

    /// Clears the alert and says so if its beginning was said.
    pub fn clear(&mut self, key: &AlertKey, now: Moment) {
        if let Some(active) = self.wrong.remove(key).filter(|active| active.told) {
            self.queue.push(Notice::Well(active.problem, now.since(active.since)));
        }
    }

    /// A source says one thing, the others another.
    pub fn tell_dissent(&mut self, source: &str, (says, others): (IpAddr, IpAddr), now: Moment) {
        if let Some(times) = self.dissents.entry(source.into()).or_default().count(now) {
            self.queue.push(Notice::Dissent { source: source.into(), says, others, times });
        }
    }

    /// Drops the alerts that are not to be kept, without a word.
    pub fn forget(&mut self, keep: impl Fn(&AlertKey) -> bool) {
        self.wrong.retain(|key, _| keep(key));
    }

    /// Drops the obstacles of these records, which are gone although the records are not yet as wanted.
    pub fn forget_obstacles(&mut self, gone: impl Fn(&Key) -> bool) {
        self.wrong.retain(|_, active| !matches!(&active.problem, Problem::Obstacle(key, _) if gone(key)));
    }

    /// What is wrong with this, if anything.
    pub fn wrong(&self, key: &AlertKey) -> Option<&Problem> {
        self.wrong.get(key).map(|active| &active.problem)
    }

    /// The waits of an account.
    pub fn waits_of(&self, name: &AccountName) -> Vec<AlertKey> {
        let of_it = |key: &&AlertKey| matches!(key, AlertKey::Wait(account, _) if account == name);
        self.wrong.keys().filter(of_it).cloned().collect()
    }

    /// Everything that is wrong: what it is about, what it is, since when, and how often it was tried.
    pub fn all(&self) -> impl Iterator<Item = (&AlertKey, &Problem, Moment, u32)> {
        self.wrong.iter().map(|(key, it)| (key, &it.problem, it.since, it.tries))
    }

    /// Everything that has been said since the last call.
    pub fn take(&mut self) -> Vec<Notice> {
        std::mem::take(&mut self.queue)
    }
}

/// Something that happens again and again: said twice, and then at growing intervals with how often it was.
#[derive(Clone, Debug, Default)]
struct Recurrence {
    /// How often it was said since it last was calm.
    said: u32,
    /// How often it happened since it was last said.
    unsaid: u32,
    last: Option<Moment>,
    quiet_until: Option<Moment>,
}

impl Recurrence {
    const FLAP_MEMORY: Duration = Duration::from_secs(3600);
    const IN_FULL: u32 = 2;
    /// Each later silence is twice as long as the one before it.
    const FIRST_SILENCE: Duration = Duration::from_secs(600);
    const LONGEST_SILENCE: Duration = Duration::from_secs(86_400);

    /// Counts once more. `Some`: it is to be said, with how often it was.
    fn count(&mut self, now: Moment) -> Option<u32> {
        if self.last.is_none_or(|last| now.since(last) >= Recurrence::FLAP_MEMORY) {
            *self = Recurrence::default();
        }
        self.last = Some(now);
        self.unsaid = self.unsaid.saturating_add(1);
        if self.quiet_until.is_some_and(|until| until > now) {
            return None;
        }
        self.said = self.said.saturating_add(1);
        self.quiet_until = self.said.checked_sub(Recurrence::IN_FULL).map(|silences| {
            let longer = 1_u32.checked_shl(silences).unwrap_or(u32::MAX);
            now + Recurrence::FIRST_SILENCE.saturating_mul(longer).min(Recurrence::LONGEST_SILENCE)
        });
        Some(std::mem::take(&mut self.unsaid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_recurs_is_said_twice_and_then_at_growing_intervals_with_how_often_it_was() {
        let mut recurrence = Recurrence::default();
        let at = |minutes: i64| Moment::from_millis(minutes * 60_000);
        let said: Vec<(i64, u32)> =
            (0..1000).filter_map(|times| Some((times * 5, recurrence.count(at(times * 5))?))).collect();
        let minutes: Vec<i64> = said.iter().map(|(minute, _)| *minute).collect();
        assert_eq!(minutes, [0, 5, 15, 35, 75, 155, 315, 635, 1275, 2555, 3995]);
        assert_eq!(said[8], (1275, 128), "how often since it was last said");
        assert_eq!(recurrence.count(at(999 * 5 + 60)), Some(1), "after an hour of calm it is new");
    }

    #[test]
    fn what_stays_wrong_is_said_once_and_then_rarely() {
        let mut alerts = Alerts::default();
        let wrong = || Problem::TooManyDeletes { wanted: 9, most: 5 };
        let mut said = 0;
        for hour in 0..(24 * 7) {
            let now = Moment::from_millis(hour * 3_600_000);
            alerts.raise(AlertKey::Deletes, wrong(), now);
            said += alerts.take().len();
        }
        assert_eq!(said, 8, "once, after six hours, and daily");
        alerts.clear(&AlertKey::Deletes, Moment::from_millis(24 * 7 * 3_600_000));
        let text: Vec<String> = alerts.take().iter().map(ToString::to_string).collect();
        assert_eq!(text, ["resolved after 7 d: the number of deletions is within max-deletes"]);
        alerts.clear(&AlertKey::Deletes, Moment::from_millis(0));
        assert!(alerts.take().is_empty());
    }
}
