"""The folders that a job works in, filled with its files and its archive, and given to its user.

Content comes from strangers, and is unpacked by root: an entry that is anything but a plain file, a folder or a link
that stays inside refuses the whole archive. Links are made last, so that nothing is ever written through one.
"""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Callable, Iterable, Sequence

from backends.local import errors
from orchestrator.domain import errors as port_errors

ENTRIES_MAX = 100_000
BYTES_MAX = 2**30
"""Of all files of an archive together; archives are not compressed, so this is beyond any that fits in a blob."""
_DEPTH_MAX = 64
_NAME_MAX = 255
_PATH_MAX = 2048


def make(root: str, ranks: int, *, owner: tuple[int, int] | None) -> None:
    """Make ``root`` with ``out``, and for each rank ``<rank>`` to work in, which nobody else may enter yet, and
    ``<rank>.tmp``. Raises OSError."""
    _passage(root)
    _folder(f"{root}/out", owner)
    for rank in range(ranks):
        _folder(f"{root}/{rank}.tmp", owner)
        os.mkdir(f"{root}/{rank}", 0o700)


def fill(
    root: str,
    ranks: int,
    *,
    files: Sequence[tuple[str, bytes]],
    archive: Callable[[], bytes] | None,
    owner: tuple[int, int] | None,
) -> None:
    """Fill the folders to work in, and give them to their user.

    Raises PermanentError ``local.workdir-refused`` or ``local.file-refused``, OSError, and what ``archive`` raises.
    """
    content = archive() if archive is not None else None
    for rank in range(ranks):
        work = f"{root}/{rank}"
        filler = _Filler(work)
        if content is not None:
            filler.unpack(content)
        for path, data in files:
            filler.write(parts_of(path, "file-refused"), data, executable=False)
        filler.link()
        if owner is not None:
            if content is not None or files:
                _give(work, owner)
            else:
                os.chown(work, *owner)


def parts_of(path: str, code: str) -> list[str]:
    """Return the parts of a relative path; raises PermanentError ``local.<code>`` for one that is not inside."""
    parts = [part for part in path.split("/") if part not in ("", ".")]
    bad = path.startswith("/") or not parts or ".." in parts or "\0" in path or "\\" in path
    if bad or len(path) > _PATH_MAX or len(parts) > _DEPTH_MAX or any(len(os.fsencode(p)) > _NAME_MAX for p in parts):
        raise errors.refused(code, f"{path[:200]!r} is not the path of something inside the working folder")
    return parts


class _Filler:
    """Writes into one folder that nobody else can reach yet."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._links: list[tuple[list[str], str]] = []
        self._made: set[str] = set()

    def unpack(self, content: bytes) -> None:
        """Unpack a plain tar archive; links wait for :meth:`link`."""
        entries = total = 0
        try:
            with tarfile.open(fileobj=io.BytesIO(content), mode="r:") as tar:
                for member in tar:  # all are counted before the first is written: unpacking for nothing takes long
                    entries += 1
                    total += member.size
                    if entries > ENTRIES_MAX or total > BYTES_MAX:
                        raise _refused(f"it holds more than {ENTRIES_MAX} entries or {BYTES_MAX // 2**20} MiB")
                for member in tar:
                    self._member(tar, member)
        except port_errors.BackendError:
            raise
        except (tarfile.TarError, EOFError, ValueError, KeyError, IndexError, UnicodeError) as error:
            raise _refused("it is not a plain tar archive, or is damaged") from error

    def write(self, parts: list[str], data: bytes, *, executable: bool) -> None:
        """Write a file; what was there before goes, unless it is a folder."""
        parent = self._parents(parts)
        path = f"{parent}/{parts[-1]}"
        self._links = [link for link in self._links if link[0] != parts]
        mode = 0o755 if executable else 0o644
        if os.path.lexists(path):
            if os.path.isdir(path):
                raise errors.refused("file-refused", f"{'/'.join(parts)!r} is a file here and a folder there")
            os.unlink(path)
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
        with os.fdopen(fd, "wb") as file:
            file.write(data)
            os.fchmod(fd, mode)

    def link(self) -> None:
        """Make the links, and then look whether each one leads inside."""
        if not self._links:
            return
        for parts, target in self._links:
            path = f"{self._parents(parts)}/{parts[-1]}"
            if os.path.lexists(path):
                raise _refused(f"{'/'.join(parts)!r} is there twice")
            os.symlink(target, path)
        root = os.path.realpath(self._root)
        for parts, _ in self._links:
            real = os.path.realpath(f"{self._root}/{'/'.join(parts)}")
            if real != root and not real.startswith(f"{root}/"):
                raise _refused(f"the link {'/'.join(parts)!r} leads outside")

    def _member(self, tar: tarfile.TarFile, member: tarfile.TarInfo) -> None:
        name = member.name
        if member.isdir() and name.strip("/") in ("", "."):
            return
        parts = parts_of(name, "workdir-refused")
        if member.isdir():
            self._parents([*parts, ""])
        elif member.issym():
            self._links.append((parts, member.linkname))
        elif member.isreg() and not member.issparse():
            source = tar.extractfile(member)
            data = source.read() if source is not None else b""
            if len(data) != member.size:
                raise _refused("it ends in the middle of a file")
            self.write(parts, data, executable=bool(member.mode & 0o100))
        else:
            raise _refused(f"{name[:200]!r} is neither a plain file, a folder nor a symbolic link")

    def _parents(self, parts: list[str]) -> str:
        """Make the folders that lead to the last part, and return the path of the innermost."""
        at = self._root
        for part in parts[:-1]:
            at = f"{at}/{part}"
            if at not in self._made:
                try:
                    _passage(at)
                except FileExistsError:
                    # No link exists while folders are made, so this is a folder of ours or a file in the way.
                    if not os.path.isdir(at) or os.path.islink(at):
                        raise _refused(f"{at[len(self._root) + 1 :]!r} is there twice") from None
                self._made.add(at)
        return at


def _refused(why: str) -> port_errors.PermanentError:
    return errors.refused("workdir-refused", f"the archive of the working folder is refused: {why}")


def _passage(path: str) -> None:
    """Make a folder that others may pass, whatever the server's umask; what is above it is closed to them."""
    os.mkdir(path, 0o755)
    os.chmod(path, 0o755)  # noqa: S103


def _folder(path: str, owner: tuple[int, int] | None) -> None:
    os.mkdir(path, 0o700)
    if owner is not None:
        os.chown(path, *owner)


def _give(root: str, owner: tuple[int, int]) -> None:
    """Give everything below to the job's user. Nobody else can reach it yet, so no path can change under us."""
    for folder, folders, names in os.walk(root, topdown=False):
        for name in _both(folders, names):
            os.chown(f"{folder}/{name}", *owner, follow_symlinks=False)
    os.chown(root, *owner)


def _both(left: Iterable[str], right: Iterable[str]) -> Iterable[str]:
    yield from left
    yield from right
