//! Which zone each name lies in, found with as few requests as possible.
//!
//! One page of `GET /zones` decides for up to fifty zones. Where there are more, either the other
//! pages are read or single names are asked for, whichever costs less. Deliberately unknown: time,
//! retries, and what is done in the zones.

use std::collections::{BTreeMap, BTreeSet};

use super::api::{Page, Request, ZONES_PER_PAGE, ZoneInfo};
use super::names::{Name, ZoneId};
use super::settings::ZoneHint;

/// More pages than this are not read, whatever the counts in the answers say.
const MOST_PAGES: u32 = 100;

/// What is known of the zones that a credential sees.
#[derive(Clone, Debug, Default)]
pub struct Discovery {
    seen: BTreeMap<Name, Vec<ZoneInfo>>,
    asked: BTreeSet<Name>,
    pages: u32,
    total: Option<u32>,
    complete: bool,
}

/// Where a name lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place<'a> {
    /// In this zone.
    In(&'a ZoneInfo),
    /// In no zone that the credential sees.
    Nowhere,
    /// In one of several zones of the same name, of which not just one is active.
    Ambiguous(Vec<ZoneInfo>),
    /// Not known before this zone name has been asked for.
    Undecided(Name),
}

impl Discovery {
    /// Where a name lies, as far as it is known.
    pub fn place(&self, name: &Name, hint: &ZoneHint) -> Place<'_> {
        let named = match hint {
            ZoneHint::Named(zone) | ZoneHint::Id(_, Some(zone)) => Some(zone.clone()),
            ZoneHint::Find | ZoneHint::Id(_, None) => None,
        };
        let candidates: Vec<Name> = match named {
            Some(zone) => vec![zone],
            None => name.zone_candidates().collect(),
        };
        for candidate in candidates {
            match self.seen.get(&candidate).map(Vec::as_slice) {
                Some([zone]) => return Place::In(zone),
                Some(several @ [_, ..]) => return only_active(several),
                Some([]) | None if self.complete || self.asked.contains(&candidate) => {}
                Some([]) | None => return Place::Undecided(candidate),
            }
        }
        Place::Nowhere
    }

    /// The next request that is needed to place all of these names; `None` when all are decided.
    pub fn next<'a>(&self, names: impl Iterator<Item = (&'a Name, &'a ZoneHint)>) -> Option<Request> {
        let mut open = BTreeSet::new();
        for (name, hint) in names {
            let Place::Undecided(first) = self.place(name, hint) else {
                continue;
            };
            let before = open.len();
            open.extend(self.open_candidates(name, hint));
            if open.len() == before {
                open.insert(first);
            }
        }
        let first = open.first()?;
        if self.pages == 0 {
            return Some(Request::Zones { page: 1, name: None });
        }
        let pages_left = match self.total {
            Some(total) => total.div_ceil(ZONES_PER_PAGE).min(MOST_PAGES).saturating_sub(self.pages),
            None => 1,
        };
        let by_name = u32::try_from(open.len()).unwrap_or(u32::MAX);
        Some(if pages_left > 0 && pages_left <= by_name {
            Request::Zones { page: self.pages + 1, name: None }
        } else {
            Request::Zones { page: 1, name: Some(first.clone()) }
        })
    }

    fn open_candidates(&self, name: &Name, hint: &ZoneHint) -> Vec<Name> {
        let unknown =
            |candidate: &Name| !self.seen.contains_key(candidate) && !self.asked.contains(candidate);
        match hint {
            ZoneHint::Find => name
                .zone_candidates()
                .take_while(|candidate| !self.seen.contains_key(candidate))
                .filter(unknown)
                .collect(),
            ZoneHint::Named(_) | ZoneHint::Id(..) => Vec::new(),
        }
    }

    /// Takes in the answer to a [`Request::Zones`].
    pub fn took(&mut self, page: u32, name: Option<Name>, answer: Page<ZoneInfo>) {
        for zone in answer.items {
            let zones = self.seen.entry(zone.name.clone()).or_default();
            if !zones.iter().any(|known| known.id == zone.id) {
                zones.push(zone);
            }
        }
        if let Some(name) = name {
            self.asked.insert(name);
            return;
        }
        self.pages = page;
        self.total = answer.total;
        let all_read = self.total.is_some_and(|total| page.saturating_mul(ZONES_PER_PAGE) >= total);
        // A page that is not full is the last one, whatever the counts say.
        self.complete = all_read || answer.entries < ZONES_PER_PAGE || page >= MOST_PAGES;
    }

    /// Whether a zone is none of those of its name that the credential sees.
    pub fn lacks(&self, name: &Name, id: &ZoneId) -> bool {
        (self.complete || self.asked.contains(name)) && self.zones().all(|zone| zone.id != *id)
    }

    /// The zones that have been seen.
    pub fn zones(&self) -> impl Iterator<Item = &ZoneInfo> {
        self.seen.values().flatten()
    }
}

/// Of several zones of one name, the one that is active: the others were moved away, or wait.
fn only_active(zones: &[ZoneInfo]) -> Place<'_> {
    let mut active = zones.iter().filter(|zone| &*zone.status == "active");
    match (active.next(), active.next()) {
        (Some(zone), None) => Place::In(zone),
        _ => Place::Ambiguous(zones.to_vec()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::names::ZoneId;

    fn name(text: &str) -> Name {
        Name::parse(text).unwrap()
    }

    fn zone(number: usize, text: &str) -> ZoneInfo {
        ZoneInfo::active(ZoneId::parse(&format!("{number:032x}")).unwrap(), name(text))
    }

    /// Asks a pretended account until all names are placed; how many requests it took.
    fn discover(zones: &[ZoneInfo], wanted: &[&str]) -> (Discovery, usize) {
        let names: Vec<Name> = wanted.iter().map(|text| name(text)).collect();
        let mut discovery = Discovery::default();
        for requests in 0..500 {
            let Some(request) = discovery.next(names.iter().map(|n| (n, &ZoneHint::Find))) else {
                return (discovery, requests);
            };
            let Request::Zones { page, name } = request else { panic!("asks for zones only") };
            let matching: Vec<ZoneInfo> =
                zones.iter().filter(|z| name.as_ref().is_none_or(|n| z.name == *n)).cloned().collect();
            let skip = usize::try_from((page - 1) * ZONES_PER_PAGE).unwrap();
            let items: Vec<ZoneInfo> = matching.iter().skip(skip).take(50).cloned().collect();
            let entries = u32::try_from(items.len()).unwrap();
            let total = Some(u32::try_from(matching.len()).unwrap());
            discovery.took(page, name, Page { items, entries, total, per_page: None, ids: Vec::new() });
        }
        panic!("never ends");
    }

    fn placed<'a>(discovery: &'a Discovery, text: &str) -> Place<'a> {
        discovery.place(&name(text), &ZoneHint::Find)
    }

    #[test]
    fn the_longest_zone_on_a_label_boundary_wins() {
        let zones = [zone(1, "example.com"), zone(2, "home.example.com"), zone(3, "ample.com")];
        let (found, requests) = discover(&zones, &["a.home.example.com", "b.example.com", "example.com"]);
        assert_eq!(requests, 1);
        assert_eq!(placed(&found, "a.home.example.com"), Place::In(&zones[1]));
        assert_eq!(placed(&found, "b.example.com"), Place::In(&zones[0]));
        assert_eq!(placed(&found, "b.example.net"), Place::Nowhere);
    }

    #[test]
    fn two_zones_of_one_name_are_ambiguous() {
        let zones = [zone(1, "example.com"), zone(2, "example.com")];
        let (found, _) = discover(&zones, &["a.example.com"]);
        assert_eq!(placed(&found, "a.example.com"), Place::Ambiguous(zones.to_vec()));
    }

    #[test]
    fn among_many_zones_a_few_names_are_asked_for_by_name() {
        let zones: Vec<ZoneInfo> = (0..1000).map(|n| zone(n, &format!("zone{n:04}.example"))).collect();
        let (found, requests) = discover(&zones, &["home.zone0900.example"]);
        assert!(requests <= 3, "{requests}");
        assert_eq!(placed(&found, "home.zone0900.example"), Place::In(&zones[900]));
        let (found, requests) = discover(&zones, &["home.zone0001.example"]);
        assert!(requests <= 2, "{requests}");
        assert_eq!(placed(&found, "home.zone0001.example"), Place::In(&zones[1]));
    }

    #[test]
    fn many_names_among_many_zones_cost_no_more_than_the_pages() {
        let zones: Vec<ZoneInfo> = (0..120).map(|n| zone(n, &format!("zone{n:04}.example"))).collect();
        let wanted: Vec<String> = (0..120).map(|n| format!("a.zone{n:04}.example")).collect();
        let wanted: Vec<&str> = wanted.iter().map(String::as_str).collect();
        let (found, requests) = discover(&zones, &wanted);
        assert_eq!(requests, 3);
        assert!(wanted.iter().all(|name| matches!(placed(&found, name), Place::In(_))));
    }

    #[test]
    fn a_lying_count_does_not_loop() {
        let mut discovery = Discovery::default();
        let names = [name("a.example.com")];
        let mut requests = 0;
        while let Some(request) = discovery.next(names.iter().map(|n| (n, &ZoneHint::Find))) {
            let Request::Zones { page, name } = request else { panic!() };
            requests += 1;
            assert!(requests < 10);
            discovery.took(
                page,
                name,
                Page {
                    items: Vec::new(),
                    entries: 0,
                    total: Some(u32::MAX),
                    per_page: None,
                    ids: Vec::new(),
                },
            );
        }
        assert_eq!(placed(&discovery, "a.example.com"), Place::Nowhere);
    }
}
