"""Decisions: everything one class of jobs was decided on in one cycle, content-addressed.

A decision is stored once per class and cycle; each job's placement record names it. Sentences are not stored:
the rule bits and the content-addressed sites, rules and facts rebuild them, years later too.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field

from orchestrator.domain import ids, money, reasons


@dataclass(frozen=True, slots=True)
class SiteAnswer:
    """What was decided about one site. ``scores`` are whole micro-units, lower is better."""

    site: ids.SiteName
    backend: str
    allowed: bool
    reasons: tuple[reasons.Reason, ...] = ()
    """Denials, duties and caveats, all of them, sorted by code."""
    scores: Mapping[str, int] = field(default_factory=dict)
    total: int | None = None
    """Weighted sum of the scores; None where the site is refused."""
    price_per_hour: money.Money | None = None
    starts_in: dt.timedelta | None = None
    country: str | None = None
    operator: str | None = None
    parent_hq: str | None = None
    grams_per_hour: float | None = None
    rtt_ms: float | None = None


@dataclass(frozen=True, slots=True)
class Versions:
    """What stood behind an answer, by digest."""

    policy: ids.Digest
    facts: ids.Digest
    evaluator: str
    packs: tuple[tuple[str, str], ...] = ()
    """(pack, version) of every pack in force."""
    packs_off: tuple[str, ...] = ()
    mode: str = ""
    """Of the installation (``domain.modes``); "": from before that was said."""


@dataclass(frozen=True, slots=True)
class Content:
    """A content-addressed document that decisions refer to: the sites as judged, the rules and facts in force, the
    attributes of a class of jobs. Stored once, by the digest of its canonical form."""

    digest: ids.Digest
    body: bytes
    """Canonical JSON (RFC 8785)."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What one class of jobs was decided on in one cycle, compact: rule bits, numbers and digests, no sentences.

    ``body`` is the canonical JSON that ``digest`` covers. It names the digests of the class, the sites and the rule
    book (``Content``), from which ``placement`` renders the whole :class:`Answer` when somebody reads it.
    """

    digest: ids.Digest
    class_digest: ids.Digest
    at: dt.datetime
    """Policy clock."""
    expires: dt.datetime | None
    """Next moment at which a dated fact could change the answer; None: none known."""
    placeable: bool
    """Whether any site may take the job at all."""
    body: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """A decision as a person or a program reads it: every site with every reason."""

    digest: ids.Digest
    class_digest: ids.Digest
    at: dt.datetime
    versions: Versions
    sites: tuple[SiteAnswer, ...]
    ranking: tuple[ids.SiteName, ...]
    """Sites that may take it now, best first; sites that may but are full follow in ``sites`` as not allowed."""
    expires: dt.datetime | None
    nearest_change: tuple[reasons.Remedy, ...] = ()

    @property
    def placeable(self) -> bool:
        """Say whether any site may take the job now."""
        return bool(self.ranking)


@dataclass(frozen=True, slots=True)
class Placement:
    """The small record that ties one attempt to a decision: one row of the store."""

    key: ids.AttemptKey
    job: ids.JobId
    number: int
    site: ids.SiteName
    decision: ids.Digest
    policy: ids.Digest
    facts: ids.Digest
    expires: dt.datetime | None
    placed_at: dt.datetime
    term: ids.Term
