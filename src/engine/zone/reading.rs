//! Reading a zone's list: page by page, as one list that does not contradict itself, and what it shows.

use std::collections::BTreeSet;
use std::time::Duration;

use super::listing::{Listing, Part, Progress, Recent, contradiction};
use super::{
    LONGEST_READING, MOST_LEFTOVERS, MOST_PAGES, NAME_PAGE_SIZE, PAGE_SIZES, SETTLING, STALE_RETRY, Skipped,
    Zone,
};
use crate::engine::api::{Listed, Page, Request, Written};
use crate::engine::cache::{Block, Happened, Reading, ZoneCache};
use crate::engine::diff::{Operation, Step};
use crate::engine::names::{Moment, Name, Record};
use crate::engine::ownership::OwnerMark;

impl Zone {
    pub(super) fn remember_written(&mut self, sent: &[Operation], written: &Written, now: Moment) {
        self.recent.retain(|(at, _)| now.since(*at) < SETTLING);
        let patched = sent.iter().filter_map(|operation| match (&operation.step, &operation.before) {
            (Step::Patch(patch), Some(before)) if before.content != patch.content => {
                Some(Recent::Patched(patch.id.clone(), before.content.clone()))
            }
            _ => None,
        });
        let posted = written.posted.iter().map(|record| Recent::Posted(record.id.clone()));
        let deleted = written.deleted.iter().cloned().map(Recent::Deleted);
        self.recent.extend(patched.chain(posted).chain(deleted).map(|recent| (now, recent)));
    }

    pub(super) fn list_request(&mut self, refresh: bool, now: Moment) -> Request {
        let listing = match self.listing.take() {
            Some(listing) => listing,
            None => {
                let single = self.names.len() == 1;
                let parts = if single { self.single_parts(refresh, now) } else { vec![Part::Whole] };
                self.new_listing(parts, refresh, now)
            }
        };
        let listing = self.listing.insert(listing);
        let (zone, page, whole) = (self.id.clone(), listing.page, PAGE_SIZES[self.page_size]);
        match listing.parts.last() {
            Some(Part::Name(name)) => {
                Request::Records { zone, name: Some(name.clone()), page, per_page: NAME_PAGE_SIZE }
            }
            Some(Part::NameServers) => Request::NameServers { zone, page, per_page: whole },
            Some(Part::Whole) | None => Request::Records { zone, name: None, page, per_page: whole },
        }
    }

    fn new_listing(&self, parts: Vec<Part>, refresh: bool, now: Moment) -> Listing {
        Listing {
            began: now,
            refresh,
            again: false,
            doomed: self.difference.doomed().cloned().collect(),
            servers: parts.contains(&Part::NameServers),
            parts,
            entries: Vec::new(),
            page: 1,
            read: 0,
            total: None,
            seen: BTreeSet::new(),
        }
    }

    /// Each name; and who is delegated to, unless that is known and nothing asks for it anew.
    fn single_parts(&self, refresh: bool, now: Moment) -> Vec<Part> {
        let covered = self.copy.as_ref().filter(|copy| self.names.is_subset(&copy.names));
        let known = covered.is_some_and(|copy| now < self.adopt_at || !copy.has_delegations());
        let servers = (refresh || !known).then_some(Part::NameServers);
        servers.into_iter().chain(self.names.iter().cloned().map(Part::Name)).collect()
    }

    /// Takes in a page of a list.
    pub fn listed(
        &mut self,
        page: Page<Listed>,
        mark: &OwnerMark,
        refresh: Duration,
        now: Moment,
    ) -> Progress {
        let Some(mut listing) = self.listing.take() else {
            return Progress::More;
        };
        self.retry_at = None;
        let asked = match listing.parts.last() {
            Some(Part::Name(_)) => NAME_PAGE_SIZE,
            _ => PAGE_SIZES[self.page_size],
        };
        let per_page = page.per_page.unwrap_or(asked).clamp(1, asked);
        listing.read = listing.read.saturating_add(page.entries);
        let ended = match page.total {
            Some(total) => listing.read >= total,
            None => page.entries < per_page,
        };
        if let Some(why) = contradiction(&mut listing, &page, per_page, ended) {
            return self.contradicted(&listing, why, now);
        }
        let unread = page.items.iter().find_map(|entry| match entry {
            Listed::Unreadable(name, id) if !self.names.contains(name) => Some((name.clone(), id.clone())),
            _ => None,
        });
        if let (Some((name, id)), Skipped::None) = (unread, &self.skipped) {
            self.skipped = Skipped::Seen(name, id);
        }
        // Filtered here, because a zone may hold a hundred thousand others.
        listing.entries.extend(page.items.into_iter().filter(|entry| self.matters(entry, mark)));
        listing.total = page.total;
        if !ended && listing.page >= MOST_PAGES {
            return Progress::TooLong;
        }
        if !ended {
            self.next_page(listing, per_page, now);
            return Progress::More;
        }
        if listing.parts.len() > 1 {
            listing.parts.pop();
            (listing.page, listing.read, listing.total) = (1, 0, None);
            listing.seen.clear();
            self.listing = Some(listing);
            return Progress::More;
        }
        self.contradictions = 0;
        self.page_size = 0;
        self.served = self.turn;
        self.accept(listing, mark, refresh, now)
    }

    /// A list that moved while it was read is read again, at once the first time.
    fn contradicted(&mut self, listing: &Listing, why: &'static str, now: Moment) -> Progress {
        self.contradictions = self.contradictions.saturating_add(1);
        self.served = self.turn;
        let parts =
            if self.names.len() == 1 { self.single_parts(listing.refresh, now) } else { vec![Part::Whole] };
        let again = listing.again;
        self.listing = Some(Listing { again, ..self.new_listing(parts, listing.refresh, now) });
        if self.contradictions == 1 {
            return Progress::More;
        }
        // Without jitter, which only whole failures have.
        self.retry_at = Some(now + Duration::from_secs(u64::from(self.contradictions.min(60)) * 10));
        Progress::Contradictory(why)
    }

    fn matters(&self, entry: &Listed, mark: &OwnerMark) -> bool {
        match entry {
            Listed::Record(record) => {
                self.names.contains(&record.name) || record.mark() == Some(mark.as_str())
            }
            Listed::Other(name, _) | Listed::Unreadable(name, _) => self.names.contains(name),
            Listed::Managed(record, _) => self.names.contains(&record.name),
            Listed::Delegation(at, _) => self.names.iter().any(|name| name.is_within(at)),
        }
    }

    fn next_page(&mut self, mut listing: Listing, per_page: u32, now: Moment) {
        let left = listing.total.map_or(1, |total| total.saturating_sub(listing.read).div_ceil(per_page));
        let whole = listing.parts.last() == Some(&Part::Whole);
        if whole && usize::try_from(left).is_ok_and(|left| left > self.names.len() + 1) {
            let parts = self.single_parts(listing.refresh, now);
            let again = listing.again;
            listing = Listing { again, ..self.new_listing(parts, listing.refresh, listing.began) };
        } else {
            listing.page += 1;
        }
        self.listing = Some(listing);
    }

    /// The list is whole: it becomes the copy, unless it cannot be believed yet.
    fn accept(&mut self, listing: Listing, mark: &OwnerMark, refresh: Duration, now: Moment) -> Progress {
        self.recent.retain(|(at, _)| now.since(*at) < SETTLING);
        let Listing { began, refresh: is_refresh, again, doomed, entries, parts, servers, .. } = listing;
        let delegates = |entry: &Listed| matches!(entry, Listed::Delegation(..));
        if self.name.is_none() && entries.iter().any(delegates) {
            self.unnamed = true;
            return Progress::More;
        }
        let whole = parts == [Part::Whole];
        let nothing = ZoneCache::default();
        let before = self.copy.as_ref().unwrap_or(&nothing);
        let leftovers = leftovers(&entries, &self.names, mark);
        // Each change of address postpones the refresh, and must not postpone the adoption for ever.
        let adopts = is_refresh || now >= self.adopt_at;
        let reading = Reading { mark, apex: self.name.as_ref(), adopts };
        let (mut copy, surprises) = ZoneCache::listed(self.names.clone(), entries, before, reading);
        if !whole && !servers {
            // Delegations of names above were not asked for.
            for (at, block) in &before.blocks {
                if matches!(block, Block::Delegated(_)) && !copy.names.contains(at) {
                    copy.blocks.entry(at.clone()).or_insert_with(|| block.clone());
                }
            }
        }
        if self.recent.iter().any(|(_, recent)| recent.is_denied_by(&copy)) {
            self.retry_at = Some(now + STALE_RETRY);
            return Progress::More;
        }
        let gone = surprises.iter().any(|surprise| surprise.what == Happened::Gone);
        if gone && !again {
            let parts =
                if self.names.len() == 1 { self.single_parts(is_refresh, now) } else { vec![Part::Whole] };
            self.listing = Some(Listing { again: true, ..self.new_listing(parts, is_refresh, now) });
            return Progress::More;
        }
        if adopts || !copy.released.is_subset(&before.released) {
            self.adopt_at = now + refresh;
        }
        copy.changed = copy.changed_since(before);
        self.fights.forget(now);
        if is_refresh {
            self.fights.note(&surprises, before, now);
        }
        self.copy = Some(copy);
        self.note_cover();
        if whole {
            self.leftovers = leftovers;
        }
        self.read_for = doomed;
        self.listed_at = Some(began.max(now - LONGEST_READING));
        self.refresh_at = now + refresh;
        self.retry.reset();
        self.refusals.reset();
        (self.refused, self.refused_alone) = (None, false);
        self.worked = true;
        Progress::Whole(surprises)
    }
}

/// Records with our mark under names that are not kept.
fn leftovers(entries: &[Listed], names: &BTreeSet<Name>, mark: &OwnerMark) -> Vec<Record> {
    let left = entries.iter().filter_map(|entry| match entry {
        Listed::Record(record) => Some(record),
        _ => None,
    });
    left.filter(|record| record.mark() == Some(mark.as_str()) && !names.contains(&record.name))
        .take(MOST_LEFTOVERS)
        .cloned()
        .collect()
}
