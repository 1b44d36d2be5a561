//! A network namespace for a test that changes the network, and cables in it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::process::Command;

/// Says which network is the machine's own, to a test that is in its namespace.
const OUTSIDE: &str = "STAYPUT_TEST_OUTSIDE";

/// Runs a test: this program once more, in a namespace and with this test alone, which there does its work.
pub fn of_its_own(test: &str, work: impl FnOnce()) {
    if std::env::var_os(OUTSIDE).is_some() {
        return work();
    }
    let inside = Command::new("unshare")
        .env(OUTSIDE, std::fs::read_link("/proc/self/ns/net").unwrap())
        .args(["--user", "--map-root-user", "--net", "--"])
        .arg(std::env::current_exe().unwrap())
        .args(["--include-ignored", "--exact", test])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&inside.stdout);
    assert!(inside.status.success(), "{said}\n{}", String::from_utf8_lossy(&inside.stderr));
    assert!(said.contains("1 passed"), "{said}");
}

/// Runs a line of `ip`, in the namespace of this process.
pub fn ip(line: &str) {
    let output = Command::new("ip").args(line.split(' ')).output().unwrap();
    assert!(output.status.success(), "ip {line}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A cable with both ends here, one of them with an address; it goes with the test.
pub struct Cable(&'static str);

impl Cable {
    pub fn new(name: &'static str) -> Cable {
        let outside = std::env::var_os(OUTSIDE).unwrap();
        let here = std::fs::read_link("/proc/self/ns/net").unwrap();
        assert_ne!(here, outside, "this test must not change the machine's own network");
        ip(&format!("link add {name} type veth peer name {name}-far"));
        ip(&format!("link set {name} up"));
        ip(&format!("link set {name}-far up"));
        Cable(name)
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["link", "del", self.0]).status();
    }
}
