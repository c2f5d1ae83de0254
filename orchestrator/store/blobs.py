"""Blobs: archives on disk, named by their SHA-256, each written whole or not at all.

``<folder>/<first two hex>/<hex>``; written to a temporary file first, synced, renamed, the folder synced. Nothing
is ever changed in place. Not a cache: nothing is removed here.
"""

from __future__ import annotations

import errno
import hashlib
import itertools
import os
import pathlib
import re
from collections.abc import Iterator

from orchestrator.domain import ids
from orchestrator.ports import stores

BLOB_BYTES_MAX = 64 * 1024 * 1024
_DIGEST = re.compile(r"sha256:([0-9a-f]{64})", re.ASCII)


def hex_of(digest: ids.Digest) -> str:
    """Return the hex part of a digest. Raises ValueError for anything else, so no path can be smuggled in."""
    found = _DIGEST.fullmatch(digest)
    if not found:
        raise ValueError(f"not a digest: {digest[:80]!r}")
    return found[1]


def gather(digest: ids.Digest, chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Yield ``chunks``; raise ValueError when there is too much of them, or, at the end, when they are not
    ``digest``'s."""
    wanted, size, made = hex_of(digest), 0, hashlib.sha256()
    for chunk in chunks:
        size += len(chunk)
        if size > BLOB_BYTES_MAX:
            raise ValueError(f"a blob has at most {BLOB_BYTES_MAX} bytes")
        made.update(chunk)
        yield chunk
    if made.hexdigest() != wanted:
        raise ValueError(f"the bytes are not those of {digest}")


class BlobFolder:
    """A folder of blobs. Safe for several threads and processes."""

    def __init__(self, folder: pathlib.Path) -> None:
        self._folder = folder
        self._numbers = itertools.count()

    def put(self, digest: ids.Digest, chunks: Iterator[bytes]) -> stores.Blob:
        """Keep a blob. Raises ValueError, StoreFullError, StoreError."""
        name = hex_of(digest)
        home = self._folder / name[:2]
        partial = self._folder / f"partial-{os.getpid()}-{next(self._numbers)}"
        try:
            home.mkdir(mode=0o700, parents=True, exist_ok=True)
            size = _write(partial, gather(digest, chunks))
            partial.replace(home / name)
            for folder in (home, self._folder):
                _sync_folder(folder)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise stores.StoreFullError("the disk is full: the archive was not kept") from error
            raise stores.StoreError(f"the archive could not be kept: {error.strerror}") from error
        finally:
            partial.unlink(missing_ok=True)
        return stores.Blob(digest, size)

    def get(self, digest: ids.Digest) -> bytes | None:
        """Return a blob's bytes, checked. Raises StoreCorruptError."""
        name = hex_of(digest)
        try:
            data = (self._folder / name[:2] / name).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise stores.StoreError(f"the archive {digest} cannot be read: {error.strerror}") from error
        if hashlib.sha256(data).hexdigest() != name:
            raise stores.StoreCorruptError(f"the archive {digest} is damaged on disk; submit the job again")
        return data

    def sweep(self) -> None:
        """Remove what a crash left half written. Called once, when the store is opened."""
        for partial in self._folder.glob("partial-*"):
            partial.unlink(missing_ok=True)


def _write(path: pathlib.Path, chunks: Iterator[bytes]) -> int:
    size = 0
    with open(path, "xb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
        for chunk in chunks:
            size += file.write(chunk)
        file.flush()
        os.fsync(file.fileno())
    return size


def _sync_folder(folder: pathlib.Path) -> None:
    number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
