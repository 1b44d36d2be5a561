//! What the client and the simulated Cloudflare say to each other, held against Cloudflare's OpenAPI
//! document.
//!
//! The document is not ours and is not kept here: `$CLOUDFLARE_OPENAPI` names it, and without it these tests are
//! left out. It judges shapes; behaviour is judged beside the sandbox's code.

#![cfg(feature = "sandbox")]
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "all of this file is a test")]

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use jsonschema::{Draft, Validator};
use serde_json::{Value, json};
use stayput::cloudflare::wire;
use stayput::engine::api::{Batch, Patch, Post, Request};
use stayput::engine::names::{AccountId, Content, Family, Name, RecordId, Ttl, ZoneId};
use stayput::sandbox::{
    API_PATH, Access, HttpRequest, NewZone, Owner, Plan, Reply, Token, TokenState, World, WorldOptions,
};

#[test]
#[ignore = "needs $CLOUDFLARE_OPENAPI, the name of Cloudflare's OpenAPI document"]
fn every_answer_of_the_sandbox_has_the_shape_that_cloudflare_documents() {
    let contract = Contract::from_environment();
    let mut walk = Walk::default();
    walk.zones();
    walk.records();
    walk.refusals();
    walk.batches();
    walk.credentials();
    walk.faults();
    let mut seen = BTreeSet::new();
    for step in &walk.steps {
        let place = contract.judge_answer(step);
        seen.insert((place, step.reply.status));
    }
    println!("{} answers, {} places and statuses", walk.steps.len(), seen.len());
    assert!(walk.steps.len() >= 180, "only {} answers", walk.steps.len());
    assert!(seen.len() >= 58, "only {}: {seen:#?}", seen.len());
}

#[test]
#[ignore = "needs $CLOUDFLARE_OPENAPI, the name of Cloudflare's OpenAPI document"]
fn every_request_of_the_walk_that_is_accepted_is_one_that_cloudflare_documents() {
    let contract = Contract::from_environment();
    let mut walk = Walk::default();
    walk.zones();
    walk.records();
    walk.batches();
    let accepted: Vec<Sent> = walk
        .steps
        .iter()
        .filter(|step| step.reply.status == 200 && !step.lenient)
        .map(|step| step.sent.clone())
        .collect();
    assert!(accepted.len() >= 50, "only {} requests", accepted.len());
    for sent in &accepted {
        contract.judge_request(sent);
    }
}

#[test]
#[ignore = "needs $CLOUDFLARE_OPENAPI, the name of Cloudflare's OpenAPI document"]
fn every_request_of_the_client_is_one_that_cloudflare_documents_and_is_understood() {
    let contract = Contract::from_environment();
    let mut walk = Walk::default();
    let requests = client_requests(&mut walk);
    let mut places = BTreeSet::new();
    for request in &requests {
        let sent = Sent::from(wire::encode(request));
        contract.judge_request(&sent);
        places.insert(contract.operation(&sent).map(|(template, _)| template.to_owned()));
        let body = sent.body.clone().unwrap_or(Value::Null);
        walk.step(&sent.method, &sent.path, &body);
        let reply = &walk.steps[walk.steps.len() - 1].reply;
        let answer = wire::HttpAnswer {
            status: reply.status,
            headers: reply.headers.clone(),
            body: &reply.body,
            took: Duration::ZERO,
        };
        let answer = wire::decode(request, &answer);
        assert!(answer.outcome.is_ok(), "{request:?}: {:?}", answer.outcome);
        assert_eq!(answer.limits.len(), 1, "{request:?}");
    }
    assert_eq!(places.len(), 6, "{places:?}");
}

/// One of each kind of request, and batches with everything that can be in one.
fn client_requests(walk: &mut Walk) -> Vec<Request> {
    let a = |name: &str| json!({"type": "A", "name": name, "content": "192.0.2.1"});
    let ids: Vec<RecordId> = ["one", "two", "three"]
        .into_iter()
        .map(|name| RecordId::parse(&walk.made(&a(name))).unwrap())
        .collect();
    let name = |text: &str| Name::parse(text).unwrap();
    let zone = ZoneId::parse(&walk.zone).unwrap();
    let account = walk.world.zones()[0].account.id.clone();
    let bare = Patch {
        id: ids[1].clone(),
        name: name("two.example.com"),
        content: Content::A([192, 0, 2, 2].into()),
        proxied: None,
        ttl: None,
        comment: None,
        tags: None,
    };
    let full = Patch {
        id: ids[2].clone(),
        name: name("three.example.com"),
        proxied: Some(false),
        ttl: Some(Ttl::Seconds(300)),
        comment: Some("stayput".into()),
        tags: Some(vec!["a:b".into()]),
        ..bare.clone()
    };
    let post = |text: &str, content: &str, tags: &[&str]| Post {
        name: name(text),
        content: content.parse::<IpAddr>().unwrap().into(),
        proxied: !tags.is_empty(),
        ttl: Ttl::Auto,
        comment: "stayput".into(),
        tags: tags.iter().map(|tag| Box::from(*tag)).collect(),
    };
    let batch = Batch {
        deletes: vec![ids[0].clone()],
        patches: vec![bare, full],
        posts: vec![
            post("*.bücher.example.com", "192.0.2.9", &[]),
            post("_x.example.com", "2001:db8::9", &["a"]),
        ],
    };
    let records = |name, page, per_page| Request::Records { zone: zone.clone(), name, page, per_page };
    let zones = |name, page| Request::Zones { page, name };
    vec![
        zones(None, 1),
        zones(Some(name("bücher.example")), 2),
        Request::Zone(zone.clone()),
        records(None, 1, 5_000),
        records(Some(name("*.bücher.example.com")), 3, 1),
        Request::NameServers { zone: zone.clone(), page: 1, per_page: 5_000 },
        Request::Batch { zone: zone.clone(), batch },
        Request::Verify(None),
        Request::Verify(AccountId::parse(&account)),
    ]
}

#[test]
#[ignore = "needs $CLOUDFLARE_OPENAPI, the name of Cloudflare's OpenAPI document"]
fn the_judge_finds_what_is_wrong() {
    let contract = Contract::from_environment();
    let mut walk = Walk::default();
    let body = json!({"type": "A", "name": "x", "content": "192.0.2.1"});
    walk.on_records("POST", "", &body);
    let good = walk.steps.remove(0);
    assert_eq!(contract.faults_of_answer(&good), Vec::<String>::new());
    for (field, value) in [
        ("id", json!("not hexadecimal")),
        ("ttl", json!("300")),
        ("created_on", json!("yesterday")),
        ("content", json!("2001:db8::1")),
        ("type", Value::Null),
    ] {
        let mut bad = good.clone();
        let mut answer = bad.reply.value();
        answer["result"][field] = value;
        bad.reply.body = answer.to_string().into_bytes();
        assert!(!contract.faults_of_answer(&bad).is_empty(), "{field}");
    }
    let mut bare = good.clone();
    bare.reply.headers.retain(|(name, _)| name != "ratelimit");
    assert!(!contract.faults_of_answer(&bare).is_empty());
    for (method, path, body) in [
        ("GET", "/zones?per_page=51", None),
        ("GET", "/zones?colour=red", None),
        ("DELETE", "/zones", None),
        ("POST", "/zones/{}/dns_records", Some(json!({"type": "A", "name": "x"}))),
        ("POST", "/zones/{}/dns_records/batch", Some(json!({"deletes": [{"id": "x"}]}))),
        ("POST", "/zones/{}/dns_records/batch", None),
    ] {
        let sent = Sent { method: method.to_owned(), path: path.replace("{}", &"a".repeat(32)), body };
        assert!(!contract.faults_of_request(&sent).is_empty(), "{path}");
    }
}

/// A request: method, path and query below the base URL, JSON body.
#[derive(Clone, Debug)]
struct Sent {
    method: String,
    path: String,
    body: Option<Value>,
}

impl From<wire::HttpRequest> for Sent {
    fn from(request: wire::HttpRequest) -> Sent {
        Sent {
            method: request.method.to_owned(),
            path: request.path,
            body: request.body.map(|body| serde_json::from_str(&body).unwrap()),
        }
    }
}

/// A request and its answer. `lenient`: accepted though the schema is stricter.
#[derive(Clone, Debug)]
struct Step {
    sent: Sent,
    reply: Reply,
    lenient: bool,
}

/// A walk through all of the sandbox.
struct Walk {
    world: World,
    zone: String,
    token: String,
    now: Duration,
    lenient: bool,
    steps: Vec<Step>,
}

impl Default for Walk {
    fn default() -> Walk {
        let mut world = World::new(WorldOptions::default());
        let zone = world.add_zone(NewZone { plan: Plan::Pro, ..NewZone::named("example.com") });
        for (name, status, kind) in [
            ("example.net", "pending", "partial"),
            ("example.org", "moved", "full"),
            ("bücher.example", "initializing", "secondary"),
        ] {
            world.add_zone(NewZone {
                status: status.to_owned(),
                kind: kind.to_owned(),
                ..NewZone::named(name)
            });
        }
        Walk {
            world,
            zone,
            token: "Bearer sandbox".to_owned(),
            now: Duration::ZERO,
            lenient: false,
            steps: Vec::new(),
        }
    }
}

impl Walk {
    fn step(&mut self, method: &str, path: &str, body: &Value) -> Value {
        self.now += Duration::from_millis(321);
        let headers = [
            ("authorization".to_owned(), self.token.clone()),
            ("content-type".to_owned(), "application/json".to_owned()),
        ];
        let body = Some(body.clone()).filter(|body| !body.is_null());
        let text = body.as_ref().map(Value::to_string).unwrap_or_default();
        let request = HttpRequest {
            method,
            path: &format!("{API_PATH}{path}"),
            headers: &headers,
            body: text.as_bytes(),
            over: Family::V4,
        };
        let reply = self.world.answer(&request, self.now);
        let answer = reply.value();
        let sent = Sent { method: method.to_owned(), path: path.to_owned(), body };
        self.steps.push(Step { sent, reply, lenient: self.lenient });
        answer
    }

    fn get(&mut self, path: &str) -> Value {
        self.step("GET", path, &Value::Null)
    }

    fn on_records(&mut self, method: &str, below: &str, body: &Value) -> Value {
        let path = format!("/zones/{}/dns_records{below}", self.zone);
        self.step(method, &path, body)
    }

    fn made(&mut self, body: &Value) -> String {
        let answer = self.on_records("POST", "", body);
        let id = answer["result"]["id"].as_str();
        id.unwrap_or_else(|| panic!("{body}: {answer}")).to_owned()
    }

    fn zones(&mut self) {
        for query in [
            "",
            "?name=example.com",
            "?name=xn--bcher-kva.example",
            "?name=absent.example",
            "?name=contains:example&order=name&direction=desc",
            "?status=active&match=any",
            "?page=2&per_page=5",
            "?page=1&per_page=50",
            "?type=full,partial",
        ] {
            self.get(&format!("/zones{query}"));
        }
        let ids: Vec<String> = self.world.zones().iter().map(|zone| zone.id.clone()).collect();
        for id in ids {
            self.get(&format!("/zones/{id}"));
        }
        self.get("/user/tokens/verify");
        let account = self.world.zones()[0].account.id.clone();
        self.get(&format!("/accounts/{account}/tokens/verify"));
        self.get("/ips");
    }

    fn records(&mut self) {
        let a = self
            .made(&json!({"type": "A", "name": "home.example.com", "content": "203.0.113.7", "ttl": 300}));
        let full = json!({"type": "AAAA", "name": "home.example.com", "content": "2001:db8::7",
            "ttl": 60, "proxied": false, "comment": "hello", "tags": ["a:b", "c"]});
        let aaaa = self.made(&full);
        for body in [
            json!({"type": "A", "name": "*.example.com", "content": "192.0.2.1", "ttl": 1, "proxied": true}),
            json!({"type": "A", "name": "nas", "content": "10.0.0.1", "ttl": 1}),
            json!({"type": "CNAME", "name": "www", "content": "example.com", "ttl": 1, "proxied": true}),
            json!({"type": "TXT", "name": "_acme-challenge", "content": "\"x\"", "ttl": 120}),
            json!({"type": "MX", "name": "@", "content": "mx.example.net", "ttl": 1, "priority": 10}),
            json!({"type": "NS", "name": "sub", "content": "ns.example.net", "ttl": 1}),
            json!({"type": "PTR", "name": "7", "content": "host.example.com", "ttl": 1}),
            json!({"type": "SRV", "name": "_sip._tcp", "ttl": 1,
                "data": {"priority": 10, "weight": 5, "port": 8806, "target": "example.com"}}),
            json!({"type": "CAA", "name": "@", "ttl": 1,
                "data": {"flags": 0, "tag": "issue", "value": "ca.example.net"}}),
            json!({"type": "HTTPS", "name": "h", "ttl": 1,
                "data": {"priority": 1, "target": ".", "value": "alpn=\"h3\""}}),
        ] {
            self.made(&body);
        }
        for query in [
            "",
            "?page=1&per_page=5",
            "?page=3&per_page=5",
            "?page=99&per_page=5",
            "?per_page=5000",
            "?name.exact=home.example.com&type=A",
            "?name=home.example.com",
            "?content=203.0.113.7&match=any&proxied=false",
            "?comment.contains=ell&tag=a:b&tag_match=any",
            "?comment.present&search=home",
            "?order=name&direction=asc",
        ] {
            self.on_records("GET", query, &Value::Null);
        }
        for id in [&a, &aaaa] {
            self.on_records("GET", &format!("/{id}"), &Value::Null);
        }
        let patches = [
            json!({"content": "203.0.113.8"}),
            json!({"type": "A", "name": "home.example.com", "content": "203.0.113.9", "ttl": 1}),
            json!({"proxied": true, "comment": "set", "tags": ["x:y"]}),
            json!({"comment": "", "tags": []}),
            json!({}),
        ];
        for patch in patches {
            self.on_records("PATCH", &format!("/{a}"), &patch);
        }
        self.on_records("PUT", &format!("/{aaaa}"), &full);
        let short = json!({"type": "AAAA", "name": "home.example.com", "content": "2001:db8::9"});
        self.on_records("PUT", &format!("/{aaaa}"), &short);
        self.on_records("DELETE", &format!("/{aaaa}"), &Value::Null);
    }

    fn refusals(&mut self) {
        let a = self.made(&json!({"type": "A", "name": "one", "content": "192.0.2.1"}));
        self.made(&json!({"type": "CNAME", "name": "alias", "content": "example.net"}));
        self.made(&json!({"type": "NS", "name": "deleg", "content": "ns.example.net"}));
        for body in [
            json!({"type": "A", "name": "one", "content": "192.0.2.1"}),
            json!({"type": "A", "name": "alias", "content": "192.0.2.1"}),
            json!({"type": "CNAME", "name": "one", "content": "example.net"}),
            json!({"type": "A", "name": "deleg", "content": "192.0.2.1"}),
            json!({"type": "NS", "name": "one", "content": "ns.example.net"}),
            json!({"type": "A", "name": "x", "content": "here"}),
            json!({"type": "AAAA", "name": "x", "content": "192.0.2.1"}),
            json!({"type": "CNAME", "name": "x", "content": ""}),
            json!({"type": "A", "name": "x", "content": "10.0.0.1", "proxied": true}),
            json!({"type": "TXT", "name": "x", "content": "t", "proxied": true}),
            json!({"type": "A", "name": "x", "content": "192.0.2.1", "ttl": 2}),
            json!({"type": "A", "name": "x", "content": "192.0.2.1", "ttl": "300"}),
            json!({"type": "A", "name": "x", "content": "192.0.2.1", "ttl": 60.0}),
            json!({"type": "A", "name": "x", "content": "192.0.2.1", "comment": "c".repeat(501)}),
            json!({"type": "A", "name": "x", "content": "192.0.2.1", "tags": (0..21).map(|n| format!("t{n}")).collect::<Vec<_>>()}),
            json!({"type": "A", "name": "a..b", "content": "192.0.2.1"}),
            json!({"type": "NONE", "name": "x", "content": "192.0.2.1"}),
            json!({"type": 7}),
            json!([]),
        ] {
            self.on_records("POST", "", &body);
        }
        let none = "0".repeat(32);
        for method in ["GET", "PUT", "PATCH", "DELETE"] {
            let body = json!({"type": "A", "name": "one", "content": "192.0.2.9"});
            let body = if matches!(method, "GET" | "DELETE") { Value::Null } else { body };
            self.on_records(method, &format!("/{none}"), &body);
            self.on_records(method, "/example", &body);
        }
        self.on_records("PATCH", &format!("/{a}"), &json!({"content": "::1"}));
        self.on_records("PUT", &format!("/{a}"), &json!({"content": "192.0.2.1"}));
        self.get("/zones/example.com");
        self.get("/zones?per_page=1000");
        self.get("/accounts/x/tokens/verify");
        self.on_records("GET", "?per_page=0", &Value::Null);
        self.step("PATCH", "/zones", &json!({}));
        self.world.zone_mut("example.com").unwrap().quota = 3;
        self.on_records("POST", "", &json!({"type": "A", "name": "x", "content": "192.0.2.1"}));
        self.world.zone_mut("example.com").unwrap().quota = 3_500;
    }

    fn batches(&mut self) {
        let mut ids = Vec::new();
        for n in 0..4 {
            ids.push(
                self.made(&json!({"type": "A", "name": format!("b{n}"), "content": "192.0.2.1", "ttl": 1})),
            );
        }
        let full = json!({
            "deletes": [{"id": ids[0]}],
            "patches": [
                {"id": ids[1], "content": "192.0.2.5"},
                {"id": ids[2], "type": "A", "name": "b2.example.com", "content": "192.0.2.5", "ttl": 60,
                    "proxied": false, "comment": "stayput", "tags": []},
            ],
            "puts": [{"id": ids[3], "type": "A", "name": "b3.example.com", "content": "192.0.2.6", "ttl": 1}],
            "posts": [{"type": "AAAA", "name": "b5.example.com", "content": "2001:db8::5", "ttl": 1,
                "proxied": true, "comment": "stayput"}],
        });
        self.on_records("POST", "/batch", &full);
        // Once more: the first operation is about a record that is gone.
        self.on_records("POST", "/batch", &full);
        self.on_records("POST", "/batch", &json!({"posts": [{"type": "A", "name": "x", "content": "?"}]}));
        self.on_records("POST", "/batch", &json!({"posts": {}}));
        let posts: Vec<Value> = (0..3_501)
            .map(|n| json!({"type": "A", "name": format!("n{n}"), "content": "192.0.2.1", "ttl": 1}))
            .collect();
        self.on_records("POST", "/batch", &json!({"posts": posts}));
        self.lenient = true;
        self.on_records("POST", "/batch", &json!({}));
        self.lenient = false;
    }

    /// Everything once more with all sorts of credentials.
    fn credentials(&mut self) {
        let account = self.world.zones()[0].account.id.clone();
        let everywhere = [
            "/zones".to_owned(),
            format!("/zones/{}", self.zone),
            format!("/zones/{}/dns_records", self.zone),
            format!("/zones/{}/dns_records/{}", self.zone, "0".repeat(32)),
            "/user/tokens/verify".to_owned(),
            format!("/accounts/{account}/tokens/verify"),
        ];
        let expires = Some(self.now + Duration::from_secs(3_600));
        self.world.auth.tokens.extend([
            Token { expires, ..Token::editing("lasting") },
            Token { dns: Access::None, ..Token::editing("powerless") },
            Token { state: TokenState::Disabled, ..Token::editing("disabled") },
            Token { state: TokenState::Expired, ..Token::editing("expired") },
            Token { owner: Owner::Account(account), ..Token::editing("owned") },
            Token { client_addresses: vec!["192.0.2.0/24".parse().unwrap()], ..Token::editing("elsewhere") },
        ]);
        for token in
            ["lasting", "powerless", "disabled", "expired", "owned", "elsewhere", "unknown", "\"quoted\""]
        {
            self.token = format!("Bearer {token}");
            for path in &everywhere {
                self.get(path);
            }
            let post = json!({"type": "A", "name": token, "content": "192.0.2.1"});
            self.on_records("POST", "", &post);
            self.on_records("POST", "/batch", &json!({"posts": [post]}));
        }
        self.token = "Bearer lasting".to_owned();
        self.world.spend("user@example.com", 1_200);
        for path in &everywhere {
            self.get(path);
        }
        self.on_records("POST", "/batch", &json!({}));
        self.now += Duration::from_secs(600);
    }

    /// Those faults after which an answer still is what the document describes.
    fn faults(&mut self) {
        for fault in [
            "html=502",
            "html=522",
            "edge-code=504",
            "throttle=7",
            "spurious-403",
            "full",
            "refuse=x.example.com",
            "total-pages=5",
        ] {
            self.world.faults.arm(fault.parse().unwrap());
            self.get("/zones");
            self.on_records("GET", "", &Value::Null);
            self.on_records("POST", "", &json!({"type": "A", "name": "x", "content": "192.0.2.1"}));
            self.world.faults.clear();
        }
    }
}

/// Cloudflare's document, as JSON Schemas.
struct Contract {
    document: Value,
    /// By their texts; the same few are used over and over.
    validators: std::cell::RefCell<BTreeMap<String, std::rc::Rc<Validator>>>,
}

impl Contract {
    fn from_environment() -> Contract {
        let path = std::env::var_os("CLOUDFLARE_OPENAPI").expect("$CLOUDFLARE_OPENAPI is not set");
        let text = std::fs::read_to_string(&path).unwrap();
        let mut document: Value = serde_json::from_str(&text).unwrap();
        // The document allows ASCII only; the service answers in Unicode.
        document["components"]["schemas"]["zones_zone"]["properties"]["name"]
            .as_object_mut()
            .unwrap()
            .remove("pattern");
        as_json_schema(&mut document);
        Contract { document, validators: Default::default() }
    }

    /// Judges an answer, and says which operation it belongs to.
    fn judge_answer(&self, step: &Step) -> String {
        let faults = self.faults_of_answer(step);
        let text = String::from_utf8_lossy(&step.reply.body);
        let shown = &text[..text.len().min(2_000)];
        assert!(
            faults.is_empty(),
            "{} {} → {} {shown}\n{faults:#?}",
            step.sent.method,
            step.sent.path,
            step.reply.status
        );
        match self.operation(&step.sent) {
            Some((template, _)) => format!("{} {template}", step.sent.method),
            None => "no operation".to_owned(),
        }
    }

    fn judge_request(&self, sent: &Sent) {
        let faults = self.faults_of_request(sent);
        assert!(faults.is_empty(), "{sent:?}\n{faults:#?}");
    }

    fn faults_of_answer(&self, step: &Step) -> Vec<String> {
        let reply = &step.reply;
        let Some((_, operation)) = self.operation(&step.sent) else {
            // What is not in the document can only be refused.
            let failure = json!({"$ref": "#/components/schemas/ddns_failure"});
            return self.faults_of(&failure, &reply.value());
        };
        let responses = &operation["responses"];
        let status = reply.status.to_string();
        let family = format!("{}XX", &status[..1]);
        let Some(response) = responses.get(&status).or_else(|| responses.get(&family)) else {
            return vec![format!("the status {status} is not documented")];
        };
        let kind = reply.header("content-type").unwrap_or("");
        let kind = kind.split(';').next().unwrap_or("");
        let Some(content) = response["content"].get(kind) else {
            return vec![format!("{kind} is not documented for the status {status}")];
        };
        let value = if kind == "application/json" {
            reply.value()
        } else {
            String::from_utf8_lossy(&reply.body).into()
        };
        let mut faults = self.faults_of(&content["schema"], &value);
        for name in response["headers"].as_object().into_iter().flat_map(serde_json::Map::keys) {
            if reply.header(&name.to_lowercase()).is_none() {
                faults.push(format!("the header {name} is missing"));
            }
        }
        faults
    }

    fn faults_of_request(&self, sent: &Sent) -> Vec<String> {
        let Some((_, operation)) = self.operation(sent) else {
            return vec!["there is no such operation".to_owned()];
        };
        let mut faults = Vec::new();
        let (_, query) = sent.path.split_once('?').unwrap_or((&sent.path, ""));
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            match self.parameter(operation, name) {
                Some(parameter) => {
                    let value = read_parameter(&self.resolved(&parameter["schema"]), value);
                    faults.extend(self.faults_of(&parameter["schema"], &value));
                }
                None => faults.push(format!("the parameter {name} is not documented")),
            }
        }
        let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
        match (&sent.body, schema) {
            (None, Value::Null) => {}
            // DELETE may have an empty object.
            (None, _) if operation["requestBody"]["required"] != true => {}
            (None, _) => faults.push("the body is missing".to_owned()),
            (Some(_), Value::Null) => faults.push("no body is documented".to_owned()),
            (Some(body), schema) => faults.extend(self.faults_of(schema, body)),
        }
        faults
    }

    /// The path's template and the operation.
    fn operation(&self, sent: &Sent) -> Option<(&str, &Value)> {
        let path = sent.path.split('?').next().unwrap_or("");
        let parts: Vec<&str> = path.split('/').collect();
        let paths = self.document["paths"].as_object()?;
        let fits = |template: &str| {
            let wanted: Vec<&str> = template.split('/').collect();
            wanted.len() == parts.len()
                && wanted
                    .iter()
                    .zip(&parts)
                    .all(|(wanted, part)| wanted == part || wanted.starts_with('{') && !part.is_empty())
        };
        // A template without a placeholder at the end goes before one with it.
        let mut candidates: Vec<(&String, &Value)> =
            paths.iter().filter(|(template, _)| fits(template)).collect();
        candidates.sort_by_key(|(template, _)| template.matches('{').count());
        let (template, operations) = candidates.first()?;
        let operation = operations.get(sent.method.to_lowercase())?;
        Some((template, operation))
    }

    fn parameter(&self, operation: &Value, name: &str) -> Option<Value> {
        let listed = operation["parameters"].as_array()?;
        listed
            .iter()
            .map(|parameter| self.resolved(parameter))
            .find(|parameter| parameter["in"] == "query" && parameter["name"] == name)
    }

    fn resolved(&self, value: &Value) -> Value {
        match value.get("$ref").and_then(Value::as_str) {
            Some(reference) => {
                let target = self.document.pointer(reference.trim_start_matches('#'));
                self.resolved(target.unwrap())
            }
            None => value.clone(),
        }
    }

    fn faults_of(&self, schema: &Value, value: &Value) -> Vec<String> {
        let mut validators = self.validators.borrow_mut();
        let validator = validators.entry(schema.to_string()).or_insert_with(|| {
            let root = json!({"allOf": [schema], "components": self.document["components"]});
            let built =
                jsonschema::options().with_draft(Draft::Draft4).should_validate_formats(true).build(&root);
            std::rc::Rc::new(built.unwrap())
        });
        let errors = validator.iter_errors(value);
        errors.map(|error| format!("{}: {error}", error.instance_path())).collect()
    }
}

/// OpenAPI 3.0 says `nullable` where JSON Schema has a type of its own.
fn as_json_schema(value: &mut Value) {
    match value {
        Value::Array(entries) => entries.iter_mut().for_each(as_json_schema),
        Value::Object(object) => {
            // What stands below is data, not a schema.
            for name in ["example", "examples", "default"] {
                if object.get(name).is_none_or(|inner| inner.get("type").is_none()) {
                    object.remove(name);
                }
            }
            object.values_mut().for_each(as_json_schema);
            if object.get("nullable") == Some(&Value::Bool(true)) {
                object.remove("nullable");
                let inner = Value::Object(std::mem::take(object));
                object.insert("anyOf".to_owned(), json!([{"enum": [null]}, inner]));
            }
        }
        _ => {}
    }
}

/// A parameter's text as the type that its schema wants.
fn read_parameter(schema: &Value, text: &str) -> Value {
    match schema["type"].as_str() {
        Some("number" | "integer" | "boolean") => serde_json::from_str(text).unwrap_or_else(|_| text.into()),
        Some("array") => text.split(',').collect(),
        _ => text.into(),
    }
}
