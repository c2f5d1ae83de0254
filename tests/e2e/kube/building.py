"""Builds the tools of the clusters from their Go modules, once for each content of a module.

A tool lies at ``<cache>/<digest of its module and flags>/bin/<name>``; a finished folder is never written again. Two
processes that want the same tool build it once: the second waits for the first's lock.
"""

import contextlib
import dataclasses
import fcntl
import hashlib
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping

from tests.e2e.kube import packages, places

KUBERNETES = "v1.36.4"
BUILD_S = 3600.0


class BuildError(Exception):
    """A tool could not be built; the text is the last thing the compiler said."""


@dataclasses.dataclass(frozen=True)
class Tool:
    """One Go module of ours: what it builds and the names under which the result is called."""

    module: str
    package: str
    names: tuple[str, ...]
    values: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """Linker values, by variable."""


def _versions() -> dict[str, str]:
    """Return the linker values by which Kubernetes knows its own version; without them it says v0.0.0-master."""
    _, minor, _ = KUBERNETES.split(".")
    values = {"gitVersion": KUBERNETES, "gitMajor": "1", "gitMinor": minor}
    where = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
    return {f"{place}.{name}": value for place in where for name, value in values.items()}


PARTS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-proxy", "kube-scheduler", "kubectl", "kubelet")
TOOLS = {
    tool.module: tool
    for tool in (
        Tool("kubernetes", ".", PARTS, _versions()),
        Tool("kwok", "sigs.k8s.io/kwok/cmd/kwok", ("kwok",)),
        Tool("helm", "helm.sh/helm/v4/cmd/helm", ("helm",)),
        Tool("coredns", "github.com/coredns/coredns", ("coredns",)),
        Tool("kueue", "sigs.k8s.io/kueue/cmd/kueue", ("kueue",)),
        Tool("prometheus", "github.com/prometheus/prometheus/cmd/promtool", ("promtool",)),
        Tool("kuberay", "github.com/ray-project/kuberay/ray-operator", ("kuberay",)),
    )
}
DEFAULT = ("kubernetes", "kwok", "helm", "kuberay")
"""What ``make test`` builds; the others are for ``make test-all``."""


def digest(tool: Tool) -> str:
    """Return the first 16 hexadecimal digits of SHA-256 over all that decides what the tool is."""
    found = hashlib.sha256()
    for file in sorted((places.MODULES / tool.module).iterdir()):
        found.update(f"{file.name}\0{file.read_text()}\0".encode())
    for part in (tool.package, *tool.names, *(f"{key}={value}" for key, value in sorted(tool.values.items()))):
        found.update(f"{part}\0".encode())
    found.update("\0".join(os.uname()[i] for i in (0, 4)).encode())
    return found.hexdigest()[:16]


def folder(tool: Tool) -> pathlib.Path:
    """Return the folder of the tool's programs, whether it is built or not."""
    return places.cache() / digest(tool) / "bin"


def built(tool: Tool) -> bool:
    """Say whether the tool can be used."""
    return folder(tool).is_dir()


def program(name: str) -> pathlib.Path:
    """Return the path of a program by its name (``kubectl``, ``helm``), whether it is built or not."""
    for tool in TOOLS.values():
        if name in tool.names:
            return folder(tool) / name
    raise KeyError(name)


def ensure(*modules: str) -> None:
    """Build what is not built yet, at the lowest priority, or wait for whoever is building it.

    :raises BuildError: when the compiler fails; its last lines are the text.
    """
    for name in modules or DEFAULT:
        ensure_tool(TOOLS[name])


def ensure_tool(tool: Tool) -> None:
    """Build one tool, as ``ensure`` does; its module may also be the path of a folder elsewhere."""
    if built(tool):
        return
    with _lock(tool):
        if not built(tool):
            _build(tool)


@contextlib.contextmanager
def _lock(tool: Tool) -> Iterator[None]:
    """Hold the lock of one tool; the kernel frees it when the holder dies."""
    places.cache().mkdir(parents=True, exist_ok=True)
    with (places.cache() / f"{digest(tool)}.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


def _build(tool: Tool) -> None:
    """Build into a folder beside the final one and move it there when all is done."""
    target = folder(tool)
    go = packages.go()
    if go is None:
        raise BuildError(packages.missing_go() or "Go is missing")
    for left in target.parent.parent.glob(f"{digest(tool)}-*"):
        shutil.rmtree(left, ignore_errors=True)
    aside = pathlib.Path(tempfile.mkdtemp(prefix=f"{digest(tool)}-", dir=places.cache()))
    try:
        (aside / "bin").mkdir()
        linker = " ".join(["-s", "-w", *(f"-X {key}={value}" for key, value in tool.values.items())])
        flags = ["-trimpath", "-buildvcs=false", "-mod=readonly", "-gcflags=all=-dwarf=false", "-ldflags", linker]
        command = [go, "build", *flags, "-o", str(aside / "bin" / tool.names[0]), tool.package]
        # A larger heap before each collection: a fifth of the time for some hundred megabytes.
        environment = {**os.environ, "CGO_ENABLED": "0", "GOGC": "400", "GOWORK": "off"}
        _compile(command, cwd=places.MODULES / tool.module, environment=environment)
        for name in tool.names[1:]:
            (aside / "bin" / name).symlink_to(tool.names[0])
        aside.chmod(0o755)
        aside.rename(target.parent)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _compile(command: list[str], *, cwd: pathlib.Path, environment: dict[str, str]) -> None:
    """Run the compiler in a group of its own; it is ended with us, whichever way we end."""
    process = subprocess.Popen(
        ["setpriv", "--pdeathsig", "KILL", "nice", "-n", "19", *command],
        cwd=cwd,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        _, said = process.communicate(timeout=BUILD_S)
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise
    if process.returncode:
        raise BuildError(f"{cwd.name} was not built: " + " / ".join(said.strip().splitlines()[-5:]))


def module_folder(tool: str, path: str) -> pathlib.Path:
    """Return the folder of a dependency in Go's module cache (kwok keeps its stages there)."""
    go = packages.go()
    if go is None:
        raise BuildError("Go is missing")
    command = [go, "list", "-m", "-f", "{{.Dir}}", path]
    done = subprocess.run(
        command, cwd=places.MODULES / tool, capture_output=True, text=True, timeout=BUILD_S, check=False
    )
    if done.returncode or not done.stdout.strip():
        raise BuildError(f"{path} is not in the module cache: {done.stderr.strip()}")
    return pathlib.Path(done.stdout.strip())
