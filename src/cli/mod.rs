//! The command line: what it says, which command carries it out, and how the program then ends.
//!
//! One file a command. Deliberately unknown: anything that a command does.

pub mod exit;

mod check;
mod detect;
mod loading;
mod once;
mod options;
mod plan;
mod run;
#[cfg(feature = "sandbox")]
mod sandbox;
mod schema;
mod show;
mod status;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, Subcommand};

use crate::report::log;
use exit::Exit;
use options::Everywhere;

/// Keeps DNS names pointed at the address of this host, through the Cloudflare API
#[derive(Debug, Parser)]
#[command(name = "stayput", version, arg_required_else_help = true)]
#[command(after_help = "A first look, with no account and no network: stayput run --sandbox")]
struct CommandLine {
    #[command(flatten)]
    everywhere: Everywhere,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Keep the names pointed at this host, for ever
    Run(run::Options),
    /// Do it once: look, compare, send, confirm
    Once(once::Options),
    /// Show what `once` would send, and send nothing
    Plan(plan::Options),
    /// Check the configuration, the secret, the permissions, the zones, the clock and the network
    Check(check::Options),
    /// Ask every source and show what each says, what is believed and why
    Detect(detect::Options),
    /// Show what the running daemon knows
    Status(status::Options),
    /// Print the JSON Schema of the configuration file
    Schema,
    /// Serve a simulated Cloudflare on loopback; prints its base URL
    #[cfg(feature = "sandbox")]
    Sandbox(sandbox::Options),
}

/// Runs the command that the arguments name (the first is the program's name).
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let line = match CommandLine::try_parse_from(arguments) {
        Ok(line) => line,
        Err(error) => return refuse(&error).into(),
    };
    let Everywhere { log_format, color, .. } = line.everywhere;
    log::start(log_format, color, line.everywhere.level());
    let result = match runtime() {
        Ok(runtime) => {
            let result = runtime.block_on(obey(line));
            // A name look-up that hangs must not hold up the end.
            runtime.shutdown_background();
            result
        }
        Err(error) => {
            show::aside(&format!("stayput: the system gives too little to begin with: {error}\n"));
            Err(Exit::Unexpected)
        }
    };
    result.unwrap_or_else(|exit| exit).into()
}

/// Every command and option, for what is made of them: the man page and the completions.
pub fn grammar() -> clap::Command {
    CommandLine::command()
}

/// Carries out the command. `Err` is an end before its time, already explained to the user.
async fn obey(line: CommandLine) -> Result<Exit, Exit> {
    let everywhere = &line.everywhere;
    match line.command {
        Command::Run(options) => run::run(everywhere, options).await,
        Command::Once(options) => once::run(everywhere, options).await,
        Command::Plan(options) => plan::run(everywhere, options).await,
        Command::Check(options) => check::run(everywhere, options).await,
        Command::Detect(options) => detect::run(everywhere, options).await,
        Command::Status(options) => status::run(everywhere, options).await,
        Command::Schema => schema::run(),
        #[cfg(feature = "sandbox")]
        Command::Sandbox(options) => sandbox::run(options).await,
    }
}

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    // The runtime panics where it gets no descriptors for its signals: find out before it does.
    let pairs = (0..4).map(|_| std::os::unix::net::UnixStream::pair());
    drop(pairs.collect::<std::io::Result<Vec<_>>>()?);
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

/// Help and version are results; everything else that clap says is a wrong command line.
fn refuse(error: &clap::Error) -> Exit {
    let wanted = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
    let text = error.render().to_string();
    if !wanted {
        show::aside(&text);
        return Exit::Usage;
    }
    show::result(&text).err().unwrap_or(Exit::Done)
}
