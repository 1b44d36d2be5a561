//! A program as a source: its standard output is the answer; its standard error is for people.
//!
//! Deliberately unknown: how a program is run, and what the output means.

use std::time::Duration;

use zeroize::Zeroizing;

use super::LONGEST_ANSWER;
use crate::engine::watch::LookError;
use crate::process::{self, Failed, Limits};
use crate::secret::redact::quote;

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
            let complaint = quote(&complaint, 200);
            let join = if complaint.is_empty() { "" } else { ": " };
            LookError::Local(format!("{how}{join}{complaint}"))
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

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
