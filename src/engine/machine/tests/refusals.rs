//! What Cloudflare refuses: an attribute, a record, a zone, the list of zones, or the credential.

use super::*;
use crate::engine::settings::Attributes;

/// The plan of the zone has no tags.
fn no_tags(request: &Request) -> Option<Failure> {
    let Request::Batch { batch, .. } = request else { return None };
    let tagged = batch.patches.iter().any(|patch| patch.tags.is_some())
        || batch.posts.iter().any(|post| !post.tags.is_empty());
    let blames = Attributes { tags: true, ..Attributes::default() };
    tagged.then(|| Failure { blames: Some(blames), ..failure(Class::Content) })
}

fn tagged(count: usize) -> Settings {
    let names: Vec<String> = (0..count).map(|number| format!("n{number:03}.example.com")).collect();
    let mut wanted = settings(&names.iter().map(String::as_str).collect::<Vec<_>>());
    for wanted in wanted.records.values_mut() {
        wanted.options.tags = Some(vec!["door:front".into()]);
    }
    wanted
}

#[test]
fn an_attribute_that_is_refused_does_not_hold_back_the_address() {
    let mut rig = Rig::new(&["example.com"], tagged(1));
    let id = rig.has(1, "n000.example.com", ip(9), None);
    rig.fault = Box::new(no_tags);
    for last in [1, 2, 3] {
        rig.address = Some(ip(last));
        rig.run(6 * MINUTE);
        assert_eq!(rig.records[&id].1.content, ip(last));
        assert_eq!(rig.state("n000.example.com"), RecordState::Blocked, "and what is refused is shown");
    }
    let refused = rig.said.iter().filter(|said| said.contains("tags refused")).count();
    assert_eq!(refused, 1, "{:#?}", rig.said);
    rig.fault = Box::new(|_| None);
    rig.run(13 * HOUR);
    assert_eq!(rig.state("n000.example.com"), RecordState::Current, "it is tried again");
    assert_eq!(rig.records[&id].1.tags, ["door:front".into()]);
}

#[test]
fn an_attribute_that_is_refused_without_being_named_is_found_by_leaving_it_out() {
    let mut rig = Rig::new(&["example.com"], tagged(1));
    rig.fault = Box::new(|request| no_tags(request).map(|_| failure(Class::Content)));
    rig.run(MINUTE);
    assert_eq!(rig.contents("n000.example.com"), [ip(1)]);
}

#[test]
fn a_new_record_is_never_created_without_the_proxy_that_is_to_hide_it() {
    let mut wanted = settings(&["home.example.com"]);
    want(&mut wanted, "home.example.com", ZoneHint::Find).options.proxied = Some(true);
    let mut rig = Rig::new(&["example.com"], wanted);
    rig.fault = Box::new(|request| request.writes().then(|| failure(Class::Content)));
    rig.run(HOUR);
    rig.fault = Box::new(|request| match request {
        Request::Batch { batch, .. } if batch.posts.iter().any(|post| !post.proxied) => {
            panic!("the address behind the proxy is shown")
        }
        _ => None,
    });
    rig.run(HOUR);
}

#[test]
fn many_records_with_one_refused_attribute_cost_few_requests_and_lines() {
    for count in [100, 300] {
        let mut rig = Rig::new(&["example.com"], tagged(count));
        for number in 0..count {
            rig.has(1, &format!("n{number:03}.example.com"), ip(9), None);
        }
        rig.fault = Box::new(no_tags);
        rig.run(5 * MINUTE);
        assert!(rig.records.values().all(|(_, record)| record.content == ip(1)));
        assert!(rig.asked.len() <= 30, "{} requests for {count}", rig.asked.len());
        let lines = rig.said.iter().filter(|said| said.contains("refused")).count();
        assert!(lines <= 2, "{lines} lines: {:#?}", rig.said);
    }
}

#[test]
fn a_full_zone_is_said_once_and_costs_few_requests() {
    let names: Vec<String> = (0..100).map(|number| format!("n{number:03}.example.com")).collect();
    let mut rig = Rig::new(&["example.com"], settings(&names.iter().map(String::as_str).collect::<Vec<_>>()));
    rig.fault = Box::new(|request| match request {
        Request::Batch { batch, .. } if !batch.posts.is_empty() => Some(failure(Class::ZoneFull)),
        _ => None,
    });
    rig.run(5 * MINUTE);
    assert!(rig.asked.len() <= 15, "{} requests", rig.asked.len());
    assert!(rig.said.iter().filter(|said| said.contains("refused")).count() <= 2, "{:#?}", rig.said);
}

#[test]
fn what_is_refused_as_a_whole_is_not_tried_without_its_attributes() {
    for class in [Class::Content, Class::ZoneFull] {
        let mut rig = Rig::new(&["example.com"], tagged(1));
        rig.fault = Box::new(move |request| {
            let creates = matches!(request, Request::Batch { batch, .. } if !batch.posts.is_empty());
            creates.then(|| Failure { blames: Some(Attributes::default()), ..failure(class) })
        });
        rig.run(MINUTE);
        assert_eq!(rig.writes(), 1, "{class:?}: {:?}", rig.asked);
        assert_eq!(rig.times_said("without it"), 0, "{class:?}: {:#?}", rig.said);
    }
}

/// 403 for every request about a zone in the list, and for the list of zones where it says so.
fn forbidden(zones: Vec<usize>, search: bool) -> Fault {
    Box::new(move |request| {
        let refused = match request {
            Request::Zones { .. } => search,
            Request::Records { zone, .. } | Request::Batch { zone, .. } | Request::Zone(zone) => {
                zones.iter().any(|number| zone_id(*number) == *zone)
            }
            _ => false,
        };
        let class =
            if matches!(request, Request::Zones { .. }) { Class::Credential } else { Class::Forbidden };
        refused.then(|| failure(class))
    })
}

#[test]
fn a_refused_list_of_zones_gives_way_to_zones_that_are_named() {
    let mut wanted = settings(&["home.example.net"]);
    want(&mut wanted, "home.example.com", ZoneHint::Id(zone_id(1), None));
    let mut rig = Rig::new(&["example.com", "example.net"], wanted);
    rig.has(1, "home.example.com", ip(9), None);
    rig.fault = forbidden(vec![], true);
    rig.run(10 * MINUTE);
    assert_eq!(rig.contents("home.example.com"), [ip(1)]);
    let said: Vec<_> = rig.said.iter().filter(|said| said.contains("list of zones is refused")).collect();
    assert!(
        said.len() == 1 && said[0].contains("Zone · Zone · Read") && said[0].contains("zone-id"),
        "{said:?}"
    );
}

fn two_zones() -> Rig {
    let mut rig =
        Rig::new(&["example.com", "example.net"], settings(&["home.example.com", "home.example.net"]));
    rig.run(MINUTE);
    rig.asked.clear();
    rig.said.clear();
    rig
}

#[test]
fn a_revoked_token_is_one_message_and_a_new_one_is_taken_within_a_minute() {
    let mut rig = two_zones();
    rig.fault = forbidden(vec![1, 2], true);
    rig.address = Some(ip(2));
    rig.run(6 * MINUTE);
    let errors = |rig: &Rig| rig.said.iter().filter(|said| said.contains("refused")).count();
    assert!(errors(&rig) <= 2, "{:#?}", rig.said);
    assert!(rig.said.iter().any(|said| said.starts_with("the credential of")), "{:#?}", rig.said);
    rig.rereads.clear();
    rig.run(10 * MINUTE);
    assert!((9..=16).contains(&rig.rereads.len()), "read each minute: {}", rig.rereads.len());
    let before = errors(&rig);
    rig.run(HOUR);
    assert_eq!(errors(&rig), before, "and not said again");
    rig.fault = Box::new(|_| None);
    rig.engine.handle(Event::SecretChanged(account(""), CredentialId("new".into())), rig.now);
    rig.run(MINUTE);
    assert_eq!(
        (rig.contents("home.example.com"), rig.contents("home.example.net")),
        (vec![ip(2)], vec![ip(2)])
    );
    rig.rereads.clear();
    rig.run(HOUR);
    assert!(rig.rereads.is_empty(), "nothing is refused any more");
}

#[test]
fn a_single_zones_lost_permission_stays_that_zones() {
    let mut rig = two_zones();
    rig.fault = forbidden(vec![1], false);
    rig.address = Some(ip(2));
    rig.run(6 * MINUTE);
    assert_eq!(rig.contents("home.example.net"), [ip(2)]);
    assert!(!rig.said.iter().any(|said| said.starts_with("the credential of")), "{:#?}", rig.said);
    assert_eq!(rig.said.iter().filter(|said| said.contains("the zone example.com is refused")).count(), 1);
}

#[test]
fn one_refused_zone_that_works_again_wakes_the_others() {
    let mut rig = two_zones();
    rig.fault = forbidden(vec![1, 2], false);
    rig.address = Some(ip(2));
    rig.run(2 * HOUR);
    assert_eq!(rig.contents("home.example.com"), [ip(1)]);
    rig.fault = Box::new(|_| None);
    let mut spent = Duration::ZERO;
    while rig.contents("home.example.com") != [ip(2)] && rig.contents("home.example.net") != [ip(2)] {
        rig.run(MINUTE);
        spent += MINUTE;
        assert!(spent < 7 * HOUR);
    }
    rig.run(MINUTE);
    assert_eq!(
        (rig.contents("home.example.com"), rig.contents("home.example.net")),
        (vec![ip(2)], vec![ip(2)])
    );
}

#[test]
fn a_refusal_of_the_secret_before_says_nothing_of_the_one_that_took_its_place() {
    let mut rig = two_zones();
    rig.address = Some(ip(2));
    rig.engine.handle(HINT, rig.now);
    let ticket = loop {
        match rig.engine.next_command(rig.now) {
            Some(Command::Ask { ticket, .. }) => break ticket,
            Some(command) => rig.carry_out(command),
            None => rig.now = rig.engine.wake_at(rig.now).unwrap(),
        }
    };
    rig.engine.handle(Event::SecretChanged(account(""), CredentialId("new".into())), rig.now);
    let (limits, retry_after, took) = (Vec::new(), None, Duration::from_millis(10));
    let outcome = Err(failure(Class::Credential));
    rig.engine.handle(Event::Answered(ticket, Answer { limits, retry_after, took, outcome }), rig.now);
    rig.run(MINUTE);
    assert_eq!(rig.contents("home.example.com"), [ip(2)]);
    assert!(!rig.said.iter().any(|said| said.contains("refused")), "{:#?}", rig.said);
}

#[test]
fn zones_that_are_refused_while_others_are_granted_do_not_speak_against_the_credential() {
    let names = ["home.example.com", "home.example.net", "home.example.org"];
    let mut rig = Rig::new(&["example.com", "example.net", "example.org"], settings(&names));
    rig.run(MINUTE);
    rig.fault = forbidden(vec![1, 2], false);
    rig.run(13 * HOUR);
    rig.said.clear();
    rig.asked.clear();
    rig.run(DAY);
    let credential = rig.said.iter().filter(|said| said.contains("the credential of")).count();
    assert_eq!(credential, 0, "{:#?}", rig.said);
    assert_eq!(rig.state("home.example.org"), RecordState::Current, "it is read and written as before");
    assert!(rig.asked.len() < 60, "{} requests in a day", rig.asked.len());
}
