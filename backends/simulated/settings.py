"""Settings of the adapter ``simulated``; all are optional."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

import pydantic

from orchestrator.settings import adapters

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION = re.compile(r"(?P<number>\d+(?:\.\d+)?)(?P<unit>ms|s|m|h)", re.ASCII)


def _seconds(value: object) -> object:
    if isinstance(value, str):
        found = _DURATION.fullmatch(value)
        if found is None:
            raise ValueError("must be seconds, or a number with ms, s, m or h, e.g. 2s")
        return float(found["number"]) * _UNITS[found["unit"]]
    return value


Seconds = Annotated[float, pydantic.BeforeValidator(_seconds), pydantic.Field(ge=0, le=10_000_000)]
Share = Annotated[float, pydantic.Field(ge=0, le=1)]


class Faults(adapters.AdapterSettings):
    """Shares, 0 to 1, of the calls that go wrong, drawn from the seed."""

    error: Share = 0.0
    """The call fails and had no effect."""
    lost_reply: Share = 0.0
    """The call had its effect and fails all the same."""
    preempted: Share = 0.0
    """Share of attempts that are preempted half-way."""


class Whereabouts(adapters.AdapterSettings):
    """What the pretended machine says of where its attempts run. It may lie: that is what it is for."""

    country: Annotated[str, pydantic.Field(pattern="^[A-Z]{2}$")] | None = None
    """Country reported for every node. None: none is."""
    later: Annotated[str, pydantic.Field(pattern="^[A-Z]{2}$")] | None = None
    """Country reported once ``later_after`` has passed since the start: a machine that moves, or an API that errs."""
    later_after: Seconds = 0.0
    rank: Annotated[int, pydantic.Field(ge=0, le=1023)] | None = None
    """The one node that is elsewhere; the others report no country. None: all of them are there."""
    image_digest: Annotated[str, pydantic.Field(pattern="^sha256:[0-9a-f]{64}$")] | None = None
    """Digest reported for the image as it runs; default: the one that the job asked for, where it named one."""
    assurance: Literal["declared", "documented", "certified", "attested"] = "declared"
    """How well the machine claims to know it."""


class Attestation(adapters.AdapterSettings):
    """A pretended verifier of attestation results, with a key for tests only. It may lie, in one way at a time."""

    verifier: Annotated[str, pydantic.Field(min_length=1, max_length=200)] = "https://verifier.invalid"
    """As the trust list has it."""
    key: Annotated[str, pydantic.Field(pattern="^[0-9a-f]{64}$")]
    """Seed of its Ed25519 key, in hexadecimal. No key that anything depends on belongs here."""
    kid: Annotated[str, pydantic.Field(min_length=1, max_length=64)] = "k1"
    tee: Annotated[str, pydantic.Field(pattern="^[a-z0-9-]{1,40}$")] = "tdx"
    facts: dict[str, Any] = pydantic.Field(default_factory=dict)
    """What a result states of the place, by document path: ``location.country: FR``."""
    ready_after: Seconds = 0.0
    """So long after its start an attempt has no result yet."""
    lie: Literal[
        "none",
        "audience",
        "expired",
        "other-job",
        "replayed",
        "signature",
        "silent",
        "unaffirmed",
        "untrusted",
    ] = "none"


class Settings(adapters.AdapterSettings):
    """How the pretended machine behaves. Seconds may be written ``2s``, ``500ms``, ``1m``."""

    seed: int = 0
    identity: Annotated[str, pydantic.Field(min_length=1, max_length=128)] | None = pydantic.Field(
        default=None, description="what the machine pretends to be recognised by; default: the backend's name"
    )
    start_delay: Seconds = 0.0
    run_time: Seconds = 1.0
    exit_code: Annotated[int, pydantic.Field(ge=0, le=255)] = 0
    faults: Faults = pydantic.Field(default_factory=Faults)
    whereabouts: Whereabouts = pydantic.Field(default_factory=Whereabouts)
    attestation: Attestation | None = None
    answers: Literal["right", "wrong", "colluding"] = "right"
    """What outputs say: the same wherever the same document runs; something else; the same lie as other colluders."""
