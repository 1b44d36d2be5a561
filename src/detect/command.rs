//! A program as a source: run without a shell, with nothing on its standard input, for a limited
//! time. Its standard output is the answer; its standard error is for people.
//!
//! Deliberately unknown: what the output means.

use std::convert::Infallible;
use std::future;
use std::io;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::{Child, Command};

use super::{LONGEST_ANSWER, local};
use crate::engine::address::Unheard;
use crate::outbound::excerpt;

/// Of the environment, the program does not get what is for us alone: the usual place of the
/// secret, and the line to systemd.
const NOT_INHERITED: [&str; 2] = ["CLOUDFLARE_API_TOKEN", "NOTIFY_SOCKET"];

/// What the program prints.
///
/// # Errors
/// [`Unheard::Local`] if it cannot be run or does not end with success, with the last line of its
/// standard error; [`Unheard::TooLong`]; [`Unheard::TimedOut`]. It and all its children are ended
/// then, and also if the caller stops waiting.
pub(super) async fn run(words: &[Box<str>], limit: Duration) -> Result<Vec<u8>, Unheard> {
    let Some((program, arguments)) = words.split_first() else {
        return Err(Unheard::Local("the command is empty".to_owned()));
    };
    let mut command = Command::new(&**program);
    command
        .args(arguments.iter().map(|argument| &**argument))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true);
    for variable in NOT_INHERITED {
        command.env_remove(variable);
    }
    let failed = |error: io::Error| local(&format!("cannot run {program}"), &error);
    let mut complaint = LastLine::default();
    let outcome = {
        let mut running = Running::from(command.spawn().map_err(failed)?);
        tokio::time::timeout(limit, running.finish(&mut complaint)).await
    };
    match outcome {
        Err(_) => Err(Unheard::TimedOut),
        Ok(Err(error)) => Err(failed(error)),
        Ok(Ok((_, None))) => Err(Unheard::TooLong),
        Ok(Ok((output, Some(status)))) if status.success() => Ok(output),
        Ok(Ok((_, Some(status)))) => {
            let complaint = complaint.text();
            let join = if complaint.is_empty() { "" } else { ": " };
            Err(Unheard::Local(format!("{program} ended with {status}{join}{complaint}")))
        }
    }
}

/// A program that runs; dropping it ends the program and its children.
struct Running {
    /// The group that it leads, while its number cannot have gone to somebody else: until we have
    /// taken note of its end.
    group: Option<Pid>,
    child: Child,
}

impl From<Child> for Running {
    fn from(child: Child) -> Running {
        let pid = child.id().and_then(|pid| i32::try_from(pid).ok());
        Running { group: pid.and_then(Pid::from_raw), child }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(group) = self.group {
            // It may have ended by itself by now.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

impl Running {
    /// The output, and how it ended; `None`: not yet, because it prints too much.
    async fn finish(&mut self, complaint: &mut LastLine) -> io::Result<(Vec<u8>, Option<ExitStatus>)> {
        let (Some(output), Some(mut errors)) = (self.child.stdout.take(), self.child.stderr.take()) else {
            return Err(io::Error::other("its output is not ours"));
        };
        let ended = tokio::select! {
            ended = read_and_wait(output, &mut self.child) => ended?,
            never = complaint.follow_for_ever(&mut errors) => match never {},
        };
        if ended.1.is_some() {
            self.group = None;
            // All that it wrote waits to be read; what a child of its may yet write is not awaited.
            let rest = complaint.follow(&mut errors);
            let _ = tokio::time::timeout(Duration::from_millis(20), rest).await;
        }
        Ok(ended)
    }
}

async fn read_and_wait(
    output: impl AsyncRead + Unpin,
    child: &mut Child,
) -> io::Result<(Vec<u8>, Option<ExitStatus>)> {
    let mut bytes = Vec::new();
    let one_more = LONGEST_ANSWER as u64 + 1;
    output.take(one_more).read_to_end(&mut bytes).await?;
    if bytes.len() > LONGEST_ANSWER {
        return Ok((bytes, None));
    }
    Ok((bytes, Some(child.wait().await?)))
}

/// The end of a text that may be endless.
#[derive(Default)]
struct LastLine(Vec<u8>);

impl LastLine {
    /// A line of which more is not kept, in bytes.
    const LONGEST: usize = 4096;

    /// Reads to the end. Nothing is lost if this is given up and called again.
    async fn follow(&mut self, from: &mut (impl AsyncRead + Unpin)) {
        let mut piece = [0; 1024];
        while let Ok(length @ 1..) = from.read(&mut piece).await {
            for &byte in piece.get(..length).unwrap_or_default() {
                if self.0.last() == Some(&b'\n') && !byte.is_ascii_whitespace() {
                    self.0.clear();
                }
                if self.0.len() < LastLine::LONGEST {
                    self.0.push(byte);
                }
            }
        }
    }

    async fn follow_for_ever(&mut self, from: &mut (impl AsyncRead + Unpin)) -> Infallible {
        self.follow(from).await;
        future::pending().await
    }

    fn text(&self) -> String {
        excerpt(&self.0, 200)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;
    use std::time::Instant;

    use super::*;

    const LONG: Duration = Duration::from_secs(20);

    fn shell(script: &str) -> [Box<str>; 3] {
        ["sh".into(), "-c".into(), script.into()]
    }

    /// Whether a process has ended, or does so within two seconds.
    async fn ends(pid: &str) -> bool {
        let status = format!("/proc/{}/stat", pid.trim());
        for _ in 0..200 {
            match fs::read_to_string(&status) {
                Ok(stat) if !stat.contains(") Z ") => {}
                _ => return true,
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        false
    }

    /// A script that notes its own number and that of a child, and then hangs with it.
    fn hang(folder: &Path) -> [Box<str>; 3] {
        let at = folder.display();
        shell(&format!("sleep 1000 & echo $! >{at}/child; echo $$ >{at}/shell; wait"))
    }

    async fn has_ended(folder: &Path) {
        for who in ["child", "shell"] {
            let pid = fs::read_to_string(folder.join(who)).unwrap();
            assert!(ends(&pid).await, "the {who} is still there");
        }
    }

    #[tokio::test]
    async fn the_standard_output_is_the_answer_and_no_shell_reads_the_words() {
        let words = ["echo", "$HOME;", "*", "`id`"].map(Box::from);
        assert_eq!(run(&words, LONG).await, Ok(b"$HOME; * `id`\n".to_vec()));
        let both = shell("echo 1.0.1.1 >&2; echo 91.7.1.2");
        assert_eq!(run(&both, LONG).await, Ok(b"91.7.1.2\n".to_vec()));
        assert_eq!(run(&["cat".into()], LONG).await, Ok(Vec::new()), "standard input is empty");
    }

    #[tokio::test]
    async fn a_failure_is_told_with_the_last_line_of_the_standard_error() {
        let words =
            shell("echo 91.7.1.2; echo first >&2; printf 'the router\\033 says no\\n\\n' >&2; exit 3");
        let why = "sh ended with exit status: 3: the router says no".to_owned();
        assert_eq!(run(&words, LONG).await, Err(Unheard::Local(why)));
        let quiet = "sh ended with exit status: 1".to_owned();
        assert_eq!(run(&shell("exit 1"), LONG).await, Err(Unheard::Local(quiet)));
        let missing = run(&["/no/such/program".into(), "secret".into()], LONG).await;
        let why = "cannot run /no/such/program: No such file or directory (os error 2)";
        assert_eq!(missing, Err(Unheard::Local(why.to_owned())));
    }

    #[tokio::test]
    async fn endless_output_is_cut_off_and_endless_complaints_are_bounded() {
        assert_eq!(run(&["yes".into()], LONG).await, Err(Unheard::TooLong));
        let loud = shell("head -c 20000000 /dev/zero >&2; echo 91.7.1.2");
        assert_eq!(run(&loud, LONG).await, Ok(b"91.7.1.2\n".to_vec()));
        let line = shell("head -c 20000000 /dev/zero | tr '\\0' x >&2; exit 1");
        let Err(Unheard::Local(why)) = run(&line, LONG).await else { panic!("a failure was an answer") };
        assert!(why.ends_with(&"x".repeat(200)) && why.len() < 250, "{why}");
    }

    #[tokio::test]
    async fn a_program_that_hangs_is_ended_with_its_children() {
        let folder = tempfile::tempdir().unwrap();
        let begin = Instant::now();
        let limit = Duration::from_secs(1);
        assert_eq!(run(&hang(folder.path()), limit).await, Err(Unheard::TimedOut));
        assert!(begin.elapsed() < Duration::from_secs(5));
        has_ended(folder.path()).await;
    }

    #[tokio::test]
    async fn a_program_that_nobody_waits_for_any_more_is_ended_with_its_children() {
        let folder = tempfile::tempdir().unwrap();
        let words = hang(folder.path());
        let gone = tokio::time::timeout(Duration::from_secs(1), run(&words, LONG)).await;
        assert!(gone.is_err());
        has_ended(folder.path()).await;
    }

    #[tokio::test]
    async fn a_complaint_of_a_child_that_stays_behind_is_not_awaited() {
        let begin = Instant::now();
        let words = shell("sleep 2 >/dev/null & echo 91.7.1.2");
        assert_eq!(run(&words, LONG).await, Ok(b"91.7.1.2\n".to_vec()));
        assert!(begin.elapsed() < Duration::from_millis(1500));
    }
}
