//! Follows the pages: a chain, a subnet, a run, a miner, a validator, a token holder, and their ends.

use std::{collections::BTreeMap, process::Output};

use crate::{
    commands::{self, Command, Shown},
    markdown::{self, Page},
    place::{Place, Running},
    shape, values,
};

/// The pages that lead from one to the next.
const FOLLOWED: [&str; 4] = [
    "docs/operators.md",
    "docs/miners.md",
    "docs/validators.md",
    "docs/token-holders.md",
];

/// Their sections that come last: what a run has to show, then all other pages, then the ends.
const LOOKING: [(&str, &str); 1] = [("docs/operators.md", "Looking")];
const ENDS: [(&str, &str); 3] = [
    ("docs/miners.md", "Leave"),
    ("docs/validators.md", "Leave"),
    ("docs/operators.md", "The end"),
];

/// Commands that are not run, and why. They are still held against what their programs understand.
const NOT_RUN: [(&str, &str, &str); 11] = [
    (
        "",
        "make ",
        "builds or measures, minutes to hours; CI runs `make test`",
    ),
    ("", "cargo ", "compiles; CI runs what has to pass"),
    (
        "docs/contribution.md",
        "cairn bench codec --rows 28672",
        "takes several GB and minutes",
    ),
    ("docs/gpu.md", "cairn gpu-selftest", "needs a GPU"),
    (
        "docs/gpu.md",
        "cairn bench train --config 1b",
        "needs a GPU",
    ),
    (
        "docs/engines.md",
        "cairn bench train --config 1b",
        "needs several GPUs",
    ),
    (
        "docs/study.md",
        "cairn-study run",
        "needs a grid of the reader's own, and trains it",
    ),
    (
        "data/README.md",
        "node scripts/make-corpus.mjs",
        "downloads the text",
    ),
    (
        "docs/dashboard.md",
        "node tests/dashboard/",
        "follows a devnet for minutes, and needs a browser or writes into the checkout",
    ),
    (
        "docs/dashboard.md",
        "scripts/light-client.sh",
        "downloads smoldot",
    ),
    (
        "docs/dashboard.md",
        "cairn dashboard --light",
        "needs smoldot, which is downloaded",
    ),
];

/// Commands that go on until they are stopped.
const GOING_ON: [&str; 5] = [
    "cairn-node --dev",
    "cairn mine",
    "cairn validate",
    "cairn devnet",
    "cairn dashboard",
];

/// Commands that a page says to wait for, and for what. All that only ask may be asked again, too.
const WAITED_FOR: [(&str, &str); 3] = [
    ("cairn validate explain", "the first round that is scored"),
    ("cairn run export", "a checkpoint whose root is final"),
    ("cairn stake withdraw", "the end of the unbonding period"),
];
const QUESTIONS: [&str; 6] = [
    "ask ",
    "cairn emissions",
    "cairn status",
    "cairn stake show",
    "cairn validate explain",
    "cairn why",
];

/// Whether a command goes on until it is stopped: a question to a role does not.
fn goes_on(text: &str) -> bool {
    let begins = |start: &str| text.starts_with(start);
    GOING_ON.iter().any(|start| begins(start)) && !QUESTIONS.iter().any(|start| begins(start))
}

/// How many blocks something may take that is waited for: some rounds.
const BLOCKS: usize = 300;
/// How many lines a worker may say until it has said what its page shows.
const LINES: usize = 500;

/// Addresses of the examples: on which page, and the wallet that is meant.
const ADDRESSES: [(&str, &str, &str); 2] = [
    (
        "5DAAnrj7VHTznn2AWBemMuyBwZWs6FNFjdyVXUeYum3PTXFy",
        "docs/token-holders.md",
        "savings",
    ),
    (
        "5GbEGnBZdB3cRJHaYNrP4dKwbDHrr6dyrs2auRsc8ma8pkmU",
        "docs/validators.md",
        "validator",
    ),
];

/// Everything, in order.
pub fn all() {
    let pages = markdown::pages();
    let (followed, others): (Vec<&Page>, Vec<&Page>) = pages
        .iter()
        .partition(|page| FOLLOWED.contains(&page.name.as_str()));
    let of = |name: &str| {
        let page = followed.iter().find(|page| page.name == name);
        commands::of(page.unwrap_or_else(|| panic!("{name} is gone")))
    };
    let is_in = |command: &Command, sections: &[(&str, &str)]| {
        sections.contains(&(command.page.as_str(), command.section.as_str()))
    };
    let only = |sections: &[(&str, &str)]| -> Vec<Command> {
        let of_one = |(page, section): &(&str, &str)| {
            let found = of(page)
                .into_iter()
                .filter(|command| command.section == *section);
            let found: Vec<_> = found.collect();
            assert!(
                !found.is_empty(),
                "{page} has no commands under `{section}`"
            );
            found
        };
        sections.iter().flat_map(of_one).collect()
    };

    let mut walk = Walk::new(&pages);
    let first = FOLLOWED.iter().flat_map(|name| of(name));
    for command in first.filter(|command| !is_in(command, &LOOKING) && !is_in(command, &ENDS)) {
        walk.follow(&command);
    }
    for command in only(&LOOKING) {
        walk.follow(&command);
    }
    for command in others.iter().flat_map(|page| commands::of(page)) {
        walk.follow(&command);
    }
    for end in &ENDS {
        // A miner works until its bond is free; all others stop first.
        let works = end.0 == "docs/miners.md";
        if !works {
            walk.workers_have_said_what_is_shown(end.0);
        }
        for command in only(std::slice::from_ref(end)) {
            walk.follow(&command);
        }
        walk.workers_have_said_what_is_shown(end.0);
    }
    walk.end();
}

struct Walk<'a> {
    pages: &'a [Page],
    place: Place,
    node: Option<Running>,
    /// What goes on, by the page and the section that started it, in that order.
    workers: BTreeMap<(String, String), Vec<Running>>,
    /// What the commands of each page begin with: the functions and variables that it has defined.
    before: BTreeMap<String, String>,
    /// Which of [`NOT_RUN`] were met.
    left_out: [bool; NOT_RUN.len()],
}

impl<'a> Walk<'a> {
    fn new(pages: &'a [Page]) -> Walk<'a> {
        Walk {
            pages,
            place: Place::new(),
            node: None,
            workers: BTreeMap::new(),
            before: BTreeMap::new(),
            left_out: [false; NOT_RUN.len()],
        }
    }

    /// Does what a command says, and compares what it prints with what the page shows.
    fn follow(&mut self, command: &Command) {
        println!("{}:{}: {}", command.page, command.line, command.text);
        let is_left_out = |(page, start, _): &(&str, &str, &str)| {
            (page.is_empty() || *page == command.page) && command.text.starts_with(start)
        };
        if let Some(at) = NOT_RUN.iter().position(is_left_out) {
            self.left_out[at] = true;
        } else if is_definition(&command.text) {
            let text = self.place.localised(&command.text);
            let before = self.before.entry(command.page.clone()).or_default();
            *before += &format!("{text}\n");
        } else if goes_on(&command.text) {
            self.start(command);
        } else {
            self.run(command);
        }
    }

    fn start(&mut self, command: &Command) {
        let text = self.place.localised(&command.text);
        if !FOLLOWED.contains(&command.page.as_str()) {
            // A network of its own: seen to come up.
            Place::new().start(&command.page, "", &text).stop();
            return;
        }
        let before = self.before.get(&command.page).map_or("", String::as_str);
        let running = self.place.start(&command.page, before, &text);
        if command.text.starts_with("cairn-node") {
            self.node = Some(running);
            self.until("the node answers", |walk| {
                walk.place.run("", "", "cairn subnet ls").status.success()
            });
        } else {
            let key = (command.page.clone(), command.section.clone());
            self.workers.entry(key).or_default().push(running);
        }
    }

    fn run(&mut self, command: &Command) {
        let begins = |start: &&str| command.text.starts_with(start);
        let waits = WAITED_FOR.iter().any(|(start, _)| begins(start));
        let asks = QUESTIONS.iter().any(begins);
        let is_error = command.output.as_ref().is_some_and(Shown::is_error);
        let text = self.with_addresses(&self.place.localised(&command.text));
        let before = self.before.get(&command.page).cloned().unwrap_or_default();
        for _ in 0..BLOCKS {
            let output = self.place.run(&command.page, &before, &text);
            println!("{}", String::from_utf8_lossy(&output.stdout));
            let Some(fault) = why_other(command, &output) else {
                return;
            };
            // An answer may still have to come about; a question that fails stays one that fails.
            let again = !is_error && (waits || (asks && output.status.success()));
            assert!(
                again,
                "{}:{}: `{text}`: {fault}",
                command.page, command.line
            );
            self.next_block();
        }
        panic!(
            "{}:{}: `{text}`: not in {BLOCKS} blocks",
            command.page, command.line
        );
    }

    /// The text with the addresses of this chain's wallets for those of the examples.
    fn with_addresses(&self, text: &str) -> String {
        let mut text = text.to_string();
        for (example, page, wallet) in ADDRESSES {
            if text.contains(example) {
                let ask = format!("cairn wallet balance {wallet} --json");
                let output = self.place.run(page, "", &ask);
                let answer: serde_json::Value =
                    serde_json::from_slice(&output.stdout).expect("the wallet is there");
                text = text.replace(example, answer["address"].as_str().expect("an address"));
            }
        }
        text
    }

    fn until(&mut self, what: &str, mut holds: impl FnMut(&mut Walk<'a>) -> bool) {
        for _ in 0..BLOCKS {
            if holds(self) {
                return;
            }
            self.next_block();
        }
        panic!("{BLOCKS} blocks, and not: {what}");
    }

    /// Waits for a block that comes from now on.
    fn next_block(&mut self) {
        let node = self.node.as_mut().expect("a page starts a node first");
        node.hear_what_was_said();
        node.wait_for("Imported #");
    }

    /// What a page shows of a section's first worker has been seen; then all are stopped.
    fn workers_have_said_what_is_shown(&mut self, page: &str) {
        let of_page: Vec<_> = self
            .workers
            .keys()
            .filter(|(of, _)| of == page)
            .cloned()
            .collect();
        for key in of_page {
            let mut workers = self.workers.remove(&key).expect("listed");
            let page = self
                .pages
                .iter()
                .find(|page| page.name == key.0)
                .expect("it started it");
            let shown = page.fences().into_iter();
            let shown = shown.filter(|fence| fence.language == "text" && fence.section == key.1);
            for fence in shown {
                let lines: Vec<_> = fence.lines.iter().map(|(_, line)| line.as_str()).collect();
                let first = workers.first_mut().expect("one was started");
                first.wait_for_lines(&lines.join("\n"), LINES);
            }
            workers.into_iter().for_each(Running::stop);
        }
    }

    fn end(mut self) {
        assert!(
            self.workers.is_empty(),
            "a page starts workers that it does not stop"
        );
        self.node.take().expect("a page starts a node").stop();
        for ((page, start, reason), met) in NOT_RUN.iter().zip(self.left_out) {
            assert!(
                met,
                "`{start}` of `{page}` ({reason}) is on no page any more"
            );
        }
    }
}

fn is_definition(text: &str) -> bool {
    let first = text.split_whitespace().next().unwrap_or_default();
    first == "export" || first.ends_with("()")
}

/// Why an output is another than the page says.
fn why_other(command: &Command, output: &Output) -> Option<String> {
    let told = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    let fails = command.output.as_ref().is_some_and(Shown::is_error);
    if output.status.success() == fails {
        return Some(format!("{}\n{told}{errors}", output.status));
    }
    let fault = match &command.output {
        None => Ok(()),
        Some(Shown::Text(shown)) => shape::lines_are_in(shown, if fails { &errors } else { &told }),
        Some(Shown::Json(shown)) => answer_is_like(shown, &told),
    };
    fault
        .err()
        .map(|fault| format!("{fault} in\n{told}{errors}"))
}

/// Whether a node's answer has a result, or an error, like the one shown.
fn answer_is_like(shown: &str, told: &str) -> Result<(), String> {
    let json = |text: &str| {
        serde_json::from_str::<serde_json::Value>(text).map_err(|error| format!("{error}: {text}"))
    };
    let answer = json(told)?;
    let of_a_node = answer.get("result").or(answer.get("error"));
    values::values_are_alike(&json(shown)?, of_a_node.unwrap_or(&answer))
}
