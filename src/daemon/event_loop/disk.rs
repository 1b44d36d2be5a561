//! What the loop has to do with the disk: when a snapshot is saved, and which requests wait for it.
//!
//! Deliberately unknown: how a snapshot comes to the disk (`state`), and what is in it.

use std::time::Duration;

use super::{AccountName, Loop, Moment, Request, Ticket, Waiting};
use crate::daemon::clock;
use crate::engine::limiter::Persist;
use crate::state::error;
use crate::state::json;
use crate::state::saving::{Saved, Saver, Text};

/// How long a write may take from its beginning, saving the state included: what it rests on must not be
/// older than a minute when it arrives.
const WRITE_LIMIT: Duration = Duration::from_secs(40);

impl Loop {
    /// Saves what a request waits for; what is only worth knowing after a restart is saved when nothing is
    /// on its way, so that the next write does not have to wait for that first.
    pub(super) fn save_if_needed(&mut self, now: Moment) {
        let at_rest = self.asking == 0 && self.waiting.is_empty() || self.end_by.is_some();
        if !self.engine.unsaved() || !(at_rest || self.wait_for_next()) || self.is_saving() {
            return;
        }
        let whole = self.state.as_ref().is_some_and(Saver::wants_whole);
        let changes = if whole { self.engine.everything(now) } else { self.engine.changes(now) };
        if let Some(state) = &mut self.state {
            let text = match changes.anew {
                true => Text::Whole(json::file(&changes, self.hash_key, clock::read())),
                false => Text::Part(json::save(&changes, clock::read())),
            };
            state.begin(text, now);
        }
    }

    fn wait_for_next(&self) -> bool {
        let next = self.state.as_ref().map_or(0, Saver::next);
        self.waiting.iter().any(|waiting| waiting.snapshot >= next)
    }

    fn is_saving(&self) -> bool {
        self.state.as_ref().is_some_and(|state| state.saving_since().is_some())
    }

    pub(super) fn finish_save(&mut self, saved: Saved) {
        let result = self.state.as_mut().map(|state| state.take_in(saved));
        if let Some(Err(trouble)) = result {
            tracing::warn!("{trouble}");
        }
    }

    /// Whether nothing is left to be saved.
    pub(super) fn is_saved(&self) -> bool {
        !self.engine.unsaved() && !self.is_saving()
    }

    /// When the disk has had its time.
    pub(super) fn save_limit(&self) -> Option<Moment> {
        let saving = self.state.as_ref()?.saving_since();
        let waiting = self.waiting.first().map(|waiting| waiting.since);
        saving.into_iter().chain(waiting).min().map(|since| since + error::LONGEST)
    }

    pub(super) fn give_up_state(&mut self) {
        if let Some(state) = self.state.take() {
            tracing::warn!("{}", state.give_up());
        }
    }

    /// Keeps a request back until the disk claims no more than what is certain once it has left.
    pub(super) fn let_wait(&mut self, ticket: Ticket, account: AccountName, request: Request, now: Moment) {
        let snapshot = self.state.as_ref().map_or(0, |state| match self.engine.saving() {
            Persist::First => state.next(),
            Persist::NotNeeded => state.newest(),
        });
        self.waiting.push(Waiting { snapshot, since: now, ticket, account, request });
    }

    pub(super) fn send_waiting(&mut self) {
        let now = clock::now();
        let (ready, waiting) = std::mem::take(&mut self.waiting)
            .into_iter()
            .partition(|waiting| self.state.as_ref().is_none_or(|state| state.has_ended(waiting.snapshot)));
        self.waiting = waiting;
        let ready: Vec<Waiting> = ready;
        for Waiting { ticket, account, request, since, .. } in ready {
            self.ask((ticket, account, request), WRITE_LIMIT.saturating_sub(now.since(since)));
        }
    }
}
