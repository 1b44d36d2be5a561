//! How HTTP clients are made, and how an answer is read without trusting its length.
//!
//! Everybody who speaks HTTP gets the same rules: HTTP/1.1, TLS with the roots of `authorities`, no proxy
//! (also none from the environment), no redirect, no cookie, no repetition behind our back, and a
//! limit on every wait. Deliberately unknown: who is asked and what the answers mean.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{IntoUrl, RequestBuilder, Response, Url};

use super::authorities::Authorities;
use super::error::{self, HttpError, Sent, root_cause};
use super::look_up::{self, Found, Missed, Spelling, Teller};
use crate::engine::names::Family;

/// What we call ourselves in each request.
pub const USER_AGENT: &str = concat!("stayput/", env!("CARGO_PKG_VERSION"));

/// How a client is to reach the world.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientOptions {
    /// The only address family that its sockets may use; `None`: whichever connects first.
    pub family: Option<Family>,
    /// How long a connection is kept for the next request; `None`: each has one of its own.
    pub keep: Option<Duration>,
    /// The limit for connection and TLS together; keep it below `total`. A look-up has its own.
    pub connect: Duration,
    /// The limit for everything after the look-up, to the last byte of the answer.
    pub total: Duration,
}

/// Whether the host of a URL is this one, so that nobody on the way can read what is sent.
pub fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || address.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Why nothing is sent to a URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BadUrl {
    /// It is none, for this reason.
    Malformed(String),
    /// It holds a user name or a password.
    Credentials,
    /// It holds a `#`, which is never sent.
    Fragment,
    /// Neither https, nor http on a loopback host.
    Insecure,
}

/// A URL that a request can go to: https, or http on a loopback host; nothing secret in it.
///
/// # Errors
/// [`BadUrl`] says why not.
pub fn safe_url(text: &str) -> Result<Url, BadUrl> {
    let url = Url::parse(text).map_err(|error| BadUrl::Malformed(error.to_string()))?;
    let is_safe = match url.scheme() {
        "https" => true,
        "http" => url.host_str().is_some_and(is_loopback),
        _ => false,
    };
    if !url.username().is_empty() || url.password().is_some() {
        Err(BadUrl::Credentials)
    } else if url.fragment().is_some() {
        Err(BadUrl::Fragment)
    } else if is_safe {
        Ok(url)
    } else {
        Err(BadUrl::Insecure)
    }
}

/// Sends requests by one [`ClientOptions`]. Copies share their connections.
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
    /// [`HttpError::Setup`] if TLS cannot be set up, which no network can cause.
    pub fn new(options: &ClientOptions, authorities: &Authorities) -> Result<Client, HttpError> {
        Client::with(options, authorities.tls()?)
    }

    fn with(options: &ClientOptions, tls: rustls::ClientConfig) -> Result<Client, HttpError> {
        let names = Names::default();
        let names_last = options.keep.unwrap_or_default();
        Ok(Client { http: build(options, tls, names.clone())?, family: options.family, names, names_last })
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
    ) -> Result<Response, (HttpError, Sent)> {
        let request = request.build().map_err(|error| error::of(&error))?;
        let name = request.url().domain().map(str::to_owned);
        if let Some(name) = &name {
            self.look_up(name, spelling).await.map_err(|error| (error, Sent::Never))?;
        }
        self.http.execute(request).await.map_err(|error| {
            let (error, sent) = error::of(&error);
            let misled = name.filter(|_| sent == Sent::Never && !matches!(error, HttpError::Clock(_)));
            let misled = misled.and_then(|name| self.names.misled(&name));
            (misled.map_or(error, HttpError::Misled), sent)
        })
    }

    async fn look_up(&self, name: &str, spelling: Spelling) -> Result<(), HttpError> {
        let known = self.names.lock().get(name).map(|(at, _)| at.elapsed());
        if known.is_some_and(|age| age < self.names_last) {
            return Ok(());
        }
        let found = look_up::look_up(name, self.family, spelling).await;
        let found = found.map_err(|missed| match missed {
            Missed::NoAddress if self.family.is_some() => HttpError::NoRoute,
            missed => HttpError::Dns(missed.to_string()),
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

fn build(
    options: &ClientOptions,
    tls: rustls::ClientConfig,
    names: Names,
) -> Result<reqwest::Client, HttpError> {
    // A socket bound to the unspecified address of a family can reach that family alone; the
    // addresses of the other one are not even tried.
    let local: Option<IpAddr> = options.family.map(|family| match family {
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
        .connect_timeout(options.connect)
        .timeout(options.total);
    let client = match options.keep {
        None => client.pool_max_idle_per_host(0),
        Some(time) => client.pool_max_idle_per_host(1).pool_idle_timeout(time),
    };
    client.build().map_err(|error| HttpError::Setup(root_cause(&error)))
}

/// Why an answer could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unread {
    /// It is longer than the cap.
    TooLong,
    /// It broke off, or a limit passed.
    Http(HttpError),
}

/// Reads the body of an answer, which may be at most `cap` bytes long.
///
/// # Errors
/// [`Unread::TooLong`] as soon as it is clear; the rest is not read. [`Unread::Http`] if the
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
            Err(error) => return Err(Unread::Http(error::of(&error).0)),
        }
    }
}

#[cfg(test)]
mod tests;
