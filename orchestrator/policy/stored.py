"""Plain data in a form that can be stored and read back as the same: what rule books are made from."""

from __future__ import annotations

import math
from typing import Any

from orchestrator.evidence import canonical


def plain(value: Any) -> Any:
    """Return ``value`` with everything that JSON does not hold exactly (dates, huge numbers, odd keys) as text.

    Packs are read from the result, not from what it was made of, so that a stored book reads as it did.
    """
    match value:
        case None | bool():
            return value
        case int():
            return value if abs(value) <= canonical.INT_MAX else str(value)
        case float():
            whole = math.isfinite(value) and value.is_integer() and abs(value) <= canonical.INT_MAX
            return int(value) if whole else value if math.isfinite(value) else str(value)
        case str():
            # Half of a surrogate pair has no UTF-8.
            return str(value).encode("utf-8", "replace").decode()
        case dict():
            return {plain(str(key)): plain(item) for key, item in value.items()}
        case list() | tuple():
            return [plain(item) for item in value]
        case _:
            return str(value)
