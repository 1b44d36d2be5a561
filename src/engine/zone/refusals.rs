//! Records that Cloudflare refuses, or some of their attributes: finding the guilty one, leaving it out,
//! and trying it again later.

use std::collections::{BTreeMap, BTreeSet};

use super::parked::Parked;
use super::{PARKED, Reaction, Zone};
use crate::engine::api::Batch;
use crate::engine::diff::{Operation, Step};
use crate::engine::failure::{Class, Failure};
use crate::engine::limiter::Backoff;
use crate::engine::names::{Key, Moment};
use crate::engine::notice::Reason;
use crate::engine::ownership::OwnerMark;
use crate::engine::settings::Attributes;

impl Zone {
    /// A new try of what was refused was accepted.
    pub(super) fn unpark(&mut self, sent: &[Operation]) {
        // What is accepted may still not be kept; only the comparison shows that.
        let refused =
            |key: &Key| matches!(self.parked.get(key), Some(parked) if parked.why != Reason::NotKept);
        let well: BTreeSet<&Key> =
            sent.iter().map(|operation| &operation.key).filter(|key| refused(key)).collect();
        let accepted: Vec<Parked> = well.into_iter().filter_map(|key| self.parked.remove(key)).collect();
        // What was refused for the same reason is probably well too.
        self.parked.retain(|_, parked| !accepted.iter().any(|well| well.why.same_kind(&parked.why)));
    }

    /// After [`Zone::wrote`] and [`Zone::compare`]: what was sent and is wanted once more is
    /// parked, because Cloudflare does not keep it. Returns what was parked.
    pub fn park_unkept(
        &mut self,
        sent: &[Operation],
        mark: &OwnerMark,
        now: Moment,
        rng: &mut fastrand::Rng,
    ) -> Vec<Key> {
        let mut unkept: BTreeMap<Key, Attributes> = BTreeMap::new();
        for wanted in &self.difference.operations {
            let again =
                sent.iter().any(|sent| sent.key == wanted.key && asks_the_same(&wanted.step, &sent.step));
            if again {
                let held = wanted.before.as_ref().map(|before| &before.content);
                let same = matches!(&wanted.step, Step::Patch(patch) if Some(&patch.content) == held);
                let attributes = if same { wanted.attributes(mark) } else { Attributes::default() };
                unkept.insert(wanted.key.clone(), attributes);
            }
        }
        for (key, attributes) in &unkept {
            self.park(key, (Reason::NotKept, *attributes), now, rng);
        }
        unkept.into_keys().collect()
    }

    /// The answer does not say which operation is the guilty one: halve until it is found.
    pub(super) fn content_refused(
        &mut self,
        sent: &[Operation],
        (failure, mark): (&Failure, &OwnerMark),
        now: Moment,
        rng: &mut fastrand::Rng,
    ) -> Reaction {
        if sent.len() > Batch::MOST_OPERATIONS && !self.small_batches {
            // The plan may have changed.
            self.small_batches = true;
            return Reaction::None;
        }
        let keys: BTreeSet<&Key> = sent.iter().map(|operation| &operation.key).collect();
        if keys.len() > 1 {
            self.suspects = Some(sent.len());
            return Reaction::None;
        }
        // Where one is refused, others may be: on with one, and four times as many after each success.
        (self.suspects, self.limit) = (None, 1);
        let Some(operation) = sent.first() else { return Reaction::None };
        let sets = sent.iter().fold(Attributes::default(), |all, step| all.or(step.attributes(mark)));
        let guilty = failure.blames.map_or(sets, |blamed| blamed.and(sets));
        let before = self.parked.get(&operation.key).map(|parked| parked.attributes).unwrap_or_default();
        let attributes = if guilty.any() { guilty.or(before) } else { Attributes::default() };
        let why = (Reason::Refused(failure.clone()), attributes);
        let due = self.park(&operation.key, why.clone(), now, rng);
        // One try stands for all that were refused for the same reason.
        for other in self.parked.values_mut().filter(|other| other.why.same_kind(&why.0)) {
            other.due = other.due.max(due);
        }
        let mut keys = vec![operation.key.clone()];
        keys.extend(self.park_kind(operation, why, now, rng));
        Reaction::Parked(keys)
    }

    /// After two single refusals of the same kind, everything that asks for the same is parked with them.
    fn park_kind(
        &mut self,
        guilty: &Operation,
        (why, attributes): (Reason, Attributes),
        now: Moment,
        rng: &mut fastrand::Rng,
    ) -> Vec<Key> {
        let full = matches!(&why, Reason::Refused(failure) if failure.class == Class::ZoneFull);
        let alike = |parked: &&Parked| parked.attributes == attributes && parked.why.same_kind(&why);
        if !(full || attributes.any() && self.parked.values().filter(alike).count() >= 2) {
            return Vec::new();
        }
        let of_kind = |operation: &&Operation| {
            !self.parked.contains_key(&operation.key)
                && match full {
                    true => matches!(operation.step, Step::Post(_)),
                    false => guilty.asks_alike(operation, attributes),
                }
        };
        let keys: BTreeSet<Key> = self
            .difference
            .operations
            .iter()
            .filter(of_kind)
            .map(|operation| operation.key.clone())
            .collect();
        for key in &keys {
            self.park(key, (why.clone(), attributes), now, rng);
        }
        self.limit = Batch::PAID_OPERATIONS;
        keys.into_iter().collect()
    }

    fn park(
        &mut self,
        key: &Key,
        (why, attributes): (Reason, Attributes),
        now: Moment,
        rng: &mut fastrand::Rng,
    ) -> Moment {
        let (since, mut backoff, wanted) = match self.parked.remove(key) {
            // The address that is refused now did not wait so far.
            Some(parked) if parked.attributes.any() && !attributes.any() => {
                (now, Backoff::between(PARKED.0, PARKED.1), parked.wanted)
            }
            Some(parked) => (parked.since, parked.backoff, parked.wanted),
            None => (now, Backoff::between(PARKED.0, PARKED.1), None),
        };
        let due = now + backoff.next(rng);
        self.parked.insert(key.clone(), Parked { why, attributes, since, due, wanted, backoff });
        due
    }
}

/// Whether a step asks for nothing that an earlier one has not asked for already.
fn asks_the_same(wanted: &Step, sent: &Step) -> bool {
    fn within<T: PartialEq>(wanted: Option<&T>, sent: Option<&T>) -> bool {
        wanted.is_none() || wanted == sent
    }
    match (wanted, sent) {
        (Step::Patch(wanted), Step::Patch(sent)) => {
            wanted.content == sent.content
                && within(wanted.proxied.as_ref(), sent.proxied.as_ref())
                && within(wanted.ttl.as_ref(), sent.ttl.as_ref())
                && within(wanted.comment.as_ref(), sent.comment.as_ref())
                && within(wanted.tags.as_ref(), sent.tags.as_ref())
        }
        (Step::Patch(wanted), Step::Post(sent)) => {
            wanted.content == sent.content
                && within(wanted.proxied.as_ref(), Some(&sent.proxied))
                && within(wanted.ttl.as_ref(), Some(&sent.ttl))
                && within(wanted.comment.as_ref(), Some(&sent.comment))
                && within(wanted.tags.as_ref(), Some(&sent.tags))
        }
        (wanted, sent) => wanted == sent,
    }
}
