"""Outputs compared by number, and files that are made to mislead or to cost."""

import io
import json

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

from orchestrator.domain import executions, ids, jobs
from orchestrator.evidence import canonical
from orchestrator.verification import results, tolerance

A = results.Answer
NEAR = jobs.Tolerance(absolute=1e-9, relative=1e-3)
LAW = hypothesis.settings(max_examples=100, deadline=None, suppress_health_check=list(hypothesis.HealthCheck))


def npy(*rows, dtype="<f8", order="C"):
    stream = io.BytesIO()
    np.save(stream, np.array(rows, dtype=dtype, order=order))
    return stream.getvalue()


def header(text):
    data = text.encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + len(data).to_bytes(2, "little") + data


@pytest.mark.parametrize(
    ("path", "one", "other", "answer"),
    [
        ("a.json", b'{"x": 1.0, "y": "t"}', b'{"y": "t", "x": 1.0001}', A.SAME),
        ("a.json", b'{"x": 1.0}', b'{"x": 1.01}', A.DIFFERENT),
        ("a.json", b'{"x": 1.0}', b'{"z": 1.0}', A.DIFFERENT),
        ("a.json", b"[1.0, 2.0]", b"[1.0]", A.DIFFERENT),
        ("a.json", b"[1000000]", b"[1000001]", A.DIFFERENT),
        ("a.json", b"[1]", b"[1.0]", A.SAME),
        ("a.json", b"[true]", b"[1]", A.DIFFERENT),
        ("a.json", b"[true]", b"[1.0]", A.DIFFERENT),
        ("a.json", b"[0.0]", b"[1e-10]", A.SAME),
        ("a.json", b"[NaN]", b"[1.0]", A.UNKNOWN),
        ("a.json", b"[NaN, 1.0]", b"[NaN, 2.0]", A.DIFFERENT),
        ("a.json", b"[1e999]", b"[1.0]", A.DIFFERENT),
        ("a.json", b'{"x": 1.0, "x": 2.0}', b'{"x": 2.0}', A.UNKNOWN),
        ("a.json", b"[1.0", b"[1.0]", A.UNKNOWN),
        ("a.json", b"[" * 200_000, b"[1.0]", A.UNKNOWN),
        ("a.json", b"[1" + b"0" * 400 + b"]", b"[1.0]", A.UNKNOWN),
        ("a.json", b"\xff", b"[1.0]", A.UNKNOWN),
        ("a.csv", b"n,x\na,1.0\n", b"n,x\r\na,1.0001\r\n", A.SAME),
        ("a.csv", b"n,x\na,1.0\n", b"n,x\nb,1.0\n", A.DIFFERENT),
        ("a.csv", b"1.0\n", b"1.0,2.0\n", A.DIFFERENT),
        ("a.csv", b"nan\n", b"1.0\n", A.UNKNOWN),
        ("a.csv", b'"1.0\n', b"1.0\n", A.UNKNOWN),
        ("a.npy", npy([1.0, 2.0]), npy([1.0001, 2.0]), A.SAME),
        ("a.npy", npy([1.0, 2.0]), npy([1.0001, 2.0], dtype="<f4"), A.SAME),
        ("a.npy", npy([1.0, 2.0], [3.0, 4.0]), npy([1.0, 2.0], [3.0, 4.0], order="F"), A.SAME),
        ("a.npy", npy([1.0, 2.0]), npy([1.0, 2.1]), A.DIFFERENT),
        ("a.npy", npy(1000.0), npy(1001.0005), A.SAME),  # by the larger of the two
        ("a.npy", npy(1000.0), npy(1001.0020), A.DIFFERENT),
        ("a.json", b"[1000.0]", b"[1001.0005]", A.SAME),
        ("a.npy", npy([1.0, 2.0]), npy(1.0, 2.0), A.DIFFERENT),
        ("a.npy", npy(1_000_000, dtype="<i8"), npy(1_000_001, dtype="<i8"), A.DIFFERENT),
        ("a.npy", npy(1, dtype="<i8"), npy(1, dtype="<i4"), A.SAME),
        ("a.npy", npy(np.inf, 1.0), npy(np.inf, 1.0001), A.SAME),
        ("a.npy", npy(np.inf), npy(1.0), A.DIFFERENT),
        ("a.npy", npy(np.inf), npy(-np.inf), A.DIFFERENT),
        ("a.npy", npy(np.nan), npy(1.0), A.UNKNOWN),
        ("a.npy", npy(1.0) + b"x", npy(1.0), A.UNKNOWN),
        ("a.npy", npy(1j, dtype="c16"), npy(2j, dtype="c16"), A.UNKNOWN),
        ("a.npy", header("{'descr': '<f8', 'fortran_order': False, 'shape': (10000000000000,)}"), npy(1.0), A.UNKNOWN),
        ("a.npy", header("{'descr': '|O', 'fortran_order': False, 'shape': (1,)}") + b"x" * 8, npy(1.0), A.UNKNOWN),
        ("a.npy", header("{'descr': '<f8', 'fortran_order': False, 'shape': (-1,)}"), npy(1.0), A.UNKNOWN),
        ("a.npy", header("(" * 5000), npy(1.0), A.UNKNOWN),
        ("a.npy", b"PK\x03\x04", npy(1.0), A.UNKNOWN),
        ("a.bin", b"1.0", b"1.0001", A.DIFFERENT),
        ("a.bin", b"1.0", b"1.0", A.SAME),
    ],
)
def test_files_compare_by_their_kind(path, one, other, answer):
    assert tolerance.compare_bytes(path, one, other, NEAR) is answer
    assert tolerance.compare_bytes(path, other, one, NEAR) is answer


def test_a_file_that_is_too_large_is_not_read(monkeypatch):
    monkeypatch.setattr(tolerance, "BYTES_MAX", 4)
    assert tolerance.compare_bytes("a.json", b"[1.0]", b"[1.00001]", NEAR) is A.UNKNOWN


@LAW
@hypothesis.given(st.binary(max_size=40), st.integers(0, 120), st.sampled_from(["npy", "json", "csv"]))
def test_no_bytes_break_the_reader(noise, at, kind):
    data = {"npy": npy([1.0, 2.0]), "json": b'{"x": [1.0, 2]}', "csv": b"a,1.0\nb,2.0\n"}[kind]
    broken = data[:at] + noise + data[at + len(noise) :]
    assert tolerance.compare_bytes(f"a.{kind}", broken, data, NEAR) in A


@LAW
@hypothesis.given(st.floats(), st.floats())
def test_the_three_kinds_say_the_same_of_two_numbers(one, other):
    csv = tolerance.compare_bytes("a.csv", f"{one!r}\n".encode(), f"{other!r}\n".encode(), NEAR)
    text = tolerance.compare_bytes("a.json", json.dumps(one).encode(), json.dumps(other).encode(), NEAR)
    array = tolerance.compare_bytes("a.npy", npy(one), npy(other), NEAR)
    if repr(one) != repr(other):
        assert csv is text is array


def result(name, files):
    left = tuple(
        executions.OutputFile(path, len(data), canonical.digest_of_bytes(data)) for path, data in files.items()
    )
    return results.Result(name, name, "FR", ids.Digest("sha256:1"), left)


def compare(mine, theirs, *, read_mine=None, read_theirs=None):
    contents = {"a": mine if read_mine is None else read_mine, "b": theirs if read_theirs is None else read_theirs}
    return tolerance.relation(contents, NEAR)(result("a", mine), result("b", theirs))


def test_results_compare_file_by_file():
    mine, near, far = (
        {"x.json": b"[1.0]", "y": b"1"},
        {"x.json": b"[1.0001]", "y": b"1"},
        {"x.json": b"[2.0]", "y": b"1"},
    )
    assert (compare(mine, near), compare(mine, far)) == (A.SAME, A.DIFFERENT)
    assert compare(mine, {"x.json": b"[1.0]"}) is A.DIFFERENT
    assert compare(mine, {"x.json": b"[1.0001]", "y": b"2"}) is A.DIFFERENT


def test_content_that_is_not_there_or_not_what_the_result_says_is_unknown():
    mine, near = {"x.json": b"[1.0]"}, {"x.json": b"[1.0001]"}
    assert compare(mine, near, read_theirs={}) is A.UNKNOWN
    assert compare(mine, near, read_theirs={"x.json": b"[1.0]"}) is A.UNKNOWN
    assert compare({"x.json": b"[2.0]"}, mine, read_mine=mine) is A.UNKNOWN


@pytest.mark.parametrize(("absolute", "relative"), [(-1, 0), (0, 1), (float("inf"), 0), (float("nan"), 0), (0, -0.1)])
def test_a_tolerance_that_lets_everything_pass_is_refused(absolute, relative):
    with pytest.raises(ValueError, match="tolerance"):
        jobs.Tolerance(absolute, relative)
