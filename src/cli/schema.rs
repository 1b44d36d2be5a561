//! `stayput schema`: the JSON Schema of the configuration file.

use crate::cli::exit::Exit;
use crate::cli::show;
use crate::config;

/// Prints the schema.
///
/// # Errors
/// Where nobody takes it.
pub fn run() -> Result<Exit, Exit> {
    show::result(config::SCHEMA)?;
    Ok(Exit::Done)
}
