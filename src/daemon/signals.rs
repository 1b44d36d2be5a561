//! Signals as events: a flag for each, and one socket that wakes the loop.
//!
//! A hundred signals that arrive before the loop looks are one. Deliberately unknown: what they mean
//! to the daemon.

use std::io;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};
use signal_hook::{flag, low_level};
use tokio::net;

/// The signals that arrived and were not taken yet.
#[derive(Debug)]
pub struct Signals {
    wake: net::UnixStream,
    reload: Arc<AtomicBool>,
    refresh: Arc<AtomicBool>,
    stop: Arc<AtomicBool>,
    registered: Vec<signal_hook::SigId>,
}

/// What arrived since the last call; each kind once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Arrived {
    /// SIGHUP.
    pub reload: bool,
    /// SIGUSR1.
    pub refresh: bool,
    /// SIGTERM or SIGINT.
    pub stop: bool,
}

impl Signals {
    /// Takes the signals over from the system's defaults. Must be called within the runtime.
    ///
    /// # Errors
    /// Where no socket or no signal action can be had.
    pub fn listen() -> io::Result<Signals> {
        let (read, write) = UnixStream::pair()?;
        read.set_nonblocking(true)?;
        let mut signals = Signals {
            wake: net::UnixStream::from_std(read)?,
            reload: Arc::default(),
            refresh: Arc::default(),
            stop: Arc::default(),
            registered: Vec::new(),
        };
        let flags = [
            (SIGHUP, Arc::clone(&signals.reload)),
            (SIGUSR1, Arc::clone(&signals.refresh)),
            (SIGTERM, Arc::clone(&signals.stop)),
            (SIGINT, Arc::clone(&signals.stop)),
        ];
        for (signal, arrived) in flags {
            // The flag first: when the socket wakes the loop, it is already up.
            signals.registered.push(flag::register(signal, arrived)?);
            let end = write.try_clone()?;
            signals.registered.push(low_level::pipe::register(signal, end)?);
        }
        Ok(signals)
    }

    /// Returns when a signal has arrived.
    pub async fn arrive(&self) {
        // An error here means that the socket is gone; the loop then goes on without signals.
        if self.wake.readable().await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// What arrived since the last call.
    pub fn take(&self) -> Arrived {
        let mut drained = [0; 64];
        while matches!(self.wake.try_read(&mut drained), Ok(bytes) if bytes > 0) {}
        Arrived {
            reload: self.reload.swap(false, Ordering::SeqCst),
            refresh: self.refresh.swap(false, Ordering::SeqCst),
            stop: self.stop.swap(false, Ordering::SeqCst),
        }
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        for id in self.registered.drain(..) {
            low_level::unregister(id);
        }
    }
}
