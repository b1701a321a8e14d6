//! What is watched is there: each metric, and each label of it, that an alert rule or a dashboard asks for is one that
//! a worker or a node shows.
//!
//! Tests of the worker and of the node write what they show to `ops/metrics`, and hold it against that. Queries are
//! read as far as names and labels go; whether Prometheus understands them, `make promtool` asks Prometheus.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// Metrics by name, with their labels.
pub type Shown = BTreeMap<String, BTreeSet<String>>;

/// What Prometheus adds to every metric, and `up`, which it makes itself.
const ADDED: [&str; 3] = ["job", "instance", "chain"];

/// Reads an exposition in Prometheus' text format, and says what is wrong with it.
pub fn exposition(path: &str, text: &str) -> (Shown, Vec<String>) {
    let (mut shown, mut faults) = (Shown::new(), Vec::new());
    let (mut helped, mut family, mut kind) = (String::new(), String::new(), String::new());
    for (number, line) in text.lines().enumerate() {
        let mut fault = |what: &str| faults.push(format!("{path}:{}: {what}: {line}", number + 1));
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').unwrap_or((rest, ""));
            if help.is_empty() {
                fault("no help");
            }
            helped = name.into();
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, of) = rest.split_once(' ').unwrap_or((rest, ""));
            if name != helped {
                fault("a type without help before it");
            }
            (family, kind) = (name.into(), of.into());
        } else {
            match sample(line) {
                None => fault("no sample"),
                Some((name, labels)) => {
                    let suffix = name.strip_prefix(family.as_str());
                    let is_of_family = match kind.as_str() {
                        "histogram" => matches!(suffix, Some("_bucket" | "_sum" | "_count")),
                        "counter" => suffix == Some("") && name.ends_with("_total"),
                        _ => suffix == Some("") && !name.ends_with("_total"),
                    };
                    if !is_of_family {
                        fault("a sample that is not of the family before it");
                    }
                    shown.entry(name).or_default().extend(labels);
                }
            }
        }
    }
    (shown, faults)
}

/// Name and labels of a line such as `name{label="value"} 1`.
fn sample(line: &str) -> Option<(String, Vec<String>)> {
    let mut found = selectors(line.rsplit_once(' ')?.0).ok()?;
    let value = line.rsplit_once(' ')?.1;
    let is_number = value.parse::<f64>().is_ok();
    let one = found.pop().filter(|_| is_number && found.is_empty())?;
    Some((one.metric, one.labels))
}

/// A metric that a query asks for, and the labels by which it chooses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selector {
    /// The metric's name.
    pub metric: String,
    /// Labels in its braces.
    pub labels: Vec<String>,
}

/// Words that stand before a list of labels in brackets.
const BEFORE_LABELS: [&str; 6] = [
    "by",
    "without",
    "on",
    "ignoring",
    "group_left",
    "group_right",
];
/// Words of the language that are no metrics.
const WORDS: [&str; 9] = [
    "and", "or", "unless", "offset", "bool", "inf", "nan", "start", "end",
];

/// The metrics of a query in PromQL.
///
/// # Errors
/// What cannot be read.
pub fn selectors(query: &str) -> Result<Vec<Selector>, String> {
    let mut rest = query;
    let mut found: Vec<Selector> = Vec::new();
    while let Some(first) = rest.chars().next() {
        if first == '{' {
            let (labels, behind) = matchers(rest)?;
            match found.last_mut() {
                Some(last) => last.labels.extend(labels),
                None => return Err(format!("braces without a metric: {query}")),
            }
            rest = behind;
        } else if first == '[' || first == '"' {
            let end = if first == '[' { ']' } else { '"' };
            let length = rest[1..]
                .find(end)
                .ok_or_else(|| format!("no {end} in: {query}"))?;
            rest = &rest[length + 2..];
        } else if is_letter(first) {
            let (word, behind) = word(rest);
            let next = behind.trim_start();
            rest = behind;
            if BEFORE_LABELS.contains(&word) {
                let list = next.strip_prefix('(').and_then(|list| list.split_once(')'));
                rest = list.map_or(behind, |(_, behind)| behind);
            } else if !is_called(next) && !WORDS.contains(&word.to_lowercase().as_str()) {
                let (metric, labels) = (word.to_string(), Vec::new());
                found.push(Selector { metric, labels });
            }
        } else if first.is_ascii_digit() || first == '$' {
            // A number, a duration, or a variable.
            let behind =
                |letter: char| !(is_letter(letter) || letter.is_ascii_digit() || letter == '.');
            let length = rest[1..]
                .find(behind)
                .map_or(rest.len(), |length| length + 1);
            rest = &rest[length..];
        } else {
            rest = &rest[first.len_utf8()..];
        }
    }
    Ok(found)
}

/// Whether a function or an aggregation stands before this, as in `sum(…)` and `sum by (…) (…)`.
fn is_called(next: &str) -> bool {
    next.starts_with('(') || ["by", "without"].contains(&word(next).0)
}

/// Labels in the braces that a text begins with, and what comes behind them.
fn matchers(text: &str) -> Result<(Vec<String>, &str), String> {
    let mut labels = Vec::new();
    let mut rest = &text[1..];
    loop {
        rest = rest.trim_start_matches([' ', ',']);
        if let Some(behind) = rest.strip_prefix('}') {
            return Ok((labels, behind));
        }
        let (label, behind) = word(rest);
        let value = behind.trim_start_matches(['=', '!', '~', ' ']);
        let value = value.strip_prefix('"').filter(|_| !label.is_empty());
        let (_, behind) = value
            .and_then(|value| value.split_once('"'))
            .ok_or_else(|| format!("cannot be read: {text}"))?;
        labels.push(label.to_string());
        rest = behind;
    }
}

fn is_letter(letter: char) -> bool {
    letter.is_ascii_alphabetic() || letter == '_' || letter == ':'
}

fn word(text: &str) -> (&str, &str) {
    let end = text.find(|letter: char| !(is_letter(letter) || letter.is_ascii_digit()));
    text.split_at(end.unwrap_or(text.len()))
}

/// The queries of a file of alert rules, by their alerts; and what is wrong with it.
///
/// It is read line by line: `- alert: NAME`, then `expr: QUERY`, or `expr: >-` and the query below it.
pub fn of_rules(path: &str, text: &str) -> (Vec<(String, String)>, Vec<String>) {
    let (mut queries, mut faults) = (Vec::new(), Vec::new());
    let mut alert: Option<String> = None;
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let trimmed = line.trim_start();
        if let Some(name) = trimmed.strip_prefix("- alert: ") {
            if let Some(before) = alert.replace(name.into()) {
                faults.push(format!("{path}: {before} has no query"));
            }
        } else if let Some(query) = trimmed.strip_prefix("expr: ") {
            let mut query = query.to_string();
            if query == ">-" {
                let indent = line.len() - trimmed.len();
                let is_below = |line: &&str| line.len() - line.trim_start().len() > indent;
                query.clear();
                while let Some(below) = lines.next_if(is_below) {
                    query = format!("{query} {}", below.trim());
                }
            }
            match alert.take() {
                Some(name) => queries.push((name, query)),
                None => faults.push(format!("{path}: a query without an alert: {query}")),
            }
        }
    }
    faults.extend(alert.map(|name| format!("{path}: {name} has no query")));
    (queries, faults)
}

/// The queries of a dashboard of Grafana, by their panels: of panels, and those that variables' values come from.
///
/// # Errors
/// If it is no JSON.
pub fn of_dashboard(text: &str) -> Result<Vec<(String, String)>, String> {
    let board: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let mut queries = Vec::new();
    for panel in list(&board["panels"]) {
        let title = panel["title"].as_str().unwrap_or("a panel without a title");
        let targets = list(&panel["targets"]);
        if targets.is_empty() {
            return Err(format!("{title} asks for nothing"));
        }
        for target in targets {
            let query = target["expr"].as_str().unwrap_or_default();
            queries.push((title.to_string(), query.to_string()));
        }
    }
    for variable in list(&board["templating"]["list"]) {
        let name = variable["name"].as_str().unwrap_or_default();
        let query = variable["query"].as_str().unwrap_or_default();
        if let Some(values) = query.strip_prefix("label_values(") {
            let (metric, label) = values
                .trim_end_matches(')')
                .split_once(", ")
                .unwrap_or_default();
            let query = format!("{metric}{{{label}=~\".*\"}}");
            queries.push((format!("variable {name}"), query));
        }
    }
    Ok(queries)
}

/// What queries ask for and nobody shows.
pub fn faults(path: &str, queries: &[(String, String)], shown: &Shown) -> Vec<String> {
    let mut faults = Vec::new();
    for (of, query) in queries {
        let asked = match selectors(query) {
            Ok(asked) if asked.is_empty() => {
                faults.push(format!("{path}: {of}: it asks for no metric: {query}"));
                continue;
            }
            Ok(asked) => asked,
            Err(fault) => {
                faults.push(format!("{path}: {of}: {fault}"));
                continue;
            }
        };
        for Selector { metric, labels } in asked {
            let Some(known) = shown.get(&metric) else {
                faults.push(format!("{path}: {of}: nobody shows {metric}"));
                continue;
            };
            let is_known = |label: &String| known.contains(label) || ADDED.contains(&&**label);
            for label in labels.iter().filter(|label| !is_known(label)) {
                faults.push(format!("{path}: {of}: {metric} has no label {label}"));
            }
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(query: &str) -> Vec<String> {
        let found = selectors(query).expect("a query");
        found.into_iter().map(|one| one.metric).collect()
    }

    #[test]
    fn metrics_are_found_in_queries_and_nothing_else_is() {
        assert_eq!(names("up{job=\"a\"} == 0"), ["up"]);
        assert_eq!(
            names("time() - a_b > 1e3 and rate(c[5m]) < 0.5"),
            ["a_b", "c"]
        );
        assert_eq!(
            names("sum by (x, y) (rate(a_total{z=~\"q|r\"}[$__rate_interval]))"),
            ["a_total"]
        );
        assert_eq!(
            names("a / ignoring(x) group_left(y) b offset 5m"),
            ["a", "b"]
        );
        assert_eq!(names("sum without (x) (a) - b"), ["a", "b"]);
        assert_eq!(
            names("histogram_quantile(0.9, sum by (le) (a_bucket))"),
            ["a_bucket"]
        );
        assert_eq!(names("max_over_time(a[1h:5m]) OR vector(1)"), ["a"]);
        assert!(selectors("a{b=\"c").is_err() && selectors("a[5m").is_err());
    }

    #[test]
    fn a_metric_or_label_that_nobody_shows_is_a_fault() {
        let text = "# HELP a_total A\n# TYPE a_total counter\na_total{x=\"1\"} 2\n";
        let (shown, wrong) = exposition("m", text);
        assert_eq!(wrong, Vec::<String>::new());
        let of = |query: &str| faults("f", &[("Q".into(), query.into())], &shown);
        assert_eq!(
            of("rate(a_total{x=\"1\", job=\"j\"}[5m])"),
            Vec::<String>::new()
        );
        assert_eq!(of("b"), ["f: Q: nobody shows b"]);
        assert_eq!(of("a_total{y!=\"1\"}"), ["f: Q: a_total has no label y"]);
        assert_eq!(of("vector(1)"), ["f: Q: it asks for no metric: vector(1)"]);
    }

    #[test]
    fn an_exposition_that_is_malformed_is_a_fault() {
        for (text, fault) in [
            ("a 1\n", "not of the family"),
            ("# HELP a A\n# TYPE a gauge\na x\n", "no sample"),
            ("# HELP a\n# TYPE a gauge\na 1\n", "no help"),
            ("# TYPE a gauge\na 1\n", "without help"),
            ("# HELP a A\n# TYPE a counter\na 1\n", "not of the family"),
            (
                "# HELP a_total A\n# TYPE a_total gauge\na_total 1\n",
                "not of the family",
            ),
            ("# HELP a A\n# TYPE a histogram\na 1\n", "not of the family"),
        ] {
            let (_, faults) = exposition("m", text);
            assert!(
                faults.iter().any(|found| found.contains(fault)),
                "{text}: {faults:?}"
            );
        }
    }

    #[test]
    fn rules_are_read_on_one_line_or_below() {
        let text =
            "- alert: A\n  expr: a > 1\n- alert: B\n  expr: >-\n    a\n    and b\n  for: 1m\n";
        let (queries, faults) = of_rules("r", text);
        let expected = [
            ("A".to_string(), "a > 1".to_string()),
            ("B".into(), " a and b".into()),
        ];
        assert_eq!((queries.as_slice(), faults.len()), (expected.as_slice(), 0));
        let (_, faults) = of_rules("r", "- alert: A\n- alert: B\n  expr: a\n  expr: b\n");
        assert_eq!(
            faults,
            ["r: A has no query", "r: a query without an alert: b"]
        );
    }
}
