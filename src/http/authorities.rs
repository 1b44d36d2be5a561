//! Whose certificates are accepted: the built-in authorities, and those that a PEM file adds.
//!
//! Deliberately unknown: where the PEM comes from, and who is asked.

use std::fmt;
use std::sync::{Arc, OnceLock};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{self, PemObject as _};

use super::error::HttpError;
use crate::secret::redact::quote;

/// Characters of a reason that are shown.
const MOST_CHARACTERS: usize = 120;

/// Whose certificates are accepted. The default is the built-in authorities alone.
#[derive(Clone, Default)]
pub struct Authorities {
    added: Arc<[CertificateDer<'static>]>,
    /// Made when it is first needed: a process that speaks no TLS never pays for it.
    tls: Arc<OnceLock<Result<rustls::ClientConfig, HttpError>>>,
}

impl fmt::Debug for Authorities {
    /// All of TLS would be some hundred kilobytes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Authorities(built in, and {} added)", self.added())
    }
}

impl PartialEq for Authorities {
    fn eq(&self, other: &Authorities) -> bool {
        self.added == other.added
    }
}

impl Eq for Authorities {}

/// Why a file has no authorities.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BadPem {
    /// There is nothing in it.
    Empty,
    /// A certificate in the binary form.
    Binary,
    /// There is no certificate in it.
    NoCertificate,
    /// One of the certificates, counted from 1, cannot be read, for this reason.
    Certificate(usize, String),
}

impl fmt::Display for BadPem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BadPem::Empty => f.write_str("the file is empty"),
            BadPem::Binary => f.write_str("the file is a certificate in the binary form (DER), not in PEM"),
            BadPem::NoCertificate => f.write_str("there is no certificate in PEM in the file"),
            BadPem::Certificate(at, why) => write!(f, "certificate {at} in the file cannot be read: {why}"),
        }
    }
}

impl Authorities {
    /// The built-in authorities, and those of this PEM text. What else is in it is stepped over.
    ///
    /// # Errors
    /// It has none, or one that cannot be read.
    pub fn with(pem: &[u8]) -> Result<Authorities, BadPem> {
        // A sequence of more than 127 bytes, which every certificate in DER is.
        const DER: [u8; 2] = [0x30, 0x82];
        if pem.trim_ascii().is_empty() {
            return Err(BadPem::Empty);
        }
        if pem.starts_with(&DER) {
            return Err(BadPem::Binary);
        }
        let mut roots = rustls::RootCertStore::empty();
        let mut added = Vec::new();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let at = added.len() + 1;
            let bad = |why: String| BadPem::Certificate(at, quote(&why, MOST_CHARACTERS));
            let certificate = certificate.map_err(|error| bad(fault(&error)))?;
            roots.add(certificate.clone()).map_err(|error| bad(error.to_string()))?;
            added.push(certificate);
        }
        match added.is_empty() {
            true => Err(BadPem::NoCertificate),
            false => Ok(Authorities { added: added.into(), tls: Arc::default() }),
        }
    }

    /// How many there are beside the built-in ones.
    pub fn added(&self) -> usize {
        self.added.len()
    }

    pub(super) fn tls(&self) -> Result<rustls::ClientConfig, HttpError> {
        let make = || {
            let mut roots = rustls::RootCertStore::empty();
            roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
            for certificate in self.added.iter().cloned() {
                roots.add(certificate).map_err(|error| HttpError::Setup(error.to_string()))?;
            }
            trusting(roots)
        };
        self.tls.get_or_init(make).clone()
    }
}

/// The library's words name Rust types.
fn fault(error: &pem::Error) -> String {
    match error {
        pem::Error::MissingSectionEnd { .. } => "its last line is missing".to_owned(),
        pem::Error::IllegalSectionStart { .. } => "its first line is not whole".to_owned(),
        pem::Error::Base64Decode(_) => "there are characters in it that are no base64".to_owned(),
        other => other.to_string(),
    }
}

pub(super) fn trusting(roots: rustls::RootCertStore) -> Result<rustls::ClientConfig, HttpError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| HttpError::Setup(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    tls.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(tls)
}
