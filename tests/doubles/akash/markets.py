"""Providers of the double and what they bid: resources as they were asked for, at a price a block."""

import base64
import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

AUDITOR = "akash1365yvmc4s7awdyj3n2sav7xfx76adc6dnmlx63"
"""The one whose signatures the network's own console shows."""
UACT = "uact"


class RefusalError(Exception):
    """An answer that is an error: its status, its name and its sentence."""

    def __init__(self, status: int, error: str, message: str) -> None:
        self.status, self.error, self.message = status, error, message
        super().__init__(message)

    def body(self) -> dict[str, str]:
        """Return the shape that the API reference gives for all errors."""
        return {"error": self.error, "message": self.message}


def address(name: str) -> str:
    """Return an address made of a name: 38 letters and digits after the prefix."""
    letters = "".join(letter for letter in name.lower() if letter.isascii() and letter.isalnum())
    return f"akash1{letters[:38]:0<38}"


@dataclasses.dataclass
class Provider:
    """One provider. Prices in uact a block for each unit of a group; times in seconds.

    ``bids``: ``"eligible"`` for what its attributes and auditors match, ``"all"`` for everything, ``"never"``.
    ``listed``: whether ``GET /v1/providers`` knows it. ``resources``: most CPUs (milli), memory (bytes), GPUs.
    """

    name: str
    country: str | None = "DE"
    region: str | None = "eu-central"
    organization: str | None = None
    attributes: dict[str, str] = dataclasses.field(default_factory=dict)
    audited_by: tuple[str, ...] = (AUDITOR,)
    uptime: float | None = 0.999
    price: float = 100.0
    bids: str = "eligible"
    listed: bool = True
    online: bool = True
    after_s: float = 0.0
    resources: tuple[int, int, int] = (64_000, 512 * 2**30, 8)
    gpu_models: Sequence[Mapping[str, str]] = ()
    reclamation: str | None = None
    takes_manifests: bool = True
    facts: dict[str, Any] = dataclasses.field(default_factory=dict)
    """Fields of its record that are told instead."""

    @property
    def address(self) -> str:
        """Return its address."""
        return address(self.name)

    def signed(self) -> dict[str, str]:
        """Return every attribute, its region and organization included."""
        named = {"location-region": self.region, "organization": self.organization}
        return {**{key: text for key, text in named.items() if text}, **self.attributes}

    def wants(self, group: Mapping[str, Any]) -> bool:
        """Say whether it bids on a group."""
        if self.bids != "eligible":
            return self.bids == "all"
        return self.eligible(group)

    def eligible(self, group: Mapping[str, Any]) -> bool:
        """Say whether its attributes, its auditors and its room are what the group asks for."""
        needs = group["requirements"]
        mine = self.signed()
        if any(mine.get(pair["key"]) != pair["value"] for pair in needs.get("attributes") or ()):
            return False
        signed = needs.get("signed_by") or needs.get("signedBy") or {}
        every = signed.get("all_of") or signed.get("allOf") or ()
        some = signed.get("any_of") or signed.get("anyOf") or ()
        if not set(every) <= set(self.audited_by) or (some and not set(some) & set(self.audited_by)):
            return False
        return all(need <= room for need, room in zip(needed(group), self.resources, strict=True))

    def amount(self, group: Mapping[str, Any]) -> float:
        """Return its price of a group, uact a block."""
        return self.price * sum(unit["count"] for unit in group["resources"])

    def record(self, height: int) -> dict[str, Any]:
        """Return its record as the list of providers tells it."""
        empty = (
            "ipRegion ipRegionCode ipLat ipLon lastOnlineDate statusPage city timezone locationType hostingProvider "
            "hardwareCpu hardwareCpuArch hardwareGpuVendor hardwareMemory networkProvider tier"
        )
        flags = "featPersistentStorage featEndpointCustomDomain workloadSupportChia featEndpointIp"
        lists = "hardwareGpuModels hardwareDisk featPersistentStorageType workloadSupportChiaCapabilities"
        pairs = [{"key": key, "value": text, "auditedBy": [*self.audited_by]} for key, text in self.signed().items()]
        return {
            **dict.fromkeys(empty.split()),
            **dict.fromkeys(flags.split(), False),
            **{name: [] for name in lists.split()},
            "owner": self.address,
            "name": self.name,
            "hostUri": f"https://{self.name}.invalid:8443",
            "createdHeight": height,
            "cosmosSdkVersion": "v0.53.0",
            "akashVersion": "2.1.0",
            "ipCountry": self.country,
            "ipCountryCode": self.country,
            "uptime1d": self.uptime,
            "uptime7d": self.uptime,
            "uptime30d": self.uptime,
            "isValidVersion": True,
            "isOnline": self.online,
            "isAudited": bool(self.audited_by),
            "gpuModels": [dict(model) for model in self.gpu_models],
            "attributes": pairs,
            "host": None,
            "organization": self.organization,
            "locationRegion": self.region,
            "country": self.country,
            "networkSpeedDown": 0,
            "networkSpeedUp": 0,
            **self.facts,
        }

    def details(self, height: int) -> dict[str, Any]:
        """Return its record as ``GET /v1/providers/{address}`` tells it."""
        use = {"active": 0, "available": 1, "pending": 0}
        stats = {"cpu": use, "gpu": use, "memory": use, "storage": {"ephemeral": use, "persistent": use}}
        more = {"email": None, "website": None, "lastCheckDate": None, "deploymentCount": 0, "leaseCount": 0}
        uptimes = {f"uptime{days}d": self.uptime or 0 for days in (1, 7, 30)}
        return {**self.record(height), **uptimes, **more, "stats": stats, "uptime": [], **self.facts}


def needed(group: Mapping[str, Any]) -> tuple[int, int, int]:
    """Return CPUs (milli), memory (bytes) and GPUs of all of a group."""
    cpus = memory = gpus = 0
    for unit in group["resources"]:
        one = unit["resource"]
        cpus += unit["count"] * int(_val(one["cpu"]["units"]))
        memory += unit["count"] * int(_val(one["memory"].get("quantity") or one["memory"]["size"]))
        gpus += unit["count"] * int(_val(one["gpu"]["units"]))
    return cpus, memory, gpus


def bound(group: Mapping[str, Any]) -> float:
    """Return the highest price of a group, uact a block."""
    return sum(unit["count"] * float(unit["price"]["amount"]) for unit in group["resources"])


def offer(group: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return ``resources_offer`` of a bid: what was asked for."""
    made = []
    for unit in group["resources"]:
        one = unit["resource"]
        volumes = [
            {
                "name": volume["name"],
                "quantity": {"val": _val(volume.get("quantity") or volume["size"])},
                "attributes": volume.get("attributes") or [],
            }
            for volume in one["storage"]
        ]
        resources = {
            "cpu": _amount(one["cpu"], "units"),
            "gpu": _amount(one["gpu"], "units"),
            "memory": {
                "quantity": {"val": _val(one["memory"].get("quantity") or one["memory"]["size"])},
                "attributes": one["memory"].get("attributes") or [],
            },
            "storage": volumes,
            "endpoints": [
                {"kind": str(end.get("kind", "SHARED_HTTP")), "sequence_number": end["sequence_number"]}
                for end in one["endpoints"]
            ],
        }
        made.append({"resources": resources, "count": unit["count"]})
    return made


def _amount(one: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {name: {"val": _val(one[name])}, "attributes": one.get("attributes") or []}


def _val(told: Any) -> str:
    return str(told["val"] if isinstance(told, Mapping) else told)


def hash_text(digest: str) -> str:
    """Return a digest as the chain's JSON has bytes."""
    return base64.b64encode(bytes.fromhex(digest)).decode()
