"""The engine with a rank that fails: `faulty.py KIND RANK STEP ARMED cairn_engine_torch …`.

Before step STEP rank RANK fails as KIND says, once: while the file ARMED is there, which it removes.
"""

import os
import resource
import signal
import sys

kind, rank, step, armed = sys.argv[1:5]
# Behind them come the module's name and its arguments.
sys.argv = sys.argv[5:]


def fail():
    if kind == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if kind == "hangs":
        os.kill(os.getpid(), signal.SIGSTOP)
    if kind == "memory":
        import torch

        # No more than is taken already: the allocator itself fails.
        with open("/proc/self/statm", encoding="ascii") as file:
            taken = int(file.read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (taken, taken))
        torch.zeros(1 << 30)
    if kind == "raises":
        raise ValueError("a mistake in the engine")


def main():
    from cairn_engine_torch import __main__, sharded

    honest = sharded.Sharded.step

    def step_or_fail(self, constants, learning_rate, done, batch):
        if self.ranks.number == int(rank) and done == int(step) and os.path.exists(armed):
            os.remove(armed)
            fail()
        return honest(self, constants, learning_rate, done, batch)

    sharded.Sharded.step = step_or_fail
    __main__.main()


main()
