"""Policies over HTTP: declared by who may, checked before they hold, judged by from then on, withdrawn."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest
from installations import Installation, document, job

from orchestrator.inventory import worlds
from orchestrator.ports import stores

FORBID = """
@id("no-france") @reason("not in France") @remedy("go elsewhere")
forbid(principal, action, resource) when { resource has country && resource.country == "FR" };
"""
CASE = {
    "id": "c1",
    "at": "2026-11-22",
    "job": {},
    "backend": {"country": "FR"},
    "decision": "DENY",
    "rules": ["cedar.p.no-france"],
}


def policy(**spec: Any) -> dict[str, Any]:
    return document("Policy", "p", **({"engine": "cedar", "text": FORBID} | spec))


def here(installation: Installation, country: str = "FR") -> None:
    client = installation.client()
    client.put("/v1/controlplanes/self", json=document("ControlPlane", "self", location={"country": "FR"}))
    client.put("/v1/operators/o", json=document("Operator", "o", legalCountry="FR", ultimateParentHq="FR"))
    body = document(
        "Backend",
        "b",
        adapter="simulated",
        operator="o",
        location={"country": country},
        logStore={"country": "FR"},
        pools=[{"name": "cpu"}],
    )
    assert client.put("/v1/backends/b", json=body).status_code == 201


def codes(installation: Installation, **spec: Any) -> list[str]:
    answer = installation.client().post("/v1/plans", json=job(**spec))
    assert answer.status_code == 200, answer.json()
    (site,) = answer.json()["sites"]
    return [one["code"] for one in site["reasons"] if one["effect"] == "deny"]


def test_a_policy_is_judged_with_from_when_it_is_applied_until_it_is_withdrawn(installation: Installation) -> None:
    """The next answer after PUT has its reason with message, remedy and value; the next after DELETE has not."""
    here(installation)
    client = installation.client()
    assert "cedar.p.no-france" not in codes(installation)
    assert client.put("/v1/policies/p", json=policy(tests=[CASE])).status_code == 201
    (site,) = client.post("/v1/plans", json=job()).json()["sites"]
    (reason,) = [one for one in site["reasons"] if one["code"] == "cedar.p.no-france"]
    assert (reason["message"], reason["basis"]) == ("not in France", "house")
    assert reason["remedy"]["change"] == "go elsewhere"
    assert ("backend.location.country", "FR") in {(one["path"], one["value"]) for one in reason["facts"]}
    assert client.delete("/v1/policies/p").status_code == 200
    assert "cedar.p.no-france" not in codes(installation)


def test_a_policy_comes_back_with_its_tests_and_says_whether_it_holds(installation: Installation) -> None:
    """GET gives text, tests and dates as declared, and whether it can be used and is in force."""
    client = installation.client()
    window = {"from": "2027-01-01", "to": "2027-12-31"}
    case = {**CASE, "at": "2027-01-01"}
    assert client.put("/v1/policies/p", json=policy(tests=[case], effective=window)).status_code == 201
    found = client.get("/v1/policies/p").json()
    assert found["spec"] == {"engine": "cedar", "text": FORBID, "tests": [case], "effective": window}
    assert {one["type"]: one["status"] for one in found["status"]["conditions"]} == {"Usable": True, "InForce": False}
    assert client.put("/v1/policies/p", json={k: v for k, v in found.items() if k != "status"}).json()["change"] == (
        "unchanged"
    )


@pytest.mark.parametrize(
    ("roles", "status"), [(["policy"], 201), (["facts"], 403), (["submit", "operate", "steward", "audit"], 403)]
)
def test_only_the_role_policy_declares_policies(installation: Installation, roles: list[str], status: int) -> None:
    """Whoever tells facts or submits jobs writes no rules."""
    assert installation.client(*roles).put("/v1/policies/p", json=policy()).status_code == status


@pytest.mark.parametrize(
    ("spec", "path", "code", "words"),
    [
        (
            {"text": FORBID.replace("country ==", "cuntry ==")},
            "spec.text",
            "policy.invalid",
            ("line 3, column 77", "cuntry", "country"),
        ),
        ({"text": "forbid(principal, action, resource)"}, "spec.text", "policy.invalid", ("line 1", "does not end")),
        (
            {"tests": [{**CASE, "decision": "ALLOW", "rules": []}]},
            "spec.tests[0]",
            "policy.test-failed",
            ("c1", "DENY"),
        ),
        ({"tests": [{**CASE, "job": {"wrkload": 1}}]}, "spec.tests[0].job.wrkload", "document.invalid", ("unknown",)),
    ],
)
def test_a_policy_that_cannot_be_judged_is_refused(
    installation: Installation, spec: dict[str, Any], path: str, code: str, words: tuple[str, ...]
) -> None:
    """Text and tests are checked when applied, in a dry run too: place, attribute, nearest name; nothing is kept."""
    client = installation.client()
    for url in ("/v1/policies/p", "/v1/policies/p?dryRun=true"):
        answer = client.put(url, json=policy(**spec))
        assert answer.status_code == 422
        (error,) = answer.json()["errors"]
        assert (error["path"], error["code"]) == (path, code)
        assert all(word in f"{error['problem']} {error.get('remedy')}" for word in words), error
    assert client.get("/v1/policies").json()["items"] == []


def test_strict_mode_takes_no_policy_without_tests(installation: Installation) -> None:
    """With --policy-tests-required a policy brings tests, or is refused with its own code."""
    context = dataclasses.replace(installation.context, policy_tests_required=True)
    installation.given.context = context
    client = installation.client()
    answer = client.put("/v1/policies/p", json=policy())
    assert [one["code"] for one in answer.json()["errors"]] == ["policy.tests-missing"]
    assert client.put("/v1/policies/p", json=policy(tests=[CASE])).status_code == 201


def test_policies_are_bounded_in_number(installation: Installation) -> None:
    """The sixty-fifth policy is refused; changing one that is there is not."""
    client = installation.client()
    for number in range(64):
        body = document("Policy", f"p{number}", engine="directive", directive={"models": ["m"]})
        assert client.put(f"/v1/policies/p{number}", json=body).status_code == 201
    assert client.put("/v1/policies/p", json=policy()).status_code == 422
    assert client.put("/v1/policies/p0", json=document("Policy", "p0", engine="cedar", text=FORBID)).status_code == 200


def test_a_directive_names_a_model_while_it_is_in_force(installation: Installation) -> None:
    """A job with the model is refused from the first to the last day named, others are not."""
    here(installation)
    window = {"models": ["fable-5"], "from": "2026-11-22", "to": "2026-11-23", "source": "a letter"}
    body = document("Policy", "d1", engine="directive", directive=window)
    assert installation.client().put("/v1/policies/d1", json=body).status_code == 201
    assert "directive.d1" in codes(installation, model={"id": "fable-5"})
    assert "directive.d1" not in codes(installation, model={"id": "other"})
    installation.clock.pass_(days=1)
    assert "directive.d1" in codes(installation, model={"id": "fable-5"})
    installation.clock.pass_(days=1)
    assert "directive.d1" not in codes(installation, model={"id": "fable-5"})


def test_a_policy_that_cannot_be_read_refuses_everything(installation: Installation) -> None:
    """A document that another version stored fails closed, by name, and says so."""
    here(installation)
    body = '{"apiVersion":"comity.dev/v1","kind":"Policy","metadata":{"name":"old"},"spec":{"engine":"prolog"}}'
    installation.store.commit(stores.Changes(documents=(stores.Document("Policy", "old", "", body),)))
    assert "cedar.error:old" in codes(installation)
    (usable, _) = installation.client().get("/v1/policies/old").json()["status"]["conditions"]
    assert (usable["status"], "cedar.error:old" in usable["message"]) == (False, True)


def test_the_book_of_an_old_decision_has_the_policy_of_its_time(installation: Installation) -> None:
    """The digest of the rule book covers the text of policies, and dates are part of when answers expire."""
    client = installation.client()
    digests = []
    for text in (FORBID, FORBID.replace("France", "Gaul")):
        client.put("/v1/policies/p", json=policy(text=text))
        book = installation.context.world().book
        assert book is not None
        assert json.loads(book.body)["policies"][0][:2] == ["p", text]
        digests.append(book.digest)
    client.delete("/v1/policies/p")
    last = installation.context.world()
    assert last.book is not None
    assert len({*digests, last.book.digest}) == 3
    assert isinstance(last, worlds.World)


def test_cases_are_judged_by_the_rules_in_force(installation: Installation) -> None:
    """POST /v1/policies:test answers cases with the packs and policies of this server, and runs policies' own tests."""
    client = installation.client("policy")
    case = {
        **CASE,
        "backend": {"country": "FR", "operator": {"legal_country": "FR", "parent_hq": "FR"}},
        "decision": "ALLOW",
        "rules": [],
    }
    assert client.post("/v1/policies:test", json={"cases": [case]}).json() == {
        "cases": 1,
        "disagree": 0,
        "disagreements": [],
    }
    client.put("/v1/policies/p", json=policy())
    found = client.post("/v1/policies:test", json={"cases": [case]}).json()
    assert (found["disagree"], found["disagreements"][0]["got"]["rules"]) == (1, ["cedar.p.no-france"])
    wrong = policy(tests=[{**CASE, "decision": "ALLOW", "rules": []}])
    assert client.post("/v1/policies:test", json={"documents": [wrong]}).json()["disagree"] == 1
    assert client.post("/v1/policies:test", json={}).status_code == 400
    assert installation.client("submit").post("/v1/policies:test", json={"cases": []}).status_code == 403
