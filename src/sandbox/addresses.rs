//! The host's simulated public addresses, how they change, and the services that tell them.
//!
//! Deliberately unknown: the API.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use super::faults::{Fault, Faults};
use super::http::{Fate, HttpRequest, Reply, Stamp};
use super::ranges::other_address;
use crate::engine::names::Family;

/// The addresses of the simulated host, now and later.
#[derive(Clone, Debug)]
pub struct Addresses {
    now: BTreeMap<Family, IpAddr>,
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
    pub fn new(seed: u64) -> Addresses {
        let mut rng = fastrand::Rng::with_seed(seed);
        let now = Family::ALL.map(|family| (family, made_up(family, None, &mut rng)));
        Addresses { now: now.into(), wander: None }
    }

    /// The true address; `None` where the host has none of this family.
    pub fn get(&self, family: Family) -> Option<IpAddr> {
        self.now.get(&family).copied()
    }

    /// Changes the address at once.
    pub fn change(&mut self, family: Family, address: Option<IpAddr>) {
        self.now.remove(&family);
        self.now.extend(address.map(|address| (family, address)));
    }

    /// From `first` on lets one of the families change, or both, every `least` to `most`.
    pub fn wander(&mut self, first: Duration, least: Duration, most: Duration, seed: u64) {
        self.wander =
            Some(Wander { next: first, least, most: most.max(least), rng: fastrand::Rng::with_seed(seed) });
    }

    /// When the next change happens.
    pub fn next_change(&self) -> Option<Duration> {
        self.wander.as_ref().map(|wander| wander.next)
    }

    /// Lets everything happen that is due.
    pub(super) fn advance(&mut self, now: Duration) {
        let Some(mut wander) = self.wander.take() else {
            return;
        };
        while wander.next <= now {
            let stays = wander.rng.u8(..4);
            for (_, family) in (0..).zip(Family::ALL).filter(|(turn, _)| *turn != stays) {
                let address = made_up(family, self.get(family), &mut wander.rng);
                self.now.insert(family, address);
            }
            let spread = wander.most.saturating_sub(wander.least);
            let pause = wander.least + spread.mul_f64(wander.rng.f64());
            wander.next += pause.max(Duration::from_millis(1));
        }
        self.wander = Some(wander);
    }

    /// What an operator's echo tells about a family.
    pub(super) fn reported(
        &self,
        operator: &str,
        family: Family,
        now: Duration,
        faults: &mut Faults,
    ) -> Option<IpAddr> {
        let true_address = self.get(family)?;
        let fits = |address: IpAddr| Family::of(address) == family;
        let lie = faults.pick(|fault| match fault {
            Fault::Lie(liar, None) if liar == operator => Some(other_address(family)),
            Fault::Lie(liar, Some(lie)) if liar == operator && fits(*lie) => Some(*lie),
            _ => None,
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
    if let Some(broken) = faults.pick(|fault| broken(fault, operator)) {
        return broken;
    }
    match addresses.reported(operator, request.over, clock.0, faults) {
        None => Reply::nothing(Fate::Unreachable),
        Some(address) if operator == "cloudflare" => trace(address, request, faults, clock.1),
        Some(address) if operator == "amazon" => Reply::text(200, format!("{address}\n")),
        Some(address) => Reply::text(200, address.to_string()),
    }
}

/// What the echo of an operator answers where a fault breaks it.
fn broken(fault: &Fault, operator: &str) -> Option<Reply> {
    let (whose, reply) = match fault {
        Fault::Offline => return Some(Reply::nothing(Fate::Unreachable)),
        Fault::EchoDown(whose) => (whose, Reply::nothing(Fate::Unreachable)),
        Fault::EchoError(whose) => (whose, Reply::text(503, "error code: 503")),
        Fault::EchoHtml(whose) => (whose, Reply::new(200, "text/html", LOG_IN_PAGE)),
        Fault::EchoLarge(whose) => (whose, Reply::text(200, vec![b'1'; 1 << 20])),
        Fault::EchoRedirect(whose) => {
            (whose, Reply::text(302, "").with("location", "http://login.example.net/"))
        }
        _ => return None,
    };
    whose.as_ref().is_none_or(|whose| whose == operator).then_some(reply)
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
    fn a_liar_lies_alone_and_a_flapping_line_turns_with_the_clock() {
        let addresses = Addresses::new(1);
        let mut faults = Faults::new(1);
        let truth = addresses.get(Family::V4);
        let other = Some(other_address(Family::V4));
        faults.arm("lie=ipify".parse().unwrap());
        assert_eq!(addresses.reported("ipify", Family::V4, seconds(0), &mut faults), other);
        assert_eq!(addresses.reported("amazon", Family::V4, seconds(0), &mut faults), truth);
        faults.clear();
        assert_eq!(addresses.reported("ipify", Family::V4, seconds(0), &mut faults), truth);
        faults.arm("flap=60".parse().unwrap());
        assert_eq!(addresses.reported("ipify", Family::V4, seconds(59), &mut faults), truth);
        assert_eq!(addresses.reported("ipify", Family::V4, seconds(61), &mut faults), other);
        assert_eq!(addresses.reported("ipify", Family::V4, seconds(121), &mut faults), truth);
    }
}
