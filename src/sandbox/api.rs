//! The way of a request through the API: the edge, routing, authentication, the rate limit, permission,
//! the work, and what becomes of the answer.
//!
//! Deliberately unknown: sockets, and the rules about records.

use std::time::Duration;

use serde_json::{Value, json};

use super::auth::{Access, Allowance, AuthRequest, Caller, Endpoint};
use super::edits::missing;
use super::faults::{Falsehood, Fault};
use super::http::{Fate, HttpRequest, Kind, Refusal, Reply, Success};
use super::listing::{select_records, select_zones};
use super::query::{Paging, Query};
use super::records::{Record, bad_body};
use super::world::World;
use crate::engine::ranges;

impl World {
    pub(super) fn api(&mut self, request: &HttpRequest<'_>, below: &str) -> Reply {
        let (path, query) = Query::split(below);
        let route = Route::of(request, path);
        let kind = route.as_ref().map_or(Kind::Unroutable, |route| route.kind);
        let written = if kind.writes() { request.body.len() } else { 0 };
        let lost = self.faults.pick(|fault| match fault {
            Fault::Offline => Some(Fate::Unreachable),
            Fault::LostRequest => Some(Fate::DropBeforeReply),
            Fault::LostWrite(most) => (written > *most).then_some(Fate::DropBeforeReply),
            _ => None,
        });
        if let Some(fate) = lost {
            self.log(kind, 0);
            return Reply::nothing(fate);
        }
        let mut context = RequestContext::default();
        let reply = match self.edge() {
            Some(reply) => reply,
            None => {
                let outcome = route.and_then(|route| self.serve(request, &route, &query, &mut context));
                self.add_headers(outcome.map_or_else(Refusal::into_reply, Success::into_reply), &context)
            }
        };
        self.log(kind, reply.status);
        let reply = self.add_edge_headers(reply);
        self.apply_faults(reply, kind)
    }

    /// What the edge answers by itself, before anything is looked at.
    fn edge(&mut self) -> Option<Reply> {
        self.faults.pick(|fault| match fault {
            Fault::Html(status) => Some(Reply::new(
                *status,
                "text/html; charset=UTF-8",
                format!(
                    "<html>\r\n<head><title>{status} Bad Gateway</title></head>\r\n<body>\r\n<center><h1>{status} Bad Gateway</h1></center>\r\n<hr><center>cloudflare-lb</center>\r\n</body>\r\n</html>\r\n"
                ),
            )),
            Fault::EdgeCode(code) => {
                let status = match code {
                    1015 => 429,
                    500..600 => *code,
                    _ => 403,
                };
                Some(Reply::text(status, format!("error code: {code}")))
            }
            Fault::Problem(status, seconds) => Some(problem(*status, *seconds)),
            Fault::Redirect => {
                let elsewhere = "https://elsewhere.example.net/client/v4/";
                Some(Reply::text(302, "").with("location", elsewhere))
            }
            _ => None,
        })
    }

    /// Authentication, then the rate limit, then permission, then the work.
    fn serve(
        &mut self,
        request: &HttpRequest<'_>,
        route: &Route<'_>,
        query: &Query,
        context: &mut RequestContext,
    ) -> Result<Success, Refusal> {
        if route.kind == Kind::Ips {
            self.count_request("stranger", context)?;
            return Ok(ips());
        }
        let auth_request = AuthRequest {
            http: request,
            endpoint: route.endpoint(),
            from: self.addresses.get(request.over),
            now: self.now,
            revoked: self.faults.fire(|fault| *fault == Fault::Revoked),
        };
        let caller = match self.auth.check(&auth_request, &self.quirks) {
            Ok(caller) => caller,
            Err(refusal) => {
                context.allowance = Some(self.auth.spend("stranger", 1, self.limit, self.now));
                return Err(refusal);
            }
        };
        self.count_request(&caller.bucket, context)?;
        self.undeserved(route, context)?;
        match route.kind {
            Kind::VerifyToken => self.auth.verify(&caller, route.id, (self.epoch, self.now)),
            Kind::ListZones => self.list_zones(&caller, query),
            Kind::GetZone => self
                .zones
                .iter()
                .find(|zone| zone.id == route.zone && caller.sees(zone))
                .filter(|_| caller.reads_zones(&self.quirks))
                .map(|zone| Success::of(zone.to_json(&caller.permissions())))
                .ok_or_else(|| self.no_such_zone(no_access())),
            kind => {
                let body = read_body(request, kind)?;
                self.check_access(route, &caller)?;
                self.work_on_records(route, query, &body)
            }
        }
    }

    /// Counts a request, and refuses it if there were too many.
    fn count_request(&mut self, bucket: &str, context: &mut RequestContext) -> Result<(), Refusal> {
        let allowance = self.auth.spend(bucket, 1, self.limit, self.now);
        context.allowance = Some(allowance);
        if !allowance.blocked {
            return Ok(());
        }
        context.retry_after = Some(seconds_up(allowance.reset).to_string());
        Err(throttled())
    }

    /// Refusals that the caller has not deserved.
    fn undeserved(&mut self, route: &Route<'_>, context: &mut RequestContext) -> Result<(), Refusal> {
        let throttle =
            |fault: &Fault| if let Fault::Throttle(wait) = fault { Some(wait.clone()) } else { None };
        if let Some(retry_after) = self.faults.pick(throttle) {
            context.retry_after = match &*retry_after {
                "none" => None,
                "date" => Some(self.stamp().after(Duration::from_secs(60)).http_date()),
                _ => Some(retry_after),
            };
            return Err(throttled());
        }
        let zone = match route.endpoint() {
            Endpoint::Records => self.zone(route.zone).map(|zone| zone.name.clone()),
            _ => None,
        };
        let refusal = self.faults.pick(|fault| match fault {
            Fault::Spurious403 => Some(not_allowed()),
            Fault::RefuseSearch => (route.kind == Kind::ListZones).then(no_access),
            Fault::RefuseZone(name) => (zone.as_ref() == Some(name)).then(not_allowed),
            Fault::Unsuccessful => Some(Refusal::new(200, 1105, "Temporarily unavailable")),
            _ => None,
        });
        refusal.map_or(Ok(()), Err)
    }

    /// Whether the caller may do this in the zone.
    fn check_access(&self, route: &Route<'_>, caller: &Caller) -> Result<(), Refusal> {
        if !self.zones.iter().any(|zone| zone.id == route.zone && caller.sees(zone)) {
            return Err(self.no_such_zone(not_allowed()));
        }
        let access = if route.kind.writes() { Access::Edit } else { Access::Read };
        if caller.may(access) { Ok(()) } else { Err(not_allowed()) }
    }

    /// The answer about a zone that the caller does not see.
    fn no_such_zone(&self, refusal: Refusal) -> Refusal {
        match self.quirks.unknown_zone_status {
            404 => {
                let message = "Could not route to the zone, perhaps your object identifier is invalid?";
                Refusal::new(404, 7003, message)
            }
            status => Refusal { status, ..refusal },
        }
    }

    fn work_on_records(
        &mut self,
        route: &Route<'_>,
        query: &Query,
        body: &Value,
    ) -> Result<Success, Refusal> {
        let (zone, id) = (route.zone, route.id);
        let result = match route.kind {
            Kind::ListRecords => return self.list_records(zone, query),
            Kind::GetRecord => return self.get_record(zone, id),
            kind => self.in_transaction(zone, |transaction| {
                Ok(match kind {
                    Kind::Batch => transaction.batch(body)?,
                    Kind::CreateRecord => transaction.create(body)?.to_json(),
                    Kind::OverwriteRecord => transaction.overwrite(id, body)?.to_json(),
                    Kind::PatchRecord => transaction.patch(id, body)?.to_json(),
                    _ => json!({"id": transaction.delete(id)?.id}),
                })
            }),
        };
        result.map(Success::of)
    }

    fn list_zones(&mut self, caller: &Caller, query: &Query) -> Result<Success, Refusal> {
        if !caller.reads_zones(&self.quirks) {
            return Err(no_access());
        }
        let paging = Paging::of(query, 5..=50, 20)?;
        let wrong = self.wrong_list();
        let visible = self.zones.iter().filter(|zone| caller.sees(zone)).collect();
        let permissions = caller.permissions();
        Ok(page(&select_zones(visible, query), paging, wrong, |zone| zone.to_json(&permissions)))
    }

    fn list_records(&mut self, zone: &str, query: &Query) -> Result<Success, Refusal> {
        let paging = Paging::of(query, 1..=self.quirks.most_records_per_page, 100)?;
        let (age, wrong) = (self.age_of_list(), self.wrong_list());
        let records =
            self.zone(zone).map(|zone| zone.records_before(self.now, age)).ok_or_else(not_allowed)?;
        Ok(page(&select_records(records, query), paging, wrong, Record::to_json))
    }

    fn get_record(&mut self, zone: &str, id: &str) -> Result<Success, Refusal> {
        let age = self.age_of_list();
        self.zone(zone)
            .and_then(|zone| zone.records_before(self.now, age).get(id))
            .map(|record| Success::of(record.to_json()))
            .ok_or_else(missing)
    }

    /// How old what is shown now is.
    fn age_of_list(&mut self) -> Duration {
        let age = |fault: &Fault| if let Fault::StaleList(age) = fault { Some(*age) } else { None };
        self.faults.pick(age).unwrap_or_default()
    }

    /// How the next list is wrong: its entries, and the number of pages that it claims.
    fn wrong_list(&mut self) -> (Option<Falsehood>, Option<u32>) {
        let how = |fault: &Fault| if let Fault::FalseList(how) = fault { Some(*how) } else { None };
        let pages = |fault: &Fault| if let Fault::TotalPages(pages) = fault { Some(*pages) } else { None };
        (self.faults.pick(how), self.faults.pick(pages))
    }

    /// The headers that every answer has, the edge's own ones included.
    fn add_edge_headers(&mut self, reply: Reply) -> Reply {
        let ray = format!("{:016x}-SBX", self.rng.u64(..));
        let reply = reply
            .with("cf-ray", ray)
            .with("cf-cache-status", "DYNAMIC")
            .with("server", "cloudflare")
            .with("cache-control", "no-store, no-cache, must-revalidate, post-check=0, pre-check=0");
        if reply.status < 300 || reply.header("retry-after").is_some() {
            return reply;
        }
        let wait = |fault: &Fault| if let Fault::RetryAfter(wait) = fault { Some(*wait) } else { None };
        match self.faults.pick(wait) {
            Some(seconds) => reply.with("retry-after", seconds.to_string()),
            None => reply,
        }
    }

    /// The headers that every answer of the API itself has.
    fn add_headers(&self, reply: Reply, context: &RequestContext) -> Reply {
        let unspent = (self.limit.requests, self.limit.window);
        let (left, reset) = context.allowance.map_or(unspent, |allowance| (allowance.left, allowance.reset));
        let (quota, window) = (self.limit.requests, self.limit.window.as_secs());
        let reply = reply
            .with("ratelimit", format!("\"default\";r={left};t={}", seconds_up(reset)))
            .with("ratelimit-policy", format!("\"default\";q={quota};w={window}"));
        match &context.retry_after {
            Some(text) => reply.with("retry-after", text.clone()),
            None => reply,
        }
    }

    /// What becomes of an answer after the work.
    fn apply_faults(&mut self, mut reply: Reply, kind: Kind) -> Reply {
        let spoilt = self.faults.pick(|fault| match fault {
            Fault::LostReply => kind.writes().then_some(Fault::LostReply),
            Fault::Delay(_) | Fault::Garbage | Fault::Truncated | Fault::Cut | Fault::NullResult => {
                Some(fault.clone())
            }
            _ => None,
        });
        match spoilt {
            Some(Fault::LostReply) => reply.fate = Fate::DropBeforeReply,
            Some(Fault::Delay(span)) => reply.fate = Fate::DeliverAfter(span),
            Some(Fault::Garbage) => reply.body = b"\x1f\x8b\x08{]\xff\xfe not JSON".to_vec(),
            Some(Fault::Truncated) => reply.body.truncate(reply.body.len() / 2),
            Some(Fault::Cut) => {
                reply.body.truncate(reply.body.len() / 2);
                reply.fate = Fate::Cut;
            }
            Some(Fault::NullResult) => {
                reply.status = 200;
                reply.body = br#"{"success":true,"errors":[],"messages":[],"result":null}"#.to_vec();
            }
            _ => {}
        }
        reply
    }
}

fn read_body(request: &HttpRequest<'_>, kind: Kind) -> Result<Value, Refusal> {
    if !kind.writes() || kind == Kind::DeleteRecord {
        return Ok(Value::Null);
    }
    let given = request.header("content-type").and_then(|given| given.split(';').next());
    if given.is_some_and(|given| given.trim().eq_ignore_ascii_case("application/json")) {
        return serde_json::from_slice(request.body).map_err(|_| bad_body());
    }
    Err(Refusal::new(400, 9207, "Content-type must be application/json."))
}

/// A request that the API knows.
struct Route<'a> {
    kind: Kind,
    /// Empty: none in the path.
    zone: &'a str,
    /// Of a record, or of an account; empty: none in the path.
    id: &'a str,
}

impl<'a> Route<'a> {
    /// What a request asks for; `path` is below the base URL.
    fn of(request: &HttpRequest<'_>, path: &'a str) -> Result<Route<'a>, Refusal> {
        let Some((methods, zone, id)) = resource(path) else {
            let path = request.path.split('?').next().unwrap_or("");
            let message = format!("Could not route to {path}, perhaps your object identifier is invalid?");
            let mut refusal = Refusal::new(400, 7003, message);
            refusal.errors.push(json!({"code": 7000, "message": "No route for that URI"}));
            return Err(refusal);
        };
        let known = methods.iter().find(|(method, _)| *method == request.method);
        let (_, kind) = known.ok_or_else(|| {
            Refusal::new(400, 7001, format!("Method {} not available for that URI.", request.method))
        })?;
        Ok(Route { kind: *kind, zone, id })
    }

    fn endpoint(&self) -> Endpoint {
        match self.kind {
            Kind::ListZones | Kind::GetZone | Kind::Ips => Endpoint::Zones,
            Kind::VerifyToken => Endpoint::Verify,
            _ => Endpoint::Records,
        }
    }
}

type Methods = &'static [(&'static str, Kind)];

const ON_RECORDS: Methods = &[("GET", Kind::ListRecords), ("POST", Kind::CreateRecord)];
const ON_RECORD: Methods = &[
    ("GET", Kind::GetRecord),
    ("PUT", Kind::OverwriteRecord),
    ("PATCH", Kind::PatchRecord),
    ("DELETE", Kind::DeleteRecord),
];

/// What may be asked at a path below the base URL, with the zone and the other identifier in it; `None`
/// if there is nothing, or an identifier has the wrong form.
fn resource(path: &str) -> Option<(Methods, &str, &str)> {
    let parts: Vec<&str> = path.strip_prefix('/')?.split('/').collect();
    let hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    let id = |text: &str| text.len() == 32 && text.bytes().all(hex);
    let found: (Methods, &str, &str) = match parts.as_slice() {
        ["zones"] => (&[("GET", Kind::ListZones)], "", ""),
        ["zones", zone] if id(zone) => (&[("GET", Kind::GetZone)], zone, ""),
        ["zones", zone, "dns_records"] if id(zone) => (ON_RECORDS, zone, ""),
        ["zones", zone, "dns_records", "batch"] if id(zone) => (&[("POST", Kind::Batch)], zone, ""),
        ["zones", zone, "dns_records", record] if id(zone) && id(record) => (ON_RECORD, zone, record),
        ["user", "tokens", "verify"] => (&[("GET", Kind::VerifyToken)], "", ""),
        ["accounts", account, "tokens", "verify"] if id(account) => {
            (&[("GET", Kind::VerifyToken)], "", account)
        }
        ["ips"] => (&[("GET", Kind::Ips)], "", ""),
        _ => return None,
    };
    Some(found)
}

/// What the headers of an answer say of the rate limit.
#[derive(Default)]
struct RequestContext {
    allowance: Option<Allowance>,
    retry_after: Option<String>,
}

fn seconds_up(span: Duration) -> u64 {
    span.as_millis().div_ceil(1_000).try_into().unwrap_or(u64::MAX)
}

/// A page of a list, as far as faults have it right.
fn page<T>(
    found: &[&T],
    paging: Paging,
    (falsehood, pages): (Option<Falsehood>, Option<u32>),
    to_json: impl Fn(&T) -> Value,
) -> Success {
    let (part, mut info) = paging.cut(found, falsehood);
    if let Some(pages) = pages {
        let per_page = info["per_page"].as_u64().unwrap_or(1);
        info["total_pages"] = pages.into();
        info["total_count"] = u64::from(pages).saturating_mul(per_page).into();
    }
    let result = match falsehood {
        Some(Falsehood::Null) => Value::Null,
        _ => part.iter().map(|entry| to_json(entry)).collect(),
    };
    Success { paging: Some(info), ..Success::of(result) }
}

/// What the edge answers where it could not reach the API (RFC 9457).
fn problem(status: u16, seconds: u32) -> Reply {
    let body = json!({
        "type": "https://developers.cloudflare.com/support/troubleshooting/http-status-codes/",
        "title": format!("Error {status}: the origin could not be reached"),
        "status": status,
        "detail": "The origin web server did not answer as it should.",
        "error_code": status,
        "retryable": true,
        "retry_after": seconds,
    });
    Reply::json(status, &body).with("retry-after", seconds.to_string())
}

fn throttled() -> Refusal {
    Refusal::new(429, 971, "Please wait and consider throttling your request speed")
}

fn no_access() -> Refusal {
    Refusal::new(403, 9109, "Unauthorized to access requested resource")
}

fn not_allowed() -> Refusal {
    Refusal::new(403, 10_000, "Authentication error")
}

fn ips() -> Success {
    let (v4, v6) = ranges::cloudflare();
    let etag = "38f79d050aa027e3be3865e495dcc9bc";
    Success::of(json!({"ipv4_cidrs": v4, "ipv6_cidrs": v6, "etag": etag}))
}
