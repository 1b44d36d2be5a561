//! The real program on a host that has one family only: what it leaves alone, what it says and how it ends.
//! Each test runs once more in a network namespace of its own.

#![cfg(feature = "sandbox")]

#[path = "support/network.rs"]
mod network;
mod support;

use network::{Cable, ip};
use support::{Cloud, HERE, Home, Running, finish, stderr, stdout};

const NO_IPV6: &str = "this host has no IPv6: its AAAA records are left alone";

/// A host with IPv4 only, and a configuration that wants both families; IPv6 is asked of others.
fn a_host_with_ipv4_only() -> (Cable, Cloud, Home) {
    ip("link set lo up");
    let cable = Cable::new("one");
    ip("addr add 192.0.2.2/24 dev one");
    ip("route add default via 192.0.2.1");
    let (cloud, home) = (Cloud::start(), Home::new());
    let text = format!(
        "[cloudflare]\napi = \"{}\"\ntoken = {{ file = \"{}\" }}\n[address]\nipv4 = [{{ url = \"{}\" }}]\n[[record]]\nname = \"home.example.com\"\n",
        cloud.api,
        home.path("token").display(),
        cloud.echo,
    );
    home.write("stayput.toml", text);
    (cable, cloud, home)
}

#[test]
#[ignore = "needs ip(8), unshare(1) and user namespaces"]
fn on_a_host_with_one_family_each_command_succeeds() {
    network::of_its_own("on_a_host_with_one_family_each_command_succeeds", || {
        let (_cable, cloud, home) = a_host_with_ipv4_only();
        for command in ["plan", "check", "once"] {
            let output = finish(home.command(&[command]));
            let said = stdout(&output) + &stderr(&output);
            assert_eq!(output.status.code(), Some(0), "{command}: {said}");
            assert!(said.contains("this host has no IPv6"), "{command}: {said}");
            assert!(!said.contains("FAIL") && !said.contains("cannot be learned"), "{command}: {said}");
        }
        assert_eq!(cloud.records(), [format!("home.example.com {HERE}")]);
    });
}

#[test]
#[ignore = "needs ip(8), unshare(1) and user namespaces"]
fn a_daemon_says_once_that_a_family_is_missing_and_looks_when_it_comes() {
    network::of_its_own("a_daemon_says_once_that_a_family_is_missing_and_looks_when_it_comes", || {
        let (_cable, _cloud, home) = a_host_with_ipv4_only();
        let running = Running::start(home.command(&["run"]));
        running.wait_for("1 of 1 records are current", 1);
        let log = running.log();
        let lines: Vec<&str> = log.lines().filter(|line| line.contains("IPv6")).collect();
        assert!(lines.len() == 1 && lines[0].contains(NO_IPV6), "{log}");
        let status = stdout(&finish(home.command(&["status", "--json"])));
        let status: serde_json::Value = serde_json::from_str(&status).unwrap();
        assert_eq!(status["troubles"], serde_json::json!([]));
        let ipv6 = status["records"].as_array().unwrap().iter().find(|record| record["type"] == "AAAA");
        assert_eq!(ipv6.unwrap()["state"], "unknown");
        assert_eq!(ipv6.unwrap()["why"], "this host has no IPv6");
        ip("-6 addr add 2001:db8::7/64 dev one nodad");
        ip("-6 route add default via fe80::1 dev one");
        running.wait_for("IPv6 address cannot be learned", 1);
        running.stop();
    });
}
