//! Plain tables.

/// A table with a head, columns as wide as their widest cell, numbers (cells that begin with a digit) to
/// the right. Every line ends in a newline.
pub fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let width = |text: &str| text.chars().count();
    let cell = |row: &Vec<String>, column: usize| row.get(column).cloned().unwrap_or_default();
    let widths: Vec<usize> = (0..head.len())
        .map(|column| {
            let cells = rows
                .iter()
                .map(|row| width(&cell(row, column)))
                .max()
                .unwrap_or(0);
            cells.max(head.get(column).map_or(0, |name| width(name)))
        })
        .collect();
    let right: Vec<bool> = (0..head.len())
        .map(|column| {
            let number = |row| cell(row, column).starts_with(|c: char| c.is_ascii_digit());
            !rows.is_empty() && rows.iter().all(number)
        })
        .collect();
    let line = |cells: Vec<String>| {
        let padded =
            cells
                .into_iter()
                .zip(widths.iter().zip(&right))
                .map(|(text, (wide, right))| {
                    let gap = " ".repeat(wide.saturating_sub(width(&text)));
                    if *right {
                        gap + &text
                    } else {
                        text + &gap
                    }
                });
        padded.collect::<Vec<_>>().join("  ").trim_end().to_string() + "\n"
    };
    let mut text = line(head.iter().map(|name| name.to_string()).collect());
    for row in rows {
        text += &line((0..head.len()).map(|column| cell(row, column)).collect());
    }
    text
}

/// `0x1234…cdef`: enough of a hash for a person to tell it from others.
pub fn short(hash: &cairn_primitives::H256) -> String {
    let hex = hex::encode(hash.0);
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
    fn a_table_without_rows_is_its_head() {
        assert_eq!(table(&["name", "n"], &[]), "name  n\n");
    }

    #[test]
    fn shares_are_exact_at_the_ends() {
        assert_eq!(percent(u64::MAX, u64::MAX), "100 %");
        assert_eq!(percent(0, 0), "–");
    }
}
