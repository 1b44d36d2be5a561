//! Which addresses may be published: those that the whole internet can reach and that can be
//! somebody's own.
//!
//! Two tables decide: the ranges that are nobody's home (IANA's registries of special-purpose
//! addresses, of the address space as a whole, and of IPv6 unicast assignments), and Cloudflare's own
//! (<https://www.cloudflare.com/ips/>). Each row has the month of its entry in the registry. The
//! standard library's test is unstable and lets multicast and other unpublishable ranges through.
//! Deliberately unknown: where an address came from.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

/// Why an address must not be published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotPublic {
    /// In a range that is not routed on the internet; the range and what it is for.
    Range(&'static str, &'static str),
    /// In one of Cloudflare's own ranges: an edge, never a home connection.
    Cloudflare(&'static str),
}

impl fmt::Display for NotPublic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NotPublic::Range(range, what) => write!(f, "{range} is {what}"),
            NotPublic::Cloudflare(range) => write!(
                f,
                "{range} is Cloudflare's own, so it is a proxy's or a VPN's address, not this host's"
            ),
        }
    }
}

/// Whether `address` may be published: it is public, or in one of the `allow` ranges.
///
/// # Errors
/// [`NotPublic`] says why it may not.
pub fn publishable(address: IpAddr, allow: &[IpNet]) -> Result<(), NotPublic> {
    if allow.iter().any(|range| range.contains(&address)) {
        return Ok(());
    }
    let why = match address {
        IpAddr::V4(address) => not_public_v4(address),
        IpAddr::V6(address) => not_public_v6(address),
    };
    why.map_or(Ok(()), Err)
}

fn not_public_v4(address: Ipv4Addr) -> Option<NotPublic> {
    let within = |range: &V4| {
        let beyond = u32::MAX.checked_shr(range.length).unwrap_or(0);
        address.to_bits() ^ range.first.to_bits() <= beyond
    };
    if let Some(range) = SPECIAL_V4.iter().find(|(range, _)| within(range)) {
        return Some(NotPublic::Range(range.0.text, range.1));
    }
    let range = CLOUDFLARE_V4.iter().chain(&RESOLVERS_V4).find(|range| within(range))?;
    Some(NotPublic::Cloudflare(range.text))
}

fn not_public_v6(address: Ipv6Addr) -> Option<NotPublic> {
    let within = |range: &V6| {
        let beyond = u128::MAX.checked_shr(range.length).unwrap_or(0);
        address.to_bits() ^ range.first.to_bits() <= beyond
    };
    if let Some(range) = SPECIAL_V6.iter().find(|(range, _)| within(range)) {
        return Some(NotPublic::Range(range.0.text, range.1));
    }
    if !within(&GLOBAL_V6) {
        return Some(NotPublic::Range(
            "everything outside 2000::/3",
            "not routed on the internet (RFC 4291)",
        ));
    }
    let range = CLOUDFLARE_V6.iter().find(|range| within(range))?;
    Some(NotPublic::Cloudflare(range.text))
}

struct V4 {
    text: &'static str,
    first: Ipv4Addr,
    /// 0 to 32.
    length: u32,
}

struct V6 {
    text: &'static str,
    first: Ipv6Addr,
    /// 0 to 128.
    length: u32,
}

/// The text is what a person sees; a test holds it to the numbers.
const fn v4(text: &'static str, first: [u8; 4], length: u32) -> V4 {
    let [a, b, c, d] = first;
    V4 { text, first: Ipv4Addr::new(a, b, c, d), length }
}

/// As [`v4`]; `first` has the first four groups, the others are zero.
const fn v6(text: &'static str, first: [u16; 4], length: u32) -> V6 {
    let [a, b, c, d] = first;
    V6 { text, first: Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0), length }
}

/// Rows that name no registry are of <https://www.iana.org/assignments/iana-ipv4-special-registry/> as
/// of October 2025; the date is that of the entry. The first that matches is named, so a range stands
/// before one that contains it.
#[rustfmt::skip]
const SPECIAL_V4: [(V4, &str); 19] = [
    (v4("0.0.0.0/8", [0, 0, 0, 0], 8), "this network itself (RFC 791)"), // 1981-09
    (v4("10.0.0.0/8", [10, 0, 0, 0], 8), "private (RFC 1918)"), // 1996-02
    (v4("100.64.0.0/10", [100, 64, 0, 0], 10), "shared address space of carrier-grade NAT (RFC 6598)"), // 2012-04
    (v4("127.0.0.0/8", [127, 0, 0, 0], 8), "loopback (RFC 1122)"), // 1981-09
    (v4("169.254.0.0/16", [169, 254, 0, 0], 16), "link-local (RFC 3927)"), // 2005-05
    (v4("172.16.0.0/12", [172, 16, 0, 0], 12), "private (RFC 1918)"), // 1996-02
    (v4("192.0.0.0/24", [192, 0, 0, 0], 24), "for protocol assignments (RFC 6890)"), // 2010-01
    (v4("192.0.2.0/24", [192, 0, 2, 0], 24), "for documentation (RFC 5737)"), // 2010-01
    (v4("192.31.196.0/24", [192, 31, 196, 0], 24), "of name servers for private addresses (AS112, RFC 7535)"), // 2014-12
    (v4("192.52.193.0/24", [192, 52, 193, 0], 24), "of multicast tunnels (AMT, RFC 7450)"), // 2014-12
    (v4("192.88.99.0/24", [192, 88, 99, 0], 24), "of the abandoned 6to4 relays (RFC 7526)"), // 2001-06
    (v4("192.168.0.0/16", [192, 168, 0, 0], 16), "private (RFC 1918)"), // 1996-02
    (v4("192.175.48.0/24", [192, 175, 48, 0], 24), "of name servers for private addresses (AS112, RFC 7534)"), // 1996-01
    (v4("198.18.0.0/15", [198, 18, 0, 0], 15), "for benchmarks (RFC 2544)"), // 1999-03
    (v4("198.51.100.0/24", [198, 51, 100, 0], 24), "for documentation (RFC 5737)"), // 2010-01
    (v4("203.0.113.0/24", [203, 0, 113, 0], 24), "for documentation (RFC 5737)"), // 2010-01
    (v4("224.0.0.0/4", [224, 0, 0, 0], 4), "multicast (RFC 5771)"), // IANA's IPv4 address space, 1981-09
    (v4("255.255.255.255/32", [255, 255, 255, 255], 32), "broadcast (RFC 919)"), // 1984-10
    (v4("240.0.0.0/4", [240, 0, 0, 0], 4), "reserved (RFC 1112)"), // 1989-08
];

const GLOBAL_V6: V6 = v6("2000::/3", [0x2000, 0, 0, 0], 3);

/// Rows that name no registry are of <https://www.iana.org/assignments/iana-ipv6-special-registry/> as
/// of October 2025; "unicast" is <https://www.iana.org/assignments/ipv6-unicast-address-assignments/>
/// and "space" is <https://www.iana.org/assignments/ipv6-address-space/>. Those outside 2000::/3 are
/// here for their names alone.
#[rustfmt::skip]
const SPECIAL_V6: [(V6, &str); 22] = [
    (v6("::/128", [0, 0, 0, 0], 128), "no address at all (RFC 4291)"), // 2006-02
    (V6 { text: "::1/128", first: Ipv6Addr::LOCALHOST, length: 128 }, "loopback (RFC 4291)"), // 2006-02
    (V6 { text: "::ffff:0:0/96", first: Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0, 0), length: 96 }, "an IPv4 address written as IPv6 (RFC 4291)"), // 2006-02
    (v6("64:ff9b::/96", [0x64, 0xff9b, 0, 0], 96), "a NAT64 translator's (RFC 6052)"), // 2010-10
    (v6("64:ff9b:1::/48", [0x64, 0xff9b, 1, 0], 48), "a local NAT64 translator's (RFC 8215)"), // 2017-06
    (v6("100::/64", [0x100, 0, 0, 0], 64), "for traffic to be discarded (RFC 6666)"), // 2012-06
    (v6("2001::/32", [0x2001, 0, 0, 0], 32), "Teredo, a tunnel (RFC 4380)"), // 2006-01
    (v6("2001:20::/28", [0x2001, 0x20, 0, 0], 28), "identifiers, not addresses (ORCHIDv2, RFC 7343)"), // 2014-07
    (v6("2001::/23", [0x2001, 0, 0, 0], 23), "for protocol assignments (RFC 2928)"), // 2000-09
    (v6("2001:db8::/32", [0x2001, 0xdb8, 0, 0], 32), "for documentation (RFC 3849)"), // 2004-07
    (v6("2002::/16", [0x2002, 0, 0, 0], 16), "6to4, an abandoned tunnel (RFC 3056)"), // 2001-02
    (v6("2620:4f:8000::/48", [0x2620, 0x4f, 0x8000, 0], 48), "of name servers for private addresses (AS112, RFC 7534)"), // 2011-05
    (v6("2d00::/8", [0x2d00, 0, 0, 0], 8), "not given to anybody yet"), // unicast, 1999-07
    (v6("2e00::/7", [0x2e00, 0, 0, 0], 7), "not given to anybody yet"), // unicast, 1999-07
    (v6("3ffe::/16", [0x3ffe, 0, 0, 0], 16), "of an experiment that is over (6bone, RFC 3701)"), // unicast, 2008-04
    (v6("3fff::/20", [0x3fff, 0, 0, 0], 20), "for documentation (RFC 9637)"), // 2024-07
    (v6("3000::/4", [0x3000, 0, 0, 0], 4), "not given to anybody yet"), // unicast, 1999-07
    (v6("5f00::/16", [0x5f00, 0, 0, 0], 16), "for segment routing (RFC 9602)"), // 2024-04
    (v6("fc00::/7", [0xfc00, 0, 0, 0], 7), "private (unique local, RFC 4193)"), // 2005-10
    (v6("fe80::/10", [0xfe80, 0, 0, 0], 10), "link-local (RFC 4291)"), // 2006-02
    (v6("fec0::/10", [0xfec0, 0, 0, 0], 10), "abandoned (site-local, RFC 3879)"), // space, 2004-09
    (v6("ff00::/8", [0xff00, 0, 0, 0], 8), "multicast (RFC 4291)"), // space, 2006-02
];

/// Cloudflare's own ranges as its `GET /ips` lists them: IPv4, IPv6.
pub fn cloudflare() -> (Vec<&'static str>, Vec<&'static str>) {
    let v4 = CLOUDFLARE_V4.iter().map(|range| range.text).collect();
    (v4, CLOUDFLARE_V6.iter().map(|range| range.text).collect())
}

/// As published by Cloudflare in 2026; they change about once in years. WARP's exits are not among
/// them.
const CLOUDFLARE_V4: [V4; 15] = [
    v4("173.245.48.0/20", [173, 245, 48, 0], 20),
    v4("103.21.244.0/22", [103, 21, 244, 0], 22),
    v4("103.22.200.0/22", [103, 22, 200, 0], 22),
    v4("103.31.4.0/22", [103, 31, 4, 0], 22),
    v4("141.101.64.0/18", [141, 101, 64, 0], 18),
    v4("108.162.192.0/18", [108, 162, 192, 0], 18),
    v4("190.93.240.0/20", [190, 93, 240, 0], 20),
    v4("188.114.96.0/20", [188, 114, 96, 0], 20),
    v4("197.234.240.0/22", [197, 234, 240, 0], 22),
    v4("198.41.128.0/17", [198, 41, 128, 0], 17),
    v4("162.158.0.0/15", [162, 158, 0, 0], 15),
    v4("104.16.0.0/13", [104, 16, 0, 0], 13),
    v4("104.24.0.0/14", [104, 24, 0, 0], 14),
    v4("172.64.0.0/13", [172, 64, 0, 0], 13),
    v4("131.0.72.0/22", [131, 0, 72, 0], 22),
];

/// Of the resolvers 1.1.1.1 and 1.0.0.1, which are not on that list but in APNIC's registry (August
/// 2011); their IPv6 addresses are within the ranges below.
const RESOLVERS_V4: [V4; 2] = [v4("1.0.0.0/24", [1, 0, 0, 0], 24), v4("1.1.1.0/24", [1, 1, 1, 0], 24)];

const CLOUDFLARE_V6: [V6; 7] = [
    v6("2400:cb00::/32", [0x2400, 0xcb00, 0, 0], 32),
    v6("2606:4700::/32", [0x2606, 0x4700, 0, 0], 32),
    v6("2803:f800::/32", [0x2803, 0xf800, 0, 0], 32),
    v6("2405:b500::/32", [0x2405, 0xb500, 0, 0], 32),
    v6("2405:8100::/32", [0x2405, 0x8100, 0, 0], 32),
    v6("2a06:98c0::/29", [0x2a06, 0x98c0, 0, 0], 29),
    v6("2c0f:f248::/32", [0x2c0f, 0xf248, 0, 0], 32),
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn public(text: &str) -> bool {
        publishable(address(text), &[]).is_ok()
    }

    /// What is refused, written down a second time as text, without the names and overlaps.
    const REFUSED: [&str; 51] = [
        "0.0.0.0/8",
        "1.0.0.0/24",
        "1.1.1.0/24",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.31.196.0/24",
        "192.52.193.0/24",
        "192.88.99.0/24",
        "192.175.48.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/3",
        "::/3",
        "2001::/23",
        "2001:db8::/32",
        "2002::/16",
        "2620:4f:8000::/48",
        "2d00::/8",
        "2e00::/7",
        "3000::/4",
        "4000::/2",
        "8000::/1",
        "173.245.48.0/20",
        "103.21.244.0/22",
        "103.22.200.0/22",
        "103.31.4.0/22",
        "141.101.64.0/18",
        "108.162.192.0/18",
        "190.93.240.0/20",
        "188.114.96.0/20",
        "197.234.240.0/22",
        "198.41.128.0/17",
        "162.158.0.0/15",
        "104.16.0.0/13",
        "104.24.0.0/14",
        "172.64.0.0/13",
        "131.0.72.0/22",
        "2400:cb00::/32",
        "2606:4700::/32",
        "2803:f800::/32",
        "2405:b500::/32",
        "2405:8100::/32",
        "2a06:98c0::/29",
        "2c0f:f248::/32",
    ];

    fn refused() -> Vec<IpNet> {
        REFUSED.map(|text| text.parse().unwrap()).to_vec()
    }

    fn neighbours(range: &IpNet) -> [Option<IpAddr>; 2] {
        match range {
            IpNet::V4(range) => {
                [range.network().to_bits().checked_sub(1), range.broadcast().to_bits().checked_add(1)]
                    .map(|bits| bits.map(|bits| Ipv4Addr::from_bits(bits).into()))
            }
            IpNet::V6(range) => {
                [range.network().to_bits().checked_sub(1), range.broadcast().to_bits().checked_add(1)]
                    .map(|bits| bits.map(|bits| Ipv6Addr::from_bits(bits).into()))
            }
        }
    }

    #[test]
    fn the_first_and_the_last_address_of_each_range_are_refused_and_their_neighbours_are_not() {
        let all = refused();
        let mut free = 0;
        for range in &all {
            assert!(publishable(range.network(), &[]).is_err(), "first of {range}");
            assert!(publishable(range.broadcast(), &[]).is_err(), "last of {range}");
            for neighbour in neighbours(range).into_iter().flatten() {
                if !all.iter().any(|other| other.contains(&neighbour)) {
                    assert_eq!(publishable(neighbour, &[]), Ok(()), "beside {range}");
                    free += 1;
                }
            }
        }
        assert!(free > 60, "only {free} neighbours were free");
    }

    #[test]
    fn the_text_of_each_range_is_what_its_numbers_say() {
        let v4 = SPECIAL_V4.iter().map(|(range, _)| range).chain(&CLOUDFLARE_V4).chain(&RESOLVERS_V4);
        let v6 = SPECIAL_V6.iter().map(|(range, _)| range).chain(&CLOUDFLARE_V6);
        for range in v4 {
            assert_eq!(range.text, format!("{}/{}", range.first, range.length));
            assert_eq!(range.text.parse::<IpNet>().unwrap().network(), range.first);
        }
        for range in v6.chain([&GLOBAL_V6]) {
            assert_eq!(range.text.parse::<IpNet>().unwrap().network(), range.first);
            assert!(range.text.ends_with(&format!("/{}", range.length)));
        }
    }

    #[test]
    fn what_users_got_published_by_other_programs_is_refused() {
        for text in [
            "104.18.0.0",
            "100.64.3.7",
            "192.168.1.1",
            "fe80::1",
            "fd12:3456::1",
            "::ffff:9.9.9.9",
            "2002:808:808::1",
            "64:ff9b::808:808",
            "::1.2.3.4",
            "4000::1",
            "ff0e::1",
            "::",
            "::1",
            "0.0.0.0",
            "255.255.255.255",
            "239.255.255.250",
            "1.1.1.1",
            "1.0.0.1",
            "2606:4700:4700::1111",
            "2606:4700:4700::1001",
            "192.31.196.1",
            "192.52.193.1",
            "192.175.48.1",
            "2620:4f:8000::1",
            "3ffe::1",
            "2d00::1",
            "2e00::1",
            "2fff::1",
            "3000::1",
            "3f00::1",
        ] {
            assert!(!public(text), "{text}");
        }
        for text in ["1.0.1.1", "8.8.8.8", "91.7.1.2", "2a02:8070::1", "2001:4860::1", "2620::1"] {
            assert!(public(text), "{text}");
        }
    }

    #[test]
    fn the_reason_names_the_range_and_what_it_is_for() {
        let why = |text| publishable(address(text), &[]).unwrap_err().to_string();
        assert_eq!(why("10.1.2.3"), "10.0.0.0/8 is private (RFC 1918)");
        assert_eq!(
            why("100.100.1.1"),
            "100.64.0.0/10 is shared address space of carrier-grade NAT (RFC 6598)"
        );
        assert_eq!(why("2001:0:1::2"), "2001::/32 is Teredo, a tunnel (RFC 4380)");
        assert_eq!(why("2001:1::1"), "2001::/23 is for protocol assignments (RFC 2928)");
        assert!(why("::ffff:8.8.8.8").contains("IPv4 address written as IPv6"));
        assert!(why("4000::1").contains("outside 2000::/3 is not routed"));
        assert!(why("1.1.1.1").starts_with("1.1.1.0/24 is Cloudflare's own"));
        assert_eq!(why("3000::1"), "3000::/4 is not given to anybody yet");
        assert_eq!(why("3fff::1"), "3fff::/20 is for documentation (RFC 9637)");
        assert!(why("104.18.0.0").starts_with("104.16.0.0/13 is Cloudflare's own"));
    }

    #[test]
    fn an_allowed_range_lifts_the_ban_for_itself_alone() {
        let allow = ["192.168.7.0/24".parse().unwrap(), "fd00:7::/64".parse().unwrap()];
        assert_eq!(publishable(address("192.168.7.9"), &allow), Ok(()));
        assert_eq!(publishable(address("fd00:7::9"), &allow), Ok(()));
        assert!(publishable(address("192.168.8.9"), &allow).is_err());
        assert!(publishable(address("fd00:7:0:1::9"), &allow).is_err());
        assert!(publishable(address("10.0.0.1"), &allow).is_err());
    }

    /// Addresses of any kind, half of them in or near a range of the table.
    fn any_address() -> impl Strategy<Value = IpAddr> {
        let near = (0..REFUSED.len(), any::<u128>(), 0..4_u8).prop_map(|(index, bits, how)| {
            let range = refused()[index];
            let beside = |step| match range {
                IpNet::V4(range) => {
                    let size = 1_u32 << (32 - range.prefix_len());
                    IpAddr::from(Ipv4Addr::from_bits(
                        range.network().to_bits().wrapping_add(size.wrapping_mul(step)),
                    ))
                }
                IpNet::V6(range) => {
                    let size = 1_u128 << (128 - range.prefix_len());
                    let first = range.network().to_bits();
                    IpAddr::from(Ipv6Addr::from_bits(first.wrapping_add(size.wrapping_mul(step.into()))))
                }
            };
            match (how, beside(1), range) {
                (0, next, _) => next,
                (1, ..) => beside(u32::MAX),
                (_, _, IpNet::V4(range)) => {
                    let low = u32::try_from(bits & u128::from(range.hostmask().to_bits())).unwrap();
                    Ipv4Addr::from_bits(range.network().to_bits() | low).into()
                }
                (_, _, IpNet::V6(range)) => {
                    let low = bits & range.hostmask().to_bits();
                    Ipv6Addr::from_bits(range.network().to_bits() | low).into()
                }
            }
        });
        prop_oneof![
            any::<u32>().prop_map(|b| Ipv4Addr::from_bits(b).into()),
            any::<u128>().prop_map(|b| Ipv6Addr::from_bits(b).into()),
            near
        ]
    }

    proptest! {
        #[test]
        fn an_address_is_refused_exactly_if_a_refused_range_contains_it(address in any_address()) {
            let expected = refused().iter().any(|range| range.contains(&address));
            prop_assert_eq!(publishable(address, &[]).is_err(), expected);
        }

        #[test]
        fn what_is_public_stays_so_whatever_is_allowed_and_an_allowed_address_is_never_refused(
            address in any_address(), other in any_address()
        ) {
            let allow = [IpNet::from(other)];
            prop_assert_eq!(publishable(other, &allow), Ok(()));
            if publishable(address, &[]).is_ok() {
                prop_assert_eq!(publishable(address, &allow), Ok(()));
            }
        }

        #[test]
        fn the_range_that_is_named_contains_the_address(address in any_address()) {
            if let Err(NotPublic::Range(range, _) | NotPublic::Cloudflare(range)) = publishable(address, &[]) {
                let range: IpNet = range.trim_start_matches("everything outside ").parse().unwrap();
                prop_assert_eq!(range.contains(&address), range != "2000::/3".parse::<IpNet>().unwrap());
            }
        }
    }
}
