//! The worlds that are made for people: the example, and the one for a configuration.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;

use crate::engine::names::{Family, Key, Name, ZoneId};
use crate::engine::ranges::publishable;
use crate::engine::settings::{AccountName, OnExit, Options, Settings, Wanted, ZoneHint};
use crate::sandbox::{MADE_UP, World, WorldOptions, other_address};

fn settings(records: &[(&str, ZoneHint)]) -> Settings {
    let mut wanted = BTreeMap::new();
    for (name, zone) in records {
        for family in Family::ALL {
            let key = Key { name: Name::parse(name).unwrap(), kind: family.record_type() };
            let one =
                Wanted { account: AccountName::default(), zone: zone.clone(), options: Options::default() };
            wanted.insert(key, one);
        }
    }
    Settings {
        accounts: BTreeMap::new(),
        sources: BTreeMap::new(),
        every: Duration::from_secs(300),
        agree: 2,
        allow: Vec::new(),
        records: wanted,
        owner: None,
        max_deletes: 5,
        on_exit: OnExit::Keep,
        tunnel: Default::default(),
    }
}

#[test]
fn a_configuration_finds_its_zones_with_records_that_are_right_stale_and_missing() {
    let named = ZoneHint::Named(Name::parse("sub.example.org").unwrap());
    let id = ZoneId::parse(&"7".repeat(32)).unwrap();
    let settings = settings(&[
        ("home.example.com", ZoneHint::Find),
        ("*.home.example.com", ZoneHint::Find),
        ("nas.example.co.uk", ZoneHint::Find),
        ("a.sub.example.org", named),
        ("b.example.net", ZoneHint::Id(id.clone(), None)),
    ]);
    let world = World::for_settings(&settings, WorldOptions::default());
    let mut zones: Vec<&str> = world.zones().iter().map(|zone| zone.name.as_str()).collect();
    zones.sort_unstable();
    assert_eq!(zones, ["example.co.uk", "example.com", "example.net", "sub.example.org"]);
    assert_eq!(world.zone("example.net").unwrap().id, id.as_str());

    let (mut right, mut stale, mut missing) = (0, 0, 0);
    for key in settings.records.keys() {
        let found = world
            .zones()
            .iter()
            .flat_map(|zone| zone.records().values())
            .find(|record| record.name == key.name.as_str() && record.kind == key.kind.as_str());
        let now = world.addresses.get(key.kind.family()).unwrap().to_string();
        match found {
            None => missing += 1,
            Some(record) if record.content == now => right += 1,
            Some(_) => stale += 1,
        }
    }
    assert!(right > 0 && stale > 0 && missing > 0, "{right} {stale} {missing}");
    let records = world.records("example.com");
    assert!(records.iter().any(|record| record.proxied && record.comment.is_some()));
    let foreign = records.iter().filter(|record| record.kind == "MX" || record.kind == "TXT");
    assert_eq!(foreign.count(), 2);
}

#[test]
fn the_shortest_configuration_still_has_something_to_update_and_something_to_create() {
    let settings = settings(&[("home.example.com", ZoneHint::Find)]);
    let world = World::for_settings(&settings, WorldOptions::default());
    let home: Vec<String> = world
        .records("example.com")
        .into_iter()
        .filter(|record| record.name == "home.example.com")
        .map(|record| record.kind)
        .collect();
    assert_eq!(home, ["A"]);
}

#[test]
fn scenery_never_stands_on_a_configured_name() {
    let settings = settings(&[
        ("www.example.com", ZoneHint::Find),
        ("mail.example.com", ZoneHint::Find),
        ("example.com", ZoneHint::Find),
    ]);
    let world = World::for_settings(&settings, WorldOptions::default());
    let configured = |name: &str| settings.records.keys().any(|key| key.name.as_str() == name);
    for record in world.records("example.com") {
        assert!(!configured(&record.name) || matches!(&*record.kind, "A" | "AAAA"));
    }
}

#[test]
fn the_addresses_of_a_configuration_change_after_six_seconds_and_are_seen_to_be_made_up() {
    let settings = settings(&[("home.example.com", ZoneHint::Find)]);
    let mut world = World::for_settings(&settings, WorldOptions::default());
    assert_eq!(world.addresses.next_change(), Some(Duration::from_secs(6)));
    for second in 0..600 {
        world.advance(Duration::from_secs(second));
        for family in Family::ALL {
            for address in [world.addresses.get(family).unwrap(), other_address(family)] {
                assert!(publishable(address, &MADE_UP).is_ok(), "{address}");
                assert!(publishable(address, &[]).unwrap_err().to_string().contains("for documentation"));
            }
            assert_ne!(world.addresses.get(family).unwrap(), other_address(family));
        }
    }
}

#[test]
fn the_example_has_three_zones_and_lets_a_person_work_in_them() {
    let mut world = World::example(WorldOptions::default());
    for zone in ["example.com", "example.net", "example.org"] {
        assert!(world.records(zone).len() >= 4);
    }
    let body = json!({"type": "A", "name": "new", "content": "203.0.113.9"});
    let record = world.add_record("example.com", &body).unwrap();
    assert!(world.add_record("example.com", &body).is_err());
    let edit = json!({"comment": "by hand"});
    let edited = world.edit_record("example.com", &record.id, &edit).unwrap();
    assert_eq!(edited.comment.as_deref(), Some("by hand"));
    world.remove_record("example.com", &record.id).unwrap();
    assert!(world.remove_record("example.com", &record.id).is_err());
    assert!(world.add_record("absent.example", &body).is_err());
}

#[test]
fn the_clock_of_a_world_never_goes_back() {
    let mut world = World::new(WorldOptions::default());
    world.advance(Duration::from_secs(10));
    world.advance(Duration::from_secs(3));
    assert_eq!(world.now(), Duration::from_secs(10));
}
