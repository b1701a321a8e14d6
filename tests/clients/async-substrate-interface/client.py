"""async-substrate-interface: py-substrate-interface's younger relative, for asyncio. It has no keys of its own;
bittensor-wallet has them."""

import asyncio
import sys
from importlib.metadata import version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "lib"))

from async_substrate_interface import AsyncSubstrateInterface  # noqa: E402
from bittensor_wallet import Keypair  # noqa: E402
from steps import (  # noqa: E402
    WORLD, check_calls, check_heads, check_ours, check_state_calls, run, run_name, same,
)

NETUID, OWNER = WORLD["netuid"], WORLD["owner"]
loop = asyncio.new_event_loop()
node = None
block = None


def value(answer):
    """Answers come as objects with a value, or as the value."""
    return getattr(answer, "value", answer)


async def connect():
    global node
    node = AsyncSubstrateInterface(WORLD["ws"], ss58_format=42)
    await node.initialize()
    same(await node.get_block_hash(0), WORLD["genesis"], "genesis")
    spec = value(await node.get_constant("System", "Version"))
    same(spec["spec_name"], "cairn", "the name")
    properties = await ask("system_properties")
    same(properties["tokenSymbol"], "CRN", "the token")
    return "name, genesis, token"


async def storage():
    same(value(await node.query("Subnets", "Subnets", [NETUID]))["owner"], OWNER, "the owner")
    same(value(await node.query("Subnets", "Coldkeys", [WORLD["hotkey"]])), OWNER, "the coldkey")
    runs = [key async for key, _ in await node.query_map("Training", "Runs")]
    same(len(runs), 1, "the number of runs")
    same(value(await node.query("Training", "Runs", [2])), None, "the run of subnet 2")
    return "Subnets.Subnets, Subnets.Coldkeys, Training.Runs"


async def runtime_api():
    subnets = value(await node.runtime_call("SubnetsApi", "subnets", [0, 256]))
    same(subnets[0]["owner"], OWNER, "the owner")
    config = value(await node.runtime_call("TrainingApi", "run", [NETUID]))["config"]
    same(run_name(config["name"]), WORLD["run"], "the run's name")
    schedule = value(await node.runtime_call("EmissionsApi", "schedule"))
    same(schedule["cap"], int(WORLD["cap"]), "the cap")
    return "SubnetsApi.subnets, TrainingApi.run, EmissionsApi.schedule"


async def ask(method, *params):
    return (await node.rpc_request(method, list(params)))["result"]


async def state_call():
    return check_state_calls(
        await ask("state_call", "SubnetsApi_creation_price", "0x"),
        await ask("state_call", "TrainingApi_run", "0x0200"),
        await ask("state_call", "EmissionsApi_schedule", "0x"),
    )


async def rpc():
    return check_ours(
        await ask("subnets_list"), await ask("training_run", NETUID), await ask("emissions_schedule")
    )


async def transfer():
    global block
    sender = Keypair.create_from_uri(WORLD["sender"])
    call = await node.compose_call(
        "Balances", "transfer_keep_alive", {"dest": WORLD["to"], "value": int(WORLD["amount"])}
    )
    extrinsic = await node.create_signed_extrinsic(call, sender)
    receipt = await node.submit_extrinsic(extrinsic, wait_for_inclusion=True)
    block = receipt.block_hash
    if not await receipt.is_success:
        raise AssertionError(await receipt.error_message)
    account = value(await node.query("System", "Account", [WORLD["to"]], block))
    same(account["data"]["free"], int(WORLD["amount"]), "what arrived")
    return "signed, in a block, arrived"


async def read_block():
    extrinsics = (await node.get_block(block))["extrinsics"]
    calls = [value(extrinsic)["call"] for extrinsic in extrinsics]
    return check_calls([f"{call['call_module']}.{call['call_function']}" for call in calls])


async def follow(wanted, **options):
    numbers = []

    async def each(head):
        numbers.append(head["header"]["number"])
        return numbers if len(numbers) >= wanted else None

    await node.subscribe_block_headers(each, **options)
    return numbers


async def heads():
    check_heads(await follow(2, finalized_only=True))
    return check_heads(await follow(3))


def wait_for(step):
    return lambda: loop.run_until_complete(step())


run("async-substrate-interface", version("async-substrate-interface"), {
    "connect": wait_for(connect),
    "storage": wait_for(storage),
    "runtime-api": wait_for(runtime_api),
    "state-call": wait_for(state_call),
    "rpc": wait_for(rpc),
    "transfer": wait_for(transfer),
    "block": wait_for(read_block),
    "heads": wait_for(heads),
})
if node:
    loop.run_until_complete(node.close())
