#!/usr/bin/env python3
"""Makes a task of the answered MMLU questions that lm-evaluation-harness itself brings along as examples.

    scripts/eval/mmlu.py --out DIRECTORY

The harness' package has some questions of each of MMLU's 57 subjects with worked answers, to be shown to a model. Here
they are the questions: nothing is downloaded. Which of four letters follows; chance is a quarter.
"""
import argparse
import importlib.util
import json
import pathlib
import re

import task
import yaml

NAME = "cairn_mmlu"
LETTERS = "ABCD"
SUBJECTS = 57


def examples():
    """Where the package keeps them, a file for each subject."""
    package = pathlib.Path(importlib.util.find_spec("lm_eval").submodule_search_locations[0])
    files = sorted((package / "tasks/mmlu/flan_cot_fewshot").glob("mmlu_*.yaml"))
    assert len(files) == SUBJECTS, f"{len(files)} subjects in {package}"
    return files


def question(subject, sample):
    """A question in the form that MMLU is asked in; None if it has no four choices or no answer."""
    text = " ".join(sample["question"].split())
    choices = re.fullmatch(r"(.*?)\(A\) (.*) \(B\) (.*) \(C\) (.*) \(D\) (.*)", text)
    answers = re.findall(r"answer is \(([A-D])\)", sample["target"])
    if not choices or not answers:
        return None
    lines = [choices[1].strip(), *(f"{letter}. {choices[i + 2]}" for i, letter in enumerate(LETTERS)), "Answer:"]
    return dict(subject=subject, text="\n".join(lines), answer=LETTERS.index(answers[-1]))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    args = parser.parse_args()
    made = []
    for path in examples():
        content = yaml.safe_load(path.read_text())
        found = (question(content["dataset_name"], sample) for sample in content["fewshot_config"]["samples"])
        made += filter(None, found)
    file = task.write(args.out, NAME, made, json.dumps(list(LETTERS)))
    print(f"{len(made)} questions of {len({question['subject'] for question in made})} subjects in {file}")


if __name__ == "__main__":
    main()
