//! What the looks come to: what is believed from now on, what is said of it, and which families this
//! host does not have.
//!
//! Deliberately unknown: how a look goes, which is `watch`; and what is done with an address.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::Engine;
use crate::engine::alerts::AlertKey;
use crate::engine::names::{Family, Line, Moment};
use crate::engine::notice::{Notice, Problem};
use crate::engine::ranges;
use crate::engine::settings::Tunnel;
use crate::engine::watch::{self, LookError, Outcome, Watch};
use crate::engine::zone::Zone;

impl Engine {
    pub(super) fn heard(&mut self, line: Line, index: usize, answer: Result<IpAddr, LookError>, now: Moment) {
        let answer = self.judged(line.family, answer);
        let Some(watch) = self.watches.get_mut(&line) else {
            return;
        };
        let before = (watch.hold_until(), watch.holds().tunnelled);
        let Some(outcome) = watch.heard(index, answer, now, &mut self.rng) else {
            return;
        };
        self.unsaved |= before != (watch.hold_until(), watch.holds().tunnelled);
        self.tell_holds(line, &outcome, now);
        let news = matches!(outcome, Outcome::Changed { .. });
        let confirms = news || matches!(outcome, Outcome::Same | Outcome::Dissent { .. });
        self.tell_outcome(line, outcome, now);
        if confirms && self.confirmed.insert(line) || news {
            self.compare_all(now);
        }
        if news {
            self.unsaved = true;
            self.coalesce.begin(line, &mut self.watches, now);
        }
    }

    /// Only an address that may be published is an answer.
    fn judged(&self, family: Family, answer: Result<IpAddr, LookError>) -> Result<IpAddr, LookError> {
        let address = match answer {
            Err(LookError::Warp(address)) if self.settings.tunnel == Tunnel::Allow => address,
            answer => answer?,
        };
        if Family::of(address) != family {
            return Err(LookError::WrongFamily(address));
        }
        match ranges::publishable(address, &self.settings.allow) {
            Ok(()) => Ok(address),
            Err(why) => Err(LookError::NotPublic(address, why)),
        }
    }

    fn tell_outcome(&mut self, line: Line, outcome: Outcome, now: Moment) {
        let trouble = match outcome {
            Outcome::Same | Outcome::Held { .. } | Outcome::Tunnelled(_) => None,
            Outcome::Dissent { source, says } => {
                if let Some(others) = self.believed(line) {
                    self.alerts.tell_dissent(&source, (says, others), now);
                }
                None
            }
            Outcome::Changed { from, to } => {
                let said = self.watches.get(&line).and_then(Watch::believed).map(|believed| &believed.said);
                let agreeing = said.into_iter().flatten().filter(|(_, says)| **says == to);
                let said_by = agreeing.map(|(label, _)| label.clone()).collect();
                self.alerts.say(Notice::Address { line, from, to, said_by });
                None
            }
            Outcome::Unconfirmed(heard) => {
                let sources = self.settings.sources.get(&line).map_or(&[][..], Vec::as_slice);
                let need = watch::needed(sources, self.settings.agree);
                Some(Problem::Unconfirmed { line, keeps: self.published(line), heard, need })
            }
            Outcome::Silence(heard) => {
                let no_route = self.watches.get(&line).is_some_and(Watch::has_no_route);
                Some(Problem::Silence { line, keeps: self.published(line), heard, no_route })
            }
        };
        match trouble {
            Some(trouble) => self.alerts.raise(AlertKey::Address(line), trouble, now),
            None => self.alerts.clear(&AlertKey::Address(line), now),
        }
    }

    /// Says what keeps a new address from being published, and that it no longer does.
    fn tell_holds(&mut self, line: Line, outcome: &Outcome, now: Moment) {
        let Some(watch) = self.watches.get(&line) else { return };
        let (hold, tunnelled) = (watch.hold_until(), watch.holds().tunnelled);
        let holds = watch.holds().flaps.holds;
        if let Outcome::Held { address, until } = *outcome {
            let (keeps, wait) = (self.published(line), now.until(until));
            let trouble = Problem::Flapping { line, keeps, address, until, wait, holds };
            self.alerts.raise(AlertKey::Flaps(line), trouble, now);
        } else if hold.is_none_or(|until| until <= now) {
            self.alerts.clear(&AlertKey::Flaps(line), now);
        }
        if tunnelled {
            let trouble = Problem::Tunnelled { line, keeps: self.published(line) };
            self.alerts.raise(AlertKey::Tunnel(line), trouble, now);
        } else {
            self.alerts.clear(&AlertKey::Tunnel(line), now);
        }
    }

    // --- families that the host does not have ---

    pub(super) fn note_missing(&mut self, missing: BTreeSet<Family>, now: Moment) {
        let before = std::mem::replace(&mut self.missing, missing);
        let mut doubted = false;
        for (line, watch) in &mut self.watches {
            match (before.contains(&line.family), self.missing.contains(&line.family)) {
                (false, true) => {
                    watch.suspend();
                    self.tickets.void_looks(*line);
                    doubted |= self.confirmed.remove(line);
                }
                (true, false) => watch.resume(now),
                _ => {}
            }
        }
        self.tell_missing(now);
        if doubted {
            self.compare_all(now);
        }
    }

    /// Says once that a line is left alone, or that it was lost.
    pub(super) fn tell_missing(&mut self, now: Moment) {
        let missing = |line: &Line| self.missing.contains(&line.family);
        let lines: Vec<Line> = self.watches.keys().copied().filter(missing).collect();
        for line in lines {
            if self.is_lost(line) {
                let trouble = Problem::Lost { line, keeps: self.published(line) };
                self.alerts.raise(AlertKey::Address(line), trouble, now);
                continue;
            }
            self.alerts.forget(|topic| *topic != AlertKey::Address(line));
            if self.said_missing.insert(line) {
                self.alerts.say(Notice::Missing(line));
            }
        }
    }

    /// Whether the host does not have this line and, as far as is remembered, never had: no failure.
    pub fn is_without(&self, line: Line) -> bool {
        self.missing.contains(&line.family)
            && self.watches.get(&line).is_none_or(|watch| watch.believed().is_none())
    }

    /// Whether the host had this line and has it no longer.
    pub fn is_lost(&self, line: Line) -> bool {
        self.missing.contains(&line.family) && !self.is_without(line)
    }

    pub(super) fn way_out_gone(&mut self, line: Line, now: Moment) {
        if let Some(watch) = self.watches.get_mut(&line) {
            self.unsaved |= watch.hold_until().is_some();
            watch.try_again(now);
        }
    }

    /// The address of a line that is believed.
    pub fn believed(&self, line: Line) -> Option<IpAddr> {
        self.watches.get(&line).and_then(Watch::believed).map(|believed| believed.address)
    }

    /// Why no address of a line is wanted anywhere.
    pub(super) fn why_unknown(&self, line: Line) -> String {
        let topics = [AlertKey::Address(line), AlertKey::Tunnel(line), AlertKey::Flaps(line)];
        match topics.iter().find_map(|topic| self.alerts.wrong(topic)) {
            Some(trouble) => trouble.to_string(),
            None if self.is_without(line) => format!("this host has no {line}"),
            None => format!("the {line} address is not known yet"),
        }
    }

    /// The one address that all our records of a line hold, by what Cloudflare has said. `None`: there
    /// are several, or none, or it is not known.
    fn published(&self, line: Line) -> Option<IpAddr> {
        let zones = || self.accounts.values().flat_map(crate::engine::account::Account::zones);
        if !zones().all(Zone::is_believed) {
            return None;
        }
        let copies = zones().filter_map(Zone::copy);
        let mut contents =
            copies.flat_map(|copy| copy.ours_of(line.family.record_type())).map(|record| &record.content);
        let first = contents.next()?;
        contents.all(|content| content == first).then_some(first)?.address()
    }
}
