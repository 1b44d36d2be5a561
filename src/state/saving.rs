//! Persist beside the loop: a disk may need seconds for what the loop must not wait for.
//!
//! Each save has a thread that ends with it. One runs at a time, always of the newest snapshot, so that an
//! older one never replaces a newer. Snapshots are numbered in the order of their saves. Deliberately
//! unknown: what waits for a save.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

use tokio::sync::oneshot;

use super::error::StateError;
use super::place::{MOST_BYTES, add, beside, is_there, sync_folder, write_new};
use crate::engine::names::Moment;

/// A file may grow by so much, and by its size when it was written whole, before it is written whole again.
const GROWTH: usize = 64 * 1024;
/// How long the loop waits for the old file's removal when the state is given up: milliseconds do where
/// the disk answers at all.
const REMOVAL: Duration = Duration::from_millis(100);

/// Saves the state in its file, one snapshot after the other, and holds the lock that keeps a second
/// instance out.
#[derive(Debug)]
pub struct Saver {
    path: PathBuf,
    /// The file as it is now, locked; `None` where there is none yet.
    held: Option<Arc<File>>,
    /// Its size when it was written whole, and what was added since; `None` where nothing may be added.
    size: Option<(usize, usize)>,
    /// A write failed and was said; nothing is said again until one works.
    failing: bool,
    /// The number of the snapshot that was taken last.
    begun: u64,
    /// The number of the snapshot whose save ended last, well or not.
    ended: u64,
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    since: Moment,
    save: Arc<Save>,
    told: oneshot::Receiver<Saved>,
}

/// What is saved.
#[derive(Debug)]
pub enum Text {
    /// A whole file, in place of the one that is there.
    Whole(Vec<u8>),
    /// What is added to the file.
    Part(Vec<u8>),
}

impl Text {
    fn len(&self) -> usize {
        match self {
            Text::Whole(text) | Text::Part(text) => text.len(),
        }
    }
}

/// How a save ended: with the file, locked, or not.
#[derive(Debug)]
pub struct Saved(Result<Arc<File>, Failed>);

#[derive(Debug)]
struct Failed {
    error: io::Error,
    left: Left,
}

/// What is there after the old file was to be removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Left {
    Nothing,
    Old,
}

impl Saver {
    /// Saves at this place; `held` is what is there, locked.
    pub fn new(path: PathBuf, held: Option<File>) -> Saver {
        Saver {
            path,
            held: held.map(Arc::new),
            size: None,
            failing: false,
            begun: 0,
            ended: 0,
            running: None,
        }
    }

    /// That the file cannot be written was said already.
    pub fn already_failing(self) -> Saver {
        Saver { failing: true, ..self }
    }

    /// The number of the newest snapshot, whose save may still run.
    pub fn newest(&self) -> u64 {
        self.begun
    }

    /// The number that the next snapshot will have.
    pub fn next(&self) -> u64 {
        self.begun + 1
    }

    /// Whether the save of this snapshot has ended. If it failed, there is no state that would be believed.
    pub fn has_ended(&self, snapshot: u64) -> bool {
        snapshot <= self.ended
    }

    /// Since when a save runs.
    pub fn saving_since(&self) -> Option<Moment> {
        self.running.as_ref().map(|running| running.since)
    }

    /// Whether the next save must be of a whole file.
    pub fn wants_whole(&self) -> bool {
        self.size.is_none_or(|(whole, added)| added > whole.max(GROWTH))
    }

    /// Begins to save. Only while no save runs, and only a whole file where one is wanted.
    pub fn begin(&mut self, text: Text, now: Moment) {
        self.begun += 1;
        self.size = match (&text, self.size) {
            (Text::Whole(text), _) => Some((text.len(), 0)),
            (Text::Part(text), size) => size.map(|(whole, added)| (whole, added + text.len())),
        };
        let (path, held) = (self.path.clone(), self.held.clone());
        let save = Arc::new(Save { path, text, held, is_given_up: Mutex::new(false) });
        let told = save.run_beside().unwrap_or_else(|_| {
            // The system has no thread to give: this save is waited for.
            let (tell, told) = oneshot::channel();
            let _told = tell.send(Saved(save.run()));
            told
        });
        self.running = Some(Running { since: now, save, told });
    }

    /// Returns when the save that runs has ended, or never. May be dropped and called again.
    pub async fn saved(&mut self) -> Saved {
        let Some(running) = &mut self.running else {
            return std::future::pending().await;
        };
        (&mut running.told).await.unwrap_or_else(|_| {
            let error = io::Error::other("the thread that saves it has failed");
            Saved(Err(Failed { error, left: remove(&self.path) }))
        })
    }

    /// Takes in how the save ended.
    ///
    /// # Errors
    /// What is wrong, the first time that it is.
    pub fn take_in(&mut self, saved: Saved) -> Result<(), StateError> {
        self.running = None;
        self.ended = self.begun;
        if saved.0.is_err() {
            self.size = None;
        }
        let Failed { error, left } = match saved.0 {
            Ok(file) => {
                self.held = Some(file);
                self.failing = false;
                return Ok(());
            }
            Err(failed) => failed,
        };
        if std::mem::replace(&mut self.failing, true) {
            return Ok(());
        }
        let path = self.path.clone();
        Err(match left {
            Left::Nothing => StateError::Unwritten(path, error),
            Left::Old => StateError::Stale(path, error),
        })
    }

    /// Gives the state up: the save that runs replaces nothing any more, and the old file goes.
    pub fn give_up(self) -> StateError {
        let removal = self.running.and_then(|Running { save, .. }| {
            let (tell, told) = mpsc::channel();
            // Not by the loop: the disk may not answer to this either.
            let remove = move || tell.send(save.give_up());
            thread::Builder::new().name("state".to_owned()).spawn(remove).ok()?;
            told.recv_timeout(REMOVAL).ok()
        });
        match removal {
            Some(Left::Nothing) => StateError::Slow(self.path),
            Some(Left::Old) | None => StateError::SlowAndStale(self.path),
        }
    }
}

/// One save.
#[derive(Debug)]
struct Save {
    path: PathBuf,
    text: Text,
    /// What text is added to.
    held: Option<Arc<File>>,
    /// Locked while a file is renamed or removed.
    is_given_up: Mutex<bool>,
}

impl Save {
    fn run_beside(self: &Arc<Save>) -> io::Result<oneshot::Receiver<Saved>> {
        let (tell, told) = oneshot::channel();
        let save = Arc::clone(self);
        let run = move || {
            // Nobody waits for it any more where the state was given up.
            let _told = tell.send(Saved(save.run()));
        };
        thread::Builder::new().name("state".to_owned()).spawn(run)?;
        Ok(told)
    }

    /// Where it fails, the old file is removed, because what it says would no longer be true at the next start.
    fn run(&self) -> Result<Arc<File>, Failed> {
        let done = match (&self.text, &self.held) {
            (text, _) if text.len() > MOST_BYTES => Err(io::Error::other("it would be larger than 64 MiB")),
            (Text::Part(text), Some(file)) => add(file, &self.path, text).map(|()| Arc::clone(file)),
            (Text::Part(_), None) => Err(io::Error::other("there is no file to add to")),
            (Text::Whole(text), _) => self.replace(text)?.map(Arc::new),
        };
        let error = match done {
            Ok(file) => return Ok(file),
            Err(error) => error,
        };
        let _turn = self.turn()?;
        Err(Failed { error, left: remove(&self.path) })
    }

    /// Writes the text beside the file and renames it over the file; the new file is locked.
    fn replace(&self, text: &[u8]) -> Result<io::Result<File>, Failed> {
        let beside = beside(&self.path);
        let written = write_new(&beside, text);
        let renamed = {
            let _turn = self.turn()?;
            written.and_then(|file| std::fs::rename(&beside, &self.path).map(|()| file))
        };
        Ok(renamed.and_then(|file| sync_folder(&self.path).map(|()| file)))
    }

    /// The turn to rename or remove, unless the state was given up: another instance may own it by now.
    fn turn(&self) -> Result<MutexGuard<'_, bool>, Failed> {
        let is_given_up = self.is_given_up.lock().unwrap_or_else(PoisonError::into_inner);
        if *is_given_up {
            let error = io::Error::other("the state was given up");
            return Err(Failed { error, left: Left::Nothing });
        }
        Ok(is_given_up)
    }

    fn give_up(&self) -> Left {
        let mut is_given_up = self.is_given_up.lock().unwrap_or_else(PoisonError::into_inner);
        *is_given_up = true;
        remove(&self.path)
    }
}

/// Removes the file, and what a save may have left beside it: that may be what fills the disk.
fn remove(path: &Path) -> Left {
    let _gone = std::fs::remove_file(beside(path));
    let _gone = std::fs::remove_file(path);
    if is_there(path) { Left::Old } else { Left::Nothing }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Moment {
        Moment::from_millis(1_000)
    }

    fn wait(saver: &mut Saver) -> Result<(), StateError> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let saved = runtime.block_on(saver.saved());
        saver.take_in(saved)
    }

    #[test]
    fn what_needs_a_snapshot_waits_for_its_save_and_no_longer() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.json");
        let mut saver = Saver::new(path.clone(), None);
        assert!(saver.has_ended(saver.newest()), "nothing was begun, nothing is waited for");
        saver.begin(Text::Whole(b"first".to_vec()), now());
        let (first, second) = (saver.newest(), saver.next());
        assert!(!saver.has_ended(first) && !saver.has_ended(second));
        assert_eq!(saver.saving_since(), Some(now()));
        wait(&mut saver).unwrap();
        assert!(saver.has_ended(first) && !saver.has_ended(second));
        assert_eq!(saver.saving_since(), None);
        saver.begin(Text::Whole(b"second".to_vec()), now());
        assert!(saver.has_ended(first) && !saver.has_ended(second));
        wait(&mut saver).unwrap();
        assert!(saver.has_ended(second));
        assert_eq!(std::fs::read(path).unwrap(), b"second");
    }

    #[test]
    fn a_save_that_fails_has_ended_too() {
        let mut saver = Saver::new("/dev/null/state.json".into(), None);
        saver.begin(Text::Whole(Vec::new()), now());
        assert!(
            matches!(wait(&mut saver), Err(StateError::Unwritten(..))),
            "there is no old file below a device"
        );
        assert!(saver.has_ended(saver.newest()));
    }

    #[test]
    fn a_save_that_comes_to_its_end_after_the_state_was_given_up_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.json");
        std::fs::write(&path, "old").unwrap();
        let save = Save {
            path: path.clone(),
            text: Text::Whole(b"late".to_vec()),
            held: None,
            is_given_up: Mutex::new(false),
        };
        assert_eq!(save.give_up(), Left::Nothing);
        assert!(!path.exists(), "what it says would no longer be true");
        std::fs::write(&path, "another instance's").unwrap();
        assert!(save.run().is_err());
        assert_eq!(std::fs::read(&path).unwrap(), b"another instance's");
    }

    #[test]
    fn a_disk_that_does_not_answer_is_given_up_without_waiting_for_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.json");
        std::fs::write(&path, "old").unwrap();
        let mut saver = Saver::new(path.clone(), None);
        saver.begin(Text::Whole(b"new".to_vec()), now());
        let save = Arc::clone(&saver.running.as_ref().unwrap().save);
        // As in a rename that hangs.
        let stuck = save.is_given_up.lock().unwrap();
        let begin = std::time::Instant::now();
        let trouble = saver.give_up();
        assert!(begin.elapsed() < Duration::from_secs(2), "{:?}", begin.elapsed());
        assert!(matches!(trouble, StateError::SlowAndStale(_)), "{trouble:?}");
        let words = trouble.to_string();
        assert!(words.contains("30 s") && words.contains("remove"), "{words}");
        drop(stuck);
        let until = std::time::Instant::now() + Duration::from_secs(10);
        while path.exists() {
            assert!(std::time::Instant::now() < until, "it is not removed when the disk answers again");
            thread::sleep(Duration::from_millis(5));
        }
    }
}
