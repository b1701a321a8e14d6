//! Words that are no longer used.

use crate::page::Part;

/// A word, or several in a row, that is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gone {
    words: Vec<String>,
    instead: String,
    endings: Vec<&'static str>,
}

/// The words of a page's table, one a row: what is gone, what to say, and where (`pages`, `code`, `all`).
///
/// # Errors
/// A row that is not such.
pub fn gone(part: &Part) -> Result<Vec<Gone>, String> {
    part.rows().map(|row| gone_of(&row)).collect()
}

fn gone_of(row: &[&str]) -> Result<Gone, String> {
    let [gone, instead, place] = row else {
        return Err(format!("a row of {} cells: {row:?}", row.len()));
    };
    let endings = match *place {
        "pages" => vec![".md"],
        "code" => vec![".rs", ".cu", ".toml"],
        "all" => vec![".md", ".rs", ".cu", ".toml"],
        other => return Err(format!("`{other}`: pages, code or all")),
    };
    let words: Vec<String> = words_of(gone).map(|(_, word)| word).collect();
    match words.is_empty() {
        true => Err("a row without a word".into()),
        false => Ok(Gone {
            words,
            instead: instead.to_string(),
            endings,
        }),
    }
}

/// Where a file (`path`, and its `text`) has a word that is gone, as `path:line: fault`. `exempt`: lines that may.
pub fn faults(
    path: &str,
    text: &str,
    gone: &[Gone],
    exempt: impl Fn(usize) -> bool,
) -> Vec<String> {
    let words: Vec<(usize, String)> = words_of(text).filter(|(line, _)| !exempt(*line)).collect();
    let here = |gone: &&Gone| gone.endings.iter().any(|ending| path.ends_with(ending));
    let of_one = |gone: &Gone| {
        let is_it = |window: &&[(usize, String)]| {
            let words = window.iter().map(|(_, word)| word);
            words.eq(gone.words.iter())
        };
        let found = words.windows(gone.words.len()).filter(is_it);
        let lines = found.filter_map(|window| window.first().map(|(line, _)| *line));
        let fault = |line| {
            format!(
                "{path}:{line}: `{}`: say {}",
                gone.words.join(" "),
                gone.instead
            )
        };
        lines.map(fault).collect::<Vec<_>>()
    };
    gone.iter().filter(here).flat_map(of_one).collect()
}

/// Words in lower case with their lines, counted from 1. A name such as `state_root` is one word.
fn words_of(text: &str) -> impl Iterator<Item = (usize, String)> + '_ {
    (1..).zip(text.lines()).flat_map(|(number, line)| {
        let words = line.split(|c: char| !c.is_alphanumeric() && c != '_');
        let words = words.filter(|word| !word.is_empty());
        words.map(move |word| (number, word.to_lowercase()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page;

    fn list(rows: &str) -> Result<Vec<Gone>, String> {
        let head = "<!-- x: read by tests/house -->\n| a | b | c |\n|---|---|---|\n";
        let page = format!("{head}{rows}\n<!-- end -->\n");
        gone(&page::part(&page, "x").expect("it is whole"))
    }

    #[test]
    fn words_are_found_where_they_are_gone() {
        let list = list("| state root | model root | pages |\n| tick | hook | all |").unwrap();
        let found = |path: &str, text: &str| faults(path, text, &list, |_| false);
        assert_eq!(
            found("a.md", "the\nState\nroot is"),
            ["a.md:2: `state root`: say model root"]
        );
        assert_eq!(
            found("a.rs", "/// state root of a tick"),
            ["a.rs:1: `tick`: say hook"]
        );
        assert_eq!(
            found("a.md", "state_root, estate root, ticks, stat"),
            [""; 0]
        );
        assert_eq!(found("a.json", "tick"), [""; 0]);
        assert_eq!(
            faults("a.md", "tick\ntick", &list, |line| line == 2).len(),
            1
        );
    }

    #[test]
    fn a_list_that_cannot_be_understood_is_refused() {
        assert!(list("| a | b |").is_err());
        assert!(list("| a | b | somewhere |").is_err());
        assert!(list("|  | b | all |").is_err());
    }
}
