//! The file as a whole: its top-level keys and tables, and the [`Config`] that they make together.
//!
//! Deliberately unknown: what stands in the tables.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

use super::keys::{self, Key, Place};
use super::mistake::{Findings, Mistake, Mistakes, Surroundings, quote};
use super::section::{self, Section, Text, Value};
use super::{account, address, file, record, status, syntax};
use crate::cloudflare::credential::{Access, Login, Origin};
use crate::detect::Source;
use crate::engine::names::Family;
use crate::engine::settings::{self, AccountName, OnExit, Settings};
use crate::outbound::Authorities;

/// A configuration that can be run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// What the engine must know.
    pub settings: Settings,
    /// The sources of each family that is on, in the order of `settings.sources`, with the same labels and operators.
    pub sources: BTreeMap<Family, Vec<Source>>,
    /// How the accounts are reached that records use.
    pub accounts: BTreeMap<AccountName, Access>,
    /// Where a running daemon is asked what it knows, if the file says so.
    pub socket: Option<PathBuf>,
    /// The file that adds certificate authorities, if there is one.
    pub ca_file: Option<PathBuf>,
    /// Whose certificates are accepted.
    pub authorities: Authorities,
    /// The environment variables that hold secrets, those of unused accounts too.
    pub secret_variables: BTreeSet<String>,
    /// What is worth saying once at the start.
    pub warnings: Vec<Mistake>,
}

impl Config {
    /// Which certificate authorities are trusted beside the built-in ones, in words.
    #[must_use]
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
    if let Some(at) = text.find('\0') {
        let what = "there is a NUL character in the file, so it is not a text";
        findings.mistake(at..at + 1, what, "save it as UTF-8 text");
        return Err(unwanted(findings));
    }
    let readable = syntax::readable(&mut findings, text);
    let (table, _) = DeTable::parse_recoverable(&readable);
    let draft = read(&mut findings, table.get_ref());
    conclude(findings, draft)
}

/// The mistakes of findings that are known to hold some.
fn unwanted(findings: Findings<'_>) -> Mistakes {
    match findings.judge() {
        Err(mistakes) => mistakes,
        Ok(_) => Mistakes::about("the configuration", "it cannot be read", "report this as a bug in stayput"),
    }
}

/// A configuration that may rest on mistakes.
pub(super) struct Draft {
    settings: Settings,
    sources: BTreeMap<Family, Vec<Source>>,
    pub(super) accounts: BTreeMap<AccountName, Access>,
    socket: Option<PathBuf>,
    ca_file: Option<(PathBuf, Authorities)>,
    secret_variables: BTreeSet<String>,
}

pub(super) fn conclude(findings: Findings<'_>, draft: Draft) -> Result<Config, Mistakes> {
    let warnings = findings.judge()?;
    let Draft { settings, sources, accounts, socket, ca_file, secret_variables } = draft;
    let (ca_file, authorities) = ca_file.unzip();
    let authorities = authorities.unwrap_or_default();
    Ok(Config { settings, sources, accounts, socket, ca_file, authorities, secret_variables, warnings })
}

/// Reads the tree. What is wrong in it is reported, and something stands in for it.
pub(super) fn read(findings: &mut Findings<'_>, table: &DeTable<'_>) -> Draft {
    let nothing = DeTable::new();
    let top = Section::new(findings, Place::Top, (table, 0..0), &|_| false);
    let owner = top.read(&keys::OWNER, findings, owner);
    let on_exit = top.read(&keys::ON_EXIT, findings, section::choice);
    let max_deletes = top.read(&keys::MAX_DELETES, findings, section::count);
    let ca_file = top.read(&keys::CA_FILE, findings, ca_file);
    let cloudflare = table_of(findings, table, &keys::CLOUDFLARE).unwrap_or((&nothing, 0..0));
    let accounts = account::read(findings, cloudflare);
    let address = table_of(findings, table, &keys::ADDRESS).unwrap_or((&nothing, 0..0));
    let address = address::read(findings, address);
    let context = record::Context {
        accounts: accounts.keys().collect(),
        families: address.sources.keys().copied().collect(),
        owner: owner.as_deref(),
        has_owner: top.has(&keys::OWNER),
    };
    let records = records(findings, entry(table, &keys::RECORD), &context);
    let settings = Settings {
        accounts: BTreeMap::new(),
        sources: address.sources.iter().map(|(family, list)| (*family, as_settings(list))).collect(),
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
    let status = table_of(findings, table, &keys::STATUS).unwrap_or((&nothing, 0..0));
    let socket = status::socket(findings, status);
    let origins = accounts.values().map(|found| found.access.login.origin());
    let secret_variables = origins.filter_map(Origin::variable).map(str::to_owned).collect();
    let mut draft = Draft {
        settings,
        sources: address.sources,
        accounts: BTreeMap::new(),
        socket,
        ca_file,
        secret_variables,
    };
    draft.take_accounts(findings, accounts);
    draft
}

impl Draft {
    /// Takes over the accounts that records use, and says what is odd about the others.
    fn take_accounts(&mut self, findings: &mut Findings<'_>, found: BTreeMap<AccountName, account::Found>) {
        let used: BTreeSet<&AccountName> =
            self.settings.records.values().map(|wanted| &wanted.account).collect();
        let mut logins: Vec<(Login, AccountName)> = Vec::new();
        for (name, found) in found {
            if !used.contains(&name) {
                if found.stated {
                    let remedy = if name.0.is_empty() {
                        "leave its keys out, or take account = \"…\" out of a record".to_owned()
                    } else {
                        format!("say account = \"{}\" in the records that it is for, or take it out", name.0)
                    };
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

fn as_settings(sources: &[Source]) -> Vec<settings::Source> {
    let as_setting = |source: &Source| settings::Source {
        label: source.label(),
        operator: source.operator(),
        trace: source.is_trace(),
    };
    sources.iter().map(as_setting).collect()
}

/// The entry of a top-level table, also where its name is misspelt: that is reported elsewhere, and what stands in
/// the table is read all the same.
fn entry<'a>(table: &'a DeTable<'a>, key: &Key) -> Option<&'a Value<'a>> {
    let misspelt = |name: &str, value: &Value<'_>| {
        let is_table = value.get_ref().is_table() || value.get_ref().is_array();
        is_table && Place::Top.key(name).is_none() && Place::Top.nearest(name) == Some(key)
    };
    table.get(key.name).or_else(|| {
        let mut entries = table.iter();
        entries.find(|(name, value)| misspelt(name.get_ref(), value)).map(|(_, value)| value)
    })
}

/// A top-level table and where it begins.
fn table_of<'a>(
    findings: &mut Findings<'_>,
    table: &'a DeTable<'a>,
    key: &Key,
) -> Option<(&'a DeTable<'a>, Range<usize>)> {
    let value = entry(table, key)?;
    match value.get_ref() {
        DeValue::Table(inner) => Some((inner, value.span())),
        DeValue::Array(list) if list.iter().any(|item| item.get_ref().is_table()) => {
            let what = format!("[{}] can be there once only, in single brackets", key.name);
            findings.mistake(value.span(), what, format!("write [{}]", key.name));
            let first = list.iter().find(|item| item.get_ref().is_table())?;
            first.get_ref().as_table().map(|inner| (inner, first.span()))
        }
        _ => {
            section::wrong_kind(findings, key, value);
            None
        }
    }
}

fn records(
    findings: &mut Findings<'_>,
    value: Option<&Value<'_>>,
    context: &record::Context<'_>,
) -> BTreeMap<crate::engine::names::Key, settings::Wanted> {
    let mut found = record::Found::default();
    match value.map(|value| (value.get_ref(), value.span())) {
        Some((DeValue::Table(inner), at)) => {
            let what = "records stand in double brackets, because there can be several";
            findings.mistake(at.clone(), what, "write [[record]]");
            found.read(findings, (inner, at), context);
        }
        Some((DeValue::Array(list), _)) if !list.is_empty() => {
            for item in list.iter() {
                match item.get_ref() {
                    DeValue::Table(inner) => found.read(findings, (inner, item.span()), context),
                    _ => section::wrong_kind(findings, &keys::RECORD, item),
                }
            }
        }
        None | Some((DeValue::Array(_), _)) => {
            let what = "there is no name to keep: at least one [[record]] is needed";
            let remedy = "add these two lines, with your name:\n[[record]]\nname = \"home.example.com\"";
            findings.missing(None, what, remedy);
        }
        Some(_) => {
            if let Some(value) = value {
                section::wrong_kind(findings, &keys::RECORD, value);
            }
        }
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
    let near: String =
        text.trim().to_lowercase().chars().map(|char| if char == ' ' { '-' } else { char }).collect();
    let remedy = if near.len() <= 32 && near.bytes().all(fits) {
        format!("write owner = \"{near}\"")
    } else {
        "write a short name for this host, such as \"attic\"".into()
    };
    findings.reject(at, what, remedy)
}

fn ca_file(findings: &mut Findings<'_>, key: &Key, value: &Value<'_>) -> Option<(PathBuf, Authorities)> {
    let Text { text, at } = section::text(findings, key, value)?;
    let path = PathBuf::from(text.trim());
    let read = match path.is_absolute() {
        true => file::authorities(&path),
        false => Err((
            "a daemon has no folder of its own, so this path leads nowhere".to_owned(),
            format!("write the whole path, such as {}", key.example()),
        )),
    };
    let read = read.map_err(|(what, remedy)| findings.mistake(at, what, remedy));
    read.ok().map(|authorities| (path, authorities))
}

fn warn_about_exit(findings: &mut Findings<'_>, settings: &Settings, at: Range<usize>) {
    let (records, most) = (settings.records.len(), settings.max_deletes);
    if settings.on_exit == OnExit::Delete && records > most {
        let what = format!(
            "on-exit = \"delete\" has {records} records to delete, but max-deletes = {most} stops it"
        );
        findings.warn(at, what, format!("write max-deletes = {records}, or on-exit = \"keep\""));
    }
}
