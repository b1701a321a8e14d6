//! Plain tables.

use crate::{output, printable::printable};

/// What continues a row on the next line is indented by this.
const INDENT: &str = "    ";
const GAP: &str = "  ";

/// A table with a head, columns as wide as their widest cell, numbers (cells that begin with a digit) to
/// the right. Every line ends in a newline. Fits the terminal, if there is one; what others wrote in it does
/// nothing to one.
pub fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    table_within(head, rows, output::columns())
}

/// The same within so many columns: a row that is wider goes on in the next line.
fn table_within(head: &[&str], rows: &[Vec<String>], room: Option<usize>) -> String {
    let head: Vec<String> = head.iter().map(|name| printable(name)).collect();
    let rows: Vec<Vec<String>> = rows
        .iter()
        .map(|row| {
            let cell = |column: usize| row.get(column).map(|text| printable(text));
            (0..head.len())
                .map(|column| cell(column).unwrap_or_default())
                .collect()
        })
        .collect();
    let columns: Vec<Column> = (0..head.len())
        .map(|column| Column::of(&head, &rows, column))
        .collect();
    let lines = lines(&columns, room);
    let mut text = String::new();
    for row in std::iter::once(&head).chain(&rows) {
        for (number, columns_of_line) in lines.iter().enumerate() {
            let cells = columns_of_line.iter().map(|(at, column)| {
                let cell = row.get(*at).map(String::as_str).unwrap_or_default();
                column.padded(cell)
            });
            let line = cells.collect::<Vec<_>>().join(GAP);
            text += if number == 0 { "" } else { INDENT };
            text += line.trim_end();
            text.push('\n');
        }
    }
    text
}

/// How a column is set.
struct Column {
    width: usize,
    right: bool,
}

impl Column {
    fn of(head: &[String], rows: &[Vec<String>], column: usize) -> Column {
        let cells = || rows.iter().filter_map(|row| row.get(column));
        let all = cells().chain(head.get(column));
        let number = |cell: &String| cell.starts_with(|c: char| c.is_ascii_digit());
        Column {
            width: all.map(|cell| width(cell)).max().unwrap_or(0),
            right: !rows.is_empty() && cells().all(number),
        }
    }

    fn padded(&self, cell: &str) -> String {
        let gap = " ".repeat(self.width.saturating_sub(width(cell)));
        match self.right {
            true => gap + cell,
            false => cell.to_string() + &gap,
        }
    }
}

fn width(text: &str) -> usize {
    text.chars().count()
}

/// Which columns are on which line of a row: as many as there is room for, and at least one.
fn lines(columns: &[Column], room: Option<usize>) -> Vec<Vec<(usize, &Column)>> {
    let mut lines = vec![Vec::new()];
    let mut used = 0;
    for (at, column) in columns.iter().enumerate() {
        let first = lines.last().is_some_and(Vec::is_empty);
        let wider = used + column.width + if first { 0 } else { GAP.len() };
        if !first && room.is_some_and(|room| wider > room) {
            lines.push(vec![(at, column)]);
            used = INDENT.len() + column.width;
        } else {
            used = wider;
            if let Some(line) = lines.last_mut() {
                line.push((at, column));
            }
        }
    }
    lines
}

/// `0x1234…cdef`: enough of a hash for a person to tell it from others.
pub fn short(hash: &impl AsRef<[u8]>) -> String {
    let hex = hex::encode(hash);
    format!(
        "0x{}…{}",
        hex.get(..4).unwrap_or(""),
        hex.get(60..).unwrap_or("")
    )
}

/// `part` of `whole` in whole per cent.
pub fn percent(part: u64, whole: u64) -> String {
    match whole {
        0 => "–".into(),
        _ => format!("{} %", u128::from(part) * 100 / u128::from(whole)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let rows = [
            vec!["a".into(), "10".into()],
            vec!["long".into(), "9".into()],
        ];
        assert_eq!(
            table(&["name", "n"], &rows),
            "name   n\na     10\nlong   9\n"
        );
    }

    #[test]
    fn a_row_that_is_too_wide_goes_on_in_the_next_line() {
        let rows = [
            vec!["7".into(), "miner".into(), "5Grwva".into()],
            vec!["10".into(), "none".into(), "5FHneW".into()],
        ];
        let head = ["uid", "role", "hotkey"];
        let narrow = "uid  role\n    hotkey\n  7  miner\n    5Grwva\n 10  none\n    5FHneW\n";
        assert_eq!(table_within(&head, &rows, Some(12)), narrow);
        let wide = "uid  role   hotkey\n  7  miner  5Grwva\n 10  none   5FHneW\n";
        for room in [Some(18), Some(200), None] {
            assert_eq!(table_within(&head, &rows, room), wide);
        }
        // Nothing is lost where not even a cell fits.
        let tiny = table_within(&head, &rows, Some(1));
        assert!(tiny.contains("5FHneW") && tiny.contains("miner"), "{tiny}");
    }

    #[test]
    fn names_stay_in_their_cells() {
        let rows = [vec!["evil\u{1b}[2J\nrow".into(), "1".into()]];
        let expected = "name                   n\nevil\\u{1b}[2J\\u{a}row  1\n";
        assert_eq!(table(&["name", "n"], &rows), expected);
    }

    #[test]
    fn a_table_without_rows_is_its_head() {
        assert_eq!(table(&["name", "n"], &[]), "name  n\n");
    }

    #[test]
    fn shares_are_exact_at_the_ends() {
        assert_eq!(percent(u64::MAX, u64::MAX), "100 %");
        assert_eq!(percent(0, 0), "–");
    }
}
