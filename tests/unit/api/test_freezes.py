"""Stops of new placements over HTTP: what they cover, who may call them, what they leave behind."""

from __future__ import annotations

import dataclasses
from typing import cast

import pytest
from installations import Installation, document

from orchestrator.inventory import freezes
from orchestrator.ports import stores

WHY = {"reason": "sanctions announced"}


def declare(installation: Installation) -> None:
    """Declare one site in France of a French operator, and one in Germany of an operator with a parent in the US."""
    client = installation.client()
    for kind, body in (
        ("operators", document("Operator", "maison", legalCountry="FR", ultimateParentHq="FR")),
        ("operators", document("Operator", "daughter", legalCountry="DE", ultimateParentHq="US")),
        ("backends", place("gra", "maison", "FR")),
        ("backends", place("fra", "daughter", "DE")),
    ):
        assert client.put(f"/v1/{kind}/{body['metadata']['name']}", json=body).status_code == 201


def place(name: str, operator: str, country: str) -> dict[str, object]:
    """Return a backend whose every place is in one country."""
    where = {"location": {"country": country}, "adminFrom": [country], "logStore": {"country": country}}
    return document("Backend", name, adapter="simulated", operator=operator, pools=[{"name": "cpu"}], **where)


def reasons(installation: Installation) -> dict[str, list[dict[str, object]]]:
    """Return the reasons of a stop at each site, as a plan has them."""
    plan = installation.client().post("/v1/plans", json=document("Job", "j", command=["true"], data="none")).json()
    return {
        one["site"]: [reason for reason in one["reasons"] if reason["code"] == "site.frozen"] for one in plan["sites"]
    }


@pytest.mark.parametrize(
    ("extent", "covered"),
    [
        ({}, ["fra/cpu", "gra/cpu"]),
        ({"backend": "gra"}, ["gra/cpu"]),
        ({"operator": "daughter"}, ["fra/cpu"]),
        ({"country": "FR"}, ["gra/cpu"]),
        ({"country": "US"}, ["fra/cpu"]),
        ({"country": "SG"}, []),
        ({"country": "US", "backend": "gra"}, []),
        ({"country": "DE", "operator": "daughter"}, ["fra/cpu"]),
    ],
)
def test_a_stop_is_a_reason_of_each_site_that_it_covers(
    installation: Installation, extent: dict[str, str], covered: list[str]
) -> None:
    """With the words of who called it, and how to end it; and ended by the same words, it is gone."""
    declare(installation)
    client = installation.client()
    answer = client.post("/v1/freezes", json=extent | WHY)
    assert (answer.status_code, sorted(answer.json()["sites"])) == (200, covered)
    found = reasons(installation)
    assert sorted(site for site, said in found.items() if said) == covered
    words = "comity unfreeze" + "".join(
        f" --{name} {extent[name]}" for name in ("backend", "operator", "country") if name in extent
    )
    for site in covered:
        (said,) = found[site]
        assert "sanctions announced" in str(said["message"])
        remedy = cast("dict[str, object]", said["remedy"])
        assert (remedy["kind"], remedy["change"]) == ("FIX_BACKEND", words)
    closed = {one["name"]: one["closed"] for one in client.get("/v1/sites").json()["items"]}
    assert sorted(name for name, shut in closed.items() if shut) == covered
    assert client.post("/v1/freezes:end", json=extent).json()["left"] == []
    assert not any(reasons(installation).values())
    assert client.get("/v1/freezes").json()["items"] == []


def test_a_parent_is_how_a_country_is_touched(installation: Installation) -> None:
    """The sentence says which way."""
    declare(installation)
    installation.client().post("/v1/freezes", json={"country": "US"} | WHY)
    (said,) = reasons(installation)["fra/cpu"]
    assert "ultimate parent has its headquarters there" in str(said["message"])


def test_stops_add_up_and_end_one_by_one(installation: Installation) -> None:
    """The second does not end with the first; the same extent twice is one stop with the newer reason."""
    declare(installation)
    client = installation.client()
    for body in ({"country": "FR"} | WHY, {} | WHY, {"country": "FR", "reason": "still"}):
        assert client.post("/v1/freezes", json=body).status_code == 200
    listed = client.get("/v1/freezes").json()["items"]
    assert [(one.get("country"), one["reason"]) for one in listed if "country" in one] == [("FR", "still")]
    assert len(listed) == 2
    (left,) = client.post("/v1/freezes:end", json={}).json()["left"]
    assert left["country"] == "FR"
    assert [site for site, said in reasons(installation).items() if said] == ["gra/cpu"]


def test_what_would_stop_nothing_is_refused(installation: Installation) -> None:
    """A name that is not declared, a country that there is not, no reason; and a stop that nobody called."""
    declare(installation)
    client = installation.client()
    client.post("/v1/freezes", json={"country": "FR"} | WHY)
    answers = [
        client.post(path, json=body)
        for path, body in (
            ("/v1/freezes", {"backend": "gar"} | WHY),
            ("/v1/freezes", {"operator": "nobody"} | WHY),
            ("/v1/freezes", {"country": "XX"} | WHY),
            ("/v1/freezes", {"country": "FR"}),
            ("/v1/freezes", {"city": "Paris"} | WHY),
            ("/v1/freezes:end", {"country": "DE"}),
        )
    ]
    assert [(one.status_code, one.json()["code"]) for one in answers] == [
        (404, "freeze.unknown"),
        (404, "freeze.unknown"),
        (422, "document.invalid"),
        (422, "document.invalid"),
        (422, "document.invalid"),
        (404, "freeze.not-found"),
    ]
    assert "--country FR" in answers[-1].json()["detail"]


@pytest.mark.parametrize(("role", "status"), [("operate", 200), ("policy", 200), ("submit", 403), ("audit", 403)])
def test_who_may_stop(installation: Installation, role: str, status: int) -> None:
    """Who operates and who writes policy; others read at most."""
    declare(installation)
    client = installation.client(role)
    assert client.post("/v1/freezes", json=WHY).status_code == status
    assert client.post("/v1/freezes:end", json={}).status_code == status
    assert client.get("/v1/freezes").status_code == (403 if role == "submit" else 200)


def test_a_stop_is_journaled_and_the_control_plane_says_so(installation: Installation) -> None:
    """Who, what, why; both ends of it."""
    declare(installation)
    client = installation.client()
    client.put("/v1/controlplanes/self", json=document("ControlPlane", "self", location={"country": "FR"}))
    client.post("/v1/freezes", json={"country": "US"} | WHY)
    conditions = client.get("/v1/controlplanes/self").json()["status"]["conditions"]
    (said,) = (one for one in conditions if one["type"] == "Frozen")
    assert (said["reason"], WHY["reason"] in said["message"]) == ("--country US", True)
    (listed,) = client.get("/v1/freezes").json()["items"]
    assert said["since"] == listed["at"] == installation.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")
    client.post("/v1/freezes:end", json={"country": "US"})
    entries = [one.entry for one in installation.store.entries()]
    kinds = [(one.kind, one.body.get("country")) for one in entries if one.subject.startswith("freeze/")]
    assert kinds == [("placements.frozen", "US"), ("placements.unfrozen", "US")]


def test_a_stop_that_cannot_be_read_stops_everything(installation: Installation) -> None:
    """And says so; nobody knows what it covered."""
    declare(installation)
    installation.client().post("/v1/freezes", json={"country": "SG"} | WHY)
    (stored,) = installation.store.documents(freezes.KIND)
    broken = dataclasses.replace(stored, body=stored.body.replace('"country"', '"county"'))
    installation.store.commit(stores.Changes(documents=[broken]))
    found = reasons(installation)
    assert [site for site, said in found.items() if said] == ["fra/cpu", "gra/cpu"]
    assert all("cannot be read" in str(said[0]["message"]) for said in found.values())
