//! stayput keeps DNS names pointed at the address of the host that it runs on, through the Cloudflare API.
//!
//! The map, in reading order; ARCHITECTURE.md walks it with one address:
//! - [`engine`]: the pure core. What is believed, what differs, when to send it.
//! - [`detect`]: asking sources for the host's addresses.
//! - [`cloudflare`]: asking Cloudflare.
//! - [`config`]: text in; a valid configuration, or all of its mistakes, out.
//! - [`outbound`]: the one way out of the process that both of these take.
//! - `sandbox`: a simulated Cloudflare to try all of it with (a cargo feature, on by default).

pub mod cloudflare;
pub mod config;
pub mod detect;
pub mod engine;
pub mod outbound;
#[cfg(feature = "sandbox")]
pub mod sandbox;
