"""Lies of the threat model as values: who tells one, what it is, what should come of it, and what tells it.

A lie that is caught names what catches it. One that is not says why not, and what would catch it: an honest table has
both kinds, and a lie that changes sides without its line here being changed is an error either way.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


class Attacker(enum.Enum):
    """Who lies."""

    BACKEND = "a backend, about itself"
    TENANT = "a tenant, about its data"
    USER = "a user, or who has a token"
    POLICY = "a policy author"
    LISTS = "who brings sanctions lists"
    DATABASE = "an insider with the database"
    KEY = "an insider with the log's key"
    BUNDLE = "an author of a bundle"

    @property
    def place(self) -> int:
        """Return its place in the table."""
        return list(Attacker).index(self)


@dataclass(frozen=True, slots=True)
class Seen:
    """What came of a lie; ``text`` holds no id, time or path that another run would not have."""

    caught: bool
    text: str


@dataclass(frozen=True, slots=True)
class Lie:
    """One lie. Exactly one of ``by`` (what catches it) and ``would`` (what would) is there."""

    attacker: Attacker
    text: str
    tell: Callable[[Any], Seen]
    by: str = ""
    why: str = ""
    would: str = ""

    @property
    def should_be_caught(self) -> bool:
        """Say whether something is meant to catch it."""
        return bool(self.by)


@dataclass(frozen=True, slots=True)
class Told:
    """A lie, and what came of it. ``error`` is set where it could not be told at all."""

    lie: Lie
    seen: Seen
    error: str = ""

    @property
    def as_meant(self) -> bool:
        """Say whether it ended as the table says."""
        return not self.error and self.seen.caught is self.lie.should_be_caught

    @property
    def verdict(self) -> str:
        """Return the last column: what caught it, or why nothing did and what would."""
        if self.error:
            return f"COULD NOT BE TOLD: {self.error}"
        if self.as_meant:
            return self.lie.by if self.seen.caught else f"NOT CAUGHT: {self.lie.why}. Would: {self.lie.would}"
        return "CAUGHT, and the table says that it is not" if self.seen.caught else f"ESCAPED: {self.lie.by}"


ALL: list[Lie] = []
"""Every lie that was registered."""


def caught(attacker: Attacker, text: str, *, by: str) -> Callable[[Callable[[Any], Seen]], Callable[[Any], Seen]]:
    """Register a lie that something catches."""

    def keep(tell: Callable[[Any], Seen]) -> Callable[[Any], Seen]:
        ALL.append(Lie(attacker, text, tell, by=by))
        return tell

    return keep


def missed(
    attacker: Attacker, text: str, *, why: str, would: str
) -> Callable[[Callable[[Any], Seen]], Callable[[Any], Seen]]:
    """Register a lie that nothing catches."""

    def keep(tell: Callable[[Any], Seen]) -> Callable[[Any], Seen]:
        ALL.append(Lie(attacker, text, tell, why=why, would=would))
        return tell

    return keep
