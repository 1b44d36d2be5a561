//! What can be asked for an address, and how each is called in messages.
//!
//! Deliberately unknown: how it is asked.

use std::net::IpAddr;
use std::path::PathBuf;

use crate::engine::names::Family;
use crate::http;

/// A source of addresses of one family.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A URL that answers with one address, or with a Cloudflare trace.
    Url {
        /// `cloudflare`, `ipify`, `amazon`, or the URL's host and path.
        label: Box<str>,
        /// Who runs it: a built-in's operator, or the URL's host.
        operator: Box<str>,
        /// https, or http on a loopback host.
        url: Box<str>,
    },
    /// An address that is simply said.
    Static(IpAddr),
    /// A file with one address.
    File(PathBuf),
    /// A program that prints one address, run without a shell.
    Command {
        /// Names the program alone: its arguments may be secret.
        label: Box<str>,
        /// The program and its arguments. Never empty.
        words: Vec<Box<str>>,
    },
}

/// The word in a configuration for a source that the program knows by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BuiltIn {
    /// Cloudflare's trace.
    Cloudflare,
    /// ipify.
    Ipify,
    /// checkip.amazonaws.com, IPv4 only.
    Amazon,
}

impl BuiltIn {
    /// Whether one of them is at this host.
    pub(super) fn is_at(host: &str) -> bool {
        let all = [BuiltIn::Cloudflare, BuiltIn::Ipify, BuiltIn::Amazon].into_iter();
        let mut all = all.flat_map(|which| Family::ALL.map(|family| Source::built_in(which, family)));
        all.any(
            |source| matches!(source, Some(Source::Url { url, .. }) if url.split('/').nth(2) == Some(host)),
        )
    }
}

impl Source {
    /// The built-in source for this family; `None` where it has none.
    pub fn built_in(which: BuiltIn, family: Family) -> Option<Source> {
        let (name, url) = match (which, family) {
            (BuiltIn::Cloudflare, _) => ("cloudflare", "https://api.cloudflare.com/cdn-cgi/trace"),
            (BuiltIn::Ipify, Family::V4) => ("ipify", "https://api4.ipify.org"),
            (BuiltIn::Ipify, Family::V6) => ("ipify", "https://api6.ipify.org"),
            (BuiltIn::Amazon, Family::V4) => ("amazon", "https://checkip.amazonaws.com"),
            (BuiltIn::Amazon, Family::V6) => return None,
        };
        Some(Source::Url { label: name.into(), operator: name.into(), url: url.into() })
    }

    /// A program that prints an address.
    pub fn command(words: Vec<Box<str>>) -> Source {
        let program = words.first().map_or("", |program| program);
        Source::Command { label: format!("command {program}").into(), words }
    }

    /// How the source is called in messages and in the state: without what may be secret.
    pub fn label(&self) -> Box<str> {
        match self {
            Source::Url { label, .. } | Source::Command { label, .. } => label.clone(),
            Source::Static(address) => format!("static {address}").into(),
            Source::File(path) => format!("file {}", path.display()).into(),
        }
    }

    /// Whether it is a Cloudflare trace, by its path.
    pub fn is_trace(&self) -> bool {
        let Source::Url { url, .. } = self else { return false };
        let path = url.split(['?', '#']).next().unwrap_or_default();
        path.ends_with("/cdn-cgi/trace")
    }

    /// The source, with a number in its label if one of the others has the same.
    pub fn told_apart_from(mut self, others: &[Source]) -> Source {
        let first = self.label();
        for number in 2..others.len() + 2 {
            if !others.iter().any(|other| other.label() == self.label()) {
                break;
            }
            if let Source::Url { label, .. } | Source::Command { label, .. } = &mut self {
                *label = format!("{first} ({number})").into();
            }
        }
        self
    }

    /// Whether it is asked without leaving this host, so that no route is needed.
    pub fn is_on_this_host(&self) -> bool {
        let Source::Url { url, .. } = self else { return true };
        let url = reqwest::Url::parse(url).ok();
        let host = url.as_ref().and_then(reqwest::Url::host_str).unwrap_or_default();
        http::is_loopback(host)
    }

    /// Who runs it. What is said on this host stands for itself.
    pub fn operator(&self) -> Box<str> {
        match self {
            Source::Url { operator, .. } => operator.clone(),
            Source::Static(_) | Source::File(_) | Source::Command { .. } => self.label(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn a_built_in_asks_by_name_over_https_and_belongs_to_one_operator() {
        let mut seen = 0;
        for which in [BuiltIn::Cloudflare, BuiltIn::Ipify, BuiltIn::Amazon] {
            for family in Family::ALL {
                let Some(source) = Source::built_in(which, family) else {
                    assert_eq!((which, family), (BuiltIn::Amazon, Family::V6));
                    continue;
                };
                assert_eq!(source.label(), source.operator());
                let Source::Url { url, .. } = source else { panic!("a built-in that is no URL") };
                let url = reqwest::Url::parse(&url).unwrap();
                assert_eq!(url.scheme(), "https");
                assert!(url.host_str().unwrap().parse::<IpAddr>().is_err(), "{url}");
                seen += 1;
            }
        }
        assert_eq!(seen, 5);
    }

    #[test]
    fn sources_on_this_host_are_told_apart_by_their_labels() {
        let words = |words: &[&str]| Source::command(words.iter().map(|&word| word.into()).collect());
        let mut all: Vec<Source> = Vec::new();
        for source in [
            words(&["ssh", "router", "wan"]),
            words(&["ssh", "other", "wan"]),
            Source::File("/run/wan".into()),
            Source::File("/run/wan6".into()),
            Source::Static(Ipv4Addr::new(9, 9, 9, 9).into()),
            words(&["ssh", "third", "wan"]),
        ] {
            all.push(source.told_apart_from(&all));
        }
        let labels: Vec<_> = all.iter().map(Source::label).collect();
        let expected = [
            "command ssh",
            "command ssh (2)",
            "file /run/wan",
            "file /run/wan6",
            "static 9.9.9.9",
            "command ssh (3)",
        ];
        assert_eq!(labels.iter().map(|label| &**label).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn what_is_asked_on_this_host_needs_no_route() {
        let url = |url: &str| Source::Url { label: url.into(), operator: url.into(), url: url.into() };
        let here = [url("http://127.0.0.1:8080/"), url("http://[::1]/"), url("http://localhost/ip")];
        assert!(here.iter().all(Source::is_on_this_host));
        assert!(Source::File("/run/wan".into()).is_on_this_host());
        let away = [url("https://192.168.1.1/ip"), url("https://[2001:db8::1]/"), url("https://ip.example/")];
        assert!(!away.iter().any(Source::is_on_this_host));
    }

    #[test]
    fn a_trace_is_known_by_its_path() {
        let url = |url: &str| Source::Url { label: url.into(), operator: url.into(), url: url.into() };
        assert!(Source::built_in(BuiltIn::Cloudflare, Family::V6).unwrap().is_trace());
        assert!(url("https://www.cloudflare.com/cdn-cgi/trace?x").is_trace());
        assert!(!url("https://icanhazip.com/").is_trace());
    }
}
