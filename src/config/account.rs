//! `[cloudflare]` and `[cloudflare.NAME]`: how each account is reached, and with whose secret.
//!
//! Deliberately unknown: the secret itself. A secret that was written into the file is refused unseen.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use reqwest::Url;
use toml::de::{DeTable, DeValue};

use super::keys::{self, Key, Place};
use super::mistake::{Findings, Grade, Span, Surroundings, quote};
use super::section::{self, Section, Text, Value};
use crate::cloudflare::credential::{self, Access, Login};
use crate::engine::settings::{Account, AccountName, Budget, CredentialId};
use crate::http::{BadUrl, is_loopback, safe_url};
use crate::secret::{Origin, looks_secret};

/// An account of the file.
pub(super) struct Found {
    pub(super) access: Access,
    pub(super) account: Account,
    /// Where its table begins.
    pub(super) at: Span,
    /// Whether the file says anything about it.
    pub(super) stated: bool,
}

/// Reads `[cloudflare]` and its accounts. What is wrong is reported; something stands in for it.
pub(super) fn read(findings: &mut Findings<'_>, table: (&DeTable<'_>, Span)) -> BTreeMap<AccountName, Found> {
    let (entries, at) = table;
    let mut accounts = BTreeMap::new();
    for (key, value) in entries {
        let name = key.get_ref().as_ref();
        if let (DeValue::Table(inner), true) = (value.get_ref(), is_account(name, value)) {
            check_name(findings, name, key.span());
            let found = read_one(findings, (inner, value.span()), &|_| false);
            accounts.insert(AccountName(name.into()), found);
        }
    }
    let is_further = |name: &str| entries.get(name).is_some_and(|value| is_account(name, value));
    let mut main = read_one(findings, (entries, at), &is_further);
    main.stated = entries.iter().any(|(key, _)| !is_further(key.get_ref()));
    accounts.insert(AccountName::default(), main);
    accounts
}

/// Whether an entry of `[cloudflare]` is a further account, rather than a key or a misspelt key. Its content
/// decides where its name does not.
fn is_account(name: &str, value: &Value<'_>) -> bool {
    let DeValue::Table(inner) = value.get_ref() else {
        return false;
    };
    if Place::Account.key(name).is_some() {
        return false;
    }
    let holds_keys = inner.keys().any(|key| Place::Account.key(key.get_ref()).is_some());
    holds_keys || Place::Account.nearest(name).is_none()
}

fn check_name(findings: &mut Findings<'_>, name: &str, at: Span) {
    let fits = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    if name.is_empty() || name.len() > 32 || !fits {
        let what = format!("{} cannot be an account's name", quote(name));
        findings.mistake(at, what, "use 1 to 32 letters, digits, \"-\" and \"_\"");
    } else if name == AccountName::default().label() {
        let what = format!("{} is what status and metrics call [cloudflare] itself", quote(name));
        findings.mistake(at, what, "give this account another name");
    }
}

fn read_one(
    findings: &mut Findings<'_>,
    table: (&DeTable<'_>, Span),
    besides: &dyn Fn(&str) -> bool,
) -> Found {
    let at = table.1.clone();
    let section = Section::new(findings, Place::Account, table, besides);
    let login = login(findings, &section);
    let api = section.read(&keys::API, findings, api);
    let budget = section.read(&keys::BUDGET, findings, budget);
    let refresh = section.read(&keys::REFRESH, findings, section::span);
    Found {
        access: Access { api: api.unwrap_or_default(), login },
        account: Account {
            credential: CredentialId::default(),
            budget: budget.unwrap_or(Budget { requests: 1, per: Duration::from_secs(1) }),
            refresh: refresh.unwrap_or_default(),
        },
        at,
        stated: true,
    }
}

fn login(findings: &mut Findings<'_>, section: &Section<'_>) -> Login {
    let token = section.read(&keys::TOKEN, findings, secret);
    let email = section.read(&keys::EMAIL, findings, email);
    let key = section.read(&keys::GLOBAL_KEY, findings, secret);
    let at = section.key_at(&keys::GLOBAL_KEY);
    match (section.has(&keys::EMAIL), section.has(&keys::GLOBAL_KEY)) {
        (_, true) if section.has(&keys::TOKEN) => {
            let what = "there are a token and a global-key; only one of them can be used";
            findings.mistake(at, what, "keep the token, and take out global-key and email");
        }
        (false, true) => {
            let remedy = "add email = \"…\", or better: use a token instead, which can be limited to DNS";
            findings.note(Grade::Missing, Some(at), "global-key needs the account's email", remedy);
        }
        (true, false) => {
            let what = "email is for the legacy global-key only, which is not there";
            let remedy = "take email out if there is a token, else add global-key = { file = \"…\" }";
            findings.note(Grade::Missing, Some(section.key_at(&keys::EMAIL)), what, remedy);
        }
        (true, true) => {
            let what = "the global key can do everything in the account";
            let remedy = "make a token with the permission Zone · DNS · Edit for the zones here, and say token = { … } instead";
            findings.warn(at, what, remedy);
        }
        (false, false) => {}
    }
    match (email, key) {
        (Some(email), Some(key)) => Login::GlobalKey { email, key },
        _ => Login::Token(token.unwrap_or(Origin::Env(String::new()))),
    }
}

fn email(findings: &mut Findings<'_>, key: &Key, value: &Value<'_>) -> Option<String> {
    let Text { text, at } = section::text(findings, key, value)?;
    if !credential::is_email(text.trim()) {
        let what = format!("{} is not an e-mail address", quote(&text));
        let remedy = "write the address that you log in to Cloudflare with";
        return findings.reject(at, what, remedy);
    }
    Some(text.trim().to_owned())
}

/// Where a secret is read.
pub(super) fn secret(findings: &mut Findings<'_>, key: &Key, value: &Value<'_>) -> Option<Origin> {
    let DeValue::Table(entries) = value.get_ref() else {
        let what = format!("a secret does not stand in this file; {} says where it is", key.name);
        let remedy = instead_of_the_secret(findings, key);
        return findings.reject(value.span(), what, remedy);
    };
    let section = Section::new(findings, Place::Secret, (entries, value.span()), &|_| false);
    let remedy = format!("write {}", findings.secret_elsewhere(key.name));
    let one = section.only(findings, &remedy)?;
    section.read(one, findings, origin)
}

/// What to do with a secret that stands in the file.
fn instead_of_the_secret(findings: &Findings<'_>, key: &Key) -> String {
    let name = key.name;
    let place = findings.secret_elsewhere(name);
    match findings.surroundings {
        Surroundings::Plain => format!(
            "put it into a file that only stayput can read, and write {place};\n\
             or into the environment: {name} = {{ env = \"CLOUDFLARE_API_{}\" }}",
            if key == &keys::TOKEN { "TOKEN" } else { "KEY" },
        ),
        Surroundings::Unit if key == &keys::TOKEN => format!(
            "put it into /etc/stayput/token, which the unit hands over, write {place},\n\
             and restart stayput: systemctl restart stayput"
        ),
        Surroundings::Unit => format!(
            "put it into /etc/stayput/{name}, write {place}, let a drop-in hand it over with\n\
             LoadCredential={name}:/etc/stayput/{name}, and restart stayput: systemctl restart stayput"
        ),
    }
}

fn origin(findings: &mut Findings<'_>, key: &Key, value: &Value<'_>) -> Option<Origin> {
    if key == &keys::SECRET_COMMAND {
        return section::command(findings, key, value).map(Origin::Command);
    }
    let Text { text, at } = section::text(findings, key, value)?;
    let text = text.trim();
    if looks_secret(text) {
        let what = format!("this looks like the secret itself; {} says where it is", key.name);
        let remedy = match findings.surroundings {
            Surroundings::Plain => format!("write {} = {}, and put the secret there", key.name, key.example()),
            Surroundings::Unit => {
                "put the secret into /etc/stayput/token, which the unit hands over, and write credential = \"token\"".into()
            }
        };
        return findings.reject(at, what, remedy);
    }
    let in_name = |char: char| char.is_ascii_alphanumeric() || char == '_';
    let (fits, what) = match key.name {
        "env" => (
            text.chars().all(in_name) && !text.starts_with(|char: char| char.is_ascii_digit()),
            "this is not the name of an environment variable",
        ),
        "credential" => (
            !text.contains('/') && !text.starts_with('.'),
            "a credential is a name, as in LoadCredential=NAME:PATH, and not a path",
        ),
        _ => (!text.starts_with(['~', '$']), "no shell reads this path, so ~ and $ would stay as they are"),
    };
    if !fits {
        return findings.reject(at, what, format!("for example {} = {}", key.name, key.example()));
    }
    Some(match key.name {
        "env" => Origin::Env(text.to_owned()),
        "credential" => Origin::Credential(text.to_owned()),
        _ => Origin::File(PathBuf::from(text)),
    })
}

fn budget(findings: &mut Findings<'_>, key: &Key, value: &Value<'_>) -> Option<Budget> {
    let DeValue::Table(entries) = value.get_ref() else {
        return section::wrong_kind(findings, key, value);
    };
    let section = Section::new(findings, Place::Budget, (entries, value.span()), &|_| false);
    let requests = section.read(&keys::REQUESTS, findings, section::count);
    let per = section.read(&keys::PER, findings, section::span);
    let (requests, per) = (requests?, per?);
    // 1,200 in 300 s.
    let allowed = u64::from(requests) * 1_000 <= 4 * u64::try_from(per.as_millis()).unwrap_or(u64::MAX);
    if !allowed && per < Duration::from_secs(300) {
        let what = format!("{requests} requests per {} are more than Cloudflare allows", section::shown(per));
        let remedy = format!("the limit is 1,200 per 5 minutes; budget = {} is plenty", key.example());
        return findings.reject(value.span(), what, remedy);
    }
    Some(Budget { requests, per })
}

fn api(findings: &mut Findings<'_>, key: &Key, value: &Value<'_>) -> Option<String> {
    let Text { text, at } = section::text(findings, key, value)?;
    let url = url(findings, &text, at.clone())?;
    if url.query().is_some() {
        let what = "the API's base URL cannot have a query";
        return findings.reject(at, what, "take the ? and what follows it out");
    }
    let host = url.host_str().unwrap_or_default();
    let path = url.path().trim_end_matches('/');
    if host == "dash.cloudflare.com" || host == "api.cloudflare.com" && path != "/client/v4" {
        let what = "this is not the base of Cloudflare's API";
        return findings.reject(at, what, format!("write api = {}, or leave it out", key.example()));
    }
    if host != "api.cloudflare.com" && !host.ends_with(".cloudflare.com") && !is_loopback(host) {
        let what = format!("the secret is sent to {host}, which is not Cloudflare");
        findings.warn(at, what, "leave api out unless that is meant");
    }
    Some(url.as_str().trim_end_matches('/').to_owned())
}

/// A URL that a request can go to: https, or http on a loopback host; nothing secret in it.
pub(super) fn url(findings: &mut Findings<'_>, text: &str, at: Span) -> Option<Url> {
    let (what, remedy) = match safe_url(text.trim()) {
        Ok(url) => return Some(url),
        Err(BadUrl::Malformed(error)) => {
            let remedy = "write it whole, with https:// in front, such as \"https://ip.example.org/\"";
            return findings.reject(at, format!("this is not a URL: {error}"), remedy);
        }
        Err(BadUrl::Credentials) => (
            "a URL must not hold a user name or a password: it is shown in messages",
            "take what stands before the @ out",
        ),
        Err(BadUrl::Fragment) => {
            ("a # in a URL is for browsers; it is never sent", "take the # and what follows it out")
        }
        Err(BadUrl::Insecure) => (
            "a URL begins with https://; http is for loopback hosts only, where nobody can read or change it",
            "write https://",
        ),
    };
    findings.reject(at, what, remedy)
}
