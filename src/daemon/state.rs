//! The state file: what the engine remembers across a restart, on disk.
//!
//! It is never required. Whatever is wrong with it is said once and the daemon goes on without: a file
//! that cannot be believed is worth less than none. Written whole beside the old one and renamed, so
//! that it is never torn. Deliberately unknown: what the engine makes of it, and any secret.

pub mod shape;

use std::ffi::OsStr;
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{Access, FlockOperation};

use crate::daemon::clock::Both;
use crate::engine::Snapshot;

/// A larger file is not read, and not written.
const MOST_BYTES: usize = 8 * 1024 * 1024;

/// Where the state is kept, and the lock that keeps a second instance out.
#[derive(Debug)]
pub struct StateFile {
    path: PathBuf,
    /// The file as it is now, locked; `None` where there is none yet.
    held: Option<File>,
    /// A write failed and was said; nothing is said again until one works.
    failing: bool,
}

/// What is wrong with the state, for the log. None of it stops the daemon.
#[derive(Debug)]
pub enum Trouble {
    /// Another instance holds the file.
    InUse(PathBuf),
    /// The file cannot be read.
    Unreadable(PathBuf, io::Error),
    /// There is something else at this place, such as a device, which must not be replaced by a file.
    NoFile(PathBuf),
    /// The file belongs to another user, who could have written anything.
    Foreign(PathBuf, u32),
    /// The file is no state of ours; why.
    Garbage(PathBuf, String),
    /// The folder cannot be written: what is in the file may be stale by the next start.
    ReadOnly(PathBuf, io::Error),
    /// The file could not be written.
    Unwritten(PathBuf, io::Error),
    /// As before, and the old file could not be removed either.
    Stale(PathBuf, io::Error),
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Trouble::InUse(path) => write!(
                f,
                "another instance uses {}; going on without state (give each instance its own file with STAYPUT_STATE)",
                path.display()
            ),
            Trouble::Unreadable(path, error) => {
                write!(f, "the state in {} cannot be read ({error}); starting afresh", path.display())
            }
            Trouble::NoFile(path) => {
                write!(f, "{} is not a file; going on without state", path.display())
            }
            Trouble::Foreign(path, uid) => write!(
                f,
                "the state in {} belongs to user {uid} and is not believed; starting afresh (chown it to this user, or remove it)",
                path.display()
            ),
            Trouble::Garbage(path, why) => {
                write!(f, "the state in {} is not usable ({why}); starting afresh", path.display())
            }
            Trouble::ReadOnly(path, error) => write!(
                f,
                "{} cannot be written ({error}); going on, but every start will ask Cloudflare afresh",
                path.display()
            ),
            Trouble::Unwritten(path, error) => write!(
                f,
                "the state could not be written to {} ({error}); going on without it, and trying again",
                path.display()
            ),
            Trouble::Stale(path, error) => write!(
                f,
                "the state could not be written to {} ({error}), nor the old one removed; remove it before the next start",
                path.display()
            ),
        }
    }
}

/// What was found at the start.
#[derive(Debug, Default)]
pub struct Opened {
    /// The file to write to; `None`: memory only.
    pub file: Option<StateFile>,
    /// What it held.
    pub remembered: Option<Snapshot>,
    /// What is wrong, if something is.
    pub trouble: Option<Trouble>,
}

/// Where the state belongs: `$STATE_DIRECTORY/state.json` (the first folder of several), else
/// `$STAYPUT_STATE` (a folder for it, or the file itself), else nowhere.
#[must_use]
pub fn place(directory: Option<&OsStr>, file: Option<&OsStr>) -> Option<PathBuf> {
    let set = |value: &&OsStr| !value.is_empty();
    if let Some(folders) = directory.filter(set) {
        let first = folders.as_bytes().split(|byte| *byte == b':').next()?;
        return Some(Path::new(OsStr::from_bytes(first)).join("state.json"));
    }
    let path = file.filter(set).map(PathBuf::from)?;
    Some(if path.is_dir() { path.join("state.json") } else { path })
}

/// Opens, locks and reads the state file.
#[must_use]
pub fn open(path: PathBuf, clocks: Both) -> Opened {
    if std::fs::metadata(&path).is_ok_and(|there| !there.is_file()) {
        return nothing_but(None, Some(Trouble::NoFile(path)));
    }
    let writable = folder_is_writable(&path);
    let file = match lock(&path) {
        Ok(Locked::Held(file)) => file,
        Ok(Locked::Missing) => return begin_without(path, writable),
        Ok(Locked::InUse) => return nothing_but(None, Some(Trouble::InUse(path))),
        Err(error) => {
            let trouble = Trouble::Unreadable(path.clone(), error);
            return nothing_but(writable.is_ok().then(|| hold(path, None)), Some(trouble));
        }
    };
    let (mut remembered, mut trouble) = match read(&file, &path, clocks) {
        Ok(snapshot) => (snapshot, None),
        Err(trouble) => (None, Some(trouble)),
    };
    if let Err(error) = writable {
        if let Some(snapshot) = &mut remembered {
            doubt(snapshot);
        }
        trouble.get_or_insert(Trouble::ReadOnly(path.clone(), error));
    }
    let mut held = hold(path, Some(file));
    held.failing = matches!(trouble, Some(Trouble::ReadOnly(..)));
    Opened { file: Some(held), remembered, trouble }
}

/// Reads the state file and leaves it alone: a running daemon may hold it. What cannot be read is
/// simply not known.
#[must_use]
pub fn look(path: &Path, clocks: Both) -> Opened {
    let is_file = std::fs::metadata(path).is_ok_and(|there| there.is_file());
    let file = is_file.then(|| File::open(path).ok()).flatten();
    let read = file.and_then(|file| read(&file, path, clocks).ok());
    Opened { remembered: read.flatten(), ..Opened::default() }
}

impl StateFile {
    /// Replaces the file by `snapshot`. Where that fails, the old file is removed, because what it says
    /// would no longer be true at the next start.
    ///
    /// # Errors
    /// What is wrong, the first time that it is.
    pub fn save(&mut self, snapshot: &Snapshot, clocks: Both) -> Result<(), Trouble> {
        let error = match self.replace(&shape::write(snapshot, clocks)) {
            Ok(file) => {
                self.held = Some(file);
                self.failing = false;
                return Ok(());
            }
            Err(error) => error,
        };
        let gone = match std::fs::remove_file(&self.path) {
            Ok(()) => true,
            Err(error) => error.kind() == io::ErrorKind::NotFound,
        };
        if std::mem::replace(&mut self.failing, true) {
            return Ok(());
        }
        let path = self.path.clone();
        Err(if gone { Trouble::Unwritten(path, error) } else { Trouble::Stale(path, error) })
    }

    /// Writes the text beside the file and renames it over the file; the new file is locked.
    fn replace(&self, text: &[u8]) -> io::Result<File> {
        if text.len() > MOST_BYTES {
            return Err(io::Error::other("it would be larger than 8 MiB"));
        }
        let beside = beside(&self.path);
        let written =
            write_new(&beside, text).and_then(|file| std::fs::rename(&beside, &self.path).map(|()| file));
        match written {
            Ok(file) => {
                sync_folder(&self.path)?;
                Ok(file)
            }
            Err(error) => {
                // What is left of the attempt may be what fills the disk.
                let _gone = std::fs::remove_file(&beside);
                Err(error)
            }
        }
    }
}

fn hold(path: PathBuf, held: Option<File>) -> StateFile {
    StateFile { path, held, failing: false }
}

fn nothing_but(file: Option<StateFile>, trouble: Option<Trouble>) -> Opened {
    Opened { file, remembered: None, trouble }
}

/// There is no file yet: an empty one is put there to hold the lock.
fn begin_without(path: PathBuf, writable: io::Result<()>) -> Opened {
    if let Err(error) = writable {
        let trouble = Trouble::ReadOnly(path.clone(), error);
        return nothing_but(Some(hold(path, None)), Some(trouble));
    }
    let made = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&path);
    match made.and_then(|_| lock(&path)) {
        Ok(Locked::Held(file)) => nothing_but(Some(hold(path, Some(file))), None),
        Ok(Locked::InUse) => nothing_but(None, Some(Trouble::InUse(path))),
        Ok(Locked::Missing) => nothing_but(Some(hold(path, None)), None),
        Err(error) => {
            let trouble = Trouble::ReadOnly(path.clone(), error);
            nothing_but(Some(hold(path, None)), Some(trouble))
        }
    }
}

enum Locked {
    Held(File),
    Missing,
    InUse,
}

/// Opens and locks the file that is at `path` now.
fn lock(path: &Path) -> io::Result<Locked> {
    for _ in 0..8 {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Locked::Missing),
            Err(error) => return Err(error),
        };
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => return Ok(Locked::InUse),
            Err(error) => return Err(error.into()),
        }
        // The holder may have renamed a new file into place between our open and our lock.
        let opened = file.metadata()?;
        match std::fs::metadata(path) {
            Ok(there) if (there.dev(), there.ino()) == (opened.dev(), opened.ino()) => {
                return Ok(Locked::Held(file));
            }
            _ => {}
        }
    }
    Ok(Locked::InUse)
}

/// What the file holds; `None` where it is empty, as a first start leaves it.
fn read(file: &File, path: &Path, clocks: Both) -> Result<Option<Snapshot>, Trouble> {
    let unreadable = |error| Trouble::Unreadable(path.to_owned(), error);
    let owner = file.metadata().map_err(unreadable)?.uid();
    let me = rustix::process::geteuid().as_raw();
    if owner != me && owner != 0 {
        return Err(Trouble::Foreign(path.to_owned(), owner));
    }
    let mut bytes = Vec::new();
    let most = u64::try_from(MOST_BYTES).unwrap_or(u64::MAX);
    file.take(most + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    let garbage = |why: String| Trouble::Garbage(path.to_owned(), why);
    if bytes.len() > MOST_BYTES {
        return Err(garbage("it is larger than 8 MiB".into()));
    }
    if bytes.is_empty() {
        return Ok(None);
    }
    shape::read(&bytes, clocks).map(Some).map_err(garbage)
}

/// Takes every zone's copy as possibly wrong; addresses and budget stay.
fn doubt(snapshot: &mut Snapshot) {
    for zone in &mut snapshot.zones {
        zone.listed_at = None;
    }
}

fn write_new(path: &Path, text: &[u8]) -> io::Result<File> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive)?;
    file.write_all(text)?;
    file.sync_all()?;
    Ok(file)
}

/// The name under which a new file is written: in the same folder, hidden.
fn beside(path: &Path) -> PathBuf {
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or(OsStr::new("state.json")));
    name.push(".new");
    path.with_file_name(name)
}

fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

fn folder_is_writable(path: &Path) -> io::Result<()> {
    let mode = Access::WRITE_OK | Access::EXEC_OK;
    Ok(rustix::fs::access(folder(path), mode)?)
}

/// Makes the rename last: without it a power cut may bring the old file back.
fn sync_folder(path: &Path) -> io::Result<()> {
    match File::open(folder(path))?.sync_all() {
        // Some file systems have no such call for folders; there the rename is all there is.
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(()),
        result => result,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    use crate::engine::names::Moment;

    fn clocks() -> Both {
        let wall = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_800_000_000);
        Both::at(wall, Moment::from_millis(1_000_000))
    }

    fn saved(path: &Path) -> Snapshot {
        let snapshot = shape::tests::full();
        let mut file = open(path.to_owned(), clocks()).file.unwrap();
        file.save(&snapshot, clocks()).unwrap();
        snapshot
    }

    #[test]
    fn what_was_saved_is_there_at_the_next_start() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.json");
        let snapshot = saved(&path);
        let opened = open(path.clone(), clocks());
        assert!(opened.trouble.is_none(), "{:?}", opened.trouble);
        assert_eq!(opened.remembered, Some(snapshot));
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let files = std::fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(files, 1, "nothing is left beside it");
    }

    #[test]
    fn the_place_is_systemds_folder_else_the_variable_else_nowhere() {
        let os = OsStr::new;
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(place(None, Some(folder.path().as_os_str())), Some(folder.path().join("state.json")));
        assert_eq!(place(Some(os("/a:/b")), Some(os("/c/s.json"))), Some("/a/state.json".into()));
        assert_eq!(place(None, Some(os("/c/s.json"))), Some("/c/s.json".into()));
        assert_eq!(place(Some(os("")), Some(os(""))), None);
        assert_eq!(place(None, None), None);
    }

    #[test]
    fn anything_that_is_no_state_is_said_and_starts_afresh() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.json");
        saved(&path);
        let good = std::fs::read(&path).unwrap();
        let other_version =
            String::from_utf8(good.clone()).unwrap().replace("\"version\":1", "\"version\":2");
        let bad: [&[u8]; 5] = [
            b"\0\xff garbage",
            b"{}",
            &good[..good.len() / 2],
            other_version.as_bytes(),
            &[b' '; MOST_BYTES + 1],
        ];
        for bytes in bad {
            std::fs::write(&path, bytes).unwrap();
            let opened = open(path.clone(), clocks());
            assert!(matches!(opened.trouble, Some(Trouble::Garbage(..))));
            assert_eq!(opened.remembered, None);
            let mut file = opened.file.unwrap();
            file.save(&shape::tests::full(), clocks()).unwrap();
            drop(file);
            assert!(open(path.clone(), clocks()).remembered.is_some());
        }
    }

    #[test]
    fn an_empty_file_is_a_first_start() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.json");
        std::fs::write(&path, "").unwrap();
        let opened = open(path, clocks());
        assert!(opened.trouble.is_none() && opened.remembered.is_none());
    }

    #[test]
    fn a_second_instance_is_kept_out_before_and_after_a_save() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.json");
        let mut first = open(path.clone(), clocks()).file.unwrap();
        for _ in 0..2 {
            let second = open(path.clone(), clocks());
            assert!(matches!(second.trouble, Some(Trouble::InUse(_))));
            assert!(second.file.is_none() && second.remembered.is_none());
            first.save(&shape::tests::full(), clocks()).unwrap();
        }
        drop(first);
        assert!(open(path, clocks()).file.is_some());
    }

    #[test]
    fn a_save_that_fails_is_said_once_and_leaves_no_old_copy() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.json");
        saved(&path);
        let mut file = open(path.clone(), clocks()).file.unwrap();
        // A folder of that name cannot be replaced by a file, not even by root.
        let obstacle = beside(&path);
        std::fs::create_dir(&obstacle).unwrap();
        let snapshot = shape::tests::full();
        assert!(matches!(file.save(&snapshot, clocks()), Err(Trouble::Unwritten(..))));
        assert!(!path.exists(), "a stale copy would be believed");
        for _ in 0..5 {
            assert!(file.save(&snapshot, clocks()).is_ok(), "said once");
            assert!(!path.exists());
        }
        std::fs::remove_dir(&obstacle).unwrap();
        assert!(file.save(&snapshot, clocks()).is_ok());
        assert!(path.exists(), "it recovers by itself");
        std::fs::create_dir(&obstacle).unwrap();
        assert!(file.save(&snapshot, clocks()).is_err(), "another fault is said anew");
    }

    #[test]
    fn an_old_file_that_cannot_even_be_removed_is_named_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.json");
        saved(&path);
        let mut file = open(path.clone(), clocks()).file.unwrap();
        // What is a folder now can be neither replaced by a file nor removed like one, not even by root.
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        let snapshot = shape::tests::full();
        let trouble = file.save(&snapshot, clocks()).unwrap_err();
        assert!(matches!(trouble, Trouble::Stale(..)), "{trouble:?}");
        let said = trouble.to_string();
        assert!(said.contains(path.to_str().unwrap()) && said.contains("remove it before the next start"));
        for _ in 0..5 {
            assert!(file.save(&snapshot, clocks()).is_ok(), "said once");
        }
        let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().path()).collect();
        assert_eq!(left, [path], "nothing half written is left beside it");
    }

    #[test]
    #[ignore = "needs root, who can give a file away"]
    fn a_state_of_another_user_is_not_believed_and_one_of_root_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.json");
        let snapshot = saved(&path);
        assert_eq!(open(path.clone(), clocks()).remembered, Some(snapshot.clone()), "root's own");
        std::os::unix::fs::chown(&path, Some(65_532), Some(65_532)).unwrap();
        let opened = open(path.clone(), clocks());
        assert!(matches!(opened.trouble, Some(Trouble::Foreign(_, 65_532))), "{:?}", opened.trouble);
        let said = opened.trouble.unwrap().to_string();
        assert!(said.contains("belongs to user 65532 and is not believed"), "{said}");
        assert_eq!(opened.remembered, None);
        opened.file.unwrap().save(&snapshot, clocks()).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().uid(), 0, "it is replaced by one of ours");
        assert_eq!(open(path, clocks()).remembered, Some(snapshot));
    }

    #[test]
    fn what_a_kill_left_half_written_is_never_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.json");
        let snapshot = saved(&path);
        std::fs::write(beside(&path), "{\"vers").unwrap();
        let mut opened = open(path.clone(), clocks());
        assert_eq!(opened.remembered, Some(snapshot.clone()));
        let file = opened.file.as_mut().unwrap();
        file.save(&snapshot, clocks()).unwrap();
        assert!(!beside(&path).exists());
    }

    #[test]
    fn a_device_or_a_folder_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        for path in ["/dev/null", folder.path().to_str().unwrap()] {
            let opened = open(path.into(), clocks());
            assert!(matches!(opened.trouble, Some(Trouble::NoFile(_))));
            assert!(opened.file.is_none(), "it would be replaced by a file");
        }
    }

    #[test]
    fn a_missing_folder_is_said_and_nothing_more() {
        let folder = tempfile::tempdir().unwrap();
        let opened = open(folder.path().join("no/state.json"), clocks());
        assert!(matches!(opened.trouble, Some(Trouble::ReadOnly(..))));
    }
}
