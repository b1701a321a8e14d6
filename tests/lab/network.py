"""Namespaces, lines, routers and processes of a lab, and how they all go again."""

import ctypes
import json
import os
import pathlib
import shutil
import signal
import subprocess
import time

from link import CLONE_NEWNET, enter

HERE = pathlib.Path(__file__).resolve().parent
HUB_ADDRESS = "10.77.0.1"
# Of a member behind a router, and of that router on the member's side.
INSIDE, ROUTER_INSIDE = "192.168.7.2", "192.168.7.1"
# The UDP port of a peer behind a router.
PEER_PORT = 4433
PREFIX = "cairn-lab"
# How long a process may take to end when it is asked to.
GRACE = 10
# Loaded before there are threads: a child that is not a program yet loads nothing.
LIBC = ctypes.CDLL(None)

# A router as people have it: what goes out leaves under its address, and what nobody asked for does not come in.
ROUTER = """
table ip lab {
    chain out { type nat hook postrouting priority srcnat; oifname "up0" masquerade; }
    chain through {
        type filter hook forward priority filter;
        iifname "up0" ct status dnat accept
        iifname "up0" ct state new drop
    }
}
"""
# Two parts of a network that hear nothing of each other. The hub itself is in the near one.
SPLIT = """
table ip split {{
    set far {{ type ipv4_addr; elements = {{ {far} }} }}
    chain through {{
        type filter hook forward priority filter;
        ip saddr @far ip daddr != @far drop
        ip saddr != @far ip daddr @far drop
    }}
    chain in {{ type filter hook input priority filter; ip saddr @far drop; }}
    chain out {{ type filter hook output priority filter; ip daddr @far drop; }}
}}
"""
FORWARDED = f"""
table ip lab {{
    chain forwarded {{
        type nat hook prerouting priority dstnat;
        iifname "up0" udp dport {PEER_PORT} dnat to {INSIDE}
    }}
}}
"""


class LabError(Exception):
    """What kept the lab from going on, for people."""


def run(*command, feed=None):
    """Runs a command to its end; what it said is in the error if it fails."""
    done = subprocess.run(command, input=feed, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise LabError(f"`{' '.join(command)}` failed: {(done.stderr or done.stdout).strip()}")
    return done.stdout


def why_not():
    """What is missing for namespaces and lines, in a sentence; none if they can be made."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    for tool in ["ip", "nft"]:
        if shutil.which(tool) is None:
            return f"`{tool}` is missing: apt-get install iproute2 nftables"
    probe = f"{PREFIX}-{os.getpid()}-probe"
    try:
        run("ip", "netns", "add", probe)
    except LabError:
        return "network namespaces cannot be made here"
    try:
        run("ip", "-n", probe, "tuntap", "add", "dev", "probe", "mode", "tun")
        run("ip", "netns", "exec", probe, "nft", "-f", "-", feed=ROUTER)
    except LabError as error:
        return f"lines or routers cannot be made here: {error}"
    finally:
        run("ip", "netns", "del", probe)
    return None


def clear_leftovers():
    """Removes namespaces of labs that were killed before they could."""
    for entry in json.loads(run("ip", "-j", "netns", "list") or "[]"):
        words = entry["name"].removeprefix(PREFIX + "-").split("-", 1)
        if entry["name"].startswith(PREFIX + "-") and words[0].isdigit():
            if not pathlib.Path(f"/proc/{words[0]}").exists():
                run("ip", "netns", "del", entry["name"])


def die_with_parent():
    """In a child: the kernel kills it when the lab is gone, however that came."""
    LIBC.prctl(1, signal.SIGKILL)


class Network:
    """A hub and, at the end of a line each, members. Used as a context: everything goes when it is left."""

    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        self.namespaces = []
        self.processes = {}
        self.lines = {}
        with open("/proc/self/ns/net", "rb") as here:
            self.home = os.dup(here.fileno())

    def __enter__(self):
        try:
            self.add("hub")
            hub = self.full("hub")
            run("ip", "-n", hub, "addr", "add", f"{HUB_ADDRESS}/32", "dev", "lo")
            run("ip", "netns", "exec", hub, "sh", "-c", "echo 1 >/proc/sys/net/ipv4/ip_forward")
            enter(hub)  # this program looks on from there
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.stop(self.processes)
        LIBC.setns(self.home, CLONE_NEWNET)
        os.close(self.home)
        for name in self.namespaces:
            subprocess.run(["ip", "netns", "del", name], stderr=subprocess.DEVNULL, check=False)

    def full(self, name):
        """The name of a namespace on this machine."""
        return f"{PREFIX}-{os.getpid()}-{name}"

    def add(self, name):
        """Makes a namespace."""
        run("ip", "netns", "add", self.full(name))
        self.namespaces.append(self.full(name))
        run("ip", "-n", self.full(name), "link", "set", "lo", "up")

    def start(self, name, where, command, env=None):
        """Starts a process in a namespace; what it says is in NAME.log."""
        with open(self.directory / f"{name}.log", "ab") as log:
            self.processes[name] = subprocess.Popen(
                ["ip", "netns", "exec", self.full(where), *map(str, command)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=env,
                start_new_session=True,
                preexec_fn=die_with_parent,
            )

    def stop(self, names):
        """Ends processes, all at once; kills those that take too long."""
        processes = [self.processes[name] for name in names if name in self.processes]
        for process in processes:
            process.terminate()
        until = time.monotonic() + GRACE
        for process in processes:
            try:
                process.wait(max(0.1, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def said(self, name):
        """What a process has said so far."""
        return (self.directory / f"{name}.log").read_text(errors="replace")

    def until(self, name, words, seconds):
        """Waits until a process has said these words."""
        end = time.monotonic() + seconds
        while words not in self.said(name):
            self.check([name])
            if time.monotonic() > end:
                raise LabError(f"{name} did not say `{words}` in {seconds} s: see {self.directory}/{name}.log")
            time.sleep(0.1)

    def check(self, names):
        """An error if one of these processes has ended."""
        for name in self.ended(names):
            raise LabError(f"{name} {self.ending(name)}")

    def ending(self, name):
        """How a process ended that has."""
        last = self.said(name).strip().splitlines()[-1:] or ["it said nothing"]
        return f"ended with {self.processes[name].returncode}: {last[0]}"

    def ended(self, names):
        """Those of these processes that have ended."""
        return [name for name in names if self.processes[name].poll() is not None]

    def line_names(self):
        """The processes that are lines."""
        return [f"line-{member}" for member in self.lines]

    def join(self, member, line):
        """Puts a member at the end of a line; behind a router if it has one."""
        self.add(member.name)
        end = member.name
        if member.router is not None:
            end = f"{member.name}-router"
            self.add(end)
            self.route(member, end)
        name = f"line-{member.name}"
        options = [f"--{key}={value}" for key, value in line.items()]
        seed = f"--seed={len(self.lines) + 1}"
        # It enters both namespaces itself.
        program = ["python3", HERE / "link.py", self.full("hub"), f"to-{len(self.lines)}", self.full(end)]
        self.start(name, "hub", [*program, member.address, *options, seed])
        self.lines[member.name] = self.processes[name]
        self.until(name, "ready", 10)

    def route(self, member, router):
        """Puts a member behind a router."""
        inside, outside = self.full(member.name), self.full(router)
        run("ip", "-n", outside, "link", "add", "in0", "type", "veth", "peer", "name", "eth0", "netns", inside)
        for namespace, device, address in [(outside, "in0", ROUTER_INSIDE), (inside, "eth0", INSIDE)]:
            run("ip", "-n", namespace, "addr", "add", f"{address}/24", "dev", device)
            run("ip", "-n", namespace, "link", "set", device, "mtu", "1400", "up")
        run("ip", "-n", inside, "route", "add", "default", "via", ROUTER_INSIDE)
        run("ip", "netns", "exec", outside, "sh", "-c", "echo 1 >/proc/sys/net/ipv4/ip_forward")
        rules = ROUTER + (FORWARDED if member.router == "forwarded" else "")
        run("ip", "netns", "exec", outside, "nft", "-f", "-", feed=rules)

    def forward(self, member, port):
        """Has a TCP port of the hub at the same port of a member's own machine."""
        name = f"forward-{member.name}"
        self.start(name, member.name, ["python3", HERE / "forward.py", port, f"{HUB_ADDRESS}:{port}"])
        self.until(name, "ready", 10)

    def cut(self, member):
        """Cuts a member's line."""
        self.lines[member.name].send_signal(signal.SIGUSR1)

    def heal(self, member):
        """Joins a member's line again."""
        self.lines[member.name].send_signal(signal.SIGUSR2)

    def unplug(self, member):
        """Takes a member's address from it, as when a cable is pulled; it has no router."""
        run("ip", "-n", self.full(member.name), "addr", "del", f"{member.address}/32", "dev", "up0")

    def plug(self, member):
        """Gives a member its address again."""
        run("ip", "-n", self.full(member.name), "addr", "add", f"{member.address}/32", "dev", "up0")
        run("ip", "-n", self.full(member.name), "route", "replace", "default", "dev", "up0")

    def split(self, addresses):
        """Parts those at these addresses from the hub and from all others."""
        rules = SPLIT.format(far=", ".join(addresses))
        run("ip", "netns", "exec", self.full("hub"), "nft", "-f", "-", feed=rules)

    def unite(self):
        """Heals what was split."""
        run("ip", "netns", "exec", self.full("hub"), "nft", "delete", "table", "ip", "split")

    def kill(self, name):
        """Ends a process as `kill -9` does."""
        self.processes[name].kill()
        self.processes[name].wait()

    def packets(self):
        """What each line carried and lost, by member; ends members and lines, in this order."""
        self.stop(self.lines)
        self.stop(self.line_names())
        logs = {member: self.said(f"line-{member}").strip().splitlines() for member in self.lines}
        return {member: json.loads(log[-1]) for member, log in logs.items() if log and log[-1].startswith("{")}
