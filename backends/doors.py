"""The way to an HTTP API on the internet: the address is looked at before anything is sent, and TLS is always checked.

For adapters that reach out with a key: only public addresses, and the networks that the operator names; https only,
but for loopback. What a failure means for an attempt the adapters say.
"""

from __future__ import annotations

import ipaddress
import socket
import ssl
import urllib.parse
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import pydantic

from backends import addresses, answers
from orchestrator.settings import adapters

PEM_MAX = 2**20
_Network = Annotated[str, pydantic.Field(max_length=64)]
Url = Annotated[str, pydantic.Field(max_length=2048)]


class ClosedError(Exception):
    """Nothing was sent, and nothing should be: ``code`` in short, the text says why."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


class NobodyError(Exception):
    """Nothing was sent: nobody answers there just now."""


@dataclass(frozen=True, slots=True)
class Door:
    """Where an API answers, and which addresses it may have."""

    url: str
    networks: Sequence[str] = ()
    """CIDR: private or loopback networks that the operator names."""
    ca: str | None = None
    """Certificates (PEM) that vouch for it; None: those that this machine trusts."""

    @property
    def https(self) -> bool:
        """Say whether it speaks TLS."""
        return urllib.parse.urlsplit(self.url).scheme == "https"

    @property
    def host(self) -> str:
        """Return its name."""
        return urllib.parse.urlsplit(self.url).hostname or ""

    @property
    def port(self) -> int:
        """Return its port."""
        return urllib.parse.urlsplit(self.url).port or (443 if self.https else 80)

    def open(self, timeout_s: float) -> socket.socket:
        """Return a connection. Raises ClosedError (``address-refused``, ``certificate``, ``ca``), NobodyError."""
        try:
            # Looked at first and without TLS: nothing is sent to an address that is refused.
            sock, address = addresses.connect(self.host, self.port, timeout_s, None)
        except addresses.UnreachableError as error:
            raise NobodyError(f"nobody answers at {self.url}: {error}") from error
        except addresses.RefusedError as error:
            raise ClosedError("address-refused", f"{self.url} leads to {error}") from error
        if not allowed(address, self.networks):
            sock.close()
            text = f"{self.url} leads to {address}: no public address, and settings.networks does not name it"
            raise ClosedError("address-refused", text)
        if not self.https:
            return sock
        try:
            context = answers.context(self.ca)
        except ValueError as error:
            sock.close()
            raise ClosedError("ca", "settings.ca holds no certificates in PEM") from error
        try:
            return context.wrap_socket(sock, server_hostname=self.host)
        except ssl.SSLCertVerificationError as error:
            sock.close()
            raise ClosedError("certificate", f"{self.url}: {addresses.why(error)}") from error
        except OSError as error:
            sock.close()
            raise NobodyError(f"nobody answers at {self.url}: {addresses.why(error)}") from error


class Reached(adapters.AdapterSettings):
    """Settings of what is reached so."""

    url: Url
    networks: Annotated[list[_Network], pydantic.Field(max_length=16)] = pydantic.Field(
        default_factory=list,
        description="private or loopback networks (CIDR) to which the url may lead, for a proxy or a trial; none else",
    )
    ca: Annotated[str, pydantic.Field(max_length=PEM_MAX)] | None = pydantic.Field(
        default=None, description="certificates, PEM, that vouch for the url; default: those of this machine"
    )

    @pydantic.field_validator("networks")
    @classmethod
    def _read_networks(cls, found: list[str]) -> list[str]:
        for text in found:
            ipaddress.ip_network(text)
        return found

    @pydantic.field_validator("url")
    @classmethod
    def _plain_url(cls, url: str) -> str:
        return checked_url(url)

    @pydantic.model_validator(mode="after")
    def _no_closed_door(self) -> Any:
        address = _literal(self.url)
        if address is not None and not allowed(address, self.networks):
            raise ValueError("url: a private or loopback address is not in settings.networks")
        return self

    @property
    def door(self) -> Door:
        """Return the way there."""
        return Door(self.url, tuple(self.networks), self.ca)


def allowed(address: addresses.Address, networks: Sequence[str]) -> bool:
    """Say whether a request may go to an address: a public one, or one of a network that the operator named."""
    real = getattr(address, "ipv4_mapped", None) or address
    return real.is_global or any(real in ipaddress.ip_network(text) for text in networks)


def checked_url(url: str) -> str:
    """Return the address of an API: https (on loopback also http), no path. Raises ValueError with the reason."""
    made = addresses.checked_url(url, whose="an API", setting="key")
    split = urllib.parse.urlsplit(made)
    if split.path:
        raise ValueError("no path: name the host alone")
    address = _literal(made)
    if split.scheme != "https" and (address is None or not address.is_loopback):
        raise ValueError("https only: answers are not signed")
    return made


def _literal(url: str) -> addresses.Address | None:
    try:
        return ipaddress.ip_address(urllib.parse.urlsplit(url).hostname or "")
    except ValueError:
        return None
