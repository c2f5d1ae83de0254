"""Who is bound by whose lists, over HTTP: stated in documents, told in answers, never a way around where one sits."""

from __future__ import annotations

from typing import Any

import asgi
import pytest
from installations import Installation, document, job

from orchestrator.domain import ids, listings
from orchestrator.inventory import screeners

LEI = "000012INVENTED000096"
PARTY = listings.Entry(
    "900001", "us", listings.Kind.ENTITY, ("NORDKAP JSC",), identifiers=(listings.Identifier("lei", LEI),)
)
EUROPEAN = {"sanctionsRegimes": ["eu", "un"]}
BLOCKED = {"blockingLaws": [{"law": "Regulation (EC) 2271/96", "forbids": "us"}]}


@pytest.fixture
def client(installation: Installation) -> asgi.Client:
    """Give an administrator of an installation with one place, whose operator is on a list of the US by its number."""
    client = installation.client()
    digest = ids.Digest("sha256:" + "3" * 64)
    day = installation.clock.now().date()
    copy = listings.Snapshot("us-sdn", "us", "xml", day, 7, digest, (PARTY,), digest=digest)
    screener = screeners.Screener(listings.Loaded((copy,)))
    installation.context.inventory._lists = lambda: screener
    declare(client)
    place = document("Backend", "b", adapter="simulated", operator="op", location={"country": "FR"}, adminFrom=["FR"])
    place["spec"]["pools"] = [{"name": "p"}]
    assert client.put("/v1/backends/b", json=place).status_code == 201
    return client


def declare(client: asgi.Client, **by: dict[str, Any]) -> None:
    """Declare control plane, operator and tenant, with more of their specs: ``plane``, ``operator``, ``tenant``."""
    france = {"legalCountry": "FR", "ultimateParentHq": "FR", "lei": LEI}
    plane = {"location": {"country": "FR"}, "adminFrom": ["FR"]} | by.get("plane", {})
    for kinds, body in (
        ("controlplanes", document("ControlPlane", "self", **plane)),
        ("operators", document("Operator", "op", **(france | by.get("operator", {})))),
        ("tenants", document("Tenant", "default", **({"hq": "FR"} | by.get("tenant", {})))),
    ):
        answer = client.put(f"/v1/{kinds}/{body['metadata']['name']}?reason=asked", json=body)
        assert answer.status_code in (200, 201), answer.text


def codes(client: asgi.Client) -> set[str]:
    """Return what a plan says of the place about sanctions."""
    (site,) = client.post("/v1/plans", json=job()).json()["sites"]
    return {one["code"] for one in site["reasons"] if "sanctions" in one["code"] or "caveat.listed" in one["code"]}


LISTED = {"sanctions.listed-party", "caveat.listed:us-sdn:900001"}
UNBOUND = {"caveat.listed:us-sdn:900001"}
"""Not refused for it; what the pack says of a site that is allowed is in ``tests/unit/policy/test_caveats.py``."""


def test_whoever_states_nothing_is_bound_by_all(client: asgi.Client) -> None:
    """One of the three that states nothing is enough for a refusal."""
    assert codes(client) == LISTED
    declare(client, operator=EUROPEAN, tenant=EUROPEAN)
    assert codes(client) == LISTED
    declare(client, operator=EUROPEAN, plane=EUROPEAN)
    assert codes(client) == LISTED


def test_a_list_that_binds_nobody_is_a_caveat(client: asgi.Client) -> None:
    """Where all three state by what they are bound, a list of another regime is told and refuses nothing."""
    declare(client, operator=EUROPEAN, tenant=EUROPEAN, plane=EUROPEAN)
    assert codes(client) == UNBOUND


@pytest.mark.parametrize(
    ("who", "seat"),
    [
        ("tenant", {"hq": "US"}),
        ("tenant", {"usPerson": True}),
        ("operator", {"usPerson": True}),
        ("operator", {"ultimateParentHq": "US"}),
        ("plane", {"adminFrom": ["FR", "US"]}),
    ],
)
def test_nobody_states_away_where_he_sits(client: asgi.Client, who: str, seat: dict[str, Any]) -> None:
    """A person of the US, or somebody who sits there, is bound by its lists whatever the documents state."""
    stated: dict[str, dict[str, Any]] = {name: dict(EUROPEAN) for name in ("operator", "tenant", "plane")}
    stated[who] |= seat
    declare(client, **stated)
    assert codes(client) == LISTED


def test_the_operator_of_the_control_plane_sits_somewhere_too(client: asgi.Client) -> None:
    """The company that runs the control plane is bound where it is established."""
    declare(client, operator=EUROPEAN, tenant=EUROPEAN, plane=EUROPEAN | {"operator": "host"})
    assert codes(client) == UNBOUND
    client.put("/v1/operators/host", json=document("Operator", "host", legalCountry="US", ultimateParentHq="FR"))
    assert codes(client) == LISTED


@pytest.mark.parametrize("who", ["operator", "tenant", "plane"])
def test_a_blocking_law_makes_it_a_question_for_counsel(client: asgi.Client, who: str) -> None:
    """Neither obeyed nor disobeyed: refused with its own code and remedy, never a silent choice."""
    declare(client, **{who: BLOCKED})
    assert codes(client) == {"sanctions.conflict-of-laws", "caveat.listed:us-sdn:900001"}
    (site,) = client.post("/v1/plans", json=job()).json()["sites"]
    (conflict,) = [one for one in site["reasons"] if one["code"] == "sanctions.conflict-of-laws"]
    assert conflict["remedy"]["change"] == "review by counsel"


def test_stating_fewer_regimes_loosens(installation: Installation, client: asgi.Client) -> None:
    """Whoever is bound by fewer than before is told so, and the journal keeps it."""
    declare(client, operator=EUROPEAN)
    entries = [one.entry for one in installation.store.entries(after=0, limit=200)]
    (entry,) = [one for one in entries if one.kind == "change.loosened"]
    assert "spec.sanctionsRegimes" in str(entry.body)


def test_an_unknown_regime_is_an_error_with_the_nearest(client: asgi.Client) -> None:
    """A misspelt regime would bind nobody, without a word."""
    body = document("Tenant", "default", hq="FR", sanctionsRegimes=["usa"])
    answer = client.put("/v1/tenants/default", json=body)
    assert answer.status_code == 422
    assert "did you mean us?" in answer.text
