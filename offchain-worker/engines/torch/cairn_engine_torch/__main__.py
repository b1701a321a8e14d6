"""Starts a rank: `python -m cairn_engine_torch --socket PATH --directory DIR`, alone or under torchrun."""

import argparse
import os
import socket
import sys
import traceback

from . import watch
from .border import Border
from .faults import FATAL, fault_of

END = "end"


def options():
    parser = argparse.ArgumentParser(prog="cairn-engine-torch", description=__doc__)
    parser.add_argument("--socket", required=True, help="where the other side waits for rank 0")
    parser.add_argument("--directory", required=True, help="of the bulk files, the same for all ranks")
    parser.add_argument("--device", default="cpu", help="auto, or as PyTorch names it: cpu, cuda, xpu, mps")
    parser.add_argument("--dtype", choices=("f32", "bf16"), default="f32", help="what products are computed in")
    parser.add_argument("--tokens-per-pass", type=int, help="the most tokens of a rank in one pass [default: all]")
    parser.add_argument("--recompute", action="store_true", help="keep layers' inputs only, for less memory")
    parser.add_argument("--threads", type=int, help="of each rank, on the CPU [default: PyTorch's]")
    parser.add_argument("--collective-timeout", type=float, default=300.0, metavar="SECONDS")
    return parser.parse_args()


def serve(border, ranks, engine, directory):
    """Rank 0: does what is asked, with all ranks, until nobody asks any more."""
    while request := border.receive():
        try:
            ranks.tell(request)
            border.done(engine.handle(*request))
        except Exception as error:
            fault = fault_of(error, ranks.number)
            if fault.kind in FATAL:
                border.end(watch.cause(directory, fault))
            border.failed(fault)
    ranks.tell((END, {}))


def follow(ranks, engine, directory):
    """The other ranks: do what rank 0 tells them."""
    while True:
        verb, fields = ranks.told()
        if verb == END:
            return
        try:
            engine.handle(verb, fields)
        except Exception as error:
            fault = fault_of(error, ranks.number)
            if fault.kind in FATAL:
                watch.leave(directory, ranks.number, fault)


def run(asked):
    """A rank, from its first to its last request."""
    border = None
    watch.end_with_parent()
    if int(os.environ.get("RANK", 0)) == 0:
        end = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        end.connect(asked.socket)
        border = Border(end)
        watch.watch(asked.directory, border)
    # PyTorch takes seconds to come: not before the threads that watch, which mask a signal for all that follow.
    import torch

    from .engine import Engine
    from .ranks import Ranks

    if asked.threads:
        torch.set_num_threads(asked.threads)
    ranks = Ranks(asked.device, asked.collective_timeout)
    engine = Engine(ranks, asked)
    if border is None:
        follow(ranks, engine, asked.directory)
    else:
        serve(border, ranks, engine, asked.directory)


def main():
    asked = options()
    try:
        run(asked)
    except Exception:
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)
    # At once: leaving a group waits for ranks that may be gone.
    os._exit(0)


if __name__ == "__main__":
    main()
