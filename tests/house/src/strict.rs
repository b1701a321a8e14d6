//! Lints of what runs on chain: nothing there may panic, wrap around or lose digits.
//!
//! `[workspace.lints]` cannot hold them: a crate takes all of the workspace's lints or none, in its tests as well, and
//! tests may `unwrap`. So each crate states them for itself, and this guard holds them to be the same.

/// What every crate that runs on chain denies.
pub const DENIED: [&str; 4] = [
    "clippy::unwrap_used",
    "clippy::expect_used",
    "clippy::indexing_slicing",
    "clippy::arithmetic_side_effects",
];

/// The crates that run on chain beside the pallets, by their directories.
pub const PRIMITIVES: [&str; 3] = [
    "primitives/protocol",
    "primitives/share-pool",
    "primitives/yuma",
];

/// The lints that a crate's root (`path`, and its `text`) does not deny.
pub fn faults(path: &str, text: &str) -> Vec<String> {
    let attributes = text.split("#![").skip(1);
    let denied: Vec<&str> = attributes
        .filter_map(|attribute| attribute.split_once("deny(")?.1.split(')').next())
        .flat_map(|list| list.split(',').map(str::trim))
        .collect();
    let missing = DENIED.iter().filter(|lint| !denied.contains(lint));
    let fault = |lint| format!("{path}: does not deny `{lint}`");
    missing.map(fault).collect()
}

#[cfg(test)]
mod tests {
    use super::faults;

    #[test]
    fn a_lint_that_is_not_denied_is_found() {
        let all = "//! x\n#![cfg_attr(\n    not(test),\n    deny(\n        clippy::unwrap_used,\n        \
                   clippy::expect_used,\n        clippy::indexing_slicing,\n        \
                   clippy::arithmetic_side_effects\n    )\n)]\nmod a;\n";
        assert_eq!(faults("a.rs", all), [""; 0]);
        let some = all.replace("        clippy::expect_used,\n", "");
        assert_eq!(
            faults("a.rs", &some),
            ["a.rs: does not deny `clippy::expect_used`"]
        );
        assert_eq!(faults("a.rs", "#![allow(missing_docs)]").len(), 4);
    }
}
