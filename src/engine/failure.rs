//! How a request to Cloudflare can fail, classed by what may be concluded from it.
//!
//! The class decides what the engine does; who read the answer has worded it. Deliberately unknown: HTTP,
//! JSON, the numbers that Cloudflare gives its errors, and what helps against each.

use std::fmt;
use std::time::Duration;

use super::settings::Attributes;

/// A request that did not bring what was asked for. `Display` is what happened, in one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What may be concluded.
    pub class: Class,
    /// What happened, in one line, without the remedy.
    pub said: String,
    /// What the operator can do about it, one sentence.
    pub remedy: Option<&'static str>,
    /// Equal where the cause is equal; the numbers mean nothing here.
    pub sort: Box<[i64]>,
    /// The attributes of a record that the answer blames, none of them where it blames the record as a
    /// whole; `None` where it does not say.
    pub blames: Option<Attributes>,
    /// The least time before the credential is tried again, if this refuses it.
    pub least_wait: Duration,
    /// Whether there was an answer.
    pub answered: bool,
    /// The answer did not come in time, or came cut off: a smaller one may come.
    pub incomplete: bool,
}

/// What may be concluded from a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// The credential was not accepted, for anything.
    Credential,
    /// The credential was accepted, but may not look for zones.
    Search,
    /// The credential was accepted, but lacks a right in this zone.
    Forbidden,
    /// There is no such zone for this credential.
    ZoneGone,
    /// The zone refuses for another reason.
    Zone,
    /// The content of the request was refused. A batch names neither the operation nor the record.
    Content,
    /// The same, and the reason is that the zone may have no more records.
    ZoneFull,
    /// The zone is not as our copy of it says: list again.
    CopyWrong,
    /// Too many requests: hold everything of this credential, at least for [`Answer::retry_after`].
    ///
    /// [`Answer::retry_after`]: super::api::Answer::retry_after
    Throttled,
    /// The request never arrived, or the server says that it did nothing: safe to repeat.
    NotSent,
    /// As before, and the reason is this host's clock: well the moment that somebody sets it.
    Clock,
    /// The request may have taken effect: list before writing.
    Unsure,
}

impl Class {
    /// Whether the zone is refused as a whole.
    pub fn is_of_zone(self) -> bool {
        matches!(self, Class::Forbidden | Class::ZoneGone | Class::Zone)
    }
}

impl Failure {
    /// A failure without an answer: nothing arrived, or nothing came back.
    pub fn without_answer(class: Class, said: impl Into<String>) -> Failure {
        Failure {
            class,
            said: said.into(),
            remedy: None,
            sort: Box::default(),
            blames: None,
            least_wait: Duration::ZERO,
            answered: false,
            incomplete: false,
        }
    }

    /// Whether the credential lacks a right in the zone.
    pub fn is_of_rights(&self) -> bool {
        self.class == Class::Forbidden
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.said)
    }
}
