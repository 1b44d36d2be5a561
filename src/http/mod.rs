//! HTTP, for whoever asks or answers over it. Deliberately unknown: what is said.

pub mod server;
