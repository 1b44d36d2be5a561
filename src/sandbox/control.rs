//! The endpoints below `/sandbox` with which a person or a test looks into the world and changes it.
//!
//! They are not Cloudflare's: not counted, not limited, never faulty. Deliberately unknown: sockets.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::auth::{Access, Token};
use super::faults::Armed;
use super::http::{HttpRequest, Refusal, Reply};
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
        ("POST", ["tokens"]) => add_token(world, object),
        ("POST", ["zones"]) => add_zone(world, object),
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

fn add_zone(world: &mut World, object: Value) -> Reply {
    match serde_json::from_value::<NewZone>(object) {
        Ok(new) if new.name.is_empty() => Reply::text(400, "A zone needs a name.\n"),
        Ok(new) => Reply::json(200, &json!({"id": world.add_zone(new)})),
        Err(error) => Reply::text(400, format!("{error}\n")),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct NewToken {
    value: String,
    dns: Option<Access>,
    #[serde(default)]
    zone_read: bool,
    zones: Option<Vec<String>>,
}

/// From the first token on, only known ones are accepted.
fn add_token(world: &mut World, object: Value) -> Reply {
    let new: NewToken = match serde_json::from_value(object) {
        Ok(new) => new,
        Err(error) => return Reply::text(400, format!("{error}\n")),
    };
    let dns = new.dns.unwrap_or(Access::Edit);
    let token = Token { dns, zone_read: new.zone_read, zones: new.zones, ..Token::editing(&new.value) };
    let id = token.id();
    world.auth.tokens.push(token);
    Reply::json(200, &json!({"id": id}))
}
