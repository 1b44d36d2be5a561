//! What each source said, and what is believed.

use std::fmt;
use std::net::IpAddr;

use super::names::Family;
use super::ranges::NotPublic;
use super::settings::Source;

/// A source of one family, by its place in [`Settings::sources`](super::settings::Settings::sources).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceId {
    /// The family that is asked about.
    pub family: Family,
    /// The place in the family's list, from 0.
    pub index: usize,
}

/// Why a source gave no address that can be believed. Never a reason to change anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unheard {
    /// This host has no route for the family at all.
    NoRoute,
    /// Name look-up, connection or transfer failed; the words of the failing part.
    Unreachable(String),
    /// No whole answer in time.
    TimedOut,
    /// The server's certificate was not accepted; why.
    Certificate(String),
    /// The certificate is not valid at this host's time, which is probably wrong; why.
    Clock(String),
    /// An HTTP status other than 200.
    Status(u16),
    /// The answer points elsewhere; redirects are not followed.
    Redirect(u16),
    /// More than 4 KiB.
    TooLong,
    /// The body is not one address; an excerpt.
    NotAnAddress(String),
    /// An address of the other family.
    WrongFamily(IpAddr),
    /// A trace that was answered for another host: the connection was intercepted.
    WrongHost(String),
    /// A trace with `warp=on` or `gateway=on`: the address is Cloudflare's exit, not ours.
    Warp,
    /// A file or a command of the configuration failed; how.
    Local(String),
    /// An address that must not be published; why.
    NotPublic(IpAddr, NotPublic),
}

impl fmt::Display for Unheard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unheard::NoRoute => f.write_str("no route to the internet for this family"),
            Unheard::Unreachable(why) => write!(f, "not reachable: {why}"),
            Unheard::TimedOut => f.write_str("no answer in time"),
            Unheard::Certificate(why) => write!(f, "its certificate is not accepted: {why}"),
            Unheard::Clock(why) => write!(f, "its certificate is not valid at this host's time; is the clock right? ({why})"),
            Unheard::Status(status) => write!(f, "answered with HTTP status {status}"),
            Unheard::Redirect(status) => write!(f, "answered with a redirect (HTTP {status}), which is not followed"),
            Unheard::TooLong => f.write_str("answered with more than 4 KiB"),
            Unheard::NotAnAddress(excerpt) => write!(f, "did not answer with one address: {excerpt}"),
            Unheard::WrongFamily(address) => write!(f, "answered with an address of the other family: {address}"),
            Unheard::WrongHost(host) => write!(f, "the answer is for another host, {host}: the connection is intercepted"),
            Unheard::Warp => f.write_str("the connection goes through Cloudflare WARP or Gateway, so the address is not this host's"),
            Unheard::Local(why) => f.write_str(why),
            Unheard::NotPublic(address, why) => write!(f, "{address} is not published: {why}"),
        }
    }
}

/// What several answers amount to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Agreement {
    /// So many operators say this address, and that is enough.
    Agreed {
        /// The address.
        address: IpAddr,
        /// The operators that say it.
        operators: usize,
    },
    /// Two or more addresses were heard, and none from enough operators.
    Disagree,
    /// One address was heard, but not from enough operators.
    TooFew {
        /// The address.
        address: IpAddr,
        /// The operators that say it.
        operators: usize,
    },
    /// Nothing was heard.
    Silence,
}

/// How many operators must agree: `agree`, or all of them where the list holds fewer.
#[must_use]
pub fn needed(sources: &[Source], agree: usize) -> usize {
    let mut operators: Vec<&str> = sources.iter().map(|source| &*source.operator).collect();
    operators.sort_unstable();
    operators.dedup();
    agree.clamp(1, operators.len().max(1))
}
