//! What is under way: each command has a ticket, and what comes of it counts while the ticket is open.
//!
//! Deliberately unknown: what is done with an answer.

use std::collections::BTreeMap;

use crate::engine::names::{Line, Ticket};
use crate::engine::settings::{AccountName, CredentialId};

/// What a ticket is for.
#[derive(Clone, Debug)]
pub(super) enum Open {
    /// A look, and the place of the source in its watch.
    Look(Line, usize),
    /// A request with this credential.
    Request(CredentialId),
    /// Reading the secret of this account.
    Secret(AccountName),
}

/// The tickets that are open.
#[derive(Clone, Debug, Default)]
pub(super) struct Tickets {
    given: u64,
    open: BTreeMap<Ticket, Open>,
}

impl Tickets {
    pub(super) fn open(&mut self, what: Open) -> Ticket {
        self.given += 1;
        let ticket = Ticket(self.given);
        self.open.insert(ticket, what);
        ticket
    }

    pub(super) fn close(&mut self, ticket: Ticket) -> Option<Open> {
        self.open.remove(&ticket)
    }

    pub(super) fn is_open(&self, ticket: Ticket) -> bool {
        self.open.contains_key(&ticket)
    }

    /// Closes what nobody waits for any more.
    pub(super) fn void(&mut self, is_void: impl Fn(&Open) -> bool) {
        self.open.retain(|_, open| !is_void(open));
    }

    pub(super) fn void_looks(&mut self, of: Line) {
        self.void(|open| matches!(open, Open::Look(line, _) if *line == of));
    }
}
