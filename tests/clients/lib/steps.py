"""What the clients in Python share: the world that the runner made, and one line of JSON for each step."""

import json
import os
import signal

STEP_SECONDS = 60

with open(os.environ["CAIRN_WORLD"], encoding="utf-8") as file:
    WORLD = json.load(file)

STATE_CALLS = ["SubnetsApi_creation_price", "TrainingApi_run", "EmissionsApi_schedule"]


class Absent(Exception):
    """A step that the client has no way to do: why."""


def _late(_number, _frame):
    raise TimeoutError(f"no answer in {STEP_SECONDS} s")


def run(client, version, steps):
    """Runs the steps in turn and says how each went. A step that fails does not stop those after it."""
    signal.signal(signal.SIGALRM, _late)
    for step, action in steps.items():
        signal.alarm(STEP_SECONDS)
        try:
            ok, detail = True, action()
        except Absent as why:
            ok, detail = None, str(why)
        except Exception as error:  # whatever it is, it is the result of this step
            ok, detail = False, f"{type(error).__name__}: {error}"
        signal.alarm(0)
        line = {"client": client, "version": version, "step": step, "ok": ok}
        line["detail"] = " ".join(str(detail).split())[:300]
        print(json.dumps(line), flush=True)


def same(found, wanted, what):
    """Both are equal."""
    if found != wanted:
        raise AssertionError(f"{what} is {found!r}, not {wanted!r}")


def run_name(value):
    """The name of a run: on chain it is bytes, which clients show as text or as hexadecimal digits."""
    text = value if isinstance(value, str) else bytes(value).decode()
    return bytes.fromhex(text[2:]).decode() if text.startswith("0x") else text


def first_pebble(answer):
    """The pebble in the first eight bytes of an answer in SCALE."""
    return int.from_bytes(bytes.fromhex(answer[2:])[:8], "little")


def check_state_calls(creation_price, run_of_2, schedule):
    """Checks the raw answers of the three runtime calls in `STATE_CALLS`."""
    if first_pebble(creation_price) <= 0:
        raise AssertionError("a subnet costs nothing")
    same(run_of_2, "0x00", "the run of subnet 2")
    same(first_pebble(schedule), int(WORLD["cap"]), "the cap")
    return ", ".join(STATE_CALLS)


def check_ours(subnets, run_of_1, schedule):
    """Checks the answers of our RPC namespaces."""
    same(subnets[0]["owner"], WORLD["owner"], "the owner")
    same(run_of_1["config"]["name"], WORLD["run"], "the run's name")
    same(schedule["cap"], WORLD["cap"], "the cap")
    return "subnets_list, training_run, emissions_schedule"


def check_calls(calls):
    """Checks the calls of a block: the time, which is an inherent, and the transfer."""
    for wanted in ("Timestamp.set", "Balances.transfer_keep_alive"):
        if wanted not in calls:
            raise AssertionError(f"no {wanted} among {calls}")
    return ", ".join(calls)


def check_heads(numbers):
    """Heads came one after the other."""
    if any(later <= earlier for earlier, later in zip(numbers, numbers[1:])):
        raise AssertionError(f"heads came as {numbers}")
    return f"{len(numbers)} heads"
