//! The kernel's news: what wakes the daemon, and what does not. Each test runs once more in a network namespace
//! of its own, which it may change as it likes.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::Ipv4Addr;
use std::os::fd::OwnedFd;
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType, bind, socket_with};
use stayput::detect::events::Events;
use tokio::time::timeout;

/// Long enough for a burst to end and to be looked at.
const SOON: Duration = Duration::from_millis(1500);
/// Says which network is the machine's own, to a test that is in its namespace.
const OUTSIDE: &str = "STAYPUT_TEST_OUTSIDE";
/// The least time between two hints, and a bit.
const CALM: Duration = Duration::from_millis(5200);

/// Runs a line of `ip`, in the namespace of this process.
fn ip(line: &str) {
    let output = Command::new("ip").args(line.split(' ')).output().unwrap();
    assert!(output.status.success(), "ip {line}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A cable with both ends here, one of them with an address; it goes with the test.
struct Cable(&'static str);

impl Cable {
    fn new(name: &'static str) -> Cable {
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

/// Runs a test: this program once more, in a namespace and with this test alone, which there does its work.
fn in_a_network_of_its_own(test: &str, work: impl Future<Output = ()>) {
    if std::env::var_os(OUTSIDE).is_some() {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work);
        return;
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

/// A socket like that of the events, which nobody reads.
fn deaf_listener() -> OwnedFd {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, None).unwrap();
    // The routes of IPv4.
    bind(&socket, &SocketAddrNetlink::new(0, 0x40)).unwrap();
    socket
}

async fn is_told(events: &mut Events) -> bool {
    timeout(SOON, events.news()).await.is_ok()
}

#[test]
#[ignore = "needs ip(8), unshare(1) and user namespaces"]
fn a_default_route_is_told_at_once_and_its_loss_is_not() {
    in_a_network_of_its_own("a_default_route_is_told_at_once_and_its_loss_is_not", async {
        let _cable = Cable::new("one");
        ip("addr add 192.0.2.2/24 dev one");
        let mut events = Events::listen();
        assert!(!is_told(&mut events).await, "nothing has changed");
        let began = Instant::now();
        ip("route add default via 192.0.2.1");
        assert!(is_told(&mut events).await);
        assert!(began.elapsed() < Duration::from_millis(600), "{:?}", began.elapsed());
        ip("route del default");
        assert!(!is_told(&mut events).await);
    });
}

#[test]
#[ignore = "needs ip(8), unshare(1) and user namespaces"]
fn a_new_address_on_the_way_out_is_told_and_one_elsewhere_is_not() {
    in_a_network_of_its_own("a_new_address_on_the_way_out_is_told_and_one_elsewhere_is_not", async {
        let (_way_out, _container) = (Cable::new("one"), Cable::new("two"));
        ip("addr add 192.0.2.2/24 dev one");
        ip("route add default via 192.0.2.1");
        let mut events = Events::listen();
        ip("addr add 172.17.0.1/16 dev two");
        ip("route add 198.51.100.0/24 dev two");
        assert!(!is_told(&mut events).await, "a container's network is none of our business");
        ip("addr add 192.0.2.3/24 dev one");
        assert!(is_told(&mut events).await);
    });
}

#[test]
#[ignore = "needs ip(8), unshare(1) and user namespaces"]
fn a_cable_that_is_plugged_in_again_is_told() {
    in_a_network_of_its_own("a_cable_that_is_plugged_in_again_is_told", async {
        let _cable = Cable::new("one");
        ip("addr add 192.0.2.2/24 dev one");
        ip("route add default via 192.0.2.1");
        let mut events = Events::listen();
        ip("link set one-far down");
        assert!(!is_told(&mut events).await, "there is nothing to look at");
        ip("link set one-far up");
        assert!(is_told(&mut events).await);
    });
}

#[test]
#[ignore = "needs ip(8), unshare(1) and user namespaces"]
fn a_storm_is_one_hint_and_the_next_one_comes_five_seconds_later() {
    in_a_network_of_its_own("a_storm_is_one_hint_and_the_next_one_comes_five_seconds_later", async {
        let _cable = Cable::new("one");
        ip("addr add 192.0.2.2/24 dev one");
        let mut events = Events::listen();
        let deaf = deaf_listener();
        // Routes that are no way out matter to nobody. Unread, they fill the socket, and what comes last,
        // the way out, no longer fits: that something was lost is all that is heard of it.
        let lines: String = (0..5000_u32)
            .map(|number| format!("route add {}/32 dev one\n", Ipv4Addr::from(0x0a00_0000 + number)))
            .collect();
        let file = std::env::temp_dir().join(format!("stayput-storm-{}", std::process::id()));
        std::fs::write(&file, lines + "route add default via 192.0.2.1\n").unwrap();
        ip(&format!("-batch {}", file.display()));
        std::fs::remove_file(&file).unwrap();
        let lost = rustix::net::recv(&deaf, &mut [0; 64][..], RecvFlags::empty());
        assert_eq!(lost.unwrap_err(), Errno::NOBUFS, "the storm was too small for a socket of this size");
        let began = Instant::now();
        assert!(is_told(&mut events).await, "what was not heard may have been anything");
        ip("addr add 192.0.2.4/24 dev one");
        ip("addr add 192.0.2.5/24 dev one");
        assert!(timeout(CALM, events.news()).await.is_ok());
        assert!(began.elapsed() >= Duration::from_secs(5), "{:?}", began.elapsed());
        assert!(!is_told(&mut events).await);
    });
}

#[test]
#[ignore = "needs ip(8), unshare(1) and user namespaces"]
fn an_ipv6_address_counts_when_it_can_be_used_and_until_it_is_deprecated() {
    in_a_network_of_its_own("an_ipv6_address_counts_when_it_can_be_used_and_until_it_is_deprecated", async {
        let _cable = Cable::new("one");
        ip("-6 route add default via fe80::1 dev one");
        let mut events = Events::listen();
        ip("-6 addr add 2001:db8::7/64 dev one");
        assert!(timeout(Duration::from_secs(4), events.news()).await.is_ok(), "usable after a second or two");
        tokio::time::sleep(CALM).await;
        ip("-6 addr add 2001:db8:1::7/64 dev one nodad");
        assert!(is_told(&mut events).await);
        tokio::time::sleep(CALM).await;
        ip("-6 addr change 2001:db8::7/64 dev one preferred_lft 0");
        assert!(is_told(&mut events).await);
        tokio::time::sleep(CALM).await;
        // What a router advertises again and again.
        ip("-6 addr change 2001:db8:1::7/64 dev one preferred_lft 1000 valid_lft 2000");
        ip("-6 addr change 2001:db8:1::7/64 dev one preferred_lft 1800 valid_lft 3600");
        assert!(!is_told(&mut events).await);
    });
}

#[test]
#[ignore = "needs ip(8), unshare(1) and user namespaces"]
fn a_wait_that_is_given_up_loses_nothing() {
    in_a_network_of_its_own("a_wait_that_is_given_up_loses_nothing", async {
        let _cable = Cable::new("one");
        ip("addr add 192.0.2.2/24 dev one");
        let mut events = Events::listen();
        ip("route add default via 192.0.2.1");
        for _ in 0..10 {
            if timeout(Duration::from_millis(30), events.news()).await.is_ok() {
                return;
            }
        }
        panic!("not told");
    });
}
