//! The command `cairn`.

#![deny(clippy::print_stdout, clippy::print_stderr)]

use std::process::ExitCode;

fn main() -> ExitCode {
    cairn_worker::cli::main()
}
