//! Reads small files whole, within a limit, and waits for no pipe that nobody writes.
//!
//! Deliberately unknown: what the bytes mean, and what helps where there are none.

use std::fmt;
use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rustix::fs::OFlags;

/// Why a file was not read.
#[derive(Debug)]
pub enum FileError {
    /// The system's reason.
    System(io::Error),
    /// It is a folder, a pipe or a device.
    NotAFile,
    /// It is longer than the limit.
    TooLong,
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FileError::System(error) => error.fmt(f),
            FileError::NotAFile => f.write_str("it is not a regular file"),
            FileError::TooLong => f.write_str("it is too long"),
        }
    }
}

/// Opens a file, or a pipe whether or not somebody writes into it.
pub fn open(path: &Path) -> io::Result<(File, Metadata)> {
    let flags = i32::try_from((OFlags::NONBLOCK | OFlags::NOCTTY).bits()).unwrap_or(0);
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    let about = file.metadata()?;
    Ok((file, about))
}

/// The bytes of a regular file, at most so many.
///
/// # Errors
/// [`FileError`] says why there are none.
pub fn read(path: &Path, most: usize) -> Result<Vec<u8>, FileError> {
    let (file, about) = open(path).map_err(FileError::System)?;
    if !about.is_file() {
        return Err(FileError::NotAFile);
    }
    let mut bytes = Vec::new();
    file.take(most as u64 + 1).read_to_end(&mut bytes).map_err(FileError::System)?;
    if bytes.len() > most { Err(FileError::TooLong) } else { Ok(bytes) }
}
