//! Learning the host's addresses: one file a kind of source.

use std::net::IpAddr;
use std::path::PathBuf;

use crate::engine::names::Family;

/// A source of addresses of one family.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A URL that answers with one address, or with a Cloudflare trace.
    Url {
        /// `cloudflare`, `ipify`, `amazon`, or the URL as configured.
        label: Box<str>,
        /// Who runs it: a built-in's operator, or the URL's host.
        operator: Box<str>,
        /// https, or http on a loopback host.
        url: Box<str>,
    },
    /// An address that is simply said.
    Static(IpAddr),
    /// A file with one address.
    File(PathBuf),
    /// A program that prints one address, run without a shell. Never empty.
    Command(Vec<Box<str>>),
}

/// The word in a configuration for a source that the program knows by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BuiltIn {
    /// Cloudflare's trace.
    Cloudflare,
    /// ipify.
    Ipify,
    /// checkip.amazonaws.com, IPv4 only.
    Amazon,
}

impl Source {
    /// The built-in source for this family; `None` where it has none.
    #[must_use]
    pub fn built_in(_which: BuiltIn, _family: Family) -> Option<Source> {
        None
    }
}
