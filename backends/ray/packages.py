"""What is sent with a job: the runner, the working folder and the files, as one zip named by its own digest. Pure.

Links, executables and empty folders, which Ray's unpacking loses, stand in a manifest that the runner reads.
"""

from __future__ import annotations

import functools
import hashlib
import io
import json
import os
import pathlib
import posixpath
import tarfile
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from backends.ray import errors
from backends.ray.runner import words
from orchestrator.domain import errors as port_errors

ENTRIES_MAX = 20_000
BYTES_MAX = 512 * 2**20
"""Of the files of an archive, unpacked."""
_PATH_MAX = 1024
_DEPTH_MAX = 64
_NAME_MAX = 255
_EPOCH = (1980, 1, 1, 0, 0, 0)
_RUNNER = pathlib.Path(words.__file__).parent
_START = b"import sys\n\nfrom backends.ray.runner import first\n\nfirst.main(sys.argv[1:])\n"


@dataclass(frozen=True, slots=True)
class Package:
    """A zip and its name. ``content`` is made again where it is needed: it need not stay in memory."""

    name: str
    content: bytes = field(repr=False)
    has_content: bool

    @property
    def uri(self) -> str:
        """Return what Ray calls it."""
        return f"gcs://{self.name}"


@dataclass(slots=True)
class _Tree:
    files: dict[str, bytes] = field(default_factory=dict)
    executable: set[str] = field(default_factory=set)
    folders: set[str] = field(default_factory=set)
    links: dict[str, str] = field(default_factory=dict)


def package(*, files: Sequence[tuple[str, bytes]], archive: Callable[[], bytes] | None) -> Package:
    """Return the package of a job. Raises PermanentError ``ray.workdir-refused`` or ``ray.file-refused``."""
    tree = _Tree()
    if archive is not None:
        _unpack(tree, archive())
    for path, data in files:
        name = "/".join(parts_of(path, "file-refused"))
        tree.links.pop(name, None)
        tree.executable.discard(name)
        tree.files[name] = data
    _check(tree)
    has_content = archive is not None or bool(files)
    manifest = {
        "executable": sorted(tree.executable),
        "folders": sorted(tree.folders),
        "links": sorted(tree.links.items()),
    }
    inside = {**tree.files, **_runner(), words.MANIFEST: json.dumps(manifest, sort_keys=True).encode()}
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as zipped:
        for name in sorted(inside):
            info = zipfile.ZipInfo(name, date_time=_EPOCH)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = (0o755 if name in tree.executable else 0o644) << 16
            zipped.writestr(info, inside[name])
    content = made.getvalue()
    return Package(f"comity_{hashlib.sha256(content).hexdigest()[:40]}.zip", content, has_content)


@functools.cache
def _runner() -> dict[str, bytes]:
    """Return the runner's files as they are sent: a folder that Python runs, its modules under the names they have."""
    folder = f"{words.SELF}/backends"
    sent = {f"{words.SELF}/__main__.py": _START, f"{folder}/__init__.py": b"", f"{folder}/ray/__init__.py": b""}
    for path in sorted(_RUNNER.glob("*.py")):
        sent[f"{folder}/ray/runner/{path.name}"] = path.read_bytes()
    return sent


def parts_of(path: str, code: str) -> list[str]:
    """Return the parts of a relative path; raises PermanentError ``ray.<code>`` for one that is not inside."""
    parts = [part for part in path.split("/") if part not in ("", ".")]
    bad = path.startswith("/") or not parts or ".." in parts or "\0" in path or "\\" in path
    try:
        long = any(len(os.fsencode(part)) > _NAME_MAX for part in parts) or not path.encode()
    except UnicodeEncodeError:
        long = True
    if bad or long or len(path) > _PATH_MAX or len(parts) > _DEPTH_MAX or ":" in parts[0]:
        raise errors.refused(code, f"{path[:200]!r} is not the path of something inside the working folder")
    if parts[0] in (words.SELF, words.MANIFEST):
        raise errors.refused(code, f"the name {parts[0]} is taken here")
    return parts


def _unpack(tree: _Tree, content: bytes) -> None:
    """Take what stands in a plain tar archive."""
    entries = total = 0
    try:
        with tarfile.open(fileobj=io.BytesIO(content), mode="r:") as tar:
            for member in tar:
                entries += 1
                total += member.size
                if entries > ENTRIES_MAX or total > BYTES_MAX:
                    raise _refused(f"it holds more than {ENTRIES_MAX} entries or {BYTES_MAX // 2**20} MiB")
                _member(tree, tar, member)
    except port_errors.BackendError:
        raise
    except (tarfile.TarError, EOFError, ValueError, KeyError, IndexError, UnicodeError) as error:
        raise _refused("it is not a plain tar archive, or is damaged") from error


def _member(tree: _Tree, tar: tarfile.TarFile, member: tarfile.TarInfo) -> None:
    if member.isdir() and member.name.strip("/") in ("", "."):
        return
    name = "/".join(parts_of(member.name, "workdir-refused"))
    if member.isdir():
        tree.folders.add(name)
    elif member.issym():
        tree.files.pop(name, None)
        tree.links[name] = member.linkname
    elif member.isreg() and not member.issparse():
        source = tar.extractfile(member)
        data = source.read() if source is not None else b""
        if len(data) != member.size:
            raise _refused("it ends in the middle of a file")
        tree.links.pop(name, None)
        tree.files[name] = data
        if member.mode & 0o100:
            tree.executable.add(name)
    else:
        raise _refused(f"{member.name[:200]!r} is neither a plain file, a folder nor a symbolic link")


def _check(tree: _Tree) -> None:
    """Refuse what no file system holds, and links that lead outside."""
    for name in (*tree.files, *tree.folders, *tree.links):
        above = posixpath.dirname(name)
        while above:
            if above in tree.files or above in tree.links:
                raise _refused(f"{above!r} is there twice, as a folder too")
            above = posixpath.dirname(above)
    for name in tree.folders & {*tree.files, *tree.links}:
        raise _refused(f"{name!r} is there twice, as a folder too")
    for name in tree.links:
        _follow(tree, name)


def _follow(tree: _Tree, name: str) -> None:
    """Refuse a link that leads outside, by way of other links too."""
    at, left = posixpath.dirname(name), tree.links[name].split("/")
    if tree.links[name].startswith("/") or "\0" in tree.links[name]:
        raise _refused(f"the link {name!r} leads outside")
    for _ in range(_DEPTH_MAX * 16):
        if not left:
            return
        part, left = left[0], left[1:]
        if part in ("", "."):
            continue
        if part == "..":
            if not at:
                raise _refused(f"the link {name!r} leads outside")
            at = posixpath.dirname(at)
            continue
        at = posixpath.join(at, part)
        if at in tree.links:
            target = tree.links[at]
            if target.startswith("/"):
                raise _refused(f"the link {name!r} leads outside")
            left, at = [*target.split("/"), *left], posixpath.dirname(at)
    raise _refused(f"the link {name!r} leads nowhere")


def _refused(why: str) -> port_errors.PermanentError:
    return errors.refused("workdir-refused", f"the archive of the working folder is refused: {why}")
