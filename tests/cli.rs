//! The real program as a script sees it: what it prints where, its exit codes, its signals.

#![cfg(feature = "sandbox")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::IpAddr;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use stayput::sandbox::{Kind, MADE_UP, Token};
use support::{
    Cloud, ELSEWHERE, HERE, Home, Running, TOKEN, eventually, files, finish, stayput, stderr, stdout,
};

const ONE_NAME: &str = "[[record]]\nname = \"a.example.com\"\n";
const COMMANDS: [&str; 7] = ["run", "once", "plan", "check", "detect", "schema", "sandbox"];

fn code(command: Command) -> (i32, String, String) {
    let output = finish(command);
    (output.status.code().unwrap_or(-1), stdout(&output), stderr(&output))
}

#[test]
fn help_and_version_are_results() {
    let (exit, out, err) = code(stayput(&["--help"]));
    assert_eq!((exit, err.as_str()), (0, ""));
    for command in COMMANDS {
        assert!(out.contains(&format!("\n  {command} ")), "{command} is not in\n{out}");
    }
    let (exit, out, _) = code(stayput(&["-V"]));
    assert_eq!((exit, out), (0, format!("stayput {}\n", env!("CARGO_PKG_VERSION"))));
    for command in COMMANDS {
        let (exit, out, _) = code(stayput(&[command, "--help"]));
        assert_eq!(exit, 0);
        for flag in ["--config", "--verbose", "--quiet", "--log-format", "--color"] {
            assert!(out.contains(flag), "{command} --help lacks {flag}");
        }
    }
}

#[test]
fn a_wrong_command_line_exits_with_64_and_says_why_on_standard_error() {
    let wrong: [&[&str]; 6] = [
        &[],
        &["rum"],
        &["run", "--no-such-flag"],
        &["plan", "--log-format", "yaml"],
        &["run", "-v", "-q"],
        &["sandbox", "--fault", "earthquake"],
    ];
    for arguments in wrong {
        let (exit, out, err) = code(stayput(arguments));
        assert_eq!((exit, out.as_str()), (64, ""), "{arguments:?}");
        assert!(!err.is_empty());
    }
    assert!(code(stayput(&["rum"])).2.contains("run"), "the nearest command is named");
}

#[test]
fn the_schema_is_json_and_accepts_the_example() {
    let (exit, out, _) = code(stayput(&["schema"]));
    assert_eq!(exit, 0);
    let schema: Value = serde_json::from_str(&out).unwrap();
    let valid = json!({"record": [{"name": "home.example.com"}]});
    assert!(jsonschema::is_valid(&schema, &valid));
    assert!(!jsonschema::is_valid(&schema, &json!({"recrod": []})));
}

#[test]
fn every_configuration_that_is_shipped_passes_the_check() {
    let shipped = files("config", "toml");
    assert!(shipped.len() >= 2, "{shipped:?}");
    for file in shipped {
        let (exit, out, err) = code(stayput(&["check", "--offline", "-c", file.to_str().unwrap()]));
        assert_eq!((exit, err.as_str()), (0, ""), "{}", file.display());
        assert!(out.starts_with("ok "), "{out}");
    }
}

#[test]
fn every_bad_configuration_exits_with_78_and_its_exact_words() {
    let bad = files("tests/config", "toml");
    assert!(bad.len() >= 40, "only {} files", bad.len());
    for file in bad {
        let expected = std::fs::read_to_string(file.with_extension("expected")).unwrap();
        let mut command = stayput(&["check", "--offline", "-c"]);
        command.arg(file.file_name().unwrap()).current_dir(file.parent().unwrap());
        let (exit, out, err) = code(command);
        assert_eq!((exit, out.as_str()), (78, ""), "{}", file.display());
        assert_eq!(err, expected, "{}", file.display());
    }
}

#[test]
fn every_command_that_needs_a_configuration_exits_with_78_without_one() {
    for command in ["run", "once", "plan", "check"] {
        let (exit, _, err) = code(stayput(&[command, "-c", "/nonexistent/stayput.toml"]));
        assert_eq!(exit, 78, "{command}");
        assert!(err.contains("/nonexistent/stayput.toml"), "{err}");
    }
    let mut stray = stayput(&["check", "--offline"]);
    stray.env("STAYPUT_RECORD", "a.example.com");
    let (exit, _, err) = code(stray);
    assert_eq!(exit, 78);
    assert!(err.contains("STAYPUT_RECORD"), "{err}");
}

#[test]
fn two_variables_are_a_whole_configuration() {
    let mut command = stayput(&["check", "--offline"]);
    command.env("STAYPUT_RECORDS", "a.example.com,*.example.com").env("CLOUDFLARE_API_TOKEN", TOKEN);
    let (exit, out, err) = code(command);
    assert_eq!((exit, err.as_str()), (0, ""));
    assert!(out.contains("2 names"), "{out}");
    assert!(!out.contains(TOKEN));
}

#[test]
fn a_secret_that_cannot_be_had_exits_with_78_and_says_where_it_was_sought() {
    let (cloud, home) = (Cloud::start(), Home::new());
    home.configure(&cloud, ONE_NAME);
    for bad in ["", "\"quoted-0123456789abcdefghijklmnopqrstuv\"", "two words of a token 0123456789012345"] {
        home.write("token", bad);
        for command in ["run", "once", "plan", "check"] {
            let (exit, out, err) = code(home.command(&[command]));
            assert_eq!(exit, 78, "{command} with {bad:?}:\n{out}{err}");
            assert!((out + &err).contains("token"), "{err}");
        }
    }
    std::fs::remove_file(home.path("token")).unwrap();
    assert_eq!(code(home.command(&["once"])).0, 78);
    let (exit, out, err) = code(home.command(&["plan", "--json"]));
    assert_eq!(exit, 78, "{err}");
    assert!(out.starts_with("{\"format\":1,\"mistakes\":[{"), "{out}");
    let json: Value = serde_json::from_str(&out).unwrap();
    assert!(json["mistakes"][0]["remedy"].as_str().unwrap().starts_with("put it into"), "{out}");
    assert_eq!(cloud.requests(), 0);
}

#[test]
fn once_does_what_the_plan_says_and_a_second_plan_is_empty() {
    let (cloud, home) = (Cloud::start(), Home::new());
    cloud.add(&json!({"type": "A", "name": "a", "content": ELSEWHERE}));
    home.configure(&cloud, "[[record]]\nname = [\"a.example.com\", \"b.example.com\"]\nttl = \"5m\"\n");
    let (exit, out, _) = code(home.command(&["plan", "--json"]));
    assert_eq!(exit, 0);
    assert!(out.starts_with("{\"format\":1,\"changes\":[") && out.lines().count() == 1, "{out}");
    let plan: Value = serde_json::from_str(&out).unwrap();
    let keys: Vec<&String> = plan.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["blocked", "changes", "format", "requests", "unchanged"]);
    assert_eq!(plan["changes"].as_array().unwrap().len(), 2);
    let update = &plan["changes"][0];
    assert_eq!((&update["zone"], &update["action"]), (&json!("example.com"), &json!("update")));
    assert_eq!(
        (&update["before"]["content"], &update["after"]["content"]),
        (&json!(ELSEWHERE), &json!(HERE))
    );
    assert_eq!((&update["before"]["ttl"], &update["after"]["ttl"]), (&json!(1), &json!(300)));
    let create = &plan["changes"][1];
    assert_eq!((&create["name"], &create["before"]), (&json!("b.example.com"), &Value::Null));
    assert_eq!(plan["requests"], 2, "a list and a batch");
    assert_eq!(code(home.command(&["plan", "--exit-code"])).0, 2);
    assert_eq!(cloud.count(Kind::Batch), 0, "a plan sends nothing but reads");

    let (exit, out, err) = code(home.command(&["once"]));
    assert_eq!((exit, out.as_str()), (0, ""), "{err}");
    assert_eq!(cloud.records(), [format!("a.example.com {HERE}"), format!("b.example.com {HERE}")]);
    let (exit, out, _) = code(home.command(&["plan", "--exit-code"]));
    assert_eq!((exit, out.as_str()), (0, "nothing to do, 2 unchanged; 0 requests\n"));
}

#[test]
fn a_plan_tells_each_reason_once_and_names_what_is_left_over() {
    let (cloud, home) = (Cloud::start(), Home::new());
    cloud.add(&json!({"type": "A", "name": "old", "content": ELSEWHERE, "comment": "stayput"}));
    home.configure(
        &cloud,
        "[[record]]\nname = [\"a.example.com\", \"b.example.com\", \"a.example.org\", \"b.example.org\"]\n",
    );
    let (exit, out, err) = code(home.command(&["plan"]));
    assert_eq!(exit, 69, "{out}{err}");
    let said = format!("{out}{err}");
    assert_eq!(said.matches("no zone for ").count(), 1, "{said}");
    let blocked =
        "blocked\n  ! a.example.org A\n  ! b.example.org A\n      no zone for a.example.org is visible";
    assert!(out.contains(blocked) && out.contains("likewise for the others"), "{out}");
    assert!(out.contains(&format!("left over\n  ? old.example.com A  {ELSEWHERE}\n")), "{out}");
    assert!(out.ends_with("2 to create, 2 blocked, 1 left over, 0 unchanged; 2 requests\n"), "{out}");
    assert_eq!(cloud.count(Kind::Batch), 0);
}

#[test]
fn a_plan_tells_what_is_known_while_it_waits() {
    let (cloud, home) = (Cloud::start(), Home::new());
    home.configure(&cloud, ONE_NAME);
    cloud.arm("delay:1=5");
    let mut plan = Running::start(home.command(&["plan"]));
    plan.wait_for(&format!("IPv4 address is {HERE}"), 1);
    assert!(!plan.has_ended(), "it waits for the zones");
    assert_eq!(plan.end().0.code(), Some(0));
}

#[test]
fn with_nothing_reachable_the_exit_is_75() {
    let (cloud, home) = (Cloud::start(), Home::new());
    cloud.arm("html=502");
    cloud.arm("echo-error");
    home.configure(&cloud, ONE_NAME);
    for command in ["once", "plan", "check"] {
        let (exit, out, err) = code(home.command(&[command]));
        assert_eq!(exit, 75, "{command}:\n{out}{err}");
    }
    assert!(cloud.records().is_empty());
}

#[test]
fn with_a_refused_token_the_exit_is_77_and_the_remedy_is_said() {
    let (cloud, home) = (Cloud::start(), Home::new());
    cloud.world().auth.tokens = vec![Token::editing(&TOKEN.replace("tests", "other"))];
    home.configure(&cloud, ONE_NAME);
    for command in ["once", "plan", "check"] {
        let (exit, out, err) = code(home.command(&[command]));
        let said = out + &err;
        assert_eq!(exit, 77, "{command}:\n{said}");
        assert!(said.contains("token") && !said.contains(TOKEN), "{said}");
    }
}

#[test]
fn what_is_done_in_part_exits_with_69() {
    let (cloud, home) = (Cloud::start(), Home::new());
    cloud.add(&json!({"type": "CNAME", "name": "b", "content": "example.net"}));
    home.configure(&cloud, "[[record]]\nname = [\"a.example.com\", \"b.example.com\"]\n");
    let (exit, _, err) = code(home.command(&["once"]));
    assert_eq!(exit, 69, "{err}");
    assert!(err.contains("CNAME"), "{err}");
    assert_eq!(cloud.records(), [format!("a.example.com {HERE}")], "one never holds back the others");
}

#[test]
fn a_check_that_finds_all_well_says_so_line_by_line() {
    let (cloud, home) = (Cloud::start(), Home::new());
    home.configure(&cloud, ONE_NAME);
    let (exit, out, err) = code(home.command(&["check"]));
    assert_eq!(exit, 0, "{out}{err}");
    for part in ["configuration", "clock", "secret", "source", "address", "zone", "records"] {
        assert!(out.lines().any(|line| line.starts_with("ok") && line.contains(part)), "no {part} in\n{out}");
    }
    assert!(!out.contains("FAIL") && !out.contains(TOKEN), "{out}");
    assert_eq!(cloud.count(Kind::Batch), 0, "a check changes nothing");
}

#[test]
fn a_check_says_one_thing_of_a_zone_and_never_that_it_may_be_edited() {
    use stayput::sandbox::Access;
    for (dns, words, exits) in [
        (Access::Read, "and not edit them", 77),
        (Access::None, "is refused", 77),
        (Access::Edit, "were listed", 0),
    ] {
        let (cloud, home) = (Cloud::start(), Home::new());
        let mut token = Token::editing(TOKEN);
        (token.dns, token.zone_read) = (dns, true);
        cloud.world().auth.tokens = vec![token];
        home.configure(&cloud, ONE_NAME);
        let (exit, out, err) = code(home.command(&["check"]));
        assert_eq!(exit, exits, "{dns:?}: {out}{err}");
        let of_the_zone: Vec<&str> = out.lines().filter(|line| line.contains(" zone  ")).collect();
        assert_eq!(of_the_zone.len(), 1, "{dns:?}: {out}");
        assert!(of_the_zone[0].contains(words), "{dns:?}: {out}");
        assert_eq!(of_the_zone[0].starts_with("ok"), exits == 0, "{out}");
        assert!(!out.contains("can be edited"), "{out}");
    }
}

#[test]
fn a_check_for_programs_has_every_step_and_its_remedy() {
    let (cloud, home) = (Cloud::start(), Home::new());
    cloud.add(&json!({"type": "CNAME", "name": "a", "content": "example.net"}));
    home.configure(&cloud, ONE_NAME);
    let (exit, out, err) = code(home.command(&["check", "--json"]));
    assert_eq!((exit, err.as_str()), (69, ""), "{out}");
    assert!(out.starts_with("{\"format\":1,\"steps\":[{\"step\":\"configuration\",\"subject\":"), "{out}");
    let json: Value = serde_json::from_str(&out).unwrap();
    let steps = json["steps"].as_array().unwrap();
    for step in steps {
        let keys: Vec<&String> = step.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["remedy", "state", "step", "subject", "text"]);
    }
    let obstacle = steps.iter().find(|step| step["state"] == "fail").unwrap();
    assert_eq!((&obstacle["step"], &obstacle["subject"]), (&json!("record"), &json!("a.example.com A")));
    assert!(obstacle["remedy"].as_str().unwrap().contains("delete it"), "{obstacle}");
}

#[test]
fn a_wrong_configuration_is_told_to_programs_in_their_language() {
    let home = Home::new();
    home.write("stayput.toml", "[address]\nevry = \"5m\"\n[[record]]\nname = \"a.example.com\"\n");
    for command in ["plan", "check", "detect"] {
        let (exit, out, err) = code(home.command(&[command, "--json"]));
        assert_eq!((exit, err.as_str()), (78, ""), "{command}: {out}");
        assert!(out.starts_with("{\"format\":1,\"mistakes\":["), "{out}");
        let mistake = &serde_json::from_str::<Value>(&out).unwrap()["mistakes"][0];
        assert_eq!((&mistake["line"], &mistake["column"]), (&json!(2), &json!(1)));
        assert_eq!(mistake["file"], home.path("stayput.toml").to_str().unwrap());
        assert_eq!(mistake["text"], "there is no key \"evry\" in [address]");
        assert_eq!(mistake["remedy"], "did you mean every?");
    }
}

#[test]
fn detect_shows_what_each_source_says_and_what_is_believed() {
    let (cloud, home) = (Cloud::start(), Home::new());
    home.configure(&cloud, ONE_NAME);
    let (exit, out, err) = code(home.command(&["detect"]));
    assert_eq!((exit, err.as_str()), (0, ""), "{out}");
    assert!(out.contains(&format!("believed: {HERE}")), "{out}");
    let (_, out, _) = code(home.command(&["detect", "--json"]));
    assert!(out.starts_with("{\"format\":1,\"families\":{\"ipv4\":{\"believed\":"), "{out}");
    let json: Value = serde_json::from_str(&out).unwrap();
    let found = &json["families"]["ipv4"];
    assert_eq!((&found["believed"], &found["sources"][0]["says"]), (&json!(HERE), &json!(HERE)));
    assert_eq!(json["families"]["ipv6"], Value::Null, "the family is off");
    assert_eq!(cloud.requests(), 0, "the API is not asked");
    cloud.arm("echo-html");
    assert_eq!(code(home.command(&["detect"])).0, 75);
}

#[test]
fn the_sandbox_prints_its_base_url_first_and_serves_what_it_was_told_to() {
    let arguments = ["sandbox", "--zone", "example.org", "--address", HERE, "--fault", "delay:1=10ms"];
    let mut command = stayput(&arguments);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut url = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut url).unwrap();
    let home = Home::new();
    let echo = url.trim().replace("/client/v4", "/echo/ipify");
    let config = format!(
        "[cloudflare]\napi = \"{}\"\ntoken = {{ file = \"{}\" }}\n[address]\nipv4 = [{{ url = \"{echo}\" }}]\nipv6 = []\n[[record]]\nname = \"a.example.org\"\n",
        url.trim(),
        home.path("token").display()
    );
    home.write("stayput.toml", config);
    let (exit, _, err) = code(home.command(&["once"]));
    assert_eq!(exit, 0, "{err}");
    assert!(err.contains(HERE), "{err}");
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_first_look_needs_no_configuration_no_account_and_no_network() {
    let home = Home::new();
    let mut command = stayput(&["run", "--sandbox"]);
    command.env("STAYPUT_SOCKET", home.path("stayput.sock"));
    let began = Instant::now();
    let daemon = Running::start(command);
    daemon.wait_for("nothing leaves this machine", 1);
    daemon.wait_for("are current", 1);
    daemon.wait_for("cost: ", 1);
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    daemon.wait_for("address changed from", 1);
    daemon.wait_for("cost: ", 2);
    daemon.stop();
    let (exit, out, _) = code(stayput(&["plan", "--sandbox", "--json"]));
    assert_eq!(exit, 0);
    assert!(serde_json::from_str::<Value>(&out).unwrap()["changes"].as_array().unwrap().len() > 2);
    for arguments in [&["once", "--sandbox"][..], &["check", "--sandbox"], &["detect", "--sandbox"]] {
        let (exit, out, err) = code(stayput(arguments));
        assert_eq!(exit, 0, "{arguments:?}: {out}{err}");
    }
}

#[test]
fn an_outage_can_be_watched_with_one_command() {
    let home = Home::new();
    let mut command = stayput(&["run", "--sandbox", "--fault", "html:2=503"]);
    command.env("STAYPUT_SOCKET", home.path("stayput.sock"));
    let daemon = Running::start(command);
    daemon.wait_for("HTTP 503", 1);
    daemon.wait_for("resolved after", 1);
    daemon.stop();
    let (exit, _, err) = code(stayput(&["run", "--fault", "html=503"]));
    assert_eq!(exit, 64, "a fault outside of the sandbox: {err}");
}

#[test]
fn with_sandbox_the_users_own_api_secret_and_state_are_left_alone() {
    let (cloud, home) = (Cloud::start(), Home::new());
    home.configure(&cloud, ONE_NAME);
    home.write("token", "not \"a\" token");
    let (exit, _, err) = code(home.command(&["once", "--sandbox"]));
    assert_eq!(exit, 0, "{err}");
    assert!(err.contains("a.example.com"), "{err}");
    assert_eq!((cloud.requests(), cloud.looks()), (0, 0));
    assert!(!home.path("state.json").exists());
}

#[test]
fn the_addresses_of_the_sandbox_are_seen_to_be_made_up_and_no_real_run_publishes_them() {
    let (exit, out, _) = code(stayput(&["plan", "--sandbox", "--json"]));
    assert_eq!(exit, 0);
    let plan: Value = serde_json::from_str(&out).unwrap();
    for change in plan["changes"].as_array().unwrap() {
        let content: IpAddr = change["after"]["content"].as_str().unwrap().parse().unwrap();
        assert!(MADE_UP.iter().any(|range| range.contains(&content)), "{content}");
    }
    let (cloud, home) = (Cloud::start(), Home::new());
    home.configure(&cloud, ONE_NAME);
    cloud.move_to("203.0.113.7");
    let (exit, _, err) = code(home.command(&["once"]));
    assert_eq!(exit, 75, "{err}");
    assert!(err.contains("203.0.113.0/24 is for documentation"), "{err}");
    assert!(cloud.records().is_empty());
}

#[test]
fn a_closed_or_full_log_disturbs_nothing() {
    let (cloud, home) = (Cloud::start(), Home::new());
    home.configure(&cloud, ONE_NAME);
    let mut command = home.command(&["once", "-v", "-v"]);
    command.stderr(std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap());
    assert_eq!(command.stdout(Stdio::null()).status().unwrap().code(), Some(0));
    let mut command = home.command(&["once", "-v", "-v"]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stderr.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(cloud.records(), [format!("a.example.com {HERE}")]);
}

#[test]
fn a_result_that_nobody_takes_exits_with_1_and_without_a_word() {
    let mut command = stayput(&["schema"]);
    command.stdout(std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap());
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let mut err = String::new();
    child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
    assert_eq!((child.wait().unwrap().code(), err.as_str()), (Some(1), ""));
}

#[test]
fn the_log_has_the_form_that_was_asked_for() {
    let (cloud, home) = (Cloud::start(), Home::new());
    home.configure(&cloud, ONE_NAME);
    let (_, _, err) = code(home.command(&["once", "--log-format", "json"]));
    for line in err.lines() {
        let entry: Value = serde_json::from_str(line).unwrap();
        assert!(entry["message"].is_string() && entry["level"].is_string(), "{line}");
    }
    let (_, _, err) = code(home.command(&["once", "--log-format", "journal", "-v"]));
    assert!(!err.is_empty() && err.lines().all(|line| line.starts_with('<')), "{err}");
    std::fs::remove_file(home.path("state.json")).unwrap();
    let (_, _, err) = code(home.command(&["once", "-v"]));
    let requests = err.lines().filter(|line| line.contains("DEBUG") && line.contains("path=/zones"));
    assert_eq!(requests.count(), 3, "each request has its line: {err}");
    assert!(!err.contains('\x1b'), "no colours in a file: {err:?}");
    // The one source of the test is fewer than the two that must agree, which is warned about.
    let (_, _, err) = code(home.command(&["once", "--color", "always"]));
    assert!(err.contains("\x1b[33mWARN "), "{err:?}");
}

#[test]
fn the_secret_is_in_no_log_at_any_level() {
    let (cloud, home) = (Cloud::start(), Home::new());
    home.configure(&cloud, ONE_NAME);
    for arguments in [&["once", "-v", "-v"][..], &["check", "-v", "-v"], &["plan", "-v", "-v", "--json"]] {
        let (exit, out, err) = code(home.command(arguments));
        let _none_after_a_check = std::fs::remove_file(home.path("state.json"));
        assert_eq!(exit, 0);
        assert!(err.contains("zones"), "the requests are in the log:\n{err}");
        assert!(!out.contains(TOKEN) && !err.contains(TOKEN));
    }
}

#[test]
fn a_stop_by_sigint_ends_with_0_like_one_by_sigterm() {
    let (cloud, home) = (Cloud::start(), Home::new());
    home.configure(&cloud, ONE_NAME);
    let mut daemon = Running::start(home.command(&["run"]));
    daemon.wait_for("are current", 1);
    daemon.signal(Signal::INT);
    assert_eq!(daemon.end().0.code(), Some(0));
}

#[test]
fn a_second_stop_ends_at_once() {
    for (first, second) in
        [(Signal::TERM, Signal::TERM), (Signal::INT, Signal::INT), (Signal::TERM, Signal::INT)]
    {
        let (cloud, home) = (Cloud::start(), Home::new());
        home.configure(&cloud, &format!("on-exit = \"delete\"\n---{ONE_NAME}"));
        let mut daemon = Running::start(home.command(&["run"]));
        daemon.wait_for("are current", 1);
        let requests = cloud.requests();
        cloud.arm("delay=20");
        daemon.signal(first);
        eventually(|| cloud.requests() > requests, || "it does not begin to delete".into());
        assert!(!daemon.has_ended(), "one stop lets it delete");
        daemon.signal(second);
        let (status, took) = daemon.end();
        assert_eq!(status.code(), Some(0));
        assert!(took < Duration::from_secs(1), "{took:?}");
    }
}

#[test]
fn a_hangup_disturbs_no_single_pass() {
    for (command, batches) in [("once", 1), ("plan", 0)] {
        let (cloud, home) = (Cloud::start(), Home::new());
        home.configure(&cloud, ONE_NAME);
        cloud.arm("delay:1=1");
        let mut pass = Running::start(home.command(&[command]));
        eventually(|| cloud.requests() > 0, || "it asks nothing".into());
        pass.signal(Signal::HUP);
        let (status, _) = pass.end();
        assert_eq!(status.code(), Some(0), "{command}: {}", pass.log());
        assert_eq!((cloud.count(Kind::Batch), cloud.count(Kind::ListZones)), (batches, 1), "{command}");
    }
}

/// A pipe that is full, and whose reader is there and does not read.
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
fn full_pipe() -> (std::process::Child, std::process::ChildStdin) {
    let mut reader = Command::new("sleep").arg("60").stdin(Stdio::piped()).spawn().unwrap();
    let mut pipe = reader.stdin.take().unwrap();
    rustix::io::ioctl_fionbio(&pipe, true).unwrap();
    while pipe.write(&[b'x'; 1024]).is_ok() {}
    rustix::io::ioctl_fionbio(&pipe, false).unwrap();
    (reader, pipe)
}

#[test]
fn a_log_that_nobody_reads_holds_up_neither_the_work_nor_the_stop() {
    let (cloud, home) = (Cloud::start(), Home::new());
    home.configure(&cloud, ONE_NAME);
    let (reader, pipe) = full_pipe();
    runs_and_stops_with(reader, pipe, &cloud, &home);
}

#[test]
fn a_log_that_says_try_again_holds_up_neither_the_work_nor_the_stop() {
    let (cloud, home) = (Cloud::start(), Home::new());
    home.configure(&cloud, ONE_NAME);
    let (reader, pipe) = full_pipe();
    // As another program that shares the pipe may have set it: a write that would wait fails.
    rustix::io::ioctl_fionbio(&pipe, true).unwrap();
    runs_and_stops_with(reader, pipe, &cloud, &home);
}

fn runs_and_stops_with(
    mut reader: std::process::Child,
    pipe: std::process::ChildStdin,
    cloud: &Cloud,
    home: &Home,
) {
    let mut daemon = home.command(&["run", "-v", "-v"]).stderr(pipe).spawn().unwrap();
    let published = format!("a.example.com {HERE}");
    eventually(|| cloud.records() == [published.as_str()], || format!("{:?}", cloud.records()));
    let begin = Instant::now();
    let pid = Pid::from_child(&daemon);
    kill_process(pid, Signal::TERM).unwrap();
    let status = daemon.wait().unwrap();
    assert_eq!(status.code(), Some(0));
    assert!(begin.elapsed() < Duration::from_secs(1), "{:?}", begin.elapsed());
    reader.kill().unwrap();
    reader.wait().unwrap();
}

#[test]
fn the_journal_is_recognised_by_its_file_and_by_nothing_else() {
    use std::os::unix::fs::MetadataExt;
    let (cloud, home) = (Cloud::start(), Home::new());
    home.configure(&cloud, ONE_NAME);
    for (offset, is_journal) in [(0, true), (1, false)] {
        let path = home.write("log", "");
        let file = std::fs::File::create(&path).unwrap();
        let about = file.metadata().unwrap();
        let mut command = home.command(&["once", "-v"]);
        command.env("JOURNAL_STREAM", format!("{}:{}", about.dev(), about.ino() + offset));
        assert!(command.stderr(file).status().unwrap().success());
        let log = std::fs::read_to_string(&path).unwrap();
        assert!(!log.is_empty());
        assert_eq!(log.lines().all(|line| line.starts_with('<')), is_journal, "{log}");
    }
}

#[test]
fn a_single_pass_that_is_interrupted_says_so_and_claims_nothing() {
    let (cloud, home) = (Cloud::start(), Home::new());
    cloud.arm("delay=20");
    home.configure(&cloud, ONE_NAME);
    for command in ["once", "plan"] {
        let before = cloud.requests();
        let mut pass = Running::start(home.command(&[command]));
        eventually(|| cloud.requests() > before, || "it asks nothing".into());
        pass.signal(Signal::INT);
        let (status, took) = pass.end();
        assert_eq!(status.code(), Some(75), "{}", pass.log());
        assert!(took < Duration::from_secs(2), "{took:?}");
        pass.wait_for("stopped", 1);
    }
}
