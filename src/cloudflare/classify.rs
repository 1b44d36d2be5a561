//! What may be concluded from an answer that is not a success.
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
//! | 401, 403, 10000, 9109, 1000 | Credential | Zone | Zone |
//! | 1002, 81044, 81053, 81054, 81057, 81058 | – | – | CopyWrong |
//! | 404, 7000, 7003, 1001 "zone identifier" | NotSent | Zone | Zone |
//! | any other 4xx | NotSent | Zone | Content |
//! | 2xx with `success: false` and errors | NotSent | Zone | Content |
//! | 2xx with `success: false` and no errors | NotSent | NotSent | Unsure |
//! | a success that lacks what was asked for | NotSent | NotSent | Unsure |
//!
//! So a read is never Unsure, Content or CopyWrong: it changes nothing, repeating it is always safe.
//! Code 1000 is a credential's on a verification and a list of zones only; below a zone the number
//! alone proves nothing about the token. Deliberately unknown: JSON, how anything is worded.

use crate::engine::api::Request;
use crate::engine::failure::{ApiError, Class};

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
const TOO_MANY: &[i64] = &[971, 10_100, 10_300, 10_429];

/// What a request is about, as far as it matters here.
#[derive(Clone, Copy, PartialEq, Eq)]
enum About {
    Account,
    Zone,
    Batch,
}

impl About {
    fn of(request: &Request) -> About {
        match request {
            Request::Zones { .. } | Request::Verify(_) => About::Account,
            Request::Zone(_) | Request::Records { .. } | Request::NameServers { .. } => About::Zone,
            Request::Batch { .. } => About::Batch,
        }
    }
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

/// The class of an envelope with `success: false`.
pub fn of_refusal(request: &Request, status: u16, errors: &[ApiError]) -> Class {
    let about = About::of(request);
    let has = |codes: &[i64]| errors.iter().any(|error| codes.contains(&error.code));
    if status == 429 || has(TOO_MANY) {
        return Class::Throttled;
    }
    let says_nothing = matches!(status, 0..=199 | 300..=399 | 408 | 409 | 425 | 500..);
    if says_nothing || errors.is_empty() && status < 300 {
        return uncertain(request);
    }
    if blames_credential(errors) {
        return Class::Credential;
    }
    let refused = matches!(status, 401 | 403) || has(AUTHENTICATION);
    match about {
        About::Account if refused || has(&[1000]) => Class::Credential,
        About::Account => Class::NotSent,
        About::Batch if !refused && has(COPY_WRONG) => Class::CopyWrong,
        About::Batch if !refused && status != 404 && !no_such_zone(errors) => Class::Content,
        About::Zone | About::Batch => Class::Zone,
    }
}

fn blames_credential(errors: &[ApiError]) -> bool {
    let has = |code| errors.iter().any(|error| error.code == code);
    let said = errors.iter().any(|error| {
        let words = error.message.to_ascii_lowercase();
        MALFORMED_CREDENTIAL.contains(&error.code)
            || BLAMES_CREDENTIAL.iter().any(|blame| words.contains(blame))
    });
    // 6003 is "invalid request headers"; with 6105 below it, the header is another one.
    said || has(6003) && !has(6105)
}

fn no_such_zone(errors: &[ApiError]) -> bool {
    errors.iter().any(|error| {
        NO_SUCH_ZONE.contains(&error.code)
            || error.code == 1001 && error.message.to_ascii_lowercase().contains("zone identifier")
    })
}

#[cfg(test)]
mod tests;
