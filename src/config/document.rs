//! The file as a whole: its top-level keys and tables, and the [`Config`] that they make together.
//!
//! Deliberately unknown: what stands in the tables.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use toml::de::DeTable;

use super::keys::{self, Key, Place};
use super::mistake::{Findings, Grade, Mistake, Mistakes, Span, Surroundings, quote};
use super::section::{self, Section, Text, Value};
use super::{account, address, file, record, syntax};
use crate::cloudflare::credential::{Access, Login};
use crate::detect::Source;
use crate::engine::names::Line;
use crate::engine::settings::{self, AccountName, OnExit, Settings};
use crate::http::Authorities;
use crate::secret::Origin;

/// A configuration that can be run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// What the engine must know.
    pub settings: Settings,
    /// The sources of each line that is on, with the labels and operators of `settings.sources`.
    pub sources: BTreeMap<Line, Vec<Source>>,
    /// How the accounts are reached that records use.
    pub accounts: BTreeMap<AccountName, Access>,
    /// Where a running daemon is asked what it knows, if the file says so.
    pub socket: Option<PathBuf>,
    /// The file that adds certificate authorities, if there is one.
    pub ca_file: Option<PathBuf>,
    pub authorities: Authorities,
    /// The environment variables that hold secrets, those of unused accounts too.
    pub secret_variables: BTreeSet<String>,
    /// What is worth saying once at the start.
    pub warnings: Vec<Mistake>,
}

impl Config {
    /// Which certificate authorities are trusted beside the built-in ones, in words.
    pub fn told_authorities(&self) -> Option<String> {
        let file = self.ca_file.as_ref()?.display();
        Some(match self.authorities.added() {
            1 => format!("the certificate authority in {file} is trusted beside the built-in ones"),
            many => {
                format!("the {many} certificate authorities in {file} are trusted beside the built-in ones")
            }
        })
    }
}

/// Reads a configuration file's text. `file` is its name in messages.
///
/// # Errors
/// All of its mistakes.
pub fn from_toml(text: &str, file: &Path) -> Result<Config, Mistakes> {
    from_text(text, file, Surroundings::Plain)
}

pub(super) fn from_text(text: &str, file: &Path, surroundings: Surroundings) -> Result<Config, Mistakes> {
    let source = file.display().to_string();
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut findings = Findings::new(&source, text);
    findings.surroundings = surroundings;
    let readable = syntax::readable(&mut findings, text);
    let (table, _) = DeTable::parse_recoverable(&readable);
    let config = read(&mut findings, table.get_ref());
    findings.judge().map(|warnings| Config { warnings, ..config })
}

/// Reads the tree. What is wrong in it is reported, and something stands in for it.
pub(super) fn read(findings: &mut Findings<'_>, table: &DeTable<'_>) -> Config {
    let top = Section::new(findings, Place::Top, (table, 0..0), &|_| false);
    let owner = top.read(&keys::OWNER, findings, owner);
    let on_exit = top.read(&keys::ON_EXIT, findings, section::choice);
    let max_deletes = top.read(&keys::MAX_DELETES, findings, section::count);
    let ca_file = top.read(&keys::CA_FILE, findings, ca_file);
    let nothing = DeTable::new();
    let cloudflare = table_of(findings, (table, &nothing), &keys::CLOUDFLARE);
    let accounts = account::read(findings, cloudflare);
    let address = table_of(findings, (table, &nothing), &keys::ADDRESS);
    let address = address::read(findings, address);
    let context = record::Context {
        accounts: accounts.keys().collect(),
        families: address.sources.keys().copied().collect(),
        owner: owner.as_deref(),
        has_owner: top.has(&keys::OWNER),
    };
    let records = records(findings, table.get(keys::RECORD.name), &context);
    let on_line = |(family, list)| (Line::only(family), list);
    let sources: BTreeMap<Line, Vec<Source>> = address.sources.into_iter().map(on_line).collect();
    let settings = Settings {
        accounts: BTreeMap::new(),
        sources: sources.iter().map(|(line, list)| (*line, as_settings(list))).collect(),
        every: address.every,
        agree: address.agree,
        allow: address.allow,
        records,
        owner,
        max_deletes: max_deletes.and_then(|most| usize::try_from(most).ok()).unwrap_or_default(),
        tunnel: address.tunnel,
        on_exit: if on_exit == Some(1) { OnExit::Delete } else { OnExit::Keep },
    };
    warn_about_exit(findings, &settings, top.place_of(&keys::ON_EXIT));
    let status = table_of(findings, (table, &nothing), &keys::STATUS);
    let status = Section::new(findings, Place::Status, status, &|_| false);
    let origins = accounts.values().map(|found| found.access.login.origin());
    let secret_variables = origins.filter_map(Origin::variable).map(str::to_owned).collect();
    let (ca_file, authorities) = ca_file.unzip();
    let mut config = Config {
        settings,
        sources,
        accounts: BTreeMap::new(),
        socket: status.read(&keys::SOCKET, findings, socket),
        ca_file,
        authorities: authorities.unwrap_or_default(),
        secret_variables,
        warnings: Vec::new(),
    };
    config.take_accounts(findings, accounts);
    config
}

impl Config {
    /// Takes over the accounts that records use, and says what is odd about the others.
    fn take_accounts(&mut self, findings: &mut Findings<'_>, found: BTreeMap<AccountName, account::Found>) {
        let used: BTreeSet<&AccountName> =
            self.settings.records.values().map(|wanted| &wanted.account).collect();
        let mut logins: Vec<(Login, AccountName)> = Vec::new();
        for (name, found) in found {
            if !used.contains(&name) {
                if found.stated {
                    let remedy = "name it in a record with account = \"…\", or take it out";
                    findings.warn(found.at, format!("no record uses {name}"), remedy);
                }
                continue;
            }
            if let Some((_, other)) = logins.iter().find(|(login, _)| *login == found.access.login) {
                let what =
                    format!("{name} and {other} read the same secret, and each has a budget of its own");
                findings.warn(found.at, what, "use one account for both, or say where the other secret is");
            }
            logins.push((found.access.login.clone(), name.clone()));
            self.settings.accounts.insert(name.clone(), found.account);
            self.accounts.insert(name, found.access);
        }
    }
}

/// What the engine knows of the sources.
pub fn as_settings(sources: &[Source]) -> Vec<settings::Source> {
    let as_setting = |source: &Source| settings::Source {
        label: source.label(),
        operator: source.operator(),
        trace: source.is_trace(),
    };
    sources.iter().map(as_setting).collect()
}

/// A top-level table and where it begins; the second of the tables, if there is none.
fn table_of<'a>(
    findings: &mut Findings<'_>,
    tables: (&'a DeTable<'a>, &'a DeTable<'a>),
    key: &Key,
) -> (&'a DeTable<'a>, Span) {
    let (table, nothing) = tables;
    let value = table.get(key.name);
    let found = value.and_then(|value| match value.get_ref().as_table() {
        Some(inner) => Some((inner, value.span())),
        None => section::wrong_kind(findings, key, value),
    });
    found.unwrap_or((nothing, 0..0))
}

fn records(
    findings: &mut Findings<'_>,
    value: Option<&Value<'_>>,
    context: &record::Context<'_>,
) -> BTreeMap<crate::engine::names::Key, settings::Wanted> {
    let mut found = record::Found::default();
    let list = value.map_or(Some(&[][..]), |value| value.get_ref().as_array().map(|list| &list[..]));
    if let (None, Some(value)) = (list, value) {
        section::wrong_kind::<()>(findings, &keys::RECORD, value);
    }
    for item in list.unwrap_or_default() {
        match item.get_ref().as_table() {
            Some(inner) => found.read(findings, (inner, item.span()), context),
            None => section::wrong_kind(findings, &keys::RECORD, item).unwrap_or_default(),
        }
    }
    if list.is_some_and(<[_]>::is_empty) {
        let what = "there is no name to keep: at least one [[record]] is needed";
        let remedy = "add these two lines, with your name:\n[[record]]\nname = \"home.example.com\"";
        findings.note(Grade::Missing, None, what, remedy);
    }
    found.records
}

fn owner(findings: &mut Findings<'_>, key: &Key, value: &Value<'_>) -> Option<Box<str>> {
    let Text { text, at } = section::text(findings, key, value)?;
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_.".contains(&byte);
    if text.len() <= 32 && text.bytes().all(fits) {
        return Some(text.into());
    }
    let what = format!("{} cannot be an owner: 1 to 32 of a-z, 0-9, \"-\", \"_\" and \".\"", quote(&text));
    findings.reject(at, what, "write a short name for this host, such as \"attic\"")
}

fn ca_file(findings: &mut Findings<'_>, key: &Key, value: &Value<'_>) -> Option<(PathBuf, Authorities)> {
    let path = section::path(findings, key, value)?;
    match file::authorities(&path) {
        Ok(authorities) => Some((path, authorities)),
        Err((what, remedy)) => findings.reject(value.span(), what, remedy),
    }
}

/// Bytes of a Unix socket's path that the kernel takes (`sun_path` without its NUL).
const MOST_SOCKET_BYTES: usize = 107;

fn socket(findings: &mut Findings<'_>, key: &Key, value: &Value<'_>) -> Option<PathBuf> {
    let path = section::path(findings, key, value)?;
    let bytes = path.as_os_str().len();
    if bytes > MOST_SOCKET_BYTES {
        let what = format!("a socket's path has {MOST_SOCKET_BYTES} bytes at most; this has {bytes}");
        return findings.reject(value.span(), what, "put it into a folder with a shorter path");
    }
    Some(path)
}

fn warn_about_exit(findings: &mut Findings<'_>, settings: &Settings, at: Span) {
    let (records, most) = (settings.records.len(), settings.max_deletes);
    if settings.on_exit == OnExit::Delete && records > most {
        let what = format!(
            "on-exit = \"delete\" has {records} records to delete, but max-deletes = {most} stops it"
        );
        findings.warn(at, what, format!("write max-deletes = {records}, or on-exit = \"keep\""));
    }
}
