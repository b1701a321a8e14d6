#!/usr/bin/env python3
"""How long it takes to fetch a large checkpoint from several sources, beside a download of it from one.

    joining.py                                1 GiB, each source behind a line of 200 Mbit/s
    joining.py --mebibytes 64 --megabits 50 --keep DIR
    joining.py 2 3                            the second and the third trial only, after the first

Each source is an HTTP server in a network namespace of its own, and what it sends goes through the kernel's token
bucket filter (`tc … tbf`). Who fetches is `measure` of cairn-store: by `fetch`, as workers do, or by object_store
alone. It is a process of its own for each trial. What it brought is compared with the original, byte by byte.

Needs root, iproute2 with tc, nftables and python3; `make lab-joining` builds what it starts. Where namespaces or
filters cannot be made it says so and ends with 0.
"""

import argparse
import dataclasses
import filecmp
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from network import HUB_ADDRESS, LabError, Network, clear_leftovers, die_with_parent, run, why_not

HERE = pathlib.Path(__file__).resolve().parent
FIRST_PORT = 9001
MIB = 1 << 20
# A worker takes mirrors without TLS on its own machine only, so each is at a port of it, too.
RULES = """
table ip joining {{
    chain there {{ type nat hook output priority -100; {there} }}
    chain back {{ type nat hook postrouting priority srcnat; oifname "to-*" snat to {hub}; }}
}}
"""


@dataclasses.dataclass
class Trial:
    """What is fetched from whom."""

    name: str
    sources: int
    liars: int = 0  # the first of the sources
    alone: bool = False  # by object_store
    killed: bool = False  # once half of it has come, and started again


TRIALS = [
    Trial("`object_store` alone, one source", 1, alone=True),
    Trial("four sources", 4),
    Trial("four sources, one lies", 4, liars=1),
    Trial("five sources, one lies", 5, liars=1),
    Trial("four sources, killed and started again", 4, killed=True),
    Trial("four sources, one lies, killed and started again", 4, liars=1, killed=True),
]


class Fetcher:
    """A process that fetches, the most memory that it was seen to have, and the time that a core worked for it."""

    def __init__(self, command, log):
        self.peak, self.worked = 0, 0.0
        self.process = subprocess.Popen(
            list(map(str, command)), stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=die_with_parent
        )

    def is_over(self):
        """Whether it ended; looks at its memory meanwhile."""
        try:
            status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
            lines = [line for line in status.splitlines() if line.startswith("VmHWM:")]
            self.peak = max([self.peak, *(int(line.split()[1]) for line in lines)])
            # Behind the name, which may have spaces: utime and stime.
            ticks = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()[11:13]
            self.worked = sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")
        except OSError:
            pass
        return self.process.poll() is not None

    def kill(self):
        """Ends it as a machine that loses its power does."""
        self.process.kill()
        self.process.wait()


class Bench:
    """A hub in which somebody fetches, and sources at the ends of lines."""

    def __init__(self, network, args, directory, shelf):
        self.network, self.args, self.directory, self.shelf = network, args, directory, shelf
        blobs = [path for path in (shelf / "data").iterdir() if path.suffix != ".outboard"]
        if len(blobs) != 1:
            raise LabError(f"{shelf}/data holds {len(blobs)} blobs: name a directory that holds one")
        self.blob, self.length = blobs[0], blobs[0].stat().st_size
        self.needed = self.length + blobs[0].with_name(blobs[0].name + ".outboard").stat().st_size

    def wire(self, count):
        """Makes namespaces for sources, and lines from them to the hub."""
        hub = self.network.full("hub")
        there = []
        for number in range(1, count + 1):
            name, address = f"source-{number}", f"10.77.1.{number}"
            self.network.add(name)
            end = self.network.full(name)
            run("ip", "-n", hub, "link", "add", f"to-{number}", "type", "veth", "peer", "name", "up0", "netns", end)
            run("ip", "-n", hub, "link", "set", f"to-{number}", "up")
            run("ip", "-n", hub, "route", "add", f"{address}/32", "dev", f"to-{number}", "src", HUB_ADDRESS)
            run("ip", "-n", end, "addr", "add", f"{address}/32", "dev", "up0")
            run("ip", "-n", end, "link", "set", "up0", "up")
            run("ip", "-n", end, "route", "add", "default", "dev", "up0")
            rate = f"{self.args.megabits}mbit"
            run("tc", "-n", end, "qdisc", "add", "dev", "up0", "root", "tbf", *f"rate {rate} burst 128kb".split(),
                "latency", "50ms")  # fmt: skip
            there.append(f"ip daddr 127.0.0.1 tcp dport {FIRST_PORT + number - 1} dnat to {address}:80;")
        local = "echo 1 >/proc/sys/net/ipv4/conf/all/route_localnet"
        run("ip", "netns", "exec", hub, "sh", "-c", local)
        run("ip", "netns", "exec", hub, "nft", "-f", "-", feed=RULES.format(there=" ".join(there), hub=HUB_ADDRESS))

    def play(self, trial):
        """One trial, from starting its sources to what they say."""
        names = []
        for number in range(1, trial.sources + 1):
            names.append(f"{TRIALS.index(trial)}-source-{number}")
            command = ["python3", HERE / "mirror.py", f"10.77.1.{number}:80", self.shelf]
            command += ["--lies"] if number <= trial.liars else []
            self.network.start(names[-1], f"source-{number}", command)
            self.network.until(names[-1], "ready", 30)
        into = self.directory / "fetched"
        facts = {"name": trial.name, "load": round(os.getloadavg()[0], 1)}
        with open(self.directory / "fetches.log", "ab") as log:
            log.write(f"{trial.name}\n".encode())
            log.flush()
            facts |= self.fetch(trial, into, log)
        self.network.stop(names)
        facts["equal"] = filecmp.cmp(into, self.blob, shallow=False)
        for path in [into, into.with_name("fetched.outboard")]:
            path.unlink(missing_ok=True)
        brought = [json.loads(self.network.said(name).strip().splitlines()[-1])["brought"] for name in names]
        honest = sum(brought[trial.liars :])
        facts |= {"brought": brought, "twice": max(0, honest - (self.length if trial.alone else self.needed))}
        return facts

    def fetch(self, trial, into, log):
        """Fetches, and says how long it took."""
        urls = [f"http://127.0.0.1:{FIRST_PORT + number}" for number in range(trial.sources)]
        path = f"data/{self.blob.name}"
        command = [self.args.measure, "single" if trial.alone else "fetch", into, path, self.length, *urls]
        begin, was_killed, before = time.monotonic(), not trial.killed, arrived()
        fetchers = [Fetcher(command, log)]
        while not fetchers[-1].is_over():
            time.sleep(0.02)
            if time.monotonic() - begin > self.args.patience:
                fetchers[-1].kill()
                raise LabError(f"{trial.name}: it was not over after {self.args.patience} s")
            if not was_killed and arrived() - before > self.length // 2:
                fetchers[-1].kill()
                was_killed = True
                fetchers.append(Fetcher(command, log))
        seconds = time.monotonic() - begin
        if fetchers[-1].process.returncode != 0:
            raise LabError(f"{trial.name}: the fetch failed: see {log.name}")
        peak, worked = max(one.peak for one in fetchers), sum(one.worked for one in fetchers)
        return {"seconds": seconds, "peak": peak // 1024, "worked": worked}


def arrived():
    """Bytes that came over the lines to the hub, heads of packets included."""
    lines = pathlib.Path("/proc/self/net/dev").read_text().splitlines()
    return sum(int(line.split(":")[1].split()[0]) for line in lines if line.strip().startswith("to-"))


def publish(args, directory):
    """A store with one blob."""
    if args.shelf:
        return args.shelf.resolve()
    say(f"publishing {args.mebibytes} MiB")
    shelf = directory / "shelf"
    run(str(args.measure), "publish", str(shelf), str(args.mebibytes))
    return shelf


def rows(trials, length):
    """A table in Markdown; the first trial is what the others are compared with."""
    head = ["", "seconds", "times as fast", "CPU seconds", "MiB of memory", "sent twice", "equal", "load"]
    lines = ["| " + " | ".join(head).lstrip() + " |", "|---|--:|--:|--:|--:|--:|---|--:|"]
    for facts in trials:
        cells = [facts["name"], f"{facts['seconds']:.1f}", f"{trials[0]['seconds'] / facts['seconds']:.2f}"]
        cells += [f"{facts['worked']:.1f}", str(facts["peak"]), f"{100 * facts['twice'] / length:.2f} %"]
        cells += ["yes" if facts["equal"] else "NO"]
        lines.append("| " + " | ".join([*cells, str(facts["load"])]) + " |")
    return lines


def say(words):
    """Tells people how it goes."""
    print(f"joining: {words}", file=sys.stderr, flush=True)


def arguments():
    """What is asked for."""
    target = os.environ.get("CARGO_TARGET_DIR", pathlib.Path.home() / ".cache/cairn/target")
    measure = pathlib.Path(target) / "debug" / "examples" / "measure"
    parser = argparse.ArgumentParser(description="A checkpoint from several sources: see docs/lab.md")
    names = "; ".join(f"{number}: {trial.name}" for number, trial in enumerate(TRIALS, 1))
    parser.add_argument("trials", nargs="*", type=int, help=f"{names}; all if none is named")
    parser.add_argument("--mebibytes", type=int, default=1024, help="length of what is fetched")
    parser.add_argument("--megabits", type=int, default=200, help="what each source may send in a second")
    parser.add_argument("--patience", type=int, default=600, help="seconds for a fetch")
    parser.add_argument("--measure", type=pathlib.Path, default=measure, help="cairn-store's example of that name")
    parser.add_argument("--shelf", type=pathlib.Path, help="a store with one blob, in place of a new one")
    parser.add_argument("--keep", type=pathlib.Path, help="keep logs and the report in this directory")
    args = parser.parse_args()
    if any(not 0 < number <= len(TRIALS) for number in args.trials):
        parser.error(f"trials have numbers from 1 to {len(TRIALS)}")
    return args


def no_filter():
    """What is missing for lines of a certain rate, in a sentence; none if they can be made."""
    if shutil.which("tc") is None:
        return "`tc` is missing: apt-get install iproute2"
    with Network(tempfile.gettempdir()) as network:
        hub = network.full("hub")
        try:
            run("ip", "-n", hub, "link", "add", "probe0", "type", "veth", "peer", "name", "probe1")
            run("tc", "-n", hub, *"qdisc add dev probe0 root tbf rate 1mbit burst 32kb latency 50ms".split())
        except LabError as error:
            return f"lines of a certain rate cannot be made here: {error}"
    return None


def main():
    """Plays all trials and shows a table."""
    args = arguments()
    missing = why_not() or no_filter()
    if missing:
        say(f"skipped: {missing}")
        return 0
    if not args.measure.is_file():
        say(f"{args.measure} is not there: build it, as `make lab-joining` does, or name its place by --measure")
        return 1
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    clear_leftovers()
    directory = (args.keep or pathlib.Path(tempfile.mkdtemp(prefix="cairn-joining-"))).resolve()
    directory.mkdir(parents=True, exist_ok=True)
    trials = []
    try:
        shelf = publish(args, directory)
        with Network(directory) as network:
            bench = Bench(network, args, directory, shelf)
            bench.wire(max(trial.sources for trial in TRIALS))
            chosen = [TRIALS[number - 1] for number in args.trials]
            for trial in [TRIALS[0], *chosen] if chosen else TRIALS:
                say(trial.name)
                trials.append(bench.play(trial))
                print(rows(trials, bench.length)[-1], file=sys.stderr, flush=True)
    except (LabError, OSError) as error:
        say(f"{error}; logs are in {directory}")
        return 1
    if args.keep:
        (directory / "joining.json").write_text(json.dumps(trials, indent=2) + "\n")
    else:
        shutil.rmtree(directory)
    print("\n".join(rows(trials, bench.length)))
    return 0 if all(facts["equal"] for facts in trials) else 1


if __name__ == "__main__":
    sys.exit(main())
