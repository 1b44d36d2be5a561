//! The fuzz targets without a fuzzer: every seed, and mutations of the seeds, in the ordinary tests.
//!
//! `STAYPUT_MUTATIONS=COUNT` tries another number of them for each target (default 2,000). An input
//! that fails is printed; kept as a file in `fuzz/seeds/TARGET/`, it is tried by every later run.

#![expect(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "all of this file is a test")]

#[path = "../fuzz/src/lib.rs"]
mod fuzz;

use std::collections::BTreeSet;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use fuzz::{TARGETS, Target};

/// What foreign input is made of: a mutation that puts one of these in goes deeper than a random byte.
const TOKENS: [&[u8]; 28] = [
    b"\"",
    b"{",
    b"}",
    b"[",
    b"]",
    b"]]",
    b"=",
    b":",
    b",",
    b";",
    b"\n",
    b"\r\n",
    b"\0",
    b"\xff",
    b"\xef\xbb\xbf",
    b"\xe2\x80\xae",
    b"\x1b[2J",
    b"null",
    b"true",
    b"-1",
    b"0",
    b"18446744073709551616",
    b"1e999",
    b"*.",
    b"[[record]]\n",
    b"\"result\":",
    b"retry-after: ",
    b"ip=",
];

#[test]
fn no_seed_and_no_mutation_of_one_breaks_a_promise() {
    let mutations = std::env::var("STAYPUT_MUTATIONS").ok().and_then(|text| text.parse().ok());
    for (name, target) in TARGETS {
        let seeds = seeds(name);
        assert!(seeds.len() >= 6, "{name} has only {} seeds", seeds.len());
        for seed in &seeds {
            attempt(name, target, seed);
        }
        let mut rng = fastrand::Rng::with_seed(1);
        for _ in 0..mutations.unwrap_or(2_000) {
            attempt(name, target, &mutation(&seeds, &mut rng));
        }
    }
}

#[test]
fn an_input_that_breaks_a_promise_is_noticed() {
    let broken: Target = |bytes| assert!(!bytes.contains(&b'{'), "planted");
    let seeds = seeds("configuration");
    let mut rng = fastrand::Rng::with_seed(1);
    let noticed = (0..2_000).any(|_| {
        let input = mutation(&seeds, &mut rng);
        catch_unwind(AssertUnwindSafe(|| broken(&input))).is_err()
    });
    assert!(noticed);
}

#[test]
fn every_kind_of_request_has_a_seed_that_answers_it() {
    let mut answered = BTreeSet::new();
    for seed in seeds("api") {
        for (index, (_, answer)) in fuzz::answers(&seed).enumerate() {
            if answer.outcome.is_ok() {
                answered.insert(index);
            }
        }
    }
    assert_eq!(answered, (0..8).collect());
}

fn attempt(name: &str, target: Target, input: &[u8]) {
    if catch_unwind(|| target(input)).is_err() {
        panic!("{name} fails on b\"{}\"", input.escape_ascii());
    }
}

fn seeds(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(target);
    let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

/// A seed with one to eight things done to it.
fn mutation(seeds: &[Vec<u8>], rng: &mut fastrand::Rng) -> Vec<u8> {
    let mut input = seeds[rng.usize(..seeds.len())].clone();
    for _ in 0..rng.usize(1..=8) {
        let (from, to) = stretch(&input, rng);
        match rng.u8(..7) {
            0 => input.truncate(from),
            1 => drop(input.drain(from..to)),
            2 => {
                let copy = input[from..to].to_vec();
                input.splice(from..from, copy);
            }
            3 => {
                let other = &seeds[rng.usize(..seeds.len())];
                let (begin, end) = stretch(other, rng);
                input.splice(from..to, other[begin..end].iter().copied());
            }
            4 | 5 => {
                let token = TOKENS[rng.usize(..TOKENS.len())];
                input.splice(from..from, token.iter().copied());
            }
            _ => {
                if let Some(byte) = input.get_mut(from) {
                    *byte ^= 1 << rng.u8(..8);
                }
            }
        }
    }
    input
}

/// The ends of a part of an input, mostly a short one.
fn stretch(input: &[u8], rng: &mut fastrand::Rng) -> (usize, usize) {
    let from = rng.usize(..=input.len());
    let most = if rng.u8(..4) == 0 { input.len() } else { 16 };
    (from, (from + rng.usize(..=most)).min(input.len()))
}
