//! The Cloudflare API: HTTP outside, the engine's requests and answers inside.
//!
//! In reading order: [`client`] sends, [`wire`] turns requests into HTTP and answers back (pure),
//! with `shapes` and `lists` (the JSON), `classify` (what a failure means), `headers` and `excerpt` below it;
//! [`credential`] fetches the [`secret`], and [`identity`] tells it apart from others.

mod classify;
pub mod client;
pub mod credential;
mod excerpt;
mod headers;
pub mod identity;
mod lists;
pub mod secret;
mod shapes;
pub mod wire;
