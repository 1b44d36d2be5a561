//! The last words of `cargo test`, which goes by the alphabet: the tests that were left out, and what each of them
//! needs. It reads that in the source, and knows nothing of what this machine has.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "what it prints is all that it is for")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

const LEFT_OUT: &str = "#[ignore = \"";

fn main() {
    let all_are_run = |word: String| ["--include-ignored", "--ignored", "--list"].contains(&word.as_str());
    if std::env::args().any(all_are_run) {
        return;
    }
    let mut files = Vec::new();
    for folder in ["src", "tests"] {
        rust_files(Path::new(folder), &mut files);
    }
    let mut left_out: BTreeMap<(PathBuf, String), usize> = BTreeMap::new();
    for file in files {
        for line in fs::read_to_string(&file).unwrap().lines() {
            let Some(why) = line.trim_start().strip_prefix(LEFT_OUT) else { continue };
            *left_out.entry((file.clone(), why.trim_end_matches("\"]").to_owned())).or_default() += 1;
        }
    }
    println!("\nleft out, and not counted as passed:\n");
    for ((file, why), count) in &left_out {
        println!("{count:>4} of {}: {why}", file.display());
    }
    println!(
        "\n`cargo test -- --include-ignored` runs these as well; `.ci/run` does, and installs what they need.\n"
    );
}

fn rust_files(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, into);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            into.push(path);
        }
    }
}
