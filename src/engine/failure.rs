//! How a request to Cloudflare can fail, classed by what may be concluded from it.
//!
//! The class decides what the engine does; the codes only decide what is said. There is no official
//! list of error codes, so a code never overrules an HTTP status where one is enough. Deliberately
//! unknown: HTTP libraries, JSON.

use std::fmt;

/// A request that did not bring what was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What may be concluded.
    pub class: Class,
    /// The HTTP status, if there was an answer.
    pub status: Option<u16>,
    /// Every code and message of the answer, those inside `error_chain` included, outermost first.
    pub errors: Vec<ApiError>,
    /// What happened, when the answer itself does not say: a connection error, an excerpt of HTML.
    pub detail: String,
    /// The `cf-ray` of the answer: what Cloudflare's support asks for.
    pub ray: Option<String>,
}

/// One entry of the API's `errors`, or of an `error_chain` below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiError {
    /// The number; there is no official list of them.
    pub code: i64,
    /// Cloudflare's words.
    pub message: String,
}

/// What may be concluded from a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// The credential was not accepted, for anything.
    Credential,
    /// The credential was accepted, but may not do this in this zone; or the zone does not exist for it.
    Zone,
    /// The content of the request was refused. A batch names neither the operation nor the record.
    Content,
    /// The zone is not as our copy of it says (81044, 81053, 81054, 81057, 81058): list again.
    CopyWrong,
    /// Too many requests: hold everything of this credential, at least for [`Answer::retry_after`].
    ///
    /// [`Answer::retry_after`]: super::request::Answer::retry_after
    Throttled,
    /// The request never arrived, or the server says that it did nothing: safe to repeat.
    NotSent,
    /// As before, and the reason is this host's clock: well the moment that somebody sets it.
    Clock,
    /// The request may have taken effect: list before writing.
    Unsure,
}

impl Failure {
    /// A failure without an answer: nothing arrived, or nothing came back.
    #[must_use]
    pub fn without_answer(class: Class, detail: impl Into<String>) -> Failure {
        Failure { class, status: None, errors: Vec::new(), detail: detail.into(), ray: None }
    }

    /// Whether the answer, at any level, had one of these codes.
    #[must_use]
    pub fn has_code(&self, codes: &[i64]) -> bool {
        self.errors.iter().any(|error| codes.contains(&error.code))
    }

    /// Whether a message of the answer, at any level, has these words.
    #[must_use]
    pub fn says(&self, words: &str) -> bool {
        self.errors.iter().any(|error| error.message.contains(words))
    }

    /// What the operator can do about it, one sentence.
    #[must_use]
    pub fn remedy(&self) -> Option<&'static str> {
        /// Pre-fills the token form of the dashboard with Zone · DNS · Edit.
        /// Source: developers.cloudflare.com, "account-owned token template".
        const FORM: &str = "create a token with the permission Zone · DNS · Edit at https://dash.cloudflare.com/profile/api-tokens?permissionGroupKeys=%5B%7B%22key%22%3A%22dns%22%2C%22type%22%3A%22edit%22%7D%5D&name=stayput";
        let has = |code| self.has_code(&[code]);
        let remedy = if self.says("Cannot use the access token from location") {
            "the token has a client IP address filter, which cannot work for dynamic DNS: remove the filter in the dashboard (My Profile, API Tokens, Edit)"
        } else if self.says("Max auth failures") {
            "Cloudflare counts too many failed log-ins from here; stayput waits, but look for other programs that use an old token"
        } else if has(6111) {
            "the token has a wrong form: put in the token alone, without quotes or \"Bearer\"; a Global API Key is no token (use email and global-key for it)"
        } else if has(6102) || has(6103) || has(9103) {
            "check email and global-key: both must be right, and an API token goes into token instead"
        } else if has(1000) || has(9106) || self.says("Invalid access token") {
            "the token is unknown to Cloudflare (revoked, expired or mistyped): create a new one in the dashboard under My Profile, API Tokens, and put it in place; stayput picks it up by itself"
        } else if self.class == Class::Credential || self.class == Class::Zone && (has(10_000) || has(9109)) {
            FORM
        } else if has(7003) || has(7000) {
            "check zone-id: it is the 32 hexadecimal digits on the zone's overview page, not the domain name"
        } else if has(81_053) || has(81_054) {
            "delete the CNAME record of this name in the dashboard, or take the name out of the configuration"
        } else if has(81_045) {
            "the zone is full: delete records that are no longer needed, or move to a larger plan"
        } else if has(9003) || has(9041) {
            "Cloudflare's proxy cannot point at this address: set proxied = false"
        } else if has(9004) {
            "this record cannot be proxied: set proxied = false"
        } else if has(9021) {
            "set ttl to \"auto\" or to 60s to 86400s (from 30s on Enterprise plans)"
        } else if has(9300) {
            "the zone's plan has no tags: remove tags from the record"
        } else if has(9313) {
            "shorten comment: 100 characters with stayput's mark on free plans, 500 on others"
        } else if self.class == Class::Clock {
            "set the clock (is NTP running?); stayput tries again by itself"
        } else {
            return None;
        };
        Some(remedy)
    }
}

impl fmt::Display for Failure {
    /// What happened, in one line, without the remedy.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut said = false;
        for error in &self.errors {
            let join = if said { ": " } else { "" };
            write!(f, "{join}{} ({})", error.message.trim_end_matches('.'), error.code)?;
            said = true;
        }
        if !self.detail.is_empty() {
            let join = if said { "; " } else { "" };
            write!(f, "{join}{}", self.detail)?;
            said = true;
        }
        match (self.status, said) {
            (Some(status), true) => write!(f, " [HTTP {status}")?,
            (Some(status), false) => write!(f, "[HTTP {status}")?,
            (None, _) => return Ok(()),
        }
        if let Some(ray) = &self.ray {
            write!(f, ", cf-ray {ray}")?;
        }
        f.write_str("]")
    }
}
