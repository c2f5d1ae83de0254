"""What the keepers of files in force are tested with: a store, and a log that is read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from orchestrator.store import memory
from orchestrator.testing import fakes


class Log:
    """Keeps every line as (level, event, more)."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str, dict[str, Any]]] = []

    def __getattr__(self, level: str) -> Callable[..., None]:
        return lambda event, **more: self.lines.append((level, event, more))


@pytest.fixture
def store() -> memory.MemoryStore:
    """Give an empty store."""
    return memory.MemoryStore(fakes.VirtualClock())


@pytest.fixture
def log() -> Log:
    """Give an empty log."""
    return Log()
