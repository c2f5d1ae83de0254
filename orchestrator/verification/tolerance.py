"""Compares outputs by number within a tolerance: JSON, CSV and NumPy's ``.npy``; all else must have the same bytes.

    |a - b| <= max(absolute, relative * max(|a|, |b|))            (symmetric; PEP 485)

Floating-point work on different machines differs in the last digits. Text, structure, shapes and whole numbers must
be the same. What cannot be read, has another digest than the result says, or holds a NaN, is UNKNOWN: it agrees with
nothing and is nobody's fault. The files come from places nobody trusts: nothing in them is executed or unpickled,
and size and depth are bounded. A tolerance lets a cheat of that size pass, in every number.
"""

from __future__ import annotations

import csv
import io
import json
import math
import struct
import tokenize
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.lib import format as npy

from orchestrator.domain import executions, jobs
from orchestrator.evidence import canonical
from orchestrator.verification import results

BYTES_MAX = 64 * 2**20
"""Largest file that is read; a larger one with another digest is UNKNOWN."""
_COMPARED = frozenset({"json", "csv", "npy"})
_SAME, _DIFFERENT, _UNKNOWN = results.Answer.SAME, results.Answer.DIFFERENT, results.Answer.UNKNOWN


class _UnreadableError(ValueError):
    """The file is not what its name says, too large, too deep, or holds what is no number."""


def relation(contents: Mapping[str, Mapping[str, bytes]], tolerance: jobs.Tolerance) -> results.Relation:
    """Return the relation of results whose files are in ``contents``: by the result's name, then by path."""

    def compare(one: results.Result, other: results.Result) -> results.Answer:
        if one.answer() is None or other.answer() is None:
            return _UNKNOWN
        mine, theirs = ({file.path: file for file in each.outputs or ()} for each in (one, other))
        if mine.keys() != theirs.keys():
            return _DIFFERENT
        read = (contents.get(one.name, {}), contents.get(other.name, {}))
        return _all(_files(mine[path], theirs[path], read, tolerance) for path in sorted(mine))

    return compare


def needed(found: Iterable[results.Result]) -> dict[str, tuple[str, ...]]:
    """Return the paths of which content is needed to compare results, by the name of the result.

    What has the same digest everywhere is the same; what no ending makes comparable, or is too large, is not read.
    """
    answered = [one for one in found if one.answer() is not None]
    digests: dict[str, set[str | None]] = {}
    for one in answered:
        for file in one.outputs or ():
            digests.setdefault(file.path, set()).add(file.sha256)
    apart = {path for path, seen in digests.items() if len(seen) > 1 and _ending(path) in _COMPARED}
    return {
        one.name: paths
        for one in answered
        if (paths := tuple(f.path for f in one.outputs or () if f.path in apart and f.size_bytes <= BYTES_MAX))
    }


def _ending(path: str) -> str:
    return path.rpartition(".")[2].lower()


def compare_bytes(path: str, one: bytes, other: bytes, tolerance: jobs.Tolerance) -> results.Answer:
    """Compare two files by the ending of their path."""
    if one == other:
        return _SAME
    if max(len(one), len(other)) > BYTES_MAX:
        return _UNKNOWN
    try:
        match _ending(path):
            case "json":
                return _values(_json(one), _json(other), tolerance)
            case "csv":
                return _tables(_csv(one), _csv(other), tolerance)
            case "npy":
                return _arrays(_npy(one), _npy(other), tolerance)
            case _:
                return _DIFFERENT
    except (_UnreadableError, RecursionError):
        return _UNKNOWN


def _files(
    one: executions.OutputFile,
    other: executions.OutputFile,
    read: tuple[Mapping[str, bytes], Mapping[str, bytes]],
    tolerance: jobs.Tolerance,
) -> results.Answer:
    if one.sha256 == other.sha256:
        return _SAME
    mine, theirs = (content.get(one.path) for content in read)
    if mine is None or theirs is None:
        return _UNKNOWN
    # What is compared must be what each one answers for.
    if canonical.digest_of_bytes(mine) != one.sha256 or canonical.digest_of_bytes(theirs) != other.sha256:
        return _UNKNOWN
    return compare_bytes(one.path, mine, theirs, tolerance)


def _all(answers: Iterable[results.Answer]) -> results.Answer:
    """Return DIFFERENT where one is, else UNKNOWN where one is, else SAME."""
    said = set(answers)
    return _DIFFERENT if _DIFFERENT in said else _UNKNOWN if _UNKNOWN in said else _SAME


def _numbers(one: float, other: float, tolerance: jobs.Tolerance) -> results.Answer:
    if math.isnan(one) or math.isnan(other):
        return _UNKNOWN
    return _SAME if math.isclose(one, other, rel_tol=tolerance.relative, abs_tol=tolerance.absolute) else _DIFFERENT


def _values(one: Any, other: Any, tolerance: jobs.Tolerance) -> results.Answer:
    if isinstance(one, dict) and isinstance(other, dict):
        if one.keys() != other.keys():
            return _DIFFERENT
        return _all(_values(one[key], other[key], tolerance) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        if len(one) != len(other):
            return _DIFFERENT
        return _all(_values(mine, theirs, tolerance) for mine, theirs in zip(one, other, strict=True))
    if type(one) in (int, float) and type(other) in (int, float) and float in (type(one), type(other)):
        return _numbers(_float(one), _float(other), tolerance)
    return _SAME if type(one) is type(other) and one == other else _DIFFERENT


def _tables(one: list[list[str]], other: list[list[str]], tolerance: jobs.Tolerance) -> results.Answer:
    if [len(row) for row in one] != [len(row) for row in other]:
        return _DIFFERENT
    pairs = (pair for rows in zip(one, other, strict=True) for pair in zip(*rows, strict=True))
    return _all(_cells(mine, theirs, tolerance) for mine, theirs in pairs)


def _cells(one: str, other: str, tolerance: jobs.Tolerance) -> results.Answer:
    if one == other:
        return _SAME
    try:
        mine, theirs = float(one), float(other)
    except ValueError:
        return _DIFFERENT
    return _numbers(mine, theirs, tolerance)


def _arrays(one: npt.NDArray[Any], other: npt.NDArray[Any], tolerance: jobs.Tolerance) -> results.Answer:
    if one.shape != other.shape or one.dtype.kind != other.dtype.kind:
        return _DIFFERENT
    if one.dtype.kind != "f":
        return _SAME if bool(np.array_equal(one, other)) else _DIFFERENT
    mine, theirs = one.astype(np.float64), other.astype(np.float64)
    if bool(np.isnan(mine).any() or np.isnan(theirs).any()):
        return _UNKNOWN
    # An infinity minus itself is no number, and the bound of an infinity lets everything pass: equal ones, or none.
    with np.errstate(invalid="ignore", over="ignore"):
        bound = np.maximum(tolerance.absolute, tolerance.relative * np.maximum(np.abs(mine), np.abs(theirs)))
        close = (np.abs(mine - theirs) <= bound) & np.isfinite(mine) & np.isfinite(theirs)
    return _SAME if bool(((mine == theirs) | close).all()) else _DIFFERENT


def _float(value: float) -> float:
    try:
        return float(value)
    except OverflowError as error:
        raise _UnreadableError("a whole number beyond all floats") from error


def _json(data: bytes) -> Any:
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            raise _UnreadableError("a member stands twice")
        return found

    try:
        return json.loads(data.decode(), object_pairs_hook=once)
    except ValueError as error:
        raise _UnreadableError("no JSON") from error


def _csv(data: bytes) -> list[list[str]]:
    try:
        return list(csv.reader(io.StringIO(data.decode(), newline=""), strict=True))
    except (ValueError, csv.Error) as error:
        raise _UnreadableError("no CSV") from error


def _npy(data: bytes) -> npt.NDArray[Any]:
    """Read an array of numbers. The header is held against the bytes there are before anything is allocated."""
    stream = io.BytesIO(data)
    try:
        version = npy.read_magic(stream)
        if version not in ((1, 0), (2, 0)):
            raise _UnreadableError("a version of .npy that is not read")
        read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, fortran, dtype = read(stream)
    except (ValueError, EOFError, struct.error, SyntaxError, TypeError, tokenize.TokenError) as error:
        raise _UnreadableError("no .npy") from error
    if dtype.kind not in "biuf" or dtype.itemsize > 8:
        raise _UnreadableError("not an array of plain numbers")
    rest = data[stream.tell() :]
    if any(size < 0 for size in shape) or math.prod(shape) * dtype.itemsize != len(rest):
        raise _UnreadableError("more or less than the header says")
    if not rest:
        return np.zeros(0, dtype)  # all arrays without elements hold the same numbers: none
    return np.frombuffer(rest, dtype=dtype).reshape(shape, order="F" if fortran else "C")
