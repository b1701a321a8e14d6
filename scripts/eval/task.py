"""A task for lm-evaluation-harness: questions with choices, one of which is right."""
import json

TASK = """task: {name}
dataset_path: json
dataset_kwargs:
  data_files:
    test: {file}
test_split: test
output_type: multiple_choice
doc_to_text: "{{{{text}}}}"
doc_to_choice: {choices}
doc_to_target: answer
metric_list:
  - metric: acc
    aggregation: mean
    higher_is_better: true
metadata:
  version: 1
"""


def write(directory, name, questions, choices):
    """Writes the questions and the task's file into a directory; `choices` says where a question's are, as YAML."""
    directory.mkdir(parents=True, exist_ok=True)
    file = directory.resolve() / f"{name}.jsonl"
    file.write_text("".join(json.dumps(question) + "\n" for question in questions))
    (directory / f"{name}.yaml").write_text(TASK.format(name=name, file=file, choices=choices))
    return file
