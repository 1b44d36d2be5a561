//! Secrets: where they come from, what they look like, and that no text that leaves the process has one.
//!
//! In reading order: `origin` fetches a text, `value` judges it, [`redact`] knows every secret that was
//! read and hides it.

mod origin;
pub mod redact;
mod value;

pub use origin::{Fault, Origin, SecretError, Surroundings, Warning, unquoted};
pub use value::{BadSecret, Kind, Odd, Secret, looks_secret};
