//! A secret from each of its places, and what is said where there is none.

use super::*;
use crate::secret::{BadSecret, Fault};
use proptest::prelude::*;
use std::ffi::OsString;
use std::fs::{OpenOptions, Permissions};
use std::future::Future;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

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
    // Longer than the machine may be busy with other things; a limit that is waited for is a test's own.
    wait(login.read_in(Surroundings { environment: &environment, patience: Duration::from_secs(20) }))
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
    std::fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
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
    assert_eq!(at(folder.path().join("none")), Fault::Missing);
    assert!(matches!(at("/dev/zero".into()), Fault::Unreadable(_)));
}

fn fifo() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pipe");
    rustix::fs::mkfifoat(rustix::fs::CWD, &path, rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR).unwrap();
    (folder, path)
}

#[test]
fn a_pipe_is_waited_for_until_somebody_writes_the_token_into_it() {
    // Opened at once and written to later, and opened late.
    for (before, between) in [(0, 300), (300, 0)] {
        let (_folder, path) = fifo();
        let to = path.clone();
        let writer = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(before));
            let mut pipe = OpenOptions::new().write(true).open(to).unwrap();
            std::thread::sleep(Duration::from_millis(between));
            std::io::Write::write_all(&mut pipe, format!("{TOKEN}\n").as_bytes()).unwrap();
        });
        let reading = read(&Login::Token(Origin::File(path)), &[]).unwrap();
        assert_eq!(token(&reading), TOKEN);
        writer.join().unwrap();
    }
}

#[test]
fn a_pipe_that_nobody_writes_to_is_given_up_and_holds_up_nothing_meanwhile() {
    let (_folder, path) = fifo();
    let login = Login::Token(Origin::File(path));
    let begin = Instant::now();
    let (error, ticks) = wait(async {
        let surroundings = Surroundings { environment: &|_| None, patience: Duration::from_millis(500) };
        let mut ticks = 0;
        let ticking = async {
            loop {
                tokio::time::sleep(Duration::from_millis(10)).await;
                ticks += 1;
            }
        };
        tokio::select! {
            read = login.read_in(surroundings) => (read.unwrap_err(), ticks),
            () = ticking => panic!("it ticks for ever"),
        }
    });
    assert_eq!(error.fault, Fault::TooSlow);
    assert!(begin.elapsed() < Duration::from_secs(5) && ticks > 5, "{ticks} ticks");
    assert!(error.to_string().contains("it is a pipe"), "{error}");
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
fn of_a_program_that_fails_the_exit_status_alone_is_said() {
    let script = format!("echo 'no key for {TOKEN}' >&2; exit 3");
    let error = read(&command(&["sh", "-c", &script]), &[]).unwrap_err();
    let expected = "the API token from the command sh ended with exit status 3: run it by hand to see why";
    assert_eq!(error.to_string(), expected);
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
fn a_program_that_leaves_a_child_behind_is_not_waited_for_any_longer() {
    let begin = Instant::now();
    let script = format!("sleep 8 & echo {TOKEN}");
    assert_eq!(token(&read(&command(&["sh", "-c", &script]), &[]).unwrap()), TOKEN);
    assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
}

#[test]
fn a_token_that_is_still_to_come_says_what_to_do() {
    let (folder, path) = file(b"no-token-yet", 0o440);
    std::fs::rename(&path, folder.path().join("first")).unwrap();
    let under = [("CREDENTIALS_DIRECTORY", folder.path().to_str().unwrap())];
    let error = read(&Login::Token(Origin::Credential("first".into())), &under).unwrap_err();
    assert_eq!(error.fault, Fault::Bad(BadSecret::NotYet));
    assert!(error.to_string().contains("LoadCredential= in the unit has for first"), "{error}");
}

#[test]
fn the_legacy_pair_needs_an_address() {
    let key = "0123456789abcdef0123456789abcdef01234";
    let login =
        |email: &str| Login::GlobalKey { email: email.to_owned(), key: Origin::Env("KEY".to_owned()) };
    let pair = read(&login("me@example.com"), &[("KEY", key)]).unwrap();
    assert!(matches!(&pair.credential, Credential::GlobalKey { email, .. } if email == "me@example.com"));
    assert!(is_email("me@example.com"));
    for none in ["", "me", "@example.com", "me@", "m e@example.com", "mé@example.com", "a@b\nX: y"] {
        assert!(!is_email(none), "{none}");
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
    ) {
        // A piece that is in our own words would be found without having been said.
        let text = format!("{before}{secret}{after}");
        let origin = Origin::Env("CF".to_owned());
        for login in [Login::Token(origin.clone()), Login::GlobalKey { email: "me@example.com".to_owned(), key: origin.clone() }] {
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
