//! Pages of decisions: numbered without a gap, complete, and all in the index.

/// The headings of a page of a decision, in order.
const HEADINGS: [&str; 4] = ["Chosen", "Rejected", "Why", "What would change it"];

/// What is wrong with the pages of decisions: their file names and texts in order, and the text of their index.
pub fn faults(pages: &[(String, String)], index: &str) -> Vec<String> {
    let mut faults = Vec::new();
    for (number, (name, text)) in (1..).zip(pages) {
        let number = format!("{number:03}");
        if !name.starts_with(&format!("{number}-")) {
            faults.push(format!("{name}: number {number} was to come here"));
        }
        let title = text.lines().next().unwrap_or_default();
        let Some(title) = title.strip_prefix(&format!("# {number}. ")) else {
            faults.push(format!("{name}: does not begin with `# {number}. `"));
            continue;
        };
        if !index.contains(&format!("| [{number}]({name}) | {title} |\n")) {
            faults.push(format!("{name}: not in the index with this title"));
        }
        let headings = text.lines().filter_map(|line| line.strip_prefix("## "));
        if !headings.eq(HEADINGS) {
            faults.push(format!("{name}: its headings are not {HEADINGS:?}"));
        }
    }
    let listed = index.lines().filter(|line| line.starts_with("| [")).count();
    if listed != pages.len() {
        faults.push(format!("the index lists {listed} pages of {}", pages.len()));
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::faults;

    #[test]
    fn gaps_and_missing_parts_are_found() {
        let body = "## Chosen\n## Rejected\n## Why\n## What would change it\n";
        let page = |name: &str, text: String| (name.to_string(), text);
        let one = page("001-a.md", format!("# 001. A\n{body}"));
        let index = "| [001](001-a.md) | A |\n";
        assert_eq!(faults(std::slice::from_ref(&one), index), [""; 0]);
        assert_eq!(
            faults(std::slice::from_ref(&one), ""),
            [
                "001-a.md: not in the index with this title",
                "the index lists 0 pages of 1"
            ]
        );
        let three = page("003-c.md", "# 003. C\n## Chosen\n".into());
        assert_eq!(faults(&[one.clone(), three], index).len(), 3);
        let short = page("001-a.md", "# 001. A\n## Chosen\n".into());
        assert_eq!(faults(&[short], index).len(), 1);
    }
}
