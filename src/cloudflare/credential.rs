//! Where a secret comes from, and a type for it that cannot be printed.

use std::path::PathBuf;

/// Where a secret is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// An environment variable.
    Env(String),
    /// A file.
    File(PathBuf),
    /// A file of this name in `$CREDENTIALS_DIRECTORY` (systemd).
    Credential(String),
    /// The standard output of a program, run without a shell. Never empty.
    Command(Vec<String>),
}

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
        /// The account's e-mail address.
        email: String,
        /// The Global API Key.
        key: Origin,
    },
}
