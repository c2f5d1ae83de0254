"""A code that is no country never becomes the fact of a place, whose comparison with a deny list it would pass."""

import pytest

from orchestrator.domain import countries
from orchestrator.wire import errors
from orchestrator.wire.documents import reading


def _document(kind, **spec):
    spec = {"adapter": "local", **spec} if kind == "Backend" else spec
    return {"apiVersion": "comity.dev/v1", "kind": kind, "metadata": {"name": "x"}, "spec": spec}


@pytest.mark.parametrize(
    ("kind", "spec", "path"),
    [
        ("Backend", {"location": {"country": "UK"}}, "spec.location.country"),
        ("Backend", {"adminFrom": ["FR", "UK"]}, "spec.adminFrom[1]"),
        ("Backend", {"logStore": {"country": "UK"}}, "spec.logStore.country"),
        ("Operator", {"legalCountry": "UK"}, "spec.legalCountry"),
        ("Operator", {"ultimateParentHq": "UK"}, "spec.ultimateParentHq"),
        ("DataSet", {"subjects": ["UK"]}, "spec.subjects[0]"),
        ("Tenant", {"hq": "UK"}, "spec.hq"),
        ("ControlPlane", {"location": {"country": "UK"}}, "spec.location.country"),
    ],
)
def test_a_code_that_iso_does_not_have_is_refused(kind, spec, path):
    """The path is named, and what was probably meant."""
    with pytest.raises(errors.InvalidDocumentError) as caught:
        reading.read(_document(kind, **spec))
    (only,) = caught.value.errors
    assert (only.path, only.remedy) == (path, "write GB")


@pytest.mark.parametrize(
    ("kind", "spec", "path", "remedy"),
    [
        ("Backend", {"location": {"subdivision": "UK-ENG"}}, "spec.location.subdivision", "write GB-ENG"),
        (
            "Backend",
            {"location": {"country": "FR", "subdivision": "XX-1"}},
            "spec.location.subdivision",
            "begin with a code of ISO 3166-1 alpha-2, e.g. FR-59",
        ),
        (
            "Backend",
            {"pools": [{"name": "a"}, {"name": "b", "location": {"country": "FR", "subdivision": "DE-BE"}}]},
            "spec.pools[1].location.subdivision",
            "write country: DE, or a subdivision that begins with FR-",
        ),
        (
            "ControlPlane",
            {"backupStore": {"country": "CH", "subdivision": "FR-75"}},
            "spec.backupStore.subdivision",
            "write country: FR, or a subdivision that begins with CH-",
        ),
        (
            "DataSet",
            {"location": {"country": "CN", "subdivision": "TW-TPE"}},
            "spec.location.subdivision",
            "write country: TW, or a subdivision that begins with CN-",
        ),
    ],
)
def test_a_subdivision_lies_in_its_country(kind, spec, path, remedy):
    """A subdivision of no country, or of another than the one stated beside it, is refused by path."""
    with pytest.raises(errors.InvalidDocumentError) as caught:
        reading.read(_document(kind, **spec))
    assert (path, remedy) in {(one.path, one.remedy) for one in caught.value.errors}


def test_a_subdivision_alone_is_no_error():
    """A country that is not stated is missing, and judged so."""
    reading.read(_document("Backend", location={"subdivision": "FR-59"}))
    reading.read(_document("Backend", location={"country": "FR", "subdivision": "FR-59"}))


def test_every_code_is_a_country():
    """All 249 codes are read, NO among them."""
    assert len(countries.CODES) == 249
    for code in countries.CODES:
        model = reading.read(_document("Operator", legalCountry=code)).model
        assert model.spec.legal_country == code


def test_subjects_may_be_somewhere_in_the_union():
    """``EU`` stands for somebody in the European Union, among subjects only."""
    reading.read(_document("DataSet", subjects=["EU", "FR"]))
    with pytest.raises(errors.InvalidDocumentError):
        reading.read(_document("Operator", legalCountry="EU"))
