//! The mark in a comment by which an instance knows its records. Deliberately unknown: what follows from it.

use super::names::Record;

/// The words in a comment by which we, and other tools, know our records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnerMark(Box<str>);

impl OwnerMark {
    const PROGRAM: &'static str = "stayput";

    /// The mark of an instance: `stayput`, or `stayput/OWNER`.
    pub fn of(owner: Option<&str>) -> OwnerMark {
        OwnerMark(match owner {
            Some(owner) => format!("{}/{owner}", OwnerMark::PROGRAM).into(),
            None => OwnerMark::PROGRAM.into(),
        })
    }

    /// The mark alone.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A comment with the mark added.
    pub fn added_to(&self, comment: Option<&str>) -> Box<str> {
        match comment.map(str::trim).filter(|text| !text.is_empty()) {
            Some(text) => format!("{text} [{}]", self.0).into(),
            None => self.0.clone(),
        }
    }

    /// A comment with this mark in place of whichever it has.
    pub fn put_into(&self, comment: &str) -> Box<str> {
        let Some(old) = OwnerMark::in_comment(comment) else {
            return self.added_to(Some(comment));
        };
        let rest = comment.trim().strip_suffix(']').map_or("", |rest| &rest[..rest.len() - old.len()]);
        self.added_to(Some(rest.trim_end_matches('[')))
    }

    /// The mark of whichever instance is in this comment: alone, or in brackets at its end.
    pub fn in_comment(comment: &str) -> Option<&str> {
        let comment = comment.trim();
        let candidate = match comment.strip_suffix(']') {
            Some(rest) => rest.rsplit_once('[')?.1,
            None => comment,
        };
        let rest = candidate.strip_prefix(OwnerMark::PROGRAM)?;
        let is_mark =
            rest.is_empty() || rest.len() > 1 && rest.starts_with('/') && !rest.contains(char::is_whitespace);
        is_mark.then_some(candidate)
    }
}

impl Record {
    /// The mark of whichever instance is in its comment.
    pub fn mark(&self) -> Option<&str> {
        self.comment.as_deref().and_then(OwnerMark::in_comment)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_the_whole_comment_or_its_end() {
        assert_eq!(OwnerMark::in_comment("stayput"), Some("stayput"));
        assert_eq!(OwnerMark::in_comment("door [stayput/attic]"), Some("stayput/attic"));
        for none in ["", "stayput is nice", "moved from stayput", "[stayput] door", "stayputty", "stayput/"] {
            assert_eq!(OwnerMark::in_comment(none), None, "{none}");
        }
    }
}
