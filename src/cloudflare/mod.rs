//! The Cloudflare API: HTTP outside, the engine's requests and answers inside.
//!
//! In reading order: [`client`] sends, [`wire`] turns requests into HTTP and answers back (pure),
//! with `json` and `lists`, `classify` (what a failure means), `headers` and `foreign` (what is not the API's)
//! below it;
//! [`credential`] says how an account is reached, and [`identity`] tells credentials apart.

mod classify;
pub mod client;
pub mod credential;
mod foreign;
mod headers;
pub mod identity;
mod json;
mod lists;
pub mod wire;
