"""KubeRay's operator, as a process beside the API server, and an image with this machine's Python and Ray.

The operator is the real one, built from its Go module. It reaches heads by the API server's proxy, because it does not
run in the cluster's network (``--use-kubernetes-proxy``); that, and no webhooks, is all that differs.
"""

import fcntl
import hashlib
import json
import pathlib
import shutil
import sys
import tempfile

from tests.e2e import rays
from tests.e2e.kube import api, building, clusters, images, places

READY_S = 120.0
KUBERAY = "github.com/ray-project/kuberay/ray-operator"
PLURALS = ("rayclusters", "rayjobs", "rayservices")
NAME = "ray:1"
SKIPPED = ("pip", "setuptools", "sklearn", "scipy", "scipy.libs", "joblib", "virtualenv", "_distutils_hack")
"""Of the environment with Ray: what no job of the tests imports."""
FORM = "1"
"""Part of the image's key: raise it when what it holds changes."""
COMMAND = """#!/bin/sh
exec python3 -c 'import sys; from ray.scripts.scripts import main; sys.exit(main())' "$@"
"""


def source() -> pathlib.Path:
    """Return the folder of KubeRay's sources in Go's module cache."""
    return building.module_folder("kuberay", KUBERAY)


def start_kuberay(cluster: clusters.Cluster) -> None:
    """Install KubeRay's definitions and start its operator."""
    building.ensure("kuberay")
    definitions = source() / "config" / "crd" / "bases"
    done = cluster.kubectl("apply", "--server-side", "--filename", str(definitions))
    if done.returncode:
        raise api.ApiError(f"definitions of KubeRay: {done.stderr.strip()}")
    wait = ("wait", "--for=condition=Established", "customresourcedefinitions", "--all", f"--timeout={READY_S:.0f}s")
    cluster.kubectl(*wait)
    for plural in PLURALS:  # a definition is established before its objects can be listed (429 until then)
        path = f"/apis/ray.io/v1/{plural}"
        api.until(lambda path=path: cluster.api.request("GET", path)[0] == 200, path, timeout_s=READY_S)  # type: ignore[misc]
    command = [
        str(building.program("kuberay")),
        f"--kubeconfig={cluster.kubeconfig}",
        "--use-kubernetes-proxy",
        "--enable-leader-election=false",
        "--metrics-addr=127.0.0.1:8090",
        "--health-probe-bind-address=127.0.0.1:8092",
    ]
    cluster.control.start("kuberay", command, cluster.folder / "log" / "kuberay")


def image() -> images.Image:
    """Return an image with Python and Ray (about 0.5 GB), written where it is not in the cache yet."""
    key = hashlib.sha256(json.dumps([FORM, images.FORM, rays.VERSION, sys.version, sys.executable]).encode())
    folder = places.cache() / "images"
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"ray-{key.hexdigest()[:16]}.tar"
    with target.with_suffix(".lock").open("w") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        if target.exists():
            return images.read_archive(target)
        with tempfile.TemporaryDirectory(dir=folder) as work:
            paths = []
            for number, fill in enumerate((images._busybox, images._python, _ray)):
                layer = images.Layer(pathlib.Path(work) / str(number))
                fill(layer)
                layer.close()
                paths.append(layer.path)
            settings: dict[str, object] = {"Cmd": ["python3"], "Env": images.ENVIRONMENT}
            return images.write_archive(target, f"{images.DOMAIN}/{NAME}", paths, settings)


def _ray(layer: images.Layer) -> None:
    """Fill a layer with Ray, all that it imports, its command, and the shell that KubeRay's pods want."""
    (top,) = (rays.install().parent / "lib").glob("python3*/site-packages")
    programs = []
    for found, inner in images._files(top):
        if inner.parts[0].partition("-")[0] in SKIPPED:
            continue
        layer.copy(f"{images.SITE}/{inner}", found)
        if ".so" in found.suffixes or inner.name in ("raylet", "gcs_server"):
            programs.append(found)
    bash = pathlib.Path(shutil.which("bash") or "/bin/bash").resolve()
    layer.copy("bin/bash", bash)
    images._add_libraries(layer, [*programs, bash])
    layer.file("usr/local/bin/ray", COMMAND.encode(), 0o755)
