//! What is remembered across a restart, on disk: `file` finds, locks and reads it, `saving` writes it, `json` is
//! its text.

pub mod file;
pub mod json;
pub mod saving;
mod version_1;
