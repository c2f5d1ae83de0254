"""Settings: where the state lies, who may be listened to, every problem at once."""

import datetime as dt
import pathlib
from typing import Annotated

import pytest
from pydantic import Field

from orchestrator.settings import adapters, server


@pytest.mark.parametrize(
    ("environment", "folder"),
    [
        ({"COMITY_STATE_DIR": "/a", "XDG_STATE_HOME": "/b", "HOME": "/c"}, "/a"),
        ({"XDG_STATE_HOME": "/b", "HOME": "/c"}, "/b/comity"),
        ({"XDG_STATE_HOME": "relative", "HOME": "/c"}, "/c/.local/state/comity"),
        ({"HOME": "/c"}, "/c/.local/state/comity"),
    ],
)
def test_the_state_folder_is_found_in_order(environment: dict[str, str], folder: str) -> None:
    """Our own variable, then XDG's, then the home folder."""
    assert server.state_folder(environment) == pathlib.Path(folder)


def test_defaults_listen_on_this_machine_only() -> None:
    """Nobody else is listened to unless somebody says so."""
    settings = server.ServerSettings.resolve({"HOME": "/c"})
    assert (settings.listen_host, settings.listen_port) == ("127.0.0.1", 7070)


@pytest.mark.parametrize("address", ["0.0.0.0:7070", "[::]:7070", "10.0.0.1:7070", "example.org:7070"])
def test_other_machines_need_tls_or_the_word(tmp_path: pathlib.Path, address: str) -> None:
    """A non-loopback address is refused without TLS or --insecure-behind-proxy."""
    with pytest.raises(adapters.SettingsError, match="--insecure-behind-proxy"):
        server.ServerSettings.resolve({}, listen=address, state_dir="/s")
    assert server.ServerSettings.resolve({}, listen=address, state_dir="/s", insecure_behind_proxy=True)
    for name in ("cert", "key"):
        (tmp_path / name).touch()
    tls = {"tls_cert": str(tmp_path / "cert"), "tls_key": str(tmp_path / "key")}
    assert server.ServerSettings.resolve({}, listen=address, state_dir="/s", **tls)


@pytest.mark.parametrize("address", ["127.0.0.1", "7070", ":7070", "127.0.0.1:x", "127.0.0.1:70000", "[::1]", "a:-1"])
def test_what_is_no_address_is_refused(address: str) -> None:
    """Host and port, both."""
    with pytest.raises(adapters.SettingsError, match="--listen"):
        server.ServerSettings.resolve({}, listen=address, state_dir="/s")


def test_all_problems_are_told_at_once() -> None:
    """A bad address and half a pair of TLS files are two problems."""
    with pytest.raises(adapters.SettingsError) as caught:
        server.ServerSettings.resolve({}, listen="x", state_dir="/s", tls_cert="/nowhere")
    assert len(caught.value.problems) == 3


def test_what_is_forgotten_when_can_be_said() -> None:
    """A week, another time, or never; less than a minute is a mistake."""
    resolve = server.ServerSettings.resolve
    assert resolve({}, state_dir="/s").forget_after == dt.timedelta(days=7)
    assert resolve({}, state_dir="/s", forget_after=None).forget_after is None
    with pytest.raises(adapters.SettingsError, match="--forget-after: a minute at least"):
        resolve({}, state_dir="/s", forget_after=dt.timedelta(seconds=59))


def test_a_file_of_distances_must_be_there(tmp_path: pathlib.Path) -> None:
    """Each is a file; all that are none are told."""
    (tmp_path / "d.yaml").touch()
    found = server.ServerSettings.resolve({}, state_dir="/s", distances=(str(tmp_path / "d.yaml"),))
    assert found.distances == (tmp_path / "d.yaml",)
    with pytest.raises(adapters.SettingsError, match="--distances: /nowhere is not a file"):
        server.ServerSettings.resolve({}, state_dir="/s", distances=(str(tmp_path / "d.yaml"), "/nowhere"))


class _Settings(adapters.AdapterSettings):
    start_delay: Annotated[float, Field(ge=0)] = 0
    name: str


def test_adapter_settings_are_strict_and_tell_everything() -> None:
    """Camel case in, unknown and wrong fields out, all problems with their paths and without their values."""
    assert _Settings.read({"startDelay": 1, "name": "x"}).start_delay == 1
    with pytest.raises(adapters.SettingsError) as caught:
        _Settings.read({"startDelay": "canary", "nmae": 1})
    assert {one.partition(":")[0] for one in caught.value.problems} == {"startDelay", "name", "nmae"}
    assert "canary" not in str(caught.value)
    assert "startDelay" in str(_Settings.schema_document())
