"""What goes wrong with Akash: nothing is deployed twice, paid for longer than needed, or called over before it is."""

import pathlib
from collections.abc import Callable
from typing import Any

import pytest

from backends.akash import adapter as adapters
from backends.akash import deals, wire, wrapper
from orchestrator.domain import errors, jobs, offers
from tests.doubles.akash import faults, markets, server
from tests.e2e import _akash
from tests.e2e._planes import wait_until
from tests.e2e.s3 import stores

State, Kind = offers.ObservedState, jobs.OutcomeKind


@pytest.fixture
def made(akash: server.Server, s3: stores.Store, tmp_path: pathlib.Path) -> adapters.AkashAdapter:
    """Give an adapter."""
    return _akash.make(akash, s3, tmp_path)


# --- whose bid --------------------------------------------------------------------------------------------------------


def test_the_chosen_provider_is_taken_and_never_the_cheapest(made: adapters.AkashAdapter, akash: server.Server) -> None:
    """The lease is with the provider of the site; its deployment is closed when the command has ended."""
    placed = _akash.placement(_akash.sleeping(0, 3))
    made.submit(placed)
    outcome = _akash.ended(made, placed)
    assert (outcome.kind, outcome.exit_code) == (Kind.EXITED, 3)
    (one,) = akash.network.deployments
    assert [bid.provider.name for bid in one.bids if bid.lease is not None] == [_akash.POOL]
    assert _akash.live(akash) == []
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
    assert _akash.live(akash) == []
    assert _akash.workloads(akash) == []


def test_a_provider_that_moves_between_bid_and_lease_gets_none(
    akash: server.Server, made: adapters.AkashAdapter
) -> None:
    """Its record is read again when its bid is there, before anything of the job reaches it."""
    chosen = akash.network.providers[0]

    def moved(handler: server.Handler, honest: faults.Honest) -> None:
        chosen.country = "SG"
        handler.say(*honest())

    akash.spoil("GET", "/v1/bids", moved)
    assert _akash.code_of(lambda: made.submit(_akash.placement(_akash.sleeping(0)))) == "akash.moved"
    assert (_akash.live(akash), _akash.workloads(akash)) == ([], [])


def test_a_provider_nobody_looked_at_is_not_deployed_at(
    akash: server.Server, s3: stores.Store, tmp_path: pathlib.Path
) -> None:
    """Without a declared country the record counts that was offered; before that there is none."""
    made = _akash.make(akash, s3, tmp_path, pools=(), providers={})
    (alpha, cheap) = sorted(one.address for one in akash.network.providers)
    placed = _akash.placement(_akash.sleeping(0), alpha)
    assert _akash.code_of(lambda: made.submit(placed)) == "akash.unseen"
    offered = {one.site.partition("/")[2]: one.pool for one in made.offers()}
    assert sorted(offered) == [alpha, cheap]
    pool = offered[alpha]
    assert pool is not None
    assert pool.location is not None
    assert (pool.location.country, pool.location.region) == ("DE", "eu-central")
    made.submit(placed)
    assert _akash.ended(made, placed).exit_code == 0


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
    assert _akash.ended(later, placed).exit_code == 4
    assert (len(_akash.workloads(akash)), _akash.live(akash)) == (1, [])


def test_a_deployment_for_which_nobody_waits_any_more_is_closed(
    akash: server.Server, made: adapters.AkashAdapter, s3: stores.Store, tmp_path: pathlib.Path
) -> None:
    """The process that waited for its bid was killed: nothing has begun, and there was no room for it."""
    placed = _akash.placement(_akash.sleeping(0))
    akash.spoil("POST", "/v1/deployments", faults.lost_after)
    _akash.code_of(lambda: made.submit(placed))
    later = _akash.make(akash, s3, tmp_path)
    with later._records.alone():
        assert _akash.look(later, placed).state is State.QUEUED
    assert _akash.ended(later, placed).kind is Kind.NO_ROOM
    assert (_akash.live(akash), _akash.workloads(akash)) == ([], [])


def test_what_may_still_take_effect_is_not_sent_again(
    akash: server.Server, made: adapters.AkashAdapter, s3: stores.Store, tmp_path: pathlib.Path
) -> None:
    """A list that does not have it proves nothing for some blocks: across a restart too."""
    placed = _akash.placement(_akash.sleeping(0))
    akash.spoil("POST", "/v1/deployments", faults.lost_before)
    _akash.code_of(lambda: made.submit(placed))
    again = _akash.make(akash, s3, tmp_path)
    assert _akash.code_of(lambda: again.submit(placed)) == "akash.unsettled"
    assert _akash.look(again, placed).state is State.UNKNOWN
    assert akash.network.deployments == []


def test_a_lease_whose_answer_is_lost_counts(akash: server.Server, made: adapters.AkashAdapter) -> None:
    """It is looked at: the lease is there and its service runs."""
    placed = _akash.placement(_akash.sleeping(0, 5))
    akash.spoil("POST", "/v1/leases", faults.lost_after)
    made.submit(placed)
    assert _akash.ended(made, placed).exit_code == 5
    assert len(_akash.workloads(akash)) == 1


def test_a_lease_that_never_was_is_closed(akash: server.Server, made: adapters.AkashAdapter) -> None:
    """Nothing is left, and the same attempt may be deployed again."""
    placed = _akash.placement(_akash.sleeping(0, 6))
    akash.spoil("POST", "/v1/leases", faults.lost_before)
    assert _akash.code_of(lambda: made.submit(placed)) == "akash.lease"
    assert _akash.live(akash) == []
    made.submit(placed)
    assert _akash.ended(made, placed).exit_code == 6


def test_a_lease_that_is_told_as_lost_and_began_is_not_deployed_again(
    akash: server.Server, made: adapters.AkashAdapter
) -> None:
    """Its answer is lost, and its provider ends it before it is looked at: its container had written that it began."""
    placed = _akash.placement(_akash.sleeping(60))

    def ended_at_once(handler: server.Handler, honest: Callable[[], server.Answer]) -> None:
        honest()
        (one,) = _akash.live(akash)
        record = made._records.read(str(placed.key))
        assert record is not None
        name = made._object(str(placed.key), record.mark.split(" ")[-1], wrapper.BEGAN)
        wait_until(lambda: made._marks.read(name) is not None, seconds=60, every=0.1, what="its mark")
        akash.network.withdraw(one.owner, one.dseq)
        handler.hang_up()

    akash.spoil("POST", "/v1/leases", ended_at_once)
    assert made.submit(placed) == made.submit(placed)
    assert _akash.ended(made, placed).kind is Kind.PREEMPTED
    assert (len(akash.network.deployments), _akash.live(akash)) == (1, [])


def test_whoever_finds_a_deployment_without_a_lease_looks_again_before_closing_it(
    akash: server.Server, made: adapters.AkashAdapter
) -> None:
    """Its bid is waited for while it is read, and it gets its lease then: it goes on."""
    placed = _akash.placement(_akash.sleeping(0, 7))
    stale: list[wire.Deployment] = []

    def read_before(handler: server.Handler, honest: Callable[[], server.Answer]) -> None:
        found = made._deals.get(_akash.live(akash)[0].dseq)
        assert found is not None
        assert found.lease is None
        stale.append(found)
        handler.say(*honest())

    akash.spoil("POST", "/v1/leases", read_before)
    made.submit(placed)
    now = made._left_alone(stale[0])
    assert now is not None
    assert now.lease is not None
    assert _akash.ended(made, placed).exit_code == 7


def test_pages_that_move_while_they_are_read_hide_nothing(
    akash: server.Server, made: adapters.AkashAdapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A deployment of the first page is closed before the second is asked for, so that the others move up."""
    monkeypatch.setattr(deals, "PAGE", 4)
    monkeypatch.setattr(deals, "OVERLAP", 2)
    akash.network.lists_closed = False
    all_placed = [_akash.placement(_akash.sleeping(60)) for _ in range(6)]
    for placed in all_placed:
        made.submit(placed)

    def moved(handler: server.Handler, honest: Callable[[], server.Answer]) -> None:
        told = honest()
        newest = _akash.live(akash)[-1]
        akash.network.delete(newest.owner, newest.dseq)
        handler.say(*told)

    akash.spoil("GET", "/v1/deployments?", moved)
    found = {str(ref.key) for ref in made.list_owned()}
    assert found >= {str(one.key) for one in all_placed[:5]}


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
    assert _akash.code_of(lambda: made.submit(placed)) == code
    seen = _akash.look(made, placed)
    never = seen.outcome is not None and seen.outcome.kind is Kind.NO_ROOM
    assert never or seen.state in (State.GONE, State.UNKNOWN)
    _akash.stop(made, placed)
    assert _akash.live(akash) == []


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
        _akash.code_of(made.list_owned)
    else:
        _akash.code_of(lambda: _akash.look(made, placed))
    _akash.until(made, placed, State.RUNNING)


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
    assert _akash.code_of(lambda: _akash.stop(made, placed)) == "akash.reused-id"
    assert theirs.state == "active"
