"""The fleet: built from documents, rebuilt when they change, and a broken adapter is nobody else's trouble."""

import concurrent.futures
import datetime as dt
import pathlib
import subprocess
import sys
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from orchestrator.domain import errors, sites
from orchestrator.plugins import fleet, registry, secrets
from orchestrator.ports import backends
from orchestrator.settings import adapters


class Adapter:
    """Remembers what it was built with and whether it was closed."""

    def __init__(self, settings: Mapping[str, object], context: backends.AdapterContext) -> None:
        self.settings = settings
        self.context = context
        self.closed = False

    def close(self) -> None:
        """Remember."""
        self.closed = True


class Plugin:
    """A plugin that builds ``Adapter``, or raises ``trouble``."""

    port_version = backends.PORT_VERSION
    summary = "for tests"

    def __init__(self, name: str = "fake") -> None:
        self.name = name
        self.trouble: Exception | None = None

    def settings_schema(self) -> Mapping[str, object]:
        """Return nothing."""
        return {}

    def build(self, settings: Mapping[str, object], context: backends.AdapterContext) -> Any:
        """Build."""
        if self.trouble is not None:
            raise self.trouble
        return Adapter(settings, context)


def _installed(name: str, load: Callable[[], object], distribution: str = "d") -> registry.Installed:
    return registry.Installed(name, distribution, "1", load)


def _fleet(folder: pathlib.Path, plugin: object, vault: secrets.Secrets | None = None) -> fleet.PluginFleet:
    grounds = fleet.Grounds(
        folder / "backends", "here", lambda: dt.datetime(2026, 11, 22, tzinfo=dt.UTC), (str(folder),)
    )
    plugins = registry.Registry([_installed("fake", lambda: plugin)])
    return fleet.PluginFleet(plugins, vault or secrets.Secrets(None, {}), grounds)


def _backend(name: str = "b", adapter: str = "fake", settings: str = "{}", **more: Any) -> dict[str, sites.Backend]:
    return {name: sites.Backend(name, adapter, settings, **more)}


def test_an_adapter_is_built_once_and_told(tmp_path: pathlib.Path) -> None:
    """The same document keeps the adapter; whoever asked hears of a new one; it gets a private folder of its own."""
    made = _fleet(tmp_path, Plugin())
    told: list[str] = []
    made.on_built(lambda name, _: told.append(name))
    for _ in range(3):
        made.refresh(_backend())
    adapter: Any = made.adapter("b")
    assert told == ["b"]
    assert pathlib.Path(adapter.context.state_folder).stat().st_mode & 0o77 == 0
    assert adapter.context.hidden_folders == (str(tmp_path),)


def test_a_change_rebuilds_and_a_withdrawal_closes(tmp_path: pathlib.Path) -> None:
    """New settings make a new adapter and close the old; a fact that no adapter reads changes nothing."""
    made = _fleet(tmp_path, Plugin())
    made.refresh(_backend())
    first: Any = made.adapter("b")
    made.refresh(_backend(operator="somebody"))
    assert made.adapter("b") is first
    made.refresh(_backend(settings='{"a": 1}'))
    second: Any = made.adapter("b")
    assert (first.closed, second.settings) == (True, {"a": 1})
    made.refresh({})
    assert second.closed
    with pytest.raises(errors.PermanentError, match=r"backend\.unknown"):
        made.adapter("b")


def test_who_asks_before_the_loop_gets_what_is_declared(tmp_path: pathlib.Path) -> None:
    """A declared backend is built for the first who asks, once; the loop's refresh keeps it; others stay unknown."""
    made = _fleet(tmp_path, Plugin())
    declared: dict[str, sites.Backend] = {}
    told: list[str] = []
    made.on_built(lambda name, _: told.append(name))
    made.look_in(lambda: declared)
    with pytest.raises(errors.PermanentError, match=r"backend\.unknown"):
        made.adapter("b")
    declared.update(_backend())
    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        built = set(threads.map(lambda _: id(made.adapter("b")), range(64)))
    adapter: Any = made.adapter("b")
    assert (built, told, made.names()) == ({id(adapter)}, ["b"], ["b"])
    made.refresh(declared)
    assert made.adapter("b") is adapter
    assert told == ["b"]
    with pytest.raises(errors.PermanentError, match=r"backend\.unknown"):
        made.adapter("c")
    made.close()
    assert adapter.closed
    with pytest.raises(errors.PermanentError, match=r"backend\.unknown"):
        made.adapter("b")


@pytest.mark.parametrize(
    ("trouble", "said"),
    [
        (adapters.SettingsError(["a: wrong", "b: wrong"]), "a: wrong; b: wrong"),
        (RuntimeError("canary"), "RuntimeError"),
        (SystemError(), "SystemError"),
    ],
)
def test_a_broken_adapter_is_a_condition_on_its_backend(tmp_path: pathlib.Path, trouble: Exception, said: str) -> None:
    """Asking for it says what is wrong, without the words of a stranger's exception; others are built."""
    plugin = Plugin()
    made = _fleet(tmp_path, plugin)
    made.refresh(_backend("good"))
    plugin.trouble = trouble
    made.refresh(_backend("good") | _backend("bad"))
    with pytest.raises(errors.PermanentError) as caught:
        made.adapter("bad")
    assert caught.value.code == "backend.broken"
    assert said in caught.value.message
    assert "canary" not in caught.value.message
    assert made.adapter("good")
    assert made.names() == ["bad", "good"]


def test_names_that_differ_in_case_have_folders_of_their_own(tmp_path: pathlib.Path) -> None:
    """Two backends never share a folder, also where file names ignore case."""
    made = _fleet(tmp_path, Plugin())
    made.refresh(_backend("Gra") | _backend("gra") | _backend("GRA"))
    folders = {str(made.adapter(name).context.state_folder).lower() for name in ("Gra", "gra", "GRA")}  # type: ignore[attr-defined]
    assert len(folders) == 3


def test_a_name_clash_is_an_error(tmp_path: pathlib.Path) -> None:
    """Two distributions that claim one name are both refused, by name."""
    found = [_installed("fake", Plugin, "one"), _installed("fake", Plugin, "two")]
    with pytest.raises(registry.BrokenPluginError, match="one and two") as caught:
        registry.Registry(found).plugin("fake")
    assert caught.value.code == "adapter.clash"


def test_another_version_of_the_port_is_refused() -> None:
    """An adapter of another port version is not built."""
    plugin = Plugin()
    plugin.port_version = 99
    with pytest.raises(registry.BrokenPluginError, match="version 99"):
        registry.Registry([_installed("fake", lambda: plugin)]).plugin("fake")


def test_what_does_not_import_is_told_and_not_tried_again() -> None:
    """A broken module is loaded once; an unknown name lists those that are known."""
    tries = []

    def load() -> object:
        tries.append(1)
        raise ImportError("no such SDK")

    plugins = registry.Registry([_installed("fake", load)])
    for _ in range(2):
        with pytest.raises(registry.BrokenPluginError, match="no such SDK"):
            plugins.plugin("fake")
    assert len(tries) == 1
    with pytest.raises(registry.BrokenPluginError, match="installed are: fake"):
        plugins.plugin("fakr")
    assert plugins.summaries() == {"fake": "broken: adapter 'fake' cannot be loaded: ImportError: no such SDK"}


def test_the_shipped_adapters_are_found_without_being_imported() -> None:
    """The two adapters of this distribution stand in its entry points."""
    assert {"local", "simulated"} <= {one.name for one in registry.installed()}


def test_a_secret_that_is_another_file_now_makes_another_adapter(tmp_path: pathlib.Path) -> None:
    """Completed after the document came, rotated by a rename or through a symlink; unreadable for a moment: kept."""
    folder = tmp_path / "secrets"
    folder.mkdir()
    made = _fleet(tmp_path, Plugin(), secrets.Secrets(folder, {}))
    declared = _backend(settings='{"a": {"token": [{"fromFile": "now/token"}]}, "b": 1}')

    def token() -> tuple[Any, object]:
        made.refresh(declared)
        adapter: Any = made.adapter("b")
        return adapter, adapter.settings["a"]["token"][0]

    with pytest.raises(errors.PermanentError, match="names no file") as caught:
        token()
    assert caught.value.code == "backend.broken"
    for version, text in (("1", "one"), ("2", "two")):
        (folder / version).mkdir()
        (folder / version / "token").write_text(f"{text}\n")
    (folder / "now").symlink_to("1")
    first, said = token()
    assert said == "one"
    assert token()[0] is first
    (folder / "next").symlink_to("2")
    (folder / "next").rename(folder / "now")
    second, said = token()
    assert (said, first.closed) == ("two", True)
    (folder / "now").unlink()
    assert token()[0] is second
    assert not second.closed
    (folder / "2" / "new").write_text("three")
    (folder / "2" / "new").rename(folder / "2" / "token")
    (folder / "now").symlink_to("2")
    third, said = token()
    assert (said, second.closed, third.closed) == ("three", True, False)


def test_secrets_come_from_below_the_folder_only(tmp_path: pathlib.Path) -> None:
    """A file is read below the secrets folder after every symlink is followed; nothing else is."""
    folder = tmp_path / "secrets"
    folder.mkdir()
    (tmp_path / "outside").write_text("canary")
    (folder / "token").write_text("s3cret\n")
    (folder / "way-out").symlink_to(tmp_path / "outside")
    (folder / "loop").symlink_to("loop")
    vault = secrets.Secrets(folder, {})
    assert vault.resolve({"a": {"b": [{"fromFile": "token"}]}}) == {"a": {"b": ["s3cret"]}}
    for name in ("way-out", "../outside", str(tmp_path / "outside"), "loop", "gone", "", ".", "token\0", 5, None):
        with pytest.raises(adapters.SettingsError) as caught:
            vault.resolve({"a": {"fromFile": name}})
        assert "canary" not in str(caught.value)
    with pytest.raises(adapters.SettingsError, match="--secrets-dir"):
        secrets.Secrets(None, {}).resolve({"a": {"fromFile": "token"}})


def test_only_variables_of_ours_are_read() -> None:
    """A variable without the prefix is refused, and every problem is told at once."""
    vault = secrets.Secrets(None, {"COMITY_SECRET_A": "x", "PATH": "canary"})
    assert vault.resolve({"a": {"fromEnv": "COMITY_SECRET_A"}}) == {"a": "x"}
    with pytest.raises(adapters.SettingsError) as caught:
        vault.resolve({"a": {"fromEnv": "PATH"}, "b": {"fromEnv": "COMITY_SECRET_GONE"}})
    assert len(caught.value.problems) == 2
    assert "canary" not in str(caught.value)


def test_naming_the_simulated_adapter_loads_nothing_heavy() -> None:
    """What the entry point names says what the adapter's own plugin says, and imports it only to build."""
    code = (
        "import sys, backends.simulated as s\n"
        "heavy = {'pydantic', 'orchestrator.domain.jobs', 'backends.simulated.adapter'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
        "from backends.simulated import adapter\n"
        "one, other = s.plugin, adapter.SimulatedPlugin()\n"
        "assert (one.name, one.port_version, one.summary) == (other.name, other.port_version, other.summary)\n"
        "assert one.settings_schema() == other.settings_schema()\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
