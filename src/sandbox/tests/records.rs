//! Single records: names, contents, TTL, proxy, comments, tags, conflicts, and how writes behave.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Site, codes, id};
use crate::sandbox::{NewZone, Plan};

fn a(name: &str) -> Value {
    json!({"type": "A", "name": name, "content": "192.0.2.1"})
}

fn pro() -> NewZone {
    NewZone { plan: Plan::Pro, ..NewZone::named("example.com") }
}

#[test]
fn a_record_comes_back_exactly_as_cloudflare_shows_it() {
    let mut site = Site::new();
    let record = site.made(&a("home.example.com"));
    assert_eq!(id(&record).len(), 32);
    let created = record["created_on"].as_str().unwrap().to_owned();
    assert!(created.starts_with("2026-01-01T00:00:00.1") && created.ends_with('Z'));
    assert_eq!(
        record,
        json!({"id": id(&record), "name": "home.example.com", "type": "A", "content": "192.0.2.1",
            "proxiable": true, "proxied": false, "ttl": 1, "settings": {}, "meta": {},
            "comment": null, "tags": [], "created_on": created, "modified_on": created})
    );
    let cname = site.made(&json!({"type": "CNAME", "name": "www", "content": "Example.com."}));
    assert_eq!(cname["settings"], json!({"flatten_cname": false}));
    assert_eq!(cname["content"], "example.com");
}

#[test]
fn names_are_completed_folded_and_never_refused_for_the_wrong_suffix() {
    let mut site = Site::new();
    for (sent, kept) in [
        ("Home.Example.COM", "home.example.com"),
        ("nas", "nas.example.com"),
        ("@", "example.com"),
        ("dot.example.com.", "dot.example.com"),
        ("www.other.tld", "www.other.tld.example.com"),
        ("badexample.com", "badexample.com.example.com"),
        ("😀", "xn--e28h.example.com"),
        ("Bücher.example.com", "xn--bcher-kva.example.com"),
        ("*", "*.example.com"),
        ("*.sub.example.com", "*.sub.example.com"),
        ("_acme.x_y", "_acme.x_y.example.com"),
    ] {
        assert_eq!(site.made(&a(sent))["name"], kept, "{sent}");
    }
    for bad in ["", ".", "a..b", "a b", &"x".repeat(64)] {
        assert_eq!(site.refused(&a(bad)), [1004, 9000], "{bad:?}");
    }
}

#[test]
fn a_zone_with_an_international_name_keeps_its_records_in_punycode() {
    let mut site = Site::with(NewZone::named("bücher.example"));
    let record = site.made(&a("www.bücher.example"));
    assert_eq!(record["name"], "www.xn--bcher-kva.example");
    let zone = site.zone.clone();
    let shown = site.get(&format!("/zones/{zone}")).value();
    assert_eq!(shown["result"]["name"], "bücher.example");
}

#[test]
fn addresses_are_strict_and_ipv6_is_kept_canonical() {
    let mut site = Site::new();
    for bad in ["192.0.2", "192.0.2.01", " 192.0.2.1", "192.0.2.1:80", "::1", ""] {
        let body = json!({"type": "A", "name": "x", "content": bad});
        assert_eq!(site.refused(&body), [9005], "{bad:?}");
    }
    for bad in ["192.0.2.1", "fe80::1%eth0", "2001:db8::g", "[::1]", ""] {
        let body = json!({"type": "AAAA", "name": "x", "content": bad});
        assert_eq!(site.refused(&body), [9006], "{bad:?}");
    }
    let long = json!({"type": "AAAA", "name": "x", "content": "2001:4860:4860:0:0:0:0:8888"});
    assert_eq!(site.made(&long)["content"], "2001:4860:4860::8888");
    let same = json!({"type": "AAAA", "name": "X", "content": "2001:4860:4860::8888"});
    assert_eq!(site.refused(&same), [81_058]);
    let mapped = json!({"type": "AAAA", "name": "m", "content": "::FFFF:192.0.2.1"});
    assert_eq!(site.made(&mapped)["content"], "::ffff:192.0.2.1");
}

#[test]
fn addresses_that_are_not_public_are_accepted_unproxied_only() {
    let mut site = Site::new();
    for content in [
        "10.0.0.1",
        "127.0.0.1",
        "100.64.1.1",
        "169.254.1.1",
        "0.0.0.0",
        "1.1.1.1",
        "224.0.0.1",
        "104.16.0.1",
        "::1",
        "fe80::1",
        "fd00::1",
        "::",
        "ff02::1",
        "2606:4700::1",
        "::ffff:10.0.0.1",
    ] {
        let kind = if content.contains(':') { "AAAA" } else { "A" };
        let mut body = json!({"type": kind, "name": "x", "content": content, "proxied": true});
        assert_eq!(site.refused(&body), [9003], "{content}");
        body["proxied"] = false.into();
        assert_eq!(site.made(&body)["proxiable"], false, "{content}");
    }
    for (kind, content) in [("A", "192.0.2.1"), ("AAAA", "100::"), ("A", "8.8.8.8")] {
        let body = json!({"type": kind, "name": "y", "content": content, "proxied": true});
        assert_eq!(site.made(&body)["proxied"], true, "{content}");
    }
    // A proxied record cannot be moved to a private address, and stays as it was.
    let record = site.made(&json!({"type": "A", "name": "z", "content": "8.8.4.4", "proxied": true}));
    let reply = site.records("PATCH", &format!("/{}", id(&record)), &json!({"content": "10.0.0.2"}));
    assert_eq!((reply.status, codes(&reply)), (400, vec![9003]));
    let kept = site.records("GET", &format!("/{}", id(&record)), &Value::Null);
    assert_eq!(kept.value()["result"], record);
}

#[test]
fn ttl_and_proxied_have_defaults_and_bounds() {
    let mut site = Site::new();
    let with = |ttl: Value| json!({"type": "A", "name": "x", "content": "192.0.2.1", "ttl": ttl});
    for bad in [json!(0), json!(2), json!(59), json!(86_401), json!(-1)] {
        assert_eq!(site.refused(&with(bad.clone())), [1004, 9021], "{bad}");
    }
    assert_eq!(site.refused(&with(json!("300"))), [9022]);
    assert_eq!(site.refused(&with(json!(60.0))), [9208]);
    assert_eq!(site.made(&with(json!(60)))["ttl"], 60);
    site.world.zone_mut("example.com").unwrap().plan = Plan::Enterprise;
    let enterprise = json!({"type": "A", "name": "y", "content": "192.0.2.1", "ttl": 30});
    assert_eq!(site.made(&enterprise)["ttl"], 30);
    let text = json!({"type": "TXT", "name": "x", "content": "hi", "proxied": true});
    assert_eq!(site.refused(&text), [9004]);
}

#[test]
fn the_ttl_of_a_proxied_record_is_silently_automatic() {
    let mut site = Site::new();
    let body = json!({"type": "A", "name": "x", "content": "192.0.2.1", "proxied": true, "ttl": 300});
    let path = format!("/{}", id(&site.made(&body)));
    let mut patch = |body: Value| {
        let reply = site.records("PATCH", &path, &body).value();
        (reply["result"]["ttl"].clone(), reply["result"]["proxied"].clone())
    };
    assert_eq!(patch(json!({"ttl": 600})), (json!(1), json!(true)));
    assert_eq!(patch(json!({"proxied": false})), (json!(1), json!(false)));
    assert_eq!(patch(json!({"ttl": 600})), (json!(600), json!(false)));
    assert_eq!(patch(json!({"proxied": true})), (json!(1), json!(true)));
}

#[test]
fn identical_records_are_refused_whatever_else_differs() {
    let mut site = Site::new();
    let first = site.made_a("x", "192.0.2.1");
    let again = json!({"type": "A", "name": "X.example.com", "content": "192.0.2.1", "ttl": 300,
        "proxied": true, "comment": "other"});
    assert_eq!(site.refused(&again), [81_058]);
    let second = site.made_a("x", "192.0.2.2");
    for method in ["PATCH", "PUT"] {
        let reply = site.records(method, &format!("/{second}"), &a("x"));
        assert_eq!((reply.status, codes(&reply)), (400, vec![81_058]));
    }
    // A record is not in its own way.
    assert_eq!(site.records("PATCH", &format!("/{first}"), &a("x")).status, 200);
}

#[test]
fn aliases_and_delegations_exclude_others() {
    let mut site = Site::new();
    let cname = |name: &str| json!({"type": "CNAME", "name": name, "content": "example.net"});
    let text = |name: &str| json!({"type": "TXT", "name": name, "content": "hi"});
    let ns = |name: &str| json!({"type": "NS", "name": name, "content": "ns.example.net"});
    site.made(&a("host"));
    assert_eq!(site.refused(&cname("host")), [81_053]);
    site.made(&cname("alias"));
    assert_eq!(site.refused(&a("alias")), [81_054]);
    let other = json!({"type": "CNAME", "name": "alias", "content": "example.org"});
    assert_eq!(site.refused(&other), [81_053]);
    site.made(&text("alias"));
    assert_eq!(site.refused(&ns("host")), [81_055]);
    site.made(&ns("sub"));
    assert_eq!(site.refused(&a("sub")), [81_056]);
    site.made(&ns("@"));
    site.made(&a("@"));
}

#[test]
fn comments_and_tags_have_the_limits_of_the_plan() {
    let mut site = Site::new();
    let with = |field: &str, value: Value| {
        let mut body = json!({"type": "A", "name": "x", "content": "192.0.2.1"});
        body[field] = value;
        body
    };
    let reply = site.records("POST", "", &with("comment", "é".repeat(101).into()));
    assert_eq!(codes(&reply), [1004, 9313]);
    assert!(reply.value().to_string().contains("length of 100 characters."));
    assert_eq!(site.refused(&with("comment", "two\nlines".into())), [9207]);
    let reply = site.records("POST", "", &with("tags", json!(["a:b"])));
    assert_eq!(codes(&reply), [1004, 9300]);
    assert!(reply.value().to_string().contains("has 1 tags, exceeding the quota of 0."));
    let record = site.made(&with("comment", "é".repeat(100).into()));
    assert_eq!(record["comment_modified_on"], record["created_on"]);

    let mut site = Site::with(pro());
    let record = site.made(&with("tags", json!(["owner:kim", "home"])));
    assert_eq!(record["tags"], json!(["owner:kim", "home"]));
    assert_eq!(record["tags_modified_on"], record["created_on"]);
    assert_eq!(site.refused(&with("tags", json!(["bad name"]))), [9207]);
    let many: Vec<String> = (0..21).map(|n| format!("t{n}")).collect();
    assert_eq!(site.refused(&with("tags", json!(many))), [1004, 9300]);
}

#[test]
fn put_forgets_what_it_is_not_told_and_patch_keeps_it() {
    let mut site = Site::with(pro());
    let full = json!({"type": "A", "name": "x", "content": "192.0.2.1", "ttl": 300,
        "comment": "mine", "tags": ["a:b"]});
    let record = site.made(&full);
    let path = format!("/{}", id(&record));
    let moved = json!({"content": "192.0.2.2", "id": "ignored", "zone_id": "ignored", "comment": null});
    let patched = site.records("PATCH", &path, &moved).value()["result"].clone();
    assert_eq!(patched["content"], "192.0.2.2");
    for kept in ["id", "name", "ttl", "comment", "tags", "created_on", "comment_modified_on"] {
        assert_eq!(patched[kept], record[kept], "{kept}");
    }
    assert_ne!(patched["modified_on"], record["modified_on"]);

    let emptied = site.records("PATCH", &path, &json!({"comment": ""})).value();
    assert_eq!(emptied["result"]["comment"], Value::Null);
    assert_eq!(emptied["result"].get("comment_modified_on"), None);

    let bare = json!({"type": "A", "name": "x", "content": "192.0.2.3"});
    let put = site.records("PUT", &path, &bare).value()["result"].clone();
    assert_eq!(put["id"], record["id"]);
    assert_eq!((&put["ttl"], &put["tags"]), (&json!(1), &json!([])));
    assert_eq!(site.records("PUT", &path, &json!({"content": "192.0.2.4"})).status, 400);
}

#[test]
fn a_write_that_changes_nothing_succeeds_and_touches_the_record() {
    let mut site = Site::new();
    let record = site.made(&a("x"));
    let path = format!("/{}", id(&record));
    let touched = site.records("PATCH", &path, &json!({})).value()["result"].clone();
    assert_ne!(touched["modified_on"], record["modified_on"]);
    assert_eq!(touched["content"], record["content"]);
}

#[test]
fn a_type_can_be_changed_where_the_content_fits() {
    let mut site = Site::new();
    let path = format!("/{}", site.made_a("x", "192.0.2.1"));
    let six = json!({"type": "AAAA", "content": "2001:db8::1"});
    let changed = site.records("PATCH", &path, &six).value();
    assert_eq!(changed["result"]["type"], "AAAA");
    assert_eq!(codes(&site.records("PATCH", &path, &json!({"type": "A"}))), [9005]);
    assert_eq!(site.records("PATCH", &path, &a("x")).status, 200);
}

#[test]
fn a_missing_record_is_missing_for_every_method() {
    let mut site = Site::new();
    let path = format!("/{}", site.made_a("x", "192.0.2.1"));
    let gone = site.records("DELETE", &path, &Value::Null);
    assert_eq!(gone.value()["result"], json!({"id": &path[1..]}));
    for method in ["GET", "PUT", "PATCH", "DELETE"] {
        let reply = site.records(method, &path, &a("x"));
        assert_eq!((reply.status, codes(&reply)), (404, vec![81_044]), "{method}");
    }
    // The same record made anew is another one.
    assert_ne!(site.made_a("x", "192.0.2.1"), path[1..]);
}

#[test]
fn bodies_that_are_no_record_are_refused() {
    let mut site = Site::new();
    let path = format!("{}/zones/{}/dns_records", super::API_PATH, site.zone);
    for body in ["{", "[]", "null", "7", ""] {
        let reply = site.raw("POST", &path, body.as_bytes());
        assert_eq!((reply.status, codes(&reply)), (400, vec![9207]), "{body}");
    }
    for (field, value) in
        [("name", json!(7)), ("proxied", json!("yes")), ("tags", json!("a")), ("ttl", json!(true))]
    {
        let mut body = a("x");
        body[field] = value;
        assert_eq!(site.refused(&body), [9207], "{field}");
    }
    assert_eq!(site.refused(&json!({"type": "B", "name": "x", "content": "y"})), [9002]);
    assert_eq!(site.refused(&json!({"name": "x", "content": "192.0.2.1"})), [9002]);
    site.header("content-type", "text/plain");
    assert_eq!(site.refused(&a("x")), [9207]);
    site.header("content-type", "application/json; charset=utf-8");
    site.made(&a("x"));
    assert_eq!(site.contents().len(), 1);
}

#[test]
fn a_full_zone_takes_no_more_records() {
    let mut site = Site::new();
    site.world.zone_mut("example.com").unwrap().quota = 2;
    site.made_a("a", "192.0.2.1");
    let path = format!("/{}", site.made_a("b", "192.0.2.1"));
    assert_eq!(site.refused(&a("c")), [81_045]);
    assert_eq!(site.records("PATCH", &path, &json!({"content": "192.0.2.9"})).status, 200);
    site.records("DELETE", &path, &Value::Null);
    site.made(&a("c"));
    assert_eq!(Plan::Free.most_records(), 200);
}

#[test]
fn records_of_other_types_are_kept_with_their_parts() {
    let mut site = Site::new();
    let mx = json!({"type": "MX", "name": "@", "content": "MX.example.net.", "priority": 10});
    let mx = site.made(&mx);
    assert_eq!((&mx["content"], &mx["priority"]), (&json!("mx.example.net"), &json!(10)));
    let no_priority = json!({"type": "MX", "name": "@", "content": "mx.example.net"});
    assert_eq!(site.refused(&no_priority), [9207]);
    let srv = json!({"type": "SRV", "name": "_sip._tcp",
        "data": {"priority": 10, "weight": 5, "port": 8806, "target": "example.com"}});
    let srv = site.made(&srv);
    assert_eq!(srv["content"], "10 5 8806 example.com");
    assert_eq!(srv["data"]["port"], 8806);
    assert_eq!(srv["proxiable"], false);
    let caa = json!({"type": "CAA", "name": "@", "content": "0 issue x"});
    assert_eq!(site.refused(&caa), [9207]);
}

proptest! {
    #[test]
    fn any_body_gets_an_answer_and_what_is_accepted_reads_back(
        kind in prop::sample::select(vec!["A", "AAAA", "CNAME", "TXT", "MX", "NS", "SRV", "a", ""]),
        name in ".{0,40}",
        content in prop_oneof![".{0,40}", "[0-9.]{7,15}", "[0-9a-f:]{2,39}"],
        ttl in any::<i64>(),
        proxied in any::<bool>(),
        comment in ".{0,120}",
    ) {
        let mut site = Site::new();
        let body = json!({"type": kind, "name": name, "content": content, "ttl": ttl,
            "proxied": proxied, "comment": comment, "priority": 1});
        let reply = site.records("POST", "", &body);
        if reply.status == 200 {
            let made = reply.value()["result"].clone();
            let read = site.records("GET", &format!("/{}", id(&made)), &Value::Null);
            prop_assert_eq!(&read.value()["result"], &made);
            prop_assert!(made["name"].as_str().unwrap().ends_with("example.com"));
            // Sent again as it came back it changes nothing but the time.
            let again = site.records("PUT", &format!("/{}", id(&made)), &made);
            prop_assert_eq!(&again.value()["result"]["name"], &made["name"]);
            prop_assert_eq!(&again.value()["result"]["content"], &made["content"]);
        } else {
            prop_assert_eq!(reply.status, 400);
            prop_assert!(!codes(&reply).is_empty());
            prop_assert!(site.contents().is_empty());
        }
    }
}

#[test]
fn a_record_that_a_product_manages_cannot_be_changed_by_others() {
    let mut site = Site::new();
    let made = json!({"type": "AAAA", "name": "worker", "content": "100::", "proxied": true,
        "meta": {"origin_worker_id": "a1b2", "read_only": true}});
    let id = site.world.add_record(&site.zone, &made).unwrap().id;
    let listed = site.records("GET", "", &Value::Null).value();
    assert_eq!(listed["result"][0]["meta"]["read_only"], true);
    let body = json!({"type": "AAAA", "name": "worker", "content": "2001:db8::1"});
    for (method, body) in [("PATCH", &body), ("PUT", &body), ("DELETE", &Value::Null)] {
        assert_eq!(codes(&site.records(method, &format!("/{id}"), body)), [81_062], "{method}");
    }
    let batch = json!({"patches": [{"id": id, "content": "2001:db8::1"}]});
    assert_eq!(codes(&site.records("POST", "/batch", &batch)), [81_062]);
    // What a request says of `meta` is ignored.
    let own = site.made_a("own", "192.0.2.1");
    site.records("PATCH", &format!("/{own}"), &json!({"meta": {"read_only": true}}));
    assert_eq!(site.records("DELETE", &format!("/{own}"), &Value::Null).status, 200);
}

#[test]
fn answers_begin_with_the_result_and_records_with_their_identifier() {
    let mut site = Site::new();
    site.made_a("x", "192.0.2.1");
    for path in ["/zones".to_owned(), format!("/zones/{}/dns_records", site.zone)] {
        let text = String::from_utf8(site.get(&path).body).unwrap();
        assert!(text.starts_with(r#"{"result":[{"id":""#), "{text}");
    }
}
