//! What evaluations found, a file for each root.

use std::{collections::BTreeMap, path::Path};

use cairn_primitives::{ModelRoot, Netuid, Round};
use serde::{Deserialize, Serialize};

use crate::{
    chart::curve,
    error::Failure,
    table::{short, table},
};

/// What was found of some parameters.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evaluated {
    /// Their root.
    pub model_root: ModelRoot,
    /// The run's name, if it is known.
    pub run: Option<String>,
    /// Its subnet, if the chain was asked.
    pub netuid: Option<Netuid>,
    /// The round that began with them, if that is known.
    pub round: Option<Round>,
    /// The harness' version.
    pub lm_eval: String,
    /// By the task's name.
    pub tasks: BTreeMap<String, Answered>,
}

/// How a task was answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Answered {
    /// Of the file of its questions, in hexadecimal: results of other questions are not compared.
    pub task_sha256: String,
    /// How many there are.
    pub questions: u64,
    /// The share that was answered rightly, by `transformers`.
    pub accuracy: f64,
    /// The same by `cairn serve`.
    pub accuracy_by_endpoint: f64,
    /// Of the accuracy.
    pub standard_error: f64,
    /// Questions to which both chose the same answer.
    pub same_answers: u64,
    /// By which the scores of a choice differ at most.
    pub largest_difference_in_nats: f64,
}

/// All results below a directory, by run and round; those of no known round come last.
pub fn all(out: &Path) -> Result<Vec<Evaluated>, Failure> {
    let directory = out.join("results");
    let mut found = Vec::new();
    for entry in std::fs::read_dir(&directory)? {
        let path = entry?.path();
        if path.extension().is_some_and(|end| end == "json") {
            let one: Evaluated =
                serde_json::from_slice(&std::fs::read(&path)?).map_err(|error| {
                    Failure::new(format!("{}: {error}", path.display()), "delete it")
                })?;
            found.push(one);
        }
    }
    found.sort_by_key(|one| (one.run.clone(), one.round.is_none(), one.round));
    Ok(found)
}

/// The results of the run that was evaluated now, and a curve for each of its tasks that has two.
pub fn text(now: &Evaluated, all: &[Evaluated]) -> String {
    let same_run = |one: &&Evaluated| (&one.run, one.netuid) == (&now.run, now.netuid);
    let of_run: Vec<&Evaluated> = all.iter().filter(same_run).collect();
    let rows: Vec<Vec<String>> = of_run.iter().flat_map(|one| rows(one)).collect();
    let head = [
        "round",
        "task",
        "accuracy",
        "±",
        "by endpoint",
        "same answers",
        "root",
    ];
    let curves = now.tasks.iter().map(|(name, task)| {
        let answered = of_run.iter().filter(|one| one.round.is_some());
        let answered = answered.filter_map(|one| one.tasks.get(name));
        let same = answered.filter(|other| other.task_sha256 == task.task_sha256);
        let values: Vec<f64> = same.map(|other| other.accuracy).collect();
        match curve(&values, &format!("accuracy in {name} by round")) {
            curve if curve.is_empty() => curve,
            curve => format!("\n{curve}"),
        }
    });
    format!("{}{}", table(&head, &rows), curves.collect::<String>())
}

fn rows(one: &Evaluated) -> Vec<Vec<String>> {
    let round = one.round.map_or("–".into(), |round| round.to_string());
    let row = |(name, task): (&String, &Answered)| {
        vec![
            round.clone(),
            name.clone(),
            format!("{:.4}", task.accuracy),
            format!("{:.3}", task.standard_error),
            format!("{:.4}", task.accuracy_by_endpoint),
            format!("{} of {}", task.same_answers, task.questions),
            short(&one.model_root),
        ]
    };
    one.tasks.iter().map(row).collect()
}

#[cfg(test)]
mod tests {
    use cairn_primitives::H256;

    use super::*;

    fn result(root: u8, round: Option<Round>, accuracy: f64, questions: &str) -> Evaluated {
        let answered = Answered {
            task_sha256: questions.into(),
            questions: 100,
            accuracy,
            accuracy_by_endpoint: accuracy,
            standard_error: 0.04,
            same_answers: 100,
            largest_difference_in_nats: 1e-6,
        };
        Evaluated {
            model_root: ModelRoot(H256([root; 32])),
            run: Some("tiny".into()),
            netuid: Some(Netuid(1)),
            round,
            lm_eval: "0.4.13".into(),
            tasks: BTreeMap::from([("cairn_cloze".into(), answered)]),
        }
    }

    #[test]
    fn results_are_read_by_round_and_what_is_none_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let kept = directory.path().join("results");
        std::fs::create_dir(&kept).unwrap();
        let results = [
            result(1, None, 0.2, "a"),
            result(2, Some(10), 0.3, "a"),
            result(3, Some(9), 0.25, "a"),
        ];
        for (i, one) in results.iter().enumerate() {
            let json = serde_json::to_vec(one).unwrap();
            std::fs::write(kept.join(format!("{i}.json")), json).unwrap();
        }
        std::fs::write(kept.join("notes.txt"), "mine").unwrap();
        let rounds = all(directory.path()).unwrap();
        let rounds: Vec<_> = rounds.iter().map(|one| one.round).collect();
        assert_eq!(rounds, [Some(9), Some(10), None]);
        std::fs::write(kept.join("bad.json"), "{}").unwrap();
        let error = all(directory.path()).unwrap_err().to_string();
        assert!(
            error.contains("bad.json") && error.contains("delete it"),
            "{error}"
        );
    }

    #[test]
    fn a_curve_has_the_same_questions_of_the_same_run_only() {
        let mut other = result(9, Some(1), 0.9, "a");
        other.run = Some("other".into());
        let mut results = vec![
            other,
            result(1, Some(4), 0.25, "a"),
            result(2, Some(5), 0.75, "b"),
        ];
        let text = |results: &[Evaluated]| super::text(&results[1], results);
        let one = text(&results);
        assert!(
            !one.contains("by round") && !one.contains("0.9000"),
            "{one}"
        );
        assert!(
            one.contains("0.7500"),
            "all of the run are in the table: {one}"
        );
        results.push(result(3, Some(6), 0.5, "a"));
        let two = text(&results);
        assert!(two.contains("accuracy in cairn_cloze by round"), "{two}");
        assert!(
            two.contains("  0.500 │") && two.contains("  0.250 │"),
            "{two}"
        );
        assert!(!two.contains("  0.750 │"), "{two}");
    }
}
