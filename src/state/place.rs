//! The place of the state file in the file system: where it is, and how a file is put there. No link is followed.
//!
//! Deliberately unknown: what is in the file, and what is made of a failure.

use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{Access, FlockOperation, Mode, OFlags};

/// A larger file is not read, and not written: some 350,000 records.
pub(super) const MOST_BYTES: usize = 64 * 1024 * 1024;

/// Where the state belongs: `$STATE_DIRECTORY/state.json` (the first folder of several), else
/// `$STAYPUT_STATE` (a folder for it, or the file itself), else nowhere.
pub fn state_file(directory: Option<&OsStr>, file: Option<&OsStr>) -> Option<PathBuf> {
    let set = |value: &&OsStr| !value.is_empty();
    if let Some(folders) = directory.filter(set) {
        return Some(first_folder(folders).join("state.json"));
    }
    let path = file.filter(set).map(PathBuf::from)?;
    Some(if path.is_dir() { path.join("state.json") } else { path })
}

/// The first of the folders in a variable such as `$STATE_DIRECTORY`, which systemd parts with colons.
pub fn first_folder(folders: &OsStr) -> &Path {
    let first = folders.as_bytes().split(|byte| *byte == b':').next();
    Path::new(OsStr::from_bytes(first.unwrap_or_default()))
}

/// Opens what is at `path` for reading: neither what a link there leads to, nor by waiting for a pipe.
pub(super) fn open_itself(path: &Path) -> io::Result<File> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    Ok(rustix::fs::open(path, OFlags::RDONLY | flags, Mode::empty())?.into())
}

/// Writes a new file, locked and on disk.
pub(super) fn write_new(path: &Path, text: &[u8]) -> io::Result<File> {
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
pub(super) fn beside(path: &Path) -> PathBuf {
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

pub(super) fn folder_is_writable(path: &Path) -> io::Result<()> {
    let mode = Access::WRITE_OK | Access::EXEC_OK;
    Ok(rustix::fs::access(folder(path), mode)?)
}

pub(super) fn is_there(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_ok()
}

/// Makes the rename last: without it a power cut may bring the old file back.
pub(super) fn sync_folder(path: &Path) -> io::Result<()> {
    match File::open(folder(path))?.sync_all() {
        // Some file systems have no such call for folders; there the rename is all there is.
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(()),
        result => result,
    }
}

/// Adds to a file that is still the one at `path`, and has it on disk.
pub(super) fn add(mut file: &File, path: &Path, text: &[u8]) -> io::Result<()> {
    let (ours, there) = (file.metadata()?, std::fs::symlink_metadata(path)?);
    if (ours.dev(), ours.ino()) != (there.dev(), there.ino()) {
        return Err(io::Error::other("another file has taken its place"));
    }
    file.write_all(text)?;
    file.sync_all()
}
