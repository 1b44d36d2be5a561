//! Every row of the table, by answers as Cloudflare, its edge and proxies on the way really give them.

use super::*;
use crate::cloudflare::wire::{HttpAnswer, decode};
use crate::engine::api::{Answer, Batch};
use crate::engine::names::ZoneId;

const ZONE: &str = "023e105f4ecef8ad9ca31a8372d0c353";

fn zone() -> ZoneId {
    ZoneId::parse(ZONE).unwrap()
}

fn zones() -> Request {
    Request::Zones { page: 1, name: None }
}

fn records() -> Request {
    Request::Records { zone: zone(), name: None, page: 1, per_page: 100 }
}

fn batch() -> Request {
    Request::Batch { zone: zone(), batch: Batch::default() }
}

fn answered(request: &Request, status: u16, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    let http = HttpAnswer { status, headers: headers.iter().map(own).collect(), body, took: Duration::ZERO };
    decode(request, &http)
}

fn fails(request: &Request, status: u16, headers: &[(&str, &str)], body: &[u8]) -> Failure {
    answered(request, status, headers, body).outcome.unwrap_err()
}

/// The classes of one answer to a list of zones, a verification, a zone, its records, and a batch.
fn classes(status: u16, body: &str) -> [Class; 5] {
    [zones(), Request::Verify(None), Request::Zone(zone()), records(), batch()]
        .map(|request| fails(&request, status, &[], body.as_bytes()).class)
}

fn refusal(errors: &str) -> String {
    format!(r#"{{"result":null,"success":false,"errors":[{errors}],"messages":[]}}"#)
}

fn error(code: i64, message: &str) -> String {
    let message = message.replace('"', "\\\"");
    format!(r#"{{"code":{code},"message":"{message}"}}"#)
}

fn one(code: i64, message: &str) -> String {
    refusal(&error(code, message))
}

fn chained(code: i64, message: &str, below: (i64, &str)) -> String {
    let below = error(below.0, below.1);
    refusal(&format!(r#"{{"code":{code},"message":"{message}","error_chain":[{below}]}}"#))
}

/// The same for all five requests.
fn always(class: Class) -> [Class; 5] {
    [class; 5]
}

/// Reads in general, reads of a zone, batches.
fn by_kind(account: Class, zone: Class, batch: Class) -> [Class; 5] {
    [account, account, zone, zone, batch]
}

fn nothing_certain() -> [Class; 5] {
    by_kind(Class::NotSent, Class::NotSent, Class::Unsure)
}

#[test]
fn a_credential_that_is_no_good_is_no_good_anywhere() {
    let answers = [
        (403, one(9109, "Invalid access token")),
        (400, chained(6003, "Invalid request headers", (6111, "Invalid format for Authorization header"))),
        (400, chained(6003, "Invalid request headers", (6103, "Invalid format for X-Auth-Key header"))),
        (400, chained(6003, "Invalid request headers", (6102, "Invalid format for X-Auth-Email header"))),
        (400, one(6003, "Invalid request headers")),
        (400, one(9106, "Authentication failed (status: 400)")),
        (400, one(9106, "Missing X-Auth-Key, X-Auth-Email or Authorization headers")),
        (403, one(9103, "Unknown X-Auth-Key or X-Auth-Email")),
        (403, one(9109, "Max auth failures reached, please check your Authorization header")),
        (403, one(9109, "Cannot use the access token from location: 203.0.113.7")),
        (401, one(1000, "Invalid API Token")),
        (400, one(1001, "Missing \"Authorization\" header")),
        (200, one(9109, "Invalid access token")),
    ];
    for (status, body) in answers {
        assert_eq!(classes(status, &body), always(Class::Credential), "{body}");
    }
}

#[test]
fn a_refusal_at_a_zone_may_be_the_zones_permission() {
    let answers = [
        (403, one(10_000, "Authentication error")),
        (401, one(10_000, "Authentication error")),
        (400, one(10_000, "Authentication error")),
        (200, one(10_000, "Authentication error")),
        (403, one(0, "Actor 'x' requires permission 'com.cloudflare.api.account.zone.list' to list zones")),
        (403, one(10_000, "Forbidden")),
        (403, one(424_242, "something new")),
        (401, refusal("")),
        (403, r#"{"success":false}"#.to_owned()),
    ];
    for (status, body) in answers {
        let zone = if status >= 401 { Class::Forbidden } else { Class::Zone };
        assert_eq!(classes(status, &body), by_kind(Class::Credential, zone, zone), "{status} {body}");
    }
    let known = one(9109, "Unauthorized to access requested resource");
    assert_eq!(classes(403, &known), by_kind(Class::Search, Class::Forbidden, Class::Forbidden));
}

#[test]
fn a_permission_outranks_what_else_is_said() {
    let both = refusal(&format!(
        "{},{}",
        error(81_044, "Record does not exist."),
        error(10_000, "Authentication error")
    ));
    assert_eq!(fails(&batch(), 403, &[], both.as_bytes()).class, Class::Forbidden);
}

#[test]
fn a_zone_that_is_not_there_is_the_zones_failure() {
    let route = "Could not route to /client/v4/zones/example.com, perhaps your object identifier is invalid?";
    let answers = [
        (400, one(7003, route)),
        (404, one(7003, route)),
        (404, one(7000, "No route for that URI")),
        (400, refusal(&format!("{},{}", error(7003, route), error(7000, "No route for that URI")))),
        (404, one(1551, "Could not find it")),
        (404, refusal("")),
    ];
    for (status, body) in answers {
        let expected = by_kind(Class::NotSent, Class::ZoneGone, Class::ZoneGone);
        assert_eq!(classes(status, &body), expected, "{status} {body}");
    }
    let not_one = one(1001, "Invalid zone identifier");
    assert_eq!(classes(400, &not_one), by_kind(Class::NotSent, Class::Zone, Class::Zone));
}

#[test]
fn codes_that_contradict_our_copy_ask_for_a_fresh_list() {
    let answers = [
        (404, one(81_044, "Record does not exist.")),
        (400, one(81_044, "Record does not exist.")),
        (200, one(81_044, "Record does not exist.")),
        (400, one(81_053, "An A, AAAA, or CNAME record with that host already exists.")),
        (400, one(81_054, "A CNAME record with that host already exists.")),
        (400, one(81_057, "The record already exists.")),
        (400, one(81_058, "An identical record already exists.")),
        (409, one(81_058, "An identical record already exists.")),
        (400, chained(1004, "DNS Validation Error", (81_057, "Record already exists."))),
        (400, one(1002, "Invalid dns record identifier")),
    ];
    for (status, body) in answers {
        let class = fails(&batch(), status, &[], body.as_bytes()).class;
        let expected = if status == 409 { Class::Unsure } else { Class::CopyWrong };
        assert_eq!(class, expected, "{status} {body}");
    }
}

#[test]
fn content_that_is_refused_is_the_batchs_failure() {
    let answers = [
        (400, one(9005, "Content for A record must be a valid IPv4 address.")),
        (400, one(9003, "Target 10.0.0.1 is not allowed for a proxied record.")),
        (
            400,
            chained(
                1004,
                "DNS Validation Error",
                (9021, "Invalid TTL. Must be between 60 and 86,400 seconds, or 1 for automatic"),
            ),
        ),
        (400, chained(1004, "DNS Validation Error", (9041, "This DNS record cannot be proxied"))),
        (400, one(81_056, "NS records with that host already exist.")),
        (400, one(81_062, "This record is managed by another product.")),
        (400, one(89_018, "A non-glue record lies beneath a delegated child zone.")),
        (400, one(9300, "DNS record has 1 tags, exceeding the quota of 0.")),
        (400, one(9207, "Request body is invalid.")),
        (400, chained(6003, "Invalid request headers", (6105, "Invalid Content-Type header"))),
        (200, one(9006, "Content for AAAA record must be a valid IPv6 address.")),
        (422, one(1101, "request was invalid")),
        (413, refusal("")),
        (405, one(10_405, "Method not allowed")),
        (415, refusal("")),
    ];
    for (status, body) in answers {
        assert_eq!(
            classes(status, &body),
            by_kind(Class::NotSent, Class::Zone, Class::Content),
            "{status} {body}"
        );
    }
    let full = one(81_045, "The record quota has been exceeded.");
    assert_eq!(classes(400, &full), by_kind(Class::NotSent, Class::Zone, Class::ZoneFull));
    for status in [405, 413, 415] {
        let expected = by_kind(Class::NotSent, Class::NotSent, Class::Content);
        assert_eq!(classes(status, "<html>no</html>"), expected);
    }
}

#[test]
fn codes_are_found_at_any_depth_and_told_outermost_first() {
    let deep = r#"{"success":false,"errors":[{"error_chain":[{"code":1101,"message":"b",
        "error_chain":[{"code":81058,"message":"c","error_chain":null},{"code":7,"message":"d"}]}],
        "code":1004,"message":"a","source":{"pointer":"/posts/0"}},{"code":5,"message":"e"}]}"#;
    let failure = fails(&batch(), 400, &[], deep.as_bytes());
    assert_eq!(failure.class, Class::CopyWrong);
    assert_eq!(failure.said, "a (1004): b (1101): c (81058): d (7): e (5) [HTTP 400]");
    assert_eq!(*failure.sort, [1004, 1101, 81_058, 7, 5]);
}

#[test]
fn errors_of_odd_forms_are_read_all_the_same() {
    for (errors, said) in [
        (r#"["plain words"]"#, "plain words"),
        (r#""plain words""#, "plain words"),
        (r#"{"code":9005,"message":"x"}"#, "x (9005)"),
        (r#"[{"code":"9005","message":"x\u001b[0m\nforged"}]"#, "x [0m forged (9005)"),
        (r#"[{"code":null}]"#, "no message"),
        (r#"[{"code":9005,"message":{"a":1},"error_chain":7}]"#, "no message (9005)"),
        (r#"[null,7,{"code":9005,"message":"x"}]"#, "x (9005)"),
    ] {
        let body = format!(r#"{{"success":false,"errors":{errors}}}"#);
        let failure = fails(&batch(), 400, &[], body.as_bytes());
        assert_eq!(failure.said, format!("{said} [HTTP 400]"));
        assert_eq!(failure.class, Class::Content);
    }
    let many = refusal(&vec![error(1, "x"); 500].join(","));
    assert_eq!(fails(&batch(), 400, &[], many.as_bytes()).sort.len(), 20);
}

#[test]
fn too_many_requests_hold_everything() {
    let busy = one(971, "Please wait and consider throttling your request speed");
    let unsaid = always(Class::Throttled);
    assert_eq!(classes(429, &busy), unsaid);
    assert_eq!(classes(429, "<html><title>429</title></html>"), unsaid);
    assert_eq!(classes(429, ""), unsaid);
    assert_eq!(classes(429, r#"{"success":true,"result":[]}"#), unsaid);
    assert_eq!(classes(429, "error code: 1015"), unsaid);
    assert_eq!(classes(403, "error code: 1015"), unsaid);
    assert_eq!(classes(400, &busy), unsaid);
    assert_eq!(classes(200, &one(10_100, "More than 1200 requests per 300 seconds reached")), unsaid);
    assert_eq!(classes(400, &one(10_300, "More than 1200 requests per 300 seconds reached")), unsaid);
    assert_eq!(classes(403, &one(10_429, "Rate limited")), unsaid);
    let waits = [
        ("30", Some(30)),
        ("Mon, 23 Nov 2026 10:01:00 GMT", Some(60)),
        ("999999999", Some(3_600)),
        ("soon", None),
    ];
    for (value, seconds) in waits {
        let headers = [("Date", "Mon, 23 Nov 2026 10:00:00 GMT"), ("Retry-After", value)];
        let answer = answered(&batch(), 429, &headers, busy.as_bytes());
        assert_eq!(answer.retry_after, seconds.map(Duration::from_secs), "{value}");
        assert_eq!(answer.outcome.unwrap_err().class, Class::Throttled, "{value}");
    }
}

#[test]
fn an_outage_leaves_a_write_unsure_and_a_read_to_repeat() {
    let page = "<html>\n<head><title>502 Bad Gateway</title></head><body><center><h1>502 Bad Gateway</h1></center><hr><center>cloudflare-lb</center></body></html>";
    let bodies = [
        page,
        "error code: 502",
        "",
        "{\"success\":fal",
        &one(10_000, "Authentication error"),
        &one(81_058, "An identical record already exists."),
        r#"{"success":true,"result":[]}"#,
        "null",
        "[]",
    ];
    for status in [408, 409, 425, 500, 502, 503, 504, 520, 521, 522, 523, 524, 525, 526, 527, 530, 599] {
        for body in bodies {
            assert_eq!(classes(status, body), nothing_certain(), "{status} {body}");
        }
    }
    let failure = fails(&batch(), 502, &[("cf-ray", "8f2a1b3c4d5e6f70-FRA")], page.as_bytes());
    assert_eq!(
        failure.to_string(),
        "the answer is not the API's: 502 Bad Gateway [HTTP 502, cf-ray 8f2a1b3c4d5e6f70-FRA]"
    );
}

#[test]
fn a_success_that_is_not_the_apis_is_none() {
    for body in [
        "<html><title>Log in to Hotel</title></html>",
        "",
        "   ",
        "ok",
        "null",
        "[]",
        "{}",
        "{\"result\":[]}",
        "{\"success\":\"true\",\"result\":[]}",
        "{\"success\":true,\"result\":[",
        "{\"success\":true}",
        "\u{feff}{}",
    ] {
        assert_eq!(classes(200, body), nothing_certain(), "{body}");
    }
    assert_eq!(classes(204, ""), nothing_certain());
    assert_eq!(classes(200, &refusal("")), nothing_certain(), "no reason is no reason");
    assert_eq!(
        classes(200, r#"{"success":true,"errors":[],"messages":[],"result":null}"#),
        nothing_certain()
    );
}

#[test]
fn an_answer_that_contradicts_itself_concludes_nothing() {
    for status in [400, 401, 403, 404] {
        assert_eq!(classes(status, r#"{"success":true,"result":[]}"#), nothing_certain());
    }
    for status in [400, 401, 403, 404, 451] {
        assert_eq!(classes(status, "<html><title>Just a moment...</title></html>"), nothing_certain());
        assert_eq!(classes(status, "error code: 1020"), nothing_certain());
        assert_eq!(classes(status, ""), nothing_certain());
    }
}

#[test]
fn a_redirect_is_told_and_not_followed() {
    for status in [301, 302, 303, 307, 308] {
        let location = [("Location", "https://portal.example/login?back=https://api.cloudflare.com")];
        let failure = fails(&batch(), status, &location, b"<html>Moved</html>");
        assert_eq!(failure.class, Class::Unsure);
        assert!(failure.said.contains("portal.example") && !failure.said.contains("login"), "{failure}");
        assert_eq!(fails(&records(), status, &location, b"").class, Class::NotSent);
    }
    assert_eq!(classes(304, ""), nothing_certain());
    assert_eq!(classes(101, ""), nothing_certain());
}

#[test]
fn what_is_wrong_with_a_body_is_said() {
    let said = |body: &[u8]| {
        let said = fails(&records(), 200, &[], body).said;
        said.strip_suffix(" [HTTP 200]").unwrap().to_owned()
    };
    assert_eq!(said(b"{\"success\":true,\"result\":[{\"id\":"), "the answer is cut off after 32 bytes");
    assert_eq!(said(b""), "the answer is empty");
    assert!(said(b"error code: 1010").contains("signature"));
    assert!(said(b"{\"hello\":1}").contains("hello"));
    assert!(said(b"{\"success\":true,\"result\":null}").starts_with("the answer cannot be used"));
    let latin = b"{\"success\":true,\"result\":[{\"type\":\"A\",\"name\":\"caf\xe9.example.com\"}]}";
    assert!(said(latin).starts_with("the answer is not the API's: {"), "{}", said(latin));
    let utf16: Vec<u8> = "{\"success\":true}".encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert!(said(&utf16).contains("no text"));
    assert!(said(b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xab\xe6").contains("no text"));
    let nothing = fails(&records(), 403, &[], refusal("").as_bytes());
    assert_eq!(nothing.said, "Cloudflare gave no reason [HTTP 403]");
}

#[test]
fn a_reason_is_told_wherever_it_stands() {
    let said = |rest: &str| {
        fails(&records(), 403, &[], format!(r#"{{"success":false,{rest}}}"#).as_bytes()).to_string()
    };
    for rest in [
        r#""error":"no such thing.""#,
        r#""error":{"code":7,"message":"no such thing"}"#,
        r#""errors":[],"message":"no such thing""#,
        r#""errors":null,"messages":["no such thing"]"#,
        r#""messages":[{"code":10000,"message":"no such thing","type":null}]"#,
    ] {
        assert_eq!(said(rest), "no such thing [HTTP 403]", "{rest}");
    }
    assert_eq!(said(r#""messages":["one","two."]"#), "one; two [HTTP 403]");
    assert_eq!(
        said(r#""errors":[{"code":9109,"message":"three"}],"messages":["one"]"#),
        "three (9109) [HTTP 403]"
    );
    assert_eq!(said(r#""errors":["in words alone"]"#), "in words alone [HTTP 403]");
    for body in [r#"{"error":"no\u001b such thing"}"#, r#"{"message":"no such thing","status":404}"#] {
        assert_eq!(
            fails(&records(), 404, &[], body.as_bytes()).said,
            "the answer is not the API's: no such thing [HTTP 404]"
        );
    }
}

#[test]
fn where_cloudflare_explains_a_refusal_is_told() {
    let at =
        |url: &str| refusal(&format!(r#"{{"code":10000,"message":"Forbidden","documentation_url":{url}}}"#));
    let said = |url: &str| fails(&batch(), 403, &[("cf-ray", "8f2a-FRA")], at(url).as_bytes());
    let told = said(r#""https://developers.cloudflare.com/fundamentals/api/troubleshooting/""#);
    assert_eq!(
        told.to_string(),
        "Forbidden (10000); see https://developers.cloudflare.com/fundamentals/api/troubleshooting/ [HTTP 403, cf-ray 8f2a-FRA]"
    );
    assert_eq!(told.class, Class::Forbidden);
    for none in ["null", "7", r#""javascript:alert(1)""#] {
        assert_eq!(said(none).said, "Forbidden (10000) [HTTP 403, cf-ray 8f2a-FRA]", "{none}");
    }
}

#[test]
fn a_problem_of_the_edge_is_told_by_its_title_and_its_wait_is_kept() {
    let problem = |code: u32, title: &str, status: u16, wait: &str| {
        let body = format!(
            r#"{{"type":"https://developers.cloudflare.com/support/","title":"{title}","status":{status},"detail":"long",
            "instance":"8f2a","error_code":{code},"cloudflare_error":true,"retryable":true{wait}}}"#
        );
        let headers = [("content-type", "application/problem+json"), ("retry-after", "20")];
        let answer = answered(&batch(), status, &headers, body.as_bytes());
        (answer.retry_after.unwrap().as_secs(), answer.outcome.unwrap_err())
    };
    let (wait, failure) = problem(502, "Bad gateway", 502, r#","retry_after":60"#);
    assert_eq!((wait, failure.class), (60, Class::Unsure));
    assert_eq!(failure.to_string(), "Cloudflare's edge says: Bad gateway, error 502 [HTTP 502]");
    let (wait, failure) =
        problem(1015, "Error 1015: You are being rate limited", 429, r#","retry_after":"30""#);
    assert_eq!((wait, failure.class), (30, Class::Throttled));
    assert_eq!(
        failure.said,
        "Cloudflare's edge limits the rate of requests from here (Error 1015: You are being rate limited) [HTTP 429]"
    );
    // The edge's 1000 and 9109 are not the API's.
    let (wait, failure) = problem(1000, "DNS points to prohibited IP", 403, "");
    assert_eq!((wait, failure.class, &*failure.sort), (20, Class::Unsure, &[][..]));
    assert_eq!(problem(1015, "x", 403, r#","retry_after":99999999"#).0, 3_600);
    assert_eq!(problem(520, "x", 520, r#","retry_after":-1"#).0, 20);
    assert_eq!(problem(520, "x", 520, r#","retry_after":{"a":1}"#).0, 20);
}

#[test]
fn a_wait_is_kept_of_whatever_answer() {
    let list = br#"{"success":true,"result":[]}"#;
    for (status, body) in
        [(200, &list[..]), (500, b"<html>"), (503, b""), (403, b"{}"), (302, b""), (524, b"x")]
    {
        let answer = answered(&records(), status, &[("retry-after", "60")], body);
        assert_eq!(answer.retry_after, Some(Duration::from_secs(60)), "{status}");
    }
}

fn remedy_of(class: Class, status: u16, code: i64, message: &str) -> Option<&'static str> {
    let errors = vec![ApiError { code, message: message.to_owned() }];
    Refusal { status: Some(status), errors, ..Refusal::default() }.failure(class).remedy
}

fn remedy(class: Class, code: i64) -> Option<&'static str> {
    remedy_of(class, 400, code, "x")
}

fn unanswered(class: Class, said: &str) -> Option<&'static str> {
    Refusal { detail: said.to_owned(), ..Refusal::default() }.failure(class).remedy
}

#[test]
fn what_blames_the_record_has_a_remedy() {
    for code in [
        9003, 9004, 9005, 9006, 9021, 9041, 9207, 9300, 9313, 1101, 81_045, 81_053, 81_054, 81_056, 81_062,
        89_018,
    ] {
        assert!(remedy(Class::Content, code).is_some(), "{code}");
    }
    assert!(remedy(Class::Content, 81_062).unwrap().contains("Workers"));
    for code in [81_056, 89_018] {
        assert!(remedy(Class::Content, code).unwrap().contains("never answered"), "{code}");
    }
    assert_eq!(remedy(Class::Content, 424_242), None, "nothing is made up");
}

#[test]
fn what_blames_the_copy_the_credential_or_the_pace_has_a_remedy() {
    for code in [1002, 81_044, 81_057, 81_058] {
        assert_eq!(remedy(Class::CopyWrong, code), Some(READS_AGAIN), "{code}");
    }
    for code in [971, 10_100, 10_300, 10_429] {
        assert_eq!(remedy(Class::Throttled, code), Some(TOO_MANY), "{code}");
    }
    assert_eq!(unanswered(Class::Throttled, "HTML"), Some(TOO_MANY));
    for code in [1000, 6003, 6102, 6103, 6105, 6111, 9103, 9106, 9109, 10_000] {
        assert!(remedy(Class::Credential, code).is_some(), "{code}");
    }
}

#[test]
fn a_zone_that_is_refused_may_be_no_zone_at_all() {
    for code in [7000, 7003] {
        assert_eq!(remedy(Class::Zone, code), Some(CHECK_ZONE_ID));
    }
    assert!(CHECK_ZONE_ID.contains("neither the Account ID"));
    assert_eq!(remedy_of(Class::Zone, 400, 1001, "Invalid zone identifier"), Some(CHECK_ZONE_ID));
    for (status, code) in [(403, 10_000), (403, 9109), (401, 10_000), (400, 10_000), (403, 0)] {
        let failure = fails(&records(), status, &[], one(code, "Forbidden").as_bytes());
        assert_eq!(failure.remedy, Some(PERMIT_ZONE), "{status} {code}");
    }
    let gone = fails(&records(), 404, &[], one(1551, "Could not find it").as_bytes());
    assert_eq!(gone.remedy, Some(ZONE_IS_GONE));
}

#[test]
fn words_tell_apart_what_one_code_can_mean_wherever_they_stand() {
    let filtered =
        remedy_of(Class::Zone, 403, 9109, "Cannot use the access token from location: 203.0.113.7");
    assert!(filtered.unwrap().contains("IP address filter"));
    assert_eq!(remedy_of(Class::Credential, 403, 9109, "Invalid access token"), Some(NEW_TOKEN));
    assert_eq!(unanswered(Class::Credential, "Invalid access token"), Some(NEW_TOKEN));
}

#[test]
fn the_permission_has_one_name() {
    for text in [CREATE_TOKEN, PERMIT_ZONE] {
        assert!(text.contains(" the permission Zone · DNS · Edit "), "{text}");
    }
}

#[test]
fn too_many_failed_log_ins_ask_for_a_longer_wait_than_other_refusals() {
    let wait = |message| fails(&records(), 403, &[], one(9109, message).as_bytes()).least_wait;
    assert_eq!(wait("Max auth failures reached, please check your Authorization header"), LOCKED_OUT);
    assert_eq!(wait("Invalid access token"), Duration::ZERO);
}

#[test]
fn the_attributes_that_an_answer_blames_are_told_apart() {
    let blamed = |code| fails(&batch(), 400, &[], one(code, "x").as_bytes()).blames;
    let told = [9003, 9004, 9041, 9021, 9313, 9300].map(|code| blamed(code).unwrap().to_string());
    assert_eq!(told, ["proxied", "proxied", "proxied", "ttl", "comment", "tags"]);
    for code in [9005, 9006, 81_045, 81_056, 81_062, 89_018] {
        assert_eq!(blamed(code), Some(Attributes::default()), "{code}");
    }
    assert_eq!(blamed(424_242), None);
}
