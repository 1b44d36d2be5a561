//! The way of a request through the API: the edge, routing, authentication, the rate limit, permission,
//! the work, and what becomes of the answer.
//!
//! Deliberately unknown: sockets, and the rules about records.

use std::time::Duration;

use serde_json::{Value, json};

use super::auth::{Access, Caller, Place, Visitor};
use super::echo::{CLOUDFLARE_V4, CLOUDFLARE_V6};
use super::edits::missing;
use super::faults::{Falsehood, Fault, RetryAfter};
use super::listing::{select_records, select_zones};
use super::query::{PageSize, Paging, Query};
use super::records::bad_body;
use super::reply::{Fate, Refusal, Reply, Stamp, Success};
use super::world::{HttpRequest, Kind, World};
use super::zones::Zone;

/// The way of a request through the API.
impl World {
    pub(super) fn api(&mut self, request: &HttpRequest<'_>, below: &str) -> Reply {
        let (path, query) = Query::split(below);
        let route = Route::of(path);
        let kind = route.as_ref().and_then(|route| route.kind(request.method)).unwrap_or(Kind::Unroutable);
        let written = if kind.writes() { request.body.len() } else { 0 };
        let lost = self.faults.pick(|fault| match fault {
            Fault::Offline => Some(Fate::Unreachable),
            Fault::LostRequest => Some(Fate::DropBeforeReply),
            Fault::LostWrite(most) => (written > *most).then_some(Fate::DropBeforeReply),
            _ => None,
        });
        if let Some(fate) = lost {
            self.log(request, kind, "stranger", 0);
            return Reply::nothing(fate);
        }
        let mut trail = Trail { caller: "stranger".to_owned(), limits: None, retry_after: None };
        let reply = match self.edge(request) {
            Some(reply) => reply,
            None => {
                let reply = match self.serve(request, route, &query, &mut trail) {
                    Ok(success) => success.into_reply(),
                    Err(refusal) => refusal.into_reply(),
                };
                self.dress(reply, &trail)
            }
        };
        self.log(request, kind, &trail.caller, reply.status);
        let reply = self.sign(reply);
        self.spoil(reply, kind)
    }

    /// What the edge answers by itself, before anything is looked at.
    fn edge(&mut self, request: &HttpRequest<'_>) -> Option<Reply> {
        if self.quirks.refuses_missing_agent && request.header("user-agent").is_none() {
            return Some(Reply::text(403, "error code: 1010"));
        }
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
            Fault::Redirect => Some(
                Reply::text(302, "").with("location", "https://elsewhere.example.net/client/v4/"),
            ),
            _ => None,
        })
    }

    /// Routing, then authentication, then the rate limit, then permission, then the work.
    fn serve(
        &mut self,
        request: &HttpRequest<'_>,
        route: Option<Route<'_>>,
        query: &Query,
        trail: &mut Trail,
    ) -> Result<Success, Refusal> {
        let path = request.path.split('?').next().unwrap_or("");
        let Some(route) = route else {
            let message = format!("Could not route to {path}, perhaps your object identifier is invalid?");
            let status = self.quirks.unroutable_status;
            return Err(Refusal::new(status, 7003, message).and(7000, "No route for that URI"));
        };
        let Some(kind) = route.kind(request.method) else {
            let message = format!("Method {} not available for that URI.", request.method);
            return Err(Refusal::new(400, 7001, message));
        };
        if kind == Kind::Ips {
            self.count_request("stranger", trail)?;
            return Ok(ips());
        }
        let visitor = Visitor {
            headers: request.headers,
            place: route.place(),
            from: self.addresses.get(request.over),
            now: self.now,
            revoked: self.faults.fire(|fault| *fault == Fault::Revoked),
        };
        let caller = match self.doors.admit(&visitor, &self.quirks) {
            Ok(caller) => caller,
            Err(refusal) => {
                let requests = u32::from(self.quirks.failures_count);
                let allowance = self.doors.spend("stranger", requests, self.limit, self.now);
                trail.limits = Some((allowance.left, allowance.reset));
                return Err(refusal);
            }
        };
        trail.caller.clone_from(&caller.label);
        self.count_request(&caller.bucket, trail)?;
        self.unfair(&route, trail)?;
        if let Route::Verify(account) = route {
            return self.doors.verify(&visitor, account, self.epoch);
        }
        let body = self.read_body(request, kind)?;
        self.work(&route, &caller, query, (kind, &body))
    }

    /// Counts a request, and refuses it if there were too many.
    fn count_request(&mut self, bucket: &str, trail: &mut Trail) -> Result<(), Refusal> {
        let allowance = self.doors.spend(bucket, 1, self.limit, self.now);
        trail.limits = Some((allowance.left, allowance.reset));
        if !allowance.blocked {
            return Ok(());
        }
        trail.retry_after = Some(seconds_up(allowance.reset).to_string());
        Err(throttled())
    }

    /// Refusals that the caller has not deserved.
    fn unfair(&mut self, route: &Route<'_>, trail: &mut Trail) -> Result<(), Refusal> {
        let stamp = self.stamp();
        let zone = route.records_of().and_then(|id| self.zone(id)).map(|zone| zone.name.clone());
        let throttle = self.faults.pick(|fault| match fault {
            Fault::Throttle(retry_after) => Some(retry_after.clone()),
            _ => None,
        });
        if let Some(retry_after) = throttle {
            trail.retry_after = match retry_after {
                RetryAfter::Absent => None,
                RetryAfter::Date => Some(Stamp(stamp.0 + 60_000_000).http_date()),
                RetryAfter::Text(text) => Some(text),
            };
            return Err(throttled());
        }
        let refusal = self.faults.pick(|fault| match fault {
            Fault::Spurious403 => Some(Refusal::new(403, 10_000, "Authentication error")),
            Fault::RefuseSearch => matches!(route, Route::Zones).then(no_access),
            Fault::RefuseZone(name) => {
                (zone.as_ref() == Some(name)).then(|| Refusal::new(403, 10_000, "Authentication error"))
            }
            Fault::Unsuccessful => Some(Refusal::new(200, 1105, "Temporarily unavailable")),
            _ => None,
        });
        refusal.map_or(Ok(()), Err)
    }

    fn read_body(&self, request: &HttpRequest<'_>, kind: Kind) -> Result<Value, Refusal> {
        if !kind.writes() || kind == Kind::DeleteRecord {
            return Ok(Value::Null);
        }
        let kind = request.header("content-type").unwrap_or("");
        let bare = kind.split(';').next().unwrap_or("").trim();
        if bare.eq_ignore_ascii_case("application/json") {
            return serde_json::from_slice(request.body).map_err(|_| bad_body());
        }
        if self.quirks.content_type_at_gateway {
            let message =
                "Invalid Content-Type header, valid values are application/json,multipart/form-data";
            let outer = (6003, "Invalid request headers");
            return Err(Refusal::chained(400, outer, (6105, message)));
        }
        let message = "Content-type must be application/json.";
        Err(Refusal::new(400, 9207, message))
    }

    fn work(
        &mut self,
        route: &Route<'_>,
        caller: &Caller,
        query: &Query,
        (kind, body): (Kind, &Value),
    ) -> Result<Success, Refusal> {
        match route {
            Route::Zones => self.list_zones(caller, query),
            Route::Zone(id) => self
                .zones
                .iter()
                .find(|zone| zone.id == **id && caller.sees(zone))
                .filter(|_| caller.reads_zones(&self.quirks))
                .map(|zone| Success::of(zone.to_json(&caller.permissions())))
                .ok_or_else(|| self.no_such_zone(no_access())),
            Route::Records(zone) | Route::Record(zone, _) | Route::Batch(zone) => {
                let access = if kind.writes() { Access::Edit } else { Access::Read };
                let theirs = |known: &Zone| known.id == **zone && caller.sees(known);
                let refused = Refusal::new(403, 10_000, "Authentication error");
                if !self.zones.iter().any(theirs) {
                    return Err(self.no_such_zone(refused));
                }
                if !caller.may(access) {
                    return Err(refused);
                }
                self.work_on_records(route, query, (kind, body))
            }
            Route::Verify(_) | Route::Ips => Ok(Success::of(Value::Null)),
        }
    }

    /// The answer about a zone that the caller does not see.
    fn no_such_zone(&self, refusal: Refusal) -> Refusal {
        match self.quirks.unknown_zone_status {
            404 => Refusal::new(
                404,
                7003,
                "Could not route to the zone, perhaps your object identifier is invalid?",
            ),
            status => Refusal { status, ..refusal },
        }
    }

    fn work_on_records(
        &mut self,
        route: &Route<'_>,
        query: &Query,
        (kind, body): (Kind, &Value),
    ) -> Result<Success, Refusal> {
        let (zone, id) = match route {
            Route::Record(zone, id) => (*zone, *id),
            Route::Records(zone) | Route::Batch(zone) => (*zone, ""),
            _ => ("", ""),
        };
        match kind {
            Kind::ListRecords => return self.list_records(zone, query),
            Kind::GetRecord => return self.get_record(zone, id),
            Kind::Batch => return self.at_desk(zone, |desk| desk.batch(body)).map(Success::of),
            _ => {}
        }
        let record = self.at_desk(zone, |desk| match kind {
            Kind::CreateRecord => desk.create(body),
            Kind::OverwriteRecord => desk.overwrite(id, body),
            Kind::PatchRecord => desk.patch(id, body),
            _ => desk.delete(id),
        })?;
        Ok(Success::of(if kind == Kind::DeleteRecord { json!({"id": record.id}) } else { record.to_json() }))
    }

    fn list_zones(&mut self, caller: &Caller, query: &Query) -> Result<Success, Refusal> {
        if !caller.reads_zones(&self.quirks) {
            return Err(no_access());
        }
        let paging = Paging::of(
            query,
            PageSize { least: 5, most: 50, default: 20, clamps: self.quirks.clamps_page_size },
        )?;
        let falsehood = self.falsehood();
        let visible = self.zones.iter().filter(|zone| caller.sees(zone)).collect();
        let found = select_zones(visible, query);
        let (part, info) = paging.cut(&found, falsehood);
        let permissions = caller.permissions();
        let result = part.iter().map(|zone| zone.to_json(&permissions)).collect();
        Ok(self.page(falsely(result, falsehood), info))
    }

    fn list_records(&mut self, zone: &str, query: &Query) -> Result<Success, Refusal> {
        let paging = Paging::of(
            query,
            PageSize {
                least: 1,
                most: self.quirks.most_records_per_page,
                default: 100,
                clamps: self.quirks.clamps_page_size,
            },
        )?;
        let (age, falsehood) = (self.age_of_list(), self.falsehood());
        let Some(zone) = self.zone(zone) else {
            return Ok(self.page(json!([]), json!({})));
        };
        let found = select_records(zone.records_before(self.now, age), query);
        let (part, info) = paging.cut(&found, falsehood);
        let result = part.iter().map(|record| record.to_json()).collect();
        Ok(self.page(falsely(result, falsehood), info))
    }

    fn get_record(&mut self, zone: &str, id: &str) -> Result<Success, Refusal> {
        let age = self.age_of_list();
        self.zone(zone)
            .and_then(|zone| zone.records_before(self.now, age).get(id))
            .map(|record| Success::of(record.to_json()))
            .ok_or_else(|| missing(&self.quirks))
    }

    /// How old what is shown now is.
    fn age_of_list(&mut self) -> Duration {
        let fault = self.faults.pick(|fault| match fault {
            Fault::StaleList(age) => Some(*age),
            _ => None,
        });
        fault.unwrap_or(self.quirks.stale_list)
    }

    fn falsehood(&mut self) -> Option<Falsehood> {
        self.faults.pick(|fault| match fault {
            Fault::FalseList(how) => Some(*how),
            _ => None,
        })
    }

    fn page(&mut self, result: Value, mut info: Value) -> Success {
        let claimed = self.faults.pick(|fault| match fault {
            Fault::TotalPages(pages) => Some(*pages),
            _ => None,
        });
        if let Some(pages) = claimed {
            let per_page = info["per_page"].as_u64().unwrap_or(1);
            info["total_pages"] = pages.into();
            info["total_count"] = u64::from(pages).saturating_mul(per_page).into();
        }
        Success { paging: Some(info), ..Success::of(result) }
    }

    /// The headers that every answer has, the edge's own ones included.
    fn sign(&mut self, reply: Reply) -> Reply {
        let ray = format!("{:016x}-SBX", self.rng.u64(..));
        let reply = reply
            .with("cf-ray", ray)
            .with("cf-cache-status", "DYNAMIC")
            .with("server", "cloudflare")
            .with("cache-control", "no-store, no-cache, must-revalidate, post-check=0, pre-check=0");
        if reply.status < 300 || reply.header("retry-after").is_some() {
            return reply;
        }
        let wait = self.faults.pick(|fault| match fault {
            Fault::RetryAfter(seconds) => Some(*seconds),
            _ => None,
        });
        match wait {
            Some(seconds) => reply.with("retry-after", seconds.to_string()),
            None => reply,
        }
    }

    /// The headers that every answer of the API itself has.
    fn dress(&mut self, mut reply: Reply, trail: &Trail) -> Reply {
        let (left, reset) = trail.limits.unwrap_or((self.limit.requests, self.limit.window));
        let (quota, window) = (self.limit.requests, self.limit.window.as_secs());
        reply = reply
            .with("ratelimit", format!("\"default\";r={left};t={}", seconds_up(reset)))
            .with("ratelimit-policy", format!("\"default\";q={quota};w={window}"));
        match &trail.retry_after {
            Some(text) => reply.with("retry-after", text.clone()),
            None => reply,
        }
    }

    /// What becomes of an answer after the work.
    fn spoil(&mut self, mut reply: Reply, kind: Kind) -> Reply {
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

/// A path of the API.
enum Route<'a> {
    Zones,
    Zone(&'a str),
    Records(&'a str),
    Record(&'a str, &'a str),
    Batch(&'a str),
    Verify(Option<&'a str>),
    Ips,
}

impl Route<'_> {
    /// The route of a path below the base URL, as long as its identifiers have the right form.
    fn of(path: &str) -> Option<Route<'_>> {
        let parts: Vec<&str> = path.strip_prefix('/')?.split('/').collect();
        let id = |text: &str| {
            let hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
            text.len() == 32 && text.bytes().all(hex)
        };
        Some(match parts.as_slice() {
            ["zones"] => Route::Zones,
            ["zones", zone] if id(zone) => Route::Zone(zone),
            ["zones", zone, "dns_records"] if id(zone) => Route::Records(zone),
            ["zones", zone, "dns_records", "batch"] if id(zone) => Route::Batch(zone),
            ["zones", zone, "dns_records", record] if id(zone) && id(record) => Route::Record(zone, record),
            ["user", "tokens", "verify"] => Route::Verify(None),
            ["accounts", account, "tokens", "verify"] if id(account) => Route::Verify(Some(account)),
            ["ips"] => Route::Ips,
            _ => return None,
        })
    }

    fn kind(&self, method: &str) -> Option<Kind> {
        Some(match (self, method) {
            (Route::Zones, "GET") => Kind::ListZones,
            (Route::Zone(_), "GET") => Kind::GetZone,
            (Route::Records(_), "GET") => Kind::ListRecords,
            (Route::Records(_), "POST") => Kind::CreateRecord,
            (Route::Record(..), "GET") => Kind::GetRecord,
            (Route::Record(..), "PUT") => Kind::OverwriteRecord,
            (Route::Record(..), "PATCH") => Kind::PatchRecord,
            (Route::Record(..), "DELETE") => Kind::DeleteRecord,
            (Route::Batch(_), "POST") => Kind::Batch,
            (Route::Verify(_), "GET") => Kind::VerifyToken,
            (Route::Ips, "GET") => Kind::Ips,
            _ => return None,
        })
    }

    /// The zone whose records it is about.
    fn records_of(&self) -> Option<&str> {
        match self {
            Route::Records(zone) | Route::Record(zone, _) | Route::Batch(zone) => Some(zone),
            _ => None,
        }
    }

    fn place(&self) -> Place {
        match self {
            Route::Zones | Route::Zone(_) | Route::Ips => Place::Zones,
            Route::Records(_) | Route::Record(..) | Route::Batch(_) => Place::Records,
            Route::Verify(_) => Place::Verify,
        }
    }
}

/// What is known of a request when its answer is made: who it is from, and what is left for them.
struct Trail {
    caller: String,
    limits: Option<(u32, Duration)>,
    retry_after: Option<String>,
}

fn seconds_up(span: Duration) -> u64 {
    span.as_millis().div_ceil(1_000).try_into().unwrap_or(u64::MAX)
}

/// A list as a fault has it.
fn falsely(result: Vec<Value>, how: Option<Falsehood>) -> Value {
    if how == Some(Falsehood::Null) { Value::Null } else { Value::Array(result) }
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
    let message = "Please wait and consider throttling your request speed";
    Refusal::new(429, 971, message)
}

fn no_access() -> Refusal {
    Refusal::new(403, 9109, "Unauthorized to access requested resource")
}

fn ips() -> Success {
    Success::of(json!({
        "ipv4_cidrs": CLOUDFLARE_V4,
        "ipv6_cidrs": CLOUDFLARE_V6,
        "etag": "38f79d050aa027e3be3865e495dcc9bc",
    }))
}
