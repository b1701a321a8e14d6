"""py-substrate-interface: what scripts and back ends in Python are written with."""

import sys
from importlib.metadata import version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "lib"))

from steps import (  # noqa: E402
    WORLD, Absent, check_calls, check_heads, check_ours, check_state_calls, run, run_name, same,
)
from substrateinterface import Keypair, SubstrateInterface  # noqa: E402

NETUID, OWNER = WORLD["netuid"], WORLD["owner"]
node = None
block = None


def connect():
    global node
    node = SubstrateInterface(url=WORLD["ws"])
    same(node.get_block_hash(0), WORLD["genesis"], "genesis")
    same(node.get_constant("System", "Version").value["spec_name"], "cairn", "the name")
    same(node.token_symbol, "CRN", "the token")
    same(node.token_decimals, 9, "its decimals")
    return "name, genesis, token"


def storage():
    same(node.query("Subnets", "Subnets", [NETUID]).value["owner"], OWNER, "the owner")
    same(node.query("Subnets", "Coldkeys", [WORLD["hotkey"]]).value, OWNER, "the coldkey")
    same(len(list(node.query_map("Training", "Runs"))), 1, "the number of runs")
    same(node.query("Training", "Runs", [2]).value, None, "the run of subnet 2")
    return "Subnets.Subnets, Subnets.Coldkeys, Training.Runs"


def runtime_api():
    try:
        node.runtime_call("SubnetsApi", "subnets", [0, 256])
    except ValueError as error:
        if "not found in registry" not in str(error):
            raise
        raise Absent("it knows only the runtime APIs of its own list, not those of the metadata: use state_call")
    same(node.runtime_call("SubnetsApi", "subnets", [0, 256]).value[0]["owner"], OWNER, "the owner")
    name = node.runtime_call("TrainingApi", "run", [NETUID]).value["config"]["name"]
    same(run_name(name), WORLD["run"], "the run's name")
    same(node.runtime_call("EmissionsApi", "schedule").value["cap"], int(WORLD["cap"]), "the cap")
    return "SubnetsApi.subnets, TrainingApi.run, EmissionsApi.schedule"


def ask(method, *params):
    return node.rpc_request(method, list(params))["result"]


def state_call():
    return check_state_calls(
        ask("state_call", "SubnetsApi_creation_price", "0x"),
        ask("state_call", "TrainingApi_run", "0x0200"),
        ask("state_call", "EmissionsApi_schedule", "0x"),
    )


def rpc():
    return check_ours(ask("subnets_list"), ask("training_run", NETUID), ask("emissions_schedule"))


def transfer():
    global block
    sender = Keypair.create_from_uri(WORLD["sender"])
    call = node.compose_call(
        "Balances", "transfer_keep_alive", {"dest": WORLD["to"], "value": int(WORLD["amount"])}
    )
    extrinsic = node.create_signed_extrinsic(call, sender)
    receipt = node.submit_extrinsic(extrinsic, wait_for_inclusion=True)
    block = receipt.block_hash
    if not receipt.is_success:
        raise AssertionError(receipt.error_message)
    free = node.query("System", "Account", [WORLD["to"]], block).value["data"]["free"]
    same(free, int(WORLD["amount"]), "what arrived")
    return "signed, in a block, arrived"


def read_block():
    extrinsics = node.get_block(block)["extrinsics"]
    calls = [extrinsic.value["call"] for extrinsic in extrinsics]
    return check_calls([f"{call['call_module']}.{call['call_function']}" for call in calls])


def follow(wanted, **options):
    numbers = []

    def each(head, _number, _subscription):
        numbers.append(head["header"]["number"])
        return numbers if len(numbers) >= wanted else None

    node.subscribe_block_headers(each, **options)
    return numbers


def heads():
    check_heads(follow(2, finalized_only=True))
    return check_heads(follow(3))


run("py-substrate-interface", version("substrate-interface"), {
    "connect": connect,
    "storage": storage,
    "runtime-api": runtime_api,
    "state-call": state_call,
    "rpc": rpc,
    "transfer": transfer,
    "block": read_block,
    "heads": heads,
})
