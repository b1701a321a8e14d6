#!/usr/bin/env bash
# In a task from a JSON Lines file, texts become times if all of a column are dates; the model is asked another text.
#
# Versions: datasets 5.2.0 with pyarrow 26.0.1; lm_eval 0.4.13.
#
# A string in JSON is a text, so one expects a harness to ask what the file says. Seen with `dataset_path: json`:
#
#   - where each question is a date such as "1862-12-01", it is asked as "1862-12-01 00:00:00";
#   - choices do so by themselves: lists of dates become lists of datetime;
#   - one more row, whose question is no date, and all are asked as they are in the file.
#
# So a task that asks when an address was given is scored on texts that are not in its file, and
# rows that are added change what others ask. A word before the date, in the file, keeps it a text.
# Ends with 0 while this is so, and with 1 and what changed if not. Needs python3 with venv, and a package index.
set -euo pipefail

directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
cd "$directory"
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check lm_eval==0.4.13 datasets==5.2.0 pyarrow==26.0.1

cat >evaluate.py <<'PYTHON'
import json
import pathlib

import datasets
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
doc_to_text: "{{{{text}}}}"
doc_to_choice: ["Washington", "Lincoln"]
doc_to_target: answer
metric_list:
  - metric: acc
"""
DATES = [dict(text="1862-12-01", when=["1862-12-01"], answer=1), dict(text="1790-01-08", when=["1790-01-08"], answer=0)]
OTHER = [dict(text="winter of 1861", when=["1861-12-03"], answer=1)]


class Listener(LM):
    """Keeps what it is asked."""

    def loglikelihood(self, requests):
        self.asked = sorted({request.args[0] for request in requests})
        return [(0.0, False) for _ in requests]

    loglikelihood_rolling = generate_until = None


for name, rows in dict(dates=DATES, mixed=DATES + OTHER).items():
    file = pathlib.Path("tasks", f"{name}.jsonl").absolute()
    file.parent.mkdir(exist_ok=True)
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    file.with_suffix(".yaml").write_text(TASK.format(name=name, file=file))
    found = datasets.load_dataset("json", data_files=str(file), split="train")
    listener = Listener()
    tasks = TaskManager(include_path="tasks", include_defaults=False)
    lm_eval.simple_evaluate(listener, tasks=[name], task_manager=tasks, bootstrap_iters=0)
    print(f"seen: {name}, a list in it: {type(found[0]['when'][0]).__name__}")
    print(f"seen: {name}, asked: {', '.join(listener.asked)}")
PYTHON
export HF_HOME=$directory/hf HF_HUB_OFFLINE=1
found=$(venv/bin/python evaluate.py 2>/dev/null | sed -n 's/^seen: //p')
expected='dates, a list in it: datetime
dates, asked: 1790-01-08 00:00:00, 1862-12-01 00:00:00
mixed, a list in it: datetime
mixed, asked: 1790-01-08, 1862-12-01, winter of 1861'
printf '%s\n' "$found"
if [[ $found != "$expected" ]]; then
    printf 'changed: it was\n%s\n' "$expected" >&2
    exit 1
fi
