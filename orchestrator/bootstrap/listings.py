"""The sanctions lists in force: read when the server starts, and again whenever their folder changes.

On a thread of its own, because a full list takes seconds to read and nobody may wait for it. What fails keeps the
last good copy, is told in the log and in the conditions of the control plane, and is tried again when a file changes.
"""

from __future__ import annotations

import os
import pathlib
from collections.abc import Callable, Iterator
from typing import Any

from orchestrator.bootstrap import watches
from orchestrator.domain import journal, listings
from orchestrator.inventory import screeners
from orchestrator.plugins import lazy
from orchestrator.ports import environment, stores

FOLDER = "lists"
EVERY_S = 2.0
_FILES_MAX = 256


class ListKeeper:
    """Holds the screener that is in force. ``screener`` is safe to call from any thread, and cheap."""

    def __init__(
        self,
        state: pathlib.Path,
        *,
        store: stores.Store,
        clock: environment.Clock,
        nudge: Callable[[], None],
        log: Any,
        every_s: float = EVERY_S,
    ) -> None:
        self._state, self._store, self._clock, self._log = state, store, clock, log
        self._marks: tuple[object, ...] = ()
        self._loaded = listings.Loaded()
        self._screener: screeners.Screener | None = None
        self.watch = watches.Watch("lists", look=self.look, nudge=nudge, failed=self._failed, every_s=every_s)
        """Looks for changes once it is started."""
        self.look()

    def screener(self) -> screeners.Screener | None:
        """Return what screens operators now; None: no list is configured."""
        return self._screener

    def look(self) -> bool:
        """Read the folder if a file of it changed; says whether other lists are in force now."""
        marks = tuple(self._files())
        if marks == self._marks:
            return False
        self._marks = marks
        before = self._loaded
        self._loaded = loaded = lazy.lazy("orchestrator.sources.lists.folders").load(self._state, before)
        for problem in loaded.problems:
            self._log.error("list.failed", list=problem.list, problem=problem.text, last_good_kept=problem.kept)
        if _what(loaded) == _what(before):
            return False
        self._screener = screeners.Screener(loaded) if loaded.configured else None
        for one in loaded.snapshots:
            self._log.info("list.in-force", list=one.list, digest=one.digest, entries=len(one.entries))
        self._journal(loaded)
        return True

    def _failed(self, error: Exception) -> None:
        self._log.error("list.failed", error=type(error).__name__, exc_info=error)

    def _files(self) -> Iterator[tuple[str, int, int]]:
        """Yield name, size and time of every file below the folder, in order of name."""
        folder = self._state / FOLDER
        found = sorted(folder.glob("*.json")) + sorted(folder.glob("*/*.json")) if folder.is_dir() else []
        for path in found[:_FILES_MAX]:
            try:
                state = os.stat(path)
            except OSError:
                continue
            yield str(path), state.st_size, state.st_mtime_ns

    def _journal(self, loaded: listings.Loaded) -> None:
        """Note which copies are in force from now on. A full disk does not stop a list."""
        body = {
            "lists": [
                {
                    "list": one.list,
                    "regime": one.regime,
                    "digest": one.digest,
                    "raw": one.raw,
                    "asOf": one.as_of.isoformat(),
                    "freshTo": one.fresh_to.isoformat(),
                    "entries": len(one.entries),
                }
                for one in loaded.snapshots
            ],
            "missing": list(loaded.missing),
        }
        entry = journal.Entry("lists.in-force", "lists", self._clock.now(), "system", body)
        try:
            self._store.commit(stores.Changes(entries=(entry,)))
        except stores.StoreError as error:
            self._log.warning("list.not-journaled", error=type(error).__name__)


def _what(loaded: listings.Loaded) -> tuple[object, ...]:
    return tuple((one.list, one.digest) for one in loaded.snapshots), loaded.missing, loaded.problems
