#!/usr/bin/env python3
"""Evaluates an exported model with lm-evaluation-harness, twice, and keeps the result under the parameters' root.

    scripts/eval/run.py --cairn BINARY --model DIRECTORY --out DIRECTORY [--questions 300]

Once the harness loads the files with transformers, once it asks `cairn serve`, which reads the same files. Both must
choose the same answer to every question. Nothing is downloaded. OUT/results has a file for each root; the table that
is printed has all of them, by round. Ends with 1 if the two differ.
"""
import argparse
import hashlib
import json
import os
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).parent
TASK = "cairn_cloze"
OFFLINE = dict(HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1", TOKENIZERS_PARALLELISM="false", OPENAI_API_KEY="none")
# Set on some machines for old OpenBLAS builds; they would slow PyTorch's libraries.
IN_THE_WAY = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "MKL_NUM_THREADS", "OMP_NUM_THREADS")


def harness(kind, model_args, out):
    """Runs the harness; gives its results and what it made of each question."""
    env = {name: value for name, value in os.environ.items() if name not in IN_THE_WAY} | OFFLINE
    common = ["--tasks", TASK, "--include_path", out / "task", "--output_path", out / kind]
    common += ["--log_samples", "--batch_size", 8, "--device", "cpu"]
    command = [sys.executable, "-m", "lm_eval", "run", "--model", kind, "--model_args", model_args, *common]
    done = subprocess.run(list(map(str, command)), env=env, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))} failed:\n{done.stderr.strip()}")
    newest = lambda pattern: max((out / kind).rglob(pattern), key=lambda path: path.stat().st_mtime)
    results = json.loads(newest("results_*.json").read_text())
    samples = map(json.loads, newest(f"samples_{TASK}_*.jsonl").read_text().splitlines())
    score = lambda sample: [float(response[0][0]) for response in sample["resps"]]
    return results, {sample["doc_id"]: score(sample) for sample in samples}


def served(cairn, model):
    """Starts a server on a free port; gives it and what it says."""
    command = [cairn, "serve", "--model", model, "--listen", "127.0.0.1:0", "--json"]
    server = subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, text=True)
    line = server.stdout.readline()
    return (server, json.loads(line)) if line else sys.exit("cairn serve did not start")


def choice(scores):
    return max(range(len(scores)), key=scores.__getitem__)


def evaluate(args):
    cloze = [sys.executable, HERE / "cloze.py", "--out", args.out / "task", "--questions", args.questions]
    subprocess.run(list(map(str, cloze)), check=True)
    context = json.loads((args.model / "config.json").read_text())["max_position_embeddings"]
    export = f"pretrained={args.model},dtype=float32,add_bos_token=False"
    found, by_export = harness("hf", export, args.out)
    server, said = served(args.cairn, args.model)
    try:
        # The harness keeps one token of `max_length` for the one that it has chosen.
        endpoint = f"base_url={said['url']}/completions,model={said['model']},tokenizer={args.model}"
        endpoint += f",tokenizer_backend=huggingface,max_length={context + 1},max_retries=1"
        asked, by_endpoint = harness("local-completions", endpoint, args.out)
    finally:
        server.terminate()
        server.wait()
    if by_export.keys() != by_endpoint.keys():
        sys.exit("the two did not answer the same questions")
    same = sum(choice(by_export[i]) == choice(by_endpoint[i]) for i in by_export)
    apart = max(abs(a - b) for i in by_export for a, b in zip(by_export[i], by_endpoint[i]))
    accuracy = [results["results"][TASK]["acc,none"] for results in (found, asked)]
    task = hashlib.sha256((args.out / "task" / f"{TASK}.jsonl").read_bytes()).hexdigest()
    return dict(
        model_root=said["model_root"],
        run=said["run"],
        round=said["round"],
        task=TASK,
        task_sha256=task,
        questions=len(by_export),
        accuracy=accuracy[0],
        accuracy_by_endpoint=accuracy[1],
        standard_error=found["results"][TASK]["acc_stderr,none"],
        same_answers=same,
        largest_difference_in_nats=apart,
        lm_eval=found["lm_eval_version"],
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cairn", required=True)
    parser.add_argument("--model", type=pathlib.Path, required=True)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--questions", type=int, default=300)
    args = parser.parse_args()
    args.model, args.out = args.model.resolve(), args.out.resolve()
    result = evaluate(args)
    kept = args.out / "results"
    kept.mkdir(parents=True, exist_ok=True)
    (kept / f"{result['model_root']}.json").write_text(json.dumps(result, indent=1) + "\n")
    print(f"{'round':>6} {'export':>8} {'endpoint':>8} {'±':>6}  same answers  root")
    results = [json.loads(path.read_text()) for path in kept.glob("*.json")]
    for one in sorted(results, key=lambda one: (one["round"] is None, one["round"] or 0)):
        bar = "#" * round(60 * one["accuracy"])
        print(
            f"{one['round']!s:>6} {one['accuracy']:8.4f} {one['accuracy_by_endpoint']:8.4f}"
            f" {one['standard_error']:6.3f}"
            f"  {one['same_answers']:5} of {one['questions']:<4} {one['model_root'][:12]}… {bar}"
        )
    print(f"scores differ by at most {result['largest_difference_in_nats']:.1e} nats")
    equal = result["accuracy"] == result["accuracy_by_endpoint"] and result["same_answers"] == result["questions"]
    sys.exit(0 if equal else 1)


if __name__ == "__main__":
    main()
