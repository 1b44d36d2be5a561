//! Keeping one zone: its confirmed copy, how it is listed, what is sent next, and which records
//! Cloudflare refuses.
//!
//! Deliberately unknown: other zones, the budget, the credential, and how an address is believed.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::failure::{Class, Failure};
use super::names::{Key, Moment, Name, ZoneId};
use super::pace::Backoff;
use super::request::{Batch, Listed, Page, Request, Written};
use super::settings::Options;
use super::zone::{Copy, Difference, Goal, Mark, Operation, Step, batch, difference};

/// Page sizes for a whole zone. One page holds any zone of a free or paid plan; where such a page
/// fails, the next is smaller: very large ones can time out.
const PAGE_SIZES: [u32; 3] = [5000, 1000, 100];
/// A name has few records.
const NAME_PAGE_SIZE: u32 = 100;
/// More pages than this are not read, whatever the counts in the answers say.
const MOST_PAGES: u32 = 200;
/// How soon, and how rarely, a refused record is tried again.
const PARKED: (Duration, Duration) = (Duration::from_secs(600), Duration::from_secs(12 * 3600));
/// So often may Cloudflare say that the copy is wrong before it counts as a refusal.
const MOST_WRONG_COPIES: u8 = 3;

/// One zone that is kept.
#[derive(Clone, Debug)]
pub struct Upkeep {
    id: ZoneId,
    /// Its name, if Cloudflare has said it.
    name: Option<Name>,
    keys: BTreeSet<Key>,
    names: BTreeSet<Name>,
    copy: Option<Copy>,
    listed_at: Option<Moment>,
    refresh_at: Moment,
    listing: Option<Listing>,
    page_size: usize,
    difference: Difference,
    sending: Vec<Operation>,
    /// The most operations in the next batch.
    limit: usize,
    /// So many operations at the front are known to hold one that is refused.
    suspects: Option<usize>,
    parked: BTreeMap<Key, Parked>,
    wrong_copies: u8,
    retry: Backoff,
    refusals: Backoff,
    retry_at: Option<Moment>,
    refused: Option<Failure>,
    served: u64,
}

/// A list that is being read.
#[derive(Clone, Debug)]
struct Listing {
    entries: Vec<Listed>,
    /// Names still to be asked for one by one; `None`: whole pages.
    names: Option<Vec<Name>>,
    page: u32,
    read: u32,
}

/// A record that Cloudflare refuses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parked {
    /// Why.
    pub why: Reason,
    /// Since when.
    pub since: Moment,
    /// When it is tried again.
    pub due: Moment,
    /// What was wanted when it was refused; something else is tried at once.
    wanted: Option<(Goal, Options)>,
    backoff: Backoff,
}

/// Why a record is parked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Cloudflare refused it.
    Refused(Failure),
    /// Cloudflare accepted it and answered with something else.
    NotKept,
}

impl Reason {
    /// Whether the same is wrong, as far as Cloudflare says.
    #[must_use]
    pub fn same_kind(&self, other: &Reason) -> bool {
        let codes = |failure: &Failure| failure.errors.iter().map(|error| error.code).collect::<Vec<_>>();
        match (self, other) {
            (Reason::Refused(one), Reason::Refused(two)) => codes(one) == codes(two),
            (Reason::NotKept, Reason::NotKept) => true,
            _ => false,
        }
    }
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
    /// List it.
    List,
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
    /// Nothing: this is only a plan, or more is about to be known.
    Nothing,
}

/// What a failure did to the zone, for the one who tells the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reaction {
    /// Nothing worth a word: it is tried again.
    None,
    /// These records are parked from now on, or still.
    Parked(Vec<Key>),
    /// The zone as a whole is refused.
    Refused,
}

impl Upkeep {
    /// A zone of which nothing is known yet.
    #[must_use]
    pub fn new(id: ZoneId, name: Option<Name>, now: Moment) -> Upkeep {
        Upkeep {
            id,
            name,
            keys: BTreeSet::new(),
            names: BTreeSet::new(),
            copy: None,
            listed_at: None,
            refresh_at: now,
            listing: None,
            page_size: 0,
            difference: Difference::default(),
            sending: Vec::new(),
            limit: Batch::MOST_OPERATIONS,
            suspects: None,
            parked: BTreeMap::new(),
            wrong_copies: 0,
            retry: Backoff::between(Duration::from_secs(2), Duration::from_secs(600)),
            refusals: Backoff::between(Duration::from_secs(300), Duration::from_secs(6 * 3600)),
            retry_at: None,
            refused: None,
            served: 0,
        }
    }

    /// A zone with the copy from before a restart. `listed_at`: `None` if the copy is doubted.
    pub fn remember(&mut self, copy: Copy, listed_at: Option<Moment>, refresh: Duration) {
        self.copy = Some(copy);
        self.listed_at = listed_at;
        if let Some(listed_at) = listed_at {
            self.refresh_at = listed_at + refresh;
        }
    }

    /// The zone's identifier.
    #[must_use]
    pub fn id(&self) -> &ZoneId {
        &self.id
    }

    /// The zone's name, if Cloudflare has said it.
    #[must_use]
    pub fn name(&self) -> Option<&Name> {
        self.name.as_ref()
    }

    /// The zone's name, or its identifier.
    #[must_use]
    pub fn label(&self) -> Box<str> {
        match &self.name {
            Some(name) => name.as_str().into(),
            None => self.id.as_str().into(),
        }
    }

    /// What is kept in it.
    #[must_use]
    pub fn keys(&self) -> &BTreeSet<Key> {
        &self.keys
    }

    /// The confirmed copy, believed or not.
    #[must_use]
    pub fn copy(&self) -> Option<&Copy> {
        self.copy.as_ref()
    }

    /// When the copy was listed; `None` while it is missing or doubted, or a write is on its way.
    #[must_use]
    pub fn listed_at(&self) -> Option<Moment> {
        self.listed_at.filter(|_| self.sending.is_empty())
    }

    /// What differs, as far as the copy is believed.
    #[must_use]
    pub fn difference(&self) -> &Difference {
        &self.difference
    }

    /// Whether deletes are wanted that Cloudflare does not refuse, as far as is known.
    #[must_use]
    pub fn has_deletes(&self) -> bool {
        let open = |operation: &Operation| !self.parked.contains_key(&operation.key);
        let mut deletes =
            self.difference.operations.iter().filter(|operation| matches!(operation.step, Step::Delete(_)));
        deletes.any(open)
    }

    /// Records that Cloudflare refuses.
    #[must_use]
    pub fn parked(&self) -> &BTreeMap<Key, Parked> {
        &self.parked
    }

    /// Why the zone as a whole is refused, if it is.
    #[must_use]
    pub fn refused(&self) -> Option<&Failure> {
        self.refused.as_ref()
    }

    /// Whether the copy can be believed.
    #[must_use]
    pub fn is_believed(&self) -> bool {
        let covers = |copy: &Copy| self.names.is_subset(&copy.names);
        self.listed_at.is_some() && self.copy.as_ref().is_some_and(covers)
    }

    /// Whether a list is due now: what it will show is not known yet.
    #[must_use]
    pub fn awaits_list(&self, now: Moment) -> bool {
        !self.keys.is_empty() && !self.is_believed() && self.retry_at.is_none_or(|at| at <= now)
    }

    /// Sets what is kept here; the copy stays if it covers the names.
    pub fn keep(&mut self, keys: BTreeSet<Key>) {
        let names: BTreeSet<Name> = keys.iter().map(|key| key.name.clone()).collect();
        // A list of some names must not count as one of others too.
        if names != self.names && self.listing.as_ref().is_some_and(|listing| listing.names.is_some()) {
            self.listing = None;
        }
        self.names = names;
        self.parked.retain(|key, _| keys.contains(key));
        self.keys = keys;
    }

    /// The zone's name, as Cloudflare says it.
    pub fn is_called(&mut self, name: Name) {
        self.name = Some(name);
    }

    /// The copy is not to be believed any more: list before anything else.
    pub fn doubt(&mut self) {
        self.listed_at = None;
        self.listing = None;
        self.difference = Difference::default();
    }

    /// An operator asks, or what was refused may be well: try everything at once.
    pub fn hurry(&mut self, now: Moment) {
        self.retry_at = None;
        for parked in self.parked.values_mut() {
            parked.due = now;
        }
    }

    /// The network may be back: what waits because it got no answer waits no longer.
    pub fn reconnect(&mut self) {
        if self.refused.is_none() {
            self.retry_at = None;
        }
    }

    /// Works out anew what differs. True: the copy took records as ours that it had not before.
    pub fn compare<'a>(
        &mut self,
        goals: impl Iterator<Item = (&'a Key, Goal, &'a Options)>,
        mark: &Mark,
        now: Moment,
    ) -> bool {
        if !self.is_believed() {
            self.difference = Difference::default();
            return false;
        }
        let Some(copy) = &mut self.copy else { return false };
        let goals: Vec<_> = goals.collect();
        for (key, goal, options) in &goals {
            let Some(parked) = self.parked.get_mut(*key) else { continue };
            let wanted = Some((*goal, (*options).clone()));
            if parked.wanted.is_some() && parked.wanted != wanted {
                parked.due = now;
            }
            parked.wanted = wanted;
        }
        self.difference = difference(copy, goals.into_iter(), mark);
        let differing: BTreeSet<&Key> =
            self.difference.operations.iter().map(|operation| &operation.key).collect();
        self.parked.retain(|key, _| differing.contains(key));
        let before = copy.adopted.len();
        copy.adopted.extend(self.difference.adopt.iter().cloned());
        copy.adopted.len() != before
    }

    /// What it wants to do next, and when; `None` if nothing, ever.
    #[must_use]
    pub fn job(&self, writing: Writing, now: Moment) -> Option<(Moment, Job)> {
        if self.keys.is_empty() {
            return None;
        }
        let ready = self.retry_at.unwrap_or(now).max(now);
        if self.listing.is_some() || !self.is_believed() {
            return Some((ready, Job::List));
        }
        let mut jobs = vec![(self.refresh_at.max(ready), Job::Refresh)];
        let healthy = self.healthy(writing);
        if !healthy.is_empty() {
            jobs.push((ready, self.send_or_identify(&healthy)));
        } else if writing == Writing::Nothing && self.must_identify(self.difference.operations.iter()) {
            jobs.push((ready, Job::Identify));
        }
        if let Some((_, due)) = self.next_retry(writing) {
            jobs.push((due.max(ready), Job::Retry));
        }
        jobs.into_iter().min()
    }

    fn send_or_identify(&self, operations: &[&Operation]) -> Job {
        if self.must_identify(operations.iter().copied()) { Job::Identify } else { Job::Send }
    }

    /// In a zone of another name, Cloudflare would append that name to ours, without an error.
    fn must_identify<'a>(&self, mut operations: impl Iterator<Item = &'a Operation>) -> bool {
        self.name.is_none() && operations.any(|operation| matches!(operation.step, Step::Post(_)))
    }

    fn sendable(&self, writing: Writing) -> impl Iterator<Item = &Operation> {
        let waits = match writing {
            Writing::Nothing => true,
            Writing::DeletesLater => self.difference.deletes() > 0,
            Writing::Allowed | Writing::NoDeletes => false,
        };
        let withheld = writing == Writing::NoDeletes;
        self.difference
            .operations
            .iter()
            .filter(move |operation| !(waits || withheld && matches!(operation.step, Step::Delete(_))))
    }

    /// The parked record that is to be tried first.
    fn next_retry(&self, writing: Writing) -> Option<(&Key, Moment)> {
        let sendable = |key: &Key| self.sendable(writing).any(|operation| operation.key == *key);
        let mut waiting: Vec<_> = self.parked.iter().map(|(key, parked)| (key, parked.due)).collect();
        waiting.sort_by_key(|(_, due)| *due);
        waiting.into_iter().find(|(key, _)| sendable(key))
    }

    fn healthy(&self, writing: Writing) -> Vec<&Operation> {
        let healthy = |operation: &&Operation| !self.parked.contains_key(&operation.key);
        let most = self.suspects.map_or(self.limit, |suspects| suspects.div_ceil(2));
        self.sendable(writing).filter(healthy).take(most).collect()
    }

    /// Begins a job: the request to send. For a write, the copy counts as doubted until the answer.
    pub fn begin(&mut self, job: Job, writing: Writing, turn: u64) -> Option<Request> {
        self.served = turn;
        match job {
            Job::Send => self.sending = self.healthy(writing).into_iter().cloned().collect(),
            Job::Retry => {
                let next = self.next_retry(writing)?.0.clone();
                self.sending =
                    self.sendable(writing).filter(|operation| operation.key == next).cloned().collect();
            }
            Job::Identify => return Some(Request::Zone(self.id.clone())),
            Job::List | Job::Refresh => return Some(self.list_request()),
        }
        if self.sending.is_empty() {
            return None;
        }
        let batch = batch(&self.sending);
        Some(Request::Batch { zone: self.id.clone(), batch })
    }

    /// Which of two zones has waited longer.
    #[must_use]
    pub fn served(&self) -> u64 {
        self.served
    }

    fn list_request(&mut self) -> Request {
        let single = self.names.len() == 1;
        let names = self.names.iter().next().cloned().filter(|_| single).map(|name| vec![name]);
        let listing =
            self.listing.get_or_insert_with(|| Listing { entries: Vec::new(), names, page: 1, read: 0 });
        let name = listing.names.as_ref().and_then(|names| names.last().cloned());
        let per_page = if name.is_some() { NAME_PAGE_SIZE } else { PAGE_SIZES[self.page_size] };
        Request::Records { zone: self.id.clone(), name, page: listing.page, per_page }
    }

    /// Takes in a page of records. True: the list is whole, and the copy is fresh.
    pub fn listed(&mut self, page: Page<Listed>, refresh: Duration, now: Moment) -> bool {
        let Some(mut listing) = self.listing.take() else {
            return false;
        };
        let per_page = if listing.names.is_some() { NAME_PAGE_SIZE } else { PAGE_SIZES[self.page_size] };
        listing.read = listing.read.saturating_add(page.entries);
        listing.entries.extend(page.items);
        self.retry_at = None;
        // A count that is smaller than what was read is no count.
        let total = page.total.filter(|total| *total >= listing.read);
        let ended = page.entries == 0
            || total.map_or(page.entries < per_page, |total| listing.read >= total)
            || listing.page >= MOST_PAGES;
        if !ended {
            self.next_page(listing, total, per_page);
            return false;
        }
        if let Some(names) = listing.names.as_mut().filter(|names| names.len() > 1) {
            names.pop();
            (listing.page, listing.read) = (1, 0);
            self.listing = Some(listing);
            return false;
        }
        let none = BTreeSet::new();
        let adopted = self.copy.as_ref().map_or(&none, |copy| &copy.adopted);
        self.copy = Some(Copy::listed(self.names.clone(), listing.entries, adopted));
        self.listed_at = Some(now);
        self.refresh_at = now + refresh;
        self.retry.reset();
        self.refusals.reset();
        self.refused = None;
        true
    }

    fn next_page(&mut self, mut listing: Listing, total: Option<u32>, per_page: u32) {
        let pages_left = total.map_or(1, |total| total.saturating_sub(listing.read).div_ceil(per_page));
        let whole = listing.names.is_none();
        if whole && usize::try_from(pages_left).is_ok_and(|left| left > self.names.len()) {
            let names = Some(self.names.iter().cloned().collect());
            listing = Listing { entries: Vec::new(), names, page: 1, read: 0 };
        } else {
            listing.page += 1;
        }
        self.listing = Some(listing);
    }

    /// Takes in what a batch did. Returns the operations that were carried out.
    pub fn wrote(&mut self, written: Written) -> Vec<Operation> {
        let sent = std::mem::take(&mut self.sending);
        if let Some(copy) = &mut self.copy {
            copy.confirm(written);
        }
        self.retry.reset();
        self.refusals.reset();
        self.refused = None;
        self.retry_at = None;
        self.wrong_copies = 0;
        match self.suspects {
            // Those that follow hold the guilty one.
            Some(suspects) => self.suspects = suspects.checked_sub(sent.len()).filter(|left| *left > 0),
            None => self.limit = self.limit.saturating_mul(4).min(Batch::MOST_OPERATIONS),
        }
        // What is accepted may still not be kept; only the comparison shows that.
        let refused =
            |key: &Key| matches!(self.parked.get(key), Some(parked) if parked.why != Reason::NotKept);
        let well: BTreeSet<&Key> =
            sent.iter().map(|operation| &operation.key).filter(|key| refused(key)).collect();
        let accepted: Vec<Parked> = well.into_iter().filter_map(|key| self.parked.remove(key)).collect();
        // What was refused for the same reason is probably well too.
        self.parked.retain(|_, parked| !accepted.iter().any(|well| well.why.same_kind(&parked.why)));
        sent
    }

    /// After [`Upkeep::wrote`] and [`Upkeep::compare`]: what was sent and is wanted once more is
    /// parked, because Cloudflare does not keep it. Returns what was parked.
    pub fn park_unkept(&mut self, sent: &[Operation], now: Moment, dice: &mut fastrand::Rng) -> Vec<Key> {
        let wanted_again = |key: &&Key| {
            let of_key = |operation: &&Operation| operation.key == **key;
            let wanted = self.difference.operations.iter().filter(of_key);
            wanted
                .clone()
                .any(|wanted| sent.iter().filter(of_key).any(|sent| asks_the_same(&wanted.step, &sent.step)))
        };
        let keys: BTreeSet<&Key> = sent.iter().map(|operation| &operation.key).collect();
        let unkept: Vec<Key> = keys.into_iter().filter(wanted_again).cloned().collect();
        for key in &unkept {
            self.park(key, Reason::NotKept, now, dice);
        }
        unkept
    }

    /// Takes in a failure of the request that was begun last.
    pub fn failed(&mut self, failure: &Failure, now: Moment, dice: &mut fastrand::Rng) -> Reaction {
        let sent = std::mem::take(&mut self.sending);
        if sent.is_empty() {
            return self.failed_to_read(failure, now, dice);
        }
        match failure.class {
            Class::Content => self.content_refused(&sent, failure, now, dice),
            Class::CopyWrong if self.wrong_copies + 1 >= MOST_WRONG_COPIES => {
                self.doubt();
                self.content_refused(&sent, failure, now, dice)
            }
            Class::CopyWrong => {
                self.wrong_copies += 1;
                self.doubt();
                if self.wrong_copies > 1 {
                    self.retry_at = Some(now + self.retry.next(dice));
                }
                Reaction::None
            }
            Class::Zone => self.zone_refused(failure, now, dice),
            Class::Unsure => {
                self.doubt();
                self.retry_at = Some(now + self.retry.next(dice));
                Reaction::None
            }
            Class::NotSent => {
                self.retry_at = Some(now + self.retry.next(dice));
                Reaction::None
            }
            // These hold the whole credential, not the zone.
            Class::Credential | Class::Throttled | Class::Clock => Reaction::None,
        }
    }

    fn failed_to_read(&mut self, failure: &Failure, now: Moment, dice: &mut fastrand::Rng) -> Reaction {
        match failure.class {
            Class::Credential | Class::Throttled | Class::Clock => return Reaction::None,
            Class::Zone | Class::Content | Class::CopyWrong => {
                self.listing = None;
                return self.zone_refused(failure, now, dice);
            }
            Class::NotSent | Class::Unsure => {}
        }
        let whole = self.listing.take().is_some_and(|listing| listing.names.is_none());
        if whole && failure.status.is_some() && self.page_size + 1 < PAGE_SIZES.len() {
            self.page_size += 1;
        }
        self.retry_at = Some(now + self.retry.next(dice));
        Reaction::None
    }

    fn zone_refused(&mut self, failure: &Failure, now: Moment, dice: &mut fastrand::Rng) -> Reaction {
        self.refused = Some(failure.clone());
        self.retry_at = Some(now + self.refusals.next(dice));
        Reaction::Refused
    }

    /// The answer does not say which operation is the guilty one: halve until it is found.
    fn content_refused(
        &mut self,
        sent: &[Operation],
        failure: &Failure,
        now: Moment,
        dice: &mut fastrand::Rng,
    ) -> Reaction {
        let keys: BTreeSet<&Key> = sent.iter().map(|operation| &operation.key).collect();
        if keys.len() > 1 {
            self.suspects = Some(sent.len());
            return Reaction::None;
        }
        let reason = Reason::Refused(failure.clone());
        // Where one is refused, others may be: on with one, and four times as many after each success.
        (self.suspects, self.limit) = (None, 1);
        let Some(key) = sent.first().map(|operation| operation.key.clone()) else { return Reaction::None };
        let due = self.park(&key, reason.clone(), now, dice);
        // One try stands for all that were refused for the same reason.
        for other in self.parked.values_mut().filter(|other| other.why.same_kind(&reason)) {
            other.due = other.due.max(due);
        }
        Reaction::Parked(vec![key])
    }

    fn park(&mut self, key: &Key, why: Reason, now: Moment, dice: &mut fastrand::Rng) -> Moment {
        let (since, mut backoff, wanted) = match self.parked.remove(key) {
            Some(parked) => (parked.since, parked.backoff, parked.wanted),
            None => (now, Backoff::between(PARKED.0, PARKED.1), None),
        };
        let due = now + backoff.next(dice);
        self.parked.insert(key.clone(), Parked { why, since, due, wanted, backoff });
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

#[cfg(test)]
mod tests;
