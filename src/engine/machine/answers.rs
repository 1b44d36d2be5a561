//! What the answers of Cloudflare come to: for the credential, the zone and its records, and what is said of
//! it.
//!
//! Deliberately unknown: how a zone is kept, which is `zone`; and how anything is worded.

use std::collections::BTreeSet;

use super::Engine;
use super::credential_of;
use crate::engine::account::{Effect, InFlight, Location};
use crate::engine::alerts::{AlertKey, Alerts};
use crate::engine::api::{self, Answer, Found};
use crate::engine::cache::{Happened, Surprise};
use crate::engine::diff::{self, Operation};
use crate::engine::failure::{Class, Failure};
use crate::engine::names::{Key, Moment, Ticket, ZoneId};
use crate::engine::notice::{Notice, Problem};
use crate::engine::settings::{AccountName, CredentialId};
use crate::engine::zone::{Parked, Progress, Reaction, Zone};

impl Engine {
    pub(super) fn answered(&mut self, ticket: Ticket, id: &CredentialId, mut answer: Answer, now: Moment) {
        let Some(credential) = self.credentials.get_mut(id) else {
            return;
        };
        credential.open = None;
        credential.limiter.settle(now);
        credential.limiter.heed(&answer.limits, now);
        let asked = self.accounts.iter_mut().find(|(_, account)| account.ticket() == Some(ticket));
        let Some((name, account)) = asked else {
            // The account is gone; what its credential is held for is not.
            if matches!(&answer.outcome, Err(failure) if failure.class == Class::Throttled) {
                credential.limiter.throttle(answer.retry_after, now, &mut self.rng);
                self.unsaved = true;
            }
            return;
        };
        let name = name.clone();
        // A refusal of the secret before says nothing of the one that has taken its place.
        let refused = |failure: &Failure| {
            matches!(failure.class, Class::Credential | Class::Search) || failure.class.is_of_zone()
        };
        let outdated = *id != credential_of(&name, account.settings())
            && answer.outcome.as_ref().err().is_some_and(refused);
        if outdated {
            answer.outcome = Err(Failure::without_answer(Class::NotSent, "the secret was replaced"));
        }
        let held = answer.retry_after.is_some();
        let Some((in_flight, effect)) = account.answered(&answer, credential, now, &mut self.rng) else {
            return;
        };
        self.unsaved |= held || matches!(effect, Effect::Throttled(_));
        if !outdated {
            self.tell_effect(&name, effect, answer.outcome.as_ref().err(), now);
        }
        match answer.outcome {
            Ok(found) => self.found(&name, &in_flight, found, now),
            Err(failure) => self.failed(&name, &in_flight, &failure, effect, now),
        }
        if let Some(account) = self.accounts.get_mut(&name).filter(|_| outdated) {
            account.trust_again(now);
        }
        if self.accounts.get(&name).is_some_and(|account| !account.lacks_something()) {
            self.rereads.remove(&name);
        }
    }

    fn found(&mut self, name: &AccountName, in_flight: &InFlight, found: Found, now: Moment) {
        let Some(account) = self.accounts.get_mut(name) else {
            return;
        };
        let refresh = account.refresh();
        match (found, &in_flight.zone) {
            (Found::Zones(page), _) => {
                self.alerts.clear(&AlertKey::Search(name.clone()), now);
                if account.searched(&in_flight.request, page, now) {
                    self.assign(now);
                    if let Some(account) = self.accounts.get_mut(name) {
                        account.search_later(now, &mut self.rng);
                    }
                    self.unsaved = true;
                }
            }
            (Found::Zone(zone), Some(id)) => {
                tell_odd(&mut self.alerts, name, &zone, now);
                if let Some(kept) = account.zone(id) {
                    kept.is_called(&zone);
                }
                self.assign(now);
                self.unsaved = true;
            }
            (Found::Records(page), Some(id)) => {
                // A tenth of jitter, so that zones that were listed together drift apart.
                let refresh = refresh.mul_f64(1.0 - self.rng.f64() / 10.0);
                let Some(zone) = account.zone(id) else { return };
                match zone.listed(page, &self.mark, refresh, now) {
                    Progress::More => {}
                    Progress::Whole(surprises) => self.listed(name, id, surprises, now),
                    Progress::Contradictory(why) => {
                        let trouble = Problem::Contradictory(zone.label(), why);
                        self.alerts.raise(AlertKey::Listing(name.clone(), id.clone()), trouble, now);
                    }
                    Progress::TooLong => {
                        let failure = Failure::without_answer(
                            Class::Zone,
                            "it has more records than stayput reads (200 pages of 5,000)",
                        );
                        zone.zone_refused(&failure, now, &mut self.rng);
                        let trouble = Problem::ZoneRefused(zone.label(), failure);
                        self.alerts.raise(AlertKey::Permission(name.clone(), id.clone()), trouble, now);
                    }
                }
            }
            (Found::Written(written), Some(id)) => {
                let Some(zone) = account.zone(id) else { return };
                let sent = zone.wrote(written, &self.mark, now);
                self.deleted +=
                    sent.iter().filter(|operation| matches!(operation.step, diff::Step::Delete(_))).count();
                self.alerts.say(Notice::Written { zone: zone.label(), operations: sent.clone() });
                self.unsaved = true;
                self.alerts.clear(&AlertKey::Permission(name.clone(), id.clone()), now);
                self.compare(name, id, now);
                self.park_unkept(name, id, &sent, now);
            }
            (Found::Token(_) | Found::Zone(_) | Found::Records(_) | Found::Written(_), _) => {}
        }
    }

    /// A list is whole.
    fn listed(&mut self, name: &AccountName, id: &ZoneId, surprises: Vec<Surprise>, now: Moment) {
        let Some(zone) = self.accounts.get_mut(name).and_then(|account| account.zone(id)) else { return };
        let (label, records) = (zone.label(), zone.copy().map_or(0, |copy| copy.records.len()));
        let fights: Vec<_> = zone
            .keys()
            .iter()
            .map(|key| (key.clone(), zone.fights_until(key, now), zone.is_fought_over(key)))
            .collect();
        if let Some((entry, id)) = zone.take_skipped() {
            self.alerts.say(Notice::Skipped { zone: label.clone(), entry, id });
        }
        self.alerts.say(Notice::Listed { zone: label, records });
        for (key, until, goes_on) in fights {
            let topic = AlertKey::Fight(key.clone());
            match until {
                Some(until) => self.alerts.raise(topic, Problem::Fight(key, now.until(until)), now),
                None if goes_on => {}
                None => self.alerts.clear(&topic, now),
            }
        }
        self.unsaved = true;
        self.alerts.clear(&AlertKey::Listing(name.clone(), id.clone()), now);
        self.alerts.clear(&AlertKey::Permission(name.clone(), id.clone()), now);
        self.compare(name, id, now);
        self.tell_found(name, id, now);
        for surprise in surprises {
            // What is in the way now says the same, with the way out.
            let told = matches!(
                self.alerts.wrong(&AlertKey::Record(surprise.key.clone())),
                Some(Problem::Obstacle(..))
            );
            let known = self.settings.records.contains_key(&surprise.key);
            if known && !told && surprise.what != Happened::Readdressed {
                self.alerts.say(Notice::Surprise(surprise));
            }
        }
    }

    /// Says what was done of a write that got no usable answer: then writes do arrive.
    fn tell_found(&mut self, name: &AccountName, id: &ZoneId, now: Moment) {
        let Some(account) = self.accounts.get_mut(name) else { return };
        let found = account.zone(id).map(|zone| (zone.label(), zone.take_found()));
        let Some((zone, operations)) = found.filter(|(_, found)| !found.is_empty()) else { return };
        account.write_found();
        self.alerts.say(Notice::Found { zone, operations });
        self.alerts.clear(&AlertKey::Api(name.clone()), now);
    }

    fn park_unkept(&mut self, name: &AccountName, id: &ZoneId, sent: &[Operation], now: Moment) {
        let zone = self.accounts.get_mut(name).and_then(|account| account.zone(id));
        let Some(zone) = zone else { return };
        let keys = zone.park_unkept(sent, &self.mark, now, &mut self.rng);
        self.tell_parked(name, id, &keys, now);
    }

    /// Says what is refused: one line, however many records it is about.
    fn tell_parked(&mut self, name: &AccountName, id: &ZoneId, keys: &[Key], now: Moment) {
        let zone = self.accounts.get_mut(name).and_then(|account| account.zone(id));
        let Some((first, zone)) = keys.first().zip(zone) else { return };
        if let Some(Parked { why, attributes, .. }) = zone.parked().get(first) {
            let trouble = Problem::Parked {
                key: first.clone(),
                others: keys.len() - 1,
                attributes: *attributes,
                why: why.clone(),
            };
            self.alerts.raise(AlertKey::Record(first.clone()), trouble, now);
        }
    }

    fn failed(
        &mut self,
        name: &AccountName,
        in_flight: &InFlight,
        failure: &Failure,
        effect: Effect,
        now: Moment,
    ) {
        let Some(id) = &in_flight.zone else { return };
        let Some(account) = self.accounts.get_mut(name) else {
            return;
        };
        let Some(zone) = account.zone(id) else { return };
        let (label, worked) = (zone.label(), zone.has_worked());
        let mut judged = failure.clone();
        if matches!(effect, Effect::Refused(_)) {
            judged.class = Class::Credential;
        }
        match zone.failed(&judged, &self.mark, now, &mut self.rng) {
            Reaction::None => {}
            Reaction::Parked(keys) => self.tell_parked(name, id, &keys, now),
            Reaction::Refused => {
                let topic = AlertKey::Permission(name.clone(), id.clone());
                self.alerts.raise(topic, Problem::ZoneRefused(label, failure.clone()), now);
                if failure.class == Class::ZoneGone {
                    account.lose(id, now, &mut self.rng);
                    self.unsaved = true;
                } else if worked {
                    account.doubt_place(id, now);
                }
                if failure.is_of_rights() {
                    self.rereads.insert(name.clone(), now);
                }
            }
        }
        if in_flight.request.writes() {
            self.unsaved = true;
        }
        self.compare(name, id, now);
    }

    /// Says what an answer means for the credential as a whole.
    fn tell_effect(&mut self, name: &AccountName, effect: Effect, failure: Option<&Failure>, now: Moment) {
        let credential = AlertKey::Credential(name.clone());
        let api = AlertKey::Api(name.clone());
        let throttled = AlertKey::Throttled(name.clone());
        match (effect, failure) {
            (Effect::Works, _) => {
                for topic in [credential, api, throttled] {
                    self.alerts.clear(&topic, now);
                }
            }
            (Effect::Answers, _) => {
                for topic in [credential, throttled] {
                    self.alerts.clear(&topic, now);
                }
            }
            (Effect::Throttled(until), _) => {
                let trouble = Problem::Throttled(name.clone(), now.until(until));
                self.alerts.raise(throttled, trouble, now);
            }
            (Effect::Refused(until), Some(failure)) => {
                let trouble = Problem::Credential(name.clone(), failure.clone(), now.until(until));
                self.alerts.raise(credential, trouble, now);
                // One message: the zones that refused first were refused for this.
                self.alerts
                    .forget(|topic| !matches!(topic, AlertKey::Permission(account, _) if account == name));
                self.rereads.insert(name.clone(), now);
            }
            (Effect::SearchRefused(until), Some(failure)) => {
                let trouble = Problem::SearchRefused(name.clone(), failure.clone(), now.until(until));
                self.alerts.raise(AlertKey::Search(name.clone()), trouble, now);
                self.rereads.insert(name.clone(), now);
            }
            (Effect::Down, Some(failure)) => {
                self.alerts.raise(api, Problem::Api(name.clone(), failure.clone()), now);
            }
            (Effect::Refused(_) | Effect::SearchRefused(_) | Effect::Down, None) => {}
        }
    }

    /// Says which names have no zone, or several, and which zones are odd.
    pub(super) fn tell_places(&mut self, now: Moment) {
        for (account_name, account) in &self.accounts {
            for (name, placed) in account.places() {
                let topic = AlertKey::Place(account_name.clone(), name.clone());
                let (account, name) = (account_name.clone(), name.clone());
                let trouble = match placed {
                    Location::In(_) => {
                        self.alerts.clear(&topic, now);
                        continue;
                    }
                    Location::Nowhere => Problem::NoZone(account, name),
                    Location::Ambiguous(zones) => Problem::Ambiguous(account, name, zones.clone()),
                    Location::Outside(zone) => Problem::Outside(name, zone.clone()),
                    Location::Undecided => continue,
                };
                self.alerts.raise(topic, trouble, now);
            }
        }
        for (name, account) in &self.accounts {
            let kept: BTreeSet<&ZoneId> = account.zones().map(Zone::id).collect();
            for zone in account.seen().filter(|zone| kept.contains(&zone.id)) {
                tell_odd(&mut self.alerts, name, zone, now);
            }
        }
    }
}

fn tell_odd(alerts: &mut Alerts, name: &AccountName, zone: &api::ZoneInfo, now: Moment) {
    let topic = AlertKey::Zone(name.clone(), zone.id.clone());
    if zone.paused || &*zone.status != "active" || !matches!(&*zone.kind, "full" | "") {
        alerts.raise(topic, Problem::OddZone(zone.clone()), now);
    } else {
        alerts.clear(&topic, now);
    }
}
