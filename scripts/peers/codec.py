#!/usr/bin/env python3
"""Times our compression and Templar's method in PyTorch, in turn on the same matrix, and prints the ratios.

    scripts/peers/codec.py --cairn target/release/cairn [--rows 2048 --cols 2048] [--threads 1] [--rounds 2] [--json FILE]

Each is a process of its own; the best of the rounds counts, so that a busy moment of the machine does not.
"""
import argparse
import array
import json
import os
import pathlib
import random
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
    parser.add_argument("--rows", type=int, default=2048)
    parser.add_argument("--cols", type=int, default=2048)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--json", type=pathlib.Path)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        matrix = pathlib.Path(directory) / "delta.f32"
        random.seed(0)
        # a million Gaussian numbers, again and again with other signs: the speed is that of new ones
        some = [random.gauss(0, 1e-3) for _ in range(1 << 20)]
        with matrix.open("wb") as file:
            left = args.rows * args.cols
            while left > 0:
                start = random.randrange(len(some))
                piece = (some[start:] + some[:start])[:left]
                array.array("f", piece).tofile(file)
                left -= len(piece)
        common = ["--input", matrix, "--rows", args.rows, "--cols", args.cols, "--threads", args.threads]
        best = {}
        for _ in range(args.rounds):
            for name, command in {
                "ours": [args.cairn, "bench", "codec", "--json", *common],
                "torch": [sys.executable, HERE / "torch_codec.py", *common],
            }.items():
                found = run(command)
                kept = best.setdefault(name, found)
                for key, value in found.items():
                    if key.endswith("gb_per_s"):
                        kept[key] = max(kept[key], value)
    ratios = {}
    print(f"{'':18} {'ours':>8} {'PyTorch':>8} {'ratio':>7}   (GB/s of dense f32, {args.threads} threads)")
    for key in ("encode_gb_per_s", "decode_and_apply_gb_per_s"):
        ours, torch = best["ours"][key], best["torch"][key]
        ratios[key.removesuffix("_gb_per_s")] = ours / torch
        print(f"{key.removesuffix('_gb_per_s'):18} {ours:8.2f} {torch:8.2f} {ours / torch:7.2f}")
    text = json.dumps(dict(results=best, ratios=ratios), indent=1)
    if args.json:
        args.json.write_text(text + "\n")
    else:
        print(text)


if __name__ == "__main__":
    main()
