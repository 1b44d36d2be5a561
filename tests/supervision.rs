//! What the real program tells a service manager, and that nobody who starts it, however odd, disturbs it:
//! managers, shells, terminals that go away, containers.

#![cfg(feature = "sandbox")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::fs::File;
use std::io::Read;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags, fcntl_setfl, open};
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use stayput::sandbox::Token;
use support::{
    Cloud, ELSEWHERE, HERE, Home, Running, Systemd, THERE, TOKEN, eventually, finish, stderr, stdout,
};

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
    #[expect(clippy::disallowed_methods, reason = "the status is dated by it")]
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

/// A program that becomes `run`.
fn by(wrapper: &[&str], run: &Command) -> Command {
    let mut command = Command::new(wrapper[0]);
    command.args(&wrapper[1..]).arg(run.get_program()).args(run.get_args()).env_clear();
    command.envs(run.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command
}

#[test]
fn one_who_was_started_with_sigterm_blocked_is_stopped_by_it_all_the_same() {
    let (cloud, home) = (Cloud::start(), Home::new());
    home.configure(&cloud, TWO_NAMES);
    let daemon = Running::start(by(&["env", "--block-signal"], &home.command(&["run"])));
    daemon.wait_for(SETTLED, 1);
    daemon.stop();
}

#[test]
fn one_who_was_started_with_sigchld_ignored_learns_what_its_programs_say() {
    let (cloud, home) = (Cloud::start(), Home::new());
    let token = home.path("token").display().to_string();
    let text = std::fs::read_to_string(home.configure(&cloud, TWO_NAMES)).unwrap();
    let origin = format!("token = {{ file = \"{token}\" }}");
    assert!(text.contains(&origin), "{text}");
    home.write(
        "stayput.toml",
        text.replace(&origin, &format!("token = {{ command = [\"cat\", \"{token}\"] }}")),
    );
    let output = finish(by(&["env", "--ignore-signal=CHLD"], &home.command(&["once"])));
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(cloud.records().len(), 2);
}

#[test]
fn a_sighup_that_was_ignored_at_the_start_stays_ignored() {
    let (cloud, home) = (Cloud::start(), Home::new());
    home.configure(&cloud, TWO_NAMES);
    let daemon = Running::start(by(&["env", "--ignore-signal=HUP"], &home.command(&["run"])));
    daemon.wait_for(SETTLED, 1);
    daemon.signal(Signal::HUP);
    let looks = cloud.looks();
    daemon.signal(Signal::USR1);
    eventually(|| cloud.looks() > looks, || "it does not look".into());
    let log = daemon.stop();
    assert!(!log.contains("was read again"), "{log}");
    assert!(log.contains("SIGHUP was ignored at the start"), "{log}");
}

/// A terminal with a program that is the leader of its session, as a shell on it would be.
struct Terminal {
    keyboard_and_screen: File,
    program: Child,
    shown: String,
}

impl Terminal {
    fn with(run: &Command) -> Terminal {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        fcntl_setfl(&master, OFlags::NONBLOCK).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let path = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
        let far_end = || open(&path, OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty()).unwrap();
        let mut command = by(&["setsid", "--ctty"], run);
        let program = command.stdin(far_end()).stdout(far_end()).stderr(far_end()).spawn().unwrap();
        Terminal { keyboard_and_screen: master.into(), program, shown: String::new() }
    }

    fn wait_for(&mut self, words: &str) {
        let until = Instant::now() + Duration::from_secs(20);
        while !self.shown.contains(words) {
            assert!(Instant::now() < until, "no {words:?} in {}", self.shown);
            std::thread::sleep(Duration::from_millis(10));
            let mut piece = [0; 4096];
            while let Ok(length @ 1..) = self.keyboard_and_screen.read(&mut piece) {
                self.shown.push_str(&String::from_utf8_lossy(&piece[..length]));
            }
        }
    }

    /// Waits for the end of the program.
    fn end(mut program: Child) -> Option<i32> {
        let mut status = None;
        eventually(
            || {
                status = program.try_wait().unwrap();
                status.is_some()
            },
            || "it lives on".into(),
        );
        status.and_then(|status| status.code())
    }
}

#[test]
fn a_terminal_that_hangs_up_stops_the_program_and_a_sighup_alone_is_a_reload() {
    let (cloud, home) = (Cloud::start(), Home::new());
    home.configure(&cloud, TWO_NAMES);
    let mut terminal = Terminal::with(&home.command(&["run"]));
    terminal.wait_for(SETTLED);
    kill_process(Pid::from_child(&terminal.program), Signal::HUP).unwrap();
    terminal.wait_for("was read again");
    let Terminal { keyboard_and_screen, program, .. } = terminal;
    drop(keyboard_and_screen);
    assert_eq!(Terminal::end(program), Some(0));
}

#[test]
fn one_who_has_no_token_yet_says_once_what_to_do_and_is_not_to_be_started_again() {
    let (cloud, home) = (Cloud::start(), Home::new());
    let text = std::fs::read_to_string(home.configure(&cloud, TWO_NAMES)).unwrap();
    let file = format!("{{ file = \"{}\" }}", home.path("token").display());
    let said = |command: Command| {
        let output = finish(command);
        assert_eq!(output.status.code(), Some(78), "{}", stderr(&output));
        let errors: Vec<String> =
            stderr(&output).lines().filter(|line| line.contains("ERROR")).map(str::to_owned).collect();
        assert_eq!(errors.len(), 1, "{errors:?}");
        errors.concat()
    };
    std::fs::remove_file(home.path("token")).unwrap();
    let words = said(home.command(&["run"]));
    assert!(
        words.contains("is missing: put it into") && words.ends_with("then start stayput again"),
        "{words}"
    );

    home.write("token", "no-token-yet");
    home.write("stayput.toml", text.replace(&file, "{ credential = \"token\" }"));
    let mut systemd = Systemd::at(&home.path("notify"));
    let mut unit = home.command(&["run"]);
    unit.env("CREDENTIALS_DIRECTORY", home.path("")).env("NOTIFY_SOCKET", home.path("notify"));
    let words = said(unit);
    assert!(
        words.contains("is not there yet: create one") && words.contains("/etc/stayput/token"),
        "{words}"
    );
    assert!(words.ends_with("then systemctl restart stayput"), "{words}");
    assert_eq!(systemd.phases(), [""; 0], "it never was ready");
    assert_eq!(cloud.requests(), 0);
}

/// The processes with this parent, each with its state.
fn children(parent: u32) -> Vec<(u32, char)> {
    let stats = std::fs::read_dir("/proc").unwrap().filter_map(|entry| {
        let pid: u32 = entry.ok()?.file_name().to_str()?.parse().ok()?;
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let mut fields = stat.rsplit_once(") ")?.1.split(' ');
        let (state, of) = (fields.next()?.chars().next()?, fields.next()?.parse::<u32>().ok()?);
        Some((pid, of, state))
    });
    stats.filter(|(_, of, _)| *of == parent).map(|(pid, _, state)| (pid, state)).collect()
}

#[test]
#[ignore = "needs unshare(1) and user namespaces"]
fn the_first_process_of_a_container_takes_leave_of_what_its_programs_left_behind() {
    let (cloud, home) = (Cloud::start(), Home::new());
    let text = std::fs::read_to_string(home.configure(&cloud, TWO_NAMES)).unwrap();
    let script = format!("sleep 0 & sleep 0 & echo {HERE}; echo >>{}", home.path("looks").display());
    let source = format!("{{ command = [\"sh\", \"-c\", \"{script}\"] }}");
    home.write("stayput.toml", text.replace(&format!("{{ url = \"{}\" }}", cloud.echo), &source));
    let wrapper = ["unshare", "--user", "--map-root-user", "--pid", "--fork", "--kill-child"];
    let daemon = Running::start(by(&wrapper, &home.command(&["run"])));
    daemon.wait_for(SETTLED, 1);
    let [(first, _)] = children(daemon.pid())[..] else { panic!("unshare has one child") };
    let looks = || std::fs::read(home.path("looks")).unwrap().len();
    for _ in 0..4 {
        let before = looks();
        kill_process(Pid::from_raw(first.try_into().unwrap()).unwrap(), Signal::USR1).unwrap();
        eventually(|| looks() > before, || "it does not look".into());
    }
    let zombies = || children(first).into_iter().filter(|(_, state)| *state == 'Z').count();
    eventually(|| zombies() <= 2, || format!("{} zombies after {} looks", zombies(), looks()));
    daemon.kill();
}

/// A shell in which `mounted` is the file `token`, and is that alone.
const MOUNT: [&str; 6] = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c"];

#[test]
#[ignore = "needs unshare(1) and user namespaces"]
fn a_token_file_that_is_mounted_alone_and_was_replaced_outside_is_said() {
    let (cloud, home) = (Cloud::start(), Home::new());
    cloud.world().auth.tokens = vec![Token::editing(&TOKEN.replace("tests", "other"))];
    let (token, mounted, new) = (home.path("token"), home.write("mounted", ""), home.write("new", "x"));
    let text = std::fs::read_to_string(home.configure(&cloud, TWO_NAMES)).unwrap();
    home.write("stayput.toml", text.replace(&token.display().to_string(), &mounted.display().to_string()));
    let mount = format!("mount --bind {} {}", token.display(), mounted.display());
    let replace = format!("mv {} {}", new.display(), token.display());
    let script = format!("{mount} && {replace} && exec \"$0\" \"$@\"");
    let output = finish(by(&[&MOUNT[..], &[&script]].concat(), &home.command(&["check"])));
    let said = stdout(&output);
    assert_eq!(output.status.code(), Some(77), "{said}");
    assert!(said.contains("mount the folder of the file instead"), "{said}");
    assert!(said.contains("see above") && !said.contains("in the place of the old one"), "{said}");
}
