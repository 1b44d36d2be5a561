//! Holds `tests/faults.md` complete: every fault that must be shown under a real system is there, and
//! whatever it names exists, is a test, and is run.

#![expect(clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// The faults of systems: of systemd, containers and failing system calls, of time and of disks. Their
/// numbers stay what they are; a new fault gets a new one.
const OF_SYSTEMS: [u32; 27] = [
    1, 11, 13, 16, 20, 22, 36, 60, 68, 69, 70, 71, 72, 73, 74, 75, 76, 77, 78, 79, 80, 81, 82, 83, 84, 85, 87,
];

struct Row {
    fault: String,
    shown_by: Vec<String>,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The rows of the table by number; what shows a fault stands in backquotes in the last column.
fn table() -> BTreeMap<u32, Row> {
    let mut rows = BTreeMap::new();
    let mut last = 0;
    for line in read("tests/faults.md").lines().filter(|line| line.starts_with("| ")) {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        let Some(number) = cells.first().and_then(|cell| cell.parse().ok()) else { continue };
        assert_eq!(cells.len(), 3, "{line}");
        assert!(number > last, "{number} stands behind {last}");
        last = number;
        let shown_by = cells[2].split('`').skip(1).step_by(2).map(str::to_owned).collect();
        rows.insert(number, Row { fault: cells[1].to_owned(), shown_by });
    }
    rows
}

/// Why what is named is no test that runs; `None`: it is one.
fn trouble_with(name: &str) -> Option<String> {
    if let Some((script, check)) = name.split_once(": ") {
        let text = read(&format!("tests/{script}"));
        let begins = format!("check \"{check}\"");
        let is_run = |line: &str| !line.trim_start().starts_with('#') && line.contains(&begins);
        let checks = text.lines().any(is_run);
        return (!checks).then(|| format!("there is no such check in tests/{script}"));
    }
    let Some((path, function)) = name.rsplit_once("::") else {
        return Some("it names neither a function nor a check".into());
    };
    let text = read(path);
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let begins = [format!("fn {function}("), format!("async fn {function}(")];
    let Some(at) = lines.iter().position(|line| begins.iter().any(|begin| line.starts_with(begin))) else {
        return Some(format!("there is no such function in {path}"));
    };
    let above = lines[..at].iter().rev().take_while(|line| line.starts_with("#[") || line.starts_with("//"));
    let attributes: Vec<&&str> = above.collect();
    let is_test = attributes.iter().any(|line| ["#[test]", "#[tokio::test]"].contains(&**line));
    // What is left out for what it needs is run where that is installed.
    let is_left_out = attributes
        .iter()
        .any(|line| line.starts_with("#[ignore") && !line.starts_with("#[ignore = \"needs "));
    // The property tests stand inside a macro that takes the attribute as it is.
    (!is_test || is_left_out).then(|| "it is no test".into())
}

#[test]
fn every_fault_of_systems_is_in_the_table() {
    let rows = table();
    let missing: Vec<u32> = OF_SYSTEMS.into_iter().filter(|number| !rows.contains_key(number)).collect();
    assert!(missing.is_empty(), "without a row: {missing:?}");
}

#[test]
fn every_row_names_tests_that_there_are() {
    let rows = table();
    assert!(rows.len() >= OF_SYSTEMS.len(), "only {} rows were read", rows.len());
    let mut troubles = Vec::new();
    for (number, row) in &rows {
        if row.shown_by.is_empty() {
            troubles.push(format!("{number} ({}): nothing shows it", row.fault));
        }
        for name in &row.shown_by {
            troubles.extend(trouble_with(name).map(|why| format!("{number}: {name}: {why}")));
        }
    }
    assert!(troubles.is_empty(), "{}", troubles.join("\n"));
}

#[test]
fn every_script_that_the_table_names_is_run_by_ci() {
    let ci = read(".ci/run") + &read(".ci/all");
    let mut seen = 0;
    for name in table().values().flat_map(|row| &row.shown_by) {
        let Some((script, _)) = name.split_once(": ") else { continue };
        let script = script.trim_start_matches("environments/");
        assert!(ci.contains(&format!("environment {script}")), "CI does not run {script}");
        seen += 1;
    }
    assert!(seen >= 20, "only {seen} checks of scripts are named");
}

#[test]
fn what_is_not_there_is_noticed() {
    assert_eq!(trouble_with("tests/faults.rs::what_is_not_there_is_noticed"), None);
    assert!(trouble_with("tests/faults.rs::table").unwrap().contains("no test"));
    assert!(trouble_with("tests/faults.rs::nobody").unwrap().contains("no such function"));
    assert!(trouble_with("environments/systemd: nobody checks this").unwrap().contains("no such check"));
    assert!(trouble_with("nothing").is_some());
}
