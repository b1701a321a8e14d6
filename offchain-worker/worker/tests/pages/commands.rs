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

/// All commands of a page.
pub fn of(page: &Page) -> Vec<Command> {
    let fences = page.fences();
    let mut commands: Vec<Command> = Vec::new();
    for (index, fence) in fences.iter().enumerate() {
        let before = index.checked_sub(1).map(|index| &fences[index]);
        let follows = before.is_some_and(|b| b.language == "sh" && fence.line <= b.end + 2);
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
