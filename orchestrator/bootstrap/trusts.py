"""The trust list in force: read when the server starts, and again whenever its file changes.

What fails keeps the last good list, is told in the log and in the conditions of the control plane, and is tried again
when the file changes. Who comes in, with whose word and why, and who is taken back is journaled: trust loosens.
"""

from __future__ import annotations

import os
import pathlib
import threading
from collections.abc import Callable
from typing import Any

from orchestrator.bootstrap import watches
from orchestrator.domain import journal, trust
from orchestrator.inventory import claimants, trusted
from orchestrator.plugins import lazy
from orchestrator.ports import environment, stores

FILE = "trust.yaml"
EVERY_S = 2.0


class TrustKeeper:
    """Holds who verifies claims now. ``verifier`` is safe to call from any thread, and cheap."""

    def __init__(
        self,
        path: pathlib.Path,
        *,
        audience: str,
        store: stores.Store,
        clock: environment.Clock,
        nudge: Callable[[], None],
        log: Any,
        every_s: float = EVERY_S,
    ) -> None:
        self._path, self._store, self._clock, self._log = path, store, clock, log
        self._audience = audience
        self._mark: object = ()
        self._good: trust.TrustList | None = None
        self._first = True
        self._claimants = claimants.Claimants(audience=audience)
        self._looking = threading.Lock()
        self.watch = watches.Watch("trust", look=self.look, nudge=nudge, failed=self._failed, every_s=every_s)
        """Looks for changes once it is started."""
        self.look()

    def verifier(self) -> claimants.Claimants:
        """Return who verifies claims by the list in force."""
        return self._claimants

    def look(self) -> bool:
        """Read the file if it changed; says whether another list, or another problem, is in force now. Thread-safe."""
        with self._looking:
            return self._look()

    def _look(self) -> bool:
        mark = self._state()
        if mark == self._mark:
            return False
        self._mark = mark
        before = self._claimants
        loaded = lazy.lazy("orchestrator.sources.trust").load(self._path, self._good)
        if loaded.problem is not None:
            self._log.error("trust.failed", problem=loaded.problem, last_good_kept=self._good is not None)
        if self._first and loaded.problem is None:
            self._journal(loaded.trusted)  # before anything else: the list may have gone while nobody looked
        first, self._first = self._first, False
        if (loaded.trusted, loaded.problem) == (before.trusted, before.problem):
            return False
        if loaded.problem is None and (self._path.exists() or self._good is not None):
            self._good = loaded.trusted
        self._claimants = claimants.Claimants(loaded.trusted, audience=self._audience, problem=loaded.problem)
        if loaded.trusted != before.trusted:
            self._log.info("trust.in-force", digest=loaded.trusted.digest, issuers=len(loaded.trusted.issuers))
            if not first:
                self._journal(loaded.trusted)
        return True

    def _state(self) -> object:
        try:
            state = os.stat(self._path)
        except OSError as error:
            return error.errno
        return state.st_ino, state.st_size, state.st_mtime_ns

    def _failed(self, error: Exception) -> None:
        self._log.error("trust.failed", error=type(error).__name__, exc_info=error)

    def _journal(self, new: trust.TrustList) -> None:
        """Note what is in force from now on, and what changed since a list was noted last, also before this start.

        A full disk does not stop a list.
        """
        try:
            document = self._store.document(trusted.KIND, trusted.NAME, tenant="")
            old, now = trusted.of_document(document), trusted.of_list(new)
            if old == now:
                return
            body: dict[str, object] = {
                "digest": new.digest,
                "asOf": new.as_of.isoformat() if new.as_of else None,
                "issuers": len(new.issuers),
                "trusted": [_issuer(one) for one in new.issuers if old.issuers.get(one.id) != now.issuers[one.id]],
                "dropped": [id for id in old.issuers if id not in now.issuers],
                "revoked": [one for one in now.revocations if one not in old.revocations],
                "revokedNoMore": [one for one in old.revocations if one not in now.revocations],
            }
            entry = journal.Entry("trust.in-force", "trust", self._clock.now(), "system", body)
            kept = trusted.to_document(now, version=document.version if document is not None else 0)
            self._store.commit(stores.Changes(documents=(kept,), entries=(entry,)))
        except stores.StoreError as error:
            self._log.warning("trust.not-journaled", error=type(error).__name__)


def _issuer(issuer: trust.Issuer) -> dict[str, object]:
    keys = [each.id for each in issuer.keys]
    return {"id": issuer.id, "kinds": list(issuer.kinds), "keys": keys, "by": issuer.by, "why": issuer.why}
