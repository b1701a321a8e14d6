"""The ranks: who they are, what they compute on, and how they stay in step.

Requests and agreement go through a gloo group of their own, which waits for as long as nobody asks for anything; the
model's collectives have the time-out that the program was started with, in another.
"""

import json
import os
import socket
from datetime import timedelta

import torch
import torch.distributed as dist
from torch.distributed.device_mesh import DeviceMesh

from .faults import Fault

# A rank's word to all others, in bytes.
LONGEST_WORD = 1 << 14
# How long a rank waits for the next request.
IDLE = timedelta(days=365)


class Ranks:
    """This rank among all."""

    def __init__(self, device, collective_timeout):
        self.number, self.count = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
        self.device = own_device(device)
        backend = "gloo"
        if self.device.type != "cpu":
            backend = f"cpu:gloo,{self.device.type}:{dist.get_default_backend_for_device(self.device.type)}"
        alone = {} if "RANK" in os.environ else {"store": dist.HashStore(), "rank": 0, "world_size": 1}
        dist.init_process_group(backend, timeout=IDLE, **alone)
        self.control = dist.new_group(backend="gloo", timeout=IDLE)
        # Ranks start seconds apart, which is no reason for the next group to give up.
        self.sum(0.0)
        computing = dist.new_group(timeout=timedelta(seconds=collective_timeout))
        # By name: on a machine with cards a mesh would choose those.
        self.mesh = DeviceMesh.from_group(computing, self.device.type)

    def tell(self, message):
        """Rank 0 gives a message to all others."""
        text = torch.frombuffer(bytearray(json.dumps(message).encode()), dtype=torch.uint8)
        dist.broadcast(torch.tensor([len(text)]), 0, group=self.control)
        dist.broadcast(text, 0, group=self.control)

    def told(self):
        """Waits for what rank 0 tells."""
        length = torch.zeros(1, dtype=torch.int64)
        dist.broadcast(length, 0, group=self.control)
        text = torch.zeros(int(length), dtype=torch.uint8)
        dist.broadcast(text, 0, group=self.control)
        return json.loads(bytes(text.numpy()))

    def gather(self, word):
        """What each rank says, by rank."""
        text = json.dumps(word).encode()
        mine = torch.zeros(LONGEST_WORD, dtype=torch.uint8)
        mine[: len(text)] = torch.frombuffer(bytearray(text), dtype=torch.uint8)
        words = [torch.zeros_like(mine) for _ in range(self.count)]
        dist.all_gather(words, mine, group=self.control)
        return [json.loads(bytes(word.numpy()).rstrip(b"\0")) for word in words]

    def together(self, act):
        """Does something that needs no other rank, such as reading a file. A fault of one is a fault of all."""
        try:
            done, fault = act(), None
        except Fault as error:
            done, fault = None, {**error.message(), "rank": self.number}
        for word in self.gather(fault):
            if word is not None:
                raise Fault(word.pop("kind"), word.pop("said"), **word)
        return done

    def sum(self, number):
        """The sum over all ranks, in f64; the same on each."""
        total = torch.tensor([number], dtype=torch.float64)
        dist.all_reduce(total, group=self.control)
        return float(total)

    def described(self):
        """What this rank is, for people and for whoever watches it."""
        return {"pid": os.getpid(), "host": socket.gethostname()[:256], "device": device_name(self.device)[:256]}


def own_device(text):
    """The device of this rank: one of several cards by its number on the machine, unless one was named."""
    if text == "auto":
        text = (torch.accelerator.current_accelerator() or torch.device("cpu")).type
    device = torch.device(text)
    if device.type in ("cpu", "mps"):
        return device
    number = int(os.environ.get("LOCAL_RANK", 0)) if device.index is None else device.index
    torch.accelerator.set_device_index(number)
    return torch.device(device.type, number)


def device_name(device):
    """The card's model where there is a name for it."""
    module = torch.get_device_module(device.type)
    named = getattr(module, "get_device_name", None)
    return named(device) if named and device.type != "cpu" else str(device)


def peak_bytes(device):
    """The most memory that this rank took so far: a card's, else the process's."""
    module = torch.get_device_module(device.type)
    of_card = getattr(module, "max_memory_allocated", None)
    if device.type != "cpu" and of_card:
        return int(of_card(device))
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
