"""References to secrets in the settings of a Backend, resolved on the server and only at the last moment.

``{fromFile: PATH}`` is read below the secrets folder only, after every symlink is followed; ``{fromEnv: NAME}`` only
for names that begin with ``COMITY_SECRET_``. The document that is stored and shown keeps the reference.
"""

from __future__ import annotations

import pathlib
from collections.abc import Callable, Iterator, Mapping

from orchestrator.settings import adapters

ENV_PREFIX = "COMITY_SECRET_"
SECRET_BYTES_MAX = 2**20
DEPTH_MAX = 64
Stamp = tuple[tuple[str, tuple[int, ...] | None], ...]
"""Name of a secret's file -> device, inode, size and time of its last change; None: it is not there."""


class Secrets:
    """Resolves references. ``folder`` None: no file may be named."""

    def __init__(self, folder: pathlib.Path | None, environment: Mapping[str, str]) -> None:
        self._folder = folder
        self._environment = environment

    def resolve(self, settings: Mapping[str, object]) -> dict[str, object]:
        """Return the settings with every reference replaced by its text; raises SettingsError with all problems."""
        problems: list[str] = []
        resolved = {key: self._value(value, key, problems, 0) for key, value in settings.items()}
        if problems:
            raise adapters.SettingsError(problems)
        return resolved

    def stamp(self, settings: Mapping[str, object]) -> Stamp:
        """Return what is another thing once a file that settings name is another one, or is there at last."""
        return tuple((name, self._state(name)) for name in _files(settings, 0))

    def _state(self, name: str) -> tuple[int, ...] | None:
        try:
            found = (self._folder / name).stat() if self._folder is not None else None
        except (OSError, ValueError, RuntimeError):
            return None
        return None if found is None else (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)

    def _value(self, value: object, path: str, problems: list[str], depth: int) -> object:
        if depth > DEPTH_MAX:
            problems.append(f"{path}: nests deeper than {DEPTH_MAX} levels")
            return None
        if isinstance(value, Mapping):
            if set(value) == {"fromFile"}:
                return self._told(self._file, value["fromFile"], path, problems)
            if set(value) == {"fromEnv"}:
                return self._told(self._variable, value["fromEnv"], path, problems)
            return {str(k): self._value(v, f"{path}.{k}", problems, depth + 1) for k, v in value.items()}
        if isinstance(value, list | tuple):
            return [self._value(one, f"{path}[{i}]", problems, depth + 1) for i, one in enumerate(value)]
        return value

    def _told(self, read: Callable[[str], str], name: object, path: str, problems: list[str]) -> str | None:
        try:
            if not isinstance(name, str) or "\0" in name:
                raise ValueError("the name of a secret must be text")
            return read(name)
        except (ValueError, OSError) as error:
            problem = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            problems.append(f"{path}: {problem}")
            return None

    def _file(self, name: str) -> str:
        if self._folder is None:
            raise ValueError("fromFile needs a server started with --secrets-dir")
        folder = self._folder.resolve()
        try:
            real = (folder / name).resolve()
        except RuntimeError as error:  # a symlink that leads to itself
            raise ValueError("fromFile names no file below the secrets folder") from error
        if not real.is_relative_to(folder) or not real.is_file():
            raise ValueError("fromFile names no file below the secrets folder")
        with real.open("rb") as file:
            content = file.read(SECRET_BYTES_MAX + 1)
        if len(content) > SECRET_BYTES_MAX:
            raise ValueError(f"the secret is longer than {SECRET_BYTES_MAX} bytes")
        return content.decode("utf-8").removesuffix("\n")

    def _variable(self, name: str) -> str:
        if not name.startswith(ENV_PREFIX):
            raise ValueError(f"fromEnv may name variables {ENV_PREFIX}* only")
        if name not in self._environment:
            raise ValueError(f"the server has no variable {name}")
        return self._environment[name]


def _files(value: object, depth: int) -> Iterator[str]:
    """Yield the names of files that a part of settings names, in order."""
    if depth > DEPTH_MAX:
        return
    if isinstance(value, Mapping):
        if set(value) == {"fromFile"} and isinstance(value["fromFile"], str):
            yield value["fromFile"]
        else:
            for one in value.values():
                yield from _files(one, depth + 1)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _files(one, depth + 1)
