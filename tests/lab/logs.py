"""What workers write in their logs."""

import collections
import datetime
import re

ANSI = re.compile(r"\x1b\[[0-9;]*m")
WARNED = re.compile(r"\b(WARN|ERROR)\b\s+(?:\S+: )?(.*)")
# What differs from one warning to the next of its kind: numbers, roots, addresses.
DIFFERS = re.compile(r"0x[0-9a-f]+|\b[1-9A-HJ-NP-Za-km-z]{40,}\b|[0-9a-f]{16,}|[\d,.]*\d")
TRAINED = re.compile(r"round (\d+) · trained (\d+) steps, ([\d,]+) tokens")
# After how many inner steps, which it had kept, a miner goes on.
RESUMED = re.compile(r"round (\d+) · going on after (\d+) inner steps")
# From which parameters a worker goes on, and which it holds after a round.
READY = re.compile(r"round (\d+) · (?:going on from disk|ready), parameters (0x[0-9a-f]+)")
SETTLED = re.compile(r"round (\d+) · settled.*, parameters (?:stay )?(0x[0-9a-f]+)")
ATTESTED = re.compile(r"round (\d+) · attested .* and parameters (0x[0-9a-f]+)")
IDLE = re.compile(r"round (\d+) · no part in it")
BONDLESS = re.compile(r"round \d+ · no part in it: its bond is")
AT = re.compile(r"^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d+)?Z")


def plain(log):
    """A log without colours."""
    return ANSI.sub("", log)


def trained(log):
    """Each contribution that a miner made: its round and its tokens. One that was lost may have been made again."""
    return [(int(number), int(tokens.replace(",", ""))) for number, _, tokens in TRAINED.findall(plain(log))]


def steps(log):
    """How many inner steps each contribution of a miner has."""
    return [int(found) for _, found, _ in TRAINED.findall(plain(log))]


def roots(log):
    """What a worker said that parameters are: the round that begins with them, and how their root begins."""
    said = []
    for line in plain(log).splitlines():
        for kind, later in [(READY, 0), (SETTLED, 1), (ATTESTED, 0)]:
            found = kind.search(line)
            if found:
                said.append((int(found[1]) + later, found[2]))
    return said


def said_at(line):
    """When a line was written, in seconds since 1970; none if it does not say."""
    found = AT.search(line)
    if found is None:
        return None
    at = datetime.datetime.fromisoformat(found[1]).replace(tzinfo=datetime.timezone.utc).timestamp()
    return at + float(found[2] or 0)


def warnings(logs):
    """How often what was warned of, without what differs from one time to the next."""
    found = collections.Counter()
    for log in logs.values():
        for line in plain(log).splitlines():
            warned = WARNED.search(line)
            if warned:
                found[DIFFERS.sub("#", warned[2])[:160]] += 1
    return found
