//! Long hardship, and its end: wrong clocks, sleep, days without anything that works.

use super::*;

const HOURLY: usize = 12;

fn both_families(names: &[&str]) -> Settings {
    let mut both = settings(names);
    let sources = both.sources[&V4].clone();
    both.sources.insert(V6, sources);
    for (key, wanted) in both.records.clone() {
        both.records.insert(Key { kind: RecordType::Aaaa, ..key }, wanted);
    }
    both
}

fn lists(asked: &[Request]) -> usize {
    asked.iter().filter(|request| matches!(request, Request::Records { .. })).count()
}

/// Both lines are dead for an hour because the clock shows 1970; then it is set. How long it takes, and
/// what was said.
fn after_an_hour_of_a_wrong_clock(looks: bool, requests: bool) -> (Duration, Vec<String>) {
    let mut rig = Rig::new(&["example.com"], settings(&["home.example.com"]));
    rig.unheard = LookError::Clock("here it is 1970".into());
    if looks {
        rig.address = None;
    }
    if requests {
        rig.fault = Box::new(|_| Some(Failure::without_answer(Class::Clock, "here it is 1970")));
    }
    rig.run(HOUR);
    assert_eq!(rig.writes(), 0);
    let said = std::mem::take(&mut rig.said);
    rig.address = Some(ip(1));
    rig.fault = Box::new(|_| None);
    let right_since = rig.now;
    while rig.contents("home.example.com").is_empty() {
        assert!(rig.now < right_since + HOUR, "it never recovers");
        rig.run(Duration::from_secs(1));
    }
    (right_since.until(rig.now), said)
}

#[test]
fn once_a_wrong_clock_is_set_all_is_well_within_half_a_minute() {
    for (looks, requests) in [(true, false), (false, true), (true, true)] {
        let (took, said) = after_an_hour_of_a_wrong_clock(looks, requests);
        let longest = if looks && requests { 2 * limiter::CLOCK_RETRY } else { limiter::CLOCK_RETRY };
        assert!(took <= longest + Duration::from_secs(1), "{took:?} with {looks}, {requests}");
        let of_looks = said.iter().filter(|said| said.contains("is the clock right?")).count();
        let of_requests =
            said.iter().filter(|said| said.contains("Cloudflare's API does not answer")).count();
        assert_eq!((of_looks, of_requests), (usize::from(looks), usize::from(requests)), "{said:?}");
    }
}

#[test]
fn a_clock_that_stays_wrong_costs_two_tries_a_minute_and_no_more() {
    let mut rig = Rig::new(&["example.com"], settings(&["home.example.com"]));
    rig.unheard = LookError::Clock("here it is 1970".into());
    rig.address = None;
    rig.fault = Box::new(|_| Some(Failure::without_answer(Class::Clock, "here it is 1970")));
    rig.run(HOUR);
    let (requests, looks) = (rig.asked.len(), rig.looked.len());
    rig.run(HOUR);
    let requests = rig.asked.len() - requests;
    assert!((60..=240).contains(&requests), "{requests} requests an hour");
    // Each look asks both sources.
    let looks = (rig.looked.len() - looks) / 2;
    assert!((110..=140).contains(&looks), "{looks} looks an hour");
}

#[test]
fn after_a_sleep_of_eight_hours_each_family_is_looked_at_once_and_each_zone_listed_once() {
    let mut rig =
        Rig::new(&["example.com", "example.net"], both_families(&["home.example.com", "home.example.net"]));
    rig.address_v6 = Some("2a01::1".parse().unwrap());
    rig.run(HOUR);
    assert_eq!(rig.state("home.example.net"), RecordState::Current);
    rig.asked.clear();
    rig.looked.clear();
    // The machine sleeps: the engine's clock goes on, and nobody asks the engine for anything.
    rig.now = rig.now + 8 * HOUR;
    rig.run(Duration::from_secs(5));
    let families: Vec<Family> = rig.looked.iter().map(|source| source.family).collect();
    assert_eq!(families, [Family::V4, Family::V6], "at once, and once");
    assert_eq!(lists(&rig.asked), 2, "{:?}", rig.asked);
    assert_eq!(rig.asked.len(), 5, "and who is delegated to, and the zones: {:?}", rig.asked);
    rig.run(EVERY);
    assert_eq!(rig.looked.len(), 4, "one more look a family in the period that follows");
    assert_eq!(rig.asked.len(), 5);
}

#[test]
fn a_sleep_with_a_new_address_at_its_end_costs_a_list_and_a_batch() {
    let mut rig = Rig::new(&["example.com"], settings(&["home.example.com"]));
    rig.run(HOUR);
    rig.asked.clear();
    rig.now = rig.now + 8 * HOUR;
    rig.address = Some(ip(2));
    rig.run(Duration::from_secs(5));
    assert_eq!(rig.contents("home.example.com"), [ip(2)]);
    assert!(lists(&rig.asked) <= 1 && rig.writes() == 1, "{:?}", rig.asked);
    rig.run(HOUR);
    assert!(rig.asked.len() <= 3, "and whether there is a better zone by now: {:?}", rig.asked);
}

/// An outage whose cause is another one each time that a request is made.
fn outage_of_many_causes() -> Fault {
    let mut turn = 0;
    Box::new(move |request| {
        turn += 1;
        let lost = if request.writes() { Class::Unsure } else { Class::NotSent };
        Some(match turn % 5 {
            0 => failure(lost),
            1 => Failure::without_answer(lost, "no answer in time"),
            2 => Failure::without_answer(Class::NotSent, "the name cannot be looked up"),
            3 => failure(Class::Throttled),
            _ => Failure { said: "made by another hand".to_owned(), ..failure(lost) },
        })
    })
}

/// Lets a day pass in which a look fails another way each time.
fn a_day_of_dead_looks(rig: &mut Rig) {
    for quarter in 0..24 * 4_u8 {
        let (address, unheard) = match quarter % 6 {
            0 => (None, LookError::TimedOut),
            1 => (None, LookError::NoRoute),
            2 => (None, LookError::Status(502)),
            3 => (None, LookError::Unreachable("the name cannot be looked up".into())),
            4 => (None, LookError::NotAnAddress("log in".into())),
            // One source is reached, and says what the other cannot confirm.
            _ => (Some(ip(9)), LookError::TimedOut),
        };
        (rig.address, rig.unheard, rig.answering) = (address, unheard, 1);
        rig.run(15 * MINUTE);
    }
}

#[test]
fn a_day_in_which_nothing_works_fills_a_screen_of_the_log_at_most() {
    let names: Vec<String> = (0..50).map(|number| format!("n{number}.example.com")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut rig = Rig::new(&["example.com"], both_families(&names));
    rig.address_v6 = Some("2a01::1".parse().unwrap());
    rig.fault = Box::new(|request| request.writes().then(|| failure(Class::Content)));
    rig.run(4 * HOUR);
    let refused = rig.said.iter().filter(|said| said.contains("is refused")).count();
    assert_eq!(refused, 100, "each record once");
    rig.said.clear();
    rig.said_aloud = 0;
    rig.fault = outage_of_many_causes();
    rig.address_v6 = None;
    a_day_of_dead_looks(&mut rig);
    assert!(rig.asked.len() > 50 && rig.looked.len() > 400, "it goes on trying");
    assert!(rig.said_aloud <= 25, "{} lines: {:#?}", rig.said_aloud, rig.said);
}

#[test]
fn sources_that_disagree_and_fall_silent_in_turn_are_said_once_each() {
    let mut rig = Rig::new(&["example.com"], settings(&["home.example.com"]));
    rig.run(MINUTE);
    rig.said.clear();
    rig.answering = 1;
    for turn in 0..HOURLY * 5 {
        // Two sources of which one says something new are too few; none is silence.
        rig.address = (turn % 2 == 0).then(|| ip(9));
        rig.run(5 * MINUTE);
    }
    (rig.address, rig.answering) = (Some(ip(1)), 2);
    assert_eq!(rig.said.len(), 2, "{:#?}", rig.said);
    rig.run(5 * MINUTE);
    assert!(rig.said[2].starts_with("resolved after 4 h"), "{:#?}", rig.said);
}

#[test]
fn a_list_of_zones_that_is_refused_is_not_said_to_be_well_in_between() {
    let mut rig = Rig::new(&["example.com"], settings(&["home.example.com"]));
    rig.fault =
        Box::new(|request| matches!(request, Request::Zones { .. }).then(|| failure(Class::Credential)));
    rig.run(24 * HOUR);
    assert!(rig.asked.len() >= 4, "it is tried again: {:?}", rig.asked);
    let told = rig.said.iter().filter(|said| !said.contains("records are current")).count();
    assert!((1..=3).contains(&told), "once, and a reminder or two: {:#?}", rig.said);
    assert!(!rig.said.iter().any(|said| said.contains("resolved after")), "{:#?}", rig.said);
    rig.fault = Box::new(|_| None);
    rig.run(7 * HOUR);
    assert_eq!(rig.said.iter().filter(|said| said.contains("resolved after")).count(), 1, "{:#?}", rig.said);
    assert_eq!(rig.contents("home.example.com"), [ip(1)]);
}

#[test]
fn another_client_that_changes_a_record_back_is_said_once_and_fought_ever_more_slowly() {
    let mut rig = Rig::new(&["example.com"], settings(&["home.example.com"]));
    let fought_over = rig.has(1, "home.example.com", ip(9), None);
    rig.run(MINUTE);
    let before = rig.writes();
    for _ in 0..7 * 24 * 2 {
        // The other one is always faster than our next list.
        rig.records.get_mut(&fought_over).unwrap().1.content = ip(9).into();
        rig.run(HOUR / 2);
    }
    let writes = rig.writes() - before;
    assert!((7..=7 * 3).contains(&writes), "{writes} in a week");
    assert_eq!(rig.records.len(), 1, "no record is made beside it");
    let told = rig.said.iter().filter(|said| said.contains("somebody else keeps changing its address"));
    assert!((1..=9).contains(&told.count()), "once, and a reminder a day: {:#?}", rig.said);
    rig.address = Some(ip(2));
    rig.run(6 * MINUTE);
    assert_eq!(
        rig.contents("home.example.com"),
        [ip(2)],
        "an address of our own that is new goes out at once"
    );
    rig.address = Some(ip(1));
    rig.run(6 * MINUTE);
    assert_eq!(
        rig.contents("home.example.com"),
        [ip(1)],
        "and so does the way back, which nobody wrote over"
    );
}

#[test]
fn work_that_waits_for_the_budget_is_said_once_and_said_to_be_over() {
    let mut wanted = settings(&["home.example.com"]);
    let budget = Budget { requests: 4, per: HOUR };
    for account in wanted.accounts.values_mut() {
        account.budget = budget;
    }
    let mut rig = Rig::new(&["example.com"], wanted);
    rig.run(Duration::from_secs(60));
    assert_eq!(rig.writes(), 1, "zones, records, name servers, and a batch");
    rig.address = Some(ip(2));
    rig.run(Duration::from_secs(1200));
    assert_eq!(rig.writes(), 1, "the fifth request waits");
    let about_budget =
        |said: &[String]| said.iter().filter(|said| said.contains("budget")).cloned().collect::<Vec<_>>();
    let said = about_budget(&rig.said);
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].contains("4 per 1 h"), "{said:?}");
    rig.run(HOUR);
    assert_eq!(rig.contents("home.example.com"), [ip(2)]);
    let said = about_budget(&rig.said);
    assert!(said.len() == 2 && said[1].starts_with("resolved after"), "{said:?}");
}
