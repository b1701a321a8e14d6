#!/usr/bin/env bash
# In a task of lm-evaluation-harness an answer such as "2" is the third choice, if it is written as a template.
#
# Version: lm_eval 0.4.13, with datasets 5.2.0.
#
# `doc_to_target` may give the place of the right choice or its text, and may name a field or be a template, `answer` or
# `"{{answer}}"`, which one expects to mean the same. Seen, with a model that is always right:
#
#   - texts of letters score 1.0 in either form, and texts of digits in the first;
#   - as a template a text of digits is taken for a place, from 0: "2" of the choices 1, 2, 3 is 3, and the model scores
#     0.0, with no warning.
#
# So a task whose answers are numbers, written like the harness's own examples, scores nonsense.
# Give places, or name the field.
# Ends with 0 while this is so, and with 1 and what changed if not. Needs python3 with venv, and a package index.
set -euo pipefail

directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
cd "$directory"
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check lm_eval==0.4.13 datasets==5.2.0

cat >evaluate.py <<'PYTHON'
import json
import pathlib

import lm_eval
from lm_eval.api.model import LM
from lm_eval.tasks import TaskManager

TASK = """task: {name}
dataset_path: json
dataset_kwargs:
  data_files:
    test: {file}
test_split: test
output_type: multiple_choice
doc_to_text: "after {{{{before}}}} comes"
doc_to_choice: "{{{{choices}}}}"
doc_to_target: {target}
metric_list:
  - metric: acc
"""
ROWS = {
    "letters": [("a", "abc", "b"), ("b", "bca", "c")],
    "digits": [("1", "123", "2"), ("0", "123", "1")],
}


class Right(LM):
    """Knows what comes after a letter or a digit."""

    def loglikelihood(self, requests):
        follows = lambda text, choice: ord(choice.strip()) == ord(text.split()[1]) + 1
        return [(float(follows(*request.args)), False) for request in requests]

    loglikelihood_rolling = generate_until = None


for kind, rows in ROWS.items():
    file = pathlib.Path("tasks", f"{kind}.jsonl").absolute()
    file.parent.mkdir(exist_ok=True)
    rows = [dict(before=before, choices=list(choices), answer=answer) for before, choices, answer in rows]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    for form, target in (("field", "answer"), ("template", '"{{answer}}"')):
        name = f"{kind}_{form}"
        file.with_name(f"{name}.yaml").write_text(TASK.format(name=name, file=file, target=target))
        tasks = TaskManager(include_path="tasks", include_defaults=False)
        found = lm_eval.simple_evaluate(Right(), tasks=[name], task_manager=tasks, bootstrap_iters=0)
        print(f"seen: {kind}, {form}: {found['results'][name]['acc,none']}")
PYTHON
export HF_HOME=$directory/hf HF_HUB_OFFLINE=1
found=$(venv/bin/python evaluate.py 2>/dev/null | sed -n 's/^seen: //p')
expected='letters, field: 1.0
letters, template: 1.0
digits, field: 1.0
digits, template: 0.0'
printf '%s\n' "$found"
if [[ $found != "$expected" ]]; then
    printf 'changed: it was\n%s\n' "$expected" >&2
    exit 1
fi
