"""Which program is an adapter? Its distribution, its version, and a digest over the files that it is made of.

A version says what somebody called it; the digest says what was installed. It covers every file of the adapter's own
package, compiled ones too, and neither caches nor what the package imports.
"""

from __future__ import annotations

import hashlib
import importlib.util
import pathlib
from collections.abc import Iterator

from orchestrator.domain import executions, ids
from orchestrator.evidence import canonical
from orchestrator.plugins import registry

FILES_MAX = 5_000
BYTES_MAX = 256 * 2**20
_LEFT_OUT = frozenset({"__pycache__"})


def of(one: registry.Installed) -> executions.Adapter | None:
    """Return what an adapter is made of; None where its files cannot be read, or are too many to read."""
    try:
        files = list(_files(one.module))
        if not files:
            return None
        listed, left = [], BYTES_MAX
        for name, path in files:
            data = path.read_bytes()
            left -= len(data)
            if left < 0:
                return None
            listed.append([name, hashlib.sha256(data).hexdigest()])
    except (OSError, ValueError, ImportError, AttributeError):
        return None
    return executions.Adapter(one.distribution, one.version, ids.Digest(canonical.digest(listed)))


def _files(module: str) -> Iterator[tuple[str, pathlib.Path]]:
    """Return (path inside the package, file) of each file of a package, in order; of a module just the one."""
    found = importlib.util.find_spec(module) if module else None
    if found is None or not found.origin:
        return
    if not found.submodule_search_locations:
        yield pathlib.Path(found.origin).name, pathlib.Path(found.origin)
        return
    for folder in map(pathlib.Path, found.submodule_search_locations):
        paths = sorted(path for path in folder.rglob("*") if not _LEFT_OUT & set(path.parts) and path.is_file())
        if len(paths) > FILES_MAX:
            raise ValueError("too many files")
        for path in paths:
            yield path.relative_to(folder).as_posix(), path
