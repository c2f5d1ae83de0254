"""Akash's language: what is read, what is refused, and what bidders are shown of it."""

import json
from typing import Any

import pytest

from backends.akash.sdl import checks, documents, outcomes, quantities
from tests.unit.backends.akash import sdl_samples
from tests.unit.backends.akash.sdl_samples import SIMPLE, changed

SECRETS = ("example.test", "COMMAND=", "ARGS=", "ENV=", "secret-of-nobody", "user")


def made(document: dict[str, Any]) -> tuple[Any, Any]:
    """Return groups and manifest."""
    return outcomes.made(documents.read(document))


def resource(document: dict[str, Any]) -> Any:
    """Return the only resource that bidders see."""
    return made(document)[0][0]["resources"][0]["resource"]


def test_a_document_becomes_groups_and_a_manifest() -> None:
    """Amounts in whole units, as text; the price with its places; nothing to reach from outside."""
    ((group,), (manifest,)) = made(dict(SIMPLE))
    (unit,) = group["resources"]
    assert unit["price"] == {"denom": "uact", "amount": "12.500000000000000000"}
    assert unit["resource"]["cpu"] == {"units": {"val": "2000"}}
    assert unit["resource"]["memory"] == {"size": {"val": str(4 * 2**30)}}
    assert (unit["resource"]["endpoints"], unit["resource"]["gpu"]) == ([], {"units": {"val": "0"}})
    (service,) = manifest["services"]
    assert (service["command"], service["args"], service["expose"]) == (["/bin/train"], None, [])


def test_bidders_see_nothing_of_the_work() -> None:
    """No image, command, argument, variable, host name or credential stands in what bidders are shown."""
    taken = 0
    for seed in range(60):
        try:
            groups, manifest = made(sdl_samples.drawn(seed))
        except outcomes.SdlError:  # two services wanted one port of one address
            continue
        shown, sent = json.dumps(groups, ensure_ascii=False), json.dumps(manifest, ensure_ascii=False)
        assert not [secret for secret in SECRETS if secret in shown]
        assert "example.test" in sent
        taken += 1
    assert taken > 40


@pytest.mark.parametrize(
    ("path", "value", "why"),
    [
        ("version", "2.2", "version"),
        ("unknown", 1, "unknown"),
        ("include", ["other.yaml"], "include"),
        ("services/job/image", "", "image"),
        ("services/job/imgae", "x", "imgae"),
        ("services/job/credentials", {"host": "h", "username": "u", "password": "short"}, "password"),
        ("services/job/expose", [{"port": 0}], "port"),
        ("services/job/expose", [{"port": 80, "http_options": {"next_cases": ["off", "500"]}}], "off stands alone"),
        ("services/job/expose", [{"port": 80, "to": [{"ip": "a1"}]}], "global"),
        ("services/job/expose", [{"port": 80, "to": [{"global": True, "ip": "a1"}]}], "no endpoint a1"),
        ("services/job/params", {"tee": "cpu-gpu"}, "asks for GPUs"),
        ("services/job/params", {"storage": {"data": {"mount": "/d"}}}, "no such volume"),
        ("profiles/compute/job/resources/cpu/units", 0, "no CPU"),
        ("profiles/compute/job/resources/cpu/units", "0.5m", "no number of CPUs"),
        ("profiles/compute/job/resources/cpu/units", -1, "no amount"),
        ("profiles/compute/job/resources/cpu/units", True, "units"),
        ("profiles/compute/job/resources/memory/size", "4 GB", "no amount"),
        ("profiles/compute/job/resources/memory/size", "4Xi", "no size"),
        ("profiles/compute/job/resources/storage", {"size": "1Gi", "attributes": {"class": "beta2"}}, "is persistent"),
        (
            "profiles/compute/job/resources/storage",
            {"size": "1Gi", "attributes": {"class": "ram", "persistent": True}},
            "never persistent",
        ),
        ("profiles/compute/job/resources/gpu", {"units": 1}, "named together"),
        ("profiles/compute/job/resources/gpu", {"attributes": {"vendor": {"nvidia": None}}}, "named together"),
        ("profiles/compute/job/resources/gpu", {"units": 1, "attributes": {"vendor": {"amd": []}}}, "amd"),
        ("profiles/placement/here/pricing/job/denom", "eur", "denom"),
        ("profiles/placement/here/pricing/job/amount", -1, "no amount"),
        ("profiles/placement/here/pricing", {}, "no price for job"),
        ("deployment/job/here/count", 0, "count"),
        ("deployment/job/here/profile", "other", "no compute profile other"),
        ("deployment/other", {"here": {"profile": "job", "count": 1}}, "no service other"),
        ("deployment/job/there", {"profile": "job", "count": 1}, "no placement profile there"),
        ("endpoints", {"A": {"kind": "ip"}}, "no name of an endpoint"),
        ("endpoints", {"a1": {"kind": "ip"}}, "never used"),
        ("reclamation", {"min_window": "1h30m"}, "min_window"),
    ],
)
def test_what_cannot_be_deployed_is_refused(path: str, value: object, why: str) -> None:
    """With the path and a reason."""
    with pytest.raises(ValueError, match=why):
        made(changed(path, value))


def test_everything_that_does_not_fit_is_told_at_once() -> None:
    """Not the first only."""
    bad = changed("deployment/other", {"there": {"profile": "none", "count": 1}})
    found = checks.problems(documents.read(bad))
    assert len(found) == 3, found


def test_volumes_are_kept_where_they_are_mounted() -> None:
    """A persistent volume needs a mount of its own; two at one path are refused; smaller ones come first."""
    kept = {"class": "beta3", "persistent": True}
    volumes = [{"name": "big", "size": "9Gi", "attributes": kept}, {"size": "1Gi"}]
    document = changed("profiles/compute/job/resources/storage", volumes)
    with pytest.raises(outcomes.SdlError, match="big is persistent"):
        made(document)
    mounted = changed("services/job/params", {"storage": {"big": {"mount": "/data"}}}, given=document)
    found = resource(mounted)["storage"]
    assert [volume["name"] for volume in found] == ["default", "big"]
    assert found[1]["attributes"] == [{"key": "class", "value": "beta3"}, {"key": "persistent", "value": "true"}]
    twice = changed(
        "services/job/params", {"storage": {"big": {"mount": "/d"}, "default": {"mount": "/d"}}}, given=document
    )
    with pytest.raises(outcomes.SdlError, match="is where"):
        made(twice)


def test_models_of_gpus_are_attributes() -> None:
    """Model, memory and interface in one key; none named: any."""
    gpu = {"units": "2", "attributes": {"vendor": {"nvidia": [{"model": "h100", "ram": "80Gi", "interface": "sxm"}]}}}
    found = resource(changed("profiles/compute/job/resources/gpu", gpu))["gpu"]
    assert found["units"] == {"val": "2"}
    assert found["attributes"] == [{"key": "vendor/nvidia/model/h100/ram/80Gi/interface/sxm", "value": "true"}]
    gpu = {"units": 1, "attributes": {"vendor": {"nvidia": None}}}
    anything = resource(changed("profiles/compute/job/resources/gpu", gpu))["gpu"]["attributes"]
    assert anything == [{"key": "vendor/nvidia/model/*", "value": "true"}]


def test_one_kind_of_enclave_a_group() -> None:
    """It becomes a requirement of the group, so that only who has it may bid; two kinds are refused."""
    asked = changed("services/job/params", {"tee": "cpu"})
    assert made(asked)[0][0]["requirements"]["attributes"] == [{"key": "tee/type", "value": "cpu"}]
    gpu = {"units": 1, "attributes": {"vendor": {"nvidia": None}}}
    both = changed("profiles/compute/job/resources/gpu", gpu, given=asked)
    both["services"]["other"] = {"image": "example.test/a:1", "params": {"tee": "cpu-gpu"}}
    both["deployment"]["other"] = {"here": {"profile": "job", "count": 1}}
    with pytest.raises(outcomes.SdlError, match="one kind a group"):
        made(both)


def test_a_shared_profile_is_one_resource_from_2_1_on() -> None:
    """Before, each service has one of its own."""
    document = changed("services/other", {"image": "example.test/a:1"})
    document["deployment"]["other"] = {"here": {"profile": "job", "count": 3}}
    assert [unit["count"] for unit in made(document)[0][0]["resources"]] == [1, 3]
    assert [unit["count"] for unit in made({**document, "version": "2.1"})[0][0]["resources"]] == [4]


@pytest.mark.parametrize(
    ("given", "milli"), [(0.001, 1), ("0.1", 100), (0.1, 100), ("250m", 250), (3, 3000), (0.29, 290)]
)
def test_cpus_are_counted_in_thousandths(given: str | float, milli: int) -> None:
    """Exactly: 0.29 is 290, though no float is."""
    assert quantities.cpu_milli(given) == milli
