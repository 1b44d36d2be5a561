//! From the command line to a configuration, for every command that needs one; and to a loop over it.
//!
//! Mistakes are shown as they are, without a log's times and words in front. Deliberately unknown: the
//! rules of the configuration.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::cli::exit::Exit;
use crate::cli::options::Everywhere;
use crate::cli::show::{self, Form};
use crate::config::{self, Config, Environment, Ink, Location, Mistakes};
use crate::daemon::status::FORMAT;
use crate::daemon::{self, Job, Outcome, RunError, Secrets, StateMode, socket};
use crate::engine::Mode;
use crate::process;
use crate::report::log::Color;
use crate::report::reporter::Output;
use crate::state::place;

/// Reads the configuration that the command line and the environment name.
///
/// # Errors
/// Every mistake in it.
pub fn read(everywhere: &Everywhere) -> Result<Config, Mistakes> {
    read_with(everywhere, config::read_file)
}

fn read_with(
    everywhere: &Everywhere,
    read_file: fn(&Path) -> Result<String, Mistakes>,
) -> Result<Config, Mistakes> {
    let environment = Environment::of(std::env::vars_os());
    let config = match environment.locate(everywhere.config.clone(), may_be_there)? {
        Location::Environment => config::from_environment(&environment)?,
        Location::File(path) => {
            let beside = environment.beside_file()?;
            let mut config = environment.from_toml(&read_file(&path)?, &path)?;
            config.warnings.extend(beside);
            config
        }
    };
    process::withhold(config.secret_variables.iter().cloned());
    Ok(config)
}

/// Whether something is there, or the system does not let us see: reading it then says why.
fn may_be_there(path: &Path) -> bool {
    use std::io::ErrorKind::{NotADirectory, NotFound};
    !std::fs::metadata(path).is_err_and(|error| matches!(error.kind(), NotFound | NotADirectory))
}

/// Whether there is no configuration at all, not even a wrong one.
pub fn is_nowhere(everywhere: &Everywhere) -> bool {
    let environment = Environment::of(std::env::vars_os());
    everywhere.config.is_none() && environment.is_silent() && environment.locate(None, may_be_there).is_err()
}

/// A configuration that the program brings along.
///
/// # Errors
/// [`Exit::Unexpected`], which does not happen.
pub fn built_in(text: &str) -> Result<Config, Exit> {
    config::from_toml(text, Path::new("the built-in configuration")).map_err(|mistakes| {
        show::aside(&mistakes.render(Ink::Plain));
        Exit::Unexpected
    })
}

/// Tells programs what is wrong. The exit is [`Exit::Configuration`] if they take it.
fn tell(mistakes: &[Value]) -> Exit {
    let document = json!({"format": FORMAT, "mistakes": mistakes});
    show::json(&document).err().unwrap_or(Exit::Configuration)
}

/// As [`read`]; the mistakes are shown on standard error, or as JSON on standard output.
///
/// # Errors
/// [`Exit::Configuration`].
pub fn load(everywhere: &Everywhere, form: Form) -> Result<Config, Exit> {
    read(everywhere).map_err(|mistakes| match form {
        Form::Text => {
            let ink = Ink::on(everywhere.color, &std::io::stderr());
            show::aside(&mistakes.render(ink));
            Exit::Configuration
        }
        Form::Json => tell(&mistakes.as_json()),
    })
}

/// As [`read`], for a running daemon that is told to read again.
pub fn reread(everywhere: &Everywhere) -> Box<dyn Fn() -> Result<Config, String>> {
    let everywhere = Everywhere { color: Color::Never, ..everywhere.clone() };
    Box::new(move || read_with(&everywhere, config::reread_file).map_err(|mistakes| mistakes.to_string()))
}

/// The loop over the configuration that the command line and the environment name: what it says goes to the
/// log, and nothing is remembered.
///
/// # Errors
/// As [`load`].
pub fn job(everywhere: &Everywhere, mode: Mode, form: Form) -> Result<Job, Exit> {
    Ok(Job {
        mode,
        output: Output::Log,
        config: load(everywhere, form)?,
        reread: reread(everywhere),
        state: StateMode::None,
        secrets: Secrets::Real,
        socket: None,
    })
}

/// The state file, if the environment names one.
pub fn state_file() -> Option<PathBuf> {
    let directory = std::env::var_os("STATE_DIRECTORY");
    place::state_file(directory.as_deref(), variable("STAYPUT_STATE").as_deref())
}

/// The memory of a pass that changes something.
pub fn state_mode() -> StateMode {
    state_file().map_or(StateMode::None, StateMode::Locked)
}

/// A variable, without the quotation marks that `docker --env-file` keeps around it.
fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name).map(config::unquoted)
}

/// Where a daemon with this configuration is asked what it knows.
pub fn socket(config: &Config) -> Option<PathBuf> {
    socket::place(socket::places(config.socket.clone(), variable))
}

/// Everywhere that a daemon may be asked, in the order in which `status` tries it. A configuration
/// that is wrong or not there names no place.
pub fn sockets(everywhere: &Everywhere) -> Vec<PathBuf> {
    let stated = read(everywhere).ok().and_then(|config| config.socket);
    let mut places = socket::places(stated, variable);
    let usual = PathBuf::from(socket::USUAL_PLACE);
    if !places.contains(&usual) {
        places.push(usual);
    }
    places
}

/// Runs the loop to its end.
///
/// # Errors
/// The exit code of a loop that could not begin or broke off; it is said on standard error, or as JSON
/// where a secret cannot be had.
pub async fn run(job: Job, form: Form) -> Result<Outcome, Exit> {
    let mode = job.mode;
    daemon::run(job).await.map_err(|broken| match exit_of(&broken, mode) {
        Exit::Done => Exit::Done,
        Exit::Configuration if form == Form::Json => {
            let words = broken.to_string();
            let (text, remedy) = parted(&words);
            tell(&[json!({"file": null, "line": null, "column": null, "text": text, "remedy": remedy})])
        }
        Exit::Configuration if mode == Mode::Daemon => {
            let managed = std::env::var_os("NOTIFY_SOCKET").is_some();
            let start_again = if managed { "systemctl restart stayput" } else { "start stayput again" };
            tracing::error!("{broken}; then {start_again}");
            Exit::Configuration
        }
        exit => {
            tracing::error!("{broken}");
            exit
        }
    })
}

/// What is wrong with a secret, and what to do about it.
pub fn parted(words: &str) -> (&str, Option<&str>) {
    words.rsplit_once(": ").map_or((words, None), |(text, remedy)| (text, Some(remedy)))
}

fn exit_of(broken: &RunError, mode: Mode) -> Exit {
    match broken {
        RunError::Stopped if mode == Mode::Daemon => Exit::Done,
        RunError::Stopped => Exit::Nothing,
        // Whoever started it may start it again: nothing is wrong with the configuration.
        RunError::Locked(locked) if locked.is_passing() => Exit::Nothing,
        RunError::Locked(_) => Exit::Configuration,
        RunError::System(_) | RunError::Panicked => Exit::Unexpected,
    }
}

impl Ink {
    /// The ink for a stream.
    pub fn on(color: Color, stream: &impl std::io::IsTerminal) -> Ink {
        if color.on(stream) { Ink::Coloured } else { Ink::Plain }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::daemon::accounts::Locked;
    use crate::engine::settings::AccountName;
    use crate::secret::{Fault, Kind, Origin, SecretError};

    #[test]
    fn a_part_that_panicked_ends_the_program_with_1_and_not_as_if_it_had_been_stopped() {
        for mode in [Mode::Daemon, Mode::Once, Mode::Plan] {
            assert_eq!(exit_of(&RunError::Panicked, mode).number(), 1);
        }
        assert_eq!(exit_of(&RunError::Stopped, Mode::Daemon).number(), 0);
        assert_eq!(exit_of(&RunError::Stopped, Mode::Once).number(), 75);
    }

    #[test]
    fn a_system_that_is_short_of_something_is_no_mistake_of_the_configuration() {
        let locked = |fault| {
            let origin = Origin::File("/run/secrets/token".into());
            let error = SecretError { kind: Kind::Token, origin, fault };
            exit_of(&RunError::Locked(Locked::Secret(AccountName::default(), error)), Mode::Daemon).number()
        };
        assert_eq!(locked(Fault::Short("Too many open files".into())), 75);
        assert_eq!(locked(Fault::Unreadable("Permission denied".into())), 78);
    }
}
