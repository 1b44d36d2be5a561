//! `stayput once`: one full pass, for cron and for scripts.

use crate::cli::exit::Exit;
use crate::cli::loading;
use crate::cli::options::Everywhere;
use crate::cli::show::Form;
use crate::daemon::Job;
use crate::engine::Mode;

/// Options of `once`.
#[derive(clap::Args, Clone, Copy, Debug)]
pub struct Options {
    /// Against a simulated Cloudflare inside this process
    #[cfg(feature = "sandbox")]
    #[arg(long)]
    sandbox: bool,
}

/// Does one pass.
///
/// # Errors
/// The configuration is wrong, or a secret cannot be had.
pub async fn run(everywhere: &Everywhere, options: Options) -> Result<Exit, Exit> {
    #[cfg(feature = "sandbox")]
    if options.sandbox {
        let (job, _server) = super::sandbox::job(everywhere, Mode::Once, Form::Text, &[])?;
        return Ok(loading::run(job, Form::Text).await?.engine.verdict().into());
    }
    let _ = options;
    let job = Job { state: loading::state_mode(), ..loading::job(everywhere, Mode::Once, Form::Text)? };
    Ok(loading::run(job, Form::Text).await?.engine.verdict().into())
}
