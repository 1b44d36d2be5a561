//! Lines that go back and forth, tunnels, and families that the host does not have.

use super::*;

fn traced() -> Settings {
    let mut settings = settings(&["home.example.com"]);
    let source = |label: &str, trace| Source { label: label.into(), operator: label.into(), trace };
    let sources = vec![source("a", false), source("b", false), source("cloudflare", true)];
    settings.sources.insert(V4, sources);
    settings
}

fn both_families() -> Settings {
    let mut both = settings(&["home.example.com"]);
    let sources = both.sources[&V4].clone();
    both.sources.insert(V6, sources);
    let wanted = both.records[&key("home.example.com")].clone();
    both.records.insert(v6(), wanted);
    both
}

fn v6() -> Key {
    Key { name: name("home.example.com"), kind: RecordType::Aaaa }
}

impl Rig {
    fn is_at(&mut self, address: IpAddr) {
        self.address = Some(address);
        self.engine.handle(HINT, self.now);
        self.run(MINUTE);
    }

    fn published(&self) -> Vec<IpAddr> {
        self.contents("home.example.com")
    }

    fn told(&mut self, event: Event) {
        self.engine.handle(event, self.now);
        self.run(MINUTE);
    }

    fn said(&self, words: &str) -> usize {
        self.said.iter().filter(|said| said.contains(words)).count()
    }
}

/// A line that has just gone to 2, back to 1, and to 2 again, which is held.
fn held() -> Rig {
    let mut rig = Rig::new(&["example.com"], settings(&["home.example.com"]));
    rig.run(MINUTE);
    for address in [2, 1, 2] {
        rig.is_at(ip(address));
    }
    assert_eq!(rig.published(), [ip(1)], "{:?}", rig.said);
    rig
}

#[test]
fn a_line_that_fails_over_and_back_is_followed_at_once() {
    let mut rig = Rig::new(&["example.com"], settings(&["home.example.com"]));
    rig.run(MINUTE);
    for address in [2, 1] {
        rig.is_at(ip(address));
        assert_eq!(rig.published(), [ip(address)]);
    }
}

#[test]
fn a_hold_is_said_once_with_its_end_and_ends_then() {
    let mut rig = held();
    let hold = "the IPv4 address goes back and forth: 25.0.0.2 is held back for 10 min; 25.0.0.1 stays published; SIGUSR1 ends the hold";
    rig.run(8 * MINUTE);
    assert_eq!((rig.said(hold), rig.said("held back")), (1, 1), "{:?}", rig.said);
    assert_eq!(rig.published(), [ip(1)]);
    rig.run(2 * MINUTE);
    assert_eq!(rig.published(), [ip(2)]);
    assert_eq!(rig.said("no IPv4 address is held back any more"), 1, "{:?}", rig.said);
}

#[test]
fn a_third_address_is_published_during_a_hold() {
    let mut rig = held();
    rig.is_at(ip(3));
    assert_eq!(rig.published(), [ip(3)]);
}

#[test]
fn sigusr1_ends_a_hold_and_so_does_the_loss_of_the_way_out() {
    for event in [Event::RefreshNow, Event::WayOutGone(V4)] {
        let mut rig = held();
        rig.told(event.clone());
        assert_eq!(rig.published(), [ip(2)], "{event:?}");
    }
    let mut rig = held();
    rig.told(Event::WayOutGone(V6));
    assert_eq!(rig.published(), [ip(1)], "the other family's way out is another matter");
}

#[test]
fn a_hold_outlives_restarts_and_reloads() {
    let mut rig = held();
    let mut other = settings(&["home.example.com"]);
    other.sources.get_mut(&V4).unwrap().reverse();
    rig.restart(other.clone(), Mode::Daemon);
    rig.run(MINUTE);
    assert_eq!(rig.said("held back for 9 min"), 1, "{:?}", rig.said);
    other.every = HOUR;
    rig.engine.reconfigure(other, rig.now);
    rig.run(6 * MINUTE);
    assert_eq!(rig.published(), [ip(1)]);
    rig.run(3 * MINUTE);
    assert_eq!(rig.published(), [ip(2)], "{:?}", rig.said);
}

#[test]
fn an_address_that_flaps_at_each_look_is_said_at_growing_intervals() {
    let mut rig = Rig::new(&["example.com"], settings(&["home.example.com"]));
    rig.run(MINUTE);
    (rig.said, rig.said_aloud) = (Vec::new(), 0);
    let mut by_quarter = Vec::new();
    for look in 0..200 {
        rig.address = Some(ip(1 + look % 2));
        rig.engine.handle(HINT, rig.now);
        rig.run(EVERY);
        if look % 50 == 49 {
            by_quarter.push(std::mem::take(&mut rig.said_aloud));
        }
    }
    assert!(by_quarter[0] <= 24 && by_quarter[1..].iter().all(|said| *said <= 12), "{by_quarter:?}");
    assert!(rig.said("held back for 2 h") >= 4, "{:?}", rig.said);
}

#[test]
fn sources_that_fail_at_every_other_look_are_said_at_growing_intervals_and_the_last_word_is_right() {
    let mut rig = Rig::new(&["example.com"], settings(&["home.example.com"]));
    rig.run(MINUTE);
    rig.said.clear();
    for look in 0..200 {
        rig.address = (look % 2 == 1).then_some(ip(1));
        rig.engine.handle(HINT, rig.now);
        rig.run(EVERY);
    }
    let (wrong, well) = (rig.said("cannot be learned"), rig.said("resolved after"));
    assert!((4..=12).contains(&wrong), "{wrong} times: {:?}", rig.said);
    assert_eq!(wrong, well);
    assert!(rig.said("again, ") >= 2, "{:?}", rig.said);
    let last = rig.said.iter().rev().find(|said| said.contains("IPv4"));
    assert!(last.unwrap().contains("resolved after"), "{:?}", rig.said);
    // What lasts is said, however often it came and went.
    rig.said.clear();
    rig.address = None;
    rig.run(HOUR);
    assert_eq!(rig.said("cannot be learned"), 1, "{:?}", rig.said);
}

#[test]
fn a_source_that_says_something_else_at_each_look_is_not_told_each_time() {
    let mut rig = Rig::new(&["example.com"], traced());
    rig.run(MINUTE);
    rig.said.clear();
    for look in 0..100 {
        rig.strange.insert(0, Ok(ip(100 + look)));
        rig.engine.handle(HINT, rig.now);
        rig.run(EVERY);
        // It is asked first only while it said the truth the last time.
        rig.strange.remove(&0);
        rig.engine.handle(HINT, rig.now);
        rig.run(EVERY);
    }
    assert!((1..=12).contains(&rig.said("nothing changes")), "{:?}", rig.said);
}

// --- tunnels ---

#[test]
fn the_exit_of_a_tunnel_is_not_published_whoever_says_it_and_in_whatever_order() {
    let mut rig = Rig::new(&["example.com"], traced());
    rig.strange.insert(2, Err(LookError::Warp(ip(1))));
    rig.run(HOUR);
    assert!(rig.published().is_empty(), "the first look: {:?}", rig.said);
    let said = "IPv4 goes through Cloudflare WARP or Gateway (a trace says so), so the address that is seen is not this host's: \
        nothing new is published for IPv4; the records stay as they are; \
        switch WARP off on this host, or set tunnel = \"allow\" under [address] to publish that address";
    assert_eq!(rig.said(said), 1, "{:?}", rig.said);
    rig.strange.clear();
    rig.run(EVERY);
    assert_eq!(rig.published(), [ip(1)]);
    assert_eq!(rig.said(": IPv4 goes through no tunnel"), 1);

    rig.strange.insert(2, Err(LookError::Warp(ip(9))));
    rig.said.clear();
    rig.is_at(ip(9));
    rig.run(HOUR);
    assert_eq!((rig.published(), rig.said("25.0.0.1 stays published")), (vec![ip(1)], 1), "{:?}", rig.said);
    rig.restart(traced(), Mode::Daemon);
    rig.strange.insert(2, Err(LookError::TimedOut));
    rig.run(HOUR);
    assert_eq!(rig.published(), [ip(1)], "a trace that fails says nothing new");
    rig.strange.insert(2, Ok(ip(9)));
    rig.run(HOUR);
    assert_eq!(rig.published(), [ip(9)]);
}

#[test]
fn a_trace_that_fails_or_is_not_asked_for_vetoes_nothing() {
    let mut rig = Rig::new(&["example.com"], traced());
    rig.strange.insert(2, Err(LookError::TimedOut));
    rig.run(MINUTE);
    assert_eq!(rig.published(), [ip(1)]);
}

#[test]
fn a_tunnel_that_is_allowed_is_published_and_its_trace_is_heard() {
    let mut allowed = traced();
    allowed.sources.get_mut(&V4).unwrap().remove(1);
    let mut rig = Rig::new(&["example.com"], allowed.clone());
    rig.strange.insert(1, Err(LookError::Warp(ip(1))));
    rig.run(MINUTE);
    assert!(rig.published().is_empty());
    allowed.tunnel = Tunnel::Allow;
    rig.engine.reconfigure(allowed, rig.now);
    rig.run(MINUTE);
    assert_eq!(rig.published(), [ip(1)]);
    assert!(rig.engine.status(rig.now).troubles.is_empty());
}

// --- families that the host does not have ---

#[test]
fn a_family_that_the_host_never_had_is_left_alone_and_no_failure() {
    for mode in [Mode::Daemon, Mode::Once] {
        let mut rig = Rig::new(&["example.com"], both_families());
        rig.restart(both_families(), mode);
        rig.engine.handle(Event::Missing([Family::V6].into()), rig.now);
        rig.run(HOUR);
        rig.told(Event::Missing([Family::V6].into()));
        assert_eq!(rig.published(), [ip(1)]);
        assert!(rig.looked.iter().all(|source| source.family == Family::V4), "{:?}", rig.looked);
        let said = "this host has no IPv6: its AAAA records are left alone; if that is meant, ipv6 = [] under [address] says so, and a container may need host networking for IPv6";
        assert_eq!((rig.said(said), rig.said("IPv6")), (1, 1), "{:?}", rig.said);
        assert_eq!(rig.said("1 of 1 records are current"), 1, "{:?}", rig.said);
        assert_eq!((rig.engine.verdict(), rig.engine.status(rig.now).ill), (Verdict::Done, None));
        let (state, why) = rig.engine.states()[&v6()].clone();
        assert_eq!((state, why.as_deref()), (RecordState::Unknown, Some("this host has no IPv6")));
    }
}

#[test]
fn a_family_that_comes_is_looked_at_at_once() {
    let mut rig = Rig::new(&["example.com"], both_families());
    rig.address_v6 = Some("2a01::1".parse().unwrap());
    rig.engine.handle(Event::Missing([Family::V6].into()), rig.now);
    rig.run(HOUR);
    rig.told(Event::Missing(BTreeSet::new()));
    assert_eq!(rig.published().len(), 2);
}

#[test]
fn a_family_that_was_lost_is_said_once_and_its_records_stay() {
    let mut rig = Rig::new(&["example.com"], both_families());
    rig.address_v6 = Some("2a01::1".parse().unwrap());
    rig.run(HOUR);
    rig.address_v6 = None;
    (rig.said, rig.looked) = (Vec::new(), Vec::new());
    rig.told(Event::Missing([Family::V6].into()));
    rig.run(HOUR);
    let said = "this host has lost IPv6: it has no IPv6 address and no default route, and the other family has both; 2a01::1 stays published; it is looked at again once it is back";
    assert_eq!((rig.said(said), rig.said("IPv6")), (1, 1), "{:?}", rig.said);
    assert!(rig.looked.iter().all(|source| source.family == Family::V4));
    assert_eq!(rig.engine.states()[&v6()].0, RecordState::Unknown);
    let ill = rig.engine.status(rig.now).ill;
    assert!(ill.as_ref().is_some_and(|why| why.contains("this host has lost IPv6")), "{ill:?}");
    assert_ne!(rig.engine.verdict(), Verdict::Done);
    assert_eq!((rig.engine.is_lost(V6), rig.engine.is_without(V6)), (true, false));
    rig.address_v6 = Some("2a01::1".parse().unwrap());
    rig.told(Event::Missing(BTreeSet::new()));
    assert_eq!(rig.engine.states()[&v6()].0, RecordState::Current);
    assert_eq!(rig.said("resolved after 1 h 1 min: the IPv6 address is known"), 1, "{:?}", rig.said);
}

#[test]
fn a_reload_that_wants_a_missing_family_does_not_look_at_it() {
    let mut rig = Rig::new(&["example.com"], settings(&["home.example.com"]));
    rig.told(Event::Missing([Family::V6].into()));
    assert_eq!(rig.said("IPv6"), 0, "nobody wanted it: {:?}", rig.said);
    rig.engine.reconfigure(both_families(), rig.now);
    rig.run(HOUR);
    assert_eq!(rig.said("this host has no IPv6"), 1, "{:?}", rig.said);
    assert!(rig.looked.iter().all(|source| source.family == Family::V4));
}

// --- what is said of Cloudflare ---

#[test]
fn what_stays_published_is_what_the_zones_hold_and_not_what_is_believed() {
    let mut rig = Rig::new(&["example.com"], settings(&["home.example.com"]));
    rig.run(MINUTE);
    // The API is down, the address changes, and then the sources fail.
    rig.fault = Box::new(|_| Some(failure(Class::NotSent)));
    rig.is_at(ip(2));
    rig.address = None;
    rig.told(HINT);
    assert_eq!(rig.said("25.0.0.2 stays published"), 0, "{:?}", rig.said);
    let silent: Vec<&String> = rig.said.iter().filter(|said| said.contains("cannot be learned")).collect();
    let honest = |said: &&&String| {
        said.contains("; the records stay as they are") || said.contains("; 25.0.0.1 stays published")
    };
    assert_eq!((silent.len(), silent.iter().filter(honest).count()), (1, 1), "{:?}", rig.said);
}
