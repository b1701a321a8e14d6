//! What attacks brought before protocol 2, as it was measured then.

/// The table of that time; its first lines say where it is from.
const TABLE: &str = include_str!("before.csv");

/// What an attack brought then, as it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Before {
    /// What an attacker earned for each GPU, or for as much stake, beside an honest member of its role.
    pub share: &'static str,
    /// By how much the held-out loss ended above that without the attack, in percent.
    pub loss: &'static str,
    /// Null rounds more than without the attack.
    pub stalled: &'static str,
    /// What was said of it.
    pub verdict: &'static str,
}

/// What the attack of this name brought; `None` if it was not in the table.
pub(super) fn before(name: &str) -> Option<Before> {
    let rows = TABLE.lines().filter(|line| !line.starts_with('#'));
    let mut rows = rows.map(|line| line.split(','));
    rows.find_map(|mut cells| {
        let is_it = cells.next() == Some(name);
        let [share, loss, stalled, _, verdict] = std::array::from_fn(|_| cells.next());
        is_it.then_some(Before {
            share: share?,
            loss: loss?,
            stalled: stalled?,
            verdict: verdict?,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attacks::ALL;

    #[test]
    fn the_table_has_the_thirty_six_rows_of_then() {
        let exam = Before {
            share: "1.03",
            loss: "+0.1",
            stalled: "0",
            verdict: "open",
        };
        assert_eq!(before("exam"), Some(exam));
        assert_eq!(before("dawdle"), None, "it came later");
        let rows: Vec<Before> = ALL.iter().filter_map(|one| before(one.name)).collect();
        assert_eq!(rows.len(), 36, "each is an attack still");
        let count = |verdict| rows.iter().filter(|row| row.verdict == verdict).count();
        assert_eq!(["holds", "partly", "open"].map(count), [6, 3, 27]);
        let are_numbers = |row: &Before| {
            let numbers = [row.share, row.loss].map(|cell| cell.parse::<f64>().is_ok());
            numbers == [true; 2] && row.stalled.parse::<u32>().is_ok()
        };
        assert!(rows.iter().all(are_numbers));
    }
}
