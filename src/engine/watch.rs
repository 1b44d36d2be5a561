//! What each source said, and what is believed of one family's address.
//!
//! In a steady state one source is asked. An answer that differs from what that source said when the
//! address was last confirmed is a suspicion; it is believed when enough independent operators say
//! the same, and otherwise changes nothing. Deliberately unknown: how a source is asked, and what is
//! done with the address.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use super::flaps::Flaps;
use super::limiter::{Backoff, CLOCK_RETRY};
use super::names::Moment;
use super::ranges::NotPublic;
use super::settings::Source;

/// When it looks again after a look that did not end in an address, before the period applies.
const SOON: [Duration; 3] = [Duration::from_secs(5), Duration::from_secs(15), Duration::from_secs(60)];
/// The least time between two looks that hints bring about: 20 a minute at most.
const HINT_DISTANCE: Duration = Duration::from_secs(3);
/// Every 12th look starts with the next operator, which exposes a source that is stuck.
const AUDIT_EVERY: u64 = 12;

/// Why a source gave no address that can be believed. Never a reason to change anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LookError {
    /// This host has no route for the family at all.
    NoRoute,
    /// Name look-up, connection or transfer failed; the words of the failing part.
    Unreachable(String),
    /// No whole answer in time.
    TimedOut,
    /// The server's certificate was not accepted; why.
    Certificate(String),
    /// The certificate is not valid at this host's time, which is probably wrong; why.
    Clock(String),
    /// An HTTP status other than 200.
    Status(u16),
    /// The answer points elsewhere; redirects are not followed.
    Redirect(u16),
    /// More than 4 KiB.
    TooLong,
    /// The body is not one address; an excerpt.
    NotAnAddress(String),
    /// An address of the other family.
    WrongFamily(IpAddr),
    /// A trace that was answered for another host: the connection was intercepted.
    WrongHost(String),
    /// A trace with `warp=on` or `gateway=on`: the address is Cloudflare's exit, not ours.
    Warp(IpAddr),
    /// A file or a command of the configuration failed; how.
    Local(String),
    /// An address that must not be published; why.
    NotPublic(IpAddr, NotPublic),
}

impl fmt::Display for LookError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LookError::NoRoute => f.write_str("no route to the internet for this family"),
            LookError::Unreachable(why) => write!(f, "not reachable: {why}"),
            LookError::TimedOut => f.write_str("no answer in time"),
            LookError::Certificate(why) => write!(f, "its certificate is not accepted: {why}"),
            LookError::Clock(why) => {
                write!(f, "its certificate is not valid at this host's time; is the clock right? ({why})")
            }
            LookError::Status(status) => write!(f, "answered with HTTP status {status}"),
            LookError::Redirect(status) => {
                write!(f, "answered with a redirect (HTTP {status}), which is not followed")
            }
            LookError::TooLong => f.write_str("answered with more than 4 KiB"),
            LookError::NotAnAddress(excerpt) => write!(f, "did not answer with one address: {excerpt}"),
            LookError::WrongFamily(address) => {
                write!(f, "answered with an address of the other family: {address}")
            }
            LookError::WrongHost(host) => {
                write!(f, "the answer is for another host, {host}: the connection is intercepted")
            }
            LookError::Warp(address) => write!(
                f,
                "the connection goes through Cloudflare WARP or Gateway, so {address} is not this host's"
            ),
            LookError::Local(why) => f.write_str(why),
            LookError::NotPublic(address, why) => write!(f, "{address} is not published: {why}"),
        }
    }
}

/// What a look came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// What was believed is still so.
    Same,
    /// What was believed is still so, although this source says otherwise.
    Dissent {
        /// The source's label.
        source: Box<str>,
        /// What it says.
        says: IpAddr,
    },
    /// A new address is believed.
    Changed {
        /// What was believed before.
        from: Option<IpAddr>,
        /// What is believed now.
        to: IpAddr,
    },
    /// Enough operators agree on an address that was left and published again lately: it is held.
    Held {
        /// The address that waits.
        address: IpAddr,
        /// Until when.
        until: Moment,
    },
    /// Enough operators agree on a new address, but a trace says that it is a tunnel's.
    Tunnelled(IpAddr),
    /// Addresses were heard, but not the same from enough operators.
    Unconfirmed(Vec<Heard>),
    /// Nothing usable was heard.
    Silence(Vec<Heard>),
}

/// What one source said in a look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    /// The source's label.
    pub source: Box<str>,
    /// What it said.
    pub answer: Result<IpAddr, LookError>,
}

/// The address that is believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Believed {
    /// The address.
    pub address: IpAddr,
    /// When a look last ended with it.
    pub confirmed_at: Moment,
    /// What each source said when the address was confirmed, by its label.
    pub said: BTreeMap<Box<str>, IpAddr>,
}

/// What keeps a new address from being published. It survives reloads and restarts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Holds {
    /// How the line goes back and forth.
    pub flaps: Flaps,
    /// The last trace that was heard went through a tunnel, whose address is not this host's.
    pub tunnelled: bool,
}

/// The watch over one family's address.
#[derive(Clone, Debug)]
pub struct Watch {
    sources: Vec<SourceState>,
    need: usize,
    every: Duration,
    believed: Option<Believed>,
    round: Option<Round>,
    /// When the last look began.
    began_at: Option<Moment>,
    /// When to look again after this look, which may have asked too early.
    again_at: Option<Moment>,
    next_at: Moment,
    misses: usize,
    looks: u64,
    concluded: bool,
    no_route: bool,
    /// The host does not have the family: nothing is asked.
    missing: bool,
    holds: Holds,
}

/// A source, and how it has been lately.
#[derive(Clone, Debug)]
struct SourceState {
    source: Source,
    trouble: Backoff,
    cooling: Option<Moment>,
}

/// A look in progress.
#[derive(Clone, Debug, Default)]
struct Round {
    asking: Option<usize>,
    answers: BTreeMap<usize, Result<IpAddr, LookError>>,
    suspicious: bool,
}

impl Watch {
    /// A watch that looks for the first time at `first`, perhaps with a belief from before.
    pub fn new(sources: &[Source], agree: usize, every: Duration, first: Moment) -> Watch {
        let state = |source: &Source| SourceState {
            source: source.clone(),
            trouble: Backoff::between(Duration::from_secs(60), Duration::from_secs(3600)),
            cooling: None,
        };
        Watch {
            sources: sources.iter().map(state).collect(),
            need: needed(sources, agree),
            every,
            believed: None,
            round: None,
            began_at: None,
            again_at: None,
            next_at: first,
            misses: 0,
            looks: 0,
            concluded: false,
            no_route: false,
            missing: false,
            holds: Holds::default(),
        }
    }

    /// Takes over what was believed before a restart or a reload. What sources said that are no more, or are called
    /// otherwise today, is nobody's baseline.
    pub fn remember(&mut self, mut believed: Believed) {
        let is_asked = |label: &str| self.sources.iter().any(|state| *state.source.label == *label);
        believed.said.retain(|label, _| is_asked(label));
        self.believed = Some(believed);
    }

    /// Takes over what held an address back before a restart or a reload. Without a trace there is nothing
    /// that could end the veto of one.
    pub fn remember_holds(&mut self, holds: Holds, now: Moment) {
        let has_trace = self.sources.iter().any(|state| state.source.trace);
        self.holds = Holds { flaps: holds.flaps.remembered(now), tunnelled: holds.tunnelled && has_trace };
    }

    /// What holds an address back, to be remembered.
    pub fn holds(&self) -> &Holds {
        &self.holds
    }

    /// Until when returns to addresses that were left are held; once past, until the look that then comes.
    pub fn hold_until(&self) -> Option<Moment> {
        self.holds.flaps.held_until
    }

    /// Ends the hold of a line that goes back and forth, and looks: somebody knows that what is published
    /// is wrong, or wants to see.
    pub fn try_again(&mut self, now: Moment) {
        self.holds.flaps.release();
        self.look_now(now);
    }

    /// What is believed.
    pub fn believed(&self) -> Option<&Believed> {
        self.believed.as_ref()
    }

    /// Whether there is nothing to wait for: a look has ended since the start, whichever way.
    pub fn has_concluded(&self) -> bool {
        self.missing || self.concluded && self.round.is_none()
    }

    /// The host does not have this family: it is not looked at until [`Watch::resume`].
    pub fn suspend(&mut self) {
        self.missing = true;
        self.round = None;
        self.again_at = None;
        self.misses = 0;
    }

    /// The host has this family: it is looked at at once.
    pub fn resume(&mut self, now: Moment) {
        self.missing = false;
        self.look_now(now);
    }

    /// Whether a look is going on.
    pub fn is_looking(&self) -> bool {
        self.round.is_some()
    }

    /// Whether a look is going on in which a source said something else than when the address was last
    /// confirmed, and that may be published.
    pub fn is_suspicious(&self) -> bool {
        !self.holds.tunnelled && self.round.as_ref().is_some_and(|round| round.suspicious)
    }

    /// Whether the last look did not end in an address, so that it looks again soon.
    pub fn is_restless(&self) -> bool {
        self.misses > 0
    }

    /// Whether the last look found that the host has no route for the family at all.
    pub fn has_no_route(&self) -> bool {
        self.no_route
    }

    /// When it wants to ask next; `None` while it waits for an answer, or the family is missing.
    pub fn wants_at(&self) -> Option<Moment> {
        let asking = self.round.as_ref().and_then(|round| round.asking);
        (asking.is_none() && !self.missing).then_some(self.next_at)
    }

    /// A hint that the address may have changed: the first of a burst is followed at once.
    pub fn hint(&mut self, now: Moment) {
        self.look_at(self.began_at.map_or(now, |began| now.max(began + HINT_DISTANCE)));
    }

    /// Looks at once, or as soon as the look that is going on has ended.
    pub fn look_now(&mut self, now: Moment) {
        self.look_at(now);
    }

    fn look_at(&mut self, at: Moment) {
        if self.round.is_some() {
            self.again_at = Some(self.again_at.map_or(at, |again| again.min(at)));
            return;
        }
        self.next_at = self.next_at.min(at);
        self.misses = 0;
    }

    /// The source to ask now and its place, if it is time and none is being asked.
    pub fn next_source(&mut self, now: Moment) -> Option<(usize, &Source)> {
        if self.missing {
            return None;
        }
        if self.round.is_none() {
            if now < self.next_at {
                return None;
            }
            self.round = Some(Round::default());
            self.began_at = Some(now);
            self.looks += 1;
        }
        let order = self.order(now);
        let round = self.round.as_mut()?;
        if round.asking.is_some() {
            return None;
        }
        let candidate = order.first().copied()?;
        round.asking = Some(candidate);
        Some((candidate, &self.sources.get(candidate)?.source))
    }

    /// Takes in what a source said. `None`: the look goes on.
    pub fn heard(
        &mut self,
        index: usize,
        answer: Result<IpAddr, LookError>,
        now: Moment,
        rng: &mut fastrand::Rng,
    ) -> Option<Outcome> {
        let round = self.round.as_mut()?;
        if round.asking != Some(index) {
            return None;
        }
        round.asking = None;
        let state = self.sources.get_mut(index)?;
        match &answer {
            Ok(_) => {
                state.trouble.reset();
                state.cooling = None;
                self.holds.tunnelled &= !state.source.trace;
            }
            // It did answer, and it is the one that will say when the tunnel is gone.
            Err(LookError::Warp(_)) => {
                state.trouble.reset();
                state.cooling = None;
                state.source.trace = true;
                self.holds.tunnelled = true;
            }
            Err(_) => state.cooling = Some(now + state.trouble.next(rng)),
        }
        let says = answer.as_ref().ok().copied();
        round.answers.insert(index, answer);
        let outcome = self.weigh(index, says, now)?;
        self.conclude(&outcome, now, rng);
        Some(outcome)
    }

    /// What the answers so far come to; `None` if another source is to be asked.
    fn weigh(&mut self, index: usize, says: Option<IpAddr>, now: Moment) -> Option<Outcome> {
        let old = self.believed.as_ref().map(|believed| believed.address);
        let label = self.sources.get(index)?.source.label.clone();
        let baseline = self.believed.as_ref().and_then(|b| b.said.get(&label)).copied();
        let round = self.round.as_mut()?;
        if let Some(says) = says {
            if !round.suspicious && Some(says) == old {
                return Some(Outcome::Same);
            }
            // A source that keeps saying what it said when the address was confirmed is no news.
            if Some(says) != baseline || old.is_none() {
                round.suspicious = true;
            }
        }
        if let Some(agreed) = self.agreed().filter(|_| !self.awaits_trace()) {
            return Some(self.accept(agreed, now));
        }
        if !self.order(now).is_empty() {
            return None;
        }
        let round = self.round.as_ref()?;
        Some(match round.answers.values().any(Result::is_ok) {
            // Those that keep denying what is believed do not confirm it.
            true => Outcome::Unconfirmed(self.all_heard()),
            false => Outcome::Silence(self.all_heard()),
        })
    }

    /// The address that enough operators say in this look, if there is a suspicion. Of two, the one that
    /// more of them say, or the one that is believed.
    fn agreed(&self) -> Option<IpAddr> {
        let round = self.round.as_ref().filter(|round| round.suspicious)?;
        let mut votes: BTreeMap<IpAddr, BTreeSet<&str>> = BTreeMap::new();
        for (index, answer) in &round.answers {
            if let (Ok(address), Some(state)) = (answer, self.sources.get(*index)) {
                votes.entry(*address).or_default().insert(&state.source.operator);
            }
        }
        let old = self.believed.as_ref().map(|believed| believed.address);
        let weight =
            |(address, operators): &(IpAddr, BTreeSet<&str>)| (operators.len(), Some(*address) == old);
        let (address, operators) = votes.into_iter().max_by_key(weight)?;
        (operators.len() >= self.need).then_some(address)
    }

    /// Whether what is agreed on would be news, and no trace has yet been asked whether it is a tunnel's.
    fn awaits_trace(&self) -> bool {
        let Some(round) = &self.round else { return false };
        if self.agreed().is_none_or(|agreed| self.believed().is_some_and(|b| b.address == agreed)) {
            return false;
        }
        let mut traces = self.sources.iter().enumerate().filter(|(_, state)| state.source.trace);
        let mut said = traces.clone().filter_map(|(index, _)| round.answers.get(&index));
        !said.any(Result::is_ok) && traces.any(|(index, _)| !round.answers.contains_key(&index))
    }

    fn accept(&mut self, agreed: IpAddr, now: Moment) -> Outcome {
        let old = self.believed.as_ref().map(|believed| believed.address);
        if old == Some(agreed) {
            let dissenter = self.round.iter().flat_map(|round| &round.answers).find_map(|(index, answer)| {
                let says = answer.as_ref().ok().copied().filter(|says| *says != agreed)?;
                Some(Outcome::Dissent { source: self.sources.get(*index)?.source.label.clone(), says })
            });
            return dissenter.unwrap_or(Outcome::Same);
        }
        if self.holds.tunnelled {
            return Outcome::Tunnelled(agreed);
        }
        if let Some(Err(until)) = old.map(|_| self.holds.flaps.admit(agreed, now)) {
            return Outcome::Held { address: agreed, until };
        }
        Outcome::Changed { from: old, to: agreed }
    }

    /// Ends the look.
    fn conclude(&mut self, outcome: &Outcome, now: Moment, rng: &mut fastrand::Rng) {
        let Some(round) = self.round.take() else {
            return;
        };
        self.concluded = true;
        self.no_route = round.answers.values().all(|answer| *answer == Err(LookError::NoRoute));
        let heard = round.answers.iter().filter_map(|(index, answer)| {
            let label = self.sources.get(*index)?.source.label.clone();
            Some((label, *answer.as_ref().ok()?))
        });
        let heard: BTreeMap<Box<str>, IpAddr> = heard.collect();
        match outcome {
            Outcome::Same | Outcome::Dissent { .. } => {
                if let Some(believed) = &mut self.believed {
                    believed.confirmed_at = now;
                    believed.said.extend(heard);
                }
                self.holds.flaps.stay(now);
                self.misses = 0;
            }
            Outcome::Changed { from, to } => {
                if let Some(from) = from {
                    self.holds.flaps.leave(*from, now);
                }
                self.believed = Some(Believed { address: *to, confirmed_at: now, said: heard });
                self.misses = 0;
            }
            Outcome::Held { .. } | Outcome::Tunnelled(_) => self.misses = 0,
            Outcome::Unconfirmed(_) | Outcome::Silence(_) => self.misses += 1,
        }
        let of_the_clock = round.answers.values().any(|answer| matches!(answer, Err(LookError::Clock(_))));
        let wait = match self.misses.checked_sub(1) {
            Some(miss) if of_the_clock => SOON.get(miss).copied().unwrap_or(CLOCK_RETRY).min(CLOCK_RETRY),
            Some(miss) => SOON.get(miss).copied().unwrap_or(self.every),
            None => self.every,
        };
        let wait = wait.min(self.every);
        // A tenth of jitter, never later than the period says.
        self.next_at = now + wait.mul_f64(1.0 - rng.f64() / 10.0);
        // A hold ends when it said that it would.
        if let Some(until) = self.hold_until().filter(|until| *until > now) {
            self.next_at = self.next_at.min(until);
        }
        if let Some(at) = self.again_at.take() {
            self.look_at(at.max(now));
        }
    }

    fn all_heard(&self) -> Vec<Heard> {
        let answers = self.round.iter().flat_map(|round| &round.answers);
        let heard = answers.filter_map(|(index, answer)| {
            let source = self.sources.get(*index)?.source.label.clone();
            Some(Heard { source, answer: answer.clone() })
        });
        heard.collect()
    }

    /// The sources that this look may still ask, the best first.
    fn order(&self, now: Moment) -> Vec<usize> {
        let Some(round) = &self.round else {
            return Vec::new();
        };
        let count = self.sources.len();
        let audit = self.looks % AUDIT_EVERY == 0 && !round.suspicious;
        let turn = if audit { usize::try_from(self.looks / AUDIT_EVERY).unwrap_or(0) } else { 0 };
        let operator_answered = |index: usize| {
            let operator = &self.sources[index].source.operator;
            round.answers.iter().any(|(other, answer)| {
                answer.is_ok() && self.sources.get(*other).is_some_and(|s| s.source.operator == *operator)
            })
        };
        let awaits_trace = self.awaits_trace();
        let may_tell = |index: &usize| match awaits_trace {
            true => self.sources[*index].source.trace,
            false => !operator_answered(*index),
        };
        let mut order: Vec<usize> = (0..count)
            .map(|step| (step + turn) % count)
            .filter(|index| !round.answers.contains_key(index) && may_tell(index))
            .collect();
        let believed = self.believed.as_ref();
        order.sort_by_key(|index| {
            let state = &self.sources[*index];
            let cooling = state.cooling.is_some_and(|until| until > now);
            // As the one that stands guard, a source that is known to tell the truth comes first.
            let honesty =
                match believed.and_then(|b| b.said.get(&state.source.label).map(|said| *said == b.address)) {
                    _ if round.suspicious || audit => 0,
                    Some(true) => 0,
                    None => 1,
                    Some(false) => 2,
                };
            // Only a trace says when the tunnel is gone.
            let lifts = self.holds.tunnelled && state.source.trace;
            (!lifts, cooling, honesty)
        });
        order
    }
}

/// How many operators must agree: `agree`, or all of them where the list holds fewer.
pub fn needed(sources: &[Source], agree: usize) -> usize {
    let mut operators: Vec<&str> = sources.iter().map(|source| &*source.operator).collect();
    operators.sort_unstable();
    operators.dedup();
    agree.clamp(1, operators.len().max(1))
}

#[cfg(test)]
mod tests;
