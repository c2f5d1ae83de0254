"""The journal as an auditor reads it: entries in order, the chain checked, its newest head."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.domain import journal
from orchestrator.service import access, contexts

PAGE_MAX = 1_000


@dataclass(frozen=True, slots=True)
class Verified:
    """The answer of a check. ``first_bad`` None: every link holds."""

    entries: int
    first_bad: int | None


def events(
    context: contexts.Context, who: access.Principal, *, after: int, limit: int
) -> tuple[Sequence[journal.ChainedEntry], int]:
    """Return the entries this one may see after ``after``, and where to go on from."""
    access.require(who, access.WATCHES)
    read = context.store.entries(after=after, limit=min(limit, PAGE_MAX))
    seen = [link for link in read if visible(who, link.entry)]
    return seen, read[-1].seq if read else after


def visible(who: access.Principal, entry: journal.Entry) -> bool:
    """Say whether an entry is of this tenant, or of the installation that all of them share."""
    return entry.tenant is None or entry.tenant in ("", who.tenant)


def head(context: contexts.Context, who: access.Principal) -> journal.ChainHead:
    """Return the newest link."""
    access.require(who, access.AUDITS)
    return context.store.head()


def verify(context: contexts.Context, who: access.Principal) -> Verified:
    """Check the whole chain; reads all of it."""
    access.require(who, access.AUDITS)
    size = context.store.head().seq
    return Verified(size, context.store.verify_journal())
