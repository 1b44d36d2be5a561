//! The exit codes, as the outside knows them.

use std::process::ExitCode;

use crate::engine::Verdict;

/// How the program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// 0: done.
    Done,
    /// 1: something that should not happen.
    Unexpected,
    /// 2: `plan --exit-code` found changes.
    Changes,
    /// 64: the command line is wrong.
    Usage,
    /// 69: not all could be done, a later try may help.
    Partly,
    /// 75: nothing could be done for now.
    Nothing,
    /// 77: the credential was refused or lacks a permission.
    Refused,
    /// 78: the configuration is wrong.
    Configuration,
}

impl Exit {
    /// Of two ends the one that counts: 78 before 77 before 75 before 69 before all else.
    pub fn or(self, other: Exit) -> Exit {
        let rank = |exit| match exit {
            Exit::Done => 0,
            Exit::Changes => 1,
            Exit::Partly => 2,
            Exit::Nothing => 3,
            Exit::Refused => 4,
            Exit::Configuration => 5,
            Exit::Usage => 6,
            Exit::Unexpected => 7,
        };
        if rank(other) > rank(self) { other } else { self }
    }

    /// The number that the caller sees.
    pub fn number(self) -> u8 {
        match self {
            Exit::Done => 0,
            Exit::Unexpected => 1,
            Exit::Changes => 2,
            Exit::Usage => 64,
            Exit::Partly => 69,
            Exit::Nothing => 75,
            Exit::Refused => 77,
            Exit::Configuration => 78,
        }
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
