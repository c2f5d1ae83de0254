"""Tells the journal, once for each threshold, that facts of a backend are about to end."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from orchestrator.domain import ids, journal
from orchestrator.inventory import changes, expiries, worlds
from orchestrator.ports import stores

_BY = "controller"


@dataclass(slots=True)
class Warnings:
    """Not thread-safe: used by the loop only. Remembers only what it looked at last."""

    store: stores.Store
    _looked: tuple[worlds.World, dt.date] | None = None

    def run(self, world: worlds.World, now: dt.datetime, term: ids.Term) -> None:
        """Journal what came nearer than another threshold. Looks once for each world and day. Raises StoreError."""
        today = now.date()
        if self._looked is not None and self._looked[0] is world and self._looked[1] == today:
            return
        told, version = changes.told(self.store)
        ends = {name: one for name, one in told.ends.items() if name in world.backends}
        entries: list[journal.Entry] = []
        for name, found in sorted(expiries.next_of(world, today).items()):
            threshold = found.threshold(today)
            wanted = (found.what, found.day.isoformat(), threshold if threshold is not None else 0)
            known = ends.get(name)
            if threshold is None:
                ends.pop(name, None)
            elif known is None or known[:2] != wanted[:2] or threshold < known[2]:
                ends[name] = wanted
                body = {"what": found.what, "validTo": found.day.isoformat(), "withinDays": threshold}
                entries.append(journal.Entry("facts.expiring", f"backend/{name}", now, _BY, body))
        if ends != told.ends:
            document = changes.told_document(changes.Told(ends), version)
            self.store.commit(stores.Changes(documents=(document,), entries=tuple(entries), term=term))
        self._looked = (world, today)
