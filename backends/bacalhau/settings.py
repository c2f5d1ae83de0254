"""The settings of a ``bacalhau`` backend: where its API answers, by which key, and which node is which pool."""

from __future__ import annotations

import ipaddress
import urllib.parse
from typing import Annotated

import pydantic

from orchestrator.settings import adapters

MIB = 2**20

_Key = Annotated[str, pydantic.Field(pattern=r"^[\x21-\x7e]+$", max_length=512)]
_Pool = Annotated[str, pydantic.Field(pattern=r"^[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$")]
_Node = Annotated[str, pydantic.Field(pattern=r"^[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$")]
_Label = Annotated[str, pydantic.Field(pattern=r"^[A-Za-z0-9]([A-Za-z0-9_./-]{0,61}[A-Za-z0-9])?$")]
_Space = Annotated[str, pydantic.Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")]


class BacalhauSettings(adapters.AdapterSettings):
    """A Bacalhau network."""

    url: Annotated[str, pydantic.Field(max_length=2048)] = pydantic.Field(
        description="where the orchestrator's API answers, e.g. https://bacalhau.example:1234; no user, no password"
    )
    key: _Key | None = pydantic.Field(
        default=None, description="API key (read:node, read:job, write:job), as {fromFile: ...} or {fromEnv: ...}"
    )
    namespace: _Space | None = pydantic.Field(
        default=None, description="namespace of this backend's jobs, and nobody else's; default: one of its own"
    )
    nodes: Annotated[dict[_Pool, _Node], pydantic.Field(max_length=1024)] = pydantic.Field(
        default_factory=dict, description="pool -> node; default: the node that has the name of the pool"
    )
    country_label: _Label = pydantic.Field(
        default="jurisdiction", description="label in which a node says in which country it is, ISO 3166-1 alpha-2"
    )
    operator_label: _Label = pydantic.Field(
        default="operator", description="label in which a node says who runs it; read where no pools are declared"
    )
    ca: Annotated[str, pydantic.Field(max_length=MIB)] | None = pydantic.Field(
        default=None, description="certificates, PEM, that vouch for an https url; default: those of this machine"
    )
    default_cpu_milli: Annotated[int, pydantic.Field(ge=10, le=64000)] = pydantic.Field(
        default=100, description="thousandths of a CPU of a job that asks for none"
    )
    default_memory_mib: Annotated[int, pydantic.Field(ge=1, le=4096)] = pydantic.Field(
        default=64, description="memory of a job that asks for none, in MiB"
    )
    timeout_seconds: Annotated[int, pydantic.Field(ge=1, le=60)] = pydantic.Field(
        default=8, description="deadline of one request"
    )

    @pydantic.field_validator("url")
    @classmethod
    def _plain_url(cls, url: str) -> str:
        return checked_url(url)


def checked_url(url: str) -> str:
    """Return a url without its last slash; raises ValueError for one that no orchestrator has."""
    if any(ord(letter) <= 0x20 or ord(letter) >= 0x7F or letter == "\\" for letter in url):
        raise ValueError("a url has no spaces, backslashes or control characters")
    split = urllib.parse.urlsplit(url)
    if split.scheme not in ("http", "https"):
        raise ValueError("only http and https")
    if split.username is not None or split.password is not None:
        raise ValueError("no user and no password in a url: the key has a setting of its own")
    if split.query or split.fragment or "?" in url or "#" in url:
        raise ValueError("no query and no fragment")
    if not split.hostname or split.port == 0:
        raise ValueError("names no host")
    if any(part in ("..", ".") for part in split.path.split("/")):
        raise ValueError("no dots in its path")
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
        return "a link-local, multicast or unspecified address is no orchestrator's"
    return ""
