"""What a job leaves behind on a real Slurm: found, digested, read; and what it must not make us read."""

import datetime as dt
import hashlib
import pathlib
from collections.abc import Iterator

import pytest

from orchestrator.domain import errors, jobs, offers
from orchestrator.ports import backends
from tests.e2e._planes import wait_until
from tests.e2e._slurm import Site
from tests.e2e.slurm import clusters

Kind = jobs.OutcomeKind


@pytest.fixture
def site(slurm: clusters.Cluster, tmp_path: pathlib.Path) -> Iterator[Site]:
    """Give the cluster that all share."""
    found = Site(slurm, tmp_path)
    yield found
    found.close()


def ran(
    site: Site, script: str, *outputs: str, limit: dt.timedelta | None = None
) -> tuple[backends.BackendAdapter, backends.Observation]:
    """Run a job that declares outputs; return what is seen of its end by an adapter that has just started."""
    placement = site.placement(script, outputs=tuple(map(jobs.Output, outputs)), limit=limit)
    site.adapter().submit(placement)
    adapter = site.adapter()
    seen: list[backends.Observation] = []

    def over() -> bool:
        seen[:] = adapter.observe([backends.AttemptRef(placement.key)])
        return seen[0].state is offers.ObservedState.ENDED

    wait_until(over, seconds=300, every=0.2, what="the end")
    return adapter, seen[0]


def read(adapter: backends.BackendAdapter, seen: backends.Observation, path: str) -> bytes:
    """Return the bytes of one output."""
    assert isinstance(adapter, backends.Copies)
    return b"".join(adapter.read_output(backends.AttemptRef(seen.key), path))


def test_what_was_put_out_and_what_was_declared_is_left(site: Site) -> None:
    """Below ``COMITY_OUTPUT_DIR`` and in the working folder, files and folders, with their digests; no more."""
    script = (
        'printf one > "$COMITY_OUTPUT_DIR/one"; mkdir -p deep/er "$COMITY_OUTPUT_DIR/deep"; printf two > deep/er/two; '
        'printf "a b" > "sp ace; echo"; printf x > other; printf three > "$COMITY_OUTPUT_DIR/deep/three"'
    )
    adapter, seen = ran(site, script, "one", "deep/er", "./sp ace; echo")
    wanted = {"one": b"one", "deep/er/two": b"two", "deep/three": b"three", "sp ace; echo": b"a b"}
    assert seen.outcome is not None
    assert seen.outcome.succeeded, seen
    assert seen.outputs is not None
    assert {(one.path, one.size_bytes, one.sha256) for one in seen.outputs} == {
        (path, len(data), f"sha256:{hashlib.sha256(data).hexdigest()}") for path, data in wanted.items()
    }
    assert {path: read(adapter, seen, path) for path in wanted} == wanted
    assert isinstance(adapter, backends.ListsOwned)

    def forgotten() -> bool:
        adapter.forget(backends.AttemptRef(seen.key))  # which does nothing while Slurm still says COMPLETING
        try:
            read(adapter, seen, "one")
        except errors.PermanentError as error:
            return "keeps no file" in str(error)
        return False

    wait_until(forgotten, seconds=300, every=0.2, what="what was left is removed")


def test_a_declared_output_that_is_nowhere_makes_no_success(site: Site) -> None:
    """It ended well, and that is not enough; where it failed, its own code is what is told. What is there is left."""
    adapter, seen = ran(site, "printf x > here", "here", "not/there", "nor; there")
    assert seen.outcome is not None
    assert (seen.outcome.kind, seen.outcome.succeeded) == (Kind.OUTPUT_MISSING, False)
    assert "not/there, nor; there" in seen.detail
    assert read(adapter, seen, "here") == b"x"
    _, failed = ran(site, "printf x > here; exit 3", "here", "not/there")
    assert failed.outcome is not None
    assert (failed.outcome.kind, failed.outcome.exit_code) == (Kind.EXITED, 3)
    assert failed.outputs is not None
    assert [one.path for one in failed.outputs] == ["here"]


def test_links_lead_nowhere(site: Site) -> None:
    """A job that plants links to files, folders and its own output folder has nothing read through them."""
    secret = site.cluster.shared / f"{site.folder.name}.secret"
    secret.write_text("secret")
    script = (
        f'ln -s {secret} "$COMITY_OUTPUT_DIR/a"; ln -s {secret.parent} "$COMITY_OUTPUT_DIR/b"; ln -s {secret} c; '
        f'printf d > "$COMITY_OUTPUT_DIR/d"'
    )
    adapter, seen = ran(site, script)
    assert seen.outputs is not None
    assert [one.path for one in seen.outputs] == ["d"]
    for path in ("a", f"b/{secret.name}", "../log", f"/{secret}", "d/../d", ""):
        with pytest.raises(errors.PermanentError) as refused:
            read(adapter, seen, path)
        assert refused.value.code == "outputs.not-found"
    swapped = f'rm -r "$COMITY_OUTPUT_DIR"; ln -s {secret.parent} "$COMITY_OUTPUT_DIR"'
    adapter, seen = ran(site, swapped)
    assert not seen.outputs
    with pytest.raises(errors.PermanentError):
        read(adapter, seen, secret.name)
    _, linked = ran(site, f"ln -s {secret} c", "c")
    assert linked.outcome is not None
    assert linked.outcome.kind is Kind.OUTPUT_MISSING


@pytest.mark.parametrize("path", ["../up", "/etc/passwd", "."])
def test_a_declared_output_that_leads_out_is_refused(site: Site, path: str) -> None:
    """Before anything is sent."""
    with pytest.raises(errors.PermanentError) as refused:
        site.adapter().submit(site.placement(outputs=(jobs.Output(path),)))
    assert refused.value.code == "slurm.invalid"
