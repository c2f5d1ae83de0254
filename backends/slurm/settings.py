"""The settings of a ``slurm`` backend: where slurmrestd answers, as whom, the shared folder, what a pool is."""

from __future__ import annotations

import base64
import ipaddress
import json
import urllib.parse
from typing import Annotated, Literal

import pydantic

from orchestrator.settings import adapters

_Word = Annotated[str, pydantic.Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,62}$")]
_User = Annotated[str, pydantic.Field(pattern=r"^[a-z_][a-z0-9_.-]{0,31}$")]
_Features = Annotated[str, pydantic.Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.,&|()-]{0,254}$")]


class Partition(adapters.AdapterSettings):
    """What a pool is at the site."""

    partition: _Word | None = pydantic.Field(default=None, description="partition; default: the name of the pool")
    constraints: _Features | None = pydantic.Field(default=None, description="features that its nodes must have")
    reservation: _Word | None = pydantic.Field(default=None, description="reservation that its jobs run in")


class Identity(adapters.AdapterSettings):
    """What a tenant's jobs are accounted to at the site."""

    account: _Word | None = None
    qos: _Word | None = None


class SlurmSettings(adapters.AdapterSettings):
    """A Slurm cluster."""

    url: Annotated[str, pydantic.Field(max_length=2048)] = pydantic.Field(
        description="where slurmrestd answers, e.g. https://slurm.example:6820; http or https, no user, no password"
    )
    user: _User = pydantic.Field(description="user of the site that jobs run as; neither root nor SlurmUser")
    token: Annotated[str, pydantic.Field(pattern=r"^[\x21-\x7e]+$", max_length=8192)] = pydantic.Field(
        description="JSON web token of this user (scontrol token), as {fromFile: ...} or {fromEnv: ...}"
    )
    auth: Literal["header", "bearer"] = pydantic.Field(
        default="header", description="how the token is sent: X-SLURM-USER-TOKEN, or Authorization: Bearer"
    )
    slurm_user: _User = pydantic.Field(default="slurm", description="SlurmUser of the site, whose token is refused")
    folder: Annotated[str, pydantic.Field(pattern=r"^/[^\x00]*[^\x00/]$", max_length=1024)] = pydantic.Field(
        description="folder of a file system that every node and this server see at the same path; the user and this "
        "server can both write there, and nobody else"
    )
    ca: Annotated[str, pydantic.Field(max_length=2**20)] | None = pydantic.Field(
        default=None, description="certificates, PEM, that vouch for an https url; default: those of this machine"
    )
    shared_trust: bool = pydantic.Field(
        default=False,
        description="let tenants other than the backend's owner run here: all jobs run as one user of the site and can "
        "read and stop each other",
    )
    pools: Annotated[dict[_Word, Partition], pydantic.Field(max_length=64)] = pydantic.Field(
        default_factory=dict, description="pool -> partition, constraints, reservation"
    )
    tenants: Annotated[dict[_Word, Identity], pydantic.Field(max_length=1024)] = pydantic.Field(
        default_factory=dict, description="tenant -> account and QoS; where any stands, a tenant without one is refused"
    )
    accelerators: Annotated[dict[_Word, _Word], pydantic.Field(max_length=64)] = pydantic.Field(
        default_factory=dict, description="type of GRES gpu, e.g. h100 -> its name in the catalogue"
    )
    timeout_seconds: Annotated[int, pydantic.Field(ge=1, le=60)] = pydantic.Field(
        default=8, description="deadline of one request"
    )

    @pydantic.field_validator("url")
    @classmethod
    def _plain_url(cls, url: str) -> str:
        return checked_url(url)

    @pydantic.model_validator(mode="after")
    def _no_power(self) -> SlurmSettings:
        mighty = {"root", "0", self.slurm_user}
        if self.user in mighty:
            raise ValueError(f"user {self.user} may do anything at the site: name one that only runs jobs")
        named = subject(self.token)
        if named in mighty:
            raise ValueError(f"the token is of {named}, who may do anything at the site")
        if named is not None and named != self.user:
            raise ValueError("the token is of another user than settings.user")
        return self


def subject(token: str) -> str | None:
    """Return the user that a JSON web token names (claim ``sun``); None where it cannot be read."""
    parts = token.split(".")
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (ValueError, IndexError, RecursionError):
        return None
    named = claims.get("sun", claims.get("username")) if isinstance(claims, dict) else None
    return None if named is None else str(named)


def checked_url(url: str) -> str:
    """Return a url without its last slash; raises ValueError for one that no slurmrestd has."""
    if any(ord(letter) <= 0x20 or ord(letter) >= 0x7F or letter == "\\" for letter in url):
        raise ValueError("a url has no spaces, backslashes or control characters")
    split = urllib.parse.urlsplit(url)
    if split.scheme not in ("http", "https") or not split.hostname or split.port == 0:
        raise ValueError("only http and https, with a host")
    if split.username is not None or split.password is not None or "?" in url or "#" in url:
        raise ValueError("no user, password, query or fragment")
    try:
        address = ipaddress.ip_address(split.hostname)
    except ValueError:
        return url.rstrip("/")
    if problem := address_problem(address):
        raise ValueError(problem)
    return url.rstrip("/")


def address_problem(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> str:
    """Return why nothing is ever sent to an address; "" where it may be. Clouds keep credentials at link-local ones."""
    real = getattr(address, "ipv4_mapped", None) or address
    if real.is_link_local or real.is_multicast or real.is_unspecified or int(real) == 2**32 - 1:
        return "a link-local, multicast or unspecified address is no slurmrestd's"
    return ""
