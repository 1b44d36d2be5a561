//! A faithful simulated Cloudflare: the API, the echoes that tell a host its address, and what goes
//! wrong with both. For `stayput sandbox`, `--sandbox` and the tests.
//!
//! [`World`] is a pure state machine (no socket, no clock, no entropy) that answers an [`HttpRequest`]
//! with a [`Reply`]; [`Server`] puts it on loopback. What nobody has seen Cloudflare do for certain is a
//! switch in [`Quirks`]. Simulated are the lists of zones and of records, one record by POST, GET, PUT,
//! PATCH and DELETE, batches, both token verifications and the list of Cloudflare's ranges, below
//! [`API_PATH`]; not simulated are import, export, account lists and everything else.
//!
//! # Echoes
//!
//! `/cdn-cgi/trace` answers as Cloudflare's does; `/echo/NAME` answers with the address of the family of
//! the socket as plain text, for whatever operator NAME one likes (`/echo/cloudflare` is the trace).
//!
//! # Controls
//!
//! A server also has these, which are not Cloudflare's and which no fault or limit touches:
//!
//! | request | effect |
//! |---|---|
//! | `GET /sandbox` | the state as JSON: clock, addresses, counters, faults, zones and records |
//! | `PUT /sandbox/faults/NAME[:COUNT]` or `…/NAME:PERCENT%25` | switches a fault on; its value is the body |
//! | `DELETE /sandbox/faults[/NAME]` | switches it off, or all of them |
//! | `PUT /sandbox/address/ipv4`, `…/ipv6` | changes the address to the body's, or to `none` |
//! | `POST /sandbox/zones` | adds a zone: `{"name", "id"?, "status"?, "type"?, "plan"?, "account"?}` |
//! | `DELETE /sandbox/zones/ZONE` | removes it; ZONE is an identifier or a name |
//! | `POST /sandbox/zones/ZONE/records`, `PATCH` and `DELETE …/ID` | what a person does in the dashboard; with `meta`, what a Cloudflare product does |
//! | `POST /sandbox/tokens` | adds a token: `{"value", "dns"?: "edit"\|"read"\|"none", "zone-read"?, "zones"?: [ID…]}`; from then on only known ones are accepted |
//!
//! Faults are written `NAME[:COUNT|:PERCENT%][=VALUE]`; [`FAULTS`] lists them.

mod addresses;
mod api;
mod auth;
mod control;
mod demo;
mod edits;
mod faults;
mod gateway;
mod http;
mod listing;
mod names;
mod plan;
mod query;
mod quirks;
mod ranges;
mod records;
mod server;
#[cfg(test)]
mod tests;
mod world;
mod zones;

pub use addresses::Addresses;
pub use auth::{Access, Auth, Owner, RateLimit, Token, TokenState};
pub use faults::{Armed, FAULTS, Falsehood, Fault, Faults};
pub use http::{API_PATH, Fate, HttpRequest, Kind, Refusal, Reply, Seen, Stamp};
pub use plan::Plan;
pub use quirks::Quirks;
pub use ranges::{MADE_UP, other_address};
pub use records::Record;
pub use server::Server;
pub use world::{World, WorldOptions};
pub use zones::{Account, NewZone, Zone};
