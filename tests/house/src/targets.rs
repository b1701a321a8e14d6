//! What pages say to make can be made.

use std::collections::BTreeSet;

/// The targets of a makefile.
pub fn declared(makefile: &str) -> BTreeSet<&str> {
    let rules = makefile.lines().filter_map(|line| line.split_once(':'));
    let names = rules.map(|(name, _)| name);
    names.filter(|name| is_name(name)).collect()
}

/// Where a page (`path`, and its `text`) names a target that is not there, as `path:line: fault`: in a line of code, or
/// between backticks.
pub fn faults(path: &str, text: &str, declared: &BTreeSet<&str>) -> Vec<String> {
    let (mut faults, mut is_code) = (Vec::new(), false);
    for (number, line) in text.lines().enumerate() {
        if line.starts_with("```") {
            is_code = !is_code;
            continue;
        }
        let parts: Vec<&str> = match is_code {
            true => vec![line.trim_start()],
            false => line.split('`').skip(1).step_by(2).collect(),
        };
        let named = parts
            .into_iter()
            .filter_map(|part| part.strip_prefix("make ")?.split_whitespace().next());
        for target in named.filter(|name| is_name(name) && !declared.contains(name)) {
            faults.push(format!(
                "{path}:{}: there is no `make {target}`",
                number + 1
            ));
        }
    }
    faults
}

fn is_name(text: &str) -> bool {
    let is_of_it = |one: char| one.is_ascii_lowercase() || one == '-';
    !text.is_empty() && text.chars().all(is_of_it)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_that_is_not_there_is_found() {
        let makefile =
            "OUT := a\n.PHONY: build\n\nbuild: setup ## it\n\tcargo build\nlab-soak: build\n";
        let declared = declared(makefile);
        assert_eq!(declared, BTreeSet::from(["build", "lab-soak"]));
        let page = "They make sure. `make build`, `make lab-soak ARGS=\"1\"`, `make TARGET`.\n\
                    ```sh\nmake build   # make it\n```\n`make bild`\n```\nmake soak\n```\n";
        let found = faults("a.md", page, &declared);
        let expected = [
            "a.md:5: there is no `make bild`",
            "a.md:7: there is no `make soak`",
        ];
        assert_eq!(found, expected);
    }
}
