#!/usr/bin/env python3
"""A laboratory: a real node and real workers, each worker in a network namespace of its own, at the end of a line that
is slow, narrow, loses packets, is cut, or leads through a router without open ports.

    lab.py                      all scenarios
    lab.py loss nat             these, after the undisturbed one with which they are compared
    lab.py --rounds 8 --keep DIR cut

Needs root, iproute2, nftables and python3; `make lab` builds what it starts. Where namespaces or TUN devices cannot be
made it says so and ends with 0.
"""

import json
import pathlib
import shutil
import sys

import session
import table
from play import RATE, Play, Scenario
from session import say

# Programs beside those of the workspace that a scenario needs.
EXAMPLES = {"relay": "relay", "s3": "bucket"}

SCENARIOS = {
    "still": Scenario("nothing is disturbed"),
    "loss": Scenario("every line: 50 ms each way, 1 % lost", {"delay": 50, "loss": 1}),
    "far": Scenario("every line: 150 ms each way, also to the node", {"delay": 150}),
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


def arguments():
    """What is asked for."""
    parser = session.arguments("Workers at the ends of bad lines")
    names = ", ".join(SCENARIOS)
    parser.add_argument("scenarios", nargs="*", help=f"of {names}; all if none is named")
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--miners", type=int, default=3)
    parser.add_argument("--validators", type=int, default=2)
    parser.add_argument("--patience", type=int, default=1200, help="seconds for a scenario")
    parser.add_argument("--beside", type=pathlib.Path, help="report of an undisturbed run, to compare with")
    parser.add_argument("--json", type=pathlib.Path, help="write all reports to this file")
    args = parser.parse_args()
    unknown = [name for name in args.scenarios if name not in SCENARIOS]
    if unknown:
        parser.error(f"there is no scenario {unknown[0]}; there are {names}")
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
    code = session.refused(args)
    if code is not None:
        return code
    directory = session.directory(args)
    played = wanted(args)
    reports = [json.loads(args.beside.read_text())] if args.beside else []
    try:
        for name in played:
            say(f"{name}: {SCENARIOS[name].what}")
            reports.append(Play(name, SCENARIOS[name], args, directory).report())
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
