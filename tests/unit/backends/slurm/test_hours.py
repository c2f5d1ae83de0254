"""CPU hours that are declared: never more is promised than there is, and nothing where that is not known."""

import datetime as dt
import pathlib
from typing import Any

import pytest

from backends.slurm import hours, settings, wire
from orchestrator.domain import errors
from orchestrator.settings import adapters

NOW = dt.datetime(2026, 11, 23, 12, tzinfo=dt.UTC)
ASKED = wire.Submission("k-1", "c", "s", "fr", "/bin", cpus=4, nodes=2, minutes=60)
"""Eight CPU hours at most."""


def book(folder: pathlib.Path, left: float | None, *, required: bool = True, **more: Any) -> hours.Hours:
    """Return the book of a backend as after a restart."""
    tenant = {"hours": {"left": left, "asOf": "2026-11-22", **more}} if left is not None else {}
    wanted = {"url": "http://127.0.0.1:1", "user": "u", "token": "t", "folder": "/shared", "hoursRequired": required}
    return hours.Hours(settings.SlurmSettings.read({**wanted, "tenants": {"a": tenant}}), str(folder), lambda: NOW)


def code(made: hours.Hours, key: str, tenant: str = "a", minutes: int = 60, given: int = 0) -> str:
    """Return the code with which an attempt is refused; "" where it is promised its hours."""
    asked = wire.Submission(key, "c", "s", "fr", "/bin", cpus=4, nodes=2, minutes=minutes)
    try:
        made.promise(asked, tenant, given)
    except errors.PermanentError as error:
        return error.code
    return ""


def test_no_more_is_promised_than_there_is(tmp_path: pathlib.Path) -> None:
    """Three times eight hours are in 25; the fourth waits, also after a restart; the same attempt counts once."""
    for number in range(3):
        assert code(book(tmp_path, 25), f"k-{number}") == ""
    made = book(tmp_path, 25)
    assert [code(made, key) for key in ("k-3", "k-2", "k-3")] == ["slurm.hours", "", "slurm.hours"]
    assert code(made, "k-4", minutes=7) == ""


def test_a_later_declaration_begins_anew(tmp_path: pathlib.Path) -> None:
    """What was promised before the day of which it is true is in it already."""
    assert code(book(tmp_path, 8), "k-1") == ""
    assert code(book(tmp_path, 8), "k-2") == "slurm.hours"
    later = hours.Hours(book(tmp_path, 8, asOf="2026-11-24")._wanted, str(tmp_path), lambda: NOW + dt.timedelta(days=1))
    assert code(later, "k-2") == ""


@pytest.mark.parametrize("as_of", ["2026-11-15", "2026-11-24"])
def test_what_is_too_old_or_of_tomorrow_counts_as_unknown(tmp_path: pathlib.Path, as_of: str) -> None:
    """And unknown is no."""
    assert code(book(tmp_path, 1e9, asOf=as_of, required=False), "k-1") == "slurm.no-hours"


def test_unknown_is_plenty_nowhere_it_is_demanded(tmp_path: pathlib.Path) -> None:
    """Where it is not, nothing is counted."""
    assert code(book(tmp_path, None), "k-1") == "slurm.no-hours"
    assert code(book(tmp_path, 8), "k-1", tenant="b") == "slurm.no-hours"
    free = book(tmp_path, None, required=False)
    assert (free.any, code(free, "k-1")) == (False, "")


def test_a_job_without_an_end_is_bounded_by_its_partition_or_refused(tmp_path: pathlib.Path) -> None:
    """The most that it could use is what counts."""
    assert code(book(tmp_path, 9), "k-1", minutes=0) == "slurm.hours"
    assert code(book(tmp_path, 9), "k-1", minutes=0, given=90) == "slurm.hours"
    assert code(book(tmp_path, 9), "k-1", minutes=0, given=60) == ""


def test_a_damaged_book_promises_nothing(tmp_path: pathlib.Path) -> None:
    """Until somebody has looked."""
    assert code(book(tmp_path, 1e6), "k-1") == ""
    with (tmp_path / hours.FILE).open("a") as file:
        file.write('["k-2", "a", 1')
    assert code(book(tmp_path, 1e6), "k-3") == "slurm.no-hours"


def test_a_day_that_is_none_is_no_setting(tmp_path: pathlib.Path) -> None:
    """Nor is a sum without end."""
    for left, as_of in ((1.0, "2026-02-30"), (float("inf"), "2026-11-22"), (-1.0, "2026-11-22")):
        with pytest.raises(adapters.SettingsError):
            book(tmp_path, left, asOf=as_of)
