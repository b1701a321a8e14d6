"""A network at the ends of lines, from an empty directory to what was seen of it."""

import dataclasses
import json
import re
import shutil
import time

import logs
from chain import Chain, surroundings
from members import members
from network import HUB_ADDRESS, INSIDE, PEER_PORT, LabError, Network
from session import ROOT, say

# Where the relay is in the hub, and where `forward.py` has it for each member.
RELAY_PORT = 3340
RELAY = f"http://127.0.0.1:{RELAY_PORT}"
# The same of a bucket's server, which takes no TLS either; and the prefix in it that all have as their store.
BUCKET_PORT = 8333
BUCKET = "lab"
# Kilobits a second of each line, both ways, where a scenario does not say otherwise.
RATE = 10_000
# How long a supervisor waits at least from one start of a worker to the next, in seconds.
PAUSE = 5
VARIABLE = re.compile(r"\b(AWS_\w+)=(\S+)")


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
    catching_up: int = 90  # seconds that members have after the last round until they hold its parameters


class Play:
    """One scenario, from an empty directory to its report."""

    def __init__(self, name, scenario, args, directory):
        self.name, self.scenario, self.args = name, scenario, args
        self.directory = directory / name
        shutil.rmtree(self.directory, ignore_errors=True)
        self.directory.mkdir(parents=True)
        self.store = self.directory / "store"
        self.members = members(args.miners, args.validators, scenario.routers)
        self.rounds = {}
        self.commands = {}  # of workers, by member
        self.variables = {}  # that workers have beside their options
        self.launched = {}  # when, by member
        self.restarts = {}  # how workers ended that were started again, by member
        self.lineage = {}  # final roots, by the round that begins with them
        self.is_cut = False
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
        chain.prepare(self.args.run, self.store)
        if self.scenario.relay:
            network.start("relay", "hub", [self.args.bin / "examples" / "relay", f"{HUB_ADDRESS}:{RELAY_PORT}"])
            network.until("relay", "http", 10)
        if self.scenario.transport == "s3":
            self.serve_bucket(network)
        chain.found(self.members)
        for member in self.members:
            self.join(network, chain, member)
        chain.start_run(self.args.run, self.store)

    def serve_bucket(self, network):
        """A bucket's server, with the encoded text in it."""
        files = self.directory / "buckets"
        shutil.copytree(self.store, files / "bucket" / BUCKET)
        program = self.args.bin / "examples" / "bucket"
        network.start("bucket", "hub", [program, files, BUCKET_PORT, HUB_ADDRESS])
        network.until("bucket", "AWS_SECRET_ACCESS_KEY", 10)
        self.variables = dict(VARIABLE.findall(network.said("bucket")))
        self.variables["AWS_ENDPOINT_URL"] = f"http://127.0.0.1:{BUCKET_PORT}"

    def join(self, network, chain, member):
        """Puts a member at the end of its line, and starts its worker."""
        line = {"up": RATE, "down": RATE} | self.scenario.line | self.scenario.lines.get(member.name, {})
        network.join(member, line)
        if self.scenario.relay:
            network.forward(member, RELAY_PORT)
        if self.scenario.transport == "s3":
            network.forward(member, BUCKET_PORT)
        self.commands[member.name] = self.worker(chain, member)
        self.launch(network, member.name)

    def worker(self, chain, member):
        """What a member's worker is."""
        if self.scenario.transport == "s3":
            return chain.worker(member, f"s3://bucket/{BUCKET}")
        if self.scenario.transport == "file":
            return chain.worker(member, f"file://{self.store}")
        more = []
        if member.router == "forwarded":
            more += ["--p2p-address", f"{member.address}:{PEER_PORT}"]
        if self.scenario.relay:
            more += ["--p2p-relay", RELAY]
        bind = f"{INSIDE if member.router else member.address}:{PEER_PORT}"
        return chain.peer(member, self.store, bind, *more)

    def launch(self, network, name):
        """Starts a worker, or starts it again."""
        self.launched[name] = time.monotonic()
        network.start(name, name, self.commands[name], surroundings() | self.variables)

    def supervise(self, network):
        """Starts workers again that ended, as a supervisor does, where the scenario takes from them what they need."""
        if not self.scenario.unplugged:
            network.check(self.commands)
            return
        self.start_again(network, self.commands)

    def start_again(self, network, names):
        """Starts those of these workers again that ended, and notes how they did."""
        for name in network.ended(names):
            if time.monotonic() > self.launched[name] + PAUSE:
                self.restarts.setdefault(name, []).append(network.ending(name))
                self.launch(network, name)

    def watch(self, network, chain):
        """Looks on until the rounds are over and everybody holds what they made, or patience is."""
        over_since = None
        while True:
            time.sleep(0.5)
            network.check(["node", *network.line_names()])
            self.supervise(network)
            now = chain.round()
            self.disturb(network, chain, now)
            self.note(chain, now)
            if now is not None and now >= self.args.rounds:
                over_since = over_since or time.monotonic()
                everybody = all(self.args.rounds in member.roots for member in self.expected())
                is_final = self.args.rounds in chain.roots()
                if (is_final and everybody) or time.monotonic() - over_since > self.scenario.catching_up:
                    self.finish(chain)
                    return
            if time.monotonic() > self.until:
                self.finish(chain)
                raise LabError(f"it was not over after {self.args.patience} s, in round {now}")

    def expected(self):
        """Those who are to hold the last round's parameters."""
        return self.members

    def disturb(self, network, _, now):
        """Cuts the line that is to be cut, and joins it, when it is time."""
        if not self.scenario.cut or now is None:
            return
        name, first, last = self.scenario.cut
        should = first <= now < last
        if should != self.is_cut:
            cut, heal = (network.unplug, network.plug) if self.scenario.unplugged else (network.cut, network.heal)
            (cut if should else heal)(next(member for member in self.members if member.name == name))
            say(f"{self.name}: round {now}: {name} is {'cut off' if should else 'joined again'}")
        self.is_cut = should

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
            member.look(self.directory)

    def finish(self, chain):
        """Takes the chain's own roots, for comparison."""
        self.lineage = chain.roots()
        for number, known in self.rounds.items():
            known["root"] = self.lineage.get(number + 1)

    def log(self, member):
        """What a member's worker wrote."""
        log = self.directory / f"{member.name}.log"
        return log.read_text(errors="replace") if log.exists() else ""

    def trained(self):
        """Each contribution that miners say they made for the rounds: its maker, its round, its tokens."""
        made = []
        for member in self.members:
            if member.role == "miner":
                made += [(member.name, number, tokens) for number, tokens in logs.trained(self.log(member))]
        return [one for one in made if one[1] < self.args.rounds]

    def astray(self):
        """Who held other parameters than the chain, and when."""
        found = []
        for number, root in self.lineage.items():
            for member in self.members:
                said = [member.roots.get(number, root)]
                said += [begins for round_, begins in logs.roots(self.log(member)) if round_ == number]
                if not all(root.startswith(one) for one in said):
                    found.append(f"{member.name} in round {number}")
        return found

    def seen(self):
        """The scenario's facts."""
        rounds = [self.rounds[number] for number in sorted(self.rounds)]
        trained = self.trained()
        # Of one that was made twice the last one counts.
        tokens = {(name, number): tokens for name, number, tokens in trained}
        reached = sum(tokens.get((name, known["round"]), 0) for known in rounds for name in known["included"])
        last = rounds[-1].get("root") if len(rounds) == self.args.rounds else None
        equal = [one.name for one in self.expected() if last and one.roots.get(self.args.rounds) == last]
        return {
            "rounds": rounds,
            "wanted": self.args.rounds,
            "members": len(self.expected()),
            "miners": self.args.miners,
            "equal": equal,
            "astray": self.astray(),
            "restarts": self.restarts,
            "tokens_trained": sum(tokens for _, _, tokens in trained),
            "tokens_reached": reached,
        }
