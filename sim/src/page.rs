//! What pages that are made from rows have in common.

/// The longest line of a page, in characters.
const WIDTH: usize = 118;

/// A paragraph, or an item that begins with `mark`, in lines that are short enough.
pub(crate) fn wrapped(mark: &str, text: &str) -> String {
    let (mut page, mut line) = (String::new(), String::from(mark));
    let indent = " ".repeat(mark.len());
    for word in text.split(' ') {
        let is_full = line.chars().count() + word.chars().count() >= WIDTH;
        if is_full {
            page.push_str(line.trim_end());
            page.push('\n');
            line.clone_from(&indent);
        }
        line.push_str(word);
        line.push(' ');
    }
    page.push_str(line.trim_end());
    page.push('\n');
    page
}

/// The seeds of rows, each once, ascending.
pub(crate) fn seeds(seeds: impl Iterator<Item = u64>) -> String {
    let mut seeds: Vec<u64> = seeds.collect();
    seeds.sort_unstable();
    seeds.dedup();
    let seeds: Vec<String> = seeds.iter().map(u64::to_string).collect();
    seeds.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_short_enough_and_lose_no_word() {
        let words: Vec<String> = (100..200).map(|number: u32| number.to_string()).collect();
        let text = words.join(" ");
        let item = wrapped("- ", &text);
        assert!(
            item.lines().count() > 3 && item.ends_with("199\n"),
            "{item}"
        );
        assert!(item.lines().all(|line| line.len() <= WIDTH), "{item}");
        assert!(item.starts_with("- 100 "), "{item}");
        assert!(
            item.lines().skip(1).all(|line| line.starts_with("  1")),
            "{item}"
        );
        let found: Vec<&str> = item.split_whitespace().skip(1).collect();
        assert_eq!(found, words);
    }

    #[test]
    fn seeds_are_there_once_and_in_order() {
        assert_eq!(seeds([9, 7, 10, 9].into_iter()), "7, 9, 10");
    }
}
