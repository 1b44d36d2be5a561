//! What people, Cloudflare's products and other programs do in the zones.
//!
//! Deliberately unknown: the program, and what is right.

use std::net::IpAddr;

use fastrand::Rng;
use serde_json::{Value, json};
use stayput::engine::names::{Key, Name};
use stayput::sandbox::{NewZone, Record, World, Zone};

use super::oracle::{is_at, mark_in};
use super::scenario::{Deed, Delegated, Kept};

/// The zone that a name lies in, as far as names and statuses say: an active one before others.
pub fn zone_of<'w>(world: &'w World, name: &Name) -> Option<&'w Zone> {
    name.zone_candidates().find_map(|candidate| named(world, candidate.as_str()))
}

/// The zone of this name, an active one before others.
pub fn named<'w>(world: &'w World, name: &str) -> Option<&'w Zone> {
    let mut zones: Vec<&Zone> = world.zones().iter().filter(|zone| zone.name == name).collect();
    zones.sort_by_key(|zone| zone.status != "active");
    zones.first().copied()
}

/// Does a deed to the records of a name and type; `mark` is the program's.
pub fn deed(world: &mut World, key: &Key, deed: &Deed, mark: &str, rng: &mut Rng) {
    let Some(zone) = zone_of(world, &key.name) else { return };
    let (id, zone_name) = (zone.id.clone(), zone.name.clone());
    let here: Vec<Record> = zone.records().values().filter(|record| is_at(record, key)).cloned().collect();
    // Of several, mostly the program's own.
    let own = here.iter().find(|record| mark_in(record.comment.as_deref()) == Some(mark));
    let chosen =
        own.filter(|_| rng.u8(0..3) > 0).or_else(|| rng.choice(&here)).map(|record| record.id.clone());
    // What Cloudflare refuses does not happen.
    let edit = |world: &mut World, body: Value| {
        if let Some(record) = &chosen {
            let _refused = world.edit_record(&id, record, &body);
        }
    };
    match deed {
        Deed::Delete => {
            if let Some(record) = &chosen {
                let _refused = world.remove_record(&id, record);
            }
        }
        Deed::Content(content) => edit(world, json!({"content": content.to_string()})),
        Deed::Proxied(proxied) => edit(world, json!({"proxied": proxied})),
        Deed::Comment(comment) => edit(world, json!({"comment": comment})),
        Deed::Mark => edit(world, json!({"comment": mark})),
        Deed::Rename(label) => edit(world, json!({"name": format!("{label}.{zone_name}")})),
        Deed::BecomeText => edit(world, json!({"type": "TXT", "content": "\"moved\"", "proxied": false})),
        Deed::BecomeAlias => {
            clear_beside(world, &id, key, chosen.as_deref());
            edit(world, json!({"type": "CNAME", "content": "elsewhere.example"}));
        }
        Deed::Beside(address, comment) => add(world, &id, key, *address, *comment),
        Deed::Manage => edit(world, json!({"meta": {"origin_worker_id": "w", "read_only": true}})),
        Deed::Release => {
            for record in here {
                let _refused = world.edit_record(&id, &record.id, &json!({"meta": {}}));
            }
        }
        Deed::Delegate => {
            clear_beside(world, &id, key, None);
            let body = json!({"type": "NS", "name": key.name.as_str(), "content": "ada.ns.cloudflare.com"});
            let _refused = world.add_record(&id, &body);
        }
        Deed::Clear => {
            let in_the_way = |record: &&Record| {
                record.name == key.name.as_str() && matches!(&*record.kind, "CNAME" | "NS")
            };
            for record in world.records(&id).iter().filter(in_the_way) {
                let _refused = world.remove_record(&id, &record.id);
            }
        }
        Deed::Thin => {
            let unrelated = world.records(&id);
            let unrelated = unrelated.iter().filter(|record| record.name.starts_with('u'));
            for record in unrelated.take(rng.usize(1..8)) {
                let _refused = world.remove_record(&id, &record.id);
            }
        }
    }
}

/// Deletes everything of the name but one record.
fn clear_beside(world: &mut World, zone: &str, key: &Key, but: Option<&str>) {
    for record in world.records(zone) {
        if record.name == key.name.as_str() && Some(record.id.as_str()) != but {
            let _refused = world.remove_record(zone, &record.id);
        }
    }
}

fn add(world: &mut World, zone: &str, key: &Key, address: IpAddr, comment: Option<&str>) {
    let body = json!({
        "type": key.kind.as_str(),
        "name": key.name.as_str(),
        "content": address.to_string(),
        "comment": comment,
    });
    let _refused = world.add_record(zone, &body);
}

/// A zone appears below another one, which may delegate it.
pub fn add_zone(world: &mut World, name: &str, delegated: Delegated) {
    if world.zones().iter().any(|zone| zone.name == name) {
        return;
    }
    world.add_zone(NewZone::named(name));
    let parent = name.split_once('.').and_then(|(_, parent)| named(world, parent));
    if let (Some(parent), Delegated::InTheParent) = (parent.map(|zone| zone.id.clone()), delegated) {
        let body = json!({"type": "NS", "name": name, "content": "ada.ns.cloudflare.com"});
        let _refused = world.add_record(&parent, &body);
    }
}

/// The zone is removed, and its delegation.
pub fn remove_zone(world: &mut World, name: &str) {
    let ids: Vec<String> =
        world.zones().iter().filter(|zone| zone.name == name).map(|zone| zone.id.clone()).collect();
    for id in ids {
        world.remove_zone(&id);
    }
    let delegations: Vec<(String, String)> = world
        .zones()
        .iter()
        .flat_map(|zone| zone.records().values().map(move |record| (zone.id.clone(), record)))
        .filter(|(_, record)| record.kind == "NS" && record.name == name)
        .map(|(zone, record)| (zone, record.id.clone()))
        .collect();
    for (zone, record) in delegations {
        let _refused = world.remove_record(&zone, &record);
    }
}

/// The zone is removed and made anew, under another identifier.
pub fn recreate_zone(world: &mut World, name: &str, kept: Kept) {
    let Some(zone) = named(world, name) else { return };
    let (old, plan) = (zone.id.clone(), zone.plan);
    let records = if kept == Kept::Records { world.records(&old) } else { Vec::new() };
    world.remove_zone(&old);
    let new = world.add_zone(NewZone { plan, ..NewZone::named(name) });
    for record in records {
        let mut body = record.to_json();
        body["meta"] = Value::Null;
        let _refused = world.add_record(&new, &body);
    }
}

pub fn set_status(world: &mut World, name: &str, status: &str) {
    let id = named(world, name).map(|zone| zone.id.clone());
    if let Some(zone) = id.and_then(|id| world.zone_mut(&id)) {
        status.clone_into(&mut zone.status);
    }
}
