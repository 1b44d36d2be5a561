//! What can be wrong with the state file, in words. None of it stops the daemon.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// How long a save may take, and a request wait for the disk, before the state is given up. A write
/// reaches Cloudflare a minute after its zone was read at the latest: the disk may have half of that.
pub const LONGEST: Duration = Duration::from_secs(30);

/// What is wrong with the state, for the log. None of it stops the daemon.
#[derive(Debug)]
pub enum StateError {
    /// Another instance holds the file.
    InUse(PathBuf),
    /// The file cannot be read.
    Unreadable(PathBuf, io::Error),
    /// There is something else at this place, such as a device, which must not be replaced by a file.
    NoFile(PathBuf),
    /// There is a symbolic link at this place: what is read and replaced would lie elsewhere.
    Link(PathBuf),
    /// The file belongs to another user, who could have written anything.
    Foreign(PathBuf, u32),
    /// Others than its owner can write the file; its permission bits.
    Open(PathBuf, u32),
    /// The file is no state of ours; why.
    Garbage(PathBuf, String),
    /// The folder cannot be written, and there is no file yet.
    ReadOnly(PathBuf, io::Error),
    /// The folder cannot be written: what is in the file may be stale by the next start.
    Frozen(PathBuf, io::Error),
    /// The file could not be written.
    Unwritten(PathBuf, io::Error),
    /// As before, and the old file could not be removed either.
    Stale(PathBuf, io::Error),
    /// A save takes too long: the state was given up and the old file removed.
    Slow(PathBuf),
    /// As before, but the old file is still there.
    SlowAndStale(PathBuf),
}

impl fmt::Display for StateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StateError::InUse(path) => write!(
                f,
                "another instance uses {}; going on without state (give each instance its own file with STAYPUT_STATE)",
                path.display()
            ),
            StateError::Unreadable(path, error) => {
                write!(f, "the state in {} cannot be read ({error}); starting afresh", path.display())
            }
            StateError::NoFile(path) => {
                write!(f, "{} is not a file; going on without state", path.display())
            }
            StateError::Link(path) => write!(
                f,
                "{} is a symbolic link and is not followed; going on without state (name the file itself in STAYPUT_STATE, or remove the link)",
                path.display()
            ),
            StateError::Foreign(path, uid) => write!(
                f,
                "the state in {} belongs to user {uid} and is not believed; starting afresh (chown it to this user, or remove it)",
                path.display()
            ),
            StateError::Open(path, mode) => write!(
                f,
                "the state in {path} can be written by other users (mode {mode:04o}) and is not believed; starting afresh (chmod go-w {path})",
                path = path.display()
            ),
            StateError::Garbage(path, why) => {
                write!(
                    f,
                    "the state in {} is not usable ({why}); starting afresh: every zone is listed once, and the file is replaced; nothing is to be done",
                    path.display()
                )
            }
            StateError::ReadOnly(path, error) => write!(
                f,
                "{} cannot be written ({error}); going on, but every start will ask Cloudflare afresh",
                path.display()
            ),
            StateError::Frozen(path, error) => write!(
                f,
                "the state in {} cannot be replaced ({error}); going on without it, and every start will ask Cloudflare afresh (remove the file before its folder can be written again)",
                path.display()
            ),
            StateError::Unwritten(path, error) => write!(
                f,
                "the state could not be written to {} ({error}); going on without it, and trying again",
                path.display()
            ),
            StateError::Stale(path, error) => write!(
                f,
                "the state could not be written to {} ({error}), nor the old one removed; remove it before the next start",
                path.display()
            ),
            StateError::Slow(path) => write!(
                f,
                "the disk takes longer than {} s to save the state in {}; going on without state until the next start, which asks Cloudflare afresh (see whether the disk fails or is overloaded; a folder in memory, such as one below /run, does for the state)",
                LONGEST.as_secs(),
                path.display()
            ),
            StateError::SlowAndStale(path) => write!(
                f,
                "the disk takes longer than {} s to save the state in {path}; going on without state (see whether the disk fails or is overloaded). The old state could not be removed either: remove {path} before the next start",
                LONGEST.as_secs(),
                path = path.display()
            ),
        }
    }
}
