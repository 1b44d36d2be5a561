//! Batches: one transaction, in a fixed order, with the first error only.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Site, codes, id};
use crate::sandbox::{NewZone, Plan, Reply};

fn batch(site: &mut Site, body: &Value) -> Reply {
    site.records("POST", "/batch", body)
}

#[test]
fn deletes_come_first_then_patches_puts_and_posts() {
    let mut site = Site::new();
    let one = site.made_a("one", "192.0.2.1");
    let two = site.made_a("two", "192.0.2.2");
    let three = site.made_a("three", "192.0.2.3");
    // Only in this order does each step find the way free.
    let reply = batch(
        &mut site,
        &json!({
            "posts": [{"type": "A", "name": "three", "content": "192.0.2.3"}],
            "puts": [{"id": three, "type": "A", "name": "two", "content": "192.0.2.2"}],
            "patches": [{"id": two, "name": "one", "content": "192.0.2.1"}],
            "deletes": [{"id": one, "reason": "ignored"}],
        }),
    );
    assert_eq!(reply.status, 200, "{}", reply.value());
    let result = &reply.value()["result"];
    assert_eq!(result["deletes"][0]["content"], "192.0.2.1");
    assert_eq!(result["patches"][0]["id"], two.as_str());
    assert_eq!(result["puts"][0]["name"], "two.example.com");
    assert_eq!(result["posts"][0]["name"], "three.example.com");
    let names: Vec<String> = site.contents().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["one.example.com", "three.example.com", "two.example.com"]);
}

#[test]
fn a_batch_with_one_bad_operation_changes_nothing_and_tells_the_first_error() {
    let mut site = Site::new();
    let one = site.made_a("one", "192.0.2.1");
    let two = site.made_a("two", "192.0.2.2");
    let before = site.world.records(&site.zone);
    let reply = batch(
        &mut site,
        &json!({
            "deletes": [{"id": one}],
            "patches": [{"id": two, "content": "192.0.2.9"}],
            "posts": [
                {"type": "A", "name": "new", "content": "192.0.2.3"},
                {"type": "A", "name": "bad", "content": "here"},
                {"type": "A", "name": "worse", "content": "192.0.2.3", "ttl": 2},
            ],
        }),
    );
    assert_eq!((reply.status, codes(&reply)), (400, vec![9005]));
    assert_eq!(site.world.records(&site.zone), before);
}

#[test]
fn an_identifier_in_two_arrays_is_missing_the_second_time() {
    let mut site = Site::new();
    let one = site.made_a("one", "192.0.2.1");
    let both = json!({"deletes": [{"id": one}], "patches": [{"id": one, "content": "192.0.2.2"}]});
    let reply = batch(&mut site, &both);
    assert_eq!((reply.status, codes(&reply)), (404, vec![81_044]));
    assert_eq!(site.contents().len(), 1);
    let twice = json!({"deletes": [{"id": one}, {"id": one}]});
    assert_eq!(codes(&batch(&mut site, &twice)), [81_044]);
}

#[test]
fn an_empty_batch_succeeds_with_empty_lists() {
    let mut site = Site::new();
    let empty = json!({"deletes": [], "patches": [], "puts": [], "posts": []});
    for body in [json!({}), json!({"deletes": null, "postz": [1]}), empty.clone()] {
        let reply = batch(&mut site, &body);
        assert_eq!((reply.status, &reply.value()["result"]), (200, &empty));
    }
    for body in [json!([]), json!({"deletes": {}}), json!({"deletes": [{}]}), json!({"posts": [7]})] {
        assert_eq!(codes(&batch(&mut site, &body)), [9207], "{body}");
    }
}

#[test]
fn a_batch_has_as_many_operations_as_the_plan_allows() {
    let posts = |count: usize| {
        let posts: Vec<Value> = (0..count)
            .map(|n| json!({"type": "A", "name": format!("n{n}"), "content": "192.0.2.1"}))
            .collect();
        json!({"posts": posts})
    };
    let mut free = Site::new();
    let reply = batch(&mut free, &posts(201));
    assert_eq!((reply.status, codes(&reply)), (400, vec![1101]));
    assert!(free.contents().is_empty());
    let reply = batch(&mut free, &posts(200));
    assert_eq!(reply.status, 200);
    let made = reply.value()["result"]["posts"].as_array().unwrap().len();
    assert_eq!((made, free.contents().len()), (200, 200));
    let mut pro = Site::with(NewZone { plan: Plan::Pro, ..NewZone::named("example.com") });
    assert_eq!(batch(&mut pro, &posts(201)).status, 200);
}

#[test]
fn two_records_cannot_swap_contents() {
    let mut site = Site::new();
    let one = site.made_a("x", "192.0.2.1");
    let two = site.made_a("x", "192.0.2.2");
    let swap = json!({"patches": [{"id": one, "content": "192.0.2.2"}, {"id": two, "content": "192.0.2.1"}]});
    assert_eq!(codes(&batch(&mut site, &swap)), [81_058]);
    let same = json!({"patches": [{"id": one, "content": "192.0.2.7"}, {"id": two, "content": "192.0.2.7"}]});
    assert_eq!(codes(&batch(&mut site, &same)), [81_058]);
}

#[test]
fn an_alias_gives_way_to_an_address_within_one_batch() {
    let mut site = Site::new();
    let alias = id(&site.made(&json!({"type": "CNAME", "name": "x", "content": "example.net"})));
    let turn =
        json!({"deletes": [{"id": alias}], "posts": [{"type": "A", "name": "x", "content": "192.0.2.1"}]});
    assert_eq!(batch(&mut site, &turn).status, 200);
}

#[test]
fn a_full_zone_has_room_for_what_the_same_batch_deletes() {
    let mut site = Site::new();
    site.world.zone_mut("example.com").unwrap().quota = 1;
    let one = site.made_a("one", "192.0.2.1");
    let post = json!({"type": "A", "name": "two", "content": "192.0.2.2"});
    assert_eq!(codes(&batch(&mut site, &json!({"posts": [post]}))), [81_045]);
    let turn = json!({"deletes": [{"id": one}], "posts": [post]});
    assert_eq!(batch(&mut site, &turn).status, 200);
}

proptest! {
    /// Whatever a batch asks for, either all of it is there afterwards or nothing has changed.
    #[test]
    fn a_batch_is_all_or_nothing(operations in prop::collection::vec((0..4_u8, 0..6_usize, 0..6_u8), 0..12)) {
        let mut site = Site::new();
        let ids: Vec<String> = (0..4).map(|n| site.made_a(&format!("n{n}"), "192.0.2.100")).collect();
        let mut body = json!({"deletes": [], "patches": [], "puts": [], "posts": []});
        for (what, which, address) in operations {
            let id = ids.get(which).cloned().unwrap_or_else(|| "0".repeat(32));
            let content = format!("192.0.2.{address}");
            let (array, entry) = match what {
                0 => ("deletes", json!({"id": id})),
                1 => ("patches", json!({"id": id, "content": content})),
                2 => ("puts", json!({"id": id, "type": "A", "name": format!("n{which}"), "content": content})),
                _ => ("posts", json!({"type": "A", "name": format!("n{which}"), "content": content})),
            };
            body[array].as_array_mut().unwrap().push(entry);
        }
        let before = site.world.records(&site.zone);
        let reply = batch(&mut site, &body);
        if reply.status == 200 {
            let answer = reply.value();
            for array in ["deletes", "patches", "puts", "posts"] {
                let asked = body[array].as_array().unwrap().len();
                prop_assert_eq!(answer["result"][array].as_array().unwrap().len(), asked);
            }
            let gone = body["deletes"].as_array().unwrap().len();
            let new = body["posts"].as_array().unwrap().len();
            prop_assert_eq!(site.contents().len(), 4 - gone + new);
        } else {
            prop_assert_eq!(codes(&reply).len(), 1);
            prop_assert_eq!(site.world.records(&site.zone), before);
        }
    }
}
