//! The host's simulated public addresses, how they change, and the services that tell them.
//!
//! Deliberately unknown: the API.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use ipnet::IpNet;

use super::faults::{Fault, Faults};
use super::reply::{Fate, Reply, Stamp};
use super::world::HttpRequest;
use crate::engine::names::Family;

/// Cloudflare's own IPv4 ranges, as `GET /ips` tells them.
pub(super) const CLOUDFLARE_V4: [&str; 15] = [
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
];

/// Cloudflare's own IPv6 ranges.
pub(super) const CLOUDFLARE_V6: [&str; 7] = [
    "2400:cb00::/32",
    "2606:4700::/32",
    "2803:f800::/32",
    "2405:b500::/32",
    "2405:8100::/32",
    "2a06:98c0::/29",
    "2c0f:f248::/32",
];

/// The ranges of all addresses that a world makes up. They are for documentation (RFC 5737, RFC 3849), so
/// that everybody sees it; whoever is to publish them in a world has to be allowed to.
pub const MADE_UP: [IpNet; 3] = [
    IpNet::new_assert(IpAddr::V4(Ipv4Addr::new(203, 0, 113, 0)), 24),
    IpNet::new_assert(IpAddr::V4(Ipv4Addr::new(198, 51, 100, 0)), 24),
    IpNet::new_assert(IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0)), 32),
];

/// What liars say, and the other side of a flapping line. Never an address of a host.
#[must_use]
pub fn other_address(family: Family) -> IpAddr {
    match family {
        Family::V4 => Ipv4Addr::new(198, 51, 100, 99).into(),
        Family::V6 => Ipv6Addr::new(0x2001, 0xdb8, 0xffff, 0, 0, 0, 0, 0x99).into(),
    }
}

/// The addresses of the simulated host, now and later.
#[derive(Clone, Debug)]
pub struct Addresses {
    v4: Option<IpAddr>,
    v6: Option<IpAddr>,
    lies: Vec<(String, Family, IpAddr)>,
    planned: VecDeque<(Duration, Family, Option<IpAddr>)>,
    wander: Option<Wander>,
}

/// Addresses that change by themselves, for ever.
#[derive(Clone, Debug)]
struct Wander {
    next: Duration,
    least: Duration,
    most: Duration,
    rng: fastrand::Rng,
}

impl Addresses {
    /// One address of each family, made up from a seed. They stay.
    #[must_use]
    pub fn new(seed: u64) -> Addresses {
        let mut rng = fastrand::Rng::with_seed(seed);
        Addresses {
            v4: Some(made_up(Family::V4, None, &mut rng)),
            v6: Some(made_up(Family::V6, None, &mut rng)),
            lies: Vec::new(),
            planned: VecDeque::new(),
            wander: None,
        }
    }

    /// The true address; `None` where the host has none of this family.
    #[must_use]
    pub fn get(&self, family: Family) -> Option<IpAddr> {
        match family {
            Family::V4 => self.v4,
            Family::V6 => self.v6,
        }
    }

    /// Changes the address at once.
    pub fn change(&mut self, family: Family, address: Option<IpAddr>) {
        match family {
            Family::V4 => self.v4 = address,
            Family::V6 => self.v6 = address,
        }
    }

    /// Lets one operator's echo tell something else, until told `None`.
    pub fn lie(&mut self, operator: &str, family: Family, address: Option<IpAddr>) {
        self.lies.retain(|(liar, about, _)| !(liar == operator && *about == family));
        let lie = address.map(|address| (operator.to_owned(), family, address));
        self.lies.extend(lie);
    }

    /// Changes the address at an instant of the world's clock. Plans are made in the order of time.
    pub fn plan(&mut self, at: Duration, family: Family, address: Option<IpAddr>) {
        self.planned.push_back((at, family, address));
    }

    /// From `first` on lets one of the families change, or both, every `least` to `most`.
    pub fn wander(&mut self, first: Duration, least: Duration, most: Duration, seed: u64) {
        self.wander =
            Some(Wander { next: first, least, most: most.max(least), rng: fastrand::Rng::with_seed(seed) });
    }

    /// When the next change that is known happens.
    #[must_use]
    pub fn next_change(&self) -> Option<Duration> {
        let planned = self.planned.front().map(|(at, _, _)| *at);
        let wandering = self.wander.as_ref().map(|wander| wander.next);
        planned.into_iter().chain(wandering).min()
    }

    /// Lets everything happen that is due.
    pub(super) fn advance(&mut self, now: Duration) {
        while let Some((at, family, address)) = self.planned.front().copied() {
            if at > now {
                break;
            }
            self.planned.pop_front();
            self.change(family, address);
        }
        let Some(mut wander) = self.wander.take() else {
            return;
        };
        while wander.next <= now {
            let which = wander.rng.u8(..4);
            if which != 0 {
                self.v4 = Some(made_up(Family::V4, self.v4, &mut wander.rng));
            }
            if which != 1 {
                self.v6 = Some(made_up(Family::V6, self.v6, &mut wander.rng));
            }
            let spread = wander.most.saturating_sub(wander.least);
            let pause = wander.least + spread.mul_f64(wander.rng.f64());
            wander.next += pause.max(Duration::from_millis(1));
        }
        self.wander = Some(wander);
    }

    /// What an operator's echo tells about a family.
    pub(super) fn told(
        &self,
        operator: &str,
        family: Family,
        now: Duration,
        faults: &mut Faults,
    ) -> Option<IpAddr> {
        let true_address = self.get(family)?;
        let lie = self
            .lies
            .iter()
            .find(|(liar, about, _)| liar == operator && *about == family)
            .map(|(_, _, lie)| *lie);
        let fits = |address: IpAddr| Family::of(address) == family;
        let lie = lie.or_else(|| {
            faults.pick(|fault| match fault {
                Fault::Lie(liar, None) if liar == operator => Some(other_address(family)),
                Fault::Lie(liar, Some(lie)) if liar == operator && fits(*lie) => Some(*lie),
                _ => None,
            })
        });
        let other = lie.or_else(|| {
            faults.pick(|fault| match fault {
                Fault::Address(address) if fits(*address) => Some(*address),
                Fault::Flap(period) => {
                    let turn = now.as_millis() / period.as_millis().max(1);
                    (turn % 2 == 1).then(|| other_address(family))
                }
                _ => None,
            })
        });
        Some(other.unwrap_or(true_address))
    }
}

/// An address of a host, other than the one `before`.
fn made_up(family: Family, before: Option<IpAddr>, rng: &mut fastrand::Rng) -> IpAddr {
    loop {
        let address = match family {
            Family::V4 => Ipv4Addr::new(203, 0, 113, rng.u8(1..255)).into(),
            Family::V6 => {
                let mut group = || rng.u16(..);
                let (a, b, c, d, e) = (group(), group(), group(), group(), group());
                Ipv6Addr::new(0x2001, 0xdb8, rng.u16(..0xffff), a, b, c, d, e).into()
            }
        };
        if Some(address) != before {
            return address;
        }
    }
}

/// The operator whose echo a path is, if it is one.
pub(super) fn operator_of(path: &str) -> Option<&str> {
    if path == "/cdn-cgi/trace" {
        return Some("cloudflare");
    }
    path.strip_prefix("/echo/").filter(|name| !name.is_empty() && !name.contains('/'))
}

/// What an echo answers.
pub(super) fn answer(
    operator: &str,
    request: &HttpRequest<'_>,
    addresses: &Addresses,
    faults: &mut Faults,
    clock: (Duration, Stamp),
) -> Reply {
    let hit = |name: &Option<String>| name.as_deref().is_none_or(|name| name == operator);
    let broken = faults.pick(|fault| match fault {
        Fault::Offline => Some(Reply::nothing(Fate::Unreachable)),
        Fault::EchoDown(name) if hit(name) => Some(Reply::nothing(Fate::Unreachable)),
        Fault::EchoError(name) if hit(name) => Some(Reply::text(503, "error code: 503")),
        Fault::EchoHtml(name) if hit(name) => Some(Reply::new(200, "text/html", LOG_IN_PAGE)),
        Fault::EchoLarge(name) if hit(name) => Some(Reply::text(200, vec![b'1'; 1 << 20])),
        Fault::EchoRedirect(name) if hit(name) => {
            Some(Reply::text(302, "").with("location", "http://login.example.net/"))
        }
        _ => None,
    });
    if let Some(broken) = broken {
        return broken;
    }
    match addresses.told(operator, request.over, clock.0, faults) {
        None => Reply::nothing(Fate::Unreachable),
        Some(address) if operator == "cloudflare" => trace(address, request, faults, clock.1),
        Some(address) if operator == "amazon" => Reply::text(200, format!("{address}\n")),
        Some(address) => Reply::text(200, address.to_string()),
    }
}

const LOG_IN_PAGE: &str = "<!DOCTYPE html><html><head><title>Welcome</title></head><body>\
    <form action=\"http://login.example.net/\">Your address is 10.0.0.17. Please log in.</form></body></html>\n";

fn trace(address: IpAddr, request: &HttpRequest<'_>, faults: &mut Faults, at: Stamp) -> Reply {
    let host = if faults.fire(|fault| *fault == Fault::WrongHost) {
        "elsewhere.example.net"
    } else {
        request.header("host").unwrap_or("")
    };
    let warp = if faults.fire(|fault| *fault == Fault::Warp) { "on" } else { "off" };
    let agent = request.header("user-agent").unwrap_or("");
    let (seconds, millis) = (at.0 / 1_000_000, at.0 / 1_000 % 1_000);
    let body = format!(
        "fl=123f45\nh={host}\nip={address}\nts={seconds}.{millis:03}\nvisit_scheme=http\nuag={agent}\n\
         colo=SBX\nsliver=none\nhttp=http/1.1\nloc=XX\ntls=off\nsni=off\nwarp={warp}\ngateway=off\n\
         rbi=off\nkex=none\n"
    );
    Reply::text(200, body)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn wandering_addresses_change_from_the_first_instant_on_and_sometimes_alone() {
        let mut addresses = Addresses::new(7);
        addresses.wander(seconds(6), seconds(10), seconds(20), 7);
        let both = |addresses: &Addresses| (addresses.get(Family::V4), addresses.get(Family::V6));
        let start = both(&addresses);
        addresses.advance(seconds(5));
        assert_eq!(both(&addresses), start);
        addresses.advance(seconds(6));
        assert_ne!(both(&addresses), start);
        let (mut alone, mut changes, mut before) = (0, 0, both(&addresses));
        for second in 7..=1_000 {
            addresses.advance(seconds(second));
            let now = both(&addresses);
            if now != before {
                changes += 1;
                alone += usize::from(now.0 == before.0 || now.1 == before.1);
            }
            before = now;
        }
        assert!((50..=100).contains(&changes), "{changes}");
        assert!(alone > 5 && alone < changes, "{alone} of {changes}");
    }

    #[test]
    fn two_worlds_of_one_seed_have_the_same_addresses_however_often_they_are_asked() {
        let mut often = Addresses::new(3);
        let mut once = Addresses::new(3);
        for addresses in [&mut often, &mut once] {
            addresses.wander(seconds(6), seconds(10), seconds(20), 3);
        }
        for second in 0..500 {
            often.advance(seconds(second));
        }
        once.advance(seconds(499));
        assert_eq!(often.get(Family::V4), once.get(Family::V4));
        assert_eq!(often.get(Family::V6), once.get(Family::V6));
    }

    #[test]
    fn a_plan_is_carried_out_when_its_time_has_come() {
        let mut addresses = Addresses::new(1);
        addresses.plan(seconds(10), Family::V6, None);
        assert_eq!(addresses.next_change(), Some(seconds(10)));
        addresses.advance(seconds(9));
        assert!(addresses.get(Family::V6).is_some());
        addresses.advance(seconds(10));
        assert!(addresses.get(Family::V6).is_none());
        assert!(addresses.get(Family::V4).is_some());
        assert_eq!(addresses.next_change(), None);
    }

    #[test]
    fn a_liar_lies_alone_and_a_flapping_line_turns_with_the_clock() {
        let mut addresses = Addresses::new(1);
        let mut faults = Faults::new(1);
        let truth = addresses.get(Family::V4);
        let other = Some(other_address(Family::V4));
        addresses.lie("ipify", Family::V4, other);
        assert_eq!(addresses.told("ipify", Family::V4, seconds(0), &mut faults), other);
        assert_eq!(addresses.told("amazon", Family::V4, seconds(0), &mut faults), truth);
        addresses.lie("ipify", Family::V4, None);
        assert_eq!(addresses.told("ipify", Family::V4, seconds(0), &mut faults), truth);
        faults.arm("flap=60".parse().unwrap());
        assert_eq!(addresses.told("ipify", Family::V4, seconds(59), &mut faults), truth);
        assert_eq!(addresses.told("ipify", Family::V4, seconds(61), &mut faults), other);
        assert_eq!(addresses.told("ipify", Family::V4, seconds(121), &mut faults), truth);
    }
}
