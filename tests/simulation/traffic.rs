//! When requests leave and arrive: the budget, what answers ask to wait, and on which list a write rests.
//!
//! Deliberately unknown: whose a record is, and why anything is asked.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use stayput::engine::api::Request;
use stayput::engine::names::Name;
use stayput::engine::settings::Budget;
use stayput::sandbox::{Fate, Reply};

/// The longest that an answer can make us wait.
const LONGEST_WAIT: u64 = 3_600;
/// How long Cloudflare blocks everything after too many requests, where it does not say.
const UNSAID: u64 = 300;
/// How long the reading of a list may take.
const LONGEST_READING: Duration = Duration::from_secs(15);
/// How old the list may be on which a write rests when it leaves.
const OLDEST_LIST: Duration = Duration::from_secs(60);

/// What an answer asks to be left alone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Scope {
    Everything,
    Search,
    Zone(String),
}

impl Scope {
    fn of(request: &Request) -> Scope {
        match zone_of(request) {
            Some(zone) => Scope::Zone(zone),
            None => Scope::Search,
        }
    }
}

/// Nothing leaves before then.
#[derive(Clone, Copy, Debug)]
struct Hold {
    until: Duration,
    since: Duration,
}

/// A list of a zone's records, of however many pages or names.
#[derive(Clone, Debug)]
struct List {
    began: Duration,
    /// When its last page was taken in.
    read: Duration,
    /// Whether a page was taken in at all; and when the list before began that had one.
    has_page: bool,
    before: Duration,
    /// The pages that were asked for.
    pages: BTreeSet<(Option<Name>, u32)>,
    /// Whether the last request for the zone failed, or wrote: the next one begins a list.
    over: bool,
}

/// By the text of a secret.
#[derive(Default)]
pub struct Traffic {
    arrivals: BTreeMap<String, VecDeque<Duration>>,
    holds: BTreeMap<(String, Scope), Hold>,
    /// Until when Cloudflare's own limit leaves us nothing.
    shares: BTreeMap<String, Hold>,
    lists: BTreeMap<String, List>,
    /// Zones of which the copy is doubted: a write whose outcome is not known, since then.
    doubts: BTreeMap<String, Duration>,
    /// When the state was last saved.
    saved: Duration,
}

impl Traffic {
    /// A request leaves.
    pub fn leaves(&mut self, request: &Request, secret: &str, now: Duration) {
        let scope = Scope::of(request);
        for scope in [Scope::Everything, scope] {
            let hold = self.holds.get(&(secret.to_owned(), scope.clone()));
            if let Some(hold) = hold {
                // The engine's clock counts whole milliseconds.
                let free = now + Duration::from_millis(1) >= hold.until;
                assert!(free, "a request leaves, though {scope:?} is held: {hold:?}");
            }
        }
        if let Some(share) = self.shares.get(secret) {
            let free = now >= share.until;
            assert!(free, "a request leaves, though Cloudflare's limit is used up: {share:?}");
        }
        match request {
            Request::Records { zone, name, page, .. } => {
                self.lists_zone(zone.as_str(), (name.clone(), *page), now);
            }
            Request::Batch { zone, .. } => self.writes_zone(zone.as_str(), now),
            _ => {}
        }
    }

    /// A page that was asked for already begins a list anew, and so do single names after whole pages.
    fn lists_zone(&mut self, zone: &str, page: (Option<Name>, u32), now: Duration) {
        let goes_on = |list: &List| {
            let same_kind = list.pages.iter().all(|(name, _)| name.is_some() == page.0.is_some());
            !list.over && same_kind && !list.pages.contains(&page)
        };
        match self.lists.get_mut(zone).filter(|list| goes_on(list)) {
            Some(list) => drop(list.pages.insert(page)),
            None => {
                let before = self.rests_on(zone);
                let list = List {
                    began: now,
                    read: now,
                    has_page: false,
                    before,
                    pages: [page].into(),
                    over: false,
                };
                self.lists.insert(zone.to_owned(), list);
            }
        }
    }

    fn writes_zone(&mut self, zone: &str, now: Duration) {
        let age = self.age(zone, now);
        let fresh = age <= OLDEST_LIST;
        assert!(fresh, "a write leaves for {zone} on a list that is {age:?} old");
        let Some(list) = self.lists.get_mut(zone) else { return };
        list.over = true;
        let doubted = self.doubts.get(zone).is_some_and(|since| list.began < *since);
        assert!(!doubted, "a write leaves on a doubted copy of {zone}");
        self.doubts.insert(zone.to_owned(), now);
    }

    /// When the list began on which a write in this zone rests.
    pub fn rests_on(&self, zone: &str) -> Duration {
        let began = |list: &List| if list.has_page { list.began } else { list.before };
        self.lists.get(zone).map_or(Duration::ZERO, began)
    }

    /// When the list began on which a claim about this zone may rest: a missing record is read twice, and the
    /// second reading may have to wait for the budget.
    pub fn claims_rest_on(&self, zone: &str) -> Duration {
        self.lists.get(zone).map_or(Duration::ZERO, |list| list.before)
    }

    /// How old the list is on which a write in this zone rests. One that took longer to read than a quarter
    /// of a minute counts as that old: otherwise nothing could ever rest on it.
    pub fn age(&self, zone: &str, now: Duration) -> Duration {
        let began = |list: &List| list.began.max(list.read.saturating_sub(LONGEST_READING));
        now.saturating_sub(self.lists.get(zone).map_or(Duration::ZERO, began))
    }

    /// A request arrives: in every window there are never more than the budget allows.
    pub fn arrives(&mut self, secret: &str, budget: Budget, now: Duration) {
        let arrivals = self.arrivals.entry(secret.to_owned()).or_default();
        arrivals.push_back(now);
        while arrivals.front().is_some_and(|first| *first + budget.per < now) {
            arrivals.pop_front();
        }
        let most = usize::try_from(budget.requests).unwrap();
        assert!(arrivals.len() <= most, "{} requests in a window of {most}", arrivals.len());
    }

    /// An answer is taken in by the process that asked for it; `done`: it says what was asked for.
    pub fn answered(&mut self, request: &Request, secret: &str, reply: &Reply, done: bool, now: Duration) {
        if let Some(zone) = zone_of(request) {
            match request {
                Request::Batch { .. } if done || reply.fate == Fate::Unreachable => {
                    self.doubts.remove(&zone);
                }
                Request::Batch { .. } => self.undo_doubt(&zone, reply),
                _ => {}
            }
            if let Some(list) = self.lists.get_mut(&zone) {
                list.over |= !done;
                list.read = if request.writes() { list.read } else { now };
                list.has_page |= done;
            }
        }
        self.heed_wait(request, secret, reply, now);
        self.heed_limit(secret, reply, now);
    }

    /// Cloudflare may say that it did nothing. If it says that our copy is wrong, that stays doubted.
    fn undo_doubt(&mut self, zone: &str, reply: &Reply) {
        if !(1..500).contains(&reply.status) || reply.value()["success"] == true {
            return;
        }
        let codes = String::from_utf8_lossy(&reply.body);
        let wrong = ["81044", "81053", "81054", "81057", "81058"];
        if !wrong.iter().any(|code| codes.contains(code)) {
            self.doubts.remove(zone);
        }
    }

    fn heed_wait(&mut self, request: &Request, secret: &str, reply: &Reply, now: Duration) {
        if (200..300).contains(&reply.status) {
            return;
        }
        let said = reply.header("retry-after").and_then(|text| match text.parse::<u64>() {
            Ok(seconds) => Some(seconds),
            // The date is a minute ahead, to the second.
            Err(_) if text.ends_with("GMT") => Some(58),
            Err(_) => None,
        });
        let (scope, seconds) = match (reply.status, said) {
            (429, said) => (Scope::Everything, said.unwrap_or(UNSAID)),
            (_, Some(said)) => (Scope::of(request), said),
            (_, None) => return,
        };
        let until = now + Duration::from_secs(seconds.min(LONGEST_WAIT));
        let hold = self.holds.entry((secret.to_owned(), scope)).or_insert(Hold { until, since: now });
        if until > hold.until {
            *hold = Hold { until, since: now };
        }
    }

    /// Once no more than a tenth of Cloudflare's limit is left, that is others'.
    fn heed_limit(&mut self, secret: &str, reply: &Reply, now: Duration) {
        let number = |header: &str, key: &str| -> Option<u64> {
            let text = reply.header(header)?;
            text.split(';').find_map(|part| part.strip_prefix(key))?.parse().ok()
        };
        let (Some(left), Some(quota), Some(reset)) =
            (number("ratelimit", "r="), number("ratelimit-policy", "q="), number("ratelimit", "t="))
        else {
            return;
        };
        self.shares.remove(secret);
        if left <= quota / 10 {
            let until = now + Duration::from_secs(reset.min(LONGEST_WAIT));
            self.shares.insert(secret.to_owned(), Hold { until, since: now });
        }
    }

    /// Whether anything asks to wait, for this zone or at all.
    pub fn is_held(&self, secret: &str, zone: Option<&str>, now: Duration) -> bool {
        let scope = zone.map_or(Scope::Search, |zone| Scope::Zone(zone.to_owned()));
        let scopes = [Scope::Everything, Scope::Search, scope];
        let holds = self.holds.iter().filter(|((of, scope), _)| of == secret && scopes.contains(scope));
        holds.map(|(_, hold)| hold).chain(self.shares.get(secret)).any(|hold| hold.until > now)
    }

    /// Whether a zone was listed in the life of this process, or of one that it remembers.
    pub fn has_listed(&self, zone: &str) -> bool {
        self.lists.contains_key(zone)
    }

    pub fn saved(&mut self, now: Duration) {
        self.saved = now;
    }

    /// The process begins anew; `remembers`: it finds a state.
    pub fn forget(&mut self, remembers: bool) {
        let saved = self.saved;
        if remembers {
            self.holds.retain(|_, hold| hold.since <= saved);
            self.lists.values_mut().for_each(|list| list.over = true);
        } else {
            self.arrivals.clear();
            self.holds.clear();
            self.lists.clear();
            self.doubts.clear();
        }
        // What is left of Cloudflare's own limit, the first answer says again.
        self.shares.clear();
    }
}

fn zone_of(request: &Request) -> Option<String> {
    match request {
        Request::Zone(zone)
        | Request::Records { zone, .. }
        | Request::NameServers { zone, .. }
        | Request::Batch { zone, .. } => Some(zone.to_string()),
        Request::Zones { .. } | Request::Verify(_) => None,
    }
}
