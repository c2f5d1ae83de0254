"""Fixtures: a real Slurm cluster for tests, one a test run, shared by all its processes.

Where it cannot be had a test is skipped with one line that says what is missing, and fails where
``COMITY_E2E=required``. A ``conftest.py`` that wants them imports ``slurm`` and ``lone_slurm``.
"""

import os
import secrets
from collections.abc import Iterator

import pytest

from tests.e2e.slurm import clusters, packages, runs

LONE = ("--forget", "60")


def _prepare(suite: str = "") -> None:
    """Unpack the packages where we may, or wait for whoever does."""
    problem = packages.install(suite) or "; ".join(packages.missing(suite))
    if not problem:
        return
    if os.environ.get("COMITY_E2E") == "required":
        pytest.fail(f"no Slurm: {problem}", pytrace=False)
    pytest.skip(f"no Slurm: {problem}")


def joined(name: str, *words: str, suite: str = "") -> runs.Joined:
    """Return a cluster that lives until it is closed, started by the first who asks for a run of that name.

    :param words: arguments of ``up``.
    :param suite: of Debian; none: that of this machine.
    """
    _prepare(suite)
    try:
        return runs.join(name, (*words, *(("--suite", suite) if suite else ())))
    except runs.RunError as error:
        # The machine has all that is needed, so this is a fault and never a reason to skip.
        pytest.fail(f"no Slurm: {error}", pytrace=False)


@pytest.fixture(scope="session")
def slurm() -> Iterator[clusters.Cluster]:
    """Give the cluster that all tests of a run share: nobody stops or fills it, or changes its nodes."""
    held = joined(os.environ.get("PYTEST_XDIST_TESTRUNUID", f"p{os.getpid()}")[:12])
    try:
        yield held.cluster
    finally:
        held.close()


@pytest.fixture(scope="module")
def lone_slurm() -> Iterator[clusters.Cluster]:
    """Give a cluster that no other module uses: for tests that stop, kill, drain or fill it."""
    held = joined(f"n{secrets.token_hex(5)}", *LONE)
    try:
        yield held.cluster
    finally:
        held.close_and_wait()
