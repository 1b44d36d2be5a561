//! Runs a program for what it prints: without a shell, with nothing on its standard input, within limits
//! of time and bytes.
//!
//! The program leads a group of its own, which is ended with it at the limit. Once the program itself has
//! ended, what it wrote is the answer, whatever children of its keep the pipes open. Deliberately unknown:
//! what the output means.

use std::collections::BTreeSet;
use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitOptions, getpid, kill_process_group, wait};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::{Child, Command};
use zeroize::Zeroizing;

/// What is for this process alone: the usual place of the secret, and the lines to a service manager.
const NOT_INHERITED: [&str; 8] = [
    "CLOUDFLARE_API_TOKEN",
    "NOTIFY_SOCKET",
    "LISTEN_FDS",
    "LISTEN_FDNAMES",
    "LISTEN_PID",
    "LISTEN_PIDFDID",
    "WATCHDOG_PID",
    "WATCHDOG_USEC",
];

/// Further variables that hold secrets.
static WITHHELD: RwLock<BTreeSet<String>> = RwLock::new(BTreeSet::new());

/// How long the pipes are read after the end of the program. What it wrote lies in them already.
const GRACE: Duration = Duration::from_millis(20);

/// Keeps these environment variables from every program that is run from now on.
pub fn withhold(variables: impl IntoIterator<Item = String>) {
    WITHHELD.write().unwrap_or_else(PoisonError::into_inner).extend(variables);
}

/// What a program may cost.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// From its start to its end.
    pub time: Duration,
    /// Of its standard output.
    pub bytes: usize,
}

/// Why a program gave no answer.
#[derive(Debug)]
pub enum Failed {
    /// It could not be started, or its end not be learned.
    NotRun(io::Error),
    /// It ran longer than its limit, and was ended with its children.
    TooSlow,
    /// It printed more than its limit, and was ended with its children.
    TooLong,
    /// It ended otherwise than with success.
    Ended {
        /// How, in words that follow its name.
        how: String,
        /// The last line of its standard error; may be empty, and hold a secret.
        complaint: Zeroizing<Vec<u8>>,
    },
}

/// What the program prints. If the caller stops waiting, the program is ended with its children.
///
/// # Errors
/// [`Failed`] says why there is no answer.
pub async fn run<W: AsRef<str>>(words: &[W], limits: Limits) -> Result<Zeroizing<Vec<u8>>, Failed> {
    reap_orphans();
    let mut output = Output::within(limits.bytes);
    let ended = {
        let mut running = Running::start(words).map_err(Failed::NotRun)?;
        tokio::time::timeout(limits.time, running.finish(&mut output)).await
    };
    let status = ended.map_err(|_| Failed::TooSlow)??;
    if status.success() {
        return Ok(output.answer);
    }
    Err(Failed::Ended { how: how(status), complaint: output.complaint.0 })
}

/// Why a program could not be started, and what helps where a system's sandbox forbids it.
pub fn why_not_run(error: &io::Error) -> String {
    let by_systemd = || std::env::var_os("NOTIFY_SOCKET").is_some();
    if error.kind() == io::ErrorKind::PermissionDenied && by_systemd() {
        format!(
            "{error}; if it is executable, the unit forbids it, and drop-in/commands.conf in /etc/systemd/system/stayput.service.d/ allows it"
        )
    } else {
        error.to_string()
    }
}

fn how(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("ended with exit status {code}"),
        (None, Some(signal)) => format!("was ended by signal {signal}"),
        (None, None) => "ended without success".to_owned(),
    }
}

/// The programs whose ends we wait for.
static RUNNING: AtomicUsize = AtomicUsize::new(0);

/// The first process of a container inherits the children that programs leave behind. While no program is
/// waited for, every child that has ended is one of those.
fn reap_orphans() {
    if getpid() == Pid::INIT && RUNNING.load(Ordering::Relaxed) == 0 {
        while let Ok(Some(_)) = wait(WaitOptions::NOHANG) {}
    }
}

/// A program that runs; dropping it ends the program and its children.
struct Running {
    /// The group that it leads, while its number cannot have gone to somebody else: until we have
    /// taken note of its end.
    group: Option<Pid>,
    child: Child,
}

impl Running {
    fn start<W: AsRef<str>>(words: &[W]) -> io::Result<Running> {
        let Some((program, arguments)) = words.split_first() else {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "the command is empty"));
        };
        let mut command = Command::new(program.as_ref());
        command
            .args(arguments.iter().map(AsRef::as_ref))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        let withheld = WITHHELD.read().unwrap_or_else(PoisonError::into_inner);
        for variable in NOT_INHERITED.into_iter().chain(withheld.iter().map(String::as_str)) {
            command.env_remove(variable);
        }
        let child = command.spawn()?;
        RUNNING.fetch_add(1, Ordering::Relaxed);
        let pid = child.id().and_then(|pid| i32::try_from(pid).ok());
        Ok(Running { group: pid.and_then(Pid::from_raw), child })
    }

    async fn finish(&mut self, output: &mut Output) -> Result<ExitStatus, Failed> {
        let (Some(out), Some(err)) = (self.child.stdout.take(), self.child.stderr.take()) else {
            return Err(Failed::NotRun(io::Error::other("its output is not ours")));
        };
        let mut reading = std::pin::pin!(output.read(out, err));
        let ended = tokio::select! {
            read = &mut reading => {
                read?;
                self.child.wait().await
            }
            ended = self.child.wait() => {
                self.group = None;
                // A child of its may keep the pipes open for as long as it likes.
                tokio::time::timeout(GRACE, reading).await.unwrap_or(Ok(()))?;
                ended
            }
        };
        self.group = None;
        ended.map_err(Failed::NotRun)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(group) = self.group {
            // It may have ended by itself by now.
            let _ = kill_process_group(group, Signal::KILL);
        }
        RUNNING.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What was read so far. It may be secret.
struct Output {
    /// Of the answer, in bytes.
    most: usize,
    answer: Zeroizing<Vec<u8>>,
    complaint: LastLine,
}

impl Output {
    fn within(most: usize) -> Output {
        // Room for everything at once: a buffer that grows leaves copies behind.
        let answer = Zeroizing::new(Vec::with_capacity(most + 1));
        Output { most, answer, complaint: LastLine::default() }
    }

    /// Reads both streams to their ends. What was read stays if this is given up.
    async fn read(
        &mut self,
        mut out: impl AsyncRead + Unpin,
        mut err: impl AsyncRead + Unpin,
    ) -> Result<(), Failed> {
        let Output { most, answer, complaint } = self;
        let answering = async {
            while out.read_buf(&mut **answer).await.map_err(Failed::NotRun)? > 0 {
                if answer.len() > *most {
                    return Err(Failed::TooLong);
                }
            }
            Ok(())
        };
        let complaining = async {
            complaint.follow(&mut err).await;
            Ok(())
        };
        tokio::try_join!(answering, complaining).map(|((), ())| ())
    }
}

/// The end of a text that may be endless.
struct LastLine(Zeroizing<Vec<u8>>);

impl Default for LastLine {
    fn default() -> LastLine {
        LastLine(Zeroizing::new(Vec::with_capacity(LastLine::LONGEST)))
    }
}

impl LastLine {
    /// A line of which more is not kept, in bytes.
    const LONGEST: usize = 4096;

    /// Reads to the end.
    async fn follow(&mut self, from: &mut (impl AsyncRead + Unpin)) {
        let mut piece = Zeroizing::new([0; 1024]);
        while let Ok(length @ 1..) = from.read(&mut *piece).await {
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
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;
    use std::time::Instant;

    use super::*;

    const LONG: Duration = Duration::from_secs(20);

    async fn answer(words: &[Box<str>]) -> Result<String, Failed> {
        let answer = run(words, Limits { time: LONG, bytes: 4096 }).await?;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    }

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
        assert_eq!(answer(&words).await.unwrap(), "$HOME; * `id`\n");
        assert_eq!(answer(&shell("echo 1.0.1.1 >&2; echo 91.7.1.2")).await.unwrap(), "91.7.1.2\n");
        assert_eq!(answer(&["cat".into()]).await.unwrap(), "", "standard input is empty");
        assert_eq!(answer(&shell("echo early; exec >&-; sleep 0.3")).await.unwrap(), "early\n");
    }

    #[tokio::test]
    async fn a_failure_is_told_with_the_last_line_of_the_standard_error() {
        let failed = async |script: &str| match answer(&shell(script)).await {
            Err(Failed::Ended { how, complaint }) => (how, complaint.to_vec()),
            other => panic!("{other:?}"),
        };
        let script = "echo 91.7.1.2; echo first >&2; printf 'the router\\033 says no\\n\\n' >&2; exit 3";
        let expected = ("ended with exit status 3".to_owned(), b"the router\x1b says no\n\n".to_vec());
        assert_eq!(failed(script).await, expected);
        assert_eq!(failed("kill -9 $$").await, ("was ended by signal 9".to_owned(), Vec::new()));
        let line = failed("head -c 20000000 /dev/zero | tr '\\0' x >&2; exit 1").await.1;
        assert_eq!(line, b"x".repeat(4096));
    }

    #[tokio::test]
    async fn what_cannot_be_started_is_told_with_the_systems_reason() {
        let none: [&str; 0] = [];
        for words in [&["/no/such/program", "secret"][..], &none] {
            let limits = Limits { time: LONG, bytes: 10 };
            assert!(matches!(run(words, limits).await, Err(Failed::NotRun(_))), "{words:?}");
        }
    }

    #[tokio::test]
    async fn endless_output_is_cut_off_and_endless_complaints_are_bounded() {
        assert!(matches!(answer(&["yes".into()]).await, Err(Failed::TooLong)));
        let exact = async |bytes: usize| answer(&shell(&format!("head -c {bytes} /dev/zero"))).await;
        assert_eq!(exact(4096).await.unwrap().len(), 4096);
        assert!(matches!(exact(4097).await, Err(Failed::TooLong)));
        let loud = shell("head -c 20000000 /dev/zero >&2; echo 91.7.1.2");
        assert_eq!(answer(&loud).await.unwrap(), "91.7.1.2\n");
    }

    #[tokio::test]
    async fn a_program_that_hangs_is_ended_with_its_children() {
        let folder = tempfile::tempdir().unwrap();
        let begin = Instant::now();
        let limits = Limits { time: Duration::from_secs(1), bytes: 4096 };
        assert!(matches!(run(&hang(folder.path()), limits).await, Err(Failed::TooSlow)));
        assert!(begin.elapsed() < Duration::from_secs(5));
        has_ended(folder.path()).await;
    }

    #[tokio::test]
    async fn a_program_that_nobody_waits_for_any_more_is_ended_with_its_children() {
        let folder = tempfile::tempdir().unwrap();
        let words = hang(folder.path());
        let gone = tokio::time::timeout(Duration::from_secs(1), answer(&words)).await;
        assert!(gone.is_err());
        has_ended(folder.path()).await;
    }

    #[tokio::test]
    async fn a_child_that_stays_behind_with_a_pipe_open_is_not_awaited() {
        for pipe in ["", ">/dev/null", "2>/dev/null"] {
            let begin = Instant::now();
            let words = shell(&format!("echo 91.7.1.2; sleep 3 {pipe} &"));
            assert_eq!(answer(&words).await.unwrap(), "91.7.1.2\n");
            assert!(begin.elapsed() < Duration::from_millis(2500), "{pipe}: {:?}", begin.elapsed());
        }
        let failing = shell("sleep 3 & echo no router >&2; exit 1");
        let Err(Failed::Ended { complaint, .. }) = answer(&failing).await else { panic!("no failure") };
        assert_eq!(*complaint, b"no router\n");
    }

    #[tokio::test]
    async fn what_a_program_wrote_before_its_end_is_read_whole_although_a_child_stays_behind() {
        let words = shell("head -c 60000 /dev/zero; sleep 3 &");
        let answer = run(&words, Limits { time: LONG, bytes: 65_536 }).await.unwrap();
        assert_eq!(answer.len(), 60_000);
    }
}
