"""Faults that the model's own thread cannot tell, since it waits for a rank that will not come.

A rank that fails leaves a file in the shared directory and ends. A thread of rank 0 looks for such files, and another
waits for the launcher's SIGTERM, which comes when any rank ended.
"""

import ctypes
import json
import os
import signal
import sys
import threading
import time

from .faults import OOM, RANK_LOST, Fault

INTERVAL = 0.1
# How long the knock-on of a fault waits for the fault itself.
PATIENCE = 1.0
ENDING = ".fault"


def end_with_parent():
    """Linux: this rank is killed when the launcher is, which puts it into a session of its own."""
    if not sys.platform.startswith("linux"):
        return
    set_parent_death_signal = 1
    ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGKILL, 0, 0, 0)


def leave(directory, rank, fault):
    """A rank other than 0 says why it ends, and ends."""
    path = os.path.join(directory, f"rank-{rank}{ENDING}")
    with open(f"{path}.part", "w", encoding="utf-8") as file:
        json.dump(fault.message(), file)
    os.rename(f"{path}.part", path)
    os._exit(1)


def left(directory):
    """The faults that other ranks left, the likeliest cause first."""
    faults = []
    for name in sorted(os.listdir(directory)):
        if name.endswith(ENDING):
            with open(os.path.join(directory, name), encoding="utf-8") as file:
                message = json.load(file)
            faults.append(Fault(message.pop("kind"), message.pop("said"), **message))
    return sorted(faults, key=lambda fault: (fault.kind != OOM, not is_cause(fault)))


def is_cause(fault):
    """Whether a rank failed by itself. One that only saw another end names no rank."""
    return "rank" in fault.facts


def cause(directory, fault):
    """What another rank says of its end, if that explains this fault; else this fault."""
    waited = 0.0
    while not is_cause(fault) and waited < PATIENCE:
        others = left(directory)
        if others and is_cause(others[0]):
            return others[0]
        time.sleep(INTERVAL)
        waited += INTERVAL
    return fault


def watch(directory, border):
    """Starts rank 0's two threads. To be called before any other thread is started."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})

    def files():
        while True:
            time.sleep(INTERVAL)
            others = left(directory)
            if others and is_cause(others[0]):
                border.end(others[0])

    def launcher():
        signal.sigwait({signal.SIGTERM})
        border.end(cause(directory, Fault(RANK_LOST, "the launcher ends this program: a rank was lost")))

    for run in (files, launcher):
        threading.Thread(target=run, daemon=True).start()
