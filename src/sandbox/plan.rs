//! The plans of zones, and their limits.
//!
//! Deliberately unknown: what is held to them.

/// What a zone's owner pays for, as far as records are concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plan {
    /// 200 records, comments of 100 characters, no tags.
    Free,
    /// 3,500 records, comments of 500 characters, 20 tags a record.
    Pro,
    /// As `Pro`, and a TTL from 30 s.
    Enterprise,
}

impl Plan {
    pub(super) fn least_ttl(self) -> i64 {
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

    pub(super) fn named(word: &str) -> Option<Plan> {
        [Plan::Free, Plan::Pro, Plan::Enterprise].into_iter().find(|plan| plan.word() == word)
    }

    pub(super) fn word(self) -> &'static str {
        match self {
            Plan::Free => "free",
            Plan::Pro => "pro",
            Plan::Enterprise => "enterprise",
        }
    }
}
