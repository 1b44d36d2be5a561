//! The environment: where the configuration is, the form without a file, and variables that mean nothing.
//!
//! It is handed the variables, and keeps no secret: of the token it knows only whether it is there.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use super::document::{Config, from_text};
use super::form::{self, RECORDS};
use super::keys;
use super::mistake::{Mistake, Mistakes, Surroundings};
use crate::secret::{self, Origin};

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// In this file; it may turn out to be missing.
    File(PathBuf),
    /// In the environment, as a whole.
    Environment,
}

/// The variables that concern the configuration. Empty ones count as unset, and the quotation marks that
/// `docker --env-file` keeps around a value are taken off.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Environment {
    /// Those that begin with `STAYPUT_`.
    ours: BTreeMap<String, OsString>,
    has_token: bool,
    token_file: Option<OsString>,
    surroundings: Surroundings,
}

const FILE: &str = "/etc/stayput/stayput.toml";
const PREFIX: &str = "STAYPUT_";
const CONFIG: &str = "STAYPUT_CONFIG";
const STATE: &str = "STAYPUT_STATE";
const SOCKET: &str = "STAYPUT_SOCKET";
const TOKEN: &str = "CLOUDFLARE_API_TOKEN";
const TOKEN_FILE: &str = "CLOUDFLARE_API_TOKEN_FILE";
const SOURCE: &str = "the environment";
/// Names that are fixed, and that this version does not have yet.
const LATER: [&str; 3] = ["STAYPUT_LISTEN", "STAYPUT_NOTIFY", "STAYPUT_NOTIFY_FILE"];

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
            let value = unquoted(value);
            if value.is_empty() {
                continue;
            }
            match name.to_string_lossy() {
                name if name.starts_with(PREFIX) => {
                    environment.ours.insert(name.into_owned(), value);
                }
                name if name == TOKEN => environment.has_token = true,
                name if name == TOKEN_FILE => environment.token_file = Some(value),
                name if name == "CREDENTIALS_DIRECTORY" || name == "INVOCATION_ID" => {
                    environment.surroundings = Surroundings::Unit;
                }
                _ => {}
            }
        }
        environment.pass_over_links();
        environment
    }

    /// Forgets what Kubernetes and Docker set for a service that is called stayput or stayput-something.
    fn pass_over_links(&mut self) {
        let linked = self.ours.iter().filter(|(name, value)| name.ends_with("_NAME") && is_link(name, value));
        // Docker hands over the variables of the linked container as well.
        let handed: Vec<String> = linked.map(|(name, _)| name.replace("_NAME", "_ENV_")).collect();
        let is_handed = |name: &str| handed.iter().any(|beginning| name.starts_with(beginning));
        self.ours.retain(|name, value| !is_link(name, value) && !is_handed(name));
    }

    /// Whether it says nothing of a configuration; the token aside. Where the state and the socket are
    /// is no part of one.
    pub fn is_silent(&self) -> bool {
        self.ours.keys().all(|name| [STATE, SOCKET].contains(&name.as_str()))
    }

    /// As [`from_toml`](super::from_toml), with advice that fits where the program runs.
    ///
    /// # Errors
    /// All of the text's mistakes.
    pub fn from_toml(&self, text: &str, file: &Path) -> Result<Config, Mistakes> {
        from_text(text, file, self.surroundings)
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
        let what = "it has no effect, because there is a configuration file";
        let form = form::VARIABLES.iter().map(|(name, _)| *name).chain(LATER);
        let form = form.filter(|name| self.ours.contains_key(*name));
        let about = |name| Mistake::about(name, what, "take it away; the file says what counts");
        let token_file = self.token_file.iter().map(|_| {
            let remedy = "write token = { file = \"…\" } under [cloudflare], and take it away";
            Mistake::about(TOKEN_FILE, what, remedy)
        });
        Ok(form.map(about).chain(token_file).collect())
    }

    /// The variables that there are no such things as.
    fn strays(&self) -> Vec<Mistake> {
        let form = form::VARIABLES.iter().map(|(name, _)| *name);
        let known: Vec<&str> = form.chain([CONFIG, STATE, SOCKET]).collect();
        let is_known = |name: &&String| known.contains(&name.as_str()) || LATER.contains(&name.as_str());
        let strays = self.ours.keys().filter(|name| !is_known(name));
        let mistake = |name: &String| {
            let short = name.trim_start_matches(PREFIX).to_uppercase();
            let near = keys::nearest(&short, known.iter().map(|known| known.trim_start_matches(PREFIX)));
            let remedy = match near {
                _ if short.contains("TOKEN") => format!("did you mean {TOKEN} or {TOKEN_FILE}?"),
                Some(near) => format!("did you mean {PREFIX}{near}?"),
                None => format!("there are {}; all else is said in a file", known.join(", ")),
            };
            Mistake::about(name, "there is no such variable", &remedy)
        };
        strays.map(mistake).collect()
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
                    "set it to an API token with the permission Zone · DNS · Edit, or {TOKEN_FILE} to its file"
                );
                Err(Mistake::about(TOKEN, what, &remedy))
            }
        }
    }
}

/// Reads the container form: the names in `STAYPUT_RECORDS`, the token in `CLOUDFLARE_API_TOKEN` or in the file
/// of `CLOUDFLARE_API_TOKEN_FILE`, a few keys in variables of their own, everything else at its default.
///
/// # Errors
/// All of its mistakes.
pub fn from_environment(environment: &Environment) -> Result<Config, Mistakes> {
    let mut mistakes = environment.strays();
    let what = "this version of stayput has no such variable yet";
    let later = LATER.into_iter().filter(|name| environment.ours.contains_key(*name));
    mistakes.extend(later.map(|name| Mistake::about(name, what, "take it away")));
    let token = environment.token().map_err(|mistake| mistakes.push(mistake)).ok();
    match form::read(&environment.ours, token) {
        Ok(config) if mistakes.is_empty() => return Ok(config),
        Ok(_) => {}
        Err(wrong) => mistakes.extend(wrong),
    }
    Err(Mistakes::gathered(SOURCE, mistakes))
}

/// The value without quotation marks around it.
pub fn unquoted(value: OsString) -> OsString {
    let inner = secret::unquoted(value.as_bytes());
    if inner.len() == value.len() { value } else { OsString::from_vec(inner.to_vec()) }
}

/// Whether a variable has the form of those that are set for a service: by Kubernetes its host and ports, by
/// Docker its name and ports. The name of the service may go on after `STAYPUT_`.
fn is_link(name: &str, value: &OsString) -> bool {
    let value = value.to_string_lossy();
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_url = || ["tcp://", "udp://", "sctp://"].iter().any(|scheme| value.starts_with(scheme));
    let is_path = || value.strip_prefix('/').is_some_and(|rest| rest.contains('/'));
    let parts: Vec<&str> = name.split('_').collect();
    (1..parts.len()).any(|at| match parts.get(at..).unwrap_or_default() {
        ["SERVICE", "HOST"] | ["SERVICE", "PORT", ..] => true,
        ["PORT"] => is_url(),
        ["PORT", number, "TCP" | "UDP" | "SCTP", ..] => is_number(number),
        ["NAME"] => is_path(),
        _ => false,
    })
}
