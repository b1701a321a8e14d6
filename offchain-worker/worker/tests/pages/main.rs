//! The pages: those at the top, those beside data and patches, and docs/. Links lead somewhere, lines are short, and
//! every command of an `sh` or `console` fence is run or has a stated reason not to be. Commands in `text` fences and
//! within sentences are not run: their programs have to know what they say.
//!
//! How a page writes commands:
//!
//! | fence | what it holds |
//! |---|---|
//! | `sh` | commands, one a line; `\` continues a line, `#` begins a comment |
//! | `console` | commands behind `$ `, and below each what it prints |
//! | `json`, `text` | right behind an `sh` fence: what its last command prints; elsewhere: nothing that is run |
//!
//! What a page shows of a command's output is compared with the output by its shape ([`shape`]): words have to be
//! the same, numbers, hashes and addresses may differ. A command that fails is shown with its error, `cairn: …`.

mod commands;
mod known;
mod markdown;
mod place;
mod shape;
mod values;
mod walk;

use markdown::Page;

/// The longest line of a page, in characters.
const WIDTH: usize = 120;

/// What is wrong with all pages, as `page:line: fault` each.
fn faults(of: impl Fn(&Page) -> Vec<(usize, String)>) -> Vec<String> {
    let pages = markdown::pages();
    assert!(pages.len() > 10, "only {} pages were found", pages.len());
    let fault =
        |page: &Page, (line, fault): (usize, String)| format!("{}:{line}: {fault}", page.name);
    let all = pages.iter();
    all.flat_map(|page| of(page).into_iter().map(|found| fault(page, found)))
        .collect()
}

fn assert_none(faults: &[String]) {
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn lines_are_short() {
    assert_none(&faults(|page| {
        let lines = page
            .lines()
            .map(|(number, line)| (number, line.chars().count()));
        lines
            .filter(|(_, width)| *width > WIDTH)
            .map(|(number, width)| (number, format!("{width} columns, {WIDTH} at most")))
            .collect()
    }));
}

#[test]
fn links_lead_to_files_and_headings_that_exist() {
    assert_none(&faults(|page| {
        let links = page.links().into_iter();
        links
            .filter_map(|(line, target)| Some((line, page.why_broken(&target)?)))
            .collect()
    }));
}

/// A fence of an unknown kind could hide commands, and so could a block that is only indented.
#[test]
fn fences_say_what_they_hold() {
    assert_none(&faults(|page| {
        let fences = page.fences().into_iter();
        let unknown =
            fences.filter(|fence| !markdown::LANGUAGES.contains(&fence.language.as_str()));
        let mut faults: Vec<_> = unknown
            .map(|fence| (fence.line, format!("a fence of kind `{}`", fence.language)))
            .collect();
        let indented = page.indented_blocks().into_iter();
        faults.extend(indented.map(|line| (line, "an indented block: use a fence".into())));
        faults
    }));
}

/// Command lines are understood by the programs that they name, and what they name is there.
#[test]
fn commands_are_understood() {
    assert_none(&faults(|page| {
        let commands = commands::of(page).into_iter().chain(commands::told(page));
        let mut faults: Vec<_> = commands
            .flat_map(|command| {
                let wrong = known::faults(&command.text).into_iter();
                wrong.map(move |fault| (command.line, format!("`{}`: {fault}", command.text)))
            })
            .collect();
        for (line, code) in page.inline_code() {
            let wrong = known::faults_of_a_mention(&code).into_iter();
            faults.extend(wrong.map(|fault| (line, format!("`{code}`: {fault}"))));
        }
        faults
    }));
}

/// The commands of the pages, in the order in which somebody would come by them, against a development chain.
#[test]
fn the_pages_can_be_followed() {
    walk::all();
}
