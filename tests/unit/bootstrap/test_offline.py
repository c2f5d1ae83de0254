"""A plan without a server: files are the world, and what is wrong with them is told as a server would."""

import datetime as dt

import pytest

from orchestrator.bootstrap import offline
from orchestrator.wire import errors

AT = dt.datetime(2026, 11, 22, tzinfo=dt.UTC)


def _document(kind, name, **spec):
    return {"apiVersion": "comity.dev/v1", "kind": kind, "metadata": {"name": name}, "spec": spec}


OPERATOR = _document("Operator", "o", legalCountry="FR", ultimateParentHq="FR")
PLANE = _document("ControlPlane", "self", location={"country": "FR"}, adminFrom=["FR"])
DATA = _document("DataSet", "people", classes=["personal"], subjects=["FR"], controller={"country": "FR"})


def _backend(name, country, *pools):
    return _document("Backend", name, adapter="simulated", operator="o", location={"country": country}, pools=[*pools])


def _chips(name, count):
    return {"name": name, "accelerator": "H100", "count": count}


def _job(**spec):
    return _document("Job", "j", command=["x"], **{"data": "none", **spec})


def _plan(job, *documents, tenant="default"):
    world = offline.read([OPERATOR, PLANE, *documents], tenant=tenant, at=AT)
    return offline.plan(job, world, tenant=tenant, at=AT)


def _codes(answer):
    return {
        site["site"]: sorted(reason["code"] for reason in site["reasons"] if reason["effect"] == "deny")
        for site in answer["sites"]
        if not site["allowed"]
    }


def test_rules_and_room_refuse_and_the_rest_is_ranked():
    """A place with too few accelerators is refused for that, one outside the EEA for its country, one takes it."""
    job = _job(data={"reads": [{"name": "people"}]}, resources={"accelerators": {"anyOf": ["H100"], "count": 4}})
    places = [_backend("big", "FR", _chips("a", 8), _chips("b", 2)), _backend("far", "IN", _chips("a", 8))]
    answer = _plan(job, DATA, *places)
    assert (answer["chosen"], answer["ranking"], answer["placeable"]) == ("big/a", ["big/a"], True)
    assert _codes(answer) == {
        "big/b": ["capacity.full", "fit.accelerator-count"],
        "far/a": ["eu-gdpr.transfer:IN"],
    }


def test_without_a_control_plane_nobody_knows_where_it_stands():
    """Personal data is refused: its decision would be kept at a place that nobody stated."""
    world = offline.read([OPERATOR, DATA, _backend("b", "FR")], tenant="t", at=AT)
    answer = offline.plan(_job(data={"reads": [{"name": "people"}]}), world, tenant="t", at=AT)
    assert _codes(answer) == {"b/default": ["eu-gdpr.transfer:unknown"]}


def test_the_tenant_counts():
    """A host that takes tenants of one country takes the one from there."""
    host = _backend("b", "FR")
    host["spec"]["accepts"] = {"tenantCountries": ["FR"]}
    tenants = [_document("Tenant", "near", hq="FR"), _document("Tenant", "far", hq="US")]
    assert _plan(_job(), host, *tenants, tenant="near")["chosen"] == "b/default"
    assert _codes(_plan(_job(), host, *tenants, tenant="far")) == {"b/default": ["accepts.tenant-country"]}
    assert _codes(_plan(_job(), host, *tenants)) == {"b/default": ["accepts.tenant-country"]}


def test_a_job_that_says_nothing_about_data_is_told():
    """The notice of a server stands here too."""
    assert _plan(_document("Job", "j", command=["x"]), _backend("b", "FR"))["notices"]


@pytest.mark.parametrize(
    ("job", "path"),
    [
        (_job(data={"reads": [{"name": "poeple"}]}), "spec.data.reads[0].name"),
        (_job(resources={"accelerators": {"anyOf": ["H10"], "count": 1}}), "spec.resources.accelerators.anyOf[0]"),
        (_job(tier="gold"), "spec.tier"),
        (_job(queue="q"), "spec.queue"),
        (OPERATOR, "kind"),
    ],
)
def test_what_a_job_names_must_be_there(job, path):
    """An unknown name is an error with its place, not a refusal of every site."""
    with pytest.raises(errors.InvalidDocumentError) as found:
        _plan(job, DATA, _backend("b", "FR"))
    assert [
        errors.render_path(one.path) if isinstance(one.path, tuple) else one.path for one in found.value.errors
    ] == [path]


@pytest.mark.parametrize(
    "documents",
    [
        [_document("Queue", "q", weight=2)],
        [PLANE | {"metadata": {"name": "other"}}],
        [OPERATOR],
        [_document("Operator", "p", legalCountry="Frankreich")],
    ],
)
def test_bad_worlds_are_errors(documents):
    """What cannot be judged with, two control planes, one name twice, an unknown country."""
    with pytest.raises(errors.InvalidDocumentError):
        offline.read([OPERATOR, PLANE, *documents], tenant="t", at=AT)
