//! The rules of the simulated Cloudflare, one by one, asked as a client would ask.

mod auth;
mod batches;
mod faults;
mod lists;
mod records;
mod settings;

use std::time::Duration;

use serde_json::{Value, json};

use super::{API_PATH, HttpRequest, NewZone, Reply, World, WorldOptions};
use crate::engine::names::Family;

/// A world, a client of it, and the time.
struct Site {
    world: World,
    zone: String,
    headers: Vec<(String, String)>,
    now: Duration,
    over: Family,
}

impl Site {
    /// A free zone `example.com`, and a client with any token.
    fn new() -> Site {
        Site::with(NewZone::named("example.com"))
    }

    fn with(zone: NewZone) -> Site {
        let mut world = World::new(WorldOptions::default());
        let zone = world.add_zone(zone);
        let mut site = Site { world, zone, headers: Vec::new(), now: Duration::ZERO, over: Family::V4 };
        site.header("authorization", "Bearer sandbox");
        site.header("content-type", "application/json");
        site
    }

    /// Sends this header from now on; an empty value: does not.
    fn header(&mut self, name: &str, value: &str) {
        self.headers.retain(|(known, _)| known != name);
        if !value.is_empty() {
            self.headers.push((name.to_owned(), value.to_owned()));
        }
    }

    fn token(&mut self, value: &str) {
        self.header("authorization", &format!("Bearer {value}"));
    }

    fn raw(&mut self, method: &str, path: &str, body: &[u8]) -> Reply {
        self.now += Duration::from_millis(100);
        let request = HttpRequest { method, path, headers: &self.headers, body, over: self.over };
        self.world.answer(&request, self.now)
    }

    /// `path` is below the base URL.
    fn call(&mut self, method: &str, path: &str, body: &Value) -> Reply {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.raw(method, &format!("{API_PATH}{path}"), body.as_bytes())
    }

    fn get(&mut self, path: &str) -> Reply {
        self.call("GET", path, &Value::Null)
    }

    /// `path` is below the zone's `dns_records`.
    fn records(&mut self, method: &str, path: &str, body: &Value) -> Reply {
        let path = format!("/zones/{}/dns_records{path}", self.zone);
        self.call(method, &path, body)
    }

    /// Creates a record that must be accepted.
    fn made(&mut self, body: &Value) -> Value {
        let reply = self.records("POST", "", body);
        assert_eq!(reply.status, 200, "{body}: {}", reply.value());
        reply.value()["result"].clone()
    }

    /// Creates an A record that must be accepted; its identifier.
    fn made_a(&mut self, name: &str, content: &str) -> String {
        let record = self.made(&json!({"type": "A", "name": name, "content": content}));
        id(&record)
    }

    /// Tries to create a record that must be refused: the codes.
    fn refused(&mut self, body: &Value) -> Vec<i64> {
        let reply = self.records("POST", "", body);
        assert_eq!(reply.status, 400, "{body}: {}", reply.value());
        codes(&reply)
    }

    /// Name and content of all records, sorted.
    fn contents(&self) -> Vec<(String, String)> {
        self.world.records(&self.zone).into_iter().map(|record| (record.name, record.content)).collect()
    }
}

fn id(record: &Value) -> String {
    record["id"].as_str().unwrap().to_owned()
}

/// All codes of a refusal, those inside chains included, outermost first.
fn codes(reply: &Reply) -> Vec<i64> {
    fn collect(errors: &Value, codes: &mut Vec<i64>) {
        for error in errors.as_array().into_iter().flatten() {
            codes.push(error["code"].as_i64().unwrap());
            collect(&error["error_chain"], codes);
        }
    }
    let body = reply.value();
    assert_eq!(body["success"], false, "{body}");
    assert_eq!(body["result"], Value::Null);
    let mut codes = Vec::new();
    collect(&body["errors"], &mut codes);
    codes
}

fn strings(list: &Value, field: &str) -> Vec<String> {
    list.as_array().unwrap().iter().map(|entry| entry[field].as_str().unwrap().to_owned()).collect()
}
