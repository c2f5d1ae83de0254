"""Keeps what a namespace holds in memory by one list and one watch a kind. Level beats edge.

A watch ends, breaks, falls silent or is too old; each of these is normal. What is known is never older than the last
word of the API server, and ``broken_s`` says for how long there was none. Deletes that nobody saw show in the next
list.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Generic, Protocol, TypeVar

from backends.kubernetes import client, errors
from orchestrator.domain import errors as port_errors

SILENCE_S = 100.0
"""A watch sends a bookmark about once a minute; one that is silent for longer has failed."""
WATCH_S = 290
RELIST_S = 600.0
"""Everything is listed again after so long, in case a watch has lost something."""
PAUSE_S, PAUSE_MAX_S = 0.2, 10.0


class Thing(Protocol):
    """What is kept of an object."""

    @property
    def name(self) -> str:
        """Return its name."""

    @property
    def version(self) -> int:
        """Return its resource version."""


T = TypeVar("T", bound=Thing)


class Reflector(Generic[T]):
    """One kind of one namespace. ``items`` may be read from any thread; only complete objects are ever in it."""

    def __init__(
        self,
        talk: client.Client,
        path: str,
        read: Callable[[Mapping[str, Any]], T | None],
        *,
        selector: str = "",
        fields: str = "",
        changed: Callable[[T], None] = lambda thing: None,
        monotonic: Callable[[], float] = time.monotonic,
        pause: Callable[[float], object] | None = None,
    ) -> None:
        self._client = talk
        self._path = path
        self._read = read
        self._query: dict[str, Any] = {"labelSelector": selector} if selector else {}
        self._query |= {"fieldSelector": fields} if fields else {}
        self._changed = changed
        self._monotonic = monotonic
        self._lock = threading.RLock()
        self._listing = threading.Lock()
        self._closed = threading.Event()
        self._pause = pause or self._closed.wait
        self._stream: client.Stream | None = None
        self._thread: threading.Thread | None = None
        self._version = ""
        self._listed_s = float("-inf")
        self.heard_s = float("-inf")
        """When the API server was last heard of, monotonic."""
        self.broken_since_s: float | None = None
        """Since when there is no watch; None: there is one."""
        self.problem = ""
        self.items: dict[str, T] = {}

    # --- reading ------------------------------------------------------------------------------------------------------

    def ensure(self) -> None:
        """List once, and watch from then on. Raises BackendError where the first list fails."""
        if self._thread is not None:
            return
        with self._listing:
            if self._thread is not None or self._closed.is_set():
                return
            try:
                self.list()
            except errors.StatusError as error:
                raise errors.of_status(error, f"list {self._path}", self._client.hint) from error
            name = f"kubernetes-watch {self._path.rpartition('/')[2]}"
            self._thread = threading.Thread(target=self._run, name=name, daemon=True)
            self._thread.start()

    def put(self, thing: T) -> T:
        """Take what a call of ours has just answered, unless something newer is known; return the newest."""
        with self._lock:
            known = self.items.get(thing.name)
            if known is not None and known.version > thing.version:
                return known
            self.items[thing.name] = thing
        self._changed(thing)
        return thing

    def drop(self, thing: T) -> None:
        """Forget an object that a consistent read has just not found, unless something newer came meanwhile."""
        with self._lock:
            known = self.items.get(thing.name)
            if known is None or known.version > thing.version:
                return
            del self.items[thing.name]
        self._changed(thing)

    def broken_s(self) -> float:
        """Return for how many seconds there was no watch; 0 while there is one."""
        since = self.broken_since_s
        return 0.0 if since is None else max(0.0, self._monotonic() - since)

    def close(self) -> None:
        """End the thread."""
        self._closed.set()
        stream = self._stream
        if stream is not None:
            stream.close()

    # --- listing and watching -----------------------------------------------------------------------------------------

    def list(self) -> None:
        """Replace what is known by what is there, deletes included. Raises StatusError, BackendError."""
        found, version = self._client.items(self._path, **self._query)
        things = {thing.name: thing for each in found if (thing := self._read(each)) is not None}
        number = int(version) if version.isdecimal() else 0
        touched: list[T] = []
        with self._lock:
            for name, known in list(self.items.items()):
                # What was put after the list was made is newer than it.
                if name not in things and known.version <= number:
                    del self.items[name]
                    touched.append(known)
            for name, thing in things.items():
                old = self.items.get(name)
                if old is None or old.version < thing.version or thing.version == 0:
                    self.items[name] = thing
                    touched.append(thing)
            self._version = version
        self._listed_s = self.heard_s = self._monotonic()
        for thing in touched:
            self._changed(thing)

    def _run(self) -> None:
        pause_s = PAUSE_S
        while not self._closed.is_set():
            try:
                if not self._version or self._monotonic() - self._listed_s > RELIST_S:
                    self.list()
                self._watch()
                pause_s = PAUSE_S
                continue
            except errors.StatusError as error:
                if error.status == 410:
                    self._version = ""
                self._broke(errors.of_status(error, f"watch {self._path}", self._client.hint))
            except port_errors.BackendError as error:
                self._broke(error)
            except Exception as error:  # noqa: BLE001 -- whatever a cluster sends, the watch goes on
                self._version = ""
                self._broke(error)
            if self._closed.is_set():
                break
            self._pause(pause_s)
            pause_s = min(pause_s * 2, PAUSE_MAX_S)

    def _broke(self, error: Exception) -> None:
        self.problem = errors.plain(str(error))
        if self.broken_since_s is None:
            self.broken_since_s = self._monotonic()

    def _watch(self) -> None:
        """Watch until the server ends it. Raises what broke it; ``_version`` is where the next one goes on."""
        stream = self._client.watch(
            self._path, SILENCE_S, resourceVersion=self._version, timeoutSeconds=WATCH_S, **self._query
        )
        self._stream = stream
        try:
            if self._closed.is_set():
                return
            self.broken_since_s, self.heard_s = None, self._monotonic()
            for line in stream.lines():
                self.heard_s = self._monotonic()
                self._event(line)
        finally:
            self._stream = None
            stream.close()

    def _event(self, line: bytes) -> None:
        """Take one event. One that cannot be read makes us list again: it may have been about anything."""
        if not line.strip():
            return
        try:
            event = json.loads(line)
            kind, found = event["type"], event["object"]
            version = str(found.get("metadata", {}).get("resourceVersion") or "")
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise errors.StatusError(410, "Unreadable", "an event that cannot be read") from None
        if kind == "ERROR":
            code = found.get("code")
            raise errors.StatusError(code if isinstance(code, int) else 500, "", errors.plain(found.get("message")))
        if kind in ("ADDED", "MODIFIED", "DELETED"):
            thing = self._read(found)
            if thing is not None:
                self._take(thing, gone=kind == "DELETED")
        if version:
            self._version = version

    def _take(self, thing: T, *, gone: bool) -> None:
        with self._lock:
            known = self.items.get(thing.name)
            if known is not None and known.version > thing.version:
                return
            if gone:
                self.items.pop(thing.name, None)
            else:
                self.items[thing.name] = thing
        self._changed(thing)
