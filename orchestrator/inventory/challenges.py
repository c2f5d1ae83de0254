"""Challenges that this control plane gave a backend's verifier: kept in the status of the backend's document. Pure.

``status.challenges`` is a list of ``{nonce, at, by}``, the newest last. A result that holds one of them, made after it
was given, is as fresh as the challenge, whatever the verifier says of the time. What cannot be read is no challenge.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

CHALLENGES = "challenges"
KEPT = 4
"""Of one backend: a result for an earlier one counts until another is shown."""


@dataclass(frozen=True, slots=True)
class Challenge:
    """A nonce of 64 hexadecimal digits that nobody could know before ``at``."""

    nonce: str
    at: dt.datetime


def of_statuses(statuses: Mapping[tuple[str, str], Mapping[str, Any]]) -> dict[str, tuple[Challenge, ...]]:
    """Return the challenges of each backend that was given any."""
    found = {name: of_status(status) for (kind, name), status in statuses.items() if kind == "Backend"}
    return {name: given for name, given in found.items() if given}


def of_status(status: Mapping[str, Any]) -> tuple[Challenge, ...]:
    """Return the challenges that a status keeps."""
    stored = status.get(CHALLENGES)
    found = []
    for one in stored[-KEPT:] if isinstance(stored, list) else ():
        try:
            found.append(Challenge(str(one["nonce"]), dt.datetime.fromisoformat(one["at"])))
        except (KeyError, TypeError, ValueError):
            continue
    return tuple(found)


def added(status: Mapping[str, Any], nonce: str, *, at: dt.datetime, by: str) -> list[dict[str, str]]:
    """Return what the status keeps with one more challenge."""
    kept = [one for one in status.get(CHALLENGES) or () if isinstance(one, dict) and of_status({CHALLENGES: [one]})]
    return [*kept[-(KEPT - 1) :], {"nonce": nonce, "at": at.isoformat(), "by": by}]
