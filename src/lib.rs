//! stayput keeps DNS names pointed at the address of the host that it runs on, through the Cloudflare API.
//!
//! The map, in reading order; ARCHITECTURE.md walks it with one address:
//! - [`engine`]: the pure core. What is believed, what differs, when to send it.
//! - [`detect`]: asking sources for the host's addresses.
//! - [`cloudflare`]: asking Cloudflare.
//! - [`http`]: the one way to the network that both of these take; [`process`]: the one way to run a program;
//!   [`small_file`]: to read a small file.
//! - [`secret`]: where secrets come from, and keeping them out of every text that leaves the process.
//! - [`config`]: text in; a valid configuration, or all of its mistakes, out.
//! - [`state`]: what is remembered across a restart, on disk.
//! - [`daemon`]: the one loop, and what it needs of the system: clock, signals, socket, systemd.
//! - [`report`]: telling people what happened.
//! - [`cli`]: the commands, one file each.
//! - `sandbox`: a simulated Cloudflare to try all of it with (a cargo feature, on by default).

pub mod cli;
pub mod cloudflare;
pub mod config;
pub mod daemon;
pub mod detect;
pub mod engine;
pub mod http;
pub mod process;
pub mod report;
#[cfg(feature = "sandbox")]
pub mod sandbox;
#[cfg(test)]
#[path = "../tests/support/scripted.rs"]
mod scripted;
pub mod secret;
pub mod small_file;
pub mod state;
