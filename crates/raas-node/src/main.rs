//! The `raas` command.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    raas_node::cli::run()
}
