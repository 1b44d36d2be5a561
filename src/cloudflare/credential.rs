//! How an account is reached: with a token, or with the legacy pair of an e-mail address and a key.
//!
//! Deliberately unknown: where secrets come from, and how they are sent.

use crate::secret::{Kind, Origin, Secret, SecretError, Surroundings, Warning};

/// How an account is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// The base URL, without a trailing slash: https, or http on a loopback host.
    pub api: String,
    /// What proves who we are.
    pub login: Login,
}

/// What proves who we are, and where it is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Login {
    /// An API token.
    Token(Origin),
    /// The legacy pair.
    GlobalKey {
        /// The account's e-mail address, which [`is_email`].
        email: String,
        /// The Global API Key.
        key: Origin,
    },
}

/// What proves who we are, as it is sent.
#[derive(Debug, PartialEq, Eq)]
pub enum Credential {
    /// An API token, sent as `Authorization: Bearer …`.
    Token(Secret),
    /// The legacy pair, sent as `X-Auth-Email` and `X-Auth-Key`.
    GlobalKey {
        /// The account's e-mail address.
        email: String,
        /// The Global API Key.
        key: Secret,
    },
}

impl Credential {
    pub(super) fn secret(&self) -> &Secret {
        match self {
            Credential::Token(secret) | Credential::GlobalKey { key: secret, .. } => secret,
        }
    }
}

/// A credential that was read.
#[derive(Debug, PartialEq, Eq)]
pub struct Reading {
    /// The credential.
    pub credential: Credential,
    /// What is odd about it or its place.
    pub warnings: Vec<Warning>,
}

impl Reading {
    /// The warning that the secret's file is mounted alone and has been replaced outside.
    pub fn outdated(&self) -> Option<&Warning> {
        self.warnings.iter().find(|warning| matches!(warning, Warning::Outdated(_)))
    }
}

impl Login {
    /// Reads the secret anew from its origin.
    ///
    /// # Errors
    /// [`SecretError`] says why there is none, and what to do.
    pub async fn read(&self) -> Result<Reading, SecretError> {
        self.read_in(Surroundings::default()).await
    }

    /// The secret's origin.
    pub fn origin(&self) -> &Origin {
        match self {
            Login::Token(origin) | Login::GlobalKey { key: origin, .. } => origin,
        }
    }

    async fn read_in(&self, surroundings: Surroundings<'_>) -> Result<Reading, SecretError> {
        let kind = match self {
            Login::Token(_) => Kind::Token,
            Login::GlobalKey { .. } => Kind::GlobalKey,
        };
        let (secret, warnings) = self.origin().read(kind, surroundings).await?;
        let credential = match self {
            Login::Token(_) => Credential::Token(secret),
            Login::GlobalKey { email, .. } => Credential::GlobalKey { email: email.clone(), key: secret },
        };
        Ok(Reading { credential, warnings })
    }
}

/// Whether this is an e-mail address, as far as a header needs it to be one.
pub fn is_email(text: &str) -> bool {
    let parts = text.rsplit_once('@');
    parts.is_some_and(|(user, host)| !user.is_empty() && !host.is_empty())
        && text.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests;
