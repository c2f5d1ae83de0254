"""A sealed placement as the pretended machine wants it. Pure."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from backends.simulated import settings
from orchestrator.ports import backends

RUN_TIME = "SIMULATE_RUN_TIME"
EXIT_CODE = "SIMULATE_EXIT_CODE"
"""Variables of a job that override the settings, e.g. ``SIMULATE_RUN_TIME=2.5`` (seconds)."""

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}", re.ASCII)
_NUMBER = re.compile(r"\d{1,9}(\.\d{1,6})?", re.ASCII)


LAST_DIGIT = 2.0**-40
"""By how many of these, 0 to 2, right numbers differ between machines."""


@dataclass(frozen=True, slots=True)
class Order:
    """An attempt as the machine takes it. Times in seconds."""

    key: str
    pool: str
    nodes: int
    cpu_milli: int
    memory_bytes: int
    accelerators: int
    start_delay_s: float
    run_time_s: float
    exit_code: int
    preempted: bool
    outputs: tuple[str, ...] = ()
    time_limit_s: float | None = None
    image_digest: str | None = None
    answer: str = ""
    """What its outputs say: the same for the same document, wherever it is right."""
    number: float = 0.0
    """What its outputs say as JSON: the same but for the last digits, wherever it is right."""


def order(placement: backends.SealedPlacement, wanted: settings.Settings) -> Order:
    """Return the order for a placement."""
    spec = placement.spec
    env = dict(spec.env)
    asked, code = env.get(RUN_TIME, ""), env.get(EXIT_CODE, "")
    accelerators = spec.resources.accelerators
    limit = placement.time_limit
    return Order(
        key=placement.key,
        pool=placement.pool,
        nodes=spec.nodes,
        cpu_milli=spec.resources.cpu_milli * spec.nodes,
        memory_bytes=spec.resources.memory_bytes * spec.nodes,
        accelerators=(accelerators.count if accelerators else 0) * spec.nodes,
        start_delay_s=wanted.start_delay,
        run_time_s=float(asked) if _NUMBER.fullmatch(asked) else wanted.run_time,
        exit_code=int(code) if code.isdecimal() and int(code) < 256 else wanted.exit_code,
        preempted=share(wanted.seed, placement.key, "preempted") < wanted.faults.preempted,
        outputs=tuple(output.path for output in spec.outputs),
        time_limit_s=None if limit is None else limit.total_seconds(),
        image_digest=wanted.whereabouts.image_digest or _digest(spec.image),
        answer=_answer(placement, wanted),
        number=_number(placement, wanted),
    )


def content(order: Order, path: str) -> bytes:
    """Return what an attempt pretends to have written to a path."""
    if path.endswith(".json"):
        return f'{{"answer": {order.number!r}}}'.encode()
    return f"pretended output {path} of {order.answer or order.key}\n".encode()


def _answer(placement: backends.SealedPlacement, wanted: settings.Settings) -> str:
    match wanted.answers:
        case "right":
            return str(placement.spec_digest)
        case "colluding":
            return f"{placement.spec_digest}, not"
        case "wrong":
            return f"{placement.spec_digest}, not, by {placement.key}"


def _number(placement: backends.SealedPlacement, wanted: settings.Settings) -> float:
    drawn = share(wanted.seed, placement.key, "number")
    match wanted.answers:
        case "right":
            return 1 + int(3 * drawn) * LAST_DIGIT
        case "colluding":
            return 2 + int(3 * drawn) * LAST_DIGIT
        case "wrong":
            return 2 + drawn


def _digest(image: str | None) -> str | None:
    """Return the digest of an image's name, e.g. ``registry.example/app@sha256:...``; None where it has none."""
    found = (image or "").rpartition("@")[2]
    return found if _DIGEST.fullmatch(found) else None


def share(seed: int, *words: object) -> float:
    """Return a number in [0, 1) that depends on the seed and the words only."""
    digest = hashlib.sha256("\0".join(map(str, (seed, *words))).encode()).digest()
    return int.from_bytes(digest[:7], "big") / 2**56
