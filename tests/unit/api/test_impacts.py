"""``apply --dry-run``: whom a change would hit, judged in the world as it would be; nothing is written."""

from __future__ import annotations

from typing import Any

import asgi
import pytest
from installations import Installation, document, job

from orchestrator.domain import ids, offers

STAMP = {"source": "s", "asOf": "2026-01-01", "validTo": "2030-12-31"}


@pytest.fixture
def client(installation: Installation) -> asgi.Client:
    """Give an administrator of an installation with a place in France, and one in Germany."""
    client = installation.client()
    declared = [
        ("controlplanes", document("ControlPlane", "self", location={"country": "FR"}, adminFrom=["FR"])),
        ("operators", document("Operator", "op", legalCountry="FR", ultimateParentHq="FR", facts=STAMP)),
        *(("backends", place(country)) for country in ("FR", "DE")),
        ("tenants", document("Tenant", "default", hq="FR")),
    ]
    room = offers.Room(8000, 2**35, slots=8)
    for name in ("fr", "de"):
        offer = offers.Offer(ids.SiteName(f"{name}/p"), room, room, installation.clock.at, largest_node=room)
        installation.seen.record_capabilities(name, offers.Capabilities(frozenset(offers.Capability)))
        installation.seen.record_offers(name, [offer], at=installation.clock.at)
    for kinds, body in declared:
        answer = client.put(f"/v1/{kinds}/{body['metadata']['name']}", json=body)
        assert answer.status_code == 201, answer.text
    return client


def place(country: str, **more: Any) -> dict[str, Any]:
    """Return a backend of a country."""
    where = {"location": {"country": country}, "logStore": {"country": country}, "adminFrom": ["FR"]}
    spec = {"adapter": "simulated", "operator": "op", "pools": [{"name": "p"}], "facts": STAMP, **where}
    return document("Backend", country.lower(), **(spec | more))


def queued(client: asgi.Client, **spec: Any) -> str:
    """Submit a job and return its id."""
    answer = client.post("/v1/jobs", json=job(data="none", **spec))
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def dry(client: asgi.Client, kinds: str, body: dict[str, Any]) -> dict[str, Any]:
    """Return the impact of a dry run."""
    answer = client.put(f"/v1/{kinds}/{body['metadata']['name']}?dryRun=true", json=body)
    assert answer.status_code == 200, answer.text
    return dict(answer.json()["impact"])


def ids_of(hits: list[dict[str, Any]]) -> set[str]:
    """Return the jobs that hits name."""
    return {id for hit in hits for id in hit["jobs"]}


def test_running_and_queued_jobs_are_told(installation: Installation, client: asgi.Client) -> None:
    """Who runs in France would be stopped; who may go only there would have no place; nothing is changed by asking."""
    running = [queued(client) for _ in range(3)]
    for id in running:
        installation.run(id, site="fr/p")
    only = queued(client, sovereignty={"countries": {"allow": ["FR"]}})
    anywhere = queued(client)
    before = installation.store.documents_version()
    floor = document("Tenant", "default", hq="FR", floor={"countries": {"deny": ["FR"]}})
    impact = dry(client, "tenants", floor)
    assert installation.store.documents_version() == before
    assert ids_of(impact["stops"]) == set(running)
    assert [(hit["stops"], hit["running"]) for hit in impact["stops"]] == [(3, 3)]
    assert (ids_of(impact["unplaceable"]), impact["codes"]) == ({only}, ["countries.FR"])
    assert (impact["held"], impact["complete"]) == (True, True)
    assert anywhere not in ids_of(impact["unplaceable"])


def test_facts_that_would_be_too_old_start_a_grace(installation: Installation, client: asgi.Client) -> None:
    """They stop nobody yet."""
    id = queued(client)
    installation.run(id, site="fr/p")
    impact = dry(client, "backends", place("FR", facts=STAMP | {"validTo": "2026-01-02"}))
    assert (ids_of(impact["graces"]), impact["stops"], impact["held"]) == ({id}, [], False)


def test_a_policy_and_an_urgent_directive_are_judged(installation: Installation, client: asgi.Client) -> None:
    """A directive that holds back nobody is not held itself."""
    running = {queued(client) for _ in range(2)}
    for id in running:
        installation.run(id, site="fr/p")
    for immediate in (True, False):
        directive = {"parties": ["default"], "immediate": immediate}
        impact = dry(client, "policies", document("Policy", "d", engine="directive", directive=directive))
        assert (ids_of(impact["stops"]), impact["held"]) == (running, not immediate)
    text = '@id("fr") forbid(principal, action, resource) when { resource has country && resource.country == "FR" };'
    impact = dry(client, "policies", document("Policy", "own", engine="cedar", text=text))
    assert (ids_of(impact["stops"]), impact["codes"]) == (running, ["cedar.own.fr"])


def test_a_change_that_hits_nobody_says_so(client: asgi.Client) -> None:
    """All lists are empty."""
    impact = dry(client, "backends", place("IT"))
    assert impact == {"stops": [], "graces": [], "unplaceable": [], "codes": [], "held": False, "complete": True}


def test_a_withdrawal_is_judged_too(client: asgi.Client) -> None:
    """The job that may go only there has no place without it."""
    only = queued(client, sovereignty={"countries": {"allow": ["DE"]}})
    answer = client.delete("/v1/backends/de?dryRun=true").json()
    assert ids_of(answer["impact"]["unplaceable"]) == {only}
