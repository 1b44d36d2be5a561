//! What systemd is told: ready, reloading, stopping, one line of status, and that the loop still turns.
//!
//! Without `$NOTIFY_SOCKET` all of it is silence, and a manager that is gone or does not read never holds
//! up the loop: what it does not take now is offered again. Deliberately unknown: why the daemon does
//! what it tells.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use crate::engine::names::Moment;
use crate::engine::time::ClockPair;
use crate::engine::{RecordState, Status};
use crate::secret::redact;

/// How long to wait before what was not taken is offered again.
const PAUSE: Duration = Duration::from_secs(1);
/// How much is kept for a manager that does not read; the oldest goes first.
const MOST_UNTOLD: usize = 8;

/// The line to the supervisor.
#[derive(Debug)]
pub struct Supervisor {
    socket: Option<OsString>,
    /// Half of the watchdog's limit, if there is a watchdog and it watches this process.
    beat: Option<Duration>,
    next_beat: Option<Moment>,
    status: String,
    /// What was not taken yet, and must not be lost.
    untold: VecDeque<String>,
    offer_at: Option<Moment>,
}

impl Supervisor {
    /// Reads what the manager wants from the environment.
    pub fn from_environment(now: Moment) -> Supervisor {
        // Below 20 ms the limit is a mistake, and beating it would be a busy loop.
        let beat = watchdog().map(|limit| limit / 2).filter(|beat| *beat >= Duration::from_millis(10));
        Supervisor::at(std::env::var_os("NOTIFY_SOCKET"), beat, now)
    }

    fn at(socket: Option<OsString>, beat: Option<Duration>, now: Moment) -> Supervisor {
        Supervisor {
            next_beat: beat.filter(|_| socket.is_some()).map(|_| now),
            socket,
            beat,
            status: String::new(),
            untold: VecDeque::new(),
            offer_at: None,
        }
    }

    /// The loop runs: start-up, or a reload, is over.
    pub fn ready(&mut self, now: Moment) {
        self.tell("READY=1\n".to_owned(), now);
    }

    /// A reload begins; [`Supervisor::ready`] ends it.
    pub fn reloading(&mut self, now: Moment) {
        // systemd 253 and later time out a reload that does not say when it began.
        let began = clock_gettime(ClockId::Monotonic);
        let micros = began.tv_sec * 1_000_000 + began.tv_nsec / 1_000;
        self.tell(format!("RELOADING=1\nMONOTONIC_USEC={micros}\n"), now);
    }

    /// The daemon is about to end.
    pub fn stopping(&mut self, now: Moment) {
        self.tell("STOPPING=1\n".to_owned(), now);
    }

    pub fn is_there(&self) -> bool {
        self.socket.is_some()
    }

    /// The one line that `systemctl status` shows. Told only when it differs from the last.
    pub fn status(&mut self, line: &str) {
        if line != self.status && self.offer(&format!("STATUS={line}\n")) {
            line.clone_into(&mut self.status);
        }
    }

    /// Tells the watchdog that the loop turns, if it is time, and what was not taken before.
    pub fn beat(&mut self, now: Moment) {
        if self.next_beat.is_some_and(|due| due <= now) {
            let taken = self.offer("WATCHDOG=1\n");
            let pause = if taken { self.beat } else { self.beat.map(|beat| beat.min(PAUSE)) };
            self.next_beat = pause.map(|pause| now + pause);
        }
        if self.offer_at.is_some_and(|due| due <= now) {
            self.offer_untold(now);
        }
    }

    /// When [`Supervisor::beat`] is due next; `None`: it need not be called.
    pub fn beat_at(&self) -> Option<Moment> {
        self.next_beat.into_iter().chain(self.offer_at).min()
    }

    fn tell(&mut self, text: String, now: Moment) {
        if self.untold.len() == MOST_UNTOLD {
            self.untold.pop_front();
        }
        self.untold.push_back(text);
        self.offer_untold(now);
    }

    fn offer_untold(&mut self, now: Moment) {
        self.offer_at = None;
        while let Some(text) = self.untold.pop_front() {
            if !self.offer(&text) {
                self.untold.push_front(text);
                self.offer_at = Some(now + PAUSE);
                return;
            }
        }
    }

    /// Whether it need not be offered again: it was taken, or nobody is there to take it.
    fn offer(&self, text: &str) -> bool {
        let Some(socket) = &self.socket else {
            return true;
        };
        match send(socket, text) {
            Ok(()) => true,
            Err(error) => {
                tracing::debug!("the supervisor cannot be told: {error}");
                error.kind() != io::ErrorKind::WouldBlock
            }
        }
    }
}

/// The watchdog's limit, if there is one and it is meant for this process.
fn watchdog() -> Option<Duration> {
    let number = |name| std::env::var(name).ok()?.parse::<u64>().ok();
    let is_ours = std::env::var_os("WATCHDOG_PID").is_none()
        || number("WATCHDOG_PID") == Some(std::process::id().into());
    number("WATCHDOG_USEC").filter(|_| is_ours).map(Duration::from_micros)
}

/// Sends a datagram without waiting for a manager that does not read.
fn send(socket: &OsStr, text: &str) -> io::Result<()> {
    let address = match socket.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(socket)?,
    };
    let sender = UnixDatagram::unbound()?;
    sender.set_nonblocking(true)?;
    sender.send_to_addr(&redact::redact(text.as_bytes()), &address)?;
    Ok(())
}

/// What is published, how it is, and what comes next, in one line.
pub fn line(status: &Status, clocks: ClockPair) -> String {
    let lines = status.addresses.iter().map(|(line, address)| match address {
        Some(address) => format!("{line} {}", address.value),
        None => format!("{line} unknown"),
    });
    let mut parts: Vec<String> = lines.collect();
    let number = |state| status.records.iter().filter(|record| record.state == state).count();
    let counts = RecordState::ALL.map(|state| (number(state), state.word()));
    let counts = counts.iter().filter(|(number, _)| *number > 0);
    let counts: Vec<String> = counts.map(|(number, word)| format!("{number} {word}")).collect();
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

    use crate::engine::names::{Family, Key, Line, Name, RecordType};
    use crate::engine::{AddressStatus, RecordStatus};

    fn told(socket: &UnixDatagram) -> Vec<String> {
        socket.set_nonblocking(true).unwrap();
        let mut buffer = [0; 500];
        std::iter::from_fn(|| socket.recv(&mut buffer).ok().map(|length| buffer[..length].to_vec()))
            .map(|bytes| String::from_utf8(bytes).unwrap())
            .collect()
    }

    fn seconds(seconds: i64) -> Moment {
        Moment::from_millis(seconds * 1000)
    }

    #[test]
    fn a_manager_that_does_not_read_holds_up_nothing_and_loses_nothing_that_matters() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let manager = UnixDatagram::bind(&path).unwrap();
        let every = Duration::from_secs(10);
        let mut supervisor = Supervisor::at(Some(path.clone().into()), Some(every), seconds(0));
        // The kernel keeps no more than some hundred datagrams for one who does not read.
        let mut now = seconds(0);
        while supervisor.offer("X=1\n") {}
        supervisor.status("before");
        supervisor.reloading(now);
        supervisor.ready(now);
        assert_eq!(supervisor.beat_at(), Some(seconds(0)));
        supervisor.beat(now);
        assert_eq!(supervisor.beat_at(), Some(seconds(1)), "what was not taken is offered soon");
        assert!(told(&manager).iter().all(|text| text == "X=1\n"));
        now = seconds(1);
        supervisor.status("after");
        supervisor.beat(now);
        let texts = told(&manager);
        let firsts: Vec<&str> = texts.iter().filter_map(|text| text.lines().next()).collect();
        assert_eq!(firsts, ["STATUS=after", "WATCHDOG=1", "RELOADING=1", "READY=1"]);
        assert_eq!(supervisor.beat_at(), Some(seconds(11)));
        drop(manager);
        std::fs::remove_file(&path).unwrap();
        supervisor.stopping(now);
        assert_eq!(supervisor.beat_at(), Some(seconds(11)), "nothing is kept for one who is gone");
    }

    #[test]
    fn a_manager_may_listen_in_the_abstract() {
        let name = format!("stayput-test-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let manager = UnixDatagram::bind_addr(&address).unwrap();
        Supervisor::at(Some(format!("@{name}").into()), None, seconds(0)).ready(seconds(0));
        assert_eq!(told(&manager), ["READY=1\n"]);
    }

    #[test]
    fn without_a_manager_nothing_is_due() {
        let mut supervisor = Supervisor::at(None, Some(Duration::from_secs(1)), seconds(0));
        supervisor.ready(seconds(0));
        assert_eq!(supervisor.beat_at(), None);
    }

    #[test]
    fn the_status_line_says_what_is_and_what_comes() {
        let record = |state| RecordStatus {
            key: Key { name: Name::parse("home.example.com").unwrap(), kind: RecordType::A },
            state,
            content: None,
            wanted: None,
            since: None,
            why: None,
        };
        let address = AddressStatus {
            value: [203, 0, 113, 7].into(),
            confirmed_at: Moment::from_millis(0),
            sources: Vec::new(),
        };
        let status = Status {
            addresses: BTreeMap::from([
                (Line::only(Family::V4), Some(address)),
                (Line::only(Family::V6), None),
            ]),
            records: vec![
                record(RecordState::Blocked),
                record(RecordState::Current),
                record(RecordState::Current),
            ],
            budgets: BTreeMap::new(),
            troubles: Vec::new(),
            ill: None,
            next_look_at: Some(Moment::from_millis(60_000)),
        };
        let clocks = ClockPair::at(SystemTime::UNIX_EPOCH, Moment::from_millis(0));
        assert_eq!(
            line(&status, clocks),
            "IPv4 203.0.113.7; IPv6 unknown; records: 2 current, 1 blocked; next look at 1970-01-01T00:01:00Z"
        );
    }
}
