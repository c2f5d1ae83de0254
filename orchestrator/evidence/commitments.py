"""Salted commitments: a signed statement fixes a value without saying it; whoever may know it gets salt and value.

    commitment = SHA-256( JCS([salt, path, value]) ),   salt: 16 random bytes in base64

The statement keeps only ``path -> commitment``, the disclosure lies beside it. Without the salt a short value cannot
be guessed from its commitment; with salt and value erased nothing else of the proof changes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator.domain import ids
from orchestrator.evidence import canonical, encodings

SALT_BYTES = 16


@dataclass(frozen=True, slots=True)
class Disclosure:
    """An opened value. ``salt`` in base64; ``value`` is JSON."""

    path: str
    salt: str
    value: Any

    def as_json(self) -> dict[str, Any]:
        """Return it as it stands in a bundle."""
        return {"path": self.path, "salt": self.salt, "value": self.value}

    def commitment(self) -> ids.Digest:
        """Return what the statement must hold at this path. Raises CanonicalError."""
        return canonical.digest([self.salt, self.path, self.value])


def disclosure(path: str, value: Any, salt: bytes) -> Disclosure:
    """Return a value that can be opened. Raises ValueError for a salt that is no salt."""
    if len(salt) != SALT_BYTES:
        raise ValueError(f"a salt has {SALT_BYTES} bytes")
    return Disclosure(path, encodings.to_base64(salt), value)


def parse(value: object) -> Disclosure:
    """Read a disclosure from JSON. Raises ValueError."""
    if not isinstance(value, dict) or set(value) != {"path", "salt", "value"} or not isinstance(value["path"], str):
        raise ValueError("a disclosure has path, salt and value")
    encodings.from_base64(value["salt"], length=SALT_BYTES)
    return Disclosure(value["path"], value["salt"], value["value"])


def fits(opened: Disclosure, held: Mapping[str, Any]) -> bool:
    """Say whether a disclosure is what a statement's commitments hold at its path."""
    try:
        return held.get(opened.path) == opened.commitment()
    except canonical.CanonicalError:
        return False
