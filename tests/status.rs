//! `stayput status` of the real program: what a running daemon tells, to whom, and what it costs it.

#![cfg(feature = "sandbox")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::io::Read;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use stayput::daemon::socket::USUAL_PLACE;
use support::{Cloud, HERE, Home, Running, THERE, TOKEN, eventually, files, finish, stayput, stderr, stdout};

const ONE_NAME: &str = "[[record]]\nname = \"home.example.com\"\n";

fn daemon(cloud: &Cloud, home: &Home) -> Command {
    home.configure(cloud, ONE_NAME);
    home.command(&["run"])
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

/// A daemon whose socket only the variables name, and `status` with the same variables.
fn beside(home: &Home, variables: &[(&str, &Path)]) -> (Command, Command) {
    let (mut run, mut status) = (home.command(&["run"]), stayput(&["status"]));
    run.env_remove("STAYPUT_SOCKET").envs(variables.iter().copied());
    status.envs(variables.iter().copied());
    (run, status)
}

/// `status` asks there last: a daemon that this machine has beside the tests answers all that nobody else does.
fn nobody_answers_at_the_usual_place() -> bool {
    UnixStream::connect(USUAL_PLACE).is_err()
}

#[test]
fn a_running_daemon_tells_what_it_knows_and_never_the_secret() {
    let (cloud, home) = (Cloud::start(), Home::new());
    let running = Running::start(daemon(&cloud, &home));
    running.wait_for("1 of 1 records are current", 1);
    let text = stdout(&status(&home, &["--json"]));
    assert!(text.starts_with("{\"format\":1,\"version\":") && text.lines().count() == 1, "{text}");
    let told = json(&home);
    let keys: Vec<&String> = told.as_object().unwrap().keys().collect();
    let expected = [
        "accounts",
        "addresses",
        "format",
        "history",
        "next_look_at",
        "records",
        "since",
        "troubles",
        "version",
    ];
    assert_eq!(keys, expected);
    assert_eq!(told["addresses"]["ipv4"]["value"], HERE);
    let record = &told["records"][0];
    assert_eq!(record["name"], "home.example.com");
    assert_eq!((&record["type"], &record["state"]), (&"A".into(), &"current".into()));
    assert_eq!((&record["content"], &record["wanted"]), (&HERE.into(), &HERE.into()));
    let account = &told["accounts"][0];
    assert_eq!(account["name"], "cloudflare");
    assert_eq!(account["api"]["requests"], cloud.requests());
    assert_eq!(account["budget"]["left"], 300 - cloud.requests());
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
    let alone = nobody_answers_at_the_usual_place();
    for arguments in [&["--healthy"][..], &["--json"], &[]] {
        let nobody = status(&home, arguments);
        assert_eq!(nobody.status.code() == Some(75), alone, "{arguments:?}: {}", nobody.status);
        assert_eq!(stderr(&nobody).contains("no daemon answers at"), alone, "{}", stderr(&nobody));
        assert!(stdout(&nobody).is_empty() || !alone, "{}", stdout(&nobody));
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
fn a_socket_that_cannot_be_had_is_said_and_the_daemon_works() {
    let (cloud, home) = (Cloud::start(), Home::new());
    let mut command = daemon(&cloud, &home);
    command.env("STAYPUT_SOCKET", home.path("token").join("stayput.sock"));
    let running = Running::start(command);
    running.wait_for("the status socket cannot be opened", 1);
    running.wait_for("1 of 1 records are current", 1);
    running.stop();
}

#[test]
fn the_places_are_taken_and_asked_in_one_order() {
    let (cloud, home) = (Cloud::start(), Home::new());
    home.configure(&cloud, ONE_NAME);
    for folder in ["systemd", "user"] {
        std::fs::create_dir(home.path(folder)).unwrap();
    }
    let (systemd, user) = (home.path("systemd"), home.path("user"));
    let file = home.path("file.sock");
    let all = [
        ("STAYPUT_SOCKET", file.as_path()),
        ("RUNTIME_DIRECTORY", systemd.as_path()),
        ("XDG_RUNTIME_DIR", user.as_path()),
    ];
    let places = [file.clone(), systemd.join("stayput.sock"), user.join("stayput.sock")];
    for (first, place) in places.iter().enumerate() {
        let (run, _) = beside(&home, &all[first..]);
        let running = Running::start(run);
        running.wait_for(&format!("`stayput status` is answered at {}", place.display()), 1);
        assert!(place.exists());
        // Whoever asks with more places than the daemon had finds it all the same.
        let (_, status) = beside(&home, &all);
        let output = finish(status);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        running.stop();
    }
    let (_, status) = beside(&home, &all);
    let told = stderr(&finish(status));
    let alone = nobody_answers_at_the_usual_place();
    for place in places.iter().map(PathBuf::as_path).chain([Path::new(USUAL_PLACE)]) {
        assert_eq!(told.contains(place.to_str().unwrap()), alone, "{told}");
    }
}

#[test]
fn the_configuration_says_where_before_the_environment_does() {
    let (cloud, home) = (Cloud::start(), Home::new());
    let place = home.path("stated.sock");
    home.configure(&cloud, &format!("{ONE_NAME}[status]\nsocket = \"{}\"\n", place.display()));
    let running = Running::start(home.command(&["run"]));
    running.wait_for(&format!("is answered at {}", place.display()), 1);
    assert!(!socket(&home).exists());
    let output = finish(home.command(&["status"]));
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    home.configure(&cloud, ONE_NAME);
    running.signal(rustix::process::Signal::HUP);
    running.wait_for("[status] socket has changed: it is heeded at the next start", 1);
    running.stop();
}

#[test]
fn a_second_daemon_says_that_another_answers_and_leaves_it_its_place() {
    let (cloud, home, other) = (Cloud::start(), Home::new(), Home::new());
    let running = Running::start(daemon(&cloud, &home));
    running.wait_for("1 of 1 records are current", 1);
    let mut command = daemon(&cloud, &other);
    command.env("STAYPUT_SOCKET", socket(&home));
    let second = Running::start(command);
    second.wait_for(&format!("another stayput answers at {} already", socket(&home).display()), 1);
    second.wait_for("1 of 1 records are current", 1);
    second.stop();
    json(&home);
    running.stop();
}

/// What `status` makes of an answer.
fn asked_of(answer: &str, arguments: &[&str]) -> Output {
    use std::io::Write;
    let home = Home::new();
    let listener = std::os::unix::net::UnixListener::bind(socket(&home)).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| listener.accept().unwrap().0.write_all(answer.as_bytes()).unwrap());
        status(&home, arguments)
    })
}

#[test]
fn a_daemon_that_is_ill_exits_with_69_and_its_own_word_why() {
    let example = std::fs::read_to_string(files("packaging/json", "json").last().unwrap()).unwrap();
    let document = example.replace('\n', "");
    let ill = asked_of(&format!("{document}\nill: home.example.com A: it is late\n"), &["--healthy"]);
    assert_eq!(ill.status.code(), Some(69));
    assert_eq!((stdout(&ill), stderr(&ill)), (String::new(), "ill: home.example.com A: it is late\n".into()));
    let well = asked_of(&format!("{document}\nhealthy\n"), &["--healthy"]);
    assert_eq!((well.status.code(), stderr(&well)), (Some(0), String::new()));
}

#[test]
fn what_is_no_daemon_or_another_version_is_called_so() {
    for (answer, words) in [
        ("hello\n", "is no stayput"),
        ("{\"version\":\"0.1.0\",\"records\":[]}", "is stayput 0.1.0"),
        ("{\"format\":2,\"version\":\"9.0.0\"}\nhealthy\n", "answers in format 2"),
    ] {
        let asked = asked_of(answer, &["--json"]);
        assert_eq!((asked.status.code(), stdout(&asked)), (Some(1), String::new()));
        assert!(stderr(&asked).contains(words), "{}", stderr(&asked));
    }
}
