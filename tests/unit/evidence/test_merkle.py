"""The Merkle tree against the definitions of RFC 9162, written down as they stand there."""

import hashlib
import itertools

import pytest

from orchestrator.evidence import merkle

# The seven leaves of section 2.1.5 with the inputs of the certificate-transparency reference tests.
LEAVES = [bytes.fromhex(text) for text in (
    "", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f",
)]  # fmt: skip
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


def mth(leaves: list[bytes]) -> bytes:
    """Return MTH(D[n]) as section 2.1.1 defines it."""
    n = len(leaves)
    if n == 0:
        return hashlib.sha256(b"").digest()
    if n == 1:
        return hashlib.sha256(b"\x00" + leaves[0]).digest()
    k = max(2**i for i in range(20) if 2**i < n)
    return hashlib.sha256(b"\x01" + mth(leaves[:k]) + mth(leaves[k:])).digest()


def path(m: int, leaves: list[bytes]) -> list[bytes]:
    """Return PATH(m, D[n]) as section 2.1.3.1 defines it."""
    n = len(leaves)
    if n == 1:
        return []
    k = max(2**i for i in range(20) if 2**i < n)
    if m < k:
        return [*path(m, leaves[:k]), mth(leaves[k:])]
    return [*path(m - k, leaves[k:]), mth(leaves[:k])]


def subproof(m: int, leaves: list[bytes], whole: bool) -> list[bytes]:
    """Return SUBPROOF(m, D[n], b) as section 2.1.4.1 defines it."""
    n = len(leaves)
    if m == n:
        return [] if whole else [mth(leaves)]
    k = max(2**i for i in range(20) if 2**i < n)
    if m <= k:
        return [*subproof(m, leaves[:k], whole), mth(leaves[k:])]
    return [*subproof(m - k, leaves[k:], False), mth(leaves[:k])]


def some(n: int) -> list[bytes]:
    """Return ``n`` different leaves."""
    return [hashlib.sha256(str(i).encode()).digest() for i in range(n)]


def test_published_roots() -> None:
    """The roots of the published test tree come out, from the definition, the tree and the frontier."""
    for n, root in enumerate(ROOTS, start=1):
        assert mth(LEAVES[:n]).hex() == root
        assert merkle.Tree(LEAVES[:n]).root().hex() == root
        assert merkle.Frontier(LEAVES[:n]).root().hex() == root


def test_roots_and_inclusion_for_every_size() -> None:
    """Every root and inclusion proof up to 33 leaves is that of the definition, and verifies."""
    leaves = some(33)
    tree, frontier = merkle.Tree(leaves), merkle.Frontier()
    assert tree.root(0) == frontier.root() == mth([])
    for n in range(1, 34):
        frontier.append(leaves[n - 1])
        root = mth(leaves[:n])
        assert tree.root(n) == root == frontier.root()
        for m in range(n):
            proof = tree.inclusion_proof(m, n)
            assert proof == path(m, leaves[:n])
            assert merkle.verify_inclusion(data=leaves[m], index=m, size=n, proof=proof, root=root)


def test_consistency_for_every_pair() -> None:
    """Every consistency proof up to 20 leaves is that of the definition, and verifies."""
    leaves = some(20)
    tree = merkle.Tree(leaves)
    for old, new in itertools.combinations_with_replacement(range(1, 21), 2):
        proof = tree.consistency_proof(old, new)
        assert proof == subproof(old, leaves[:new], True)
        assert merkle.verify_consistency(
            old=old, new=new, old_root=tree.root(old), new_root=tree.root(new), proof=proof
        )


def test_wrong_inclusion_is_refused() -> None:
    """No proof holds for another leaf, place, size, root, or with a step changed, lost or added."""
    leaves = some(13)
    tree = merkle.Tree(leaves)
    root = tree.root()
    for m in range(13):
        proof = tree.inclusion_proof(m)

        def holds(data=leaves[m], index=m, size=13, steps=proof, root=root):
            return merkle.verify_inclusion(data=data, index=index, size=size, proof=steps, root=root)

        assert holds()
        assert not holds(data=leaves[(m + 1) % 13])
        assert not any(holds(index=other) for other in range(-1, 14) if other != m)
        assert not holds(root=tree.root(12))
        assert not holds(steps=proof[:-1])
        assert not holds(steps=[*proof, root])
        for step in range(len(proof)):
            assert not holds(steps=[*proof[:step], root, *proof[step + 1 :]])


def test_wrong_consistency_is_refused() -> None:
    """A rewritten tree, swapped roots and a changed proof are refused."""
    leaves = some(13)
    tree, forged = merkle.Tree(leaves), merkle.Tree([b"x", *leaves[1:]])
    for old in range(1, 13):
        proof = tree.consistency_proof(old)
        old_root, new_root = tree.root(old), tree.root()

        def holds(old=old, new=13, a=old_root, b=new_root, steps=proof):
            return merkle.verify_consistency(old=old, new=new, old_root=a, new_root=b, proof=steps)

        assert holds()
        assert not holds(a=forged.root(old))
        assert not holds(b=forged.root())
        assert not holds(a=new_root, b=old_root)
        assert not holds(steps=[])
        assert not holds(steps=[*proof, new_root])
        assert not holds(old=0)
        assert not holds(new=old - 1)


def test_bounds() -> None:
    """Questions about leaves that are not there are errors."""
    tree = merkle.Tree(some(3))
    with pytest.raises(ValueError, match="no leaf"):
        tree.inclusion_proof(3)
    with pytest.raises(ValueError, match="no consistency"):
        tree.consistency_proof(2, 4)
    with pytest.raises(ValueError, match="no tree"):
        tree.root(4)


def test_the_root_of_a_full_row() -> None:
    """Level by level is the same root as leaf by leaf; what is no power of two has none."""
    leaves = [bytes([number]) * 32 for number in range(64)]
    for count in (1, 2, 4, 8, 16, 32, 64):
        assert merkle.perfect_root(leaves[:count]) == merkle.Tree(leaves[:count]).root()
    for count in (0, 3, 48):
        with pytest.raises(ValueError, match="no power of two"):
            merkle.perfect_root(leaves[:count])
