//! The one way out of the process: how HTTP clients are made, what their errors mean, and how an
//! answer is read without trusting its length.
//!
//! Everybody who speaks HTTP gets the same rules: HTTP/1.1, TLS with the roots of `authorities`, no proxy
//! (also none from the environment), no redirect, no cookie, no repetition behind our back, and a
//! limit on every wait. Deliberately unknown: who is asked and what the answers mean.

use std::collections::BTreeMap;
use std::error::Error as _;
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{IntoUrl, RequestBuilder, Response};
use rustix::io::Errno;
use rustls::CertificateError;

use crate::engine::names::Family;
use crate::mask;

mod authorities;
mod look_up;

pub use authorities::{Authorities, BadPem};
pub use look_up::Spelling;
use look_up::{Found, Missed, Teller};

/// What we call ourselves in each request.
pub const USER_AGENT: &str = concat!("stayput/", env!("CARGO_PKG_VERSION"));

/// How a client is to reach the world.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Way {
    /// The only address family that its sockets may use; `None`: whichever connects first.
    pub family: Option<Family>,
    /// What becomes of a connection after an answer.
    pub pool: Pool,
    /// The limit for connection and TLS together; keep it below `total`. A look-up has its own.
    pub connect: Duration,
    /// The limit for everything after the look-up, to the last byte of the answer.
    pub total: Duration,
}

/// What becomes of a connection after an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pool {
    /// Each request has a connection of its own.
    Never,
    /// It is kept for so long, for the next request.
    Idle(Duration),
}

/// Sends requests by one [`Way`]. Copies share their connections.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    family: Option<Family>,
    names: Names,
    /// How long what was looked up is used: as long as a connection is kept.
    names_last: Duration,
}

impl Client {
    /// Makes a client. It holds no socket until it is used.
    ///
    /// # Errors
    /// [`Trouble::Setup`] if TLS cannot be set up, which no network can cause.
    pub fn new(way: &Way, authorities: &Authorities) -> Result<Client, Trouble> {
        Client::with(way, authorities.tls()?)
    }

    fn with(way: &Way, tls: rustls::ClientConfig) -> Result<Client, Trouble> {
        let names = Names::default();
        let names_last = match way.pool {
            Pool::Never => Duration::ZERO,
            Pool::Idle(time) => time,
        };
        Ok(Client { http: build(way, tls, names.clone())?, family: way.family, names, names_last })
    }

    /// The beginning of a GET.
    pub fn get(&self, url: impl IntoUrl) -> RequestBuilder {
        self.http.get(url)
    }

    /// The beginning of a POST.
    pub fn post(&self, url: impl IntoUrl) -> RequestBuilder {
        self.http.post(url)
    }

    /// Looks up the name in the URL, and sends the request.
    ///
    /// # Errors
    /// What went wrong, and whether the other side may have seen the request.
    pub async fn send(
        &self,
        request: RequestBuilder,
        spelling: Spelling,
    ) -> Result<Response, (Trouble, Sent)> {
        let request = request.build().map_err(|error| trouble(&error))?;
        let name = request.url().domain().map(str::to_owned);
        if let Some(name) = &name {
            self.look_up(name, spelling).await.map_err(|trouble| (trouble, Sent::Never))?;
        }
        self.http.execute(request).await.map_err(|error| {
            let (trouble, sent) = trouble(&error);
            let misled = name.filter(|_| sent == Sent::Never && !matches!(trouble, Trouble::Clock(_)));
            let misled = misled.and_then(|name| self.names.misled(&name));
            (misled.map_or(trouble, Trouble::Misled), sent)
        })
    }

    async fn look_up(&self, name: &str, spelling: Spelling) -> Result<(), Trouble> {
        let known = self.names.lock().get(name).map(|(at, _)| at.elapsed());
        if known.is_some_and(|age| age < self.names_last) {
            return Ok(());
        }
        let found = look_up::look_up(name, self.family, spelling).await;
        let found = found.map_err(|missed| match missed {
            Missed::NoAddress if self.family.is_some() => Trouble::NoRoute,
            missed => Trouble::Dns(missed.to_string()),
        })?;
        self.names.lock().insert(name.to_owned(), (Instant::now(), found));
        Ok(())
    }
}

/// What was looked up, for the HTTP library, which asks in the middle of connecting.
#[derive(Clone, Debug, Default)]
struct Names(Arc<Mutex<BTreeMap<String, (Instant, Found)>>>);

impl Names {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, (Instant, Found)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Who is to blame for a public name that leads to nobody but this host, in words. In the file
    /// of hosts, loopback is somebody's wish.
    fn misled(&self, name: &str) -> Option<String> {
        let names = self.lock();
        let (_, found) = names.get(name).filter(|_| name.contains('.') && !name.ends_with(".localhost"))?;
        let here = |address: &IpAddr| {
            address.is_unspecified() || address.is_loopback() && found.by == Teller::Resolver
        };
        let address = found.addresses.first().filter(|_| found.addresses.iter().all(here))?;
        let teller = match found.by {
            Teller::Hosts => "/etc/hosts says".to_owned(),
            Teller::Resolver => format!("{} answers", look_up::name_server()),
        };
        Some(format!("{teller} {address} for {name}: an ad blocker?"))
    }
}

impl Resolve for Names {
    fn resolve(&self, name: Name) -> Resolving {
        let known = self.lock().get(name.as_str()).map(|(_, found)| found.addresses.clone());
        Box::pin(async move {
            let addresses = known.ok_or("the name was not looked up")?;
            let addresses = addresses.into_iter().map(|address| SocketAddr::new(address, 0));
            Ok(Box::new(addresses) as Addrs)
        })
    }
}

fn build(way: &Way, tls: rustls::ClientConfig, names: Names) -> Result<reqwest::Client, Trouble> {
    // A socket bound to the unspecified address of a family can reach that family alone; the
    // addresses of the other one are not even tried.
    let local: Option<IpAddr> = way.family.map(|family| match family {
        Family::V4 => Ipv4Addr::UNSPECIFIED.into(),
        Family::V6 => Ipv6Addr::UNSPECIFIED.into(),
    });
    let client = reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .http1_only()
        .user_agent(USER_AGENT)
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .retry(reqwest::retry::never())
        .local_address(local)
        .dns_resolver(Arc::new(names))
        .connect_timeout(way.connect)
        .timeout(way.total);
    let client = match way.pool {
        Pool::Never => client.pool_max_idle_per_host(0),
        Pool::Idle(time) => client.pool_max_idle_per_host(1).pool_idle_timeout(time),
    };
    client.build().map_err(|error| Trouble::Setup(root_cause(&error)))
}

/// Whether the host of a URL is this one, so that nobody on the way can read what is sent.
pub fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || address.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// What went wrong on the way to an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// This host has no route for the family, or the other side has no address of it.
    NoRoute,
    /// The name could not be looked up.
    Dns(String),
    /// The name was looked up, and what came leads to nobody.
    Misled(String),
    /// No connection came about.
    Connect(String),
    /// A limit of the [`Way`] has passed.
    TimedOut,
    /// The server's certificate was not accepted.
    Certificate(String),
    /// The server's certificate is not valid at this host's time, and the time looks wrong.
    Clock(String),
    /// TLS failed for another reason than the certificate.
    Tls(String),
    /// The connection broke, or what came is not HTTP.
    Transfer(String),
    /// The client could not be made, or the URL cannot be asked. Not the network's fault.
    Setup(String),
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Trouble::NoRoute => f.write_str("no route to the internet"),
            Trouble::Dns(why) => write!(f, "the name could not be looked up: {why}"),
            Trouble::Misled(why) => f.write_str(why),
            Trouble::Connect(why) => write!(f, "could not connect: {why}"),
            Trouble::TimedOut => f.write_str("no answer in time"),
            Trouble::Certificate(why) => {
                write!(f, "the server's certificate is not accepted: {why}")
            }
            Trouble::Clock(why) => write!(
                f,
                "the server's certificate is not valid at this host's time; is the clock right? ({why})"
            ),
            Trouble::Tls(why) => write!(f, "no secure connection: {why}"),
            Trouble::Transfer(why) => write!(f, "the connection broke: {why}"),
            Trouble::Setup(why) => write!(f, "the request could not be made: {why}"),
        }
    }
}

impl std::error::Error for Trouble {}

/// Whether the other side may have seen the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// It left no trace: no connection came about.
    Never,
    /// It may have been carried out.
    Maybe,
}

/// What an error of a client means. Says nothing of the URL, a header or a body.
pub fn trouble(error: &reqwest::Error) -> (Trouble, Sent) {
    if error.is_builder() {
        return (Trouble::Setup(root_cause(error)), Sent::Never);
    }
    let sent = if error.is_connect() { Sent::Never } else { Sent::Maybe };
    let mut cause = error.source();
    while let Some(this) = cause {
        if let Some(known) = recognise(this, sent) {
            return (known, sent);
        }
        cause = this.source();
    }
    let trouble = match sent {
        _ if error.is_timeout() => Trouble::TimedOut,
        Sent::Never => Trouble::Connect(root_cause(error)),
        Sent::Maybe => Trouble::Transfer(root_cause(error)),
    };
    (trouble, sent)
}

/// One link of an error's chain, if it alone says what happened.
fn recognise(cause: &(dyn std::error::Error + 'static), sent: Sent) -> Option<Trouble> {
    if let Some(error) = cause.downcast_ref::<rustls::Error>() {
        return Some(of_tls(error));
    }
    let error = cause.downcast_ref::<io::Error>()?;
    // The source of an io::Error that wraps another error skips that one.
    let inner = error.get_ref().and_then(|inner| recognise(inner, sent));
    if inner.is_some() || sent == Sent::Maybe {
        return inner;
    }
    let no_route = matches!(
        error.raw_os_error().map(Errno::from_raw_os_error),
        Some(Errno::NETUNREACH | Errno::ADDRNOTAVAIL | Errno::AFNOSUPPORT)
    );
    // The connector's word for "none of the addresses is of the pinned family".
    (no_route || error.kind() == io::ErrorKind::NotConnected).then_some(Trouble::NoRoute)
}

#[expect(clippy::disallowed_methods, reason = "certificates are dated by the wall clock")]
fn of_tls(error: &rustls::Error) -> Trouble {
    match error {
        rustls::Error::InvalidCertificate(why) => of_certificate(why, SystemTime::now()),
        rustls::Error::NoCertificatesPresented => Trouble::Certificate("the server presents none".to_owned()),
        other => Trouble::Tls(excerpt(other.to_string().as_bytes(), CAUSE_CHARACTERS)),
    }
}

/// The first of the month in which this version was made. A host's clock that is before it, or
/// decades after it, is wrong. Seconds since 1970.
pub const BUILT_AT: u64 = 1_793_491_200;
const TWENTY_YEARS: u64 = 20 * 365 * 86_400;
/// A server that shows a certificate which expired longer ago is rarer than a clock that is ahead. Seconds.
const HALF_A_YEAR: u64 = 180 * 86_400;

fn of_certificate(error: &CertificateError, now: SystemTime) -> Trouble {
    let now = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let (early, now, limit) = match error {
        CertificateError::NotValidYet => (true, now, None),
        CertificateError::NotValidYetContext { time, not_before } => {
            (true, time.as_secs(), Some(not_before.as_secs()))
        }
        CertificateError::Expired => (false, now, None),
        CertificateError::ExpiredContext { time, not_after } => {
            (false, time.as_secs(), Some(not_after.as_secs()))
        }
        other => return Trouble::Certificate(fault_of_certificate(other)),
    };
    let words = if early { "it is not valid before" } else { "it expired on" };
    let long_ago = limit.is_some_and(|limit| now.saturating_sub(limit) > HALF_A_YEAR);
    let limit = limit.map_or_else(|| "another date".to_owned(), date);
    let why = format!("{words} {limit}, and here it is {}", date(now));
    if early || long_ago || !(BUILT_AT..BUILT_AT + TWENTY_YEARS).contains(&now) {
        Trouble::Clock(why)
    } else {
        Trouble::Certificate(format!("{why}; is the clock right?"))
    }
}

fn fault_of_certificate(error: &CertificateError) -> String {
    match error {
        CertificateError::UnknownIssuer => {
            "it is signed by nobody that is known here (something between this host and the server may be answering in its place)".to_owned()
        }
        CertificateError::NotValidForName => "it is for another name".to_owned(),
        CertificateError::NotValidForNameContext { expected, presented } => {
            let presented = excerpt(presented.join(", ").as_bytes(), CAUSE_CHARACTERS);
            format!("it is not for {} but for {presented}", expected.to_str())
        }
        CertificateError::BadSignature => {
            "the authority that it names did not sign it (there may be two of that name)".to_owned()
        }
        CertificateError::Revoked => "it has been revoked".to_owned(),
        // What a certificate is refused for that signed itself, as `openssl req -x509` makes them.
        other if other.to_string().contains("CaUsedAsEndEntity") => {
            "it is an authority's own and not a server's (it may have signed itself)".to_owned()
        }
        other => excerpt(other.to_string().as_bytes(), CAUSE_CHARACTERS),
    }
}

fn date(seconds: u64) -> String {
    const YEAR_10000: u64 = 253_402_300_800;
    if seconds >= YEAR_10000 {
        return "a date after the year 9999".to_owned();
    }
    humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_secs(seconds)).to_string()
}

/// The words of the last link of an error's chain. The first one would print the URL.
fn root_cause(error: &reqwest::Error) -> String {
    let mut last = None;
    let mut cause = error.source();
    while let Some(this) = cause {
        last = Some(this);
        cause = this.source();
    }
    last.map_or_else(
        || "no reason was given".to_owned(),
        |cause| excerpt(cause.to_string().as_bytes(), CAUSE_CHARACTERS),
    )
}

const CAUSE_CHARACTERS: usize = 200;

/// Why an answer could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unread {
    /// It is longer than the cap.
    TooLong,
    /// It broke off, or a limit passed.
    Trouble(Trouble),
}

/// Reads the body of an answer, which may be at most `cap` bytes long.
///
/// # Errors
/// [`Unread::TooLong`] as soon as it is clear; the rest is not read. [`Unread::Trouble`] if the
/// connection fails before the end.
pub async fn read_capped(mut response: Response, cap: usize) -> Result<Vec<u8>, Unread> {
    let fits = |length: u64| usize::try_from(length).is_ok_and(|length| length <= cap);
    if !response.content_length().is_none_or(fits) {
        return Err(Unread::TooLong);
    }
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() > cap => return Err(Unread::TooLong),
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) => return Ok(body),
            Err(error) => return Err(Unread::Trouble(trouble(&error).0)),
        }
    }
}

/// A secret that begins within an excerpt is read to its end, in any of its forms, to be recognized.
const LONGEST_SECRET: usize = 1024;

/// The beginning of a foreign text on one line: at most `most` printable characters, runs of
/// everything else shown as one blank, known secrets as `***`.
pub fn excerpt(text: &[u8], most: usize) -> String {
    // Four bytes a character; a little more, because blanks are merged and secrets are replaced.
    let text = &text[..text.len().min(most.saturating_mul(8).saturating_add(LONGEST_SECRET))];
    let text = mask::hide(text);
    let text = String::from_utf8_lossy(&text);
    let printable = |c: &char| !c.is_whitespace() && (c.is_ascii_graphic() || is_printable(*c));
    let mut out = String::new();
    let mut room = most;
    for word in text.split(|c| !printable(&c)).filter(|word| !word.is_empty()) {
        if !out.is_empty() && room > 0 {
            out.push(' ');
            room -= 1;
        }
        out.extend(word.chars().take(room));
        room = room.saturating_sub(word.chars().count());
        if room == 0 {
            break;
        }
    }
    out.truncate(out.trim_end().len());
    out
}

/// Beyond ASCII: what the standard library would show as it is, which excludes control characters,
/// invisible ones and those that turn the direction of writing.
fn is_printable(c: char) -> bool {
    !c.is_ascii() && c.escape_debug().count() == 1
}

#[cfg(test)]
#[path = "outbound/tests.rs"]
mod tests;
