"""What both makes of the store promise of obligations, one question a test."""

import dataclasses
import datetime as dt
import pathlib

import pytest
import sqlalchemy as sa
import store_samples as samples
from hypothesis import given

from orchestrator.domain import ids, obligations, reasons
from orchestrator.ports import stores
from orchestrator.store import codec_obligations, failpoints, opening
from orchestrator.store.memory import MemoryStore

DAY = dt.timedelta(days=1)
EVERYTHING = stores.ObligationFilter()


def owing(number: int = 1, code: str = "a.b", *, tenant: str = "acme", days: int | None = 30) -> obligations.Obligation:
    """Return a new obligation of the job of that number."""
    return obligations.recorded(
        None,
        obligations.Duty(code, reasons.Basis.LAW, "do it", "Art. 1", days),
        job=samples.job(number).id,
        tenant=tenant,
        site=ids.SiteName("dc/pool"),
        attempt=1,
        placed_at=samples.NOW,
    )


def keep(store: stores.Store, *some: obligations.Obligation) -> None:
    """Commit obligations."""
    store.commit(stores.Changes(obligations=some))


def listed(store: stores.Store, wanted: stores.ObligationFilter = EVERYTHING) -> list[tuple[str, str]]:
    """Return what a filter finds, as (last digit of the job, code)."""
    return [(one.job[-1], one.duty.code) for one in store.list_obligations(wanted, limit=100).items]


def test_obligation_comes_back(store: stores.Store) -> None:
    """It reads back equal, at version 1, and a second writer of the same version is refused with all it brings."""
    keep(store, owing())
    (found,) = store.list_obligations(EVERYTHING, limit=10).items
    assert found == dataclasses.replace(owing(), version=1)
    done = obligations.Fulfilment("doc-1", "sha256:" + "1" * 64, "Ada", "", "tok", samples.NOW)
    keep(store, obligations.fulfilled(found, done))
    (after,) = store.list_obligations(EVERYTHING, limit=10).items
    assert (after.version, after.state, after.fulfilment) == (2, obligations.State.FULFILLED, done)
    before = store.head()
    with pytest.raises(stores.VersionConflictError, match=f"obligation/{found.job}/a.b"):
        store.commit(stores.Changes(obligations=[found], entries=[samples.entry()]))
    assert store.head() == before


def test_obligations_leave_the_world_alone(store: stores.Store) -> None:
    """They are no documents: nobody makes the world anew for them."""
    before = store.documents_version()
    keep(store, owing())
    assert store.documents_version() == before
    assert store.documents() == []


def test_filters_of_obligations(store: stores.Store) -> None:
    """By tenant, jobs, state and day; by their day in its order."""
    late = dataclasses.replace(owing(2, days=1), state=obligations.State.OVERDUE)
    keep(store, owing(1, "b"), owing(1, "a", days=9), late, owing(3, tenant="other", days=None))
    assert listed(store) == [("1", "a"), ("1", "b"), ("2", "a.b"), ("3", "a.b")]
    assert listed(store, stores.ObligationFilter(tenant="other")) == [("3", "a.b")]
    of_job = stores.ObligationFilter(jobs=frozenset({samples.job(1).id}))
    assert listed(store, of_job) == [("1", "a"), ("1", "b")]
    assert listed(store, dataclasses.replace(of_job, tenant="other")) == []
    assert listed(store, stores.ObligationFilter(states=frozenset({obligations.State.OVERDUE}))) == [("2", "a.b")]
    due = stores.ObligationFilter(due_by=samples.NOW + 9 * DAY)
    assert listed(store, due) == [("2", "a.b"), ("1", "a")]
    opened = dataclasses.replace(due, states=frozenset({obligations.State.OPEN}))
    assert listed(store, opened) == [("1", "a")]
    assert store.count_obligations() == {obligations.State.OPEN: 3, obligations.State.OVERDUE: 1}


def test_pages_of_obligations(store: stores.Store) -> None:
    """Pages follow each other without a gap, also within one job; a cursor of another list is refused."""
    keep(store, *[owing(number, code) for number in (1, 2, 3) for code in ("x.b", "x.a:US")])
    keep(store, dataclasses.replace(owing(2, "x.c"), state=obligations.State.FULFILLED))
    seen, cursor = [], None
    for _ in range(9):
        page = store.list_obligations(EVERYTHING, limit=2, cursor=cursor)
        seen += [(one.job[-1], one.duty.code) for one in page.items]
        cursor = page.cursor
        if cursor is None:
            break
    assert seen == listed(store)
    assert len(seen) == 7
    with pytest.raises(ValueError, match="cursor"):
        store.list_obligations(EVERYTHING, limit=2, cursor="j1.abc")


def test_placement_and_obligation_are_one(clock: samples.Clock) -> None:
    """A process that dies before the commit leaves neither; one that dies after it leaves both."""
    for place, kept in ((failpoints.BEFORE_COMMIT, 0), (failpoints.AFTER_COMMIT, 1)):

        def die(name: str, place: str = place) -> None:
            if name == place:
                raise KeyboardInterrupt

        store = MemoryStore(clock, failpoints=die)
        with pytest.raises(KeyboardInterrupt):
            store.commit(stores.Changes(jobs=[samples.job(1)], obligations=[owing()]))
        assert (len(store.live_jobs()), len(listed(store))) == (kept, kept)


def test_damaged_obligation_is_named(path: pathlib.Path, clock: samples.Clock) -> None:
    """What cannot be read is an error of the store, never an obligation less."""
    store = opening.open_store(path, clock)
    keep(store, owing())
    engine = sa.create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE obligations SET body = '{\"v\":2}'")
    with pytest.raises(stores.StoreCorruptError, match="obligation"):
        store.list_obligations(EVERYTHING, limit=1)
    engine.dispose()
    store.close()


@given(samples.values(obligations.Obligation))
def test_every_obligation_survives_its_codec(one: obligations.Obligation) -> None:
    """Nothing is lost on the way to the row and back."""
    text = codec_obligations.encode(one)
    back = codec_obligations.decode(
        text,
        job=one.job,
        code=one.duty.code,
        tenant=one.tenant,
        state=one.state.value,
        due_at=one.due_at,
        version=one.version,
    )
    assert back == one
