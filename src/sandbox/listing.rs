//! Lists of records and zones: which entries a query selects, and in what order.
//!
//! Deliberately unknown: who asks.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use super::query::{Compare, Query};
use super::records::Record;
use super::zones::Zone;

/// The records that a query selects, by type and otherwise in no order that means anything,
/// or in the order that it asks for.
pub(super) fn select_records<'r>(records: &'r BTreeMap<String, Record>, query: &Query) -> Vec<&'r Record> {
    let filters = RecordFilters::of(query);
    let mut found: Vec<&Record> = records.values().filter(|record| filters.hold(record)).collect();
    let by: fn(&Record, &Record) -> Ordering = match query.get("order") {
        Some("name") => |a, b| a.name.cmp(&b.name),
        Some("content") => |a, b| a.content.cmp(&b.content),
        Some("ttl") => |a, b| a.ttl.cmp(&b.ttl),
        Some("proxied") => |a, b| a.proxied.cmp(&b.proxied),
        _ => |a, b| a.kind.cmp(&b.kind),
    };
    found.sort_by(|a, b| by(a, b));
    if query.descends() {
        found.reverse();
    }
    found
}

enum RecordFilter<'q> {
    Name(Compare, &'q str),
    Content(Compare, &'q str),
    Comment(Compare, &'q str),
    HasComment(bool),
    Kind(&'q str),
    Proxied(bool),
    Search(&'q str),
}

enum TagFilter<'q> {
    Named(&'q str, bool),
    Pair(Compare, &'q str),
}

struct RecordFilters<'q> {
    filters: Vec<RecordFilter<'q>>,
    tags: Vec<TagFilter<'q>>,
    any_is_enough: bool,
    any_tag_is_enough: bool,
}

impl<'q> RecordFilters<'q> {
    /// Parameters that are no filter are ignored.
    fn of(query: &'q Query) -> RecordFilters<'q> {
        let mut filters = Vec::new();
        let mut tags = Vec::new();
        for (parameter, value) in query.pairs() {
            let (field, predicate) = parameter.split_once('.').unwrap_or((parameter, "exact"));
            let compare = Compare::named(predicate);
            match (field, predicate) {
                ("comment", "present") => filters.push(RecordFilter::HasComment(true)),
                ("comment", "absent") => filters.push(RecordFilter::HasComment(false)),
                _ if value.is_empty() => {}
                ("type", "exact") => filters.push(RecordFilter::Kind(value)),
                ("search", "exact") => filters.push(RecordFilter::Search(value)),
                ("proxied", "exact") => {
                    filters.extend(value.parse().ok().map(RecordFilter::Proxied));
                }
                ("tag", "present") => tags.push(TagFilter::Named(value, true)),
                ("tag", "absent") => tags.push(TagFilter::Named(value, false)),
                ("tag", _) if parameter == "tag" && !value.contains(':') => {
                    tags.push(TagFilter::Named(value, true));
                }
                ("tag", _) => tags.extend(compare.map(|how| TagFilter::Pair(how, value))),
                ("name", _) => filters.extend(compare.map(|how| RecordFilter::Name(how, value))),
                ("content", _) => {
                    filters.extend(compare.map(|how| RecordFilter::Content(how, value)));
                }
                ("comment", _) => {
                    filters.extend(compare.map(|how| RecordFilter::Comment(how, value)));
                }
                _ => {}
            }
        }
        RecordFilters {
            filters,
            tags,
            any_is_enough: query.any_is_enough(),
            any_tag_is_enough: query.get("tag_match") == Some("any"),
        }
    }

    /// The tag filters together count as one.
    fn hold(&self, record: &Record) -> bool {
        let mut verdicts = self.filters.iter().map(|filter| filter.holds(record));
        let mut tags = self.tags.iter().map(|filter| filter.holds(record));
        let tagged = if self.tags.is_empty() {
            None
        } else if self.any_tag_is_enough {
            Some(tags.any(|held| held))
        } else {
            Some(tags.all(|held| held))
        };
        if self.filters.is_empty() {
            return tagged.unwrap_or(true);
        }
        if self.any_is_enough {
            verdicts.any(|held| held) || tagged == Some(true)
        } else {
            verdicts.all(|held| held) && tagged != Some(false)
        }
    }
}

impl RecordFilter<'_> {
    fn holds(&self, record: &Record) -> bool {
        let comment = record.comment.as_deref();
        match self {
            RecordFilter::Name(how, wanted) => how.holds(&record.name, wanted),
            RecordFilter::Content(how, wanted) => how.holds(&record.content, wanted),
            RecordFilter::Comment(how, wanted) => comment.is_some_and(|comment| how.holds(comment, wanted)),
            RecordFilter::HasComment(wanted) => comment.is_some() == *wanted,
            RecordFilter::Kind(wanted) => record.kind.eq_ignore_ascii_case(wanted),
            RecordFilter::Proxied(wanted) => record.proxied == *wanted,
            RecordFilter::Search(wanted) => [&record.name, &record.content]
                .into_iter()
                .chain(&record.comment)
                .chain(&record.tags)
                .any(|text| Compare::Contains.holds(text, wanted)),
        }
    }
}

impl TagFilter<'_> {
    fn holds(&self, record: &Record) -> bool {
        let parts = |tag: &str| -> (String, String) {
            let (name, value) = tag.split_once(':').unwrap_or((tag, ""));
            (name.to_lowercase(), value.to_owned())
        };
        match self {
            TagFilter::Named(wanted, present) => {
                let there = record.tags.iter().any(|tag| parts(tag).0 == wanted.to_lowercase());
                there == *present
            }
            TagFilter::Pair(how, wanted) => {
                let (name, value) = parts(wanted);
                record.tags.iter().any(|tag| {
                    let (known, text) = parts(tag);
                    known == name && how.holds(&text, &value)
                })
            }
        }
    }
}

/// The zones of `visible` that a query selects, by name or in the order that it asks for.
pub(super) fn select_zones<'z>(visible: Vec<&'z Zone>, query: &Query) -> Vec<&'z Zone> {
    let kinds: Option<Vec<&str>> = query.get("type").map(|list| list.split(',').collect());
    let any_is_enough = query.any_is_enough();
    let mut found: Vec<&Zone> = visible
        .into_iter()
        .filter(|zone| match &kinds {
            // The one filter that is not left to `match`: internal zones are never shown unasked.
            None => zone.kind != "internal",
            Some(kinds) => kinds.contains(&zone.kind.as_str()),
        })
        .filter(|zone| {
            let mut verdicts = query
                .pairs()
                .filter(|(_, value)| !value.is_empty())
                .filter_map(|(name, value)| zone_filter(zone, name, value))
                .peekable();
            if any_is_enough && verdicts.peek().is_some() {
                verdicts.any(|held| held)
            } else {
                verdicts.all(|held| held)
            }
        })
        .collect();
    let by: fn(&Zone, &Zone) -> Ordering = match query.get("order") {
        Some("status") => |a, b| a.status.cmp(&b.status),
        Some("account.id") => |a, b| a.account.id.cmp(&b.account.id),
        Some("account.name") => |a, b| a.account.name.cmp(&b.account.name),
        _ => |a, b| a.name.cmp(&b.name),
    };
    found.sort_by(|a, b| by(a, b));
    if query.descends() {
        found.reverse();
    }
    found
}

/// Whether a filter holds; `None` if the parameter is none.
fn zone_filter(zone: &Zone, parameter: &str, value: &str) -> Option<bool> {
    match parameter {
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
        "not_equal" => !Compare::Exact.holds(text, wanted),
        "starts_with" => Compare::StartsWith.holds(text, wanted),
        "ends_with" => Compare::EndsWith.holds(text, wanted),
        "contains" => Compare::Contains.holds(text, wanted),
        "starts_with_case_sensitive" => text.starts_with(wanted),
        "ends_with_case_sensitive" => text.ends_with(wanted),
        "contains_case_sensitive" => text.contains(wanted),
        _ => Compare::Exact.holds(text, wanted),
    }
}
