//! Who asks, what they may do, and how often: tokens, the global key, permissions, the rate limit.
//!
//! The answers differ from endpoint to endpoint, as they do in reality. Deliberately unknown: records.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;
use serde::Deserialize;
use serde_json::json;

use super::http::{HttpRequest, Refusal, Stamp, Success};
use super::quirks::Quirks;
use super::zones::Zone;

/// An API token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// The secret itself.
    pub value: String,
    /// Who owns it.
    pub owner: Owner,
    /// Whether it works.
    pub state: TokenState,
    /// What it may do with records.
    pub dns: Access,
    /// Whether it has Zone · Zone · Read.
    pub zone_read: bool,
    /// Identifiers of the zones that it is limited to; `None`: all that its owner has.
    pub zones: Option<Vec<String>>,
    /// The addresses that it may be used from; empty: everywhere.
    pub client_addresses: Vec<IpNet>,
    /// When it expires, on the world's clock.
    pub expires: Option<Duration>,
}

impl Token {
    /// A user's token with Zone · DNS · Edit for all zones, as the dashboard's template makes it.
    pub fn editing(value: &str) -> Token {
        Token {
            value: value.to_owned(),
            owner: Owner::User("user@example.com".to_owned()),
            state: TokenState::Active,
            dns: Access::Edit,
            zone_read: false,
            zones: None,
            client_addresses: Vec::new(),
            expires: None,
        }
    }

    /// The identifier that verification tells: made from the secret, so that it is the same in every world.
    pub fn id(&self) -> String {
        let seed = self.value.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        format!("{:032x}", fastrand::Rng::with_seed(seed).u128(..))
    }

    fn state_at(&self, now: Duration) -> TokenState {
        match self.expires {
            Some(end) if self.state == TokenState::Active && now >= end => TokenState::Expired,
            _ => self.state,
        }
    }
}

/// Who owns a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Owner {
    /// A user, by e-mail address; all tokens of one user share one rate limit.
    User(String),
    /// An account, by identifier; only its zones are seen.
    Account(String),
}

/// Whether a token works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenState {
    /// It does.
    Active,
    /// Switched off in the dashboard.
    Disabled,
    /// Past its end.
    Expired,
    /// Deleted: as if it had never been.
    Revoked,
}

/// A permission on records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Access {
    /// None.
    None,
    /// Zone · DNS · Read.
    Read,
    /// Zone · DNS · Edit.
    Edit,
}

/// Everything that decides whether a request is served. Without tokens, any well-formed credential may do
/// everything; with tokens, no global key is known.
#[derive(Clone, Debug, Default)]
pub struct Auth {
    /// The tokens.
    pub tokens: Vec<Token>,
    buckets: BTreeMap<String, Bucket>,
    failures: VecDeque<Duration>,
}

/// Requests of one user in the running window.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    used: u32,
    /// When the window ends, or the block after one request too many.
    end: Duration,
}

/// So many requests in so long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// How many.
    pub requests: u32,
    /// In how long, and for how long everything is blocked after one too many.
    pub window: Duration,
}

/// What is left of a rate limit.
#[derive(Clone, Copy, Debug)]
pub(super) struct Allowance {
    pub(super) left: u32,
    pub(super) reset: Duration,
    pub(super) blocked: bool,
}

/// The part of the API that is asked: each words its refusals in its own way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Endpoint {
    Zones,
    Records,
    Verify,
}

/// Somebody who was let in.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    /// Whose rate limit it is.
    pub(super) bucket: String,
    /// What they may do.
    token: Token,
}

impl Caller {
    /// `value` is the secret of one who may do everything.
    fn unrestricted(bucket: &str, value: &str) -> Caller {
        Caller { bucket: bucket.to_owned(), token: Token { zone_read: true, ..Token::editing(value) } }
    }

    fn with_token(token: &Token) -> Caller {
        let bucket = match &token.owner {
            Owner::User(email) => email.clone(),
            Owner::Account(_) => token.id(),
        };
        Caller { bucket, token: token.clone() }
    }

    /// Whether the zone is one of theirs.
    pub(super) fn sees(&self, zone: &Zone) -> bool {
        let owned = match &self.token.owner {
            Owner::User(_) => true,
            Owner::Account(id) => *id == zone.account.id,
        };
        owned && self.token.zones.as_ref().is_none_or(|ids| ids.contains(&zone.id))
    }

    /// Whether they may look at zones at all.
    pub(super) fn reads_zones(&self, quirks: &Quirks) -> bool {
        self.token.zone_read || quirks.dns_edit_lists_zones && self.may(Access::Edit)
    }

    /// Whether they may do this with records.
    pub(super) fn may(&self, access: Access) -> bool {
        self.token.dns >= access
    }

    /// In the words of a zone's `permissions`.
    pub(super) fn permissions(&self) -> Vec<&'static str> {
        let words = [
            (self.may(Access::Edit), "#dns_records:edit"),
            (self.may(Access::Read), "#dns_records:read"),
            (self.token.zone_read, "#zone:read"),
        ];
        words.into_iter().filter_map(|(may, word)| may.then_some(word)).collect()
    }
}

/// What a request shows to prove who it is from.
enum Credential<'a> {
    Token(&'a str),
    Key(&'a str, &'a str),
}

/// A request that is to be authenticated.
pub(super) struct AuthRequest<'a> {
    pub(super) http: &'a HttpRequest<'a>,
    pub(super) endpoint: Endpoint,
    /// The address that Cloudflare sees.
    pub(super) from: Option<IpAddr>,
    pub(super) now: Duration,
    /// No credential is any good, because a fault says so.
    pub(super) revoked: bool,
}

impl AuthRequest<'_> {
    fn credential(&self) -> Result<Credential<'_>, Refusal> {
        let bad_header =
            |code, text: &str| Refusal::chained(400, (6003, "Invalid request headers"), (code, text));
        if let Some(text) = self.http.header("authorization") {
            return text
                .strip_prefix("Bearer ")
                .filter(|token| has_token_form(token))
                .map(Credential::Token)
                .ok_or_else(|| bad_header(6111, "Invalid format for Authorization header"));
        }
        if self.endpoint == Endpoint::Verify {
            return Err(Refusal::new(400, 1001, "Missing \"Authorization\" header"));
        }
        let headers = (self.http.header("x-auth-email"), self.http.header("x-auth-key"));
        let (Some(email), Some(key)) = headers else {
            let message = "Missing X-Auth-Key, X-Auth-Email or Authorization headers";
            return Err(Refusal::new(400, 9106, message));
        };
        if !email.contains('@') {
            return Err(bad_header(6102, "Invalid format for X-Auth-Email header"));
        }
        if !(key.starts_with("cfk_") || is_old_key(key)) {
            return Err(bad_header(6103, "Invalid format for X-Auth-Key header"));
        }
        Ok(Credential::Key(email, key))
    }

    fn unknown(&self, quirks: &Quirks) -> Refusal {
        match self.endpoint {
            Endpoint::Zones => Refusal::new(403, 9109, "Invalid access token"),
            Endpoint::Records => Refusal::new(quirks.unknown_token_status, 10_000, "Authentication error"),
            Endpoint::Verify => Refusal::new(401, 1000, "Invalid API Token"),
        }
    }
}

/// 37 hexadecimal digits, the old form of a global key.
fn is_old_key(text: &str) -> bool {
    text.len() == 37 && text.bytes().all(|b| b.is_ascii_hexdigit())
}

/// The length is not looked at, so that a sandbox's token can be a word.
fn has_token_form(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with("cfk_")
        && !is_old_key(text)
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

impl Auth {
    /// The token of this value, to change what it may do.
    pub fn token_mut(&mut self, value: &str) -> Option<&mut Token> {
        self.tokens.iter_mut().find(|token| token.value == value)
    }

    /// Lets a request in, or says why not.
    pub(super) fn check(&mut self, request: &AuthRequest<'_>, quirks: &Quirks) -> Result<Caller, Refusal> {
        let outcome = self.authenticate(request, quirks);
        let Some(most) = quirks.auth_failures else {
            return outcome;
        };
        let since = request.now.saturating_sub(Duration::from_secs(300));
        self.failures.retain(|at| *at >= since);
        if outcome.is_ok() {
            return outcome;
        }
        self.failures.push_back(request.now);
        if self.failures.len() > usize::try_from(most).unwrap_or(usize::MAX) {
            self.failures.pop_front();
            return Err(Refusal::new(403, 9109, "Max auth failures reached"));
        }
        outcome
    }

    fn authenticate(&self, request: &AuthRequest<'_>, quirks: &Quirks) -> Result<Caller, Refusal> {
        let value = match request.credential()? {
            Credential::Key(email, key) if self.tokens.is_empty() && !request.revoked => {
                return Ok(Caller::unrestricted(email, key));
            }
            Credential::Key(..) => {
                return Err(Refusal::new(403, 9103, "Unknown X-Auth-Key or X-Auth-Email"));
            }
            Credential::Token(value) => value,
        };
        if request.revoked {
            return Err(request.unknown(quirks));
        }
        if self.tokens.is_empty() {
            return Ok(Caller::unrestricted("anyone", value));
        }
        let token = self
            .tokens
            .iter()
            .find(|token| token.value == value)
            .filter(|token| token.state != TokenState::Revoked)
            .ok_or_else(|| request.unknown(quirks))?;
        let active = token.state_at(request.now) == TokenState::Active;
        let told = request.endpoint == Endpoint::Verify && !quirks.verify_hides_inactive;
        if !active && !told {
            return Err(request.unknown(quirks));
        }
        let welcome = |from: &IpAddr| token.client_addresses.iter().any(|net| net.contains(from));
        if !token.client_addresses.is_empty() && !request.from.as_ref().is_some_and(welcome) {
            let from = request.from.map_or_else(String::new, |from| from.to_string());
            let message = format!("Cannot use the access token from location: {from}");
            return Err(Refusal::new(403, 9109, message));
        }
        Ok(Caller::with_token(token))
    }

    /// `GET /user/tokens/verify` (`account`: empty) and `GET /accounts/{id}/tokens/verify`, once let in.
    pub(super) fn verify(
        &self,
        caller: &Caller,
        account: &str,
        (epoch, now): (Stamp, Duration),
    ) -> Result<Success, Refusal> {
        let token = &caller.token;
        // Each endpoint knows only its own kind of token.
        let known = match &token.owner {
            Owner::User(_) => account.is_empty(),
            Owner::Account(id) => account == id,
        };
        if !known && !self.tokens.is_empty() {
            return Err(Refusal::new(401, 1000, "Invalid API Token"));
        }
        let (status, message) = match token.state_at(now) {
            TokenState::Active => ("active", "This API Token is valid and active"),
            TokenState::Disabled => ("disabled", "This API Token is disabled"),
            TokenState::Expired | TokenState::Revoked => ("expired", "This API Token is expired"),
        };
        let mut result = json!({"id": token.id(), "status": status});
        if let Some(end) = token.expires {
            result["expires_on"] = epoch.after(Duration::from_secs(end.as_secs())).to_string().into();
        }
        let messages = json!([{"code": 10_000, "message": message, "type": null}]);
        Ok(Success { messages, ..Success::of(result) })
    }

    /// Counts requests of this user, and says what is left.
    pub(super) fn spend(&mut self, user: &str, requests: u32, limit: RateLimit, now: Duration) -> Allowance {
        let end = now.saturating_add(limit.window);
        let bucket = self.buckets.entry(user.to_owned()).or_insert(Bucket { used: 0, end });
        if now >= bucket.end {
            *bucket = Bucket { used: 0, end };
        }
        let was_blocked = bucket.used > limit.requests;
        bucket.used = bucket.used.saturating_add(requests);
        let blocked = bucket.used > limit.requests;
        if blocked && !was_blocked {
            bucket.end = end;
        }
        Allowance {
            left: limit.requests.saturating_sub(bucket.used),
            reset: bucket.end.saturating_sub(now),
            blocked,
        }
    }
}
