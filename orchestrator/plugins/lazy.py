"""The one way to import late: a heavy library is loaded when it is first used, never when it is merely possible."""

from __future__ import annotations

import importlib
from typing import Any


def lazy(module: str) -> Any:
    """Return the module named, importing it if nobody has; raises ImportError as an import would."""
    return importlib.import_module(module)
