//! The command `cairn`.

use std::process::ExitCode;

fn main() -> ExitCode {
    cairn_worker::cli::main()
}
