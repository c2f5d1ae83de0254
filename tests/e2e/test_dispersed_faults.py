"""A network that fails, lies, or is somebody else's: each with its own code, and nothing created twice."""

import contextlib
import datetime as dt
import http.client
import json
import pathlib
import ssl
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from backends.dispersed import adapter as adapters
from backends.dispersed import client, signing
from orchestrator.domain import errors, ids, jobs, money, offers, sites
from orchestrator.ports import backends
from tests.doubles.dispersed import server as doubles
from tests.e2e import _dispersed
from tests.e2e.kube import certificates

Honest = Callable[[], tuple[int, Any]]
FENCE = backends.Fence(ids.Term(1), 1)
HTML = {"Content-Type": "text/html"}


@pytest.fixture
def server() -> Iterator[doubles.Server]:
    """Give a double of its own."""
    with doubles.running() as made:
        yield made


@pytest.fixture
def made(server: doubles.Server, tmp_path: pathlib.Path) -> adapters.DispersedAdapter:
    """Give an adapter of that double."""
    return _dispersed.make(server, tmp_path)


def code_of(call: Callable[[], object]) -> str:
    """Return the code of the error that a call ends with."""
    with pytest.raises(errors.BackendError) as caught:
        call()
    return caught.value.code


def creations(server: doubles.Server) -> int:
    """Return how often somebody asked for a job to be created."""
    return sum(1 for method, target, _ in server.requests if (method, target) == ("POST", "/v1/jobs"))


# --- spoilers ---------------------------------------------------------------------------------------------------------


def html(status: int) -> doubles.Spoiler:
    """Answer as a proxy does."""
    return lambda handler, honest: handler.say_raw(status, b"<html><body>oops</body></html>", HTML)


def says(status: int, body: Any) -> doubles.Spoiler:
    """Answer with this, and do nothing."""
    return lambda handler, honest: handler.say(status, body)


def truncated(handler: doubles.Handler, honest: Honest) -> None:
    """Do it, and break off in the middle of the answer."""
    raw = json.dumps(honest()[1]).encode()
    handler.say_raw(200, raw[: len(raw) // 2], {}, length=len(raw))


def endless(handler: doubles.Handler, honest: Honest) -> None:
    """Answer without an end."""
    handler.say_raw(200, b'{"data": [' + b" " * 1024, {}, length=2**40)
    with contextlib.suppress(OSError):
        while True:
            handler.wfile.write(b" " * 2**20)


def lost(handler: doubles.Handler, honest: Honest) -> None:
    """Do it, and never answer."""
    assert honest()[0] == 200
    handler.hang_up()


def unheard(handler: doubles.Handler, honest: Honest) -> None:
    """Neither do it nor answer."""
    handler.hang_up()


def empty_list(handler: doubles.Handler, honest: Honest) -> None:
    """Say that there are no jobs, as a list does that lags behind."""
    handler.say(200, {"data": [], "page": 1, "limit": 50, "total": 0})


@pytest.mark.parametrize(
    ("code", "how"),
    [
        ("dispersed.not-json", html(200)),
        ("dispersed.not-json", html(500)),
        ("dispersed.not-json", html(404)),
        ("dispersed.malformed", says(404, {"detail": "no route"})),
        ("dispersed.failed", says(500, {"error": {"code": "X", "message": "the disk is full"}})),
        ("dispersed.malformed", says(404, {"error": {"message": "no such list"}})),
        ("dispersed.error-inside", says(200, {"error": {"code": "X", "message": "it went wrong"}})),
        ("dispersed.error-inside", says(200, {"data": [], "errors": ["it went wrong"]})),
        ("dispersed.truncated", truncated),
        ("dispersed.endless", endless),
        ("dispersed.no-answer", unheard),
        ("dispersed.busy", says(429, {"error": {"message": "slower"}})),
        ("dispersed.malformed", says(200, ["a"])),
        ("dispersed.malformed", says(200, {"data": [{"uuid": "x"}], "total": 1})),
        ("dispersed.malformed", says(200, {"data": {}, "total": 1})),
        ("dispersed.credit", says(402, {"error": {"message": "no credits"}})),
        ("dispersed.refused", says(422, {"error": {"message": "no such sort"}})),
    ],
    ids=lambda value: value.partition(".")[2] if isinstance(value, str) else "",
)
def test_each_misbehaviour_has_its_code_and_ends_nothing(
    code: str, how: doubles.Spoiler, made: adapters.DispersedAdapter, server: doubles.Server
) -> None:
    """Of a list of jobs: no attempt is told to be gone by it, and the next answer counts."""
    placed = _dispersed.placement(_dispersed.sleeping(3600))
    server.spoil("GET", "/v1/jobs?", how)
    assert code_of(lambda: _dispersed.look(made, placed)) == code
    made.submit(placed)
    assert _dispersed.look(made, placed).state is not offers.ObservedState.GONE


def test_an_error_tells_what_the_network_said(made: adapters.DispersedAdapter, server: doubles.Server) -> None:
    """In one line, and no more than fits."""
    server.spoil(
        "GET", "/v1/jobs", says(500, {"error": {"code": "X", "message": "the disk\n\x1b[31mis full" + "!" * 999}})
    )
    with pytest.raises(errors.TransientError, match=r"500: the disk \[31mis full!") as caught:
        made.list_owned()
    assert "\x1b" not in str(caught.value)
    assert len(str(caught.value)) < 600


def test_a_redirect_is_not_followed(made: adapters.DispersedAdapter, server: doubles.Server) -> None:
    """Nobody else hears of the request."""
    with doubles.running() as other:
        for status in (301, 302, 307, 308):
            where = {"Location": f"{other.url}/v1/jobs"}
            server.spoil("GET", "/v1/jobs", lambda handler, honest, s=status, w=where: handler.say_raw(s, b"{}", w))
            assert code_of(made.list_owned) == "dispersed.redirected"
        assert other.requests == []


# --- who is who -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("minutes", [-6, 6], ids=["behind", "ahead"])
def test_clocks_that_differ_are_named_as_such(
    minutes: int, made: adapters.DispersedAdapter, server: doubles.Server
) -> None:
    """The network refuses what is signed at another time; nothing is created."""
    server.offset_ms = minutes * 60_000
    placed = _dispersed.placement(_dispersed.spec("true"))
    assert code_of(lambda: made.submit(placed)) == "dispersed.clock"
    assert set(server.gate.refusals) == {"BAD_TIME"}
    server.offset_ms = 0
    made.submit(placed)
    assert creations(server) == 1


def test_nothing_is_created_by_a_clock_that_is_off(made: adapters.DispersedAdapter, server: doubles.Server) -> None:
    """Two minutes are within the network's window; how long a late request would be taken is not known any more."""
    placed = _dispersed.placement(_dispersed.sleeping(3600))
    made.submit(placed)
    server.offset_ms = 120_000
    assert _dispersed.look(made, placed).state is offers.ObservedState.RUNNING
    assert code_of(lambda: made.submit(_dispersed.placement(_dispersed.spec("true")))) == "dispersed.clock"
    assert creations(server) == 1


def test_a_key_that_expired_or_was_rotated_is_named_as_such(
    made: adapters.DispersedAdapter, server: doubles.Server, tmp_path: pathlib.Path
) -> None:
    """Nothing is created, nothing is gone; with the key in force the attempt is found again."""
    placed = _dispersed.placement(_dispersed.sleeping(3600))
    made.submit(placed)
    server.gate.expired.add(doubles.PUBLIC)
    assert code_of(lambda: _dispersed.look(made, placed)) == "dispersed.denied"
    server.gate.expired.clear()
    server.gate.keys = {"pk_new": "sk_new", doubles.PUBLIC: "sk_changed"}
    assert code_of(lambda: made.submit(_dispersed.placement(_dispersed.spec("true")))) == "dispersed.denied"
    assert server.gate.refusals[-2:] == ["EXPIRED_KEY", "BAD_SIGNATURE"]
    again = _dispersed.make(server, tmp_path, publicKey="pk_new", secretKey="sk_new")
    assert _dispersed.look(again, placed).state is offers.ObservedState.RUNNING
    assert len(server.network.jobs) == 1


def test_the_double_takes_what_is_documented_and_nothing_else(server: doubles.Server) -> None:
    """Each part of the signature counts, a nonce is good once, and a time within five minutes."""

    def send(change: dict[str, str], target: str = "/v1/jobs?limit=1&page=1") -> tuple[int, Any]:
        path, _, query = "/v1/jobs?limit=1&page=1".partition("?")
        signed = signing.headers(
            doubles.PUBLIC,
            doubles.SECRET,
            now=dt.datetime.fromtimestamp(server.now_ms() / 1000, dt.UTC),
            nonce=change.pop("nonce", client._nonce()),
            method="GET",
            path=path,
            query=query,
            body=b"",
        )
        host, port = str(server.server_address[0]), int(server.server_address[1])
        connection = http.client.HTTPConnection(host, port, timeout=60)
        connection.request("GET", target, headers=signed | change)
        answer = connection.getresponse()
        found = json.loads(answer.read())
        assert answer.headers["Server"] == doubles.NAME
        connection.close()
        return answer.status, found

    nonce = "0" * 31 + "1"
    assert send({"nonce": nonce})[0] == 200
    assert send({}, "/v1/jobs?page=1&limit=1")[0] == 200  # a query is sorted before it is signed
    for change, target, code in [
        ({"nonce": nonce}, "/v1/jobs?limit=1&page=1", "NONCE_REUSED"),
        ({"nonce": "ABC"}, "/v1/jobs?limit=1&page=1", "BAD_NONCE"),
        ({}, "/v1/jobs?limit=2&page=1", "BAD_SIGNATURE"),
        ({}, "/v1/job-runs?limit=1&page=1", "BAD_SIGNATURE"),
        ({"X-Signature": "0" * 64}, "/v1/jobs?limit=1&page=1", "BAD_SIGNATURE"),
        ({"X-Time": str(server.now_ms() - 1000)}, "/v1/jobs?limit=1&page=1", "BAD_SIGNATURE"),
        ({"X-Time": str(server.now_ms() - 301_000)}, "/v1/jobs?limit=1&page=1", "BAD_TIME"),
        ({"X-API-Key": "pk_other"}, "/v1/jobs?limit=1&page=1", "UNKNOWN_KEY"),
        ({"X-Nonce": ""}, "/v1/jobs?limit=1&page=1", "MISSING_HEADERS"),
    ]:
        status, found = send(change, target)
        assert (status, found["error"]["code"]) == (401, code)


def test_another_certificate_is_not_spoken_to(tmp_path: pathlib.Path) -> None:
    """Nothing is sent; with the authority that vouches for it, it is."""
    own, other = (certificates.Authority(tmp_path / name, name) for name in ("own", "other"))
    pair = own.issue("server", user="server", addresses=["127.0.0.1"])
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(pair.certificate, pair.key)
    with doubles.running(tls=tls) as server:
        url = server.url.replace("http:", "https:")
        texts = [one.pair.certificate.read_text() for one in (own, other)]
        right, wrong = (_dispersed.make(server, tmp_path / "state", url=url, ca=text) for text in texts)
        assert code_of(wrong.list_owned) == "dispersed.certificate"
        assert server.requests == []
        assert right.list_owned() == []


def test_a_name_that_leads_to_this_machine_is_refused(server: doubles.Server, tmp_path: pathlib.Path) -> None:
    """Unless its network is named; nothing is sent."""
    url = f"https://localhost:{server.server_address[1]}"
    assert code_of(_dispersed.make(server, tmp_path, url=url, networks=[]).list_owned) == "dispersed.address-refused"
    assert server.requests == []


def test_nobody_there_is_nothing_sent(tmp_path: pathlib.Path) -> None:
    """The port of a double that is gone."""
    with doubles.running() as server:
        made = _dispersed.make(server, tmp_path)
    with pytest.raises(errors.TransientError) as caught:
        made.submit(_dispersed.placement(_dispersed.spec("true")))
    assert (caught.value.code, caught.value.effects) == ("dispersed.unreachable", errors.SideEffects.NONE)


# --- one attempt, one job ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", [lost, truncated], ids=["lost", "truncated"])
def test_a_creation_whose_answer_is_lost_is_found(
    how: doubles.Spoiler, made: adapters.DispersedAdapter, server: doubles.Server
) -> None:
    """By its title, and it is created once."""
    placed = _dispersed.placement(_dispersed.sleeping(3600))
    server.spoil("POST", "/v1/jobs", how)
    with pytest.raises(errors.TransientError) as caught:
        made.submit(placed)
    assert caught.value.effects is errors.SideEffects.UNKNOWN
    made.submit(placed)
    assert (creations(server), len(server.network.jobs)) == (1, 1)


@pytest.mark.parametrize(
    "how", [lost, unheard, html(502), says(500, {"error": "full"})], ids=["lost", "unheard", "html", "500"]
)
def test_what_may_still_take_effect_is_not_sent_again(
    how: doubles.Spoiler, made: adapters.DispersedAdapter, server: doubles.Server, tmp_path: pathlib.Path
) -> None:
    """While a late request could be taken, a list that does not have it proves nothing: across a restart too."""
    placed = _dispersed.placement(_dispersed.sleeping(3600))
    server.spoil("POST", "/v1/jobs", how)
    code_of(lambda: made.submit(placed))
    server.spoil("GET", "/v1/jobs?", empty_list, empty_list)
    again = _dispersed.make(server, tmp_path)
    assert code_of(lambda: again.submit(placed)) == "dispersed.unsettled"
    assert _dispersed.look(again, placed).state is offers.ObservedState.UNKNOWN
    assert creations(server) == 1


def test_what_was_refused_may_be_sent_again(made: adapters.DispersedAdapter, server: doubles.Server) -> None:
    """A refusal leaves no doubt."""
    placed = _dispersed.placement(_dispersed.sleeping(3600))
    server.spoil("POST", "/v1/jobs", says(429, {"error": "slower"}), says(402, {"error": "no credits"}))
    assert [code_of(lambda: made.submit(placed)) for _ in range(2)] == ["dispersed.busy", "dispersed.credit"]
    made.submit(placed)
    assert len(server.network.jobs) == 1


def test_what_was_created_twice_is_ended_but_for_the_first(
    made: adapters.DispersedAdapter, server: doubles.Server, tmp_path: pathlib.Path
) -> None:
    """Whoever lost its state sees both by their title."""
    placed = _dispersed.placement(_dispersed.sleeping(3600))
    first = made.submit(placed)
    (job,) = server.network.jobs.values()
    server.network.create(job.document)
    again = _dispersed.make(server, tmp_path / "other")
    assert again.submit(placed) == first
    assert [one.status for one in server.network.jobs.values()] == ["RUNNING", "CANCELLED"]


def test_a_stop_that_overtakes_a_creation_holds(
    made: adapters.DispersedAdapter, server: doubles.Server, tmp_path: pathlib.Path
) -> None:
    """What comes to be after its stop is ended as soon as it is seen."""
    placed = _dispersed.placement(_dispersed.sleeping(3600))
    server.spoil("POST", "/v1/jobs", lost)
    code_of(lambda: made.submit(placed))
    server.spoil("GET", "/v1/jobs?", empty_list, empty_list)
    made.stop(backends.AttemptRef(placed.key), FENCE, dt.timedelta(0))
    _dispersed.look(made, placed)
    seen = _dispersed.look(_dispersed.make(server, tmp_path), placed)
    assert seen.outcome is not None
    assert seen.outcome.kind is jobs.OutcomeKind.STOPPED


def test_a_stop_before_or_within_a_creation_holds(made: adapters.DispersedAdapter, server: doubles.Server) -> None:
    """Before it nothing is created; within it what was created is ended before the answer is given."""
    before, within = (_dispersed.placement(_dispersed.sleeping(3600)) for _ in range(2))
    made.stop(backends.AttemptRef(before.key), FENCE, dt.timedelta(0))
    assert code_of(lambda: made.submit(before)) == "dispersed.stopped"
    assert creations(server) == 0

    def stopped_meanwhile(handler: doubles.Handler, honest: Honest) -> None:
        made.stop(backends.AttemptRef(within.key), FENCE, dt.timedelta(0))
        handler.say(*honest())

    server.spoil("POST", "/v1/jobs", stopped_meanwhile)
    made.submit(within)
    assert [job.status for job in server.network.jobs.values()] == ["CANCELLED"]


@pytest.mark.parametrize("how", [says(404, {"detail": "no route"}), html(404)], ids=["json", "html"])
def test_somebody_elses_404_says_nothing_of_a_job(
    how: doubles.Spoiler, made: adapters.DispersedAdapter, server: doubles.Server
) -> None:
    """It is an error, and no answer about the attempt."""
    placed = _dispersed.placement(_dispersed.sleeping(3600))
    made.submit(placed)
    server.spoil("GET", "/v1/jobs/", how)
    assert code_of(lambda: _dispersed.look(made, placed)) in ("dispersed.malformed", "dispersed.not-json")


def test_an_id_that_is_anothers_now_is_not_touched(made: adapters.DispersedAdapter, server: doubles.Server) -> None:
    """Neither its state nor its end is told as ours, and it is not stopped."""
    placed = _dispersed.placement(_dispersed.sleeping(3600))
    made.submit(placed)
    (job,) = server.network.jobs.values()
    job.document = {**job.document, "title": "somebody else's"}
    assert _dispersed.look(made, placed).state is offers.ObservedState.UNKNOWN
    assert code_of(lambda: made.stop(backends.AttemptRef(placed.key), FENCE, dt.timedelta(0))) == "dispersed.reused-id"
    assert code_of(lambda: made.submit(placed)) == "dispersed.reused-id"
    assert job.status == "RUNNING"


def test_another_account_knows_nothing_and_that_is_no_end(
    made: adapters.DispersedAdapter, server: doubles.Server, tmp_path: pathlib.Path
) -> None:
    """What was created and is not known any more may still run, and is not created again."""
    placed = _dispersed.placement(_dispersed.sleeping(3600))
    made.submit(placed)
    with doubles.running() as other:
        moved = _dispersed.make(other, tmp_path)
        assert _dispersed.look(moved, placed).state is offers.ObservedState.UNKNOWN
        assert code_of(lambda: moved.submit(placed)) == "dispersed.gone"
        assert creations(other) == 0


def test_one_bad_answer_spoils_no_other(made: adapters.DispersedAdapter, server: doubles.Server) -> None:
    """The attempt that it is about is unknown; where all are so, it is an error."""
    one, two = (_dispersed.placement(_dispersed.sleeping(3600)) for _ in range(2))
    uuid = made.submit(one).value.removeprefix("dispersed:")
    made.submit(two)
    server.spoil("GET", f"/v1/jobs/{uuid}", says(200, {"uuid": 1}), says(500, {"error": "x"}), says(200, {"uuid": 1}))
    refs = [backends.AttemptRef(each.key) for each in (one, two)]
    for _ in range(2):
        assert [seen.state for seen in made.observe(refs)] == [
            offers.ObservedState.UNKNOWN,
            offers.ObservedState.RUNNING,
        ]
    assert code_of(lambda: made.observe(refs[:1])) == "dispersed.malformed"


def test_a_job_is_found_among_many(
    made: adapters.DispersedAdapter, server: doubles.Server, tmp_path: pathlib.Path
) -> None:
    """Behind several pages of others; what was read once is not read again, and all that live are listed."""
    placed = _dispersed.placement(_dispersed.sleeping(3600))
    handle = made.submit(placed)
    server.network.regions = set()
    (mine,) = server.network.jobs.values()
    mine.created_ms -= 3_600_000
    names = made._names
    for number in range(120):
        server.network.create(mine.document | {"title": names.title(f"01other{number:03d}-1") if number % 2 else "x"})
    again = _dispersed.make(server, tmp_path / "other")
    assert _dispersed.look(again, placed).handle == handle.value
    assert len(again.list_owned()) == 61
    server.requests.clear()
    assert _dispersed.look(again, _dispersed.placement(placed.spec)).state is offers.ObservedState.GONE
    assert len(server.requests) == 3  # the others are newer than the overlap; the first was not read before
    for job in server.network.jobs.values():
        job.created_ms -= 7_200_000
    server.network.create(mine.document | {"title": "new"})
    for pages in (3, 1):
        server.requests.clear()
        assert _dispersed.look(again, _dispersed.placement(placed.spec)).state is offers.ObservedState.GONE
        assert len(server.requests) <= pages


def test_what_is_over_is_forgotten_and_its_cost_is_not(server: doubles.Server, tmp_path: pathlib.Path) -> None:
    """Nothing of what runs is; an attempt that was forgotten is still what it was."""
    pools = (sites.Pool(_dispersed.REGION, price_per_hour=money.Money(1_000_000, "EUR")),)
    limits = {"spend": {"currency": "EUR", "perJob": 3, "perMonth": 4}, "minutesMax": 120}
    made = _dispersed.make(server, tmp_path, pools=pools, **limits)
    live, over = _dispersed.placement(_dispersed.sleeping(3600)), _dispersed.placement(_dispersed.spec("true"))
    free = _dispersed.make(server, tmp_path / "free")
    made.submit(live)
    free.submit(over)
    first = until_ended(free, over)
    for one, placed in ((made, live), (free, over)):
        one.forget(backends.AttemptRef(placed.key))
    assert [path.name for path in (tmp_path / "created").iterdir()] == [live.key]
    assert list((tmp_path / "free" / "created").iterdir()) == []
    assert _dispersed.look(free, over) == first
    made.stop(backends.AttemptRef(live.key), FENCE, dt.timedelta(0))
    until_ended(made, live)
    made.forget(backends.AttemptRef(live.key))
    assert code_of(lambda: made.submit(_dispersed.placement(_dispersed.spec("true")))) == "dispersed.spend"


def test_a_pool_without_a_region_takes_nothing(server: doubles.Server, tmp_path: pathlib.Path) -> None:
    """And says why."""
    made = _dispersed.make(server, tmp_path, pools=(sites.Pool("frankfurt"),))
    (offer,) = made.offers()
    assert (offer.free.slots, offer.detail) == (0, "settings.regions does not name the region of pool frankfurt")
    assert code_of(lambda: made.submit(_dispersed.placement(_dispersed.spec("true"), "frankfurt"))) == (
        "dispersed.no-region"
    )


def test_another_document_under_a_known_key_is_refused(made: adapters.DispersedAdapter, server: doubles.Server) -> None:
    """One key, one document."""
    placed = _dispersed.placement(_dispersed.sleeping(3600))
    made.submit(placed)
    other = _dispersed.placement(placed.spec, key=placed.key, spec_digest=ids.Digest("sha256:" + "2" * 64))
    assert code_of(lambda: made.submit(other)) == "dispersed.conflict"
    assert creations(server) == 1


def test_a_job_for_another_region_is_ended(made: adapters.DispersedAdapter, server: doubles.Server) -> None:
    """Where the network says for which regions it took a job, that is compared."""
    server.network.echoes_regions = True
    placed = _dispersed.placement(_dispersed.sleeping(3600))
    made.submit(placed)

    def elsewhere(handler: doubles.Handler, honest: Honest) -> None:
        status, body = honest()
        handler.say(status, body | {"allowed_region_codes": ["us-east-1"]})

    server.spoil("POST", "/v1/jobs", elsewhere)
    assert code_of(lambda: made.submit(_dispersed.placement(_dispersed.sleeping(3600)))) == "dispersed.region"
    assert [job.status for job in server.network.jobs.values()] == ["RUNNING", "CANCELLED"]


# --- ends -------------------------------------------------------------------------------------------------------------


def until_ended(made: backends.BackendAdapter, placed: backends.SealedPlacement) -> backends.Observation:
    """Return the observation of an end."""
    for _ in range(600):
        seen = _dispersed.look(made, placed)
        if seen.state is offers.ObservedState.ENDED:
            return seen
        threading.Event().wait(0.1)
    raise AssertionError(seen)


def outcome(made: backends.BackendAdapter, placed: backends.SealedPlacement) -> tuple[jobs.OutcomeKind, int | None]:
    """Return kind and exit code of an end."""
    found = until_ended(made, placed).outcome
    assert found is not None
    return found.kind, found.exit_code


@pytest.mark.parametrize("state", ["PREPARING", "FAILING", "SUCCEEDED", "completed", ""])
def test_a_state_that_is_not_documented_is_unknown(
    state: str, made: adapters.DispersedAdapter, server: doubles.Server
) -> None:
    """Never a success, and never an end."""
    placed = _dispersed.placement(_dispersed.spec("true"))
    handle = made.submit(placed).value
    server.network.forced[handle.removeprefix("dispersed:")] = state
    seen = _dispersed.look(made, placed)
    assert (seen.state, seen.outcome) == (offers.ObservedState.UNKNOWN, None)


def test_a_completed_job_without_its_marker_did_not_succeed(
    made: adapters.DispersedAdapter, server: doubles.Server
) -> None:
    """Its entry point was to tell an exit code."""
    placed = _dispersed.placement(_dispersed.spec("true"))
    made.submit(placed)
    (job,) = server.network.jobs.values()
    (run,) = job.runs
    assert run.process is not None
    run.process.wait(60)
    run.log.write_text("comity-end and more\n")
    assert outcome(made, placed) == (jobs.OutcomeKind.LOST, None)


def test_a_failed_job_that_told_success_did_not_succeed(
    made: adapters.DispersedAdapter, server: doubles.Server
) -> None:
    """The two contradict each other."""
    placed = _dispersed.placement(_dispersed.spec("true"))
    made.submit(placed)
    server.network.forced[next(iter(server.network.jobs))] = "FAILED"
    (job,) = server.network.jobs.values()
    assert job.runs[0].process is not None
    job.runs[0].process.wait(60)
    assert outcome(made, placed) == (jobs.OutcomeKind.LOST, None)


def test_an_end_is_told_as_it_was(made: adapters.DispersedAdapter, server: doubles.Server) -> None:
    """No node in time, cancelled by somebody else, past the longest run, a command that is not there, a signal."""
    server.network.regions = {"us-east-1"}
    nowhere = _dispersed.placement(_dispersed.spec("true"))
    server.network.give_up(made.submit(nowhere).value.removeprefix("dispersed:"))
    server.network.regions = {_dispersed.REGION}
    taken, late, missing = (
        _dispersed.placement(one)
        for one in (_dispersed.sleeping(3600), _dispersed.sleeping(3600), _dispersed.spec("no-such-program"))
    )
    server.network.cancel(made.submit(taken).value.removeprefix("dispersed:"), {"reason": "an operator's"})
    made.submit(missing)
    made.submit(_dispersed.placement(late.spec, key=late.key, time_limit=dt.timedelta(seconds=1)))
    server.offset_ms = 61_000
    kinds = jobs.OutcomeKind
    assert outcome(made, late) == (kinds.TIMED_OUT, None)
    assert outcome(made, nowhere) == (kinds.NO_ROOM, None)
    assert outcome(made, taken) == (kinds.PREEMPTED, None)
    assert outcome(made, missing) == (kinds.EXITED, 127)


def test_a_run_that_has_not_ended_is_no_end(made: adapters.DispersedAdapter, server: doubles.Server) -> None:
    """A job that is over and whose node still works on it; and a run in a state that nobody knows."""
    placed = _dispersed.placement(_dispersed.sleeping(3600))
    server.network.forced[made.submit(placed).value.removeprefix("dispersed:")] = "CANCELLED"
    assert _dispersed.look(made, placed).state is offers.ObservedState.RUNNING
    (job,) = server.network.jobs.values()
    job.runs[0].status = "EVICTING"
    assert _dispersed.look(made, placed).state is offers.ObservedState.UNKNOWN


# --- what is told, and what it may cost -------------------------------------------------------------------------------


def test_nothing_arrives_that_is_not_needed(
    made: adapters.DispersedAdapter, server: doubles.Server, tmp_path: pathlib.Path
) -> None:
    """In no byte of any request, refused ones too: the secret key, names, the tenant, data."""
    canary = "Canary"
    names: dict[str, Any] = {"name": canary, "labels": ((canary, canary),), "queue": canary}
    placed = _dispersed.placement(_dispersed.spec("true", **names), tenant=canary)
    made.submit(placed)
    until_ended(made, placed)
    made.read_logs(backends.AttemptRef(placed.key), cursor=None, node=None, limit=1000)
    reads = jobs.DataClause(reads=(jobs.DataUse(canary),))
    for data in (None, reads):
        closed = _dispersed.placement(_dispersed.spec(canary, data=data, env=(("A", canary),)), tenant=canary)
        assert code_of(lambda closed=closed: made.submit(closed)) == "dispersed.discloses"
    whole = "\n".join(f"{method} {target} {body!r}" for method, target, body in server.requests)
    assert canary not in whole
    assert doubles.SECRET not in whole
    assert creations(server) == 1


def test_a_limit_of_spending_holds(server: doubles.Server, tmp_path: pathlib.Path) -> None:
    """Two hours and a bit of 1 EUR are within 5 a month twice, across restarts; the third is not created."""
    pools = (sites.Pool(_dispersed.REGION, price_per_hour=money.Money(1_000_000, "EUR")),)
    limits = {"spend": {"currency": "EUR", "perJob": 3, "perMonth": 5}, "minutesMax": 120}
    for _ in range(2):
        _dispersed.make(server, tmp_path, pools=pools, **limits).submit(_dispersed.placement(_dispersed.spec("true")))
    third = _dispersed.placement(_dispersed.spec("true"))
    made = _dispersed.make(server, tmp_path, pools=pools, **limits)
    assert code_of(lambda: made.submit(third)) == "dispersed.spend"
    assert creations(server) == 2
    dear = {"spend": {"currency": "EUR", "perJob": 2, "perMonth": 500}, "minutesMax": 120}
    assert code_of(lambda: _dispersed.make(server, tmp_path, pools=pools, **dear).submit(third)) == "dispersed.spend"


def test_no_more_jobs_are_in_flight_than_allowed(server: doubles.Server, tmp_path: pathlib.Path) -> None:
    """The offers of all regions say so, and each counts its own."""
    pools = (sites.Pool("here"), sites.Pool("there"))
    regions = {"here": _dispersed.REGION, "there": "us-east-1"}
    made = _dispersed.make(server, tmp_path, pools=pools, regions=regions, jobsMax=2)
    keys = []
    for pool in ("here", "there"):
        placed = _dispersed.placement(_dispersed.sleeping(3600), pool)
        made.submit(placed)
        keys.append(placed.key)
    here, there = made.offers()
    assert (here.counted, there.counted) == ({keys[0]}, {keys[1]})
    assert [one.free.slots for one in (here, there)] == [0, 0]
    assert here.queue is not None
    assert not here.queue.accepts
    assert "2 jobs" in here.detail
