#!/usr/bin/env python3
"""Times choosing tokens, ours beside transformers' on the same weights, in turn, and prints the ratios.

    scripts/peers/generate.py --cairn BINARY [--configs 10m 100m] [--threads 2] [--rounds 2] [--json FILE]

The weights are drawn by transformers and read by ours. A prompt of 64 tokens, then 128 by the likeliest token, f32,
batch 1, keys and values kept by both. Each is a process of its own; the best of the rounds counts, so that a busy
moment of the machine does not. Says how many of the tokens are the same.
"""
import argparse
import json
import os
import pathlib
import platform
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).parent
# Set on some machines for old OpenBLAS builds; they would slow PyTorch's libraries.
IN_THE_WAY = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "MKL_NUM_THREADS", "OMP_NUM_THREADS")


def run(command):
    env = {name: value for name, value in os.environ.items() if name not in IN_THE_WAY}
    done = subprocess.run(list(map(str, command)), env=env, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))} failed:\n{done.stderr.strip()}")
    return json.loads(done.stdout[done.stdout.index("{") :])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cairn", required=True)
    parser.add_argument("--configs", nargs="+", default=["10m", "100m"])
    parser.add_argument("--threads", nargs="+", type=int, default=[2])
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--prompt-tokens", type=int, default=64)
    parser.add_argument("--max-tokens", type=int, default=128)
    parser.add_argument("--json", type=pathlib.Path)
    args = parser.parse_args()
    lengths = ["--prompt-tokens", args.prompt_tokens, "--max-tokens", args.max_tokens]
    results, versions = [], {}
    print("tokens per second: each token after the prompt, and the prompt")
    print(f"{'model':6} {'threads':>7} {'ours':>8} {'theirs':>8} {'ratio':>6}   {'ours':>8} {'theirs':>8} {'ratio':>6}   same")
    for config in args.configs:
        with tempfile.TemporaryDirectory() as directory:
            theirs = [sys.executable, HERE / "torch_generate.py", "--model", directory]
            run([*theirs, "--make", config])
            for threads in args.threads:
                common = [*lengths, "--threads", threads]
                best, tokens = {}, {}
                for _ in range(args.rounds):
                    for name, command in {
                        "ours": [args.cairn, "bench", "generate", "--json", "--model", directory, *common],
                        "transformers": [*theirs, *common],
                    }.items():
                        found = run(command)
                        tokens[name] = found["tokens"]
                        versions.update(found.get("versions", {}))
                        kept = best.setdefault(name, {})
                        for key in ("tokens_per_s", "prompt_tokens_per_s"):
                            kept[key] = max(kept.get(key, 0), found[key])
                ours, hf = best["ours"], best["transformers"]
                same = sum(a == b for a, b in zip(tokens["ours"], tokens["transformers"]))
                ratios = {key: ours[key] / hf[key] for key in ours}
                results.append(dict(config=config, threads=threads, same_tokens=same, ratios=ratios, **best))
                print(
                    f"{config:6} {threads:7}"
                    f" {ours['tokens_per_s']:8.1f} {hf['tokens_per_s']:8.1f} {ratios['tokens_per_s']:6.2f}  "
                    f" {ours['prompt_tokens_per_s']:8.0f} {hf['prompt_tokens_per_s']:8.0f}"
                    f" {ratios['prompt_tokens_per_s']:6.2f}   {same} of {len(tokens['ours'])}",
                    flush=True,
                )
    report = dict(versions=versions, machine=platform.processor() or platform.machine(), results=results)
    text = json.dumps(report, indent=1)
    if args.json:
        args.json.write_text(text + "\n")
    else:
        print(text)


if __name__ == "__main__":
    main()
