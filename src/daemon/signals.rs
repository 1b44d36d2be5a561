//! Signals as events.
//!
//! A hundred that arrive before the loop looks are one. The runtime's own listening is used, because it
//! takes no descriptor beyond those that the runtime has anyway. Deliberately unknown: what the signals
//! mean to the daemon.

use std::fs;
use std::io::{self, IsTerminal as _};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use nix::sys::signal::SigSet;
use rustix::stdio::{stderr, stdin, stdout};
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;
use tokio::signal::unix::{self, SignalKind, signal};

/// Undoes what the parent process may leave to the program: blocked signals, with which nothing would stop
/// it, and an ignored SIGCHLD, with which no end of a program is ever learned. To be called before there is
/// a second thread.
pub fn reset() {
    // Neither is refused by any Linux; then all is as it was.
    let _as_it_was = SigSet::empty().thread_set_mask();
    let _as_it_was = flag::register(SIGCHLD, Arc::default());
}

/// The signals that the program listens for.
#[derive(Debug)]
pub struct Signals {
    /// `None`: it was ignored at the start, as by nohup, and stays so.
    hangup: Option<unix::Signal>,
    /// Which of the standard streams were terminals at the start.
    terminals: [bool; 3],
    user: unix::Signal,
    terminate: unix::Signal,
    interrupt: unix::Signal,
    hooks: Vec<signal_hook::SigId>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// SIGHUP.
    Reload,
    /// SIGUSR1.
    Refresh,
    /// SIGTERM, SIGINT, or the SIGHUP of a terminal that is gone.
    Stop,
}

impl Signals {
    /// Takes the signals over from the system's defaults. Must be called within the runtime. The exit code
    /// is that of a second SIGTERM or SIGINT.
    ///
    /// # Errors
    /// Where the system refuses an action for a signal.
    pub fn listen(second_stop: i32) -> io::Result<Signals> {
        // A second stop ends the process within the signal itself: the loop may be stuck in a write to a
        // disk that no longer answers. What is on disk is right at every instant.
        let stopped_before = Arc::new(AtomicBool::new(false));
        let mut hooks = Vec::new();
        for number in [SIGTERM, SIGINT] {
            hooks.push(flag::register_conditional_shutdown(
                number,
                second_stop,
                Arc::clone(&stopped_before),
            )?);
            // In this order: the first stop finds the flag unset, and sets it.
            hooks.push(flag::register(number, Arc::clone(&stopped_before))?);
        }
        Ok(Signals {
            hooks,
            hangup: if is_ignored(SIGHUP) { None } else { Some(signal(SignalKind::hangup())?) },
            terminals: terminals(),
            user: signal(SignalKind::user_defined1())?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Whether SIGHUP arrives here; else it was ignored at the start.
    pub fn heed_hangups(&self) -> bool {
        self.hangup.is_some()
    }

    /// The next signal; a stop before all others.
    pub async fn next(&mut self) -> Signal {
        let hangup = &mut self.hangup;
        tokio::select! {
            biased;
            Some(()) = self.terminate.recv() => Signal::Stop,
            Some(()) = self.interrupt.recv() => Signal::Stop,
            Some(()) = async { hangup.as_mut()?.recv().await } => match self.terminals == terminals() {
                true => Signal::Reload,
                false => Signal::Stop,
            },
            Some(()) = self.user.recv() => Signal::Refresh,
            // The runtime ends these only when it ends itself.
            else => std::future::pending().await,
        }
    }

    /// Returns when SIGTERM or SIGINT arrives, and lets all else pass.
    pub async fn stopped(&mut self) {
        while self.next().await != Signal::Stop {}
    }
}

/// Which of the standard streams are terminals. One that has hung up is none any more.
fn terminals() -> [bool; 3] {
    [stdin(), stdout(), stderr()].map(|stream| stream.is_terminal())
}

/// Whether the process ignores a signal.
fn is_ignored(number: i32) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mut fields = status.lines().filter_map(|line| line.split_once(':'));
    let ignored = fields.find(|(name, _)| *name == "SigIgn").map_or("", |(_, set)| set.trim());
    u64::from_str_radix(ignored, 16).is_ok_and(|set| set >> (number - 1) & 1 == 1)
}

impl Drop for Signals {
    fn drop(&mut self) {
        for hook in self.hooks.drain(..) {
            signal_hook::low_level::unregister(hook);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::process::{Command, Stdio};
    use std::time::{Duration, Instant};

    use rustix::process::{Pid, Signal, kill_process};

    use super::*;

    /// Where a stuck process says that it listens.
    const LISTENING: &str = "STAYPUT_TEST_LISTENING";

    /// In a process of its own, where the test runs once more.
    fn be_stuck(file: PathBuf) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let _signals = Signals::listen(7).unwrap();
            fs::write(file, "").unwrap();
            // As in a write to a disk that does not answer: nothing else of the runtime turns.
            std::thread::sleep(Duration::from_secs(60));
        });
    }

    #[test]
    fn a_second_stop_ends_a_loop_that_is_stuck() {
        if let Some(file) = std::env::var_os(LISTENING) {
            return be_stuck(file.into());
        }
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("listening");
        for (first, second) in [(Signal::TERM, Signal::TERM), (Signal::INT, Signal::TERM)] {
            let mut stuck = Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "daemon::signals::tests::a_second_stop_ends_a_loop_that_is_stuck"])
                .env(LISTENING, &file)
                .stdout(Stdio::null())
                .spawn()
                .unwrap();
            let begin = Instant::now();
            while !file.exists() {
                assert!(begin.elapsed() < Duration::from_secs(20), "it does not listen");
                std::thread::sleep(Duration::from_millis(5));
            }
            let pid = Pid::from_child(&stuck);
            kill_process(pid, first).unwrap();
            std::thread::sleep(Duration::from_millis(100));
            assert!(stuck.try_wait().unwrap().is_none(), "one stop leaves it the time to end well");
            kill_process(pid, second).unwrap();
            let begin = Instant::now();
            assert_eq!(stuck.wait().unwrap().code(), Some(7));
            assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
            fs::remove_file(&file).unwrap();
        }
    }
}
