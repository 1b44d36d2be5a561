//! The pure core, from what sources and Cloudflare say to the next request, without any input or output.
//!
//! It never reads a clock, a random source, the environment, a file or a socket. `machine` is the way in;
//! every other file is a part of it that knows only those it names.

pub mod account;
pub mod alerts;
pub mod api;
pub mod cache;
pub mod coalesce;
pub mod credential;
pub mod desire;
pub mod diff;
pub mod discovery;
pub mod failure;
pub mod flaps;
pub mod limiter;
pub mod machine;
pub mod names;
pub mod notice;
pub mod ownership;
pub mod ranges;
pub mod settings;
pub mod snapshot;
pub mod time;
pub mod view;
pub mod watch;
pub mod zone;

pub use account::Usage;
pub use machine::{Command, Engine, Event, HintFrom, Mode, Start};
pub use snapshot::{Changes, Extent, Snapshot, ZoneChange, ZoneKey, ZoneMemory};
pub use view::{
    Action, AddressStatus, BlockedRecord, Change, Plan, ProblemStatus, RecordState, RecordStatus, Shape,
    Status, Verdict,
};
