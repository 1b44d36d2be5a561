//! What is shipped beside the program and made from its command line: the man page and the completions,
//! and the JSON documents that the page shows.
//!
//! `STAYPUT_BLESS=1 cargo test --test shipped` writes the page and the completions.
#![cfg(feature = "sandbox")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::fs;
use std::path::{Path, PathBuf};

use clap::Command;
use clap_complete::{Generator, Shell, generate};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, italic, roman};
use serde_json::{Value, json};
use support::{Cloud, ELSEWHERE, Home, Running, finish, stdout};

fn packaging(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging").join(path)
}

/// Compares with the file, or writes it when that is asked for.
fn holds(path: &Path, actual: &str) -> bool {
    if std::env::var_os("STAYPUT_BLESS").is_some() {
        fs::write(path, actual).unwrap();
    }
    fs::read_to_string(path).unwrap_or_default() == actual
}

#[test]
fn the_man_page_is_what_the_command_line_says() {
    assert!(holds(&packaging("man/stayput.1"), &man_page()), "see the head of this file");
}

#[test]
fn the_man_page_names_every_command_and_option() {
    let page = man_page().replace('\\', "");
    let mut seen = 0;
    for command in commands(&built()) {
        assert!(page.contains(&format!("stayput {}", command.get_name())), "{}", command.get_name());
        for long in command.get_arguments().filter_map(|option| option.get_long()) {
            assert!(page.contains(&format!("--{long}")), "--{long}");
            seen += 1;
        }
    }
    assert!(seen >= 10, "only {seen} options were seen");
}

#[test]
fn the_completions_are_what_the_command_line_says() {
    let completions: [(&str, Shell); 3] = [
        ("completions/stayput.bash", Shell::Bash),
        ("completions/_stayput", Shell::Zsh),
        ("completions/stayput.fish", Shell::Fish),
    ];
    for (file, shell) in completions {
        assert!(holds(&packaging(file), &completion(shell)), "{file}: see the head of this file");
    }
}

fn completion(shell: impl Generator) -> String {
    let mut text = Vec::new();
    generate(shell, &mut stayput::cli::grammar(), "stayput", &mut text);
    String::from_utf8(text).unwrap()
}

/// The command line with everything that clap adds to it.
fn built() -> Command {
    let mut command = stayput::cli::grammar();
    command.build();
    command
}

/// The commands that a person sees.
fn commands(whole: &Command) -> Vec<Command> {
    let shown = |command: &&Command| !command.is_hide_set() && command.get_name() != "help";
    whole.get_subcommands().filter(shown).cloned().collect()
}

/// One page for all commands: what clap knows, then the sections that are written by hand.
fn man_page() -> String {
    let whole = built();
    let man = Man::new(whole.clone()).manual("stayput");
    let mut text = Vec::new();
    man.render_title(&mut text).unwrap();
    man.render_name_section(&mut text).unwrap();
    man.render_synopsis_section(&mut text).unwrap();
    man.render_options_section(&mut text).unwrap();
    let mut page = Roff::new();
    page.control("SH", ["COMMANDS"]);
    for command in commands(&whole) {
        describe(&mut page, &command);
    }
    documents(&mut page);
    page.to_writer(&mut text).unwrap();
    text.extend(fs::read(packaging("man/sections.roff")).unwrap());
    String::from_utf8(text).unwrap()
}

/// What each document is of, its example in `packaging/json`, and what is to be known of it.
const DOCUMENTS: [(&str, &str, &str); 5] = [
    (
        "stayput plan --json",
        "plan",
        "An action is create (before is null), update or delete (after is null); a ttl of 1 is automatic.",
    ),
    (
        "stayput status --json",
        "status",
        "A record is current, behind (what is wanted is known and not there yet), blocked (left alone until \
         somebody acts) or unknown. An address is null while it is not known, or if no record is of its family. The \
         account cloudflare is that of [cloudflare] itself. history has no entries in this version.",
    ),
    ("stayput check --json", "check", "A state is ok, warn or fail."),
    ("stayput detect --json", "detect", "A family that is off is null."),
    (
        "a wrong configuration",
        "mistakes",
        "Instead of any of these, with exit status 78. A mistake that is about no place of a file has null there.",
    ),
];

fn example(name: &str) -> String {
    fs::read_to_string(packaging(&format!("json/{name}.json"))).unwrap()
}

fn documents(page: &mut Roff) {
    page.control("SH", ["JSON"]);
    let words = "A document begins with its format, a number that is raised by a change that would break a reader; \
        what is added does not raise it. It is indented on a terminal, and one line in a pipe. Times are in UTC. What \
        is not known, or not there, is null.";
    page.text([roman(words)]);
    for (of, name, words) in DOCUMENTS {
        page.control("SS", [of]);
        page.text([roman(words)]);
        page.control("PP", []);
        page.control("nf", []);
        for line in example(name).lines() {
            page.text([roman(line)]);
        }
        page.control("fi", []);
    }
}

/// Whether two documents have the same keys, and values of the same kinds. Null is of every kind, and so
/// is what a list would hold that is empty.
fn is_like(one: &Value, two: &Value) -> bool {
    match (one, two) {
        (Value::Null, _) | (_, Value::Null) => true,
        (Value::Object(one), Value::Object(two)) => {
            one.keys().eq(two.keys()) && one.iter().all(|(key, value)| is_like(value, &two[key]))
        }
        (Value::Array(one), Value::Array(two)) => {
            one.iter().all(|one| two.iter().all(|two| is_like(one, two)))
        }
        (one, two) => std::mem::discriminant(one) == std::mem::discriminant(two),
    }
}

#[test]
fn the_documents_of_the_man_page_are_those_that_the_program_prints() {
    let (cloud, home) = (Cloud::start(), Home::new());
    cloud.add(&json!({"type": "A", "name": "home", "content": ELSEWHERE}));
    cloud.add(&json!({"type": "CNAME", "name": "nas", "content": "example.net"}));
    home.configure(&cloud, "[[record]]\nname = [\"home.example.com\", \"nas.example.com\"]\n");
    let printed = |arguments: &[&str]| stdout(&finish(home.command(arguments)));
    let mut found = vec![
        ("plan", &["changes", "blocked"][..], printed(&["plan", "--json"])),
        ("check", &["steps"], printed(&["check", "--json"])),
        ("detect", &[], printed(&["detect", "--json"])),
    ];
    let daemon = Running::start(home.command(&["run"]));
    daemon.wait_for("1 of 2 records are current", 1);
    found.push(("status", &["records", "troubles", "accounts"], printed(&["status", "--json"])));
    daemon.stop();
    home.write("stayput.toml", "[address]\nevry = \"5m\"\n");
    found.push(("mistakes", &["mistakes"], printed(&["plan", "--json"])));
    assert_eq!(found.len(), DOCUMENTS.len());
    for (name, lists, text) in found {
        assert!(text.starts_with("{\"format\":1,"), "{name}: {text}");
        assert!(example(name).trim_start().starts_with("{\n  \"format\": 1,"), "{name}");
        let (shown, printed): (Value, Value) =
            (serde_json::from_str(&example(name)).unwrap(), serde_json::from_str(&text).unwrap());
        assert!(is_like(&shown, &printed), "{name} is printed as\n{printed:#}");
        for list in lists {
            assert!(
                printed[list].as_array().is_some_and(|list| !list.is_empty()),
                "{name} has no {list}: {text}"
            );
        }
    }
}

/// A command: what it does, and the options that are its own.
fn describe(page: &mut Roff, command: &Command) {
    page.control("SS", [format!("stayput {}", command.get_name()).as_str()]);
    page.text([roman(command.get_about().unwrap().to_string())]);
    let own = |option: &&clap::Arg| !option.is_global_set() && !option.is_hide_set();
    for option in command.get_arguments().filter(own) {
        let help = option.get_help().map(ToString::to_string).unwrap_or_default();
        if option.get_long() == Some("help") {
            continue;
        }
        page.control("TP", []);
        let mut line = Vec::new();
        if let Some(long) = option.get_long() {
            line.push(bold(format!("--{long}")));
        }
        if option.get_action().takes_values() {
            for name in option.get_value_names().unwrap_or_default() {
                line.push(roman(" "));
                line.push(italic(name.to_string()));
            }
        }
        page.text(line);
        page.text([roman(help)]);
    }
}
