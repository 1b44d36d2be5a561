//! The Cloudflare API: HTTP outside, the engine's requests and answers inside.

pub mod client;
pub mod credential;
pub mod wire;
