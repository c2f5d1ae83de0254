"""What the conformance kit works with: an adapter, its crashes, and the few things that its author brings."""

from __future__ import annotations

import dataclasses
import datetime as dt
import pathlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pytest

from orchestrator.domain import errors, ids, jobs, offers, sites
from orchestrator.ports import backends
from orchestrator.testing import fakes

LONG_S = 3600.0
SHORT_S = 0.2
STEPS_MAX = 1000
"""Looks at one attempt before a test gives up."""


@dataclasses.dataclass(slots=True)
class Bench:
    """What a test works with: an adapter, and a way to make it anew as after a crash of the control plane."""

    build: Callable[[], backends.BackendAdapter]
    folder: pathlib.Path
    adapter: backends.BackendAdapter = dataclasses.field(init=False)
    count: int = 0
    dead: list[backends.BackendAdapter] = dataclasses.field(default_factory=list)

    def __post_init__(self) -> None:
        self.adapter = self.build()

    def crash(self) -> None:
        """Forget the adapter as a killed process does, and make another."""
        self.dead.append(self.adapter)
        self.adapter = self.build()


class Workbench:
    """What an author of an adapter brings, and what the kit makes of it."""

    # --- what an author brings ----------------------------------------------------------------------------------------

    def plugin(self) -> backends.AdapterPlugin:
        """Return the plugin under test."""
        raise NotImplementedError

    def settings(self) -> Mapping[str, object]:
        """Return settings that work."""
        return {}

    def bad_settings(self) -> Mapping[str, object]:
        """Return settings with two things wrong; both must be named."""
        return {"noSuchFieldA": 1, "noSuchFieldB": 2}

    def pools(self) -> Sequence[sites.Pool]:
        """Return the pools that the document declares."""
        return (sites.Pool("p", count=4),)

    def spec(self, *, seconds: float, exit_code: int = 0) -> jobs.JobSpec:
        """Return a job that runs for so long and then ends so."""
        raise NotImplementedError

    def pass_time(self, seconds: float) -> None:
        """Let time pass at the backend."""
        raise NotImplementedError

    def now(self) -> dt.datetime:
        """Return the time."""
        return fakes.START

    def started(self, adapter: backends.BackendAdapter, key: ids.AttemptKey) -> int:
        """Return how many live things at the backend carry ``key``."""
        if not isinstance(adapter, backends.ListsOwned):
            pytest.skip("override started(): the adapter does not list what it holds")
        return sum(1 for ref in adapter.list_owned() if ref.key == key)

    # --- the bench ----------------------------------------------------------------------------------------------------

    @pytest.fixture
    def bench(self, tmp_path: pathlib.Path) -> Iterator[Bench]:
        """A fresh backend."""
        made = self.make_bench(tmp_path)
        yield made
        self.clean(made)

    def make_bench(self, folder: pathlib.Path) -> Bench:
        """Return a bench whose adapters all speak to the same backend."""
        context = backends.AdapterContext(
            backend="b", pools=self.pools(), state_folder=str(folder), installation="conformance", now=self.now
        )
        return Bench(lambda: self.plugin().build(self.settings(), context), folder)

    def clean(self, bench: Bench) -> None:
        """Stop what still runs."""
        adapter = bench.adapter
        for dead in bench.dead:
            dead.close()
        if isinstance(adapter, backends.ListsOwned):
            for ref in adapter.list_owned():
                adapter.stop(ref, backends.Fence(ids.Term(9), 1), dt.timedelta(0))
        adapter.close()

    def placement(self, bench: Bench, *, seconds: float = LONG_S, exit_code: int = 0) -> backends.SealedPlacement:
        """Return a placement with a new key."""
        bench.count += 1
        job = ids.JobId(f"01CONF{bench.count:020d}")
        return backends.SealedPlacement(
            key=ids.attempt_key(job, 1),
            job=job,
            tenant="t",
            number=1,
            site=ids.SiteName(f"b/{self.pools()[0].name}"),
            pool=self.pools()[0].name,
            spec=self.spec(seconds=seconds, exit_code=exit_code),
            spec_digest=ids.Digest("sha256:" + "0" * 64),
            fence=backends.Fence(ids.Term(1), 1),
            environment={"COMITY_JOB_ID": str(job), "COMITY_ATTEMPT": "1", "COMITY_NODES": "1"},
        )

    def look(self, bench: Bench, key: ids.AttemptKey, *, handle: str | None = None) -> backends.Observation:
        """Return one observation."""
        (seen,) = bench.adapter.observe([backends.AttemptRef(key, handle, self.now())])
        return seen

    def until_ended(self, bench: Bench, key: ids.AttemptKey) -> backends.Observation:
        """Return the observation that says that it ended."""
        for _ in range(STEPS_MAX):
            seen = self.look(bench, key)
            if seen.state is offers.ObservedState.ENDED:
                return seen
            self.pass_time(SHORT_S)
        raise AssertionError(f"{key} does not end: {seen}")

    def until_none(self, bench: Bench, key: ids.AttemptKey) -> None:
        """Wait until nothing live at the backend carries a key that was stopped."""
        for _ in range(STEPS_MAX):
            self.pass_time(SHORT_S)
            if self.started(bench.adapter, key) == 0:
                return
        raise AssertionError(f"{key} was stopped, and is live")

    def stop(self, bench: Bench, key: ids.AttemptKey) -> None:
        """Stop an attempt by its key alone."""
        bench.adapter.stop(backends.AttemptRef(key), backends.Fence(ids.Term(1), 1), dt.timedelta(0))


def has(adapter: object, protocol: type[Any]) -> bool:
    """Say whether an adapter has the methods of a power."""
    return isinstance(adapter, protocol)


def quietly(what: Callable[[], object]) -> Callable[[], None]:
    """Return a call whose answer, good or bad, nobody hears."""

    def run() -> None:
        try:
            what()
        except (errors.BackendError, TimeoutError):
            pass

    return run


def offer_of(adapter: backends.BackendAdapter, site: ids.SiteName) -> offers.Offer:
    """Return the offer of one site."""
    return next(offer for offer in adapter.offers() if offer.site == site)


def smaller(left: offers.Room, right: offers.Room) -> bool:
    """Say whether there is less of anything."""
    parts = ((left.cpu_milli, right.cpu_milli), (left.memory_bytes, right.memory_bytes))
    fewer = left.slots is not None and right.slots is not None and left.slots < right.slots
    return fewer or left.accelerators < right.accelerators or any(one < other for one, other in parts)
