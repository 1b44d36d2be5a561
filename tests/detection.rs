//! Looks by a process whose surroundings are hostile: an environment full of proxies, no file
//! descriptor or thread left. Each test runs itself again in a process of its own to be in it.

#![expect(clippy::unwrap_used, reason = "the helpers of tests fail as tests do")]

#[expect(dead_code, reason = "these tests use a part of it")]
#[path = "support/scripted.rs"]
mod scripted;

use std::env;
use std::net::IpAddr;
use std::process::Command;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use stayput::detect::{Detector, Source};
use stayput::engine::names::Family;
use stayput::engine::watch::LookError;
use stayput::http::Authorities;

use scripted::{Reply, Server, http};

/// Present in the process that a test starts to be alone; the value is its server's URL.
const ALONE: &str = "STAYPUT_TEST_ALONE";

/// Says the same to everybody.
fn serve(body: &str) -> Server {
    Server::repeating(Reply::Close(http("200 OK", "", body)))
}

/// Runs one test of this file in a process of its own, and fails if that fails.
fn run_alone(test: &str, url: &str, variables: &[(&str, String)]) {
    let output = Command::new(env::current_exe().unwrap())
        .args([test, "--exact", "--nocapture", "--test-threads=1"])
        .env(ALONE, url)
        .envs(variables.iter().map(|(name, value)| (name, value)))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{complained}");
    assert!(said.contains("1 passed"), "the test was not found:\n{said}");
}

/// Asks one question after the other, in the one thread of a small runtime.
struct Asker {
    runtime: tokio::runtime::Runtime,
    detector: Detector,
}

impl Asker {
    fn new() -> Asker {
        Asker {
            runtime: tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap(),
            detector: Detector::new(&Authorities::default()),
        }
    }

    fn ask(&self, source: &Source) -> Result<IpAddr, LookError> {
        self.runtime.block_on(self.detector.ask(source, Family::V4))
    }
}

fn url(url: &str) -> Source {
    Source::Url { label: url.into(), operator: "test".into(), url: url.into() }
}

fn command(words: &[&str]) -> Source {
    Source::command(words.iter().map(|&word| word.into()).collect())
}

fn home() -> Result<IpAddr, LookError> {
    Ok("91.7.1.2".parse().unwrap())
}

#[test]
fn proxies_in_the_environment_are_not_used() {
    if let Ok(server) = env::var(ALONE) {
        assert_eq!(Asker::new().ask(&url(&server)), home());
        return;
    }
    let (server, proxy) = (serve("91.7.1.2"), serve("1.0.1.1"));
    let proxies = ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"]
        .map(|name| (name, format!("http://{}", proxy.address)));
    run_alone("proxies_in_the_environment_are_not_used", &format!("http://{}/", server.address), &proxies);
    assert_eq!(server.connections(), 1);
    assert_eq!(proxy.connections(), 0);
}

#[test]
fn a_command_gets_neither_a_secret_nor_what_is_for_us_alone() {
    const OURS: [&str; 6] =
        ["CLOUDFLARE_API_TOKEN", "MY_TOKEN", "NOTIFY_SOCKET", "LISTEN_FDS", "WATCHDOG_USEC", "WATCHDOG_PID"];
    if env::var(ALONE).is_ok() {
        stayput::process::withhold(["MY_TOKEN".to_owned()]);
        let asker = Asker::new();
        for name in OURS {
            let why = "ended with exit status 1";
            let answer = asker.ask(&command(&["printenv", name]));
            assert_eq!(answer, Err(LookError::Local(why.to_owned())), "{name}");
        }
        assert_eq!(asker.ask(&command(&["printenv", "WAN"])), home());
        return;
    }
    let variables: Vec<_> =
        OURS.into_iter().chain(["WAN"]).map(|name| (name, "91.7.1.2".to_owned())).collect();
    run_alone("a_command_gets_neither_a_secret_nor_what_is_for_us_alone", "", &variables);
}

/// Lowers a limit of this process; what it was comes back.
fn limit(resource: Resource, current: u64) -> Rlimit {
    let before = getrlimit(resource);
    let lower = Rlimit { current: Some(current), ..before };
    setrlimit(resource, lower).unwrap();
    before
}

#[test]
fn without_a_file_descriptor_a_look_fails_and_the_next_one_is_fine() {
    let Ok(server) = env::var(ALONE) else {
        let server = serve("91.7.1.2");
        let url = format!("http://{}/", server.address);
        run_alone("without_a_file_descriptor_a_look_fails_and_the_next_one_is_fine", &url, &[]);
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("wan");
    std::fs::write(&path, "91.7.1.2").unwrap();
    let by_name = url(&server.replace("127.0.0.1", "localhost"));
    let sources = [url(&server), by_name, Source::File(path), command(&["echo", "91.7.1.2"])];
    let asker = Asker::new();
    let before = limit(Resource::Nofile, 3);
    for source in &sources {
        let answer = asker.ask(source);
        let (Err(LookError::Unreachable(why)) | Err(LookError::Local(why))) = &answer else {
            panic!("{source:?}: {answer:?}")
        };
        println!("{}: {why}", source.label());
    }
    setrlimit(Resource::Nofile, before).unwrap();
    for source in &sources {
        assert_eq!(asker.ask(source), home(), "{source:?}");
    }
}

#[test]
fn without_a_thread_to_be_had_a_name_is_not_found_and_the_next_time_it_is() {
    let Ok(server) = env::var(ALONE) else {
        let server = serve("91.7.1.2");
        let url = format!("http://localhost:{}/", server.address.port());
        run_alone("without_a_thread_to_be_had_a_name_is_not_found_and_the_next_time_it_is", &url, &[]);
        return;
    };
    let asker = Asker::new();
    // What is loaded once, before memory is short.
    assert!(asker.ask(&url("http://127.0.0.1:9/")).is_err());
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmSize:")).unwrap();
    let size: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    // Room for a few small things, but not for a thread's stack.
    let before = limit(Resource::As, (size + 1024) * 1024);
    let answer = asker.ask(&url(&server));
    setrlimit(Resource::As, before).unwrap();
    let Err(LookError::Unreachable(why)) = answer else { panic!("{answer:?}") };
    assert!(why.starts_with("the name could not be looked up: "), "{why}");
    assert_eq!(asker.ask(&url(&server)), home());
}
