//! Holds the source to the rules of the house that a compiler does not know: which room may know which,
//! how files begin, how long they are, what things are called.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// What each room may know of the others. `engine::names` is that part only, `engine` is all of it.
const MAY_KNOW: [(&str, &[&str]); 11] = [
    ("engine", &[]),
    ("mask", &[]),
    ("outbound", &["engine::names", "mask"]),
    ("process", &["outbound"]),
    ("detect", &["engine::names", "engine::watch", "engine::ranges", "outbound", "process"]),
    (
        "cloudflare",
        &[
            "engine::names",
            "engine::api",
            "engine::failure",
            "engine::settings",
            "mask",
            "outbound",
            "process",
        ],
    ),
    ("report", &["engine::names", "engine::notice", "engine::Status", "mask"]),
    (
        "config",
        &[
            "engine::names",
            "engine::ranges",
            "engine::settings",
            "detect::Source",
            "detect::BuiltIn",
            "cloudflare::credential",
            "mask",
            "outbound::Authorities",
            "outbound::BadPem",
        ],
    ),
    ("sandbox", &["engine::names", "engine::ranges", "engine::settings"]),
    ("daemon", &["engine", "detect", "cloudflare", "report", "config", "mask", "outbound::Authorities"]),
    (
        "cli",
        &[
            "engine",
            "detect",
            "cloudflare",
            "report",
            "config",
            "daemon",
            "sandbox",
            "mask",
            "outbound::BUILT_AT",
            "process",
        ],
    ),
];

/// Names that say nothing.
const SAYS_NOTHING: [&str; 8] = ["util", "helper", "common", "manager", "service", "handler", "data", "info"];

/// The longest file, in lines; those that are longer today may not grow.
const LONGEST: usize = 700;
const LONGER: [(&str, usize); 2] = [("src/engine/machine.rs", 900), ("src/daemon/mod.rs", 900)];

/// A file of the source, without its comments.
struct Source {
    /// Below the repository, such as `src/engine/names.rs`.
    path: String,
    whole: String,
    code: String,
}

impl Source {
    /// The part before the tests; nothing of a file that is tests.
    fn outside_tests(&self) -> &str {
        let is_tests = self.path.contains("/tests/") || self.path.ends_with("/tests.rs");
        // Tests in a file of their own are declared among the modules, before all that is to be looked at.
        let begins = |at: &usize| !self.code[*at..].starts_with("#[cfg(test)]\nmod tests;");
        let mut ends = self.code.match_indices("#[cfg(test)]\n").map(|(at, _)| at).filter(begins);
        let end = if is_tests { 0 } else { ends.next().unwrap_or(self.code.len()) };
        &self.code[..end]
    }

    fn room(&self) -> Option<&str> {
        let inside = self.path.strip_prefix("src/")?;
        let room = inside.split('/').next()?.trim_end_matches(".rs");
        (room != "main" && room != "lib").then_some(room)
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn walk(folder: &Path, into: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, into);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            into.push(path);
        }
    }
}

fn sources(folder: &str) -> Vec<Source> {
    let mut paths = Vec::new();
    walk(&root().join(folder), &mut paths);
    paths.sort();
    let read = |path: PathBuf| {
        let whole = std::fs::read_to_string(&path).unwrap();
        let is_code = |line: &&str| !line.trim_start().starts_with("//");
        let code: Vec<&str> = whole.lines().filter(is_code).collect();
        let path = path.strip_prefix(root()).unwrap().display().to_string();
        Source { path, code: code.join("\n"), whole }
    };
    paths.into_iter().map(read).collect()
}

/// Every path below `crate::` in a text, its braces taken apart: `crate::a::{b, c::d}` is `a::b` and `a::c::d`.
fn known(code: &str) -> BTreeSet<String> {
    let mut paths = BTreeSet::new();
    for (at, prefix) in code.match_indices("crate::") {
        let before = code[..at].chars().next_back();
        if before.is_some_and(|char| char.is_alphanumeric() || char == '_') {
            continue;
        }
        take_apart(&code[at + prefix.len()..], "", &mut paths);
    }
    paths
}

/// Reads one path, or a group of them in braces; returns what follows.
fn take_apart<'a>(text: &'a str, before: &str, into: &mut BTreeSet<String>) -> &'a str {
    let text = text.trim_start();
    if let Some(mut rest) = text.strip_prefix('{') {
        loop {
            rest = take_apart(rest, before, into).trim_start();
            match rest.chars().next() {
                Some(',') => rest = rest[1..].trim_start(),
                Some('}') => return &rest[1..],
                _ => return rest,
            }
            if let Some(after) = rest.strip_prefix('}') {
                return after;
            }
        }
    }
    let end = text.find(|char: char| !char.is_alphanumeric() && char != '_').unwrap_or(text.len());
    let (word, rest) = text.split_at(end);
    let path = match (before, word) {
        (_, "") => return rest,
        (before, "self") => before.to_owned(),
        ("", word) => word.to_owned(),
        (before, word) => format!("{before}::{word}"),
    };
    match rest.strip_prefix("::") {
        Some(rest) => take_apart(rest, &path, into),
        None => {
            into.insert(path);
            // An alias is not a part of the path.
            let rest = rest.trim_start();
            rest.strip_prefix("as ").map_or(rest, |alias| {
                alias.trim_start().trim_start_matches(|char: char| char.is_alphanumeric() || char == '_')
            })
        }
    }
}

fn allows(allowed: &[&str], path: &str) -> bool {
    allowed.iter().any(|allowed| path == *allowed || path.starts_with(&format!("{allowed}::")))
}

#[test]
fn the_walk_sees_every_file_that_is_declared() {
    let sources = sources("src");
    let declared = |source: &Source| {
        let lines = source.code.lines().map(str::trim);
        let modules = lines.filter(|line| {
            line.strip_suffix(';').is_some_and(|line| {
                let line = line.trim_start_matches("pub ").trim_start_matches("pub(crate) ");
                line.trim_start_matches("pub(super) ").starts_with("mod ")
            })
        });
        modules.count()
    };
    let expected = 2 + sources.iter().map(declared).sum::<usize>();
    assert_eq!(sources.len(), expected, "main.rs, lib.rs and one for each `mod`");
    assert!(expected > 60, "only {expected} files");
}

#[test]
fn each_room_knows_only_what_it_may() {
    let mut crossings = 0;
    for source in sources("src") {
        let Some(room) = source.room() else { continue };
        let (_, allowed) = MAY_KNOW
            .iter()
            .find(|(name, _)| *name == room)
            .unwrap_or_else(|| panic!("{room} is a room without a rule: add it to MAY_KNOW"));
        for path in known(&source.code) {
            let other = path.split("::").next().unwrap();
            if other == room {
                continue;
            }
            crossings += 1;
            assert!(allows(allowed, &path), "{}: {room} may not know crate::{path}", source.path);
        }
    }
    assert!(crossings > 60, "only {crossings} uses of other rooms were seen");
}

#[test]
fn no_room_climbs_out_by_way_of_its_parents() {
    for source in sources("src") {
        let inside = source.path.trim_start_matches("src/").trim_end_matches(".rs");
        let modules = inside.split('/').filter(|part| *part != "mod").count();
        for (number, line) in source.code.lines().enumerate() {
            // A module of tests within the file is one level deeper.
            let climbs = line.matches("super::").count();
            let chain = "super::".repeat(modules + 1);
            let reaches = "super::".repeat(modules);
            let out = line.contains(&chain)
                || line.contains(&reaches) && source.outside_tests().contains(line) && climbs >= modules;
            assert!(!out || source.room().is_none(), "{}:{number}: {line}", source.path);
        }
    }
}

#[test]
fn the_engine_touches_nothing_of_the_world() {
    const WORLD: [&str; 14] = [
        "std::time::Instant",
        "SystemTime",
        "std::env",
        "std::fs",
        "std::io",
        "std::net::Tcp",
        "std::net::Udp",
        "std::thread",
        "std::process",
        "tokio",
        "tracing",
        "serde",
        "reqwest",
        "rustix",
    ];
    let mut seen = 0;
    for source in sources("src/engine") {
        seen += 1;
        for word in WORLD {
            assert!(!source.outside_tests().contains(word), "{} knows {word}", source.path);
        }
        let dice = source.outside_tests().contains("fastrand::Rng::new()");
        assert!(!dice, "{} throws dice of its own", source.path);
    }
    assert!(seen >= 10, "only {seen} files");
}

#[test]
fn the_wall_clock_is_read_for_what_is_said_or_kept_and_never_for_when_to_act() {
    // Times of the log, the status and the state; certificates. All else is on a clock that does not jump.
    const MAY: [(&str, usize); 5] = [
        ("src/cli/check.rs", 1),
        ("src/cli/status.rs", 1),
        ("src/daemon/clock.rs", 1),
        ("src/outbound.rs", 1),
        ("src/report/log.rs", 2),
    ];
    let reads = |source: &Source| source.outside_tests().matches("SystemTime::now()").count();
    let sources = sources("src");
    let found: Vec<(&str, usize)> = sources
        .iter()
        .filter(|source| reads(source) > 0)
        .map(|source| (source.path.as_str(), reads(source)))
        .collect();
    assert_eq!(found, MAY);
}

#[test]
fn every_file_opens_with_what_it_is_for() {
    for folder in ["src", "tests", "benches"] {
        for source in sources(folder) {
            assert!(source.whole.starts_with("//! "), "{} has no opening paragraph", source.path);
        }
    }
}

#[test]
fn no_test_passes_without_having_run() {
    let mut left_out = 0;
    for source in ["src", "tests"].into_iter().flat_map(sources) {
        for line in source.code.lines().map(str::trim) {
            let says_so = line.starts_with(concat!("println!(\"", "skipped"))
                || line.starts_with(concat!("eprintln!(\"", "skipped"));
            assert!(!says_so, "{}: {line}: write #[ignore = \"needs …\"] instead", source.path);
            let is_ignored = line.starts_with("#[ignore");
            left_out += usize::from(is_ignored);
            assert!(!is_ignored || line.starts_with("#[ignore = \"needs "), "{}: {line}", source.path);
        }
    }
    assert!(left_out > 5, "only {left_out} were seen");
}

#[test]
fn no_file_is_too_long_to_be_read_in_one_go() {
    for source in sources("src") {
        let lines = source.whole.lines().count();
        let longer = LONGER.iter().find(|(path, _)| *path == source.path);
        let most = longer.map_or(LONGEST, |(_, most)| *most);
        assert!(lines <= most, "{} has {lines} lines; split it by topic", source.path);
    }
}

#[test]
fn nothing_is_called_by_a_name_that_says_nothing() {
    for source in sources("src") {
        let stem = source.path.rsplit('/').next().unwrap().trim_end_matches(".rs");
        assert!(!SAYS_NOTHING.contains(&stem.trim_end_matches('s')), "{}", source.path);
        let words: Vec<&str> = source.code.split_whitespace().collect();
        for pair in words.windows(2) {
            if !["mod", "struct", "enum", "trait"].contains(&pair[0]) {
                continue;
            }
            let end = pair[1].find(|char: char| !char.is_alphanumeric() && char != '_');
            let name = pair[1][..end.unwrap_or(pair[1].len())].to_lowercase();
            let name = name.trim_end_matches('s');
            assert!(!SAYS_NOTHING.contains(&name), "{}: {} {}", source.path, pair[0], pair[1]);
        }
    }
}

#[test]
fn nothing_outside_tests_takes_a_failure_for_impossible() {
    let mut seen = 0;
    for source in sources("src") {
        seen += usize::from(!source.outside_tests().is_empty());
        for word in [".unwrap()", ".expect(", "panic!(", "unreachable!(", "todo!(", "process::exit("] {
            let found = source.outside_tests().contains(word);
            assert!(!found, "{} has {word}", source.path);
        }
    }
    assert!(seen > 50, "only {seen} files");
}

#[test]
fn results_and_logs_have_one_way_out_each() {
    for source in sources("src") {
        for word in ["println!(", "print!(", "dbg!("] {
            assert!(!source.outside_tests().contains(word), "{} has {word}", source.path);
        }
        let written = source.outside_tests().replace("io::stdout().is_terminal()", "");
        let writes = written.contains("io::stdout()");
        let may = ["src/cli/show.rs", "src/cli/mod.rs"].contains(&source.path.as_str());
        assert!(!writes || may, "{} writes to standard output", source.path);
    }
}

#[test]
fn the_reader_of_paths_takes_braces_apart() {
    let code = "use crate::a::{b, c::{D, E as F}, self};\nfn x() { crate::g::h(1); }\nuse mycrate::z;";
    let paths: Vec<String> = known(code).into_iter().collect();
    assert_eq!(paths, ["a", "a::b", "a::c::D", "a::c::E", "g::h"]);
    assert!(allows(&["engine::names"], "engine::names::Key"));
    assert!(!allows(&["engine::names"], "engine::namesake"));
}

#[test]
fn every_text_that_leaves_the_process_passes_the_mask() {
    // The state is read back, and holds no text that somebody else wrote but what a zone holds; the sandbox has no secret.
    const MAY: [&str; 2] = ["src/daemon/state", "src/sandbox/"];
    let mut ways = 0;
    for source in sources("src") {
        let code = source.outside_tests();
        let is_way = [".write_all(", "send_to_addr("].iter().any(|word| code.contains(word));
        if is_way && !MAY.iter().any(|may| source.path.starts_with(may)) {
            ways += 1;
            assert!(code.contains("mask::hide"), "{} lets texts out", source.path);
        }
    }
    assert!(ways >= 4, "only {ways} ways out were seen");
}
