#!/usr/bin/env python3
"""A table of the lab's reports: table.py REPORT.json…; the first is what the others are compared with, unless they are
rows of a churn table."""

import json
import pathlib
import statistics
import sys

CHURN = ["network", "churn, %", "rounds", "null", "roots", "kills", "joined", "goodput, %", "s a round"]
CHURN += ["loss", "lost, %", "load"]
HEAD = ["scenario", "rounds", "equal roots", "included", "goodput", "s a round", "packets lost", "beside `still`"]


def share(part, whole):
    """A part of a whole in percent; 0 of nothing."""
    return 100 * part / whole if whole else 0.0


def seconds(report):
    """Seconds of each round but the first, which has the start of the run in it."""
    times = [known["after"] for known in report["rounds"]]
    return [later - sooner for sooner, later in zip(times, times[1:])]


def goodput(report):
    """Tokens that reached the model, of those that were trained, in percent."""
    return share(report["tokens_reached"], report["tokens_trained"])


def included(report):
    """Contributions that were included, and those that could be."""
    return sum(len(known["included"]) for known in report["rounds"]), report["miners"] * report["wanted"]


def lost(report):
    """Share of packets that did not arrive, in percent."""
    lines = report.get("packets", {}).values()
    gone = sum(line["lost"] + line["crowded"] for line in lines)
    return share(gone, gone + sum(line["carried"] for line in lines))


def faults(report):
    """What is wrong with a scenario: what no disturbance excuses."""
    found = [report["failure"]] if report["failure"] else []
    found += [f"{one} held other parameters than the chain" for one in report["astray"]]
    if len(report["rounds"]) < report["wanted"]:
        found.append(f"{len(report['rounds'])} of {report['wanted']} rounds were settled")
    missing = report["members"] - len(report["equal"])
    if missing and not report["failure"]:
        found.append(f"{missing} of {report['members']} members did not come to hold the last round's parameters")
    return found


def beside(report, still):
    """What share of contributions reached the model beside the undisturbed run's, and how much longer rounds took."""
    if report is still or not seconds(report) or not seconds(still):
        return ""
    reached = share(share(*included(report)), share(*included(still)))
    longer = statistics.mean(seconds(report)) / statistics.mean(seconds(still))
    return f"{reached:.0f} % included, rounds × {longer:.2f}"


def rows(reports):
    """The table's lines in Markdown, the head first."""
    lines = ["| " + " | ".join(HEAD) + " |", "|---|" + "--:|" * (len(HEAD) - 2) + "---|"]
    for report in reports:
        times = seconds(report)
        settled = sum(1 for known in report["rounds"] if known["included"])
        cells = [
            report["scenario"],
            f"{settled}/{report['wanted']}",
            f"{len(report['equal'])}/{report['members']}",
            "{}/{}".format(*included(report)),
            f"{goodput(report):.0f} %",
            f"{statistics.mean(times):.1f}" if times else "",
            f"{lost(report):.1f} %",
            "FAILED" if report["failure"] else beside(report, reports[0]),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def churn_rows(reports):
    """The lines of a churn table in Markdown, the head first."""
    lines = ["| " + " | ".join(CHURN) + " |", "|---|" + "--:|" * 3 + "---|" + "--:|" * (len(CHURN) - 5)]
    for report in reports:
        times, loss, members = seconds(report), report["loss"], report["members"]
        null = sum(1 for known in report["rounds"] if not known["included"])
        roots = "equal" if len(report["equal"]) == members else f"{len(report['equal'])} of {members} equal"
        cells = [
            f"`{report['network']}`",
            report["churn"],
            f"{len(report['rounds'])} of {report['wanted']}",
            null,
            f"{roots}, {len(report['astray'])} differed" if report["astray"] else roots,
            len(report["kills"]),
            f"{len(report['joined'])} of {len(report['newcomers'])}",
            f"{goodput(report):.1f}",
            f"{statistics.mean(times):.0f}" if times else "",
            f"{loss:.2f}" if loss is not None else "",
            f"{lost(report):.1f}",
            f"{report['load']:.0f}",
        ]
        lines.append("| " + " | ".join(map(str, cells)) + (" | FAILED |" if report["failure"] else " |"))
    return lines


def main():
    """Shows the table of reports, of whichever kind."""
    reports = [json.loads(pathlib.Path(name).read_text()) for name in sys.argv[1:]]
    is_churn = all("churn" in report for report in reports)
    print("\n".join((churn_rows if is_churn else rows)(reports)))


if __name__ == "__main__":
    main()
