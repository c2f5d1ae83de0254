"""The adapters that are installed: entry points of group ``orchestrator.backends``, each loaded at first use.

What is wrong with one (it does not import, it speaks another version of the port, two packages claim its name) is
remembered and told to whoever asks for it. It never stops the server, and never hides the others.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from orchestrator.ports import backends

GROUP = "orchestrator.backends"


class BrokenPluginError(Exception):
    """An adapter that cannot be used. ``code`` is stable; the message says what to do."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(frozen=True, slots=True)
class Installed:
    """An installed adapter, as evidence names it."""

    name: str
    distribution: str
    version: str
    load: Callable[[], object]
    module: str = ""
    """The module that the entry point names."""


def installed() -> Sequence[Installed]:
    """Return what the installed distributions announce, in order of name and distribution; imports none of it."""
    found = [
        Installed(
            point.name,
            point.dist.name if point.dist else "unknown",
            point.dist.version if point.dist else "0",
            point.load,
            point.module,
        )
        for point in importlib.metadata.entry_points(group=GROUP)
    ]
    return sorted(found, key=lambda one: (one.name, one.distribution))


class Registry:
    """Adapters by name. Loads a plugin once, and remembers what was wrong with it."""

    def __init__(self, found: Sequence[Installed]) -> None:
        self._found: dict[str, list[Installed]] = {}
        for one in found:
            self._found.setdefault(one.name, []).append(one)
        self._loaded: dict[str, backends.AdapterPlugin | BrokenPluginError] = {}

    def names(self) -> Sequence[str]:
        """Return the names of all installed adapters, the broken ones too."""
        return sorted(self._found)

    def origin(self, name: str) -> tuple[str, str]:
        """Return (distribution, version) of an adapter; ("", "") for an unknown one."""
        found = self._found.get(name)
        return (found[0].distribution, found[0].version) if found else ("", "")

    def installed(self, name: str) -> Installed | None:
        """Return an adapter as it is installed; None for an unknown one, and where several claim its name."""
        found = self._found.get(name, [])
        return found[0] if len(found) == 1 else None

    def plugin(self, name: str) -> backends.AdapterPlugin:
        """Return the plugin of an adapter; raises :class:`BrokenPluginError`."""
        if name not in self._loaded:
            try:
                self._loaded[name] = self._load(name)
            except BrokenPluginError as error:
                self._loaded[name] = error
        plugin = self._loaded[name]
        if isinstance(plugin, BrokenPluginError):
            raise BrokenPluginError(plugin.code, plugin.message)
        return plugin

    def summaries(self) -> Mapping[str, str]:
        """Return name -> one line about each adapter; what is wrong with a broken one stands in its place."""
        lines: dict[str, str] = {}
        for name in self.names():
            try:
                lines[name] = str(self.plugin(name).summary)
            except BrokenPluginError as error:
                lines[name] = f"broken: {error.message}"
        return lines

    def _load(self, name: str) -> backends.AdapterPlugin:
        found = self._found.get(name, [])
        if not found:
            known = ", ".join(self.names()) or "none"
            raise BrokenPluginError("adapter.unknown", f"no adapter {name!r} is installed; installed are: {known}")
        if len(found) > 1:
            who = " and ".join(sorted(one.distribution for one in found))
            raise BrokenPluginError("adapter.clash", f"adapter {name!r} is claimed by {who}: uninstall all but one")
        try:
            plugin = cast("backends.AdapterPlugin", found[0].load())
            version, own_name = plugin.port_version, plugin.name
            complete = callable(plugin.build) and callable(plugin.settings_schema)
        except (Exception, SystemExit) as error:  # sys.exit() in a stranger's module would end the thread in silence
            raise BrokenPluginError(
                "adapter.import", f"adapter {name!r} cannot be loaded: {type(error).__name__}: {error}"
            ) from error
        if version != backends.PORT_VERSION:
            raise BrokenPluginError(
                "adapter.port-version",
                f"adapter {name!r} speaks version {version} of the port, this server {backends.PORT_VERSION}: "
                f"install a matching {found[0].distribution}",
            )
        if not complete or own_name != name:
            raise BrokenPluginError("adapter.invalid", f"entry point {name!r} names something that is not its plugin")
        return plugin
