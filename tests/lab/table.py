#!/usr/bin/env python3
"""One line about a scenario of the lab, from what its devnet left: table.py MINERS ROUNDS DIRECTORY."""

import json
import pathlib
import re
import sys


def lines(directory):
    """Packets that all lines carried and lost."""
    carried = lost = 0
    for log in directory.glob("line-*.log"):
        found = re.search(r"carried (\d+) lost (\d+)", log.read_text())
        if found:
            carried, lost = carried + int(found[1]), lost + int(found[2])
    return carried, lost


def trained(directory):
    """Contributions that miners say they made."""
    logs = (directory / "kept/logs").glob("*miner-*.log")
    return sum(len(re.findall(r"trained \d+ steps", log.read_text())) for log in logs)


def main():
    miners, rounds, directory = int(sys.argv[1]), int(sys.argv[2]), pathlib.Path(sys.argv[3])
    carried, lost = lines(directory)
    packets = f"{100 * lost / max(1, carried + lost):4.1f} % of {carried + lost:,} packets lost"
    code = (directory / "code").read_text().strip()
    report = directory / "report.json"
    if not report.exists():
        last = (directory / "said.log").read_text().strip().splitlines()[-1:]
        print(f"{directory.name:<8} FAILED with {code}: {' '.join(last)[:300]}; {packets}", flush=True)
        return 1
    report = json.loads(report.read_text())
    included = [len(one["included"]) for one in report["rounds"]]
    last = report["rounds"][-1]["state_root"]
    equal = sum(one["state_root"] == last for one in report["members"])
    seconds = [one["seconds"] for one in report["rounds"]]
    goodput = 100 * sum(included) / (miners * rounds)
    print(
        f"{directory.name:<8} rounds {sum(count > 0 for count in included)}/{rounds}, "
        f"equal roots {equal}/{len(report['members'])}, "
        f"goodput {goodput:.0f} % ({sum(included)} included, {trained(directory)} made, {miners * rounds} possible), "
        f"{sum(seconds) / len(seconds):.1f} s a round, {packets}",
        flush=True,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
