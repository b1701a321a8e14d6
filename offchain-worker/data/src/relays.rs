//! Relays that a manifest names: by these the peers of a run reach each other where no port is open.

use crate::DataError;

/// The most relays of a run.
pub const MAX_RELAYS: usize = 4;
/// The longest URL of a relay, in bytes: a peer's endpoint on chain has 256 for its id, its relay and its address.
pub const MAX_RELAY_BYTES: usize = 128;

/// Checks the form of relays. Whether a worker goes to a host is the worker's to say.
///
/// # Errors
///
/// [`DataError::Relays`] if there are too many, [`DataError::Relay`] for the first that is none or is named twice.
pub fn check_relays(relays: &[String]) -> Result<(), DataError> {
    let found = relays.len();
    if found > MAX_RELAYS {
        return Err(DataError::Relays { found });
    }
    for (at, url) in relays.iter().enumerate() {
        let named_before = relays.iter().take(at).any(|before| before == url);
        let why = if named_before {
            Some("it is named twice")
        } else {
            fault(url)
        };
        if let Some(why) = why {
            let number = at.saturating_add(1);
            return Err(DataError::Relay { number, why });
        }
    }
    Ok(())
}

/// What is wrong with a relay's URL.
fn fault(url: &str) -> Option<&'static str> {
    if url.len() > MAX_RELAY_BYTES {
        return Some("it is longer than 128 bytes");
    }
    let Some(rest) = url.strip_prefix("https://") else {
        return Some("it is no https:// URL");
    };
    let host = rest.split('/').next().unwrap_or_default();
    if host.is_empty() {
        return Some("it names no host");
    }
    if host.contains('@') {
        return Some("it has a user or a password, which all the world would read");
    }
    // An endpoint on chain, iroh://ID?relay=URL&at=IP:PORT, is taken apart at these.
    let is_plain = |byte: u8| byte.is_ascii_graphic() && !b"?#&=\"\\".contains(&byte);
    match rest.bytes().all(is_plain) {
        true => None,
        false => Some("it has a space, a question mark or another character that no relay needs"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(relays: &[&str]) -> Result<(), DataError> {
        let relays: Vec<String> = relays.iter().map(ToString::to_string).collect();
        check_relays(&relays)
    }

    #[test]
    fn a_few_short_urls_are_relays() {
        let longest = format!("https://{}", "a".repeat(MAX_RELAY_BYTES - 8));
        for good in [
            &[] as &[&str],
            &["https://relay.example"],
            &["https://relay.example:8443/way/", "https://[2606:4700::1]"],
            &["https://a", "https://b", "https://c", longest.as_str()],
        ] {
            assert_eq!(check(good), Ok(()), "{good:?}");
        }
    }

    #[test]
    fn what_is_no_relay_is_named_by_its_number() {
        let long = format!("https://{}", "a".repeat(MAX_RELAY_BYTES - 7));
        for (wrong, words) in [
            ("http://relay.example", "no https://"),
            ("relay.example", "no https://"),
            ("", "no https://"),
            ("https://", "no host"),
            ("https:///way", "no host"),
            ("https://me:secret@relay.example", "a password"),
            ("https://relay.example?a=b", "no relay needs"),
            ("https://relay.example&at=1.2.3.4:5", "no relay needs"),
            ("https://relay.example/\n", "no relay needs"),
            ("https://relay.exämple", "no relay needs"),
            (long.as_str(), "longer than 128"),
            ("https://first.example", "named twice"),
        ] {
            let error = check(&["https://first.example", wrong]).unwrap_err();
            let is_second = matches!(error, DataError::Relay { number: 2, .. });
            let text = error.to_string();
            assert!(is_second && text.contains(words), "{wrong}: {text}");
            assert!(!text.contains("secret") && !text.contains('\n'), "{text}");
        }
        let five = [
            "https://a",
            "https://b",
            "https://c",
            "https://d",
            "https://e",
        ];
        assert_eq!(check(&five), Err(DataError::Relays { found: 5 }));
    }
}
