"""Named places in a commit where a test makes the world end, before or after the effect.

Production passes nothing. A failpoint raises (the caller sees the error) or ends the process.
"""

from __future__ import annotations

from typing import Final, Protocol

BEFORE_COMMIT: Final = "store.before_commit"
"""Everything is checked and prepared; nothing of it can be read yet."""
AFTER_COMMIT: Final = "store.after_commit"
"""It is durable; nobody has been told."""


class Failpoints(Protocol):
    """Called with the name of each place that is passed."""

    def __call__(self, name: str, /) -> None:
        """Return, raise, or end the process."""


def nowhere(name: str, /) -> None:
    """Let it pass."""
