//! `stayput status` of the real program: what a running daemon tells, to whom, and what it costs it.

#![cfg(feature = "sandbox")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::io::Read;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::Value;
use support::{Cloud, HERE, Home, Running, THERE, TOKEN, eventually, finish, stayput, stderr, stdout};

const ONE_NAME: &str = "[[record]]\nname = \"home.example.com\"\n";

fn daemon(cloud: &Cloud, home: &Home) -> Command {
    home.configure(cloud, ONE_NAME);
    let mut command = home.command(&["run"]);
    command.env("STAYPUT_SOCKET", socket(home));
    command
}

fn socket(home: &Home) -> PathBuf {
    home.path("stayput.sock")
}

fn status(home: &Home, arguments: &[&str]) -> Output {
    let mut command = stayput(&["status"]);
    command.args(arguments).env("STAYPUT_SOCKET", socket(home));
    finish(command)
}

fn json(home: &Home) -> Value {
    let output = status(home, &["--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    serde_json::from_str(&stdout(&output)).unwrap()
}

#[test]
fn a_running_daemon_tells_what_it_knows_and_never_the_secret() {
    let (cloud, home) = (Cloud::start(), Home::new());
    let running = Running::start(daemon(&cloud, &home));
    running.wait_for("1 of 1 records are current", 1);
    let told = json(&home);
    let keys: Vec<&String> = told.as_object().unwrap().keys().collect();
    let expected = ["addresses", "api", "budget", "next-look-at", "records", "since", "version"];
    assert_eq!(keys, expected);
    assert_eq!(told["addresses"]["ipv4"]["value"], HERE);
    let record = &told["records"][0];
    assert_eq!(record["name"], "home.example.com");
    assert_eq!((&record["type"], &record["state"]), (&"A".into(), &"current".into()));
    assert_eq!(record["content"], HERE);
    assert_eq!(told["api"]["requests"], cloud.requests());
    assert_eq!(told["budget"]["left"], 300 - cloud.requests());
    for output in [status(&home, &[]), status(&home, &["--json"])] {
        assert!(!stdout(&output).contains(TOKEN));
    }
    let log = running.stop();
    assert!(!log.contains(TOKEN));
}

#[test]
fn the_page_for_people_names_the_record_its_address_and_the_next_look() {
    let (cloud, home) = (Cloud::start(), Home::new());
    let running = Running::start(daemon(&cloud, &home));
    running.wait_for("1 of 1 records are current", 1);
    let output = status(&home, &["--color=never"]);
    let page = stdout(&output);
    for part in ["IPv4", HERE, "home.example.com", "current", "requests left", "next look in"] {
        assert!(page.contains(part), "no {part:?} in {page}");
    }
    assert!(!page.contains('\x1b'));
    assert!(stdout(&status(&home, &["--color=always"])).contains("\x1b[32mcurrent"));
    running.stop();
}

#[test]
fn what_changes_is_told_at_once_and_asking_costs_no_request() {
    let (cloud, home) = (Cloud::start(), Home::new());
    let running = Running::start(daemon(&cloud, &home));
    running.wait_for("1 of 1 records are current", 1);
    let before = cloud.requests();
    for _ in 0..50 {
        json(&home);
    }
    assert_eq!(cloud.requests(), before);
    cloud.move_to(THERE);
    eventually(|| json(&home)["records"][0]["content"] == THERE, || json(&home).to_string());
    running.stop();
}

#[test]
fn a_healthy_daemon_exits_with_0_and_silence_and_none_at_all_with_75() {
    let (cloud, home) = (Cloud::start(), Home::new());
    let running = Running::start(daemon(&cloud, &home));
    running.wait_for("1 of 1 records are current", 1);
    let healthy = status(&home, &["--healthy"]);
    assert_eq!(healthy.status.code(), Some(0));
    assert_eq!((stdout(&healthy), stderr(&healthy)), (String::new(), String::new()));
    running.stop();
    assert!(!socket(&home).exists(), "the socket goes with the daemon");
    for arguments in [&["--healthy"][..], &["--json"], &[]] {
        let nobody = status(&home, arguments);
        assert_eq!(nobody.status.code(), Some(75), "{arguments:?}");
        assert!(stderr(&nobody).contains("no daemon answers at"), "{}", stderr(&nobody));
        assert_eq!(stdout(&nobody), "");
    }
}

#[test]
fn the_socket_is_not_for_others_and_replaces_the_one_of_a_killed_daemon() {
    let (cloud, home) = (Cloud::start(), Home::new());
    let running = Running::start(daemon(&cloud, &home));
    running.wait_for("1 of 1 records are current", 1);
    let there = std::fs::metadata(socket(&home)).unwrap();
    assert!(there.file_type().is_socket());
    assert_eq!(there.permissions().mode() & 0o007, 0);
    running.kill();
    assert!(socket(&home).exists());
    let running = Running::start(daemon(&cloud, &home));
    running.wait_for("1 of 1 records are current", 1);
    json(&home);
    running.stop();
}

#[test]
fn those_who_connect_and_do_nothing_hold_up_neither_the_work_nor_the_stop() {
    let (cloud, home) = (Cloud::start(), Home::new());
    let running = Running::start(daemon(&cloud, &home));
    running.wait_for("1 of 1 records are current", 1);
    let idle: Vec<UnixStream> = (0..100).filter_map(|_| UnixStream::connect(socket(&home)).ok()).collect();
    assert!(idle.len() > 20, "only {} connected", idle.len());
    cloud.move_to(THERE);
    cloud.wait_for_records(&[&format!("home.example.com {THERE}")]);
    let mut told = String::new();
    eventually(
        || {
            let mut stream = UnixStream::connect(socket(&home)).unwrap();
            stream.read_to_string(&mut told).is_ok() && told.contains(THERE)
        },
        || "it does not answer any more".into(),
    );
    running.stop();
}

#[test]
fn without_a_place_for_it_there_is_no_socket_and_the_daemon_works() {
    let (cloud, home) = (Cloud::start(), Home::new());
    home.configure(&cloud, ONE_NAME);
    let running = Running::start(home.command(&["run"]));
    running.wait_for("1 of 1 records are current", 1);
    assert!(!socket(&home).exists());
    running.stop();
    let mut command = home.command(&["run"]);
    command.env("STAYPUT_SOCKET", home.path("token").join("stayput.sock"));
    let running = Running::start(command);
    running.wait_for("no status is to be had", 1);
    running.wait_for("1 of 1 records are current", 1);
    running.stop();
}

#[test]
fn systemds_folder_is_preferred() {
    let (cloud, home) = (Cloud::start(), Home::new());
    let mut command = daemon(&cloud, &home);
    std::fs::create_dir(home.path("run")).unwrap();
    command.env("RUNTIME_DIRECTORY", home.path("run"));
    let running = Running::start(command);
    running.wait_for("1 of 1 records are current", 1);
    assert!(home.path("run").join("stayput.sock").exists());
    assert!(!socket(&home).exists());
    running.stop();
}
