//! What each kind of day may cost at most, and the table that shows what it does cost.
//!
//! Deliberately unknown: how the figures are come by.

use std::fmt::Write as _;

use crate::household::{Bill, Costs, Size};

/// Operations in one batch, and zones on a page of them: what Cloudflare allows everybody.
const OPERATIONS: usize = 200;
const ZONES_ON_A_PAGE: usize = 50;

/// What is measured.
pub const SIZES: [Size; 7] = [
    Size { names: 1, zones: 1 },
    Size { names: 100, zones: 1 },
    Size { names: 1_000, zones: 1 },
    Size { names: 100, zones: 5 },
    Size { names: 1_000, zones: 5 },
    Size { names: 100, zones: 50 },
    Size { names: 1_000, zones: 50 },
];

/// The size at which another program's cold start was counted.
pub const OTHERS_COLD_START: Size = Size { names: 100, zones: 5 };
/// The size at which other programs' change of 100 records in 10 zones was counted.
pub const OTHERS_CHANGE: Size = Size { names: 50, zones: 10 };

/// Batches that it takes to write every record once.
fn writes(size: Size) -> usize {
    let records = |zone: usize| 2 * (zone..size.names).step_by(size.zones).count();
    (0..size.zones).map(|zone| records(zone).div_ceil(OPERATIONS)).sum()
}

/// Every zone listed in one page, and found; where one name is kept and asked for, its delegations, too.
fn lists(size: Size) -> usize {
    let single = (0..size.zones).filter(|zone| (*zone..size.names).step_by(size.zones).count() == 1);
    size.zones + size.zones.div_ceil(ZONES_ON_A_PAGE) + single.count()
}

/// Every zone read before it is written.
fn changes(size: Size) -> usize {
    size.zones + writes(size)
}

/// Every record saved once, and something small with every request.
fn bytes(size: Size) -> usize {
    400 * 2 * size.names + 10_000 * changes(size)
}

/// What was missed of the targets, a sentence each; empty when all are met.
pub fn missed(size: Size, costs: &Costs) -> Vec<String> {
    let nothing = |what: &str, bill: Bill| (what.to_owned(), bill.total(), 0);
    let writes_in = |what: &str, bill: Bill| (format!("writes in {what}"), bill.batches, 0);
    // A copy is believed for six hours less a tenth at most, so five times a day is the most.
    let refreshes = 5 * lists(size);
    let checks = [
        ("a cold start".to_owned(), costs.cold_start.total(), lists(size) + writes(size)),
        nothing("quiet hours", costs.quiet_hours),
        ("saves in quiet hours".to_owned(), costs.quiet_saves, 0),
        ("the refreshes of a day".to_owned(), costs.day.total(), refreshes),
        writes_in("a day without a change", costs.day),
        nothing("a restart", costs.restart),
        ("a change of both addresses".to_owned(), costs.change.total(), changes(size)),
        ("bytes saved in a change".to_owned(), costs.change_saved, bytes(size)),
    ];
    let Size { names, zones } = size;
    checks
        .into_iter()
        .filter(|(_, is, most)| is > most)
        .map(|(what, is, most)| format!("{names} names in {zones} zones: {what}: {is}, target {most}"))
        .collect()
}

/// The heading of the table.
pub const HEADING: &str = "\
names zones │ cold start  zones  lists batches  target │ 5 quiet h  restart │ refreshes a day │ change  target
────────────┼──────────────────────────────────────────┼────────────────────┼─────────────────┼───────────────";

/// A line of the table.
pub fn row(size: Size, costs: &Costs) -> String {
    let Costs { cold_start: cold, quiet_hours, day, restart, change, .. } = costs;
    format!(
        "{:>5} {:>5} │ {:>10}  {:>5} {:>6} {:>7}  {:>6} │ {:>9}  {:>7} │ {:>15} │ {:>6}  {:>6}",
        size.names,
        size.zones,
        cold.total(),
        cold.zones,
        cold.lists,
        cold.batches,
        lists(size) + writes(size),
        quiet_hours.total(),
        restart.total(),
        day.total(),
        change.total(),
        changes(size),
    )
}

/// What others need for the same, as counted on loopback in November 2026: favonia is
/// favonia/cloudflare-ddns 1.17.0, timothymiller is timothymiller/cloudflare-ddns 2.2.0.
pub fn beside_others(cold_start: &Costs, change: &Costs) -> String {
    let records = 2 * OTHERS_COLD_START.names;
    let (cold, quiet) = (cold_start.cold_start.total(), cold_start.quiet_hours.total());
    let change = change.change.total();
    let rows = [
        ("cold start, 100 names in 5 zones", "favonia", 305, cold),
        ("", "timothymiller", 4 * records, cold),
        ("each look while nothing changes, the same", "favonia", 0, quiet),
        ("", "timothymiller", 3 * records, quiet),
        ("change of 100 records in 10 zones", "favonia", 100, change),
        ("", "timothymiller", 400, change),
    ];
    let mut text = format!("{:42} {:14} {:>7} {:>8}  ratio\n", "beside others", "", "theirs", "stayput");
    for (what, who, theirs, ours) in rows {
        let ratio = match (theirs, ours) {
            (0, 0) => "same".to_owned(),
            (_, 0) => "–".to_owned(),
            (theirs, ours) => format!("{:.1}", theirs as f64 / ours as f64),
        };
        let _infallible = writeln!(text, "{what:42} {who:14} {theirs:>7} {ours:>8}  {ratio:>5}");
    }
    text
}
