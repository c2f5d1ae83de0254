"""Who answers under a backend's name: pinned at the first contact, compared at every one.

What a backend is comes with each answer, in the call that brings it, so no answer is taken from another. The pin is
durable before anything that came with it is known: nothing is placed on offers of a backend that nobody would
recognise. A change is durable too, and stands until a person confirms it, also where the first one comes back.
"""

from __future__ import annotations

import dataclasses
import enum
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from orchestrator.control import batches, entries
from orchestrator.domain import ids, journal, offers
from orchestrator.inventory import identities, worlds
from orchestrator.ports import backends, environment, stores

CHANGED = "IdentityChanged"
"""Code of a launch that was dropped because another answers in the backend's place."""
TELL_EVERY_S = 60.0
"""A backend that says something else each time fills no journal."""


class Who(enum.Enum):
    """Who answered."""

    KNOWN = "known"
    """What was pinned, or an adapter that cannot tell and never could."""
    NEW = "new"
    """Met for the first time."""
    STRANGER = "stranger"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a call brought, and from whom."""

    identity: offers.PinnedIdentity | None
    found: Any


def asked(adapter: backends.BackendAdapter, what: Callable[[], Any]) -> Callable[[], Answer]:
    """Return the call that also says who answers it; runs in the executor's threads."""
    return lambda: Answer(of(adapter), what())


def of(adapter: backends.BackendAdapter) -> offers.PinnedIdentity | None:
    """Return what an adapter recognises its backend by; None where it cannot. Raises what the adapter raises."""
    found = adapter.identity() if isinstance(adapter, backends.Identifies) else None
    return found if isinstance(found, offers.PinnedIdentity) and identities.digest_of(found) is not None else None


@dataclass(slots=True)
class Door:
    """Looks once, before the first effect of a batch, who is there. Runs in the executor's threads."""

    adapter: backends.BackendAdapter
    pinned: ids.Digest | None
    _good: bool = False

    def check(self) -> None:
        """Raise DroppedError for a stranger, or what the adapter raises."""
        if self._good:
            return
        if self.pinned is not None and identities.digest_of(of(self.adapter)) != self.pinned:
            raise batches.DroppedError(CHANGED, "another answers in the backend's place")
        self._good = True


@dataclass(slots=True)
class _Meeting:
    """Something about a backend's identity that is not durable yet."""

    who: Who
    identity: offers.PinnedIdentity | None
    then: Callable[[], None]


@dataclass(slots=True)
class Identities:
    """Not thread-safe: used by the loop only."""

    store: stores.Store
    clock: environment.Clock
    inventory: worlds.Inventory
    _meetings: dict[str, _Meeting] = field(default_factory=dict)
    _told_s: dict[str, float] = field(default_factory=dict)

    def meet(self, backend: str, identity: offers.PinnedIdentity | None, then: Callable[[], None] | None = None) -> Who:
        """Say who answered. ``then`` takes what a known one said: at once, or once a first meeting is durable.

        Without ``then`` it is no first meeting: what is asked about attempts does not pin anything.
        """
        known = self.inventory.world().identities.get(backend)
        seen = identities.digest_of(identity)
        if known is None and seen is not None and then is not None:
            self._meetings[backend] = _Meeting(Who.NEW, identity, then)
            return Who.NEW
        if known is None or seen == known.pinned:
            if then is not None:
                then()
            return Who.KNOWN
        if known.changed_to != (seen or ids.NO_DIGEST):
            self._meetings[backend] = _Meeting(Who.STRANGER, identity, lambda: None)
        return Who.STRANGER

    def commit(self, term: ids.Term) -> None:
        """Make meetings durable, then let what new ones said be taken. Raises StoreError; then they are met again."""
        meetings, self._meetings = self._meetings, {}
        now_s, documents, said, kept = self.clock.monotonic(), [], [], []
        for name, meeting in sorted(meetings.items()):
            if meeting.who is Who.STRANGER and now_s < self._told_s.get(name, float("-inf")) + TELL_EVERY_S:
                continue
            written = self._written(name, meeting)
            if written is None:
                continue
            documents.append(written[0])
            said.append(written[1])
            kept.append((name, meeting))
        if not documents:
            return
        try:
            self.store.commit(stores.Changes(documents=tuple(documents), entries=tuple(said), term=term))
        except stores.VersionConflictError:
            return  # somebody changed one of the documents: all are met again
        for name, meeting in kept:
            if meeting.who is Who.STRANGER:
                self._told_s[name] = now_s
            meeting.then()

    def _written(self, name: str, meeting: _Meeting) -> tuple[stores.Document, journal.Entry] | None:
        """Return the document with the meeting in its status, and what the journal says; None: nothing is to do."""
        stored = self.store.document("Backend", name)
        if stored is None:
            return None
        status, now = json.loads(stored.status), self.clock.now()
        before = status.get(identities.PINNED)
        if meeting.who is Who.NEW:
            if before is not None or meeting.identity is None:
                return None
            made = identities.pin(meeting.identity, at=now, by=entries.CONTROLLER)
            status[identities.PINNED], word = made, "backend.pinned"
        else:
            made = identities.change(meeting.identity, at=now)
            status[identities.CHANGED], word = made, "backend.identity-changed"
        text = json.dumps(status, sort_keys=True, separators=(",", ":"))
        body = {"digest": made["digest"], "values": made["values"]}
        if meeting.who is Who.STRANGER:
            body["pinned"] = before.get("digest") if isinstance(before, dict) else None
        entry = journal.Entry(word, f"backend/{name}", now, entries.CONTROLLER, body)
        return dataclasses.replace(stored, status=text), entry
