//! The accounts that the loop can reach: for each a client and the secret that goes with it.
//!
//! Deliberately unknown: what is asked, and what a refusal means.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::cloudflare::client::Client;
use crate::cloudflare::credential::{Access, Credential, Login, Reading};
use crate::cloudflare::identity::HashKey;
use crate::engine::names::Moment;
use crate::engine::settings::{AccountName, CredentialId};
use crate::http::{Authorities, HttpError};
use crate::secret::{Fault, Kind, Origin, Secret, SecretError};

/// The accounts by name.
#[derive(Debug, Default)]
pub struct Accounts(BTreeMap<AccountName, Account>);

/// One account, ready to be asked.
#[derive(Clone, Debug)]
pub struct Account {
    access: Access,
    /// Where requests go.
    pub client: Arc<Client>,
    /// What proves who we are.
    pub credential: Arc<Credential>,
    trouble: Trouble,
}

/// An account that cannot be asked.
#[derive(Debug)]
pub enum Locked {
    /// Its secret cannot be had.
    Secret(AccountName, SecretError),
    /// Its API cannot be reached in principle.
    Api(AccountName, HttpError),
}

impl Locked {
    /// Whether a later try may help although nobody changes anything.
    pub fn is_passing(&self) -> bool {
        matches!(self, Locked::Secret(_, SecretError { fault: Fault::Short(_), .. }))
    }
}

impl fmt::Display for Locked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Locked::Secret(name, error) => write!(f, "{name}: {error}"),
            Locked::Api(name, error) => write!(f, "{name}: {error}"),
        }
    }
}

/// What was read for each account.
pub type Readings = BTreeMap<AccountName, Result<Reading, SecretError>>;

/// Where secrets come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Secrets {
    /// From where the configuration says.
    Real,
    /// Made up: a simulation accepts any, and the user's own stay where they are.
    MadeUp,
}

impl Secrets {
    /// Reads the secret of one account.
    ///
    /// # Errors
    /// As [`Login::read`].
    pub async fn read(self, login: &Login) -> Result<Reading, SecretError> {
        match self {
            Secrets::Real => login.read().await,
            Secrets::MadeUp => made_up(),
        }
    }
}

fn made_up() -> Result<Reading, SecretError> {
    let secret = Secret::parse(b"stayput-sandbox-accepts-any-token", Kind::Token);
    let secret = secret.map_err(|bad| SecretError {
        kind: Kind::Token,
        origin: Origin::Env("nothing".into()),
        fault: Fault::Bad(bad),
    })?;
    Ok(Reading { credential: Credential::Token(secret), warnings: Vec::new() })
}

/// Reads the secret of every account.
pub async fn read(accesses: BTreeMap<AccountName, Access>, secrets: Secrets) -> Readings {
    let mut readings = Readings::new();
    for (name, access) in accesses {
        readings.insert(name, secrets.read(&access.login).await);
    }
    readings
}

/// Says what is odd about secrets that were read.
pub fn warn(readings: &Readings) {
    for (name, reading) in readings {
        for warning in reading.iter().flat_map(|reading| &reading.warnings) {
            tracing::warn!("{name}: {warning}");
        }
    }
}

impl Accounts {
    /// The accounts of `accesses` with the secrets that were read for them. Where one could not be
    /// read, the one that `before` has for the same login goes on.
    ///
    /// # Errors
    /// The first account that has no secret, neither a new nor an old one.
    pub fn open(
        accesses: &BTreeMap<AccountName, Access>,
        mut readings: Readings,
        before: &Accounts,
        authorities: &Authorities,
    ) -> Result<Accounts, Locked> {
        let mut accounts = BTreeMap::new();
        for (name, access) in accesses {
            let old = before.0.get(name).filter(|old| old.access == *access);
            let credential = match (readings.remove(name), old) {
                (Some(Ok(reading)), _) => Arc::new(reading.credential),
                (Some(Err(error)), Some(old)) => {
                    tracing::warn!("{name}: {error}; the secret that was read before stays in use");
                    Arc::clone(&old.credential)
                }
                (Some(Err(error)), None) => return Err(Locked::Secret(name.clone(), error)),
                (None, _) => continue,
            };
            let client = match old.filter(|old| old.client.trusts(authorities)) {
                Some(old) => Arc::clone(&old.client),
                None => {
                    let client = Client::new(&access.api, authorities);
                    Arc::new(client.map_err(|error| Locked::Api(name.clone(), error))?)
                }
            };
            let trouble = old.map(|old| old.trouble.clone()).unwrap_or_default();
            let account = Account { access: access.clone(), client, credential, trouble };
            accounts.insert(name.clone(), account);
        }
        Ok(Accounts(accounts))
    }

    /// The account of this name.
    pub fn get(&self, name: &AccountName) -> Option<&Account> {
        self.0.get(name)
    }

    /// Which credential an account has; as good as unknown without a key, or an account.
    pub fn credential_id(&self, name: &AccountName, key: Option<HashKey>) -> CredentialId {
        let account = self.get(name).zip(key);
        account.map(|(account, key)| account.credential.id(key)).unwrap_or_default()
    }

    /// How each account is reached.
    pub fn accesses(&self) -> BTreeMap<AccountName, Access> {
        let accesses = self.0.iter();
        accesses.map(|(name, account)| (name.clone(), account.access.clone())).collect()
    }

    /// The accounts whose secret is not the one that `before` had.
    pub fn changed_since<'a>(&'a self, before: &'a Accounts) -> impl Iterator<Item = &'a AccountName> {
        let accounts = self.0.iter();
        accounts
            .filter(|(name, account)| {
                let old = before.0.get(name);
                old.is_some_and(|old| *old.credential != *account.credential)
            })
            .map(|(name, _)| name)
    }

    /// Takes what came of reading a secret again, as is done each minute while it is refused; says whether it
    /// differs from the one before.
    pub fn renew(&mut self, name: &AccountName, read: Result<Reading, SecretError>, now: Moment) -> Renewal {
        let Some(account) = self.0.get_mut(name) else {
            return Renewal::Same;
        };
        let trouble = match &read {
            Ok(reading) => reading.outdated().map(ToString::to_string),
            Err(error) => Some(error.to_string()),
        };
        match account.trouble.note(trouble.as_deref(), now) {
            Some(Said::Trouble(words)) => tracing::warn!("{name}: {words}"),
            Some(Said::Over) => tracing::info!("{name}: the secret can be read again"),
            None => {}
        }
        match read {
            Ok(reading) if *account.credential != reading.credential => {
                account.credential = Arc::new(reading.credential);
                Renewal::Different
            }
            _ => Renewal::Same,
        }
    }

    /// The `Date` of an answer, if there was one.
    pub fn dated(&self) -> Option<SystemTime> {
        self.0.values().find_map(|account| account.client.dated())
    }

    /// Opens new connections from now on: after an address change no old one works.
    pub fn forget_connections(&self) {
        self.0.values().for_each(|account| account.client.forget_connections());
    }
}

impl Account {
    /// What proves who we are, and where it is read.
    pub fn login(&self) -> Login {
        self.access.login.clone()
    }
}

/// Whether a secret that was read again is another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Renewal {
    /// Bytes for bytes the one before.
    Same,
    /// Worth another try.
    Different,
}

/// The first reminder of a trouble that lasts comes after this time, the later ones daily.
const FIRST_REMINDER: Duration = Duration::from_secs(6 * 3600);
const LATER_REMINDERS: Duration = Duration::from_secs(24 * 3600);
/// So many different words are said before the next reminder.
const MOST_WORDS: usize = 4;

/// What is wrong with a secret that is read again and again. It is said once while it lasts, and what comes and
/// goes is not said each time.
#[derive(Clone, Debug, Default)]
struct Trouble {
    /// What was said since the last reminder.
    said: Vec<String>,
    remind_at: Option<Moment>,
    /// The last that was said is that something is wrong.
    lasts: bool,
}

#[derive(Debug, PartialEq, Eq)]
enum Said<'a> {
    Trouble(&'a str),
    Over,
}

impl Trouble {
    /// What is to be said after the secret was read again, with these words of what is wrong.
    fn note<'a>(&mut self, words: Option<&'a str>, now: Moment) -> Option<Said<'a>> {
        let Some(words) = words else {
            return std::mem::take(&mut self.lasts).then_some(Said::Over);
        };
        if self.remind_at.is_none_or(|due| due <= now) {
            let pause = if self.lasts { LATER_REMINDERS } else { FIRST_REMINDER };
            *self = Trouble { said: Vec::new(), remind_at: Some(now + pause), lasts: true };
        } else if self.said.len() == MOST_WORDS || self.said.iter().any(|said| said == words) {
            return None;
        }
        self.said.push(words.to_owned());
        self.lasts = true;
        Some(Said::Trouble(words))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minute(minute: i64) -> Moment {
        Moment::from_millis(minute * 60_000)
    }

    #[test]
    fn a_secret_that_stays_unreadable_is_said_once_and_then_after_six_hours_and_daily() {
        let mut trouble = Trouble::default();
        let said = |now: &i64| trouble.note(Some("it is missing"), minute(*now)).is_some();
        let minutes: Vec<i64> = (0..3 * 1440).filter(said).collect();
        assert_eq!(minutes, [0, 360, 360 + 1440, 360 + 2 * 1440]);
        assert_eq!(trouble.note(None, minute(5000)), Some(Said::Over));
        assert_eq!(trouble.note(None, minute(5001)), None);
    }

    #[test]
    fn new_words_are_said_and_what_comes_and_goes_is_not_said_each_time() {
        let mut trouble = Trouble::default();
        assert_eq!(trouble.note(None, minute(0)), None);
        assert_eq!(trouble.note(Some("missing"), minute(0)), Some(Said::Trouble("missing")));
        assert_eq!(trouble.note(Some("empty"), minute(1)), Some(Said::Trouble("empty")));
        assert_eq!(trouble.note(None, minute(2)), Some(Said::Over));
        for now in (3..300).step_by(3) {
            assert_eq!(trouble.note(Some("missing"), minute(now)), None);
            assert_eq!(trouble.note(Some("empty"), minute(now + 1)), None);
            assert_eq!(trouble.note(None, minute(now + 2)), None);
        }
        let texts: Vec<String> = (0..100).map(|number| number.to_string()).collect();
        let spoken = texts.iter().filter(|text| trouble.note(Some(text), minute(310)).is_some());
        assert_eq!(spoken.count(), 2, "words that always differ are bounded");
        assert_eq!(trouble.note(Some("missing"), minute(361)), Some(Said::Trouble("missing")));
    }
}
