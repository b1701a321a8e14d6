#!/usr/bin/env bash
# lm-evaluation-harness takes from its caches what was made for another model, and for another task of the same name.
#
# Version: lm_eval 0.4.13, with datasets 5.2.0.
#
# `use_cache` keeps a model's answers, `cache_requests` a task's questions. One expects each to ask anew when what it
# was made from is another. Seen, with a model that is always right and one that never is:
#
#   - use_cache finds answers by the question alone: the right model gets the wrong one's 0.0, and is asked nothing;
#   - cache_requests finds questions by the task's name, its shots and the tokenizer: with the file of questions made
#     anew, the same questions with their choices in another order, the old ones are asked, and what the model says of
#     them is held against the new file's answers: the right model gets 0.0, with no warning.
#
# Who evaluates each round of a run, or makes a task anew under its name, should give each its own cache, or none.
# Ends with 0 while this is so, and with 1 and what changed if not. Needs python3 with venv, and a package index.
set -euo pipefail

directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
cd "$directory"
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check lm_eval==0.4.13 datasets==5.2.0

mkdir task
cat >task/sums.yaml <<YAML
task: sums
dataset_path: json
dataset_kwargs:
  data_files:
    test: $directory/task/sums.jsonl
test_split: test
output_type: multiple_choice
doc_to_text: "{{a}} and 1 are"
doc_to_choice: "{{choices}}"
doc_to_target: answer
metric_list:
  - metric: acc
YAML
cat >evaluate.py <<'PYTHON'
import json

import lm_eval
from lm_eval.api.model import LM
from lm_eval.tasks import TaskManager


class Model(LM):
    def __init__(self, is_right):
        super().__init__()
        self.is_right, self.asked = is_right, 0

    def score(self, question, choice):
        return float((int(question.split()[0]) + 1 == int(choice)) == self.is_right), False

    def loglikelihood(self, requests):
        self.asked += len(requests)
        return [self.score(*request.args) for request in requests]

    loglikelihood_rolling = generate_until = None


def write(*questions):
    rows = [dict(a=a, choices=list(choices), answer=choices.index(str(a + 1))) for a, choices in questions]
    with open("task/sums.jsonl", "w") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)


def evaluate(what, model, **cache):
    tasks = TaskManager(include_path="task", include_defaults=False)
    found = lm_eval.simple_evaluate(model, tasks=["sums"], task_manager=tasks, bootstrap_iters=0, **cache)
    print(f"seen: {what}: {found['results']['sums']['acc,none']}, asked {model.asked}")


write((0, "12"), (1, "23"))
evaluate("wrong", Model(False))
evaluate("right", Model(True))
evaluate("wrong, use_cache", Model(False), use_cache="answers")
evaluate("right, use_cache", Model(True), use_cache="answers")
evaluate("right, cache_requests", Model(True), cache_requests=True)
write((0, "21"), (1, "32"))
evaluate("right, made anew", Model(True))
evaluate("right, made anew, cache_requests", Model(True), cache_requests=True)
PYTHON
export HF_HOME=$directory/hf HF_HUB_OFFLINE=1 LM_HARNESS_CACHE_PATH=$directory/requests
found=$(venv/bin/python evaluate.py 2>/dev/null | sed -n 's/^seen: //p')
expected='wrong: 0.0, asked 4
right: 1.0, asked 4
wrong, use_cache: 0.0, asked 4
right, use_cache: 0.0, asked 0
right, cache_requests: 1.0, asked 4
right, made anew: 1.0, asked 4
right, made anew, cache_requests: 0.0, asked 4'
printf '%s\n' "$found"
if [[ $found != "$expected" ]]; then
    printf 'changed: it was\n%s\n' "$expected" >&2
    exit 1
fi
