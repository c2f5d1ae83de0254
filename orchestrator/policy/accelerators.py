"""What export rules derive from an accelerator's data sheet: TPP, performance density, EAR class. Version 1.

Definitions of 15 CFR 774 Supp. 1, ECCN 3A090 and its notes: TPP = 2 x MacTOPS x bit length, aggregated over the
integrated circuits of a package, at the bit length that gives most; data sheets count a multiply-accumulate as two
operations, so TPP = dense TOPS x bits. Performance density = TPP / applicable die area in mm2.
"""

from __future__ import annotations

from collections.abc import Iterable

VERSION = 1

CLASS_A = "a"
CLASS_B = "b"
CLASS_A_NONDC = "a-nondc"

TPP_HIGH = 4800
TPP_MIDDLE = 2400
TPP_LOW = 1600
DENSITY_HIGH = 5.92
DENSITY_MIDDLE = 3.2
DENSITY_LOW = 1.6


def tpp(performances: Iterable[tuple[float, int]]) -> float | None:
    """Return the total processing performance of (dense operations in 10^12 a second, bits); None: no figure."""
    return max((tops * bits for tops, bits in performances), default=None)


def density(tpp_: float | None, die_area_mm2: float | None) -> float | None:
    """Return TPP per mm2 of logic die on a non-planar node; None where either is unknown."""
    return None if tpp_ is None or not die_area_mm2 else tpp_ / die_area_mm2


def ear_class(tpp_: float | None, density_: float | None, *, datacenter: bool) -> str | None:
    """Return ``a``, ``b`` or ``a-nondc`` as 3A090 has them, None where it does not apply or TPP is unknown.

    An unknown density takes the stricter reading: from TPP 1600 on it is class ``a``.
    """
    if tpp_ is None:
        return None
    if not datacenter:
        return CLASS_A_NONDC if tpp_ >= TPP_HIGH else None
    if tpp_ >= TPP_HIGH or (tpp_ >= TPP_LOW and (density_ is None or density_ >= DENSITY_HIGH)):
        return CLASS_A
    if density_ is None:
        return None
    middling = TPP_MIDDLE <= tpp_ < TPP_HIGH and DENSITY_LOW <= density_ < DENSITY_HIGH
    dense = tpp_ >= TPP_LOW and DENSITY_MIDDLE <= density_ < DENSITY_HIGH
    return CLASS_B if middling or dense else None
