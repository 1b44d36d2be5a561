//! The accounts that the loop can reach: for each a client and the secret that goes with it.
//!
//! Deliberately unknown: what is asked, and what a refusal means.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::cloudflare::client::{BadApi, Client};
use crate::cloudflare::credential::{Access, Credential, Fault, Login, Origin, Reading, SecretError};
use crate::cloudflare::secret::{Kind, Secret};
use crate::engine::settings::AccountName;
use crate::outbound::Authorities;

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
}

/// An account that cannot be asked.
#[derive(Debug)]
pub enum Locked {
    /// Its secret cannot be had.
    Secret(AccountName, SecretError),
    /// Its API cannot be reached in principle.
    Api(AccountName, BadApi),
}

impl Locked {
    /// Whether a later try may help although nobody changes anything.
    #[must_use]
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
                None => client(name, access, authorities)?,
            };
            let account = Account { access: access.clone(), client, credential };
            accounts.insert(name.clone(), account);
        }
        Ok(Accounts(accounts))
    }

    /// The account of this name.
    #[must_use]
    pub fn get(&self, name: &AccountName) -> Option<&Account> {
        self.0.get(name)
    }

    /// How each account is reached.
    #[must_use]
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

    /// Takes a secret that was read again; says whether it differs from the one before.
    pub fn renew(&mut self, name: &AccountName, reading: Reading) -> Renewal {
        match self.0.get_mut(name) {
            Some(account) if *account.credential != reading.credential => {
                account.credential = Arc::new(reading.credential);
                Renewal::Different
            }
            _ => Renewal::Same,
        }
    }

    /// The `Date` of an answer, in seconds since 1970, if there was one.
    #[must_use]
    pub fn dated(&self) -> Option<i64> {
        self.0.values().find_map(|account| account.client.dated())
    }

    /// Opens new connections from now on: after an address change no old one works.
    pub fn forget_connections(&self) {
        self.0.values().for_each(|account| account.client.forget_connections());
    }
}

impl Account {
    /// What proves who we are, and where it is read.
    #[must_use]
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

fn client(name: &AccountName, access: &Access, authorities: &Authorities) -> Result<Arc<Client>, Locked> {
    let client = Client::new(&access.api, authorities).map_err(|error| Locked::Api(name.clone(), error))?;
    Ok(Arc::new(client))
}
