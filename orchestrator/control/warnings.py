"""Tells the journal, for each fact of a backend and once for each threshold, that it is about to end."""

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
        for name, found in sorted(expiries.of_backends(world, today).items()):
            known = {(what, day): days for what, day, days in ends.pop(name, ())}
            due = [(one.what, one.day.isoformat(), days) for one in found if (days := one.threshold(today)) is not None]
            for what, day, days in due:
                if days < known.get((what, day), days + 1):
                    body = {"what": what, "validTo": day, "withinDays": days}
                    entries.append(journal.Entry("facts.expiring", f"backend/{name}", now, _BY, body))
            if due:
                ends[name] = tuple(due)
        if ends != told.ends:
            document = changes.told_document(changes.Told(ends), version)
            self.store.commit(stores.Changes(documents=(document,), entries=tuple(entries), term=term))
        self._looked = (world, today)
