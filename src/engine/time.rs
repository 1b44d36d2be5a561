//! Two clocks that are read together, so that an instant of one is known on the other.
//!
//! Deliberately unknown: how a clock is read.

use std::time::{Duration, SystemTime};

use super::names::Moment;

/// The wall clock and the engine's clock, read together: turns instants of one into the other.
#[derive(Clone, Copy, Debug)]
pub struct ClockPair {
    wall: SystemTime,
    moment: Moment,
}

impl ClockPair {
    /// Two clocks that show these instants at the same time.
    pub fn at(wall: SystemTime, moment: Moment) -> ClockPair {
        ClockPair { wall, moment }
    }

    /// The instant that both clocks show.
    pub fn moment(self) -> Moment {
        self.moment
    }

    /// When `moment` is, on the wall. An instant before 1970 is 1970.
    pub fn to_wall(self, moment: Moment) -> SystemTime {
        let wall = if moment <= self.moment {
            self.wall.checked_sub(self.moment.since(moment))
        } else {
            self.wall.checked_add(self.moment.until(moment))
        };
        wall.unwrap_or(SystemTime::UNIX_EPOCH).max(SystemTime::UNIX_EPOCH)
    }

    /// The instant at which the wall clock shows `wall`: in the future by `ahead` at most.
    pub fn to_moment(self, wall: SystemTime, ahead: Duration) -> Moment {
        match wall.duration_since(self.wall) {
            Ok(to_come) => self.moment + to_come.min(ahead),
            Err(past) => self.moment - past.duration(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_survives_the_way_to_the_wall_and_back() {
        let wall = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        let both = ClockPair::at(wall, Moment::from_millis(5_000));
        for millis in [-90_000_000, 0, 4_999, 5_000] {
            let moment = Moment::from_millis(millis);
            assert_eq!(both.to_moment(both.to_wall(moment), Duration::ZERO), moment);
        }
    }

    #[test]
    fn a_stamp_is_no_further_in_the_future_than_it_may_be() {
        let both = ClockPair::at(SystemTime::UNIX_EPOCH, Moment::from_millis(7));
        let later = SystemTime::UNIX_EPOCH + Duration::from_secs(60);
        for (ahead, millis) in [(0, 7), (59, 59_007), (60, 60_007), (61, 60_007)] {
            let moment = both.to_moment(later, Duration::from_secs(ahead));
            assert_eq!(moment, Moment::from_millis(millis));
        }
    }

    #[test]
    fn an_instant_before_1970_is_1970() {
        let both = ClockPair::at(SystemTime::UNIX_EPOCH, Moment::from_millis(0));
        assert_eq!(both.to_wall(Moment::from_millis(-5)), SystemTime::UNIX_EPOCH);
    }
}
