"""Comity's own image for test clusters: what the Containerfile makes, out of what this machine has.

Layers from below: shell and Python of this machine, what Comity needs at run time, Comity itself from its wheel. The
archive is kept under the digest of all of it.
"""

import fcntl
import hashlib
import importlib.metadata
import importlib.util
import json
import marshal
import pathlib
import subprocess
import sys
import sysconfig
import tempfile
import warnings
import zipfile

from orchestrator.telemetry import clocks
from tests.e2e.kube import images, packages, places

ROOT = places.ROOT
NAME = f"{images.DOMAIN}/comity"
VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"
USER = 10001
FORM = "3"
KEPT_S = 2 * 3600.0
"""How long an image of another state of the source is left alone: longer than a test run."""
UNUSED = {"aio", "models"}
"""Folders of the Kubernetes client that the adapter loads nothing of: 50 MB of bytecode."""
COMMAND = b"""#!/usr/local/bin/python3
import sys
from orchestrator.cli.main import main
sys.exit(main())
"""
SETTINGS = {"User": f"{USER}:{USER}", "Entrypoint": ["comity"], "Env": images.ENVIRONMENT, "WorkingDir": "/tmp"}


def _sources() -> str:
    """Return the digest of everything that the wheel is built from."""
    key = hashlib.sha256()
    tops = [ROOT / "pyproject.toml", ROOT / "hatch_build.py", ROOT / "README.md"]
    for folder in ("orchestrator", "backends", "examples"):
        found = (path for path in (ROOT / folder).rglob("*") if path.is_file() and path.suffix != ".pyc")
        # A runner that somebody compiles at this moment, in a folder that is gone when it is read, is no source.
        tops += sorted(path for path in found if not any(part.startswith(".build-") for part in path.parts))
    for path in tops:
        key.update(f"{path.relative_to(ROOT)}\0".encode() + path.read_bytes())
    return key.hexdigest()[:16]


def make() -> images.Image:
    """Return the image of the source as it is now; its tag is the digest of the source."""
    needed = images._closure("comity", "kubernetes")
    source = _sources()
    key = hashlib.sha256(
        json.dumps([images.FORM, FORM, source, SETTINGS, [(p.name, p.version) for p in needed]]).encode()
    )
    key.update(pathlib.Path(packages.busybox() or "/dev/null").read_bytes())
    folder = places.cache() / "images"
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"comity-{key.hexdigest()[:16]}.tar"
    with (folder / "comity.lock").open("w") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        return images.read_archive(target) if target.exists() else _write(target, source, needed)


def _write(target: pathlib.Path, source: str, needed: list[importlib.metadata.Distribution]) -> images.Image:
    """Write the image, and remove older ones that nobody can be using any more."""
    folder = target.parent
    for old in folder.glob("comity-*.tar"):
        if clocks.SystemClock().now().timestamp() - old.stat().st_mtime > KEPT_S:
            old.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as work:
        base = images.Layer(pathlib.Path(work) / "base")
        images._busybox(base)
        images._python(base)
        for path, inner in images._files(pathlib.Path(sysconfig.get_path("stdlib"))):
            if path.suffix == ".py" and inner.parts[0] != "lib2to3":
                _compiled(base, f"{images.HOME}/lib/python{VERSION}/{inner}", path.read_bytes(), path)
        base.close()
        wheels = images.Layer(pathlib.Path(work) / "wheels")
        programs = []
        for part in needed:
            for file in sorted(part.files or ()) if part.name != "comity" else ():
                path = pathlib.Path(str(part.locate_file(file)))
                if path.is_file() and ".." not in file.parts and not images.SKIPPED & set(file.parts):
                    wheels.copy(f"{images.SITE}/{file}", path)
                    programs += [path] if ".so" in path.suffixes else []
                    if path.suffix == ".py" and not UNUSED & set(file.parts):
                        _compiled(wheels, f"{images.SITE}/{file}", path.read_bytes(), path)
        for name, path in sorted(images._libraries(programs).items()):
            # What a wheel brings along is found by its own path; what it takes from the system is not in the base.
            if not name.startswith("/") and pathlib.Path(path).is_relative_to("/lib"):
                wheels.copy(f"{images.LIBRARIES}/{name}", path)
        wheels.close()
        own = images.Layer(pathlib.Path(work) / "own")
        _wheel(own, pathlib.Path(work))
        own.file("usr/local/bin/comity", COMMAND, 0o755)
        own.file("etc/passwd", f"root:x:0:0::/root:/bin/sh\ncomity:x:{USER}:{USER}::/tmp:/bin/sh\n".encode())
        own.close()
        return images.write_archive(target, f"{NAME}:{source}", [base.path, wheels.path, own.path], SETTINGS)


def _wheel(layer: images.Layer, work: pathlib.Path) -> None:
    """Put the wheel's content into a layer, as installing it would."""
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(work), str(ROOT)]
    subprocess.run(command, capture_output=True, timeout=300, check=True)
    (wheel,) = work.glob("comity-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        for info in sorted(archive.infolist(), key=lambda one: one.filename):
            is_program = bool((info.external_attr >> 16) & 0o111)
            target, content = f"{images.SITE}/{info.filename}", archive.read(info)
            layer.file(target, content, 0o755 if is_program else 0o644)
            if target.endswith(".py"):
                _compiled(layer, target, content, None)


def _compiled(layer: images.Layer, target: str, source: bytes, path: pathlib.Path | None) -> None:
    """Add a module as bytecode that is never checked against its source: nothing can be written there later.

    :param path: where this machine may have compiled it already.
    """
    kept = pathlib.Path(importlib.util.cache_from_source(str(path))) if path else None
    try:
        body = kept.read_bytes()[16:] if kept else b""
    except OSError:
        body = b""
    try:
        with warnings.catch_warnings(action="ignore"):  # of other people's sources
            body = body or marshal.dumps(compile(source, target, "exec", dont_inherit=True))
    except (SyntaxError, ValueError):
        return  # a template, or a test of a parser: nobody imports it
    head = importlib.util.MAGIC_NUMBER + (1).to_bytes(4, "little") + hashlib.sha256(source).digest()[:8]
    folder, _, name = target.rpartition("/")
    layer.file(f"{folder}/__pycache__/{name.removesuffix('.py')}.{sys.implementation.cache_tag}.pyc", head + body)


if __name__ == "__main__":
    print(make().archive)
