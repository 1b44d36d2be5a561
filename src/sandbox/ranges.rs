//! The addresses that a world makes up, and those that no proxied record may have.
//!
//! Deliberately unknown: which address a host has now.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use crate::engine::names::Family;
use crate::engine::ranges::{NotPublic, publishable};

/// The ranges of all addresses that a world makes up. They are for documentation (RFC 5737, RFC 3849), so
/// that everybody sees it; whoever is to publish them in a world has to be allowed to.
pub const MADE_UP: [IpNet; 3] = [
    IpNet::new_assert(IpAddr::V4(Ipv4Addr::new(203, 0, 113, 0)), 24),
    IpNet::new_assert(IpAddr::V4(Ipv4Addr::new(198, 51, 100, 0)), 24),
    IpNet::new_assert(IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0)), 32),
];

/// What liars say, and the other side of a flapping line. Never an address of a host.
pub fn other_address(family: Family) -> IpAddr {
    match family {
        Family::V4 => Ipv4Addr::new(198, 51, 100, 99).into(),
        Family::V6 => Ipv6Addr::new(0x2001, 0xdb8, 0xffff, 0, 0, 0, 0, 0x99).into(),
    }
}

/// The documentation ranges and `100::` are not here: people use them as placeholders of proxied
/// names, and Cloudflare accepts them. Multicast and Cloudflare's own ranges were not seen tried.
pub(super) fn can_be_origin(address: IpAddr) -> bool {
    let closed = match address {
        IpAddr::V4(v4) => {
            let [first, second, ..] = v4.octets();
            let shared = first == 100 && second & 0xc0 == 64;
            let beyond = first == 0 || first >= 224;
            beyond || shared || v4.is_private() || v4.is_loopback() || v4.is_link_local()
        }
        IpAddr::V6(v6) => {
            let own = v6.is_unspecified() || v6.is_loopback();
            own || v6.is_unique_local() || v6.is_unicast_link_local() || v6.is_multicast()
        }
    };
    !closed && !matches!(publishable(address, &[]), Err(NotPublic::Cloudflare(_)))
}
