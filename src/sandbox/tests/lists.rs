//! Lists of zones and records: filters, order, pages, staleness.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Site, codes, strings};
use crate::sandbox::{NewZone, Plan};

fn names(site: &mut Site, query: &str) -> Vec<String> {
    let reply = site.records("GET", query, &Value::Null);
    assert_eq!(reply.status, 200, "{query}: {}", reply.value());
    let mut names = strings(&reply.value()["result"], "name");
    for name in &mut names {
        *name = name.trim_end_matches("example.com").trim_end_matches('.').to_owned();
    }
    names.sort();
    names
}

fn seeded() -> Site {
    let mut site = Site::with(NewZone { plan: Plan::Pro, ..NewZone::named("example.com") });
    for body in [
        json!({"type": "A", "name": "a", "content": "192.0.2.1", "comment": "Hello, World", "tags": ["team:DNS", "x"]}),
        json!({"type": "A", "name": "ab", "content": "192.0.2.2", "proxied": true, "tags": ["team:web"]}),
        json!({"type": "AAAA", "name": "a", "content": "2001:db8::1"}),
        json!({"type": "TXT", "name": "t", "content": "hello there"}),
        json!({"type": "A", "name": "bücher", "content": "192.0.2.3"}),
    ] {
        site.made(&body);
    }
    site
}

#[test]
fn records_are_filtered_as_documented() {
    let mut site = seeded();
    for (query, found) in [
        ("?name=A.EXAMPLE.com", &["a", "a"][..]),
        ("?name.exact=a.example.com&type=AAAA", &["a"]),
        ("?name.contains=B", &["ab", "xn--bcher-kva"]),
        ("?name.startswith=a", &["a", "a", "ab"]),
        ("?name.endswith=b.example.com", &["ab"]),
        ("?name=b%C3%BCcher.example.com", &[]),
        ("?name=xn--bcher-kva.example.com", &["xn--bcher-kva"]),
        ("?content=192.0.2.2", &["ab"]),
        ("?content.contains=DB8", &["a"]),
        ("?proxied=true", &["ab"]),
        ("?proxied=false&type=A", &["a", "xn--bcher-kva"]),
        ("?comment.present", &["a"]),
        ("?comment.absent=&type=A", &["ab", "xn--bcher-kva"]),
        ("?comment=hello,%20world", &["a"]),
        ("?comment.startswith=hello", &["a"]),
        ("?tag=team:dns", &["a"]),
        ("?tag=TEAM", &["a", "ab"]),
        ("?tag.absent=team&type=A", &["xn--bcher-kva"]),
        ("?tag.contains=team:e", &["ab"]),
        ("?tag=x&tag=team:web", &[]),
        ("?tag=x&tag=team:web&tag_match=any", &["a", "ab"]),
        ("?search=hello", &["a", "t"]),
        ("?name=t.example.com&content=192.0.2.1", &[]),
        ("?name=t.example.com&content=192.0.2.1&match=any", &["a", "t"]),
        ("?nonsense=1&order=nonsense", &["a", "a", "ab", "t", "xn--bcher-kva"]),
    ] {
        assert_eq!(names(&mut site, query), found, "{query}");
    }
}

#[test]
fn records_come_by_type_unless_asked_otherwise() {
    let mut site = seeded();
    let mut listed = |query: &str, field: &str| {
        let reply = site.records("GET", query, &Value::Null).value();
        strings(&reply["result"], field)
    };
    assert_eq!(listed("", "type"), ["A", "A", "A", "AAAA", "TXT"]);
    let contents = listed("?order=content&direction=desc", "content");
    let mut sorted = contents.clone();
    sorted.sort();
    sorted.reverse();
    assert_eq!(contents, sorted);
}

#[test]
fn pages_of_records_are_cut_and_counted() {
    let mut site = seeded();
    let mut ids = Vec::new();
    for (page, count) in [(1, 2), (2, 2), (3, 1), (4, 0)] {
        let query = format!("?per_page=2&page={page}");
        let body = site.records("GET", &query, &Value::Null).value();
        assert_eq!(
            body["result_info"],
            json!({"page": page, "per_page": 2, "count": count, "total_count": 5, "total_pages": 3})
        );
        ids.extend(strings(&body["result"], "id"));
    }
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 5);
    let first = site.records("GET", "", &Value::Null).value();
    assert_eq!(first["result_info"]["per_page"], 100);
    assert_eq!(site.records("GET", "?per_page=0", &Value::Null).value()["result_info"]["per_page"], 1);
    for bad in ["?per_page=many", "?page=0", "?page=-1"] {
        assert_eq!(site.records("GET", bad, &Value::Null).status, 400, "{bad}");
    }
}

#[test]
fn a_write_is_in_the_next_list_unless_lists_are_stale() {
    let mut site = Site::new();
    site.world.faults.arm("stale-list=3".parse().unwrap());
    site.made_a("a", "192.0.2.1");
    site.now += Duration::from_secs(10);
    let id = site.made_a("b", "192.0.2.1");
    assert_eq!(names(&mut site, ""), ["a"]);
    let path = format!("/{id}");
    assert_eq!(codes(&site.records("GET", &path, &Value::Null)), [81_044]);
    site.now += Duration::from_secs(3);
    assert_eq!(names(&mut site, ""), ["a", "b"]);
    site.world.faults.clear();
    site.made_a("c", "192.0.2.1");
    assert_eq!(names(&mut site, ""), ["a", "b", "c"]);
}

fn zone_names(site: &mut Site, query: &str) -> Vec<String> {
    let reply = site.get(&format!("/zones{query}"));
    assert_eq!(reply.status, 200, "{query}: {}", reply.value());
    strings(&reply.value()["result"], "name")
}

#[test]
fn zones_are_filtered_and_internal_ones_only_shown_when_asked_for() {
    let mut site = Site::new();
    for (name, status, kind, account) in [
        ("bücher.example", "active", "full", "Second"),
        ("moved.example", "moved", "full", "Second"),
        ("part.example", "active", "partial", "Example Account"),
        ("private.example", "active", "internal", "Example Account"),
    ] {
        site.world.add_zone(NewZone {
            status: status.to_owned(),
            kind: kind.to_owned(),
            account: account.to_owned(),
            ..NewZone::named(name)
        });
    }
    let second = site.world.zone("moved.example").unwrap().account.id.clone();
    let by_account = format!("?account.id={second}");
    for (query, found) in [
        ("", &["example.com", "moved.example", "part.example", "bücher.example"][..]),
        ("?name=EXAMPLE.com", &["example.com"]),
        ("?name=xn--bcher-kva.example", &["bücher.example"]),
        ("?name=absent.example", &[]),
        ("?name=contains:part", &["part.example"]),
        ("?name=starts_with:mov", &["moved.example"]),
        ("?name=ends_with:.com", &["example.com"]),
        ("?status=moved", &["moved.example"]),
        ("?type=partial,internal", &["part.example", "private.example"]),
        ("?account.name=Second", &["moved.example", "bücher.example"]),
        (&by_account, &["moved.example", "bücher.example"]),
        ("?name=example.com&status=moved&match=any", &["example.com", "moved.example"]),
    ] {
        assert_eq!(zone_names(&mut site, query), found, "{query}");
    }
    let mut backwards = zone_names(&mut site, "?order=name&direction=desc");
    backwards.reverse();
    assert_eq!(backwards, zone_names(&mut site, ""));
}

#[test]
fn zones_come_in_pages_of_five_to_fifty() {
    let mut site = Site::new();
    for n in 0..50 {
        site.world.add_zone(NewZone::named(&format!("zone{n:02}.example")));
    }
    assert_eq!(zone_names(&mut site, "").len(), 20);
    assert_eq!(zone_names(&mut site, "?per_page=50").len(), 50);
    let rest = site.get("/zones?per_page=50&page=2").value();
    assert_eq!(rest["result_info"]["total_count"], 51);
    assert_eq!(rest["result_info"]["total_pages"], 2);
    assert_eq!(strings(&rest["result"], "name").len(), 1);
    for (asked, given) in [(1, 5), (100, 50)] {
        let info = site.get(&format!("/zones?per_page={asked}")).value()["result_info"].clone();
        assert_eq!(info["per_page"], given);
    }
}

#[test]
fn two_zones_may_have_one_name() {
    let mut site = Site::new();
    site.world.add_zone(NewZone { account: "Second".to_owned(), ..NewZone::named("example.com") });
    assert_eq!(zone_names(&mut site, "?name=example.com").len(), 2);
}
