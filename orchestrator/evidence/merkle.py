"""The Merkle tree of RFC 9162 (section 2.1) over SHA-256: roots, inclusion proofs, consistency proofs.

The leaves are the chain's links (32 bytes), so a proof of a few hundred bytes ties one entry to a signed root.
``Tree`` keeps all levels (64 bytes a leaf) and answers proofs; ``Frontier`` keeps only the peaks, which is enough to
go on and to name the root; ``tiles`` keeps a long journal's. Not a key-value tree, and not a store: all are rebuilt
from the journal.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence

EMPTY_ROOT = hashlib.sha256(b"").digest()
HASH_BYTES = 32


def leaf_hash(data: bytes) -> bytes:
    """Return ``H(0x00 || data)``."""
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return ``H(0x01 || left || right)``."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def perfect_root(leaves: Sequence[bytes]) -> bytes:
    """Return the root of a power of two of leaves, level by level: half the cost of adding each to a tree."""
    sha256 = hashlib.sha256
    row = [sha256(b"\x00" + data).digest() for data in leaves]
    if not row or len(row) & (len(row) - 1):
        raise ValueError(f"{len(row)} is no power of two")
    while len(row) > 1:
        pairs = iter(row)
        row = [sha256(b"\x01" + left + right).digest() for left, right in zip(pairs, pairs, strict=True)]
    return row[0]


class Frontier:
    """The peaks of a growing tree: append in O(1) amortised, root in O(log n)."""

    def __init__(self, leaves: Iterable[bytes] = ()) -> None:
        self.size = 0
        self._peaks: list[tuple[int, bytes]] = []
        for data in leaves:
            self.append(data)

    def append(self, data: bytes) -> None:
        """Add a leaf."""
        height, top = 0, leaf_hash(data)
        while self._peaks and self._peaks[-1][0] == height:
            top = node_hash(self._peaks.pop()[1], top)
            height += 1
        self._peaks.append((height, top))
        self.size += 1

    def root(self) -> bytes:
        """Return the root."""
        if not self._peaks:
            return EMPTY_ROOT
        root = self._peaks[-1][1]
        for _, peak in reversed(self._peaks[:-1]):
            root = node_hash(peak, root)
        return root


Whole = Callable[[int, int], bytes]
"""Returns the root of the complete subtree of ``2**level`` leaves number ``position``."""


class Tree:
    """All complete subtrees, level by level. Append only."""

    def __init__(self, leaves: Iterable[bytes] = ()) -> None:
        self._levels: list[bytearray] = [bytearray()]
        for data in leaves:
            self.append(data)

    @property
    def size(self) -> int:
        """Return the number of leaves."""
        return len(self._levels[0]) // HASH_BYTES

    def append(self, data: bytes) -> None:
        """Add a leaf."""
        push(self._levels, leaf_hash(data))

    def root(self, size: int | None = None) -> bytes:
        """Return the root of the first ``size`` leaves (default: all). Raises ValueError."""
        size = self.size if size is None else size
        if not 0 <= size <= self.size:
            raise ValueError(f"no tree of {size} leaves: there are {self.size}")
        return range_hash(0, size, self.whole) if size else EMPTY_ROOT

    def inclusion_proof(self, index: int, size: int | None = None) -> list[bytes]:
        """Return PATH(index, D[size]) of RFC 9162, section 2.1.3. Raises ValueError."""
        size = self.size if size is None else size
        if not 0 <= index < size <= self.size:
            raise ValueError(f"no leaf {index} in a tree of {size}: there are {self.size}")
        return inclusion_path(index, size, self.whole)

    def consistency_proof(self, old: int, new: int | None = None) -> list[bytes]:
        """Return PROOF(old, D[new]) of RFC 9162, section 2.1.4. Raises ValueError."""
        new = self.size if new is None else new
        if not 0 < old <= new <= self.size:
            raise ValueError(f"no consistency from {old} to {new}: there are {self.size}")
        return consistency_path(old, new, self.whole)

    def whole(self, level: int, position: int) -> bytes:
        """Return the root of a complete subtree."""
        at = position * HASH_BYTES
        return bytes(self._levels[level][at : at + HASH_BYTES])


def push(levels: list[bytearray], node: bytes) -> None:
    """Add a node to the lowest of ``levels`` and every subtree that it completes."""
    levels[0] += node
    level, count = 0, len(levels[0]) // HASH_BYTES
    while count % 2 == 0:
        pair = levels[level][-2 * HASH_BYTES :]
        level, count = level + 1, count // 2
        if level == len(levels):
            levels.append(bytearray())
        levels[level] += node_hash(bytes(pair[:HASH_BYTES]), bytes(pair[HASH_BYTES:]))


def inclusion_path(index: int, size: int, whole: Whole) -> list[bytes]:
    """Return PATH(index, D[size]) from complete subtrees."""
    proof: list[bytes] = []
    low, high = 0, size
    while high - low > 1:
        middle = low + _split(high - low)
        if index < middle:
            proof.append(range_hash(middle, high, whole))
            high = middle
        else:
            proof.append(range_hash(low, middle, whole))
            low = middle
    proof.reverse()
    return proof


def consistency_path(old: int, new: int, whole: Whole) -> list[bytes]:
    """Return PROOF(old, D[new]) from complete subtrees."""
    proof: list[bytes] = []
    low, high, unbroken = 0, new, True
    while old != high:
        middle = low + _split(high - low)
        if old <= middle:
            proof.append(range_hash(middle, high, whole))
            high = middle
        else:
            proof.append(range_hash(low, middle, whole))
            low, unbroken = middle, False
    if not unbroken:
        proof.append(range_hash(low, high, whole))
    proof.reverse()
    return proof


def range_hash(low: int, high: int, whole: Whole) -> bytes:
    """Return the hash of leaves ``low`` to ``high``; ``low`` is a multiple of the largest power of two below."""
    width = high - low
    if width & (width - 1) == 0:
        level = width.bit_length() - 1
        return whole(level, low >> level)
    middle = low + _split(width)
    return node_hash(range_hash(low, middle, whole), range_hash(middle, high, whole))


def verify_inclusion(*, data: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> bool:
    """Say whether ``data`` is leaf ``index`` of the tree of ``size`` leaves with this root (section 2.1.3.2)."""
    if not 0 <= index < size:
        return False
    first, second, got = index, size - 1, leaf_hash(data)
    for step in proof:
        if second == 0:
            return False
        if first & 1 or first == second:
            got = node_hash(step, got)
            while first & 1 == 0 and first:
                first, second = first >> 1, second >> 1
        else:
            got = node_hash(got, step)
        first, second = first >> 1, second >> 1
    return second == 0 and got == root


def verify_consistency(*, old: int, new: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]) -> bool:
    """Say whether the tree of ``new`` leaves begins with that of ``old`` leaves (section 2.1.4.2)."""
    if not 0 < old <= new:
        return False
    if old == new:
        return not proof and old_root == new_root
    path = [old_root, *proof] if old & (old - 1) == 0 else list(proof)
    if not path:
        return False
    first, second = old - 1, new - 1
    while first & 1:
        first, second = first >> 1, second >> 1
    got_old = got_new = path[0]
    for step in path[1:]:
        if second == 0:
            return False
        if first & 1 or first == second:
            got_old, got_new = node_hash(step, got_old), node_hash(step, got_new)
            while first & 1 == 0 and first:
                first, second = first >> 1, second >> 1
        else:
            got_new = node_hash(got_new, step)
        first, second = first >> 1, second >> 1
    return second == 0 and got_old == old_root and got_new == new_root


def _split(width: int) -> int:
    """Return the largest power of two below ``width`` (at least 2)."""
    return 1 << ((width - 1).bit_length() - 1)
