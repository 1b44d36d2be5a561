//! Owner a record is, while other people and programs work on the same zones.

use super::*;

impl Rig {
    fn record(&self, id: &RecordId) -> &Record {
        &self.records[id].1
    }

    fn by_hand(&mut self, id: &RecordId, change: impl FnOnce(&mut Record)) {
        change(&mut self.records.get_mut(id).expect("it is there").1);
    }

    fn ours(&self, text: &str) -> RecordId {
        let ours = self.records.values().map(|(_, record)| record);
        let mut ours = ours.filter(|record| record.name == name(text) && record.mark().is_some());
        ours.next().expect("there is one").id.clone()
    }

    pub fn times_said(&self, words: &str) -> usize {
        self.said.iter().filter(|said| said.contains(words)).count()
    }

    fn why(&self, text: &str) -> String {
        self.engine.states()[&key(text)].1.clone().unwrap_or_default()
    }
}

fn home() -> Rig {
    let mut rig = Rig::new(&["example.com"], settings(&["home.example.com"]));
    rig.run(MINUTE);
    assert_eq!(rig.state("home.example.com"), RecordState::Current);
    rig
}

#[test]
fn a_record_that_has_our_new_address_beside_ours_never_becomes_ours() {
    let mut rig = home();
    let by_hand = rig.has(1, "home.example.com", ip(2), Some("second line, by hand"));
    rig.address = Some(ip(2));
    rig.run(6 * MINUTE);
    assert_eq!(rig.contents("home.example.com"), [ip(2)], "ours is gone, because there cannot be two of it");
    assert_eq!(rig.state("home.example.com"), RecordState::Current);
    assert!(rig.why("home.example.com").contains("not ours"), "{}", rig.why("home.example.com"));
    for restart in [false, true] {
        if restart {
            rig.restart(settings(&["home.example.com"]), Mode::Daemon);
        }
        rig.address = Some(ip(3 + u8::from(restart)));
        rig.run(DAY);
        assert_eq!(rig.record(&by_hand).content, ip(2), "it is never rewritten");
        assert_eq!(rig.contents("home.example.com").len(), 2, "ours stands beside it");
        assert!(rig.contents("home.example.com").contains(&rig.address.unwrap()));
    }
}

#[test]
fn a_record_that_was_given_another_purpose_is_let_go() {
    type Deed = fn(&mut Record);
    let deeds: [(&str, Deed); 3] = [
        ("stayput/other", |record| record.comment = Some("stayput/other".into())),
        ("took stayput's mark out", |record| record.comment = Some("for the printer".into())),
        ("our record is gone", |record| record.name = Name::parse("printer.example.com").unwrap()),
    ];
    for (words, deed) in deeds {
        for delete_at_exit in [false, true] {
            let mut wanted = settings(&["home.example.com", "nas.example.com"]);
            if delete_at_exit {
                wanted.on_exit = OnExit::Delete;
            }
            let mut rig = Rig::new(&["example.com"], wanted);
            rig.run(MINUTE * 10);
            let id = rig.ours("home.example.com");
            rig.by_hand(&id, deed);
            let then = rig.record(&id).clone();
            if delete_at_exit {
                rig.engine.handle(Event::Stop, rig.now);
                rig.run(Duration::from_secs(5));
                assert!(rig.engine.settled(rig.now) && rig.contents("nas.example.com").is_empty());
            } else {
                rig.address = Some(ip(2));
                rig.run(6 * MINUTE);
                assert_eq!(rig.contents("nas.example.com"), [ip(2)]);
            }
            assert_eq!(*rig.record(&id), then, "it stays as somebody made it");
            assert_eq!(rig.times_said(words), 1, "{words}: {:#?}", rig.said);
        }
    }
}

#[test]
fn a_cname_that_takes_the_place_of_ours_is_in_the_way_of_the_change() {
    let mut rig = home();
    rig.records.clear();
    rig.others.push((zone_id(1), Listed::Other(name("home.example.com"), "CNAME".into())));
    rig.address = Some(ip(2));
    rig.run(6 * MINUTE);
    assert!(rig.records.is_empty() && rig.state("home.example.com") == RecordState::Blocked);
    assert_eq!(rig.times_said("a CNAME record of this name is in the way"), 1);
}

#[test]
fn what_lost_its_mark_is_adopted_by_a_later_refresh_at_the_earliest() {
    let mut rig = home();
    let id = rig.ours("home.example.com");
    rig.by_hand(&id, |record| record.comment = None);
    rig.address = Some(ip(2));
    rig.run(6 * MINUTE);
    assert_eq!(rig.record(&id).content, ip(1));
    assert_eq!(rig.state("home.example.com"), RecordState::Blocked);
    assert!(rig.why("home.example.com").contains("took stayput's mark out"));
    rig.run(7 * HOUR);
    assert_eq!(rig.record(&id).content, ip(2), "alone and unmarked, it is adopted like any other");
}

#[test]
fn changes_that_come_more_often_than_refreshes_do_not_put_the_adoption_off_for_ever() {
    let mut rig = Rig::new(&["example.com"], settings(&["home.example.com", "nas.example.com"]));
    rig.run(MINUTE);
    let id = rig.ours("home.example.com");
    rig.by_hand(&id, |record| record.comment = None);
    for change in 2..5 {
        rig.address = Some(ip(change));
        rig.run(2 * HOUR);
        assert_eq!(rig.record(&id).content, ip(1), "not within a refresh of the first list that showed it");
    }
    rig.address = Some(ip(5));
    rig.run(2 * HOUR);
    assert_eq!(rig.record(&id).content, ip(5));
}

#[test]
fn changes_that_come_more_often_than_refreshes_do_not_hide_for_ever_that_a_delegation_is_gone() {
    let mut rig = Rig::new(&["example.com"], settings(&["home.sub.example.com"]));
    rig.others.push((zone_id(1), Listed::Delegation(name("sub.example.com"), "ada.ns.example".into())));
    rig.run(MINUTE);
    assert_eq!(rig.state("home.sub.example.com"), RecordState::Blocked);
    rig.others.clear();
    for change in 2..6 {
        rig.address = Some(ip(change));
        rig.run(2 * HOUR);
    }
    assert_eq!(rig.contents("home.sub.example.com"), [ip(5)], "{:?}", rig.asked);
}

#[test]
fn no_write_rests_on_a_list_from_before_a_restart() {
    let mut rig = home();
    rig.engine.handle(Event::RefreshNow, rig.now);
    rig.run(MINUTE / 60);
    rig.asked.clear();
    rig.address = Some(ip(2));
    rig.restart(settings(&["home.example.com"]), Mode::Daemon);
    rig.run(MINUTE);
    assert_eq!(rig.contents("home.example.com"), [ip(2)]);
    assert!(matches!(rig.asked[..], [Request::Records { .. }, Request::Batch { .. }]), "{:?}", rig.asked);
}

#[test]
fn a_change_reads_first_and_reads_once_more_what_it_deletes() {
    let mut wanted = settings(&["home.example.com", "nas.example.com"]);
    for wanted in wanted.records.values_mut() {
        wanted.options.beside = Beside::Nobody;
    }
    let mut rig = Rig::new(&["example.com"], wanted);
    rig.run(MINUTE);
    rig.asked.clear();
    rig.has(1, "nas.example.com", ip(9), None);
    rig.address = Some(ip(2));
    rig.run(6 * MINUTE);
    assert!(
        matches!(rig.asked[..], [Request::Records { .. }, Request::Records { .. }, Request::Batch { .. }]),
        "{:?}",
        rig.asked
    );
    assert_eq!(rig.contents("nas.example.com"), [ip(2)]);
    rig.asked.clear();
    rig.address = Some(ip(3));
    rig.run(6 * MINUTE);
    assert!(matches!(rig.asked[..], [Request::Records { .. }, Request::Batch { .. }]), "{:?}", rig.asked);
}

#[test]
fn zones_are_read_and_written_one_after_the_other() {
    let zones: Vec<String> = (0..6).map(|number| format!("zone{number}.example")).collect();
    let names: Vec<String> = zones.iter().map(|zone| format!("home.{zone}")).collect();
    let zones: Vec<&str> = zones.iter().map(String::as_str).collect();
    let mut rig = Rig::new(&zones, settings(&names.iter().map(String::as_str).collect::<Vec<_>>()));
    rig.run(MINUTE);
    rig.asked.clear();
    rig.address = Some(ip(2));
    rig.run(6 * MINUTE);
    assert_eq!(rig.asked.len(), 12);
    for pair in rig.asked.chunks(2) {
        let [Request::Records { zone: read, .. }, Request::Batch { zone: written, .. }] = pair else {
            panic!("{:?}", rig.asked)
        };
        assert_eq!(read, written);
    }
}

#[test]
fn a_false_alarm_lists_a_zone_ever_more_rarely() {
    let mut rig = home();
    rig.asked.clear();
    // One source says something new at every look; the other one denies it.
    let first = ip(1);
    for _ in 0..12 * 24 {
        rig.address = Some(ip(u8::try_from(rig.now.as_millis() / 1000 % 200).unwrap() + 10));
        rig.answering = 1;
        rig.run(4 * MINUTE);
        (rig.address, rig.answering) = (Some(first), 2);
        rig.run(MINUTE);
    }
    let lists = rig.asked.iter().filter(|request| matches!(request, Request::Records { .. })).count();
    assert!((3..=14).contains(&lists), "{lists} lists in a day of false alarms, refreshes among them");
    assert_eq!(rig.writes(), 0);
}

#[test]
fn a_record_that_is_missing_in_one_list_is_looked_for_once_more() {
    let mut rig = home();
    let hidden = rig.records.clone();
    rig.asked.clear();
    rig.records.clear();
    rig.engine.handle(Event::RefreshNow, rig.now);
    while rig.asked.iter().filter(|request| matches!(request, Request::Records { .. })).count() == 0 {
        let command = rig.engine.next_command(rig.now).expect("it lists");
        rig.carry_out(command);
    }
    rig.records = hidden;
    rig.run(MINUTE);
    assert_eq!((rig.writes(), rig.records.len()), (0, 1), "nothing is created beside it: {:?}", rig.asked);
    assert_eq!(rig.times_said("our record is gone"), 0, "nor said: {:#?}", rig.said);
}

#[test]
fn an_owner_that_is_set_takes_over_what_was_ours_without_one() {
    for restart in [false, true] {
        let mut rig = home();
        let id = rig.ours("home.example.com");
        let mut wanted = settings(&["home.example.com"]);
        for owner in ["attic", "cellar"] {
            wanted.owner = Some(owner.into());
            if restart {
                rig.restart(wanted.clone(), Mode::Daemon);
            } else {
                rig.engine.reconfigure(wanted.clone(), rig.now);
            }
            rig.run(10 * MINUTE);
            assert_eq!(rig.record(&id).comment.as_deref(), Some(&*format!("stayput/{owner}")));
            assert_eq!(rig.state("home.example.com"), RecordState::Current);
        }
        rig.address = Some(ip(2));
        rig.run(6 * MINUTE);
        assert_eq!(rig.record(&id).content, ip(2));
    }
}

#[test]
fn without_a_copy_a_record_without_owner_is_another_instances() {
    let mut wanted = settings(&["home.example.com"]);
    wanted.owner = Some("attic".into());
    let mut rig = Rig::new(&["example.com"], wanted);
    let old = rig.has(1, "home.example.com", ip(9), Some("stayput"));
    rig.run(MINUTE);
    assert_eq!(rig.record(&old).content, ip(9));
    assert_eq!(rig.state("home.example.com"), RecordState::Blocked);
    assert!(
        rig.why("home.example.com").contains("start once without owner"),
        "{}",
        rig.why("home.example.com")
    );
}

#[test]
fn a_zone_that_is_made_for_a_name_later_gets_its_record() {
    for by_signal in [false, true] {
        let mut rig = Rig::new(&["example.com"], settings(&["a.home.example.com", "www.example.com"]));
        rig.run(MINUTE);
        rig.others.push((zone_id(1), Listed::Delegation(name("home.example.com"), "ada.ns.example".into())));
        let zone = ZoneInfo { id: zone_id(2), name: name("home.example.com"), ..rig.zones[0].clone() };
        rig.zones.push(zone);
        if by_signal {
            rig.engine.handle(Event::RefreshNow, rig.now);
            rig.run(MINUTE);
        } else {
            rig.run(DAY);
        }
        let here = |zone: usize| -> Vec<&str> {
            let here = rig.records.values().filter(|(of, _)| *of == zone_id(zone));
            here.map(|(_, record)| record.name.as_str()).collect()
        };
        assert_eq!(here(2), ["a.home.example.com"], "{:#?}", rig.said);
        assert_eq!(here(1), ["www.example.com"], "the old record is deleted");
        assert_eq!(rig.times_said("a.home.example.com lies in the zone home.example.com by now"), 1);
    }
}

#[test]
fn a_zone_that_was_made_anew_is_found_although_the_old_one_only_forbids() {
    let mut rig = home();
    let new = ZoneInfo { id: zone_id(7), ..rig.zones[0].clone() };
    rig.zones = vec![new];
    rig.records.clear();
    rig.fault = Box::new(|request| match request {
        Request::Records { zone, .. } if *zone == zone_id(1) => Some(failure(Class::Forbidden)),
        _ => None,
    });
    rig.address = Some(ip(2));
    rig.run(7 * MINUTE);
    assert_eq!(rig.contents("home.example.com"), [ip(2)]);
    assert!(rig.records.values().all(|(zone, _)| *zone == zone_id(7)));
}

#[test]
fn a_name_that_has_moved_lies_in_its_new_zone_after_a_restart_too() {
    let mut wanted = settings(&["home.sub.example.com"]);
    wanted.max_deletes = 0;
    let mut rig = Rig::new(&["sub.example.com", "example.com"], wanted.clone());
    let child = rig.zones.remove(0);
    rig.run(MINUTE);
    rig.zones.push(child);
    rig.run(7 * HOUR);
    let zones = |rig: &Rig| rig.records.values().map(|(zone, _)| zone.clone()).collect::<Vec<_>>();
    assert_eq!(zones(&rig), [zone_id(2), zone_id(1)], "the old record waits for a larger max-deletes");
    rig.restart(wanted, Mode::Daemon);
    rig.address = Some(ip(2));
    rig.run(6 * MINUTE);
    let new = rig.records.values().find(|(zone, _)| *zone == zone_id(1)).map(|(_, record)| &record.content);
    assert_eq!(new, Some(&ip(2).into()), "{:#?}", rig.said);
}

#[test]
fn a_zone_whose_place_another_one_took_is_asked_for_nothing_once_it_is_gone() {
    let mut rig = home();
    let new = ZoneInfo { id: zone_id(7), ..rig.zones[0].clone() };
    rig.zones[0].status = "moved".into();
    rig.zones.push(new);
    rig.fault = Box::new(|request| match request {
        Request::Records { zone, .. } if *zone == zone_id(1) => Some(failure(Class::Forbidden)),
        _ => None,
    });
    rig.run(DAY);
    assert!(rig.records.values().any(|(zone, _)| *zone == zone_id(7)), "{:#?}", rig.said);
    rig.zones.remove(0);
    rig.run(DAY);
    rig.asked.clear();
    rig.run(7 * DAY);
    let old = |request: &Request| matches!(request, Request::Records { zone, .. } if *zone == zone_id(1));
    assert!(!rig.asked.iter().any(old), "{:?}", rig.asked);
}

#[test]
fn a_state_that_names_another_zone_has_nothing_created_there() {
    let mut rig = Rig::new(&["example.com", "other.example"], settings(&["home.example.com"]));
    rig.run(MINUTE);
    let mut snapshot = rig.engine.snapshot(rig.now);
    let (key, mut memory) = snapshot.zones.pop_first().unwrap();
    memory.copy.records.clear();
    snapshot.zones.insert((key.0, zone_id(2)), memory);
    let start = Start { mode: Mode::Daemon, seed: 2, eager: true, now: rig.now };
    rig.engine = Engine::new(settings(&["home.example.com"]), start, Some(snapshot));
    rig.address = Some(ip(2));
    rig.run(10 * MINUTE);
    assert!(rig.records.values().all(|(zone, _)| *zone == zone_id(1)), "{:?}", rig.records);
    assert_eq!(rig.contents("home.example.com"), [ip(2)], "{:#?}", rig.said);
}

#[test]
fn of_two_zones_of_one_name_the_active_one_is_taken() {
    let mut rig = Rig::new(&["example.com", "example.com"], settings(&["home.example.com"]));
    rig.zones[0].status = "moved".into();
    rig.run(MINUTE);
    assert!(rig.records.values().all(|(zone, _)| *zone == zone_id(2)) && rig.records.len() == 1);
    let mut rig = Rig::new(&["example.com", "example.com"], settings(&["home.example.com"]));
    rig.zones[1].account = names::AccountId::parse(&"c".repeat(32));
    rig.run(MINUTE);
    assert_eq!((rig.records.len(), rig.state("home.example.com")), (0, RecordState::Blocked));
    assert!(rig.why("home.example.com").contains("(active, account cccc"), "{}", rig.why("home.example.com"));
}

#[test]
fn what_can_never_be_answered_is_not_created() {
    let delegation = Listed::Delegation(name("sub.example.com"), "ada.ns.example".into());
    let mut rig = Rig::new(&["example.com"], settings(&["a.sub.example.com"]));
    rig.others.push((zone_id(1), delegation.clone()));
    rig.run(MINUTE);
    assert!(rig.records.is_empty() && rig.state("a.sub.example.com") == RecordState::Blocked);
    assert!(rig.why("a.sub.example.com").contains("sub.example.com is delegated to ada.ns.example"));
    let mut rig = Rig::new(&["example.com"], settings(&["a.sub.example.com", "www.example.com"]));
    rig.others.push((zone_id(1), delegation));
    rig.others.push((zone_id(1), Listed::Delegation(name("example.com"), "bob.ns.example".into())));
    rig.run(MINUTE);
    assert_eq!(rig.contents("www.example.com"), [ip(1)], "the zone's own name servers delegate nothing");
    assert!(rig.contents("a.sub.example.com").is_empty());
}

#[test]
fn a_zones_own_name_servers_delegate_nothing_also_where_its_name_is_not_known_yet() {
    for names in [&["home.example.com"][..], &["home.example.com", "example.com"]] {
        let mut wanted = settings(&[]);
        for name in names {
            want(&mut wanted, name, ZoneHint::Id(zone_id(1), None));
        }
        let mut rig = Rig::new(&["example.com"], wanted);
        rig.others.push((zone_id(1), Listed::Delegation(name("example.com"), "bob.ns.example".into())));
        rig.run(MINUTE);
        for name in names {
            assert_eq!(rig.contents(name), [ip(1)], "{:#?}", rig.said);
        }
        assert_eq!(rig.times_said("delegated"), 0, "{:#?}", rig.said);
        rig.run(DAY);
        assert_eq!(rig.asked.iter().filter(|asked| matches!(asked, Request::Zone(_))).count(), 1);
    }
}

#[test]
fn what_a_product_manages_is_left_to_it() {
    let mut rig = Rig::new(&["example.com"], settings(&["home.example.com"]));
    let id = rig.has(1, "home.example.com", ip(9), None);
    let (_, managed) = rig.records.remove(&id).unwrap();
    rig.others.push((zone_id(1), Listed::Managed(managed, Some("Workers".into()))));
    rig.run(MINUTE);
    assert_eq!((rig.writes(), rig.state("home.example.com")), (0, RecordState::Blocked));
    assert!(rig.why("home.example.com").contains("managed by Workers"));
}

#[test]
fn a_double_of_ours_is_repaired() {
    let mut rig = home();
    rig.has(1, "home.example.com", ip(8), Some("stayput"));
    rig.run(DAY);
    assert_eq!(rig.contents("home.example.com"), [ip(1)]);
}

#[test]
fn a_start_that_is_to_delete_at_its_end_looks_whether_the_one_before_did() {
    let mut wanted = settings(&["home.example.com"]);
    wanted.on_exit = OnExit::Delete;
    let mut rig = Rig::new(&["example.com"], wanted.clone());
    rig.run(10 * MINUTE);
    rig.restart(wanted, Mode::Daemon);
    rig.run(MINUTE);
    // The old daemon ends after the new one has begun, and deletes what the new one calls current.
    rig.records.clear();
    rig.run(2 * MINUTE);
    assert_eq!(rig.contents("home.example.com"), [ip(1)]);
}

#[test]
fn what_could_not_be_deleted_at_the_end_is_named() {
    let mut wanted = settings(&["home.example.com"]);
    wanted.on_exit = OnExit::Delete;
    let mut rig = Rig::new(&["example.com"], wanted);
    rig.run(10 * MINUTE);
    rig.fault = Box::new(|request| request.writes().then(|| failure(Class::Unsure)));
    rig.engine.handle(Event::Stop, rig.now);
    rig.run(Duration::from_secs(8));
    assert!(rig.engine.settled(rig.now), "Docker kills after ten seconds");
    rig.engine.take_leave();
    let said: Vec<String> = rig.engine.take_notices().iter().map(ToString::to_string).collect();
    assert!(said.iter().any(|said| said.contains("could be deleted: home.example.com A")), "{said:?}");
}

#[test]
fn left_overs_are_shown_by_a_plan() {
    let mut wanted = settings(&["home.example.com", "nas.example.com"]);
    let mut rig = Rig::new(&["example.com"], wanted.clone());
    rig.run(MINUTE);
    wanted.records.remove(&key("nas.example.com"));
    want(&mut wanted, "www.example.com", ZoneHint::Find);
    let start = Start { mode: Mode::Plan, seed: 3, eager: true, now: rig.now };
    rig.engine = Engine::new(wanted, start, None);
    rig.run(MINUTE);
    let left: Vec<String> =
        rig.engine.plan().leftovers.iter().map(|(_, record)| record.key().to_string()).collect();
    assert_eq!(left, ["nas.example.com A"]);
}

#[test]
fn an_entry_that_cannot_be_read_is_in_the_way_of_its_own_name_alone() {
    let mut rig = Rig::new(&["example.com"], settings(&["home.example.com", "nas.example.com"]));
    rig.others.push((zone_id(1), Listed::Unreadable(name("home.example.com"), "f00d".into())));
    rig.run(MINUTE);
    assert_eq!(rig.contents("nas.example.com"), [ip(1)]);
    assert_eq!(
        (rig.contents("home.example.com").len(), rig.state("home.example.com")),
        (0, RecordState::Blocked)
    );
    assert_eq!(rig.times_said("cannot be read (id f00d)"), 1, "{:#?}", rig.said);
}

#[test]
fn an_entry_that_cannot_be_read_and_is_in_nobodys_way_is_named_once() {
    let mut rig = Rig::new(&["example.com"], settings(&["home.example.com", "nas.example.com"]));
    for id in ["f00d", "beef"] {
        rig.others.push((zone_id(1), Listed::Unreadable(name("odd.example.com"), id.into())));
    }
    rig.run(2 * DAY);
    assert_eq!(
        rig.times_said(
            "example.com: Cloudflare lists an entry odd.example.com that cannot be read (id f00d)"
        ),
        1
    );
    assert_eq!((rig.times_said("cannot be read"), rig.state("home.example.com")), (1, RecordState::Current));
}
