//! Endpoints: where a member's files can be had, and whom to ask for a file.
//!
//! A member names its own. The chain keeps a few short texts of each and gives them to whoever asks; what they lead
//! to is never trusted, since every file is checked by its root.

use alloc::vec::Vec;
use cairn_primitives::{blake2_256, BlockNumber, Hotkey, Text, MAX_ENDPOINTS};
use codec::Encode;

use crate::limits::{ENDPOINTS_EVERY, MOST_SOURCES};

/// What an endpoint may begin with: a store that anybody may read, and a peer.
pub const SCHEMES: [&str; 2] = ["https://", "iroh://"];

/// Why endpoints are not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// There are more than [`MAX_ENDPOINTS`].
    TooMany,
    /// One is not printable, or is none of [`SCHEMES`].
    NotAnEndpoint,
    /// One carries a user or a password, which would be known to all.
    HasCredentials,
    /// One is named twice.
    NamedTwice,
    /// The last ones were set less than [`ENDPOINTS_EVERY`] blocks ago.
    TooSoon,
}

/// Whether a member may name these in block `now`, having named others in block `set_at` if it did.
///
/// # Errors
/// [`Refusal`].
pub fn set(
    endpoints: &[Text],
    set_at: Option<BlockNumber>,
    now: BlockNumber,
) -> Result<(), Refusal> {
    let most = usize::try_from(MAX_ENDPOINTS).unwrap_or(usize::MAX);
    if endpoints.len() > most {
        return Err(Refusal::TooMany);
    }
    endpoints.iter().try_for_each(check)?;
    let named_before = |(at, one): (usize, &Text)| endpoints.iter().take(at).any(|it| it == one);
    if endpoints.iter().enumerate().any(named_before) {
        return Err(Refusal::NamedTwice);
    }
    match set_at {
        Some(block) if now < can_be_set_from(block) => Err(Refusal::TooSoon),
        _ => Ok(()),
    }
}

/// The first block in which endpoints that were set in block `set_at` can be changed.
pub fn can_be_set_from(set_at: BlockNumber) -> BlockNumber {
    set_at.saturating_add(ENDPOINTS_EVERY)
}

/// Whether this is an endpoint.
///
/// # Errors
/// [`Refusal::NotAnEndpoint`], [`Refusal::HasCredentials`].
pub fn check(endpoint: &Text) -> Result<(), Refusal> {
    endpoint.check().map_err(|_| Refusal::NotAnEndpoint)?;
    let text = endpoint.to_text();
    let rest = SCHEMES.iter().find_map(|scheme| text.strip_prefix(scheme));
    let authority = rest.and_then(|rest| rest.split(['/', '?', '#']).next());
    match authority {
        None | Some("") => Err(Refusal::NotAnEndpoint),
        Some(authority) if authority.contains('@') => Err(Refusal::HasCredentials),
        Some(_) => Ok(()),
    }
}

/// Whom a member asks for a file: its maker, then those who must have it, then those who may. Of each group it begins
/// with another one than most members do, so that all are asked about as often. Nobody twice, not itself, and at most
/// [`MOST_SOURCES`].
pub fn ask(who: &Hotkey, maker: Option<Hotkey>, must: &[Hotkey], may: &[Hotkey]) -> Vec<Hotkey> {
    let [a, b, ..] = blake2_256(&who.encode()).0;
    let draw = usize::from(u16::from_le_bytes([a, b]));
    let mut asked = Vec::new();
    for one in maker.iter().chain(from(draw, must)).chain(from(draw, may)) {
        if asked.len() < MOST_SOURCES && one != who && !asked.contains(one) {
            asked.push(*one);
        }
    }
    asked
}

/// All of them, beginning with the one that is drawn.
fn from(draw: usize, all: &[Hotkey]) -> impl Iterator<Item = &Hotkey> {
    let first = draw.checked_rem(all.len()).unwrap_or(0);
    let (before, after) = all.split_at_checked(first).unwrap_or((&[], all));
    after.iter().chain(before)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Text {
        Text::new(text).expect("short")
    }

    fn hotkey(number: u8) -> Hotkey {
        Hotkey(cairn_primitives::H256([number; 32]))
    }

    #[test]
    fn mirrors_and_peers_are_endpoints_and_nothing_else() {
        for good in [
            "https://mirror.example/run",
            "https://mirror.example",
            "iroh://00ff?at=203.0.113.7:4433",
        ] {
            assert_eq!(check(&text(good)), Ok(()), "{good}");
        }
        for bad in [
            "",
            "https://",
            "https:///run",
            "iroh://?at=1.2.3.4:5",
            "file:///etc",
            "http://mirror.example",
            "s3://bucket",
            "HTTPS://mirror.example",
            " https://mirror.example",
        ] {
            assert_eq!(check(&text(bad)), Err(Refusal::NotAnEndpoint), "{bad}");
        }
        let secret = text("https://me:word@mirror.example/run");
        assert_eq!(check(&secret), Err(Refusal::HasCredentials));
        assert_eq!(check(&text("https://mirror.example/@run")), Ok(()));
    }

    #[test]
    fn one_that_is_named_twice_is_refused() {
        let one = text("https://mirror.example");
        let both = [one.clone(), text("https://other.example"), one];
        assert_eq!(set(&both, None, 7), Err(Refusal::NamedTwice));
        assert_eq!(set(&both[..2], None, 7), Ok(()));
        assert_eq!(set(&[], None, 7), Ok(()), "none any more");
        let many: Vec<Text> = (0..5)
            .map(|one| text(&alloc::format!("https://{one}.example")))
            .collect();
        assert_eq!(set(&many[..4], None, 7), Ok(()));
        assert_eq!(set(&many, None, 7), Err(Refusal::TooMany));
    }

    #[test]
    fn the_maker_is_asked_first_and_nobody_twice() {
        let others: Vec<Hotkey> = (1..=4).map(hotkey).collect();
        for who in 0..8 {
            let asked = ask(&hotkey(who), Some(hotkey(3)), &others, &others);
            let mut sorted = asked.clone();
            sorted.sort();
            let expected: Vec<_> = (1..=4).filter(|one| *one != who).map(hotkey).collect();
            assert_eq!(sorted, expected);
            assert!(who == 3 || asked.first() == Some(&hotkey(3)));
        }
        assert_eq!(ask(&hotkey(1), None, &[], &[]), []);
    }

    #[test]
    fn who_must_have_it_is_asked_before_who_may() {
        let must: Vec<Hotkey> = (1..=3).map(hotkey).collect();
        let may: Vec<Hotkey> = (4..=40).map(hotkey).collect();
        for who in 50..90 {
            let asked = ask(&hotkey(who), None, &must, &may);
            assert_eq!(asked.len(), MOST_SOURCES);
            assert!(asked[..3].iter().all(|one| must.contains(one)));
            assert!(asked[3..].iter().all(|one| may.contains(one)));
        }
    }

    #[test]
    fn as_many_as_are_asked_and_not_always_the_same() {
        let others: Vec<Hotkey> = (0..64).map(hotkey).collect();
        let asked = |who| ask(&hotkey(who), None, &others, &[]);
        let firsts: alloc::collections::BTreeSet<_> = (100..164)
            .filter_map(|who| asked(who).first().copied())
            .collect();
        assert!((100..164).all(|who| asked(who).len() == MOST_SOURCES));
        assert!(firsts.len() > 32, "{}", firsts.len());
    }
}
