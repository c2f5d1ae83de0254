"""Whole documents in a policy case are judged as the server would judge them."""

import pytest

from orchestrator.bootstrap import cases as documents_reader
from orchestrator.policy import cases
from orchestrator.sources import packs


def _document(kind, name, **spec):
    return {"apiVersion": "comity.dev/v1", "kind": kind, "metadata": {"name": name}, "spec": spec}


JOB = [
    _document("Job", "a", command=["x"], data={"reads": [{"name": "p"}]}),
    _document("DataSet", "p", controller={"operator": "h", "country": "FR"}, classes=["health"], subjects=["FR"]),
    _document("Tenant", "t", hq="FR"),
]
PLANE = _document("ControlPlane", "self", location={"country": "FR"})
OPERATOR = _document("Operator", "o", legalCountry="FR", ultimateParentHq="FR")


def _backend(**certificate):
    held = {"scheme": "hds-v2", "service": "s", "regions": ["r"], "validTo": "2027-01-01"} | certificate
    place = {"country": "FR", "region": "r"}
    return _document("Backend", "b", adapter="local", operator="o", service="s", location=place, certifications=[held])


def _answer(job, backend, expected="ALLOW", rules=()):
    case = {"id": "D", "at": "2026-11-22", "job": job, "backend": backend, "decision": expected, "rules": list(rules)}
    found = cases.read({"cases": [case]}, documents=documents_reader.reader())
    return cases.run(found, packs.load())


def test_documents_are_allowed_as_the_rules_say():
    """French health data may go to a certified French site of a French operator."""
    assert _answer([*JOB, PLANE], [_backend(), OPERATOR]) == ()


@pytest.mark.parametrize(
    "certificate", [{"validTo": "2026-11-21"}, {"service": "other"}, {"regions": ["elsewhere"]}, {"scheme": "hds-v1"}]
)
def test_a_certificate_counts_for_its_service_region_and_time(certificate):
    """A certificate that is over, or of another service, region or scheme, is none."""
    backend = [_backend(**certificate), OPERATOR]
    assert _answer([*JOB, PLANE], backend, "DENY", ["fr-hds.certificate"]) == ()


def test_an_operator_nobody_registered_is_unknown():
    """The facts of an operator whose document is missing are missing, and denied so."""
    missing = ["core.missing:operator.legal_country", "core.missing:operator.parent_hq"]
    assert _answer([*JOB, PLANE], [_backend()], "DENY", missing) == ()


def test_every_problem_is_named():
    """A document that does not belong there is named, and an unknown field on either side too."""
    with pytest.raises(cases.CaseError) as caught:
        _answer([*JOB, PLANE, OPERATOR], [_document("Backend", "b", adapter="local", colour="red"), OPERATOR])
    text = " ".join(text for _, text in caught.value.problems)
    assert "Operator does not belong here" in text
