"""Packs that are read again by a real server: what fails keeps the last good ones, what loosens is told at once."""

from __future__ import annotations

import pathlib
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from orchestrator.sources import packs
from tests.e2e import servers

UNTIL_S = 180.0
BANK = {"hq": "FR", "sector": "eu-finance"}


@pytest.fixture
def folder(tmp_path: pathlib.Path) -> pathlib.Path:
    """Give a copy of the packs that ship."""
    return pathlib.Path(shutil.copytree(packs.BUILT_IN, tmp_path / "packs"))


@pytest.fixture
def server(tmp_path: pathlib.Path, folder: pathlib.Path) -> Iterator[servers.Process]:
    """Give a server that reads its packs there, with one place and a bank as its tenant: DORA refuses it."""
    made = servers.Process(tmp_path / "state", "--packs", str(folder)).wait_until_it_listens()
    servers.here(made)
    document = {"apiVersion": "comity.dev/v1", "kind": "Tenant", "metadata": {"name": "default"}, "spec": BANK}
    assert made.request("PUT", "/v1/tenants/default", document)[0] in (200, 201)
    made.until("/v1/sites", lambda body: body["items"])
    yield made
    assert made.stop() == 0


def _read_again(server: servers.Process, file: pathlib.Path, change: Callable[[str], str]) -> None:
    text = file.read_text()
    changed = change(text)
    assert changed != text
    file.write_text(changed)
    server.process.send_signal(signal.SIGHUP)


def _codes(server: servers.Process) -> set[str]:
    (site,) = server.request("POST", "/v1/plans", servers.job())[1]["sites"]
    return {one["code"] for one in site["reasons"]}


def _until_failed(server: servers.Process, failed: bool) -> Any:
    def said(body: Any) -> bool:
        return any(one["type"] == "PolicyLoadFailed" for one in body["status"].get("conditions", [])) is failed

    return server.until("/v1/controlplanes/self", said)


def _loosened(server: servers.Process) -> list[dict[str, Any]]:
    body = server.request("GET", "/v1/events?after=0&limit=500", headers={"Accept": "application/json"})[1]
    return [one for one in body["items"] if one["kind"] == "change.loosened"]


def _until_loosened(server: servers.Process) -> dict[str, Any]:
    """Return the entry that says what loosens, once it is there; the loop needs no time of its own for it."""
    until = time.monotonic() + UNTIL_S
    while not (found := _loosened(server)):
        assert time.monotonic() < until
        threading.Event().wait(0.02)
    (entry,) = found
    return entry


def test_a_pack_that_fails_keeps_the_last_good_ones(server: servers.Process, folder: pathlib.Path) -> None:
    """The same refusals stand, the control plane and the metrics say which pack; mended, they say nothing any more."""
    before = _codes(server)
    assert "eu-dora.location-unspecified" in before
    rules = folder / "eu-dora" / "rules.yaml"
    good = rules.read_text()
    _read_again(server, rules, lambda text: text.replace("effect: deny", "effect: perhaps", 1))
    _until_failed(server, True)
    assert _codes(server) == before
    assert b"comity_packs_failed 1" in server.request("GET", "/metrics")[1]
    _read_again(server, rules, lambda text: good)
    _until_failed(server, False)
    assert _codes(server) == before
    assert _loosened(server) == []


@pytest.mark.parametrize("file", ["rules.yaml", "facts.yaml"])
def test_a_file_that_is_gone_opens_nothing(server: servers.Process, folder: pathlib.Path, file: str) -> None:
    """Without its rules or its facts a pack that is in force stays as it was."""
    before = _codes(server)
    (folder / "sanctions" / file).unlink()
    server.process.send_signal(signal.SIGHUP)
    _until_failed(server, True)
    assert _codes(server) == before


def test_a_pack_that_leaves_force_is_told_at_once(server: servers.Process, folder: pathlib.Path) -> None:
    """The journal says what loosens and why, before any start; the next answer names the pack as off."""
    assert _loosened(server) == []
    _read_again(
        server, folder / "eu-dora" / "rules.yaml", lambda text: text.replace("title:", "preview: true\ntitle:", 1)
    )
    entry = _until_loosened(server)
    assert [one["path"] for one in entry["body"]["loosens"]] == ["packs.eu-dora"]
    assert "SIGHUP" in entry["body"]["reason"]
    codes = _codes(server)
    assert "eu-dora.location-unspecified" not in codes
    assert "caveat.pack-off:eu-dora" in codes


def test_rules_and_facts_that_change_are_told_one_by_one(server: servers.Process, folder: pathlib.Path) -> None:
    """A rule taken out, one written otherwise and a country taken off a list are each named."""
    rules, facts = folder / "eu-dora" / "rules.yaml", folder / "sanctions" / "facts.yaml"
    rules.write_text(rules.read_text().replace("eu-dora.location-unspecified", "eu-dora.location-renamed"))
    _read_again(server, facts, lambda text: text.replace("  - IR\n", "", 1))
    entry = _until_loosened(server)
    assert {(one["code"], one["path"]) for one in entry["body"]["loosens"]} == {
        ("rule.gone", "packs.eu-dora.eu-dora.location-unspecified"),
        ("set.changed", "packs.sanctions.embargoed"),
    }
