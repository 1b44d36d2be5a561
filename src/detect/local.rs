//! Sources on this host: a file, which is read whole each time, and a program, whose standard output is the
//! answer and whose standard error is for people.
//!
//! Deliberately unknown: what the bytes mean.

use std::path::Path;
use std::time::Duration;

use zeroize::Zeroizing;

use super::answer::{LONGEST_ANSWER, local};
use crate::engine::watch::LookError;
use crate::process::{self, Failed, Limits};
use crate::secret::redact::quote;
use crate::small_file::{self, FileError};

/// The bytes of a file.
///
/// # Errors
/// [`LookError::Local`] with the path and the reason; [`LookError::TooLong`].
pub(super) fn read(path: &Path) -> Result<Vec<u8>, LookError> {
    small_file::read(path, LONGEST_ANSWER).map_err(|error| match error {
        FileError::TooLong => LookError::TooLong,
        other => local(&format!("cannot read {}", path.display()), &other),
    })
}

/// What the program prints.
///
/// # Errors
/// [`LookError::Local`] if it cannot be run or does not end with success, with the last line of its
/// standard error, in words that follow the source's label; [`LookError::TooLong`]; [`LookError::TimedOut`].
pub(super) async fn run(words: &[Box<str>], limit: Duration) -> Result<Zeroizing<Vec<u8>>, LookError> {
    let limits = Limits { time: limit, bytes: LONGEST_ANSWER };
    process::run(words, limits).await.map_err(|failed| match failed {
        Failed::NotRun(error) => LookError::Local(format!("cannot be run: {}", process::why_not_run(&error))),
        Failed::TooSlow => LookError::TimedOut,
        Failed::TooLong => LookError::TooLong,
        Failed::Ended { how, complaint } => {
            let complaint = quote(&*complaint, 200);
            let join = if complaint.is_empty() { "" } else { ": " };
            LookError::Local(format!("{how}{join}{complaint}"))
        }
    })
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

    async fn failure(words: &[&str]) -> String {
        let words: Vec<Box<str>> = words.iter().map(|&word| word.into()).collect();
        match run(&words, Duration::from_secs(20)).await {
            Err(LookError::Local(why)) => why,
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn a_failure_says_how_the_program_ended_and_its_last_words_and_no_argument() {
        let why = failure(&["sh", "-c", "echo 91.7.1.2; echo the router says no >&2; exit 3"]).await;
        assert_eq!(why, "ended with exit status 3: the router says no");
        assert_eq!(failure(&["sh", "-c", "exit 1"]).await, "ended with exit status 1");
        let why = failure(&["/no/such/program", "secret"]).await;
        assert_eq!(why, "cannot be run: No such file or directory (os error 2)");
    }
}
