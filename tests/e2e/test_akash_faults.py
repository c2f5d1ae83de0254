"""What goes wrong with Akash: nothing is deployed twice, paid for longer than needed, or called over before it is."""

import datetime as dt
import json
import os
import pathlib
import signal
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from backends.akash import adapter as adapters
from backends.akash import client, settings, wrapper
from orchestrator.domain import errors, jobs, offers, sites
from orchestrator.ports import backends
from orchestrator.telemetry import clocks
from tests.doubles.akash import faults, markets, network, server
from tests.e2e import _akash
from tests.e2e._planes import wait_until
from tests.e2e.s3 import stores
from tests.unit.backends.akash import sdl_samples

State, Kind = offers.ObservedState, jobs.OutcomeKind


@pytest.fixture
def akash() -> Iterator[server.Server]:
    """Give a double with the provider that is chosen, and one that is cheaper."""
    with server.serve() as made:
        made.network.providers += [markets.Provider(_akash.POOL), markets.Provider("cheap", price=1.0)]
        yield made


@pytest.fixture
def made(akash: server.Server, s3: stores.Store, tmp_path: pathlib.Path) -> adapters.AkashAdapter:
    """Give an adapter."""
    return _akash.make(akash, s3, tmp_path)


def code_of(what: Callable[[], object]) -> str:
    """Return the code of the error that a call raises."""
    with pytest.raises(errors.BackendError) as caught:
        what()
    return caught.value.code


def ended(made: backends.BackendAdapter, placed: backends.SealedPlacement) -> jobs.Outcome:
    """Wait for the end and return the outcome."""
    seen: list[backends.Observation] = []

    def over() -> bool:
        seen[:] = [_akash.look(made, placed)]
        return seen[0].state is State.ENDED

    wait_until(over, seconds=120, every=0.1, what=str(seen))
    assert seen[0].outcome is not None
    return seen[0].outcome


def until(made: backends.BackendAdapter, placed: backends.SealedPlacement, state: State) -> None:
    """Wait for a state."""
    wait_until(lambda: _akash.look(made, placed).state is state, seconds=120, every=0.1, what=str(state))


def live(akash: server.Server) -> list[network.Deployment]:
    """Return the deployments for which somebody pays."""
    return [one for one in akash.network.deployments if one.state == "active"]


def workloads(akash: server.Server) -> list[Any]:
    """Return what runs, or ran, at providers."""
    bids = [bid for one in akash.network.deployments for bid in one.bids]
    return [bid.lease.workload for bid in bids if bid.lease is not None and bid.lease.workload is not None]


def stop(made: backends.BackendAdapter, placed: backends.SealedPlacement) -> None:
    """Stop an attempt by its key."""
    made.stop(backends.AttemptRef(placed.key), backends.Fence(placed.fence.term, 1), dt.timedelta(0))


# --- whose bid --------------------------------------------------------------------------------------------------------


def test_the_chosen_provider_is_taken_and_never_the_cheapest(made: adapters.AkashAdapter, akash: server.Server) -> None:
    """The lease is with the provider of the site; its deployment is closed when the command has ended."""
    placed = _akash.placement(_akash.sleeping(0, 3))
    made.submit(placed)
    outcome = ended(made, placed)
    assert (outcome.kind, outcome.exit_code) == (Kind.EXITED, 3)
    (one,) = akash.network.deployments
    assert [bid.provider.name for bid in one.bids if bid.lease is not None] == [_akash.POOL]
    assert live(akash) == []
    (where,) = _akash.look(made, placed).whereabouts
    assert where.node == markets.address(_akash.POOL)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"bids": "never"}, "akash.no-bid"),
        ({"price": 10_000.0, "bids": "all"}, "akash.no-bid"),
        ({"after_s": 3600.0}, "akash.no-bid"),
        ({"country": "SG"}, "akash.moved"),
        ({"country": None}, "akash.moved"),
        ({"online": False}, "akash.provider"),
        ({"uptime": 0.5}, "akash.provider"),
        ({"uptime": None}, "akash.provider"),
        ({"audited_by": ()}, "akash.provider"),
        ({"facts": {"isValidVersion": False}}, "akash.provider"),
        ({"listed": False}, "akash.provider"),
        ({"takes_manifests": False}, "akash.lease"),
    ],
    ids=lambda value: value if isinstance(value, str) else "-".join(value),
)
def test_where_the_chosen_one_cannot_be_had_nothing_is_left(
    akash: server.Server, s3: stores.Store, tmp_path: pathlib.Path, change: dict[str, Any], code: str
) -> None:
    """Nobody else's bid is taken, what was deployed is closed, and another place may be tried."""
    made = _akash.make(akash, s3, tmp_path, bidSeconds=1)
    for name, value in change.items():
        setattr(akash.network.providers[0], name, value)
    with pytest.raises(errors.TransientError) as caught:
        made.submit(_akash.placement(_akash.sleeping(0)))
    assert (caught.value.code, caught.value.effects) == (code, errors.SideEffects.NONE)
    assert caught.value.retry is errors.RetryWhere.ELSEWHERE
    assert live(akash) == []
    assert workloads(akash) == []


def test_a_provider_that_moves_between_bid_and_lease_gets_none(
    akash: server.Server, made: adapters.AkashAdapter
) -> None:
    """Its record is read again when its bid is there, before anything of the job reaches it."""
    chosen = akash.network.providers[0]

    def moved(handler: server.Handler, honest: faults.Honest) -> None:
        chosen.country = "SG"
        handler.say(*honest())

    akash.spoil("GET", "/v1/bids", moved)
    assert code_of(lambda: made.submit(_akash.placement(_akash.sleeping(0)))) == "akash.moved"
    assert (live(akash), workloads(akash)) == ([], [])


def test_a_provider_nobody_looked_at_is_not_deployed_at(
    akash: server.Server, s3: stores.Store, tmp_path: pathlib.Path
) -> None:
    """Without a declared country the record counts that was offered; before that there is none."""
    made = _akash.make(akash, s3, tmp_path, pools=(), providers={})
    (alpha, cheap) = sorted(one.address for one in akash.network.providers)
    placed = _akash.placement(_akash.sleeping(0), alpha)
    assert code_of(lambda: made.submit(placed)) == "akash.unseen"
    offered = {one.site.partition("/")[2]: one.pool for one in made.offers()}
    assert sorted(offered) == [alpha, cheap]
    pool = offered[alpha]
    assert pool is not None
    assert pool.location is not None
    assert (pool.location.country, pool.location.region) == ("DE", "eu-central")
    made.submit(placed)
    assert ended(made, placed).exit_code == 0


# --- what is lost on the way ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", [faults.lost_after, faults.truncated])
def test_a_deployment_whose_answer_is_lost_is_found_and_one_runs(
    akash: server.Server, made: adapters.AkashAdapter, s3: stores.Store, tmp_path: pathlib.Path, how: server.Spoiler
) -> None:
    """By the hash of its manifest, also by the next process; the one that nobody answered for is closed."""
    placed = _akash.placement(_akash.sleeping(0, 4))
    akash.spoil("POST", "/v1/deployments", how)
    with pytest.raises(errors.TransientError) as caught:
        made.submit(placed)
    assert caught.value.effects is errors.SideEffects.UNKNOWN
    later = _akash.make(akash, s3, tmp_path)
    assert [ref.key for ref in later.list_owned()] == [placed.key]
    assert later.submit(placed) == made.submit(placed)
    assert ended(later, placed).exit_code == 4
    assert (len(workloads(akash)), live(akash)) == (1, [])


def test_a_deployment_for_which_nobody_waits_any_more_is_closed(
    akash: server.Server, made: adapters.AkashAdapter, s3: stores.Store, tmp_path: pathlib.Path
) -> None:
    """The process that waited for its bid was killed: nothing has begun, and there was no room for it."""
    placed = _akash.placement(_akash.sleeping(0))
    akash.spoil("POST", "/v1/deployments", faults.lost_after)
    code_of(lambda: made.submit(placed))
    later = _akash.make(akash, s3, tmp_path)
    with later._records.alone():
        assert _akash.look(later, placed).state is State.QUEUED
    assert ended(later, placed).kind is Kind.NO_ROOM
    assert (live(akash), workloads(akash)) == ([], [])


def test_what_may_still_take_effect_is_not_sent_again(
    akash: server.Server, made: adapters.AkashAdapter, s3: stores.Store, tmp_path: pathlib.Path
) -> None:
    """A list that does not have it proves nothing for some blocks: across a restart too."""
    placed = _akash.placement(_akash.sleeping(0))
    akash.spoil("POST", "/v1/deployments", faults.lost_before)
    code_of(lambda: made.submit(placed))
    again = _akash.make(akash, s3, tmp_path)
    assert code_of(lambda: again.submit(placed)) == "akash.unsettled"
    assert _akash.look(again, placed).state is State.UNKNOWN
    assert akash.network.deployments == []


def test_a_lease_whose_answer_is_lost_counts(akash: server.Server, made: adapters.AkashAdapter) -> None:
    """It is looked at: the lease is there and its service runs."""
    placed = _akash.placement(_akash.sleeping(0, 5))
    akash.spoil("POST", "/v1/leases", faults.lost_after)
    made.submit(placed)
    assert ended(made, placed).exit_code == 5
    assert len(workloads(akash)) == 1


def test_a_lease_that_never_was_is_closed(akash: server.Server, made: adapters.AkashAdapter) -> None:
    """Nothing is left, and the same attempt may be deployed again."""
    placed = _akash.placement(_akash.sleeping(0, 6))
    akash.spoil("POST", "/v1/leases", faults.lost_before)
    assert code_of(lambda: made.submit(placed)) == "akash.lease"
    assert live(akash) == []
    made.submit(placed)
    assert ended(made, placed).exit_code == 6


@pytest.mark.parametrize(
    ("how", "code"),
    [
        (faults.errors_inside, "akash.error-inside"),
        (faults.failed_inside, "akash.chain"),
        (faults.error_500, "akash.failed"),
        (faults.html, "akash.not-json"),
        (faults.truncated, "akash.truncated"),
        (faults.endless, "akash.endless"),
        (faults.lost_before, "akash.no-answer"),
        (faults.redirect("http://169.254.169.254/"), "akash.redirected"),
        (faults.rate_limited(), "akash.busy"),
        (faults.changed(lambda body: {"data": {"dseq": 7}}), "akash.malformed"),
        (faults.changed(lambda body: ["a"]), "akash.malformed"),
    ],
    ids=lambda value: value.partition(".")[2] if isinstance(value, str) else "",
)
def test_each_misbehaviour_has_its_code(
    akash: server.Server, made: adapters.AkashAdapter, how: server.Spoiler, code: str
) -> None:
    """Of the request that makes a deployment; nothing is told to be over by it, and nothing stays in the end."""
    placed = _akash.placement(_akash.sleeping(0))
    akash.spoil("POST", "/v1/deployments", how)
    assert code_of(lambda: made.submit(placed)) == code
    seen = _akash.look(made, placed)
    never = seen.outcome is not None and seen.outcome.kind is Kind.NO_ROOM
    assert never or seen.state in (State.GONE, State.UNKNOWN)
    stop(made, placed)
    assert live(akash) == []


@pytest.mark.parametrize("path", ["/v1/deployments/", "/v1/deployments?"], ids=["one", "list"])
@pytest.mark.parametrize("how", [faults.html, faults.errors_inside, faults.error_500, faults.endless])
def test_an_answer_that_is_none_ends_nothing(
    akash: server.Server, made: adapters.AkashAdapter, how: server.Spoiler, path: str
) -> None:
    """A live attempt is neither gone nor over for it."""
    placed = _akash.placement(_akash.sleeping(3600))
    made.submit(placed)
    akash.spoil("GET", path, how)
    if path.endswith("?"):
        code_of(made.list_owned)
    else:
        code_of(lambda: _akash.look(made, placed))
    until(made, placed, State.RUNNING)


def test_a_state_that_nobody_knows_is_unknown(akash: server.Server, made: adapters.AkashAdapter) -> None:
    """Never a success, never an end."""
    placed = _akash.placement(_akash.sleeping(3600))
    made.submit(placed)
    akash.network.states[akash.network.deployments[0].dseq] = "dreaming"
    assert _akash.look(made, placed).state is State.UNKNOWN


def test_a_number_that_is_given_again_is_not_ours(akash: server.Server, made: adapters.AkashAdapter) -> None:
    """It is told by the hash of the manifest: not observed, not closed."""
    placed, other = _akash.placement(_akash.sleeping(3600)), _akash.placement(_akash.sleeping(3600))
    made.submit(placed)
    ours = akash.network.deployments[0]
    made.submit(other)
    theirs = akash.network.deployments[1]
    theirs.dseq = ours.dseq
    assert _akash.look(made, placed).state is State.UNKNOWN
    assert code_of(lambda: stop(made, placed)) == "akash.reused-id"
    assert theirs.state == "active"


# --- what runs --------------------------------------------------------------------------------------------------------


def test_a_service_that_is_started_again_does_not_run_twice(
    akash: server.Server, made: adapters.AkashAdapter, tmp_path: pathlib.Path
) -> None:
    """The second container sees that the first one began: it runs nothing, and the attempt is lost."""
    ledger = tmp_path / "ledger"
    command = ("/bin/sh", "-c", f"echo ran >> {ledger}; exec sleep 3600")
    placed = _akash.placement(_akash.spec(*command))
    made.submit(placed)
    wait_until(ledger.exists, seconds=120, what="the first run")
    (workload,) = workloads(akash)
    for process in list(workload.services[0]._live.values()):
        process.kill()
    outcome = ended(made, placed)
    assert (outcome.kind, "started again" in outcome.detail) == (Kind.LOST, True)
    assert ledger.read_text() == "ran\n"
    assert live(akash) == []


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
    assert ended(made, placed).kind is Kind.START_FAILED
    assert live(akash) == []


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
    until(made, placed, State.RUNNING)
    clock[0] = dt.timedelta(minutes=17)
    assert _akash.look(made, placed).state is State.RUNNING
    clock[0] = dt.timedelta(minutes=19)
    assert ended(made, placed).kind is Kind.TIMED_OUT
    assert live(akash) == []


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
    assert ended(made, placed).kind is Kind.PREEMPTED
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
    assert code_of(lambda: made.submit(_akash.placement(_akash.sleeping(0), chosen.address))) == "akash.moved"
    assert akash.network.deployments == []


@pytest.mark.parametrize("reason", ["lease_closed_unstable", "lease_closed_reclamation"])
def test_a_lease_that_its_provider_ends_is_preempted_and_closed(
    akash: server.Server, made: adapters.AkashAdapter, reason: str
) -> None:
    """The deployment would stay open, and cost on: it is closed."""
    placed = _akash.placement(_akash.sleeping(3600))
    made.submit(placed)
    until(made, placed, State.RUNNING)
    akash.network.withdraw(server.OWNER, akash.network.deployments[0].dseq, reason)
    outcome = ended(made, placed)
    assert (outcome.kind, reason in outcome.detail) == (Kind.PREEMPTED, True)
    assert live(akash) == []


def test_an_escrow_that_runs_dry_is_an_end_of_its_own(akash: server.Server, made: adapters.AkashAdapter) -> None:
    """It cannot cost more than its deposit, which is what was reserved for it."""
    placed = _akash.placement(_akash.sleeping(3600), time_limit=dt.timedelta(minutes=10))
    made.submit(placed)
    until(made, placed, State.RUNNING)
    (one,) = akash.network.deployments
    reserved = made._records.read(str(placed.key))
    assert reserved is not None
    assert sum(uact for uact, _ in one.deposits) == reserved.cost_micro
    akash.offset_s = 90 * 86_400.0
    outcome = ended(made, placed)
    assert (outcome.kind, outcome.detail) == (Kind.PREEMPTED, "its escrow is used up")
    assert one.spent <= reserved.cost_micro + 0.001  # uact are fractions in the double


def test_limits_in_money_cannot_be_overrun(akash: server.Server, s3: stores.Store, tmp_path: pathlib.Path) -> None:
    """Of an attempt, and of a month, across restarts; nothing is sent then."""
    short = {"time_limit": dt.timedelta(minutes=30)}
    dear = _akash.make(akash, s3, tmp_path, spend={"perHour": 10, "perJob": 5, "perMonth": 100})
    assert code_of(lambda: dear.submit(_akash.placement(_akash.sleeping(0), **short))) == "akash.spend"
    assert akash.network.deployments == []
    spend = {"perHour": 1, "perJob": 1, "perMonth": 2}
    for _ in range(2):
        _akash.make(akash, s3, tmp_path, spend=spend).submit(_akash.placement(_akash.sleeping(0), **short))
    last = _akash.make(akash, s3, tmp_path, spend=spend)
    assert code_of(lambda: last.submit(_akash.placement(_akash.sleeping(0), **short))) == "akash.spend"
    assert len(akash.network.deployments) == 2


def test_an_end_is_told_only_when_nothing_is_paid_for(akash: server.Server, made: adapters.AkashAdapter) -> None:
    """While the deployment cannot be closed the attempt is not over."""
    placed = _akash.placement(_akash.sleeping(0))
    made.submit(placed)
    (one,) = akash.network.deployments
    wait_until(lambda: _marked(made, placed), seconds=120, what="the end mark")
    akash.spoil("DELETE", "/v1/deployments/", faults.error_500)
    assert code_of(lambda: _akash.look(made, placed)) == "akash.failed"
    assert one.state == "active"
    assert ended(made, placed).succeeded
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
    until(made, placed, State.RUNNING)
    record = made._records.read(str(placed.key))
    s3.call("PUT", made._object(str(placed.key), adapters._folder(record), wrapper.ENDED), raw)
    assert ended(made, placed).kind is Kind.LOST


def test_an_unreachable_store_ends_nothing(akash: server.Server, s3: stores.Store, tmp_path: pathlib.Path) -> None:
    """Nobody knows whether it ended: the deployment goes on."""
    made = _akash.make(akash, s3, tmp_path)
    placed = _akash.placement(_akash.sleeping(0))
    made.submit(placed)
    gone = _akash.settings(akash, s3)["store"] | {"url": "http://127.0.0.1:9"}
    blind = _akash.make(akash, s3, tmp_path, store=gone)
    assert code_of(lambda: _akash.look(blind, placed)) == "akash.unreachable"
    assert len(live(akash)) == 1
    assert ended(made, placed).succeeded


def test_orphans_are_found_and_closed(akash: server.Server, made: adapters.AkashAdapter) -> None:
    """What is ours is listed by key; what somebody else deployed with this account is not touched."""
    placed = _akash.placement(_akash.sleeping(3600))
    made.submit(placed)
    theirs = akash.network.create(server.OWNER, json.dumps(sdl_samples.SIMPLE), None)["data"]["dseq"]
    (ref,) = made.list_owned()
    assert ref.key == placed.key
    made.stop(ref, backends.Fence(placed.fence.term, 1), dt.timedelta(0))
    assert ended(made, placed).kind is Kind.STOPPED
    assert [one.dseq for one in live(akash)] == [theirs]
    assert made.list_owned() == []


def test_an_expired_key_is_told(akash: server.Server, made: adapters.AkashAdapter) -> None:
    """By its code; with the new one all goes on."""
    made.submit(_akash.placement(_akash.sleeping(3600)))
    akash.rotate(server.KEY, "other")
    assert code_of(made.list_owned) == "akash.denied"
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
        assert code_of(lambda adapter=adapter, spec=spec: adapter.submit(_akash.placement(spec))) == code  # type: ignore[misc]
    assert akash.network.deployments == []
    pool = sites.Pool("unnamed", location=sites.Location("DE"))
    stray = _akash.make(akash, s3, tmp_path, pools=(pool,))
    assert code_of(lambda: stray.submit(_akash.placement(_akash.spec("true"), "unnamed"))) == "akash.no-provider"
