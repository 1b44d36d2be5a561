//! Whether a confirmed address is published in time, whatever else is wrong.
//!
//! The clock of a name runs while its address is confirmed and not in the zone, and nothing that is said
//! or asked for stands against it. Deliberately unknown: what stands against it; the caller says so.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use stayput::engine::names::Key;

/// How long the backoff of something that failed may last once it works again.
pub const BACKOFF: Duration = Duration::from_secs(15 * 60);

/// A name that waits for its address.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    wanted: IpAddr,
    /// How long nothing has stood against it.
    clear: Duration,
}

#[derive(Default)]
pub struct Deadlines {
    waiting: BTreeMap<Key, Waiting>,
}

impl Deadlines {
    /// An address is confirmed: it is to be published under this name.
    pub fn begin(&mut self, key: Key, wanted: IpAddr) {
        self.waiting.insert(key, Waiting { wanted, clear: Duration::ZERO });
    }

    /// The names that wait, and for what.
    pub fn waiting(&self) -> Vec<(Key, IpAddr)> {
        self.waiting.iter().map(|(key, waiting)| (key.clone(), waiting.wanted)).collect()
    }

    /// The name has its address, or the configuration no longer has the name.
    pub fn met(&mut self, key: &Key) {
        self.waiting.remove(key);
    }

    /// So much time has passed in which nothing stood against it: how much that was in all.
    pub fn pass(&mut self, key: &Key, time: Duration) -> Duration {
        let Some(waiting) = self.waiting.get_mut(key) else { return Duration::ZERO };
        waiting.clear += time;
        waiting.clear
    }

    /// Something stands against it: what was waited so far does not count.
    pub fn excuse(&mut self, key: &Key) {
        if let Some(waiting) = self.waiting.get_mut(key) {
            waiting.clear = Duration::ZERO;
        }
    }
}
