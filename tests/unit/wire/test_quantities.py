"""Quantities: exact both ways, and clear where they are not understood."""

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.domain import money
from orchestrator.wire import errors, quantities


@pytest.mark.parametrize(
    ("parse", "written", "value"),
    [
        (quantities.parse_cpus, "8", 8000),
        (quantities.parse_cpus, "500m", 500),
        (quantities.parse_cpus, 0.5, 500),
        (quantities.parse_cpus, 2, 2000),
        (quantities.parse_cpus, "0.125", 125),
        (quantities.parse_cpus, 1e3, 1_000_000),
        (quantities.parse_memory, "64Gi", 64 * 2**30),
        (quantities.parse_memory, "512Mi", 512 * 2**20),
        (quantities.parse_memory, "1G", 10**9),
        (quantities.parse_memory, "1.5Gi", 3 * 2**29),
        (quantities.parse_memory, 4096, 4096),
        (quantities.parse_memory, "7k", 7000),
        (quantities.parse_accelerator_memory, "80G", 80),
        (quantities.parse_accelerator_memory, "1T", 1000),
        (quantities.parse_duration, "6h", dt.timedelta(hours=6)),
        (quantities.parse_duration, "10m", dt.timedelta(minutes=10)),
        (quantities.parse_duration, "90s", dt.timedelta(seconds=90)),
        (quantities.parse_duration, "2d", dt.timedelta(days=2)),
        (quantities.parse_duration, "1h30m", dt.timedelta(minutes=90)),
        (quantities.parse_money, "60 EUR", money.Money(60_000_000, "EUR")),
        (quantities.parse_money, "2.20 EUR", money.Money(2_200_000, "EUR")),
        (quantities.split_accelerator, "h100:8", ("h100", 8)),
        (quantities.split_accelerator, "A100-80GB", ("A100-80GB", None)),
    ],
)
def test_parsed(parse, written, value) -> None:  # type: ignore[no-untyped-def]
    """A quantity is the whole number that it says."""
    assert parse(written) == value


@pytest.mark.parametrize(
    ("parse", "written", "words"),
    [
        (quantities.parse_cpus, "8 cores", "not a number of CPUs"),
        (quantities.parse_cpus, "-1", "not a number"),
        (quantities.parse_cpus, "0.0001", "not a number"),
        (quantities.parse_cpus, True, "must be cpus"),
        (quantities.parse_cpus, "8\n", "not a number"),
        (quantities.parse_cpus, "\u0668", "not a number"),
        (quantities.parse_cpus, 1e300, "not a number"),
        (quantities.parse_cpus, [], "must be cpus"),
        (quantities.parse_memory, "64 Gi", "not an amount"),
        (quantities.parse_memory, "64GB", "not an amount"),
        (quantities.parse_memory, "0.0000001k", "whole number of bytes"),
        (quantities.parse_memory, "4Ei", "more than"),
        (quantities.parse_memory, "1" * 400, "not an amount"),
        (quantities.parse_memory, None, "must be memory"),
        (quantities.parse_accelerator_memory, "80Gi", "powers of two"),
        (quantities.parse_accelerator_memory, "80", "not an amount"),
        (quantities.parse_duration, "", "not a duration"),
        (quantities.parse_duration, "5", "not a duration"),
        (quantities.parse_duration, "30m1h", "not a duration"),
        (quantities.parse_duration, "0s", "no time"),
        (quantities.parse_duration, "999999999d", "longer than"),
        (quantities.parse_duration, 3, "not a duration"),
        (quantities.parse_money, "60EUR", "not an amount"),
        (quantities.parse_money, "60 euro", "not an amount"),
        (quantities.parse_money, "-1 EUR", "not an amount"),
        (quantities.parse_money, "1.1234567 EUR", "not an amount"),
        (quantities.split_accelerator, "h100:0", "NAME:COUNT"),
        (quantities.split_accelerator, ":8", "NAME:COUNT"),
    ],
)
def test_refused(parse, written, words) -> None:  # type: ignore[no-untyped-def]
    """What is no such quantity is refused in words."""
    with pytest.raises(errors.ValueProblemError, match=words):
        parse(written)


def test_binary_accelerator_memory_says_what_to_write() -> None:
    """The remedy for 80Gi is 80G."""
    with pytest.raises(errors.ValueProblemError) as caught:
        quantities.parse_accelerator_memory("80Gi")
    assert caught.value.remedy == "write 80G"


@given(st.integers(0, quantities.CPU_MILLI_MAX))
def test_cpus_round_trip(milli: int) -> None:
    """Formatted CPUs parse to the same number."""
    assert quantities.parse_cpus(quantities.format_cpus(milli)) == milli


@given(st.integers(0, quantities.MEMORY_BYTES_MAX))
def test_memory_round_trip(size: int) -> None:
    """Formatted memory parses to the same bytes."""
    assert quantities.parse_memory(quantities.format_memory(size)) == size


@given(st.integers(1, 10**8))
def test_duration_round_trip(seconds: int) -> None:
    """A formatted duration parses to the same time."""
    duration = dt.timedelta(seconds=seconds)
    assert quantities.parse_duration(quantities.format_duration(duration)) == duration


@given(st.integers(0, quantities.MONEY_MICRO_MAX))
def test_money_round_trip(micro: int) -> None:
    """A formatted amount parses to the same money."""
    amount = money.Money(micro, "EUR")
    if micro < 10**15:
        assert quantities.parse_money(quantities.format_money(amount)) == amount
