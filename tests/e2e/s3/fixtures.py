"""Fixture: a real S3 server, one for each process of a test run.

Where it cannot be had a test is skipped with one line that says what is missing, and fails where
``COMITY_E2E=required``. A ``conftest.py`` that wants it imports ``s3``.
"""

import os
from collections.abc import Iterator

import pytest

from tests.e2e.kube import building as kube_building
from tests.e2e.s3 import building, stores


@pytest.fixture(scope="session")
def s3() -> Iterator[stores.Store]:
    """Give the store that tests of this process share: each has object names of its own, and nobody stops it."""
    problem = "; ".join(building.missing())
    if problem:
        if os.environ.get("COMITY_E2E") == "required":
            pytest.fail(f"no S3: {problem}", pytrace=False)
        pytest.skip(f"no S3: {problem}")
    made = None
    try:
        building.ensure()
        made = stores.Store()
        made.start()
    except (kube_building.BuildError, stores.StoreError) as error:
        if made is not None:
            made.close()
        # The machine has all that is needed, so this is a fault and never a reason to skip.
        pytest.fail(f"no S3: {error}", pytrace=False)
    try:
        yield made
    finally:
        made.close()
