//! What a body says: one address, or a Cloudflare trace with one. Nothing is searched for; a body
//! that is anything else, also in part, says nothing.
//!
//! Pure. Deliberately unknown: sockets, and which addresses are public.

use std::net::IpAddr;

use crate::engine::names::Family;
use crate::engine::watch::LookError;
use crate::secret::redact::quote;

/// The longest answer that is read, in bytes. A trace has about 300.
pub(super) const LONGEST_ANSWER: usize = 4096;
/// So much of a foreign text is shown in a message, in characters.
const EXCERPT: usize = 80;
/// What some editors put before a text in UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The address in the body of an answer of `host`, be it a trace (it has an `ip=` line) or a bare
/// address.
///
/// # Errors
/// As [`parse_trace`] and [`parse_address`].
pub fn parse(body: &[u8], host: &str, family: Family) -> Result<IpAddr, LookError> {
    let text = body.strip_prefix(BYTE_ORDER_MARK).unwrap_or(body);
    if text.split(|&b| b == b'\n').any(|line| line.starts_with(b"ip=")) {
        parse_trace(text, host, family)
    } else {
        parse_address(body, family)
    }
}

/// The address that is the whole body, but for ASCII white space around it and a byte-order mark.
///
/// # Errors
/// [`LookError::NotAnAddress`] with an excerpt; [`LookError::WrongFamily`], also for an IPv4 address
/// written as IPv6 (`::ffff:…`), whatever was asked.
pub fn parse_address(body: &[u8], family: Family) -> Result<IpAddr, LookError> {
    let text = body.strip_prefix(BYTE_ORDER_MARK).unwrap_or(body);
    let address = std::str::from_utf8(text.trim_ascii())
        .ok()
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| not_an_address(body))?;
    of_family(address, family)
}

/// The address of a trace: lines of `key=value`, among them exactly one `ip=`. Unknown keys are
/// fine, and empty lines.
///
/// # Errors
/// [`LookError::NotAnAddress`] if it is anything else; [`LookError::WrongHost`] if an `h=` is not
/// `host` (with any port or none); [`LookError::Warp`] if `warp=` or `gateway=` is not `off`;
/// [`LookError::WrongFamily`].
pub fn parse_trace(body: &[u8], host: &str, family: Family) -> Result<IpAddr, LookError> {
    let text = std::str::from_utf8(body).map_err(|_| not_an_address(body))?;
    let mut pairs = Vec::new();
    for line in text.split('\n') {
        let line = line.strip_suffix('\r').unwrap_or(line);
        if !line.is_empty() {
            pairs.push(pair(line).ok_or_else(|| not_an_address(body))?);
        }
    }
    let values = |key| pairs.iter().filter(move |pair| pair.0 == key).map(|pair| pair.1);

    if let Some(other) = values("h").find(|h| !without_port(h).eq_ignore_ascii_case(host)) {
        return Err(LookError::WrongHost(quote(other, EXCERPT)));
    }
    let mut addresses = values("ip");
    let address = match (addresses.next().map(str::parse), addresses.next()) {
        (Some(Ok(address)), None) => of_family(address, family)?,
        _ => return Err(not_an_address(body)),
    };
    // Besides "on" there is "plus", and who knows what comes next.
    if values("warp").chain(values("gateway")).any(|value| value != "off") {
        return Err(LookError::Warp(address));
    }
    Ok(address)
}

/// The address, if it is of the family that was asked for.
pub(super) fn of_family(address: IpAddr, family: Family) -> Result<IpAddr, LookError> {
    let disguised = match address {
        IpAddr::V4(_) => false,
        IpAddr::V6(address) => address.to_ipv4_mapped().is_some(),
    };
    if Family::of(address) == family && !disguised {
        Ok(address)
    } else {
        Err(LookError::WrongFamily(address))
    }
}

fn pair(line: &str) -> Option<(&str, &str)> {
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    line.split_once('=').filter(|(key, _)| !key.is_empty() && key.bytes().all(word))
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port))
            if !port.is_empty()
                && port.bytes().all(|b| b.is_ascii_digit())
                && (name.ends_with(']') || !name.contains(':')) =>
        {
            name
        }
        _ => host,
    }
}

fn not_an_address(body: &[u8]) -> LookError {
    let excerpt = quote(body, EXCERPT);
    LookError::NotAnAddress(if excerpt.is_empty() {
        "(nothing that can be shown)".to_owned()
    } else {
        excerpt
    })
}

/// The failure of a source on this host.
pub(super) fn local(what: &str, why: &dyn std::fmt::Display) -> LookError {
    let why = quote(why.to_string(), 200);
    LookError::Local(format!("{what}: {why}"))
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use proptest::prelude::*;

    use super::*;

    const HOST: &str = "api.cloudflare.com";
    const TRACE: &str = "fl=123f45\nh=api.cloudflare.com\nip=91.7.1.2\nts=1767225600.123\n\
        visit_scheme=https\nuag=stayput/0.1.0\ncolo=FRA\nsliver=none\nhttp=http/1.1\nloc=DE\n\
        tls=TLSv1.3\nsni=plaintext\nwarp=off\ngateway=off\nrbi=off\nkex=X25519\n";

    fn v4(text: &str) -> Result<IpAddr, LookError> {
        parse(text.as_bytes(), HOST, Family::V4)
    }

    fn is_no_address(answer: &Result<IpAddr, LookError>) -> bool {
        matches!(answer, Err(LookError::NotAnAddress(_)))
    }

    #[test]
    fn a_bare_address_is_heard_with_or_without_white_space_around_it() {
        let address = Ok("91.7.1.2".parse().unwrap());
        for body in ["91.7.1.2", "91.7.1.2\n", " \t\r\n91.7.1.2\r\n\r\n", "\u{feff}91.7.1.2\r\n"] {
            assert_eq!(v4(body), address);
        }
        let body = b"2A02:8070::0001\n";
        assert_eq!(parse(body, HOST, Family::V6), Ok("2a02:8070::1".parse().unwrap()));
    }

    #[test]
    fn a_body_that_is_only_nearly_an_address_says_nothing() {
        for body in [
            "",
            "\n",
            "91.7.1",
            "91.7.1.2.3",
            "091.7.1.2",
            "91.7.1.256",
            "91.7.1.2/32",
            "91.7.1.2:80",
            "\"91.7.1.2\"",
            "91.7.1.2,91.7.1.3",
            "91.7.1.2\n91.7.1.3",
            "91.7.1.2\n91.7.1.2",
            "ip: 91.7.1.2",
            "{\"ip\":\"91.7.1.2\"}",
            "<html>91.7.1.2</html>",
            "0x5b.7.1.2",
            "1527185666",
            "fe80::1%eth0",
            "[2a02:8070::1]",
            "91.7.1.2\0",
            " \u{feff}91.7.1.2",
            "\u{feff}\u{feff}91.7.1.2",
            "91.7.1.2\u{feff}",
            "91.7.1.2\u{a0}",
            "error code: 1020",
            "٩١.7.1.2",
            "91.7.1.2 # home",
        ] {
            assert!(is_no_address(&v4(body)), "{body:?}");
        }
    }

    #[test]
    fn an_address_of_the_other_family_is_refused_also_in_disguise() {
        let other = |text: &str| Err(LookError::WrongFamily(text.parse().unwrap()));
        assert_eq!(v4("2a02:8070::1"), other("2a02:8070::1"));
        assert_eq!(v4("::ffff:91.7.1.2"), other("::ffff:91.7.1.2"));
        let v6 = |text: &str| parse(text.as_bytes(), HOST, Family::V6);
        assert_eq!(v6("91.7.1.2"), other("91.7.1.2"));
        assert_eq!(v6("::ffff:91.7.1.2"), other("::ffff:91.7.1.2"));
        assert_eq!(v6("ip=91.7.1.2"), other("91.7.1.2"));
    }

    #[test]
    fn a_trace_is_heard_for_its_ip_line_alone() {
        let address = Ok("91.7.1.2".parse().unwrap());
        assert_eq!(v4(TRACE), address);
        assert_eq!(v4(&TRACE.replace('\n', "\r\n")), address);
        assert_eq!(v4(&format!("{TRACE}brand-new_key=1.0.1.1\nuag=a=b; c\n\n")), address);
        assert_eq!(v4("ip=91.7.1.2"), address);
        assert_eq!(v4("\u{feff}ip=91.7.1.2\n"), address);
        assert_eq!(v4(&TRACE.replace("h=api.", "h=API.")), address);
        assert_eq!(v4(&TRACE.replace(".com\n", ".com:8443\n")), address);
    }

    #[test]
    fn a_trace_for_another_host_was_answered_by_somebody_in_between() {
        for other in ["h=1.1.1.1", "h=api.cloudflare.com.evil.example", "h=", "h=api.cloudflare.com:"] {
            let answer = v4(&TRACE.replace("h=api.cloudflare.com", other));
            assert!(matches!(answer, Err(LookError::WrongHost(_))), "{other}: {answer:?}");
        }
        let twice = format!("{TRACE}h=other.example\n");
        assert_eq!(v4(&twice), Err(LookError::WrongHost("other.example".to_owned())));
    }

    #[test]
    fn a_trace_through_warp_or_gateway_is_of_cloudflares_exit() {
        for (off, on) in [("warp=off", "warp=on"), ("warp=off", "warp=plus"), ("gateway=off", "gateway=on")] {
            assert_eq!(v4(&TRACE.replace(off, on)), Err(LookError::Warp("91.7.1.2".parse().unwrap())));
        }
    }

    #[test]
    fn a_trace_with_no_two_or_broken_addresses_says_nothing() {
        for body in [
            TRACE.replace("ip=91.7.1.2", "ip="),
            TRACE.replace("ip=91.7.1.2", "ip=91.7.1.2 "),
            TRACE.replace("ip=91.7.1.2", "ip=91.7.1"),
            TRACE.replace("ip=91.7.1.2", "ip=91.7.1.2\nip=91.7.1.2"),
            TRACE.replace("ip=91.7.1.2", "ip=91.7.1.2\nip=91.7.1.3"),
            TRACE.replace("ip=91.7.1.2\n", ""),
            format!("{TRACE}<html>"),
            format!("{TRACE}=empty key"),
            TRACE[..TRACE.find("ip=").unwrap() + 6].to_owned(),
        ] {
            assert!(is_no_address(&v4(&body)), "{body:?}");
        }
        let latin = [TRACE.as_bytes(), b"loc=\xe4\n"].concat();
        assert!(is_no_address(&parse(&latin, HOST, Family::V4)));
    }

    #[test]
    fn a_message_shows_the_beginning_of_a_foreign_body_on_one_harmless_line() {
        let shown = |body: &[u8]| match parse(body, HOST, Family::V4) {
            Err(LookError::NotAnAddress(excerpt)) => excerpt,
            other => panic!("{other:?}"),
        };
        assert_eq!(shown(b"<html>\r\n\t<b>Log\x1b[31m in</b>"), "<html> <b>Log [31m in</b>");
        assert_eq!(shown("Grüße \u{202e}verkehrt".as_bytes()), "Grüße verkehrt");
        assert_eq!(shown(&b"x".repeat(4000)), "x".repeat(80));
        assert_eq!(shown(b""), "(nothing that can be shown)");
    }

    fn any_address() -> impl Strategy<Value = IpAddr> {
        prop_oneof![
            any::<u32>().prop_map(|bits| Ipv4Addr::from_bits(bits).into()),
            any::<u128>().prop_map(|bits| Ipv6Addr::from_bits(bits).into()),
            any::<u32>().prop_map(|bits| Ipv4Addr::from_bits(bits).to_ipv6_mapped().into()),
        ]
    }

    /// Any bytes, and a trace with a few bytes changed.
    fn any_body() -> impl Strategy<Value = Vec<u8>> {
        let change = (0..TRACE.len(), prop_oneof![any::<u8>(), "[\n=.0-9]".prop_map(|s| s.as_bytes()[0])]);
        let changed = prop::collection::vec(change, 0..4).prop_map(|changes| {
            let mut body = TRACE.as_bytes().to_vec();
            for (at, byte) in changes {
                body[at] = byte;
            }
            body
        });
        prop_oneof![prop::collection::vec(any::<u8>(), 0..200), changed]
    }

    proptest! {
        #[test]
        fn no_body_makes_the_parsers_panic_and_what_they_accept_is_written_in_it(body in any_body()) {
            for family in Family::ALL {
                for answer in [parse(&body, HOST, family), parse_trace(&body, HOST, family)] {
                    let Ok(address) = answer else { continue };
                    let text = String::from_utf8(body.clone()).unwrap();
                    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
                    let written = |text: &str| text.parse() == Ok(address);
                    let lines = text.lines().filter_map(|line| line.strip_prefix("ip="));
                    prop_assert!(written(text.trim()) || lines.map(written).eq([true]), "{}", text);
                }
            }
        }

        #[test]
        fn each_address_is_heard_for_its_family_and_for_no_other(
            address in any_address(), around in "[ \t\r\n]{0,5}"
        ) {
            let body = format!("{around}{address}{around}");
            let mapped = matches!(address, IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some());
            for family in Family::ALL {
                let expected = if Family::of(address) == family && !mapped {
                    Ok(address)
                } else {
                    Err(LookError::WrongFamily(address))
                };
                prop_assert_eq!(parse_address(body.as_bytes(), family), expected.clone());
                let trace = TRACE.replace("91.7.1.2", &address.to_string());
                prop_assert_eq!(parse(trace.as_bytes(), HOST, family), expected);
            }
        }

        #[test]
        fn one_more_printable_character_beside_an_address_is_never_ignored(
            address in any_address(), extra in "[!-~]", front in any::<bool>()
        ) {
            let body = if front { format!("{extra}{address}") } else { format!("{address}{extra}") };
            match parse(body.as_bytes(), HOST, Family::of(address)) {
                // The character made another address of it, such as 11.2.3.4 of 1.2.3.4.
                Ok(heard) => prop_assert_eq!(Ok(heard), body.parse()),
                Err(LookError::WrongFamily(heard)) => prop_assert_eq!(Ok(heard), body.parse()),
                Err(why) => prop_assert!(matches!(why, LookError::NotAnAddress(_)), "{:?}", why),
            }
        }

        #[test]
        fn the_order_of_a_traces_lines_does_not_matter(
            lines in Just(TRACE.lines().collect::<Vec<_>>()).prop_shuffle()
        ) {
            prop_assert_eq!(v4(&lines.join("\n")), Ok("91.7.1.2".parse().unwrap()));
        }
    }
}
