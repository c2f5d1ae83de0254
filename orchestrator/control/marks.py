"""Marks on sites: what was seen of one of their attempts that contradicts them. Durable before what follows from it.

A mark closes its site, for every job or for those it concerns, until a person has looked; so no crash between the mark
and the stop sends the job back there. The first mark of a kind stays: later ones say nothing more.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field

from orchestrator.control import entries
from orchestrator.domain import ids, journal, sites
from orchestrator.inventory import elsewhere
from orchestrator.ports import stores

TRIES_MAX = 5
"""Times that a status which somebody else writes at the same moment is read again, in one tick."""
_WORDS = {elsewhere.ELSEWHERE: "backend.seen-elsewhere", elsewhere.UNATTESTED: "backend.unattested"}


@dataclass(slots=True)
class Marks:
    """Not thread-safe: used by the loop only."""

    store: stores.Store
    _new: dict[tuple[ids.SiteName, str], elsewhere.Mark] = field(default_factory=dict)

    def put(self, site: sites.Site, mark: elsewhere.Mark) -> None:
        """Note a mark, unless the site has one of that kind; a missing result gives way to one that does not hold."""
        member = elsewhere.member_of(mark)
        known = site.elsewhere if isinstance(mark, sites.Elsewhere) else site.unattested
        if known is None or _says_more(known, mark):
            self._new.setdefault((site.name, member), mark)

    def commit(self, term: ids.Term) -> None:
        """Make what was noted durable, each with an entry, before what follows from it is committed.

        Raises StoreError; then what is not durable stays noted, for what follows from it may be staged already.
        """
        for (site, member), mark in sorted(self._new.items(), key=lambda one: one[0]):
            for left in reversed(range(TRIES_MAX)):
                try:
                    self._mark(site, member, mark, term)
                    break
                except stores.VersionConflictError:
                    if not left:
                        raise
            del self._new[site, member]

    def _mark(self, site: ids.SiteName, member: str, mark: elsewhere.Mark, term: ids.Term) -> None:
        backend, _, pool = site.partition("/")
        stored = self.store.document("Backend", backend)
        if stored is None:
            return
        status = json.loads(stored.status)
        known = status.get(member)
        known = known if isinstance(known, dict) else {}
        made = elsewhere.to_json(mark)
        status[member] = {**known, pool: made}
        text = json.dumps(status, sort_keys=True, separators=(",", ":"))
        entry = journal.Entry(_WORDS[member], f"backend/{backend}", mark.at, entries.CONTROLLER, {"pool": pool, **made})
        document = dataclasses.replace(stored, status=text)
        self.store.commit(stores.Changes(documents=(document,), entries=(entry,), term=term))


def _says_more(known: elsewhere.Mark, new: elsewhere.Mark) -> bool:
    missing = sites.ATTESTATION_MISSING
    return isinstance(known, sites.Unattested) and known.code == missing and getattr(new, "code", missing) != missing
