//! Crates that do no input or output, read no clock and draw no random number.

/// The crates that rules and arithmetic live in, by their directories.
pub const PURE: [&str; 7] = [
    "offchain-worker/gradient/src",
    "offchain-worker/round/src",
    "primitives/protocol/src",
    "primitives/share-pool/src",
    "primitives/types/src",
    "primitives/yuma/src",
    "sim/src",
];

/// How Rust reaches outside.
const OUTSIDE: [&str; 13] = [
    "std::env",
    "std::fs",
    "std::net",
    "std::process",
    "std::time",
    "SystemTime",
    "Instant::",
    "thread_rng",
    "getrandom",
    "rand::",
    "tokio",
    "println!",
    "HashMap",
];

/// Where a file (`path`, and its `text`) reaches outside, as `path:line: fault`. Comments may name what they like.
pub fn faults(path: &str, text: &str) -> Vec<String> {
    let lines = (1..).zip(text.lines());
    let code = lines.map(|(number, line)| (number, line.split("//").next().unwrap_or_default()));
    code.flat_map(|(number, code)| {
        let found = OUTSIDE.iter().filter(|word| code.contains(**word));
        found.map(move |word| format!("{path}:{number}: `{word}` in a crate without I/O"))
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::faults;

    #[test]
    fn what_reaches_outside_is_found() {
        assert_eq!(faults("a.rs", "// std::fs\nlet a = 1; // tokio"), [""; 0]);
        assert_eq!(
            faults("a.rs", "\nlet now = std::time::SystemTime::now();"),
            [
                "a.rs:2: `std::time` in a crate without I/O",
                "a.rs:2: `SystemTime` in a crate without I/O",
            ]
        );
    }
}
