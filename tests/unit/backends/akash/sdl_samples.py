"""Documents of Akash's language, invented, and random ones that use all of it."""

import copy
import random
from collections.abc import Mapping
from typing import Any

SIMPLE: Mapping[str, Any] = {
    "version": "2.0",
    "services": {"job": {"image": "example.test/train@sha256:" + "0" * 64, "command": ["/bin/train"]}},
    "profiles": {
        "compute": {"job": {"resources": {"cpu": {"units": 2}, "memory": {"size": "4Gi"}, "storage": {"size": "1Gi"}}}},
        "placement": {"here": {"pricing": {"job": {"denom": "uact", "amount": "12.5"}}}},
    },
    "deployment": {"job": {"here": {"profile": "job", "count": 1}}},
}


def changed(path: str, value: Any, *, given: Mapping[str, Any] = SIMPLE) -> dict[str, Any]:
    """Return a document with one part replaced; None takes it out. Parts of the path are joined by slashes."""
    made = copy.deepcopy(dict(given))
    *parts, last = path.split("/")
    inner: Any = made
    for part in parts:
        inner = inner.setdefault(part, {})
    if value is None:
        inner.pop(last, None)
    else:
        inner[last] = value
    return made


def drawn(seed: int) -> dict[str, Any]:
    """Return a random document: several services, places and profiles, addresses, volumes, GPUs, credentials.

    Without what the authors' package of the tests does not know yet (reclamation, permission to read events, sizes
    without a unit), and without the three things that it makes otherwise than the vectors, which their Go makes: a
    profile shared by services in 2.0, addresses beside ports for other services, parameters without volumes.
    """
    rng = random.Random(seed)
    places = [f"place{number}" for number in range(rng.randint(1, 3))]
    profiles = {f"profile{number}": _compute(rng) for number in range(rng.randint(1, 3))}
    addresses = [f"address-{number}" for number in range(rng.randint(0, 2))]
    services: dict[str, Any] = {}
    deployment: dict[str, Any] = {}
    chosen_by: dict[str, str] = {}
    for number in range(rng.randint(1, 4)):
        name = f"service{number}"
        profile = chosen_by[name] = rng.choice(sorted(profiles))
        services[name] = _service(rng, profiles[profile]["resources"], addresses)
        chosen = rng.sample(places, rng.randint(1, len(places)))
        deployment[name] = {place: {"profile": profile, "count": rng.randint(1, 4)} for place in chosen}
    used = {to["ip"] for one in services.values() for port in one.get("expose", ()) for to in port["to"] if "ip" in to}
    made: dict[str, Any] = {
        "version": rng.choice(["2.0", "2.1"]) if len(set(chosen_by.values())) == len(chosen_by) else "2.1",
        "services": services,
        "profiles": {"compute": profiles, "placement": {place: _placement(rng, profiles) for place in places}},
        "deployment": deployment,
    }
    if used:
        made["endpoints"] = {name: {"kind": "ip"} for name in sorted(used)}
    return made


def _compute(rng: random.Random) -> dict[str, Any]:
    found: dict[str, Any] = {
        "cpu": {"units": rng.choice([1, 0.5, 2.25, "100m", "1500m", "0.1", "4"])},
        "memory": {"size": rng.choice(["512Mi", "2Gi", "1G", "1.5Gi", "256k"])},
        "storage": {"size": rng.choice(["1Gi", "512Mi", "10G"])},
    }
    if rng.random() < 0.5:
        volumes: list[dict[str, Any]] = [{"size": f"{rng.randint(1, 3)}Gi"}]
        for number in range(rng.randint(0, 3)):
            volume: dict[str, Any] = {"name": f"volume{number}", "size": f"{rng.randint(4, 9) + 10 * number}Gi"}
            kind = rng.choice(["beta1", "beta2", "beta3", "default", "ram"])
            volume["attributes"] = {"class": kind, "persistent": kind != "ram"}
            volumes.append(volume)
        found["storage"] = volumes
    if rng.random() < 0.4:
        models = rng.choice([None, [{"model": "h100"}], [{"model": "a100", "ram": "80Gi"}, {"model": "rtx4090"}]])
        if rng.random() < 0.3:
            models = [{"model": "h200", "ram": "141Gi", "interface": "sxm"}]
        found["gpu"] = {"units": rng.choice([1, 4, "8"]), "attributes": {"vendor": {"nvidia": models}}}
    return {"resources": found}


def _service(rng: random.Random, resources: Mapping[str, Any], addresses: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = {"image": rng.choice(["example.test/a:1", "example.test/b@sha256:" + "1" * 64])}
    for name in ("command", "args", "env"):
        if rng.random() < 0.4:
            found[name] = [f"{name.upper()}={number} ü" for number in range(rng.randint(1, 3))]
    ports = [_port(rng, 1000 + number, addresses) for number in range(rng.randint(0, 3))]
    if ports:
        found["expose"] = ports
    volumes = resources["storage"] if isinstance(resources["storage"], list) else []
    mounts = {one["name"]: {"mount": f"/{one['name']}", "readOnly": False} for one in volumes if "name" in one}
    params: dict[str, Any] = {"storage": mounts} if mounts else {}
    if params and rng.random() < 0.4:
        params["permissions"] = {"read": rng.sample(["deployment", "logs"], rng.randint(1, 2))}
    if params:
        found["params"] = params
    if rng.random() < 0.2:
        found["credentials"] = {"host": "example.test", "username": "user", "password": "secret-of-nobody"}
    return found


def _port(rng: random.Random, port: int, addresses: list[str]) -> dict[str, Any]:
    to: dict[str, Any] = {"global": True}
    if addresses and rng.random() < 0.4:
        to["ip"] = rng.choice(addresses)
    elif not addresses and rng.random() < 0.2:
        to = {"service": "service0"}
    found: dict[str, Any] = {"port": port, "to": [to]}
    if rng.random() < 0.6:
        found["as"] = rng.choice([80, rng.randint(2000, 60_000)])
    if rng.random() < 0.4:
        found["proto"] = rng.choice(["tcp", "udp", "TCP", "UDP"])
    if rng.random() < 0.3:
        found["accept"] = ["a.example.test", "b.example.test"]
    if rng.random() < 0.3:
        found["http_options"] = {
            "max_body_size": rng.randint(1, 104_857_600),
            "next_cases": rng.choice([["off"], ["500"]]),
        }
    return found


def _placement(rng: random.Random, profiles: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {
        "pricing": {
            name: {"denom": rng.choice(["uakt", "uact"]), "amount": rng.choice([1, 1000, "2.5", 0.25])}
            for name in profiles
        }
    }
    if rng.random() < 0.5:
        found["attributes"] = {"region": "eu-central", "host": "akash", "tier": "community"}
    if rng.random() < 0.5:
        found["signedBy"] = {"anyOf": ["akash1invented"], "allOf": ["akash1b", "akash1a"]}
    return found
