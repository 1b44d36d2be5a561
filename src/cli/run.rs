//! `stayput run`: the daemon.

use crate::cli::exit::Exit;
use crate::cli::{Everywhere, loading};
use crate::daemon::{Audience, Job, Secrets};
use crate::engine::Mode;

/// Options of `run`.
#[derive(clap::Args, Clone, Copy, Debug)]
pub struct Options {
    /// Against a simulated Cloudflare inside this process, with addresses that change by themselves
    #[cfg(feature = "sandbox")]
    #[arg(long)]
    sandbox: bool,
}

/// Runs until it is stopped.
///
/// # Errors
/// The configuration is wrong, or a secret cannot be had.
pub async fn run(everywhere: &Everywhere, options: Options) -> Result<Exit, Exit> {
    #[cfg(feature = "sandbox")]
    if options.sandbox {
        let (job, _server) = super::sandbox::job(everywhere, Mode::Daemon)?;
        loading::run(job).await?;
        return Ok(Exit::Done);
    }
    let _ = options;
    let job = Job {
        mode: Mode::Daemon,
        audience: if loading::is_watched() { Audience::Person } else { Audience::Log },
        config: loading::load(everywhere)?,
        reread: loading::reread(everywhere),
        memory: loading::memory(),
        secrets: Secrets::Real,
        socket: loading::socket(),
    };
    loading::run(job).await?;
    Ok(Exit::Done)
}
