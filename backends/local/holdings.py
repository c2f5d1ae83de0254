"""Which attempts hold what: read from their folders, and remembered between reads.

Several adapters of one folder may live in one process for a moment (a document changed, the old one is not closed
yet); they share what is being submitted, so that a device is given once and a key is started by one thread.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from backends.local import attempts, discovery, errors
from orchestrator.domain import ids


@dataclass(slots=True)
class _Shared:
    changed: threading.Condition = field(default_factory=threading.Condition)
    busy: set[str] = field(default_factory=set)
    """Keys whose submit is under way."""
    pending: dict[str, attempts.Attempt] = field(default_factory=dict)
    """Given devices, and not named yet."""


_registry: dict[str, _Shared] = {}
_registry_lock = threading.Lock()


def _shared(root: str) -> _Shared:
    with _registry_lock:
        return _registry.setdefault(root, _Shared())


class Holdings:
    """The attempts of one folder that are not over. Thread-safe."""

    def __init__(self, store: attempts.Attempts) -> None:
        self._store = store
        self._shared = _shared(store.root)
        self._lock = threading.Lock()
        self._live: dict[ids.AttemptKey, attempts.Attempt] = {}
        self._over: set[ids.AttemptKey] = set()

    @contextlib.contextmanager
    def turn(self, key: str) -> Iterator[None]:
        """Hold the right to submit this key; waits for whoever has it."""
        shared = self._shared
        with shared.changed:
            shared.changed.wait_for(lambda: key not in shared.busy)
            shared.busy.add(key)
        try:
            yield
        finally:
            with shared.changed:
                shared.busy.discard(key)
                shared.pending.pop(key, None)
                shared.changed.notify_all()

    def busy(self, key: str) -> bool:
        """Say whether a submit of this key is under way in this process."""
        return key in self._shared.busy

    def dropped(self, key: str) -> None:
        """Forget what is remembered of a key whose folder is gone: it may come again."""
        with self._lock:
            self._over.discard(ids.AttemptKey(key))
            self._live.pop(ids.AttemptKey(key), None)

    def live(self) -> Mapping[ids.AttemptKey, attempts.Attempt]:
        """Return every attempt that runs or may still be started. Reads the folders of those only."""
        names = set(self._store.keys())
        with self._lock:
            self._over &= names
            unknown = names - self._over
            found: dict[ids.AttemptKey, attempts.Attempt] = {}
            for key in unknown:
                attempt = self._live.get(key) or self._store.read(key)
                if attempt is None:
                    continue
                if self._ended(attempt):
                    self._over.add(key)
                else:
                    found[key] = attempt
            self._live = found
            return dict(found)

    def give(self, key: str, wanted: int, own: Sequence[discovery.Device]) -> tuple[discovery.Device, ...]:
        """Return ``wanted`` devices that nobody holds, kept for this key until its turn is over.

        Raises TransientError ``local.accelerators-taken`` where there are not enough.
        """
        with self._shared.changed:
            holders = [*self.live().values(), *self._shared.pending.values()]
            taken = {device for holder in holders for device in holder.devices}
            free = [device for device in own if device.id not in taken]
            if len(free) < wanted:
                raise errors.elsewhere(
                    "accelerators-taken", f"{wanted} accelerators are asked for, {len(free)} of {len(own)} are free"
                )
            given = tuple(free[:wanted])
            self._shared.pending[key] = attempts.Attempt(key, devices=tuple(device.id for device in given))
            return given

    def _ended(self, attempt: attempts.Attempt) -> bool:
        ranks = self._store.ranks(attempt)
        if any(rank.state is attempts.RankState.LIVE for rank in ranks):
            return False
        if all(rank.over for rank in ranks):
            return bool(ranks) or self._store.stopped(attempt.key)
        return self._store.stopped(attempt.key)
