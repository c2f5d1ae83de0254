"""Contents: values of the domain survive storage, and a changed body is noticed."""

from __future__ import annotations

import datetime as dt
import pathlib
import sys
from dataclasses import replace

import pytest

from orchestrator.domain import decisions, facts, ids, jobs, sites
from orchestrator.placement import contents

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "unit" / "placement"))
import placement_samples as samples

SITE = samples.site(
    certifications=(sites.Certification("hds-v2", "s", ("r",), None, dt.date(2027, 1, 1)),),
    accepts=sites.Accepts(("EEA",), ("health",), (jobs.JobType.TRAIN,)),
    facts=facts.FactStamp("s", dt.date(2026, 1, 1), assurance=facts.Assurance.CERTIFIED),
)


def test_a_site_comes_back_equal() -> None:
    """What is stored of a site is the whole site."""
    assert contents.read(sites.Site, contents.site_content(SITE)) == SITE


def test_a_job_spec_comes_back_equal() -> None:
    """Bytes, durations and enumerations survive."""
    spec = samples.spec(
        files=(("a", b"\x00\xff"),), limits=jobs.Limits(deadline=dt.timedelta(minutes=7)), type=jobs.JobType.INFER
    )
    assert contents.read(jobs.JobSpec, contents.content(spec)) == spec


def test_the_digest_of_a_site_covers_everything_but_itself() -> None:
    """Filling in the digest does not change it; any fact does."""
    named = contents.with_digest(SITE)
    assert named.digest == contents.site_content(named).digest
    assert contents.with_digest(replace(SITE, pue=1.3)).digest != named.digest


def test_a_changed_body_is_noticed() -> None:
    """A body that does not match its digest is refused."""
    stored = contents.site_content(SITE)
    with pytest.raises(contents.ContentError):
        contents.read(sites.Site, decisions.Content(stored.digest, stored.body.replace(b"FR", b"DE")))


@pytest.mark.parametrize("body", [b"[]", b'{"name":1}', b'{"nobody":1}', b"null"])
def test_what_is_no_site_is_refused(body: bytes) -> None:
    """Stored text of another shape raises ContentError and nothing else."""
    from orchestrator.evidence import canonical

    with pytest.raises(contents.ContentError):
        contents.read(sites.Site, decisions.Content(ids.Digest(canonical.digest_of_bytes(body)), body))
