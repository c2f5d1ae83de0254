"""The tree that keeps tiles answers as the one that keeps everything."""

import hashlib
import random

import pytest

from orchestrator.evidence import merkle, tiles

LINKS = [hashlib.sha256(str(number).encode()).digest() for number in range(3 * tiles.TILE + 77)]


def read(start: int, count: int) -> list[bytes]:
    """Return links as a store does."""
    return LINKS[start : start + count]


def made(size: int, kept: bytes = b"") -> tiles.TileTree:
    """Return the tree of the first ``size`` links."""
    tree = tiles.TileTree(read, kept)
    tree.extend(LINKS[tree.size : size])
    return tree


@pytest.mark.parametrize("size", [0, 1, 255, 256, 257, 512, 700, len(LINKS)])
def test_every_answer_is_that_of_the_whole_tree(size: int) -> None:
    """Roots, inclusion and consistency proofs of every smaller size are equal, from memory and after a restart."""
    whole, rng = merkle.Tree(LINKS[:size]), random.Random(size)
    for tree in (made(size), made(size, made(size).kept())):
        assert (tree.size, tree.root()) == (size, whole.root())
        for _ in range(min(size, 60)):
            part, old = rng.randint(1, size), rng.randint(1, size)
            index = rng.randrange(part)
            assert tree.root(part) == whole.root(part)
            assert tree.inclusion_proof(index, part) == whole.inclusion_proof(index, part)
            if old <= part:
                assert tree.consistency_proof(old, part) == whole.consistency_proof(old, part)


def test_a_proof_reads_one_tile_and_no_more() -> None:
    """The cost of a proof does not grow with the journal: at most one tile of leaves is read again."""
    asked: list[tuple[int, int]] = []

    def counting(start: int, count: int) -> list[bytes]:
        asked.append((start, count))
        return read(start, count)

    tree = tiles.TileTree(counting)
    tree.extend(LINKS)
    tree.inclusion_proof(300)
    tree.consistency_proof(300)
    assert asked == [(256, 256)]


def test_leaves_that_changed_since_they_were_sealed_are_named() -> None:
    """A store that gives other leaves than those the tree was made of is found out, with the entries."""
    tree = tiles.TileTree(lambda start, count: [b"x" * 32] * count)
    tree.extend(LINKS)
    with pytest.raises(tiles.TileError, match="entries 257 to 512"):
        tree.inclusion_proof(300)


def test_what_a_crash_cut_off_is_not_taken() -> None:
    """Half a hash at the end of the file is no tile."""
    kept = made(len(LINKS)).kept()
    assert made(0, kept[:-1]).tiles == 2
    assert made(len(LINKS), kept[:-1]).root() == made(len(LINKS)).root()
