"""Maintenance windows: read of both forms, and whom they make wait."""

from typing import Any

import pytest

from backends.slurm import reservations, settings

WINDOW = {"name": "m", "flags": ["MAINT", "SPEC_NODES"], "node_list": "fr-[1-2]", "start_time": 1000, "end_time": 2000}
NAMES = frozenset({"fr-1", "fr-2"})
SHARE = settings.Share()


def number(value: int) -> dict[str, Any]:
    """Return a number as later versions write it."""
    return {"set": True, "infinite": False, "number": value}


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("de-1,fr-[1-2]", {"de-1", "fr-1", "fr-2"}),
        ("n[08-10,12]x", {"n08x", "n09x", "n10x", "n12x"}),
        ("", set()),
        ("a", {"a"}),
    ],
)
def test_a_list_of_hosts_is_its_names(text: str, names: set[str]) -> None:
    """With leading zeros."""
    assert set(reservations.hosts(text)) == names
    assert reservations.hosts(text) == sorted(names)


def test_a_list_without_end_is_bounded() -> None:
    """A site that answers nonsense costs no memory."""
    assert len(reservations.hosts("n[1-999999999],a")) <= reservations.HOSTS_MAX


def test_both_forms_of_a_window_are_one() -> None:
    """Numbers and flags; a reservation that is no maintenance is none."""
    later = {**WINDOW, "start_time": number(1000), "end_time": number(2000)}
    (old,) = reservations.windows([WINDOW])
    assert reservations.windows([later, {**WINDOW, "flags": "MAINT,FLEX"}, {**WINDOW, "flags": []}]) == [old, old]
    assert (old.nodes, old.text) == (NAMES, "maintenance m from 1970-01-01T00:16:40Z until 1970-01-01T00:33:20Z")


@pytest.mark.parametrize(
    ("now_s", "until_s", "names", "waits"),
    [
        (0, 999, NAMES, False),
        (0, 1001, NAMES, True),
        (0, None, NAMES, True),
        (1500, 1501, NAMES, True),
        (2000, None, NAMES, False),
        (0, None, NAMES | {"fr-3"}, False),
        (0, None, frozenset[str](), False),
    ],
)
def test_who_reaches_into_a_window_of_all_nodes_waits(
    now_s: int, until_s: int | None, names: frozenset[str], waits: bool
) -> None:
    """Whoever is over before, or has a node that stays, does not."""
    found = reservations.ahead(reservations.windows([WINDOW]), SHARE, names, until_s, now_s)
    assert (found is not None) is waits


def test_the_first_nodes_to_come_back_are_waited_for() -> None:
    """And jobs of a pool inside the reservation wait for none."""
    parts = [
        {**WINDOW, "name": "a", "node_list": "fr-1", "end_time": 3000},
        {**WINDOW, "name": "b", "node_list": "fr-2"},
    ]
    listed = reservations.windows(parts)
    found = reservations.ahead(listed, SHARE, NAMES, None, 0)
    assert found is not None
    assert found.name == "b"
    assert reservations.ahead(listed, settings.Share(reservation="a"), NAMES, None, 0) is None
