"""Attestation results that were shown here: each counts for one presentation, also after a restart. Pure but for types.

Stored as documents of the store's own kind, in the commit that declares the backend. A result counts for the backend it
was first shown for, as long as it stays there; shown again later, or elsewhere, it is a replay.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from orchestrator.evidence import canonical
from orchestrator.inventory import challenges
from orchestrator.ports import stores

KIND = "Attestation"
VERSION = 1


@dataclass(frozen=True, slots=True)
class Presentation:
    """One result shown: who made it, its id, for which backend, the token's digest, when it ends by itself.

    ``again``: it was withdrawn and shown once more, so it counts no longer.
    """

    verifier: str
    id: str
    backend: str
    token: str
    until: dt.datetime
    again: bool = False

    @property
    def name(self) -> str:
        """Return the name it is stored under."""
        return name_of(self.verifier, self.id)


@dataclass(frozen=True, slots=True)
class Presented:
    """What was shown before, by stored name. ``readable`` False: some of it is lost, so everything is a replay."""

    known: Mapping[str, Presentation] = field(default_factory=dict)
    readable: bool = True
    challenges: Mapping[str, tuple[challenges.Challenge, ...]] = field(default_factory=dict)
    """What was asked of each backend's verifier, by backend."""

    def replayed(self, verifier: str, id: str, backend: str, token: str) -> bool:
        """Say whether a result is not the one that was first shown for this backend."""
        if not self.readable:
            return True
        found = self.known.get(name_of(verifier, id))
        return found is not None and (found.again or (found.backend, found.token) != (backend, token))


def name_of(verifier: str, id: str) -> str:
    """Return the name that a result is stored under: its own may be long."""
    return str(canonical.digest([verifier, id])).removeprefix("sha256:")


def of_document(document: stores.Document) -> Presentation:
    """Return what a stored document says. Raises ValueError."""
    try:
        value = json.loads(document.body)
        if value.pop("v") != VERSION:
            raise ValueError(f"a presentation of another version than {VERSION}")
        return Presentation(**{**value, "until": dt.datetime.fromisoformat(value["until"])})
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not a presentation: {error!r}") from error


def document(shown: Presentation, old: stores.Document | None) -> stores.Document:
    """Return the document that remembers a presentation."""
    body = canonical.dumps(
        {
            "v": VERSION,
            "verifier": shown.verifier,
            "id": shown.id,
            "backend": shown.backend,
            "token": shown.token,
            "until": shown.until.isoformat(),
            "again": shown.again,
        }
    ).decode()
    return stores.Document(KIND, shown.name, "", body, old.version if old is not None else 0)


def over(stored: Iterable[stores.Document], now: dt.datetime, margin: dt.timedelta) -> list[stores.Document]:
    """Return what need not be remembered any more: results that ended longer than ``margin`` ago."""
    found = []
    for each in stored:
        try:
            if of_document(each).until < now - margin:
                found.append(each)
        except ValueError:
            continue  # what cannot be read stays: it says that something is lost
    return found
