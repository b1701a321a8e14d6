//! Parts of a page that are read by a guard: between `<!-- NAME: read by tests/house -->` and `<!-- end -->`.

use std::ops::RangeInclusive;

/// What a guard reads of a page.
#[derive(Debug, PartialEq, Eq)]
pub struct Part {
    /// The first and the last line of it, counted from 1, the marks included.
    pub lines: RangeInclusive<usize>,
    /// The lines between the marks.
    pub text: Vec<String>,
}

/// The part of this name; `None` if it is not there exactly once, or has no end.
pub fn part(page: &str, name: &str) -> Option<Part> {
    let opening = format!("<!-- {name}: read by tests/house -->");
    let mut lines = (1..).zip(page.lines());
    let (first, _) = lines.find(|(_, line)| *line == opening)?;
    let mut text = Vec::new();
    let last = loop {
        let (number, line) = lines.next()?;
        if line == "<!-- end -->" {
            break number;
        }
        text.push(line.to_string());
    };
    let again = lines.any(|(_, line)| line == opening);
    (!again).then_some(Part {
        lines: first..=last,
        text,
    })
}

impl Part {
    /// The lines of the fenced block in it.
    pub fn fenced(&self) -> impl Iterator<Item = &str> {
        let lines = self.text.iter().map(String::as_str);
        let inside = lines.skip_while(|line| !line.starts_with("```")).skip(1);
        inside.take_while(|line| !line.starts_with("```"))
    }

    /// The cells of each row of the table in it, without heading and rule.
    pub fn rows(&self) -> impl Iterator<Item = Vec<&str>> {
        let rows = self.text.iter().filter(|line| line.starts_with('|'));
        rows.skip(2).map(|row| {
            let inner = row.trim_matches('|');
            inner.split('|').map(str::trim).collect()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::part;

    const PAGE: &str = "\
# Title
<!-- a: read by tests/house -->

```text
one two
```

| x | y |
|---|---|
| 1 | 2 |
<!-- end -->
<!-- b: read by tests/house -->
";

    #[test]
    fn a_part_is_between_its_marks() {
        let found = part(PAGE, "a").expect("it is there");
        assert_eq!(found.lines, 2..=11);
        assert_eq!(found.fenced().collect::<Vec<_>>(), ["one two"]);
        assert_eq!(found.rows().collect::<Vec<_>>(), [["1", "2"]]);
    }

    #[test]
    fn a_part_without_an_end_or_twice_is_none() {
        assert_eq!(part(PAGE, "b"), None);
        assert_eq!(part(PAGE, "c"), None);
        assert_eq!(part(&format!("{PAGE}{PAGE}"), "a"), None);
    }
}
