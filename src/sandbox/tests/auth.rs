//! Credentials, permissions, verification and the rate limit.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Site, codes, strings};
use crate::sandbox::{Access, NewZone, Owner, Reply, Token, TokenState};

fn answer(reply: &Reply) -> (u16, Vec<i64>) {
    (reply.status, codes(reply))
}

/// A world with one token, `good`, that edits everything.
fn guarded() -> Site {
    let mut site = Site::new();
    site.world.auth.tokens.push(Token::editing("good"));
    site.token("good");
    site
}

fn records_path(site: &Site) -> String {
    format!("/zones/{}/dns_records", site.zone)
}

#[test]
fn one_bad_token_gets_a_different_answer_on_each_endpoint() {
    let mut site = guarded();
    let records = records_path(&site);
    site.token("wrong");
    assert_eq!(answer(&site.get("/zones")), (403, vec![9109]));
    assert_eq!(answer(&site.get(&records)), (401, vec![10_000]));
    assert_eq!(answer(&site.get("/user/tokens/verify")), (401, vec![1000]));
    let account = format!("/accounts/{}/tokens/verify", "0".repeat(32));
    assert_eq!(answer(&site.get(&account)), (401, vec![1000]));
    site.world.quirks.unknown_token_status = 403;
    assert_eq!(answer(&site.get(&records)), (403, vec![10_000]));
}

#[test]
fn malformed_credentials_are_told_in_a_chain() {
    let mut site = guarded();
    let old_key = "0123456789abcdef0123456789abcdef01234";
    for bad in [
        "Bearer",
        "Bearer two words",
        "Bearer \"good\"",
        "good",
        "Bearer Bearer good",
        &format!("Bearer {old_key}"),
        "Bearer cfk_x",
    ] {
        site.header("authorization", bad);
        assert_eq!(answer(&site.get("/zones")), (400, vec![6003, 6111]), "{bad}");
    }
    site.header("authorization", "");
    assert_eq!(answer(&site.get("/zones")), (400, vec![9106]));
    assert_eq!(answer(&site.get("/user/tokens/verify")), (400, vec![1001]));
    site.header("x-auth-key", old_key);
    assert_eq!(answer(&site.get("/zones")), (400, vec![9106]));
    site.header("x-auth-email", "nobody");
    assert_eq!(answer(&site.get("/zones")), (400, vec![6003, 6102]));
    site.header("x-auth-email", "nobody@example.com");
    assert_eq!(answer(&site.get("/zones")), (403, vec![9103]));
    assert_eq!(answer(&site.get("/user/tokens/verify")), (400, vec![1001]));
    site.header("x-auth-key", "good");
    assert_eq!(answer(&site.get("/zones")), (400, vec![6003, 6103]));
    site.header("x-auth-key", old_key);
    site.world.auth.tokens.clear();
    assert_eq!(site.get("/zones").status, 200);
}

#[test]
fn routing_comes_before_authentication() {
    let mut site = guarded();
    site.header("authorization", "");
    let zone = site.zone.clone();
    for bad in [
        "/zones/example.com",
        "/zones//dns_records",
        "/zones/0123/dns_records",
        &format!("/zones/{}/dns_records", zone.to_uppercase()),
        &format!("/zones/{zone}/dns_records/x"),
        "/nonsense",
        "/",
    ] {
        assert_eq!(answer(&site.get(bad)), (400, vec![7003, 7000]), "{bad}");
    }
    let text = site.get("/zones/example.com?x=1").value()["errors"][0]["message"].clone();
    assert_eq!(
        text,
        "Could not route to /client/v4/zones/example.com, perhaps your object identifier is invalid?"
    );
    assert_eq!(answer(&site.call("PUT", "/zones", &Value::Null)), (400, vec![7001]));
    assert_eq!(site.get("/ips").value()["result"]["ipv4_cidrs"].as_array().unwrap().len(), 15);
}

#[test]
fn a_token_does_what_its_permissions_say() {
    let mut site = guarded();
    let records = records_path(&site);
    let zone = format!("/zones/{}", site.zone);
    let post = json!({"type": "A", "name": "x", "content": "192.0.2.1"});
    // dns, zone read: status of listing zones, one zone, listing records, writing.
    for (dns, zone_read, expected) in [
        (Access::Edit, false, [200, 200, 200, 200]),
        (Access::Edit, true, [200, 200, 200, 400]),
        (Access::Read, false, [403, 403, 200, 403]),
        (Access::Read, true, [200, 200, 200, 403]),
        (Access::None, true, [200, 200, 403, 403]),
        (Access::None, false, [403, 403, 403, 403]),
    ] {
        let token = site.world.auth.token_mut("good").unwrap();
        (token.dns, token.zone_read) = (dns, zone_read);
        let statuses = [
            site.get("/zones").status,
            site.get(&zone).status,
            site.get(&records).status,
            site.call("POST", &records, &post).status,
        ];
        assert_eq!(statuses, expected, "{dns:?} {zone_read}");
    }
    assert_eq!(answer(&site.get("/zones")), (403, vec![9109]));
    assert_eq!(answer(&site.get(&records)), (403, vec![10_000]));
    let token = site.world.auth.token_mut("good").unwrap();
    token.dns = Access::Edit;
    site.world.quirks.dns_edit_lists_zones = false;
    assert_eq!(site.get("/zones").status, 403);
}

#[test]
fn a_zone_tells_what_the_caller_may_do_in_it() {
    let mut site = guarded();
    let zone = format!("/zones/{}", site.zone);
    let permissions = |site: &mut Site| site.get(&zone).value()["result"]["permissions"].clone();
    assert_eq!(permissions(&mut site), json!(["#dns_records:edit", "#dns_records:read"]));
    let token = site.world.auth.token_mut("good").unwrap();
    (token.dns, token.zone_read) = (Access::Read, true);
    assert_eq!(permissions(&mut site), json!(["#dns_records:read", "#zone:read"]));
}

#[test]
fn a_token_for_one_zone_sees_no_other_and_is_not_told_why() {
    let mut site = guarded();
    let other = site.world.add_zone(NewZone::named("example.net"));
    site.world.auth.token_mut("good").unwrap().zones = Some(vec![site.zone.clone()]);
    let listed = site.get("/zones").value();
    assert_eq!(strings(&listed["result"], "name"), ["example.com"]);
    let absent = site.get("/zones?name=example.net");
    assert_eq!((absent.status, &absent.value()["result"]), (200, &json!([])));
    for id in [other, "f".repeat(32)] {
        let zone = format!("/zones/{id}");
        assert_eq!(answer(&site.get(&zone)), (403, vec![9109]));
        assert_eq!(answer(&site.get(&format!("{zone}/dns_records"))), (403, vec![10_000]));
    }
}

#[test]
fn verification_says_ten_thousand_for_a_good_token_and_knows_its_own_kind_only() {
    let mut site = guarded();
    let reply = site.get("/user/tokens/verify").value();
    assert_eq!(reply["result"]["status"], "active");
    assert_eq!(
        reply["messages"],
        json!([{"code": 10_000, "message": "This API Token is valid and active", "type": null}])
    );
    let account = site.world.zones()[0].account.id.clone();
    let verify = format!("/accounts/{account}/tokens/verify");
    assert_eq!(answer(&site.get(&verify)), (401, vec![1000]));
    site.world.auth.tokens.push(Token { owner: Owner::Account(account), ..Token::editing("owned") });
    site.token("owned");
    assert_eq!(answer(&site.get("/user/tokens/verify")), (401, vec![1000]));
    assert_eq!(site.get(&verify).value()["result"]["status"], "active");
    let elsewhere = format!("/accounts/{}/tokens/verify", "f".repeat(32));
    assert_eq!(answer(&site.get(&elsewhere)), (401, vec![1000]));
    assert_eq!(strings(&site.get("/zones").value()["result"], "name"), ["example.com"]);
    site.world.add_zone(NewZone { account: "Second".to_owned(), ..NewZone::named("example.net") });
    assert_eq!(strings(&site.get("/zones").value()["result"], "name"), ["example.com"]);
}

#[test]
fn a_token_that_no_longer_works_is_unknown_everywhere_but_to_verification() {
    let mut site = guarded();
    for (state, word) in [(TokenState::Disabled, "disabled"), (TokenState::Expired, "expired")] {
        site.world.auth.token_mut("good").unwrap().state = state;
        assert_eq!(answer(&site.get("/zones")), (403, vec![9109]));
        let verified = site.get("/user/tokens/verify");
        assert_eq!((verified.status, &verified.value()["result"]["status"]), (200, &json!(word)));
    }
    site.world.quirks.verify_hides_inactive = true;
    assert_eq!(answer(&site.get("/user/tokens/verify")), (401, vec![1000]));
    let token = site.world.auth.token_mut("good").unwrap();
    token.state = TokenState::Active;
    token.expires = Some(site.now + Duration::from_secs(60));
    let verified = site.get("/user/tokens/verify").value();
    assert!(verified["result"]["expires_on"].as_str().unwrap().starts_with("2026-01-01T00:01"));
    site.now += Duration::from_secs(60);
    assert_eq!(site.get("/zones").status, 403);
    site.world.auth.token_mut("good").unwrap().state = TokenState::Revoked;
    site.world.quirks.verify_hides_inactive = false;
    assert_eq!(answer(&site.get("/user/tokens/verify")), (401, vec![1000]));
}

#[test]
fn a_client_address_filter_names_the_address_that_it_refuses() {
    let mut site = guarded();
    let v4 = site.world.addresses.get(crate::engine::names::Family::V4).unwrap();
    site.world.auth.token_mut("good").unwrap().client_addresses = vec![v4.into()];
    assert_eq!(site.get("/zones").status, 200);
    let moved = "203.0.113.255".parse().unwrap();
    site.world.addresses.change(crate::engine::names::Family::V4, Some(moved));
    let reply = site.get("/zones");
    assert_eq!(answer(&reply), (403, vec![9109]));
    let text = reply.value()["errors"][0]["message"].clone();
    assert_eq!(text, "Cannot use the access token from location: 203.0.113.255");
    site.over = crate::engine::names::Family::V6;
    assert_eq!(site.get("/zones").status, 403);
}

#[test]
fn too_many_bad_credentials_are_told_so_where_that_is_switched_on() {
    let mut site = guarded();
    site.world.quirks.auth_failures = Some(3);
    site.token("wrong");
    for _ in 0..3 {
        assert!(site.get("/zones").value().to_string().contains("Invalid access token"));
    }
    assert!(site.get("/zones").value().to_string().contains("Max auth failures"));
    site.now += Duration::from_secs(301);
    assert!(site.get("/zones").value().to_string().contains("Invalid access token"));
}

#[test]
fn every_answer_says_what_is_left_and_the_request_too_many_blocks_for_five_minutes() {
    let mut site = guarded();
    site.world.auth.tokens.push(Token::editing("another"));
    let first = site.get("/zones");
    assert_eq!(first.header("ratelimit"), Some("\"default\";r=1199;t=300"));
    assert_eq!(first.header("ratelimit-policy"), Some("\"default\";q=1200;w=300"));
    assert_eq!(first.header("retry-after"), None);
    assert_eq!(first.header("cf-ray").unwrap().len(), "0123456789abcdef-SBX".len());
    assert_eq!(first.header("cf-cache-status"), Some("DYNAMIC"));
    // Tokens of one user share the limit, and so does their dashboard.
    site.token("another");
    assert_eq!(site.get("/zones/x").header("ratelimit"), Some("\"default\";r=1200;t=300"));
    assert!(site.get("/zones").header("ratelimit").unwrap().contains("r=1198"));
    site.world.spend("user@example.com", 1_197);
    assert_eq!(site.get("/zones").status, 200);
    let blocked = site.get("/zones");
    assert_eq!(answer(&blocked), (429, vec![971]));
    assert_eq!(blocked.header("retry-after"), Some("300"));
    assert!(blocked.header("ratelimit").unwrap().starts_with("\"default\";r=0;"));
    site.now += Duration::from_secs(299);
    let blocked = site.get("/zones");
    assert_eq!((blocked.status, blocked.header("retry-after")), (429, Some("1")));
    site.now += Duration::from_secs(1);
    let free = site.get("/zones");
    assert_eq!(free.status, 200);
    assert_eq!(free.header("ratelimit"), Some("\"default\";r=1199;t=300"));
}

#[test]
fn refused_requests_count_too() {
    let mut site = guarded();
    site.world.auth.token_mut("good").unwrap().dns = Access::None;
    let first = site.get("/zones");
    assert_eq!((first.status, first.header("ratelimit")), (403, Some("\"default\";r=1199;t=300")));
    let second = site.get("/zones");
    assert!(second.header("ratelimit").unwrap().contains("r=1198"));
    assert_eq!(site.world.total(), 2);
    assert_eq!(site.world.seen()[1].status, 403);
}
