//! Arguments in, exit code out; nothing else happens here.

use std::process::ExitCode;

fn main() -> ExitCode {
    stayput::cli::main(std::env::args_os())
}
