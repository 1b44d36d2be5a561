//! Holds the source to rules that neither the compiler nor clippy knows: which room uses which, no circle of files,
//! an engine without the outside world, an opening paragraph, short files. Reads text, not types.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// What each room may use of the others, and all below it.
const MAY_USE: [(&str, &str); 13] = [
    ("engine", ""),
    ("process", ""),
    ("small_file", ""),
    ("secret", "process small_file"),
    ("http", "engine::names secret::redact"),
    ("detect", "engine::names engine::watch engine::ranges http process secret::redact small_file"),
    ("cloudflare", "engine::names engine::api engine::failure engine::settings http secret"),
    ("report", "engine::names engine::notice engine::Status secret::redact"),
    (
        "config",
        "engine::names engine::ranges engine::settings detect::Source detect::BuiltIn cloudflare::credential \
         http::Authorities http::BadPem http::BadUrl http::is_loopback http::safe_url secret small_file",
    ),
    ("sandbox", "engine::names engine::ranges engine::settings http"),
    ("state", "engine cloudflare::identity"),
    ("daemon", "engine state detect cloudflare report config http::Authorities http::HttpError secret"),
    ("cli", "engine detect cloudflare report config state daemon sandbox http::BUILT_AT process secret"),
];

/// Lines of the longest file of `src`.
const LONGEST: usize = 750;

/// A file, and what of it is neither comment nor test.
struct Source {
    path: String,
    whole: String,
    code: String,
    /// As in a `use`: `engine::names`; empty for `lib.rs`.
    module: String,
}

impl Source {
    fn room(&self) -> &str {
        self.module.split("::").next().unwrap()
    }

    /// A path of the code, from the root; none if it leads to another crate.
    fn resolve(&self, path: &str, files: &BTreeMap<String, String>) -> Option<String> {
        let mut module: Vec<&str> = self.module.split("::").filter(|part| !part.is_empty()).collect();
        let first = path.split("::").next().unwrap();
        if first == "crate" {
            module.clear();
        } else if !["self", "super"].contains(&first) {
            let child = [module.as_slice(), &[first]].concat().join("::");
            files.get(&child)?;
        }
        for part in path.split("::") {
            match part {
                "crate" | "self" => {}
                "super" => drop(module.pop()),
                name => module.push(name),
            }
        }
        Some(module.join("::"))
    }

    /// What it uses of this crate, as paths from the root.
    fn uses(&self, files: &BTreeMap<String, String>) -> BTreeSet<String> {
        paths_in(&self.code).iter().filter_map(|path| self.resolve(path, files)).collect()
    }
}

fn sources(folder: &str) -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders = vec![root.join(folder)];
    let mut sources = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let file = entry.unwrap().path();
            if file.is_dir() {
                folders.push(file);
            } else if file.extension().is_some_and(|ending| ending == "rs") {
                let path = file.strip_prefix(root).unwrap().to_str().unwrap();
                sources.push(source(path, std::fs::read_to_string(&file).unwrap()));
            }
        }
    }
    sources
}

fn source(path: &str, whole: String) -> Source {
    let is_tests = path.contains("/tests/") || path.ends_with("/tests.rs");
    let tests = ["", "pub(super) "].map(|visible| format!("\n#[cfg(test)]\n{visible}mod tests {{"));
    let end = tests.iter().find_map(|tests| whole.find(tests)).unwrap_or(whole.len());
    let lines = whole[..if is_tests { 0 } else { end }].lines();
    let code: Vec<&str> = lines.filter(|line| !line.trim_start().starts_with("//")).collect();
    let inside = path.split_once('/').unwrap().1.trim_end_matches(".rs");
    let module = if inside == "lib" { "" } else { inside.trim_end_matches("/mod") };
    Source { path: path.to_owned(), code: code.join("\n"), module: module.replace('/', "::"), whole }
}

/// The files of `src` by module.
fn files(sources: &[Source]) -> BTreeMap<String, String> {
    sources.iter().map(|source| (source.module.clone(), source.path.clone())).collect()
}

/// Every path of two words or more, the braces taken apart: `a::{b, c::D}` is `a::b` and `a::c::D`.
fn paths_in(code: &str) -> Vec<String> {
    let (mut paths, mut groups, mut path) = (Vec::new(), Vec::new(), String::new());
    for char in code.chars() {
        match char {
            _ if char.is_alphanumeric() || "_:".contains(char) => path.push(char),
            '{' if path.ends_with("::") => groups.push(path.clone()),
            _ if path.ends_with("::") && char.is_whitespace() => {}
            _ => {
                let whole = if char == '<' { path.trim_end_matches("::") } else { &path };
                if whole.contains("::") && !whole.ends_with("::") {
                    paths.push(whole.to_owned());
                }
                if char == '}' {
                    groups.pop();
                }
                path = groups.last().filter(|_| char == ',').cloned().unwrap_or_default();
            }
        }
    }
    paths
}

/// The file in which a path ends: that of its longest beginning that is a module.
fn file_of<'a>(path: &str, files: &'a BTreeMap<String, String>) -> &'a String {
    let mut module = path;
    loop {
        if let Some(file) = files.get(module) {
            return file;
        }
        module = module.rsplit_once("::").map_or("", |(above, _)| above);
    }
}

fn may_use(room: &str, path: &str) -> bool {
    let rule = MAY_USE.iter().find(|(name, _)| *name == room);
    let (_, allowed) = rule.unwrap_or_else(|| panic!("{room} is a room without a rule: add it to MAY_USE"));
    allowed.split_whitespace().any(|allowed| path == allowed || path.starts_with(&format!("{allowed}::")))
}

#[test]
fn each_room_uses_only_what_it_may() {
    let sources = sources("src");
    let files = files(&sources);
    let mut crossings = 0;
    for source in sources.iter().filter(|source| !["", "main"].contains(&source.room())) {
        for path in source.uses(&files) {
            if path.split("::").next() == Some(source.room()) {
                continue;
            }
            crossings += 1;
            assert!(may_use(source.room(), &path), "{} may not use {path}", source.path);
        }
    }
    assert!(crossings > 60, "only {crossings} uses of other rooms were seen");
}

/// Prints the graph with `--nocapture`.
#[test]
fn no_file_uses_one_that_uses_it() {
    let sources = sources("src");
    let files = files(&sources);
    let mut graph: BTreeMap<&String, BTreeSet<&String>> = BTreeMap::new();
    for source in &sources {
        let paths = source.uses(&files);
        let used = paths.iter().map(|path| file_of(path, &files)).filter(|file| **file != source.path);
        graph.insert(&source.path, used.collect());
    }
    for (file, used) in &graph {
        println!("{file} → {}", used.iter().map(|file| file.as_str()).collect::<Vec<_>>().join(" "));
    }
    let reached = |from| {
        let (mut reached, mut next) = (BTreeSet::new(), vec![from]);
        while let Some(file) = next.pop() {
            next.extend(graph[file].iter().copied().filter(|file| reached.insert(*file)));
        }
        reached
    };
    let reach: BTreeMap<&String, BTreeSet<&String>> =
        graph.keys().map(|file| (*file, reached(file))).collect();
    let circle = |file: &String| -> BTreeSet<&str> {
        reach[file]
            .iter()
            .filter(|other| reach[*other].contains(file))
            .map(|file| file.trim_start_matches("src/"))
            .collect()
    };
    let mut circles: BTreeSet<BTreeSet<&str>> = graph.keys().map(|file| circle(file)).collect();
    circles.remove(&BTreeSet::new());
    assert!(circles.is_empty(), "files that use each other: {circles:#?}");
    let edges: usize = graph.values().map(BTreeSet::len).sum();
    assert!(graph.len() > 80 && edges > 200, "only {edges} edges between {} files", graph.len());
}

#[test]
fn the_engine_touches_nothing_of_the_world() {
    const WORLD: [&str; 12] = [
        "std::time::Instant",
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
        "rustix",
    ];
    let engine: Vec<Source> = sources("src").into_iter().filter(|source| source.room() == "engine").collect();
    for source in &engine {
        for word in WORLD {
            assert!(!source.code.contains(word), "{} knows {word}", source.path);
        }
        let mut words = source.code.split(|char: char| !char.is_alphanumeric());
        assert!(
            !words.any(|word| word == "code" || word == "codes"),
            "{} knows Cloudflare's codes",
            source.path
        );
    }
    assert!(engine.len() >= 10, "only {} files", engine.len());
}

#[test]
fn every_file_opens_with_what_it_is_for_and_can_be_read_in_one_go() {
    for source in ["src", "tests", "benches"].into_iter().flat_map(sources) {
        assert!(source.whole.starts_with("//! "), "{} has no opening paragraph", source.path);
        let lines = source.whole.lines().count();
        let is_test = !source.path.starts_with("src/");
        assert!(is_test || lines <= LONGEST, "{} has {lines} lines; split it by topic", source.path);
    }
}

#[test]
fn every_file_that_the_documents_name_exists() {
    const FOLDERS: [&str; 8] =
        [".ci/", "benches/", "config/", "fuzz/", "packaging/", "src/", "systemd/", "tests/"];
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |path: &str| std::fs::read_to_string(root.join(path)).unwrap();
    let is_part = |char: char| char.is_alphanumeric() || "_-./".contains(char);
    let (sources, made) = (sources("src"), read(".gitignore"));
    let mut seen = 0;
    for document in ["ARCHITECTURE.md", "CONTRIBUTING.md", "README.md"] {
        let text = read(document);
        for path in text.split(|char| !is_part(char)).map(|word| word.trim_end_matches(['.', '/'])) {
            let is_path = FOLDERS.iter().any(|folder| path.starts_with(folder));
            // Most source files are named without their folder.
            let exists = if is_path {
                root.join(path).exists() || made.lines().any(|line| line.trim_start_matches('/') == path)
            } else if path.ends_with(".rs") {
                sources.iter().any(|source| source.path.ends_with(&format!("/{path}")))
            } else {
                continue;
            };
            seen += 1;
            assert!(exists, "{document}: there is no {path}");
        }
    }
    assert!(seen > 60, "only {seen} were seen");
}

#[test]
fn every_text_that_leaves_the_process_is_masked() {
    // The state holds no text of others but what a zone holds; the sandbox has no secret.
    const MAY: [&str; 2] = ["src/state/", "src/sandbox/"];
    let mut ways = 0;
    for source in sources("src") {
        let is_way = [".write_all(", "send_to_addr("].iter().any(|word| source.code.contains(word));
        if is_way && !MAY.iter().any(|may| source.path.starts_with(may)) {
            ways += 1;
            assert!(source.code.contains("redact::redact"), "{} lets texts out", source.path);
        }
    }
    assert!(ways >= 4, "only {ways} ways out were seen");
}

#[test]
fn the_reader_of_paths_takes_braces_apart() {
    let code = "use crate::a::{b, c::{D, E as F}, self,};\nfn x() -> z::Y { super::g::h::<T>(1) }";
    let paths = ["crate::a::b", "crate::a::c::D", "crate::a::c::E", "crate::a::self", "z::Y", "super::g::h"];
    assert_eq!(paths_in(code), paths);
}
