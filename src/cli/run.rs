//! `stayput run`: the daemon.

use std::io::IsTerminal as _;

use crate::cli::exit::Exit;
use crate::cli::loading;
use crate::cli::options::Everywhere;
use crate::cli::show::Form;
use crate::daemon::Job;
use crate::engine::Mode;
use crate::report::reporter::Output;

/// Options of `run`.
#[derive(clap::Args, Clone, Debug)]
pub struct Options {
    /// Against a simulated Cloudflare inside this process, with addresses that change by themselves
    #[cfg(feature = "sandbox")]
    #[arg(long)]
    sandbox: bool,
    /// With --sandbox, something that goes wrong: NAME[:COUNT|:PERCENT%][=VALUE]; may be said again
    #[cfg(feature = "sandbox")]
    #[arg(long = "fault", value_name = "FAULT", requires = "sandbox")]
    faults: Vec<crate::sandbox::Armed>,
}

/// Runs until it is stopped.
///
/// # Errors
/// The configuration is wrong, or a secret cannot be had.
pub async fn run(everywhere: &Everywhere, options: Options) -> Result<Exit, Exit> {
    #[cfg(feature = "sandbox")]
    if options.sandbox {
        let (job, _server) = super::sandbox::job(everywhere, Mode::Daemon, Form::Text, &options.faults)?;
        loading::run(job, Form::Text).await?;
        return Ok(Exit::Done);
    }
    let _ = options;
    let job = loading::job(everywhere, Mode::Daemon, Form::Text)?;
    let job = Job {
        output: if std::io::stderr().is_terminal() { Output::Terminal } else { Output::Log },
        socket: loading::socket(&job.config),
        state: loading::state_mode(),
        ..job
    };
    loading::run(job, Form::Text).await?;
    Ok(Exit::Done)
}
