"""Bundles over HTTP: what they open, for whom, and what the log refuses to sign."""

import base64
import dataclasses
import datetime as dt
import importlib.metadata
import json
from typing import Any

import pytest
from installations import Installation, document, job

from orchestrator.bootstrap import verifications
from orchestrator.control import entries
from orchestrator.domain import decisions, events, ids, jobs, lifecycle, offers
from orchestrator.evidence import bundles, canonical, verification
from orchestrator.policy import evaluator
from orchestrator.policy.cedar import engine
from orchestrator.ports import stores
from orchestrator.scheduler import answers, rejudging
from orchestrator.service import checkpoints, problems
from orchestrator.store import memory


def declare(installation: Installation) -> None:
    """Declare one place that takes jobs."""
    client = installation.client()
    for made in (
        document("Operator", "us", legalCountry="FR", ultimateParentHq="FR"),
        document("ControlPlane", "self", operator="us", location={"country": "FR"}),
        document(
            "Backend",
            "here",
            adapter="simulated",
            operator="us",
            location={"country": "FR"},
            adminFrom=["FR"],
            logStore={"country": "FR"},
            pools=[{"name": "cpu", "count": 4}],
        ),
    ):
        plural = {"ControlPlane": "controlplanes"}.get(made["kind"], f"{made['kind'].lower()}s")
        put = client.put(f"/v1/{plural}/{made['metadata']['name']}", json=made)
        assert put.status_code in (200, 201), put.text
    room = offers.Room(cpu_milli=64_000, memory_bytes=2**36, slots=4)
    offer = offers.Offer(ids.SiteName("here/cpu"), room, room, installation.clock.at, largest_node=room)
    installation.seen.record_capabilities("here", offers.Capabilities(frozenset(offers.Capability)))
    installation.seen.record_offers("here", [offer], at=installation.clock.at)


def run(installation: Installation, id: str, *, exit_code: int = 0, at: str | None = None) -> jobs.Job:
    """Place a job by a real decision, and let it run and end, as the loop does."""
    context, now = installation.context, installation.clock.now()
    found = context.store.job(ids.JobId(id))
    assert found is not None
    planned = answers.plan_one(found.spec, context.snapshots.make(context, now), tenant=found.tenant)
    assert planned.answer.ranking, planned.answer
    site, number = ids.SiteName(at or planned.answer.ranking[0]), len(found.attempts) + 1
    written = []
    for event in (
        events.Placed(now, number, site, planned.decision.digest),
        events.SubmitAccepted(now, number, "handle"),
        events.Started(now, number, now),
        events.Ended(now, number, jobs.Outcome(jobs.OutcomeKind.EXITED, exit_code=exit_code, ended_at=now)),
    ):
        before, found = found, lifecycle.apply(found, event)
        entry = entries.of(before, found, event)
        written += [entry] if entry else []
    placement = decisions.Placement(
        key=found.attempts[-1].key,
        job=found.id,
        number=number,
        site=site,
        decision=planned.decision.digest,
        policy=planned.answer.versions.policy,
        facts=planned.answer.versions.facts,
        expires=None,
        placed_at=now,
        term=ids.Term(0),
    )
    changes = stores.Changes(
        jobs=(found,),
        contents=planned.contents,
        decisions=(planned.decision,),
        placements=(placement,),
        entries=tuple(written),
        term=ids.Term(0),
    )
    return installation.store.commit(changes).jobs[0]


@pytest.fixture
def ran(installation: Installation) -> str:
    """Give the id of a job that ran."""
    declare(installation)
    spec = job("secret-name", command=["secret-command"], env={"TOKEN_OF": "secret-value"})
    id = str(installation.client().post("/v1/jobs", json=spec).json()["id"])
    run(installation, id)
    return id


def trusted(installation: Installation) -> verification.Trust:
    """Return trust in the log's key."""
    return verification.Trust(frozenset({installation.keyring.current.public}))


def opened(bundle: Any) -> dict[str, Any]:
    """Return what the first statement opens."""
    return {one["path"]: one["value"] for one in bundle["statements"][0]["disclosures"]}


def test_a_bundle_verifies_and_keeps_names_closed(installation: Installation, ran: str) -> None:
    """Decision, execution, entries, records: verified, judged the same, and no word of the job's own in it."""
    answer = installation.client("audit").get(f"/v1/jobs/{ran}/evidence")
    report = verifications.verify(answer.content, trusted(installation))
    assert report.verified, report.problems
    assert report.rejudged.word.value == "same", report.rejudged
    texts = [base64.b64decode(one["envelope"]["payload"]).decode() for one in answer.json()["statements"]]
    assert "secret-" not in answer.text + "".join(texts)
    assert sorted(opened(answer.json())) == ["candidates", "obligations"]


def under_rules_of_the_house(installation: Installation) -> str:
    """Declare two rules of the house, one that matches and one that does not, and run a job; returns its id."""
    declare(installation)
    for name, effect, land in (("duty", '@effect("oblige")', "FR"), ("elsewhere", "", "IT")):
        text = (
            f'@id("r") @reason("so we want it") {effect} forbid(principal, action, resource) '
            f'when {{ resource has country && resource.country == "{land}" }};'
        )
        body = document("Policy", name, engine="cedar", text=text)
        put = installation.client().put(f"/v1/policies/{name}", json=body)
        assert put.status_code == 201, put.text
    id = str(installation.client().post("/v1/jobs", json=job("ruled")).json()["id"])
    run(installation, id)
    return id


def test_rules_of_the_house_are_judged_again(installation: Installation) -> None:
    """A decision made under policies of the house verifies, those that matched and those that did not."""
    answer = installation.client().get(f"/v1/jobs/{under_rules_of_the_house(installation)}/evidence")
    assert "cedar.duty.r" in answer.text
    stated = [base64.b64decode(one["envelope"]["payload"]).decode() for one in answer.json()["statements"]]
    assert f'"engine":"cedarpy {importlib.metadata.version("cedarpy")}"' in stated[0]
    report = verifications.verify(answer.content, trusted(installation))
    assert (report.verified, report.rejudged.word.value) == (True, "same"), report.problems


def test_rules_that_another_library_judged_may_need_it(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same answer by another version is the same; another answer by it proves nothing against the record."""
    with monkeypatch.context() as later:
        later.setattr(engine, "version", lambda: "cedarpy 99.0")
        id = under_rules_of_the_house(installation)
        bundle = installation.client().get(f"/v1/jobs/{id}/evidence").content
    report = verifications.verify(bundle, trusted(installation))
    assert (report.verified, report.rejudged.word.value) == (True, "same"), report.problems
    monkeypatch.setattr(engine, "ask", lambda requests, *_: [engine.Answer((), ()) for _ in requests])
    report = verifications.verify(bundle, trusted(installation))
    assert (report.rejudged.word.value, report.wrong) == ("not possible", False)
    assert "needs cedarpy 99.0 (here is cedarpy " in report.rejudged.why


def test_chosen_fields_are_opened(installation: Installation, ran: str) -> None:
    """``open`` opens what it names and nothing else; ``all`` opens everything; the bundle still verifies."""
    client = installation.client()
    one = client.get(f"/v1/jobs/{ran}/evidence?open=spec.command").json()
    assert sorted(opened(one)) == ["candidates", "obligations", "spec.command"]
    assert opened(one)["spec.command"] == ["secret-command"]
    everything = client.get(f"/v1/jobs/{ran}/evidence?open=all")
    assert opened(everything.json())["spec.env"] == {"TOKEN_OF": "secret-value"}
    assert opened(everything.json())["metadata.name"] == "secret-name"
    assert everything.json()["entries"][0]["entry"]["kind"] == "job.submitted"
    assert verifications.verify(everything.content, trusted(installation)).verified


def test_what_is_closed_cannot_be_guessed(installation: Installation, ran: str) -> None:
    """Two bundles of one job commit to the same values under other salts."""
    client = installation.client()
    held = []
    for _ in range(2):
        made = client.get(f"/v1/jobs/{ran}/evidence").json()
        held.append(
            json.loads(base64.b64decode(made["statements"][0]["envelope"]["payload"]))["predicate"]["commitments"]
        )
    assert held[0].keys() == held[1].keys()
    assert not set(held[0].values()) & set(held[1].values())


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("open=spec.comand", 422, "evidence.unknown-field"),
        ("since=x", 400, "request.malformed"),
        ("since=1,2,3,4,5", 400, "request.malformed"),
        ("since=-1", 400, "request.malformed"),
    ],
)
def test_bad_questions_are_refused(installation: Installation, ran: str, query: str, status: int, code: str) -> None:
    """An unknown field, no numbers, too many."""
    answer = installation.client().get(f"/v1/jobs/{ran}/evidence?{query}")
    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_a_job_that_was_never_placed_has_nothing_to_prove(installation: Installation) -> None:
    """And says so, instead of an empty bundle; another tenant's is unknown."""
    id = installation.client().post("/v1/jobs", json=job()).json()["id"]
    answer = installation.client().get(f"/v1/jobs/{id}/evidence")
    assert (answer.status_code, answer.json()["code"]) == (409, "evidence.nothing")
    assert installation.client("submit", tenant="other").get(f"/v1/jobs/{id}/evidence").status_code == 404


def test_each_attempt_is_stated(installation: Installation, ran: str) -> None:
    """A job that ran twice has two decisions and two executions, each with its own entries."""
    found = installation.store.job(ids.JobId(ran))
    assert found is not None
    again = dataclasses.replace(found, phase=jobs.Phase.QUEUED, ended_at=None)
    installation.store.commit(stores.Changes(jobs=(again,)))
    installation.clock.pass_(hours=30)
    run(installation, ran, exit_code=4)
    answer = installation.client().get(f"/v1/jobs/{ran}/evidence")
    report = verifications.verify(answer.content, trusted(installation))
    assert report.verified, report.problems
    assert report.rejudged.word.value == "same"
    assert [one.attempt for one, _ in report.found] == [1, 1, 2, 2]
    assert [opened_["exit"]["value"]["exitCode"] for one, opened_ in report.found if "exit" in opened_] == [0, 4]


def test_a_rotation_hands_over_and_is_an_administrators(installation: Installation, ran: str) -> None:
    """The new key signs from its entry on; the old one leads to it; a bundle carries the entry."""
    client, old = installation.client(), installation.keyring.current.public
    before = client.get("/v1/log/checkpoint").json()
    assert installation.client("audit", "operate").post("/v1/log:rotateKey").status_code == 403
    after = client.post("/v1/log:rotateKey").json()
    assert (before["key"], after["firstKey"]) == (old.hex(), old.hex())
    assert after["key"] == installation.keyring.current.public.hex() != old.hex()
    assert after["size"] > before["size"]
    data = client.get(f"/v1/jobs/{ran}/evidence?since={before['size']}").content
    for key in (old, installation.keyring.current.public):
        report = verifications.verify(data, verification.Trust(frozenset({key})))
        assert report.verified, report.problems
    assert [one.old for one in bundles.loads(data).consistency] == [before["size"]]


def test_a_rewritten_journal_is_not_signed(installation: Installation, ran: str) -> None:
    """After a restart the journal is held to the last signed head: another history, or a shorter one, is refused."""
    shelf = checkpoints.NoShelf()
    book = checkpoints.Checkpoints(installation.context, installation.keyring, origin="comity.dev/test", shelf=shelf)
    size = book.seal()
    assert size == installation.store.head().seq
    again = checkpoints.Checkpoints(installation.context, installation.keyring, origin="comity.dev/test", shelf=shelf)
    assert again.seal() == size
    other = memory.MemoryStore(installation.clock)
    kept = installation.store.entries(limit=10_000)
    for number, changed in ((len(kept) - 1, False), (len(kept), True)):
        written = [one.entry for one in kept[:number]]
        if changed:
            written[2] = dataclasses.replace(written[2], at=written[2].at + dt.timedelta(seconds=1))
        other = memory.MemoryStore(installation.clock)
        other.commit(stores.Changes(entries=tuple(written)))
        context = dataclasses.replace(installation.context, store=other)
        rewritten = checkpoints.Checkpoints(context, installation.keyring, origin="comity.dev/test", shelf=shelf)
        with pytest.raises(problems.ServiceError) as caught:
            rewritten.seal()
        assert caught.value.code == "log.inconsistent"


def _more_places(installation: Installation) -> None:
    """Declare a dearer place, and one that US law reaches."""
    put = installation.client().put
    us = document("Operator", "reached", legalCountry="FR", ultimateParentHq="US")
    assert put("/v1/operators/reached", json=us).status_code == 201
    room = offers.Room(cpu_milli=64_000, memory_bytes=2**36, slots=4)
    for name, operator, price in (("there", "reached", "1 EUR"), ("third", "us", "9 EUR")):
        pools = [{"name": "cpu", "count": 4, "pricePerHour": price}]
        place = {
            "operator": operator,
            "location": {"country": "FR"},
            "adminFrom": ["FR"],
            "logStore": {"country": "FR"},
        }
        made = document("Backend", name, adapter="simulated", pools=pools, **place)
        assert put(f"/v1/backends/{name}", json=made).status_code == 201
        offer = offers.Offer(ids.SiteName(f"{name}/cpu"), room, room, installation.clock.at, largest_node=room)
        installation.seen.record_capabilities(name, offers.Capabilities(frozenset(offers.Capability)))
        installation.seen.record_offers(name, [offer], at=installation.clock.at)


def _flip(packed: str) -> str:
    """Return packed bits with the lowest one changed."""
    raw = bytearray(base64.b64decode(packed))
    raw[0] ^= 1 << 3
    return base64.b64encode(raw).decode()


LIES: dict[str, tuple[str, Any]] = {
    "a denial taken away": ("denied", lambda value: base64.b64encode(bytes(len(base64.b64decode(value)))).decode()),
    "another rule fired": ("policyBits", lambda value: [_flip(value[0]), *value[1:]]),
    "a standing filter": ("filterBits", _flip),
    "a dearer place first": ("order", lambda value: value[::-1]),
    "another score": ("totals", lambda value: [one + 1 for one in value]),
}


@pytest.mark.parametrize("lie", sorted(LIES))
def test_an_insider_with_the_key_is_caught_by_judging_again(
    installation: Installation, monkeypatch: pytest.MonkeyPatch, lie: str
) -> None:
    """Whoever has the key signs what they like: a record that the rules do not give is called different, by name."""
    declare(installation)
    _more_places(installation)
    asked = job(sovereignty={"exposure": {"deny": ["US"]}})
    id = installation.client().post("/v1/jobs", json=asked).json()["id"]
    member, change = LIES[lie]
    honest = answers.plan_one

    def lying(*args: Any, **named: Any) -> answers.Planned:
        planned = honest(*args, **named)
        body = json.loads(planned.decision.body)
        body[member] = change(body[member])
        data = canonical.dumps(body)
        told = dataclasses.replace(planned.decision, body=data, digest=canonical.digest_of_bytes(data))
        return dataclasses.replace(planned, decision=told)

    monkeypatch.setattr(answers, "plan_one", lying)
    run(installation, id)
    answer = installation.client().get(f"/v1/jobs/{id}/evidence")
    if answer.status_code != 200:
        # A record that no version of this program writes is not even put into a bundle.
        assert (lie, answer.json()["code"]) == ("a standing filter", "evidence.incomplete")
        return
    report = verifications.verify(answer.content, trusted(installation))
    assert (report.signature.word.value, report.included.word.value) == ("good", "yes")
    assert report.rejudged.word.value == "different", report.rejudged
    assert report.wrong
    assert report.problems[0].startswith("re-execution: attempt 1:")


def test_a_later_evaluator_is_asked_for_by_name(installation: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    """A decision of an evaluator that is not kept here is not judged by another one: it says what it needs."""
    assert evaluator.EVALUATOR_VERSION in rejudging.EVALUATORS
    declare(installation)
    id = installation.client().post("/v1/jobs", json=job()).json()["id"]
    with monkeypatch.context() as later:
        later.setattr(evaluator, "EVALUATOR_VERSION", "eval 2")
        run(installation, id)
        bundle = installation.client().get(f"/v1/jobs/{id}/evidence").content
    report = verifications.verify(bundle, trusted(installation))
    assert (report.signature.word.value, report.included.word.value) == ("good", "yes")
    assert (report.rejudged.word.value, report.wrong) == ("not possible", False)
    assert "needs eval 2 (kept here: eval 1)" in report.rejudged.why


def test_versions_that_the_record_does_not_give_are_different(
    installation: Installation, ran: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A signed statement that hides a pack which was off, or names another version, is held to the rule book."""
    honest = rejudging.versions
    for name, lie in (("packsOff", []), ("packs", []), ("evaluator", "eval 0"), ("policy", "sha256:" + "0" * 64)):
        with monkeypatch.context() as patched:
            patched.setattr(rejudging, "versions", lambda policy, book, n=name, v=lie: {**honest(policy, book), n: v})
            data = installation.client().get(f"/v1/jobs/{ran}/evidence").content
        report = verifications.verify(data, trusted(installation))
        assert report.wrong, name
        assert report.rejudged.word.value == "different" or "belongs to no decision" in report.problems[0], name


def test_a_site_that_the_record_refuses_is_no_choice(installation: Installation) -> None:
    """A placement at a place that was refused is different from what the record lets happen."""
    declare(installation)
    _more_places(installation)
    asked = job(sovereignty={"exposure": {"deny": ["US"]}})
    id = installation.client().post("/v1/jobs", json=asked).json()["id"]
    run(installation, id, at="there/cpu")
    report = verifications.verify(installation.client().get(f"/v1/jobs/{id}/evidence").content, trusted(installation))
    assert report.rejudged.word.value == "different"
    assert "there/cpu was chosen" in report.rejudged.why
