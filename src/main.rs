//! Parses the command line, calls `cli`, maps errors to exit codes.

use std::process::ExitCode;

fn main() -> ExitCode {
    autoheal::cli::main()
}
