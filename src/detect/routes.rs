//! The kernel's messages about addresses and routes, and the picture of the ways out that they make.
//!
//! A small reader of rtnetlink: the fields that matter, bounds checked, everything else skipped.
//! Deliberately unknown: sockets, and what a change means.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::engine::names::Family;

/// The groups that tell of links, addresses and routes of both families.
pub(super) const GROUPS: u32 = 0x1 | 0x10 | 0x40 | 0x100 | 0x400;

const DONE: u16 = 3;
const ERROR: u16 = 2;
const NEW_LINK: u16 = 16;
const DELETED_LINK: u16 = 17;
const NEW_ADDRESS: u16 = 20;
const DELETED_ADDRESS: u16 = 21;
const LIST_ADDRESSES: u16 = 22;
const NEW_ROUTE: u16 = 24;
const DELETED_ROUTE: u16 = 25;
const LIST_ROUTES: u16 = 26;

/// Some VPNs split the world into two halves, and 2000::/3 is all of IPv6 that is in use.
const WIDEST_PREFIX: u8 = 3;

/// The lists that [`Picture`] is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum List {
    Addresses,
    Routes,
}

impl List {
    /// The request for this list.
    pub(super) fn request(self) -> Vec<u8> {
        // Both bodies are all zero: every family.
        let (kind, body) = match self {
            List::Addresses => (LIST_ADDRESSES, 8_u32),
            List::Routes => (LIST_ROUTES, 12),
        };
        let length = 16 + body;
        let mut request = Vec::new();
        request.extend(length.to_ne_bytes());
        request.extend(kind.to_ne_bytes());
        // A request (1) for everything there is (0x300).
        request.extend(0x301_u16.to_ne_bytes());
        request.resize(usize::try_from(length).unwrap_or(28), 0);
        request
    }
}

/// The ways out of this host, as far as they say whether its address may have changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Picture {
    ways: BTreeMap<Family, BTreeSet<Way>>,
    /// The families with a default route.
    routed: BTreeSet<Family>,
    /// The families with an address that is good for more than this host and its links.
    addressed: BTreeSet<Family>,
}

/// A default route, with the addresses that its packets can leave from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Way {
    route: Route,
    addresses: BTreeSet<IpAddr>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Route {
    family: Family,
    /// `None` where the route says it in another way, such as several at once.
    interface: Option<u32>,
    gateway: Option<IpAddr>,
    priority: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Address {
    interface: u32,
    address: IpAddr,
}

impl Picture {
    /// Whether a family has a way out that it had not before.
    pub(super) fn news_since(&self, before: &Picture) -> bool {
        self.ways.iter().any(|(family, ways)| !ways.is_empty() && before.ways.get(family) != Some(ways))
    }

    /// The way out that the kernel prefers.
    pub(super) fn best(&self, family: Family) -> Option<&Way> {
        self.ways.get(&family)?.iter().min_by_key(|way| way.route.priority)
    }

    /// Whether a way out is still there, with at least one of its addresses.
    pub(super) fn still_has(&self, way: &Way) -> bool {
        let same = |other: &Way| other.route == way.route && !other.addresses.is_disjoint(&way.addresses);
        self.ways.get(&way.route.family).is_some_and(|ways| ways.iter().any(same))
    }

    /// The families that this host does not have: neither default route nor address, while the other one
    /// has both. Where neither has, that is an outage, in which what was missing before still is.
    pub(super) fn missing(&self, before: &BTreeSet<Family>) -> BTreeSet<Family> {
        let has_nothing = |family| !self.routed.contains(&family) && !self.addressed.contains(&family);
        let has_both = |family| self.routed.contains(&family) && self.addressed.contains(&family);
        let missing = |family: &Family| {
            let others = || Family::ALL.into_iter().filter(|other| other != family);
            has_nothing(*family) && (before.contains(family) || others().any(has_both))
        };
        Family::ALL.into_iter().filter(missing).collect()
    }
}

/// The answers to both lists.
#[derive(Debug, Default)]
pub(super) struct Dump {
    addresses: BTreeSet<Address>,
    addressed: BTreeSet<Family>,
    routes: BTreeSet<Route>,
}

/// How far the answer to a list is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    More,
    Done,
    /// The kernel refused, or the list changed while it was read.
    Failed,
}

impl Dump {
    /// Takes in a datagram of the answer.
    pub(super) fn take(&mut self, datagram: &[u8]) -> Progress {
        const CHANGED_MEANWHILE: u16 = 0x10;
        for message in messages(datagram) {
            match message.kind {
                DONE => return Progress::Done,
                ERROR => return Progress::Failed,
                _ if message.flags & CHANGED_MEANWHILE != 0 => return Progress::Failed,
                NEW_ADDRESS => self.take_address(message.body),
                NEW_ROUTE => self.routes.extend(default_route(message.body)),
                _ => {}
            }
        }
        Progress::More
    }

    fn take_address(&mut self, body: &[u8]) {
        let Some(told) = address(body) else { return };
        if told.serves_a_host() {
            self.addressed.insert(Family::of(told.address.address));
        }
        if told.stays() {
            self.addresses.insert(told.address);
        }
    }

    /// What the lists come to: a route without an address to leave from is no way out.
    pub(super) fn picture(self) -> Picture {
        let routed = self.routes.iter().map(|route| route.family).collect();
        let mut ways: BTreeMap<Family, BTreeSet<Way>> = BTreeMap::new();
        for route in self.routes {
            let leaves = |address: &&Address| {
                Family::of(address.address) == route.family
                    && route.interface.is_none_or(|interface| interface == address.interface)
            };
            let addresses: BTreeSet<IpAddr> =
                self.addresses.iter().filter(leaves).map(|address| address.address).collect();
            if !addresses.is_empty() {
                ways.entry(route.family).or_default().insert(Way { route, addresses });
            }
        }
        Picture { ways, routed, addressed: self.addressed }
    }
}

/// Whether a datagram of news may change the picture.
pub(super) fn matters(datagram: &[u8]) -> bool {
    messages(datagram).any(|message| match message.kind {
        // A cable that is plugged in again brings neither an address nor a route with it.
        NEW_LINK | DELETED_LINK => true,
        // Deprecation is news too, so only the scope is looked at: the world, or not.
        NEW_ADDRESS | DELETED_ADDRESS => message.body.get(3) == Some(&0),
        NEW_ROUTE | DELETED_ROUTE => message.body.get(1).is_some_and(|length| *length <= WIDEST_PREFIX),
        _ => false,
    })
}

struct Message<'a> {
    kind: u16,
    flags: u16,
    body: &'a [u8],
}

/// The messages of a datagram; ends at the first one whose length is wrong.
fn messages(mut rest: &[u8]) -> impl Iterator<Item = Message<'_>> {
    std::iter::from_fn(move || {
        let length = usize::try_from(u32_at(rest, 0)?).ok()?;
        let (kind, flags) = (u16_at(rest, 4)?, u16_at(rest, 6)?);
        let body = rest.get(16..length)?;
        rest = rest.get(aligned(length)..).unwrap_or_default();
        Some(Message { kind, flags, body })
    })
}

/// The attributes of a message; ends at the first one whose length is wrong.
fn attributes(mut rest: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let length = usize::from(u16_at(rest, 0)?);
        // The two upper bits are flags.
        let kind = u16_at(rest, 2)? & 0x3fff;
        let value = rest.get(4..length)?;
        rest = rest.get(aligned(length)..).unwrap_or_default();
        Some((kind, value))
    })
}

/// An address, and what the kernel says of it.
struct Told {
    address: Address,
    flags: u32,
    scope: u8,
    preferred_for: u32,
}

impl Told {
    /// Whether packets to the world can leave from it, and it is here to stay.
    fn stays(&self) -> bool {
        const TEMPORARY: u32 = 0x01;
        const ON_PROBATION: u32 = 0x40;
        // On IPv4 the same bit says that it is not the first of its network.
        let passes_by = self.address.address.is_ipv6() && self.flags & TEMPORARY != 0;
        self.scope == 0 && self.is_usable() && self.flags & ON_PROBATION == 0 && !passes_by
    }

    /// Whether a host that has it has the family. What is still on probation will be there in a second.
    fn serves_a_host(&self) -> bool {
        self.is_usable()
            && match self.address.address {
                IpAddr::V4(address) => !address.is_loopback() && !address.is_link_local(),
                // 2000::/3 is all that is global.
                IpAddr::V6(address) => address.segments()[0] & 0xe000 == 0x2000,
            }
    }

    /// Neither found to be somebody else's nor deprecated. A preferred lifetime of zero comes before the
    /// flag that says so.
    fn is_usable(&self) -> bool {
        const UNUSABLE: u32 = 0x08 | 0x20;
        self.flags & UNUSABLE == 0 && self.preferred_for > 0
    }
}

fn address(body: &[u8]) -> Option<Told> {
    let family = family(*body.first()?)?;
    let mut flags = u32::from(*body.get(2)?);
    let scope = *body.get(3)?;
    let interface = u32_at(body, 4)?;
    let (mut local, mut other, mut preferred_for) = (None, None, u32::MAX);
    for (kind, value) in attributes(body.get(8..)?) {
        match kind {
            1 => other = ip(family, value),
            2 => local = ip(family, value),
            6 => preferred_for = u32_at(value, 0)?,
            8 => flags = u32_at(value, 0)?,
            _ => {}
        }
    }
    // On a point-to-point link, the second one is the other end's.
    let address = Address { interface, address: local.or(other)? };
    Some(Told { address, flags, scope, preferred_for })
}

/// A route to everywhere (or to half of it) over a link that is up.
fn default_route(body: &[u8]) -> Option<Route> {
    const UNICAST: u8 = 1;
    const UNUSABLE: u32 = 0x1 | 0x10 | 0x200;
    let family = family(*body.first()?)?;
    let (length, kind) = (*body.get(1)?, *body.get(7)?);
    let flags = u32_at(body, 8)?;
    if length > WIDEST_PREFIX || kind != UNICAST || flags & UNUSABLE != 0 {
        return None;
    }
    let mut route = Route { family, interface: None, gateway: None, priority: 0 };
    for (kind, value) in attributes(body.get(12..)?) {
        match kind {
            4 => route.interface = u32_at(value, 0),
            5 => route.gateway = ip(family, value),
            6 => route.priority = u32_at(value, 0)?,
            _ => {}
        }
    }
    Some(route)
}

fn family(number: u8) -> Option<Family> {
    match number {
        2 => Some(Family::V4),
        10 => Some(Family::V6),
        _ => None,
    }
}

fn ip(family: Family, bytes: &[u8]) -> Option<IpAddr> {
    match family {
        Family::V4 => <[u8; 4]>::try_from(bytes).ok().map(|bytes| Ipv4Addr::from(bytes).into()),
        Family::V6 => <[u8; 16]>::try_from(bytes).ok().map(|bytes| Ipv6Addr::from(bytes).into()),
    }
}

fn aligned(length: usize) -> usize {
    length.saturating_add(3) & !3
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..at + 2)?.try_into().ok().map(u16::from_ne_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4)?.try_into().ok().map(u32::from_ne_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
        let length = u16::try_from(4 + value.len()).unwrap();
        let mut bytes = [length.to_ne_bytes(), kind.to_ne_bytes()].concat();
        bytes.extend(value);
        bytes.resize(aligned(bytes.len()), 0);
        bytes
    }

    fn message(kind: u16, body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(16 + body.len()).unwrap();
        let mut bytes = length.to_ne_bytes().to_vec();
        bytes.extend(kind.to_ne_bytes());
        bytes.extend([0; 10]);
        bytes.extend(body);
        bytes.resize(aligned(bytes.len()), 0);
        bytes
    }

    /// An address on interface 7 with these flags and this preferred lifetime.
    fn address_message(address: IpAddr, flags: u32, preferred_for: u32) -> Vec<u8> {
        let family = if address.is_ipv4() { 2 } else { 10 };
        let mut body = vec![family, 24, flags.to_ne_bytes()[0], 0];
        body.extend(7_u32.to_ne_bytes());
        let bytes = match address {
            IpAddr::V4(address) => address.octets().to_vec(),
            IpAddr::V6(address) => address.octets().to_vec(),
        };
        body.extend(attribute(1, &bytes));
        body.extend(attribute(6, &[preferred_for.to_ne_bytes(), [0xff; 4]].concat()));
        body.extend(attribute(8, &flags.to_ne_bytes()));
        message(NEW_ADDRESS, &body)
    }

    fn route_message(family: u8, length: u8, flags: u32) -> Vec<u8> {
        let mut body = vec![family, length, 0, 0, 254, 3, 0, 1];
        body.extend(flags.to_ne_bytes());
        body.extend(attribute(4, &7_u32.to_ne_bytes()));
        message(NEW_ROUTE, &body)
    }

    fn picture(datagrams: &[Vec<u8>]) -> Picture {
        let mut dump = Dump::default();
        for datagram in datagrams {
            assert_eq!(dump.take(datagram), Progress::More);
        }
        assert_eq!(dump.take(&message(DONE, &[0; 4])), Progress::Done);
        dump.picture()
    }

    fn v4() -> IpAddr {
        "192.0.2.7".parse().unwrap()
    }

    fn v6() -> IpAddr {
        "2001:db8::7".parse().unwrap()
    }

    #[test]
    fn a_route_is_a_way_out_once_there_is_an_address_to_leave_from() {
        let nothing = picture(&[]);
        let route = picture(&[route_message(2, 0, 0)]);
        let both = picture(&[route_message(2, 0, 0), address_message(v4(), 0, u32::MAX)]);
        assert!(!route.news_since(&nothing));
        assert!(both.news_since(&route));
        assert!(!both.news_since(&both));
    }

    fn missing(datagrams: &[Vec<u8>], before: &[Family]) -> Vec<Family> {
        picture(datagrams).missing(&before.iter().copied().collect()).into_iter().collect()
    }

    #[test]
    fn a_family_without_route_and_address_is_missing_where_the_other_one_has_both() {
        let (route_v4, route_v6) = (route_message(2, 0, 0), route_message(10, 0, 0));
        let usable = |text: &str| address_message(text.parse().unwrap(), 0, u32::MAX);
        let (home, global) = (usable("192.168.1.2"), usable("2001:db8::7"));
        assert_eq!(missing(&[route_v4.clone(), home.clone()], &[]), [Family::V6]);
        assert_eq!(missing(&[route_v6.clone(), global.clone()], &[]), [Family::V4]);
        for more in [&route_v6, &global] {
            assert_eq!(missing(&[route_v4.clone(), home.clone(), more.clone()], &[]), [], "it has a part");
        }
        for less in [&home, &route_v4] {
            assert_eq!(missing(std::slice::from_ref(less), &[]), [], "an outage");
            assert_eq!(missing(std::slice::from_ref(less), &[Family::V6]), [Family::V6], "still");
        }
        assert_eq!(missing(&[route_v6.clone(), global.clone()], &[Family::V6]), [Family::V4]);
        for of_no_use in ["fe80::1", "fd00::1", "::1", "169.254.1.1", "127.0.0.1"] {
            let all = [route_v4.clone(), home.clone(), usable(of_no_use)];
            assert_eq!(missing(&all, &[]), [Family::V6], "{of_no_use}");
            let all = [route_v6.clone(), global.clone(), usable(of_no_use)];
            assert_eq!(missing(&all, &[]), [Family::V4], "{of_no_use}");
        }
        // Temporary, or on probation: there all the same. Deprecated, or somebody else's: not.
        for (flags, expected) in [(0x01, &[][..]), (0x40, &[]), (0x20, &[Family::V6]), (0x08, &[Family::V6])]
        {
            let all = [route_v4.clone(), home.clone(), address_message(v6(), flags, u32::MAX)];
            assert_eq!(missing(&all, &[]), expected, "flags {flags:#x}");
        }
        assert_eq!(missing(&[], &[]), []);
    }

    #[test]
    fn a_way_out_is_gone_with_its_route_or_with_its_last_address() {
        let route = route_message(2, 0, 0);
        let old = address_message(v4(), 0, u32::MAX);
        let new = address_message("192.0.2.8".parse().unwrap(), 0, u32::MAX);
        let before = picture(&[route.clone(), old.clone()]);
        let way = before.best(Family::V4).unwrap();
        assert!(picture(&[route.clone(), old.clone(), new.clone()]).still_has(way));
        assert!(!picture(&[route.clone(), new]).still_has(way));
        assert!(!picture(&[old]).still_has(way));
        assert!(before.best(Family::V6).is_none());
    }

    #[test]
    fn losing_the_last_way_out_is_no_reason_to_look() {
        let both = picture(&[route_message(2, 0, 0), address_message(v4(), 0, u32::MAX)]);
        let lost = picture(&[address_message(v4(), 0, u32::MAX)]);
        assert!(!lost.news_since(&both));
        assert!(both.news_since(&lost));
    }

    #[test]
    fn a_link_that_is_down_is_no_way_out() {
        let address = address_message(v4(), 0, u32::MAX);
        for unusable in [0x1, 0x10] {
            let down = picture(&[route_message(2, 0, unusable), address.clone()]);
            assert_eq!(down.best(Family::V4), None);
        }
        let up = picture(&[route_message(2, 0, 0), address]);
        assert!(up.news_since(&Picture::default()));
    }

    #[test]
    fn a_container_that_comes_and_goes_is_not_news() {
        let home = [route_message(10, 0, 0), address_message(v6(), 0, u32::MAX)];
        let before = picture(&home);
        let mut elsewhere = address_message("2001:db8:1::1".parse().unwrap(), 0, u32::MAX);
        elsewhere[20..24].copy_from_slice(&9_u32.to_ne_bytes());
        let after = picture(&[home[0].clone(), home[1].clone(), elsewhere, route_message(10, 64, 0)]);
        assert_eq!(after, before);
    }

    #[test]
    fn a_deprecated_prefix_is_news_and_an_address_on_probation_is_not_there_yet() {
        let route = route_message(10, 0, 0);
        let old = picture(&[route.clone(), address_message(v6(), 0, 1800)]);
        let new: IpAddr = "2001:db8:2::7".parse().unwrap();
        // The first announcement of the end comes without the flag.
        let ended = picture(&[route.clone(), address_message(v6(), 0x100, 0), address_message(new, 0, 1800)]);
        assert!(ended.news_since(&old));
        for flags in [0x40, 0x08, 0x20, 0x01] {
            let same =
                picture(&[route.clone(), address_message(v6(), 0, 1700), address_message(new, flags, 1800)]);
            assert_eq!(same, old, "flags {flags:#x}");
        }
    }

    #[test]
    fn only_messages_that_can_change_the_picture_cause_work() {
        assert!(matters(&route_message(2, 0, 0)));
        assert!(matters(&route_message(2, 1, 0)));
        assert!(!matters(&route_message(2, 24, 0)));
        assert!(matters(&address_message(v4(), 0, 1)));
        let mut local = address_message(v6(), 0, 1);
        local[19] = 253;
        assert!(!matters(&local));
        assert!(matters(&message(NEW_LINK, &[0; 16])));
        assert!(!matters(&message(DONE, &[0; 4])));
        let two = [route_message(2, 24, 0), route_message(2, 0, 0)].concat();
        assert!(matters(&two), "the second message of a datagram counts");
    }

    #[test]
    fn a_list_that_changed_while_it_was_read_is_not_believed() {
        let mut interrupted = route_message(2, 0, 0);
        interrupted[6] = 0x10;
        assert_eq!(Dump::default().take(&interrupted), Progress::Failed);
        assert_eq!(Dump::default().take(&message(ERROR, &[0xff; 20])), Progress::Failed);
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_stumble(
            mut bytes in proptest::collection::vec(any::<u8>(), 0..200),
            kind in prop_oneof![Just(NEW_ADDRESS), Just(NEW_ROUTE), any::<u16>()],
            length in 0_u32..220,
        ) {
            if bytes.len() >= 8 {
                bytes[..4].copy_from_slice(&length.to_ne_bytes());
                bytes[4..6].copy_from_slice(&kind.to_ne_bytes());
            }
            let _ = matters(&bytes);
            let mut dump = Dump::default();
            let _ = dump.take(&bytes);
            let _ = dump.picture();
        }
    }
}
