"""What the Console tells, read; and the deployment of an attempt, written. Pure.

Everything is read as told by strangers: what has not the shape of the specification is no provider, bid or deployment.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from backends.akash import errors, settings, wrapper
from backends.akash.sdl import documents, outcomes
from orchestrator.ports import backends

BLOCK_S = 6.0
"""Seconds of a block, about: prices are by the block."""
SERVICE, PLACE = "job", "chosen"
UACT = "uact"
GIB = 2**30
_ADDRESS = re.compile(r"akash1[0-9a-z]{38,58}", re.ASCII)
_DSEQ = re.compile(r"[0-9]{1,20}", re.ASCII)
_COUNTRY = re.compile(r"[A-Z]{2}", re.ASCII)
BODY_BYTES_MAX = 256 * 1024


@dataclass(frozen=True, slots=True)
class Provider:
    """A provider as its record tells. ``signed_by``: who signed its region."""

    address: str
    name: str
    country: str | None
    region: str | None
    organization: str | None
    signed_by: frozenset[str]
    online: bool
    version_fits: bool
    uptime: float | None
    """Share of the last seven days."""

    @property
    def place(self) -> tuple[str | None, str | None, str | None]:
        """Return what it says of where and whose it is."""
        return self.country, self.region, self.organization


@dataclass(frozen=True, slots=True)
class Lease:
    """A lease of a deployment. ``services`` None: nothing runs there, or nobody says."""

    provider: str
    state: str
    reason: str
    services: Mapping[str, int] | None
    """Name -> replicas that are available."""


@dataclass(frozen=True, slots=True)
class Deployment:
    """A deployment of the account."""

    dseq: str
    state: str
    mark: str
    """Hash of its manifest, by which it is known again."""
    leases: Sequence[Lease]

    @property
    def over(self) -> bool:
        """Say whether it is closed for good."""
        return self.state == "closed"

    @property
    def lease(self) -> Lease | None:
        """Return the one lease that there is, an active one before others."""
        active = [one for one in self.leases if one.state == "active"]
        return active[0] if active else self.leases[-1] if self.leases else None


@dataclass(frozen=True, slots=True)
class Bid:
    """A bid. ``amount``: uact a block."""

    provider: str
    gseq: int
    oseq: int
    state: str
    amount: float


def provider(row: object) -> Provider | None:
    """Return a provider as it was read; None where it is none."""
    if not isinstance(row, dict) or not isinstance(row.get("owner"), str) or not _ADDRESS.fullmatch(row["owner"]):
        return None
    country, attributes = row.get("ipCountryCode"), row.get("attributes")
    signed: set[str] = set()
    for pair in attributes if isinstance(attributes, list) else ():
        if isinstance(pair, dict) and pair.get("key") == "location-region" and isinstance(pair.get("auditedBy"), list):
            signed |= {one for one in pair["auditedBy"] if isinstance(one, str)}
    uptime = row.get("uptime7d")
    return Provider(
        row["owner"],
        _text(row.get("name")) or row["owner"],
        country if isinstance(country, str) and _COUNTRY.fullmatch(country) else None,
        _text(row.get("locationRegion")) or None,
        _text(row.get("organization")) or None,
        frozenset(signed),
        row.get("isOnline") is True,
        row.get("isValidVersion") is True,
        float(uptime) if isinstance(uptime, int | float) and not isinstance(uptime, bool) else None,
    )


def deployment(row: object) -> Deployment | None:
    """Return a deployment as it was read; None where it is none."""
    try:
        head = row["deployment"]  # type: ignore[index]
        dseq, state, mark = head["id"]["dseq"], head["state"], head["hash"]
        leases = [_lease(one) for one in row["leases"]]  # type: ignore[index]
    except (KeyError, TypeError, ValueError):
        return None
    if not isinstance(dseq, str) or not _DSEQ.fullmatch(dseq) or not isinstance(state, str):
        return None
    return Deployment(dseq, state, _text(mark), leases)


def _lease(row: Mapping[str, Any]) -> Lease:
    address, state, status = row["id"]["provider"], row["state"], row.get("status")
    if not isinstance(address, str) or not isinstance(state, str):
        raise TypeError("a lease without provider or state")
    services: dict[str, int] | None = None
    if isinstance(status, dict) and isinstance(status.get("services"), dict):
        told = {str(name): one.get("available") for name, one in status["services"].items() if isinstance(one, dict)}
        services = {name: count if type(count) is int else 0 for name, count in told.items()}
    return Lease(address, state, _text(row.get("reason")), services)


def bid(row: object) -> Bid | None:
    """Return a bid as it was read; None where it is none."""
    try:
        inner = row["bid"]  # type: ignore[index]
        id, price = inner["id"], inner["price"]
        amount = float(price["amount"])
        address, gseq, oseq, state = id["provider"], id["gseq"], id["oseq"], inner["state"]
    except (KeyError, TypeError, ValueError):
        return None
    whole = type(gseq) is int and type(oseq) is int and isinstance(address, str) and isinstance(state, str)
    if not whole or price.get("denom") != UACT or not 0 <= amount < 2**53:
        return None
    return Bid(address, gseq, oseq, state, amount)


def document(
    placement: backends.SealedPlacement,
    wanted: settings.AkashSettings,
    marks: Mapping[str, str],
    seconds: int,
    per_block: float,
) -> dict[str, Any]:
    """Return the deployment of an attempt in Akash's language. Raises BackendError for what cannot be said.

    :param marks: addresses for the wrapper.
    :param seconds: the longest run.
    :param per_block: the most that may be asked, uact.
    """
    spec = placement.spec
    _check(placement)
    if not spec.command:
        raise errors.refused(
            "command", "an image's own entry point is not known here: say the command, which runs under a shell"
        )
    image = spec.image or wanted.command_image
    if image is None:
        raise errors.elsewhere("image", "settings.commandImage names no image for jobs that name none")
    env = {**dict(spec.env), **placement.environment, **wrapper.environment(marks, seconds)}
    for name, text in env.items():
        if "\0" in text or not name or "=" in name or "\0" in name:
            raise errors.refused("environment", f"variable {errors.shown(name)!r} cannot be said")
    resources: dict[str, Any] = {
        "cpu": {"units": f"{max(100, spec.resources.cpu_milli)}m"},
        "memory": {"size": f"{max(1, -(-spec.resources.memory_bytes // 2**20))}Mi"},
        "storage": [{"size": f"{wanted.storage_gb}Gi"}],
    }
    if (chips := spec.resources.accelerators) is not None:
        resources["gpu"] = _gpu(placement.pool, chips.count, wanted)
    made = {
        "version": "2.0",
        "services": {
            SERVICE: {
                "image": image,
                "command": wrapper.command(spec.command),
                "env": [f"{name}={text}" for name, text in sorted(env.items())],
            }
        },
        "profiles": {
            "compute": {SERVICE: {"resources": resources}},
            "placement": {
                PLACE: {
                    "signedBy": {"anyOf": list(wanted.auditors)} if wanted.audited else {},
                    "pricing": {SERVICE: {"denom": UACT, "amount": f"{per_block:.6f}"}},
                }
            },
        },
        "deployment": {SERVICE: {PLACE: {"profile": SERVICE, "count": 1}}},
    }
    if len(repr(made)) > BODY_BYTES_MAX:
        raise errors.refused("too-large", f"the job is more than {BODY_BYTES_MAX} bytes with command and variables")
    return made


def _check(placement: backends.SealedPlacement) -> None:
    """Raise BackendError for a job that is none for this network, whoever let it through."""
    spec = placement.spec
    if spec.data is None or not spec.data.declared_none or placement.data:
        text = "image, command and variables can be read by the Console and by the provider, and hidden from neither:"
        raise errors.elsewhere("discloses", f"{text} only a job that says `data: none` is told to them")
    unbuilt = {
        "several nodes": spec.nodes > 1,
        "files": bool(spec.files),
        "a working folder": spec.workdir is not None,
        "outputs": bool(spec.outputs),
        "secrets": bool(spec.secrets),
        "rules of connections": spec.egress is not None,
    }
    if found := [name for name, has in unbuilt.items() if has]:
        raise errors.refused("invalid", f"{', '.join(found)}: not built for Akash")


def mark(made: Mapping[str, Any]) -> str:
    """Return the hash under which a deployment will be known. Raises PermanentError for one that Akash would refuse."""
    try:
        _, manifest = outcomes.made(documents.read(made))
    except ValueError as error:
        raise errors.refused(
            "document", f"it cannot be said in Akash's language: {errors.shown(str(error))}"
        ) from error
    return base64.b64encode(bytes.fromhex(outcomes.version(manifest))).decode()


def _gpu(pool: str, count: int, wanted: settings.AkashSettings) -> dict[str, Any]:
    known = wanted.gpus.get(pool)
    if known is None:
        raise errors.elsewhere("gpu", f"settings.gpus does not say how pool {pool}'s accelerator is called")
    model = {"model": known.model, "ram": known.ram, "interface": known.interface}
    return {
        "units": count,
        "attributes": {"vendor": {"nvidia": [{key: text for key, text in model.items() if text is not None}]}},
    }


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
