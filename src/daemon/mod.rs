//! The one loop (`event_loop`) and its parts: each waits for one thing, or tells somebody one thing.

pub mod accounts;
pub mod clock;
mod event_loop;
mod network;
pub mod signals;
pub mod socket;
pub mod status;
pub mod systemd;

pub use accounts::Secrets;
pub use event_loop::{Job, Outcome, RunError, Seen, StateMode, run, seed};
