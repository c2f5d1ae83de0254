"""Screens each operator once for each set of lists, however many sites it has. Pure but for its memory."""

from __future__ import annotations

import threading

from orchestrator.domain import listings, sites
from orchestrator.policy import screening


class Screener:
    """What the lists in force say about operators. Thread-safe; another set of lists is another screener."""

    def __init__(self, lists: listings.Loaded) -> None:
        self.lists = lists
        self._index = screening.Index(lists)
        self._known: dict[sites.Operator, listings.Screening] = {}
        self._lock = threading.Lock()

    def of(self, operator: sites.Operator | None) -> listings.Screening:
        """Return what the lists say about an operator; None: one that nobody registered, so nobody is looked for."""
        if operator is None:
            return screening.nobody(self._index)
        with self._lock:
            found = self._known.get(operator)
            if found is None:
                found = self._known[operator] = screening.screen(operator, self._index)
        return found

    def merged(self, operator: sites.Operator | None) -> sites.Operator | None:
        """Return the operator with what the lists say filled in: whether it is listed, what listed owners hold."""
        return None if operator is None else screening.merged(operator, self.of(operator))
