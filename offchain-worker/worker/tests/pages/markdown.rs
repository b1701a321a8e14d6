//! As much of Markdown as the pages use.

use std::path::{Path, PathBuf};

/// Kinds of fences: commands, and what is none.
pub const LANGUAGES: [&str; 9] = [
    "sh", "console", "text", "json", "toml", "hex", "rust", "js", "python",
];

/// The repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A page.
pub struct Page {
    /// Its path in the repository.
    pub name: String,
    text: String,
}

/// A fenced block.
pub struct Fence {
    /// The line of its opening.
    pub line: usize,
    /// The line of its end.
    pub end: usize,
    /// The heading of the second level above it, or the page's title.
    pub section: String,
    /// What it is marked as.
    pub language: String,
    /// The lines between, with their numbers.
    pub lines: Vec<(usize, String)>,
}

/// All pages: those at the top, those beside the data and the patches, everything in docs/.
pub fn pages() -> Vec<Page> {
    let mut names = [
        "CONTRIBUTING.md",
        "README.md",
        "SECURITY.md",
        "data/README.md",
        "patches/README.md",
    ]
    .map(String::from)
    .to_vec();
    let mut directories = vec!["docs".to_string()];
    while let Some(directory) = directories.pop() {
        let entries = std::fs::read_dir(root().join(&directory)).expect("docs/ is there");
        for entry in entries.map(|entry| entry.expect("it can be read")) {
            let name = format!("{directory}/{}", entry.file_name().to_string_lossy());
            if entry.path().is_dir() {
                directories.push(name);
            } else if name.ends_with(".md") {
                names.push(name);
            }
        }
    }
    names.sort();
    names.into_iter().map(Page::read).collect()
}

impl Page {
    fn read(name: String) -> Page {
        let text = std::fs::read_to_string(root().join(&name)).expect("a page is UTF-8");
        Page { name, text }
    }

    /// A page with this text.
    #[cfg(test)]
    pub fn of(text: &str) -> Page {
        let name = "docs/page.md".to_string();
        Page {
            name,
            text: text.to_string(),
        }
    }

    /// Its lines, from 1.
    pub fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        (1..).zip(self.text.lines())
    }

    /// Its fenced blocks.
    pub fn fences(&self) -> Vec<Fence> {
        let (mut fences, mut open): (Vec<Fence>, Option<Fence>) = (Vec::new(), None);
        let mut section = String::new();
        for (number, line) in self.lines() {
            let fence = line.trim_start().strip_prefix("```");
            match (&mut open, fence) {
                (None, Some(language)) => {
                    open = Some(Fence {
                        line: number,
                        end: number,
                        section: section.clone(),
                        language: language.trim().to_string(),
                        lines: Vec::new(),
                    });
                }
                (Some(_), Some(_)) => {
                    fences.extend(open.take().map(|fence| Fence {
                        end: number,
                        ..fence
                    }));
                }
                (Some(fence), None) => fence.lines.push((number, line.to_string())),
                (None, None) => {
                    let heading = line.strip_prefix("## ").or(line.strip_prefix("# "));
                    section = heading.map_or(section, |heading| heading.trim().to_string());
                }
            }
        }
        assert!(open.is_none(), "{}: a fence is not closed", self.name);
        fences
    }

    /// Lines that are in no fence.
    fn prose(&self) -> Vec<(usize, &str)> {
        let fences = self.fences();
        let fenced = |number: usize| fences.iter().any(|f| (f.line..=f.end).contains(&number));
        self.lines()
            .filter(|(number, _)| !fenced(*number))
            .collect()
    }

    /// The anchors of its headings, as GitHub makes them.
    fn anchors(&self) -> Vec<String> {
        let mut anchors: Vec<String> = Vec::new();
        for (_, line) in self.prose() {
            let Some(heading) = line.strip_prefix('#') else {
                continue;
            };
            let heading = heading.trim_start_matches('#').trim().to_lowercase();
            let kept = heading
                .chars()
                .filter(|c| c.is_alphanumeric() || " -_".contains(*c));
            let anchor: String = kept.map(|c| if c == ' ' { '-' } else { c }).collect();
            let same =
                |other: &&String| **other == anchor || other.starts_with(&format!("{anchor}-"));
            match anchors.iter().filter(same).count() {
                0 => anchors.push(anchor),
                before => anchors.push(format!("{anchor}-{before}")),
            }
        }
        anchors
    }

    /// What its links and images point to.
    pub fn links(&self) -> Vec<(usize, String)> {
        let mut links = Vec::new();
        for (number, line) in self.prose() {
            let outside_code: String = line.split('`').step_by(2).collect::<Vec<_>>().join("code");
            for after in outside_code.split("](").skip(1) {
                let target = after.split(')').next().unwrap_or_default();
                links.push((number, target.to_string()));
            }
        }
        links
    }

    /// Why a link of this page leads nowhere, if it does. What is on the network is not looked at.
    pub fn why_broken(&self, target: &str) -> Option<String> {
        if target.contains("://") {
            return None;
        }
        let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
        let own = root().join(&self.name);
        let file = match path {
            "" => own,
            _ => own.with_file_name("").join(path),
        };
        if !file.exists() {
            return Some(format!("`{path}` is not there"));
        }
        if anchor.is_empty() {
            return None;
        }
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        let page = Page {
            name: path.to_string(),
            text,
        };
        let known = page.anchors().iter().any(|known| known == anchor);
        (!known).then(|| format!("`{path}` has no heading `#{anchor}`"))
    }

    /// Code within sentences.
    pub fn inline_code(&self) -> Vec<(usize, String)> {
        let mut found = Vec::new();
        for (number, line) in self.prose() {
            let codes = line.split('`').skip(1).step_by(2);
            found.extend(codes.map(|code| (number, code.to_string())));
        }
        found
    }

    /// Lines at which a block begins that is only indented: what a list holds is none.
    pub fn indented_blocks(&self) -> Vec<usize> {
        let (mut found, mut in_list, mut after_blank) = (Vec::new(), false, true);
        for (number, line) in self.prose() {
            let is_item = |line: &str| {
                let mark = line.trim_start_matches(|c: char| c.is_ascii_digit());
                line.starts_with("- ") || (mark.len() < line.len() && mark.starts_with(". "))
            };
            if !line.starts_with(' ') && !line.is_empty() {
                in_list = is_item(line);
            }
            if after_blank && !in_list && line.starts_with("    ") {
                found.push(number);
            }
            after_blank = line.is_empty();
        }
        found
    }
}

#[test]
fn what_is_wrong_with_a_page_is_found() {
    let page = Page::of(
        "# A title\n\n[a](#a-title) [b](#b) [c](no.md) `[d](e)`\n\n## Two  words\n```sh\nx\n```\n\n    y\n\n- z\n\n      z\n",
    );
    let broken = |target: &str| page.why_broken(target).is_some();
    let links: Vec<_> = page.links().into_iter().map(|(_, target)| target).collect();
    assert_eq!(links, ["#a-title", "#b", "no.md"]);
    assert!(broken("no.md") && broken("architecture.md#no-such-heading"));
    assert!(
        !broken("architecture.md#a-round") && !broken("../README.md") && !broken("https://x.y")
    );
    assert_eq!(page.anchors(), ["a-title", "two--words"]);
    assert_eq!(page.indented_blocks(), [10]);
    let fences = page.fences();
    assert_eq!(
        (fences.len(), fences[0].line, fences[0].section.as_str()),
        (1, 6, "Two  words")
    );
}
