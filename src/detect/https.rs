//! A URL as a source: one GET on a new connection of one family, and a body that must be an
//! address.
//!
//! Deliberately unknown: what a body may look like (`answer`), and how clients are made
//! (`http`).

use std::net::IpAddr;
use std::sync::OnceLock;
use std::time::Duration;

use reqwest::{StatusCode, Url};

use super::answer::{self, LONGEST_ANSWER, local};
use super::source::BuiltIn;
use crate::engine::names::Family;
use crate::engine::watch::LookError;
use crate::http::{self, Authorities, Client, ClientOptions, HttpError, Spelling, Unread};

/// How long one question may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Connection and TLS.
    pub(super) connect: Duration,
    /// Everything after the name look-up, which has a limit of 12 s, to the last byte.
    pub(super) total: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { connect: Duration::from_secs(5), total: Duration::from_secs(10) }
    }
}

/// What the URL says to this client.
pub(super) async fn ask(client: &Client, url: &str, family: Family) -> Result<IpAddr, LookError> {
    let url = Url::parse(url).map_err(|error| local("the URL cannot be asked", &error))?;
    let host = url.host_str().unwrap_or_default().to_owned();
    let spelling = if BuiltIn::is_at(&host) { Spelling::Public } else { Spelling::Local };
    let response = client.send(client.get(url), spelling).await;
    let response = response.map_err(|(error, _)| unheard(error))?;
    // An IPv6 socket that was given an IPv4-mapped address speaks IPv4.
    let over = response.remote_addr().map(|peer| answer::of_family(peer.ip(), family));
    if over.is_some_and(|over| over.is_err()) {
        return Err(LookError::NoRoute);
    }
    match response.status() {
        StatusCode::OK => {}
        status if status.is_redirection() => return Err(LookError::Redirect(status.as_u16())),
        status => return Err(LookError::Status(status.as_u16())),
    }
    let body = http::read_capped(response, LONGEST_ANSWER).await;
    let body = body.map_err(|unread| match unread {
        Unread::TooLong => LookError::TooLong,
        Unread::Http(error) => unheard(error),
    })?;
    answer::parse(&body, &host, family)
}

fn unheard(error: HttpError) -> LookError {
    match error {
        HttpError::NoRoute => LookError::NoRoute,
        HttpError::TimedOut => LookError::TimedOut,
        HttpError::Certificate(why) => LookError::Certificate(why),
        HttpError::Clock(why) => LookError::Clock(why),
        HttpError::Setup(_) => LookError::Local(error.to_string()),
        HttpError::Dns(_)
        | HttpError::Misled(_)
        | HttpError::Connect(_)
        | HttpError::Tls(_)
        | HttpError::Transfer(_) => LookError::Unreachable(error.to_string()),
    }
}

/// The client of each family, made when it is first needed: loading TLS costs more than a look.
#[derive(Debug)]
pub(super) struct Clients {
    authorities: Authorities,
    made: [OnceLock<Client>; 2],
}

impl Clients {
    pub(super) fn new(authorities: &Authorities) -> Clients {
        Clients { authorities: authorities.clone(), made: Default::default() }
    }

    /// The client of this family.
    pub(super) fn of(&self, family: Family, limits: Limits) -> Result<Client, LookError> {
        let slot = &self.made[usize::from(family == Family::V6)];
        if let Some(client) = slot.get() {
            return Ok(client.clone());
        }
        let options =
            ClientOptions { family: Some(family), keep: None, connect: limits.connect, total: limits.total };
        let client = Client::new(&options, &self.authorities).map_err(unheard)?;
        Ok(slot.get_or_init(|| client).clone())
    }
}

#[cfg(test)]
mod tests;
