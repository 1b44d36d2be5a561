//! What the operators have said of the home's addresses, and so what may be believed, and when a line that
//! goes back and forth is held.
//!
//! Deliberately unknown: zones, and how the engine asks.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

use stayput::engine::names::{Family, Line};
use stayput::engine::settings::{Settings, Tunnel};

use super::scenario::OPERATORS;

/// An answer that is older than this does not count for a change: what one look heard is younger.
const YOUNG: Duration = Duration::from_secs(90);
/// In this time a line may return once to an address that it left.
const FLAPPING: Duration = Duration::from_secs(600);

/// The last answer of a source.
#[derive(Clone, Debug)]
struct Heard {
    operator: Box<str>,
    says: Option<IpAddr>,
    /// A trace that said `warp=on`.
    tunnelled: bool,
    at: Duration,
}

#[derive(Default)]
pub struct Beliefs {
    heard: BTreeMap<(Family, Box<str>), Heard>,
    /// What is believed, and since when.
    pub believed: BTreeMap<Family, (IpAddr, Duration)>,
    /// Families of which a source has spoken since the process began.
    confirmed: BTreeSet<Family>,
    /// When each address was left.
    left: BTreeMap<Family, VecDeque<(IpAddr, Duration)>>,
    /// When the line last returned to an address that it had left less than ten minutes before.
    returned: BTreeMap<Family, Duration>,
}

impl Beliefs {
    /// A source has answered, or has not.
    pub fn heard(
        &mut self,
        family: Family,
        (label, operator): (&str, &str),
        (says, tunnelled): (Option<IpAddr>, bool),
        now: Duration,
    ) {
        if says.is_some() && says == self.believed.get(&family).map(|(address, _)| *address) {
            self.confirmed.insert(family);
        }
        let heard = Heard { operator: operator.into(), says, tunnelled, at: now };
        self.heard.insert((family, label.into()), heard);
    }

    /// The program says that it believes an address from now on.
    pub fn believes(&mut self, family: Family, address: IpAddr, settings: &Settings, now: Duration) {
        let voters: BTreeSet<&str> = self
            .of(family)
            .filter(|heard| heard.says == Some(address) && now.saturating_sub(heard.at) <= YOUNG)
            .map(|heard| &*heard.operator)
            .collect();
        let sources = &settings.sources[&Line::only(family)];
        let operators: BTreeSet<&str> = sources.iter().map(|source| &*source.operator).collect();
        let need = settings.agree.min(operators.len());
        assert!(voters.len() >= need, "{address} is believed, said by {voters:?} alone: {:?}", self.heard);
        // The last trace that was heard decides.
        let traces = self.of(family).filter(|heard| &*heard.operator == OPERATORS[0]);
        let traces = traces.filter(|heard| heard.says.is_some() || heard.tunnelled);
        let tunnelled = traces.max_by_key(|heard| heard.at).is_some_and(|heard| heard.tunnelled);
        assert!(
            !tunnelled || settings.tunnel == Tunnel::Allow,
            "{address} is believed, though a trace says warp=on: {:?}",
            self.heard
        );
        self.check_flapping(family, address, now);
        if let Some((before, _)) = self.believed.insert(family, (address, now)) {
            self.left.entry(family).or_default().push_back((before, now));
        }
        self.confirmed.insert(family);
    }

    fn of(&self, family: Family) -> impl Iterator<Item = &Heard> {
        self.heard.iter().filter(move |((of, _), _)| *of == family).map(|(_, heard)| heard)
    }

    fn check_flapping(&mut self, family: Family, address: IpAddr, now: Duration) {
        let left = self.left.entry(family).or_default();
        left.retain(|(_, at)| now.saturating_sub(*at) < FLAPPING);
        if !left.iter().any(|(known, _)| *known == address) {
            return;
        }
        let before = self.returned.insert(family, now);
        let again = before.is_some_and(|at| now.saturating_sub(at) < FLAPPING);
        assert!(!again, "the {family} address returns again within ten minutes, to {address}");
    }

    /// Whether a source has said since the start what is believed.
    pub fn is_confirmed(&self, family: Family) -> bool {
        self.confirmed.contains(&family)
    }

    /// An operator asks, or the kernel says that the way out is gone: that ends a hold.
    pub fn release(&mut self, family: Family) {
        self.returned.remove(&family);
        self.left.remove(&family);
    }

    /// The process begins anew, and remembers these addresses.
    pub fn forget(&mut self, remembered: Option<BTreeMap<Family, IpAddr>>, now: Duration) {
        self.confirmed.clear();
        self.heard.clear();
        if remembered.is_none() {
            self.left.clear();
            self.returned.clear();
        }
        self.believed = remembered
            .unwrap_or_default()
            .into_iter()
            .map(|(family, address)| (family, (address, now)))
            .collect();
    }
}
