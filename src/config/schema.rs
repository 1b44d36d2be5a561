//! The JSON Schema of the configuration file, for editors.

/// The schema (draft 2020-12), which `STAYPUT_BLESS=1 cargo test --lib schema` makes anew of [`keys`](super::keys).
pub const SCHEMA: &str = include_str!("../../config/stayput.schema.json");

#[cfg(test)]
mod tests;
