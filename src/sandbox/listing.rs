//! Lists of records and zones: which entries a query selects, and in what order.
//!
//! Deliberately unknown: who asks.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use super::query::Query;
use super::records::Record;
use super::zones::Zone;

/// The records that a query selects, by type and otherwise in no order that means anything,
/// or in the order that it asks for.
pub(super) fn select_records<'r>(records: &'r BTreeMap<String, Record>, query: &Query) -> Vec<&'r Record> {
    let by: fn(&Record, &Record) -> Ordering = match query.get("order") {
        Some("name") => |a, b| a.name.cmp(&b.name),
        Some("content") => |a, b| a.content.cmp(&b.content),
        Some("ttl") => |a, b| a.ttl.cmp(&b.ttl),
        Some("proxied") => |a, b| a.proxied.cmp(&b.proxied),
        _ => |a, b| a.kind.cmp(&b.kind),
    };
    sorted(records.values().filter(|record| selects(query, record)).collect(), query, by)
}

/// Whether a record is selected; the tag filters together count as one.
fn selects(query: &Query, record: &Record) -> bool {
    let tags: Vec<bool> = query.filters(|parameter, value| tag_filter(record, parameter, value));
    let mut held = query.filters(|parameter, value| record_filter(record, parameter, value));
    if !tags.is_empty() {
        held.push(hold(&tags, query.get("tag_match")));
    }
    hold(&held, query.get("match"))
}

/// Whether the filters together hold: all of them, or `any` of them.
fn hold(filters: &[bool], how: Option<&str>) -> bool {
    filters.is_empty() || if how == Some("any") { filters.contains(&true) } else { !filters.contains(&false) }
}

fn sorted<'t, T>(mut found: Vec<&'t T>, query: &Query, by: fn(&T, &T) -> Ordering) -> Vec<&'t T> {
    found.sort_by(|a, b| by(a, b));
    if query.get("direction") == Some("desc") {
        found.reverse();
    }
    found
}

/// Whether a filter holds; `None` if the parameter is none.
fn record_filter(record: &Record, parameter: &str, value: &str) -> Option<bool> {
    let (field, predicate) = parameter.split_once('.').unwrap_or((parameter, "exact"));
    match (field, predicate) {
        ("comment", "present") => Some(record.comment.is_some()),
        ("comment", "absent") => Some(record.comment.is_none()),
        _ if value.is_empty() => None,
        ("type", "exact") => Some(record.kind.eq_ignore_ascii_case(value)),
        ("search", "exact") => {
            let mut texts =
                [&record.name, &record.content].into_iter().chain(&record.comment).chain(&record.tags);
            Some(texts.any(|text| text.to_lowercase().contains(&value.to_lowercase())))
        }
        ("proxied", "exact") => value.parse().ok().map(|wanted: bool| record.proxied == wanted),
        ("name", _) => without_case(predicate, &record.name, value),
        ("content", _) => without_case(predicate, &record.content, value),
        ("comment", _) => without_case(predicate, record.comment.as_deref().unwrap_or(""), value),
        _ => None,
    }
}

/// Whether a filter holds; `None` if the parameter is none.
fn tag_filter(record: &Record, parameter: &str, value: &str) -> Option<bool> {
    let (field, predicate) = parameter.split_once('.').unwrap_or((parameter, "present"));
    if field != "tag" || value.is_empty() {
        return None;
    }
    let parts = |tag: &str| -> (String, String) {
        let (name, value) = tag.split_once(':').unwrap_or((tag, ""));
        (name.to_lowercase(), value.to_owned())
    };
    let mut tags = record.tags.iter().map(|tag| parts(tag));
    match predicate {
        "present" if parameter == "tag" && value.contains(':') => tag_filter(record, "tag.exact", value),
        "present" => Some(tags.any(|(name, _)| name == value.to_lowercase())),
        "absent" => Some(tags.all(|(name, _)| name != value.to_lowercase())),
        _ => {
            let (wanted, text) = parts(value);
            let holds = |known: &str| without_case(predicate, known, &text);
            holds("").map(|_| tags.any(|(name, known)| name == wanted && holds(&known) == Some(true)))
        }
    }
}

/// The zones of `visible` that a query selects, by name or in the order that it asks for.
pub(super) fn select_zones<'z>(visible: Vec<&'z Zone>, query: &Query) -> Vec<&'z Zone> {
    let kinds: Option<Vec<&str>> = query.get("type").map(|list| list.split(',').collect());
    // The one filter that is not left to `match`: internal zones are never shown unasked.
    let is_of_kind = |zone: &Zone| match &kinds {
        None => zone.kind != "internal",
        Some(kinds) => kinds.contains(&zone.kind.as_str()),
    };
    let by: fn(&Zone, &Zone) -> Ordering = match query.get("order") {
        Some("status") => |a, b| a.status.cmp(&b.status),
        Some("account.id") => |a, b| a.account.id.cmp(&b.account.id),
        Some("account.name") => |a, b| a.account.name.cmp(&b.account.name),
        _ => |a, b| a.name.cmp(&b.name),
    };
    let selects = |zone: &&Zone| {
        let held = query.filters(|parameter, value| zone_filter(zone, parameter, value));
        is_of_kind(zone) && hold(&held, query.get("match"))
    };
    sorted(visible.into_iter().filter(selects).collect(), query, by)
}

/// Whether a filter holds; `None` if the parameter is none.
fn zone_filter(zone: &Zone, parameter: &str, value: &str) -> Option<bool> {
    match parameter {
        _ if value.is_empty() => None,
        // The name is shown in Unicode, and found in either form.
        "name" => Some(text_operator(&zone.name, value) || text_operator(&zone.shown_name(), value)),
        "status" => Some(zone.status == value),
        "account.id" => Some(zone.account.id == value),
        "account.name" => Some(text_operator(&zone.account.name, value)),
        _ => None,
    }
}

/// `VALUE` or `OPERATOR:VALUE`.
fn text_operator(text: &str, filter: &str) -> bool {
    let (operator, wanted) = filter.split_once(':').unwrap_or(("equal", filter));
    match operator {
        "not_equal" => text.to_lowercase() != wanted.to_lowercase(),
        "starts_with_case_sensitive" => text.starts_with(wanted),
        "ends_with_case_sensitive" => text.ends_with(wanted),
        "contains_case_sensitive" => text.contains(wanted),
        "starts_with" => without_case("startswith", text, wanted) == Some(true),
        "ends_with" => without_case("endswith", text, wanted) == Some(true),
        "contains" => without_case("contains", text, wanted) == Some(true),
        _ => without_case("exact", text, wanted) == Some(true),
    }
}

/// Compares as the predicate says that a parameter such as `name.startswith` ends in; `None` if it is none.
fn without_case(predicate: &str, text: &str, wanted: &str) -> Option<bool> {
    let (text, wanted) = (text.to_lowercase(), wanted.to_lowercase());
    match predicate {
        "exact" => Some(text == wanted),
        "contains" => Some(text.contains(&wanted)),
        "startswith" => Some(text.starts_with(&wanted)),
        "endswith" => Some(text.ends_with(&wanted)),
        _ => None,
    }
}
