//! What stock clients try of our runtime APIs is all of them.

use std::collections::BTreeSet;

/// The one that only runtimes for development answer.
const OF_DEVELOPMENT: &str = "AuditApi";

/// The methods that `decl_runtime_apis!` declares, as `Api.method`, but for those of development.
pub fn declared(text: &str) -> BTreeSet<String> {
    let (mut api, mut found) = (String::new(), BTreeSet::new());
    for line in text.lines().map(str::trim_start) {
        if let Some(rest) = line.strip_prefix("pub trait ") {
            api = name(rest);
        } else if let Some(rest) = line.strip_prefix("fn ") {
            found.insert(format!("{api}.{}", name(rest)));
        }
    }
    found.retain(|method| !method.starts_with(OF_DEVELOPMENT));
    found
}

/// The methods that a JavaScript object of objects of argument lists names, in the function with this name.
pub fn tried(text: &str, function: &str) -> BTreeSet<String> {
    let start = format!("function {function}()");
    let body = text.lines().skip_while(|line| !line.starts_with(&start));
    let body = body.skip(1).take_while(|line| *line != "}");
    let (mut api, mut found) = (String::new(), BTreeSet::new());
    for line in body {
        let mut rest = line;
        while let Some((before, after)) = rest.split_once(": ") {
            let name = before.rsplit([' ', '{', ',']).next().unwrap_or_default();
            match after.starts_with('{') {
                true => api = name.into(),
                false => found.extend([format!("{api}.{name}")]),
            }
            rest = after;
        }
    }
    found
}

/// The identifier that a text begins with.
fn name(text: &str) -> String {
    let is_of_it = |one: &char| one.is_alphanumeric() || *one == '_';
    text.chars().take_while(is_of_it).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_are_read() {
        let rust = "pub trait OneApi<AccountId: Codec> {\n    /// What.\n    fn first(a: u32) -> u32;\n\
                    fn second(\n}\npub trait AuditApi {\n    fn audit();\n}\npub trait TwoApi {\n    fn first();\n";
        let script = "function other() {\n  no: [],\n}\nfunction everyCall() {\n  return {\n    OneApi: {\n\
                      first: [0, one], second: [],\n    },\n    TwoApi: { first: [[key]] },\n  };\n}\nlast: [],\n";
        let all = ["OneApi.first", "OneApi.second", "TwoApi.first"];
        assert_eq!(declared(rust), BTreeSet::from(all.map(String::from)));
        assert_eq!(
            tried(script, "everyCall"),
            BTreeSet::from(all.map(String::from))
        );
        let less = script.replace("second: [],", "");
        assert_eq!(tried(&less, "everyCall").len(), 2);
    }
}
