//! Arguments in, exit code out; before that, signals as the program needs them.

use std::process::ExitCode;

fn main() -> ExitCode {
    stayput::daemon::signals::reset();
    stayput::cli::main(std::env::args_os())
}
