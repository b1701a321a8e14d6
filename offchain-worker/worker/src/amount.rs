//! Amounts as people write and read them: CRN with up to nine decimals, numbers, bytes.

use cairn_primitives::{Balance, CRN};

/// Reads an amount in CRN, such as `12`, `0.5` or `1_000.25`, exactly. What this program prints is read as
/// well: `1,000.25` and `5.00 CRN`.
pub fn parse_crn(text: &str) -> Result<Balance, String> {
    let wrong = |why: &str| format!("`{text}` is not an amount in CRN: {why}");
    const EXAMPLE: &str = "write for example 12 or 0.5";
    let number = text.trim();
    let number = number.strip_suffix("CRN").unwrap_or(number).trim_end();
    if number
        .strip_prefix('-')
        .is_some_and(|rest| !rest.is_empty())
    {
        return Err(wrong("it is below zero"));
    }
    let plain =
        ungrouped(number).ok_or_else(|| wrong("use a point for decimals, and no commas"))?;
    let (whole, fraction) = plain.split_once('.').unwrap_or((plain.as_str(), ""));
    let digits = |part: &str| part.chars().all(|c| c.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(fraction) {
        return Err(wrong(EXAMPLE));
    }
    // Zeros behind the ninth decimal say nothing.
    let fraction = fraction.trim_end_matches('0');
    if fraction.len() > 9 {
        return Err(wrong(
            "it has more than nine decimals; one pebble is 0.000000001 CRN",
        ));
    }
    let pebble: u64 = format!("{fraction:0<9}")
        .parse()
        .map_err(|_| wrong(EXAMPLE))?;
    let whole = whole.trim_start_matches('0');
    let whole: u64 = match whole {
        "" => 0,
        whole => whole.parse().map_err(|_| wrong(MORE_THAN_ALL))?,
    };
    let amount = whole
        .checked_mul(CRN)
        .and_then(|crn| crn.checked_add(pebble));
    amount
        .filter(|amount| *amount <= MOST)
        .ok_or_else(|| wrong(MORE_THAN_ALL))
}

/// All that will ever be issued.
const MOST: Balance = 21_000_000 * CRN;
const MORE_THAN_ALL: &str = "it is more than the 21,000,000 CRN that there will ever be";

/// A number without what groups its digits: underscores, or the commas of `1,000.25`. A comma without a point
/// behind it may be meant as one, and is none.
fn ungrouped(number: &str) -> Option<String> {
    let Some((first, rest)) = number.split_once(',') else {
        return Some(number.replace('_', ""));
    };
    let (groups, fraction) = rest.split_once('.')?;
    let three = |group: &str| group.len() == 3 && group.chars().all(|c| c.is_ascii_digit());
    let grouped = (1..=3).contains(&first.len()) && groups.split(',').all(three);
    grouped.then(|| format!("{first}{}.{fraction}", groups.replace(',', "")))
}

/// Some of what there is, or all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part(pub Option<Balance>);

/// Reads an amount in CRN above zero, or `all`.
pub fn parse_part(text: &str) -> Result<Part, String> {
    if text.trim().eq_ignore_ascii_case("all") {
        return Ok(Part(None));
    }
    match parse_crn(text) {
        Ok(0) => Err(format!(
            "`{text}` is nothing: the least is 0.000000001 CRN, the most is all"
        )),
        Ok(amount) => Ok(Part(Some(amount))),
        Err(error) => Err(format!("{error}, or all")),
    }
}

/// Reads a percentage with at most two decimals, such as `18` or `9.5`, as a share of 65,535, rounded down.
pub fn parse_percent(text: &str) -> Result<u16, String> {
    let wrong =
        || format!("`{text}` is not a percentage from 0 to 100; write for example 18 or 9.5");
    let number = text.trim();
    let number = number.strip_suffix('%').unwrap_or(number).trim_end();
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
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

/// The highest percentage with two decimals that [`parse_percent`] reads as no more than this share.
pub fn percent_within(share: u16) -> String {
    let whole = u64::from(u16::MAX);
    let hundredths = (u64::from(share) + 1) * 10_000;
    let hundredths = (hundredths - 1) / whole;
    format!("{}.{:02} %", hundredths / 100, hundredths % 100)
}

/// What there is, in CRN: thousands separated, the decimals that it has, at least two, at most `places`. The
/// rest is cut off, so that never more is shown than there is; but what is not nothing is not shown as nothing.
pub fn crn(amount: Balance, places: usize) -> String {
    let places = places.clamp(2, 9);
    let unit = 10u64.pow(9u32.saturating_sub(u32::try_from(places).unwrap_or(9)));
    match amount / unit {
        0 => exact(amount),
        kept => exact(kept * unit),
    }
}

/// What something costs or takes, in CRN: every decimal, so that what is shown is enough.
pub fn cost(amount: Balance) -> String {
    format!("{} CRN", exact(amount))
}

/// An amount in CRN with thousands separated, and the decimals that it has, at least two.
fn exact(amount: Balance) -> String {
    let mut fraction = format!("{:09}", amount % CRN);
    while fraction.len() > 2 && fraction.ends_with('0') {
        fraction.pop();
    }
    format!("{}.{fraction}", thousands(amount / CRN))
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

/// Reads a number of bytes, such as `500_000`, `20MB` or `64 MiB`: kB, MB and GB are powers of 1,000, KiB, MiB and GiB
/// of 1,024.
pub fn parse_bytes(text: &str) -> Result<u64, String> {
    let wrong =
        || format!("`{text}` is not a number of bytes; write for example 500000, 20MB or 64MiB");
    let trimmed = text.trim();
    let is_digit = |c: char| c.is_ascii_digit() || c == '_';
    let unit = trimmed.trim_start_matches(is_digit);
    let digits = trimmed.strip_suffix(unit).unwrap_or(trimmed);
    let number: u64 = digits.replace('_', "").parse().map_err(|_| wrong())?;
    let unit: u64 = match unit.trim_start().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        "kib" => 1 << 10,
        "mib" => 1 << 20,
        "gib" => 1 << 30,
        _ => return Err(wrong()),
    };
    number.checked_mul(unit).ok_or_else(wrong)
}

/// Bytes in KiB below a MiB, and GiB from ten of them on.
pub fn size(bytes: u64) -> String {
    let mib = bytes as f64 / f64::from(1 << 20);
    if bytes < 1 << 20 {
        return format!("{:.1} KiB", mib * 1_024.0);
    }
    match mib < 10_240.0 {
        true => format!("{mib:.1} MiB"),
        false => format!("{:.1} GiB", mib / 1_024.0),
    }
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
    fn bytes_are_read_with_or_without_a_unit() {
        for (text, bytes) in [
            ("0", 0),
            ("65536", 65_536),
            ("500_000", 500_000),
            ("7B", 7),
            ("20MB", 20_000_000),
            ("20 mb", 20_000_000),
            (" 64KiB ", 65_536),
            ("3kB", 3_000),
            ("1GB", 1_000_000_000),
            ("2MiB", 2 << 20),
            ("17179869183GiB", u64::MAX - ((1 << 30) - 1)),
        ] {
            assert_eq!(parse_bytes(text), Ok(bytes), "{text}");
        }
        for wrong in [
            "",
            "MB",
            "_",
            "-1",
            "1.5MB",
            "20Mbit",
            "20 M B",
            "1e6",
            "0x10",
            "１",
            "20MB/s",
            "17179869184GiB",
            "18446744073709551616",
        ] {
            let error = parse_bytes(wrong).unwrap_err();
            assert!(error.contains("for example"), "{wrong}: {error}");
        }
    }

    #[test]
    fn amounts_are_read_exactly() {
        assert_eq!(parse_crn("12"), Ok(12 * CRN));
        assert_eq!(parse_crn("0.000000001"), Ok(1));
        assert_eq!(parse_crn("1_000.25"), Ok(1_000_250_000_000));
        assert_eq!(parse_crn("0.5000000000000"), Ok(CRN / 2));
        assert_eq!(parse_crn("007"), Ok(7 * CRN));
        assert_eq!(parse_crn("21000000"), Ok(21_000_000 * CRN));
        assert_eq!(parse_crn("0"), Ok(0));
        for (wrong, why) in [
            ("", "for example"),
            (".5", "for example"),
            ("-1", "below zero"),
            ("-0.5", "below zero"),
            ("1e3", "for example"),
            ("1.0000000001", "nine decimals"),
            ("99999999999999", "21,000,000"),
            ("99999999999999999999999999", "21,000,000"),
            ("21000000.000000001", "21,000,000"),
            ("1,5", "use a point"),
            ("1,500", "use a point"),
            ("1,50.0", "use a point"),
            ("1.000,00", "use a point"),
            ("+1", "for example"),
            ("0x10", "for example"),
            ("１", "for example"),
            ("1.2.3", "for example"),
            ("five", "for example"),
        ] {
            let error = parse_crn(wrong).expect_err(wrong);
            assert!(error.contains(why), "{error}");
        }
    }

    #[test]
    fn amounts_are_read_as_they_are_written() {
        for amount in [1, 1_332_592, CRN, 1_234_567_891_234_567, 21_000_000 * CRN] {
            assert_eq!(parse_crn(&crn(amount, 9)), Ok(amount));
            assert_eq!(parse_crn(&cost(amount)), Ok(amount));
        }
    }

    #[test]
    fn all_is_an_amount_where_there_is_one_and_nothing_is_none() {
        assert_eq!(parse_part("all"), Ok(Part(None)));
        assert_eq!(parse_part("ALL"), Ok(Part(None)));
        assert_eq!(parse_part("2.5"), Ok(Part(Some(5 * CRN / 2))));
        assert!(parse_part("everything").unwrap_err().contains("or all"));
        for nothing in ["0", "0.0", "0.000000000", "0 CRN"] {
            let error = parse_part(nothing).unwrap_err();
            assert!(error.contains("is nothing"), "{error}");
        }
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
        for share in [0, 1, 6, 655, 6_553, 11_796, u16::MAX - 1, u16::MAX] {
            let shown = percent_within(share);
            let read = parse_percent(&shown).unwrap();
            assert!(
                read <= share && share - read < 7,
                "{share}: {shown} is {read}"
            );
        }
        assert_eq!(percent_within(11_796), "18.00 %");
        for wrong in ["", "101", "-1", "1.234", "9,5", "%", "x"] {
            assert!(parse_percent(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn amounts_are_written_for_people() {
        assert_eq!(crn(1_234_567_891_234_567, 4), "1,234,567.8912");
        assert_eq!(crn(5 * CRN, 9), "5.00");
        assert_eq!(crn(1, 9), "0.000000001");
        assert_eq!(crn(999_999_999, 2), "0.99");
        assert_eq!(crn(1_332_592, 2), "0.001332592", "not nothing");
        assert_eq!(crn(0, 2), "0.00");
        assert_eq!(cost(1_332_592), "0.001332592 CRN");
        assert_eq!(cost(1_234_567_891_234_567), "1,234,567.891234567 CRN");
        assert_eq!(counted(1u16, "cheat"), "1 cheat");
        assert_eq!(counted(0u16, "cheat"), "0 cheats");
        assert_eq!(thousands(0), "0");
        assert_eq!(thousands(1_000), "1,000");
    }
}
