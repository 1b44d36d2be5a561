//! SIGHUP to the real program: what is taken over, what is not, and what a burst of them costs.

#![cfg(feature = "sandbox")]

mod support;

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use rustix::process::Signal;
use stayput::config::{Config, from_toml};
use stayput::engine::names::Name;
use stayput::engine::settings::{Beside, OnExit};
use stayput::sandbox::Kind;
use support::{Cloud, ELSEWHERE, HERE, Home, Running, Systemd, THERE, TOKEN, eventually};

const TWO_NAMES: &str = "[[record]]\nname = [\"a.example.com\", \"b.example.com\"]\n";
const SETTLED: &str = "2 of 2 records are current";

/// A daemon that keeps two names, and has done so once.
fn settled(cloud: &Cloud, home: &Home) -> Running {
    home.configure(cloud, TWO_NAMES);
    let daemon = Running::start(bound_by_modes(&home.command(&["run"])));
    daemon.wait_for(SETTLED, 1);
    daemon
}

/// The modes of files bind it, even where it is root's.
fn bound_by_modes(command: &Command) -> Command {
    let mut words: Vec<&OsStr> = Vec::new();
    if rustix::process::geteuid().is_root() {
        words
            .extend(["/usr/bin/setpriv", "--bounding-set", "-dac_override,-dac_read_search"].map(OsStr::new));
    }
    words.push(command.get_program());
    words.extend(command.get_args());
    let mut bound = Command::new(words[0]);
    let variables = command.get_envs().filter_map(|(name, value)| Some((name, value?)));
    bound.args(&words[1..]).env_clear().envs(variables);
    bound
}

/// Both names are kept as before: they follow the address.
fn still_keeps_both(cloud: &Cloud, daemon: &Running, address: &str) {
    cloud.move_to(address);
    daemon.signal(Signal::USR1);
    cloud.wait_for_records(&[&format!("a.example.com {address}"), &format!("b.example.com {address}")]);
}

#[test]
fn a_name_that_is_taken_out_keeps_its_record() {
    let (cloud, home) = (Cloud::start(), Home::new());
    let daemon = settled(&cloud, &home);
    home.configure(&cloud, "[[record]]\nname = \"a.example.com\"\n");
    daemon.signal(Signal::HUP);
    daemon.wait_for("was read again", 1);
    cloud.move_to(THERE);
    daemon.signal(Signal::USR1);
    cloud.wait_for_records(&[&format!("a.example.com {THERE}"), &format!("b.example.com {HERE}")]);
    daemon.stop();
}

#[test]
fn a_wrong_configuration_is_reported_and_the_old_one_goes_on() {
    let (cloud, home) = (Cloud::start(), Home::new());
    let daemon = settled(&cloud, &home);
    home.write("stayput.toml", "[[record]]\nnam = \"a.example.com\"\n");
    daemon.signal(Signal::HUP);
    daemon.wait_for("the old one stays in force", 1);
    daemon.wait_for("there is no key \"nam\" in [[record]]", 1);
    still_keeps_both(&cloud, &daemon, THERE);
    daemon.stop();
}

#[test]
fn a_configuration_that_is_gone_a_folder_a_pipe_or_unreadable_is_named_and_the_old_one_goes_on() {
    let (cloud, home) = (Cloud::start(), Home::new());
    let daemon = settled(&cloud, &home);
    let path = home.path("stayput.toml");
    let mut said = 0;
    let mut try_it = |what: &str, why: &str, address: &str| {
        daemon.signal(Signal::HUP);
        said += 1;
        daemon.wait_for("the old one stays in force", said);
        let log = daemon.log();
        let words = log.rsplit("the old one stays in force").next().unwrap();
        assert!(words.contains(path.to_str().unwrap()) && words.contains(why), "{what}: {words}");
        still_keeps_both(&cloud, &daemon, address);
    };
    std::fs::remove_file(&path).unwrap();
    try_it("gone", "(os error 2)", THERE);
    std::fs::create_dir(&path).unwrap();
    try_it("a folder", "(os error 21)", ELSEWHERE);
    std::fs::remove_dir(&path).unwrap();
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    try_it("a pipe that nobody writes to", "this is a pipe", "93.184.216.37");
    std::fs::remove_file(&path).unwrap();
    home.configure(&cloud, TWO_NAMES);
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o000)).unwrap();
    try_it("unreadable", "(os error 13)", "93.184.216.36");
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
    daemon.signal(Signal::HUP);
    daemon.wait_for("was read again", 1);
    daemon.stop();
}

#[test]
fn a_file_that_is_half_written_is_not_taken_and_the_whole_one_is() {
    let (cloud, home) = (Cloud::start(), Home::new());
    let daemon = settled(&cloud, &home);
    let new = TWO_NAMES.replace("\"b.example.com\"", "\"b.example.com\", \"c.example.com\"");
    let whole = std::fs::read(home.configure(&cloud, &new)).unwrap();
    // In the middle of the list of names.
    home.write("stayput.toml", &whole[..whole.len() - 20]);
    daemon.signal(Signal::HUP);
    daemon.wait_for("the old one stays in force", 1);
    still_keeps_both(&cloud, &daemon, THERE);
    home.write("stayput.toml", whole);
    daemon.signal(Signal::HUP);
    let expected = ["a", "b", "c"].map(|name| format!("{name}.example.com {THERE}"));
    cloud.wait_for_records(&expected.each_ref().map(String::as_str));
    daemon.stop();
}

/// A file that ends between two lines may be a whole configuration by itself, and nothing tells it from
/// one that is meant. What is missing from it is then as if it had been taken out: names keep their
/// records and are not kept any more, and an option has its default. So a file that names types can,
/// while it is half written, lead to a record of the other type; it can never lead to a record that is
/// deleted. Editors, and those who follow the manual, rename a whole file into place.
#[test]
fn a_file_that_ends_early_is_refused_or_keeps_less_and_deletes_nothing_more() {
    let text = std::fs::read_to_string("tests/config/good/everything.toml").unwrap();
    let read = |text: &str| from_toml(text, Path::new("everything.toml"));
    let names = |config: &Config| {
        config.settings.records.keys().map(|key| key.name.clone()).collect::<BTreeSet<Name>>()
    };
    let whole = read(&text).unwrap();
    assert_eq!(whole.settings.on_exit, OnExit::Delete, "the worst case");
    let mut taken = 0;
    for (end, _) in text.match_indices('\n') {
        let Ok(part) = read(&text[..=end]) else { continue };
        taken += 1;
        assert!(names(&part).is_subset(&names(&whole)), "{}", &text[..=end]);
        assert_eq!(part.settings.max_deletes, whole.settings.max_deletes);
        for (key, wanted) in &part.settings.records {
            let of_name = whole.settings.records.iter().filter(|(other, _)| other.name == key.name);
            let alone = wanted.options.beside == Beside::Nobody;
            let mut alone_in_whole = of_name.map(|(_, wanted)| wanted.options.beside == Beside::Nobody);
            assert!(!alone || alone_in_whole.all(|alone| alone), "{key} would delete what stands beside it");
        }
    }
    assert!(taken >= 10, "only {taken} beginnings are configurations");
}

#[test]
fn a_hundred_hangups_are_one_reload_or_two() {
    let (cloud, home) = (Cloud::start(), Home::new());
    let daemon = settled(&cloud, &home);
    let before = cloud.requests();
    for _ in 0..100 {
        daemon.signal(Signal::HUP);
    }
    daemon.wait_for("was read again", 1);
    sleep(Duration::from_millis(500));
    let log = daemon.stop();
    let reloads = log.matches("was read again").count();
    assert!((1..=2).contains(&reloads), "{reloads} reloads");
    let asked = cloud.requests() - before;
    assert!(asked <= 1, "a reload that changes nothing asks for the zones at most: {asked}");
}

#[test]
fn a_token_has_one_budget_whatever_its_account_is_called() {
    let (cloud, home) = (Cloud::start(), Home::new());
    let call = |name: &str| {
        let path = home.configure(&cloud, "[[record]]\nname = \"a.example.com\"\naccount = \"NAME\"\n");
        let text = std::fs::read_to_string(path).unwrap().replace("[cloudflare]", "[cloudflare.NAME]");
        let text = text.replace("[address]", "budget = { requests = 9, per = \"5m\" }\n[address]");
        home.write("stayput.toml", text.replace("NAME", name));
    };
    call("zero");
    let daemon = Running::start(home.command(&["run"]));
    daemon.wait_for("1 of 1 records are current", 1);
    for (reload, name) in ["one", "two", "three"].into_iter().enumerate() {
        call(name);
        daemon.signal(Signal::HUP);
        daemon.wait_for("was read again", reload + 1);
        sleep(Duration::from_millis(300));
    }
    daemon.stop();
    call("four");
    let daemon = Running::start(home.command(&["run"]));
    daemon.wait_for("records are current", 1);
    sleep(Duration::from_millis(500));
    daemon.stop();
    assert!(cloud.requests() > 4, "each name begins with the list of zones");
    assert!(cloud.requests() <= 9, "{} requests with a budget of 9", cloud.requests());
    let state = std::fs::read_to_string(home.path("state.json")).unwrap();
    assert_eq!(home.state()["rest"]["credentials"].as_object().unwrap().len(), 1, "{state}");
    assert!(!state.contains(TOKEN));
}

#[test]
fn hangups_that_change_nothing_say_nothing_of_a_state_that_cannot_be_written() {
    let (cloud, home) = (Cloud::start(), Home::new());
    home.configure(&cloud, TWO_NAMES);
    // Not even root can make a file there.
    let mut command = home.command(&["run"]);
    command.env("STAYPUT_STATE", "/sys/state.json");
    let daemon = Running::start(command);
    daemon.wait_for(SETTLED, 1);
    for reload in 1..=2 {
        daemon.signal(Signal::HUP);
        daemon.wait_for("was read again", reload);
    }
    sleep(Duration::from_millis(300));
    let log = daemon.stop();
    assert_eq!(log.matches("state.json").count(), 1, "{log}");
    assert!(log.contains("/sys/state.json cannot be written (") && !log.contains("remove"), "{log}");
}

#[test]
fn a_reload_while_a_batch_is_under_way_is_answered_and_sends_it_no_second_time() {
    let (cloud, home) = (Cloud::start(), Home::new());
    home.configure(&cloud, TWO_NAMES);
    let mut systemd = Systemd::at(&home.path("notify"));
    let mut command = home.command(&["run"]);
    command.env("NOTIFY_SOCKET", home.path("notify"));
    let daemon = Running::start(command);
    daemon.wait_for(SETTLED, 1);
    cloud.arm("delay:1=3");
    cloud.move_to(THERE);
    daemon.signal(Signal::USR1);
    // The list comes first, and late; then the batch, late as well.
    eventually(|| cloud.count(Kind::ListRecords) == 2, || "it does not list".into());
    cloud.arm("delay:1=2");
    eventually(|| cloud.count(Kind::Batch) == 2, || "the write does not leave".into());
    daemon.signal(Signal::HUP);
    systemd.wait_for("RELOADING=1", 1);
    systemd.wait_for("READY=1", 2);
    daemon.wait_for(&format!("a.example.com A {HERE} → {THERE}"), 1);
    cloud.wait_for_records(&[&format!("a.example.com {THERE}"), &format!("b.example.com {THERE}")]);
    // The refresh ends with a look for better zones; another one is not due within a minute.
    eventually(|| cloud.count(Kind::ListZones) == 2, || "it does not look for better zones".into());
    let requests = cloud.requests();
    daemon.signal(Signal::HUP);
    systemd.wait_for("READY=1", 3);
    daemon.stop();
    assert_eq!(cloud.count(Kind::Batch), 2, "one batch for the change");
    assert_eq!(cloud.requests(), requests, "what was under way was taken in");
    let expected = ["READY=1", "RELOADING=1", "READY=1", "RELOADING=1", "READY=1", "STOPPING=1"];
    assert_eq!(systemd.phases(), expected);
}

#[test]
fn a_hangup_while_the_secret_is_read_is_a_reload_of_its_own() {
    let (cloud, home) = (Cloud::start(), Home::new());
    let text = std::fs::read_to_string(home.configure(&cloud, TWO_NAMES)).unwrap();
    // A program that says that it was called, and answers only when it may.
    let gate = home.write("gate", "");
    let called = home.path("called");
    let program = format!(
        "echo x >>{}; while ! [ -e {} ]; do sleep 0.02; done; echo {TOKEN}",
        called.display(),
        gate.display()
    );
    let token = format!("{{ file = \"{}\" }}", home.path("token").display());
    let slow = text.replace(&token, &format!("{{ command = [\"/bin/sh\", \"-c\", \"{program}\"] }}"));
    assert_ne!(slow, text);
    home.write("stayput.toml", slow);
    let mut systemd = Systemd::at(&home.path("notify"));
    let mut command = home.command(&["run"]);
    command.env("NOTIFY_SOCKET", home.path("notify")).env("PATH", "/usr/bin:/bin");
    let daemon = Running::start(command);
    daemon.wait_for(SETTLED, 1);
    let calls = || std::fs::read_to_string(&called).unwrap_or_default().lines().count();
    assert_eq!(calls(), 1);
    std::fs::remove_file(&gate).unwrap();
    daemon.signal(Signal::HUP);
    eventually(|| calls() == 2, || "the secret is not read".into());
    for _ in 0..5 {
        daemon.signal(Signal::HUP);
    }
    sleep(Duration::from_millis(200));
    home.write("gate", "");
    systemd.wait_for("READY=1", 3);
    daemon.wait_for("was read again", 2);
    daemon.stop();
    assert_eq!(calls(), 3, "read once more, and only once");
    assert_eq!(
        systemd.phases(),
        ["READY=1", "RELOADING=1", "READY=1", "RELOADING=1", "READY=1", "STOPPING=1"]
    );
}
