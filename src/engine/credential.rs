//! What belongs to one credential, whichever accounts of the configuration use it: the request budget,
//! the waits that Cloudflare asked for, and the one request that is on its way.
//!
//! Deliberately unknown: what is asked, and the secret itself.

use std::collections::BTreeMap;
use std::time::Duration;

use super::limiter::Limiter;
use super::names::{Moment, Ticket, ZoneId};
use super::settings::Budget;

/// The longest that a `Retry-After` can make us wait.
pub const LONGEST_HOLD: Duration = Duration::from_secs(3600);

/// What `Retry-After` holds: a zone, or the search for zones (`None`).
pub type Held = Option<ZoneId>;

/// One credential.
#[derive(Clone, Debug)]
pub struct Credential {
    /// The budget.
    pub limiter: Limiter,
    /// The request that is on its way.
    pub open: Option<Ticket>,
    holds: BTreeMap<Held, Moment>,
}

/// What is remembered of a credential across a restart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CredentialMemory {
    /// When requests left; those still to come count as now when they are read.
    pub spent: Vec<Moment>,
    /// Until when Cloudflare asked for silence (429).
    pub hold: Option<Moment>,
    /// Until when it asked not to be asked about a zone, or for the list of zones.
    pub holds: Vec<(Held, Moment)>,
}

impl Credential {
    /// A credential of which only what is remembered is known.
    pub fn new(budget: Budget, memory: CredentialMemory, now: Moment) -> Credential {
        let latest = now + LONGEST_HOLD;
        let holds = memory.holds.into_iter().map(|(held, until)| (held, until.min(latest)));
        Credential {
            limiter: Limiter::new(budget, memory.spent, memory.hold.map(|until| until.min(latest)), now),
            open: None,
            holds: holds.filter(|(_, until)| *until > now).collect(),
        }
    }

    /// Cloudflare asks not to be asked about this for so long.
    pub fn hold(&mut self, held: Held, wait: Duration, now: Moment) {
        let until = now + wait.min(LONGEST_HOLD);
        let hold = self.holds.entry(held).or_insert(until);
        *hold = until.max(*hold);
    }

    /// Until when Cloudflare asked not to be asked about this.
    pub fn held_until(&self, held: &Held, now: Moment) -> Option<Moment> {
        self.holds.get(held).copied().filter(|until| *until > now)
    }

    /// What was spent, and the silence after a 429, also count for the credential that takes its place: both
    /// are of the user. What a zone or the search was said to wait for is not.
    pub fn replaced(&self, now: Moment) -> Credential {
        let memory = CredentialMemory { holds: Vec::new(), ..self.memory(now) };
        Credential::new(self.limiter.budget(), memory, now)
    }

    /// What to remember without any reservation.
    pub fn memory(&self, now: Moment) -> CredentialMemory {
        CredentialMemory {
            spent: self.limiter.spent(),
            hold: self.limiter.held_until(now),
            holds: self.current_holds(now),
        }
    }

    /// What to remember; `in_flight`: requests are about to leave, so some are counted ahead.
    pub fn remember(&mut self, in_flight: bool, now: Moment) -> CredentialMemory {
        let spent = self.limiter.remember(in_flight || self.open.is_some(), now);
        CredentialMemory { spent, hold: self.limiter.held_until(now), holds: self.current_holds(now) }
    }

    /// Whether nothing of it matters any more.
    pub fn is_forgettable(&self, now: Moment) -> bool {
        let spent = self.limiter.left(now) < self.limiter.budget().requests;
        self.open.is_none()
            && !spent
            && self.limiter.held_until(now).is_none()
            && self.current_holds(now).is_empty()
    }

    fn current_holds(&self, now: Moment) -> Vec<(Held, Moment)> {
        self.holds
            .iter()
            .filter(|(_, until)| **until > now)
            .map(|(held, until)| (held.clone(), *until))
            .collect()
    }
}
