//! What systemd is told: ready, reloading, stopping, one line of status, and that the loop still turns.
//!
//! Without `$NOTIFY_SOCKET` all of it is silence, and a socket that is gone never disturbs the loop.
//! Deliberately unknown: why the daemon does what it tells.

use std::time::Duration;

use sd_notify::NotifyState;

use crate::daemon::clock::Both;
use crate::engine::names::Moment;
use crate::engine::{RecordState, Status};

/// The line to the supervisor.
#[derive(Debug)]
pub struct Supervisor {
    there: bool,
    /// Half of the watchdog's limit, if there is a watchdog and it watches this process.
    beat: Option<Duration>,
    next_beat: Option<Moment>,
    status: String,
}

impl Supervisor {
    /// Reads what the manager wants from the environment.
    #[must_use]
    pub fn from_environment(now: Moment) -> Supervisor {
        // Below 20 ms the limit is a mistake, and beating it would be a busy loop.
        let beat = sd_notify::watchdog_enabled()
            .map(|limit| limit / 2)
            .filter(|beat| *beat >= Duration::from_millis(10));
        Supervisor {
            there: std::env::var_os("NOTIFY_SOCKET").is_some(),
            beat,
            next_beat: beat.map(|_| now),
            status: String::new(),
        }
    }

    /// The loop runs: start-up, or a reload, is over.
    pub fn ready(&self) {
        tell(&[NotifyState::Ready]);
    }

    /// A reload begins; [`Supervisor::ready`] ends it.
    pub fn reloading(&self) {
        // systemd 253 and later time out a reload that does not say when it began.
        match NotifyState::monotonic_usec_now() {
            Ok(began) => tell(&[NotifyState::Reloading, began]),
            Err(_) => tell(&[NotifyState::Reloading]),
        }
    }

    /// The daemon is about to end.
    pub fn stopping(&self) {
        tell(&[NotifyState::Stopping]);
    }

    /// Whether anybody listens.
    #[must_use]
    pub fn is_there(&self) -> bool {
        self.there
    }

    /// The one line that `systemctl status` shows. Told only when it differs from the last.
    pub fn status(&mut self, line: &str) {
        if line != self.status {
            line.clone_into(&mut self.status);
            tell(&[NotifyState::Status(line)]);
        }
    }

    /// Tells the watchdog that the loop turns, if it is time.
    pub fn beat(&mut self, now: Moment) {
        if self.next_beat.is_some_and(|due| due <= now) {
            tell(&[NotifyState::Watchdog]);
            self.next_beat = self.beat.map(|beat| now + beat);
        }
    }

    /// When [`Supervisor::beat`] is due next; `None` without a watchdog.
    #[must_use]
    pub fn beat_at(&self) -> Option<Moment> {
        self.next_beat
    }
}

/// Best effort: the manager may be gone, and the daemon's work does not depend on it.
fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!("the supervisor cannot be told: {error}");
    }
}

/// What is published, how it is, and what comes next, in one line.
#[must_use]
pub fn line(status: &Status, clocks: Both) -> String {
    let mut parts: Vec<String> = Vec::new();
    for (family, address) in &status.addresses {
        parts.push(match address {
            Some(address) => format!("{family} {}", address.value),
            None => format!("{family} unknown"),
        });
    }
    let states = [
        (RecordState::Current, "current"),
        (RecordState::Pending, "pending"),
        (RecordState::Refused, "refused"),
        (RecordState::Unknown, "not yet known"),
    ];
    let counts: Vec<String> = states
        .into_iter()
        .map(|(state, word)| {
            let number = status.records.iter().filter(|r| r.state == state).count();
            (number, word)
        })
        .filter(|(number, _)| *number > 0)
        .map(|(number, word)| format!("{number} {word}"))
        .collect();
    parts.push(format!("records: {}", counts.join(", ")));
    if let Some(next) = status.next_look_at {
        let wall = humantime::format_rfc3339_seconds(clocks.to_wall(next));
        parts.push(format!("next look at {wall}"));
    }
    parts.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use std::time::SystemTime;

    use crate::engine::names::{Family, Key, Name};
    use crate::engine::{AddressStatus, RecordStatus};

    #[test]
    fn the_status_line_says_what_is_and_what_comes() {
        let record = |state| RecordStatus {
            key: Key { name: Name::parse("home.example.com").unwrap(), family: Family::V4 },
            state,
            content: None,
            since: None,
            why: None,
        };
        let address = AddressStatus {
            value: [203, 0, 113, 7].into(),
            confirmed_at: Moment::from_millis(0),
            sources: Vec::new(),
        };
        let status = Status {
            addresses: BTreeMap::from([(Family::V4, Some(address)), (Family::V6, None)]),
            records: vec![
                record(RecordState::Refused),
                record(RecordState::Current),
                record(RecordState::Current),
            ],
            budgets: BTreeMap::new(),
            next_look_at: Some(Moment::from_millis(60_000)),
        };
        let clocks = Both::at(SystemTime::UNIX_EPOCH, Moment::from_millis(0));
        assert_eq!(
            line(&status, clocks),
            "IPv4 203.0.113.7; IPv6 unknown; records: 2 current, 1 refused; next look at 1970-01-01T00:01:00Z"
        );
    }
}
