"""How what runs at Akash ends, and what it costs: once, told only when closed, and never more than was reserved."""

import dataclasses
import datetime as dt
import json
import os
import pathlib
import signal
import subprocess
from typing import Any

import pytest

from backends import records
from backends.akash import adapter as adapters
from backends.akash import client, settings, wrapper
from orchestrator.domain import jobs, offers, sites
from orchestrator.ports import backends
from orchestrator.telemetry import clocks
from tests.doubles.akash import faults, server
from tests.e2e import _akash
from tests.e2e._planes import wait_until
from tests.e2e.s3 import stores
from tests.unit.backends.akash import sdl_samples

State, Kind = offers.ObservedState, jobs.OutcomeKind


@pytest.fixture
def made(akash: server.Server, s3: stores.Store, tmp_path: pathlib.Path) -> adapters.AkashAdapter:
    """Give an adapter."""
    return _akash.make(akash, s3, tmp_path)


def test_a_service_that_is_started_again_does_not_run_twice(
    akash: server.Server, made: adapters.AkashAdapter, tmp_path: pathlib.Path
) -> None:
    """The second container sees that the first one began: it runs nothing, and the attempt is lost."""
    ledger = tmp_path / "ledger"
    command = ("/bin/sh", "-c", f"echo ran >> {ledger}; exec sleep 3600")
    placed = _akash.placement(_akash.spec(*command))
    made.submit(placed)
    wait_until(ledger.exists, seconds=120, what="the first run")
    (workload,) = _akash.workloads(akash)
    for process in list(workload.services[0]._live.values()):
        process.kill()
    outcome = _akash.ended(made, placed)
    assert (outcome.kind, "started again" in outcome.detail) == (Kind.LOST, True)
    assert ledger.read_text() == "ran\n"
    assert _akash.live(akash) == []


def test_two_containers_at_one_moment_run_it_once(
    akash: server.Server, s3: stores.Store, tmp_path: pathlib.Path
) -> None:
    """The store lets one of them begin, by a write that must be the first; the other one runs nothing and says so."""
    marks = client.Marks(settings.AkashSettings.read(_akash.settings(akash, s3)), clocks.SystemClock().now)
    ways = {"look": ("GET", "began"), "began": ("PUT", "began"), "again": ("PUT", "again"), "ended": ("PUT", "ended")}
    front, valid, out = f"two/{tmp_path.name}", dt.timedelta(minutes=10), tmp_path / "ran"
    told = {name: marks.address(method, f"{front}/{what}", valid) for name, (method, what) in ways.items()}
    given = {"PATH": "/usr/local/bin:/usr/bin:/bin", **wrapper.environment(told, 60)}
    words = wrapper.command(("/bin/sh", "-c", f"echo ran >> {out}"))
    both = [subprocess.Popen(words, env=given, start_new_session=True) for _ in range(2)]
    try:
        for what in ("ended", "again"):
            name = f"{front}/{what}"
            wait_until(lambda name=name: marks.read(name) is not None, seconds=120, every=0.1, what=name)
    finally:
        for one in both:
            os.killpg(one.pid, signal.SIGKILL)
            one.wait()
    assert out.read_text() == "ran\n"


def test_a_container_that_shows_no_sign_of_life_is_given_up(
    akash: server.Server, s3: stores.Store, tmp_path: pathlib.Path
) -> None:
    """An image that cannot be pulled costs no longer than it may."""
    akash.network.images = lambda image: None
    clock = [dt.timedelta(0)]
    made = _akash.make(akash, s3, tmp_path, startMinutes=5)
    real = made._context.now
    object.__setattr__(made._context, "now", lambda: real() + clock[0])
    placed = _akash.placement(_akash.sleeping(0))
    made.submit(placed)
    assert _akash.look(made, placed).state is State.STARTING
    clock[0] = dt.timedelta(minutes=6)
    assert _akash.ended(made, placed).kind is Kind.START_FAILED
    assert _akash.live(akash) == []


def test_what_begins_as_it_is_given_up_goes_on(
    akash: server.Server, s3: stores.Store, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whose claim comes first, the container's or ours, decides; the store takes one."""
    akash.network.images = lambda image: None
    made = _akash.make(akash, s3, tmp_path, startMinutes=5)
    placed = _akash.placement(_akash.sleeping(0))
    made.submit(placed)
    late, claims = made._late, []

    def begins(record: records.Record, marks: Any) -> jobs.Outcome | None:
        name = made._object(str(placed.key), record.mark.split(" ")[-1], wrapper.BEGAN)
        claims.append(made._marks.claim(name, b'{"v": 1, "by": "a container"}'))
        now = record.intended_at - dt.timedelta(minutes=6)
        return late(dataclasses.replace(record, intended_at=now), marks)

    monkeypatch.setattr(made, "_late", begins)
    assert _akash.look(made, placed).state is State.RUNNING
    assert (claims, len(_akash.live(akash))) == ([True], 1)
    _akash.stop(made, placed)


def test_what_was_given_up_does_not_begin_later(akash: server.Server, s3: stores.Store, tmp_path: pathlib.Path) -> None:
    """A container that its provider starts after all finds the claim, and runs nothing."""
    marks = client.Marks(settings.AkashSettings.read(_akash.settings(akash, s3)), clocks.SystemClock().now)
    front, out = f"late/{tmp_path.name}", tmp_path / "ran"
    assert marks.claim(f"{front}/began", wrapper.NEVER)
    assert marks.claim(f"{front}/began", wrapper.NEVER), "the same claim again, its answer having been lost"
    ways = {"look": ("GET", "began"), "began": ("PUT", "began"), "again": ("PUT", "again"), "ended": ("PUT", "ended")}
    valid = dt.timedelta(minutes=10)
    told = {name: marks.address(method, f"{front}/{what}", valid) for name, (method, what) in ways.items()}
    given = {"PATH": "/usr/local/bin:/usr/bin:/bin", **wrapper.environment(told, 60)}
    words = wrapper.command(("/bin/sh", "-c", f"echo ran >> {out}"))
    one = subprocess.Popen(words, env=given, start_new_session=True)
    try:
        wait_until(lambda: marks.read(f"{front}/again") is not None, seconds=120, every=0.1, what="again")
    finally:
        os.killpg(one.pid, signal.SIGKILL)
        one.wait()
    assert not out.exists()
    assert not marks.claim(f"{front}/began", b"{}")


def test_the_container_is_told_for_how_long_it_may_run(akash: server.Server, made: adapters.AkashAdapter) -> None:
    """Whoever watches or not: the shorter of the deadline and the backend's own limit."""
    for limit, seconds in ((dt.timedelta(minutes=5), 300), (None, 86_400)):
        made.submit(_akash.placement(_akash.sleeping(3600), time_limit=limit))
        env = akash.network.deployments[-1].manifest[0]["services"][0]["env"]
        assert f"COMITY_MARK_SECONDS={seconds}" in env


def test_what_cannot_tell_its_end_is_closed_when_its_time_is_up(
    akash: server.Server, s3: stores.Store, tmp_path: pathlib.Path
) -> None:
    """It would cost on for ever: where the network manages deposits itself, none runs dry."""
    clock = [dt.timedelta(0)]
    made = _akash.make(akash, s3, tmp_path, startMinutes=5)
    real = made._context.now
    object.__setattr__(made._context, "now", lambda: real() + clock[0])
    placed = _akash.placement(_akash.sleeping(3600), time_limit=dt.timedelta(minutes=10))
    made.submit(placed)
    _akash.until(made, placed, State.RUNNING)
    clock[0] = dt.timedelta(minutes=17)
    assert _akash.look(made, placed).state is State.RUNNING
    clock[0] = dt.timedelta(minutes=19)
    assert _akash.ended(made, placed).kind is Kind.TIMED_OUT
    assert _akash.live(akash) == []


def test_a_lease_that_shows_late_is_not_deployed_again(
    akash: server.Server, made: adapters.AkashAdapter, tmp_path: pathlib.Path
) -> None:
    """The Console lags behind: what has no lease yet may have begun, and is looked at again when it is closed."""
    ledger = tmp_path / "ledger"
    placed = _akash.placement(_akash.spec("/bin/sh", "-c", f"echo ran >> {ledger}; exec sleep 3600"))
    made.submit(placed)
    wait_until(ledger.exists, seconds=120, what="the run")

    def lags(body: Any) -> Any:
        body["data"]["leases"] = []
        return body

    akash.spoil("GET", "/v1/deployments/", faults.changed(lags))
    made.submit(placed)
    assert len(akash.network.deployments) == 1
    assert _akash.ended(made, placed).kind is Kind.PREEMPTED
    assert ledger.read_text() == "ran\n"


def test_a_provider_that_moved_a_moment_ago_is_not_deployed_at(
    akash: server.Server, s3: stores.Store, tmp_path: pathlib.Path
) -> None:
    """What was judged may be what it said before."""
    made = _akash.make(akash, s3, tmp_path, pools=(), providers={})
    chosen = akash.network.providers[0]
    made.offers()
    chosen.country = "SG"
    made.offers()
    assert _akash.code_of(lambda: made.submit(_akash.placement(_akash.sleeping(0), chosen.address))) == "akash.moved"
    assert akash.network.deployments == []


@pytest.mark.parametrize("reason", ["lease_closed_unstable", "lease_closed_reclamation"])
def test_a_lease_that_its_provider_ends_is_preempted_and_closed(
    akash: server.Server, made: adapters.AkashAdapter, reason: str
) -> None:
    """The deployment would stay open, and cost on: it is closed."""
    placed = _akash.placement(_akash.sleeping(3600))
    made.submit(placed)
    _akash.until(made, placed, State.RUNNING)
    akash.network.withdraw(server.OWNER, akash.network.deployments[0].dseq, reason)
    outcome = _akash.ended(made, placed)
    assert (outcome.kind, reason in outcome.detail) == (Kind.PREEMPTED, True)
    assert _akash.live(akash) == []


def test_an_escrow_that_runs_dry_is_an_end_of_its_own(akash: server.Server, made: adapters.AkashAdapter) -> None:
    """It cannot cost more than its deposit, which is what was reserved for it."""
    placed = _akash.placement(_akash.sleeping(3600), time_limit=dt.timedelta(minutes=10))
    made.submit(placed)
    _akash.until(made, placed, State.RUNNING)
    (one,) = akash.network.deployments
    reserved = made._records.read(str(placed.key))
    assert reserved is not None
    assert sum(uact for uact, _ in one.deposits) == reserved.cost_micro
    akash.offset_s = 90 * 86_400.0
    outcome = _akash.ended(made, placed)
    assert (outcome.kind, outcome.detail) == (Kind.PREEMPTED, "its escrow is used up")
    assert one.spent <= reserved.cost_micro + 0.001  # uact are fractions in the double


def test_limits_in_money_cannot_be_overrun(akash: server.Server, s3: stores.Store, tmp_path: pathlib.Path) -> None:
    """Of an attempt, and of a month, across restarts; nothing is sent then."""
    short = {"time_limit": dt.timedelta(minutes=30)}
    dear = _akash.make(akash, s3, tmp_path, spend={"perHour": 10, "perJob": 5, "perMonth": 100})
    assert _akash.code_of(lambda: dear.submit(_akash.placement(_akash.sleeping(0), **short))) == "akash.spend"
    assert akash.network.deployments == []
    spend = {"perHour": 1, "perJob": 1, "perMonth": 2}
    for _ in range(2):
        _akash.make(akash, s3, tmp_path, spend=spend).submit(_akash.placement(_akash.sleeping(0), **short))
    last = _akash.make(akash, s3, tmp_path, spend=spend)
    assert _akash.code_of(lambda: last.submit(_akash.placement(_akash.sleeping(0), **short))) == "akash.spend"
    assert len(akash.network.deployments) == 2


def test_a_bid_that_never_came_reserves_nothing(akash: server.Server, s3: stores.Store, tmp_path: pathlib.Path) -> None:
    """Its deployment is closed before anybody was paid; the month's limit is not used up by asking."""
    akash.network.providers[0].bids = "never"
    short, spend = {"time_limit": dt.timedelta(minutes=30)}, {"perHour": 1, "perJob": 1, "perMonth": 2}
    made = _akash.make(akash, s3, tmp_path, spend=spend, bidSeconds=1)
    for _ in range(4):
        assert _akash.code_of(lambda: made.submit(_akash.placement(_akash.sleeping(0), **short))) == "akash.no-bid"
    assert made._records.all() == {}


def test_an_end_is_told_only_when_nothing_is_paid_for(akash: server.Server, made: adapters.AkashAdapter) -> None:
    """While the deployment cannot be closed the attempt is not over."""
    placed = _akash.placement(_akash.sleeping(0))
    made.submit(placed)
    (one,) = akash.network.deployments
    wait_until(lambda: _marked(made, placed), seconds=120, what="the end mark")
    akash.spoil("DELETE", "/v1/deployments/", faults.error_500)
    assert _akash.code_of(lambda: _akash.look(made, placed)) == "akash.failed"
    assert one.state == "active"
    assert _akash.ended(made, placed).succeeded
    assert one.state == "closed"


def _marked(made: adapters.AkashAdapter, placed: backends.SealedPlacement) -> bool:
    record = made._records.read(str(placed.key))
    return made._marks.read(made._object(str(placed.key), adapters._folder(record), wrapper.ENDED)) is not None


@pytest.mark.parametrize("raw", [b"", b"{}", b"[]", b'{"v": 1, "code": 256, "late": false}', b"\xff" * 9])
def test_an_end_mark_that_cannot_be_read_is_no_success(
    akash: server.Server, made: adapters.AkashAdapter, s3: stores.Store, raw: bytes
) -> None:
    """A provider can write what it likes: what makes no sense is a loss."""
    placed = _akash.placement(_akash.sleeping(3600))
    made.submit(placed)
    _akash.until(made, placed, State.RUNNING)
    record = made._records.read(str(placed.key))
    s3.call("PUT", made._object(str(placed.key), adapters._folder(record), wrapper.ENDED), raw)
    assert _akash.ended(made, placed).kind is Kind.LOST


def test_an_unreachable_store_ends_nothing(akash: server.Server, s3: stores.Store, tmp_path: pathlib.Path) -> None:
    """Nobody knows whether it ended: the deployment goes on."""
    made = _akash.make(akash, s3, tmp_path)
    placed = _akash.placement(_akash.sleeping(0))
    made.submit(placed)
    gone = _akash.settings(akash, s3)["store"] | {"url": "http://127.0.0.1:9"}
    blind = _akash.make(akash, s3, tmp_path, store=gone)
    assert _akash.code_of(lambda: _akash.look(blind, placed)) == "akash.unreachable"
    assert len(_akash.live(akash)) == 1
    assert _akash.ended(made, placed).succeeded


def test_orphans_are_found_and_closed(akash: server.Server, made: adapters.AkashAdapter) -> None:
    """What is ours is listed by key; what somebody else deployed with this account is not touched."""
    placed = _akash.placement(_akash.sleeping(3600))
    made.submit(placed)
    theirs = akash.network.create(server.OWNER, json.dumps(sdl_samples.SIMPLE), None)["data"]["dseq"]
    (ref,) = made.list_owned()
    assert ref.key == placed.key
    made.stop(ref, backends.Fence(placed.fence.term, 1), dt.timedelta(0))
    assert _akash.ended(made, placed).kind is Kind.STOPPED
    assert [one.dseq for one in _akash.live(akash)] == [theirs]
    assert made.list_owned() == []


def test_an_expired_key_is_told(akash: server.Server, made: adapters.AkashAdapter) -> None:
    """By its code; with the new one all goes on."""
    made.submit(_akash.placement(_akash.sleeping(3600)))
    akash.rotate(server.KEY, "other")
    assert _akash.code_of(made.list_owned) == "akash.denied"
    akash.rotate("other", server.KEY)
    assert len(made.list_owned()) == 1


def test_keys_are_in_no_document(akash: server.Server, made: adapters.AkashAdapter, s3: stores.Store) -> None:
    """Neither the Console's nor the store's: only addresses that are good for one thing for a while."""
    made.submit(_akash.placement(_akash.sleeping(0)))
    sent = b"".join(body for _, _, body in akash.requests)
    assert s3.secret.encode() not in sent
    assert server.KEY.encode() not in sent
    assert s3.secret.encode() not in bytes(akash.received)


def test_what_cannot_be_run_is_refused_before_anything_is_sent(
    akash: server.Server, s3: stores.Store, tmp_path: pathlib.Path
) -> None:
    """An image without a command, a command without an image, a GPU of no name, a variable that cannot be said."""
    made = _akash.make(akash, s3, tmp_path)
    bare = _akash.make(akash, s3, tmp_path, commandImage=None)
    gpu = jobs.Resources(accelerators=jobs.AcceleratorRequest(("nvidia-h100-sxm",)))
    cases = [
        (made, _akash.spec(image=_akash.IMAGE), "akash.command"),
        (bare, _akash.spec("true"), "akash.image"),
        (made, _akash.spec("true", env=(("A", "\0"),)), "akash.environment"),
        (made, _akash.spec("true", env=(("A", "x" * 300_000),)), "akash.too-large"),
        (made, _akash.spec("true", resources=gpu), "akash.gpu"),
        (made, _akash.spec("true", nodes=2), "akash.invalid"),
        (made, _akash.spec("true", data=None), "akash.discloses"),
        (made, _akash.spec("true", data=jobs.DataClause()), "akash.discloses"),
    ]
    for adapter, spec, code in cases:
        assert _akash.code_of(lambda adapter=adapter, spec=spec: adapter.submit(_akash.placement(spec))) == code  # type: ignore[misc]
    assert akash.network.deployments == []
    pool = sites.Pool("unnamed", location=sites.Location("DE"))
    stray = _akash.make(akash, s3, tmp_path, pools=(pool,))
    assert _akash.code_of(lambda: stray.submit(_akash.placement(_akash.spec("true"), "unnamed"))) == "akash.no-provider"
