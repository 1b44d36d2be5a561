//! What may be concluded from an answer that is not a success, how it is worded, and what helps.
//!
//! The HTTP status decides where it is enough; codes and texts decide only between what one status
//! can mean, since there is no official list of them. First row that fits:
//!
//! | answer | of a list of zones or a verification | of a zone or its records | of a batch |
//! |---|---|---|---|
//! | 429; code 971, 10100, 10300 or 10429; 1015 of the edge | Throttled | Throttled | Throttled |
//! | 1xx, 3xx, 408, 409, 425, 5xx, whatever the body | NotSent | NotSent | Unsure |
//! | no JSON of the API's (HTML, cut off, empty): 405, 413, 415 | NotSent | NotSent | Content |
//! | the same, any other status, 200 and 403 too | NotSent | NotSent | Unsure |
//! | `success: true` with a status that is not 2xx | NotSent | NotSent | Unsure |
//! | 6003 (but not with 6105), 6102, 6103, 6111, 9103, 9106; "Invalid access token", "Invalid API Token", "Max auth failures", "Cannot use the access token", "Missing … Authorization" | Credential | Credential | Credential |
//! | 401, 403 | Credential | Forbidden | Forbidden |
//! | 10000, 9109, 1000 | Credential | Zone | Zone |
//! | 1002, 81044, 81053, 81054, 81057, 81058 | – | – | CopyWrong |
//! | 404, 7003 | NotSent | ZoneGone | ZoneGone |
//! | 7000, 1001 "zone identifier" | NotSent | Zone | Zone |
//! | 81045 | NotSent | Zone | ZoneFull |
//! | any other 4xx | NotSent | Zone | Content |
//! | 2xx with `success: false` and errors | NotSent | Zone | Content |
//! | 2xx with `success: false` and no errors | NotSent | NotSent | Unsure |
//! | a success that lacks what was asked for | NotSent | NotSent | Unsure |
//!
//! So a read is never Unsure, Content or CopyWrong: it changes nothing, repeating it is always safe.
//! Code 1000 is a credential's on a verification and a list of zones only; below a zone the number
//! alone proves nothing about the token. "Unauthorized to access requested resource" is said to a
//! credential that Cloudflare knows: of a list of zones it is Search. Deliberately unknown: JSON.

use std::time::Duration;

use crate::engine::api::Request;
use crate::engine::failure::{Class, Failure};
use crate::engine::settings::Attributes;

/// The words of Cloudflare that blame the credential itself, wherever they turn up.
const BLAMES_CREDENTIAL: [&str; 6] = [
    "invalid access token",
    "invalid api token",
    "max auth failures",
    "cannot use the access token",
    "missing \"authorization\"",
    "missing x-auth-key",
];
/// Codes of a request without a credential that could be read.
const MALFORMED_CREDENTIAL: &[i64] = &[6102, 6103, 6111, 9103, 9106];
const AUTHENTICATION: &[i64] = &[10_000, 9109];
const COPY_WRONG: &[i64] = &[1002, 81_044, 81_053, 81_054, 81_057, 81_058];
const NO_SUCH_ZONE: &[i64] = &[7000, 7003];
const TOO_MANY_REQUESTS: &[i64] = &[971, 10_100, 10_300, 10_429];
const ZONE_FULL: &[i64] = &[81_045];
/// How long Cloudflare refuses every log-in from an address that has failed too often.
const LOCKED_OUT: Duration = Duration::from_secs(900);

/// One entry of the API's `errors`, or of an `error_chain` below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiError {
    /// The number, 0 for an error in words alone; there is no official list of them.
    pub code: i64,
    /// Cloudflare's words.
    pub message: String,
}

/// What an answer that is a failure has to say.
#[derive(Default)]
pub struct Refusal {
    /// The HTTP status, if there was an answer.
    pub status: Option<u16>,
    /// Every code and message of the answer, those inside `error_chain` included, outermost first.
    pub errors: Vec<ApiError>,
    /// What happened, when the answer itself does not say: a connection error, an excerpt of HTML.
    pub detail: String,
    /// The `cf-ray` of the answer: what Cloudflare's support asks for.
    pub ray: Option<String>,
}

/// The class of an answer of which nothing is certain.
pub fn uncertain(request: &Request) -> Class {
    if request.writes() { Class::Unsure } else { Class::NotSent }
}

/// The class by the status alone: of an answer that is not the API's JSON, or contradicts itself.
pub fn of_status(request: &Request, status: u16) -> Class {
    match status {
        429 => Class::Throttled,
        405 | 413 | 415 if request.writes() => Class::Content,
        _ => uncertain(request),
    }
}

impl Refusal {
    /// The failure of an envelope with `success: false`.
    pub fn judge(self, request: &Request) -> Failure {
        let class = self.class(request);
        self.failure(class)
    }

    /// The failure of this class.
    pub fn failure(self, class: Class) -> Failure {
        Failure {
            class,
            said: self.said(),
            remedy: self.remedy(class),
            sort: self.errors.iter().map(|error| error.code).collect(),
            blames: self.blames(),
            least_wait: if self.says("Max auth failures") { LOCKED_OUT } else { Duration::ZERO },
            answered: self.status.is_some(),
            incomplete: matches!(self.status, Some(408 | 504 | 524)),
        }
    }

    fn class(&self, request: &Request) -> Class {
        let status = self.status.unwrap_or_default();
        if status == 429 || self.has(TOO_MANY_REQUESTS) {
            return Class::Throttled;
        }
        let says_nothing = matches!(status, 0..=199 | 300..=399 | 408 | 409 | 425 | 500..);
        if says_nothing || self.errors.is_empty() && status < 300 {
            return uncertain(request);
        }
        let forbidden = matches!(status, 401 | 403);
        let refused = forbidden || self.has(AUTHENTICATION);
        let of_account = matches!(request, Request::Zones { .. } | Request::Verify(_));
        if self.blames_credential() || of_account && (refused || self.has(&[1000])) {
            let known = of_account && self.says("Unauthorized to access requested resource");
            return if known { Class::Search } else { Class::Credential };
        }
        let writes = request.writes();
        if of_account {
            Class::NotSent
        } else if forbidden {
            Class::Forbidden
        } else if writes && !refused && self.has(COPY_WRONG) {
            Class::CopyWrong
        } else if status == 404 || self.has(&[7003]) {
            Class::ZoneGone
        } else if !writes || refused || self.blames_zone() {
            Class::Zone
        } else if self.has(ZONE_FULL) {
            Class::ZoneFull
        } else {
            Class::Content
        }
    }

    fn blames_credential(&self) -> bool {
        let said = self.errors.iter().any(|error| {
            let words = error.message.to_ascii_lowercase();
            BLAMES_CREDENTIAL.iter().any(|blame| words.contains(blame))
        });
        // 6003 is "invalid request headers"; with 6105 below it, the header is another one.
        said || self.has(MALFORMED_CREDENTIAL) || self.has(&[6003]) && !self.has(&[6105])
    }

    fn blames_zone(&self) -> bool {
        let identifier = |error: &ApiError| {
            error.code == 1001 && error.message.to_ascii_lowercase().contains("zone identifier")
        };
        self.has(NO_SUCH_ZONE) || self.errors.iter().any(identifier)
    }

    /// The attributes of a record that the answer blames, none of them where it blames the record as a
    /// whole; `None` where it does not say.
    fn blames(&self) -> Option<Attributes> {
        let attributes = Attributes {
            proxied: self.has(&[9003, 9004, 9041]),
            ttl: self.has(&[9021]),
            comment: self.has(&[9313]),
            tags: self.has(&[9300]),
        };
        let whole = self.has(&[9005, 9006, 81_045, 81_056, 81_062, 89_018]);
        (whole || attributes.any()).then_some(attributes)
    }

    /// Whether the answer, at any level, had one of these codes.
    fn has(&self, codes: &[i64]) -> bool {
        self.errors.iter().any(|error| codes.contains(&error.code))
    }

    /// Whether the answer, at any level, has these words.
    fn says(&self, words: &str) -> bool {
        self.detail.contains(words) || self.errors.iter().any(|error| error.message.contains(words))
    }

    /// What happened, in one line, without the remedy.
    fn said(&self) -> String {
        let error = |error: &ApiError| {
            let message = error.message.trim_end_matches('.');
            if error.code == 0 { message.to_owned() } else { format!("{message} ({})", error.code) }
        };
        let errors = self.errors.iter().map(error).collect::<Vec<_>>().join(": ");
        let place = self.status.map(|status| match &self.ray {
            Some(ray) => format!("[HTTP {status}, cf-ray {ray}]"),
            None => format!("[HTTP {status}]"),
        });
        let join = if errors.is_empty() || self.detail.is_empty() { "" } else { "; " };
        let said = format!("{errors}{join}{} {}", self.detail, place.unwrap_or_default());
        said.trim().to_owned()
    }

    /// What the operator can do about it, one sentence.
    fn remedy(&self, class: Class) -> Option<&'static str> {
        let said = BY_WORDS.iter().find(|(words, _)| self.says(words)).map(|(_, remedy)| *remedy);
        let coded = || BY_CODE.iter().find(|(codes, _)| self.has(codes)).map(|(_, remedy)| *remedy);
        said.or_else(coded).or(match class {
            Class::Clock => Some(SET_CLOCK),
            Class::Credential | Class::Search => Some(CREATE_TOKEN),
            Class::Forbidden => Some(PERMIT_ZONE),
            Class::ZoneGone => Some(ZONE_IS_GONE),
            Class::Zone if self.has(AUTHENTICATION) => Some(PERMIT_ZONE),
            Class::Throttled => Some(TOO_MANY),
            _ => None,
        })
    }
}

const SET_CLOCK: &str = "set the clock (is NTP running?); stayput tries again by itself";
/// Pre-fills the token form of the dashboard with Zone · DNS · Edit.
/// Source: developers.cloudflare.com, "account-owned token template".
const CREATE_TOKEN: &str = "create a token with the permission Zone · DNS · Edit at https://dash.cloudflare.com/profile/api-tokens?permissionGroupKeys=%5B%7B%22key%22%3A%22dns%22%2C%22type%22%3A%22edit%22%7D%5D&name=stayput";
const NEW_TOKEN: &str = "the token is unknown to Cloudflare (revoked, expired or mistyped): create a new one in the dashboard under My Profile, API Tokens, and put it in the place of the old one; stayput takes it from a file or a command by itself, from the environment or a systemd credential after a restart";
const CHECK_ZONE_ID: &str = "check zone-id: it is the Zone ID on the zone's overview page, 32 hexadecimal digits, and neither the Account ID beside it nor the domain name";
const PERMIT_ZONE: &str = "give the token the permission Zone · DNS · Edit for this zone at https://dash.cloudflare.com/profile/api-tokens; if zone-id is set, check that it is the zone's and not the account's";
const ZONE_IS_GONE: &str = "check that the zone is still in this Cloudflare account; if zone-id is set, check that it is the zone's and not the account's";
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

#[cfg(test)]
mod tests;
