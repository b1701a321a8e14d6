#!/usr/bin/env python3
"""How long a miner that is killed takes until it trains again, and until its work counts again.

    recovery.py                           five kills, the model of `cairn devnet`: 0.9 million parameters
    recovery.py --kills 3 --run FILE --keep DIR
    recovery.py --miners 1 --patience 7200 --run tests/lab/run-1gib.toml

A real node, two miners (`--miners`) and a validator on one machine, with one directory as their store. The first miner
is killed, as by `kill -9`, after some inner steps of a round, and started again at once; how long a supervisor waits is
not in the figures. It runs at a terminal of this program's, and what its display says of inner steps is read there:
four times a second. Then it is let be until a round has included it again.

Needs root, iproute2, nftables and python3; `make lab-recovery` builds what it starts. Where namespaces cannot be made
it says so and ends with 0.
"""

import codecs
import fcntl
import json
import os
import re
import shutil
import statistics
import struct
import subprocess
import sys
import termios
import threading
import time

import session
from chain import Chain, surroundings
from members import members
from network import LabError, Network, die_with_parent
from session import ROOT, say

# What a picture is made of: a control sequence, or a character.
PART = re.compile(r"\x1b\[([0-9;?]*)([a-zA-Z])|\x1b.|([^\x1b])", re.DOTALL)
BEGUN = re.compile(r"\x1b(\[[0-9;?]*)?$")
STEP = re.compile(r"step (\d+) of (\d+) ·")
ROWS, COLUMNS = 40, 140
HEAD = ["kill", "round", "after step", "s to the next step", "s until included", "rounds without it", "load"]


class Picture:
    """What stands on a terminal whose program moves the cursor to places and writes characters there."""

    def __init__(self):
        self.cells, self.row, self.column, self.rest = {}, 1, 1, ""

    def write(self, text):
        """Draws; the beginning of a sequence that is not whole yet waits."""
        text = self.rest + text
        begun = BEGUN.search(text)
        text, self.rest = (text[: begun.start()], begun[0]) if begun else (text, "")
        for values, kind, character in PART.findall(text):
            if kind == "H":
                row, _, column = values.partition(";")
                self.row, self.column = int(row or 1), int(column or 1)
            elif kind == "J":
                self.cells.clear()
            elif character:
                self.cells[self.row, self.column] = character
                self.column += 1

    def lines(self):
        """The lines, from the top."""
        for row in range(1, ROWS + 1):
            yield "".join(self.cells.get((row, column), " ") for column in range(1, COLUMNS + 1))


class Shown:
    """A worker at a terminal, and what it shows there."""

    def __init__(self, command, log):
        here, there = os.openpty()
        fcntl.ioctl(there, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        self.step, self.first_step_at = None, None
        self.log = open(log, "ab")
        self.begun_at = time.monotonic()
        self.process = subprocess.Popen(
            list(map(str, command)), stdin=there, stdout=there, stderr=there, start_new_session=True,
            preexec_fn=in_front, env=surroundings() | {"TERM": "xterm"},
        )  # fmt: skip
        os.close(there)
        threading.Thread(target=self.read, args=[here], daemon=True).start()

    def read(self, terminal):
        """Notes the inner step that it shows, until it is gone."""
        picture, decoder = Picture(), codecs.getincrementaldecoder("utf-8")(errors="replace")
        while True:
            try:
                piece = os.read(terminal, 65536)
            except OSError:
                piece = b""
            if not piece:
                break
            self.log.write(piece)
            self.log.flush()
            # Only what changed of a picture is written.
            picture.write(decoder.decode(piece))
            found = next(filter(None, map(STEP.search, picture.lines())), None)
            if found:
                self.step = int(found[1])
                self.first_step_at = self.first_step_at or time.monotonic()
        os.close(terminal)

    def kill(self):
        """Ends it as `kill -9` does."""
        self.process.kill()
        self.process.wait()


def in_front():
    """In a child: its terminal is its own, and it goes with the lab."""
    die_with_parent()
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


class Trial:
    """A network of which one miner is killed now and then."""

    def __init__(self, network, args, directory):
        self.network, self.args, self.directory = network, args, directory
        self.chain = Chain(network, args.bin, directory, ROOT)
        self.members = members(args.miners, 1)
        self.until = time.monotonic() + args.patience

    def set_up(self):
        """A chain, a subnet, its members, their workers, and at last the run."""
        self.chain.start()
        store = self.directory / "store"
        self.chain.prepare(self.args.run, store)
        self.chain.found(self.members)
        for member in self.members[1:]:
            self.network.start(member.name, "hub", self.command(member), surroundings())
        self.shown = self.start()
        self.chain.start_run(self.args.run, store)

    def command(self, member):
        """What a member's worker is."""
        return self.chain.worker(member, f"file://{self.directory / 'store'}")

    def start(self):
        """Starts the first miner at a terminal."""
        member = self.members[0]
        return Shown(self.command(member), self.directory / f"{member.name}.screen")

    def wait(self, what, is_so):
        """Waits until something is so, and gives it."""
        while not (found := is_so()):
            self.network.check(["node", *(member.name for member in self.members[1:])])
            if self.shown.process.poll() is not None:
                raise LabError(f"miner-1 ended with {self.shown.process.returncode}: see {self.directory}")
            if time.monotonic() > self.until:
                raise LabError(f"{what}: it was not so after {self.args.patience} s")
            time.sleep(0.05)
        return found

    def included_from(self, first):
        """The first round from this one on that included the first miner; none so far."""
        for number in range(first, self.chain.round() or 0):
            settled = self.chain.settled(number)
            if settled and self.members[0].uid in settled["included"]:
                return (number,)
        return None

    def kill(self, number):
        """Kills the miner in the middle of a round's steps, and says what came after."""
        shown = self.shown
        after = self.args.after
        self.wait("a round's first steps", lambda: shown.step is not None and shown.step < after)
        self.wait("the steps after them", lambda: (shown.step or 0) >= after)
        round_, step, begin = self.chain.round(), shown.step, time.monotonic()
        shown.kill()
        self.shown = self.start()
        trains = self.wait("an inner step after the kill", lambda: self.shown.first_step_at) - begin
        included = self.wait("a round that includes it", lambda: self.included_from(round_))[0]
        facts = {"kill": number, "round": round_, "after": step, "trains": round(trains, 1)}
        facts |= {"counts": round(time.monotonic() - begin, 1), "missed": included - round_}
        return facts | {"load": round(os.getloadavg()[0], 1)}

    def play(self):
        """All kills."""
        self.set_up()
        seen = []
        first = 0
        for number in range(1, self.args.kills + 1):
            # Not in a round for which it came late.
            first = self.wait("a round that includes it", lambda at=first: self.included_from(at))[0] + 1
            seen.append(self.kill(number))
            print(rows(seen)[-1], file=sys.stderr, flush=True)
            first = seen[-1]["round"] + seen[-1]["missed"]
        return seen


def rows(seen):
    """A table in Markdown."""
    lines = ["| " + " | ".join(HEAD) + " |", "|" + "--:|" * len(HEAD)]
    for facts in seen:
        lines.append("| " + " | ".join(str(value) for value in facts.values()) + " |")
    return lines


def arguments():
    """What is asked for."""
    parser = session.arguments("Seconds from the kill of a miner to training again", ROOT / "chain-specs/run-tiny.toml")
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--miners", type=int, default=2, help="one of them is killed; with 1 there is nobody else")
    parser.add_argument("--after", type=int, default=3, help="inner steps of a round before it is killed")
    parser.add_argument("--patience", type=int, default=1800, help="seconds for all of it")
    args = parser.parse_args()
    if args.miners < 1:
        parser.error("one miner at least: it is killed")
    return args


def main():
    """Kills, and shows a table."""
    args = arguments()
    code = session.refused(args)
    if code is not None:
        return code
    directory = session.directory(args)
    try:
        with Network(directory) as network:
            trial = Trial(network, args, directory)
            try:
                seen = trial.play()
            finally:
                if hasattr(trial, "shown"):
                    trial.shown.kill()
    except (LabError, OSError) as error:
        say(f"{error}; logs are in {directory}")
        return 1
    print("\n".join(rows(seen)))
    times = [facts["trains"] for facts in seen]
    say(f"to the next step: {statistics.median(times)} s in the middle, {max(times)} s at most")
    if args.keep:
        (directory / "recovery.json").write_text(json.dumps(seen, indent=2) + "\n")
    else:
        shutil.rmtree(directory)
    return 0


if __name__ == "__main__":
    sys.exit(main())
