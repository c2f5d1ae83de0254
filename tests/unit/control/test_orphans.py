"""Keys back to jobs."""

import pytest

from orchestrator.control import orphans
from orchestrator.domain import ids

ULID = ids.JobId("01HZZZZZZZZZZZZZZZZZZZZZZZ")


@pytest.mark.parametrize("job", [ULID, ids.element_id(ULID, 0), ids.element_id(ULID, 12)])
def test_a_key_leads_back_to_its_job(job):
    """``job_of`` is the inverse of ``attempt_key``."""
    assert orphans.job_of(ids.attempt_key(job, 7)) == (job, 7)


@pytest.mark.parametrize("key", ["", "x", "01hz", "01hz-1-2-3", "../01hz-1", "01HZ-1", "01hz-1\n"])
def test_what_is_no_key_of_ours_leads_nowhere(key):
    """A stranger's name is not taken for ours."""
    assert orphans.job_of(ids.AttemptKey(key)) is None
