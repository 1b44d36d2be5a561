//! The plans of zones, and their limits.
//!
//! Deliberately unknown: what is held to them.

use serde::{Deserialize, Serialize};

/// What a zone's owner pays for, as far as records are concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Plan {
    /// 200 records, comments of 100 characters, no tags.
    Free,
    /// 3,500 records, comments of 500 characters, 20 tags a record.
    Pro,
    /// As `Pro`, and a TTL from 30 s.
    Enterprise,
}

impl Plan {
    pub(super) fn least_ttl(self) -> u32 {
        if self == Plan::Enterprise { 30 } else { 60 }
    }

    pub(super) fn longest_comment(self) -> usize {
        if self == Plan::Free { 100 } else { 500 }
    }

    pub(super) fn most_tags(self) -> usize {
        if self == Plan::Free { 0 } else { 20 }
    }

    /// Also the most operations of a batch.
    pub(super) fn most_records(self) -> usize {
        if self == Plan::Free { 200 } else { 3_500 }
    }
}
