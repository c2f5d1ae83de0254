"""Dated exchange rates of the house: pairs from one base, rounded up, good for some days; what is wrong is named."""

import datetime as dt

import pytest

from orchestrator.placement import requirements
from orchestrator.sources import rates, yamls

DAY = dt.date(2026, 11, 20)
FILE = """\
as_of: 2026-11-20
source: invented bank
base: EUR
rates: {USD: 1.10, GBP: 0.85}
"""


@pytest.fixture
def write(tmp_path):
    def make(text, name="rates.yaml"):
        path = tmp_path / name
        path.write_text(text)
        return path

    return make


def micros(path):
    return {(one.base, one.quote): one.micro for one in rates.load(path)}


def test_all_pairs_follow_from_one_base(write):
    """As published, turned around, and from one foreign currency to the other; each rounded up to a millionth."""
    assert micros(write(FILE)) == {
        ("EUR", "USD"): 1_100_000,
        ("EUR", "GBP"): 850_000,
        ("USD", "EUR"): 909_091,
        ("GBP", "EUR"): 1_176_471,
        ("USD", "GBP"): 772_728,
        ("GBP", "USD"): 1_294_118,
    }


def test_a_rate_says_its_days_and_its_source(write):
    """It begins on its day and ends after the age that the file allows; a week where it says nothing."""
    first, *_ = rates.load(write(FILE))
    assert (first.valid_from, first.valid_to, first.source) == (DAY, DAY + dt.timedelta(days=7), "invented bank")
    first, *_ = rates.load(write(FILE + "max_age_days: 0\n"))
    assert first.valid_to == DAY


def test_what_is_written_counts_and_not_its_binary_neighbour(write):
    """1.1 is eleven tenths: no rate is a millionth higher because a computer cannot write it."""
    assert micros(write(FILE))["EUR", "USD"] == 1_100_000


def test_a_rate_that_would_be_coarse_is_left_out(write):
    """One unit worth less than a thousandth of the other has no rate; the other way round it has."""
    found = micros(write(FILE.replace("USD: 1.10", "IDR: 18000")))
    assert ("IDR", "EUR") not in found
    assert found["EUR", "IDR"] == 18_000_000_000


def test_a_later_file_counts(write):
    """Of two files that say a pair, the one of the later day answers; before it, the earlier one."""
    old, new = write(FILE), write(FILE.replace("11-20", "11-22").replace("1.10", "1.20"), "new.yaml")
    asked = requirements.Requirement("t")
    tables = requirements.Tables(rates.load(old, new))
    told = {day: requirements.ask(asked, day, None, tables).rate("USD") for day in (DAY, DAY + dt.timedelta(days=2))}
    assert list(told.values()) == [909_091, 833_334]


def test_an_old_file_knows_nothing(write):
    """After its last day there is no rate, so the price is refused; nothing is taken on from yesterday."""
    tables = requirements.Tables(rates.load(write(FILE)))
    ends = [requirements.ask(requirements.Requirement("t"), DAY + dt.timedelta(days=n), None, tables) for n in (7, 8)]
    assert [question.rate("USD") for question in ends] == [909_091, None]
    assert requirements.next_change(ends[0], tables) == DAY + dt.timedelta(days=8)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("as_of: 2026-11-20\n", "", "as_of: is required"),
        ("2026-11-20", "20.11.2026", "as_of: is not a date"),
        ("source: invented bank\n", "", "source: is required"),
        ("source: invented bank", "source: 7", "source: is not text"),
        ("base: EUR", "base: euro", "base: is no currency"),
        ("base: EUR\n", "", "base: is required"),
        ("USD: 1.10", "usd: 1.10", "rates.usd: is no other currency"),
        ("USD: 1.10", "EUR: 1.10", "rates.EUR: is no other currency"),
        ("1.10", "0", "rates.USD: is not a number above zero"),
        ("1.10", "-1", "rates.USD: is not a number above zero"),
        ("1.10", "yes", "rates.USD: is not a number above zero"),
        ("1.10", ".inf", "rates.USD: is not a finite number"),
        ("{USD: 1.10, GBP: 0.85}", "{}", "rates: is not a mapping of 1 to 64"),
        ("{USD: 1.10, GBP: 0.85}", "[1]", "rates: is not a mapping of 1 to 64"),
        ("base: EUR", "base: EUR\nmax_age_days: 32", "max_age_days: is not a number of days"),
        ("base: EUR", "base: EUR\nmax_age_days: true", "max_age_days: is not a number of days"),
        ("base: EUR", "base: EUR\nvalid_to: 2027-01-01", "valid_to: is not known"),
    ],
)
def test_a_wrong_file_is_refused_with_its_place(write, old, new, words):
    """Each problem names file, line and member."""
    assert old in FILE
    with pytest.raises(yamls.YamlError) as caught:
        rates.load(write(FILE.replace(old, new, 1)))
    assert words in str(caught.value)
    assert "rates.yaml:" in str(caught.value)


def test_a_file_that_is_not_there_is_an_error(tmp_path):
    """No rate is guessed where none can be read."""
    with pytest.raises(yamls.YamlError):
        rates.load(tmp_path / "none.yaml")
