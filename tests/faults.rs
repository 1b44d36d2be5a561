//! Checks `tests/faults.md`: every fault of systems has a row, every file that a row names exists, and CI runs every
//! script. What the files show is theirs to say.

#![expect(clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::path::Path;

/// The faults of systems: of systemd, containers and failing system calls, of time and of disks. Their
/// numbers stay what they are; a new fault gets a new one.
const OF_SYSTEMS: [u32; 27] = [
    1, 11, 13, 16, 20, 22, 36, 60, 68, 69, 70, 71, 72, 73, 74, 75, 76, 77, 78, 79, 80, 81, 82, 83, 84, 85, 87,
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// What shows each fault, by its number.
fn rows() -> BTreeMap<u32, String> {
    let mut rows = BTreeMap::new();
    for line in read("tests/faults.md").lines().filter(|line| line.starts_with("| ")) {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        let Some(number) = cells[0].parse().ok() else { continue };
        assert_eq!(cells.len(), 3, "{line}");
        assert!(!cells[2].is_empty(), "nothing shows {number}");
        assert!(rows.last_key_value().is_none_or(|(last, _)| *last < number), "{number} is out of order");
        rows.insert(number, cells[2].to_owned());
    }
    rows
}

#[test]
fn every_fault_of_systems_has_a_row() {
    let rows = rows();
    let missing: Vec<u32> = OF_SYSTEMS.into_iter().filter(|number| !rows.contains_key(number)).collect();
    assert!(missing.is_empty(), "without a row: {missing:?}");
}

#[test]
fn every_file_that_a_row_names_exists_and_ci_runs_every_script() {
    let ci = read(".ci/run") + &read(".ci/all");
    let mut scripts = 0;
    for (number, shown_by) in rows() {
        for path in shown_by.split('`').skip(1).step_by(2) {
            assert!(root().join(path).is_file(), "{number}: there is no {path}");
            let Some(script) = path.strip_prefix("tests/environments/") else { continue };
            assert!(ci.contains(&format!("environment {script}")), "{number}: CI does not run {script}");
            scripts += 1;
        }
    }
    assert!(scripts >= 20, "only {scripts} scripts are named");
}
