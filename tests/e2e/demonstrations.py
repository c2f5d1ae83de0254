"""What ``comity demo --with slurm,bacalhau`` is given from a checkout: real components, as documents of their places.

Printed as one line of JSON by ``up --for-demo`` of each harness, which then lives until its input ends: whoever started
it is gone then, even where nothing could be said any more (ADR 0037).
"""

import contextlib
import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from tests.e2e import _bacalhau, _slurm
from tests.e2e._planes import document
from tests.e2e.bacalhau import networks
from tests.e2e.slurm import clusters

FACTS = {"source": "invented for the demonstration", "asOf": "2026-11-01", "assurance": "documented"}
TOKEN, KEY = "COMITY_SECRET_SLURM", "COMITY_SECRET_BACALHAU"


def hand_over(documents: Sequence[Mapping[str, Any]], environment: Mapping[str, str]) -> None:
    """Print what the demonstration registers, and the secrets to which it refers; return when input ends."""
    with contextlib.suppress(BrokenPipeError):
        print(json.dumps({"documents": documents, "environment": environment}), flush=True)
        sys.stdin.read()


def slurm(cluster: clusters.Cluster) -> None:
    """Hand over a cluster whose partitions stand for France and Germany, at 0.30 EUR an hour."""
    settings = _slurm.settings(cluster)
    token, settings["token"] = settings["token"], {"fromEnv": TOKEN}
    pools = [_pool("fr", "FR"), _pool("de", "DE")]
    place = _place("hpc", adapter="slurm", operator="centre", settings=settings, pools=pools)
    hand_over([_operator("centre", "FR"), place], {TOKEN: token})


def bacalhau(network: networks.Network) -> None:
    """Hand over a network whose nodes stand for three operators in three countries."""
    settings = _bacalhau.settings(network, key={"fromEnv": KEY})
    said = {name: labels["jurisdiction"] for name, labels in networks.NODES.items()}
    pools = [{**_pool(name, country), "operator": name} for name, country in said.items()]
    place = _place("network", adapter="bacalhau", operator=next(iter(said)), settings=settings, pools=pools)
    hand_over([*(_operator(name, country) for name, country in said.items()), place], {KEY: network.key})


def _pool(name: str, country: str) -> dict[str, Any]:
    return {"name": name, "pricePerHour": "0.30 EUR", "location": {"country": country}, "adminFrom": [country]}


def _operator(name: str, country: str) -> dict[str, Any]:
    return document("Operator", name, {"legalCountry": country, "ultimateParentHq": country, "facts": FACTS})


def _place(name: str, **spec: Any) -> dict[str, Any]:
    here = {"location": {"country": "FR"}, "adminFrom": ["FR"], "logStore": {"country": "FR"}, "facts": FACTS}
    return document("Backend", name, here | spec)
