//! The configuration: text in, and a [`Config`] that is valid by construction out, or all of its mistakes.
//!
//! Everything here is pure but `file`, which reads the configuration and what its `ca-file` names: the same texts
//! give the same result. What the words mean for addresses, zones and requests is not known here; the types of
//! `engine`, `detect` and `cloudflare` are built and handed over.
//!
//! In reading order: [`keys`] has every key, `section` reads one table by them, `account`, `address` and
//! `record` know the rules, `document` puts the tables together, `syntax` knows what cannot be parsed, `mistake`
//! collects and shows what is wrong, `conceal` keeps secrets out of that, [`environment`](from_environment) and
//! `form` are the form without a file.

pub mod keys;

mod account;
mod address;
mod conceal;
mod document;
mod environment;
mod file;
mod form;
mod mistake;
mod operator;
mod record;
mod schema;
mod section;
mod syntax;

pub use document::{Config, as_settings, from_toml};
pub use environment::{Environment, Location, from_environment, unquoted};
pub use file::{read_file, reread_file};
pub use mistake::{Ink, Mistake, Mistakes};
pub use schema::SCHEMA;
