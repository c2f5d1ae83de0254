"""Large working folders travel in parts that attempts share, are compared before anything runs, go with the last."""

import io
import os
import pathlib
import tarfile
from collections.abc import Iterator

import pytest

from backends.kubernetes import payloads
from orchestrator.domain import ids, jobs
from orchestrator.ports import backends
from tests.e2e import _kubernetes
from tests.e2e._planes import wait_until
from tests.e2e.kube import clusters
from tests.e2e.test_kubernetes_faults import Site, State, until

MIB = 2**20
SIZE = 20 * MIB if os.environ.get("COMITY_TEST_SIZE") == "full" else 4 * MIB


@pytest.fixture
def site(fr: clusters.Cluster, tmp_path: pathlib.Path) -> Iterator[Site]:
    """Give a namespace, and settings that take large folders."""
    found = Site(fr, tmp_path, _kubernetes.namespace(fr), {"filesBytesMax": 32 * MIB})
    yield found
    for one in found.made:
        one.close()
    _kubernetes.remove(fr, found.namespace)


def archive(size: int) -> bytes:
    """Return a folder with one file of this size, which nothing packs any smaller."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        info = tarfile.TarInfo("deep/data.bin")
        info.size = size
        tar.addfile(info, io.BytesIO(bytes(range(251)) * (size // 251 + 1)))
    return made.getvalue()


def placed(site: Site, script: str, folder: bytes) -> backends.SealedPlacement:
    """Return a placement with a working folder."""
    made = site.placement(script, workdir=ids.Digest("sha256:" + "1" * 64))
    fields = {name: getattr(made, name) for name in made.__dataclass_fields__}
    return backends.SealedPlacement(**fields | {"workdir": lambda: folder})


def parts(site: Site) -> list[str]:
    """Return the names of the parts in the namespace."""
    found = [one["metadata"]["name"] for one in site.named("configmaps")]
    return sorted(name for name in found if name.startswith(payloads.PREFIX))


def test_a_large_folder_is_sent_once_and_goes_with_the_last_that_needs_it(site: Site) -> None:
    """Two attempts share the parts; the first that is forgotten leaves them to the second."""
    folder = archive(SIZE)
    adapter = site.adapter()
    assert parts(site) == [], "nothing of a job is there before it is placed"
    first, second = (placed(site, "wc -c < deep/data.bin", folder) for _ in range(2))
    adapter.submit(first)
    sent = parts(site)
    assert len(sent) == -(-len(folder) // payloads.PART_BYTES)
    adapter.submit(second)
    assert parts(site) == sent
    owners = [len(one["metadata"]["ownerReferences"]) for one in site.named("configmaps") if one.get("immutable")]
    assert owners == [2] * len(sent), "each part goes with the last of its Jobs"
    for one in (first, second):
        seen = until(adapter, one, State.ENDED)
        assert seen.outcome is not None
        assert seen.outcome.succeeded, seen
        chunks, _ = adapter.read_logs(backends.AttemptRef(one.key), cursor=None, node=None, limit=100)
        assert b"".join(chunk.data for chunk in chunks) == b"%d\n" % SIZE
    adapter.forget(backends.AttemptRef(first.key))
    until(adapter, first, State.GONE)
    third = placed(site, "true", folder)
    adapter.submit(third)
    assert parts(site) == sent
    seen = until(adapter, third, State.ENDED)
    assert seen.outcome is not None
    assert seen.outcome.succeeded
    for one in (second, third):
        adapter.forget(backends.AttemptRef(one.key))
    wait_until(lambda: parts(site) == [], what="the end of the parts")


def test_a_part_that_is_not_what_was_sent_keeps_the_job_from_running(site: Site) -> None:
    """Somebody who may write ConfigMaps replaces a part: the digest is compared in the pod, and nothing has run."""
    adapter = site.adapter()
    blocking = _kubernetes.no_pods(site.cluster, site.namespace)
    one = placed(site, "echo ran; cat deep/data.bin > /dev/null", archive(MIB))
    adapter.submit(one)
    path = f"/api/v1/namespaces/{site.namespace}/configmaps"
    name = parts(site)[0]
    found = site.cluster.api.get(f"{path}/{name}")
    site.cluster.api.request("DELETE", f"{path}/{name}")
    kept = {field: found["metadata"][field] for field in ("name", "labels", "annotations", "ownerReferences")}
    site.cluster.api.create(path, {"metadata": kept, "binaryData": {"part": "AAAA"}})
    site.cluster.api.request("DELETE", blocking)
    seen = until(adapter, one, State.ENDED, seconds=400)
    assert seen.outcome is not None
    assert (seen.outcome.kind, seen.outcome.detail) == (
        jobs.OutcomeKind.START_FAILED,
        "its files and working folder did not arrive as they were sent",
    )
