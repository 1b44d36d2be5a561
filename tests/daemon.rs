//! The real program against a simulated Cloudflare on loopback: the state that it comes to, and how many
//! requests it takes, whatever their order.

#![cfg(feature = "sandbox")]

mod support;

use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime};

use rustix::process::Signal;
use serde_json::json;
use stayput::engine::names::Moment;
use stayput::engine::time::ClockPair;
use stayput::sandbox::{Kind, Token, TokenState};
use support::{Cloud, ELSEWHERE, HERE, Home, Running, SLACK, Systemd, THERE, TOKEN, eventually};

const TWO_NAMES: &str = "[[record]]\nname = [\"a.example.com\", \"b.example.com\"]\n";
const SETTLED: &str = "2 of 2 records are current";

#[test]
fn a_cold_start_mends_what_is_ours_and_costs_three_requests_then_quiet_costs_none() {
    let (cloud, home) = (Cloud::start(), Home::new());
    cloud.add(&json!({"type": "A", "name": "a", "content": ELSEWHERE, "proxied": true}));
    cloud.add(&json!({"type": "A", "name": "foreign", "content": ELSEWHERE}));
    home.configure(&cloud, TWO_NAMES);
    let daemon = Running::start(home.command(&["run"]));
    let a = format!("a.example.com {HERE}");
    let b = format!("b.example.com {HERE}");
    let foreign = format!("foreign.example.com {ELSEWHERE}");
    cloud.wait_for_records(&[&a, &b, &foreign]);
    daemon.wait_for(SETTLED, 1);
    assert_eq!(cloud.requests(), 3, "zones, records, one batch");
    eventually(|| threads(daemon.pid()) == 1, || "it does not come to rest".into());
    let looks = cloud.looks();
    let saved = std::fs::metadata(home.path("state.json")).unwrap().modified().unwrap();
    eventually(|| cloud.looks() > looks, || "it does not look again".into());
    sleep(Duration::from_millis(300));
    assert_eq!(cloud.requests(), 3, "a quiet world costs nothing");
    let now = std::fs::metadata(home.path("state.json")).unwrap().modified().unwrap();
    assert_eq!(saved, now, "and no disk write");
    let kept = cloud.world().records("example.com").into_iter().find(|r| r.name == "a.example.com");
    assert!(kept.unwrap().proxied, "an unset option keeps what the zone has");
    let log = daemon.stop();
    assert!(!log.contains(TOKEN));
}

#[test]
fn a_restart_with_a_believed_copy_costs_no_request() {
    let (cloud, home) = (Cloud::start(), Home::new());
    home.configure(&cloud, TWO_NAMES);
    let daemon = Running::start(home.command(&["run"]));
    daemon.wait_for(SETTLED, 1);
    daemon.stop();
    let before = (cloud.requests(), cloud.looks());
    let daemon = Running::start(home.command(&["run"]));
    daemon.wait_for(SETTLED, 1);
    daemon.stop();
    assert_eq!(cloud.requests(), before.0);
    assert!(cloud.looks() > before.1, "it did look");
    assert!(!std::fs::read_to_string(home.path("state.json")).unwrap().contains(TOKEN));
}

#[test]
fn an_address_change_costs_one_request() {
    let (cloud, home) = (Cloud::start(), Home::new());
    home.configure(&cloud, TWO_NAMES);
    let daemon = Running::start(home.command(&["run"]));
    daemon.wait_for(SETTLED, 1);
    let before = cloud.requests();
    cloud.move_to(THERE);
    cloud.wait_for_records(&[&format!("a.example.com {THERE}"), &format!("b.example.com {THERE}")]);
    daemon.stop();
    assert_eq!(cloud.requests() - before, 1);
    assert_eq!(home.state()["rest"]["addresses"][0]["value"], THERE);
}

#[test]
fn a_token_rotated_in_its_file_is_picked_up_at_the_first_refusal() {
    let (cloud, home) = (Cloud::start(), Home::new());
    cloud.world().auth.tokens = vec![Token::editing(TOKEN)];
    home.configure(&cloud, TWO_NAMES);
    let daemon = Running::start(home.command(&["run"]));
    daemon.wait_for(SETTLED, 1);
    let new = TOKEN.replace("tests", "other");
    home.write("token", &new);
    {
        let mut world = cloud.world();
        world.auth.token_mut(TOKEN).unwrap().state = TokenState::Revoked;
        world.auth.tokens.push(Token::editing(&new));
    }
    cloud.move_to(THERE);
    daemon.signal(Signal::USR1);
    cloud.wait_for_records(&[&format!("a.example.com {THERE}"), &format!("b.example.com {THERE}")]);
    let log = daemon.stop();
    assert!(!log.contains(TOKEN) && !log.contains(&new));
}

#[test]
fn a_refused_token_ends_nothing_and_a_better_one_is_taken_on_sighup() {
    let (cloud, home) = (Cloud::start(), Home::new());
    cloud.world().auth.tokens = vec![Token::editing(&TOKEN.replace("tests", "right"))];
    home.configure(&cloud, TWO_NAMES);
    let daemon = Running::start(home.command(&["run"]));
    daemon.wait_for("[cloudflare]", 1);
    sleep(Duration::from_secs(2));
    assert!(cloud.requests() <= 2, "{} requests with a token that is refused", cloud.requests());
    home.write("token", TOKEN.replace("tests", "right"));
    daemon.signal(Signal::HUP);
    cloud.wait_for_records(&[&format!("a.example.com {HERE}"), &format!("b.example.com {HERE}")]);
    daemon.stop();
}

#[test]
fn a_write_whose_answer_is_lost_is_not_repeated_blindly() {
    let (cloud, home) = (Cloud::start(), Home::new());
    home.configure(&cloud, TWO_NAMES);
    cloud.add(&json!({"type": "A", "name": "a", "content": HERE}));
    cloud.add(&json!({"type": "A", "name": "b", "content": HERE}));
    let daemon = Running::start(home.command(&["run"]));
    daemon.wait_for(SETTLED, 1);
    cloud.arm("lost-reply:1");
    cloud.move_to(THERE);
    cloud.wait_for_records(&[&format!("a.example.com {THERE}"), &format!("b.example.com {THERE}")]);
    eventually(|| cloud.count(Kind::ListRecords) == 2, || "it is not listed again".into());
    sleep(Duration::from_millis(500));
    daemon.stop();
    assert_eq!(cloud.records().len(), 2, "nothing is there twice");
    assert_eq!(cloud.count(Kind::Batch), 1);
}

#[test]
fn after_a_429_nothing_is_sent_before_the_time_that_it_names() {
    let (cloud, home) = (Cloud::start(), Home::new());
    cloud.arm("throttle:1=3");
    home.configure(&cloud, TWO_NAMES);
    let daemon = Running::start(home.command(&["run"]));
    cloud.wait_for_records(&[&format!("a.example.com {HERE}"), &format!("b.example.com {HERE}")]);
    daemon.stop();
    let seen = cloud.world().seen().clone();
    assert_eq!(seen[0].status, 429);
    let pause = seen[1].at.saturating_sub(seen[0].at);
    assert!(pause >= Duration::from_secs(3), "{pause:?}");
    assert_eq!(seen.len(), 4);
}

#[test]
fn what_a_429_asked_for_holds_after_a_restart() {
    let (cloud, home) = (Cloud::start(), Home::new());
    cloud.arm("throttle:1=600");
    home.configure(&cloud, TWO_NAMES);
    for _ in 0..2 {
        let daemon = Running::start(home.command(&["run"]));
        daemon.wait_for("0 of 2 records are current", 1);
        eventually(|| cloud.requests() == 1, || "it does not ask at all".into());
        sleep(Duration::from_millis(700));
        let said = daemon.stop();
        assert_eq!(said.matches("Cloudflare asks for fewer requests: nothing is sent").count(), 1, "{said}");
    }
    assert_eq!(cloud.requests(), 1, "the second start waits as well");
    let state = home.state();
    let credentials = state["rest"]["credentials"].as_object().unwrap();
    assert!(credentials.values().all(|credential| credential["held_until"].is_u64()), "{state}");
}

#[test]
fn while_the_api_is_down_few_requests_are_made_and_then_all_is_well() {
    let (cloud, home) = (Cloud::start(), Home::new());
    cloud.arm("html=502");
    home.configure(&cloud, TWO_NAMES);
    let daemon = Running::start(home.command(&["run"]));
    daemon.wait_for("502", 1);
    sleep(Duration::from_secs(6));
    // The engine's tests have the long outage.
    assert!(cloud.requests() <= 5, "{} requests in six seconds of outage", cloud.requests());
    let said = daemon.log().matches("502 Bad Gateway").count();
    assert_eq!(said, 1, "said once:\n{}", daemon.log());
    cloud.world().faults.clear();
    daemon.signal(Signal::USR1);
    cloud.wait_for_records(&[&format!("a.example.com {HERE}"), &format!("b.example.com {HERE}")]);
    daemon.stop();
}

#[test]
fn a_kill_in_the_middle_of_a_write_leaves_a_state_that_can_be_trusted() {
    let (cloud, home) = (Cloud::start(), Home::new());
    home.configure(&cloud, TWO_NAMES);
    let daemon = Running::start(home.command(&["run"]));
    daemon.wait_for(SETTLED, 1);
    cloud.arm("delay=3");
    cloud.move_to(THERE);
    eventually(|| cloud.count(Kind::Batch) == 2, || "the write does not leave".into());
    daemon.kill();
    assert_eq!(home.state()["zone"]["listed_at"], json!(null), "the copy is doubted on disk");
    cloud.world().faults.clear();
    let lists = cloud.count(Kind::ListRecords);
    let daemon = Running::start(home.command(&["run"]));
    daemon.wait_for(SETTLED, 1);
    daemon.stop();
    cloud.wait_for_records(&[&format!("a.example.com {THERE}"), &format!("b.example.com {THERE}")]);
    assert_eq!(cloud.count(Kind::ListRecords), lists + 1, "the zone was listed before anything else");
}

#[test]
#[ignore = "needs strace(1), and the right to trace"]
fn a_kill_in_the_middle_of_a_save_leaves_the_old_state_or_the_new_one() {
    let (cloud, home) = (Cloud::start(), Home::new());
    home.configure(&cloud, TWO_NAMES);
    let half_written = home.path(".state.json.new");
    let once = home.command(&["once", "-q"]);
    for (address, calls) in [(THERE, "fsync"), (HERE, "rename,renameat,renameat2"), (THERE, "fsync")] {
        cloud.move_to(address);
        let mut command = Command::new("strace");
        command.args(["-f", "-o", "/dev/null", "-e", &format!("inject={calls}:signal=KILL:when=1")]);
        command.arg(once.get_program()).args(once.get_args());
        command.env_clear().env("STAYPUT_STATE", home.path("state.json")).env("PATH", "/usr/bin:/bin");
        let status = command.stderr(Stdio::null()).status().unwrap();
        assert!(!status.success() && half_written.exists(), "it was not killed at {calls}: {status}");
        if let Ok(text) = std::fs::read(home.path("state.json")) {
            let clocks = ClockPair::at(SystemTime::UNIX_EPOCH, Moment::from_millis(0));
            let whole = text.is_empty() || stayput::state::json::read(&text, clocks).is_ok();
            assert!(whole, "torn: {}", text.escape_ascii());
        }
    }
    let daemon = Running::start(home.command(&["run"]));
    daemon.wait_for(SETTLED, 1);
    let log = daemon.stop();
    assert!(!log.contains("starting afresh"), "{log}");
    assert!(!half_written.exists(), "the next save takes away what was left");
    assert_eq!(cloud.records().len(), 2);
}

#[test]
#[ignore = "needs strace(1), and the right to trace"]
fn a_save_is_on_disk_before_it_replaces_the_old_one_and_its_name_is_before_it_counts() {
    let (cloud, home) = (Cloud::start(), Home::new());
    home.configure(&cloud, TWO_NAMES);
    let once = home.command(&["once", "-q"]);
    let trace = home.path("trace");
    let mut command = Command::new("strace");
    command.args(["-f", "-y", "-s", "0", "-e", "trace=write,fsync,fdatasync,/^rename,close,sendto", "-o"]);
    command.arg(&trace).arg(once.get_program()).args(once.get_args());
    command.env_clear().env("STAYPUT_STATE", home.path("state.json")).env("PATH", "/usr/bin:/bin");
    assert!(command.stderr(Stdio::null()).status().unwrap().success());
    let trace = std::fs::read_to_string(trace).unwrap();
    let folder = format!("<{}>", home.path("").display().to_string().trim_end_matches('/'));
    // The calls that have to do with the state, each as one word.
    let word = |line: &str| {
        let call = line.split_once(' ')?.1.trim_start();
        let new = call.contains("/.state.json.new");
        let grows = call.contains("/state.json>");
        match call.split('(').next()? {
            "write" if grows => Some("add"),
            "fsync" if grows => Some("sync what was added"),
            "write" if new => Some("write"),
            "fsync" if new => Some("sync"),
            "fsync" if call.contains(&folder) => Some("sync the folder"),
            name if name.starts_with("rename") && new => Some("rename"),
            _ => None,
        }
    };
    let words: Vec<&str> = trace.lines().filter_map(word).collect();
    let (whole, addition) = (["write", "sync", "rename", "sync the folder"], ["add", "sync what was added"]);
    let (mut left, mut additions) = (&words[..], 0);
    assert!(left.starts_with(&whole), "{trace}");
    while !left.is_empty() {
        if let Some(after) = left.strip_prefix(&whole) {
            left = after;
        } else {
            left = left.strip_prefix(&addition).unwrap_or_else(|| panic!("{left:?} in {trace}"));
            additions += 1;
        }
    }
    assert!(additions > 0, "{trace}");
}

#[test]
fn a_state_that_is_no_state_is_said_once_and_replaced() {
    for bad in ["\0garbage", "{\"version\":1,\"zones\":[", "{\"version\":99}"] {
        let (cloud, home) = (Cloud::start(), Home::new());
        home.configure(&cloud, TWO_NAMES);
        home.write("state.json", bad);
        let daemon = Running::start(home.command(&["run"]));
        daemon.wait_for(SETTLED, 1);
        let log = daemon.stop();
        assert_eq!(log.matches("starting afresh").count(), 1, "{log}");
        assert_eq!(home.state()["version"], 3);
    }
}

#[test]
fn a_state_that_cannot_be_written_is_said_once_and_stops_nothing() {
    let (cloud, home) = (Cloud::start(), Home::new());
    home.configure(&cloud, TWO_NAMES);
    let mut command = home.command(&["run"]);
    // Not even root can write below a file.
    command.env("STAYPUT_STATE", home.path("token").join("state.json"));
    let daemon = Running::start(command);
    daemon.wait_for(SETTLED, 1);
    let log = daemon.stop();
    assert_eq!(log.matches("state.json").count(), 1, "{log}");
}

#[test]
fn a_second_instance_goes_on_without_the_state_of_the_first() {
    let (cloud, home) = (Cloud::start(), Home::new());
    home.configure(&cloud, TWO_NAMES);
    let first = Running::start(home.command(&["run"]));
    first.wait_for(SETTLED, 1);
    let second = Running::start(home.command(&["run"]));
    second.wait_for("another instance", 1);
    second.wait_for(SETTLED, 1);
    second.stop();
    first.stop();
    assert_eq!(cloud.records().len(), 2);
}

#[test]
fn with_on_exit_delete_our_records_go_and_nobody_elses() {
    let (cloud, home) = (Cloud::start(), Home::new());
    cloud.add(&json!({"type": "A", "name": "foreign", "content": HERE}));
    home.configure(&cloud, &format!("on-exit = \"delete\"\n---{TWO_NAMES}"));
    let mut daemon = Running::start(home.command(&["run"]));
    daemon.wait_for(SETTLED, 1);
    assert_eq!(cloud.records().len(), 3);
    daemon.signal(Signal::TERM);
    let (status, _) = daemon.end();
    assert_eq!(status.code(), Some(0));
    assert_eq!(cloud.records(), [format!("foreign.example.com {HERE}")]);
}

#[test]
fn a_stop_that_cannot_delete_names_what_is_left_before_a_container_engine_kills_it() {
    for fault in ["delay=20", "html=502", "revoked"] {
        let (cloud, home) = (Cloud::start(), Home::new());
        home.configure(&cloud, &format!("on-exit = \"delete\"\n---{TWO_NAMES}"));
        let mut daemon = Running::start(home.command(&["run"]));
        daemon.wait_for(SETTLED, 1);
        cloud.arm(fault);
        daemon.signal(Signal::TERM);
        let (status, took) = daemon.end();
        assert_eq!(status.code(), Some(0), "{fault}");
        assert!(took < Duration::from_secs(9), "{fault}: {took:?}");
        let words = "stopped before these records could be deleted: a.example.com A, b.example.com A";
        assert_eq!(daemon.log().matches(words).count(), 1, "{fault}: {}", daemon.log());
    }
}

#[test]
fn a_stop_in_the_middle_of_a_request_ends_within_a_second() {
    let (cloud, home) = (Cloud::start(), Home::new());
    cloud.arm("delay=20");
    home.configure(&cloud, TWO_NAMES);
    let daemon = Running::start(home.command(&["run"]));
    eventually(|| cloud.requests() > 0, || "it asks nothing".into());
    daemon.stop();
}

#[test]
fn a_stop_while_a_batch_is_under_way_has_it_sent_once_also_by_the_next_start() {
    let (cloud, home) = (Cloud::start(), Home::new());
    home.configure(&cloud, TWO_NAMES);
    let daemon = Running::start(home.command(&["run"]));
    daemon.wait_for(SETTLED, 1);
    // It takes effect, and the answer comes when nobody waits for it any more.
    cloud.arm("delay:1=5");
    cloud.move_to(THERE);
    eventually(|| cloud.count(Kind::Batch) == 2, || "the write does not leave".into());
    daemon.stop();
    assert_eq!(home.state()["zone"]["listed_at"], json!(null), "the copy is doubted on disk");
    let lists = cloud.count(Kind::ListRecords);
    let daemon = Running::start(home.command(&["run"]));
    daemon.wait_for(SETTLED, 1);
    daemon.stop();
    assert_eq!(cloud.count(Kind::ListRecords), lists + 1, "it looked what became of it");
    assert_eq!(cloud.count(Kind::Batch), 2, "and did not send it again");
    assert_eq!(cloud.records(), [format!("a.example.com {THERE}"), format!("b.example.com {THERE}")]);
}

#[test]
fn a_state_from_the_other_end_of_a_clock_costs_a_list_and_locks_no_budget() {
    let (cloud, home) = (Cloud::start(), Home::new());
    home.configure(&cloud, TWO_NAMES);
    let daemon = Running::start(home.command(&["run"]));
    daemon.wait_for(SETTLED, 1);
    daemon.stop();
    // As a host without a clock of its own leaves it, which has started in 1970 and is right now.
    let mut state = String::new();
    for line in std::fs::read_to_string(home.path("state.json")).unwrap().lines() {
        let mut line: serde_json::Value = serde_json::from_str(line).unwrap();
        if let Some(stamp) = line.pointer_mut("/zone/listed_at") {
            *stamp = json!(60_000);
        }
        if let Some(rest) = line.get_mut("rest") {
            for address in rest["addresses"].as_array_mut().unwrap() {
                address["confirmed_at"] = json!(60_000);
            }
            for credential in rest["credentials"].as_object_mut().unwrap().values_mut() {
                credential["spent"] = json!(vec![61_000; 300]);
            }
        }
        state += &format!("{line}\n");
    }
    home.write("state.json", state);
    let lists = cloud.count(Kind::ListRecords);
    let daemon = Running::start(home.command(&["run"]));
    daemon.wait_for(SETTLED, 1);
    daemon.stop();
    assert_eq!(cloud.count(Kind::ListRecords), lists + 1, "a list of 1970 is no list");
}

#[test]
#[ignore = "needs strace(1), and the right to trace"]
fn a_slow_disk_delays_the_requests_that_need_it_and_nothing_else() {
    let (cloud, home) = (Cloud::start(), Home::new());
    home.configure(&cloud, TWO_NAMES);
    let mut systemd = Systemd::at(&home.path("notify"));
    let run = home.command(&["run"]);
    let trace = home.path("trace");
    let mut command = Command::new("strace");
    // As a grandchild, so that signals go to the program itself.
    command.args(["-D", "-f", "-o"]).arg(&trace);
    command.args(["-e", "trace=fsync", "-e", "inject=fsync:delay_enter=1500000"]);
    command.arg(run.get_program()).args(run.get_args()).env_clear().env("PATH", "/usr/bin:/bin");
    command.env("STAYPUT_STATE", home.path("state.json")).env("STAYPUT_SOCKET", home.path("socket"));
    command.env("NOTIFY_SOCKET", home.path("notify"));
    let daemon = Running::start(command);
    daemon.wait_for(SETTLED, 1);
    eventually(|| threads(daemon.pid()) == 1, || "a thread is left when nothing is to be saved".into());
    let syncs = || std::fs::read_to_string(&trace).unwrap().matches("fsync(").count();
    let before = syncs();
    cloud.move_to(THERE);
    daemon.signal(Signal::USR1);
    eventually(|| threads(daemon.pid()) > 1, || "nothing is saved".into());
    let begin = Instant::now();
    let mut status = Command::new(env!("CARGO_BIN_EXE_stayput"));
    status.args(["status", "--json"]).env_clear().env("STAYPUT_SOCKET", home.path("socket"));
    assert!(support::finish(status).status.success());
    let looks = cloud.looks();
    daemon.signal(Signal::USR1);
    eventually(|| cloud.looks() > looks, || "it does not look".into());
    daemon.signal(Signal::HUP);
    systemd.wait_for("RELOADING=1", 1);
    systemd.wait_for("READY=1", 2);
    assert!(begin.elapsed() < Duration::from_millis(1500) + SLACK, "{:?}", begin.elapsed());
    assert_eq!(cloud.count(Kind::Batch), 1, "the write does not leave before its mark is on disk");
    cloud.wait_for_records(&[&format!("a.example.com {THERE}"), &format!("b.example.com {THERE}")]);
    let saves = (syncs() - before).div_ceil(2);
    assert!(saves <= 3, "{saves} saves before one batch");
    daemon.stop();
}

/// The threads of a process.
fn threads(pid: u32) -> usize {
    std::fs::read_dir(format!("/proc/{pid}/task")).map_or(0, Iterator::count)
}

#[test]
fn a_source_that_hangs_does_not_hold_up_the_stop() {
    let (cloud, home) = (Cloud::start(), Home::new());
    let command = "[\"sleep\", \"60\"]";
    let text = std::fs::read_to_string(home.configure(&cloud, TWO_NAMES)).unwrap();
    let text =
        text.replace(&format!("{{ url = \"{}\" }}", cloud.echo), &format!("{{ command = {command} }}"));
    home.write("stayput.toml", text);
    let mut run = home.command(&["run"]);
    run.env("PATH", "/usr/bin:/bin");
    let daemon = Running::start(run);
    sleep(Duration::from_secs(2));
    daemon.stop();
    assert_eq!(cloud.count(Kind::Batch), 0, "an unknown address changes nothing");
}
