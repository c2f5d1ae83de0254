"""A head of Ray that keeps its state in Redis and comes back: what went on is found again. Full suite alone."""

import contextlib
import os
import pathlib
import shutil
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.e2e import rays
from tests.e2e._planes import Plane, backend, wait_until
from tests.e2e._ray_planes import PATIENCE_S, SECRET, alive, ended, make_plane, nap, submissions, submit, until_phase

pytestmark = pytest.mark.skipif(os.environ.get("COMITY_TEST_SIZE") != "full", reason="at full size only")
PACKAGES = ("redis-tools", "redis-server", "libjemalloc2", "liblzf1")


def unpacked() -> pathlib.Path:
    """Return the folder of Redis, of the system's packages, unpacked and not installed. Raises OSError and the like."""
    folder = rays.cache().parent / "redis-1"
    if not (folder / "done").exists():
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run(["apt-get", "download", *PACKAGES], cwd=folder, check=True, capture_output=True, timeout=300)
        for archive in sorted(folder.glob("*.deb")):
            subprocess.run(["dpkg-deb", "-x", archive, folder], check=True, capture_output=True, timeout=60)
        (folder / "done").touch()
    return folder


@contextlib.contextmanager
def redis() -> Iterator[str]:
    """Give the address of a server that keeps nothing on disk."""
    try:
        if sys.platform != "linux" or os.geteuid() != 0 or not shutil.which("unshare"):
            raise OSError("only as root on Linux, with unshare")
        folder = unpacked()
    except (OSError, subprocess.SubprocessError) as error:
        if os.environ.get("COMITY_E2E") == "required":
            pytest.fail(f"no Redis: {error}")
        pytest.skip(f"no Redis: {error}")
    libraries = ":".join(str(path) for path in (folder / "usr" / "lib").glob("*-linux-gnu"))
    (port,) = rays.free_ports(1)
    server = subprocess.Popen(
        [folder / "usr/bin/redis-server", *f"--port {port} --bind 127.0.0.1 --appendonly no --save".split(), ""],
        env={**os.environ, "LD_LIBRARY_PATH": libraries},
        cwd=folder,
        stdout=subprocess.DEVNULL,
    )
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(30)


@pytest.fixture
def ray() -> Iterator[rays.Cluster]:
    """Give a head of two CPUs whose state is in Redis."""
    with redis() as address:
        kept = {"RAY_REDIS_ADDRESS": address, "RAY_gcs_rpc_server_reconnect_timeout_s": "200"}
        with rays.cluster(cpus=2, apart=True, environment=kept) as made:
            yield made


@pytest.fixture
def plane(tmp_path: pathlib.Path, ray: rays.Cluster) -> Iterator[Plane]:
    """Give a server whose only place is the cluster."""
    found = make_plane(tmp_path, ray.token)
    document = backend("ray", adapter="ray", settings={"url": ray.url, "token": SECRET}, pools=[])
    assert found.put(document).status in (200, 201)
    yield found
    found.close()


def test_what_went_on_without_its_head_is_found_again(plane: Plane, ray: rays.Cluster, tmp_path: pathlib.Path) -> None:
    """A job on another node runs through the end of the head, once; the one on the head itself is lost, not failed."""
    ray.add(cpus=4, labels="ray.io/availability-region=eu-south")
    go = tmp_path / "go"
    there = submit(
        plane, "there", f"echo begun; until test -e {go}; do sleep 0.2; done; echo went on", resources={"cpus": 3}
    )
    until_phase(plane, there, "RUNNING")
    mark = nap()
    here = submit(plane, "here", f"exec sleep {mark}", resources={"cpus": 2})
    wait_until(lambda: alive(f"sleep {mark}"), seconds=PATIENCE_S)
    ray.kill_head()
    wait_until(lambda: not alive(f"sleep {mark}"), seconds=PATIENCE_S)
    ray.start()
    assert ended(plane, here)["status"]["reason"] == "BackendLost"
    assert plane.job(there)["status"]["phase"] == "RUNNING"
    go.touch()
    done = ended(plane, there)
    assert (done["status"]["phase"], len(done["status"]["attempts"])) == ("SUCCEEDED", 1), done["status"]
    assert [one["submission_id"] for one in submissions(ray, there)] == [f"{there.lower()}-1"]
    assert plane.shell.run(f"comity logs {there}").stdout == "begun\nwent on\n"
