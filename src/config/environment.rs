//! The environment: where the configuration is, the form without a file, and variables that mean nothing.
//!
//! It is handed the variables, and keeps no secret: of the token it knows only whether it is there.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

use super::keys;
use super::mistake::{Findings, Mistake, Mistakes};
use super::{Config, conclude, read};
use crate::cloudflare::credential::{Login, Origin};
use crate::engine::settings::AccountName;

/// Where the configuration is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// In this file; it may turn out to be missing.
    File(PathBuf),
    /// In the environment, as a whole.
    Environment,
}

/// The variables that concern the configuration. Empty ones count as unset.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Environment {
    /// Those that begin with `STAYPUT_`.
    ours: BTreeMap<String, OsString>,
    has_token: bool,
    token_file: Option<OsString>,
}

const FILE: &str = "/etc/stayput/stayput.toml";
const PREFIX: &str = "STAYPUT_";
const CONFIG: &str = "STAYPUT_CONFIG";
const RECORDS: &str = "STAYPUT_RECORDS";
const STATE: &str = "STAYPUT_STATE";
const SOCKET: &str = "STAYPUT_SOCKET";
const TOKEN: &str = "CLOUDFLARE_API_TOKEN";
const TOKEN_FILE: &str = "CLOUDFLARE_API_TOKEN_FILE";
const SOURCE: &str = "the environment";

/// What is said where there is no configuration at all.
const NOTHING: &str = "write /etc/stayput/stayput.toml:

    [cloudflare]
    token = { env = \"CLOUDFLARE_API_TOKEN\" }
    [address]
    every = \"5m\"
    [[record]]
    name = \"home.example.com\"

or, in a container, set two variables:

    CLOUDFLARE_API_TOKEN=…  (or CLOUDFLARE_API_TOKEN_FILE=/run/secrets/token)
    STAYPUT_RECORDS=home.example.com,*.home.example.com";

impl Environment {
    /// Picks the variables that matter, such as from [`std::env::vars_os`].
    pub fn of(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Environment {
        let mut environment = Environment::default();
        for (name, value) in variables {
            if value.is_empty() {
                continue;
            }
            match name.to_string_lossy() {
                name if name.starts_with(PREFIX) => {
                    environment.ours.insert(name.into_owned(), value);
                }
                name if name == TOKEN => environment.has_token = true,
                name if name == TOKEN_FILE => environment.token_file = Some(value),
                _ => {}
            }
        }
        environment
    }

    /// Where the configuration is: the flag, `$STAYPUT_CONFIG`, `/etc/stayput/stayput.toml` if it `is_there`, or
    /// the environment itself.
    ///
    /// # Errors
    /// It is nowhere; says how to write one.
    pub fn locate(
        &self,
        flag: Option<PathBuf>,
        is_there: impl Fn(&Path) -> bool,
    ) -> Result<Location, Mistakes> {
        let named = flag.or_else(|| self.ours.get(CONFIG).map(PathBuf::from));
        if let Some(path) = named.or_else(|| Some(PathBuf::from(FILE)).filter(|path| is_there(path))) {
            return Ok(Location::File(path));
        }
        if self.ours.contains_key(RECORDS) {
            return Ok(Location::Environment);
        }
        let strays = self.strays();
        if strays.is_empty() {
            let what = "there is no configuration: no --config, no $STAYPUT_CONFIG, no /etc/stayput/stayput.toml, \
                 and no $STAYPUT_RECORDS";
            return Err(Mistakes::about("stayput", what, NOTHING));
        }
        Err(Mistakes::gathered(SOURCE, strays))
    }

    /// Checks the variables beside a configuration file; returns what is worth saying.
    ///
    /// # Errors
    /// Every `STAYPUT_*` variable that there is no such thing as.
    pub fn beside_file(&self) -> Result<Vec<Mistake>, Mistakes> {
        let strays = self.strays();
        if !strays.is_empty() {
            return Err(Mistakes::gathered(SOURCE, strays));
        }
        let unused = [
            (
                self.ours.contains_key(RECORDS),
                RECORDS,
                "write the names into the file, and take the variable away",
            ),
            (
                self.token_file.is_some(),
                TOKEN_FILE,
                "write token = { file = \"…\" } under [cloudflare], and take the variable away",
            ),
        ];
        let what = "it has no effect, because there is a configuration file";
        let mistake = |(_, name, remedy)| Mistake::about(name, what, remedy);
        Ok(unused.into_iter().filter(|(is_set, ..)| *is_set).map(mistake).collect())
    }

    /// The variables that there are no such things as.
    fn strays(&self) -> Vec<Mistake> {
        let known = [CONFIG, RECORDS, STATE, SOCKET];
        let strays = self.ours.keys().filter(|name| !known.contains(&name.as_str()));
        let mistake = |name: &String| {
            let short = name.trim_start_matches(PREFIX).to_uppercase();
            let near = keys::nearest(&short, known.iter().map(|known| known.trim_start_matches(PREFIX)));
            let alias = ["NAME", "NAMES", "DOMAIN", "DOMAINS", "HOST", "HOSTS"].contains(&short.as_str());
            let remedy = match near.or(alias.then_some("RECORDS")) {
                Some(near) => format!("did you mean {PREFIX}{near}?"),
                None if short.contains("TOKEN") => format!("did you mean {TOKEN} or {TOKEN_FILE}?"),
                None => {
                    format!("there are {CONFIG}, {RECORDS}, {STATE} and {SOCKET}; all else is said in a file")
                }
            };
            Mistake::about(name, "there is no such variable", &remedy)
        };
        strays.map(mistake).collect()
    }

    /// The container form.
    pub(super) fn config(&self) -> Result<Config, Mistakes> {
        let mut mistakes = self.strays();
        let token = self.token().map_err(|mistake| mistakes.push(mistake));
        let records = self.ours.get(RECORDS).map(OsString::as_os_str).unwrap_or_default();
        let Some(records) = records.to_str() else {
            mistakes.push(Mistake::about(RECORDS, "it is not UTF-8", "write names, separated by commas"));
            return Err(Mistakes::gathered(SOURCE, mistakes));
        };
        let names = names(records);
        if names.is_empty() {
            let remedy = "write names, separated by commas, such as home.example.com,*.home.example.com";
            mistakes.push(Mistake::about(RECORDS, "it holds no name", remedy));
            return Err(Mistakes::gathered(SOURCE, mistakes));
        }
        let mut findings = Findings::new(RECORDS, records);
        let mut draft = read(&mut findings, &tree(names));
        if let (Ok(origin), Some(access)) = (token, draft.accounts.get_mut(&AccountName::default())) {
            access.login = Login::Token(origin);
        }
        match conclude(findings, draft) {
            Ok(config) if mistakes.is_empty() => Ok(config),
            Ok(_) => Err(Mistakes::gathered(SOURCE, mistakes)),
            Err(wrong) => {
                mistakes.extend(wrong.into_list());
                Err(Mistakes::gathered(SOURCE, mistakes))
            }
        }
    }

    fn token(&self) -> Result<Origin, Mistake> {
        match (self.has_token, &self.token_file) {
            (true, None) => Ok(Origin::Env(TOKEN.to_owned())),
            (false, Some(path)) => Ok(Origin::File(PathBuf::from(path))),
            (true, Some(_)) => {
                let what = format!("it is set, and so is {TOKEN_FILE}");
                Err(Mistake::about(TOKEN, &what, "keep the one that holds the token"))
            }
            (false, None) => {
                let what = "there is no token: it is not set, or empty";
                let remedy = format!(
                    "set it to an API token with Zone:Read and DNS:Edit, or {TOKEN_FILE} to its file"
                );
                Err(Mistake::about(TOKEN, what, &remedy))
            }
        }
    }
}

/// The names in the variable, with their places.
fn names(records: &str) -> Vec<Spanned<DeValue<'_>>> {
    let mut at = 0;
    let mut names = Vec::new();
    for name in records.split(|char: char| char == ',' || char.is_whitespace()) {
        if !name.is_empty() {
            names.push(Spanned::new(at..at + name.len(), DeValue::String(name.into())));
        }
        at += name.len() + records[at + name.len()..].chars().next().map_or(0, char::len_utf8);
    }
    names
}

/// The tree of the file that says the same.
fn tree(names: Vec<Spanned<DeValue<'_>>>) -> DeTable<'_> {
    let names: DeArray<'_> = names.into_iter().collect();
    let record = table(keys::NAME.name, DeValue::Array(names));
    let records: DeArray<'_> = [Spanned::new(0..0, DeValue::Table(record))].into_iter().collect();
    table(keys::RECORD.name, DeValue::Array(records))
}

fn table<'a>(key: &'static str, value: DeValue<'a>) -> DeTable<'a> {
    [(Spanned::new(0..0, key.into()), Spanned::new(0..0, value))].into_iter().collect()
}
