"""The packs in force: read when the server starts, and again when somebody asks for it with SIGHUP.

A folder that cannot be read whole keeps the last good packs in force and raises ``PolicyLoadFailed``. At start there is
no last good one: a pack that fails is named, and denies.
"""

from __future__ import annotations

import pathlib
import threading
from collections.abc import Callable, Sequence
from typing import Any

from orchestrator.policy import rulebook
from orchestrator.sources import packs

STOP_S = 5.0


class PackKeeper:
    """Holds the rule book in force. ``book`` is safe to call from any thread, and cheap."""

    def __init__(self, folder: pathlib.Path | None, *, off: Sequence[str], on: Sequence[str], log: Any) -> None:
        self._folder = folder or packs.BUILT_IN
        self._off, self._on, self._log = tuple(off), tuple(on), log
        self._changed: Callable[[rulebook.RuleBook], None] = lambda before: None
        self._asked = threading.Event()
        self._ending = False
        self._thread = threading.Thread(target=self._run, name="packs", daemon=True)
        self._book = self._read()
        self._problems = dict(self._book.failed)

    def book(self) -> rulebook.RuleBook:
        """Return the packs in force."""
        return self._book

    def problems(self) -> dict[str, str]:
        """Return what is wrong with packs, by name, as they were read last; empty: nothing."""
        return self._problems

    def start(self, changed: Callable[[rulebook.RuleBook], None]) -> None:
        """Begin to listen; ``changed`` is called with the packs of before when others are in force."""
        self._changed = changed
        self._thread.start()

    def ask(self) -> None:
        """Ask for another look at the folder; safe in a signal handler."""
        self._asked.set()

    def stop(self) -> None:
        """End."""
        self._ending = True
        self._asked.set()
        if self._thread.is_alive():
            self._thread.join(STOP_S)

    def reload(self) -> bool:
        """Read the folder again; says whether other packs are in force now. What fails keeps the last good ones."""
        new = self._read()
        self._problems = dict(new.failed)
        if new.failed:
            return False
        if new.digest == self._book.digest:
            return False
        self._book = new
        self._log.info("packs.in-force", packs=len(new.packs), off=list(new.off), digest=new.digest)
        return True

    def _read(self) -> rulebook.RuleBook:
        book = packs.load(self._folder, off=self._off, on=self._on)
        for name, problem in book.failed:
            self._log.error("pack.failed", pack=name, problem=problem)
        return book

    def _run(self) -> None:
        while self._asked.wait() and not self._ending:
            self._asked.clear()
            try:
                before = self._book
                if self.reload():
                    self._changed(before)
            except Exception as error:  # noqa: BLE001 -- the packs in force stay
                self._log.error("pack.failed", error=type(error).__name__, exc_info=error)
                self._problems = {"folder": type(error).__name__}
