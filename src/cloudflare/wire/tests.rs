//! What is asked, and what is read of answers that succeed. Refusals are tested beside `classify`.

use std::net::IpAddr;

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::engine::api::{Listed, Page, TokenStatus, ZoneInfo};
use crate::engine::names::{AccountId, Record, ZoneId};

const ZONE: &str = "023e105f4ecef8ad9ca31a8372d0c353";
const ACCOUNT: &str = "f037e56e89293a057740de681ac9abbe";
const RECORD: &str = "372e67954025e0ba6aaa6d586b9e0b59";
const OTHER: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

fn zone_id() -> ZoneId {
    ZoneId::parse(ZONE).unwrap()
}

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

fn ask_zones() -> Request {
    Request::Zones { page: 1, name: None }
}

fn ask_records() -> Request {
    Request::Records { zone: zone_id(), name: None, page: 1, per_page: 100 }
}

fn batch() -> Batch {
    Batch {
        deletes: vec![RecordId::parse(OTHER).unwrap()],
        patches: vec![Patch {
            id: RecordId::parse(RECORD).unwrap(),
            name: name("home.example.com"),
            content: "203.0.113.8".parse().unwrap(),
            proxied: None,
            ttl: None,
            comment: None,
            tags: None,
        }],
        posts: vec![Post {
            name: name("*.example.com"),
            content: "2001:db8::8".parse().unwrap(),
            proxied: false,
            ttl: Ttl::Seconds(300),
            comment: "stayput".into(),
            tags: Vec::new(),
        }],
    }
}

fn ask_batch() -> Request {
    Request::Batch { zone: zone_id(), batch: batch() }
}

fn answer(request: &Request, body: &[u8]) -> Result<Found, Failure> {
    let http = HttpAnswer { status: 200, headers: Vec::new(), body, took: Duration::ZERO };
    decode(request, &http).outcome
}

/// A success with this result.
fn result(request: &Request, result: &serde_json::Value) -> Result<Found, Failure> {
    let body = json!({"success": true, "errors": [], "messages": [], "result": result});
    answer(request, body.to_string().as_bytes())
}

fn records(result_of: &serde_json::Value) -> Result<Page<Listed>, Failure> {
    result(&ask_records(), result_of).map(|found| match found {
        Found::Records(page) => page,
        other => panic!("{other:?}"),
    })
}

fn address_record() -> Record {
    Record {
        id: RecordId::parse(RECORD).unwrap(),
        name: name("home.example.com"),
        content: "203.0.113.7".parse().unwrap(),
        ttl: Ttl::Auto,
        proxied: false,
        comment: None,
        tags: Vec::new(),
    }
}

#[test]
fn reads_are_asked_for_by_their_paths() {
    let path = |request: &Request| {
        let http = encode(request);
        assert_eq!((http.method, http.body), ("GET", None));
        http.path
    };
    assert_eq!(path(&ask_zones()), "/zones?page=1&per_page=50");
    let by_name = Request::Zones { page: 2, name: Some(name("bücher.example")) };
    assert_eq!(path(&by_name), "/zones?page=2&per_page=50&name=xn--bcher-kva.example");
    assert_eq!(path(&Request::Zone(zone_id())), format!("/zones/{ZONE}"));
    assert_eq!(path(&ask_records()), format!("/zones/{ZONE}/dns_records?page=1&per_page=100"));
    let one_name =
        Request::Records { zone: zone_id(), name: Some(name("*.a_b.example.com")), page: 3, per_page: 5_000 };
    assert_eq!(
        path(&one_name),
        format!("/zones/{ZONE}/dns_records?page=3&per_page=5000&name.exact=*.a_b.example.com")
    );
    let servers = Request::NameServers { zone: zone_id(), page: 2, per_page: 1_000 };
    assert_eq!(path(&servers), format!("/zones/{ZONE}/dns_records?page=2&per_page=1000&type=NS"));
    assert_eq!(path(&Request::Verify(None)), "/user/tokens/verify");
    let account = AccountId::parse(ACCOUNT);
    assert_eq!(path(&Request::Verify(account)), format!("/accounts/{ACCOUNT}/tokens/verify"));
}

fn body_of(batch: Batch) -> serde_json::Value {
    let http = encode(&Request::Batch { zone: zone_id(), batch });
    assert_eq!(http.method, "POST");
    assert_eq!(http.path, format!("/zones/{ZONE}/dns_records/batch"));
    serde_json::from_str(&http.body.unwrap()).unwrap()
}

#[test]
fn a_patch_carries_what_changes_and_nothing_else() {
    assert_eq!(
        body_of(batch()),
        json!({
            "deletes": [{"id": OTHER}],
            "patches": [{"id": RECORD, "type": "A", "name": "home.example.com", "content": "203.0.113.8"}],
            "posts": [{"type": "AAAA", "name": "*.example.com", "content": "2001:db8::8", "ttl": 300,
                "proxied": false, "comment": "stayput"}],
        })
    );
}

#[test]
fn what_is_set_is_sent_and_empty_arrays_are_not() {
    let mut full = batch();
    full.deletes.clear();
    full.posts.clear();
    let patch = &mut full.patches[0];
    patch.proxied = Some(true);
    patch.ttl = Some(Ttl::Auto);
    patch.comment = Some("".into());
    patch.tags = Some(Vec::new());
    assert_eq!(
        body_of(full),
        json!({"patches": [{"id": RECORD, "type": "A", "name": "home.example.com", "content": "203.0.113.8",
            "proxied": true, "ttl": 1, "comment": "", "tags": []}]}),
        "an empty comment and no tags are settings, too"
    );
    let mut post = batch();
    post.deletes.clear();
    post.patches.clear();
    post.posts[0].comment = "".into();
    post.posts[0].tags = vec!["owner:attic".into()];
    assert_eq!(
        body_of(post),
        json!({"posts": [{"type": "AAAA", "name": "*.example.com", "content": "2001:db8::8", "ttl": 300,
            "proxied": false, "tags": ["owner:attic"]}]})
    );
    assert_eq!(body_of(Batch::default()), json!({}));
}

#[test]
fn records_are_read_as_cloudflare_writes_them() {
    let body = br#"{"result":[
        {"id":"372e67954025e0ba6aaa6d586b9e0b59","name":"home.example.com","type":"A","content":"203.0.113.7",
         "proxiable":true,"proxied":false,"ttl":1,"settings":{},"meta":{},"comment":null,"tags":[],
         "created_on":"2025-01-27T10:11:12.12345Z","modified_on":"2025-01-27T10:11:12.12345Z"},
        {"id":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","zone_id":"023e105f4ecef8ad9ca31a8372d0c353","zone_name":"example.com",
         "name":"Home.Example.com","type":"AAAA","content":"2001:DB8:0:0:0:0:0:8","proxied":true,"ttl":300,"locked":false,
         "comment":"caf\u00e9 \"stayput\"","tags":["owner:attic","x"],"comment_modified_on":"2025-01-27T10:11:12Z"},
        {"id":"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb","name":"www.example.com","type":"CNAME","content":"home.example.com",
         "settings":{"flatten_cname":false}},
        {"id":"cccccccccccccccccccccccccccccccc","name":"example.com","type":"MX","content":"mail.example.com","priority":10},
        {"id":"dddddddddddddddddddddddddddddddd","name":"_sip._tcp.example.com","type":"SRV","data":{"port":5060}}],
      "success":true,"errors":[],"messages":[],
      "result_info":{"page":1,"per_page":100,"count":5,"total_count":5,"total_pages":1}}"#;
    let Ok(Found::Records(page)) = answer(&ask_records(), body) else {
        panic!("not read");
    };
    let second = Record {
        id: RecordId::parse(OTHER).unwrap(),
        content: "2001:db8::8".parse().unwrap(),
        ttl: Ttl::Seconds(300),
        proxied: true,
        comment: Some("café \"stayput\"".into()),
        tags: vec!["owner:attic".into(), "x".into()],
        ..address_record()
    };
    assert_eq!(
        page.items,
        [
            Listed::Record(address_record()),
            Listed::Record(second),
            Listed::Other(name("www.example.com"), "CNAME".into())
        ]
    );
    assert_eq!((page.entries, page.total, page.per_page), (5, Some(5), Some(100)));
    assert_eq!(page.ids.len(), 5, "of all types");
}

#[test]
fn identifiers_are_told_apart_and_known_again() {
    let entry = |id: &str| json!({"type": "TXT", "id": id, "name": "x.example.com"});
    let ids = |list: serde_json::Value| records(&list).unwrap().ids;
    let both = ids(json!([entry(RECORD), entry(OTHER)]));
    assert_ne!(both[0], both[1]);
    assert_eq!(ids(json!([entry(OTHER), {"type": "TXT"}, 7])), [both[1]], "one without is left out");
}

#[test]
fn fields_that_do_not_matter_may_be_missing_or_of_any_kind() {
    let least = json!({"id": RECORD, "type": "A", "name": "home.example.com", "content": "203.0.113.7"});
    let mut odd = least.clone();
    let more = json!({"ttl": -1.5, "proxied": "no", "comment": {"a": [1]}, "tags": "x", "meta": 7, "settings": null,
        "created_on": 0, "new_thing": [[[{}]]]});
    odd.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let mut written = least.clone();
    written["ttl"] = json!("1");
    written["tags"] = json!(null);
    written["comment"] = json!("");
    for raw in [least, odd, written] {
        let page = records(&json!([raw.clone()])).unwrap();
        assert_eq!(page.items, [Listed::Record(address_record())], "{raw}");
    }
    for info in [json!(null), json!(7), json!([]), json!({"total_count": "many"}), json!({"total_count": -1})]
    {
        let body =
            json!({"success": true, "result": [], "result_info": info, "errors": null, "messages": "x"});
        let found = answer(&ask_records(), body.to_string().as_bytes()).unwrap();
        let none = Page { items: Vec::new(), entries: 0, total: None, per_page: None, ids: Vec::new() };
        assert_eq!(found, Found::Records(none), "{info}");
    }
}

#[test]
fn a_record_that_cannot_be_read_is_named_and_the_others_are_read() {
    let good = json!({"id": RECORD, "type": "A", "name": "home.example.com", "content": "203.0.113.7"});
    let odd = json!({"id": OTHER, "type": "A", "name": "odd.example.com", "content": "203.0.113.8"});
    let spoilt = [
        ("id", json!(null), ""),
        ("id", json!("372E67954025E0BA6AAA6D586B9E0B59"), ""),
        ("id", json!("../../user"), ""),
        ("id", json!(7), ""),
        ("type", json!(null), OTHER),
        ("type", json!(1), OTHER),
        ("type", json!(""), OTHER),
        ("type", json!("AAAA"), OTHER),
        ("content", json!(null), OTHER),
        ("content", json!(""), OTHER),
        ("content", json!("203.0.113.7 "), OTHER),
        ("content", json!("203.0.113.07"), OTHER),
        ("content", json!("203.0.113.7/24"), OTHER),
        ("content", json!("error code: 1020"), OTHER),
        ("content", json!("2001:db8::1"), OTHER),
    ];
    for (key, value, id) in spoilt {
        let mut bad = odd.clone();
        bad[key] = value.clone();
        let mut missing = odd.clone();
        missing.as_object_mut().unwrap().remove(key);
        let unreadable = Listed::Unreadable(name("odd.example.com"), id.into());
        for bad in [bad, missing] {
            let page = records(&json!([bad, good])).unwrap();
            assert_eq!(page.items, [unreadable.clone(), Listed::Record(address_record())], "{bad}");
            assert_eq!(page.entries, 2);
        }
    }
    for value in [json!(null), json!(["odd.example.com"]), json!(""), json!("-odd-.example.com")] {
        let mut nameless = odd.clone();
        nameless["name"] = value;
        let entries = json!([nameless, null, "A", 1, [], {}, good]);
        let page = records(&entries).unwrap();
        assert_eq!((page.items, page.entries), (vec![Listed::Record(address_record())], 7), "{nameless}");
    }
}

#[test]
fn of_two_fields_of_one_name_the_last_one_counts() {
    let body = format!(
        r#"{{"success":true,"result":[{{"type":"TXT","id":"{RECORD}","type":"A","name":"home.example.com",
        "content":"203.0.113.1","content":"203.0.113.7"}}]}}"#
    );
    let Ok(Found::Records(page)) = answer(&ask_records(), body.as_bytes()) else { panic!("not read") };
    assert_eq!(page.items, [Listed::Record(address_record())]);
}

#[test]
fn records_of_other_types_may_look_like_anything() {
    let page = records(&json!([
        {"type": "TXT", "name": "", "id": 3, "content": {"a": 1}},
        {"type": "CNAME", "name": "not a name"},
        {"type": "CNAME", "name": 3},
        {"type": "NS", "name": "-odd-.example.com", "content": "ns.example.net"},
        {"type": "A", "id": RECORD, "name": "-odd-.example.com", "content": "203.0.113.7"},
        {"type": "LOC"}
    ]))
    .unwrap();
    assert_eq!((page.items, page.entries), (vec![], 6));
}

#[test]
fn a_delegation_is_told_with_its_server() {
    let list = json!([
        {"type": "NS", "id": RECORD, "name": "sub.example.com", "content": "ada.ns.example.net"},
        {"type": "NS", "id": OTHER, "name": "SUB.example.com", "content": "bob\u{1b}[31m"},
        {"type": "ns", "name": "sub.example.com", "content": null},
    ]);
    let expected = ["ada.ns.example.net", "bob [31m", "another server"]
        .map(|server| Listed::Delegation(name("sub.example.com"), server.into()));
    assert_eq!(records(&list).unwrap().items, expected);
    let servers = Request::NameServers { zone: zone_id(), page: 1, per_page: 5_000 };
    let Ok(Found::Records(page)) = result(&servers, &list) else { panic!("not read") };
    assert_eq!(page.items, expected);
}

#[test]
fn a_record_that_a_product_manages_is_told_with_the_product() {
    let listed = |kind: &str, meta: serde_json::Value| {
        let content = if kind == "AAAA" { "100::" } else { "203.0.113.7" };
        let entry =
            json!({"id": RECORD, "type": kind, "name": "home.example.com", "content": content, "meta": meta});
        records(&json!([entry])).unwrap().items.remove(0)
    };
    for (meta, product) in [
        (json!({"read_only": true}), None),
        (json!({"origin_worker_id": "4babcdeb", "read_only": true}), Some("Workers")),
        (
            json!({"read_only": true, "managed_by_argo_tunnel": true, "managed_by_apps": false}),
            Some("Cloudflare Tunnel"),
        ),
        (json!({"read_only": true, "managed_by_apps": true}), Some("Cloudflare Apps")),
        (json!({"read_only": true, "email_routing": true}), Some("Email Routing")),
        (json!({"read_only": true, "product": "Spectrum", "managed_by_apps": true}), Some("Spectrum")),
        (json!({"read_only": true, "product": ""}), None),
    ] {
        let Listed::Managed(record, said) = listed("AAAA", meta.clone()) else { panic!("{meta}") };
        assert_eq!((record.content, said.as_deref()), ("100::".parse().unwrap(), product), "{meta}");
    }
    for meta in
        [json!({"read_only": false}), json!({"read_only": "true"}), json!({"auto_added": true}), json!([])]
    {
        assert!(matches!(listed("A", meta.clone()), Listed::Record(_)), "{meta}");
    }
    let alias = listed("CNAME", json!({"read_only": true}));
    assert_eq!(alias, Listed::Other(name("home.example.com"), "CNAME".into()));
}

#[test]
fn totals_are_read_or_reckoned() {
    let total = |info: serde_json::Value, page: u32| {
        let list: Vec<_> = (0..20).map(|_| json!({"type": "TXT"})).collect();
        let body = json!({"success": true, "result": list, "result_info": info}).to_string();
        let request = Request::Records { zone: zone_id(), name: None, page, per_page: 50 };
        let Ok(Found::Records(page)) = answer(&request, body.as_bytes()) else { panic!("{info}") };
        page.total
    };
    assert_eq!(total(json!({"total_count": 2000, "total_pages": 100, "per_page": 20}), 1), Some(2_000));
    assert_eq!(total(json!({"total_count": "21"}), 1), Some(21));
    assert_eq!(total(json!({"total_pages": 3, "per_page": 20}), 1), Some(60), "at most");
    assert_eq!(total(json!({"total_pages": 3, "per_page": 50}), 3), Some(120), "exactly");
    assert_eq!(total(json!({"total_pages": 3}), 1), None);
    assert_eq!(total(json!({"total_count": 1e30}), 1), None);
    assert_eq!(total(json!({"total_pages": 4_000_000_000u32, "per_page": 4_000_000_000u32}), 1), None);
    assert_eq!(total(json!({"cursors": {"after": "x"}}), 1), None);
}

/// What is wrong with a page of so many entries, as Cloudflare describes it in `result_info`.
fn contradiction(page: u32, entries: u32, info: &serde_json::Value) -> Option<String> {
    let list: Vec<_> = (0..entries).map(|at| json!({"type": "TXT", "id": format!("{at:032x}")})).collect();
    let body = json!({"success": true, "result": list, "result_info": info}).to_string();
    let request = Request::Records { zone: zone_id(), name: None, page, per_page: 100 };
    let failure = answer(&request, body.as_bytes()).err()?;
    assert_eq!(failure.class, Class::NotSent, "{failure}");
    let told = failure.said.strip_prefix("the answer cannot be used: the list contradicts itself: ");
    let told = told.and_then(|told| told.strip_suffix(" [HTTP 200]"));
    Some(told.unwrap_or_else(|| panic!("{failure}")).to_owned())
}

#[test]
fn a_list_that_contradicts_itself_is_a_failed_read() {
    let told = |page, entries, info| {
        contradiction(page, entries, &info).unwrap_or_else(|| panic!("{info} is believed"))
    };
    assert_eq!(
        told(1, 0, json!({"total_count": 1})),
        "it says that there are 1 entries in all, and has 0 on page 1"
    );
    assert_eq!(told(1, 3, json!({"count": 5})), "it says that it has 5 entries here, and has 3");
    assert_eq!(told(2, 3, json!({"page": 1})), "it says that it is page 1, and page 2 was asked for");
    told(1, 0, json!({"page": 1, "per_page": 100, "count": 0, "total_count": 1, "total_pages": 1}));
    told(1, 4, json!({"per_page": 100, "total_count": 5}));
    told(1, 19, json!({"per_page": 20, "total_count": 2_000}));
    told(1, 19, json!({"per_page": 20, "total_pages": 2}));
    told(3, 9, json!({"per_page": 20, "total_count": 50}));
    told(2, 0, json!({"per_page": 100, "total_count": 101}));
    told(1, 2, json!({"total_count": 1}));
    let twice = json!({"type": "TXT", "id": RECORD});
    let failure = records(&json!([twice, twice])).unwrap_err();
    assert_eq!(
        failure.said,
        "the answer cannot be used: the list contradicts itself: an entry stands twice on one page [HTTP 200]"
    );
    let zones = json!({"success": true, "result": [], "result_info": {"total_count": 3}}).to_string();
    assert_eq!(answer(&ask_zones(), zones.as_bytes()).unwrap_err().class, Class::NotSent);
    for missing in [json!(null), json!({}), json!("x")] {
        assert_eq!(records(&missing).unwrap_err().class, Class::NotSent, "{missing}");
    }
    assert_eq!(
        records(&json!(null)).unwrap_err().said,
        "the answer cannot be used: the list is missing from the answer [HTTP 200]"
    );
}

#[test]
fn a_list_whose_figures_fit_or_are_absent_is_believed() {
    for (page, entries, info) in [
        (1, 0, json!({"page": 1, "per_page": 100, "count": 0, "total_count": 0, "total_pages": 0})),
        (1, 0, json!({"total_pages": 1, "per_page": 100})),
        (1, 5, json!({"page": 1, "per_page": 5000, "count": 5, "total_count": 5, "total_pages": 1})),
        (1, 20, json!({"page": 1, "per_page": 20, "count": 20, "total_count": 2000, "total_pages": 100})),
        (3, 10, json!({"page": 3, "per_page": 20, "total_count": 50})),
        (4, 0, json!({"page": 4, "per_page": 20, "total_count": 50})),
        (2, 0, json!({"total_count": 50})),
        (2, 7, json!({"total_count": 50})),
        (1, 7, json!({"total_count": 50})),
        (1, 7, json!({"count": null, "page": "x", "total_count": "many"})),
        (4_000_000_000, 0, json!({"per_page": 4_000_000_000u32, "total_count": 4_000_000_000u32})),
    ] {
        assert_eq!(contradiction(page, entries, &info), None, "{page} {entries} {info}");
    }
}

fn raw_zone() -> serde_json::Value {
    json!({"id": ZONE, "name": "bücher.example", "status": "active", "paused": false, "type": "full",
        "development_mode": 0, "name_servers": ["a.ns.cloudflare.com"], "original_name_servers": null,
        "meta": {"step": 2}, "owner": {"id": null, "type": "user", "email": null},
        "account": {"name": "Somebody's Account", "id": ACCOUNT}, "permissions": ["#dns_records:edit", "#zone:read"],
        "plan": {"legacy_id": "free"}})
}

fn zone() -> ZoneInfo {
    ZoneInfo {
        id: zone_id(),
        name: name("xn--bcher-kva.example"),
        account: AccountId::parse(ACCOUNT),
        status: "active".into(),
        kind: "full".into(),
        plan: Some("free".into()),
        paused: false,
        permissions: Some(vec!["#dns_records:edit".into(), "#zone:read".into()]),
    }
}

#[test]
fn zones_are_read_with_their_names_in_ascii_and_those_without_a_proper_name_are_stepped_over() {
    let foreign = |id: &str, name: serde_json::Value| json!({"id": id, "name": name});
    let list = json!([
        foreign(&"a".repeat(32), json!("localhost")),
        foreign(&"b".repeat(32), json!("a..b")),
        foreign(&"c".repeat(32), json!(1)),
        foreign("example.com", json!("example.com")),
        {"id": "d".repeat(32)},
        {"name": "example.com"},
        null,
        raw_zone(),
    ]);
    let Ok(Found::Zones(page)) = result(&ask_zones(), &list) else { panic!("not read") };
    assert_eq!((page.items, page.entries, page.ids.len()), (vec![zone()], 8, 6));
    let one = Request::Zone(zone_id());
    assert_eq!(result(&one, &raw_zone()), Ok(Found::Zone(zone())));
    let least = ZoneInfo {
        account: None,
        status: "unknown".into(),
        kind: "unknown".into(),
        plan: None,
        permissions: None,
        ..zone()
    };
    for raw in [
        json!({"id": ZONE, "name": "bücher.example"}),
        json!({"id": ZONE, "name": "BÜCHER.example", "account": "x", "status": 1, "type": [], "paused": 0,
            "permissions": {}, "plan": {"legacy_id": 3}}),
        json!({"id": ZONE, "name": "xn--bcher-kva.example", "account": {"id": 7}, "plan": null}),
    ] {
        assert_eq!(result(&one, &raw), Ok(Found::Zone(least.clone())), "{raw}");
    }
    for bad in [
        json!(null),
        json!([]),
        json!([raw_zone()]),
        json!({"id": OTHER, "name": "example.com"}),
        json!({"id": ZONE, "name": "localhost"}),
    ] {
        assert_eq!(result(&one, &bad).unwrap_err().class, Class::NotSent, "{bad}");
    }
}

fn written() -> serde_json::Value {
    json!({
        "deletes": [{"id": OTHER, "type": "A", "name": "old.example.com", "content": "203.0.113.1"}],
        "patches": [{"id": RECORD, "type": "A", "name": "home.example.com", "content": "203.0.113.8", "ttl": 1, "proxied": true}],
        "posts": [{"id": ACCOUNT, "type": "AAAA", "name": "*.example.com", "content": "2001:db8:0::8", "ttl": 300,
            "proxied": false, "comment": "stayput"}],
        "puts": []
    })
}

#[test]
fn what_a_batch_did_is_read_as_cloudflare_says_it() {
    let Ok(Found::Written(read)) = result(&ask_batch(), &written()) else {
        panic!("not read");
    };
    assert_eq!(read.deleted, batch().deletes);
    assert!(read.patched[0].proxied);
    assert_eq!(read.patched[0].content, batch().patches[0].content);
    assert_eq!(read.posted[0].id.as_str(), ACCOUNT);
    assert_eq!(read.posted[0].comment.as_deref(), Some("stayput"));
    let nothing = Request::Batch { zone: zone_id(), batch: Batch::default() };
    for empty in [json!({}), json!({"deletes": null, "patches": [], "posts": []})] {
        assert_eq!(result(&nothing, &empty), Ok(Found::Written(Written::default())));
    }
}

#[test]
fn an_answer_that_does_not_match_the_batch_leaves_us_unsure() {
    let spoilt = [
        ("/deletes", json!([])),
        ("/deletes", json!(null)),
        ("/deletes/0/id", json!(RECORD)),
        ("/deletes/0/id", json!(null)),
        ("/patches", json!([])),
        ("/patches/0/id", json!(OTHER)),
        ("/patches/0/content", json!("203.0.113.7")),
        ("/patches/0/type", json!("CNAME")),
        ("/patches/0/name", json!("other.example.com")),
        ("/patches/0/content", json!(null)),
        ("/posts", json!([])),
        ("/posts", json!({})),
        ("/posts/0/name", json!("*.example.com.example.com")),
        ("/posts/0/name", json!("no name")),
        ("/posts/0/id", json!("x")),
        ("", json!(null)),
        ("", json!([])),
        ("", json!("done")),
    ];
    for (path, value) in spoilt {
        let mut bad = written();
        *bad.pointer_mut(path).unwrap() = value.clone();
        let failure = result(&ask_batch(), &bad).unwrap_err();
        assert_eq!(failure.class, Class::Unsure, "{path} {value}");
    }
    let said = |value| result(&ask_batch(), &value).unwrap_err().said;
    assert_eq!(
        said(json!(null)),
        "the answer cannot be used: it says success, but not what was changed [HTTP 200]"
    );
    assert_eq!(
        said(json!("done")),
        "the answer cannot be used: its result does not have the form that Cloudflare documents [HTTP 200]"
    );
    let twice = json!([written()["patches"][0], written()["patches"][0]]);
    let mut bad = written();
    bad["patches"] = twice;
    assert_eq!(result(&ask_batch(), &bad).unwrap_err().class, Class::Unsure);
}

#[test]
fn a_verified_token_has_a_status() {
    let body = br#"{"result":{"id":"ed17574386854bf78a67040be0a770b0","status":"active","expires_on":"2027-01-01T00:00:00Z"},
        "success":true,"errors":[],"messages":[{"code":10000,"message":"This API Token is valid and active","type":null}]}"#;
    let token = TokenStatus { status: "active".into(), expires_on: Some("2027-01-01T00:00:00Z".into()) };
    assert_eq!(answer(&Request::Verify(None), body), Ok(Found::Token(token)));
    let nothing = result(&Request::Verify(None), &json!({"id": "x"})).unwrap_err();
    assert_eq!(nothing.class, Class::NotSent);
}

#[test]
fn limits_and_time_are_handed_on_whatever_the_outcome() {
    for (status, body) in [(200, &br#"{"success":true,"result":[]}"#[..]), (502, b"<html>")] {
        let http = HttpAnswer {
            status,
            headers: vec![("ratelimit".into(), r#""default";r=7;t=9"#.into())],
            body,
            took: Duration::from_millis(123),
        };
        let answer = decode(&ask_records(), &http);
        assert_eq!(answer.took, http.took);
        assert_eq!(answer.limits.len(), 1);
        assert_eq!(answer.limits[0].remaining, 7);
    }
}

fn any_request() -> impl Strategy<Value = Request> {
    prop_oneof![
        Just(ask_zones()),
        Just(Request::Zone(zone_id())),
        Just(ask_records()),
        Just(Request::NameServers { zone: zone_id(), page: 1, per_page: 100 }),
        Just(ask_batch()),
        Just(Request::Verify(None)),
    ]
}

/// JSON that is often nearly right.
fn any_json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        any::<i64>().prop_map(|number| number.to_string()),
        any::<f64>().prop_map(|number| json!(number).to_string()),
        ".{0,12}".prop_map(|text| json!(text).to_string()),
        Just(json!(RECORD).to_string()),
        Just("\"A\"".to_owned()),
        Just("\"203.0.113.7\"".to_owned()),
        Just("\"a.example.com\"".to_owned()),
        Just("\"\\ud800\"".to_owned()),
    ];
    let key = prop_oneof![
        Just("id"),
        Just("type"),
        Just("name"),
        Just("content"),
        Just("result"),
        Just("success"),
        Just("errors"),
        Just("code"),
        Just("message"),
        Just("error_chain"),
        Just("posts"),
        Just("patches"),
        Just("deletes"),
    ];
    leaf.prop_recursive(5, 60, 6, move |inner| {
        let pair = (key.clone(), inner.clone()).prop_map(|(key, value)| format!("\"{key}\":{value}"));
        prop_oneof![
            proptest::collection::vec(inner, 0..6).prop_map(|all| format!("[{}]", all.join(","))),
            proptest::collection::vec(pair, 0..8).prop_map(|all| format!("{{{}}}", all.join(","))),
        ]
    })
}

proptest! {
    #[test]
    fn no_answer_whatever_panics_or_makes_a_read_unsure(
        request in any_request(),
        status in 100u16..1_000,
        body in prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..300),
            any_json().prop_map(String::into_bytes),
            any_json().prop_map(|json| format!("{{\"success\":true,\"result\":{json}}}").into_bytes()),
            any_json().prop_map(|json| format!("{{\"success\":false,\"errors\":{json}}}").into_bytes()),
            (any_json(), 0usize..200).prop_map(|(json, cut)| json.into_bytes().into_iter().take(cut).collect()),
        ],
        headers in proptest::collection::vec(("(retry-after|date|ratelimit|cf-ray|location)", ".{0,40}"), 0..5),
    ) {
        let http = HttpAnswer { status, headers, body: &body, took: Duration::ZERO };
        if let Err(failure) = decode(&request, &http).outcome {
            let of_writes = matches!(
                failure.class,
                Class::Unsure | Class::Content | Class::ZoneFull | Class::CopyWrong
            );
            prop_assert!(request.writes() || !of_writes, "{failure:?}");
            prop_assert!(!(request.writes() && failure.class == Class::NotSent), "an answer came: {failure:?}");
            prop_assert!(failure.sort.len() <= 20);
            let shown = failure.to_string();
            prop_assert!(shown.len() <= 40_000 && !shown.chars().any(char::is_control), "{shown:?}");
        } else {
            prop_assert!((200..300).contains(&status));
        }
    }

    #[test]
    fn deep_nesting_does_not_exhaust_the_stack(depth in 0usize..50_000, errors in any::<bool>()) {
        let open = if errors { "{\"errors\":[{\"code\":1,\"error_chain\":" } else { "[" };
        let body = format!("{{\"success\":true,\"result\":{}", open.repeat(depth));
        prop_assert!(answer(&ask_records(), body.as_bytes()).is_err());
        let (open, close) = if errors { ("{\"error_chain\":", "}") } else { ("[", "]") };
        let body = format!(r#"{{"success":false,"errors":{}1{}}}"#, open.repeat(depth), close.repeat(depth));
        prop_assert!(answer(&ask_records(), body.as_bytes()).is_err());
    }

    #[test]
    fn a_record_that_is_written_is_read(
        content in any::<IpAddr>(), ttl in prop_oneof![Just(1u32), 30u32..86_401], proxied in any::<bool>(),
        comment in proptest::option::of(".{1,20}"), tags in proptest::collection::vec("[a-z:]{1,9}", 0..3),
        host in "[a-z0-9_]{1,9}",
    ) {
        let record = Record {
            id: RecordId::parse(RECORD).unwrap(),
            name: name(&format!("{host}.example.com")),
            content: content.into(),
            ttl: Ttl::from_api(ttl),
            proxied,
            comment: comment.as_deref().map(Into::into),
            tags: tags.iter().map(|tag| tag.as_str().into()).collect(),
        };
        let page = records(&json!([{
            "id": RECORD, "type": record.content.kind().as_str(), "name": record.name.as_str(), "ttl": ttl,
            "content": content.to_string(), "proxied": proxied, "comment": comment, "tags": tags,
        }])).unwrap();
        prop_assert_eq!(page.items, [Listed::Record(record)]);
    }
}
