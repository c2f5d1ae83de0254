"""A bounded memory of what was computed before: two generations, so that what is in use survives the rest."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, TypeVar

Value = TypeVar("Value")


class Memory(Generic[Value]):
    """Keeps at least the last ``generation_max`` values that were asked for, and at most twice as many."""

    __slots__ = ("_generation_max", "_old", "_young")

    def __init__(self, generation_max: int) -> None:
        self._generation_max = generation_max
        self._young: dict[Hashable, Value] = {}
        self._old: dict[Hashable, Value] = {}

    def get(self, key: Hashable) -> Value | None:
        """Return what was kept under the key, or None; also for a key that cannot be hashed."""
        try:
            value = self._young.get(key)
            if value is None:
                value = self._old.get(key)
                if value is not None:
                    self.keep(key, value)
        except TypeError:
            return None
        return value

    def keep(self, key: Hashable, value: Value) -> None:
        """Keep a value; one whose key cannot be hashed is not kept."""
        if len(self._young) >= self._generation_max:
            self._old = self._young
            self._young = {}
        try:
            self._young[key] = value
        except TypeError:
            return

    def copy(self) -> Memory[Value]:
        """Return a memory that knows the same and goes its own way."""
        other: Memory[Value] = Memory(self._generation_max)
        other._young, other._old = dict(self._young), dict(self._old)
        return other
