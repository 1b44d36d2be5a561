//! The state file: what the engine remembers across a restart, on disk.
//!
//! It is never required. Whatever is wrong with it is said once and the daemon goes on without: a file
//! that cannot be believed is worth less than none. No link is followed at its place. Deliberately unknown: what the engine makes
//! of it, and any secret.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;

use super::error::StateError;
use super::json;
use super::place::{MOST_BYTES, folder_is_writable, open_itself};
use super::rest::Kept;
use super::saving::Saver;
use crate::engine::Snapshot;
use crate::engine::time::ClockPair;

/// What was found at the start.
#[derive(Debug, Default)]
pub struct Opened {
    /// What writes the file; `None`: memory only.
    pub saver: Option<Saver>,
    /// What it held.
    pub remembered: Option<Kept>,
    /// What is wrong, if something is.
    pub trouble: Option<StateError>,
}

/// Opens, locks and reads the state file.
pub fn open(path: PathBuf, clocks: ClockPair) -> Opened {
    match std::fs::symlink_metadata(&path) {
        Ok(there) if there.is_symlink() => return nothing_but(None, StateError::Link(path)),
        Ok(there) if !there.is_file() => return nothing_but(None, StateError::NoFile(path)),
        _ => {}
    }
    let writable = folder_is_writable(&path);
    let file = match lock(&path) {
        Ok(Locked::Held(file)) => file,
        Ok(Locked::Missing) => return begin_without(path, writable),
        Ok(Locked::InUse) => return nothing_but(None, StateError::InUse(path)),
        Err(error) => {
            let saver = writable.is_ok().then(|| Saver::new(path.clone(), None));
            return nothing_but(saver, StateError::Unreadable(path, error));
        }
    };
    let (mut remembered, mut trouble) = match read(&file, &path, clocks) {
        Ok(snapshot) => (snapshot, None),
        Err(trouble) => (None, Some(trouble)),
    };
    let mut saver = Saver::new(path.clone(), Some(file));
    if let (Err(error), None) = (writable, &trouble) {
        saver = saver.already_failing();
        trouble = Some(match &mut remembered {
            Some(kept) => {
                doubt(&mut kept.snapshot);
                StateError::Frozen(path, error)
            }
            None => StateError::ReadOnly(path, error),
        });
    }
    Opened { saver: Some(saver), remembered, trouble }
}

/// Reads the state file and leaves it alone: a running daemon may hold it. What cannot be read is
/// simply not known.
pub fn look(path: &Path, clocks: ClockPair) -> Opened {
    let is_file = std::fs::symlink_metadata(path).is_ok_and(|there| there.is_file());
    let file = is_file.then(|| open_itself(path).ok()).flatten();
    let read = file.and_then(|file| read(&file, path, clocks).ok());
    Opened { remembered: read.flatten(), ..Opened::default() }
}

fn nothing_but(saver: Option<Saver>, trouble: StateError) -> Opened {
    Opened { saver, remembered: None, trouble: Some(trouble) }
}

/// There is no file yet: an empty one is put there to hold the lock.
fn begin_without(path: PathBuf, writable: io::Result<()>) -> Opened {
    let make = || OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
    match writable.and_then(|()| make()).and_then(|_| lock(&path)) {
        Ok(Locked::Held(file)) => Opened { saver: Some(Saver::new(path, Some(file))), ..Opened::default() },
        Ok(Locked::Missing) => Opened { saver: Some(Saver::new(path, None)), ..Opened::default() },
        Ok(Locked::InUse) => nothing_but(None, StateError::InUse(path)),
        Err(error) => {
            let saver = Saver::new(path.clone(), None).already_failing();
            nothing_but(Some(saver), StateError::ReadOnly(path, error))
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
        let file = match open_itself(path) {
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
        match std::fs::symlink_metadata(path) {
            Ok(there) if (there.dev(), there.ino()) == (opened.dev(), opened.ino()) => {
                return Ok(Locked::Held(file));
            }
            _ => {}
        }
    }
    Ok(Locked::InUse)
}

/// What the file holds; `None` where it is empty, as a first start leaves it.
fn read(file: &File, path: &Path, clocks: ClockPair) -> Result<Option<Kept>, StateError> {
    let unreadable = |error| StateError::Unreadable(path.to_owned(), error);
    let mut bytes = Vec::new();
    let most = u64::try_from(MOST_BYTES).unwrap_or(u64::MAX);
    file.take(most + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    let garbage = |why: String| StateError::Garbage(path.to_owned(), why);
    if bytes.len() > MOST_BYTES {
        return Err(garbage("it is larger than 64 MiB".into()));
    }
    if bytes.is_empty() {
        return Ok(None);
    }
    let about = file.metadata().map_err(unreadable)?;
    let (owner, mode) = (about.uid(), about.mode() & 0o7777);
    if owner != 0 && owner != rustix::process::geteuid().as_raw() {
        return Err(StateError::Foreign(path.to_owned(), owner));
    }
    if mode & 0o022 != 0 {
        return Err(StateError::Open(path.to_owned(), mode));
    }
    json::read(&bytes, clocks).map(Some).map_err(garbage)
}

/// Takes every zone's copy as possibly wrong; addresses and budget stay.
fn doubt(snapshot: &mut Snapshot) {
    for zone in snapshot.zones.values_mut() {
        zone.listed_at = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsStr;
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;

    use crate::state::place::{beside, state_file};
    use crate::state::saving::Text;

    use crate::engine::names::Moment;

    fn clocks() -> ClockPair {
        let wall = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_800_000_000);
        ClockPair::at(wall, Moment::from_millis(1_000_000))
    }

    /// Saves as the loop does.
    fn save(saver: &mut Saver, state: &Kept) -> Result<(), StateError> {
        let changes = state.snapshot.clone().into();
        let text = Text::Whole(json::file(&changes, state.hash_key, clocks()));
        saver.begin(text, clocks().moment());
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let saved = runtime.block_on(saver.saved());
        saver.take_in(saved)
    }

    fn saved(path: &Path) -> Kept {
        let state = json::tests::full();
        let mut saver = open(path.to_owned(), clocks()).saver.unwrap();
        save(&mut saver, &state).unwrap();
        state
    }

    #[test]
    fn what_was_saved_is_there_at_the_next_start() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.json");
        let state = saved(&path);
        let opened = open(path.clone(), clocks());
        assert!(opened.trouble.is_none(), "{:?}", opened.trouble);
        assert_eq!(opened.remembered, Some(state));
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let files = std::fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(files, 1, "nothing is left beside it");
    }

    #[test]
    fn the_place_is_systemds_folder_else_the_variable_else_nowhere() {
        let os = OsStr::new;
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(state_file(None, Some(folder.path().as_os_str())), Some(folder.path().join("state.json")));
        assert_eq!(state_file(Some(os("/a:/b")), Some(os("/c/s.json"))), Some("/a/state.json".into()));
        assert_eq!(state_file(None, Some(os("/c/s.json"))), Some("/c/s.json".into()));
        assert_eq!(state_file(Some(os("")), Some(os(""))), None);
        assert_eq!(state_file(None, None), None);
    }

    #[test]
    fn anything_that_is_no_state_is_said_and_starts_afresh() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.json");
        saved(&path);
        let good = std::fs::read(&path).unwrap();
        let other_version =
            String::from_utf8(good.clone()).unwrap().replace("\"version\":3", "\"version\":4");
        let bad: [(&[u8], &str); 5] = [
            (b"\0\xff garbage", "it is damaged"),
            (b"{}\n", "something in it is missing, or not as stayput writes it"),
            (&good[..good.len() / 2], "it ends too early"),
            (other_version.as_bytes(), "it is of version 4, and this program knows 1 to 3"),
            (&vec![b' '; MOST_BYTES + 1], "it is larger than 64 MiB"),
        ];
        for (bytes, why) in bad {
            std::fs::write(&path, bytes).unwrap();
            let opened = open(path.clone(), clocks());
            let said = opened.trouble.unwrap().to_string();
            assert!(said.contains(&format!("is not usable ({why}); starting afresh: ")), "{said}");
            assert_eq!(opened.remembered, None);
            let mut saver = opened.saver.unwrap();
            save(&mut saver, &json::tests::full()).unwrap();
            drop(saver);
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
        let mut first = open(path.clone(), clocks()).saver.unwrap();
        for _ in 0..2 {
            let second = open(path.clone(), clocks());
            assert!(matches!(second.trouble, Some(StateError::InUse(_))));
            assert!(second.saver.is_none() && second.remembered.is_none());
            save(&mut first, &json::tests::full()).unwrap();
        }
        drop(first);
        assert!(open(path, clocks()).saver.is_some());
    }

    #[test]
    fn a_save_that_fails_is_said_once_and_leaves_no_old_copy() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.json");
        saved(&path);
        let mut saver = open(path.clone(), clocks()).saver.unwrap();
        // A folder of that name cannot be replaced by a file, not even by root.
        let obstacle = beside(&path);
        std::fs::create_dir(&obstacle).unwrap();
        let state = json::tests::full();
        assert!(matches!(save(&mut saver, &state), Err(StateError::Unwritten(..))));
        assert!(!path.exists(), "a stale copy would be believed");
        for _ in 0..5 {
            assert!(save(&mut saver, &state).is_ok(), "said once");
            assert!(!path.exists());
        }
        std::fs::remove_dir(&obstacle).unwrap();
        assert!(save(&mut saver, &state).is_ok());
        assert!(path.exists(), "it recovers by itself");
        std::fs::create_dir(&obstacle).unwrap();
        assert!(save(&mut saver, &state).is_err(), "another fault is said anew");
    }

    #[test]
    fn an_old_file_that_cannot_even_be_removed_is_named_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.json");
        saved(&path);
        let mut saver = open(path.clone(), clocks()).saver.unwrap();
        // What is a folder now can be neither replaced by a file nor removed like one, not even by root.
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        let state = json::tests::full();
        let trouble = save(&mut saver, &state).unwrap_err();
        assert!(matches!(trouble, StateError::Stale(..)), "{trouble:?}");
        let said = trouble.to_string();
        assert!(said.contains(path.to_str().unwrap()) && said.contains("remove it before the next start"));
        for _ in 0..5 {
            assert!(save(&mut saver, &state).is_ok(), "said once");
        }
        let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().path()).collect();
        assert_eq!(left, [path], "nothing half written is left beside it");
    }

    #[test]
    #[ignore = "needs root, who can give a file away"]
    fn a_state_of_another_user_is_not_believed_and_one_of_root_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.json");
        let state = saved(&path);
        assert_eq!(open(path.clone(), clocks()).remembered, Some(state.clone()), "root's own");
        std::os::unix::fs::chown(&path, Some(65_532), Some(65_532)).unwrap();
        let opened = open(path.clone(), clocks());
        assert!(matches!(opened.trouble, Some(StateError::Foreign(_, 65_532))), "{:?}", opened.trouble);
        let said = opened.trouble.unwrap().to_string();
        assert!(said.contains("belongs to user 65532 and is not believed"), "{said}");
        assert_eq!(opened.remembered, None);
        save(&mut opened.saver.unwrap(), &state).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().uid(), 0, "it is replaced by one of ours");
        assert_eq!(open(path, clocks()).remembered, Some(state));
    }

    #[test]
    fn what_a_kill_left_half_written_is_never_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.json");
        let state = saved(&path);
        std::fs::write(beside(&path), "{\"vers").unwrap();
        let mut opened = open(path.clone(), clocks());
        assert_eq!(opened.remembered, Some(state.clone()));
        let saver = opened.saver.as_mut().unwrap();
        save(saver, &state).unwrap();
        assert!(!beside(&path).exists());
    }

    #[test]
    fn a_device_or_a_folder_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        for path in ["/dev/null", folder.path().to_str().unwrap()] {
            let opened = open(path.into(), clocks());
            assert!(matches!(opened.trouble, Some(StateError::NoFile(_))));
            assert!(opened.saver.is_none(), "it would be replaced by a file");
        }
    }

    #[test]
    fn a_missing_folder_is_said_and_nothing_more() {
        let folder = tempfile::tempdir().unwrap();
        let opened = open(folder.path().join("no/state.json"), clocks());
        assert!(matches!(opened.trouble, Some(StateError::ReadOnly(..))));
    }

    #[test]
    fn a_link_is_said_and_neither_read_nor_followed_nor_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let (path, target) = (folder.path().join("state.json"), folder.path().join("target"));
        std::os::unix::fs::symlink(&target, &path).unwrap();
        for dangles in [true, false] {
            if !dangles {
                saved(&target);
            }
            let before = std::fs::read(&target).ok();
            let opened = open(path.clone(), clocks());
            assert!(matches!(opened.trouble, Some(StateError::Link(_))), "{:?}", opened.trouble);
            assert!(opened.saver.is_none() && opened.remembered.is_none());
            let said = opened.trouble.unwrap().to_string();
            assert!(said.contains("is a symbolic link and is not followed"), "{said}");
            assert_eq!(look(&path, clocks()).remembered, None);
            assert_eq!(std::fs::read(&target).ok(), before, "nothing is made or changed where it leads");
            assert!(std::fs::symlink_metadata(&path).unwrap().is_symlink());
        }
    }

    #[test]
    fn a_link_at_the_place_of_the_new_file_is_replaced_and_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let (path, target) = (folder.path().join("state.json"), folder.path().join("target"));
        std::fs::write(&target, "precious").unwrap();
        std::os::unix::fs::symlink(&target, beside(&path)).unwrap();
        let state = saved(&path);
        assert_eq!(open(path, clocks()).remembered, Some(state));
        assert_eq!(std::fs::read(target).unwrap(), b"precious");
    }

    #[test]
    fn a_file_with_a_second_name_is_replaced_and_never_written_into() {
        let folder = tempfile::tempdir().unwrap();
        let (path, other) = (folder.path().join("state.json"), folder.path().join("other"));
        std::fs::write(&other, "precious").unwrap();
        std::fs::hard_link(&other, &path).unwrap();
        let opened = open(path.clone(), clocks());
        assert!(matches!(opened.trouble, Some(StateError::Garbage(..))), "{:?}", opened.trouble);
        let state = json::tests::full();
        save(&mut opened.saver.unwrap(), &state).unwrap();
        assert_eq!(std::fs::read(other).unwrap(), b"precious");
        assert_eq!(open(path, clocks()).remembered, Some(state));
    }

    #[test]
    fn a_state_that_others_can_write_is_not_believed_and_the_remedy_is_named() {
        for mode in [0o666, 0o664, 0o620, 0o602] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("state.json");
            let state = saved(&path);
            std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
            assert_eq!(look(&path, clocks()).remembered, None);
            let opened = open(path.clone(), clocks());
            assert!(matches!(opened.trouble, Some(StateError::Open(..))), "{:?}", opened.trouble);
            assert_eq!(opened.remembered, None);
            let said = opened.trouble.unwrap().to_string();
            let remedy = format!(
                "(mode {mode:04o}) and is not believed; starting afresh (chmod go-w {}",
                path.display()
            );
            assert!(said.contains(&remedy), "{said}");
            save(&mut opened.saver.unwrap(), &state).unwrap();
            let opened = open(path, clocks());
            assert_eq!(opened.remembered, Some(state), "it is replaced by one that only we can write");
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.json");
        std::fs::write(&path, "").unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o666)).unwrap();
        assert!(open(path, clocks()).trouble.is_none(), "there is nothing to believe in an empty file");
    }

    #[test]
    fn a_state_that_cannot_be_written_is_said_once_however_often_it_is_tried() {
        let folder = tempfile::tempdir().unwrap();
        let places =
            [folder.path().join("no/state.json"), "/proc/state.json".into(), "/sys/state.json".into()];
        for path in places {
            let opened = open(path.clone(), clocks());
            assert!(matches!(opened.trouble, Some(StateError::ReadOnly(..))), "{:?}", opened.trouble);
            let mut saver = opened.saver.unwrap();
            for _ in 0..3 {
                assert!(save(&mut saver, &json::tests::full()).is_ok(), "{} is said again", path.display());
            }
        }
    }
}
