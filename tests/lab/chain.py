"""The lab's chain: its node, how a subnet and a run are set up on it, and what it says of rounds."""

import collections
import concurrent.futures
import json
import os
import re
import shutil
import subprocess
import time
import urllib.error
import urllib.request

from network import HUB_ADDRESS, LabError

RPC_PORT = 9944
NETUID = 1
# Development accounts with money: the first owns the subnet, the others are coldkeys of members.
RICH = ["Alice", "Bob", "Charlie", "Dave", "Eve", "Ferdie"]
# A debug build compiles the runtime when it starts, on a busy machine for minutes.
NODE_STARTS = 300
# Seconds that a command may take.
LONGEST_COMMAND = 300
# A CRN in pebble, in which hyperparameters are.
CRN = 10**9
# Blocks from one epoch to the next.
TEMPO = 8


class Chain:
    """One node in the hub, and the command line beside it."""

    def __init__(self, network, programs, directory, root):
        self.network, self.programs, self.directory, self.root = network, programs, directory, root
        self.genesis = None

    def command(self):
        """A node that members may ask over their lines."""
        place = self.directory / "node"
        command = [self.programs / "cairn-node", "--chain", "dev", "--alice", "--validator", "--force-authoring"]
        command += ["--base-path", place, "--unsafe-force-node-key-generation", "--no-mdns", "--no-telemetry"]
        command += ["--no-prometheus", "--listen-addr", f"/ip4/{HUB_ADDRESS}/tcp/30333", "--rpc-port", RPC_PORT]
        # Others than this machine may ask, by any name, and only what is safe.
        return [*command, "--unsafe-rpc-external", "--rpc-cors", "all", "--rpc-methods", "safe"]

    def start(self):
        """Starts the node, and waits until it makes blocks."""
        self.network.start("node", "hub", self.command())
        until = time.monotonic() + NODE_STARTS
        while True:
            self.network.check(["node"])
            try:
                if int(self.ask("chain_getHeader")["number"], 16) > 0:
                    break
            except (urllib.error.URLError, ConnectionError):
                pass
            if time.monotonic() > until:
                raise LabError(f"the node makes no blocks: see {self.directory}/node.log")
            time.sleep(1)
        self.genesis = self.ask("chain_getBlockHash", 0)

    def ask(self, method, *params):
        """What the node answers."""
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
        asked = urllib.request.Request(f"http://127.0.0.1:{RPC_PORT}", body, {"content-type": "application/json"})
        with urllib.request.urlopen(asked, timeout=30) as answer:
            answer = json.load(answer)
        if "error" in answer:
            raise LabError(f"the node answers to {method}: {answer['error']}")
        return answer["result"]

    def cairn(self, *words):
        """Runs the command line in the hub; an error with its words if it fails."""
        command = [str(self.programs / "cairn"), *map(str, words)]
        try:
            done = subprocess.run(
                command, env=clean(), capture_output=True, text=True, check=False, timeout=LONGEST_COMMAND
            )
        except subprocess.TimeoutExpired as error:
            raise LabError(f"`cairn {' '.join(map(str, words))}` took longer than {LONGEST_COMMAND} s") from error
        if done.returncode != 0:
            raise LabError(f"`cairn {' '.join(map(str, words))}` failed: {done.stderr.strip()}")
        return done.stdout

    def wallets(self):
        """Where the lab's keys are."""
        return self.directory / "wallets"

    def prepare(self, run_file, store):
        """Encodes the text that comes with the source into a store."""
        store.mkdir(parents=True)
        data = self.root / "data"
        length = re.search(r"^sequence_length = (\d+)", run_file.read_text(), re.MULTILINE)
        if length is None:
            raise LabError(f"{run_file} has no sequence_length")
        self.cairn(
            "data", "prepare", "--corpus", data / "sotu.txt.zst", "--tokenizer", data / "tokenizer.json",
            "--out", f"file://{store}", "--sequence-length", length[1],
        )  # fmt: skip

    def found(self, members):
        """Makes the subnet and its members: those of one coldkey one after the other, since its transactions have
        numbers."""
        self.cairn("subnet", "create", "--suri", "//Alice")
        self.cairn(
            "subnet", "set", "--suri", "//Alice", "--netuid", NETUID, f"tempo={TEMPO}",
            f"activity_cutoff={2 * TEMPO}", "unbonding_period=60", f"min_validator_stake={10 * CRN}",
            f"min_miner_bond={CRN}",
        )  # fmt: skip
        groups = collections.defaultdict(list)
        for member in members:
            groups[member.coldkey].append(member)
        with concurrent.futures.ThreadPoolExecutor() as pool:
            for done in [pool.submit(self.register_all, group) for group in groups.values()]:
                done.result()

    def register_all(self, members):
        """Registers members, one after the other."""
        for member in members:
            self.register(member)

    def register(self, member):
        """Makes a member's keys, its place in the subnet, and what is behind it."""
        made = self.cairn("wallet", "new", member.name, "--plain", "--wallet-dir", self.wallets(), "--json")
        member.hotkey = json.loads(made)["address"]
        common = ["--suri", f"//{member.coldkey}", "--wallet-dir", self.wallets(), "--netuid", NETUID]
        common += ["--hotkey", member.name]
        self.cairn("subnet", "register", *common, "--role", member.role, "--max-price", 50)
        kind, amount = ("add", 100) if member.role == "validator" else ("bond", 10)
        self.cairn("stake", kind, *common, amount)
        uids = {known["hotkey"]: known["uid"] for known in self.ask("subnets_members", NETUID)}
        member.uid = uids[member.hotkey]

    def worker(self, member, store, *more):
        """A member's worker with this store, as a command."""
        command = [self.programs / "cairn", "validate" if member.role == "validator" else "mine"]
        command += ["--key", member.name, "--wallet-dir", self.wallets(), "--netuid", NETUID]
        command += ["--genesis", self.genesis, "--state-dir", self.directory / "state" / member.name]
        return [*command, "--device", "cpu", "--threads", 1, "--store", store, *more]

    def peer(self, member, text, bind, *more):
        """A member's worker that is a peer at this address, with a store of its own, as a command. The text, which is
        public and the same for all, is there already: what rounds are made of comes from others."""
        own = self.directory / "stores" / member.name
        shutil.copytree(text, own)
        return self.worker(member, f"file://{own}", "--p2p", "--trust-endpoints", "--p2p-bind", bind, *more)

    def start_run(self, run_file, store):
        """Starts the run: last, so that no round goes by while workers start."""
        self.cairn(
            "run", "start", "--suri", "//Alice", "--netuid", NETUID, "--file", run_file, "--store", f"file://{store}"
        )

    def round(self):
        """The number of the round that is going on; none before the run."""
        run = self.ask("training_run", NETUID)
        return None if run is None else run["round"]["round"]

    def settled(self, number):
        """What became of a round; none while it is not over."""
        return self.ask("training_settled", NETUID, number)

    def lineage(self):
        """What the chain still has of the parameters with which each round began."""
        return self.ask("training_lineage", NETUID, 0)

    def roots(self):
        """The final roots that the chain still has: of the parameters with which each round began."""
        return {entry["round"]: entry["model_root"] for entry in self.lineage() if entry["is_final"]}


def surroundings():
    """The environment of a worker."""
    return clean() | {"RAYON_NUM_THREADS": "1"}


def clean():
    """The environment for programs of the lab, which take nothing else from their surroundings."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("CAIRN_", "AWS_"))}
    kept["CAIRN_NODE"] = f"ws://{HUB_ADDRESS}:{RPC_PORT}"
    return kept
