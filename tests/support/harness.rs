//! Between an engine and the simulated Cloudflare, without sockets and on a clock that jumps: requests and answers as the
//! real JSON, and what is on its way. The simulation adds faults, the benchmark counts.

use std::collections::BTreeMap;
use std::collections::btree_map::OccupiedEntry;
use std::time::Duration;

use stayput::cloudflare::wire::{self, HttpAnswer};
use stayput::engine::api::{Answer, Request};
use stayput::engine::names::{Family, Moment};
use stayput::sandbox::{API_PATH, HttpRequest, Reply, World};

/// The clock does not begin at zero, so that the past before the start exists.
const ORIGIN: i64 = 1_000_000_000;

/// The engine's time. Rounded up: what is to happen at an instant happens then, not just before.
pub fn moment(now: Duration) -> Moment {
    let millis = now.as_micros().div_ceil(1_000);
    Moment::from_millis(ORIGIN + i64::try_from(millis).unwrap())
}

pub fn since_origin(at: Moment) -> Duration {
    Duration::from_millis(u64::try_from(at.as_millis() - ORIGIN).unwrap_or(0))
}

/// What the API replies to a request with this token.
pub fn send(world: &mut World, now: Duration, request: &Request, token: &str) -> Reply {
    let http = wire::encode(request);
    let path = format!("{API_PATH}{}", http.path);
    let headers = [
        ("authorization".to_owned(), format!("Bearer {token}")),
        ("content-type".to_owned(), "application/json".to_owned()),
        ("user-agent".to_owned(), "stayput/test".to_owned()),
    ];
    let body = http.body.unwrap_or_default();
    let body = body.as_bytes();
    world.answer(
        &HttpRequest { method: http.method, path: &path, headers: &headers, body, over: Family::V4 },
        now,
    )
}

/// What a source of this operator replies.
pub fn look(world: &mut World, now: Duration, operator: &str, over: Family) -> Reply {
    let path = format!("/echo/{operator}");
    let headers = [("host".to_owned(), "echo.test".to_owned())];
    world.answer(&HttpRequest { method: "GET", path: &path, headers: &headers, body: b"", over }, now)
}

/// The answer that a reply is to a request.
pub fn decode(request: &Request, reply: &Reply, took: Duration) -> Answer {
    let (status, headers) = (reply.status, reply.headers.clone());
    wire::decode(request, &HttpAnswer { status, headers, body: &reply.body, took })
}

/// What is on its way, and when it arrives.
pub struct OnTheWay<T> {
    arrivals: BTreeMap<(Duration, u64), T>,
    serial: u64,
}

impl<T> OnTheWay<T> {
    pub fn nothing() -> OnTheWay<T> {
        OnTheWay { arrivals: BTreeMap::new(), serial: 0 }
    }

    pub fn add(&mut self, arrives: Duration, what: T) {
        self.serial += 1;
        self.arrivals.insert((arrives, self.serial), what);
    }

    pub fn next(&self) -> Option<Duration> {
        self.arrivals.keys().next().map(|(at, _)| *at)
    }

    /// One after the other, what has arrived by now.
    pub fn take(&mut self, now: Duration) -> Option<T> {
        let first = self.arrivals.first_entry().filter(|entry| entry.key().0 <= now);
        first.map(OccupiedEntry::remove)
    }
}
