//! A file as a source: it is read whole each time it is asked, and it is small.
//!
//! Deliberately unknown: what the bytes mean.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rustix::fs::OFlags;

use super::{LONGEST_ANSWER, local};
use crate::engine::watch::LookError;

/// The file's bytes.
///
/// # Errors
/// [`LookError::Local`] with the path and the system's reason; [`LookError::TooLong`].
pub(super) fn read(path: &Path) -> Result<Vec<u8>, LookError> {
    let failed = |error: io::Error| local(&format!("cannot read {}", path.display()), &error);
    let file = open(path).map_err(failed)?;
    let mut bytes = Vec::new();
    let one_more = LONGEST_ANSWER as u64 + 1;
    file.take(one_more).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() > LONGEST_ANSWER {
        return Err(LookError::TooLong);
    }
    Ok(bytes)
}

/// Opens a regular file. A pipe without a writer would hold up the whole program.
fn open(path: &Path) -> io::Result<File> {
    let flags = i32::try_from((OFlags::NONBLOCK | OFlags::NOCTTY).bits()).unwrap_or(0);
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::other("it is not a regular file")) }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::detect::{Detector, Source};
    use crate::engine::names::Family;

    async fn ask(path: &Path) -> Result<std::net::IpAddr, LookError> {
        let source = Source::File(path.to_owned());
        Detector::new(&crate::http::Authorities::default()).ask(&source, Family::V4).await
    }

    #[tokio::test]
    async fn a_file_is_read_anew_each_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("wan");
        for address in ["91.7.1.2", "91.7.1.3"] {
            fs::write(&path, format!("{address}\n")).unwrap();
            assert_eq!(ask(&path).await, Ok(address.parse().unwrap()));
        }
        fs::write(&path, "").unwrap();
        assert!(matches!(ask(&path).await, Err(LookError::NotAnAddress(_))));
        fs::write(&path, " ".repeat(4096)).unwrap();
        assert!(matches!(ask(&path).await, Err(LookError::NotAnAddress(_))));
        fs::write(&path, " ".repeat(4097)).unwrap();
        assert_eq!(ask(&path).await, Err(LookError::TooLong));
    }

    #[tokio::test]
    async fn what_is_no_readable_file_is_named_with_the_reason() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("missing");
        let fifo = folder.path().join("fifo");
        rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, rustix::fs::Mode::RUSR).unwrap();
        for (path, reason) in [
            (missing.as_path(), "No such file"),
            (folder.path(), "not a regular file"),
            (&fifo, "not a regular file"),
            (Path::new("/dev/zero"), "not a regular file"),
        ] {
            let Err(LookError::Local(why)) = ask(path).await else { panic!("{} was read", path.display()) };
            assert!(why.starts_with(&format!("cannot read {}: ", path.display())), "{why}");
            assert!(why.contains(reason), "{why}");
        }
    }
}
