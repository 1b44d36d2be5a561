//! What every command takes, and what follows from it for the log and the colours.
//!
//! Deliberately unknown: the commands.

use std::path::PathBuf;

use clap::{ArgAction, Args};
use tracing::level_filters::LevelFilter;

use crate::cli::show;
use crate::report::log;

/// What every command takes.
#[derive(Args, Clone, Debug)]
pub struct Everywhere {
    /// The configuration file [default: $STAYPUT_CONFIG, else /etc/stayput/stayput.toml]
    #[arg(short, long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Log every request; twice: headers and bodies too
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub verbose: u8,
    /// Log warnings and errors only
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// How the log is written
    #[arg(long, global = true, value_name = "FORMAT", value_enum, default_value_t)]
    pub log_format: log::Format,
    /// When colours are used
    #[arg(long, global = true, value_name = "WHEN", value_enum, default_value_t)]
    pub color: log::Color,
}

impl Everywhere {
    pub fn level(&self) -> LevelFilter {
        match (self.quiet, self.verbose) {
            (true, _) => LevelFilter::WARN,
            (false, 0) => LevelFilter::INFO,
            (false, 1) => LevelFilter::DEBUG,
            (false, _) => LevelFilter::TRACE,
        }
    }

    /// The ink for results on standard output.
    #[expect(clippy::disallowed_methods, reason = "asked whether it is a terminal")]
    pub fn ink(&self) -> show::Ink {
        show::Ink::on(self.color, &std::io::stdout())
    }
}
