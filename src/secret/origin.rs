//! Where a secret comes from, and fetching it.
//!
//! Each way is bounded in bytes and time, and each error names the place and the remedy, never what
//! was found there. Deliberately unknown: what a secret must look like (`value`), what it opens.

use std::borrow::Cow;
use std::ffi::OsString;
use std::fmt;
use std::fs::{File, Metadata};
use std::io::{self, Read as _};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::net::unix::pipe;
use zeroize::Zeroizing;

use super::value::{BadSecret, Kind, Odd, Secret};
use crate::process::{self, Failed, Limits};
use crate::small_file;

/// The most that is read of a file, a pipe or a program's output.
const MOST_BYTES: usize = 65_536;
/// How long a program may take to print the secret, and whoever writes into a pipe to do so.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where a secret is read.
#[derive(Clone, PartialEq, Eq)]
pub enum Origin {
    /// An environment variable.
    Env(String),
    /// A file.
    File(PathBuf),
    /// A file of this name in `$CREDENTIALS_DIRECTORY` (systemd).
    Credential(String),
    /// The standard output of a program, run without a shell. Never empty.
    Command(Vec<String>),
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Origin({self})")
    }
}

impl Origin {
    /// Its name or path. Of a command the program alone: its arguments can be secret.
    fn name(&self) -> Cow<'_, str> {
        match self {
            Origin::Env(name) | Origin::Credential(name) => name.into(),
            Origin::File(path) => path.to_string_lossy(),
            Origin::Command(words) => words.first().map_or("", String::as_str).into(),
        }
    }
}

impl fmt::Display for Origin {
    /// The place, in words.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self {
            Origin::Env(_) => "environment variable",
            Origin::File(_) => "file",
            Origin::Credential(_) => "systemd credential",
            Origin::Command(_) => "command",
        };
        write!(f, "the {kind} {}", self.name())
    }
}

/// Something odd that does not keep the credential from being used. `Display` says what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Warning {
    /// Every user of the host can read (or write) the file; its permission bits.
    OpenToAll(PathBuf, u32),
    /// The file was removed or replaced, and is here only because it is mounted alone.
    Outdated(PathBuf),
    /// The secret looks odd.
    Odd(Origin, Kind, Odd),
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Warning::OpenToAll(path, mode) => write!(
                f,
                "the file {path} is open to every user of this host (mode {mode:04o}): chmod o= {path}",
                path = path.display()
            ),
            Warning::Outdated(path) => write!(
                f,
                "the file {path} is mounted alone and has been replaced outside, so what is read here is still the old one: restart the container, and mount the folder of the file instead, where the next one is seen",
                path = path.display()
            ),
            Warning::Odd(origin, kind, odd) => write!(f, "the {kind} from {origin} {odd}"),
        }
    }
}

/// Why there is no secret. `Display` says where, why and what to do; never what was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretError {
    /// What was to be read.
    pub kind: Kind,
    /// Where.
    pub origin: Origin,
    /// Why not.
    pub fault: Fault,
}

/// Why a secret could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The environment variable is not set.
    Unset,
    /// There is no such file.
    Missing,
    /// The file cannot be read; the system's words.
    Unreadable(String),
    /// The system lacks something for now, such as descriptors or memory; its words.
    Short(String),
    /// It is a directory.
    Directory,
    /// `$CREDENTIALS_DIRECTORY` is not set.
    NotUnderSystemd,
    /// The name of a systemd credential has a slash, or is `.` or `..`.
    NotAName,
    /// The program could not be started; the system's words.
    NotStarted(String),
    /// The program failed: how. What it says of that may hold the secret.
    Failed(String),
    /// The program, or whoever was to write into the pipe, took longer than ten seconds.
    TooSlow,
    /// The text is no secret of the kind.
    Bad(BadSecret),
}

impl fmt::Display for SecretError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let SecretError { kind, origin, fault } = self;
        let name = origin.name();
        write!(f, "the {kind} from {origin} ")?;
        match (fault, origin) {
            (Fault::Unset, _) => write!(
                f,
                "is missing: set {name}, or put it into a file and say token = {{ file = \"…\" }} (CLOUDFLARE_API_TOKEN_FILE=… where there is no configuration file)"
            ),
            (Fault::Missing, Origin::Credential(_)) => write!(
                f,
                "is missing: add LoadCredential={name}:/path/to/file to the [Service] section of the unit"
            ),
            (Fault::Missing, _) => {
                write!(f, "is missing: put it into {name}, alone and on one line, or correct the path")
            }
            (Fault::Unreadable(why), _) => {
                write!(f, "cannot be read ({why}): check the path and that this program's user may read it")
            }
            (Fault::Short(why), _) => {
                write!(f, "cannot be read for now ({why}): the system is short of something, try again later")
            }
            (Fault::Directory, _) => f.write_str("cannot be read: it is a directory; name the file in it"),
            (Fault::NotUnderSystemd, _) => write!(
                f,
                "cannot be read: $CREDENTIALS_DIRECTORY is not set, so systemd passed no credentials; add LoadCredential={name}:/path/to/file to the [Service] section of the unit, or use another origin"
            ),
            (Fault::NotAName, _) => {
                f.write_str("cannot be read: write the credential's name alone, without a path")
            }
            (Fault::NotStarted(why), _) => write!(
                f,
                "could not be started ({why}): name the program with its whole path; there is no shell"
            ),
            (Fault::Failed(how), _) => write!(f, "{how}: run it by hand to see why"),
            (Fault::TooSlow, Origin::Command(_)) => write!(
                f,
                "took longer than {} s: it must print the secret and end, and not ask for anything",
                PATIENCE.as_secs()
            ),
            (Fault::TooSlow, _) => write!(
                f,
                "did not come within {} s: it is a pipe, and what writes the secret into it must be started, too",
                PATIENCE.as_secs()
            ),
            (Fault::Bad(BadSecret::NotYet), Origin::Credential(_)) => write!(
                f,
                "is not there yet: create one in Cloudflare's dashboard and put it, alone and on one line, into the file that LoadCredential= in the unit has for {name} (/etc/stayput/token in the shipped one)"
            ),
            (Fault::Bad(bad), _) => bad.fmt(f),
        }
    }
}

impl std::error::Error for SecretError {}

/// Where variables and time come from: values, so that tests need not change the process.
#[derive(Clone, Copy)]
pub struct Surroundings<'a> {
    /// The value of an environment variable.
    pub environment: &'a (dyn Fn(&str) -> Option<OsString> + Sync),
    /// How long a program or the writer of a pipe may take.
    pub patience: Duration,
}

impl Default for Surroundings<'_> {
    fn default() -> Self {
        Surroundings { environment: &|name| std::env::var_os(name), patience: PATIENCE }
    }
}

type Fetched = Result<(Zeroizing<Vec<u8>>, Vec<Warning>), Fault>;

impl Origin {
    /// The environment variable, if the secret is in one.
    pub fn variable(&self) -> Option<&str> {
        match self {
            Origin::Env(name) => Some(name),
            Origin::File(_) | Origin::Credential(_) | Origin::Command(_) => None,
        }
    }

    /// Whether nothing is started and nobody waited for to read it.
    pub fn is_at_hand(&self) -> bool {
        match self {
            Origin::Env(_) | Origin::Credential(_) => true,
            Origin::File(path) => path.is_file(),
            Origin::Command(_) => false,
        }
    }

    /// Reads the secret anew, and says what is odd about it and its place.
    ///
    /// # Errors
    /// [`SecretError`] says why there is none, and what to do.
    pub async fn read(
        &self,
        kind: Kind,
        surroundings: Surroundings<'_>,
    ) -> Result<(Secret, Vec<Warning>), SecretError> {
        let wrong = |fault| SecretError { kind, origin: self.clone(), fault };
        let (text, mut warnings) = self.fetch(surroundings).await.map_err(wrong)?;
        let secret = Secret::parse(&text, kind).map_err(|bad| wrong(Fault::Bad(bad)))?;
        let oddities = secret.oddities(kind).into_iter();
        warnings.extend(oddities.map(|odd| Warning::Odd(self.clone(), kind, odd)));
        Ok((secret, warnings))
    }

    async fn fetch(&self, surroundings: Surroundings<'_>) -> Fetched {
        let Surroundings { environment, patience } = surroundings;
        match self {
            Origin::Env(name) => {
                let value = environment(name).ok_or(Fault::Unset)?;
                let value = Zeroizing::new(value.into_encoded_bytes());
                Ok((Zeroizing::new(unquoted(&value).to_vec()), Vec::new()))
            }
            Origin::File(path) => read_file(path, patience).await,
            Origin::Credential(name) => {
                let plain = !name.is_empty() && name != "." && name != ".." && !name.contains('/');
                if !plain {
                    return Err(Fault::NotAName);
                }
                let folder = environment("CREDENTIALS_DIRECTORY");
                let folder = folder.filter(|folder| !folder.is_empty());
                let path = Path::new(&folder.ok_or(Fault::NotUnderSystemd)?).join(name);
                read_file(&path, patience).await
            }
            Origin::Command(words) => {
                let limits = Limits { time: patience, bytes: MOST_BYTES };
                let text = process::run(words, limits).await.map_err(|failed| match failed {
                    Failed::NotRun(error) if is_short(&error) => Fault::Short(error.to_string()),
                    Failed::NotRun(error) => Fault::NotStarted(process::why_not_run(&error)),
                    Failed::TooSlow => Fault::TooSlow,
                    Failed::TooLong => Fault::Bad(BadSecret::TooLong),
                    Failed::Ended { how, .. } => Fault::Failed(how),
                })?;
                Ok((text, Vec::new()))
            }
        }
    }
}

/// The value of an environment variable without the quotation marks around it, which `docker --env-file` keeps.
pub fn unquoted(value: &[u8]) -> &[u8] {
    match value.trim_ascii() {
        [first @ (b'"' | b'\''), inner @ .., last] if first == last => inner,
        _ => value,
    }
}

/// Whether the system would do the same at another time.
fn is_short(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let passing = [Errno::MFILE, Errno::NFILE, Errno::NOMEM, Errno::AGAIN, Errno::NOBUFS];
    passing.iter().any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}

fn unreadable(error: &io::Error) -> Fault {
    match error.kind() {
        io::ErrorKind::IsADirectory => Fault::Directory,
        io::ErrorKind::NotFound => Fault::Missing,
        _ if is_short(error) => Fault::Short(error.to_string()),
        _ => Fault::Unreadable(error.to_string()),
    }
}

/// Reads a file, or a pipe as soon as somebody writes into it.
async fn read_file(path: &Path, patience: Duration) -> Fetched {
    let (file, about) = small_file::open(path).map_err(|error| unreadable(&error))?;
    // Room for everything at once: a buffer that grows leaves copies behind.
    let mut text = Zeroizing::new(Vec::with_capacity(MOST_BYTES + 1));
    let kind = about.file_type();
    let read = if kind.is_file() || kind.is_dir() {
        file.take(MOST_BYTES as u64 + 1).read_to_end(&mut text).map(|_| ())
    } else if kind.is_fifo() {
        let reading = read_pipe(file, &mut text);
        tokio::time::timeout(patience, reading).await.map_err(|_| Fault::TooSlow)?
    } else {
        return Err(Fault::Unreadable("it is neither a file nor a pipe".to_owned()));
    };
    read.map_err(|error| unreadable(&error))?;
    if text.len() > MOST_BYTES {
        return Err(Fault::Bad(BadSecret::TooLong));
    }
    Ok((text, oddities(path, &about)))
}

async fn read_pipe(file: File, text: &mut Vec<u8>) -> io::Result<()> {
    let mut pipe = pipe::Receiver::from_file(file)?;
    while text.len() <= MOST_BYTES && pipe.read_buf(text).await? > 0 {}
    Ok(())
}

/// What is odd about the place of a secret.
fn oddities(path: &Path, about: &Metadata) -> Vec<Warning> {
    let mut warnings = Vec::new();
    // The bits of others only: a group, or an access list as systemd's, is somebody's intention.
    let mode = about.mode() & 0o7777;
    if about.is_file() && mode & 0o006 != 0 {
        warnings.push(Warning::OpenToAll(path.to_owned(), mode));
    }
    // Looked at anew: the file may have been replaced since it was opened. A link, as in /dev/fd, does not count.
    let is_gone = |about: &Metadata| about.is_file() && about.nlink() == 0;
    if is_gone(about) && path.symlink_metadata().is_ok_and(|now| is_gone(&now)) {
        warnings.push(Warning::Outdated(path.to_owned()));
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_was_replaced_outside_of_its_mount_is_told_apart_from_one_that_was_replaced_here() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        std::fs::write(&path, "secret").unwrap();
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        let there = path.metadata().unwrap();
        assert_eq!(oddities(&path, &there), []);
        let open = File::open(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        // As a mount of the file alone still shows it: open, and gone from every folder.
        let through_us = PathBuf::from(format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&open)));
        let gone = open.metadata().unwrap();
        assert_eq!(gone.nlink(), 0);
        assert_eq!(oddities(&through_us, &gone), [], "an open file that somebody hands over is no mount");
        std::fs::write(&path, "secret").unwrap();
        assert_eq!(oddities(&path, &gone).len(), 0, "replaced after it was opened");
    }
}
