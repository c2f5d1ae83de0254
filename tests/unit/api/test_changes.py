"""Held changes over HTTP: who sees what, who may confirm, and what is kept of it."""

from __future__ import annotations

import datetime as dt

from installations import Installation, document

from orchestrator.domain import changes, ids
from orchestrator.inventory import changes as stored
from orchestrator.ports import stores

SAID = {"by": "A. Martin", "reason": "the licence did end"}


def hold(installation: Installation, id: str = "ch-1") -> None:
    """Write a held change as the loop does."""
    hits = (
        changes.Hit("default", 6, 10, (ids.JobId("01OWN"),)),
        changes.Hit("other", 2, 2, (ids.JobId("01THEIRS"),)),
    )
    digest = ids.Digest("sha256:1")
    change = changes.Change(
        id, installation.clock.now(), digest, digest, ("cedar.own.no",), ("policy/own", "backend/b"), hits
    )
    installation.store.commit(stores.Changes(documents=[stored.document(change, 0)]))


def test_a_held_change_is_listed_and_confirmed_once(installation: Installation) -> None:
    """With person, reason and token in the journal; a second confirmation changes nothing."""
    hold(installation)
    client = installation.client()
    (listed,) = client.get("/v1/changes").json()["items"]
    assert (listed["state"], listed["stops"], listed["documents"]) == ("held", 8, ["policy/own", "backend/b"])
    for _ in range(2):
        answer = client.post("/v1/changes/ch-1:confirm", json=SAID)
        assert (answer.status_code, answer.json()["state"]) == (200, "confirmed")
    entries = [one.entry for one in installation.store.entries(subject="change/ch-1")]
    assert [(one.kind, one.body["person"], one.body["reason"]) for one in entries] == [
        ("change.confirmed", SAID["by"], SAID["reason"])
    ]
    assert client.get("/v1/changes").json()["items"][0]["confirmed"]["by"] == SAID["by"]


def test_other_tenants_are_counted_and_not_named(installation: Installation) -> None:
    """Who is no administrator sees the jobs of the own tenant only."""
    hold(installation)
    (listed,) = installation.client("operate").get("/v1/changes").json()["items"]
    assert [(one["tenant"], one["stops"], one["jobs"]) for one in listed["tenants"]] == [
        ("default", 6, ["01OWN"]),
        (None, 2, []),
    ]


def test_what_cannot_be_confirmed_is_said(installation: Installation) -> None:
    """An unknown change, a clock that is right, nobody who answers for it."""
    client = installation.client()
    hold(installation)
    answers = [
        client.post(f"/v1/changes/{id}:confirm", json=body)
        for id, body in (("ch-2", SAID), ("clock", SAID), ("ch-1", SAID | {"by": " "}), ("ch-1", {"by": "x"}))
    ]
    assert [(one.status_code, one.json()["code"]) for one in answers] == [
        (404, "change.not-found"),
        (409, "change.not-held"),
        (400, "request.malformed"),
        (422, "document.invalid"),
    ]


def test_documents_of_a_held_change_say_so(installation: Installation) -> None:
    """The policy that was changed, and the control plane; nobody else; and not after the confirmation."""
    client = installation.client()
    directive = {"models": ["m"]}
    for kinds, body in (
        ("policies", document("Policy", "own", engine="directive", directive=directive)),
        ("policies", document("Policy", "another", engine="directive", directive=directive)),
        ("controlplanes", document("ControlPlane", "self", location={"country": "FR"})),
    ):
        assert client.put(f"/v1/{kinds}/{body['metadata']['name']}", json=body).status_code == 201

    def told() -> list[bool]:
        paths = ("policies/own", "controlplanes/self", "policies/another")
        found = [client.get(f"/v1/{path}").json()["status"].get("conditions", []) for path in paths]
        return [any(one["type"] == "ChangeHeld" for one in conditions) for conditions in found]

    hold(installation)
    assert told() == [True, True, False]
    client.post("/v1/changes/ch-1:confirm", json=SAID)
    assert told() == [False, False, False]


def test_a_clock_that_went_back_is_confirmed_by_a_person(installation: Installation) -> None:
    """It is listed, shown by the control plane and the metrics; confirmed, the time is right as it is."""
    client = installation.client()
    client.put("/v1/controlplanes/self", json=document("ControlPlane", "self", location={"country": "FR"}))
    seen = installation.clock.now() + dt.timedelta(days=400)
    mark = stored.ClockMark(seen, back=True)
    installation.store.commit(stores.Changes(documents=[stored.clock_document(mark, 0)]))
    assert "comity_clock_went_back 1.0" in client.get("/metrics").text
    (condition,) = client.get("/v1/controlplanes/self").json()["status"]["conditions"]
    assert condition["type"] == "ClockWentBack"
    assert [one["id"] for one in client.get("/v1/changes").json()["items"]] == ["clock"]
    assert client.post("/v1/changes/clock:confirm", json=SAID).status_code == 200
    assert client.get("/v1/changes").json()["items"] == []
    kept, _ = stored.clock(installation.store)
    assert kept == stored.ClockMark(installation.clock.now(), back=False, seq=kept.seq)
    assert installation.store.entries(subject="clock")[-1].entry.kind == "clock.confirmed"


def test_facts_that_end_soon_are_told(installation: Installation) -> None:
    """As a condition of the backend and a metric: 30, 7 and 1 days before, and after."""
    client = installation.client()
    today = installation.clock.now().date()
    client.put("/v1/operators/op", json=document("Operator", "op", legalCountry="FR", ultimateParentHq="FR"))
    for days, reason in ((31, None), (29, "Within30Days"), (6, "Within7Days"), (0, "Within1Days"), (-3, "Ended")):
        last = (today + dt.timedelta(days=days)).isoformat()
        facts = {"source": "s", "asOf": "2026-01-01", "validTo": last}
        spec = {"adapter": "simulated", "operator": "op", "location": {"country": "FR"}, "pools": [{"name": "p"}]}
        body = document("Backend", "b", **spec, facts=facts)
        assert client.put("/v1/backends/b", json=body).status_code in (200, 201)
        found = client.get("/v1/backends/b").json()["status"]["conditions"]
        assert [one["reason"] for one in found if one["type"] == "FactsExpiring"] == ([reason] if reason else [])
        (line,) = [one for one in client.get("/metrics").text.splitlines() if 'expire_seconds{backend="b"}' in one]
        assert (float(line.split()[1]) < 0) is (days < 0)


def test_every_fact_that_ends_soon_is_named(installation: Installation) -> None:
    """Not only the first: who renews one paper must know of the next; what is too much for a line is counted."""
    client = installation.client()
    today = installation.clock.now().date()
    client.put("/v1/operators/op", json=document("Operator", "op", legalCountry="FR", ultimateParentHq="FR"))

    def told(papers: int) -> str:
        ends = [(today + dt.timedelta(days=3 + number)).isoformat() for number in range(papers)]
        certs = [{"scheme": "hds-v2", "service": f"s{number}", "validTo": end} for number, end in enumerate(ends)]
        facts = {"source": "s", "asOf": "2026-01-01", "validTo": (today + dt.timedelta(days=60)).isoformat()}
        spec = {"adapter": "simulated", "operator": "op", "location": {"country": "FR"}, "pools": [{"name": "p"}]}
        body = document("Backend", "b", **spec, facts=facts, certifications=certs)
        assert client.put("/v1/backends/b", json=body).status_code in (200, 201)
        found = client.get("/v1/backends/b").json()["status"]["conditions"]
        (one,) = [each for each in found if each["type"] == "FactsExpiring"]
        assert one["reason"] == "Within7Days"
        return str(one["message"])

    days = [(today + dt.timedelta(days=3 + number)).isoformat() for number in range(2)]
    assert told(2) == (
        f"certifications[hds-v2] holds to {days[0]}, 4 days more; "
        f"certifications[hds-v2] holds to {days[1]}, 5 days more: renew them"
    )
    assert told(25).endswith("more: renew them")
    assert len(told(25)) <= 1000
