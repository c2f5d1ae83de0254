"""Screens each operator once for each set of lists, however many sites it has; and the answers of people as JSON.

What a person answered about a name match stands in the status of the Operator: kept, versioned and journaled with it.
"""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Mapping
from typing import Any

from orchestrator.domain import ids, listings, sites
from orchestrator.policy import screening

ANSWERS = "listAnswers"
"""Member of the status of an Operator that holds what people answered."""
KNOWN_MAX = 10_000


class Screener:
    """What the lists in force say about operators. Thread-safe; another set of lists is another screener."""

    def __init__(self, lists: listings.Loaded) -> None:
        self.lists = lists
        self._index = screening.Index(lists)
        self._known: dict[tuple[sites.Operator, tuple[listings.Answer, ...]], listings.Screening] = {}
        self._lock = threading.Lock()

    def of(self, operator: sites.Operator | None, answers: tuple[listings.Answer, ...] = ()) -> listings.Screening:
        """Return what the lists and people say about an operator; None: one that nobody registered."""
        if operator is None:
            return screening.nobody(self._index)
        with self._lock:
            found = self._known.get((operator, answers))
            if found is None:
                found = screening.screen(operator, self._index, answers)
                if len(self._known) >= KNOWN_MAX:
                    self._known.clear()
                self._known[operator, answers] = found
        return found


def answers_of(status: Mapping[str, Any]) -> tuple[listings.Answer, ...]:
    """Return the answers that the status of an Operator holds, oldest first.

    One that cannot be read counts as none: its match is open again, which is the safe side.
    """
    found = []
    kept = status.get(ANSWERS, [])
    for data in kept if isinstance(kept, list) else []:
        try:
            found.append(_answer(data))
        except (ValueError, LookupError, TypeError):
            continue
    return tuple(found)


def answer_document(answer: listings.Answer) -> dict[str, Any]:
    """Return an answer as it stands in the status of an Operator, and in the journal: a dated fact."""
    return {
        "list": answer.list,
        "entry": answer.entry,
        "party": answer.party,
        "same": answer.same,
        "reason": answer.reason,
        "by": answer.by,
        "at": answer.at.isoformat(),
        "validTo": answer.valid_to.isoformat() if answer.valid_to else None,
        "entryDigest": answer.entry_digest,
        "partyDigest": answer.party_digest,
        "recorded": answer.recorded,
    }


def _answer(data: Mapping[str, Any]) -> listings.Answer:
    if not isinstance(data["same"], bool):
        raise TypeError("`same` is neither true nor false")
    return listings.Answer(
        list=str(data["list"]),
        entry=str(data["entry"]),
        party=str(data["party"]),
        same=data["same"],
        reason=str(data["reason"]),
        by=str(data["by"]),
        at=dt.datetime.fromisoformat(data["at"]),
        entry_digest=ids.Digest(data["entryDigest"]),
        party_digest=ids.Digest(data["partyDigest"]),
        valid_to=None if data["validTo"] is None else dt.date.fromisoformat(data["validTo"]),
        recorded=str(data["recorded"]),
    )
