//! What keeping names costs in requests to Cloudflare's API: a table, and an exit with 1 when a target
//! is missed. Counts do not depend on the machine, so any profile does:
//! `cargo bench --bench requests --profile dev`.

#[path = "requests/household.rs"]
mod household;
#[path = "requests/targets.rs"]
mod targets;

use std::process::ExitCode;

use household::measure;
use targets::{HEADING, OTHERS_CHANGE, OTHERS_COLD_START, SIZES};

#[expect(clippy::print_stdout, reason = "the table is the result")]
fn main() -> ExitCode {
    println!("Requests to Cloudflare's API; every name has an A and an AAAA record.\n\n{HEADING}");
    let mut missed = Vec::new();
    for size in SIZES {
        let costs = measure(size);
        println!("{}", targets::row(size, &costs));
        missed.extend(targets::missed(size, &costs));
    }
    println!("\n{}", targets::beside_others(&measure(OTHERS_COLD_START), &measure(OTHERS_CHANGE)));
    for target in &missed {
        println!("missed: {target}");
    }
    if missed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
