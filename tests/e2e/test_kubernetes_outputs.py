"""Outputs of jobs in real pods: kept on a claim where they were made, copied out, gone when forgotten."""

import hashlib
import json
import pathlib
from collections.abc import Iterator

import pytest

from orchestrator.domain import errors, jobs
from orchestrator.ports import backends
from tests.e2e import _kubernetes
from tests.e2e._planes import Plane, wait_until
from tests.e2e.kube import clusters
from tests.e2e.test_kubernetes import Place, make_plane, run, shell
from tests.e2e.test_kubernetes_access import account, built
from tests.e2e.test_kubernetes_faults import Site, State, until


def kept(**more: object) -> dict[str, object]:
    """Return the setting that keeps outputs."""
    return {"outputs": {"claim": "kept", "image": _kubernetes.busybox(), **more}}


@pytest.fixture
def site(fr: clusters.Cluster, tmp_path: pathlib.Path) -> Iterator[Site]:
    """Give a namespace with a claim."""
    if not fr.own:
        pytest.skip("the claim of this test is a folder of a node of our own")
    found = Site(fr, tmp_path, _kubernetes.namespace(fr), kept())
    found.claim = _kubernetes.claim(fr, found.namespace)  # type: ignore[attr-defined]
    yield found
    for one in found.made:
        one.close()
    _kubernetes.remove(fr, found.namespace)
    _kubernetes.remove_claim(fr, found.namespace)


def read(adapter: backends.Copies, ref: backends.AttemptRef, path: str) -> bytes:
    """Return a file; a reader that is not up yet is asked again."""
    got: list[bytes] = []

    def tried() -> bool:
        try:
            got[:] = [b"".join(adapter.read_output(ref, path))]
        except errors.TransientError as error:
            if error.code != "kubernetes.reader":
                raise
            return False
        return True

    wait_until(tried, what="a reader")
    return got[0]


def test_outputs_are_kept_read_and_removed(site: Site) -> None:
    """What was declared, and what lies in the folder for outputs, is told with digests, read, and removed."""
    script = """
        mkdir -p model/a; head -c 300000 /dev/urandom > model/a/w.bin; echo 1 > 'model/it is $(x) "é".txt'
        echo o > $COMITY_OUTPUT_DIR/own; echo no > scratch; ln -s /etc/passwd model/link; ln -s / root
        sha256sum < model/a/w.bin
    """
    adapter = built(site, account(site, "keeper", more=True), **site.more)
    assert {one.value for one in adapter.capabilities().powers} >= {"outputs", "copies"}
    assert len(adapter.offers()) == 1
    placement = site.placement(script, outputs=(jobs.Output("model"), jobs.Output("root/etc/passwd")))
    adapter.submit(placement)
    seen = until(adapter, placement, State.ENDED)
    assert seen.outcome is not None
    assert (seen.outcome.kind, seen.outcome.exit_code) == (jobs.OutcomeKind.OUTPUT_MISSING, 0), seen
    assert seen.outcome.detail == "it ended well and left no root/etc/passwd"
    assert seen.outputs is not None
    paths = [one.path for one in seen.outputs]
    assert paths == ["model/a/w.bin", 'model/it is $(x) "é".txt', "own"]
    ref = backends.AttemptRef(placement.key)
    assert list(adapter.list_outputs(ref)) == [(one.path, one.size_bytes) for one in seen.outputs]
    for one in seen.outputs:
        content = read(adapter, ref, one.path)
        assert (len(content), f"sha256:{hashlib.sha256(content).hexdigest()}") == (one.size_bytes, one.sha256)
    chunks, _ = adapter.read_logs(ref, cursor=None, node=None, limit=1000)
    assert b"".join(chunk.data for chunk in chunks).decode()[:64] == (seen.outputs[0].sha256 or "")[7:]
    for path in ("scratch", "../manifest", "manifest", "model", "nothing"):
        with pytest.raises(errors.PermanentError, match="keeps no file"):
            list(adapter.read_output(ref, path))

    there = site.claim / "comity" / "b"  # type: ignore[attr-defined]
    assert [one.name for one in there.iterdir()] == [placement.key]
    adapter.forget(ref)
    wait_until(lambda: not list(there.iterdir()), what="an empty claim")
    until(adapter, placement, State.GONE)


def test_another_process_tells_the_same_and_what_was_changed_is_refused(site: Site) -> None:
    """The list is the same for an adapter that starts later, also once the pod is gone; changed bytes are an error."""
    first = site.adapter()
    placement = site.placement("echo whole > a; echo other > b", outputs=(jobs.Output("a"), jobs.Output("b")))
    first.submit(placement)
    seen = until(first, placement, State.ENDED)
    assert seen.outcome is not None
    assert seen.outcome.succeeded, seen
    ref = backends.AttemptRef(placement.key, seen.handle)
    site.cluster.kubectl("-n", site.namespace, "delete", "pods", "--all", "--wait=true")
    later = site.adapter()
    assert read(later, ref, "a") == b"whole\n"
    assert list(later.list_outputs(ref)) == [("a", 6), ("b", 6)]
    (site.claim / "comity" / "b" / placement.key / "data" / "b").write_text("forged")  # type: ignore[attr-defined]
    with pytest.raises(errors.PermanentError, match="not what was kept"):
        list(later.read_output(ref, "b"))


def test_a_manifest_that_is_long_is_told_too(site: Site) -> None:
    """More files than last words hold are told from that container's log; a failed job's are kept too."""
    adapter = site.adapter()
    script = "mkdir o; i=0; while [ $i -lt 200 ]; do echo $i > o/file-with-a-long-name-$i; i=$((i + 1)); done; exit 3"
    placement = site.placement(script, outputs=(jobs.Output("o"),))
    adapter.submit(placement)
    seen = until(adapter, placement, State.ENDED)
    assert seen.outcome is not None
    assert (seen.outcome.kind, seen.outcome.exit_code) == (jobs.OutcomeKind.EXITED, 3)
    assert seen.outputs is not None
    assert len(seen.outputs) == 200


def test_what_cannot_be_copied_is_no_success(site: Site) -> None:
    """Outputs that cannot be kept fail the attempt, in the words of who tried."""
    adapter = site.adapter()
    placement = site.placement("echo a > a; chmod 0 a", outputs=(jobs.Output("a"),))
    adapter.submit(placement)
    seen = until(adapter, placement, State.ENDED)
    assert seen.outcome is not None
    assert seen.outcome.kind is jobs.OutcomeKind.OUTPUT_MISSING
    assert "could not be kept: " in seen.outcome.detail
    assert "Permission denied" in seen.outcome.detail
    assert seen.outputs is None


def test_a_claim_that_is_not_there_is_named(site: Site) -> None:
    """Without its claim the backend takes nothing, and says what to make."""
    site.more = kept(claim="absent")
    with pytest.raises(errors.TransientError, match="has no PersistentVolumeClaim absent"):
        site.adapter().offers()


@pytest.fixture
def plane(tmp_path: pathlib.Path, fr: clusters.Cluster) -> Iterator[Plane]:
    """Give a server whose only place is a French cluster with a claim."""
    if not fr.own:
        pytest.skip("the claim of this test is a folder of a node of our own")
    place = Place(fr)
    _kubernetes.claim(fr, place.namespace)
    place.more = kept()
    found = make_plane(tmp_path, place)
    yield found
    found.close()
    _kubernetes.remove(fr, place.namespace)
    _kubernetes.remove_claim(fr, place.namespace)


def test_an_output_is_copied_by_a_person(plane: Plane) -> None:
    """A job that declares an output is placed, its digest is on record, and `comity cp` brings it, recorded too."""
    found = run(plane, shell("makes", "echo weights > model.pt", outputs=[{"path": "model.pt"}]))
    assert found["status"]["phase"] == "SUCCEEDED", found
    id = found["metadata"]["id"]
    digest = hashlib.sha256(b"weights\n").hexdigest()
    evidence = plane.call("GET", f"/v1/jobs/{id}/evidence")
    assert digest in json.dumps(evidence.json)
    target = plane.shell.folder / "copied.pt"

    def copied() -> bool:
        done = plane.shell.run(f"comity cp {id}:model.pt {target}")
        assert done.returncode == 0 or "ask again" in done.stderr, done.stderr
        return done.returncode == 0

    wait_until(copied, what="a copy")
    assert target.read_text() == "weights\n"
