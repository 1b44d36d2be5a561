//! Which zone each name lies in: found by a search, kept while nothing better is known, looked for again.

use std::collections::{BTreeMap, BTreeSet};

use super::{Account, Location, Overview, Task};
use crate::engine::api::{Page, Request, ZoneInfo};
use crate::engine::credential::Credential;
use crate::engine::discovery::{Discovery, Place};
use crate::engine::names::{Key, Moment, Name, ZoneId};
use crate::engine::notice::Notice;
use crate::engine::settings::{Wanted, ZoneHint};
use crate::engine::zone::Zone;

impl Account {
    /// Sets what is kept with this account, and gives each name its zone as far as it is known. Returns
    /// the names whose zone is another one than before.
    pub fn keep<'a>(
        &mut self,
        wanted: impl Iterator<Item = (&'a Key, &'a Wanted)>,
        now: Moment,
    ) -> Vec<Notice> {
        let wanted: Vec<_> = wanted.collect();
        let hints = wanted.iter().map(|(key, wanted)| (key.name.clone(), wanted.zone.clone()));
        let hints: BTreeMap<Name, ZoneHint> = hints.collect();
        // A name whose hint is another one than before is placed anew.
        let same = |name: &Name| self.hints.is_empty() || self.hints.get(name) == hints.get(name);
        let known: BTreeMap<Name, Location> = std::mem::take(&mut self.places)
            .into_iter()
            .filter(|(name, placed)| same(name) && matches!(placed, Location::In(_)))
            .collect();
        self.places.clone_from(&known);
        self.hints = hints;
        self.settle_places(now);
        // What an earlier search has not shown may be there by now.
        let looked = std::mem::take(&mut self.searched_just_now);
        if self.has_lost() && self.discover_at.is_none() && !looked {
            self.search_anew(now);
        }
        let mut keys: BTreeMap<ZoneId, BTreeSet<Key>> = BTreeMap::new();
        let mut leaving: BTreeMap<ZoneId, BTreeSet<Key>> = BTreeMap::new();
        let mut moved = Vec::new();
        for (key, _) in wanted {
            let Location::In(id) = self.place(&key.name) else { continue };
            keys.entry(id.clone()).or_default().insert(key.clone());
            let before = match known.get(&key.name) {
                Some(Location::In(before)) if before != id => self.zones.get(before),
                _ => None,
            };
            let Some(before) = before else { continue };
            if before.refused().is_none() && before.copy().is_some() {
                leaving.entry(before.id().clone()).or_default().insert(key.clone());
            }
            let to = self.zones.get(id).map_or_else(|| id.as_str().into(), Zone::label);
            moved.push(Notice::Moved { name: key.name.clone(), from: before.label(), to });
        }
        moved.dedup();
        let gone = |zone: &Zone| {
            let lacks = |name: &Name| self.discovery.lacks(name, zone.id());
            looked && zone.refused().is_some() && zone.name().is_some_and(lacks)
        };
        for zone in self.zones.values().filter(|zone| !gone(zone)) {
            let still = zone.leaving().iter().filter(|key| self.hints.contains_key(&key.name));
            let still = still.filter(|key| self.place(&key.name) != &Location::In(zone.id().clone()));
            leaving.entry(zone.id().clone()).or_default().extend(still.cloned());
        }
        // What is known of a zone that is named stays known, also when no name turns out to lie in it.
        let named =
            |id: &ZoneId| self.hints.values().any(|hint| matches!(hint, ZoneHint::Id(it, _) if it == id));
        let leaves = |id: &ZoneId| leaving.get(id).is_some_and(|keys| !keys.is_empty());
        self.zones.retain(|id, _| keys.contains_key(id) || leaves(id) || named(id));
        for (id, zone) in &mut self.zones {
            zone.keep(keys.remove(id).unwrap_or_default(), leaving.remove(id).unwrap_or_default());
        }
        moved
    }

    fn settle_places(&mut self, now: Moment) {
        let hints = std::mem::take(&mut self.hints);
        for (name, hint) in &hints {
            let placed = match hint {
                ZoneHint::Id(id, _) => self.place_by_id(name, id, now),
                ZoneHint::Find | ZoneHint::Named(_) => self.place_by_search(name, hint, now),
            };
            self.places.insert(name.clone(), placed);
        }
        self.places.retain(|name, _| hints.contains_key(name));
        self.hints = hints;
        self.note_overview();
    }

    fn note_overview(&mut self) {
        let is_lost = |placed: &Location| matches!(placed, Location::Nowhere | Location::Ambiguous(_));
        self.overview = Overview {
            undecided: self.hints.keys().any(|name| *self.place(name) == Location::Undecided),
            lost: self.places.values().any(is_lost),
            finds: self.hints.values().any(|hint| matches!(hint, ZoneHint::Find)),
        };
    }

    fn place_by_id(&mut self, name: &Name, id: &ZoneId, now: Moment) -> Location {
        let zone = self.zones.entry(id.clone()).or_insert_with(|| Zone::new(id.clone(), None, now));
        match zone.name() {
            Some(zone) if !name.is_within(zone) => Location::Outside(zone.clone()),
            _ => Location::In(id.clone()),
        }
    }

    /// What is known stays, until a search has found something better.
    fn place_by_search(&mut self, name: &Name, hint: &ZoneHint, now: Moment) -> Location {
        let known = match self.places.get(name) {
            Some(Location::In(id)) if self.zones.get(id).is_some_and(|zone| suits(zone, name, hint)) => {
                Some(id)
            }
            _ => None,
        };
        let found = self.discovery.place(name, hint);
        match (found, known) {
            (Place::In(zone), _) => {
                let id = zone.id.clone();
                let new = || Zone::new(id.clone(), None, now);
                self.zones.entry(id.clone()).or_insert_with(new).is_called(zone);
                Location::In(id)
            }
            (_, Some(known)) => Location::In(known.clone()),
            (Place::Nowhere, None) => Location::Nowhere,
            (Place::Ambiguous(zones), None) => Location::Ambiguous(zones),
            (Place::Undecided(_), None) => Location::Undecided,
        }
    }

    pub(super) fn next_search(&self) -> Option<Request> {
        if !self.verifying && !self.overview.undecided {
            return None;
        }
        let open = self.hints.iter().filter(|(name, hint)| match hint {
            ZoneHint::Id(..) => false,
            ZoneHint::Find | ZoneHint::Named(_) => {
                self.verifying || matches!(self.place(name), Location::Undecided)
            }
        });
        self.discovery.next(open)
    }

    /// Whether a name has no zone, or too many.
    pub(super) fn has_lost(&self) -> bool {
        self.overview.lost
    }

    pub(super) fn search_anew(&mut self, now: Moment) {
        self.discovery = Discovery::default();
        self.verifying = true;
        self.settle_places(now);
    }

    /// Takes in a page of zones. True: all names are decided.
    pub fn searched(&mut self, request: &Request, page: Page<ZoneInfo>, now: Moment) -> bool {
        if let Request::Zones { page: number, name } = request {
            self.discovery.took(*number, name.clone(), page);
        }
        self.discover_at = None;
        (self.search_worked, self.search_refused) = (true, false);
        if self.next_search().is_some() {
            return false;
        }
        self.verifying = false;
        self.searched_just_now = true;
        self.verified_at = Some(now);
        true
    }

    /// After the names were placed by a search that is over: when to search again.
    pub fn search_later(&mut self, now: Moment, rng: &mut fastrand::Rng) {
        if self.has_lost() {
            self.discover_at = Some(now + self.searches.next(rng));
        } else {
            self.searches.reset();
        }
    }

    /// A zone that was found is gone: find its names anew, later.
    pub fn lose(&mut self, id: &ZoneId, now: Moment, rng: &mut fastrand::Rng) {
        if self.is_named(id) {
            // It stays, for it is in the configuration; but what was known of it is no longer true.
            self.zones.get_mut(id).into_iter().for_each(Zone::doubt);
            return;
        }
        self.zones.remove(id);
        self.places.retain(|_, placed| *placed != Location::In(id.clone()));
        self.note_overview();
        self.discovery = Discovery::default();
        self.discover_at = Some(now + self.searches.next(rng));
    }

    /// A zone that was found refuses: there may be another one of its name by now.
    pub fn doubt_place(&mut self, id: &ZoneId, now: Moment) {
        if !self.is_named(id) && !self.verifying {
            self.discover_at = Some(now);
            self.discovery = Discovery::default();
            self.verifying = true;
        }
    }

    fn is_named(&self, id: &ZoneId) -> bool {
        self.hints.values().any(|hint| matches!(hint, ZoneHint::Id(named, _) if named == id))
    }

    /// When it is time to see whether a name lies in a better zone by now.
    pub(super) fn verify_at(&self) -> Option<Moment> {
        self.verified_at.filter(|_| self.overview.finds).map(|at| at + self.settings.refresh)
    }

    /// An operator asks whether the names lie in better zones by now.
    pub fn verify_now(&mut self) {
        if self.verify_at().is_some() && !self.verifying {
            self.discovery = Discovery::default();
            self.verifying = true;
        }
    }

    pub(super) fn search_due(&self, credential: &Credential, now: Moment) -> Option<(Moment, Task)> {
        let held = credential.held_until(&None, now).unwrap_or(now);
        let again = self.discover_at.is_some() || self.verifying;
        let at = match self.next_search() {
            Some(_) => Some(self.discover_at.unwrap_or(now)),
            None if self.has_lost() => self.discover_at,
            None => self.verify_at(),
        };
        let task = if again || self.next_search().is_none() { Task::SearchAgain } else { Task::Search };
        at.map(|at| (at.max(held).max(now), task))
    }

    /// Whether it is still to be found out which zones there are, and nothing stands against it.
    pub fn is_searching(&self, credential: &Credential, now: Moment) -> bool {
        let open = self.places.values().any(|placed| *placed == Location::Undecided);
        open && self.discover_at.is_none_or(|at| at <= now) && !self.is_held(credential, now)
    }
}

/// Whether a name can lie in this zone, as far as its name and the configuration say.
fn suits(zone: &Zone, name: &Name, hint: &ZoneHint) -> bool {
    zone.name().is_some_and(|zone| match hint {
        ZoneHint::Named(named) => zone == named,
        ZoneHint::Find | ZoneHint::Id(..) => name.is_within(zone),
    })
}
