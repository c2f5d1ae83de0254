"""A real orchestrator behind https: spoken to with the authority that vouches for it, and with no other."""

import dataclasses
import pathlib
from collections.abc import Iterator

import pytest

from orchestrator.domain import errors
from tests.e2e import _bacalhau
from tests.e2e.bacalhau import networks
from tests.e2e.bacalhau.networks import until
from tests.e2e.kube import certificates


@dataclasses.dataclass
class Served:
    """One orchestrator without nodes, and who could vouch for it."""

    network: networks.Network
    own: str
    other: str


@pytest.fixture
def served(request: pytest.FixtureRequest, bacalhau: networks.Network, tmp_path: pathlib.Path) -> Iterator[Served]:
    """Give one whose certificate names the address of the parameter; the shared network says that it can be had."""
    assert bacalhau.alive()
    own, other = (certificates.Authority(tmp_path / name, name) for name in ("own", "other"))
    pair = own.issue("server", user="server", addresses=[request.param])
    made = networks.Network({})
    part = made.parts[networks.ORCHESTRATOR]
    part.config["API"]["TLS"] = {"CertFile": str(pair.certificate), "KeyFile": str(pair.key)}
    made.url = made.url.replace("http:", "https:")
    try:
        part.start()
        yield Served(made, own.pair.certificate.read_text(), other.pair.certificate.read_text())
    finally:
        made.stop()


def _answer(served: Served, folder: pathlib.Path, ca: str) -> str:
    """Return ``answers``, or the code of what an adapter meets once somebody is there."""
    adapter, found = _bacalhau.make(served.network, folder, ca=ca), []

    def told() -> bool:
        try:
            found[:] = ["answers" if list(adapter.list_owned()) == [] else "others"]
        except errors.BackendError as error:
            found[:] = [error.code]
        return found[0] != "bacalhau.unreachable"

    try:
        until(told, "an answer", show=served.network.parts[networks.ORCHESTRATOR].said)
    finally:
        adapter.close()
    return str(found[0])


@pytest.mark.parametrize("served", ["127.0.0.1"], indirect=True)
def test_its_own_authority_is_needed(served: Served, tmp_path: pathlib.Path) -> None:
    """With it the orchestrator answers; with another one nothing is sent, and the reason is the certificate."""
    assert _answer(served, tmp_path / "right", served.own) == "answers"
    assert _answer(served, tmp_path / "wrong", served.other) == "bacalhau.certificate"


@pytest.mark.parametrize("served", ["127.0.0.2"], indirect=True)
def test_a_certificate_of_another_address_is_refused(served: Served, tmp_path: pathlib.Path) -> None:
    """Vouched for, but for somebody else."""
    assert _answer(served, tmp_path / "right", served.own) == "bacalhau.certificate"


@pytest.mark.parametrize("served", ["127.0.0.1"], indirect=True)
def test_what_is_no_certificate_is_said(served: Served, tmp_path: pathlib.Path) -> None:
    """``settings.ca`` that holds nothing of the kind."""
    assert _answer(served, tmp_path, "nothing") == "bacalhau.ca"
