"""What may be said of a cluster, and what no head has."""

import pytest

from backends import ray
from backends.ray import settings
from orchestrator.ports import backends
from orchestrator.settings import adapters

GOOD = {"url": "http://ray.example:8265"}


def problems(**more):
    with pytest.raises(adapters.SettingsError) as caught:
        settings.RaySettings.read({**GOOD, **more})
    return caught.value.problems


@pytest.mark.parametrize(
    "url",
    [
        "ftp://ray.example",
        "file:///etc/passwd",
        "ray.example:8265",
        "http://",
        "http://me@ray.example",
        "http://me:secret@ray.example",
        "https://ray.example/?a=b",
        "https://ray.example/#x",
        "https://ray.example?",
        "http://ray.example/a/../b",
        "http://ray.example\\@other",
        "http://ray.example/\r\nX: y",
        "http://ray .example",
        "http://169.254.169.254",
        "http://[fe80::1]:8265",
        "http://0.0.0.0:8265",
        "http://[::ffff:169.254.169.254]/",
        "http://224.0.0.1",
        "http://ray.example:99999",
    ],
)
def test_a_url_that_no_head_has_is_refused(url):
    """Other schemes, users, queries, odd letters, addresses where clouds keep credentials; nothing is repeated."""
    (problem,) = problems(url=url)
    assert problem.startswith("url: ")
    assert "secret" not in problem


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8265", "https://ray.example/cluster/a/", "http://[::1]:8265", "http://10.0.0.4"]
)
def test_a_head_may_be_near_or_behind_a_path(url):
    """Loopback, private addresses and a proxy's path are ordinary places of a head."""
    assert settings.RaySettings.read({"url": url}).url == url.rstrip("/")


def test_every_problem_is_told_at_once():
    """Two wrong settings are two problems, each with its path."""
    found = problems(nope=1, pools={"p": {"resources": {"CPU": 1.0}}}, timeoutSeconds=0)
    assert sorted(problem.partition(":")[0] for problem in found) == ["nope", "pools.p.resources", "timeoutSeconds"]


@pytest.mark.parametrize("value", ["in(a", "a)", "a,b", "!!a", "in()", "-a", ""])
def test_a_condition_that_ray_does_not_read_is_refused_before_it_is_sent(value):
    """Ray would refuse the job, or read it otherwise than we do."""
    assert problems(pools={"p": {"labels": {"ray.io/availability-region": value}}})


def test_one_installer_at_most():
    """Ray takes one of pip, uv and conda."""
    assert problems(runtimeEnv={"pip": ["a"], "conda": "b"})


def test_outputs_are_a_power_only_with_a_shared_folder(tmp_path):
    """What cannot come back is not claimed."""
    context = backends.AdapterContext("b", (), str(tmp_path), "i", lambda: None)
    without = ray.plugin.build(GOOD, context).capabilities().powers
    shared = ray.plugin.build({**GOOD, "sharedFolder": str(tmp_path)}, context).capabilities().powers
    assert {power.value for power in shared - without} == {"outputs", "copies"}
    assert not {"gangs", "containers", "fences", "dataMounts"} & {power.value for power in shared}
