//! Who runs what a URL asks: sources of one operator are one voice, however many URLs it has.
//!
//! Deliberately unknown: how a source is asked, and how many must say the same.

use std::net::IpAddr;

use reqwest::Url;

use crate::engine::ranges::{NotPublic, publishable};

/// Domains of the operators of built-in sources, whose own names are shorter.
const BUILT_IN: [(&str, &str); 7] = [
    ("cloudflare.com", CLOUDFLARE),
    ("cloudflare-dns.com", CLOUDFLARE),
    ("icanhazip.com", CLOUDFLARE),
    ("one.one.one.one", CLOUDFLARE),
    ("ipify.org", "ipify"),
    ("checkip.amazonaws.com", "amazon"),
    ("checkip.global.api.aws", "amazon"),
];
const CLOUDFLARE: &str = "cloudflare";

/// What Cloudflare itself answers on every host that it stands before.
const TRACE: &str = "/cdn-cgi/trace";

/// Second levels of two-letter top levels below which names are sold, such as `co.uk`.
const SHARED: [&str; 7] = ["co", "com", "net", "org", "gov", "edu", "ac"];

/// The operator of a URL: that of the built-in source to which it belongs, else its domain, else its address.
pub(super) fn of(url: &Url) -> Box<str> {
    let host = url.host_str().unwrap_or_default().trim_end_matches('.');
    if let Some(address) = address(url) {
        let of_cloudflare = matches!(publishable(address, &[]), Err(NotPublic::Cloudflare(_)));
        return if of_cloudflare { CLOUDFLARE.into() } else { address.to_string().into() };
    }
    let is_below = |domain: &str| {
        host.strip_suffix(domain).is_some_and(|before| before.is_empty() || before.ends_with('.'))
    };
    match BUILT_IN.iter().find(|(domain, _)| is_below(domain)) {
        Some((_, operator)) => (*operator).into(),
        None if url.path() == TRACE && host != "localhost" => CLOUDFLARE.into(),
        None => domain(host).into(),
    }
}

/// The host, if it is written as an address.
pub(super) fn address(url: &Url) -> Option<IpAddr> {
    let host = url.host_str()?;
    host.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

/// The part of a host's name that somebody owns.
fn domain(host: &str) -> &str {
    let mut ends = host.rmatch_indices('.').map(|(at, _)| at + 1);
    let (top, second) = (ends.next(), ends.next());
    let Some((top, second)) = top.zip(second) else {
        return host;
    };
    let is_shared = host.len() - top == 2 && SHARED.contains(&&host[second..top - 1]);
    let start = if is_shared { ends.next().unwrap_or(0) } else { second };
    &host[start..]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::{BuiltIn, Source};
    use crate::engine::names::Family;

    fn operator(url: &str) -> Box<str> {
        of(&Url::parse(url).unwrap())
    }

    #[test]
    fn every_built_in_is_run_by_the_operator_of_its_url() {
        let mut seen = 0;
        for which in [BuiltIn::Cloudflare, BuiltIn::Ipify, BuiltIn::Amazon] {
            for family in Family::ALL {
                if let Some(Source::Url { url, operator: own, .. }) = Source::built_in(which, family) {
                    assert_eq!(operator(&url), own);
                    seen += 1;
                }
            }
        }
        assert_eq!(seen, 5);
    }

    #[test]
    fn a_url_belongs_to_the_built_in_that_it_is_another_name_of() {
        for url in [
            "https://www.cloudflare.com/cdn-cgi/trace",
            "https://cloudflare.com/x",
            "https://CloudFlare.com./x",
            "https://speed.cloudflare.com/meta",
            "https://one.one.one.one/cdn-cgi/trace",
            "https://icanhazip.com/",
            "https://ipv4.icanhazip.com/",
            "https://1.1.1.1/cdn-cgi/trace",
            "https://1.0.0.1/cdn-cgi/trace",
            "https://[2606:4700:4700::1111]/cdn-cgi/trace",
            "https://[2606:4700:4700::1001]/cdn-cgi/trace",
            "https://104.16.132.229/cdn-cgi/trace",
            "https://shop.example.org/cdn-cgi/trace",
        ] {
            assert_eq!(&*operator(url), "cloudflare", "{url}");
        }
        for url in ["https://api.ipify.org/", "https://api64.ipify.org?format=text", "https://api6.ipify.org"]
        {
            assert_eq!(&*operator(url), "ipify", "{url}");
        }
        assert_eq!(&*operator("https://checkip.amazonaws.com/"), "amazon");
        assert_eq!(&*operator("https://checkip.global.api.aws/"), "amazon");
    }

    #[test]
    fn elsewhere_the_domain_is_the_operator_and_without_a_name_the_address() {
        for (url, expected) in [
            ("https://ipv4.ip.example.net/", "example.net"),
            ("https://www.example.net./", "example.net"),
            ("https://example.net/", "example.net"),
            ("https://a.b.example.co.uk/", "example.co.uk"),
            ("https://example.co.uk/", "example.co.uk"),
            ("https://co.uk/", "co.uk"),
            ("https://a.example.de/", "example.de"),
            ("https://a.b.nic.in/", "nic.in"),
            ("https://a.example.com.au/", "example.com.au"),
            ("https://a.com.example/", "com.example"),
            ("https://router/", "router"),
            ("https://nocloudflare.com/", "nocloudflare.com"),
            ("https://a.amazonaws.com/", "amazonaws.com"),
            ("https://9.9.9.9/", "9.9.9.9"),
            ("https://[2620:fe::fe]/", "2620:fe::fe"),
            ("http://127.0.0.1:8080/cdn-cgi/trace", "127.0.0.1"),
            ("http://[::1]:9/ip", "::1"),
            ("http://localhost/cdn-cgi/trace", "localhost"),
        ] {
            assert_eq!(&*operator(url), expected, "{url}");
        }
    }
}
