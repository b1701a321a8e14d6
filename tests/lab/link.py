#!/usr/bin/env python3
"""A line between two network namespaces that is slow and loses packets.

Two TUN devices, one in each namespace, and between them this program: a packet that comes out of one goes into the
other after DELAY milliseconds, unless it is lost. A kernel's netem does the same, where there is one; many kernels of
virtual machines and containers have none. SIGUSR1 cuts the line, SIGUSR2 joins it again; at SIGTERM it says how many
packets it carried and lost, and ends.

    link.py HUB DEVICE MEMBER ADDRESS --delay 50 --loss 10 --seed 1
"""

import argparse
import ctypes
import fcntl
import heapq
import os
import random
import selectors
import signal
import struct
import subprocess
import sys
import time

TUNSETIFF = 0x400454CA
IFF_TUN, IFF_NO_PI = 0x0001, 0x1000
CLONE_NEWNET = 0x40000000
MTU = 1400
# Packets under way in one direction; more are lost, as in a router.
MOST_UNDER_WAY = 4096


def enter(namespace):
    """Moves this thread into a namespace that `ip netns` made."""
    with open(f"/run/netns/{namespace}") as file:
        if ctypes.CDLL(None, use_errno=True).setns(file.fileno(), CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), f"cannot enter {namespace}")


def tun(namespace, device):
    """A TUN device in a namespace, and up."""
    enter(namespace)
    file = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(file, TUNSETIFF, struct.pack("16sH", device.encode(), IFF_TUN | IFF_NO_PI))
    ip(namespace, "link", "set", device, "mtu", str(MTU), "up")
    return file


def ip(namespace, *arguments):
    subprocess.run(["ip", "-n", namespace, *arguments], check=True)


class Line:
    """Packets under way, both directions in one queue by when they are due."""

    def __init__(self, ends, delay, loss, seed):
        self.other = {ends[0]: ends[1], ends[1]: ends[0]}
        self.delay, self.loss = delay / 1000, loss / 100
        self.random = random.Random(seed)
        self.queue, self.count = [], 0
        self.is_cut, self.is_over = False, False
        self.carried, self.lost = 0, 0

    def take(self, end):
        """Takes all packets that an end has."""
        while True:
            try:
                packet = os.read(end, 65536)
            except BlockingIOError:
                return
            is_lost = self.is_cut or self.random.random() < self.loss
            if is_lost or len(self.queue) >= 2 * MOST_UNDER_WAY:
                self.lost += 1
                continue
            self.count += 1
            due = time.monotonic() + self.delay
            heapq.heappush(self.queue, (due, self.count, self.other[end], packet))

    def give(self):
        """Gives what is due, and how long until there is more."""
        now = time.monotonic()
        while self.queue and self.queue[0][0] <= now:
            _, _, end, packet = heapq.heappop(self.queue)
            try:
                os.write(end, packet)
                self.carried += 1
            except OSError:
                self.lost += 1
        return max(0.0, self.queue[0][0] - now) if self.queue else 1.0

    def set(self, name, value):
        return lambda *_: setattr(self, name, value)

    def run(self):
        signal.signal(signal.SIGUSR1, self.set("is_cut", True))
        signal.signal(signal.SIGUSR2, self.set("is_cut", False))
        signal.signal(signal.SIGTERM, self.set("is_over", True))
        selector = selectors.DefaultSelector()
        for end in self.other:
            selector.register(end, selectors.EVENT_READ)
        while not self.is_over:
            for key, _ in selector.select(self.give()):
                self.take(key.fd)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ["hub", "device", "member", "address"]:
        parser.add_argument(name)
    parser.add_argument("--delay", type=float, default=0, help="milliseconds each way")
    parser.add_argument("--loss", type=float, default=0, help="percent of packets")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--gateway", default="10.77.0.1", help="the hub's address")
    args = parser.parse_args()
    hub = tun(args.hub, args.device)
    ip(args.hub, "addr", "add", f"{args.gateway}/32", "dev", args.device)
    ip(args.hub, "route", "add", f"{args.address}/32", "dev", args.device)
    member = tun(args.member, "up0")
    ip(args.member, "addr", "add", f"{args.address}/32", "dev", "up0")
    ip(args.member, "route", "add", "default", "dev", "up0")
    line = Line((hub, member), args.delay, args.loss, args.seed)
    print("ready", flush=True)
    line.run()
    print(f"{args.member} carried {line.carried} lost {line.lost}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
