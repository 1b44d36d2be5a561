//! What the real program tells a service manager, and that no manager, however odd, disturbs it.

#![cfg(feature = "sandbox")]

mod support;

use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;
use support::{Cloud, ELSEWHERE, HERE, Home, Running, Systemd, THERE, eventually};

const TWO_NAMES: &str = "[[record]]\nname = [\"a.example.com\", \"b.example.com\"]\n";
const SETTLED: &str = "2 of 2 records are current";

fn both_at(address: &str) -> [String; 2] {
    ["a", "b"].map(|name| format!("{name}.example.com {address}"))
}

#[test]
fn systemd_is_told_when_it_is_ready_reloads_and_stops() {
    let (cloud, home) = (Cloud::start(), Home::new());
    home.configure(&cloud, TWO_NAMES);
    let mut systemd = Systemd::at(&home.path("notify"));
    let mut command = home.command(&["run"]);
    command.env("NOTIFY_SOCKET", home.path("notify"));
    let mut daemon = Running::start(command);
    systemd.wait_for("READY=1", 1);
    systemd.wait_for(&format!("STATUS=IPv4 {HERE}; records: 2 current; next look at "), 1);
    daemon.signal(Signal::HUP);
    systemd.wait_for("MONOTONIC_USEC=", 1);
    systemd.wait_for("READY=1", 2);
    home.write("stayput.toml", "nonsense");
    daemon.signal(Signal::HUP);
    systemd.wait_for("READY=1", 3);
    daemon.signal(Signal::TERM);
    systemd.wait_for("STOPPING=1", 1);
    assert_eq!(daemon.end().0.code(), Some(0));
    let expected = ["READY=1", "RELOADING=1", "READY=1", "RELOADING=1", "READY=1", "STOPPING=1"];
    assert_eq!(systemd.phases(), expected);
}

/// A shell that becomes the program, with its own number where systemd would put it.
fn with_its_own_number(run: &Command) -> Command {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", "WATCHDOG_PID=$$; export WATCHDOG_PID; exec \"$0\" \"$@\""]);
    command.arg(run.get_program()).args(run.get_args()).env_clear();
    command
}

#[test]
fn the_watchdog_is_told_twice_within_its_limit() {
    let (cloud, home) = (Cloud::start(), Home::new());
    home.configure(&cloud, TWO_NAMES);
    let mut systemd = Systemd::at(&home.path("notify"));
    let mut command = with_its_own_number(&home.command(&["run"]));
    command.env("NOTIFY_SOCKET", home.path("notify")).env("WATCHDOG_USEC", "1000000");
    let daemon = Running::start(command);
    systemd.wait_for("WATCHDOG=1", 8);
    daemon.stop();
    let beats = systemd.told("WATCHDOG=1");
    let mut gaps: Vec<Duration> = beats.windows(2).map(|pair| pair[1].0 - pair[0].0).collect();
    gaps.sort_unstable();
    // The median: a machine with other things to do may hold up one of them.
    let middle = gaps[gaps.len() / 2];
    assert!(middle <= Duration::from_millis(600), "half of a second would be right: {gaps:?}");
    assert!(middle >= Duration::from_millis(200), "and no busy loop: {gaps:?}");
}

#[test]
fn a_watchdog_of_another_process_and_a_limit_that_is_none_are_told_nothing() {
    let none: [&[(&str, &str)]; 4] = [
        &[("WATCHDOG_USEC", "200000"), ("WATCHDOG_PID", "1")],
        &[("WATCHDOG_USEC", "soon")],
        &[],
        &[("WATCHDOG_USEC", "1")],
    ];
    let start = |variables: &[(&str, &str)]| {
        let (cloud, home) = (Cloud::start(), Home::new());
        home.configure(&cloud, TWO_NAMES);
        let systemd = Systemd::at(&home.path("notify"));
        let mut command = home.command(&["run"]);
        command.env("NOTIFY_SOCKET", home.path("notify")).envs(variables.iter().copied());
        (Running::start(command), systemd, cloud, home)
    };
    let mut quiet: Vec<_> = none.iter().map(|variables| start(variables)).collect();
    for (_, systemd, ..) in &mut quiet {
        systemd.wait_for("STATUS=", 1);
    }
    // As long as one who is asked to takes for six beats, the others have not said one.
    let (daemon, mut systemd, _cloud, _home) = start(&[("WATCHDOG_USEC", "200000")]);
    systemd.wait_for("WATCHDOG=1", 6);
    daemon.stop();
    for ((daemon, mut systemd, ..), variables) in quiet.into_iter().zip(none) {
        assert_eq!(systemd.told("WATCHDOG=1").len(), 0, "{variables:?}");
        assert_eq!(systemd.told("READY=1").len(), 1, "the socket is listened to");
        daemon.stop();
    }
}

#[test]
fn a_manager_in_the_abstract_is_told_as_well() {
    let (cloud, home) = (Cloud::start(), Home::new());
    home.configure(&cloud, TWO_NAMES);
    let name = format!("stayput-supervision-{}", std::process::id());
    let mut systemd = Systemd::in_the_abstract(&name);
    let mut command = home.command(&["run"]);
    command.env("NOTIFY_SOCKET", format!("@{name}"));
    let daemon = Running::start(command);
    systemd.wait_for("READY=1", 1);
    systemd.wait_for(&format!("STATUS=IPv4 {HERE}; records: 2 current"), 1);
    daemon.stop();
    assert_eq!(systemd.phases(), ["READY=1", "STOPPING=1"]);
}

#[test]
fn a_manager_that_goes_away_takes_nothing_with_it() {
    let (cloud, home) = (Cloud::start(), Home::new());
    home.configure(&cloud, TWO_NAMES);
    let path = home.path("notify");
    let mut systemd = Systemd::at(&path);
    let mut command = home.command(&["run"]);
    command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "100000");
    let daemon = Running::start(command);
    systemd.wait_for("WATCHDOG=1", 3);
    daemon.wait_for(SETTLED, 1);
    // First a socket that nobody has open, then none.
    drop(systemd);
    cloud.move_to(THERE);
    daemon.signal(Signal::USR1);
    cloud.wait_for_records(&both_at(THERE).each_ref().map(String::as_str));
    std::fs::remove_file(&path).unwrap();
    daemon.signal(Signal::HUP);
    daemon.wait_for("was read again", 1);
    cloud.move_to(ELSEWHERE);
    daemon.signal(Signal::USR1);
    cloud.wait_for_records(&both_at(ELSEWHERE).each_ref().map(String::as_str));
    let mut back = Systemd::at(&path);
    back.wait_for("WATCHDOG=1", 2);
    let log = daemon.stop();
    assert_eq!(back.phases(), ["STOPPING=1"], "one who comes back is told what comes then");
    assert!(
        !log.contains("supervisor") && !log.contains("ERROR"),
        "no word to those who cannot help it: {log}"
    );
}

#[test]
fn a_manager_that_does_not_read_holds_up_neither_the_work_nor_the_stop() {
    let (cloud, home) = (Cloud::start(), Home::new());
    home.configure(&cloud, TWO_NAMES);
    let path = home.path("notify");
    let _deaf = std::os::unix::net::UnixDatagram::bind(&path).unwrap();
    let sender = std::os::unix::net::UnixDatagram::unbound().unwrap();
    sender.set_nonblocking(true).unwrap();
    while sender.send_to(b"X=1", &path).is_ok() {}
    let mut command = home.command(&["run"]);
    command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "100000");
    let daemon = Running::start(command);
    cloud.wait_for_records(&both_at(HERE).each_ref().map(String::as_str));
    daemon.signal(Signal::HUP);
    daemon.wait_for("was read again", 1);
    cloud.move_to(THERE);
    daemon.signal(Signal::USR1);
    cloud.wait_for_records(&both_at(THERE).each_ref().map(String::as_str));
    daemon.stop();
}

#[test]
fn a_manager_that_was_never_there_and_sixteen_descriptors_disturb_nothing() {
    let (cloud, home) = (Cloud::start(), Home::new());
    home.configure(&cloud, TWO_NAMES);
    let run = home.command(&["run"]);
    let mut command = Command::new("/bin/sh");
    command.args(["-c", "ulimit -n 16; exec \"$0\" \"$@\""]).arg(run.get_program()).args(run.get_args());
    command.env_clear().env("STAYPUT_STATE", home.path("state.json"));
    command.env("NOTIFY_SOCKET", home.path("nobody")).env("JOURNAL_STREAM", "1:nonsense");
    let daemon = Running::start(command);
    daemon.wait_for(SETTLED, 1);
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", daemon.pid())).unwrap();
    let files = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    assert_eq!(files.split_whitespace().nth(3), Some("16"), "{files}");
    let log = daemon.stop();
    assert!(log.lines().all(|line| line.starts_with("20")), "a plain log, with its times: {log}");
    assert_eq!(cloud.records().len(), 2);
}

#[test]
fn a_process_that_was_stopped_for_three_periods_looks_once_and_not_three_times() {
    let (cloud, home) = (Cloud::start(), Home::new());
    home.configure(&cloud, TWO_NAMES);
    let mut systemd = Systemd::at(&home.path("notify"));
    let mut command = home.command(&["run"]);
    command.env("NOTIFY_SOCKET", home.path("notify")).env("WATCHDOG_USEC", "4000000");
    let daemon = Running::start(command);
    daemon.wait_for(SETTLED, 1);
    systemd.wait_for("STATUS=", 1);
    let (looks, requests) = (cloud.looks(), cloud.requests());
    daemon.signal(Signal::STOP);
    // Nothing happens meanwhile, which is the point: there is no event to wait for.
    std::thread::sleep(Duration::from_secs(31));
    let beats = systemd.told("WATCHDOG=1").len();
    let statuses = systemd.told("STATUS=").len();
    assert_eq!(cloud.looks(), looks);
    daemon.signal(Signal::CONT);
    let resumed = std::time::SystemTime::now();
    systemd.wait_for("STATUS=", statuses + 1);
    eventually(|| cloud.looks() > looks, || "it does not look".into());
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(cloud.looks(), looks + 1, "what was missed is not made up for");
    assert_eq!(cloud.requests(), requests, "and the API is not asked");
    assert_eq!(systemd.told("WATCHDOG=1").len(), beats + 1);
    let line = systemd.told("STATUS=").pop().unwrap().1;
    let next = line.split("next look at ").nth(1).unwrap();
    let next = humantime::parse_rfc3339(next).unwrap().duration_since(resumed).unwrap();
    assert!((7..=11).contains(&next.as_secs()), "the next look is a period away: {next:?}");
    daemon.stop();
}
