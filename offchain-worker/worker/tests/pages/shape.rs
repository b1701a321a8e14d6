//! Whether two outputs say the same with other numbers.

/// A line with `#` for every number, `0x` for every hash and `5…` for every address; several numbers are one.
pub fn shape(line: &str) -> String {
    let mut shape = String::new();
    let mut rest = line;
    while let Some(first) = rest.chars().next() {
        let word_end = rest
            .find(|c: char| !c.is_ascii_alphanumeric())
            .unwrap_or(rest.len());
        if word_end == 0 {
            shape.push(first);
            rest = &rest[first.len_utf8()..];
            continue;
        }
        let (word, after) = rest.split_at(word_end);
        rest = after;
        if word.starts_with("0x") {
            shape.push_str("0x");
            // the rest of a hash that was cut short: 0x1234…abcd
            if let Some(end) = rest.strip_prefix('…') {
                rest = end.trim_start_matches(|c: char| c.is_ascii_hexdigit());
            }
        } else if word.starts_with('5') && word.len() >= 46 {
            shape.push_str("5…");
        } else {
            let digits = |c: char| if c.is_ascii_digit() { '#' } else { c };
            shape.extend(word.chars().map(digits));
        }
    }
    let mut words: Vec<String> = shape.split_whitespace().map(one_number).collect();
    words.dedup_by(|one, other| one == "#" && other == "#");
    words.join(" ")
}

/// `##,###.#` is one number.
fn one_number(word: &str) -> String {
    let mut word = word.to_string();
    for several in ["##", "#.#", "#,#"] {
        while word.contains(several) {
            word = word.replace(several, "#");
        }
    }
    word
}

/// Whether every line of `shown` has its like in `printed`: the same, or the same with something around it.
pub fn lines_are_in(shown: &str, printed: &str) -> Result<(), String> {
    let printed: Vec<String> = printed.lines().map(shape).collect();
    let is_there = |line: &&str| printed.iter().any(|other| other.contains(&shape(line)));
    match shown
        .lines()
        .find(|line| !line.trim().is_empty() && !is_there(line))
    {
        Some(line) => Err(format!("no line like `{line}`")),
        None => Ok(()),
    }
}

#[test]
fn numbers_may_differ_and_words_may_not() {
    let line = "round 3 · settled with uid 0, model 0x4569fe59";
    assert_eq!(shape(line), "round # · settled with uid #, model 0x");
    assert_eq!(
        shape("  9  4.908  0x8de5…c78a  100 %  0 1 2 3"),
        "# 0x # % #"
    );
    assert!(lines_are_in("sent 2.5 CRN", "INFO: sent 1,000.25 CRN to x").is_ok());
    assert!(lines_are_in("sent 2.5 CRN\nlost 1", "sent 1 CRN").is_err());
}
