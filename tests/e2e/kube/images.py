"""Container images made of what this machine has, as OCI image archives: no registry, no Dockerfile.

The digest of an image depends on its content alone (no times, sorted names), so a reference by digest can be known
before anything runs. An archive is written once, under the digest of what it is made from, and imported by every node.
"""

import dataclasses
import fcntl
import hashlib
import importlib.metadata
import io
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping

from packaging import requirements

from tests.e2e.kube import packages, places

DOMAIN = "comity.test"
FORM = "2"
"""Part of every key: raise it when what an image holds changes."""
HOME = "/opt/python"
SITE = "/opt/site"
LIBRARIES = "/opt/lib"
SKIPPED = {"__pycache__", "test", "tests", "idlelib", "tkinter", "turtledemo", "ensurepip", "lib2to3", "site-packages"}
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


@dataclasses.dataclass(frozen=True)
class Image:
    """An image in an archive that a node can import."""

    name: str
    """With its tag: ``comity.test/busybox:1``."""
    digest: str
    """Of its manifest: ``sha256:…``."""
    archive: pathlib.Path

    @property
    def pinned(self) -> str:
        """Return the reference by digest, the only one that ``plan`` accepts."""
        return f"{self.name.rpartition(':')[0]}@{self.digest}"


class Layer:
    """One layer, written as a tar file without times and owners."""

    def __init__(self, path: pathlib.Path) -> None:
        self.path = path
        self._seen: set[str] = set()
        self._tar = tarfile.open(path, "w", format=tarfile.PAX_FORMAT)  # noqa: SIM115 - open for the life of the layer

    def _add(self, name: str, kind: bytes, mode: int, content: bytes = b"", link: str = "") -> None:
        """Add one entry after the folders above it; a name that is there already is left as it is."""
        name = name.strip("/")
        if name in self._seen:
            return
        above = name.rpartition("/")[0]
        if above:
            self._add(above, tarfile.DIRTYPE, 0o755)
        self._seen.add(name)
        entry = tarfile.TarInfo(name)
        entry.type, entry.mode, entry.linkname, entry.size = kind, mode, link, len(content)
        self._tar.addfile(entry, io.BytesIO(content))

    def folder(self, name: str, mode: int = 0o755) -> None:
        """Add a folder."""
        self._add(name, tarfile.DIRTYPE, mode)

    def file(self, name: str, content: bytes, mode: int = 0o644) -> None:
        """Add a file."""
        self._add(name, tarfile.REGTYPE, mode, content)

    def link(self, name: str, target: str) -> None:
        """Add a symbolic link."""
        self._add(name, tarfile.SYMTYPE, 0o777, link=target)

    def copy(self, name: str, source: pathlib.Path) -> None:
        """Add what a path of this machine holds, through links; readable by all, executable where it is here."""
        self.file(name, source.read_bytes(), 0o755 if os.access(source, os.X_OK) else 0o644)

    def close(self) -> None:
        """Finish the file."""
        self._tar.close()


def _digest(path: pathlib.Path) -> str:
    """Return the SHA-256 of a file, as OCI writes it."""
    with path.open("rb") as stream:
        return "sha256:" + hashlib.file_digest(stream, "sha256").hexdigest()


def write_archive(
    target: pathlib.Path, name: str, layers: Iterable[pathlib.Path], settings: Mapping[str, object]
) -> Image:
    """Write an OCI image archive from finished layers.

    :param name: reference with tag; ``settings`` the ``config`` of the image (Env, Cmd, User, ...).
    """
    with tempfile.TemporaryDirectory(dir=target.parent) as work:
        blobs = pathlib.Path(work) / "blobs" / "sha256"
        blobs.mkdir(parents=True)

        def keep(content: bytes, media_type: str) -> dict[str, object]:
            found = hashlib.sha256(content).hexdigest()
            (blobs / found).write_bytes(content)
            return {"mediaType": media_type, "digest": f"sha256:{found}", "size": len(content)}

        described = []
        for layer in layers:
            digest = _digest(layer)
            shutil.copyfile(layer, blobs / digest.removeprefix("sha256:"))
            kind = "application/vnd.oci.image.layer.v1.tar"
            described.append({"mediaType": kind, "digest": digest, "size": layer.stat().st_size})
        config = {
            "architecture": ARCHITECTURES[os.uname().machine],
            "os": "linux",
            "config": settings,
            "rootfs": {"type": "layers", "diff_ids": [layer["digest"] for layer in described]},
        }
        manifest = {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": keep(json.dumps(config).encode(), "application/vnd.oci.image.config.v1+json"),
            "layers": described,
        }
        top = keep(json.dumps(manifest).encode(), str(manifest["mediaType"]))
        names = {"io.containerd.image.name": name, "org.opencontainers.image.ref.name": name.rpartition(":")[2]}
        index = {"schemaVersion": 2, "manifests": [top | {"annotations": names}]}
        (pathlib.Path(work) / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
        (pathlib.Path(work) / "index.json").write_text(json.dumps(index))
        aside = target.with_suffix(f".{os.getpid()}")
        with tarfile.open(aside, "w") as tar:
            for part in ("oci-layout", "index.json", "blobs"):
                tar.add(pathlib.Path(work) / part, arcname=part)
        aside.rename(target)
    return Image(name, str(top["digest"]), target)


def read_archive(path: pathlib.Path) -> Image:
    """Return the image that an archive holds (the first, where there are many)."""
    with tarfile.open(path) as tar:
        stream = tar.extractfile("index.json")
        assert stream is not None
        entry = json.load(stream)["manifests"][0]
    return Image(entry["annotations"]["io.containerd.image.name"], entry["digest"], path)


def _busybox(layer: Layer) -> None:
    """Fill a layer with a shell and its tools, users 0 and 1000, and a place for temporary files."""
    source = packages.busybox()
    if source is None:
        raise FileNotFoundError("busybox-static is missing")
    layer.copy("bin/busybox", pathlib.Path(source))
    applets = subprocess.run([source, "--list"], capture_output=True, text=True, timeout=60, check=True).stdout.split()
    for applet in sorted(set(applets) - {"busybox"}):
        layer.link(f"bin/{applet}", "busybox")
    layer.file("etc/passwd", b"root:x:0:0::/root:/bin/sh\nuser:x:1000:1000::/tmp:/bin/sh\n")
    layer.file("etc/group", b"root:x:0:\nuser:x:1000:\n")
    layer.folder("tmp", 0o1777)


def _python(layer: Layer) -> None:
    """Fill a layer with the interpreter that runs this, its standard library and every library that they load."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    program = pathlib.Path(sys.executable).resolve()
    layer.copy(f"{HOME}/bin/{version}", program)
    for name in ("python3", "python"):
        layer.link(f"{HOME}/bin/{name}", version)
        layer.link(f"usr/local/bin/{name}", f"{HOME}/bin/{version}")
    found = [program]
    for source, inner in _files(pathlib.Path(sysconfig.get_path("stdlib"))):
        if inner.parts[0].startswith("config-"):
            continue
        layer.copy(f"{HOME}/lib/{version}/{inner}", source)
        if ".so" in source.suffixes:
            found.append(source)
    _add_libraries(layer, found)


def _files(top: pathlib.Path) -> Iterator[tuple[pathlib.Path, pathlib.Path]]:
    """Give every file under a folder with its path inside, sorted, without what no program needs."""
    for folder, folders, files in os.walk(top):
        folders[:] = sorted(name for name in folders if name not in SKIPPED)
        for name in sorted(files):
            path = pathlib.Path(folder) / name
            if path.suffix != ".a":
                yield path, path.relative_to(top)


def _add_libraries(layer: Layer, programs: list[pathlib.Path]) -> None:
    """Add the libraries of the machine that programs and modules load; those of a wheel lie beside its modules."""
    for name, source in sorted(_libraries(programs).items()):
        # The loader's own path is written into the program; everything else is found by LD_LIBRARY_PATH.
        if "site-packages" not in source.parts:
            layer.copy(name if name.startswith("/") else f"{LIBRARIES}/{name}", source)


def _libraries(programs: list[pathlib.Path]) -> dict[str, pathlib.Path]:
    """Return what the dynamic loader finds for programs and modules: by name, the loader itself by its path."""
    said = subprocess.run(["ldd", *map(str, programs)], capture_output=True, text=True, timeout=60, check=False).stdout
    found = {name: pathlib.Path(path) for name, path in re.findall(r"^\s+(\S+) => (/\S+) ", said, re.MULTILINE)}
    return found | {path: pathlib.Path(path) for path in re.findall(r"^\s+(/\S*ld-\S+) \(", said, re.MULTILINE)}


def _closure(*names: str) -> list[importlib.metadata.Distribution]:
    """Return installed distributions and all that they need at run time, sorted by name."""
    found: dict[str, importlib.metadata.Distribution] = {}
    waiting = list(names)
    while waiting:
        name = re.sub(r"[-_.]+", "-", waiting.pop()).lower()
        if name in found:
            continue
        found[name] = importlib.metadata.distribution(name)
        for text in found[name].requires or ():
            needed = requirements.Requirement(text)
            if needed.marker is None or needed.marker.evaluate({"extra": ""}):
                waiting.append(needed.name)
    return [found[name] for name in sorted(found)]


def _science(layer: Layer) -> None:
    """Fill a layer with what the digits example imports."""
    modules = []
    for distribution in _closure("scikit-learn"):
        for file in sorted(distribution.files or ()):
            source = pathlib.Path(str(distribution.locate_file(file)))
            if source.is_file() and ".." not in file.parts and not SKIPPED & set(file.parts):
                layer.copy(f"{SITE}/{file}", source)
                if ".so" in source.suffixes:
                    modules.append(source)
    _add_libraries(layer, modules)


ENVIRONMENT = [
    f"PATH=/usr/local/bin:{HOME}/bin:/bin",
    f"LD_LIBRARY_PATH={LIBRARIES}",
    f"PYTHONHOME={HOME}",
    f"PYTHONPATH={SITE}",
    "PYTHONDONTWRITEBYTECODE=1",
    "HOME=/tmp",
]
PARTS: dict[str, tuple[tuple[Callable[[Layer], None], ...], dict[str, object]]] = {
    "pause:1": ((_busybox,), {"Cmd": ["/bin/sleep", "2147483647"]}),
    "busybox:1": ((_busybox,), {"Cmd": ["/bin/sh"], "Env": ["PATH=/bin", "HOME=/tmp"]}),
    "python:1": ((_busybox, _python), {"Cmd": ["python3"], "Env": ENVIRONMENT}),
    "science:1": ((_busybox, _python, _science), {"Cmd": ["python3"], "Env": ENVIRONMENT}),
}
"""By name: what fills the layers, from the lowest up, and the settings."""
SMALL = ("pause:1", "busybox:1", "python:1")
"""What every node imports at its start; ``science:1`` (about 0.3 GB) is imported where a test wants it."""


def make(short: str) -> Image:
    """Return one of our images by its short name, written if it is not in the cache yet."""
    fillers, settings = PARTS[short]
    key = hashlib.sha256(json.dumps([FORM, short, settings, sys.version, sys.executable]).encode())
    if _science in fillers:
        key.update(json.dumps([(part.name, part.version) for part in _closure("scikit-learn")]).encode())
    key.update(pathlib.Path(packages.busybox() or "/dev/null").read_bytes())
    folder = places.cache() / "images"
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"{short.partition(':')[0]}-{key.hexdigest()[:16]}.tar"
    with target.with_suffix(".lock").open("w") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        return read_archive(target) if target.exists() else _write(target, short)


def _write(target: pathlib.Path, short: str) -> Image:
    """Write one of our images."""
    fillers, settings = PARTS[short]
    with tempfile.TemporaryDirectory(dir=target.parent) as work:
        paths = []
        for number, fill in enumerate(fillers):
            layer = Layer(pathlib.Path(work) / str(number))
            fill(layer)
            layer.close()
            paths.append(layer.path)
        return write_archive(target, f"{DOMAIN}/{short}", paths, settings)
