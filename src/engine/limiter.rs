//! The request budget, what Cloudflare says about its own limits, and jittered backoff, behind one
//! question: when may the next request leave?
//!
//! Deliberately unknown: what is asked, of which zone, and why something failed.

use std::collections::VecDeque;
use std::time::Duration;

use super::api::RateLimit;
use super::names::Moment;
use super::settings::Budget;

/// How long to hold when a 429 does not say: Cloudflare blocks for the rest of its five minutes.
const UNSAID_HOLD: Duration = Duration::from_secs(300);
/// The shortest wait after a 429, also when it says 0.
const SHORTEST_HOLD: Duration = Duration::from_secs(1);
/// The longest that an answer can make us wait, whatever it says.
const LONGEST_HOLD: Duration = Duration::from_secs(3600);
/// What fails because this host's clock is wrong is tried again so soon, however long it has failed: a
/// clock is set in an instant, and until then nobody is asked for anything.
pub const CLOCK_RETRY: Duration = Duration::from_secs(30);
/// How many requests a snapshot counts as sent ahead of time, so that not each one needs the disk.
const RESERVE: u8 = 8;

/// The budget of one credential: in every window, never more requests than it allows.
#[derive(Clone, Debug)]
pub struct Limiter {
    budget: Budget,
    /// When requests left (or, once answered, were answered: the server counted them in between).
    sent: VecDeque<Moment>,
    hold: Option<Moment>,
    share: Option<Share>,
    throttled: Backoff,
    /// How many requests the last snapshot counts ahead, and when it was taken.
    reserved: (u8, Moment),
    /// How many the next snapshot counts ahead: few at first, because what a process that is killed had
    /// counted ahead stays counted.
    reserve: u8,
}

/// What the `Ratelimit` header leaves for us.
#[derive(Clone, Copy, Debug)]
struct Share {
    left: u32,
    until: Moment,
}

impl Limiter {
    /// A pace with nothing spent but `spent`; what stands there as still to come counts from now.
    pub fn new(budget: Budget, mut spent: Vec<Moment>, hold: Option<Moment>, now: Moment) -> Limiter {
        for sent in &mut spent {
            *sent = now.min(*sent);
        }
        spent.sort_unstable();
        Limiter {
            budget,
            sent: spent.into(),
            hold,
            share: None,
            throttled: Backoff::between(Duration::from_secs(1), UNSAID_HOLD),
            reserved: (0, now),
            reserve: 1,
        }
    }

    /// Another budget; what was spent stays spent.
    pub fn rebudget(&mut self, budget: Budget) {
        self.budget = budget;
    }

    /// The earliest instant, `now` or later, at which the budget lets a request leave.
    pub fn ready_at(&self, now: Moment) -> Moment {
        self.ready_beside(0, now)
    }

    /// The earliest instant at which a request may leave that is to leave so many to others.
    pub fn ready_beside(&self, others: u32, now: Moment) -> Moment {
        let most = self.budget.requests.saturating_sub(others).max(1);
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        // A window may begin and end with a request, so a whole one must have passed, and a bit.
        let window = match self.sent.len().checked_sub(most) {
            Some(index) => self.sent[index] + self.budget.per + Duration::from_millis(1),
            None => now,
        };
        let share = match self.share {
            Some(share) if share.left <= others => share.until,
            _ => now,
        };
        now.max(window).max(share)
    }

    /// The instant until which Cloudflare told us to be silent, if it is still to come.
    pub fn held_until(&self, now: Moment) -> Option<Moment> {
        self.hold.filter(|until| *until > now)
    }

    /// Counts a request that leaves now. True: it was not counted ahead, so it must be remembered first.
    pub fn spend(&mut self, now: Moment) -> Persist {
        self.forget_before(now);
        self.sent.push_back(now);
        if let Some(share) = &mut self.share {
            share.left = share.left.saturating_sub(1);
        }
        // The snapshot dates them a whole window ahead; half of it is far enough from that end.
        let (ahead, since) = self.reserved;
        match ahead.checked_sub(1) {
            Some(left) if now.since(since) < self.budget.per / 2 => {
                self.reserved = (left, since);
                Persist::NotNeeded
            }
            _ => Persist::First,
        }
    }

    /// The request was answered, or given up: the server counted it at some time until now.
    pub fn settle(&mut self, now: Moment) {
        if let Some(last) = self.sent.back_mut() {
            *last = now.max(*last);
        }
    }

    /// Takes in what the `Ratelimit` headers say. Others use the same quota, so a tenth is left to them.
    pub fn heed(&mut self, limits: &[RateLimit], now: Moment) {
        if limits.is_empty() {
            // What was said last holds until it has run out.
            self.share = self.share.filter(|share| share.until > now);
            return;
        }
        self.share = limits
            .iter()
            .map(|limit| {
                let others = limit.quota.map_or(10, |(quota, _)| quota / 10);
                Share {
                    left: limit.remaining.saturating_sub(others),
                    until: now + limit.reset.min(LONGEST_HOLD),
                }
            })
            .min_by_key(|share| (share.left, std::cmp::Reverse(share.until)));
    }

    /// A 429: silence for at least `retry_after`; 300 s where it says nothing. Returns until when.
    pub fn throttle(
        &mut self,
        retry_after: Option<Duration>,
        now: Moment,
        rng: &mut fastrand::Rng,
    ) -> Moment {
        let floor = retry_after.unwrap_or(UNSAID_HOLD).clamp(SHORTEST_HOLD, LONGEST_HOLD);
        let repeated = if self.throttled.failures() > 0 {
            self.throttled.next(rng)
        } else {
            self.throttled.count();
            Duration::ZERO
        };
        let slack = rng.f64() * floor.as_secs_f64().clamp(1.0, 100.0) / 10.0;
        let until = now + floor.max(repeated) + Duration::from_secs_f64(slack);
        self.hold = Some(self.hold.map_or(until, |hold| hold.max(until)));
        until
    }

    /// An answer that is no 429: the next one starts from the beginning.
    pub fn welcome(&mut self) {
        self.throttled.reset();
    }

    /// How many requests the budget still allows in the window that ends now.
    pub fn left(&self, now: Moment) -> u32 {
        let begin = now - self.budget.per;
        let used = self.sent.iter().filter(|sent| **sent >= begin).count();
        let own = self.budget.requests.saturating_sub(u32::try_from(used).unwrap_or(u32::MAX));
        match self.share {
            Some(share) if share.until > now => own.min(share.left),
            _ => own,
        }
    }

    /// When a request that counts now no longer does: the oldest one's end of the window.
    pub fn resets_at(&self, now: Moment) -> Option<Moment> {
        let begin = now - self.budget.per;
        let oldest = self.sent.iter().find(|sent| **sent >= begin)?;
        Some(*oldest + self.budget.per)
    }

    /// The budget that it keeps.
    pub fn budget(&self) -> Budget {
        self.budget
    }

    /// When requests left, as far as they may still count.
    pub fn spent(&self) -> Vec<Moment> {
        self.sent.iter().copied().collect()
    }

    /// What to remember of the requests. While more are about to leave, some of those are counted, too:
    /// dated at the end of the window, so that a restart counts them as late as they can have been.
    pub fn remember(&mut self, in_flight: bool, now: Moment) -> Vec<Moment> {
        self.forget_before(now);
        if !in_flight {
            self.reserved = (0, now);
            return self.spent();
        }
        self.reserved = (self.reserve, now);
        let ahead = std::iter::repeat_n(now + self.budget.per, usize::from(self.reserve));
        self.reserve = (self.reserve * 2).min(RESERVE);
        self.sent.iter().copied().chain(ahead).collect()
    }

    fn forget_before(&mut self, now: Moment) {
        let begin = now - self.budget.per - Duration::from_millis(1);
        let most = usize::try_from(self.budget.requests.max(1)).unwrap_or(usize::MAX);
        while self.sent.front().is_some_and(|sent| *sent < begin) || self.sent.len() > 2 * most {
            self.sent.pop_front();
        }
    }
}

/// Whether a request must be remembered on disk before it leaves.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Persist {
    /// An earlier snapshot counts it already.
    NotNeeded,
    /// The snapshot is saved before the request leaves.
    First,
}

/// Exponential backoff with full jitter: the n-th wait is drawn evenly between the floor and
/// floor · 2ⁿ, never above the ceiling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    floor: Duration,
    ceiling: Duration,
    failures: u32,
}

impl Backoff {
    /// A backoff without failures so far.
    pub fn between(floor: Duration, ceiling: Duration) -> Backoff {
        Backoff { floor, ceiling, failures: 0 }
    }

    /// Counts a failure, and says how long to wait.
    pub fn next(&mut self, rng: &mut fastrand::Rng) -> Duration {
        self.count();
        let most = self
            .floor
            .saturating_mul(1_u32.checked_shl(self.failures).unwrap_or(u32::MAX))
            .min(self.ceiling)
            .max(self.floor);
        self.floor + most.saturating_sub(self.floor).mul_f64(rng.f64())
    }

    /// Counts a failure.
    pub fn count(&mut self) {
        self.failures = self.failures.saturating_add(1).min(31);
    }

    /// It worked.
    pub fn reset(&mut self) {
        self.failures = 0;
    }

    /// Failures since the last success.
    pub fn failures(&self) -> u32 {
        self.failures
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(millis: i64) -> Moment {
        Moment::from_millis(millis)
    }

    fn budget(requests: u32, seconds: u64) -> Budget {
        Budget { requests, per: Duration::from_secs(seconds) }
    }

    proptest! {
        /// Whatever the gaps between wishes, however long each request takes, and wherever the
        /// server counts it on its way: no window holds more than the budget.
        #[test]
        fn no_window_ever_holds_more_than_the_budget(
            requests in 1_u32..20,
            seconds in 1_u64..60,
            wishes in prop::collection::vec((0_i64..5_000, 0_i64..3_000, 0.0..1.0), 1..200),
            restart in 0_usize..200,
        ) {
            let budget = budget(requests, seconds);
            let mut pace = Limiter::new(budget, Vec::new(), None, at(0));
            let mut now = at(0);
            let mut arrivals: Vec<Moment> = Vec::new();
            for (index, (pause, takes, on_the_way)) in wishes.into_iter().enumerate() {
                now = now + Duration::from_millis(pause.unsigned_abs());
                if index == restart {
                    let spent = pace.remember(true, now);
                    pace = Limiter::new(budget, spent, None, now);
                }
                now = now.max(pace.ready_at(now));
                let _ = pace.spend(now);
                let takes = Duration::from_millis(takes.unsigned_abs());
                arrivals.push(now + takes.mul_f64(on_the_way));
                now = now + takes;
                pace.settle(now);
            }
            let window = i64::try_from(budget.per.as_millis()).unwrap();
            for first in &arrivals {
                let end = first.as_millis() + window;
                let inside = arrivals.iter().filter(|a| *a >= first && a.as_millis() <= end).count();
                prop_assert!(inside <= usize::try_from(requests).unwrap(), "{inside} in a window of {requests}");
            }
        }

        #[test]
        fn a_backoff_stays_between_its_floor_and_its_ceiling(
            floor in 1_u64..100_000, more in 0_u64..10_000_000, failures in 0_u32..80, seed: u64,
        ) {
            let (floor, ceiling) = (Duration::from_millis(floor), Duration::from_millis(floor + more));
            let mut backoff = Backoff::between(floor, ceiling);
            let mut rng = fastrand::Rng::with_seed(seed);
            for _ in 0..=failures {
                let wait = backoff.next(&mut rng);
                prop_assert!(wait >= floor && wait <= ceiling);
            }
        }

        #[test]
        fn a_retry_after_is_a_floor(seconds in 0_u64..10_000, seed: u64) {
            let mut pace = Limiter::new(budget(300, 300), Vec::new(), None, at(0));
            let mut rng = fastrand::Rng::with_seed(seed);
            let until = pace.throttle(Some(Duration::from_secs(seconds)), at(0), &mut rng);
            prop_assert!(until >= at(0) + Duration::from_secs(seconds.clamp(1, 3600)));
            prop_assert!(until <= at(0) + Duration::from_secs(3700));
        }
    }

    #[test]
    fn a_429_that_says_nothing_means_five_minutes() {
        let mut pace = Limiter::new(budget(300, 300), Vec::new(), None, at(0));
        let mut rng = fastrand::Rng::with_seed(1);
        pace.throttle(None, at(0), &mut rng);
        assert!(pace.held_until(at(299_999)).is_some());
        assert!(pace.held_until(at(330_001)).is_none());
    }

    #[test]
    fn the_headers_leave_a_tenth_to_others() {
        let mut pace = Limiter::new(budget(300, 300), Vec::new(), None, at(0));
        let limit = |remaining| RateLimit {
            remaining,
            reset: Duration::from_secs(30),
            quota: Some((1200, Duration::from_secs(300))),
        };
        pace.heed(&[limit(121)], at(0));
        assert_eq!(pace.ready_at(at(0)), at(0));
        let _ = pace.spend(at(0));
        assert_eq!(pace.ready_at(at(1)), at(30_000));
        assert_eq!(pace.left(at(1)), 0);
        pace.heed(&[limit(1199)], at(2));
        assert_eq!(pace.ready_at(at(2)), at(2));
        pace.heed(&[limit(1199), limit(0)], at(2));
        assert_eq!(pace.ready_at(at(3)), at(30_002));
        pace.heed(&[], at(4));
        assert_eq!(pace.ready_at(at(5)), at(30_002), "an answer without the headers takes nothing back");
        pace.heed(&[], at(30_003));
        assert_eq!(pace.ready_at(at(30_003)), at(30_003));
    }

    #[test]
    fn a_restart_counts_what_may_have_left_after_the_last_snapshot() {
        let mut pace = Limiter::new(budget(10, 300), Vec::new(), None, at(0));
        for ahead in [1, 2] {
            assert_eq!(pace.spend(at(0)), Persist::First);
            let spent = pace.remember(true, at(0));
            let left = pace.left(at(0)) - ahead;
            for _ in 0..ahead {
                assert_eq!(pace.spend(at(1)), Persist::NotNeeded);
            }
            assert_eq!(Limiter::new(budget(10, 300), spent, None, at(2)).left(at(2)), left);
        }
        assert_eq!(pace.spend(at(1)), Persist::First);
        let spent = pace.remember(false, at(1));
        assert_eq!(
            Limiter::new(budget(10, 300), spent, None, at(2)).left(at(2)),
            pace.left(at(2)),
            "at rest, exactly"
        );
    }
}
