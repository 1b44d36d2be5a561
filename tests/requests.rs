//! The counts of `benches/requests.rs`, held to their targets.

#![cfg(feature = "sandbox")]

#[path = "../benches/requests/household.rs"]
mod household;
#[path = "../benches/requests/targets.rs"]
mod targets;

use household::{Bill, Costs, measure};
use targets::{HEADING, OTHERS_CHANGE, OTHERS_COLD_START, SIZES, beside_others, missed, row};

#[test]
fn requests_stay_within_their_targets_at_every_size() {
    for size in SIZES.into_iter().chain([OTHERS_CHANGE, household::Size { names: 2_000, zones: 2 }]) {
        let costs = measure(size);
        assert_eq!(missed(size, &costs), Vec::<String>::new());
        // What costs nothing proves nothing unless something was done.
        assert!(costs.cold_start.batches >= size.zones && costs.change.batches >= size.zones, "{costs:?}");
        assert!(costs.day.lists >= 4 * size.zones, "{costs:?}");
    }
}

/// What 100 names in 5 zones may cost at most.
fn just_good_enough() -> Costs {
    let nothing = Bill::default();
    let writes = Bill { batches: 5, ..nothing };
    Costs {
        cold_start: Bill { zones: 1, lists: 5, batches: 5 },
        quiet_hours: nothing,
        quiet_saves: 0,
        day: Bill { zones: 5, lists: 25, ..nothing },
        restart: nothing,
        change: Bill { lists: 5, ..writes },
        change_saved: 400 * 200,
    }
}

#[test]
fn a_target_that_is_missed_by_one_is_said() {
    let good = just_good_enough();
    assert!(missed(OTHERS_COLD_START, &good).is_empty());
    let more = |bill: Bill| Bill { batches: bill.batches + 1, ..bill };
    let worse = [
        Costs { cold_start: more(good.cold_start), ..good },
        Costs { quiet_hours: more(good.quiet_hours), ..good },
        Costs { quiet_saves: 1, ..good },
        Costs { day: more(good.day), ..good },
        Costs { day: Bill { batches: 1, lists: 24, ..good.day }, ..good },
        Costs { restart: more(good.restart), ..good },
        Costs { change: more(good.change), ..good },
        Costs { change_saved: 10 * good.change_saved, ..good },
    ];
    for costs in worse {
        assert!(!missed(OTHERS_COLD_START, &costs).is_empty(), "{costs:?}");
    }
}

#[test]
fn every_figure_stands_below_its_heading() {
    let costs = just_good_enough();
    let row = row(OTHERS_COLD_START, &costs);
    let bars = |line: &str| -> Vec<usize> {
        line.chars().enumerate().filter(|(_, c)| ['│', '┼'].contains(c)).map(|(at, _)| at).collect()
    };
    for line in HEADING.lines() {
        assert_eq!(bars(line), bars(&row), "{line}\n{row}");
    }
    assert!(row.starts_with("  100     5 │         11 "), "{row}");
    let others = beside_others(&costs, &costs);
    assert!(others.contains("27.7"), "{others}");
}
