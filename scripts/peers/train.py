#!/usr/bin/env python3
"""Times our training step and PyTorch's, in turn, and prints the ratios as a table and as JSON.

    scripts/peers/train.py --cairn target/debug/cairn [--configs 10m 100m] [--threads 1 2] [--rounds 2] [--json FILE]

Each round runs ours, PyTorch eager and PyTorch compiled, each in a process of its own; the best of the rounds counts, so
that a busy moment of the machine does not.
"""
import argparse
import json
import os
import pathlib
import platform
import subprocess
import sys

HERE = pathlib.Path(__file__).parent
# Set on some machines for old OpenBLAS builds; they would slow PyTorch's libraries.
IN_THE_WAY = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "MKL_NUM_THREADS", "OMP_NUM_THREADS")


def run(command):
    env = {name: value for name, value in os.environ.items() if name not in IN_THE_WAY}
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))} failed:\n{done.stderr.strip()}")
    return json.loads(done.stdout[done.stdout.index("{") :])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cairn", required=True)
    parser.add_argument("--configs", nargs="+", default=["10m", "100m"])
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--json", type=pathlib.Path)
    args = parser.parse_args()

    results, torch_version = [], None
    print(f"{'model':6} {'threads':>7} {'ours':>10} {'eager':>10} {'compiled':>10} {'/eager':>7} {'/comp.':>7} {'memory':>9} {'eager':>9}")
    for config in args.configs:
        for threads in args.threads:
            common = ["--config", config, "--threads", str(threads), "--steps", str(args.steps)]
            torch = [sys.executable, HERE / "torch_train.py", *common]
            best = {}
            for _ in range(args.rounds):
                for name, command in {
                    "ours": [args.cairn, "bench", "train", "--json", "--seq", "512", "--batch", "4", *common],
                    "eager": torch,
                    "compiled": [*torch, "--compile"],
                }.items():
                    found = run(command)
                    torch_version = found.get("torch", torch_version)
                    if name not in best or found["tokens_per_s"] > best[name]["tokens_per_s"]:
                        best[name] = found
            speed = {name: found["tokens_per_s"] for name, found in best.items()}
            memory = {name: found["peak_memory"] / 2**20 for name, found in best.items()}
            row = dict(
                config=config,
                threads=threads,
                tokens_per_s=speed,
                share_of_peak=best["ours"]["share_of_peak"],
                over_eager=speed["ours"] / speed["eager"],
                over_compiled=speed["ours"] / speed["compiled"],
                peak_memory_mib=memory,
            )
            results.append(row)
            print(
                f"{config:6} {threads:7} {speed['ours']:10.0f} {speed['eager']:10.0f} {speed['compiled']:10.0f}"
                f" {row['over_eager']:7.2f} {row['over_compiled']:7.2f} {memory['ours']:7.0f} M {memory['eager']:7.0f} M",
                flush=True,
            )
    report = dict(torch=torch_version, machine=platform.processor() or platform.machine(), results=results)
    text = json.dumps(report, indent=1)
    if args.json:
        args.json.write_text(text + "\n")
    else:
        print(text)


if __name__ == "__main__":
    main()
