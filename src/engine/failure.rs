//! How a request to Cloudflare can fail, classed by what may be concluded from it.
//!
//! The class decides what the engine does; the codes only decide what is said. There is no official
//! list of error codes, so a code never overrules an HTTP status where one is enough. Deliberately
//! unknown: HTTP libraries, JSON.

use std::fmt;

use super::diff::Attributes;

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
    /// The answer did not come in time, or came cut off: a smaller one may come.
    pub incomplete: bool,
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
    /// [`Answer::retry_after`]: super::api::Answer::retry_after
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
    pub fn without_answer(class: Class, detail: impl Into<String>) -> Failure {
        Failure {
            class,
            status: None,
            errors: Vec::new(),
            detail: detail.into(),
            ray: None,
            incomplete: false,
        }
    }

    /// Whether the credential lacks a right, or is not accepted at all (401, 403).
    pub fn is_of_rights(&self) -> bool {
        matches!(self.status, Some(401 | 403))
    }

    /// Whether the zone is full.
    pub fn is_quota(&self) -> bool {
        self.has_code(&[81_045])
    }

    /// The attributes of a record that the answer blames, none of them where it blames the record as a
    /// whole; `None` where it does not say.
    pub fn blames(&self) -> Option<Attributes> {
        let attributes = Attributes {
            proxied: self.has_code(&[9003, 9004, 9041]),
            ttl: self.has_code(&[9021]),
            comment: self.has_code(&[9313]),
            tags: self.has_code(&[9300]),
        };
        let whole = self.has_code(&[9005, 9006, 81_045, 81_056, 81_062, 89_018]);
        (whole || attributes.any()).then_some(attributes)
    }

    /// Whether the answer, at any level, had one of these codes.
    pub fn has_code(&self, codes: &[i64]) -> bool {
        self.errors.iter().any(|error| codes.contains(&error.code))
    }

    /// Whether the answer, at any level, has these words.
    pub fn says(&self, words: &str) -> bool {
        self.detail.contains(words) || self.errors.iter().any(|error| error.message.contains(words))
    }

    /// What the operator can do about it, one sentence.
    pub fn remedy(&self) -> Option<&'static str> {
        let said = BY_WORDS.iter().find(|(words, _)| self.says(words)).map(|(_, remedy)| *remedy);
        let coded = || BY_CODE.iter().find(|(codes, _)| self.has_code(codes)).map(|(_, remedy)| *remedy);
        said.or_else(coded).or(match (self.class, self.status) {
            (Class::Clock, _) => Some("set the clock (is NTP running?); stayput tries again by itself"),
            (Class::Credential, _) => Some(CREATE_TOKEN),
            (Class::Zone, Some(401 | 403)) => Some(PERMIT_ZONE),
            (Class::Zone, Some(404)) => Some(NO_SUCH_ZONE),
            (Class::Zone, _) if self.has_code(&[10_000, 9109]) => Some(PERMIT_ZONE),
            (Class::Throttled, _) => Some(TOO_MANY),
            _ => None,
        })
    }
}

/// Pre-fills the token form of the dashboard with Zone · DNS · Edit.
/// Source: developers.cloudflare.com, "account-owned token template".
const CREATE_TOKEN: &str = "create a token with the permission Zone · DNS · Edit at https://dash.cloudflare.com/profile/api-tokens?permissionGroupKeys=%5B%7B%22key%22%3A%22dns%22%2C%22type%22%3A%22edit%22%7D%5D&name=stayput";
const NEW_TOKEN: &str = "the token is unknown to Cloudflare (revoked, expired or mistyped): create a new one in the dashboard under My Profile, API Tokens, and put it in the place of the old one; stayput takes it from a file or a command by itself, from the environment or a systemd credential after a restart";
const CHECK_ZONE_ID: &str = "check zone-id: it is the Zone ID on the zone's overview page, 32 hexadecimal digits, and neither the Account ID beside it nor the domain name";
const PERMIT_ZONE: &str = "give the token the permission Zone · DNS · Edit for this zone at https://dash.cloudflare.com/profile/api-tokens; if zone-id is set, check that it is the zone's and not the account's";
const NO_SUCH_ZONE: &str = "check that the zone is still in this Cloudflare account; if zone-id is set, check that it is the zone's and not the account's";
const TOO_MANY: &str = "stayput waits by itself; Cloudflare allows a user or token 1,200 requests in five minutes, the dashboard included: look for other programs that use it";
const DELEGATED: &str = "the name is delegated to other name servers by NS records, so a record here is never answered: take the name out of the configuration, or use a token for the zone that it is delegated to";
const READS_AGAIN: &str = "nothing is to be done: stayput reads the zone again by itself";
const REPORT: &str = "this should not happen: if it stays, report this line as a fault of stayput";

/// Remedies by Cloudflare's words, which tell apart what one code can mean.
const BY_WORDS: [(&str, &str); 4] = [
    (
        "Cannot use the access token from location",
        "the token has a client IP address filter, which cannot work for dynamic DNS: remove the filter in the dashboard (My Profile, API Tokens, Edit)",
    ),
    (
        "Max auth failures",
        "Cloudflare counts too many failed log-ins from here; stayput waits, but look for other programs that use an old token",
    ),
    ("Invalid access token", NEW_TOKEN),
    ("Invalid zone identifier", CHECK_ZONE_ID),
];

/// Remedies by code, the more telling ones first: an answer can have several.
/// Source of the codes: reports and logs; there is no official list.
const BY_CODE: [(&[i64], &str); 17] = [
    (
        &[6111],
        "the token has a wrong form: put in the token alone, without quotes or \"Bearer\"; a Global API Key is no token (use email and global-key for it)",
    ),
    (
        &[6102, 6103, 9103],
        "check email and global-key: both must be right, and an API token goes into token instead",
    ),
    (&[6105], "something between this host and Cloudflare changes requests: look for a proxy or filter"),
    (&[1000, 9106], NEW_TOKEN),
    (&[7003, 7000], CHECK_ZONE_ID),
    (&[971, 10_100, 10_300, 10_429], TOO_MANY),
    (
        &[81_053, 81_054],
        "delete the CNAME record of this name in the dashboard, or take the name out of the configuration",
    ),
    (&[81_056, 89_018], DELEGATED),
    (
        &[81_062],
        "another Cloudflare product (such as Workers, Pages or a tunnel) manages this record: remove it there, or take the name out of the configuration",
    ),
    (&[81_045], "the zone is full: delete records that are no longer needed, or move to a larger plan"),
    (&[9003, 9041], "Cloudflare's proxy cannot point at this address: set proxied = false"),
    (&[9004], "this record cannot be proxied: set proxied = false"),
    (&[9021], "set ttl to \"auto\" or to 60s to 86400s (from 30s on Enterprise plans)"),
    (&[9300], "the zone's plan has no tags: remove tags from the record"),
    (&[9313], "shorten comment: 100 characters with stayput's mark on free plans, 500 on others"),
    (&[1002, 81_044, 81_057, 81_058], READS_AGAIN),
    (&[9005, 9006, 9207, 1101], REPORT),
];

impl fmt::Display for Failure {
    /// What happened, in one line, without the remedy.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut said = false;
        for error in &self.errors {
            let join = if said { ": " } else { "" };
            write!(f, "{join}{}", error.message.trim_end_matches('.'))?;
            // An error in words alone.
            if error.code != 0 {
                write!(f, " ({})", error.code)?;
            }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(class: Class, status: u16, code: i64, message: &str) -> Failure {
        let errors = vec![ApiError { code, message: message.to_owned() }];
        Failure { class, status: Some(status), errors, detail: String::new(), ray: None, incomplete: false }
    }

    fn remedy(class: Class, code: i64) -> Option<&'static str> {
        refusal(class, 400, code, "x").remedy()
    }

    #[test]
    fn what_blames_the_record_has_a_remedy() {
        for code in [
            9003, 9004, 9005, 9006, 9021, 9041, 9207, 9300, 9313, 1101, 81_045, 81_053, 81_054, 81_056,
            81_062, 89_018,
        ] {
            assert!(remedy(Class::Content, code).is_some(), "{code}");
        }
        assert!(remedy(Class::Content, 81_062).unwrap().contains("Workers"));
        for code in [81_056, 89_018] {
            assert!(remedy(Class::Content, code).unwrap().contains("never answered"), "{code}");
        }
        assert_eq!(remedy(Class::Content, 424_242), None, "nothing is made up");
    }

    #[test]
    fn what_blames_the_copy_the_credential_or_the_pace_has_a_remedy() {
        for code in [1002, 81_044, 81_057, 81_058] {
            assert_eq!(remedy(Class::CopyWrong, code), Some(READS_AGAIN), "{code}");
        }
        for code in [971, 10_100, 10_300, 10_429] {
            assert_eq!(remedy(Class::Throttled, code), Some(TOO_MANY), "{code}");
        }
        assert_eq!(Failure::without_answer(Class::Throttled, "HTML").remedy(), Some(TOO_MANY));
        for code in [1000, 6003, 6102, 6103, 6105, 6111, 9103, 9106, 9109, 10_000] {
            assert!(remedy(Class::Credential, code).is_some(), "{code}");
        }
    }

    #[test]
    fn a_zone_that_is_refused_may_be_no_zone_at_all() {
        for code in [7000, 7003] {
            assert_eq!(remedy(Class::Zone, code), Some(CHECK_ZONE_ID));
        }
        assert!(CHECK_ZONE_ID.contains("neither the Account ID"));
        let said = |status, code, message| refusal(Class::Zone, status, code, message).remedy();
        assert_eq!(said(400, 1001, "Invalid zone identifier"), Some(CHECK_ZONE_ID));
        for (status, code) in [(403, 10_000), (403, 9109), (401, 10_000), (400, 10_000), (403, 0)] {
            assert_eq!(said(status, code, "Forbidden"), Some(PERMIT_ZONE), "{status} {code}");
        }
        assert_eq!(said(404, 1551, "Could not find it"), Some(NO_SUCH_ZONE));
    }

    #[test]
    fn words_tell_apart_what_one_code_can_mean_wherever_they_stand() {
        let filtered =
            refusal(Class::Zone, 403, 9109, "Cannot use the access token from location: 203.0.113.7");
        assert!(filtered.remedy().unwrap().contains("IP address filter"));
        let unknown = refusal(Class::Credential, 403, 9109, "Invalid access token");
        assert_eq!(unknown.remedy(), Some(NEW_TOKEN));
        let elsewhere = Failure::without_answer(Class::Credential, "Invalid access token");
        assert_eq!(elsewhere.remedy(), Some(NEW_TOKEN));
    }

    #[test]
    fn the_permission_has_one_name() {
        for text in [CREATE_TOKEN, PERMIT_ZONE] {
            assert!(text.contains(" the permission Zone · DNS · Edit "), "{text}");
        }
    }
}
