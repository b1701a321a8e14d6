#!/usr/bin/env python3
"""A laboratory: a real node and real workers, each worker in a network namespace of its own, at the end of a line that
is slow, narrow, loses packets, is cut, or leads through a router without open ports.

    lab.py                      all scenarios
    lab.py loss nat             these, after the undisturbed one with which they are compared
    lab.py --rounds 8 --keep DIR cut

Needs root, iproute2, nftables and python3; `make lab` builds what it starts. Where namespaces or TUN devices cannot be
made it says so and ends with 0.
"""

import argparse
import dataclasses
import json
import os
import pathlib
import re
import shutil
import signal
import sys
import tempfile
import time

import table
from chain import NETUID, RICH, Chain, clean
from network import HUB_ADDRESS, INSIDE, PEER_PORT, LabError, Network, clear_leftovers, why_not

ROOT = pathlib.Path(__file__).resolve().parents[2]
# Where the relay is in the hub, and where `forward.py` has it for each member.
RELAY_PORT = 3340
RELAY = f"http://127.0.0.1:{RELAY_PORT}"
# The same of a bucket's server, which takes no TLS either; and the prefix in it that all have as their store.
BUCKET_PORT = 8333
BUCKET = "lab"
# Programs beside those of the workspace that a scenario needs.
EXAMPLES = {"relay": "relay", "s3": "bucket"}
# Kilobits a second of each line, both ways, where a scenario does not say otherwise.
RATE = 10_000
# How long members may take after the last round until they hold its parameters, in seconds.
CATCHING_UP = 90
# How long a supervisor waits at least from one start of a worker to the next, in seconds.
PAUSE = 5
VARIABLE = re.compile(r"\b(AWS_\w+)=(\S+)")
TRAINED = re.compile(r"round (\d+) · trained \d+ steps, ([\d,]+) tokens")


@dataclasses.dataclass
class Scenario:
    """What is done to a network."""

    what: str
    line: dict = dataclasses.field(default_factory=dict)  # options of every line
    lines: dict = dataclasses.field(default_factory=dict)  # more of them, by member
    transport: str = "p2p"
    cut: tuple = ()  # member, round in which its line is cut, round in which it is joined again
    unplugged: bool = False  # not cut: it has no address meanwhile
    routers: dict = dataclasses.field(default_factory=dict)  # "closed" or "forwarded", by member
    relay: bool = False


SCENARIOS = {
    "still": Scenario("nothing is disturbed"),
    "loss": Scenario("every line: 50 ms each way, 1 % lost", {"delay": 50, "loss": 1}),
    "uplink": Scenario("miner-1 sends at a tenth of the rate", lines={"miner-1": {"up": RATE / 10}}),
    "cut": Scenario("miner-1 is cut off for two rounds", cut=("miner-1", 2, 4)),
    "unplugged": Scenario("miner-1 has no address for a round", cut=("miner-1", 2, 3), unplugged=True),
    "nat": Scenario("miner-1 has no open port, and there is no relay", routers={"miner-1": "closed"}),
    "forwarded": Scenario("miner-1 is behind a router that forwards a port", routers={"miner-1": "forwarded"}),
    "relay": Scenario(
        "nobody has an open port, and there is a relay",
        routers={f"{kind}-{number}": "closed" for kind in ["miner", "validator"] for number in range(1, 9)},
        relay=True,
    ),
    "file": Scenario("as loss, with one directory for all", {"delay": 50, "loss": 1}, transport="file"),
    "s3": Scenario(
        "every line: 20 ms each way, 0.1 % lost; one bucket for all, and miner-1 has no open port",
        {"delay": 20, "loss": 0.1},
        transport="s3",
        routers={"miner-1": "closed"},
    ),
}


@dataclasses.dataclass
class Member:
    """Who takes part."""

    name: str
    role: str
    coldkey: str
    number: int
    router: str = None
    uid: int = None
    hotkey: str = None
    roots: dict = dataclasses.field(default_factory=dict)  # of its parameters, by the round that begins with them

    @property
    def address(self):
        """Where the hub finds it, or its router."""
        return f"10.77.1.{self.number}"

    def status(self, directory):
        """What its worker last wrote of itself."""
        try:
            return json.loads((directory / "state" / self.name / "status.json").read_text())
        except (OSError, ValueError):
            return None


def members(args, scenario):
    """Those of a network, miners first."""
    kinds = ["miner"] * args.miners + ["validator"] * args.validators
    made, counts = [], {"miner": 0, "validator": 0}
    for number, role in enumerate(kinds, 1):
        counts[role] += 1
        name = f"{role}-{counts[role]}"
        made.append(Member(name, role, RICH[number], number, scenario.routers.get(name)))
    return made


class Play:
    """One scenario, from an empty directory to its report."""

    def __init__(self, name, args, directory):
        self.name, self.scenario, self.args = name, SCENARIOS[name], args
        self.directory = directory / name
        shutil.rmtree(self.directory, ignore_errors=True)
        self.directory.mkdir(parents=True)
        self.members = members(args, self.scenario)
        self.rounds = {}
        self.commands = {}  # of workers, by member
        self.variables = {}  # that workers have beside their options
        self.launched = {}  # when, by member
        self.restarts = {}  # of workers that ended, by member
        self.until = time.monotonic() + args.patience

    def report(self):
        """Plays it, and says what was seen."""
        begin = time.monotonic()
        facts = {"scenario": self.name, "what": self.scenario.what, "failure": None}
        with Network(self.directory) as network:
            chain = Chain(network, self.args.bin, self.directory, ROOT)
            try:
                self.set_up(network, chain)
                self.watch(network, chain)
            except (LabError, OSError) as error:
                facts["failure"] = str(error)
            facts["packets"] = network.packets()
        facts |= self.seen()
        facts["seconds"] = round(time.monotonic() - begin)
        (self.directory / "report.json").write_text(json.dumps(facts, indent=2) + "\n")
        return facts

    def set_up(self, network, chain):
        """A chain, a subnet, members at the ends of their lines, and at last the run."""
        chain.start()
        store = self.directory / "store"
        chain.prepare(self.args.run, store)
        if self.scenario.relay:
            network.start("relay", "hub", [self.args.bin / "examples" / "relay", f"{HUB_ADDRESS}:{RELAY_PORT}"])
            network.until("relay", "http", 10)
        if self.scenario.transport == "s3":
            self.serve_bucket(network, store)
        chain.found(self.members)
        for member in self.members:
            line = {"up": RATE, "down": RATE} | self.scenario.line | self.scenario.lines.get(member.name, {})
            network.join(member, line)
            if self.scenario.relay:
                network.forward(member, RELAY_PORT)
            if self.scenario.transport == "s3":
                network.forward(member, BUCKET_PORT)
            self.start(network, chain, member, store)
        chain.start_run(self.args.run, store)

    def serve_bucket(self, network, store):
        """A bucket's server, with the encoded text in it."""
        files = self.directory / "buckets"
        shutil.copytree(store, files / "bucket" / BUCKET)
        program = self.args.bin / "examples" / "bucket"
        network.start("bucket", "hub", [program, files, BUCKET_PORT, HUB_ADDRESS])
        network.until("bucket", "AWS_SECRET_ACCESS_KEY", 10)
        self.variables = dict(VARIABLE.findall(network.said("bucket")))
        self.variables["AWS_ENDPOINT_URL"] = f"http://127.0.0.1:{BUCKET_PORT}"

    def start(self, network, chain, member, store):
        """Starts a member's worker."""
        command = [self.args.bin / "cairn", "validate" if member.role == "validator" else "mine"]
        command += ["--key", member.name, "--wallet-dir", chain.wallets(), "--netuid", NETUID]
        command += ["--genesis", chain.genesis, "--state-dir", self.directory / "state" / member.name]
        command += ["--device", "cpu", "--threads", 1]
        if self.scenario.transport == "p2p":
            # The data is public and the same for all; what rounds are made of comes over the lines.
            own = self.directory / "stores" / member.name
            shutil.copytree(store, own)
            command += ["--store", f"file://{own}", "--p2p", "--trust-endpoints", *self.peer(member)]
        elif self.scenario.transport == "s3":
            command += ["--store", f"s3://bucket/{BUCKET}"]
        else:
            command += ["--store", f"file://{store}"]
        self.commands[member.name] = command
        self.launch(network, member.name)

    def launch(self, network, name):
        """Starts a worker, or starts it again."""
        self.launched[name] = time.monotonic()
        env = clean() | {"RAYON_NUM_THREADS": "1"} | self.variables
        network.start(name, name, self.commands[name], env)

    def supervise(self, network):
        """Starts workers again that ended, as a supervisor does, where the scenario takes from them what they need."""
        if not self.scenario.unplugged:
            network.check(self.commands)
            return
        for name in network.ended(self.commands):
            if time.monotonic() > self.launched[name] + PAUSE:
                self.restarts[name] = self.restarts.get(name, 0) + 1
                self.launch(network, name)

    def peer(self, member):
        """Where a member is a peer."""
        words = ["--p2p-bind", f"{INSIDE if member.router else member.address}:{PEER_PORT}"]
        if member.router == "forwarded":
            words += ["--p2p-address", f"{member.address}:{PEER_PORT}"]
        if self.scenario.relay:
            words += ["--p2p-relay", RELAY]
        return words

    def watch(self, network, chain):
        """Looks on until the rounds are over and everybody holds what they made, or patience is."""
        over_since, is_cut = None, False
        while True:
            time.sleep(0.5)
            network.check(["node", *network.line_names()])
            self.supervise(network)
            now = chain.round()
            is_cut = self.disturb(network, now, is_cut)
            self.note(chain, now)
            if now is not None and now >= self.args.rounds:
                over_since = over_since or time.monotonic()
                final = chain.roots().get(self.args.rounds)
                everybody = all(self.args.rounds in member.roots for member in self.members)
                if (final and everybody) or time.monotonic() - over_since > CATCHING_UP:
                    self.finish(chain)
                    return
            if time.monotonic() > self.until:
                self.finish(chain)
                raise LabError(f"it was not over after {self.args.patience} s, in round {now}")

    def disturb(self, network, now, is_cut):
        """Cuts the line that is to be cut, and joins it, when it is time."""
        if not self.scenario.cut or now is None:
            return is_cut
        name, first, last = self.scenario.cut
        should = first <= now < last
        if should != is_cut:
            cut, heal = (network.unplug, network.plug) if self.scenario.unplugged else (network.cut, network.heal)
            (cut if should else heal)(next(member for member in self.members if member.name == name))
            say(f"{self.name}: round {now}: {name} is {'cut off' if should else 'joined again'}")
        return should

    def note(self, chain, now):
        """Writes down what there is to know by now of rounds and members."""
        for number in range(len(self.rounds), min(now or 0, self.args.rounds)):
            settled = chain.settled(number)
            if settled is None:
                raise LabError(f"round {number} is over and the chain does not know how it ended")
            names = {member.uid: member.name for member in self.members}
            self.rounds[number] = {
                "round": number,
                "included": [names[uid] for uid in settled["included"]],
                "settled_at": settled["settled_at"],
                "after": round(time.time(), 1),
            }
            included = ", ".join(self.rounds[number]["included"]) or "nobody"
            say(f"{self.name}: round {number} settled with {included}")
        for member in self.members:
            status = member.status(self.directory)
            if status is not None:
                member.roots[status["round"]] = status["model_root"]

    def finish(self, chain):
        """Takes the chain's own roots, for comparison."""
        roots = chain.roots()
        for number, known in self.rounds.items():
            known["root"] = roots.get(number + 1)

    def seen(self):
        """The scenario's facts."""
        rounds = [self.rounds[number] for number in sorted(self.rounds)]
        trained = {}
        for member in self.members:
            log = self.directory / f"{member.name}.log"
            if member.role == "miner" and log.exists():
                for number, tokens in TRAINED.findall(log.read_text(errors="replace")):
                    trained[member.name, int(number)] = int(tokens.replace(",", ""))
        trained = {key: tokens for key, tokens in trained.items() if key[1] < self.args.rounds}
        reached = sum(trained.get((name, known["round"]), 0) for known in rounds for name in known["included"])
        last = rounds[-1].get("root") if len(rounds) == self.args.rounds else None
        equal = [m.name for m in self.members if last and m.roots.get(self.args.rounds) == last]
        astray = [
            f"{member.name} after round {known['round']}"
            for known in rounds
            for member in self.members
            if known.get("root") and member.roots.get(known["round"] + 1, known["root"]) != known["root"]
        ]
        return {
            "rounds": rounds,
            "wanted": self.args.rounds,
            "members": len(self.members),
            "miners": self.args.miners,
            "equal": equal,
            "astray": astray,
            "restarts": self.restarts,
            "tokens_trained": sum(trained.values()),
            "tokens_reached": reached,
        }


def say(words):
    """Tells people how it goes."""
    print(f"lab: {words}", file=sys.stderr, flush=True)


def arguments():
    """What is asked for."""
    target = os.environ.get("CARGO_TARGET_DIR", pathlib.Path.home() / ".cache/cairn/target")
    parser = argparse.ArgumentParser(description="Workers at the ends of bad lines: see docs/lab.md")
    names = ", ".join(SCENARIOS)
    parser.add_argument("scenarios", nargs="*", help=f"of {names}; all if none is named")
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--miners", type=int, default=3)
    parser.add_argument("--validators", type=int, default=2)
    parser.add_argument("--patience", type=int, default=1200, help="seconds for a scenario")
    programs = pathlib.Path(target) / "debug"
    parser.add_argument("--bin", type=pathlib.Path, default=programs, help="where the programs are")
    parser.add_argument("--run", type=pathlib.Path, default=ROOT / "offchain-worker/worker/tests/run-small.toml")
    parser.add_argument("--keep", type=pathlib.Path, help="keep logs and reports in this directory")
    parser.add_argument("--beside", type=pathlib.Path, help="report of an undisturbed run, to compare with")
    parser.add_argument("--json", type=pathlib.Path, help="write all reports to this file")
    args = parser.parse_args()
    unknown = [name for name in args.scenarios if name not in SCENARIOS]
    if unknown:
        parser.error(f"there is no scenario {unknown[0]}; there are {names}")
    if args.miners + args.validators >= len(RICH):
        parser.error(f"at most {len(RICH) - 1} members: so many development accounts have money")
    return args


def wanted(args):
    """The scenarios to play: the undisturbed one first, if its report is not given."""
    chosen = args.scenarios or list(SCENARIOS)
    for name, program in EXAMPLES.items():
        if name in chosen and not args.scenarios and not (args.bin / "examples" / program).exists():
            chosen.remove(name)
            say(f"{name} is left out: there is no examples/{program} beside the programs")
    first = [] if args.beside else ["still"]
    return [*first, *(name for name in dict.fromkeys(chosen) if name != "still")]


def main():
    """Plays scenarios and shows a table."""
    args = arguments()
    missing = why_not()
    if missing:
        say(f"skipped: {missing}")
        return 0
    for program in ["cairn", "cairn-node"]:
        if not (args.bin / program).is_file():
            say(f"{args.bin / program} is not there: build it, as `make lab` does, or name its place by --bin")
            return 1
    # Both end this program by its own way, which takes everything down.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    clear_leftovers()
    directory = args.keep or pathlib.Path(tempfile.mkdtemp(prefix="cairn-lab-"))
    played = wanted(args)
    reports = [json.loads(args.beside.read_text())] if args.beside else []
    try:
        for name in played:
            say(f"{name}: {SCENARIOS[name].what}")
            reports.append(Play(name, args, directory.resolve()).report())
            print(table.rows(reports)[-1], file=sys.stderr, flush=True)
    except KeyboardInterrupt:
        say("interrupted")
        return 130
    if args.json:
        args.json.write_text(json.dumps(reports, indent=2) + "\n")
    print("\n".join(table.rows(reports)))
    failed = [report for report in reports if report["scenario"] in played and table.faults(report)]
    for report in failed:
        name, wrong = report["scenario"], "; ".join(table.faults(report))
        say(f"{name}: {wrong}; its logs are in {directory / name}")
    if not args.keep and not failed:
        shutil.rmtree(directory)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
