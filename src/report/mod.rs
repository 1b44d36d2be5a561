//! Telling people what happened. Deliberately unknown: why it happened, and what comes next.

pub mod log;
pub mod reporter;
