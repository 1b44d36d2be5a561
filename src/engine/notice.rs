//! Every message an operator can see, as a value; worded here and nowhere else.

use std::fmt;

/// How much a message matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Shown with `-v` only.
    Detail,
    /// Something changed, or is well again.
    News,
    /// Something may be wrong; stayput goes on.
    Warning,
    /// Something does not work until somebody acts.
    Error,
}

/// A message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {}

impl Notice {
    /// How much it matters.
    #[must_use]
    pub fn severity(&self) -> Severity {
        match *self {}
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, _f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {}
    }
}
