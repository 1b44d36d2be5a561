//! What the operator wants, in the engine's words. Valid by construction: `config` builds it.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use ipnet::IpNet;

use super::names::{Key, Line, Name, Ttl, ZoneId};

/// Everything that the engine must know to decide.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The accounts by name; the one of `[cloudflare]` itself is the empty name.
    pub accounts: BTreeMap<AccountName, Account>,
    /// For each line that is on, its sources in the order in which they are asked. Never empty lists.
    pub sources: BTreeMap<Line, Vec<Source>>,
    /// The longest time between two looks.
    pub every: Duration,
    /// How many independent operators must say the same before a change is published, at least 1.
    pub agree: usize,
    /// Ranges that are not public and may be published all the same.
    pub allow: Vec<IpNet>,
    /// What is kept, by name and type.
    pub records: BTreeMap<Key, Wanted>,
    /// This instance's name in its mark.
    pub owner: Option<Box<str>>,
    /// A pass that would delete more records than this deletes none.
    pub max_deletes: usize,
    /// Whether the records that are ours are deleted when the daemon is stopped.
    pub on_exit: OnExit,
    /// Whether an address is published that was learned through a tunnel.
    pub tunnel: Tunnel,
}

/// What becomes of an address that was learned through a tunnel (`warp=on` in a trace).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tunnel {
    /// It is not published.
    #[default]
    Hold,
    /// It is published like any other.
    Allow,
}

/// An account's name in the configuration; empty for `[cloudflare]` itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountName(pub Box<str>);

impl AccountName {
    /// What programs call it: NAME of `[cloudflare.NAME]`, and `cloudflare` for `[cloudflare]` itself.
    pub fn label(&self) -> &str {
        if self.0.is_empty() { "cloudflare" } else { &self.0 }
    }
}

impl fmt::Display for AccountName {
    /// How a person finds it: `[cloudflare]` or `[cloudflare.NAME]`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { f.write_str("[cloudflare]") } else { write!(f, "[cloudflare.{}]", self.0) }
    }
}

/// Tells credentials apart without being one: a keyed hash of the secret, as lower-case hexadecimal.
/// Accounts with the same one share a budget and holds. Empty: not known, so the account has its own.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CredentialId(pub Box<str>);

/// What the engine must know of a credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Which credential it is; the shell fills it in when it has read the secret.
    pub credential: CredentialId,
    /// The share of Cloudflare's 1,200 requests per 5 minutes.
    pub budget: Budget,
    /// How long the copy of a zone is believed.
    pub refresh: Duration,
}

/// At most so many requests in any window of this length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Requests, at least 1.
    pub requests: u32,
    /// The window.
    pub per: Duration,
}

/// A source of addresses, as far as the engine cares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// How the source is called in messages, such as `cloudflare` or `https://ip.example/`.
    pub label: Box<str>,
    /// Who runs it; sources of one operator count once for agreement.
    pub operator: Box<str>,
    /// Whether it answers with a Cloudflare trace, which knows of a tunnel on the way.
    pub trace: bool,
}

/// One name and type that is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The account whose credential reaches the zone.
    pub account: AccountName,
    /// How the zone is found.
    pub zone: ZoneHint,
    /// What is enforced.
    pub options: Options,
}

/// What the configuration says of a record's zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ZoneHint {
    /// Nothing: the longest zone name that the record's name ends in.
    Find,
    /// The zone of this name.
    Named(Name),
    /// The zone with this identifier, and its name if the configuration has it too.
    Id(ZoneId, Option<Name>),
}

/// What is enforced of a record; `None` keeps what the zone has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Whether it is proxied (a new record: false).
    pub proxied: Option<bool>,
    /// Its TTL (a new record: auto). Not compared while the record is proxied.
    pub ttl: Option<Ttl>,
    /// Its comment, without stayput's mark.
    pub comment: Option<Box<str>>,
    /// Its tags, as a set.
    pub tags: Option<Vec<Box<str>>>,
    /// Who else may have records of this name and type.
    pub beside: Beside,
}

/// Some of the attributes of a record, beside its content.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    /// Whether it is proxied.
    pub proxied: bool,
    /// Its TTL.
    pub ttl: bool,
    /// Its comment.
    pub comment: bool,
    /// Its tags.
    pub tags: bool,
}

impl Attributes {
    /// Whether there is one.
    pub fn any(self) -> bool {
        self != Attributes::default()
    }

    /// Those that both have.
    pub fn and(self, other: Attributes) -> Attributes {
        Attributes {
            proxied: self.proxied && other.proxied,
            ttl: self.ttl && other.ttl,
            comment: self.comment && other.comment,
            tags: self.tags && other.tags,
        }
    }

    /// Those that one of both has.
    pub fn or(self, other: Attributes) -> Attributes {
        Attributes {
            proxied: self.proxied || other.proxied,
            ttl: self.ttl || other.ttl,
            comment: self.comment || other.comment,
            tags: self.tags || other.tags,
        }
    }
}

impl fmt::Display for Attributes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all =
            [(self.proxied, "proxied"), (self.ttl, "ttl"), (self.comment, "comment"), (self.tags, "tags")];
        let names: Vec<&str> = all.into_iter().filter(|(set, _)| *set).map(|(_, name)| name).collect();
        f.write_str(&names.join(", "))
    }
}

/// Who else may have records of a name and type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Beside {
    /// Others' records are left alone; where it is not clear which is ours, nothing is touched.
    #[default]
    Tolerated,
    /// `exclusive = true`: nothing else of this name and type is left.
    Nobody,
    /// `shared = true`: ours stands beside those of other instances.
    Others,
}

/// What happens to our records when the daemon is stopped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnExit {
    /// They stay.
    #[default]
    Keep,
    /// They are deleted.
    Delete,
}
