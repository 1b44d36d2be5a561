//! The Cloudflare API: HTTP outside, the engine's requests and answers inside.

pub mod client;
pub mod credential;
mod excerpt;
mod headers;
mod shapes;
mod verdict;
pub mod wire;
