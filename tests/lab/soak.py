#!/usr/bin/env python3
"""A network of eight workers that are peers of each other, of which one, or the node, is killed now and then.

    soak.py                               an hour
    soak.py --minutes 10 --seed 7 --keep DIR

Everything is on one machine: a node, five miners and three validators, each with a store of its own. Who is killed, by
`kill -9`, when, and how long it stays away follows from the seed. Memory of each process and bytes of each directory
are sampled. At the end nobody is killed any more, all have to come to hold the newest parameters that the chain has as
final, and it says what was seen: rounds, kills, memory, disk, how long no round was settled, and what workers warned
of, by kind. Each store and state directory has to be within the bound that `cairn run plan` names, and to hold nothing
of rounds that it should have removed.

Needs root, iproute2, nftables and python3; `make lab-soak` builds what it starts. Where namespaces cannot be made it
says so and ends with 0.
"""

import collections
import json
import os
import pathlib
import random
import shutil
import sys
import time
import urllib.error

import logs
import session
import table
from chain import NETUID, Chain, surroundings
from members import members
from network import LabError, Network
from session import ROOT, say

MINERS, VALIDATORS = 5, 3
FIRST_PORT = 4501
# Seconds from one kill to the next, and that a killed one stays away, at least and at most.
BETWEEN, AWAY = (15, 60), (1, 20)
# Of ten kills so many are of the node.
NODE_OF_TEN = 1
# Seconds between samples of memory and disk.
SAMPLE = 5
# Seconds that all have at the end to hold what the chain has.
CATCHING_UP = 180
# Rounds of which a store holds files, and what was served for audits: `HISTORY_ROUNDS` and `AUDITED_ROUNDS`, with the
# present one. Five rounds may go by between two looks, and a look takes its time.
KEPT = {"contributions": 256 + 1 + 5 + 2, "audits": 16 + 1 + 2}
MIB = 1 << 20


class Soak:
    """One soak, from an empty directory to its report."""

    def __init__(self, network, args, directory):
        self.network, self.args, self.directory = network, args, directory
        self.random = random.Random(args.seed)
        self.chain = Chain(network, args.bin, directory, ROOT)
        self.members = members(MINERS, VALIDATORS)
        self.commands = {}  # of workers, by member
        self.away = {}  # when it is started again, by name
        self.kills = collections.Counter()
        self.settled = {}  # when, by round
        self.included = set()  # contributions in them, by uid and round
        self.most = collections.defaultdict(lambda: [0, 0])  # MiB of memory in each half, by name
        self.disk = []  # bytes of all stores and state directories together
        self.node_disk = []  # of the node's database
        self.ended = []  # workers that ended by themselves
        self.unanswered = []  # of these, those that began while the node was away
        self.astray = []
        self.lineage = {}

    def set_up(self):
        """A chain, a subnet, its members, and at last the run."""
        self.chain.start()
        store = self.directory / "store"
        self.chain.prepare(self.args.run, store)
        self.chain.found(self.members)
        for member in self.members:
            bind = f"127.0.0.1:{FIRST_PORT + member.number}"
            self.commands[member.name] = self.chain.peer(member, store, bind)
            self.start(member.name)
        self.chain.start_run(self.args.run, store)

    def start(self, name):
        """Starts a worker, or starts it again."""
        self.network.start(name, "hub", self.commands[name], surroundings())

    def disturb(self, now):
        """Kills somebody if it is time, and starts again who was away for long enough."""
        for name in [name for name, until in self.away.items() if until <= now]:
            del self.away[name]
            if name == "node":
                self.network.start("node", "hub", self.chain.command())
            else:
                self.start(name)
        if now < self.next_kill:
            return
        self.next_kill = now + self.random.uniform(*BETWEEN)
        names = [member.name for member in self.members]
        name = "node" if self.random.randrange(10) < NODE_OF_TEN else self.random.choice(names)
        away = self.random.uniform(*AWAY)
        if name in self.away:
            return
        self.network.kill(name)
        self.kills[name] += 1
        self.away[name] = now + away
        say(f"{name} is killed, for {away:.0f} s")

    def look(self, now, half):
        """Notes rounds, who ended by itself, memory and disk."""
        for name in self.network.ended(member.name for member in self.members):
            if name not in self.away:
                how = self.network.ending(name)
                # Who begins while the node is away says so and ends, for its supervisor to start it again.
                them = self.unanswered if "no node answers" in how else self.ended
                them.append(f"{name} {how}")
                self.away[name] = now + BETWEEN[0]
        if "node" not in self.away:
            self.network.check(["node"])
            self.rounds(now)
        for name in ["node", *(member.name for member in self.members)]:
            if name not in self.away:
                self.most[name][half] = max(self.most[name][half], resident(self.network.processes[name].pid))
        self.disk.append(size(self.directory / "stores") + size(self.directory / "state"))
        self.node_disk.append(size(self.directory / "node"))

    def rounds(self, now):
        """Notes rounds that were settled, and whether anybody holds other parameters than the chain."""
        try:
            current = self.chain.round() or 0
            self.lineage |= self.chain.roots()
            for number in range(len(self.settled), current):
                settled = self.chain.settled(number) or {"included": []}
                self.included |= {(uid, number) for uid in settled["included"]}
                self.settled[number] = now
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return
        for member in self.members:
            status = member.look(self.directory)
            if status is not None:
                root = self.lineage.get(status["round"])
                if root not in (None, status["model_root"]):
                    self.astray.append(f"{member.name} holds other parameters in round {status['round']}")

    def over(self):
        """Directories that hold more than their bound, or files of rounds that should be gone."""
        plan = json.loads(self.chain.cairn("run", "plan", "--file", self.args.run, "--json"))
        held = {part["who"]: [one["bytes"] for one in part["held"]] for part in plan["parts"]}
        text, current, found = size(self.directory / "store"), max(self.settled, default=0), []
        for member in self.members:
            state_bound, store_bound = held[f"a {member.role}, on disk"][:2]
            state, store = self.directory / "state" / member.name, self.directory / "stores" / member.name
            for place, bound in [(state, state_bound), (store, store_bound + text)]:
                # Logs have a line for each round or for what was measured in it, and grow.
                bytes_ = size(place, lambda file: not file.endswith(".jsonl"))
                if bytes_ > bound:
                    found.append(f"{place.name}'s {place.parent.name} has {bytes_} bytes of {bound}")
            for kind, rounds in KEPT.items():
                old = [number for number in rounds_in(store / kind / str(NETUID)) if number <= current - rounds]
                if old:
                    found.append(f"{member.name}'s store has {kind} of rounds {min(old)} to {max(old)} in {current}")
        return found

    def behind(self):
        """Members that do not hold the newest parameters that are final, nor newer ones."""
        newest = max(self.lineage, default=0)
        return [m.name for m in self.members if max(m.roots, default=-1) < newest]

    def play(self):
        """Disturbs for as long as was asked for, and lets everybody catch up."""
        self.set_up()
        begin = time.monotonic()
        self.next_kill = begin + self.random.uniform(*BETWEEN)
        whole, sampled = self.args.minutes * 60, 0.0
        while (now := time.monotonic()) - begin < whole:
            self.disturb(now)
            if now - sampled >= SAMPLE:
                self.look(now, int(now - begin > whole / 2))
                sampled = now
            time.sleep(0.5)
        self.next_kill = float("inf")
        say("nobody is killed any more")
        until = time.monotonic() + CATCHING_UP
        while time.monotonic() < until:
            self.disturb(time.monotonic())
            self.look(time.monotonic(), 1)
            if not self.away and not self.behind():
                break
            time.sleep(2)
        return self.facts(begin)

    def goodput(self, said):
        """Of the tokens that miners say they made contributions of, the percentage that settled rounds include."""
        trained, total = {}, 0
        for member in self.members:
            # What a round still going on will include nobody knows.
            made = [one for one in logs.trained(said[member.name]) if one[0] in self.settled]
            total += sum(tokens for _, tokens in made)
            trained |= {(member.uid, number): tokens for number, tokens in made}
        return round(table.share(sum(trained.get(one, 0) for one in self.included), total), 1)

    def facts(self, begin):
        """What was seen."""
        times = [begin, *sorted(self.settled.values())]
        said = {member.name: self.network.said(member.name) for member in self.members}
        return {
            "minutes": self.args.minutes,
            "seed": self.args.seed,
            "load": round(os.getloadavg()[0], 1),
            "rounds": len(self.settled),
            "included": len(self.included),
            "goodput": self.goodput(said),
            "longest_without": round(max((b - a for a, b in zip(times, times[1:])), default=0)),
            "kills": dict(self.kills),
            "ended": self.ended,
            "unanswered": self.unanswered,
            "astray": sorted(set(self.astray)),
            "behind": self.behind(),
            "memory": dict(self.most),
            "disk": [self.disk[0] // MIB, max(self.disk) // MIB, self.disk[-1] // MIB],
            "node_disk": [self.node_disk[0] // MIB, self.node_disk[-1] // MIB],
            "over": self.over(),
            "panics": [name for name, log in said.items() if "panicked" in log],
            "warnings": logs.warnings(said).most_common(),
        }


def resident(pid):
    """MiB of memory that a process has."""
    try:
        lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) // 1024 for line in lines if line.startswith("VmRSS:")), 0)


def rounds_in(directory):
    """The rounds of which a store's directory has files."""
    if not directory.is_dir():
        return []
    return [int(entry.name) for entry in directory.iterdir() if entry.name.isdecimal() and any(entry.iterdir())]


def size(directory, counts=lambda _: True):
    """Bytes of all files beneath a directory that count."""
    total = 0
    for place, _, files in os.walk(directory):
        for file in filter(counts, files):
            try:
                total += os.lstat(os.path.join(place, file)).st_size
            except OSError:
                pass  # it went meanwhile
    return total


def show(facts):
    """The facts in Markdown."""
    print(f"{facts['minutes']} minutes with seed {facts['seed']}, load {facts['load']} at the end:\n")
    print(f"- {facts['rounds']} rounds were settled; the longest time without one was {facts['longest_without']} s.")
    print(f"- {facts['included']} of {MINERS * facts['rounds']} contributions were included.")
    print(f"- Goodput: {facts['goodput']} % of the tokens that miners say they made contributions of.")
    kills = ", ".join(f"{name} {times}" for name, times in sorted(facts["kills"].items()))
    print(f"- {sum(facts['kills'].values())} kills: {kills}.")
    first, most, last = facts["disk"]
    print(f"- Stores and states together had {first} MiB at first, {most} at most, {last} at last.")
    first, last = facts["node_disk"]
    print(f"- The node's directory had {first} MiB at first, {last} at last.")
    for words in ["ended", "unanswered", "astray", "behind", "over", "panics"]:
        print(f"- {words}: {'; '.join(facts[words]) or 'nobody'}")
    print("\n| | MiB of memory, first half | second half |\n|---|--:|--:|")
    for name, (sooner, later) in facts["memory"].items():
        print(f"| {name} | {sooner} | {later} |")
    print("\n| times | warning |\n|--:|---|")
    for words, times in facts["warnings"]:
        print(f"| {times} | {words} |")


def arguments():
    """What is asked for."""
    parser = session.arguments("Eight workers, killed at random")
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


def main():
    """Soaks, and shows what was seen; 1 if somebody was stuck, astray, panicked or held too much."""
    args = arguments()
    code = session.refused(args)
    if code is not None:
        return code
    directory = session.directory(args)
    try:
        with Network(directory) as network:
            facts = Soak(network, args, directory).play()
    except (LabError, OSError) as error:
        say(f"{error}; logs are in {directory}")
        return 1
    (directory / "soak.json").write_text(json.dumps(facts, indent=2) + "\n")
    show(facts)
    failed = any(facts[words] for words in ["ended", "astray", "behind", "over", "panics"])
    if not args.keep and not failed:
        shutil.rmtree(directory)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
