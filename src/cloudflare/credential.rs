//! Where a secret comes from, and fetching it.
//!
//! Each way is bounded in bytes and time, and each error names the place and the remedy, never what
//! was found there. Deliberately unknown: what a secret must look like (`secret`), what it opens.

use std::ffi::OsString;
use std::fmt;
use std::io::{self, Read as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _};
use zeroize::Zeroizing;

use super::excerpt;
use super::mask::Mask;
use super::secret::{BadSecret, Kind, Odd, Secret, unquoted};

/// The most that is read of a file or a program's output.
const MOST_BYTES: u64 = 65_536;
/// How long a program may take to print the secret.
const COMMAND_LIMIT: Duration = Duration::from_secs(10);

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

impl fmt::Display for Origin {
    /// The place, in words. Of a command the program alone: its arguments can be secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Env(name) => write!(f, "the environment variable {name}"),
            Origin::File(path) => write!(f, "the file {}", path.display()),
            Origin::Credential(name) => write!(f, "the systemd credential {name}"),
            Origin::Command(words) => {
                write!(f, "the command {}", words.first().map_or("", String::as_str))
            }
        }
    }
}

/// How an account is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// The base URL, without a trailing slash: https, or http on a loopback host.
    pub api: String,
    /// What proves who we are.
    pub login: Login,
}

/// What proves who we are, and where it is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Login {
    /// An API token.
    Token(Origin),
    /// The legacy pair.
    GlobalKey {
        /// The account's e-mail address.
        email: String,
        /// The Global API Key.
        key: Origin,
    },
}

/// What proves who we are, as it is sent.
#[derive(Debug, PartialEq, Eq)]
pub enum Credential {
    /// An API token, sent as `Authorization: Bearer …`.
    Token(Secret),
    /// The legacy pair, sent as `X-Auth-Email` and `X-Auth-Key`.
    GlobalKey {
        /// The account's e-mail address.
        email: String,
        /// The Global API Key.
        key: Secret,
    },
}

impl Credential {
    pub(super) fn secret(&self) -> &Secret {
        match self {
            Credential::Token(secret) | Credential::GlobalKey { key: secret, .. } => secret,
        }
    }
}

/// A credential that was read.
#[derive(Debug, PartialEq, Eq)]
pub struct Reading {
    /// The credential.
    pub credential: Credential,
    /// What is odd about it or its place.
    pub warnings: Vec<Warning>,
}

/// Something odd that does not keep the credential from being used. `Display` says what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Warning {
    /// Every user of the host can read (or write) the file; its permission bits.
    OpenToAll(PathBuf, u32),
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
    /// The program failed: how, and the last line of its standard error.
    Failed(String, String),
    /// The program took longer than ten seconds.
    TooSlow,
    /// The e-mail address beside a Global API Key is none.
    Email,
    /// The text is no secret of the kind.
    Bad(BadSecret),
}

impl fmt::Display for SecretError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let SecretError { kind, origin, fault } = self;
        if *fault == Fault::Email {
            return f.write_str(
                "email is not an e-mail address: put in the one that you log in to Cloudflare with",
            );
        }
        write!(f, "the {kind} from {origin} ")?;
        match (fault, origin) {
            (Fault::Unset, Origin::Env(name)) => {
                write!(f, "is missing: set {name}, or name a file with token = {{ file = \"…\" }}")
            }
            (Fault::Unset, _) => f.write_str("is missing"),
            (Fault::Unreadable(why), Origin::Credential(name)) => write!(
                f,
                "cannot be read ({why}): add LoadCredential={name}:/path/to/file to the [Service] section of the unit"
            ),
            (Fault::Unreadable(why), _) => {
                write!(f, "cannot be read ({why}): check the path and that this program's user may read it")
            }
            (Fault::Short(why), _) => {
                write!(f, "cannot be read for now ({why}): the system is short of something, try again later")
            }
            (Fault::Directory, _) => f.write_str("cannot be read: it is a directory; name the file in it"),
            (Fault::NotUnderSystemd, Origin::Credential(name)) => write!(
                f,
                "cannot be read: $CREDENTIALS_DIRECTORY is not set, so systemd passed no credentials; add LoadCredential={name}:/path/to/file to the [Service] section of the unit, or use another origin"
            ),
            (Fault::NotUnderSystemd, _) => f.write_str("cannot be read outside systemd"),
            (Fault::NotAName, _) => {
                f.write_str("cannot be read: write the credential's name alone, without a path")
            }
            (Fault::NotStarted(why), _) => write!(
                f,
                "could not be started ({why}): name the program with its whole path; there is no shell"
            ),
            (Fault::Failed(how, line), _) if line.is_empty() => {
                write!(f, "failed ({how}): run it by hand to see why")
            }
            (Fault::Failed(how, line), _) => {
                write!(f, "failed ({how}: {line}): run it by hand to see why")
            }
            (Fault::TooSlow, _) => write!(
                f,
                "took longer than {} s: it must print the secret and end, and not ask for anything",
                COMMAND_LIMIT.as_secs()
            ),
            (Fault::Email, _) => f.write_str("has no e-mail address"),
            (Fault::Bad(bad), _) => bad.fmt(f),
        }
    }
}

impl std::error::Error for SecretError {}

/// What the environment says of a variable; a value, so that tests need not change the process.
type Environment<'a> = &'a (dyn Fn(&str) -> Option<OsString> + Sync);

impl Login {
    /// Reads the secret anew from its origin.
    ///
    /// # Errors
    /// [`SecretError`] says why there is none, and what to do.
    pub async fn read(&self) -> Result<Reading, SecretError> {
        self.read_in(&|name| std::env::var_os(name)).await
    }

    async fn read_in(&self, environment: Environment<'_>) -> Result<Reading, SecretError> {
        let (kind, origin) = match self {
            Login::Token(origin) => (Kind::Token, origin),
            Login::GlobalKey { key, .. } => (Kind::GlobalKey, key),
        };
        let wrong = |fault| SecretError { kind, origin: origin.clone(), fault };
        let (text, mut warnings) = origin.fetch(environment).await.map_err(wrong)?;
        let secret = Secret::parse(&text, kind).map_err(|bad| wrong(Fault::Bad(bad)))?;
        let oddities = secret.oddities(kind).into_iter();
        warnings.extend(oddities.map(|odd| Warning::Odd(origin.clone(), kind, odd)));
        let credential = match self {
            Login::Token(_) => Credential::Token(secret),
            Login::GlobalKey { email, .. } => Credential::GlobalKey {
                email: address(email).ok_or_else(|| wrong(Fault::Email))?,
                key: secret,
            },
        };
        Ok(Reading { credential, warnings })
    }
}

/// An e-mail address, as far as a header needs it to be one.
fn address(email: &str) -> Option<String> {
    let email = email.trim();
    let (user, host) = email.rsplit_once('@')?;
    let fits = !user.is_empty() && !host.is_empty() && email.bytes().all(|b| b.is_ascii_graphic());
    fits.then(|| email.to_owned())
}

type Fetched = Result<(Zeroizing<Vec<u8>>, Vec<Warning>), Fault>;

impl Origin {
    async fn fetch(&self, environment: Environment<'_>) -> Fetched {
        match self {
            Origin::Env(name) => {
                let value = environment(name).ok_or(Fault::Unset)?;
                let value = Zeroizing::new(value.into_encoded_bytes());
                Ok((Zeroizing::new(unquoted(&value).to_vec()), Vec::new()))
            }
            Origin::File(path) => read_file(path),
            Origin::Credential(name) => {
                let plain = !name.is_empty() && name != "." && name != ".." && !name.contains('/');
                if !plain {
                    return Err(Fault::NotAName);
                }
                let folder = environment("CREDENTIALS_DIRECTORY");
                let folder = folder.filter(|folder| !folder.is_empty());
                read_file(&Path::new(&folder.ok_or(Fault::NotUnderSystemd)?).join(name))
            }
            Origin::Command(words) => {
                let text = run(words, COMMAND_LIMIT).await?;
                Ok((text, Vec::new()))
            }
        }
    }
}

/// Whether the system would do the same at another time.
fn is_short(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let passing = [Errno::MFILE, Errno::NFILE, Errno::NOMEM, Errno::AGAIN, Errno::NOBUFS];
    passing.iter().any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}

fn not_started(error: &io::Error) -> Fault {
    if is_short(error) { Fault::Short(error.to_string()) } else { Fault::NotStarted(error.to_string()) }
}

/// Reads a file without ever waiting for one, such as a pipe that nobody writes to.
fn read_file(path: &Path) -> Fetched {
    let unreadable = |error: io::Error| match error.kind() {
        io::ErrorKind::IsADirectory => Fault::Directory,
        _ if is_short(&error) => Fault::Short(error.to_string()),
        _ => Fault::Unreadable(error.to_string()),
    };
    let no_waiting = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap_or(0);
    let file =
        std::fs::OpenOptions::new().read(true).custom_flags(no_waiting).open(path).map_err(unreadable)?;
    let about = file.metadata().map_err(unreadable)?;
    // Room for everything at once: a buffer that grows leaves copies behind.
    let room = usize::try_from(MOST_BYTES + 1).unwrap_or_default();
    let mut text = Zeroizing::new(Vec::with_capacity(room));
    let read = file.take(MOST_BYTES + 1).read_to_end(&mut text);
    let bytes = read.map_err(unreadable)?;
    if bytes >= room {
        return Err(Fault::Bad(BadSecret::TooLong));
    }
    // The bits of others only: a group, or an access list as systemd's, is somebody's intention.
    let mode = about.permissions().mode() & 0o7777;
    let open = about.is_file() && mode & 0o006 != 0;
    let warning = open.then(|| Warning::OpenToAll(path.to_owned(), mode));
    Ok((text, warning.into_iter().collect()))
}

/// Runs a program and takes what it prints.
async fn run(words: &[String], limit: Duration) -> Result<Zeroizing<Vec<u8>>, Fault> {
    let (program, arguments) =
        words.split_first().ok_or_else(|| Fault::NotStarted("there is no program".to_owned()))?;
    let mut child = tokio::process::Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| not_started(&error))?;
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let all = async { tokio::join!(read_some(out), read_some(err), child.wait()) };
    let Ok((out, err, status)) = tokio::time::timeout(limit, all).await else {
        return Err(Fault::TooSlow);
    };
    let status = status.map_err(|error| Fault::NotStarted(error.to_string()))?;
    let out = out.map_err(|error| Fault::Failed(error.to_string(), String::new()));
    if !status.success() {
        let out = out.unwrap_or_default();
        return Err(Fault::Failed(how(status), last_line(&err.unwrap_or_default(), &out)));
    }
    let out = out?;
    match u64::try_from(out.len()) {
        Ok(bytes) if bytes <= MOST_BYTES => Ok(out),
        _ => Err(Fault::Bad(BadSecret::TooLong)),
    }
}

/// Reads up to the limit, and the rest to nowhere, so that the program can end.
async fn read_some(from: Option<impl AsyncRead + Unpin>) -> io::Result<Zeroizing<Vec<u8>>> {
    let room = usize::try_from(MOST_BYTES + 1).unwrap_or_default();
    let mut text = Zeroizing::new(Vec::with_capacity(room));
    if let Some(mut from) = from {
        (&mut from).take(MOST_BYTES + 1).read_to_end(&mut text).await?;
        let mut rest = Zeroizing::new([0; 4_096]);
        while from.read(&mut rest[..]).await? > 0 {}
    }
    Ok(text)
}

fn how(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt as _;
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit status {code}"),
        (None, Some(signal)) => format!("ended by signal {signal}"),
        (None, None) => "ended".to_owned(),
    }
}

/// The last line of what a program says of its failure, without anything that it printed as the secret.
fn last_line(err: &[u8], out: &[u8]) -> String {
    let err = String::from_utf8_lossy(err);
    let line = err.lines().rfind(|line| !line.trim().is_empty());
    let out = Zeroizing::new(String::from_utf8_lossy(out).into_owned());
    let is_separator = |c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == '_');
    // Shorter words are no secrets, and would take half of every sentence with them.
    let words = out.split(is_separator).filter(|word| word.len() >= 4);
    let mask = Mask::of(words.take(100));
    excerpt::clean(&mask.apply_to_text(line.unwrap_or_default()), 200)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::future::Future;

    const TOKEN: &str = "Qm3xW8_pL2kT9-vR5sY1nB7cD4fG6hJ0aZEuXiOw";

    fn wait<T>(task: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.unwrap().block_on(task)
    }

    fn read(login: &Login, variables: &[(&str, &str)]) -> Result<Reading, SecretError> {
        let environment = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| OsString::from(value))
        };
        wait(login.read_in(&environment))
    }

    fn token(reading: &Reading) -> &str {
        match &reading.credential {
            Credential::Token(secret) => secret.expose(),
            Credential::GlobalKey { .. } => panic!("not a token"),
        }
    }

    fn command(words: &[&str]) -> Login {
        Login::Token(Origin::Command(words.iter().map(|&word| word.to_owned()).collect()))
    }

    /// A file with these permission bits, in a folder that lives as long as the first value.
    fn file(text: &[u8], mode: u32) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        (folder, path)
    }

    #[test]
    fn a_token_is_read_from_the_environment() {
        let login = Login::Token(Origin::Env("CF".into()));
        let reading = read(&login, &[("CF", &format!("{TOKEN}\r\n"))]).unwrap();
        assert_eq!(token(&reading), TOKEN);
        assert_eq!(reading.warnings, []);
        for quoted in [format!("\"{TOKEN}\""), format!("'{TOKEN}'"), format!(" \"{TOKEN}\"\n")] {
            assert_eq!(token(&read(&login, &[("CF", &quoted)]).unwrap()), TOKEN);
        }
        let half = read(&login, &[("CF", &format!("\"{TOKEN}"))]).unwrap_err();
        assert_eq!(half.fault, Fault::Bad(BadSecret::Quoted));
        let missing = read(&login, &[]).unwrap_err();
        assert_eq!(missing.fault, Fault::Unset);
        assert!(missing.to_string().contains("set CF"), "{missing}");
    }

    #[test]
    fn a_token_is_read_from_a_file() {
        let (_folder, path) = file(format!("{TOKEN}\n").as_bytes(), 0o640);
        let reading = read(&Login::Token(Origin::File(path)), &[]).unwrap();
        assert_eq!(token(&reading), TOKEN);
        assert_eq!(reading.warnings, []);
    }

    #[test]
    fn a_file_that_every_user_can_read_is_warned_about() {
        for (mode, warned) in [(0o644, true), (0o602, true), (0o440, false), (0o601, false)] {
            let (_folder, path) = file(TOKEN.as_bytes(), mode);
            let reading = read(&Login::Token(Origin::File(path.clone())), &[]).unwrap();
            let warnings = if warned { vec![Warning::OpenToAll(path, mode)] } else { vec![] };
            assert_eq!(reading.warnings, warnings, "{mode:o}");
        }
        let shown = Warning::OpenToAll("/etc/token".into(), 0o644).to_string();
        assert!(shown.contains("0644") && shown.contains("chmod o= /etc/token"), "{shown}");
    }

    #[test]
    fn files_that_hold_no_secret_are_refused_with_the_reason() {
        let fault = |text: &[u8]| {
            let (_folder, path) = file(text, 0o600);
            let error = read(&Login::Token(Origin::File(path.clone())), &[]).unwrap_err();
            assert!(error.to_string().contains(&path.display().to_string()), "{error}");
            error.fault
        };
        assert_eq!(fault(b""), Fault::Bad(BadSecret::Empty));
        assert_eq!(fault(&[0xff, 0x00, 0x80]), Fault::Bad(BadSecret::Binary));
        assert_eq!(fault(&vec![b'a'; 1_000_000]), Fault::Bad(BadSecret::TooLong));
        assert_eq!(fault(format!("'{TOKEN}'").as_bytes()), Fault::Bad(BadSecret::Quoted));
        let folder = tempfile::tempdir().unwrap();
        let at = |path: PathBuf| read(&Login::Token(Origin::File(path)), &[]).unwrap_err().fault;
        assert_eq!(at(folder.path().to_owned()), Fault::Directory);
        assert!(matches!(at(folder.path().join("none")), Fault::Unreadable(_)));
    }

    #[test]
    fn a_pipe_that_nobody_writes_to_does_not_hold_us_up() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pipe");
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        let error = read(&Login::Token(Origin::File(path)), &[]).unwrap_err();
        assert_eq!(error.fault, Fault::Bad(BadSecret::Empty));
    }

    #[test]
    fn a_systemd_credential_is_read_from_its_folder() {
        let (folder, path) = file(TOKEN.as_bytes(), 0o440);
        let folder = folder.path().to_str().unwrap();
        let login = |name: &str| Login::Token(Origin::Credential(name.to_owned()));
        let under = [("CREDENTIALS_DIRECTORY", folder)];
        let reading = read(&login("token"), &under).unwrap();
        assert_eq!(token(&reading), TOKEN);
        // systemd gives its users access by a list, which shows as the group's.
        assert!(reading.warnings.is_empty(), "{:?}", reading.warnings);
        let outside = read(&login("token"), &[]).unwrap_err();
        assert_eq!(outside.fault, Fault::NotUnderSystemd);
        assert!(outside.to_string().contains("LoadCredential=token:"), "{outside}");
        let absent = read(&login("other"), &under).unwrap_err();
        assert!(absent.to_string().contains("LoadCredential=other:"), "{absent}");
        for name in ["../token", "..", "", path.to_str().unwrap()] {
            assert_eq!(read(&login(name), &under).unwrap_err().fault, Fault::NotAName);
        }
    }

    #[test]
    fn a_token_is_read_from_a_program() {
        let reading = read(&command(&["printf", "%s\\n", TOKEN]), &[]).unwrap();
        assert_eq!(token(&reading), TOKEN);
        // No shell: a metacharacter is an argument like any other.
        let shell = read(&command(&["echo", "$HOME"]), &[]).unwrap_err();
        assert_eq!(shell.fault, Fault::Bad(BadSecret::Placeholder));
    }

    #[test]
    fn a_program_that_fails_says_why_and_never_what_it_printed() {
        let script = format!("echo {TOKEN}; echo first >&2; echo 'no key for {TOKEN}' >&2; exit 3");
        let error = read(&command(&["sh", "-c", &script]), &[]).unwrap_err();
        assert_eq!(error.fault, Fault::Failed("exit status 3".into(), "no key for ***".into()));
        let shown = error.to_string();
        assert!(shown.contains("the command sh failed"), "{shown}");
        assert!(!shown.contains(TOKEN), "{shown}");
        let killed = read(&command(&["sh", "-c", "kill -9 $$"]), &[]).unwrap_err();
        assert!(killed.to_string().contains("signal 9"), "{killed}");
        let absent = read(&command(&["/no/such/program", TOKEN]), &[]).unwrap_err();
        assert!(matches!(absent.fault, Fault::NotStarted(_)));
        assert!(!absent.to_string().contains(TOKEN), "{absent}");
    }

    #[test]
    fn a_program_that_prints_without_end_is_refused() {
        let error = read(&command(&["head", "-c", "300000", "/dev/zero"]), &[]).unwrap_err();
        assert_eq!(error.fault, Fault::Bad(BadSecret::TooLong));
    }

    #[test]
    fn a_program_that_hangs_is_ended() {
        let folder = tempfile::tempdir().unwrap();
        let mark = folder.path().join("mark");
        let script = format!("sleep 0.5; touch {}", mark.display());
        let words = ["sh", "-c", &script].map(str::to_owned);
        let fault = wait(async {
            let fault = run(&words, Duration::from_millis(50)).await.unwrap_err();
            tokio::time::sleep(Duration::from_secs(1)).await;
            fault
        });
        assert_eq!(fault, Fault::TooSlow);
        assert!(!mark.exists(), "the program went on");
    }

    #[test]
    fn the_legacy_pair_needs_an_address() {
        let key = "0123456789abcdef0123456789abcdef01234";
        let login =
            |email: &str| Login::GlobalKey { email: email.to_owned(), key: Origin::Env("KEY".to_owned()) };
        let pair = read(&login(" me@example.com "), &[("KEY", key)]).unwrap();
        assert!(matches!(&pair.credential, Credential::GlobalKey { email, .. } if email == "me@example.com"));
        for email in ["", "me", "@example.com", "me@", "m e@example.com", "mé@example.com", "a@b\nX: y"] {
            assert_eq!(read(&login(email), &[("KEY", key)]).unwrap_err().fault, Fault::Email, "{email}");
        }
        let swapped = read(&login("me@example.com"), &[("KEY", "cfut_0123456789abcdef")]).unwrap_err();
        assert!(
            swapped
                .to_string()
                .starts_with("the Global API Key from the environment variable KEY is an API token")
        );
    }

    #[test]
    fn a_short_token_is_warned_about_and_taken() {
        let login = Login::Token(Origin::Env("CF".into()));
        let reading = read(&login, &[("CF", "short-one")]).unwrap();
        assert_eq!(reading.warnings.len(), 1);
        let shown = reading.warnings[0].to_string();
        assert!(shown.contains("environment variable CF is shorter"), "{shown}");
    }

    proptest! {
        #[test]
        fn nothing_that_is_said_of_a_secret_has_a_piece_of_it(
            secret in "[A-Za-z0-9_-]{12,60}",
            before in prop_oneof![Just(""), Just("\""), Just("Bearer "), Just("A="), Just("$"), Just("é"), Just("\u{1}")],
            after in prop_oneof![Just(""), Just("\""), Just(" x"), Just("\n\n"), Just("é"), Just("\0")],
            email in prop_oneof![Just("me@example.com"), Just("none")],
        ) {
            // A piece that is in our own words would be found without having been said.
            let text = format!("{before}{secret}{after}");
            let origin = Origin::Env("CF".to_owned());
            for login in [Login::Token(origin.clone()), Login::GlobalKey { email: email.to_owned(), key: origin.clone() }] {
                let said = match read(&login, &[("CF", &text)]) {
                    Ok(reading) => {
                        let warnings: Vec<_> = reading.warnings.iter().map(ToString::to_string).collect();
                        format!("{reading:?} {warnings:?}")
                    }
                    Err(error) => format!("{error} {error:?} {error:#?}"),
                };
                for piece in secret.as_bytes().windows(8) {
                    prop_assert!(!said.contains(std::str::from_utf8(piece).unwrap()), "{}", said);
                }
            }
        }
    }
}
