#!/usr/bin/env python3
"""The churn table, of real processes: what becomes of rounds, and of the work in them, where miners are killed, come
back and join, on good lines and on bad ones.

    churn.py                              each network with a churn of 0, 10 and 30 %
    churn.py calm split --churn 0,30      these cells
    churn.py --rounds 12 --seed 9 --keep DIR all

Churn of n % means two things at once, as in docs/churn.md. In each round each miner is killed with a probability of n %,
by `kill -9` at any moment of it, and started again after at most as long as the last round took. And in each round, the
first one aside, each of the first miners brings one along with the same probability, that buys a seat, bonds and joins.
The same seed gives the same draws in each round, whatever else happens.

Needs root, iproute2, nftables and python3; `make lab-churn` builds what it starts. Where namespaces or TUN devices
cannot be made it says so and ends with 0.
"""

import concurrent.futures
import dataclasses
import json
import os
import pathlib
import random
import shutil
import statistics
import sys
import time

import logs
import session
import table
from members import Member
from network import LabError
from play import Play, Scenario
from session import say

# Between two members are two lines. Of their packets every tenth is lost on one of both, and all take two seconds, one
# on each. The node is near everybody, as if each had one of its own, which the simulator's members have.
LOSS = 100 * (1 - 0.9**0.5)
DELAY = {"delay": 1000, "near": 25}
# Seconds that the first round is taken to last, before one has.
FIRST_ROUND = 40
# Addresses that there are for members.
MOST_MEMBERS = 250


@dataclasses.dataclass
class Weather(Scenario):
    """What the network is like, whoever comes and goes."""

    split: bool = False
    catching_up: int = 180


NETWORKS = {
    "calm": Weather("nothing is lost or late"),
    "loss": Weather("of the packets between two members every tenth is lost", {"loss": LOSS}),
    "latency": Weather("from member to member it is 2 s each way, to the node 25 ms", DELAY),
    "split": Weather("members of even numbers hear nothing of the others and the node for a while", split=True),
    "all": Weather("all of that at once", {"loss": LOSS} | DELAY, split=True),
}


@dataclasses.dataclass
class Said:
    """A line of a miner's log: when, of what kind, and of which round; how many steps it goes on after."""

    at: float
    kind: str
    round: int
    steps: int = 0


class Draws:
    """Who is killed and who comes: by the seed, the round and the name alone."""

    def __init__(self, seed, share):
        self.seed, self.share = seed, share

    def kill(self, number, name):
        """Whether a miner is killed in a round: when, and how long it stays away, of a round's length; or none."""
        draw = random.Random(f"{self.seed} kill {number} {name}")
        is_killed, moment, away = draw.random() < self.share, draw.random(), draw.random()
        return (moment, away) if is_killed else None

    def brings(self, number, name):
        """Whether one of the first miners brings one along in a round."""
        return number > 0 and random.Random(f"{self.seed} join {number} {name}").random() < self.share


class Cell(Play):
    """A network with a churn."""

    def __init__(self, network, churn, args, directory):
        super().__init__(f"{network}-{churn}", NETWORKS[network], args, directory)
        self.network, self.churn = network, churn
        self.draws = Draws(args.seed, churn / 100)
        self.first = [member.name for member in self.members if member.role == "miner"]
        self.began = {}  # when rounds did
        self.due = []  # kills to come: when, of whom, for how long
        self.away = {}  # when it is started again, by name
        self.planned = {}  # whom the draws name, by round
        self.kills = []  # that were done: of whom, in which round, when
        self.coming = []  # newcomers that are being registered, and when that is done
        self.newcomers = []  # names of those that bought a seat
        self.refused = []  # why others did not
        self.is_split = None  # since when, and False when it is healed
        self.loads = []
        self.loss = None

    def report(self):
        """Plays it, and says what was seen."""
        # One at a time: registrations of one coldkey may not overtake each other.
        with concurrent.futures.ThreadPoolExecutor(1) as self.pool:
            try:
                return super().report()
            finally:
                self.pool.shutdown(wait=False, cancel_futures=True)

    def supervise(self, network):
        """Starts those again whose time has come, and those that ended by themselves, as a supervisor does."""
        now = time.monotonic()
        for name in [name for name, until in self.away.items() if until <= now]:
            del self.away[name]
            self.launch(network, name)
        self.start_again(network, [name for name in self.commands if name not in self.away])

    def disturb(self, network, chain, now):
        """Draws what becomes of a round when it begins, and does what is due."""
        at = time.monotonic()
        if now is not None and now not in self.began:
            self.begin(chain, now, at)
        for one in [one for one in self.due if one[0] <= at]:
            self.due.remove(one)
            self.kill(network, now, *one)
        self.let_in(network, chain)
        self.part(network, now, at)

    def begin(self, chain, number, at):
        """A round begins."""
        length = at - self.began[number - 1] if number - 1 in self.began else FIRST_ROUND
        self.began[number] = at
        self.loads.append(os.getloadavg()[0])
        if number >= self.args.rounds:
            self.due.clear()
            return
        drawn = {one.name: self.draws.kill(number, one.name) for one in self.members if one.role == "miner"}
        for name, kill in drawn.items():
            if kill is not None:
                self.planned.setdefault(number, []).append(name)
                self.due.append((at + kill[0] * length, name, kill[1] * length))
        for name in self.first:
            if self.draws.brings(number, name):
                self.bring(chain)

    def bring(self, chain):
        """Begins to register a newcomer: its owner does so beside the node, at the end of no line."""
        count = len(self.newcomers) + len(self.coming) + len(self.refused) + 1
        number = self.args.miners + self.args.validators + count
        if number <= MOST_MEMBERS:
            newcomer = Member(f"newcomer-{count}", "miner", number)
            self.coming.append((newcomer, self.pool.submit(chain.register, newcomer)))

    def let_in(self, network, chain):
        """Starts the workers of newcomers that have their seats."""
        for newcomer, registered in [one for one in self.coming if one[1].done()]:
            self.coming.remove((newcomer, registered))
            try:
                registered.result()
            except LabError as error:
                self.refused.append(f"{newcomer.name}: {error}")
                continue
            self.newcomers.append(newcomer.name)
            self.members.append(newcomer)
            self.join(network, chain, newcomer)
            say(f"{self.name}: {newcomer.name} joins")

    def kill(self, network, number, _, name, away):
        """Kills a miner that is up."""
        if name in self.away or network.ended([name]):
            return
        network.kill(name)
        self.kills.append({"name": name, "round": number, "at": time.time(), "away": round(away, 1)})
        self.away[name] = time.monotonic() + away
        say(f"{self.name}: round {number}: {name} is killed, for {away:.0f} s")

    def part(self, network, now, at):
        """Splits the network when a third of the rounds is over, and heals it."""
        if not self.scenario.split or now is None or self.is_split is False:
            return
        if self.is_split is None and now >= self.args.rounds // 3:
            network.split([f"10.77.1.{number}" for number in range(2, MOST_MEMBERS + 1, 2)])
            self.is_split = at
            say(f"{self.name}: round {now}: the network is split")
        elif self.is_split is not None and at - self.is_split >= self.args.split:
            network.unite()
            self.is_split = False
            say(f"{self.name}: round {now}: the network is healed")

    def finish(self, chain):
        """Takes the chain's roots, and the newest loss that it has."""
        super().finish(chain)
        losses = [known["loss"] for known in chain.lineage() if known.get("loss") is not None]
        self.loss = losses[-1] / 1e6 if losses else None

    def courses(self):
        """What each miner says of its training: when it held the parameters of a round, went on after steps that it had
        kept, made a contribution, or had no part in it."""
        kinds = [
            ("held", logs.READY, 0),
            ("held", logs.SETTLED, 1),
            ("resumed", logs.RESUMED, 0),
            ("made", logs.TRAINED, 0),
            ("idle", logs.IDLE, 0),
        ]
        courses = {}
        for member in self.members:
            lines = logs.plain(self.log(member)).splitlines() if member.role == "miner" else []
            found = [(logs.said_at(line), kind, pattern.search(line), later)
                     for line in lines for kind, pattern, later in kinds]  # fmt: skip
            courses[member.name] = [
                Said(at, kind, int(match[1]) + later, int(match[2]) if kind == "resumed" else 0)
                for at, kind, match, later in found
                if at is not None and match
            ]
        return courses

    def cut_short(self, trained):
        """Tokens of training that a kill cut short: as large a part of a whole one as had gone by of the time that
        training usually takes, but for what had been kept. It begins when a miner holds a round's parameters, or goes
        on with that."""
        courses = self.courses()
        usual = statistics.median(durations(courses) or [1.0])
        whole = max((tokens for _, _, tokens in trained), default=0)
        steps = max((count for one in self.members for count in logs.steps(self.log(one))), default=1)
        tokens, last = 0.0, {}
        for kill in self.kills:
            name, number, at = kill["name"], kill["round"], kill["at"]
            before = [one for one in courses[name] if one.at < at]
            begun = training_since(before, number, last.get(name, 0.0))
            if begun is not None and number < self.args.rounds:
                made = gone_on_after(before, number, last.get(name, 0.0)) / steps + (at - begun) / max(usual, 0.1)
                tokens += whole * max(0.0, min(1.0, made) - self.saved(courses[name], kill) / steps)
            last[name] = at
        return round(tokens), round(usual, 1)

    def saved(self, course, kill):
        """How many of the steps that a kill cut short went into a contribution, or into a training that the next kill
        counts."""
        name, number, at = kill["name"], kill["round"], kill["at"]
        kills = [one for one in self.kills if one["name"] == name and one["at"] > at]
        following = min(kills, key=lambda one: one["at"], default=None)
        after = [one for one in course if one.at > at and (following is None or one.at < following["at"])]
        is_made = any(one.kind == "made" and one.round == number for one in after)
        is_counted = (
            following is not None
            and following["round"] == number
            and training_since(after, number, at) is not None
        )
        return gone_on_after(after, number, at) if is_made or is_counted else 0

    def seen(self):
        """The cell's facts."""
        facts = super().seen()
        included = {name for known in facts["rounds"] for name in known["included"]}
        cut_short, usual = self.cut_short(self.trained())
        said = {member.name: self.log(member) for member in self.members}
        return facts | {
            "network": self.network,
            "churn": self.churn,
            "seed": self.args.seed,
            "planned": self.planned,
            "kills": self.kills,
            "newcomers": self.newcomers,
            "joined": [name for name in self.newcomers if name in included],
            "refused": self.refused,
            "tokens_trained": facts["tokens_trained"] + cut_short,
            "tokens_cut_short": cut_short,
            "seconds_to_train": usual,
            "loss": self.loss,
            "load": round(statistics.mean(self.loads), 1) if self.loads else 0.0,
            "bondless": [name for name, log in said.items() if logs.BONDLESS.search(logs.plain(log))],
            "panics": [name for name, log in said.items() if "panicked" in log],
            "warnings": logs.warnings(said).most_common(),
        }


def durations(courses):
    """How long miners trained that were not interrupted, in seconds."""
    found = []
    for course in courses.values():
        held = None
        for said in course:
            if said.kind == "held":
                held = said
            elif said.kind == "resumed":
                held = None
            elif said.kind == "made" and held is not None and held.round == said.round:
                found.append(said.at - held.at)
                held = None
    return found


def gone_on_after(course, number, after):
    """After how many inner steps, which it had kept, a miner went on in a round since a moment; 0 if it did not."""
    steps = [one.steps for one in course if one.kind == "resumed" and one.round == number and one.at > after]
    return steps[-1] if steps else 0


def training_since(course, number, after):
    """Since when a miner was at the training of a round at the end of a course, of what it said after its last start;
    none if it was not."""
    own = [one for one in course if one.round == number]
    held = [one.at for one in own if one.kind in ("held", "resumed") and one.at > after]
    if not held or any(one.kind == "made" for one in own):
        return None
    has_part = not any(one.kind == "idle" and one.at > held[-1] for one in own)
    return held[-1] if has_part else None


def faults(report):
    """What is wrong with a cell."""
    return table.faults(report) + [f"{name} panicked" for name in report["panics"]]


def arguments():
    """What is asked for."""
    run = pathlib.Path(__file__).resolve().parent / "run-churn.toml"
    parser = session.arguments("Miners that are killed, come back and join, at the ends of bad lines", run)
    names = ", ".join(NETWORKS)
    parser.add_argument("networks", nargs="*", help=f"of {names}; all if none is named")
    parser.add_argument("--churn", default="0,10,30", help="percent of miners, several with commas")
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--miners", type=int, default=4, help="at first")
    parser.add_argument("--validators", type=int, default=3)
    parser.add_argument("--seed", type=int, default=8, help="of who is killed and who joins, and when")
    parser.add_argument("--split", type=float, default=80, help="seconds for which the network is split")
    parser.add_argument("--patience", type=int, default=1200, help="seconds for a cell")
    parser.add_argument("--json", type=pathlib.Path, help="write all reports to this file")
    args = parser.parse_args()
    unknown = [name for name in args.networks if name not in NETWORKS]
    if unknown:
        parser.error(f"there is no network {unknown[0]}; there are {names}")
    try:
        args.churn = [int(share) for share in args.churn.split(",")]
    except ValueError:
        parser.error("--churn takes numbers, such as 0,10,30")
    if not all(0 <= share <= 100 for share in args.churn):
        parser.error("a churn is from 0 to 100 %")
    return args


def play(args, directory):
    """Plays all cells, one after the other. Gives the reports of those that were played, and whether that is all."""
    reports = []
    try:
        for network in args.networks or NETWORKS:
            for churn in args.churn:
                say(f"{network}, {churn} %: {NETWORKS[network].what}")
                reports.append(Cell(network, churn, args, directory).report())
                print(table.churn_rows(reports)[-1], file=sys.stderr, flush=True)
    except KeyboardInterrupt:
        say("interrupted")
        return reports, False
    return reports, True


def main():
    """Plays cells and shows a table; 1 if something is wrong with one."""
    args = arguments()
    code = session.refused(args)
    if code is not None:
        return code
    directory = session.directory(args)
    reports, is_all = play(args, directory)
    if args.json:
        args.json.write_text(json.dumps(reports, indent=2) + "\n")
    print("\n".join(table.churn_rows(reports)))
    failed = [report for report in reports if faults(report)]
    for report in failed:
        say(f"{report['scenario']}: {'; '.join(faults(report))}; its logs are in {directory / report['scenario']}")
    if not args.keep and not failed:
        shutil.rmtree(directory)
    if not is_all:
        return 130
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
