//! Which addresses may be published.

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;

/// Why an address must not be published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotPublic {
    /// In a range that is not routed on the internet; the range and what it is for.
    Range(&'static str, &'static str),
    /// In one of Cloudflare's own ranges: an edge, never a home connection.
    Cloudflare(&'static str),
}

impl fmt::Display for NotPublic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NotPublic::Range(range, what) => write!(f, "{range} is {what}"),
            NotPublic::Cloudflare(range) => write!(f, "{range} is Cloudflare's own"),
        }
    }
}

/// Whether `address` may be published: it is public, or in one of the `allow` ranges.
///
/// # Errors
/// [`NotPublic`] says why it may not.
pub fn publishable(_address: IpAddr, _allow: &[IpNet]) -> Result<(), NotPublic> {
    Ok(())
}
