//! Amounts as people write and read them: CRN with up to nine decimals.

use cairn_primitives::{Balance, CRN};

/// Reads an amount in CRN, such as `12`, `0.5` or `1_000.25`, exactly.
pub fn parse_crn(text: &str) -> Result<Balance, String> {
    let wrong = || format!("`{text}` is not an amount in CRN; write for example 12 or 0.5");
    let plain: String = text.chars().filter(|c| *c != '_').collect();
    let (whole, fraction) = plain.split_once('.').unwrap_or((plain.as_str(), ""));
    let digits = |part: &str| part.chars().all(|c| c.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(fraction) {
        return Err(wrong());
    }
    if fraction.len() > 9 {
        return Err(format!(
            "`{text}` has more than nine decimals; one pebble is 0.000000001 CRN"
        ));
    }
    let pebble: u64 = format!("{fraction:0<9}").parse().map_err(|_| wrong())?;
    let whole: u64 = whole.parse().map_err(|_| wrong())?;
    whole
        .checked_mul(CRN)
        .and_then(|amount| amount.checked_add(pebble))
        .ok_or_else(wrong)
}

/// Some of what there is, or all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part(pub Option<Balance>);

/// Reads an amount in CRN, or `all`.
pub fn parse_part(text: &str) -> Result<Part, String> {
    match text {
        "all" => Ok(Part(None)),
        text => parse_crn(text)
            .map(|amount| Part(Some(amount)))
            .map_err(|error| format!("{error}, or all")),
    }
}

/// Reads a percentage with at most two decimals, such as `18` or `9.5`, as a share of 65,535, rounded down.
pub fn parse_percent(text: &str) -> Result<u16, String> {
    let wrong = || format!("`{text}` is not a percentage; write for example 18 or 9.5");
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |part: &str| part.chars().all(|c| c.is_ascii_digit());
    if whole.is_empty() || fraction.len() > 2 || !digits(whole) || !digits(fraction) {
        return Err(wrong());
    }
    let hundredths: u32 = format!("{whole}{fraction:0<2}")
        .parse()
        .map_err(|_| wrong())?;
    let share = u64::from(hundredths) * u64::from(u16::MAX) / 10_000;
    u16::try_from(share).map_err(|_| wrong())
}

/// A share of 65,535 as a percentage with two decimals.
pub fn as_percent(share: u16) -> String {
    format!("{:.2} %", f64::from(share) * 100.0 / f64::from(u16::MAX))
}

/// An amount in CRN with thousands separated and the decimals that it has, at least two, at most `places`
/// (the rest is cut off).
pub fn crn(amount: Balance, places: usize) -> String {
    let fraction = format!("{:09}", amount % CRN);
    let kept = fraction.get(..places.clamp(2, 9)).unwrap_or(&fraction);
    let mut kept = kept.to_string();
    while kept.len() > 2 && kept.ends_with('0') {
        kept.pop();
    }
    format!("{}.{kept}", thousands(amount / CRN))
}

/// A number with its thousands separated by commas.
pub fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 miner`, `2 miners`.
pub fn counted(number: impl Into<u64>, what: &str) -> String {
    match number.into() {
        1 => format!("1 {what}"),
        number => format!("{} {what}s", thousands(number)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_exactly() {
        assert_eq!(parse_crn("12"), Ok(12 * CRN));
        assert_eq!(parse_crn("0.000000001"), Ok(1));
        assert_eq!(parse_crn("1_000.25"), Ok(1_000_250_000_000));
        for wrong in [
            "",
            ".5",
            "-1",
            "1e3",
            "1.0000000001",
            "99999999999999",
            "1,5",
            "+1",
        ] {
            assert!(parse_crn(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn all_is_an_amount_where_there_is_one() {
        assert_eq!(parse_part("all"), Ok(Part(None)));
        assert_eq!(parse_part("2.5"), Ok(Part(Some(5 * CRN / 2))));
        assert!(parse_part("everything").unwrap_err().contains("or all"));
    }

    #[test]
    fn percentages_are_shares_of_65535() {
        assert_eq!(parse_percent("18"), Ok(11_796));
        assert_eq!(parse_percent("9.5"), Ok(6_225));
        assert_eq!(parse_percent("0.01"), Ok(6));
        assert_eq!(parse_percent("0"), Ok(0));
        assert_eq!(parse_percent("100"), Ok(u16::MAX));
        assert_eq!(as_percent(6_225), "9.50 %");
        assert_eq!(as_percent(11_796), "18.00 %");
        for wrong in ["", "101", "-1", "1.234", "9,5", "18%", "x"] {
            assert!(parse_percent(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn amounts_are_written_for_people() {
        assert_eq!(crn(1_234_567_891_234_567, 4), "1,234,567.8912");
        assert_eq!(crn(5 * CRN, 9), "5.00");
        assert_eq!(crn(1, 9), "0.000000001");
        assert_eq!(counted(1u16, "cheat"), "1 cheat");
        assert_eq!(counted(0u16, "cheat"), "0 cheats");
        assert_eq!(thousands(0), "0");
        assert_eq!(thousands(1_000), "1,000");
    }
}
