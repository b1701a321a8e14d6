//! The commands of a page, and the words of a command.

use crate::markdown::{Fence, Page};

/// A command.
#[derive(Clone, Debug)]
pub struct Command {
    /// The page that has it.
    pub page: String,
    /// The line.
    pub line: usize,
    /// The heading that it is under.
    pub section: String,
    /// The command, without comments, on one line.
    pub text: String,
    /// What the page says that it prints.
    pub output: Option<Shown>,
}

/// Programs of ours: a line of a `text` fence that begins with one is a command.
const OURS: [&str; 3] = ["cairn", "cairn-node", "make"];

/// Lines that begin like one and are none: on which page, how, and what they are.
const NO_COMMANDS: [(&str, &str, &str); 2] = [
    (
        "docs/architecture.md",
        "cairn-node   ",
        "the arrows of a package",
    ),
    (
        "docs/contribution-format.md",
        "cairn contribution seal, version 1",
        "the context of a hash",
    ),
];

/// What a page shows of an output.
#[derive(Clone, Debug, PartialEq)]
pub enum Shown {
    /// Lines.
    Text(String),
    /// The `result` or `error` of an answer.
    Json(String),
}

impl Shown {
    /// Whether it is the error of a command that fails.
    pub fn is_error(&self) -> bool {
        matches!(self, Shown::Text(text) if text.starts_with("cairn: ") || text.starts_with("cairn-node: "))
    }
}

/// Whether a fence shows what the commands of the one before it print.
fn is_output(fences: &[Fence], index: usize) -> bool {
    let before = index.checked_sub(1).map(|index| &fences[index]);
    before.is_some_and(|b| b.language == "sh" && fences[index].line <= b.end + 2)
}

/// Commands of a page that it only tells: the lines of its `text` fences that begin with a program of ours.
pub fn told(page: &Page) -> Vec<Command> {
    let fences = page.fences();
    let texts = (0..fences.len())
        .filter(|index| fences[*index].language == "text" && !is_output(&fences, *index));
    let lines = texts.flat_map(|index| of_lines(page, &fences[index]));
    let is_none = |command: &Command| {
        NO_COMMANDS
            .iter()
            .any(|(page, start, _)| *page == command.page && command.text.starts_with(start))
    };
    let begins = |command: &Command| {
        let mut words = command.text.split_whitespace();
        let program = words.find(|word| !is_setting(word));
        program.is_some_and(|program| OURS.contains(&program))
    };
    lines
        .filter(|command| begins(command) && !is_none(command))
        .collect()
}

/// Whether a word sets a variable for the command behind it.
pub fn is_setting(word: &str) -> bool {
    let is_name =
        |name: &str| !name.is_empty() && name.chars().all(|c| c.is_ascii_uppercase() || c == '_');
    word.split_once('=').is_some_and(|(name, _)| is_name(name))
}

/// All commands of a page that are meant to be run.
pub fn of(page: &Page) -> Vec<Command> {
    let fences = page.fences();
    let mut commands: Vec<Command> = Vec::new();
    for (index, fence) in fences.iter().enumerate() {
        let follows = is_output(&fences, index);
        match fence.language.as_str() {
            "sh" => commands.extend(of_lines(page, fence)),
            "console" => commands.extend(of_console(page, fence)),
            "json" | "text" if follows => {
                let lines: Vec<_> = fence.lines.iter().map(|(_, line)| line.as_str()).collect();
                let shown = lines.join("\n");
                let last = commands
                    .last_mut()
                    .expect("a fence of commands has commands");
                last.output = Some(match fence.language.as_str() {
                    "json" => Shown::Json(shown),
                    _ => Shown::Text(shown),
                });
            }
            _ => {}
        }
    }
    commands
}

fn of_lines(page: &Page, fence: &Fence) -> Vec<Command> {
    let (mut commands, mut begun): (Vec<Command>, Option<Command>) = (Vec::new(), None);
    for (number, line) in &fence.lines {
        let (line, goes_on) = match line.trim_end().strip_suffix('\\') {
            Some(line) => (line, true),
            None => (line.as_str(), false),
        };
        let text = without_comment(line);
        let mut command = match begun.take() {
            Some(mut command) => {
                command.text = format!("{} {text}", command.text);
                command
            }
            None => command(page, fence, *number, text),
        };
        if goes_on {
            begun = Some(command);
        } else if !command.text.is_empty() {
            command.text = command.text.trim().to_string();
            commands.push(command);
        }
    }
    commands
}

fn of_console(page: &Page, fence: &Fence) -> Vec<Command> {
    let mut commands: Vec<Command> = Vec::new();
    for (number, line) in &fence.lines {
        if let Some(text) = line.strip_prefix("$ ") {
            commands.push(command(page, fence, *number, without_comment(text)));
        } else if let Some(command) = commands.last_mut() {
            let text = match command.output.take() {
                Some(Shown::Text(before)) => format!("{before}\n{line}"),
                _ => line.clone(),
            };
            command.output = Some(Shown::Text(text));
        }
    }
    commands
}

fn command(page: &Page, fence: &Fence, line: usize, text: &str) -> Command {
    Command {
        page: page.name.clone(),
        line,
        section: fence.section.clone(),
        text: text.to_string(),
        output: None,
    }
}

/// A line without what stands behind `#`, unless that is quoted or within a word.
fn without_comment(line: &str) -> &str {
    let (mut quote, mut before) = (None, ' ');
    for (at, c) in line.char_indices() {
        match (quote, c) {
            (None, '#') if before.is_whitespace() => return line[..at].trim(),
            (None, '\'' | '"') => quote = Some(c),
            (Some(open), _) if open == c && before != '\\' => quote = None,
            _ => {}
        }
        before = c;
    }
    line.trim()
}

/// The words of each simple command on a line, as a shell takes them apart. Variables stay as they are.
pub fn words(text: &str) -> Vec<Vec<String>> {
    let (mut commands, mut words, mut word) = (Vec::new(), Vec::new(), None::<String>);
    let (mut quote, mut characters) = (None, text.chars());
    while let Some(c) = characters.next() {
        match (quote, c) {
            (Some('"'), '\\') | (None, '\\') => {
                word.get_or_insert_default().extend(characters.next())
            }
            (Some(open), _) if open == c => quote = None,
            (Some(_), _) => word.get_or_insert_default().push(c),
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, ';' | '|' | '&') => {
                words.extend(word.take());
                commands.push(std::mem::take(&mut words));
            }
            (None, _) if c.is_whitespace() => words.extend(word.take()),
            (None, _) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    commands.push(words);
    commands.retain(|words| !words.is_empty());
    commands
}

#[test]
fn commands_are_found_with_what_they_print() {
    let page = Page::of(
        "# T\n```sh\na --b 'c # d'  # e\n# f\ng \\\n  h\n```\n```json\n{}\n```\n\n```console\n$ i\nj\nk\n\n$ l\n```\n```text\nm\n```\n",
    );
    let commands = of(&page);
    let texts: Vec<_> = commands.iter().map(|c| (c.line, c.text.as_str())).collect();
    assert_eq!(
        texts,
        [(3, "a --b 'c # d'"), (5, "g h"), (13, "i"), (17, "l")]
    );
    let shown: Vec<_> = commands.into_iter().map(|command| command.output).collect();
    let printed = Some(Shown::Text("j\nk\n".into()));
    assert_eq!(shown, [None, Some(Shown::Json("{}".into())), printed, None]);
}

#[test]
fn commands_that_a_page_only_tells_are_found() {
    let page = Page::of(
        "# T\n```text\nround 0 \u{b7} settled\ncairn a \\\n  --b  # c\nX=y cairn-node d\nmake e\ncairn: no\n  cairn f\n```\n```sh\ng\n```\n```text\ncairn h\n```\n",
    );
    let told: Vec<_> = told(&page).into_iter().map(|c| (c.line, c.text)).collect();
    let expected = [
        (4, "cairn a --b"),
        (6, "X=y cairn-node d"),
        (7, "make e"),
        (9, "cairn f"),
    ];
    assert_eq!(told, expected.map(|(line, text)| (line, text.to_string())));
}

#[test]
fn what_begins_like_a_command_and_is_none_is_still_there() {
    let pages = crate::markdown::pages();
    for (name, start, what) in NO_COMMANDS {
        let page = pages.iter().find(|page| page.name == name);
        let mut lines = page.expect("the page is there").lines();
        let is_there = lines.any(|(_, line)| line.starts_with(start));
        assert!(is_there, "`{start}` ({what}) is not in {name} any more");
    }
}

#[test]
fn words_are_those_of_a_shell() {
    let text = r#"make a ARGS="--b c" && x '1, 2' | y; z "" \""#;
    let found = words(text);
    let expected: [&[&str]; 4] = [
        &["make", "a", "ARGS=--b c"],
        &["x", "1, 2"],
        &["y"],
        &["z", "", "\""],
    ];
    assert_eq!(found, expected);
}
