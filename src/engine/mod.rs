//! The pure core: it is told what happened and says what to do next.
//!
//! It never reads a clock, a random source, the environment, a file or a socket; `now` and a seed are
//! given to it. The shell (`daemon`) asks [`Engine::next_command`] until there is none, carries the
//! commands out, tells the engine what came of them with [`Engine::handle`], and sleeps until
//! [`Engine::wake_at`].

#![expect(
    clippy::todo,
    unused_variables,
    clippy::needless_pass_by_value,
    missing_docs,
    reason = "skeleton"
)]

pub mod address;
pub mod failure;
pub mod names;
pub mod notice;
pub mod ranges;
pub mod request;
pub mod settings;

use std::collections::BTreeMap;
use std::net::IpAddr;

use address::{SourceId, Unheard};
use names::{Family, Key, Moment, Name, Record, Ttl, ZoneId};
use notice::Notice;
use request::{Answer, Request};
use settings::{AccountName, Settings};

/// How the engine is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// For ever.
    Daemon,
    /// One full pass, with few retries: [`Engine::settled`] says when it is over.
    Once,
    /// As `Once`, but nothing is written: [`Engine::plan`] has the outcome.
    Plan,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A source answered [`Command::Look`], or failed to.
    Heard(SourceId, Result<IpAddr, Unheard>),
    /// Cloudflare answered the one [`Command::Ask`] of this account, or failed to.
    Answered(AccountName, Answer),
    /// The secret of this account was read again and differs from the one before.
    SecretChanged(AccountName),
    /// Something suggests that the address may have changed: look now.
    LookNow,
    /// The operator asks to look and to list everything again (SIGUSR1).
    RefreshNow,
    /// The program is to end: with `on-exit = "delete"` our records are deleted first.
    Stop,
}

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Ask a source; answer with [`Event::Heard`].
    Look(SourceId),
    /// Send a request; answer with [`Event::Answered`]. One at a time for each account.
    /// Before it leaves, an [`Engine::unsaved`] snapshot must be on disk (if there is a disk).
    Ask(AccountName, Request),
    /// The credential was refused: read the secret again, and tell [`Event::SecretChanged`] if it differs.
    RereadSecret(AccountName),
}

pub struct Engine {}

impl Engine {
    /// `seed` drives the jitter. `eager`: a person is watching, so the first look is not spread in time.
    pub fn new(settings: Settings, start: Start, remembered: Option<Snapshot>) -> Engine {
        todo!()
    }
    /// Takes in what happened.
    pub fn handle(&mut self, event: Event, now: Moment) {
        todo!()
    }
    /// The next thing to do at once, if any. Call until `None`.
    pub fn next_command(&mut self, now: Moment) -> Option<Command> {
        todo!()
    }
    /// When to call `next_command` again if nothing happens before.
    pub fn wake_at(&self) -> Option<Moment> {
        todo!()
    }
    /// The messages since the last call.
    pub fn take_notices(&mut self) -> Vec<Notice> {
        todo!()
    }
    /// New settings (reload): copies of zones, budget and beliefs that still apply are kept.
    pub fn reconfigure(&mut self, settings: Settings, now: Moment) {
        todo!()
    }
    /// Whether the snapshot differs from the one last taken with [`Engine::snapshot`] in a way that must be on disk
    /// before the next request leaves, or when nothing more is to be done.
    pub fn unsaved(&self) -> bool {
        todo!()
    }
    /// What to remember across a restart; marks the engine as saved.
    pub fn snapshot(&mut self, now: Moment) -> Snapshot {
        todo!()
    }
    /// `Once` and `Plan`: whether the pass is over; after [`Event::Stop`]: whether the program may end.
    pub fn settled(&self, now: Moment) -> bool {
        todo!()
    }
    /// What would be sent now, and what is in the way.
    pub fn plan(&self, now: Moment) -> Plan {
        todo!()
    }
    /// How the pass ended, for the exit code.
    pub fn verdict(&self) -> Verdict {
        todo!()
    }
    /// What the engine knows, for `status`.
    pub fn status(&self, now: Moment) -> Status {
        todo!()
    }
}

/// How an engine starts.
#[derive(Clone, Copy, Debug)]
pub struct Start {
    pub mode: Mode,
    /// Drives all jitter.
    pub seed: u64,
    /// A person is watching: the first look is not spread in time.
    pub eager: bool,
    pub now: Moment,
}

/// How a pass ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Everything is as it should be (or, in a plan, known). Exit 0.
    Done,
    /// Some of it is not; a later try may help. Exit 69.
    Partly,
    /// Nothing could be done for now. Exit 75.
    Nothing,
    /// The credential was refused or lacks a permission. Exit 77.
    Refused,
}

/// What is remembered across a restart. All moments are on the clock of `now`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    pub addresses: BTreeMap<Family, Believed>,
    pub zones: Vec<ZoneMemory>,
    /// When requests left, for each account.
    pub spent: BTreeMap<AccountName, Vec<Moment>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Believed {
    pub address: IpAddr,
    pub confirmed_at: Moment,
    /// What each source said when the address was confirmed, by its label.
    pub said: BTreeMap<Box<str>, IpAddr>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZoneMemory {
    pub account: AccountName,
    pub id: ZoneId,
    pub name: Option<Name>,
    /// The names that the copy covers.
    pub names: Vec<Name>,
    /// When the copy was listed; `None`: doubted.
    pub listed_at: Option<Moment>,
    pub records: Vec<Record>,
    /// Names with a CNAME.
    pub aliases: Vec<Name>,
    /// Identifiers of the records that are ours although they have no mark (adopted ones).
    pub adopted: Vec<names::RecordId>,
}

/// What would be sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    pub changes: Vec<Change>,
    pub unchanged: usize,
    pub refused: Vec<RefusedRecord>,
    /// How many requests it would cost.
    pub requests: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The zone's name, or its identifier where the name is not known.
    pub zone: Box<str>,
    pub key: Key,
    pub action: Action,
    pub before: Option<Shape>,
    pub after: Option<Shape>,
    pub why: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Action {
    Create,
    Update,
    Delete,
}

/// A record without its identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape {
    pub content: IpAddr,
    pub proxied: bool,
    pub ttl: Ttl,
    pub comment: Option<Box<str>>,
    pub tags: Vec<Box<str>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedRecord {
    pub key: Key,
    pub why: String,
}

/// What the engine knows, as `stayput status` shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    pub addresses: BTreeMap<Family, Option<AddressStatus>>,
    pub records: Vec<RecordStatus>,
    /// For each account.
    pub budgets: BTreeMap<AccountName, BudgetStatus>,
    pub next_look_at: Option<Moment>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressStatus {
    pub value: IpAddr,
    pub confirmed_at: Moment,
    pub sources: Vec<Box<str>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordStatus {
    pub key: Key,
    pub state: RecordState,
    pub content: Option<IpAddr>,
    pub since: Option<Moment>,
    pub why: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordState {
    Current,
    Pending,
    Refused,
    Unknown,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BudgetStatus {
    pub limit: u32,
    pub left: u32,
    pub resets_at: Option<Moment>,
    pub requests: u64,
    pub throttled: u64,
    pub failed: u64,
    pub mean_millis: u64,
}
