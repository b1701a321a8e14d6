//! What a devnet says of its nodes.

/// The node that a line names.
pub fn url_in(line: &str) -> Option<String> {
    let address = line
        .split_whitespace()
        .find(|word| word.starts_with("ws://"));
    address.map(|word| word.trim_end_matches(',').to_string())
}
