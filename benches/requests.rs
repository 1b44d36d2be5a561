//! What keeping names costs in requests to Cloudflare's API: a table, and the targets that it must
//! meet. `cargo bench --bench requests`; counts do not depend on the machine.

#[path = "requests/household.rs"]
mod household;

fn main() {
    for (n, z) in [(1, 1), (100, 1), (100, 5), (100, 50), (1000, 1), (1000, 5), (1000, 50)] {
        println!("{n} {z} {:#?}", household::measure(household::Size { names: n, zones: z }));
    }
}
