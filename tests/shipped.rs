//! What is shipped beside the program and made from its command line: the man page and the completions.
//!
//! `STAYPUT_BLESS=1 cargo test --test shipped` writes them.
#![cfg(feature = "sandbox")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};

use clap::Command;
use clap_complete::{Generator, Shell, generate};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, italic, roman};

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
    page.to_writer(&mut text).unwrap();
    text.extend(fs::read(packaging("man/sections.roff")).unwrap());
    String::from_utf8(text).unwrap()
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
