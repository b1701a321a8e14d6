#!/usr/bin/env bash
# An empty table in TOML reads as a variant of an enum that holds nothing.
#
# Versions: toml 1.2.1 and serde_json 1.0.154 with serde 1.0.229 (crates.io), each by the same derived Deserialize.
#
# A variant without fields is written as a string, in both formats, and one with fields as a table of one key. So one
# expects `kind = { plain = {} }` to be refused where `plain` holds nothing, as JSON refuses `{"plain": {}}`. Seen:
#
#   - toml takes the empty table for the variant, as it takes the string; a table that is not empty is refused;
#   - serde_json refuses `{}` and takes `null` in its place, which TOML cannot write.
#
# So a settings file may say in TOML what its own JSON does not read back, and whoever turns a variant without fields
# into one whose fields all have defaults changes no file's meaning in TOML. A test that an empty table is an error
# cannot be written against the derived form.
#
# Ends with 0 while this is so, and with 1 and what changed if not. Needs cargo and a registry of crates.
set -euo pipefail

directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
mkdir "$directory/src"
cat > "$directory/Cargo.toml" <<'TOML'
[package]
name = "unit-variant"
version = "0.0.0"
edition = "2021"

[dependencies]
serde = { version = "=1.0.229", features = ["derive"] }
serde_json = "=1.0.154"
toml = "=1.2.1"
TOML
cat > "$directory/src/main.rs" <<'RUST'
use serde::Deserialize;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Plain,
    With { rate: u32 },
}

#[derive(Debug, Deserialize)]
struct File {
    kind: Kind,
}

fn shown(read: Option<File>) -> String {
    match read.map(|file| file.kind) {
        None => "refused".into(),
        Some(Kind::Plain) => "plain".into(),
        Some(Kind::With { rate }) => format!("with {rate}"),
    }
}

fn main() {
    for text in [
        "kind = \"plain\"",
        "kind = { plain = {} }",
        "kind = { plain = { rate = 1 } }",
        "kind = { with = { rate = 1 } }",
    ] {
        println!("toml {text}|{}", shown(toml::from_str(text).ok()));
    }
    for text in [
        "{\"kind\": \"plain\"}",
        "{\"kind\": {\"plain\": {}}}",
        "{\"kind\": {\"plain\": null}}",
        "{\"kind\": {\"with\": {\"rate\": 1}}}",
    ] {
        println!("json {text}|{}", shown(serde_json::from_str(text).ok()));
    }
}
RUST
found=$(cd "$directory" && CARGO_TARGET_DIR=$directory/target cargo run -q 2>/dev/null)
expected='toml kind = "plain"|plain
toml kind = { plain = {} }|plain
toml kind = { plain = { rate = 1 } }|refused
toml kind = { with = { rate = 1 } }|with 1
json {"kind": "plain"}|plain
json {"kind": {"plain": {}}}|refused
json {"kind": {"plain": null}}|plain
json {"kind": {"with": {"rate": 1}}}|with 1'
printf '%s\n' "$found" | tr '|' '\t'
if [[ $found != "$expected" ]]; then
    echo "changed: it was" >&2
    printf '%s\n' "$expected" >&2
    exit 1
fi
