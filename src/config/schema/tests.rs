//! The schema made of the same keys that the file is read by, and compared with the one that is committed.
//!
//! It says what JSON Schema can say; rules that join several keys are checked by reading the file alone.

use serde_json::{Map, Value, json};
use toml::de::DeValue;

use crate::config::keys::{self, Key, Kind, Place, Preset};

#[test]
fn the_committed_schema_is_made_of_the_keys() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/config/stayput.schema.json");
    let made = format!("{:#}\n", schema());
    if std::env::var_os("STAYPUT_BLESS").is_some() {
        std::fs::write(path, &made).unwrap();
    }
    assert_eq!(std::fs::read_to_string(path).unwrap(), made);
}

fn schema() -> Value {
    let mut schema = table(Place::Top);
    if let Some(schema) = schema.as_object_mut() {
        schema.insert("$schema".into(), json!("https://json-schema.org/draft/2020-12/schema"));
        schema.insert("title".into(), json!("stayput.toml"));
        schema.insert(
            "description".into(),
            json!("The configuration of stayput, a dynamic-DNS daemon for Cloudflare."),
        );
        schema.insert(
            "$defs".into(),
            json!({
                "account": account(),
                "address": table(Place::Address),
                "budget": table(Place::Budget),
                "command": {
                    "type": "array",
                    "items": { "type": "string" },
                    "minItems": 1,
                },
                "duration": {
                    "type": "string",
                    "pattern": r"^\s*([0-9]+(\.[0-9]+)?\s*[A-Za-zµ]+\s*)+$",
                    "examples": ["30s", "5m", "1h 30m", "2d"],
                },
                "record": table(Place::Record),
                "secret": one_of(Place::Secret),
                "source": source(),
                "status": table(Place::Status),
            }),
        );
    }
    schema
}

/// A table of the file: its keys and no others.
fn table(place: Place) -> Value {
    let mut properties = Map::new();
    let mut required = Vec::new();
    for key in place.keys() {
        properties.insert(key.name.into(), property(key));
        if matches!(key.preset, Preset::Required(_)) {
            required.push(key.name);
        }
    }
    let mut table = json!({ "type": "object", "properties": properties, "additionalProperties": false });
    if let (false, Some(table)) = (required.is_empty(), table.as_object_mut()) {
        table.insert("required".into(), json!(required));
    }
    table
}

/// A further account: `[cloudflare]` without accounts below it.
fn account() -> Value {
    let mut account = table(Place::Account);
    if let Some(account) = account.as_object_mut() {
        account
            .insert("dependentRequired".into(), json!({ "email": ["global-key"], "global-key": ["email"] }));
    }
    account
}

/// A table with exactly one of the keys.
fn one_of(place: Place) -> Value {
    let mut secret = table(place);
    if let Some(secret) = secret.as_object_mut() {
        secret.insert("minProperties".into(), json!(1));
        secret.insert("maxProperties".into(), json!(1));
    }
    secret
}

fn source() -> Value {
    let url = json!({ "type": "string", "pattern": "^\\s*https?://" });
    let words = json!({ "enum": ["auto", "cloudflare", "ipify", "amazon"] });
    let mut source = one_of(Place::Source);
    if let Some(properties) = source.get_mut("properties").and_then(Value::as_object_mut) {
        // Names for later: an editor is not to offer what cannot be asked.
        properties.remove(keys::SOURCE_INTERFACE.name);
        properties.remove(keys::SOURCE_STUN.name);
    }
    json!({ "anyOf": [words, url, source] })
}

fn property(key: &Key) -> Value {
    let mut property = kind(key);
    if let Some(property) = property.as_object_mut() {
        property.insert("description".into(), json!(key.doc));
        if let Some(default) = key.default() {
            property.insert("default".into(), plain(default.get_ref()));
        }
    }
    property
}

fn kind(key: &Key) -> Value {
    match key.kind {
        // An empty comment is one that is enforced.
        Kind::Text if key == &keys::COMMENT => json!({ "type": "string" }),
        Kind::Text => json!({ "type": "string", "minLength": 1 }),
        Kind::Choice(words) => json!({ "enum": words }),
        Kind::Switch => json!({ "type": "boolean" }),
        Kind::Count(least, most) => json!({ "type": "integer", "minimum": least, "maximum": most }),
        Kind::Span(..) => json!({ "$ref": "#/$defs/duration" }),
        Kind::Ttl => json!({ "anyOf": [{ "const": "auto" }, { "$ref": "#/$defs/duration" }] }),
        Kind::Texts => json!({ "type": "array", "items": { "type": "string" } }),
        Kind::OneOrMore => json!({ "anyOf": [
            { "type": "string" },
            { "type": "array", "items": { "type": "string" }, "minItems": 1 },
        ] }),
        Kind::Command => json!({ "$ref": "#/$defs/command" }),
        Kind::Types => json!({
            "type": "array",
            "items": { "enum": ["A", "AAAA"] },
            "minItems": 1,
            "uniqueItems": true,
        }),
        Kind::Sources => json!({ "type": "array", "items": { "$ref": "#/$defs/source" } }),
        Kind::Secret => json!({ "$ref": "#/$defs/secret" }),
        Kind::Budget => json!({ "$ref": "#/$defs/budget" }),
        Kind::Table(Place::Account) => json!({
            "type": "object",
            "properties": account()["properties"],
            "dependentRequired": account()["dependentRequired"],
            "additionalProperties": { "$ref": "#/$defs/account" },
        }),
        Kind::Table(Place::Status) => json!({ "$ref": "#/$defs/status" }),
        Kind::Table(_) => json!({ "$ref": "#/$defs/address" }),
        Kind::Tables(_) => {
            json!({ "type": "array", "items": { "$ref": "#/$defs/record" }, "minItems": 1 })
        }
    }
}

/// A TOML value as JSON.
fn plain(value: &DeValue<'_>) -> Value {
    match value {
        DeValue::String(text) => json!(text),
        DeValue::Integer(number) => {
            json!(i64::from_str_radix(number.as_str(), number.radix()).unwrap_or_default())
        }
        DeValue::Float(number) => json!(number.as_str().parse::<f64>().unwrap_or_default()),
        DeValue::Boolean(truth) => json!(truth),
        DeValue::Datetime(time) => json!(time.to_string()),
        DeValue::Array(list) => list.iter().map(|item| plain(item.get_ref())).collect(),
        DeValue::Table(table) => {
            let entries =
                table.iter().map(|(key, value)| (key.get_ref().to_string(), plain(value.get_ref())));
            Value::Object(entries.collect())
        }
    }
}
