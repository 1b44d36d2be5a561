//! Each fault shows itself as its name says, does its work or does not, and goes away again.

use std::time::Duration;

use serde_json::{Value, json};

use super::{API_PATH, Site, codes, id};
use crate::engine::names::Family;
use crate::sandbox::{FAULTS, Fate, Kind, Reply, other_address};

fn arm(site: &mut Site, text: &str) {
    site.world.faults.arm(text.parse().unwrap());
}

/// Switches a fault on, creates the record `x`, and says whether that was done.
fn create(site: &mut Site, fault: &str) -> (Reply, bool) {
    arm(site, fault);
    let body = json!({"type": "A", "name": "x", "content": "192.0.2.1"});
    let reply = site.records("POST", "", &body);
    site.world.faults.clear();
    let done = site.contents().len() == 1;
    for record in site.world.records(&site.zone) {
        site.world.remove_record(&site.zone, &record.id).unwrap();
    }
    (reply, done)
}

#[test]
fn faults_of_the_api_do_the_work_or_do_not() {
    let mut site = Site::new();
    // fault, status, fate, whether the record was created
    for (fault, status, fate, done) in [
        ("throttle", 429, Fate::Deliver, false),
        ("html=503", 503, Fate::Deliver, false),
        ("html=200", 200, Fate::Deliver, false),
        ("edge-code", 403, Fate::Deliver, false),
        ("edge-code=1015", 429, Fate::Deliver, false),
        ("edge-code=502", 502, Fate::Deliver, false),
        ("problem", 503, Fate::Deliver, false),
        ("problem=522@7", 522, Fate::Deliver, false),
        ("redirect", 302, Fate::Deliver, false),
        ("lost-request", 0, Fate::DropBeforeReply, false),
        ("lost-write", 0, Fate::DropBeforeReply, false),
        ("lost-write=30", 0, Fate::DropBeforeReply, false),
        ("lost-write=3000", 200, Fate::Deliver, true),
        ("offline", 0, Fate::Unreachable, false),
        ("unsuccessful", 200, Fate::Deliver, false),
        ("revoked", 401, Fate::Deliver, false),
        ("spurious-403", 403, Fate::Deliver, false),
        ("refuse-zone=example.com", 403, Fate::Deliver, false),
        ("refuse-zone=example.net", 200, Fate::Deliver, true),
        ("refuse-search", 200, Fate::Deliver, true),
        ("dns-only", 200, Fate::Deliver, true),
        ("refuse=x.example.com", 400, Fate::Deliver, false),
        ("full", 400, Fate::Deliver, false),
        ("lost-reply", 200, Fate::DropBeforeReply, true),
        ("delay=15", 200, Fate::DeliverAfter(Duration::from_secs(15)), true),
        ("garbage", 200, Fate::Deliver, true),
        ("truncated", 200, Fate::Deliver, true),
        ("cut", 200, Fate::Cut, true),
        ("null-result", 200, Fate::Deliver, true),
    ] {
        let (reply, was_done) = create(&mut site, fault);
        assert_eq!((reply.status, reply.fate), (status, fate), "{fault}");
        assert_eq!(was_done, done, "{fault}");
    }
    let (reply, done) = create(&mut site, "refuse=y.example.com");
    assert_eq!((reply.status, done), (200, true));
}

#[test]
fn bodies_that_are_no_envelope_cannot_be_read_as_one() {
    let mut site = Site::new();
    for fault in ["html", "edge-code", "redirect", "garbage", "truncated", "cut"] {
        let (reply, _) = create(&mut site, fault);
        assert_eq!(reply.value(), Value::Null, "{fault}");
        assert!(reply.header("cf-ray").is_some(), "{fault}");
    }
    let (reply, _) = create(&mut site, "html=522");
    assert!(reply.header("content-type").unwrap().starts_with("text/html"));
    let (reply, _) = create(&mut site, "edge-code=1020");
    assert_eq!(reply.body, b"error code: 1020");
    let (reply, _) = create(&mut site, "unsuccessful");
    assert!(!codes(&reply).is_empty());
    let (reply, _) = create(&mut site, "null-result");
    assert_eq!(reply.value()["success"], true);
    assert_eq!(reply.value()["result"], Value::Null);
}

#[test]
fn a_429_can_ask_for_anything() {
    let mut site = Site::new();
    for (fault, header) in [
        ("throttle", Some("300")),
        ("throttle=7", Some("7")),
        ("throttle=none", None),
        ("throttle=date", Some("Thu, 01 Jan 2026 00:01:00 GMT")),
        ("throttle=999999999999", Some("999999999999")),
        ("throttle=soon", Some("soon")),
    ] {
        site.now = Duration::ZERO;
        let (reply, _) = create(&mut site, fault);
        assert_eq!(codes(&reply), [971]);
        assert_eq!(reply.header("retry-after"), header, "{fault}");
    }
}

#[test]
fn every_answer_that_is_no_success_can_ask_to_wait() {
    let mut site = Site::new();
    let (reply, _) = create(&mut site, "problem=522@7");
    assert_eq!(reply.header("retry-after"), Some("7"));
    assert_eq!(reply.value()["retry_after"], 7);
    assert_eq!(reply.header("ratelimit"), None, "the edge does not know the limit");
    for fault in ["html", "unsuccessful", "spurious-403", "refuse=x.example.com", "edge-code=1015"] {
        arm(&mut site, "retry-after=90");
        let (reply, _) = create(&mut site, fault);
        let expected = (reply.status != 200).then_some("90");
        assert_eq!(reply.header("retry-after"), expected, "{fault}");
    }
    let (reply, _) = create(&mut site, "retry-after");
    assert_eq!((reply.status, reply.header("retry-after")), (200, None));
}

#[test]
fn lists_can_contradict_their_counts() {
    let mut site = Site::new();
    for number in 0..5 {
        site.made_a(&format!("n{number}"), "192.0.2.1");
    }
    let mut pages = |fault: &str| -> Vec<usize> {
        arm(&mut site, fault);
        let found = (1..=3).map(|page| {
            let reply = site.records("GET", &format!("?order=name&per_page=2&page={page}"), &Value::Null);
            assert_eq!(reply.value()["result_info"]["total_count"], 5, "{fault}");
            reply.value()["result"].clone()
        });
        let number = |record: &Value| -> usize { record["name"].as_str().unwrap()[1..2].parse().unwrap() };
        let found: Vec<usize> =
            found.flat_map(|page| page.as_array().cloned().unwrap_or_default()).map(|r| number(&r)).collect();
        site.world.faults.clear();
        found
    };
    assert_eq!(pages("false-list"), [2, 3, 4]);
    assert_eq!(pages("false-list=short"), [0, 2]);
    assert_eq!(pages("false-list=twice"), [0, 1, 0, 1, 2, 3]);
    assert_eq!(pages("false-list=overlap"), [0, 1, 1, 2, 3, 4]);
    assert_eq!(pages("false-list=gap"), [0, 1, 3, 4]);
    assert!(pages("false-list=null").is_empty());
}

#[test]
fn a_search_can_be_refused_alone() {
    let mut site = Site::new();
    arm(&mut site, "refuse-search");
    assert_eq!(codes(&site.get("/zones")), [9109]);
    assert_eq!(site.records("GET", "", &Value::Null).status, 200);
}

#[test]
fn nothing_can_be_proxied_where_an_account_enforces_it() {
    let mut site = Site::new();
    arm(&mut site, "dns-only");
    let body = json!({"type": "A", "name": "x", "content": "192.0.2.1", "proxied": true});
    assert_eq!(site.refused(&body), [9004]);
}

#[test]
fn a_refused_name_spoils_a_batch_and_nothing_else() {
    let mut site = Site::new();
    arm(&mut site, "refuse=bad.example.com");
    let post = |name: &str| json!({"type": "A", "name": name, "content": "192.0.2.1"});
    let both = json!({"posts": [post("good"), post("bad")]});
    let reply = site.records("POST", "/batch", &both);
    assert_eq!((reply.status, codes(&reply)), (400, vec![1004, 9000]));
    assert!(site.contents().is_empty());
    let alone = json!({"posts": [post("good")]});
    assert_eq!(site.records("POST", "/batch", &alone).status, 200);
}

#[test]
fn lost_replies_are_those_of_writes_only() {
    let mut site = Site::new();
    arm(&mut site, "lost-reply:1");
    assert_eq!(site.get("/zones").fate, Fate::Deliver);
    let post = json!({"type": "A", "name": "x", "content": "192.0.2.1"});
    assert_eq!(site.records("POST", "", &post).fate, Fate::DropBeforeReply);
    // The count is used up: the repetition gets its answer, and finds the work done.
    assert_eq!(codes(&site.records("POST", "", &post)), [81_058]);
}

#[test]
fn lists_can_claim_too_many_pages_and_show_the_past() {
    let mut site = Site::new();
    arm(&mut site, "total-pages=7");
    let info = site.records("GET", "", &Value::Null).value()["result_info"].clone();
    assert_eq!((&info["total_pages"], &info["total_count"]), (&json!(7), &json!(700)));
    arm(&mut site, "stale-list=60");
    site.made_a("x", "192.0.2.1");
    let list = |site: &mut Site| {
        let body = site.records("GET", "", &Value::Null).value();
        body["result"].as_array().unwrap().len()
    };
    assert_eq!(list(&mut site), 0);
    site.world.faults.clear();
    assert_eq!(list(&mut site), 1);
}

fn echo(site: &mut Site, path: &str) -> Reply {
    site.raw("GET", path, b"")
}

#[test]
fn echoes_tell_the_address_of_the_family_of_the_socket() {
    let mut site = Site::new();
    site.header("host", "one.example:81");
    site.header("user-agent", "test/1");
    for family in Family::ALL {
        site.over = family;
        let address = site.world.addresses.get(family).unwrap().to_string();
        let amazon = echo(&mut site, "/echo/amazon");
        assert_eq!(amazon.body, format!("{address}\n").into_bytes());
        assert_eq!(echo(&mut site, "/echo/ipify?format=text").body, address.as_bytes());
        for path in ["/cdn-cgi/trace", "/echo/cloudflare"] {
            let trace = String::from_utf8(echo(&mut site, path).body).unwrap();
            let lines: Vec<&str> = trace.lines().collect();
            assert_eq!(lines.len(), 16);
            for line in [&format!("ip={address}"), "h=one.example:81", "warp=off", "uag=test/1"] {
                assert!(lines.contains(&line), "{line} in {trace}");
            }
        }
    }
    site.world.addresses.change(Family::V6, None);
    assert_eq!(echo(&mut site, "/echo/ipify").fate, Fate::Unreachable);
    assert_eq!(site.world.echoes()["ipify"], 3);
    assert_eq!(site.world.total(), 0);
    assert_eq!(echo(&mut site, "/echo/").status, 404);
}

#[test]
fn faults_of_echoes_are_for_one_operator_or_all() {
    let mut site = Site::new();
    let truth = echo(&mut site, "/echo/ipify").body;
    let other = other_address(Family::V4).to_string().into_bytes();
    for (fault, status, body) in
        [("echo-error", 503, &b"error code: 503"[..]), ("echo-redirect", 302, b""), ("lie", 200, &other)]
    {
        arm(&mut site, &format!("{fault}=amazon"));
        assert_eq!(echo(&mut site, "/echo/ipify").body, truth, "{fault}");
        arm(&mut site, &format!("{fault}=ipify"));
        let reply = echo(&mut site, "/echo/ipify");
        assert_eq!((reply.status, &reply.body[..]), (status, body), "{fault}");
        site.world.faults.clear();
    }
    arm(&mut site, "echo-html");
    let page = echo(&mut site, "/cdn-cgi/trace");
    assert!(page.body.starts_with(b"<!DOCTYPE html>") && page.status == 200);
    site.world.faults.clear();
    arm(&mut site, "echo-large:1");
    assert!(echo(&mut site, "/echo/ipify").body.len() > 100_000);
    arm(&mut site, "echo-down:1");
    assert_eq!(echo(&mut site, "/echo/ipify").fate, Fate::Unreachable);
    arm(&mut site, "address=198.51.100.3");
    assert_eq!(echo(&mut site, "/echo/ipify").body, b"198.51.100.3");
    arm(&mut site, "warp");
    arm(&mut site, "wrong-host");
    let trace = String::from_utf8(echo(&mut site, "/cdn-cgi/trace").body).unwrap();
    assert!(trace.contains("warp=on") && trace.contains("h=elsewhere.example.net"));
}

#[test]
fn every_fault_has_an_effect_that_a_caller_can_see() {
    for (name, ..) in FAULTS {
        let text = match *name {
            "refuse" => "refuse=x.example.com".to_owned(),
            "refuse-zone" => "refuse-zone=example.com".to_owned(),
            "address" => "address=198.51.100.3".to_owned(),
            "lie" => "lie=ipify".to_owned(),
            "flap" => "flap=1".to_owned(),
            name => name.to_owned(),
        };
        let watch = |fault: Option<&str>| {
            let mut site = Site::new();
            if let Some(fault) = fault {
                arm(&mut site, fault);
            }
            let post = json!({"type": "A", "name": "x", "content": "192.0.2.1", "proxied": true});
            let mut replies = vec![site.records("POST", "", &post)];
            replies.push(site.records("GET", "", &Value::Null));
            replies.push(site.get("/zones"));
            // What is refused anyway.
            replies.push(site.get("/zones/x"));
            site.now += Duration::from_secs(1);
            replies.push(echo(&mut site, "/echo/ipify"));
            replies.push(echo(&mut site, "/cdn-cgi/trace"));
            replies
        };
        assert_eq!(watch(None), watch(None));
        assert_ne!(watch(None), watch(Some(&text)), "{name}");
    }
}

#[test]
fn every_request_is_counted_by_kind_also_those_that_never_arrived() {
    let mut site = Site::new();
    let record = site.made_a("x", "192.0.2.1");
    site.get("/zones");
    site.get("/zones/x");
    site.records("PATCH", &format!("/{record}"), &json!({"content": "192.0.2.2"}));
    site.records("POST", "/batch", &json!({}));
    arm(&mut site, "offline");
    site.get("/zones");
    let counts = [Kind::ListZones, Kind::Unroutable, Kind::CreateRecord, Kind::PatchRecord, Kind::Batch]
        .map(|kind| site.world.count(kind));
    assert_eq!(counts, [2, 1, 1, 1, 1]);
    assert_eq!(site.world.total(), 6);
    let last = site.world.seen().back().unwrap();
    assert_eq!((last.status, last.kind, last.at), (0, Kind::ListZones, site.now));
}

#[test]
fn worlds_with_the_same_seed_answer_the_same() {
    let run = || {
        let mut site = Site::new();
        arm(&mut site, "html:30%");
        let mut bodies = Vec::new();
        for n in 0..40 {
            let post = json!({"type": "A", "name": format!("n{n}"), "content": "192.0.2.1"});
            bodies.push(site.records("POST", "", &post));
        }
        bodies
    };
    let first = run();
    assert_eq!(first, run());
    let failed = first.iter().filter(|reply| reply.status == 502).count();
    assert!((3..25).contains(&failed), "{failed}");
}

#[test]
fn the_controls_show_and_change_the_world_and_are_not_counted() {
    let mut site = Site::new();
    let mut control = |method: &str, path: &str, body: &str| {
        let reply = site.raw(method, &format!("/sandbox{path}"), body.as_bytes());
        (reply.status, reply)
    };
    assert_eq!(control("PUT", "/faults/throttle:2", "7").0, 204);
    assert_eq!(control("PUT", "/faults/trottle", "").0, 400);
    assert_eq!(control("PUT", "/address/ipv4", "198.51.100.9\n").0, 204);
    assert_eq!(control("PUT", "/address/ipv6", "none").0, 204);
    assert_eq!(control("PUT", "/address/ipv6", "198.51.100.9").0, 400);
    let (_, zone) = control("POST", "/zones", r#"{"name": "example.net", "plan": "pro"}"#);
    let zone = id(&zone.value());
    let post = r#"{"type": "A", "name": "x", "content": "192.0.2.1", "tags": ["a"]}"#;
    let (status, record) = control("POST", "/zones/example.net/records", post);
    assert_eq!(status, 200);
    assert_eq!(control("POST", "/zones/example.net/records", post).0, 400);
    let path = format!("/zones/{zone}/records/{}", id(&record.value()));
    assert_eq!(control("PATCH", &path, r#"{"proxied": true}"#).0, 200);
    let (_, state) = control("GET", "", "");
    let state = state.value();
    assert_eq!(state["addresses"]["ipv4"], "198.51.100.9");
    assert_eq!(state["addresses"]["ipv6"], Value::Null);
    assert_eq!(state["faults"][0]["left"], 2);
    assert_eq!(state["requests"]["total"], 0);
    assert_eq!(state["zones"][1]["records"][0]["proxied"], true);
    assert_eq!(control("DELETE", &path, "").0, 200);
    assert_eq!(control("DELETE", "/zones/example.net", "").0, 204);
    assert_eq!(control("DELETE", "/zones/example.net", "").0, 404);
    assert_eq!(control("POST", "/tokens", r#"{"value": "only", "dns": "read"}"#).0, 200);
    assert_eq!(control("DELETE", "/faults/throttle", "").0, 204);
    assert_eq!(control("DELETE", "/faults/throttle", "").0, 404);
    assert_eq!(control("GET", "/nonsense", "").0, 404);
    assert_eq!(site.get("/zones").status, 403);
    site.token("only");
    assert_eq!(
        site.raw("GET", &format!("{API_PATH}/zones/{}/dns_records", site.zone.clone()), b"").status,
        200
    );
}
