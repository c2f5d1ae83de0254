"""What is kept on Slurm 22.05 is kept on 24.11 too, by the latest version that both sides speak: at full size only."""

import os
import pathlib
import secrets
from collections.abc import Iterator

import pytest

from tests.e2e import test_slurm_bounds, test_slurm_containers, test_slurm_gangs, test_slurm_outputs
from tests.e2e._slurm import Site
from tests.e2e.slurm import clusters, faults, fixtures

pytestmark = pytest.mark.skipif(os.environ.get("COMITY_TEST_SIZE") != "full", reason="at full size only")

for _module in (test_slurm_bounds, test_slurm_containers, test_slurm_gangs, test_slurm_outputs):
    globals().update({name: one for name, one in vars(_module).items() if name.startswith("test_")})
declared = test_slurm_containers.declared


@pytest.fixture(scope="module")
def later() -> Iterator[clusters.Cluster]:
    """Give a cluster of Slurm 24.11."""
    held = fixtures.joined(f"a{secrets.token_hex(5)}", suite="trixie")
    try:
        yield held.cluster
    finally:
        held.close_and_wait()


@pytest.fixture
def site(later: clusters.Cluster, tmp_path: pathlib.Path) -> Iterator[Site]:
    """Give the later cluster, without jobs."""
    found = Site(later, tmp_path)
    yield found
    found.close()
    faults.mend(later)
