"""Seeded faults around any adapter: lost replies, time-outs, calls that arrive late, stale reads, dead backends.

``Chaos`` says what goes wrong now; ``FaultyAdapter`` makes it so. Everything is drawn from one seeded source, so one
seed is one history. What an adapter promises is kept: a read that is consistent never says GONE of what exists.
"""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from orchestrator.domain import errors, offers
from orchestrator.ports import backends

T = TypeVar("T")


@dataclass(slots=True)
class Rates:
    """Shares of calls, 0 to 1, that go wrong in each way."""

    refused_before: float = 0.0
    """Fails without effect, and says so."""
    failed_before: float = 0.0
    """Fails without effect, and nobody can know."""
    failed_after: float = 0.0
    """Has its effect, and fails."""
    late: float = 0.0
    """Times out, and has its effect some time later."""
    stale: float = 0.0
    """A read repeats older observations beside the new ones."""
    unknown: float = 0.0
    """A read says UNKNOWN of one attempt."""
    full: float = 0.0
    """A submit is refused for want of room."""


@dataclass(slots=True)
class Chaos:
    """What goes wrong now. ``down`` holds dead backends, ``black_holes`` those that never answer."""

    seed: int
    rates: Rates = field(default_factory=Rates)
    down: set[str] = field(default_factory=set)
    black_holes: set[str] = field(default_factory=set)
    arrival: float = 0.5
    """Share of the late calls that arrive in a step."""
    late: list[Callable[[], object]] = field(default_factory=list)
    before: Callable[[str, str], None] = lambda backend, verb: None
    """Called before each call: a place for crashes."""
    after: Callable[[str, str], None] = lambda backend, verb: None
    random: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)  # noqa: S311 -- a test's history, not a secret

    def happens(self, share: float) -> bool:
        """Draw."""
        return share > 0 and self.random.random() < share

    def arrive(self) -> int:
        """Let some of the late calls have their effect now; return how many."""
        chosen = [call for call in self.late if self.random.random() < self.arrival]
        for call in chosen:
            self.late.remove(call)
            try:
                call()
            except Exception:  # noqa: BLE001, S110 -- nobody waits for the answer any more
                pass
        return len(chosen)

    def calm(self) -> None:
        """Stop all faults; late calls arrive."""
        self.arrival = 1.0
        self.rates = Rates()
        self.down.clear()
        self.black_holes.clear()
        while self.late:
            self.arrive()


class FaultyAdapter(backends.BackendAdapter):
    """Another adapter, through a bad line. ``lag``: what exists may be missing from reads for so long."""

    def __init__(
        self,
        inner: backends.BackendAdapter,
        name: str,
        chaos: Chaos,
        *,
        lag: dt.timedelta = dt.timedelta(0),
        now: Callable[[], dt.datetime] | None = None,
    ) -> None:
        self.inner = inner
        self.name = name
        self.chaos = chaos
        self._lag = lag
        self._now = now
        self._first: dict[str, dt.datetime] = {}
        self._history: list[backends.Observation] = []

    def capabilities(self) -> offers.Capabilities:
        """Return those of the inner one, with the lag."""
        inner = self.inner.capabilities()
        return offers.Capabilities(inner.powers, self._lag or inner.visibility_lag, inner.port_version, inner.max_nodes)

    def offers(self) -> Sequence[offers.Offer]:
        """See the port."""
        return self._call("offers", self.inner.offers)

    def submit(self, placement: backends.SealedPlacement) -> backends.Handle:
        """See the port."""
        if self.chaos.happens(self.chaos.rates.full):
            raise errors.PermanentError("faulty.full", "no room just now", retry=errors.RetryWhere.ELSEWHERE)

        def submit() -> backends.Handle:
            handle = self.inner.submit(placement)
            if self._now is not None:
                self._first.setdefault(placement.key, self._now())
            return handle

        return self._call("submit", submit)

    def observe(self, refs: Sequence[backends.AttemptRef]) -> Sequence[backends.Observation]:
        """See the port."""
        found = [self._weak(each) for each in self._call("observe", lambda: self.inner.observe(refs))]
        if self.chaos.happens(self.chaos.rates.stale) and self._history:
            asked = {ref.key for ref in refs}
            older = [each for each in self._history if each.key in asked]
            found += self.chaos.random.sample(older, min(3, len(older)))
            self.chaos.random.shuffle(found)
        self._history = [*self._history, *(each for each in found if each.state is not offers.ObservedState.GONE)][-50:]
        return found

    def stop(self, ref: backends.AttemptRef, fence: backends.Fence, grace: dt.timedelta) -> None:
        """See the port."""
        self._call("stop", lambda: self.inner.stop(ref, fence, grace))

    def close(self) -> None:
        """See the port."""
        self.inner.close()

    def list_owned(self) -> Sequence[backends.AttemptRef]:
        """See ``ListsOwned``; what is younger than the lag may be missing."""
        if not isinstance(self.inner, backends.ListsOwned):
            return ()
        owned = self._call("list", self.inner.list_owned)
        return [ref for ref in owned if not self._hidden(ref.key)]

    def forget(self, ref: backends.AttemptRef) -> None:
        """See ``ListsOwned``."""
        if isinstance(self.inner, backends.ListsOwned):
            self.inner.forget(ref)

    def attest(self, ref: backends.AttemptRef, *, nonce: str, audience: str) -> str | None:
        """See ``Attests``."""
        inner = self.inner
        if not isinstance(inner, backends.Attests):
            return None
        return self._call("attest", lambda: inner.attest(ref, nonce=nonce, audience=audience))

    def list_outputs(self, ref: backends.AttemptRef) -> Sequence[tuple[str, int]]:
        """See ``Copies``."""
        inner = self.inner
        return self._call("outputs", lambda: inner.list_outputs(ref)) if isinstance(inner, backends.Copies) else ()

    def read_output(self, ref: backends.AttemptRef, path: str) -> Iterator[bytes]:
        """See ``Copies``."""
        inner = self.inner
        if not isinstance(inner, backends.Copies):
            raise errors.PermanentError("outputs.not-found", f"there is no output {path!r}")
        return self._call("outputs", lambda: inner.read_output(ref, path))

    def _weak(self, seen: backends.Observation) -> backends.Observation:
        if self.chaos.happens(self.chaos.rates.unknown):
            return backends.Observation(seen.key, offers.ObservedState.UNKNOWN)
        if self._hidden(seen.key):
            return backends.Observation(seen.key, offers.ObservedState.GONE)
        return seen

    def _hidden(self, key: str) -> bool:
        first = self._first.get(key)
        if not self._lag or first is None or self._now is None:
            return False
        return self._now() - first < self._lag and self.chaos.random.random() < 0.5

    def _call(self, verb: str, what: Callable[[], T]) -> T:
        chaos, rates = self.chaos, self.chaos.rates
        chaos.before(self.name, verb)
        if self.name in chaos.down:
            raise errors.TransientError("faulty.down", f"{self.name} cannot be reached")
        if self.name in chaos.black_holes:
            raise TimeoutError("no answer")
        if chaos.happens(rates.refused_before):
            raise errors.TransientError("faulty.refused", "certainly nothing happened", effects=errors.SideEffects.NONE)
        if chaos.happens(rates.failed_before):
            raise errors.TransientError("faulty.failed", "nobody knows")
        if chaos.happens(rates.late):
            chaos.late.append(what)
            raise TimeoutError("no answer yet")
        result = what()
        chaos.after(self.name, verb)
        if chaos.happens(rates.failed_after):
            raise errors.TransientError("faulty.lost-reply", "nobody knows")
        return result
