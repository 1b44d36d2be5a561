//! Signals as events.
//!
//! A hundred that arrive before the loop looks are one. The runtime's own listening is used, because it
//! takes no descriptor beyond those that the runtime has anyway. Deliberately unknown: what the signals
//! mean to the daemon.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signals that the program listens for.
#[derive(Debug)]
pub struct Signals {
    hangup: Signal,
    user: Signal,
    terminate: Signal,
    interrupt: Signal,
    hooks: Vec<signal_hook::SigId>,
}

/// What arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrived {
    /// SIGHUP.
    Reload,
    /// SIGUSR1.
    Refresh,
    /// SIGTERM or SIGINT.
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
            hangup: signal(SignalKind::hangup())?,
            user: signal(SignalKind::user_defined1())?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// The next signal; a stop before all others.
    pub async fn next(&mut self) -> Arrived {
        tokio::select! {
            biased;
            Some(()) = self.terminate.recv() => Arrived::Stop,
            Some(()) = self.interrupt.recv() => Arrived::Stop,
            Some(()) = self.hangup.recv() => Arrived::Reload,
            Some(()) = self.user.recv() => Arrived::Refresh,
            // The runtime ends these only when it ends itself.
            else => std::future::pending().await,
        }
    }

    /// Returns when SIGTERM or SIGINT arrives, and lets all else pass.
    pub async fn stopped(&mut self) {
        while self.next().await != Arrived::Stop {}
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        for hook in self.hooks.drain(..) {
            signal_hook::low_level::unregister(hook);
        }
    }
}
