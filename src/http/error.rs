//! What goes wrong on the way to an answer, told from the errors of the HTTP and TLS libraries.
//!
//! Says nothing of a URL, a header or a body. Deliberately unknown: who was asked.

use std::error::Error as _;
use std::fmt;
use std::io;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::io::Errno;
use rustls::CertificateError;

use crate::secret::redact::quote;

/// Characters of a reason that are shown.
pub(super) const CAUSE_CHARACTERS: usize = 200;

/// What went wrong on the way to an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HttpError {
    /// This host has no route for the family, or the other side has no address of it.
    NoRoute,
    /// The name could not be looked up.
    Dns(String),
    /// The name was looked up, and what came leads to nobody.
    Misled(String),
    /// No connection came about.
    Connect(String),
    /// A limit of the `ClientOptions` has passed.
    TimedOut,
    /// The server's certificate was not accepted.
    Certificate(String),
    /// The server's certificate is not valid at this host's time, and the time looks wrong.
    Clock(String),
    /// TLS failed for another reason than the certificate.
    Tls(String),
    /// The connection broke, or what came is not HTTP.
    Transfer(String),
    /// The client could not be made, or the URL cannot be asked. Not the network's fault.
    Setup(String),
}

impl fmt::Display for HttpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HttpError::NoRoute => f.write_str("no route to the internet"),
            HttpError::Dns(why) => write!(f, "the name could not be looked up: {why}"),
            HttpError::Misled(why) => f.write_str(why),
            HttpError::Connect(why) => write!(f, "could not connect: {why}"),
            HttpError::TimedOut => f.write_str("no answer in time"),
            HttpError::Certificate(why) => {
                write!(f, "the server's certificate is not accepted: {why}")
            }
            HttpError::Clock(why) => write!(
                f,
                "the server's certificate is not valid at this host's time; is the clock right? ({why})"
            ),
            HttpError::Tls(why) => write!(f, "no secure connection: {why}"),
            HttpError::Transfer(why) => write!(f, "the connection broke: {why}"),
            HttpError::Setup(why) => write!(f, "the request could not be made: {why}"),
        }
    }
}

impl std::error::Error for HttpError {}

/// Whether the other side may have seen the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// It left no trace: no connection came about.
    Never,
    /// It may have been carried out.
    Maybe,
}

/// What an error of a client means.
pub(super) fn of(error: &reqwest::Error) -> (HttpError, Sent) {
    if error.is_builder() {
        return (HttpError::Setup(root_cause(error)), Sent::Never);
    }
    let sent = if error.is_connect() { Sent::Never } else { Sent::Maybe };
    let mut cause = error.source();
    while let Some(this) = cause {
        if let Some(known) = recognise(this, sent) {
            return (known, sent);
        }
        cause = this.source();
    }
    let error = match sent {
        _ if error.is_timeout() => HttpError::TimedOut,
        Sent::Never => HttpError::Connect(root_cause(error)),
        Sent::Maybe => HttpError::Transfer(root_cause(error)),
    };
    (error, sent)
}

/// One link of an error's chain, if it alone says what happened.
fn recognise(cause: &(dyn std::error::Error + 'static), sent: Sent) -> Option<HttpError> {
    if let Some(error) = cause.downcast_ref::<rustls::Error>() {
        return Some(of_tls(error));
    }
    let error = cause.downcast_ref::<io::Error>()?;
    // The source of an io::Error that wraps another error skips that one.
    let inner = error.get_ref().and_then(|inner| recognise(inner, sent));
    if inner.is_some() || sent == Sent::Maybe {
        return inner;
    }
    let no_route = matches!(
        error.raw_os_error().map(Errno::from_raw_os_error),
        Some(Errno::NETUNREACH | Errno::ADDRNOTAVAIL | Errno::AFNOSUPPORT)
    );
    // The connector's word for "none of the addresses is of the pinned family".
    (no_route || error.kind() == io::ErrorKind::NotConnected).then_some(HttpError::NoRoute)
}

#[expect(clippy::disallowed_methods, reason = "certificates are dated by the wall clock")]
fn of_tls(error: &rustls::Error) -> HttpError {
    match error {
        rustls::Error::InvalidCertificate(why) => of_certificate(why, SystemTime::now()),
        rustls::Error::NoCertificatesPresented => {
            HttpError::Certificate("the server presents none".to_owned())
        }
        other => HttpError::Tls(quote(other.to_string(), CAUSE_CHARACTERS)),
    }
}

/// The first of the month in which this version was made. A host's clock that is before it, or
/// decades after it, is wrong. Seconds since 1970.
pub const BUILT_AT: u64 = 1_793_491_200;
const TWENTY_YEARS: u64 = 20 * 365 * 86_400;
/// A server that shows a certificate which expired longer ago is rarer than a clock that is ahead. Seconds.
const HALF_A_YEAR: u64 = 180 * 86_400;

fn of_certificate(error: &CertificateError, now: SystemTime) -> HttpError {
    let now = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let (early, now, limit) = match error {
        CertificateError::NotValidYet => (true, now, None),
        CertificateError::NotValidYetContext { time, not_before } => {
            (true, time.as_secs(), Some(not_before.as_secs()))
        }
        CertificateError::Expired => (false, now, None),
        CertificateError::ExpiredContext { time, not_after } => {
            (false, time.as_secs(), Some(not_after.as_secs()))
        }
        other => return HttpError::Certificate(fault_of_certificate(other)),
    };
    let words = if early { "it is not valid before" } else { "it expired on" };
    let long_ago = limit.is_some_and(|limit| now.saturating_sub(limit) > HALF_A_YEAR);
    let limit = limit.map_or_else(|| "another date".to_owned(), date);
    let why = format!("{words} {limit}, and here it is {}", date(now));
    if early || long_ago || !(BUILT_AT..BUILT_AT + TWENTY_YEARS).contains(&now) {
        HttpError::Clock(why)
    } else {
        HttpError::Certificate(format!("{why}; is the clock right?"))
    }
}

fn fault_of_certificate(error: &CertificateError) -> String {
    match error {
        CertificateError::UnknownIssuer => {
            "it is signed by nobody that is known here (something between this host and the server may be answering in its place)".to_owned()
        }
        CertificateError::NotValidForName => "it is for another name".to_owned(),
        CertificateError::NotValidForNameContext { expected, presented } => {
            let presented = quote(presented.join(", "), CAUSE_CHARACTERS);
            format!("it is not for {} but for {presented}", expected.to_str())
        }
        CertificateError::BadSignature => {
            "the authority that it names did not sign it (there may be two of that name)".to_owned()
        }
        CertificateError::Revoked => "it has been revoked".to_owned(),
        // What a certificate is refused for that signed itself, as `openssl req -x509` makes them.
        other if other.to_string().contains("CaUsedAsEndEntity") => {
            "it is an authority's own and not a server's (it may have signed itself)".to_owned()
        }
        other => quote(other.to_string(), CAUSE_CHARACTERS),
    }
}

fn date(seconds: u64) -> String {
    const YEAR_10000: u64 = 253_402_300_800;
    if seconds >= YEAR_10000 {
        return "a date after the year 9999".to_owned();
    }
    humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_secs(seconds)).to_string()
}

/// The words of the last link of an error's chain. The first one would print the URL.
pub(super) fn root_cause(error: &reqwest::Error) -> String {
    let mut last = None;
    let mut cause = error.source();
    while let Some(this) = cause {
        last = Some(this);
        cause = this.source();
    }
    last.map_or_else(|| "no reason was given".to_owned(), |cause| quote(cause.to_string(), CAUSE_CHARACTERS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_beyond_the_calendar_are_words() {
        assert_eq!(date(0), "1970-01-01T00:00:00Z");
        assert_eq!(date(u64::MAX), "a date after the year 9999");
    }
}
