//! What is remembered across a restart, on disk: `file` finds, locks and reads it, `saving` writes it, `json` is
//! its text.

pub mod error;
pub mod file;
pub mod json;
pub mod place;
mod rest;
pub mod saving;
mod version_1;
mod version_2;

pub use rest::Kept;
