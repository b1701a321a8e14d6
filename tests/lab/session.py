"""How a lab's programs begin: what they are told, whether there can be a lab here, and where its logs go."""

import argparse
import os
import pathlib
import signal
import sys
import tempfile

from network import clear_leftovers, why_not

ROOT = pathlib.Path(__file__).resolve().parents[2]
# The run of programs that need no other.
SMALL = ROOT / "tests/lab/run-small.toml"


def say(words):
    """Tells people how it goes."""
    print(f"{pathlib.Path(sys.argv[0]).stem}: {words}", file=sys.stderr, flush=True)


def arguments(about, run=SMALL):
    """A parser of what all of them are told."""
    target = os.environ.get("CARGO_TARGET_DIR", pathlib.Path.home() / ".cache/cairn/target")
    parser = argparse.ArgumentParser(description=f"{about}: see docs/lab.md")
    programs = pathlib.Path(target) / "debug"
    parser.add_argument("--bin", type=pathlib.Path, default=programs, help="where the programs are")
    parser.add_argument("--run", type=pathlib.Path, default=run, help="the run's configuration")
    parser.add_argument("--keep", type=pathlib.Path, help="keep logs and reports in this directory")
    return parser


def refused(args):
    """With what exit code to end, if there can be no lab here: why is said. None if there can be one."""
    missing = why_not()
    if missing:
        say(f"skipped: {missing}")
        return 0
    for program in ["cairn", "cairn-node"]:
        if not (args.bin / program).is_file():
            say(f"{args.bin / program} is not there: build it, as `make lab` does, or name its place by --bin")
            return 1
    # It ends this program by its own way, which takes everything down.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    clear_leftovers()
    return None


def directory(args):
    """Where logs and reports go."""
    name = f"cairn-{pathlib.Path(sys.argv[0]).stem}-"
    place = (args.keep or pathlib.Path(tempfile.mkdtemp(prefix=name))).resolve()
    place.mkdir(parents=True, exist_ok=True)
    return place
