"""Plans know until when the lists that they rest on may be relied on."""

from __future__ import annotations

import datetime as dt
import pathlib
import sys

import pytest

from orchestrator.domain import ids, listings
from orchestrator.scheduler import cycle

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "unit" / "placement"))
import placement_samples as samples


def planned(fresh_to: dt.date, missing: tuple[str, ...] = ()) -> cycle.Plan:
    found = listings.Screening((listings.Consulted("us-sdn", "us", ids.NO_DIGEST, samples.DAY, fresh_to),), missing)
    site = samples.site("a/p", screening=found)
    return cycle.plan(samples.snapshot([site], [samples.offer("a/p")], [samples.job(1)]))


@pytest.mark.parametrize("days", [0, 3])
def test_a_placement_expires_with_its_lists(days: int) -> None:
    """It may be launched to the end of the last day on which every list may be relied on."""
    (placed,) = planned(samples.DAY + dt.timedelta(days=days)).placements
    midnight = dt.datetime.combine(samples.DAY, dt.time(), dt.UTC)
    assert placed.expires == midnight + dt.timedelta(days=days + 1)


def test_nothing_is_placed_where_a_list_is_stale_or_missing() -> None:
    """The condition of the job names the list."""
    for plan, code in (
        (planned(samples.DAY - dt.timedelta(days=1)), "sanctions.list-stale:us-sdn"),
        (planned(samples.DAY, ("eu-fsf",)), "sanctions.list-stale:eu-fsf"),
    ):
        assert plan.placements == ()
        (waiting,) = plan.waiting
        assert waiting.wait.type == "Unplaceable"
        assert code in waiting.wait.message
