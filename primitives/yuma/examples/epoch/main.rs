//! Runs a subnet over several epochs and prints what each gave.
//!
//!     cargo run -p yuma --example epoch -- FILE.json
//!
//! `tests/vectors/README.md` states the format and has examples.

mod scenario;

use std::{env, fs, process::ExitCode};

use scenario::Scenario;

fn main() -> ExitCode {
    match run() {
        Ok(json) => {
            println!("{json}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<String, String> {
    let mut arguments = env::args().skip(1);
    let (Some(path), None) = (arguments.next(), arguments.next()) else {
        return Err("usage: epoch FILE.json".into());
    };
    let json = fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
    let report = Scenario::parse(&json)
        .and_then(|scenario| scenario.run())
        .map_err(|error| format!("{path}: {error}"))?;
    serde_json::to_string_pretty(&report).map_err(|error| error.to_string())
}
