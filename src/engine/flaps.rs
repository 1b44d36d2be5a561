//! Whether an address that was left may be published again: a line that goes back and forth is held.
//!
//! In ten minutes a line may return once to an address that it left. The next return is held: what is
//! published stays, for longer each time. The value is the whole memory of it, so that a snapshot can
//! carry it. Deliberately unknown: sources, and how an address comes to be believed.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use super::names::Moment;

/// Coming back to an address that was left less than this ago is a return; one return in this time is let through.
const WINDOW: Duration = Duration::from_secs(600);
/// The first hold. Each further one is twice as long.
const FIRST_HOLD: Duration = Duration::from_secs(600);
/// The longest hold.
pub const LONGEST_HOLD: Duration = Duration::from_secs(7200);
/// Time without a return after which holds begin with the first one again.
const FLAP_MEMORY: Duration = Duration::from_secs(3600);
/// The newest addresses that were left are remembered, at most this many.
const MOST_LEFT: usize = 64;

/// What a line's address did lately. The default: nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Flaps {
    /// The addresses that were left, and when each was left last.
    pub left: BTreeMap<IpAddr, Moment>,
    /// When an address that had been left was last published again.
    pub returned_at: Option<Moment>,
    /// Until when returns are held. In the past: the next look decides.
    pub held_until: Option<Moment>,
    /// Holds since there last was an hour of calm.
    pub holds: u32,
    /// When the line last returned, or would have.
    pub flapped_at: Option<Moment>,
}

impl Flaps {
    /// Whether this address may be published in place of another one.
    ///
    /// # Errors
    /// Until when it is held.
    pub fn admit(&mut self, address: IpAddr, now: Moment) -> Result<(), Moment> {
        let held = self.held_until.filter(|until| *until > now);
        if held.is_none() {
            self.forget_if_calm(now);
        }
        // What was left before a hold began is held to its end, and the look after it is part of it.
        if self.held_until.is_none() {
            self.forget_left(now);
        }
        let returns = self.left.contains_key(&address);
        self.held_until = held;
        if !returns {
            return Ok(());
        }
        self.flapped_at = Some(now);
        if held.is_none() {
            if self.returned_at.is_none_or(|at| now.since(at) >= WINDOW) {
                self.returned_at = Some(now);
                return Ok(());
            }
            let longer = 1_u32.checked_shl(self.holds).unwrap_or(u32::MAX);
            self.held_until = Some(now + FIRST_HOLD.saturating_mul(longer).min(LONGEST_HOLD));
            self.holds = self.holds.saturating_add(1);
        }
        self.held_until.map_or(Ok(()), Err)
    }

    /// This address is no longer the published one.
    pub fn leave(&mut self, address: IpAddr, now: Moment) {
        self.left.insert(address, now);
        if self.left.len() > MOST_LEFT {
            let oldest = self.left.iter().min_by_key(|(_, at)| **at).map(|(address, _)| *address);
            oldest.and_then(|oldest| self.left.remove(&oldest));
        }
    }

    /// A look found that what is published is right.
    pub fn stay(&mut self, now: Moment) {
        self.held_until = self.held_until.filter(|until| *until > now);
        self.forget_if_calm(now);
        if self.held_until.is_none() {
            self.forget_left(now);
        }
    }

    /// Ends the hold, and lets the next return through: somebody knows that what is published is wrong.
    pub fn release(&mut self) {
        self.held_until = None;
        self.returned_at = None;
    }

    /// As it may be after a time in which the clock may have been changed: nothing lies ahead but a
    /// hold, and that no further than a hold can.
    pub fn remembered(mut self, now: Moment) -> Flaps {
        self.held_until = self.held_until.map(|until| until.min(now + LONGEST_HOLD));
        let past = |at: Option<Moment>| at.map(|at| at.min(now));
        self.returned_at = past(self.returned_at);
        self.flapped_at = past(self.flapped_at);
        self.left.values_mut().for_each(|at| *at = now.min(*at));
        self
    }

    fn forget_if_calm(&mut self, now: Moment) {
        if self.flapped_at.is_some_and(|at| now.since(at) >= FLAP_MEMORY) {
            *self = Flaps { left: std::mem::take(&mut self.left), ..Flaps::default() };
        }
    }

    fn forget_left(&mut self, now: Moment) {
        self.left.retain(|_, at| now.since(*at) < WINDOW);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ip(last: u8) -> IpAddr {
        IpAddr::from([203, 0, 113, last])
    }

    fn at(seconds: u64) -> Moment {
        Moment::from_millis(1_000_000_000) + Duration::from_secs(seconds)
    }

    const MINUTE: u64 = 60;
    const HOUR: u64 = 3600;

    /// A line, and the address that is published for it.
    struct Line {
        flaps: Flaps,
        published: u8,
    }

    impl Line {
        fn new() -> Line {
            Line { flaps: Flaps::default(), published: 1 }
        }

        /// A look finds this address. `Err`: it is held.
        fn is_at(&mut self, address: u8, now: u64) -> Result<(), Moment> {
            if address == self.published {
                self.flaps.stay(at(now));
                return Ok(());
            }
            self.flaps.admit(ip(address), at(now))?;
            self.flaps.leave(ip(self.published), at(now));
            self.published = address;
            Ok(())
        }
    }

    #[test]
    fn a_line_that_fails_over_and_back_is_followed_and_its_second_return_is_held() {
        let mut line = Line::new();
        assert_eq!(line.is_at(2, MINUTE), Ok(()));
        assert_eq!(line.is_at(1, 2 * MINUTE), Ok(()), "the first return");
        assert_eq!(line.is_at(2, 3 * MINUTE), Err(at(13 * MINUTE)));
        assert_eq!(line.is_at(3, 4 * MINUTE), Ok(()), "a third address goes through");
        assert_eq!(line.is_at(1, 5 * MINUTE), Err(at(13 * MINUTE)), "any address that was left is held");
        assert_eq!(line.is_at(2, 13 * MINUTE), Ok(()), "until the hold is over");
    }

    #[test]
    fn a_hold_that_the_line_does_not_outlive_ends_without_a_change() {
        let mut line = Line::new();
        for (address, minute) in [(2, 1), (1, 2)] {
            assert_eq!(line.is_at(address, minute * MINUTE), Ok(()));
        }
        assert!(line.is_at(2, 3 * MINUTE).is_err());
        assert_eq!(line.is_at(1, 13 * MINUTE), Ok(()));
        assert_eq!((line.flaps.held_until, line.published), (None, 1));
    }

    #[test]
    fn each_hold_is_twice_as_long_up_to_two_hours_and_an_hour_of_calm_forgets() {
        let (mut line, mut now, mut holds) = (Line::new(), 0, Vec::new());
        while holds.len() < 7 {
            now += MINUTE;
            if let Err(until) = line.is_at(3 - line.published, now) {
                holds.push(at(now).until(until).as_secs() / MINUTE);
                while line.is_at(3 - line.published, now).is_err() {
                    now += MINUTE;
                }
            }
        }
        assert_eq!(holds, [10, 20, 40, 80, 120, 120, 120]);
        let calm = line.published;
        for minute in 0..=60 {
            assert_eq!(line.is_at(calm, now + minute * MINUTE), Ok(()));
        }
        now += HOUR;
        for _ in 0..2 {
            assert_eq!(line.is_at(3 - line.published, now + MINUTE), Ok(()));
        }
        let held = line.is_at(3 - line.published, now + 2 * MINUTE);
        assert_eq!(held, Err(at(now + 12 * MINUTE)));
    }

    #[test]
    fn a_release_ends_the_hold_and_the_line_is_damped_all_the_same() {
        let mut line = Line::new();
        for (address, minute) in [(2, 1), (1, 2)] {
            assert_eq!(line.is_at(address, minute * MINUTE), Ok(()));
        }
        assert!(line.is_at(2, 3 * MINUTE).is_err());
        line.flaps.release();
        assert_eq!(line.is_at(2, 4 * MINUTE), Ok(()));
        assert_eq!(line.is_at(1, 5 * MINUTE), Err(at(25 * MINUTE)), "the second hold, after four returns");
    }

    #[test]
    fn a_clock_that_was_set_back_holds_nothing_for_longer_than_a_hold() {
        let mut line = Line::new();
        for (address, minute) in [(2, 1), (1, 2), (2, 3)] {
            let _ = line.is_at(address, minute * MINUTE);
        }
        let early = Moment::from_millis(1_000);
        let flaps = line.flaps.remembered(early);
        assert_eq!(flaps.held_until, Some(early + LONGEST_HOLD));
        assert!(flaps.left.values().chain(&flaps.returned_at).all(|at| *at <= early));
    }

    proptest! {
        /// Wherever the line goes and whenever it is looked at: in no ten minutes does it return twice to
        /// what it left in them, what it did not leave is never held, and no hold outlives its time.
        #[test]
        fn a_line_returns_once_in_ten_minutes_and_is_held_for_nothing_else(
            looks in prop::collection::vec((1_u64..20 * MINUTE, 1_u8..6), 1..200),
        ) {
            let (mut line, mut now) = (Line::new(), 0);
            let mut left: Vec<(u8, u64)> = Vec::new();
            let (mut returns, mut hold): (Vec<u64>, Option<(u64, Moment)>) = (Vec::new(), None);
            for (wait, address) in looks {
                now += wait;
                let before = line.published;
                let answer = line.is_at(address, now);
                let left_since = |since: u64| left.iter().any(|(a, when)| *a == address && when + 600 > since);
                if let Err(until) = answer {
                    let begun = hold.filter(|(_, end)| *end == until).map_or(now, |(begun, _)| begun);
                    prop_assert!(left_since(begun), "{address} was not left");
                    prop_assert!(until > at(now) && until <= at(begun) + LONGEST_HOLD);
                    prop_assert!(until >= at(begun) + FIRST_HOLD);
                    hold = Some((begun, until));
                } else if address != before {
                    if left_since(now) {
                        prop_assert!(returns.iter().all(|when| when + 600 <= now), "twice, at {returns:?} and {now}");
                        returns.push(now);
                    }
                    left.push((before, now));
                }
            }
        }
    }
}
