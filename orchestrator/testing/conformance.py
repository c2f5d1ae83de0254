"""The promises of the port as tests. An author of an adapter subclasses :class:`AdapterConformance` and runs pytest.

    class TestMine(conformance.AdapterConformance):
        def plugin(self): return my_adapter.plugin
        def settings(self): return {"url": "http://127.0.0.1:9000"}
        def spec(self, *, seconds, exit_code=0): return jobs.JobSpec(name="t", command=("sleep", str(seconds)))
        def pass_time(self, seconds): threading.Event().wait(seconds)

That is all. Each test is one sentence of ``ports.backends``; what an adapter does not state it can, is not tested.
"""

# ruff: noqa: S101 -- tests are made of assertions
from __future__ import annotations

import dataclasses
import hashlib
import random
import threading
from typing import Any

import pytest

from orchestrator.domain import errors, ids, jobs, offers
from orchestrator.ports import backends
from orchestrator.testing import benches, faults

Bench = benches.Bench


class AdapterConformance(benches.Workbench):
    """Subclass it; see the module. Names begin with ``Test`` where pytest should run them."""

    # --- what it is ---------------------------------------------------------------------------------------------------

    def test_capabilities_are_static(self, bench: benches.Bench) -> None:
        """Capabilities are the same before and after work, and for the next instance."""
        before = bench.adapter.capabilities()
        bench.adapter.submit(self.placement(bench))
        assert bench.adapter.capabilities() == before
        bench.crash()
        assert bench.adapter.capabilities() == before
        assert before.port_version == backends.PORT_VERSION

    def test_powers_have_their_methods(self, bench: benches.Bench) -> None:
        """A stated power has its methods."""
        powers = bench.adapter.capabilities().powers
        protocols: dict[offers.Capability, type[Any]] = {
            offers.Capability.LOGS: backends.StreamsLogs,
            offers.Capability.COPIES: backends.Copies,
            offers.Capability.LISTS_OWNED: backends.ListsOwned,
            offers.Capability.WATCHES: backends.Watches,
            offers.Capability.ATTESTS: backends.Attests,
        }
        assert [
            power for power, needed in protocols.items() if power in powers and not benches.has(bench.adapter, needed)
        ] == []

    def test_identity_is_stable(self, bench: benches.Bench) -> None:
        """What recognises the backend is the same at each call, after work and after a crash; and it is something."""
        if not isinstance(bench.adapter, backends.Identifies):
            pytest.skip("this adapter recognises nothing: every answer about it says so")
        first = bench.adapter.identity()
        assert dict(first.values)
        assert all(isinstance(text, str) and 0 < len(text) <= 256 for pair in first.values for text in pair)
        bench.adapter.submit(self.placement(bench))
        assert bench.adapter.identity() == first
        bench.crash()
        assert isinstance(bench.adapter, backends.Identifies)
        assert bench.adapter.identity() == first

    def test_settings_errors_come_all_at_once(self, bench: benches.Bench) -> None:
        """Every problem of the settings is named, and no value of them is repeated."""
        context = backends.AdapterContext("b", self.pools(), str(bench.folder), "conformance", self.now)
        with pytest.raises(Exception) as caught:  # noqa: PT011 -- SettingsError lives above this floor
            self.plugin().build(self.bad_settings(), context)
        problems = getattr(caught.value, "problems", ())
        assert len(problems) >= 2
        assert "properties" in self.plugin().settings_schema()

    # --- submit -------------------------------------------------------------------------------------------------------

    def test_the_same_key_twice_starts_one(self, bench: benches.Bench) -> None:
        """Submitting one key again gets the first, with its handle."""
        placement = self.placement(bench)
        first = bench.adapter.submit(placement)
        assert bench.adapter.submit(placement) == first
        assert self.started(bench.adapter, placement.key) == 1
        assert 0 < len(first.value) <= 512

    def test_the_same_key_at_once_starts_one(self, bench: benches.Bench) -> None:
        """Submitting one key from several threads starts one."""
        placement, adapter = self.placement(bench), bench.adapter
        threads = [threading.Thread(target=benches.quietly(lambda: adapter.submit(placement))) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert self.started(adapter, placement.key) == 1

    def test_two_keys_start_two(self, bench: benches.Bench) -> None:
        """Another key is another attempt."""
        keys = [self.placement(bench) for _ in range(2)]
        for placement in keys:
            bench.adapter.submit(placement)
        assert [self.started(bench.adapter, placement.key) for placement in keys] == [1, 1]

    def test_a_lost_reply_is_found_by_key(self, bench: benches.Bench) -> None:
        """A process killed between the effect and the answer finds the attempt by its key alone."""
        placement = self.placement(bench)
        bench.adapter.submit(placement)  # and the answer is lost
        bench.crash()
        seen = self.look(bench, placement.key)
        assert seen.state not in (offers.ObservedState.GONE, offers.ObservedState.UNKNOWN)
        bench.adapter.submit(placement)
        assert self.started(bench.adapter, placement.key) == 1

    def test_lost_and_late_replies_start_one_each(self, bench: benches.Bench) -> None:
        """Whatever replies are lost, late or repeated, each key starts once."""
        chaos = faults.Chaos(7, faults.Rates(failed_before=0.3, failed_after=0.3, late=0.2))
        faulty = faults.FaultyAdapter(bench.adapter, "b", chaos)
        placements = [self.placement(bench) for _ in range(3)]
        for placement in placements * 4:
            benches.quietly(lambda placement=placement: faulty.submit(placement))()  # type: ignore[misc]  # bound in the loop
        chaos.calm()
        for placement in placements:
            bench.adapter.submit(placement)
        assert [self.started(bench.adapter, placement.key) for placement in placements] == [1, 1, 1]

    # --- observe ------------------------------------------------------------------------------------------------------

    def test_observe_answers_each_ref_in_order(self, bench: benches.Bench) -> None:
        """There is one observation a ref, in order, with its key."""
        placements = [self.placement(bench) for _ in range(3)]
        for placement in placements[:2]:
            bench.adapter.submit(placement)
        refs = [backends.AttemptRef(placement.key) for placement in reversed(placements)]
        assert [seen.key for seen in bench.adapter.observe(refs)] == [ref.key for ref in refs]

    def test_a_bad_ref_never_poisons_a_batch(self, bench: benches.Bench) -> None:
        """A ref with a handle that makes no sense leaves the others answered."""
        placement = self.placement(bench)
        handle = bench.adapter.submit(placement).value
        bad = backends.AttemptRef(ids.AttemptKey("01conf-99"), "\x00no such handle/../", None)
        seen = bench.adapter.observe([bad, backends.AttemptRef(placement.key, handle)])
        assert seen[0].state in (offers.ObservedState.GONE, offers.ObservedState.UNKNOWN)
        assert seen[1].state not in (offers.ObservedState.GONE, offers.ObservedState.UNKNOWN)

    def test_gone_is_never_invented(self, bench: benches.Bench) -> None:
        """An attempt that exists is never GONE, however often and by whomever it is looked at."""
        placement = self.placement(bench)
        bench.adapter.submit(placement)
        lag_s = bench.adapter.capabilities().visibility_lag.total_seconds()
        if lag_s:
            self.pass_time(lag_s)
        for number in range(12):
            if number % 4 == 3:
                bench.crash()
            assert self.look(bench, placement.key).state is not offers.ObservedState.GONE

    def test_what_is_seen_of_the_nodes_makes_sense(self, bench: benches.Bench) -> None:
        """Whereabouts name each rank once and its node, and nothing of an attempt that is not there."""
        placement = self.placement(bench, seconds=benches.SHORT_S)
        assert self.look(bench, placement.key).whereabouts == ()
        bench.adapter.submit(placement)
        seen = self.until_ended(bench, placement.key).whereabouts
        assert sorted({one.rank for one in seen}) == sorted(one.rank for one in seen)
        for one in seen:
            assert 0 <= one.rank < placement.spec.nodes
            assert 0 < len(one.node) <= 253
            assert one.country is None or (len(one.country) == 2 and one.country.isupper() and one.source)

    def test_what_was_left_has_the_digest_of_what_is_read(self, bench: benches.Bench) -> None:
        """Files told at the end are those that can be listed and read, with size and SHA-256."""
        if not isinstance(bench.adapter, backends.Copies):
            pytest.skip("this adapter gives no files back")
        placement = self.placement(bench, seconds=benches.SHORT_S)
        bench.adapter.submit(placement)
        left = self.until_ended(bench, placement.key).outputs
        if left is None:
            pytest.skip("this adapter does not tell at the end what was left")
        ref = backends.AttemptRef(placement.key)
        assert [(one.path, one.size_bytes) for one in left] == sorted(bench.adapter.list_outputs(ref))
        for one in left:
            made = hashlib.sha256(b"".join(bench.adapter.read_output(ref, one.path))).hexdigest()
            assert one.sha256 in (None, f"sha256:{made}")

    def test_an_unknown_key_is_not_alive(self, bench: benches.Bench) -> None:
        """A key that was never submitted is GONE or UNKNOWN; with consistent reads it is GONE."""
        seen = self.look(bench, self.placement(bench).key)
        assert seen.state in (offers.ObservedState.GONE, offers.ObservedState.UNKNOWN)
        if not bench.adapter.capabilities().visibility_lag:
            assert seen.state is offers.ObservedState.GONE

    def test_an_end_is_told_with_its_outcome(self, bench: benches.Bench) -> None:
        """Exit codes 0 and 3 are told as they are; the outcome stands exactly when the state is ENDED."""
        for code in (0, 3):
            placement = self.placement(bench, seconds=benches.SHORT_S, exit_code=code)
            bench.adapter.submit(placement)
            seen = self.until_ended(bench, placement.key)
            assert seen.outcome is not None
            assert (seen.outcome.kind, seen.outcome.exit_code) == (jobs.OutcomeKind.EXITED, code)

    def test_an_outcome_is_stable(self, bench: benches.Bench) -> None:
        """Once ENDED an attempt stays so, with the same outcome, over crashes, stops and repeated submits."""
        placement = self.placement(bench, seconds=benches.SHORT_S)
        bench.adapter.submit(placement)
        first = self.until_ended(bench, placement.key).outcome
        for change in (bench.crash, lambda: self.stop(bench, placement.key), lambda: self._again(bench, placement)):
            change()
            seen = self.look(bench, placement.key)
            assert (seen.state, seen.outcome) == (offers.ObservedState.ENDED, first)
        assert self.started(bench.adapter, placement.key) == 0

    def _again(self, bench: benches.Bench, placement: backends.SealedPlacement) -> None:
        bench.adapter.submit(placement)

    # --- stop ---------------------------------------------------------------------------------------------------------

    def test_stop_of_an_unknown_key_is_fine(self, bench: benches.Bench) -> None:
        """Stopping what was never there raises nothing, twice."""
        key = self.placement(bench).key
        self.stop(bench, key)
        self.stop(bench, key)

    def test_stop_ends_an_attempt(self, bench: benches.Bench) -> None:
        """A stopped attempt ends, and its outcome is no success."""
        placement = self.placement(bench)
        bench.adapter.submit(placement)
        self.stop(bench, placement.key)
        outcome = self.until_ended(bench, placement.key).outcome
        assert outcome is not None
        assert not outcome.succeeded
        assert self.started(bench.adapter, placement.key) == 0

    def test_stop_touches_exactly_one(self, bench: benches.Bench) -> None:
        """Stopping one attempt leaves every other running."""
        placements = [self.placement(bench) for _ in range(3)]
        for placement in placements:
            bench.adapter.submit(placement)
        self.stop(bench, placements[1].key)
        self.until_ended(bench, placements[1].key)
        assert [self.started(bench.adapter, each.key) for each in placements] == [1, 0, 1]

    def test_what_was_stopped_before_must_not_start(self, bench: benches.Bench) -> None:
        """A stop that overtakes its submit fences the key, over a crash too."""
        placement = self.placement(bench)
        self.stop(bench, placement.key)
        bench.crash()
        benches.quietly(lambda: bench.adapter.submit(placement))()
        self.pass_time(benches.SHORT_S)
        assert self.started(bench.adapter, placement.key) == 0

    def test_a_stale_term_is_refused(self, bench: benches.Bench) -> None:
        """Where the backend holds a term, a controller of an older one can neither start nor stop."""
        if not bench.adapter.capabilities().has(offers.Capability.FENCES):
            pytest.skip("the adapter states no fences")
        new = dataclasses.replace(self.placement(bench), fence=backends.Fence(ids.Term(5), 1))
        bench.adapter.submit(new)
        bench.crash()
        late = self.placement(bench)
        for call in (lambda: bench.adapter.submit(late), lambda: self.stop(bench, new.key)):
            with pytest.raises(errors.BackendError):
                call()
        assert [self.started(bench.adapter, each.key) for each in (new, late)] == [1, 0]

    def test_any_order_of_calls_keeps_the_promises(self, bench: benches.Bench) -> None:
        """In a seeded mix of submits, stops, crashes and reads, nothing starts twice or after its stop."""
        draw = random.Random(11)  # noqa: S311 -- a test's history, not a secret
        placements = [self.placement(bench) for _ in range(3)]
        stopped: set[str] = set()
        for _ in range(40):
            placement = draw.choice(placements)
            verb = draw.choice(("submit", "submit", "observe", "stop", "crash"))
            if verb == "submit":
                benches.quietly(lambda placement=placement: bench.adapter.submit(placement))()  # type: ignore[misc]  # bound
            elif verb == "stop" and draw.random() < 0.3:
                self.stop(bench, placement.key)
                stopped.add(placement.key)
            elif verb == "crash":
                bench.crash()
            else:
                self.look(bench, placement.key)
            for each in placements:
                assert self.started(bench.adapter, each.key) <= 1
        for key in map(ids.AttemptKey, stopped):
            self.until_none(bench, key)

    # --- offers -------------------------------------------------------------------------------------------------------

    def test_offers_name_sites_of_this_backend(self, bench: benches.Bench) -> None:
        """There is one offer a declared pool, named ``<backend>/<pool>``, with free room within the total."""
        found = bench.adapter.offers()
        names = [offer.site for offer in found]
        assert len(set(names)) == len(names)
        assert {f"b/{pool.name}" for pool in self.pools()} <= set(names)
        for offer in found:
            assert offer.free.cpu_milli <= offer.total.cpu_milli
            assert offer.free.accelerators <= offer.total.accelerators

    def test_what_is_counted_is_subtracted(self, bench: benches.Bench) -> None:
        """An attempt is named in ``counted`` exactly when ``free`` is without it, and no longer once it ended."""
        site = self.placement(bench).site
        before = benches.offer_of(bench.adapter, site)
        placement = self.placement(bench, seconds=benches.LONG_S)
        bench.adapter.submit(placement)
        offer = benches.offer_of(bench.adapter, site)
        if placement.key in offer.counted:
            assert benches.smaller(offer.free, before.free)
        else:
            assert offer.free == before.free
        self.stop(bench, placement.key)
        self.until_ended(bench, placement.key)
        assert placement.key not in benches.offer_of(bench.adapter, site).counted

    # --- further powers -----------------------------------------------------------------------------------------------

    def test_news_name_what_changed(self, bench: benches.Bench) -> None:
        """An attempt that ends is named to whoever asked before, each time; another object's cursor tells of any."""
        adapter = bench.adapter
        if not isinstance(adapter, backends.TellsNews):
            pytest.skip("the adapter tells no news")
        placement, other = self.placement(bench), self.placement(bench)
        for each in (placement, other):
            adapter.submit(each)
        first = adapter.news(None)
        assert first.keys is None
        assert 0 < len(first.cursor) <= 512
        self.look(bench, placement.key)
        self.stop(bench, placement.key)
        self.until_ended(bench, placement.key)
        for _ in range(2):
            found = adapter.news(first.cursor)
            assert found.keys is None or placement.key in found.keys
        assert self.look(bench, placement.key).state is offers.ObservedState.ENDED
        bench.crash()
        again = bench.adapter
        assert isinstance(again, backends.TellsNews)
        assert again.news(found.cursor).keys is None

    def test_owned_are_those_that_are_not_over(self, bench: benches.Bench) -> None:
        """What is live is listed with its key, over a crash too; what ended is not; forgetting it twice is fine."""
        adapter = bench.adapter
        if not isinstance(adapter, backends.ListsOwned):
            pytest.skip("the adapter does not list what it holds")
        live, over = self.placement(bench), self.placement(bench, seconds=benches.SHORT_S)
        for placement in (live, over):
            adapter.submit(placement)
        self.until_ended(bench, over.key)
        bench.crash()
        again = bench.adapter
        assert isinstance(again, backends.ListsOwned)
        assert [ref.key for ref in again.list_owned()] == [live.key]
        for _ in range(2):
            again.forget(backends.AttemptRef(over.key))
            again.forget(backends.AttemptRef(self.placement(bench).key))
        assert self.started(again, live.key) == 1

    def test_logs_go_on_where_the_cursor_stands(self, bench: benches.Bench) -> None:
        """Reading in small pieces by cursor gives what one read gives, over a crash too."""
        adapter = bench.adapter
        if not bench.adapter.capabilities().has(offers.Capability.LOGS) or not isinstance(
            adapter, backends.StreamsLogs
        ):
            pytest.skip("the adapter has no logs")
        placement = self.placement(bench, seconds=benches.SHORT_S)
        adapter.submit(placement)
        self.until_ended(bench, placement.key)
        ref = backends.AttemptRef(placement.key)
        whole = b"".join(chunk.data for chunk in adapter.read_logs(ref, cursor=None, node=None, limit=1 << 20)[0])
        pieces, cursor = b"", None
        for _ in range(benches.STEPS_MAX):
            bench.crash()
            reader = bench.adapter
            assert isinstance(reader, backends.StreamsLogs)
            chunks, cursor = reader.read_logs(ref, cursor=cursor, node=None, limit=max(1, len(whole) // 3))
            pieces += b"".join(chunk.data for chunk in chunks)
            if not chunks:
                break
        assert pieces == whole

    @pytest.mark.parametrize("path", ["../../etc/passwd", "/etc/passwd", "a/../../x", "", "nothing", "a\x00b"])
    def test_outputs_stay_inside(self, bench: benches.Bench, path: str) -> None:
        """A path that is no output, or leads outside, is ``outputs.not-found``."""
        adapter = bench.adapter
        if not isinstance(adapter, backends.Copies):
            pytest.skip("the adapter keeps no outputs")
        placement = self.placement(bench, seconds=benches.SHORT_S)
        adapter.submit(placement)
        self.until_ended(bench, placement.key)
        with pytest.raises(errors.PermanentError) as caught:
            b"".join(adapter.read_output(backends.AttemptRef(placement.key), path))
        assert caught.value.code == "outputs.not-found"

    def test_close_lets_attempts_go_on(self, bench: benches.Bench) -> None:
        """Closing an adapter, twice, ends no attempt."""
        placement = self.placement(bench)
        bench.adapter.submit(placement)
        bench.adapter.close()
        bench.adapter.close()
        bench.crash()
        assert self.started(bench.adapter, placement.key) == 1
