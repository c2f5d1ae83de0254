"""Names that match a list, over HTTP: refused until a named person answers, and told to everybody."""

from __future__ import annotations

from typing import Any

import asgi
import pytest
from installations import Installation, document, job

from orchestrator.domain import ids, listings
from orchestrator.inventory import screeners
from orchestrator.ports import stores
from orchestrator.service import access, list_answers, problems

URL = "/v1/operators/nordkap:answer"
DONE = {
    "list": "us-sdn", "entry": "900001", "same": False, "by": "A. Martin, DPO", "reason": "another register number",
}  # fmt: skip
ENTRY = listings.Entry("900001", "us", listings.Kind.ENTITY, ("NORDKAP JSC",), programs=("INVENTED-EO1",))


@pytest.fixture
def client(installation: Installation) -> asgi.Client:
    """Give an administrator of an installation with one place, whose operator's name is on a list."""
    client = installation.client()
    owners = {"coverage": 100, "list": [{"name": "Nordkap JSC", "country": "FR", "percent": 60}]}
    france = {"country": "FR"}
    declared = (
        ("controlplanes", document("ControlPlane", "self", location=france, adminFrom=["FR"])),
        ("operators", document("Operator", "nordkap", legalCountry="FR", ultimateParentHq="FR")),
        ("operators", document("Operator", "owned", legalCountry="FR", ultimateParentHq="FR", owners=owners)),
        ("backends", backend("b", "nordkap")),
    )
    for kinds, body in declared:
        assert client.put(f"/v1/{kinds}/{body['metadata']['name']}", json=body).status_code == 201
    load(installation, ENTRY)
    return client


def backend(name: str, operator: str) -> dict[str, Any]:
    """Return a place in France."""
    return document(
        "Backend", name, adapter="simulated", operator=operator, location={"country": "FR"}, pools=[{"name": "p"}]
    )


def load(installation: Installation, *entries: listings.Entry, age: int = 7, **more: Any) -> None:
    """Put a list in force, of today."""
    day = installation.clock.now().date()
    digest = ids.Digest("sha256:" + "3" * 64)
    copy = listings.Snapshot("us-sdn", "us", "xml", day, age, digest, entries, digest=digest)
    screener = screeners.Screener(listings.Loaded((copy,) if entries else (), **more))
    installation.context.inventory._lists = lambda: screener


def codes(client: asgi.Client, at: str = "", backend: str = "b") -> set[str]:
    """Return what a plan says of the place about lists."""
    plan = client.post(f"/v1/plans{at}", json=job()).json()
    (site,) = [site for site in plan["sites"] if site["backend"] == backend]
    return {one["code"] for one in site["reasons"] if "sanctions" in one["code"] or "caveat.l" in one["code"]}


def test_a_match_is_refused_until_a_person_answers(client: asgi.Client) -> None:
    """The answer opens the place at once, is shown with the operator and stands in the journal."""
    assert codes(client) == {"sanctions.review"}
    screening = client.get("/v1/operators/nordkap").json()["status"]["screening"]
    assert [(one["list"], one["entry"], one["by"]) for one in screening["review"]] == [("us-sdn", "900001", "name")]
    answer = client.post(URL, json=DONE)
    assert answer.status_code == 200
    assert codes(client) == set()
    status = client.get("/v1/operators/nordkap").json()["status"]
    assert (status["screening"]["review"], len(status["screening"]["cleared"])) == ([], 1)
    (kept,) = status["listAnswers"]
    assert (kept["by"], kept["reason"], kept["same"]) == (DONE["by"], DONE["reason"], False)


def test_an_answer_is_journaled_with_who_and_why(installation: Installation, client: asgi.Client) -> None:
    """The token, the person, the reason, and what exactly was looked at."""
    client.post(URL, json=DONE)
    (entry,) = [
        one.entry for one in installation.store.entries(after=0, limit=100) if one.entry.kind == "lists.answered"
    ]
    assert entry.subject == "operator/nordkap"
    assert {"by", "reason", "entryDigest", "partyDigest", "name"} <= set(entry.body)
    assert entry.actor == entry.body["recorded"] != ""


def test_the_same_party_is_listed(client: asgi.Client) -> None:
    """A person who says so makes it a refusal by law, which tells the entry; it can be corrected."""
    client.post(URL, json=DONE | {"same": True})
    assert codes(client) == {"sanctions.listed-party", "caveat.listed:us-sdn:900001"}
    client.post(URL, json=DONE)
    assert codes(client) == set()
    assert len(client.get("/v1/operators/nordkap").json()["status"]["listAnswers"]) == 1


def test_an_answer_for_a_while_ends(client: asgi.Client) -> None:
    """After its last day the match is open again."""
    client.post(URL, json=DONE | {"validTo": "2026-11-24"})
    assert codes(client, "?at=2026-11-24") == set()
    assert codes(client, "?at=2026-11-25") == {"sanctions.review"}


def test_an_owner_that_is_listed_counts_with_its_share(client: asgi.Client) -> None:
    """60 % of a listed owner: refused once a person says that it is that one."""
    client.put("/v1/backends/c", json=backend("c", "owned"))
    assert codes(client, backend="c") == {"sanctions.review"}
    answer = client.post("/v1/operators/owned:answer", json=DONE | {"same": True, "party": "Nordkap JSC"})
    assert answer.status_code == 200
    assert codes(client, backend="c") == {"sanctions.listed-party", "caveat.listed:us-sdn:900001"}


def test_declaring_an_operator_again_keeps_its_answers(client: asgi.Client) -> None:
    """The answer is about the party, not about the document; another country is another party."""
    client.post(URL, json=DONE)
    client.put("/v1/operators/nordkap", json=document("Operator", "nordkap", legalCountry="FR", ultimateParentHq="DE"))
    assert codes(client) == set()
    client.put("/v1/operators/nordkap", json=document("Operator", "nordkap", legalCountry="RU", ultimateParentHq="DE"))
    assert codes(client) == {"sanctions.review"}


def test_a_stale_list_refuses_and_is_a_condition(installation: Installation, client: asgi.Client) -> None:
    """Nobody knows any more; the control plane says so, and how many days are left is a metric."""
    client.post(URL, json=DONE)
    assert codes(client, "?at=2026-11-29") == set()
    assert codes(client, "?at=2026-11-30") == {"sanctions.list-stale:us-sdn"}
    assert "conditions" not in client.get("/v1/controlplanes/self").json()["status"]
    assert 'comity_list_days_left{list="us-sdn"} 7.0' in client.get("/metrics").text
    installation.clock.pass_(days=8)
    (condition,) = client.get("/v1/controlplanes/self").json()["status"]["conditions"]
    assert (condition["type"], condition["reason"]) == ("ListStale", "us-sdn")
    assert 'comity_list_days_left{list="us-sdn"} -1.0' in client.get("/metrics").text


def test_a_list_that_failed_is_a_condition(installation: Installation, client: asgi.Client) -> None:
    """One without a good copy refuses every place; what is wrong is said."""
    failed = listings.Problem("eu-fsf", "no digest", False)
    load(installation, problems=(failed,), missing=("eu-fsf", "un-sc"))
    assert codes(client) == {"sanctions.list-stale:eu-fsf", "sanctions.list-stale:un-sc"}
    (condition,) = client.get("/v1/controlplanes/self").json()["status"]["conditions"]
    assert (condition["type"], condition["reason"], condition["message"]) == ("ListFailed", "eu-fsf", "no digest")


def test_without_lists_every_answer_says_so(installation: Installation, client: asgi.Client) -> None:
    """No list is no refusal, and no silence."""
    installation.context.inventory._lists = lambda: None
    assert codes(client) == {"caveat.lists-none"}
    answer = client.post(URL, json=DONE)
    assert (answer.status_code, answer.json()["code"]) == (409, "lists.none")


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"entry": "900002"}, 409, "lists.no-match"),
        ({"list": "eu-fsf"}, 409, "lists.no-match"),
        ({"party": "somebody"}, 409, "lists.no-match"),
        ({"reason": " "}, 400, "request.malformed"),
        ({"by": "\t"}, 400, "request.malformed"),
        ({"same": "no"}, 422, "document.invalid"),
        ({"validTo": "soon"}, 422, "document.invalid"),
        ({"why": "x"}, 422, "document.invalid"),
    ],
)
def test_what_is_no_answer_is_refused(client: asgi.Client, change: dict[str, Any], status: int, code: str) -> None:
    """Nothing is kept, and the place stays closed."""
    answer = client.post(URL, json=DONE | change)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert codes(client) == {"sanctions.review"}


def test_a_number_is_no_matter_of_opinion(installation: Installation, client: asgi.Client) -> None:
    """A match by identifier cannot be answered away."""
    lei = "000012INVENTED000096"
    load(installation, listings.Entry(
        "900001", "us", listings.Kind.ENTITY, ("Zzyzx",), identifiers=(listings.Identifier("lei", lei),)
    ))  # fmt: skip
    client.put("/v1/operators/nordkap", json=document("Operator", "nordkap", legalCountry="FR", lei=lei))
    assert client.post(URL, json=DONE).json()["code"] == "lists.no-match"
    assert "sanctions.listed-party" in codes(client)


def test_who_may_answer_is_asked_behind_the_door_too(installation: Installation, client: asgi.Client) -> None:
    """The use case itself refuses who has neither role, whatever route leads to it."""
    stranger = access.Principal("t8", "default", frozenset({"operate", "submit", "steward"}))
    with pytest.raises(problems.ServiceError) as caught:
        list_answers.answer(
            installation.context, stranger, "nordkap", list_="us-sdn", entry="900001", party=None, same=False,
            person="A. Martin", reason="looked", valid_to=None,
        )  # fmt: skip
    assert caught.value.code == "auth.role"
    assert codes(client) == {"sanctions.review"}


def test_answers_at_the_same_moment_are_both_kept(
    installation: Installation, client: asgi.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two people about two entries: neither answer swallows the other."""
    load(installation, ENTRY, listings.Entry("900002", "us", listings.Kind.ENTITY, ("NORDKAP LLC",)))
    operator, commit = access.Principal("t9", "default", frozenset({"policy"})), type(installation.store).commit
    raced: list[int] = []

    def say(entry: str) -> None:
        list_answers.answer(
            installation.context, operator, "nordkap", list_="us-sdn", entry=entry, party=None, same=False,
            person="A. Martin", reason="looked", valid_to=None,
        )  # fmt: skip

    def racing(self: Any, changes: stores.Changes) -> stores.Receipt:
        if changes.documents and not raced:
            raced.append(1)
            say("900002")
        return commit(self, changes)

    monkeypatch.setattr(type(installation.store), "commit", racing)
    say("900001")
    assert codes(client) == set()
