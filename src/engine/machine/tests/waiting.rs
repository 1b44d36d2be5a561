//! The budget, `Retry-After` and what is asked for too often: across restarts, reloads and renames.

use super::*;

fn with_credential(names: &[&str], accounts: &[(&str, &str)]) -> Settings {
    let mut wanted = settings(names);
    wanted.accounts.clear();
    for (name, credential) in accounts {
        add_account(&mut wanted, name);
        wanted.accounts.get_mut(&account(name)).unwrap().credential = CredentialId((*credential).into());
    }
    let first = account(accounts[0].0);
    wanted.records.values_mut().for_each(|wanted| wanted.account = first.clone());
    wanted
}

/// Requests within the time that begins now.
fn asked_within(rig: &mut Rig, span: Duration) -> usize {
    rig.asked.clear();
    rig.run(span);
    rig.asked.len()
}

#[test]
fn a_retry_after_of_whatever_answer_holds_its_zone_and_nothing_else() {
    let mut rig =
        Rig::new(&["example.com", "example.net"], settings(&["home.example.com", "home.example.net"]));
    rig.run(MINUTE);
    rig.retry_after = Some(20 * MINUTE);
    rig.fault = Box::new(|request| match request {
        Request::Records { zone, .. } if *zone == zone_id(1) => Some(failure(Class::NotSent)),
        _ => None,
    });
    rig.address = Some(ip(2));
    rig.run(6 * MINUTE);
    assert_eq!(rig.contents("home.example.net"), [ip(2)], "the other zone goes on");
    rig.fault = Box::new(|_| None);
    for how in 0..4 {
        match how {
            0 => rig.engine.handle(Event::RefreshNow, rig.now),
            1 => rig.engine.reconfigure(settings(&["home.example.com", "home.example.net"]), rig.now),
            2 => rig.restart(settings(&["home.example.com", "home.example.net"]), Mode::Daemon),
            _ => {}
        }
        rig.run(2 * MINUTE);
        let asked = rig.asked.iter().filter(|request| match request {
            Request::Records { zone, .. } | Request::Batch { zone, .. } => *zone == zone_id(1),
            _ => false,
        });
        assert!(asked.count() <= 3, "held all the same: {:?}", rig.asked);
        assert_eq!(rig.contents("home.example.com"), [ip(1)]);
    }
    let said = "Cloudflare asks to wait: for 13 min 40 s nothing is asked about the zone example.com";
    assert_eq!(rig.said.iter().filter(|line| *line == said).count(), 1, "{:#?}", rig.said);
    rig.address = Some(ip(3));
    rig.run(6 * MINUTE);
    assert_eq!(rig.contents("home.example.net"), [ip(3)]);
    assert_eq!(
        rig.said.iter().filter(|line| line.contains("to wait") || line.contains("resolved after")).count(),
        1
    );
    rig.run(20 * MINUTE);
    assert_eq!(rig.contents("home.example.com"), [ip(3)]);
    assert!(
        rig.said.iter().any(|said| said.ends_with(": Cloudflare may be asked about the zone example.com")),
        "{:#?}",
        rig.said
    );
}

#[test]
fn a_429_holds_across_a_restart_and_a_rename() {
    let names = ["home.example.com"];
    let old = || with_credential(&names, &[("", "one")]);
    for renamed in [false, true] {
        let mut rig = Rig::new(&["example.com"], old());
        rig.run(MINUTE);
        rig.retry_after = Some(10 * MINUTE);
        rig.fault = Box::new(|_| Some(failure(Class::Throttled)));
        rig.address = Some(ip(2));
        rig.run(6 * MINUTE);
        let held_since = rig.now;
        rig.fault = Box::new(|_| None);
        match renamed {
            true => rig.engine.reconfigure(with_credential(&names, &[("other", "one")]), rig.now),
            false => rig.restart(old(), Mode::Daemon),
        }
        rig.said.clear();
        assert_eq!(asked_within(&mut rig, 3 * MINUTE), 0, "renamed: {renamed}");
        let said = rig.said.iter().filter(|said| said.starts_with("Cloudflare asks for fewer requests"));
        assert_eq!(said.count(), 1, "{:#?}", rig.said);
        rig.run(15 * MINUTE);
        assert!(rig.now.since(held_since) < HOUR && rig.contents("home.example.com") == [ip(2)]);
    }
}

#[test]
fn accounts_with_one_token_have_one_budget() {
    let mut wanted = with_credential(
        &["home.example.com"],
        &[("a", "one"), ("b", "one"), ("c", "one"), ("d", "one"), ("e", "one")],
    );
    for (number, name) in ["b", "c", "d", "e"].into_iter().enumerate() {
        let text = format!("n{number}.example.com");
        want(&mut wanted, &text, ZoneHint::Find).account = account(name);
    }
    for account in wanted.accounts.values_mut() {
        account.budget = Budget { requests: 6, per: HOUR };
    }
    let mut rig = Rig::new(&["example.com"], wanted);
    assert!(asked_within(&mut rig, HOUR) <= 6);
}

#[test]
fn an_account_that_is_renamed_again_and_again_asks_for_nothing() {
    let mut rig = Rig::new(&["example.com"], with_credential(&["home.example.com"], &[("", "one")]));
    rig.run(MINUTE);
    rig.asked.clear();
    for turn in 0..225 {
        let name = if turn % 2 == 0 { "other" } else { "" };
        rig.engine.reconfigure(with_credential(&["home.example.com"], &[(name, "one")]), rig.now);
        rig.run(Duration::from_millis(250));
    }
    assert!(rig.asked.len() <= 2, "{} requests", rig.asked.len());
    assert_eq!(rig.state("home.example.com"), RecordState::Current);
}

#[test]
fn refreshes_are_carried_out_once_a_minute_and_leave_room_for_a_change() {
    let zones: Vec<String> = (0..20).map(|number| format!("zone{number}.example")).collect();
    let names: Vec<String> = zones.iter().map(|zone| format!("home.{zone}")).collect();
    let mut wanted = settings(&names.iter().map(String::as_str).collect::<Vec<_>>());
    for account in wanted.accounts.values_mut() {
        account.budget = Budget { requests: 120, per: Duration::from_secs(300) };
    }
    let mut rig = Rig::new(&zones.iter().map(String::as_str).collect::<Vec<_>>(), wanted);
    rig.run(20 * MINUTE);
    rig.asked.clear();
    for _ in 0..45 {
        rig.engine.handle(Event::RefreshNow, rig.now);
        rig.run(Duration::from_secs(1));
    }
    assert!(rig.asked.len() <= 41 + 2, "{} requests", rig.asked.len());
    for _ in 0..5 {
        rig.engine.handle(Event::RefreshNow, rig.now);
        rig.run(MINUTE);
    }
    rig.address = Some(ip(2));
    rig.engine.handle(HINT, rig.now);
    rig.run(Duration::from_secs(20));
    assert!(names.iter().all(|name| rig.contents(name) == [ip(2)]), "the change does not wait");
}

#[test]
fn an_answer_for_an_account_that_was_removed_and_added_again_is_not_taken_for_the_new_one() {
    let wanted = settings(&["home.example.com"]);
    let mut rig = Rig::new(&["example.com"], wanted.clone());
    let mut asked = None;
    while let Some(command) = rig.engine.next_command(rig.now) {
        match command {
            Command::Ask { ticket, request, .. } => asked = Some((ticket, request)),
            command => rig.carry_out(command),
        }
    }
    let (ticket, request) = asked.unwrap();
    let mut without = wanted.clone();
    without.accounts.clear();
    without.records.clear();
    rig.engine.reconfigure(without, rig.now);
    rig.engine.reconfigure(wanted, rig.now);
    let found = Ok(Found::Zones(page(Vec::new())));
    let answer = Answer { limits: Vec::new(), retry_after: None, took: Duration::ZERO, outcome: found };
    assert!(matches!(request, Request::Zones { .. }));
    rig.engine.handle(Event::Answered(ticket, answer.clone()), rig.now);
    rig.run(MINUTE);
    assert_eq!(rig.contents("home.example.com"), [ip(1)]);
}

/// The tickets of the looks that come now.
fn looks(rig: &mut Rig) -> Vec<Ticket> {
    let commands = std::iter::from_fn(|| rig.engine.next_command(rig.now));
    commands
        .filter_map(|command| match command {
            Command::Look { ticket, .. } => Some(ticket),
            _ => None,
        })
        .collect()
}

#[test]
fn what_comes_with_a_foreign_ticket_changes_nothing() {
    let mut rig = Rig::new(&["example.com"], settings(&["home.example.com"]));
    rig.run(MINUTE);
    rig.engine.handle(HINT, rig.now);
    let [look] = looks(&mut rig)[..] else { panic!("one look") };
    let before = format!("{:?}", rig.engine);
    let found = || Ok(Found::Zones(page(Vec::new())));
    let answer = || Answer { limits: Vec::new(), retry_after: None, took: Duration::ZERO, outcome: found() };
    for ticket in [look, Ticket(0), Ticket(1), Ticket(9_999)] {
        let mut engine = rig.engine.clone();
        if ticket != look {
            engine.handle(Event::Heard(ticket, Ok(ip(9))), rig.now);
            engine.handle(Event::SecretRead(ticket, Some(CredentialId("new".into()))), rig.now);
            engine.handle(Event::Answered(ticket, answer()), rig.now);
            assert!(format!("{engine:?}") == before, "{ticket:?}");
        }
        assert!(engine.is_open(look));
    }
}

#[test]
fn a_look_that_was_begun_before_its_sources_changed_is_not_counted() {
    let mut wanted = settings(&["home.example.com"]);
    wanted.agree = 1;
    let mut rig = Rig::new(&["example.com"], wanted.clone());
    rig.run(MINUTE);
    rig.engine.handle(HINT, rig.now);
    let [look] = looks(&mut rig)[..] else { panic!("one look") };
    wanted.sources.get_mut(&V4).unwrap().reverse();
    rig.engine.reconfigure(wanted, rig.now);
    let [anew] = looks(&mut rig)[..] else { panic!("one look") };
    rig.engine.handle(Event::Heard(look, Ok(ip(9))), rig.now);
    assert_eq!(rig.engine.believed(V4), Some(ip(1)));
    rig.engine.handle(Event::Heard(anew, Ok(ip(2))), rig.now);
    assert_eq!(rig.engine.believed(V4), Some(ip(2)));
}

#[test]
fn a_secret_that_was_read_for_an_account_before_a_reload_is_not_taken_for_the_new_one() {
    let wanted = settings(&["home.example.com"]);
    let mut rig = Rig::new(&["example.com"], wanted.clone());
    rig.fault = Box::new(|_| Some(failure(Class::Credential)));
    let mut read = None;
    while let Some(command) = rig.engine.next_command(rig.now) {
        match command {
            Command::ReadSecret { ticket, .. } => read = Some(ticket),
            command => rig.carry_out(command),
        }
    }
    let mut without = wanted.clone();
    without.accounts.clear();
    without.records.clear();
    rig.engine.reconfigure(without, rig.now);
    rig.engine.reconfigure(wanted, rig.now);
    let new = CredentialId("of another account".into());
    rig.engine.handle(Event::SecretRead(read.unwrap(), Some(new.clone())), rig.now);
    assert_ne!(rig.engine.accounts[&account("")].settings().credential, new);
}

#[test]
fn kills_in_a_row_do_not_spend_the_budget_by_themselves() {
    let wanted = settings(&["home.example.com"]);
    let mut rig = Rig::new(&["example.com"], wanted.clone());
    rig.run(MINUTE);
    let left = |rig: &Rig| rig.engine.status(rig.now).budgets[&account("")].left;
    let before = left(&rig);
    for _ in 0..40 {
        rig.restart(wanted.clone(), Mode::Daemon);
        rig.run(Duration::from_secs(2));
    }
    assert!(left(&rig) + 2 >= before, "{before} left before, {} after", left(&rig));
}

#[test]
fn an_api_that_takes_reads_alone_is_not_said_to_be_well_and_is_asked_ever_more_rarely() {
    let names: Vec<String> = (0..64).map(|number| format!("n{number}.example.com")).collect();
    let mut rig = Rig::new(&["example.com"], settings(&names.iter().map(String::as_str).collect::<Vec<_>>()));
    rig.run(MINUTE);
    rig.said.clear();
    rig.fault = Box::new(|request| {
        // Only what fits one small packet gets through.
        matches!(request, Request::Batch { batch, .. } if batch.len() > 1)
            .then(|| Failure::without_answer(Class::Unsure, "no answer in time"))
    });
    rig.address = Some(ip(2));
    assert!(asked_within(&mut rig, HOUR) <= 250, "{} requests", rig.asked.len());
    assert!(!rig.asked.is_empty());
    let well = rig.said.iter().position(|said| said.contains("resolved after"));
    let written = rig.said.iter().position(|said| said.contains("→"));
    assert!(well.is_none() || written.is_some_and(|written| written <= well.unwrap() + 1), "{:#?}", rig.said);
    assert!(rig.contents("n0.example.com") == [ip(2)], "the batch shrinks until it gets through");
}

#[test]
fn a_write_that_was_done_without_an_answer_is_said_and_all_is_well() {
    let mut rig = Rig::new(&["example.com"], settings(&["home.example.com"]));
    rig.run(MINUTE);
    for (address, done) in [(2, true), (3, false)] {
        rig.said.clear();
        rig.address = Some(ip(address));
        rig.fault = Box::new(|request| request.writes().then(|| failure(Class::Unsure)));
        rig.engine.handle(HINT, rig.now);
        let writes = rig.writes();
        while rig.writes() == writes {
            match rig.engine.next_command(rig.now) {
                Some(command) => rig.carry_out(command),
                None => rig.now = rig.engine.wake_at(rig.now).unwrap(),
            }
        }
        if done {
            rig.records.values_mut().for_each(|(_, record)| record.content = ip(address).into());
        }
        rig.fault = Box::new(|_| None);
        rig.run(MINUTE);
        assert_eq!(
            (rig.contents("home.example.com"), rig.writes()),
            (vec![ip(address)], writes + 1 + usize::from(!done))
        );
        assert!(rig.engine.status(rig.now).troubles.is_empty(), "{:#?}", rig.said);
        let count = |words: &str| rig.said.iter().filter(|said| said.contains(words)).count();
        let found = "home.example.com A 25.0.0.1 → 25.0.0.2 (done, as the list shows; the answer to it did not arrive)";
        assert_eq!((count("resolved after"), count(found)), (1, usize::from(done)), "{:#?}", rig.said);
    }
}

#[test]
fn pages_of_a_list_are_large_again_after_a_whole_one() {
    let mut rig = Rig::new(&["example.com"], settings(&["a.example.com", "b.example.com"]));
    let mut failures = 2;
    rig.fault = Box::new(move |request| match request {
        Request::Records { .. } if failures > 0 => {
            failures -= 1;
            Some(Failure { incomplete: true, ..failure(Class::NotSent) })
        }
        _ => None,
    });
    rig.run(HOUR);
    rig.engine.handle(Event::RefreshNow, rig.now);
    rig.run(MINUTE);
    let sizes: Vec<u32> = rig
        .asked
        .iter()
        .filter_map(|request| match request {
            Request::Records { per_page, .. } => Some(*per_page),
            _ => None,
        })
        .collect();
    assert_eq!(sizes, [5000, 1000, 100, 5000]);
}

#[test]
fn paid_zones_take_large_batches_until_one_is_refused() {
    let names: Vec<String> = (0..900).map(|number| format!("n{number}.example.com")).collect();
    let mut wanted = settings(&names.iter().map(String::as_str).collect::<Vec<_>>());
    wanted.max_deletes = 1000;
    for (plan, most, batches) in [("free", 200, 5), ("pro", 3500, 1), ("pro", 200, 6)] {
        let mut rig = Rig::new(&["example.com"], wanted.clone());
        rig.zones[0].plan = Some(plan.into());
        rig.fault = Box::new(move |request| {
            matches!(request, Request::Batch { batch, .. } if batch.len() > most)
                .then(|| failure(Class::Content))
        });
        rig.run(5 * MINUTE);
        assert_eq!((rig.records.len(), rig.writes()), (900, batches), "{plan}, {most}");
    }
}

#[test]
fn an_outage_of_cloudflare_alone_is_no_illness_and_ten_minutes_behind_are() {
    let ill = |rig: &Rig| rig.engine.status(rig.now).ill;
    let mut rig = Rig::new(&["example.com"], settings(&["home.example.com"]));
    rig.run(20 * MINUTE);
    rig.fault = Box::new(|_| Some(failure(Class::NotSent)));
    rig.address = Some(ip(2));
    for _ in 0..60 {
        rig.run(MINUTE);
        assert_eq!(ill(&rig), None);
    }
    rig.retry_after = Some(HOUR);
    rig.fault = Box::new(|_| Some(failure(Class::Throttled)));
    rig.run(10 * MINUTE);
    rig.address = Some(ip(3));
    rig.run(30 * MINUTE);
    assert_eq!((ill(&rig), rig.contents("home.example.com")), (None, vec![ip(1)]), "nothing may be asked");
    (rig.retry_after, rig.address) = (None, Some(ip(2)));
    rig.fault = Box::new(|_| Some(failure(Class::Credential)));
    rig.run(HOUR);
    assert!(ill(&rig).is_some_and(|why| why.contains("home.example.com A")));
    rig.fault = Box::new(|_| None);
    rig.run(3 * HOUR);
    assert_eq!((ill(&rig), rig.contents("home.example.com")), (None, vec![ip(2)]));
}
