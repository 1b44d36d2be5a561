//! The exit codes, as the outside knows them.

use std::process::ExitCode;

use crate::engine::Verdict;

/// How the program ends, with the number that the caller sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Done = 0,
    /// Something that should not happen.
    Unexpected = 1,
    /// `plan --exit-code` found changes.
    Changes = 2,
    /// The command line is wrong.
    Usage = 64,
    /// Not all could be done, a later try may help.
    Partly = 69,
    /// Nothing could be done for now.
    Nothing = 75,
    /// The credential was refused or lacks a permission.
    Refused = 77,
    /// The configuration is wrong.
    Configuration = 78,
}

impl Exit {
    /// Of two ends the one that counts: 1 before 64 before 78 before 77 before 75 before 69 before 2 before 0.
    pub fn or(self, other: Exit) -> Exit {
        let rank = |exit: Exit| match exit {
            Exit::Unexpected => u8::MAX,
            Exit::Usage => u8::MAX - 1,
            exit => exit.number(),
        };
        if rank(other) > rank(self) { other } else { self }
    }

    /// The number that the caller sees.
    pub fn number(self) -> u8 {
        self as u8
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit.number())
    }
}

impl From<Verdict> for Exit {
    fn from(verdict: Verdict) -> Exit {
        match verdict {
            Verdict::Done => Exit::Done,
            Verdict::Partly => Exit::Partly,
            Verdict::Nothing => Exit::Nothing,
            Verdict::Refused => Exit::Refused,
        }
    }
}
