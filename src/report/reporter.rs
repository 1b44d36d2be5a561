//! The way to people: a notice goes to the log at once or is kept for the caller, and the status is there for
//! whoever reads it.
//!
//! Never waits. Keeps no status: one of thousands of records is made when somebody reads it. Deliberately
//! unknown: the words of a notice, which it has itself, and what the loop does because of one.

use super::log;
use crate::engine::Status;
use crate::engine::notice::{Notice, count};

/// Who follows what happens, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// The log; the first look is spread in time.
    Log,
    /// The log, at a terminal: no waiting before the first look.
    Terminal,
    /// As `Terminal`, with the cost after each burst of requests.
    Demo,
    /// The log, but for what is wrong: that is kept for the caller.
    CollectProblems,
    /// Nothing is logged; all is kept for the caller, warnings of the configuration apart.
    Collect,
}

/// What passes on notices and the status.
#[derive(Debug)]
pub struct Reporter {
    output: Output,
    kept: Vec<Notice>,
    /// The number of requests in the last line of the cost.
    requests_told: u64,
}

impl Reporter {
    /// Passes on to `output`.
    pub fn new(output: Output) -> Reporter {
        Reporter { output, kept: Vec::new(), requests_told: 0 }
    }

    /// Logs a notice, or keeps it for the caller.
    pub fn tell(&mut self, notice: Notice) {
        match self.output {
            Output::Collect => self.kept.push(notice),
            Output::CollectProblems if notice.problem().is_some() => self.kept.push(notice),
            _ => log::tell(&notice),
        }
    }

    /// Whether [`Reporter::publish`] says anything.
    pub fn tells_cost(&self) -> bool {
        self.output == Output::Demo
    }

    /// Says what was spent since it was last said.
    pub fn publish(&mut self, status: &Status) {
        let requests: u64 = status.budgets.values().map(|budget| budget.requests).sum();
        if !self.tells_cost() || requests == self.requests_told {
            return;
        }
        self.requests_told = requests;
        let left: u32 = status.budgets.values().map(|budget| budget.left).sum();
        tracing::info!("cost: {} so far, {left} left in this window", count(requests, "API request"));
    }

    /// What was kept for the caller.
    pub fn into_kept(self) -> Vec<Notice> {
        self.kept
    }
}
