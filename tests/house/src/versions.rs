//! One version in two places.

/// The text between `before` and the next `after`.
fn between<'a>(text: &'a str, before: &str, after: char) -> Option<&'a str> {
    let (_, rest) = text.split_once(before)?;
    rest.split(after).next()
}

/// What is wrong with the least version of Rust in `Cargo.toml` (`manifest`) and `scripts/setup.sh` (`script`).
pub fn of_rust(manifest: &str, script: &str) -> Option<String> {
    let stated = between(manifest, "\nrust-version = \"", '"');
    let installed = between(script, "\nRUST_MINIMUM=", '\n');
    (stated.is_none() || stated != installed).then(|| {
        let [stated, installed] = [stated, installed].map(|version| version.unwrap_or("nothing"));
        format!(
            "Cargo.toml: rust-version is {stated}; scripts/setup.sh: RUST_MINIMUM is {installed}"
        )
    })
}

#[test]
fn two_versions_are_found() {
    assert_eq!(
        of_rust("\nrust-version = \"1.2\"\n", "x\nRUST_MINIMUM=1.2\n"),
        None
    );
    assert!(of_rust("\nrust-version = \"1.2\"\n", "x\nRUST_MINIMUM=1.3\n").is_some());
    assert!(of_rust("", "").is_some());
}
