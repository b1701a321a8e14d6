#!/usr/bin/env python3
"""A line between two network namespaces: slow, narrow, and losing packets.

Two TUN devices, one in each namespace, and between them this program: a packet that comes out of one goes into the
other after it has been sent at the line's rate and DELAY milliseconds have gone by, unless it is lost. A kernel's netem
does the same, where there is one; many kernels of virtual machines and containers have none. SIGUSR1 cuts the line,
SIGUSR2 joins it again; at SIGTERM it says how many packets it carried and lost, and ends.

    link.py HUB DEVICE MEMBER ADDRESS --delay 50 --loss 1 --up 1000 --down 10000 --seed 1
"""

import argparse
import ctypes
import fcntl
import heapq
import json
import os
import random
import selectors
import signal
import socket
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
# Seconds that a packet waits at most for its turn on a narrow line; those that would wait longer are lost.
LONGEST_WAIT = 1.0


def enter(namespace):
    """Moves this thread into a namespace that `ip netns` made."""
    with open(f"/run/netns/{namespace}", "rb") as file:
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
    """Runs `ip` on a namespace."""
    subprocess.run(["ip", "-n", namespace, *arguments], check=True)


class Way:
    """One direction of a line: what comes out of one end and goes into the other."""

    def __init__(self, into, rate):
        self.into = into
        self.bytes_a_second = rate * 125  # of kilobits; 0 is without a limit
        self.free_at = 0.0
        self.under_way = 0
        self.bytes = 0

    def sent_at(self, now, size):
        """When a packet has left if it is taken now; none if it would wait too long."""
        if self.bytes_a_second == 0:
            return now
        begins = max(now, self.free_at)
        if begins - now > LONGEST_WAIT:
            return None
        self.free_at = begins + size / self.bytes_a_second
        return self.free_at


class Line:
    """Packets under way, both directions in one queue by when they are due."""

    def __init__(self, ways, delay, near, loss, seed):
        self.ways = ways
        self.delay, self.loss = delay / 1000, loss / 100
        self.near = near  # an address, and the seconds from and to it
        self.random = random.Random(seed)
        self.queue, self.count = [], 0
        self.is_cut, self.is_over = False, False
        self.carried, self.lost, self.crowded = 0, 0, 0

    def take(self, end):
        """Takes all packets that an end has."""
        way = self.ways[end]
        while True:
            try:
                packet = os.read(end, 65536)
            except BlockingIOError:
                return
            if self.is_cut or self.random.random() < self.loss:
                self.lost += 1
                continue
            now = time.monotonic()
            sent = way.sent_at(now, len(packet)) if way.under_way < MOST_UNDER_WAY else None
            if sent is None:
                self.crowded += 1
                continue
            self.count += 1
            way.under_way += 1
            heapq.heappush(self.queue, (sent + self.takes(packet), self.count, way, packet))

    def takes(self, packet):
        """How long a packet is on its way, by where it comes from and goes to."""
        address, seconds = self.near
        return seconds if address in (packet[12:16], packet[16:20]) else self.delay

    def give(self):
        """Gives what is due, and how long until there is more."""
        now = time.monotonic()
        while self.queue and self.queue[0][0] <= now:
            _, _, way, packet = heapq.heappop(self.queue)
            way.under_way -= 1
            try:
                os.write(way.into, packet)
                self.carried += 1
                way.bytes += len(packet)
            except OSError:
                self.lost += 1
        return max(0.0, self.queue[0][0] - now) if self.queue else 1.0

    def cut(self, *_):
        """What is under way is lost, and what comes."""
        self.is_cut = True
        self.lost += len(self.queue)
        for _, _, way, _ in self.queue:
            way.under_way -= 1
        self.queue.clear()

    def join(self, *_):
        """Carries again."""
        self.is_cut = False

    def end(self, *_):
        """Ends at the next turn."""
        self.is_over = True

    def run(self):
        """Carries packets until it is told to end."""
        asked = []
        for number, what in [
            (signal.SIGUSR1, self.cut),
            (signal.SIGUSR2, self.join),
            (signal.SIGTERM, self.end),
        ]:
            signal.signal(number, lambda *_, what=what: asked.append(what))
        selector = selectors.DefaultSelector()
        for end in self.ways:
            selector.register(end, selectors.EVENT_READ)
        while not self.is_over:
            # Not within the signal's handler, which would come between two steps of the queue.
            while asked:
                asked.pop(0)()
            for key, _ in selector.select(min(self.give(), 0.2)):
                self.take(key.fd)


def main():
    """Makes a line and carries what comes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ["hub", "device", "member", "address"]:
        parser.add_argument(name)
    parser.add_argument("--delay", type=float, default=0, help="milliseconds each way")
    parser.add_argument("--near", type=float, help="the same from and to the hub itself, if that is another")
    parser.add_argument("--loss", type=float, default=0, help="percent of packets")
    parser.add_argument("--up", type=float, default=0, help="kilobits a second from the member; 0: no limit")
    parser.add_argument("--down", type=float, default=0, help="kilobits a second to the member; 0: no limit")
    parser.add_argument("--seed", type=int, default=1, help="of which packets are lost")
    parser.add_argument("--gateway", default="10.77.0.1", help="the hub's address")
    args = parser.parse_args()
    hub = tun(args.hub, args.device)
    ip(args.hub, "addr", "add", f"{args.gateway}/32", "dev", args.device)
    ip(args.hub, "route", "add", f"{args.address}/32", "dev", args.device)
    member = tun(args.member, "up0")
    ip(args.member, "addr", "add", f"{args.address}/32", "dev", "up0")
    ip(args.member, "route", "add", "default", "dev", "up0")
    up, down = Way(hub, args.up), Way(member, args.down)
    near = args.delay if args.near is None else args.near
    line = Line(
        {member: up, hub: down}, args.delay, (socket.inet_aton(args.gateway), near / 1000), args.loss, args.seed
    )
    print("ready", flush=True)
    line.run()
    facts = {"carried": line.carried, "lost": line.lost, "crowded": line.crowded, "up": up.bytes, "down": down.bytes}
    print(json.dumps(facts), flush=True)


if __name__ == "__main__":
    sys.exit(main())
