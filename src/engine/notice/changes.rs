//! The words for what a batch did.
//!
//! Deliberately unknown: why it was sent, and what came of it.

use std::fmt;

use super::{NAMED, count};
use crate::engine::diff::{Operation, Step};

/// What was done in a zone.
pub(super) fn written(f: &mut fmt::Formatter<'_>, zone: &str, operations: &[Operation]) -> fmt::Result {
    write!(f, "{zone}: ")?;
    for (index, operation) in operations.iter().take(NAMED).enumerate() {
        f.write_str(if index > 0 { "; " } else { "" })?;
        change(f, operation)?;
    }
    if operations.len() > NAMED {
        write!(f, "; and {}", count(operations.len() - NAMED, "other change"))?;
    }
    Ok(())
}

fn change(f: &mut fmt::Formatter<'_>, operation: &Operation) -> fmt::Result {
    let key = &operation.key;
    match (&operation.step, &operation.before) {
        (Step::Post(post), _) => write!(f, "{key} created as {}", post.content),
        (Step::Delete(_), Some(before)) => write!(f, "{key} {} deleted", before.content),
        (Step::Delete(_), None) => write!(f, "{key} deleted"),
        (Step::Patch(patch), before) => {
            write!(f, "{key}")?;
            match before {
                Some(before) if before.content != patch.content => {
                    write!(f, " {} → {}", before.content, patch.content)?
                }
                _ => write!(f, " {}", patch.content)?,
            }
            if let Some(proxied) = patch.proxied {
                write!(f, ", proxied = {proxied}")?;
            }
            if let Some(ttl) = patch.ttl {
                write!(f, ", ttl = {ttl}")?;
            }
            if let Some(comment) = &patch.comment {
                write!(f, ", comment = {comment:?}")?;
            }
            if let Some(tags) = &patch.tags {
                write!(f, ", tags = {tags:?}")?;
            }
            Ok(())
        }
    }
}
