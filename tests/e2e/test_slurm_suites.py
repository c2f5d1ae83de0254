"""A later Slurm, from a later Debian, runs on this machine too: slurmrestd v0.0.40 to v0.0.42 are spoken to for real.

At full size only: it takes 30 MB of packages.
"""

import os
from collections.abc import Iterator

import pytest

from tests.e2e.slurm import clusters, faults, fixtures

pytestmark = pytest.mark.skipif(os.environ.get("COMITY_TEST_SIZE") != "full", reason="at full size only")


@pytest.fixture(scope="module")
def trixie() -> Iterator[clusters.Cluster]:
    """Give a cluster of Slurm 24.11."""
    held = fixtures.joined(f"t{os.getpid()}", suite="trixie")
    try:
        yield held.cluster
    finally:
        held.close_and_wait()


@pytest.mark.parametrize("version", ["v0.0.40", "v0.0.41", "v0.0.42"])
def test_a_job_runs_by_each_version(trixie: clusters.Cluster, version: str) -> None:
    """A gang with accelerators runs on two nodes; a field that is not in the specification is taken with a warning."""
    assert version in trixie.versions
    job = {
        "script": "#!/bin/sh\necho $SLURM_JOB_NUM_NODES $CUDA_VISIBLE_DEVICES\n",
        "environment": ["PATH=/usr/bin:/bin"],
        "current_working_directory": str(trixie.home()),
        "standard_output": version,
        "tres_per_node": "gres/gpu:h100:2",
        "nodes": "2-2",
    }
    status, body = trixie.request("POST", f"/slurm/{version}/job/submit", {"job": job})
    assert (status, body["errors"], body["warnings"]) == (200, [], [])
    number = body["job_id"]
    faults.until(lambda: trixie.state(number) == "COMPLETED", "the end")
    nodes, devices = (trixie.home() / version).read_text().split()
    assert (nodes, len(devices.split(","))) == ("2", 2)
    unknown = job | {"gres": "gpu:h100:2", "standard_output": "/dev/null"}
    status, body = trixie.request("POST", f"/slurm/{version}/job/submit", {"job": unknown})
    assert (status, body["errors"], len(body["warnings"])) == (200, [], 1)


def test_what_is_not_there_is_404_and_a_bad_token_511(trixie: clusters.Cluster) -> None:
    """Where the version of Debian 12 says 500 to both."""
    assert trixie.request("GET", "job/9999")[0] == 404
    assert trixie.request("GET", "jobs", token=trixie.signed(exp=1))[0] == 511
