//! Sends requests to the API, within limits, and logs them without the secret.
//!
//! One connection serves a burst of requests and is closed a few seconds after. Where a write was
//! lost, every later one has a connection of its own. Nothing is repeated here, no redirect is
//! followed, no proxy is used. Whatever goes wrong becomes a
//! [`Failure`] that says whether the request may have taken effect. Deliberately unknown: when to
//! ask, what an answer means (`wire`).

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, SET_COOKIE};
use tracing::{Level, debug, trace};

use super::classify::{self, Refusal};
use super::credential::Credential;
use super::headers;
use super::wire::{self, HttpAnswer, HttpRequest};
use crate::engine::api::{Answer, Request};
use crate::engine::failure::{Class, Failure};
use crate::http::{self, Authorities, BadUrl, ClientOptions, HttpError, Sent, Spelling, Unread};
use crate::secret::redact::{Mask, quote};

/// Where Cloudflare's API is.
const HOST: &str = "api.cloudflare.com";
/// The limit for connection and TLS.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);
/// The limit for everything after the look-up, to the last byte of the answer.
const TOTAL_LIMIT: Duration = Duration::from_secs(30);
/// How long a connection waits for the next request: a burst shares one, a quiet daemon has none.
const IDLE_LIMIT: Duration = Duration::from_secs(5);
/// The most that is read of a successful answer: 5,000 records are about 2 MB.
const MOST_BYTES: usize = 8 << 20;
/// The most that is read of any other answer.
const MOST_ERROR_BYTES: usize = 64 << 10;
/// Characters of a body that are logged.
const MOST_LOGGED: usize = 4_096;

const AUTH_EMAIL: HeaderName = HeaderName::from_static("x-auth-email");
const AUTH_KEY: HeaderName = HeaderName::from_static("x-auth-key");

/// A way to one API, for any number of requests.
#[derive(Debug)]
pub struct Client {
    base: String,
    options: ClientOptions,
    authorities: Authorities,
    spelling: Spelling,
    http: Mutex<http::Client>,
    dated: OnceLock<SystemTime>,
    /// A write was left without an answer: something on the way may drop what is sent over a kept
    /// connection, and it is not known what.
    lost_a_write: AtomicBool,
}

const NOT_A_BASE: &str = "api is not a base URL: write it like https://api.cloudflare.com/client/v4";
const INSECURE: &str = "api must begin with https:// (http:// is accepted for loopback hosts only), or the secret could be read on the way";

impl Client {
    /// A client for the API below this base URL, such as `https://api.cloudflare.com/client/v4`.
    /// Nothing is connected yet.
    ///
    /// # Errors
    /// A base that no request could or should be sent to; the configuration lets none through.
    pub fn new(api: &str, authorities: &Authorities) -> Result<Client, HttpError> {
        let options = ClientOptions {
            family: None,
            keep: Some(IDLE_LIMIT),
            connect: CONNECT_LIMIT,
            total: TOTAL_LIMIT,
        };
        Client::by(options, api, authorities)
    }

    fn by(options: ClientOptions, api: &str, authorities: &Authorities) -> Result<Client, HttpError> {
        let bad = |why: &str| HttpError::Setup(why.to_owned());
        let url = http::safe_url(api).map_err(|url| match url {
            BadUrl::Insecure => bad(INSECURE),
            _ => bad(NOT_A_BASE),
        })?;
        let host = url.host_str().filter(|_| url.query().is_none()).ok_or_else(|| bad(NOT_A_BASE))?;
        let spelling = if host == HOST { Spelling::Public } else { Spelling::Local };
        Ok(Client {
            spelling,
            base: api.trim_end_matches('/').to_owned(),
            http: http::Client::new(&options, authorities)?.into(),
            options,
            dated: OnceLock::new(),
            authorities: authorities.clone(),
            lost_a_write: AtomicBool::new(false),
        })
    }

    /// Whether it accepts the certificates of these authorities, and of no others.
    pub fn trusts(&self, authorities: &Authorities) -> bool {
        self.authorities == *authorities
    }

    /// Drops the connections that are kept, after an address change for instance: they were made
    /// from an address that may be gone. A request that is under way goes on.
    pub fn forget_connections(&self) {
        match http::Client::new(&self.options, &self.authorities) {
            Ok(http) => *self.http.lock().unwrap_or_else(PoisonError::into_inner) = http,
            // The old connections end by themselves within seconds.
            Err(error) => debug!(target: "stayput::api", %error, "connections are kept"),
        }
    }

    /// The `Date` of the first answer, to judge this host's clock by.
    pub fn dated(&self) -> Option<SystemTime> {
        self.dated.get().copied()
    }

    /// Sends a request and waits for its answer, at most 42 s.
    pub async fn ask(&self, credential: &Credential, request: &Request) -> Answer {
        let lost_a_write = self.lost_a_write.load(Ordering::Relaxed);
        if request.writes() {
            if lost_a_write {
                self.forget_connections();
            }
            // So it stays if the caller stops waiting.
            self.lost_a_write.store(true, Ordering::Relaxed);
        }
        let started = Instant::now();
        let http = wire::encode(request);
        let mask = Mask::of([credential.secret().expose()]);
        let exchange = self.exchange(credential, &http, &mask).await;
        let took = started.elapsed();
        if request.writes() && !matches!(exchange, Err(Unanswered { sent: Sent::Maybe, .. })) {
            self.lost_a_write.store(lost_a_write, Ordering::Relaxed);
        }
        log_outcome(&http, &exchange, took);
        match exchange {
            Ok(received) => received.judge(request, took, &mask),
            Err(unanswered) => Answer::failed(unanswered.judge(request, &mask), took),
        }
    }

    async fn exchange(
        &self,
        credential: &Credential,
        request: &HttpRequest,
        mask: &Mask,
    ) -> Result<Received, Unanswered> {
        let headers = headers_for(credential, request)
            .map_err(|why| Unanswered { error: HttpError::Setup(why.to_owned()), sent: Sent::Never })?;
        log_request(request, &headers, mask);
        let url = format!("{}{}", self.base, request.path);
        let http = self.http.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let built = match request.method {
            "POST" => http.post(url),
            _ => http.get(url),
        };
        let built = built.headers(headers);
        let built = match &request.body {
            Some(body) => built.body(body.clone()),
            None => built,
        };
        let response = http.send(built, self.spelling).await;
        let response = response.map_err(|(error, sent)| Unanswered { error, sent })?;
        let status = response.status().as_u16();
        let headers = pairs(response.headers());
        if let Some(date) = headers::first(&headers, "date").and_then(headers::http_date) {
            self.dated.get_or_init(|| date);
        }
        let cap = match response.status().is_success() {
            true => MOST_BYTES,
            false => MOST_ERROR_BYTES,
        };
        let body = http::read_capped(response, cap).await;
        let received = Received { status, headers, body };
        log_answer(&received, mask);
        Ok(received)
    }
}

/// No answer came.
struct Unanswered {
    error: HttpError,
    sent: Sent,
}

impl Unanswered {
    fn judge(&self, request: &Request, mask: &Mask) -> Failure {
        let class = match (self.sent, &self.error) {
            (Sent::Never, HttpError::Clock(_)) => Class::Clock,
            (Sent::Never, _) => Class::NotSent,
            (Sent::Maybe, _) => classify::uncertain(request),
        };
        let detail = mask.apply_to_text(&self.error.to_string());
        let failure = Refusal { detail, ..Refusal::default() }.failure(class);
        Failure { incomplete: matches!(self.error, HttpError::TimedOut), ..failure }
    }
}

/// What came.
struct Received {
    status: u16,
    headers: Vec<(String, String)>,
    body: Result<Vec<u8>, Unread>,
}

impl Received {
    fn judge(self, request: &Request, took: Duration, mask: &Mask) -> Answer {
        let Received { status, headers, body } = self;
        let judge = |headers, body: Result<&[u8], &Unread>| {
            let http = HttpAnswer { status, headers, body: body.unwrap_or_default(), took };
            match body {
                Ok(_) => wire::decode(request, &http),
                Err(why) => wire::without_body(request, &http, unread(why, status)),
            }
        };
        let mut judged = judge(headers.clone(), body.as_deref());
        let Err(failure) = &mut judged.outcome else {
            return judged;
        };
        // What is told of a failure quotes the answer, which may echo the secret. It is read once
        // more without it, because an excerpt could begin in the middle.
        let masked = headers.iter();
        let masked = masked.map(|(name, value)| (name.clone(), mask.apply_to_text(value)));
        let body = body.as_deref().map(|body| mask.apply(body));
        if let Err(told) = judge(masked.collect(), body.as_deref().map_err(|why| *why)).outcome {
            failure.said = told.said;
        }
        judged
    }
}

fn unread(why: &Unread, status: u16) -> String {
    match why {
        Unread::TooLong if (200..300).contains(&status) => {
            format!("the answer is longer than {} MiB", MOST_BYTES >> 20)
        }
        Unread::TooLong => format!("the answer is longer than {} KiB", MOST_ERROR_BYTES >> 10),
        Unread::Http(error) => error.to_string(),
    }
}

/// The headers of a request: one kind of credential, never both.
fn headers_for(credential: &Credential, request: &HttpRequest) -> Result<HeaderMap, &'static str> {
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    if request.body.is_some() {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    let mut add = |name, value: &str| {
        let value = HeaderValue::from_str(value);
        let mut value = value.map_err(|_| "the credential does not fit into a header")?;
        value.set_sensitive(true);
        headers.insert(name, value);
        Ok::<_, &'static str>(())
    };
    match credential {
        Credential::Token(token) => {
            let value = zeroize::Zeroizing::new(format!("Bearer {}", token.expose()));
            add(AUTHORIZATION, &value)?;
        }
        Credential::GlobalKey { email, key } => {
            add(AUTH_EMAIL, email)?;
            add(AUTH_KEY, key.expose())?;
        }
    }
    Ok(headers)
}

/// Names and values. Cookies are a kind of credential, too; they are never sent back.
fn pairs(headers: &HeaderMap) -> Vec<(String, String)> {
    let text = |(name, value): (&HeaderName, &HeaderValue)| match value.is_sensitive() || name == SET_COOKIE {
        true => (name.to_string(), "***".to_owned()),
        false => (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()),
    };
    headers.iter().map(text).collect()
}

/// One line for each request.
fn log_outcome(request: &HttpRequest, outcome: &Result<Received, Unanswered>, took: Duration) {
    let HttpRequest { method, path, .. } = request;
    let ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    match outcome {
        Ok(received) => {
            let status = received.status;
            let ray = headers::ray(&received.headers).unwrap_or_else(|| "none".to_owned());
            debug!(target: "stayput::api", method, path, status, ms, ray, "answered");
        }
        Err(Unanswered { error, .. }) => {
            debug!(target: "stayput::api", method, path, ms, %error, "not answered");
        }
    }
}

fn log_request(request: &HttpRequest, headers: &HeaderMap, mask: &Mask) {
    if !tracing::enabled!(target: "stayput::api", Level::TRACE) {
        return;
    }
    let headers = listed(&pairs(headers), mask);
    let body = loggable(request.body.as_deref().unwrap_or_default().as_bytes(), mask);
    trace!(target: "stayput::api", method = request.method, path = request.path, headers, body, "request");
}

fn log_answer(received: &Received, mask: &Mask) {
    if !tracing::enabled!(target: "stayput::api", Level::TRACE) {
        return;
    }
    let headers = listed(&received.headers, mask);
    let body = match &received.body {
        Ok(body) => loggable(body, mask),
        Err(why) => unread(why, received.status),
    };
    trace!(target: "stayput::api", status = received.status, headers, body, "answer");
}

fn listed(headers: &[(String, String)], mask: &Mask) -> String {
    let shown = headers.iter().map(|(name, value)| format!("{name}: {}", loggable(value.as_bytes(), mask)));
    shown.collect::<Vec<_>>().join(", ")
}

/// The beginning of a text, on one line, without the secret.
fn loggable(text: &[u8], mask: &Mask) -> String {
    quote(mask.apply(text), MOST_LOGGED)
}

#[cfg(test)]
mod tests;
