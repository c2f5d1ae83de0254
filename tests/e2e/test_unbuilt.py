"""What is not built, or not judged, is refused by name at the real server."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e._planes import Plane, job


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plane]:
    """Give a control plane with a backend of this machine and one that is simulated."""
    found = Plane(tmp_path_factory.mktemp("doors"))
    found.init()
    found.start()
    yield found
    assert "Traceback" not in found.log, found.log[-5000:]
    found.close()


UNBUILT: dict[str, dict[str, Any]] = {
    "spec.checkpoint": {"checkpoint": {"path": "/ckpt", "every": "10m"}},
}


@pytest.mark.parametrize("path", sorted(UNBUILT))
def test_a_field_without_meaning_is_refused_by_name(plane: Plane, path: str) -> None:
    """What is not built yet is ``job.unsupported:PATH`` at submit and at plan."""
    for route in ("/v1/jobs", "/v1/plans"):
        answer = plane.call("POST", route, job("early", **UNBUILT[path]))
        assert answer.status == 422, answer
        assert f"job.unsupported:{path}" in {one["code"] for one in answer.json["errors"]}, answer


UNKNOWN: dict[str, dict[str, Any]] = {
    "eu-seal.missing:SOV-2": {"seal": {"SOV-2": 3}},
    "eu-seal.missing:SOV-8": {"sovereigntyScore": 60},
    "tee.type": {"tee": ["tdx"]},
    "core.assurance:backend.facts": {"minAssurance": "certified"},
}


@pytest.mark.parametrize("code", sorted(UNKNOWN))
def test_a_constraint_about_what_nobody_stated_denies(plane: Plane, code: str) -> None:
    """A place that says nothing of what the job asks about is refused by the code of the rule that asks."""
    answer = plane.call("POST", "/v1/plans", job("strict", sovereignty=UNKNOWN[code]))
    assert answer.status == 200, answer
    assert answer.json["placeable"] is False
    for site in answer.json["sites"]:
        assert code in {one["code"] for one in site["reasons"]}, site


def test_what_is_not_built_says_so(plane: Plane) -> None:
    """Routes that are specified and not built are refused as such, not as unknown."""
    answer = plane.call("POST", "/v1/backends/local:drain")
    assert answer.code == "api.unsupported", answer
    assert 400 <= answer.status <= 501, answer
