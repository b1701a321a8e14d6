//! Which crate of the workspace builds on which.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use serde_json::Value;

use crate::page::Part;

/// The crates of the workspace, each with those that it builds on.
pub type Arrows = BTreeMap<String, BTreeSet<String>>;

/// The arrows that are there.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Normal dependencies, optional ones included, and those of build scripts.
    pub builds: Arrows,
    /// What tests and benchmarks build on beside that.
    pub tests: Arrows,
}

/// Why `cargo metadata`'s answer cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotMetadata(&'static str);

impl fmt::Display for NotMetadata {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "cargo metadata has no `{}`", self.0)
    }
}

impl std::error::Error for NotMetadata {}

/// The arrows in the answer of `cargo metadata --no-deps --format-version 1`.
///
/// # Errors
/// [`NotMetadata`] names what is missing in it.
pub fn of_metadata(metadata: &Value) -> Result<Found, NotMetadata> {
    let array = |value: &'_ Value, name: &'static str| {
        let array = value.get(name).and_then(Value::as_array);
        array.cloned().ok_or(NotMetadata(name))
    };
    let text = |value: &Value, name: &'static str| {
        let text = value.get(name).and_then(Value::as_str);
        text.map(String::from).ok_or(NotMetadata(name))
    };
    let mut found = Found::default();
    for package in array(metadata, "packages")? {
        let (mut builds, mut tests) = (BTreeSet::new(), BTreeSet::new());
        for dependency in array(&package, "dependencies")? {
            // What comes from a registry has no path.
            if dependency.get("path").is_none_or(Value::is_null) {
                continue;
            }
            let is_of_tests = dependency.get("kind").and_then(Value::as_str) == Some("dev");
            let arrows = if is_of_tests { &mut tests } else { &mut builds };
            arrows.insert(text(&dependency, "name")?);
        }
        tests.retain(|name| !builds.contains(name));
        let name = text(&package, "name")?;
        found.builds.insert(name.clone(), builds);
        found.tests.insert(name, tests);
    }
    Ok(found)
}

/// The arrows that a page states: a crate at the beginning of each line, then those that it builds on.
pub fn of_page(part: &Part) -> Arrows {
    let mut arrows = Arrows::new();
    for line in part.fenced() {
        let mut words = line.split_whitespace().map(String::from);
        if let Some(name) = words.next() {
            arrows.entry(name).or_default().extend(words);
        }
    }
    arrows
}

/// What is stated and not there, or there and not stated. `of_tests`: crates without arrows need no line.
pub fn differences(stated: &Arrows, found: &Arrows, of_tests: bool) -> Vec<String> {
    let (mut faults, none) = (Vec::new(), BTreeSet::new());
    for (name, arrows) in found {
        let listed = stated.get(name);
        if listed.is_none() && !of_tests {
            faults.push(format!("{name}: a crate that the page does not list"));
        }
        for arrow in arrows.difference(listed.unwrap_or(&none)) {
            faults.push(format!(
                "{name} → {arrow}: an arrow that the page does not list"
            ));
        }
    }
    for (name, arrows) in stated {
        let Some(there) = found.get(name) else {
            faults.push(format!("{name}: listed, and no crate of the workspace"));
            continue;
        };
        for arrow in arrows.difference(there) {
            faults.push(format!("{name} → {arrow}: listed, and not in the manifest"));
        }
    }
    faults
}

/// From none of the first crates may a path lead to any of the others. `x*` stands for all that begin with x.
#[derive(Debug, PartialEq, Eq)]
pub struct Never {
    from: Vec<String>,
    to: Vec<String>,
}

/// The rules of a page, one a line: `FROM… never TO…`. A line without `never` is a rule that forbids nothing, which
/// [`broken`] refuses.
pub fn never(part: &Part) -> Vec<Never> {
    let rule = |line: &str| {
        let (from, to) = line.split_once(" never ").unwrap_or((line, ""));
        let words = |text: &str| text.split_whitespace().map(String::from).collect();
        Never {
            from: words(from),
            to: words(to),
        }
    };
    part.fenced().map(rule).collect()
}

/// The paths that should not be there, and the rules that say nothing about any crate.
pub fn broken(rules: &[Never], arrows: &Arrows) -> Vec<String> {
    let mut faults = Vec::new();
    for Never { from, to } in rules {
        let names = from.iter().chain(to);
        let stray = names.filter(|pattern| !arrows.keys().any(|name| matches(pattern, name)));
        faults.extend(stray.map(|pattern| format!("`{pattern}` stands for no crate")));
        if from.is_empty() || to.is_empty() {
            faults.push(format!(
                "a rule that forbids nothing: {from:?} never {to:?}"
            ));
        }
        let is_from = |name: &&String| from.iter().any(|pattern| matches(pattern, name));
        for start in arrows.keys().filter(is_from) {
            let paths = paths_from(start, arrows);
            let is_to = |end: &str| to.iter().any(|pattern| matches(pattern, end));
            let wrong = paths.iter().filter(|(end, _)| is_to(end));
            faults.extend(wrong.map(|(_, path)| format!("{path}: must never be")));
        }
    }
    faults
}

fn matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => name == pattern,
    }
}

/// All crates that one builds on, each with a shortest path to it in words.
fn paths_from(start: &str, arrows: &Arrows) -> BTreeMap<String, String> {
    let mut paths = BTreeMap::new();
    let mut edge = vec![(start.to_string(), start.to_string())];
    while !edge.is_empty() {
        let mut next = Vec::new();
        for (name, path) in edge {
            for arrow in arrows.get(&name).into_iter().flatten() {
                if !paths.contains_key(arrow) {
                    let path = format!("{path} → {arrow}");
                    paths.insert(arrow.clone(), path.clone());
                    next.push((arrow.clone(), path));
                }
            }
        }
        edge = next;
    }
    paths
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page;

    fn part(lines: &str) -> Part {
        let page =
            format!("<!-- x: read by tests/house -->\n```text\n{lines}\n```\n<!-- end -->\n");
        page::part(&page, "x").expect("it is whole")
    }

    #[test]
    fn an_arrow_more_or_less_is_found() {
        let stated = of_page(&part("a\nb  a\nc  a b"));
        assert_eq!(differences(&stated, &stated, false), [""; 0]);
        let found = of_page(&part("a  b\nb\nd"));
        assert_eq!(
            differences(&stated, &found, false),
            [
                "a → b: an arrow that the page does not list",
                "d: a crate that the page does not list",
                "b → a: listed, and not in the manifest",
                "c: listed, and no crate of the workspace",
            ]
        );
        assert_eq!(
            differences(&of_page(&part("")), &of_page(&part("a\nb a")), true),
            ["b → a: an arrow that the page does not list"]
        );
    }

    #[test]
    fn a_path_by_way_of_others_is_found() {
        let arrows = of_page(&part(
            "worker  round\nround  types\ntypes\npallet-a types\npallet-b",
        ));
        let faults = |rules: &str| broken(&never(&part(rules)), &arrows);
        assert_eq!(
            faults("types never worker\npallet-* never pallet-*"),
            [""; 0]
        );
        assert_eq!(
            faults("worker never types"),
            ["worker → round → types: must never be"]
        );
        assert_eq!(faults("* never round"), ["worker → round: must never be"]);
        assert_eq!(
            faults("worker never tipes"),
            ["`tipes` stands for no crate"]
        );
        assert_eq!(faults("worker").len(), 1);
    }

    #[test]
    fn what_only_tests_build_on_is_no_path() {
        let rules = never(&part("worker never runtime"));
        let faults = |kind: Value| {
            let metadata = serde_json::json!({"packages": [
                {"name": "worker", "dependencies": [{"name": "runtime", "path": "/r", "kind": kind}]},
                {"name": "runtime", "dependencies": []},
            ]});
            broken(&rules, &of_metadata(&metadata).expect("it is whole").builds)
        };
        assert_eq!(faults("dev".into()), [""; 0]);
        for kind in [Value::Null, "build".into()] {
            assert_eq!(faults(kind), ["worker → runtime: must never be"]);
        }
    }

    #[test]
    fn kinds_of_dependencies_are_told_apart() {
        let metadata = serde_json::json!({"packages": [{"name": "a", "dependencies": [
            {"name": "b", "path": "/b", "kind": null, "optional": true},
            {"name": "c", "path": "/c", "kind": "build"},
            {"name": "c", "path": "/c", "kind": "dev"},
            {"name": "d", "path": "/d", "kind": "dev"},
            {"name": "serde", "kind": null},
        ]}]});
        let found = of_metadata(&metadata).expect("it is whole");
        assert_eq!(found.builds, of_page(&part("a b c")));
        assert_eq!(found.tests, of_page(&part("a d")));
        let nothing = serde_json::json!({"packages": [{}]});
        assert_eq!(of_metadata(&nothing), Err(NotMetadata("dependencies")));
    }
}
