"""The journal of a state folder, checked without a server."""

from __future__ import annotations

import pathlib
from dataclasses import dataclass

from orchestrator.bootstrap import states
from orchestrator.store import opening
from orchestrator.telemetry import clocks


@dataclass(frozen=True, slots=True)
class Report:
    """What a check found. ``first_bad`` None: every link holds."""

    entries: int
    first_bad: int | None

    @property
    def ok(self) -> bool:
        """Say whether every link holds."""
        return self.first_bad is None


def verify(folder: str, *, database: str | None = None) -> Report:
    """Check every link; raises StoreError. A server may run meanwhile."""
    path = pathlib.Path(folder)
    if database is None and not (path / states.DATABASE).exists():
        raise FileNotFoundError(f"{path / states.DATABASE} does not exist: no server has kept its state here")
    store = opening.open_store(database or str(path / states.DATABASE), clocks.SystemClock())
    try:
        entries = store.head().seq
        return Report(entries, store.verify_journal())
    finally:
        store.close()
