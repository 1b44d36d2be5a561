//! The kernel's news: what wakes the daemon, and what does not. Each test runs once more in a network namespace
//! of its own, which it may change as it likes.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/network.rs"]
mod network;

use std::net::Ipv4Addr;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use network::{Cable, ip};
use rustix::io::Errno;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType, bind, socket_with};
use stayput::detect::events::{self, Events, News};
use stayput::engine::names::Family;
use tokio::time::timeout;

/// Long enough for a burst to end and to be looked at.
const SOON: Duration = Duration::from_millis(1500);
/// The least time between two hints, and a bit.
const CALM: Duration = Duration::from_millis(5200);

/// Runs a test in a namespace of its own.
fn in_a_network_of_its_own(test: &str, work: impl Future<Output = ()>) {
    network::of_its_own(test, || {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work);
    });
}

/// A socket like that of the events, which nobody reads.
fn deaf_listener() -> OwnedFd {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, None).unwrap();
    // The routes of IPv4.
    bind(&socket, &SocketAddrNetlink::new(0, 0x40)).unwrap();
    socket
}

async fn news(events: &mut Events) -> Option<News> {
    timeout(SOON, events.news()).await.ok()
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

#[test]
#[ignore = "needs ip(8), unshare(1) and user namespaces"]
fn a_family_that_the_host_does_not_have_is_told_at_the_start_and_when_it_comes_and_goes() {
    let test = "a_family_that_the_host_does_not_have_is_told_at_the_start_and_when_it_comes_and_goes";
    in_a_network_of_its_own(test, async {
        let _cable = Cable::new("one");
        assert!(events::missing().is_empty(), "neither family is there: an outage");
        ip("addr add 192.0.2.2/24 dev one");
        ip("route add default via 192.0.2.1");
        assert_eq!(events::missing(), [Family::V6].into());
        let mut events = Events::listen();
        assert_eq!(*events.missing(), [Family::V6].into());
        ip("-6 addr add 2001:db8::7/64 dev one nodad");
        let told = news(&mut events).await;
        assert_eq!(told.unwrap().missing, Some([].into()), "an address may be all that is needed");
        tokio::time::sleep(CALM).await;
        ip("-6 addr del 2001:db8::7/64 dev one");
        let told = news(&mut events).await.unwrap();
        assert_eq!((told.missing, told.moved), (Some([Family::V6].into()), false));
        tokio::time::sleep(CALM).await;
        ip("route del default");
        assert_eq!(news(&mut events).await, None, "an outage brings no family");
    });
}

#[test]
#[ignore = "needs ip(8), unshare(1) and user namespaces"]
fn the_way_out_over_which_an_address_was_heard_is_told_when_it_goes() {
    let test = "the_way_out_over_which_an_address_was_heard_is_told_when_it_goes";
    in_a_network_of_its_own(test, async {
        let (_first, _second) = (Cable::new("one"), Cable::new("two"));
        ip("addr add 192.0.2.2/24 dev one");
        ip("addr add 198.51.100.2/24 dev two");
        ip("route add default via 192.0.2.1 metric 10");
        ip("route add default via 198.51.100.1 metric 20");
        let mut events = Events::listen();
        events.learned(Family::V4);
        ip("route del default via 198.51.100.1 metric 20");
        let told = news(&mut events).await.unwrap();
        assert_eq!((told.gone, told.moved), ([].into(), true), "it was not heard over this one");
        ip("route add default via 198.51.100.1 metric 20");
        tokio::time::sleep(CALM).await;
        let _ = news(&mut events).await;
        tokio::time::sleep(CALM).await;
        ip("link set one-far down");
        let told = news(&mut events).await.unwrap();
        assert_eq!((told.gone, told.moved), ([Family::V4].into(), true));
        // What is heard from now on comes over the second one.
        events.learned(Family::V4);
        tokio::time::sleep(CALM).await;
        ip("link set one-far up");
        assert_eq!(news(&mut events).await.unwrap().gone, [].into());
    });
}
