"""Entries of the journal: what happened, to what, who did it. The chain over them is made in the store's commit."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field

from orchestrator.domain import ids


@dataclass(frozen=True, slots=True)
class Entry:
    """Something that happened. ``kind`` is a dotted word, ``subject`` e.g. ``job/01J...`` or ``backend/gra``.

    ``actor`` is a token id, ``controller`` or ``system``. ``body`` is JSON without floats beyond 2**53 and never
    holds a secret or a job's environment.
    """

    kind: str
    subject: str
    at: dt.datetime
    actor: str
    body: Mapping[str, object] = field(default_factory=dict)
    tenant: str | None = None


@dataclass(frozen=True, slots=True)
class ChainedEntry:
    """An entry in its place: ``hash`` covers ``previous`` and the canonical entry (``evidence.chain``)."""

    seq: int
    entry: Entry
    previous: ids.Digest
    hash: ids.Digest


@dataclass(frozen=True, slots=True)
class ChainHead:
    """The newest link; ``seq`` 0 and the hash of nothing for an empty journal."""

    seq: int
    hash: ids.Digest
