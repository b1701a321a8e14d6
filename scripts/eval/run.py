#!/usr/bin/env python3
"""Evaluates an exported model with lm-evaluation-harness, twice, and keeps the result under the parameters' root.

    scripts/eval/run.py --cairn BINARY --model DIRECTORY --out DIRECTORY [--tasks cloze,mmlu] [--questions 300]

Once the harness loads the files with transformers, once it asks `cairn serve`, which reads the same files. Both must
choose the same answer to every question. Nothing is downloaded. OUT/results has a file for each root; the table that
is printed has all of them, by round. Ends with 3 if the two differ, with 4 if the server does not say in time that it
takes requests. `cairn eval` runs this for a live run.
"""
import argparse
import contextlib
import hashlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import threading

HERE = pathlib.Path(__file__).parent
# What is asked, and the script that makes the questions.
TASKS = dict(cloze="cloze.py", mmlu="mmlu.py")
DIFFERENT = 3
SILENT = 4
# A server takes requests after so many seconds, and one more for so many bytes of the model, or it never will.
START, BYTES_PER_SECOND = 120, 20_000_000
# After so many seconds a server that was asked to end is killed.
GRACE = 30
OFFLINE = dict(HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1", TOKENIZERS_PARALLELISM="false", OPENAI_API_KEY="none")
# The server is on this machine, whatever proxy others are reached by.
OFFLINE |= dict(NO_PROXY="127.0.0.1", no_proxy="127.0.0.1")
# Set on some machines for old OpenBLAS builds; they would slow PyTorch's libraries.
IN_THE_WAY = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "MKL_NUM_THREADS", "OMP_NUM_THREADS")


def full_name(task):
    return f"cairn_{task}"


def harness(kind, model_args, args):
    """Runs the harness; gives its results and, of each task, what it made of each question."""
    env = {name: value for name, value in os.environ.items() if name not in IN_THE_WAY} | OFFLINE
    names = [full_name(task) for task in args.tasks]
    common = ["--tasks", ",".join(names), "--include_path", args.out / "task", "--output_path", args.out / kind]
    common += ["--log_samples", "--batch_size", 8, "--device", "cpu"]
    command = [sys.executable, "-m", "lm_eval", "run", "--model", kind, "--model_args", model_args, *common]
    done = subprocess.run(list(map(str, command)), env=env, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))} failed:\n{done.stderr.strip()}")
    newest = lambda pattern: max((args.out / kind).rglob(pattern), key=lambda path: path.stat().st_mtime)
    results = json.loads(newest("results_*.json").read_text())
    score = lambda sample: [float(response[0][0]) for response in sample["resps"]]
    read = lambda name: map(json.loads, newest(f"samples_{name}_*.jsonl").read_text().splitlines())
    return results, {name: {sample["doc_id"]: score(sample) for sample in read(name)} for name in names}


@contextlib.contextmanager
def served(cairn, model, seconds):
    """Starts a server on a free port, and gives what it says. It ends with this."""
    command = [cairn, "serve", "--model", model, "--listen", "127.0.0.1:0", "--json"]
    server = subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, text=True)
    is_late = threading.Event()
    timer = threading.Timer(seconds, lambda: (is_late.set(), server.kill()))
    timer.start()
    try:
        line = server.stdout.readline()
        timer.cancel()
        if is_late.is_set():
            print(f"`cairn serve` took no requests within {seconds:.0f} s", file=sys.stderr)
            sys.exit(SILENT)
        if not line:
            sys.exit("`cairn serve` did not start")
        yield json.loads(line)
    finally:
        timer.cancel()
        server.terminate()
        try:
            server.wait(GRACE)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def patience(model):
    """Seconds within which a server has to take requests."""
    return START + sum(file.stat().st_size for file in model.iterdir() if file.is_file()) / BYTES_PER_SECOND


def choice(scores):
    return max(range(len(scores)), key=scores.__getitem__)


def compared(name, out, found, asked):
    """What both made of a task."""
    of_both = ((results["results"][name], samples[name]) for results, samples in (found, asked))
    (results, by_export), (others, by_endpoint) = of_both
    if by_export.keys() != by_endpoint.keys():
        sys.exit(f"the two did not answer the same questions of {name}")
    return dict(
        task_sha256=hashlib.sha256((out / "task" / f"{name}.jsonl").read_bytes()).hexdigest(),
        questions=len(by_export),
        accuracy=results["acc,none"],
        accuracy_by_endpoint=others["acc,none"],
        standard_error=results["acc_stderr,none"],
        same_answers=sum(choice(by_export[i]) == choice(by_endpoint[i]) for i in by_export),
        largest_difference_in_nats=max(abs(a - b) for i in by_export for a, b in zip(by_export[i], by_endpoint[i])),
    )


def evaluate(args):
    for task in args.tasks:
        make = [sys.executable, HERE / TASKS[task], "--out", args.out / "task"]
        make += ["--questions", args.questions] if task == "cloze" else []
        subprocess.run(list(map(str, make)), check=True, stdout=subprocess.DEVNULL)
    context = json.loads((args.model / "config.json").read_text())["max_position_embeddings"]
    # Both see the same tokens of what is longer than the context: here the last one is predicted and not read.
    export = f"pretrained={args.model},dtype=float32,add_bos_token=False,max_length={context - 1}"
    found = harness("hf", export, args)
    with served(args.cairn, args.model, args.patience or patience(args.model)) as said:
        # The harness keeps one token of `max_length` for the one that it has chosen.
        endpoint = f"base_url={said['url']}/completions,model={said['model']},tokenizer={args.model}"
        endpoint += f",tokenizer_backend=huggingface,max_length={context + 1},max_retries=1"
        asked = harness("local-completions", endpoint, args)
    names = [full_name(task) for task in args.tasks]
    return dict(
        model_root=said["model_root"],
        run=said["run"],
        netuid=said["netuid"],
        round=said["round"],
        lm_eval=found[0]["lm_eval_version"],
        tasks={name: compared(name, args.out, found, asked) for name in names},
    )


def keep(result, path):
    """Writes a result, with the tasks that were asked of these parameters before and not now."""
    before = json.loads(path.read_text()) if path.exists() else dict(tasks={})
    result["tasks"] = before["tasks"] | result["tasks"]
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text(json.dumps(result, indent=1) + "\n")
    part.rename(path)


def table(results):
    print(f"{'round':>6} {'task':<12} {'export':>8} {'endpoint':>8} {'±':>6}  same answers  root")
    for one in sorted(results, key=lambda one: (one["round"] is None, one["round"] or 0)):
        for name, task in one["tasks"].items():
            print(
                f"{one['round']!s:>6} {name:<12} {task['accuracy']:8.4f} {task['accuracy_by_endpoint']:8.4f}"
                f" {task['standard_error']:6.3f}"
                f"  {task['same_answers']:5} of {task['questions']:<4} {one['model_root'][:12]}…"
                f" {'#' * round(60 * task['accuracy'])}"
            )


def tasks(text):
    names = text.split(",")
    unknown = [name for name in names if name not in TASKS]
    if unknown:
        raise argparse.ArgumentTypeError(f"there is no task {unknown[0]!r}: there are {', '.join(TASKS)}")
    return names


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cairn", required=True)
    parser.add_argument("--model", type=pathlib.Path, required=True)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--tasks", type=tasks, default=["cloze"])
    parser.add_argument("--questions", type=int, default=300)
    parser.add_argument("--patience", type=float, help="seconds within which the server has to take requests")
    args = parser.parse_args()
    # Whoever asks this to end means what it started, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("asked to end"))
    args.model, args.out = args.model.resolve(), args.out.resolve()
    result = evaluate(args)
    fresh = result["tasks"].values()
    kept = args.out / "results"
    equal = all(task["accuracy"] == task["accuracy_by_endpoint"] for task in fresh)
    equal = equal and all(task["same_answers"] == task["questions"] for task in fresh)
    apart = max(task["largest_difference_in_nats"] for task in fresh)
    keep(result, kept / f"{result['model_root']}.json")
    table([json.loads(path.read_text()) for path in kept.glob("*.json")])
    print(f"scores differ by at most {apart:.1e} nats")
    # The last line: `cairn eval` reads it.
    print(f"evaluated {result['model_root']}")
    sys.exit(0 if equal else DIFFERENT)


if __name__ == "__main__":
    main()
