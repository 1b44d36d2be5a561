//! A record that Cloudflare refuses, or some of its attributes.
//!
//! Deliberately unknown: how the guilty one is found (`refusals`).

use crate::engine::diff::Goal;
use crate::engine::limiter::Backoff;
use crate::engine::names::{Key, Moment};
use crate::engine::notice::{Problem, Reason};
use crate::engine::settings::{Attributes, Options};

/// A record that Cloudflare refuses, or some of its attributes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parked {
    /// Why.
    pub why: Reason,
    /// What is refused; without any attribute the record as a whole.
    pub attributes: Attributes,
    /// Since when.
    pub since: Moment,
    /// When it is tried again.
    pub due: Moment,
    /// What was wanted when it was refused; something else is tried at once.
    pub(super) wanted: Option<(Goal, Options)>,
    pub(super) backoff: Backoff,
}

impl Parked {
    /// What is refused, for the one whose record it is.
    pub fn told(&self, key: &Key) -> String {
        let (attributes, why) = (self.attributes, self.why.clone());
        Problem::Parked { key: key.clone(), others: 0, attributes, why }.to_string()
    }
}
