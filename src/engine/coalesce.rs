//! Letting changes of all lines of a WAN travel together: a connection that gets a new IPv4 address often
//! gets a new IPv6 prefix in the same moment, and one batch a zone can carry both.
//!
//! Deliberately unknown: zones, records, and how a look goes.

use std::collections::BTreeMap;
use std::time::Duration;

use super::names::{Line, Moment};
use super::watch::Watch;

/// How long a write waits at most for the look at the other lines. A source that does not answer
/// takes longer, and must not hold up what is known.
const PATIENCE: Duration = Duration::from_secs(2);

/// Whether writes wait for a look.
#[derive(Clone, Copy, Debug, Default)]
pub struct Coalesce {
    until: Option<Moment>,
}

impl Coalesce {
    /// One line has changed: looks at the others of its WAN at once, and lets writes wait for them a little.
    pub fn begin(&mut self, changed: Line, watches: &mut BTreeMap<Line, Watch>, now: Moment) {
        if self.until.is_some_and(|until| until > now) {
            return;
        }
        let others = watches.iter_mut().filter(|(line, _)| line.wan == changed.wan && **line != changed);
        others.for_each(|(_, watch)| watch.look_now(now));
        self.until = Some(now + PATIENCE);
    }

    /// Until when writes wait, if they do; earlier, once no look is under way any more.
    pub fn until(&self, watches: &BTreeMap<Line, Watch>, now: Moment) -> Option<Moment> {
        let until = self.until.filter(|until| *until > now)?;
        let looks = |watch: &Watch| watch.is_looking() || watch.wants_at().is_some_and(|at| at <= now);
        watches.values().any(looks).then_some(until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::names::Family;
    use crate::engine::settings::Source;

    const V4: Line = Line::only(Family::V4);
    const V6: Line = Line::only(Family::V6);

    fn at(millis: i64) -> Moment {
        Moment::from_millis(millis)
    }

    /// Both families, each with one source, each to be looked at in an hour.
    fn watches() -> BTreeMap<Line, Watch> {
        let source = Source { label: "one".into(), operator: "one".into(), trace: false };
        let hour = Duration::from_secs(3600);
        let watch = || Watch::new(std::slice::from_ref(&source), 1, hour, at(0) + hour);
        [(V4, watch()), (V6, watch())].into()
    }

    fn hear(watches: &mut BTreeMap<Line, Watch>, line: Line, text: &str, now: Moment) {
        let mut rng = fastrand::Rng::with_seed(1);
        let watch = watches.get_mut(&line).unwrap();
        assert!(watch.next_source(now).is_some(), "{line} is not looked at");
        assert!(watch.heard(0, Ok(text.parse().unwrap()), now, &mut rng).is_some());
    }

    #[test]
    fn a_change_of_one_family_has_the_other_looked_at_and_waits_for_it() {
        let (mut coalesce, mut watches) = (Coalesce::default(), watches());
        assert_eq!(coalesce.until(&watches, at(0)), None);
        coalesce.begin(V4, &mut watches, at(0));
        assert_eq!(coalesce.until(&watches, at(0)), Some(at(2_000)));
        assert_eq!(watches[&V4].wants_at(), Some(at(3_600_000)), "it has just been looked at");
        hear(&mut watches, V6, "2a01::1", at(100));
        assert_eq!(coalesce.until(&watches, at(100)), None, "nothing is left to wait for");
    }

    #[test]
    fn a_look_that_takes_long_is_not_waited_for() {
        let (mut coalesce, mut watches) = (Coalesce::default(), watches());
        coalesce.begin(V4, &mut watches, at(0));
        watches.get_mut(&V6).unwrap().next_source(at(0));
        assert_eq!(coalesce.until(&watches, at(1_999)), Some(at(2_000)));
        assert_eq!(coalesce.until(&watches, at(2_000)), None);
    }

    #[test]
    fn the_second_change_does_not_begin_it_anew() {
        let (mut coalesce, mut watches) = (Coalesce::default(), watches());
        coalesce.begin(V4, &mut watches, at(0));
        hear(&mut watches, V6, "2a01::1", at(100));
        coalesce.begin(V6, &mut watches, at(100));
        assert_eq!(watches[&V4].wants_at(), Some(at(3_600_000)));
        assert_eq!(coalesce.until(&watches, at(100)), None);
    }
}
