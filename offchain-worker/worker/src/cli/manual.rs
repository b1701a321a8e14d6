//! `cairn completions` and `cairn man`: the command line for shells and for `man`.

use std::path::{Path, PathBuf};

use clap::{Args, Command};
use clap_complete::Shell;
use clap_mangen::Man;

use super::usage;
use crate::{error::Failure, new_file::NewFile, output};

/// `cairn completions`.
#[derive(Args, Debug)]
pub struct Completions {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

/// `cairn man`.
#[derive(Args, Debug)]
pub struct Manual {
    /// Where the pages are written; made if it is not there
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

impl Completions {
    /// Prints the script.
    pub fn run(self) -> Result<(), Failure> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut usage::command(), "cairn", &mut script);
        output::show_raw(&String::from_utf8_lossy(&script))
    }
}

impl Manual {
    /// Writes a page for every command.
    pub fn run(self) -> Result<(), Failure> {
        std::fs::create_dir_all(&self.directory).map_err(|error| {
            Failure::new(
                format!("cannot make {}: {error}", self.directory.display()),
                "name another directory",
            )
        })?;
        let mut command = usage::command();
        // Only then do commands know their whole names.
        command.build();
        let pages = pages(&command, "cairn", &self.directory)?;
        output::show(&format!(
            "{pages} pages in {}; read one with `man {}`\n",
            self.directory.display(),
            self.directory.join("cairn.1").display()
        ))
    }
}

/// Writes the pages of a command and of those below it; gives their number.
fn pages(command: &Command, name: &str, directory: &Path) -> Result<usize, Failure> {
    let page = Man::new(command.clone().name(name.to_string()));
    let mut text = Vec::new();
    page.render(&mut text)?;
    NewFile::write(&directory.join(format!("{name}.1")), &text)?;
    let mut written = 1;
    for below in command.get_subcommands().filter(|sub| !sub.is_hide_set()) {
        if below.get_name() != "help" {
            let name = format!("{name}-{}", below.get_name());
            written += pages(below, &name, directory)?;
        }
    }
    Ok(written)
}
