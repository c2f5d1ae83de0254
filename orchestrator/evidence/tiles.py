"""The Merkle tree of a long journal, without keeping it: whole tiles as one hash, leaves read again when asked for.

A tile is 256 leaves (the height that C2SP tlog-tiles has). Of each full tile only its root is kept, 32 bytes, with
the subtrees above it: a quarter of a byte an entry. A proof reads the 256 leaves of one tile and is otherwise answered
from memory, in O(log n). The hashes kept can be written to a file and given back; they are a cache, so whoever loads
them compares the root with a signed one. Equal to ``merkle.Tree`` in every answer, which a test holds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from orchestrator.evidence import merkle

TILE = 256
_HASH = merkle.HASH_BYTES

ReadLinks = Callable[[int, int], Sequence[bytes]]
"""Returns ``count`` links from entry number ``start`` + 1 on (``start`` leaves stand before them)."""


class TileError(Exception):
    """The journal does not give the leaves that the tree was made of."""


class TileTree:
    """Append only. ``read`` gives leaves back; it is called by proofs about full tiles only."""

    def __init__(self, read: ReadLinks, kept: bytes = b"") -> None:
        self._read = read
        self._upper: list[bytearray] = [bytearray()]
        self._tail = merkle.Tree()
        self._last: tuple[int, merkle.Tree] | None = None
        for at in range(0, len(kept) - len(kept) % _HASH, _HASH):
            self._grow(kept[at : at + _HASH])

    @property
    def size(self) -> int:
        """Return the number of leaves."""
        return self.tiles * TILE + self._tail.size

    @property
    def tiles(self) -> int:
        """Return the number of full tiles."""
        return len(self._upper[0]) // _HASH

    def kept(self, after: int = 0) -> bytes:
        """Return the hashes of the full tiles after the first ``after``: what a file keeps."""
        return bytes(self._upper[0][after * _HASH :])

    def extend(self, links: Iterable[bytes]) -> None:
        """Add leaves; those that fill a tile of their own together."""
        leaves = list(links)
        at = 0
        while at < len(leaves):
            if not self._tail.size and len(leaves) - at >= TILE:
                self._grow(merkle.perfect_root(leaves[at : at + TILE]))
                at += TILE
                continue
            self._tail.append(leaves[at])
            at += 1
            if self._tail.size == TILE:
                self._grow(self._tail.root())
                self._tail = merkle.Tree()

    def root(self, size: int | None = None) -> bytes:
        """Return the root of the first ``size`` leaves (default: all). Raises ValueError, TileError."""
        size = self.size if size is None else size
        if not 0 <= size <= self.size:
            raise ValueError(f"no tree of {size} leaves: there are {self.size}")
        return merkle.range_hash(0, size, self._whole) if size else merkle.EMPTY_ROOT

    def inclusion_proof(self, index: int, size: int | None = None) -> list[bytes]:
        """Return as ``merkle.Tree`` does. Raises ValueError, TileError."""
        size = self.size if size is None else size
        if not 0 <= index < size <= self.size:
            raise ValueError(f"no leaf {index} in a tree of {size}: there are {self.size}")
        return merkle.inclusion_path(index, size, self._whole)

    def consistency_proof(self, old: int, new: int | None = None) -> list[bytes]:
        """Return as ``merkle.Tree`` does. Raises ValueError, TileError."""
        new = self.size if new is None else new
        if not 0 < old <= new <= self.size:
            raise ValueError(f"no consistency from {old} to {new}: there are {self.size}")
        return merkle.consistency_path(old, new, self._whole)

    def _grow(self, tile: bytes) -> None:
        merkle.push(self._upper, tile)

    def _whole(self, level: int, position: int) -> bytes:
        """Return the root of the complete subtree of 2**level leaves number ``position``."""
        if level >= 8:
            row = self._upper[level - 8]
            return bytes(row[position * _HASH : (position + 1) * _HASH])
        tile, low = divmod(position << level, TILE)
        if tile == self.tiles:
            return self._tail.whole(level, low >> level)
        return self._leaves(tile).whole(level, low >> level)

    def _leaves(self, tile: int) -> merkle.Tree:
        """Read a full tile again, and see that it still is what it was; the last one read is remembered."""
        if self._last is not None and self._last[0] == tile:
            return self._last[1]
        found = merkle.Tree(self._read(tile * TILE, TILE))
        kept = bytes(self._upper[0][tile * _HASH : (tile + 1) * _HASH])
        if found.size != TILE or found.root() != kept:
            first, last = tile * TILE + 1, (tile + 1) * TILE
            raise TileError(f"entries {first} to {last} are not what they were when they were sealed")
        self._last = (tile, found)
        return found
