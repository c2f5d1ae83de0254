"""The kit is worth something: each planted bug of an adapter is caught, by the test that is named for it."""

import dataclasses
import datetime as dt
import inspect

import pytest

from backends.simulated import adapter, client, settings
from orchestrator.domain import errors, jobs, offers
from orchestrator.ports import backends
from orchestrator.testing import conformance, fakes


class StartsTwo(adapter.SimulatedAdapter):
    def submit(self, placement):
        super().submit(dataclasses.replace(placement, key=placement.key + "-twin"))
        return super().submit(placement)

    def list_owned(self):
        return [dataclasses.replace(ref, key=ref.key.removesuffix("-twin")) for ref in super().list_owned()]


class StartsAgain(adapter.SimulatedAdapter):
    """Get-or-create that never gets: each submit is another start."""

    def submit(self, placement):
        count = sum(1 for _ in self._machine.current())
        super().submit(dataclasses.replace(placement, key=f"{placement.key}~{count}"))
        return backends.Handle(placement.key)

    def list_owned(self):
        return [dataclasses.replace(ref, key=ref.key.partition("~")[0]) for ref in super().list_owned()]


class InventsGone(adapter.SimulatedAdapter):
    looks = 0

    def observe(self, refs):
        InventsGone.looks += 1
        if InventsGone.looks % 5 == 0:
            return [backends.Observation(ref.key, offers.ObservedState.GONE) for ref in refs]
        return super().observe(refs)


class StopsAnother(adapter.SimulatedAdapter):
    def stop(self, ref, fence, grace):
        super().stop(ref, fence, grace)
        for other in self.list_owned()[:1]:
            super().stop(other, fence, grace)


class NoFence(adapter.SimulatedAdapter):
    """A stop of what is not there yet leaves no mark."""

    def stop(self, ref, fence, grace):
        if self._machine.read(ref.key)[0] is not None:
            super().stop(ref, fence, grace)


class IgnoresTerm(adapter.SimulatedAdapter):
    def submit(self, placement):
        newest = backends.Fence(10**9, 1)
        return super().submit(dataclasses.replace(placement, fence=newest))

    def stop(self, ref, fence, grace):
        super().stop(ref, backends.Fence(10**9, 1), grace)


class NeedsHandle(adapter.SimulatedAdapter):
    """Cannot find an attempt by its key alone."""

    def observe(self, refs):
        known = [ref for ref in refs if ref.handle]
        found = {seen.key: seen for seen in super().observe(known)}
        gone = offers.ObservedState.GONE
        return [found.get(ref.key, backends.Observation(ref.key, gone)) for ref in refs]


class PoisonedBatch(adapter.SimulatedAdapter):
    def observe(self, refs):
        if any(ref.handle and "\x00" in ref.handle for ref in refs):
            raise errors.PermanentError("bad", "a bad ref")
        return super().observe(refs)


class Unordered(adapter.SimulatedAdapter):
    def observe(self, refs):
        return sorted(super().observe(refs), key=lambda seen: seen.key)


class UnstableOutcome(adapter.SimulatedAdapter):
    looks = 0

    def observe(self, refs):
        UnstableOutcome.looks += 1
        found = super().observe(refs)
        lost = jobs.Outcome(jobs.OutcomeKind.LOST)
        return [dataclasses.replace(s, outcome=lost) if s.outcome and self.looks % 2 else s for s in found]


class StrictStop(adapter.SimulatedAdapter):
    def stop(self, ref, fence, grace):
        if self._machine.read(ref.key)[0] is None:
            raise errors.PermanentError("not-found", "unknown")
        super().stop(ref, fence, grace)


class CountsWrongly(adapter.SimulatedAdapter):
    """Names attempts as counted that it has not subtracted."""

    def offers(self):
        return [dataclasses.replace(offer, free=offer.total) for offer in super().offers()]


class KillsOnClose(adapter.SimulatedAdapter):
    def close(self):
        for ref in self.list_owned():
            self.stop(ref, backends.Fence(10**6, 1), dt.timedelta(0))
        super().close()


class ListsEnded(adapter.SimulatedAdapter):
    def list_owned(self):
        return [backends.AttemptRef(key) for key, record in self._machine._records.items() if record.order]


class FollowsPaths(adapter.SimulatedAdapter):
    def read_output(self, ref, path):
        return iter([b"root:x:0:0"])


class RepeatsLogs(adapter.SimulatedAdapter):
    def read_logs(self, ref, *, cursor, node, limit):
        chunks, end = super().read_logs(ref, cursor=cursor, node=node, limit=limit)
        return chunks, str(max(0, int(end) - 1)) if cursor is None else end


class ChangesItsMind(adapter.SimulatedAdapter):
    def capabilities(self):
        powers = super().capabilities().powers
        return offers.Capabilities(powers if not self._machine.current() else frozenset())


class NewIdentity(adapter.SimulatedAdapter):
    """Takes the object in memory for the machine."""

    def identity(self):
        return offers.PinnedIdentity((("process", str(id(self))),))


class NoIdentity(adapter.SimulatedAdapter):
    """States that it recognises its backend, by nothing."""

    def identity(self):
        return offers.PinnedIdentity()


BUGS = {
    NewIdentity: "test_identity_is_stable",
    NoIdentity: "test_identity_is_stable",
    StartsTwo: "test_the_same_key_twice_starts_one",
    StartsAgain: "test_a_lost_reply_is_found_by_key",
    InventsGone: "test_gone_is_never_invented",
    StopsAnother: "test_stop_touches_exactly_one",
    NoFence: "test_what_was_stopped_before_must_not_start",
    IgnoresTerm: "test_a_stale_term_is_refused",
    NeedsHandle: "test_a_lost_reply_is_found_by_key",
    PoisonedBatch: "test_a_bad_ref_never_poisons_a_batch",
    Unordered: "test_observe_answers_each_ref_in_order",
    UnstableOutcome: "test_an_outcome_is_stable",
    StrictStop: "test_stop_of_an_unknown_key_is_fine",
    CountsWrongly: "test_what_is_counted_is_subtracted",
    KillsOnClose: "test_close_lets_attempts_go_on",
    ListsEnded: "test_owned_are_those_that_are_not_over",
    FollowsPaths: "test_outputs_stay_inside",
    RepeatsLogs: "test_logs_go_on_where_the_cursor_stands",
    ChangesItsMind: "test_capabilities_are_static",
}


def kit_for(broken):
    """Return the kit, testing ``broken``."""

    class Plugin(adapter.SimulatedPlugin):
        def build(self, settings_, context):
            wanted = settings.Settings.read(settings_)
            return broken(wanted, context, client.Machine(context.now, context.state_folder))

    class Kit(conformance.AdapterConformance):
        def __init__(self):
            self.clock = fakes.VirtualClock()

        def plugin(self):
            return Plugin()

        def spec(self, *, seconds, exit_code=0):
            env = (("SIMULATE_RUN_TIME", str(seconds)), ("SIMULATE_EXIT_CODE", str(exit_code)))
            return jobs.JobSpec(name="t", command=("true",), env=env)

        def pass_time(self, seconds):
            self.clock.advance(seconds)

        def now(self):
            return self.clock.now()

    return Kit


def run(kit, name, folder):
    """Run one test of a kit; return whether it failed."""
    one = kit()
    bench = one.make_bench(folder)
    more = {"path": "../../etc/passwd"} if "path" in inspect.signature(getattr(one, name)).parameters else {}
    try:
        getattr(one, name)(bench, **more)
    except pytest.skip.Exception:
        return False
    except (AssertionError, errors.BackendError, pytest.fail.Exception):
        return True
    finally:
        for each in [*bench.dead, bench.adapter]:
            adapter.SimulatedAdapter.close(each)
    return False


@pytest.mark.parametrize("bug", sorted(BUGS, key=lambda each: each.__name__), ids=lambda each: each.__name__)
def test_a_planted_bug_is_caught_by_name(bug, tmp_path):
    """The test that is named for the promise fails when an adapter breaks it."""
    assert run(kit_for(bug), BUGS[bug], tmp_path)


@pytest.mark.parametrize("name", sorted(set(BUGS.values())))
def test_a_sound_adapter_passes(name, tmp_path):
    """The same runner finds nothing in the sound adapter."""
    assert not run(kit_for(adapter.SimulatedAdapter), name, tmp_path)
