//! The endpoints below `/sandbox` with which a person or a test looks into the world and changes it.
//!
//! They are not Cloudflare's: not counted, not limited, never faulty. Deliberately unknown: sockets.

use serde_json::{Map, Value, json};

use super::auth::{Access, Token};
use super::faults::Armed;
use super::http::{HttpRequest, Refusal, Reply};
use super::plan::Plan;
use super::records::Record;
use super::world::World;
use super::zones::NewZone;
use crate::engine::names::Family;

/// Answers a request to `/sandbox` or below.
pub(super) fn answer(world: &mut World, request: &HttpRequest<'_>) -> Reply {
    let path = request.path.split('?').next().unwrap_or("");
    let parts: Vec<&str> = path.split('/').skip(2).collect();
    let Ok(body) = std::str::from_utf8(request.body).map(str::trim) else {
        return Reply::text(400, "The body must be text.\n");
    };
    let object: Value = serde_json::from_str(body).unwrap_or(Value::Null);
    match (request.method, parts.as_slice()) {
        ("GET", []) => Reply::json(200, &state(world)),
        ("PUT", ["faults", name]) => arm(world, name, body),
        ("DELETE", ["faults"]) => {
            world.faults.clear();
            Reply::text(204, "")
        }
        ("DELETE", ["faults", name]) if world.faults.disarm(name) => Reply::text(204, ""),
        ("PUT", ["address", family]) => change_address(world, family, body),
        ("DELETE", ["zones", zone]) if world.remove_zone(zone) => Reply::text(204, ""),
        ("DELETE", ["zones", zone, "records", id]) => record_reply(world.remove_record(zone, id)),
        ("POST" | "PATCH", _) if !object.is_object() => Reply::text(400, "The body must be a JSON object.\n"),
        ("POST", ["tokens"]) => add_token(world, &object),
        ("POST", ["zones"]) => add_zone(world, &object),
        ("POST", ["zones", zone, "records"]) => record_reply(world.add_record(zone, &object)),
        ("PATCH", ["zones", zone, "records", id]) => record_reply(world.edit_record(zone, id, &object)),
        _ => Reply::text(404, "There is no such control; see the documentation.\n"),
    }
}

fn state(world: &World) -> Value {
    let zones: Vec<Value> = world
        .zones()
        .iter()
        .map(|zone| {
            let records: Vec<Value> = world.records(&zone.id).iter().map(Record::to_json).collect();
            json!({
                "id": zone.id,
                "name": zone.name,
                "status": zone.status,
                "type": zone.kind,
                "account": zone.account.id,
                "records": records,
            })
        })
        .collect();
    let faults: Vec<Value> = world
        .faults
        .armed()
        .iter()
        .map(|armed| {
            json!({
                "name": armed.name,
                "what": format!("{:?}", armed.fault),
                "left": armed.left,
                "percent": armed.percent,
            })
        })
        .collect();
    let kinds: Map<String, Value> =
        world.counts().iter().map(|(kind, count)| (format!("{kind:?}"), (*count).into())).collect();
    json!({
        "seconds": world.now().as_secs_f64(),
        "addresses": {
            "ipv4": world.addresses.get(Family::V4),
            "ipv6": world.addresses.get(Family::V6),
            "next-change": world.addresses.next_change().map(|at| at.as_secs_f64()),
        },
        "requests": {"total": world.total(), "kinds": kinds},
        "echoes": world.echoes(),
        "faults": faults,
        "tokens": world.auth.tokens.len(),
        "zones": zones,
    })
}

/// The path has the name, and the count if there is one; the body has the value.
fn arm(world: &mut World, name: &str, value: &str) -> Reply {
    let text = if value.is_empty() { name.to_owned() } else { format!("{name}={value}") };
    match text.parse::<Armed>() {
        Ok(armed) => {
            world.faults.arm(armed);
            Reply::text(204, "")
        }
        Err(error) => Reply::text(400, format!("{error}\n")),
    }
}

fn change_address(world: &mut World, family: &str, text: &str) -> Reply {
    let Some(family) = Family::ALL.into_iter().find(|known| known.key() == family) else {
        return Reply::text(404, "The families are ipv4 and ipv6.\n");
    };
    let address = match text {
        "none" => None,
        text => match text.parse() {
            Ok(address) if Family::of(address) == family => Some(address),
            _ => return Reply::text(400, format!("Say an {family} address, or none.\n")),
        },
    };
    world.addresses.change(family, address);
    Reply::text(204, "")
}

fn record_reply(outcome: Result<Record, Refusal>) -> Reply {
    match outcome {
        Ok(record) => Reply::json(200, &record.to_json()),
        Err(refusal) => Reply::json(400, &json!({"errors": refusal.errors})),
    }
}

fn add_zone(world: &mut World, object: &Value) -> Reply {
    let text = |name: &str| object[name].as_str();
    let Some(name) = text("name") else {
        return Reply::text(400, "A zone needs a name.\n");
    };
    let mut new = NewZone::named(name);
    new.id = text("id").map(str::to_owned);
    for (field, place) in
        [("status", &mut new.status), ("type", &mut new.kind), ("account", &mut new.account)]
    {
        if let Some(value) = text(field) {
            value.clone_into(place);
        }
    }
    match text("plan").map_or(Some(new.plan), Plan::named) {
        Some(plan) => new.plan = plan,
        None => return Reply::text(400, "The plans are free, pro and enterprise.\n"),
    }
    Reply::json(200, &json!({"id": world.add_zone(new)}))
}

/// From the first token on, only known ones are accepted.
fn add_token(world: &mut World, object: &Value) -> Reply {
    let Some(value) = object["value"].as_str() else {
        return Reply::text(400, "A token needs a value.\n");
    };
    let mut token = Token::editing(value);
    match object["dns"].as_str() {
        None | Some("edit") => {}
        Some("read") => token.dns = Access::Read,
        Some("none") => token.dns = Access::None,
        Some(_) => return Reply::text(400, "dns is edit, read or none.\n"),
    }
    token.zone_read = object["zone-read"] == true;
    if let Some(zones) = object["zones"].as_array() {
        let ids = zones.iter().filter_map(Value::as_str);
        token.zones = Some(ids.map(str::to_owned).collect());
    }
    let id = token.id();
    world.auth.tokens.push(token);
    Reply::json(200, &json!({"id": id}))
}
