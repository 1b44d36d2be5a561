//! HTTP: the one way to the network, and one small server.
//!
//! In reading order: `client` sends requests, `error` says what went wrong, `authorities` whom TLS
//! trusts, `look_up` finds the addresses of a name; `server` answers requests of others.

mod authorities;
mod client;
mod error;
mod look_up;
#[cfg(feature = "sandbox")]
pub mod server;

pub use authorities::{Authorities, BadPem};
pub use client::{BadUrl, Client, ClientOptions, USER_AGENT, Unread, is_loopback, read_capped, safe_url};
pub use error::{BUILT_AT, HttpError, Sent};
pub use look_up::Spelling;
