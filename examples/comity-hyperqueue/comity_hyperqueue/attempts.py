"""The attempts of one backend, as folders that this machine and the workers see.

Of each key one folder comes to be, in one step (``os.rename`` of a whole one), and one claim (``os.link``): by the task
that starts the command, or by whoever wants that it never starts. The names are the contract with ``task.py``.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import hashlib
import json
import os
import pathlib
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from typing import Any

from comity_hyperqueue import errors

_KEY = re.compile(r"[a-z0-9][a-z0-9-]{0,126}", re.ASCII | re.IGNORECASE)
RUN, NEVER = "run", "never"


@dataclasses.dataclass(frozen=True, slots=True)
class Record:
    """What stands in an attempt's folder. ``silent_s``: seconds since its last sign of life, by the folder's clock."""

    key: str
    spec: Mapping[str, Any] | None
    claim: str | None
    server: str | None
    number: int | None
    end: Mapping[str, Any] | None
    silent_s: float

    @property
    def over(self) -> bool:
        """Say whether nothing of it runs or ever will."""
        return self.end is not None or self.claim == NEVER


class Attempts:
    """The folder of one backend."""

    def __init__(self, folder: str, installation: str, backend: str) -> None:
        mark = hashlib.sha256(f"{installation}/{backend}".encode()).hexdigest()[:16]
        self._folder = pathlib.Path(folder) / f"comity-{mark}"

    def folder(self, key: str) -> pathlib.Path:
        """Return where the attempt of this key lies. Raises PermanentError for what is no key."""
        if not _KEY.fullmatch(key):
            raise errors.refused(f"{key[:100]!r} is no key of an attempt")
        return self._folder / key

    def program(self) -> pathlib.Path:
        """Return the program that workers start, named by its content, and bring it there."""
        source = pathlib.Path(__file__).with_name("task.py").read_bytes()
        path = self._folder / f".task-{hashlib.sha256(source).hexdigest()[:16]}.py"
        if not path.exists():
            self._folder.mkdir(parents=True, exist_ok=True)
            _write(path, source)
        return path

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        """Keep others from submitting meanwhile, in this process and in any other of this machine."""
        self._folder.mkdir(parents=True, exist_ok=True)
        with (self._folder / ".lock").open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def create(self, key: str, spec: Mapping[str, Any]) -> None:
        """Make the folder of a key unless there is one."""
        target = self.folder(key)
        made = pathlib.Path(tempfile.mkdtemp(prefix=".new-", dir=self._folder))
        try:
            (made / "work").mkdir()
            (made / "beat").touch()
            _write(made / "spec.json", json.dumps(spec).encode())
            made.rename(target)
        except OSError:
            shutil.rmtree(made, ignore_errors=True)
            if not target.exists():
                raise

    def queued(self, key: str, server: str, number: int) -> None:
        """Write down which job of which server it is."""
        _write(self.folder(key) / "job.json", json.dumps({"server": server, "number": number}).encode())

    def never(self, key: str) -> bool:
        """Keep an attempt from ever starting; False: it has started."""
        folder = self.folder(key)
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=folder, prefix=".never-") as file:
            file.write(NEVER)
            file.flush()
            try:
                os.link(file.name, folder / "claim")
            except FileExistsError:
                return (folder / "claim").read_text() == NEVER
        return True

    def close(self, key: str, kind: str, detail: str) -> None:
        """Write the end of an attempt that can write none itself, so that everybody reads the same from now on."""
        _write(self.folder(key) / "end.json", json.dumps({"kind": kind, "detail": detail}).encode())

    def tell_to_stop(self, key: str, grace_s: float) -> None:
        """Tell a task that runs to end its command."""
        _write(self.folder(key) / "stop", f"{grace_s}".encode())

    def read(self, key: str) -> Record | None:
        """Return what is known of a key, or None. Raises OSError, or ValueError for what nobody of us wrote."""
        folder = self.folder(key)
        try:
            claim = _text(folder / "claim")
            end, job, spec = (_json(folder / name) for name in ("end.json", "job.json", "spec.json"))
            if end is None and claim is None and not folder.exists():
                return None
            server, number = (str(job["server"]), int(job["number"])) if job else (None, None)
        except (KeyError, TypeError) as error:
            raise ValueError(f"what lies in {folder} is not of this adapter: {error!r}") from error
        return Record(key, spec, claim, server, number, end, self._silent(folder))

    def names(self) -> list[str]:
        """Return every key."""
        if not self._folder.is_dir():
            return []
        return sorted(path.name for path in self._folder.iterdir() if not path.name.startswith("."))

    def remove(self, key: str) -> None:
        """Remove an attempt's folder; unknown is fine."""
        shutil.rmtree(self.folder(key), ignore_errors=True)

    def _silent(self, folder: pathlib.Path) -> float:
        """Return the seconds since the last sign of life. Both times are the file system's: no two clocks differ."""
        try:
            beaten = (folder / "beat").stat().st_mtime
        except FileNotFoundError:
            return 0.0
        with tempfile.NamedTemporaryFile(dir=self._folder, prefix=".now-") as now:
            return max(0.0, os.fstat(now.fileno()).st_mtime - beaten)


def _write(path: pathlib.Path, content: bytes) -> None:
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    with partial.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def _text(path: pathlib.Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None


def _json(path: pathlib.Path) -> dict[str, Any] | None:
    text = _text(path)
    if text is None:
        return None
    found = json.loads(text)
    if not isinstance(found, dict):
        raise ValueError(f"{path} holds no object")
    return found
