//! What a failed request means for its zone, and what a list then shows to have been done all the same.
//!
//! Deliberately unknown: which operation of a refused batch is the guilty one, which is `refusals`.

use super::listing::Part;
use super::{PAGE_SIZES, Reaction, Zone};
use crate::engine::diff::{Operation, Step};
use crate::engine::failure::{Class, Failure};
use crate::engine::names::{Content, Key, Moment};
use crate::engine::ownership::OwnerMark;

/// CopyWrong replies in a row that count as a refusal of the content.
const MOST_WRONG_COPIES: u8 = 3;

impl Zone {
    /// After a list and [`Zone::compare`]: what had been done of a write that got no usable answer.
    pub fn take_found(&mut self) -> Vec<Operation> {
        let mut found = std::mem::take(&mut self.unanswered);
        let Some(copy) = &self.copy else { return Vec::new() };
        let holds = |key: &Key, content: &Content| {
            copy.records.values().any(|record| record.key() == *key && record.content == *content)
        };
        let open = |key: &Key| self.difference.operations.iter().any(|operation| operation.key == *key);
        found.retain(|Operation { key, step, .. }| match step {
            Step::Patch(patch) => holds(key, &patch.content) && !open(key),
            Step::Post(post) => holds(key, &post.content) && !open(key),
            Step::Delete(id) => !copy.records.contains_key(id),
        });
        found
    }

    /// Takes in a failure of the request that was begun last.
    pub fn failed(
        &mut self,
        failure: &Failure,
        mark: &OwnerMark,
        now: Moment,
        rng: &mut fastrand::Rng,
    ) -> Reaction {
        self.served = self.turn;
        let sent = std::mem::take(&mut self.sending);
        if sent.is_empty() {
            return self.failed_to_read(failure, now, rng);
        }
        match failure.class {
            Class::Content | Class::ZoneFull => self.content_refused(&sent, (failure, mark), now, rng),
            Class::CopyWrong if self.wrong_copies + 1 >= MOST_WRONG_COPIES => {
                self.doubt();
                self.content_refused(&sent, (failure, mark), now, rng)
            }
            Class::CopyWrong => {
                self.wrong_copies += 1;
                self.doubt();
                if self.wrong_copies > 1 {
                    self.retry_at = Some(now + self.retry.next(rng));
                }
                Reaction::None
            }
            Class::Forbidden | Class::ZoneGone | Class::Zone => self.zone_refused(failure, now, rng),
            Class::Unsure | Class::NotSent => {
                if failure.class == Class::Unsure {
                    self.doubt();
                    self.unanswered.clone_from(&sent);
                }
                if !failure.answered {
                    // A smaller request may get through where a large one is lost.
                    self.limit = (sent.len() / 2).max(1);
                    self.lost = Some((sent.len(), now));
                }
                self.write_at = Some(now + self.write_retry.next(rng));
                Reaction::None
            }
            // These hold the whole credential, not the zone.
            Class::Credential | Class::Search | Class::Throttled | Class::Clock => Reaction::None,
        }
    }

    fn failed_to_read(&mut self, failure: &Failure, now: Moment, rng: &mut fastrand::Rng) -> Reaction {
        let listing = self.listing.take();
        match failure.class {
            Class::Credential | Class::Search | Class::Throttled | Class::Clock => return Reaction::None,
            Class::NotSent | Class::Unsure => {}
            Class::Forbidden
            | Class::ZoneGone
            | Class::Zone
            | Class::Content
            | Class::ZoneFull
            | Class::CopyWrong => return self.zone_refused(failure, now, rng),
        }
        let whole = listing.is_some_and(|listing| listing.parts.contains(&Part::Whole));
        if whole && failure.incomplete && self.page_size + 1 < PAGE_SIZES.len() {
            self.page_size += 1;
        }
        self.retry_at = Some(now + self.retry.next(rng));
        Reaction::None
    }

    /// The zone is refused as a whole.
    pub fn zone_refused(&mut self, failure: &Failure, now: Moment, rng: &mut fastrand::Rng) -> Reaction {
        self.refused = Some(failure.clone());
        self.retry_at = Some(now + self.refusals.next(rng));
        Reaction::Refused
    }
}
