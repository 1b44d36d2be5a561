//! Signals as events.
//!
//! A hundred that arrive before the loop looks are one. The runtime's own listening is used, because it
//! takes no descriptor beyond those that the runtime has anyway. Deliberately unknown: what the signals
//! mean to the daemon.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

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
    /// While this is set, a stop ends the process within the signal itself.
    impatient: Arc<AtomicBool>,
    hooks: [signal_hook::SigId; 2],
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
    /// Takes the signals over from the system's defaults. Must be called within the runtime.
    ///
    /// # Errors
    /// Where the system refuses an action for a signal.
    pub fn listen() -> io::Result<Signals> {
        let impatient = Arc::new(AtomicBool::new(false));
        let hook = |number| flag::register_conditional_shutdown(number, 0, Arc::clone(&impatient));
        Ok(Signals {
            hooks: [hook(SIGTERM)?, hook(SIGINT)?],
            impatient,
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
            Some(()) = self.terminate.recv() => self.stop(),
            Some(()) = self.interrupt.recv() => self.stop(),
            Some(()) = self.hangup.recv() => Arrived::Reload,
            Some(()) = self.user.recv() => Arrived::Refresh,
            // The runtime ends these only when it ends itself.
            else => std::future::pending().await,
        }
    }

    /// From now on a further stop ends the process at once: the loop may be stuck in a write to a disk
    /// that no longer answers, and what is on disk is right at every instant.
    fn stop(&self) -> Arrived {
        self.impatient.store(true, Ordering::SeqCst);
        Arrived::Stop
    }

    /// Returns when SIGTERM or SIGINT arrives, and lets all else pass.
    pub async fn stopped(&mut self) {
        while self.next().await != Arrived::Stop {}
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        for hook in self.hooks {
            signal_hook::low_level::unregister(hook);
        }
    }
}
