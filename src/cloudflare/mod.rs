//! The Cloudflare API: HTTP outside, the engine's requests and answers inside.
//!
//! In reading order: [`client`] sends, [`wire`] turns requests into HTTP and answers back (pure),
//! with `shapes` and `lists` (the JSON), `classify` (what a failure means), `headers` and `excerpt` below it;
//! [`credential`] says how an account is reached, and [`identity`] tells credentials apart.

mod classify;
pub mod client;
pub mod credential;
mod excerpt;
mod headers;
pub mod identity;
mod lists;
mod shapes;
pub mod wire;
