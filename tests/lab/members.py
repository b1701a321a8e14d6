"""Who takes part in a lab."""

import dataclasses
import json

from chain import RICH


@dataclasses.dataclass
class Member:
    """Who takes part."""

    name: str
    role: str
    number: int  # from 1, each once in a network
    router: str = None
    uid: int = None
    hotkey: str = None
    roots: dict = dataclasses.field(default_factory=dict)  # of its parameters, by the round that begins with them

    @property
    def coldkey(self):
        """A development account with money, not the subnet's owner's; several members may have the same."""
        return RICH[1 + self.number % (len(RICH) - 1)]

    @property
    def address(self):
        """Where the hub finds it, or its router."""
        return f"10.77.1.{self.number}"

    def look(self, directory):
        """Notes what its worker last wrote of itself: the round that it holds the parameters of, and their root."""
        try:
            status = json.loads((directory / "state" / self.name / "status.json").read_text())
        except (OSError, ValueError):
            return None
        self.roots[status["round"]] = status["model_root"]
        return status


def members(miners, validators, routers=None):
    """So many of each, miners first."""
    routers = routers or {}
    names = [f"miner-{number}" for number in range(1, miners + 1)]
    names += [f"validator-{number}" for number in range(1, validators + 1)]
    return [Member(name, name.split("-")[0], at, routers.get(name)) for at, name in enumerate(names, 1)]
