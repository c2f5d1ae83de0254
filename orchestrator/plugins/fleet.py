"""The adapters of the registered backends: built from documents, rebuilt when these change, closed when withdrawn.

A backend whose adapter cannot be built stays in the fleet with what is wrong with it: asking for its adapter raises,
and everybody else goes on. Nothing here calls a backend; the constructor of an adapter does no I/O.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import hashlib
import json
import pathlib
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from orchestrator.domain import errors, executions, sites
from orchestrator.plugins import origins, registry, secrets
from orchestrator.ports import backends
from orchestrator.settings import adapters

Built = Callable[[str, backends.BackendAdapter], None]
Declared = Callable[[], Mapping[str, sites.Backend]]


@dataclass(frozen=True, slots=True)
class Grounds:
    """What every adapter is given: a folder of its own below ``state_folder``, our mark, and the clock."""

    state_folder: pathlib.Path
    installation: str
    now: Callable[[], dt.datetime]
    hidden_folders: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Member:
    declared: sites.Backend
    adapter: backends.BackendAdapter | None
    code: str = ""
    problem: str = ""
    origin: executions.Adapter | None = None
    stamp: secrets.Stamp = ()
    """Of the files that its settings name, as they were just before they were read."""


def _nothing(backend: str, adapter: backends.BackendAdapter) -> None:
    """Do nothing with a new adapter."""


def _none_declared() -> Mapping[str, sites.Backend]:
    """Return nothing."""
    return {}


class PluginFleet:
    """Implements ``ports.environment.Fleet``. Safe to call from several threads; only the loop refreshes.

    Who asks for an adapter may know more than the last refresh did (a document that was just applied, a server that
    has just started): with ``look_in`` it is then built at once, and nothing else is touched.
    """

    def __init__(
        self,
        plugins: registry.Registry,
        vault: secrets.Secrets,
        grounds: Grounds,
    ) -> None:
        self._plugins = plugins
        self._vault = vault
        self._grounds = grounds
        self._built: Built = _nothing
        self._declared: Declared = _none_declared
        self._lock = threading.Lock()
        self._members: dict[str, _Member] = {}
        self._origins: dict[str, executions.Adapter | None] = {}

    def on_built(self, built: Built) -> None:
        """Call ``built`` with the name and adapter of each backend that is built from now on."""
        self._built = built

    def look_in(self, declared: Declared) -> None:
        """Ask ``declared`` about a backend that is asked for and not there."""
        self._declared = declared

    def refresh(self, declared: Mapping[str, sites.Backend]) -> None:
        """Build what is new or changed, close what was withdrawn. A broken one is remembered, never raised.

        Changed is also what names a file of secrets that is another one now. Where nothing can be built with that, an
        adapter that there is stays, and it is tried again the next time: it may be half written.
        """
        fresh: list[tuple[str, backends.BackendAdapter]] = []
        with self._lock:
            old = self._members
            members: dict[str, _Member] = {}
            for name, backend in declared.items():
                known = old.get(name)
                same = known is not None and _same_grounds(known.declared, backend)
                if known is not None and same and self._stamp(backend) == known.stamp:
                    members[name] = known
                    continue
                member = self._build(name, backend)
                if known is not None and same and known.adapter is not None and member.adapter is None:
                    members[name] = known
                    continue
                members[name] = member
                if member.adapter is not None:
                    fresh.append((name, member.adapter))
            self._members = members
        kept = {id(member.adapter) for member in members.values()}
        for member in old.values():
            if member.adapter is not None and id(member.adapter) not in kept:
                _close(member.adapter)
        for name, adapter in fresh:
            self._built(name, adapter)

    def names(self) -> Sequence[str]:
        """Return the registered backends, the broken ones too, in order of name."""
        return sorted(self._members)

    def adapter(self, backend: str) -> backends.BackendAdapter:
        """Return the adapter; raises ``errors.PermanentError`` ``backend.unknown`` or ``backend.broken``."""
        member = self._members.get(backend) or self._add(backend)
        if member is None:
            raise errors.PermanentError("backend.unknown", f"no backend {backend!r} is registered")
        if member.adapter is None:
            raise errors.PermanentError("backend.broken", member.problem)
        return member.adapter

    def origin(self, backend: str) -> executions.Adapter | None:
        """Return which program speaks to a backend; None: it is not there, or cannot be told."""
        member = self._members.get(backend)
        return None if member is None else member.origin

    def problems(self) -> Mapping[str, tuple[str, str]]:
        """Return backend -> (code, message) of those that are broken."""
        return {name: (m.code, m.problem) for name, m in self._members.items() if m.adapter is None}

    def close(self) -> None:
        """Close every adapter; attempts go on."""
        with self._lock:
            self._declared = _none_declared
        self.refresh({})

    def _add(self, name: str) -> _Member | None:
        """Build a backend that is declared and not there yet; None: nobody has declared it."""
        if name not in self._declared():
            return None
        with self._lock:
            known = self._members.get(name)
            if known is not None:
                return known
            declared = self._declared().get(name)
            if declared is None:  # withdrawn, or closed, meanwhile
                return None
            member = self._build(name, declared)
            self._members = {**self._members, name: member}
        if member.adapter is not None:
            self._built(name, member.adapter)
        return member

    def _stamp(self, backend: sites.Backend) -> secrets.Stamp:
        # Almost no backend has many settings, and most name no file: the word is looked for before they are read.
        return self._vault.stamp(json.loads(backend.settings)) if '"fromFile"' in backend.settings else ()

    def _build(self, name: str, backend: sites.Backend) -> _Member:
        stamp = self._stamp(backend)  # first: what is written while it is read is another one
        return dataclasses.replace(self._made(name, backend), stamp=stamp)

    def _made(self, name: str, backend: sites.Backend) -> _Member:
        try:
            plugin = self._plugins.plugin(backend.adapter)
            settings = self._vault.resolve(json.loads(backend.settings))
            return _Member(
                backend, plugin.build(settings, self._context(name, backend)), origin=self._origin(backend.adapter)
            )
        except registry.BrokenPluginError as error:
            return _Member(backend, None, error.code, error.message)
        except adapters.SettingsError as error:
            return _Member(backend, None, "adapter.settings", f"settings of backend {name}: {error}")
        except (Exception, SystemExit) as error:  # noqa: BLE001 -- a stranger's constructor: a condition, never a crash
            return _Member(backend, None, "adapter.build", f"{type(error).__name__} while building its adapter")

    def _origin(self, adapter: str) -> executions.Adapter | None:
        """Return which program an adapter is, read once: what is replaced on disk is not what runs."""
        if adapter not in self._origins:
            found = self._plugins.installed(adapter)
            self._origins[adapter] = None if found is None else origins.of(found)
        return self._origins[adapter]

    def _context(self, name: str, backend: sites.Backend) -> backends.AdapterContext:
        folder = self._grounds.state_folder / _folder_name(name)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return backends.AdapterContext(
            backend=name,
            pools=backend.pools,
            state_folder=str(folder),
            installation=self._grounds.installation,
            now=self._grounds.now,
            hidden_folders=self._grounds.hidden_folders,
        )


def _folder_name(name: str) -> str:
    """Return a folder name of its own, also where file names ignore case."""
    if name == name.lower():
        return name
    return f"{name.lower()}~{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def _same_grounds(old: sites.Backend, new: sites.Backend) -> bool:
    """Say whether the adapter need not be rebuilt: what it is built from did not change."""
    return (old.adapter, old.settings, old.pools) == (new.adapter, new.settings, new.pools)


def _close(adapter: backends.BackendAdapter) -> None:
    try:
        adapter.close()
    except Exception:  # noqa: BLE001, S110 -- withdrawn anyway; what it holds ends with the process
        pass
