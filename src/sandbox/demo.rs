//! Worlds that are ready to be looked at: the one of `stayput sandbox`, and the one that `--sandbox`
//! makes for somebody's own configuration. A record that cannot be is left out: this is scenery.
//!
//! Deliberately unknown: sockets, command lines.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};

use super::ranges::other_address;
use super::world::{World, WorldOptions};
use super::zones::NewZone;
use crate::engine::names::{Key, Name};
use crate::engine::settings::{Settings, ZoneHint};

impl World {
    /// Three zones with a few records, in which any token may do everything. The addresses stay.
    pub fn example(options: WorldOptions) -> World {
        let mut world = World::new(options);
        for zone in ["example.com", "example.net", "example.org"] {
            let id = world.add_zone(NewZone::named(zone));
            seed_records(&mut world, &id, &BTreeSet::new());
            let home = json!({"type": "A", "name": "home", "content": "203.0.113.7", "ttl": 300});
            let _ = world.add_record(&id, &home);
        }
        world
    }

    /// The zones that a configuration speaks of, with records that are right, stale, somebody's own or
    /// missing, so that a first pass has something of everything to do; and addresses that change by
    /// themselves, first after 6 s and then every 10 to 20 s. Any token may do everything.
    pub fn for_settings(settings: &Settings, options: WorldOptions) -> World {
        let wanderer = options.seed;
        let mut world = World::new(options);
        let seconds = Duration::from_secs;
        world.addresses.wander(seconds(6), seconds(10), seconds(20), wanderer);
        let taken: BTreeSet<&Name> = settings.records.keys().map(|key| &key.name).collect();
        for (turn, (key, wanted)) in settings.records.iter().enumerate() {
            let zone = zone_for(&mut world, key, &wanted.zone, &taken);
            if let Some(record) = beginning(&world, key, turn) {
                let _ = world.add_record(&zone, &record);
            }
        }
        world
    }
}

/// The zone of a record, which is made if it is not there yet.
fn zone_for(world: &mut World, key: &Key, hint: &ZoneHint, taken: &BTreeSet<&Name>) -> String {
    let (name, id) = match hint {
        ZoneHint::Find => (likely_zone(&key.name), None),
        ZoneHint::Named(name) => (name.as_str().to_owned(), None),
        ZoneHint::Id(id, Some(name)) => (name.as_str().to_owned(), Some(id.as_str())),
        ZoneHint::Id(id, None) => (likely_zone(&key.name), Some(id.as_str())),
    };
    let known = world.zones().iter().find(|zone| match id {
        Some(id) => zone.id == id,
        None => zone.name == name,
    });
    if let Some(known) = known {
        return known.id.clone();
    }
    let mut new = NewZone::named(&name);
    new.id = id.map(str::to_owned);
    let id = world.add_zone(new);
    seed_records(world, &id, taken);
    id
}

/// The last two labels, or three where the last two look like a country's suffix, such as `co.uk`.
fn likely_zone(name: &Name) -> String {
    let labels: Vec<&str> = name.as_str().split('.').filter(|label| *label != "*").collect();
    let country = matches!(labels.as_slice(),
        [.., second, last] if last.len() == 2 && second.len() <= 3 && labels.len() > 2);
    let count = if country { 3 } else { 2 };
    labels[labels.len().saturating_sub(count)..].join(".")
}

/// What the zone has of a configured name at first; turn by turn something else.
fn beginning(world: &World, key: &Key, turn: usize) -> Option<Value> {
    let stale = other_address(key.kind.family());
    let right = world.addresses.get(key.kind.family()).unwrap_or(stale);
    let (kind, name) = (key.kind.as_str(), key.name.as_str());
    match turn % 4 {
        0 => Some(json!({"type": kind, "name": name, "content": stale, "ttl": 300})),
        1 => None,
        2 => Some(json!({"type": kind, "name": name, "content": right})),
        _ => Some(json!({"type": kind, "name": name, "content": stale, "proxied": true,
            "comment": "made by hand, ask Kim before changing"})),
    }
}

/// Records that are nobody's business here.
fn seed_records(world: &mut World, zone: &str, taken: &BTreeSet<&Name>) {
    let name = world.zone(zone).map(|zone| zone.name.clone());
    let name = name.unwrap_or_default();
    for (label, mut record) in [
        ("", json!({"type": "MX", "content": "mx.example.net", "priority": 10})),
        ("", json!({"type": "TXT", "content": "\"v=spf1 -all\"", "ttl": 3600})),
        ("www.", json!({"type": "CNAME", "content": name, "proxied": true})),
        ("mail.", json!({"type": "A", "content": "198.51.100.25", "comment": "the old mail server"})),
    ] {
        let full = format!("{label}{name}");
        let is_taken = taken.iter().any(|taken| taken.as_str() == full);
        if !is_taken {
            record["name"] = full.into();
            let _ = world.add_record(zone, &record);
        }
    }
}
