//! Keeping one zone: its confirmed copy, how it is listed, what is sent next, and which records
//! Cloudflare refuses.
//!
//! A write rests on a list that was begun at most [`FRESH`] before it leaves; a delete on one that was begun
//! when the delete was wanted already. Deliberately unknown: other zones, the budget, the credential, and
//! how an address is believed.

mod failures;
mod fights;
mod listing;
mod parked;
mod reading;
mod refusals;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::api::{Batch, Request, Written, ZoneInfo};
use super::cache::ZoneCache;
use super::diff::{Difference, Goal, Operation, Step, batch, difference};
use super::failure::Failure;
use super::limiter::Backoff;
use super::names::{Key, Moment, Name, Record, RecordId, ZoneId};
use super::ownership::OwnerMark;
use super::settings::Options;

use fights::Fights;
pub use listing::Progress;
use listing::{Listing, Recent};
pub use parked::Parked;

/// A write is begun only so soon after the list that it rests on was. Persist the state and sending may
/// take 40 s more (`daemon`), so no write arrives more than 60 s after its list.
pub const FRESH: Duration = Duration::from_secs(20);
/// A list that takes longer counts as begun so long ago: otherwise nothing could ever rest on it.
const LONGEST_READING: Duration = Duration::from_secs(15);
/// Page sizes for a whole zone. One page holds any zone of a free or paid plan; where such a page
/// times out or comes cut off, the next is smaller.
const PAGE_SIZES: [u32; 3] = [5000, 1000, 100];
/// A name has few records.
const NAME_PAGE_SIZE: u32 = 100;
/// A list of more pages is refused.
const MOST_PAGES: u32 = 200;
/// How soon, and how rarely, a refused record is tried again.
const PARKED: (Duration, Duration) = (Duration::from_secs(600), Duration::from_secs(12 * 3600));
/// A list that shows what we replaced within this time is stale, and no edit.
const SETTLING: Duration = Duration::from_secs(10);
/// A stale list is read again after this time.
const STALE_RETRY: Duration = Duration::from_secs(3);
/// For so long batches stay smaller than one that got no answer.
const LOST_MEMORY: Duration = Duration::from_secs(3600);
/// Left-overs that are remembered.
const MOST_LEFTOVERS: usize = 200;

/// One zone that is kept.
#[derive(Clone, Debug)]
pub struct Zone {
    id: ZoneId,
    /// Its name, if Cloudflare has said it.
    name: Option<Name>,
    /// Whether Cloudflare has said it since the start, and not only the state.
    name_proven: bool,
    /// Its name is asked for first: only that tells whether NS records are the zone's own.
    unnamed: bool,
    /// `plan.legacy_id`.
    plan: Option<Box<str>>,
    keys: BTreeSet<Key>,
    /// Names and types that lie in another zone by now: our records of them go.
    leaving: BTreeSet<Key>,
    names: BTreeSet<Name>,
    copy: Option<ZoneCache>,
    /// Whether the copy covers all names.
    covered: bool,
    /// When the list that the copy rests on was begun; `None` while the copy is missing or doubted.
    listed_at: Option<Moment>,
    refresh_at: Moment,
    /// From then on a list may adopt a record whose mark was taken away, and asks anew for delegations that
    /// are known.
    adopt_at: Moment,
    listing: Option<Listing>,
    page_size: usize,
    contradictions: u32,
    difference: Difference,
    /// The records that were to be deleted when the list that the copy rests on was begun.
    read_for: BTreeSet<RecordId>,
    sending: Vec<Operation>,
    /// What was sent and got no usable answer: the next list shows whether it was done.
    unanswered: Vec<Operation>,
    /// Whether what is being sent is a new try of what was refused.
    trying: bool,
    /// The most operations in the next batch.
    limit: usize,
    /// Batches of more than a free plan allows were refused.
    small_batches: bool,
    /// A batch of so many operations got no answer, at this time.
    lost: Option<(usize, Moment)>,
    /// So many operations at the front are known to hold one that is refused.
    suspects: Option<usize>,
    parked: BTreeMap<Key, Parked>,
    wrong_copies: u8,
    retry: Backoff,
    retry_at: Option<Moment>,
    write_retry: Backoff,
    write_at: Option<Moment>,
    refusals: Backoff,
    refused: Option<Failure>,
    /// Whether the same credential was accepted for another zone since this one is refused.
    refused_alone: bool,
    /// Whether this zone has ever answered.
    worked: bool,
    served: u64,
    turn: u64,
    recent: Vec<(Moment, Recent)>,
    fights: Fights,
    leftovers: Vec<Record>,
    skipped: Skipped,
}

/// The first entry of a list that cannot be read and is in nobody's way.
#[derive(Clone, Debug, Default)]
enum Skipped {
    #[default]
    None,
    /// Its name and identifier.
    Seen(Name, Box<str>),
    Told,
}

/// What a zone wants to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Job {
    /// Send operations; those on parked records alone.
    Send,
    /// Try a parked record again.
    Retry,
    /// Ask for the zone's name before anything is created in it.
    Identify,
    /// List it, because there is no copy that can be believed.
    List,
    /// List it, because something is to be written.
    Read,
    /// List it, because something may be to be written soon.
    Ahead,
    /// List it again, because the copy has grown old.
    Refresh,
}

/// What may be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writing {
    /// Everything.
    Allowed,
    /// Batches with deletes only when the other zones are known: there may be too many in all.
    DeletesLater,
    /// No deletes: there are too many.
    NoDeletes,
    /// Nothing for a moment: more is about to be known.
    Wait,
    /// Nothing: this is only a plan.
    Nothing,
}

/// What a failure did to the zone, for the one who tells the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reaction {
    /// Nothing worth a word: it is tried again.
    None,
    /// These records, or attributes of them, are parked from now on, or still.
    Parked(Vec<Key>),
    /// The zone as a whole is refused.
    Refused,
}

impl Zone {
    /// A zone of which nothing is known yet.
    pub fn new(id: ZoneId, name: Option<Name>, now: Moment) -> Zone {
        Zone {
            id,
            name,
            name_proven: false,
            unnamed: false,
            plan: None,
            keys: BTreeSet::new(),
            leaving: BTreeSet::new(),
            names: BTreeSet::new(),
            copy: None,
            covered: false,
            listed_at: None,
            refresh_at: now,
            adopt_at: now,
            listing: None,
            page_size: 0,
            contradictions: 0,
            difference: Difference::default(),
            read_for: BTreeSet::new(),
            sending: Vec::new(),
            unanswered: Vec::new(),
            trying: false,
            limit: Batch::PAID_OPERATIONS,
            small_batches: false,
            lost: None,
            suspects: None,
            parked: BTreeMap::new(),
            wrong_copies: 0,
            retry: Backoff::between(Duration::from_secs(2), Duration::from_secs(600)),
            retry_at: None,
            write_retry: Backoff::between(Duration::from_secs(2), Duration::from_secs(600)),
            write_at: None,
            refusals: Backoff::between(Duration::from_secs(300), Duration::from_secs(6 * 3600)),
            refused: None,
            refused_alone: false,
            worked: false,
            served: 0,
            turn: 0,
            recent: Vec::new(),
            fights: Fights::default(),
            leftovers: Vec::new(),
            skipped: Skipped::None,
        }
    }

    /// A zone with the copy from before a restart. `listed_at`: `None` if the copy is doubted.
    pub fn remember(&mut self, copy: ZoneCache, listed_at: Option<Moment>, refresh: Duration) {
        self.worked = true;
        self.copy = Some(copy);
        self.note_cover();
        self.listed_at = listed_at;
        self.adopt_at = listed_at.unwrap_or(self.refresh_at) + refresh;
        if let Some(listed_at) = listed_at {
            self.refresh_at = listed_at + refresh;
        }
    }

    /// The zone's identifier.
    pub fn id(&self) -> &ZoneId {
        &self.id
    }

    /// The zone's name, if Cloudflare has said it.
    pub fn name(&self) -> Option<&Name> {
        self.name.as_ref()
    }

    /// The zone's plan, if Cloudflare has said it.
    pub fn plan(&self) -> Option<&str> {
        self.plan.as_deref()
    }

    /// The zone's name, or its identifier.
    pub fn label(&self) -> Box<str> {
        match &self.name {
            Some(name) => name.as_str().into(),
            None => self.id.as_str().into(),
        }
    }

    /// What is kept in it.
    pub fn keys(&self) -> &BTreeSet<Key> {
        &self.keys
    }

    /// What lies in another zone by now.
    pub fn leaving(&self) -> &BTreeSet<Key> {
        &self.leaving
    }

    /// The confirmed copy, believed or not.
    pub fn copy(&self) -> Option<&ZoneCache> {
        self.copy.as_ref()
    }

    /// The same, to note that it was remembered.
    pub fn copy_mut(&mut self) -> Option<&mut ZoneCache> {
        self.copy.as_mut()
    }

    /// When the copy was listed; `None` while it is missing or doubted, or a write is on its way.
    pub fn listed_at(&self) -> Option<Moment> {
        self.listed_at.filter(|_| self.sending.is_empty())
    }

    /// What differs, as far as the copy is believed.
    pub fn difference(&self) -> &Difference {
        &self.difference
    }

    /// Records that carry our mark under a name that is not kept, where the zone was listed whole.
    pub fn leftovers(&self) -> &[Record] {
        &self.leftovers
    }

    /// An entry that was skipped because it cannot be read, by name and identifier: once.
    pub fn take_skipped(&mut self) -> Option<(Name, Box<str>)> {
        match std::mem::replace(&mut self.skipped, Skipped::Told) {
            Skipped::Seen(name, id) => Some((name, id)),
            before => {
                self.skipped = before;
                None
            }
        }
    }

    /// Whether deletes are wanted that Cloudflare does not refuse, as far as is known.
    pub fn has_deletes(&self) -> bool {
        self.difference.last_operations().iter().any(|operation| !self.is_parked(&operation.key))
    }

    /// Records that Cloudflare refuses, or some of their attributes.
    /// Until when a record is left alone because somebody else writes it, too.
    pub fn fights_until(&self, key: &Key, now: Moment) -> Option<Moment> {
        self.fights.until(key, now)
    }

    /// Whether somebody else has written a record often enough of late.
    pub fn is_fought_over(&self, key: &Key) -> bool {
        self.fights.is_on(key)
    }

    pub fn parked(&self) -> &BTreeMap<Key, Parked> {
        &self.parked
    }

    /// Whether the record as a whole is parked.
    pub fn is_parked(&self, key: &Key) -> bool {
        self.parked.get(key).is_some_and(|parked| !parked.attributes.any())
    }

    /// Whether its refusal may be the credential's: nothing else was granted to that since.
    pub fn speaks_against_credential(&self) -> bool {
        self.worked && !self.refused_alone
    }

    /// The credential was accepted for another zone.
    pub fn is_refused_alone(&mut self) {
        self.refused_alone = self.refused.is_some();
    }

    /// Why the zone as a whole is refused, if it is.
    pub fn refused(&self) -> Option<&Failure> {
        self.refused.as_ref()
    }

    /// Whether the zone has ever answered.
    pub fn has_worked(&self) -> bool {
        self.worked
    }

    /// Until when it waits after a failure.
    pub fn waits_until(&self) -> Option<Moment> {
        self.retry_at.max(self.write_at)
    }

    /// Whether the copy can be believed.
    pub fn is_believed(&self) -> bool {
        self.listed_at.is_some() && self.covered
    }

    /// Notes whether the copy covers the names, after one of the two has changed.
    fn note_cover(&mut self) {
        self.covered = self.copy.as_ref().is_some_and(|copy| self.names.is_subset(&copy.names));
    }

    /// Whether a write may rest on the copy.
    pub fn is_fresh(&self, now: Moment) -> bool {
        self.is_believed() && self.is_recent(now)
    }

    fn is_recent(&self, now: Moment) -> bool {
        self.listed_at.is_some_and(|at| now.since(at) <= FRESH)
    }

    /// Whether a list is due now: what it will show is not known yet.
    pub fn awaits_list(&self, now: Moment) -> bool {
        !self.names.is_empty() && !self.is_believed() && self.retry_at.is_none_or(|at| at <= now)
    }

    /// Sets what is kept here, and what is no longer; the copy stays if it covers the names.
    pub fn keep(&mut self, keys: BTreeSet<Key>, leaving: BTreeSet<Key>) {
        let names: BTreeSet<Name> = keys.iter().chain(&leaving).map(|key| key.name.clone()).collect();
        // A list of some names must not count as one of others too, nor as one of all.
        if names != self.names {
            self.listing = None;
        }
        self.names = names;
        self.note_cover();
        self.parked.retain(|key, _| keys.contains(key));
        self.fights.keep(|key| keys.contains(key));
        self.keys = keys;
        self.leaving = leaving;
    }

    /// The zone, as Cloudflare says it is.
    pub fn is_called(&mut self, zone: &ZoneInfo) {
        self.name = Some(zone.name.clone());
        self.name_proven = true;
        self.unnamed = false;
        self.worked = true;
        if zone.plan.is_some() {
            self.plan.clone_from(&zone.plan);
        }
    }

    /// The plan from before a restart.
    pub fn is_on(&mut self, plan: Option<Box<str>>) {
        self.plan = plan;
    }

    /// Another mark is ours from now on.
    pub fn claim_marked(&mut self, mark: &OwnerMark) {
        if let Some(copy) = &mut self.copy {
            copy.claim_marked(mark);
        }
    }

    /// The copy is not to be believed any more: list before anything else.
    pub fn doubt(&mut self) {
        self.listed_at = None;
        self.listing = None;
        self.difference = Difference::default();
    }

    /// The copy is to be read again, though nothing speaks against it.
    pub fn refresh_at(&mut self, at: Moment) {
        self.refresh_at = self.refresh_at.min(at);
    }

    /// An operator asks, or what was refused may be well: try everything at once.
    pub fn hurry(&mut self, now: Moment) {
        (self.retry_at, self.write_at) = (None, None);
        for parked in self.parked.values_mut() {
            parked.due = now;
        }
    }

    /// The network may be back: what waits because it got no answer waits no longer.
    pub fn reconnect(&mut self) {
        if self.refused.is_none() {
            (self.retry_at, self.write_at) = (None, None);
        }
    }

    /// Works out anew what differs. True: the copy knows more about whose records are whose than before.
    pub fn compare<'a>(
        &mut self,
        goals: impl Iterator<Item = (&'a Key, Goal, &'a Options)>,
        mark: &OwnerMark,
        now: Moment,
    ) -> bool {
        if !self.is_believed() {
            self.difference = Difference::default();
            return false;
        }
        let recent = self.is_recent(now);
        let Some(copy) = &mut self.copy else { return false };
        let none = Options::default();
        let goals: Vec<_> = goals.collect();
        for (key, goal, options) in &goals {
            let Some(parked) = self.parked.get_mut(*key) else { continue };
            let wanted = (goal.clone(), (*options).clone());
            let changed = parked.wanted.as_ref().is_some_and(|was| match parked.attributes.any() {
                true => was.1 != wanted.1,
                false => *was != wanted,
            });
            if changed {
                parked.due = now;
            }
            parked.wanted = Some(wanted);
        }
        let leaving = self.leaving.iter().map(|key| (key, Goal::Gone, &none));
        self.difference = difference(copy, goals.into_iter().chain(leaving), mark);
        let differing: BTreeSet<&Key> =
            self.difference.operations.iter().map(|operation| &operation.key).collect();
        self.parked.retain(|key, _| differing.contains(key));
        let open = |operation: &Operation| {
            self.parked.get(&operation.key).is_none_or(|parked| parked.attributes.any())
        };
        if self.suspects.is_none() && self.lost.is_none() && !self.difference.operations.iter().any(open) {
            // Everything else went through: what comes next is no suspect.
            self.limit = Batch::PAID_OPERATIONS;
        }
        let before = (copy.ours.len(), copy.foreign.len(), self.leaving.len());
        if recent {
            // What an older list showed may have got another purpose since.
            copy.adopt(self.difference.adopt.iter());
        }
        copy.shun(self.difference.foreign.iter());
        let gone = &self.difference.current;
        self.leaving.retain(|key| !gone.contains(key));
        before != (copy.ours.len(), copy.foreign.len(), self.leaving.len())
    }

    /// What it wants to do next, and when; `None` if nothing, ever. `ahead`: an address may be about to change.
    pub fn job(&self, writing: Writing, ahead: bool, mark: &OwnerMark, now: Moment) -> Option<(Moment, Job)> {
        if self.names.is_empty() {
            return None;
        }
        let ready = self.retry_at.unwrap_or(now).max(now);
        if self.unnamed {
            return Some((ready, Job::Identify));
        }
        if !self.is_believed() {
            return Some((ready, Job::List));
        }
        if let Some(listing) = &self.listing {
            return Some((ready, if listing.refresh { Job::Refresh } else { Job::Read }));
        }
        let mut jobs = vec![(self.refresh_at.max(ready), Job::Refresh)];
        if ahead && !self.is_fresh(now) {
            jobs.push((ready, Job::Ahead));
        }
        let may_write = ready.max(self.write_at.unwrap_or(now));
        let mut healthy = self.healthy(writing, mark, now).peekable();
        if healthy.peek().is_some() {
            let operations: Vec<Operation> = healthy.take(self.batch_size()).collect();
            jobs.push((may_write, self.read_or_send(&operations, now)));
        } else if writing == Writing::Nothing && self.must_identify(self.difference.operations.iter()) {
            jobs.push((ready, Job::Identify));
        }
        if let Some((key, due)) = self.next_retry(writing, now) {
            let due = due.max(may_write);
            let job = match self.read_or_send(&self.retried(key, writing, now), due) {
                Job::Send => Job::Retry,
                first => first,
            };
            jobs.push((due, job));
        }
        let paused = self.fights.next(now);
        if let Some(until) = paused {
            jobs.push((until.max(may_write), Job::Read));
        }
        jobs.into_iter().min()
    }

    /// What must be done first: its name is asked for, it is listed, or the operations are sent.
    fn read_or_send(&self, operations: &[Operation], now: Moment) -> Job {
        let unread = |operation: &Operation| match &operation.step {
            Step::Delete(id) => !self.read_for.contains(id),
            Step::Patch(_) | Step::Post(_) => false,
        };
        if !self.is_fresh(now) || operations.iter().any(unread) {
            Job::Read
        } else if self.must_identify(operations.iter()) {
            Job::Identify
        } else {
            Job::Send
        }
    }

    /// In a zone of another name, Cloudflare would append that name to ours, without an error.
    fn must_identify<'a>(&self, mut operations: impl Iterator<Item = &'a Operation>) -> bool {
        let known = self.name.is_some() && self.name_proven;
        !known && operations.any(|operation| matches!(operation.step, Step::Post(_)))
    }

    fn sendable(&self, writing: Writing, now: Moment) -> impl Iterator<Item = &Operation> {
        let waits = match writing {
            Writing::Nothing | Writing::Wait => true,
            Writing::DeletesLater => self.difference.deletes() > 0,
            Writing::Allowed | Writing::NoDeletes => false,
        };
        let withheld = writing == Writing::NoDeletes;
        self.difference.operations.iter().filter(move |operation| {
            !(waits
                || withheld && matches!(operation.step, Step::Delete(_))
                || self.fights.pauses(operation, now))
        })
    }

    /// The parked record that is to be tried first.
    fn next_retry(&self, writing: Writing, now: Moment) -> Option<(&Key, Moment)> {
        let sendable = |key: &Key| self.sendable(writing, now).any(|operation| operation.key == *key);
        let mut waiting: Vec<_> = self.parked.iter().map(|(key, parked)| (key, parked.due)).collect();
        waiting.sort_by_key(|(_, due)| *due);
        waiting.into_iter().find(|(key, _)| sendable(key))
    }

    /// All that is wanted of a parked record.
    fn retried(&self, key: &Key, writing: Writing, now: Moment) -> Vec<Operation> {
        self.sendable(writing, now).filter(|operation| operation.key == *key).cloned().collect()
    }

    /// What can be sent now, without what is parked.
    fn healthy<'a>(
        &'a self,
        writing: Writing,
        mark: &'a OwnerMark,
        now: Moment,
    ) -> impl Iterator<Item = Operation> + 'a {
        self.sendable(writing, now).filter_map(move |operation| match self.parked.get(&operation.key) {
            None => Some(operation.clone()),
            Some(parked) if parked.attributes.any() => operation.without(parked.attributes, mark),
            Some(_) => None,
        })
    }

    fn batch_size(&self) -> usize {
        let paid = self.plan.as_deref().is_some_and(|plan| !matches!(plan, "free" | "unknown" | ""));
        let most = match paid && !self.small_batches {
            true => Batch::PAID_OPERATIONS,
            false => Batch::MOST_OPERATIONS,
        };
        let limit = self.limit.min(most);
        self.suspects.map_or(limit, |suspects| suspects.div_ceil(2))
    }

    /// Begins a job: the request to send. For a write, the copy counts as doubted until the answer.
    pub fn begin(
        &mut self,
        job: Job,
        (writing, mark): (Writing, &OwnerMark),
        turn: u64,
        now: Moment,
    ) -> Option<Request> {
        self.turn = turn;
        match job {
            Job::Send => self.sending = self.healthy(writing, mark, now).take(self.batch_size()).collect(),
            Job::Retry => {
                let next = self.next_retry(writing, now)?.0.clone();
                self.sending = self.retried(&next, writing, now);
            }
            Job::Identify => return Some(Request::Zone(self.id.clone())),
            Job::List | Job::Read | Job::Ahead => return Some(self.list_request(false, now)),
            Job::Refresh => return Some(self.list_request(true, now)),
        }
        self.trying = job == Job::Retry;
        if self.sending.is_empty() {
            return None;
        }
        let batch = batch(&self.sending);
        Some(Request::Batch { zone: self.id.clone(), batch })
    }

    /// Which of two zones has waited longer.
    pub fn served(&self) -> u64 {
        self.served
    }

    /// Takes in what a batch did. Returns the operations that were carried out.
    pub fn wrote(&mut self, written: Written, mark: &OwnerMark, now: Moment) -> Vec<Operation> {
        self.served = self.turn;
        let sent = std::mem::take(&mut self.sending);
        let trying = std::mem::take(&mut self.trying);
        self.remember_written(&sent, &written, now);
        self.fights.note_written(&sent);
        if let Some(copy) = &mut self.copy {
            copy.confirm(written, mark);
        }
        self.retry.reset();
        self.write_retry.reset();
        self.refusals.reset();
        (self.refused, self.refused_alone) = (None, false);
        self.worked = true;
        (self.retry_at, self.write_at) = (None, None);
        self.wrong_copies = 0;
        match self.suspects {
            // Those that follow hold the guilty one.
            Some(suspects) => self.suspects = suspects.checked_sub(sent.len()).filter(|left| *left > 0),
            None => {
                let lost = self.lost.filter(|(_, at)| now.since(*at) < LOST_MEMORY);
                let most = lost.map_or(Batch::PAID_OPERATIONS, |(size, _)| (size / 2).max(1));
                self.limit = self.limit.saturating_mul(4).min(most);
            }
        }
        if trying {
            self.unpark(&sent);
        }
        sent
    }
}

#[cfg(test)]
mod tests;
