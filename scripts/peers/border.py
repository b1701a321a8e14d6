#!/usr/bin/env python3
"""Times what the ranks of the engine on PyTorch read and write at 72B: one layer of covenant-72b, scaled to the model.

    PYTHON -m torch.distributed.run --nproc-per-node RANKS scripts/peers/border.py --directory DIR [--threads 1]

PYTHON is that of `make engine-torch`. The directory is where files would be shared with `cairn`. Each rank reads its
rows of the parameters, and writes them to a file that is as long already, as the engine does, with gloo on the CPU. Of
three turns the median counts. Prints one JSON object. Needs 3.5 GB of memory and 7 GB in the directory.
"""
import argparse
import json
import os
import statistics
import time
from types import SimpleNamespace

import numpy
import torch
from cairn_engine_torch.bulk import Bulk
from cairn_engine_torch.layout import Shape, layout_of, parameters
from cairn_engine_torch.ranks import Ranks
from cairn_engine_torch.sharded import Sharded

LAYER = dict(layers=1, d_model=8192, heads=64, kv_heads=8, ffn=28_672, vocabulary=64, context=2_048, rope_theta=500_000)
MODEL = {**LAYER, "layers": 80, "vocabulary": 262_144}
TURNS = 3
# Numbers that are written at once.
PIECE = 1 << 22


def fill(path, numbers):
    """A file of numbers that no page of it shares with another."""
    state = numpy.random.default_rng(1)
    with open(path, "wb") as file:
        for start in range(0, numbers, PIECE):
            state.random(min(PIECE, numbers - start), dtype="<f4").tofile(file)


def timed(ranks, act):
    """Seconds until all ranks have done it, from when all began."""
    ranks.sum(0.0)
    began = time.monotonic()
    act()
    ranks.sum(0.0)
    return time.monotonic() - began


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--directory", required=True)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--ffn", type=int, default=LAYER["ffn"], help="a smaller one, to try the script")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    ranks = Ranks("cpu", 300)
    shape = Shape(**{**LAYER, "ffn": args.ffn}, tied_embeddings=True)
    sharded = Sharded(shape, ranks, SimpleNamespace(recompute=False, dtype="f32"))
    bulk, length = Bulk(args.directory), sharded.length
    given, taken = (os.path.join(args.directory, name) for name in ("given.f32", "taken.f32"))
    if ranks.number == 0:
        fill(given, length)
    reads, writes = [], []
    for _ in range(TURNS):
        reads.append(timed(ranks, lambda: sharded.load(bulk.numbers("given.f32", length))))
        if ranks.number == 0:
            with open(taken, "wb") as file:
                file.truncate(4 * length)
        writes.append(timed(ranks, lambda: sharded.save(bulk.to_fill("taken.f32", length))))
    if ranks.number == 0:
        both = [bulk.numbers(name, length) for name in ("given.f32", "taken.f32")]
        same = all((both[0][at : at + PIECE] == both[1][at : at + PIECE]).all() for at in range(0, length, PIECE))
        os.remove(given)
        os.remove(taken)
        whole = parameters(layout_of(Shape(**MODEL, tied_embeddings=False))) / length
        found = dict(ranks=ranks.count, threads=args.threads, bytes=4 * length, same=bool(same), scale=whole)
        for name, times in dict(read=reads, write=writes).items():
            found[f"{name}_s"] = statistics.median(times)
            found[f"{name}_s_of_the_model"] = found[f"{name}_s"] * whole
        print(json.dumps(found))


if __name__ == "__main__":
    main()
