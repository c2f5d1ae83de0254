"""The settings of a server: where its state lies, where it listens, who may reach it.

Read once, from flags and the environment that the caller passes; nothing here looks at the process by itself.
A non-loopback address without TLS is refused unless somebody says aloud that a proxy ends TLS in front of us.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import pathlib
from collections.abc import Iterable, Mapping
from typing import Annotated, Self

import pydantic
from pydantic import Field

from orchestrator.settings import adapters

DEFAULT_LISTEN = "127.0.0.1:7070"
HOST_MAX = 253
FORGET_AFTER = dt.timedelta(days=7)
STALE_GRACE = dt.timedelta(hours=72)
FORGET_AFTER_MIN = dt.timedelta(minutes=1)


class ServerSettings(pydantic.BaseModel):
    """Everything ``comity serve`` can be told. ``listen_port`` 0 takes a free port."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    state_dir: pathlib.Path
    listen_host: Annotated[str, Field(min_length=1, max_length=HOST_MAX)] = "127.0.0.1"
    listen_port: Annotated[int, Field(ge=0, le=65535)] = 7070
    database: str | None = None
    """URL; None: a SQLite file in the state folder."""
    documents_dir: pathlib.Path | None = None
    """Documents that are applied at start (``comity.d``)."""
    secrets_dir: pathlib.Path | None = None
    """Files that ``fromFile`` in settings of a Backend may name; None: none."""
    tls_cert: pathlib.Path | None = None
    tls_key: pathlib.Path | None = None
    insecure_behind_proxy: bool = False
    allowed_hosts: tuple[str, ...] = ()
    """Names under which a proxy or a client reaches us, besides our own address."""
    distances: tuple[pathlib.Path, ...] = ()
    """Files of round-trip times, over those that ship with Comity."""
    rates: tuple[pathlib.Path, ...] = ()
    """Files of dated exchange rates; none: every foreign currency is unknown."""
    forget_after: dt.timedelta | None = FORGET_AFTER
    """So long after a job ended its backend forgets it, with logs and kept outputs; None: never."""
    one_person: bool | None = None
    """Whether one token may state facts, write policy and submit; None: as it was, at the first start yes."""
    log_level: str = "info"
    trust: pathlib.Path | None = None
    """File of whom to trust to certify facts; None: ``trust.yaml`` of the state folder."""
    packs: pathlib.Path | None = None
    """Folder of the packs in force; None: those that ship with Comity."""
    packs_off: tuple[str, ...] = ()
    packs_on: tuple[str, ...] = ()
    """Previews that are switched on."""
    stale_grace: dt.timedelta = STALE_GRACE
    """So long a running job may stay where nothing but the age of facts refuses it."""
    policy_tests_required: bool = False
    """Take no policy of the house's own that brings no tests."""

    @classmethod
    def resolve(
        cls,
        environment: Mapping[str, str],
        *,
        listen: str | None = None,
        state_dir: str | None = None,
        database: str | None = None,
        documents_dir: str | None = None,
        secrets_dir: str | None = None,
        tls_cert: str | None = None,
        tls_key: str | None = None,
        insecure_behind_proxy: bool = False,
        allowed_hosts: tuple[str, ...] = (),
        distances: tuple[str, ...] = (),
        rates: tuple[str, ...] = (),
        forget_after: dt.timedelta | None = FORGET_AFTER,
        one_person: bool | None = None,
        log_level: str = "info",
        packs: str | None = None,
        packs_off: tuple[str, ...] = (),
        packs_on: tuple[str, ...] = (),
        stale_grace: dt.timedelta = STALE_GRACE,
        policy_tests_required: bool = False,
        trust: str | None = None,
    ) -> Self:
        """Return the settings; raises :class:`adapters.SettingsError` with every problem at once."""
        problems: list[str] = []
        host, port = DEFAULT_LISTEN.rsplit(":", 1)
        try:
            host, port = split_address(listen or DEFAULT_LISTEN)
        except ValueError as error:
            problems.append(f"--listen: {error}")
        problems += _of_tls(host if not problems else None, tls_cert, tls_key, insecure_behind_proxy)
        files = {"--tls-cert": tls_cert, "--tls-key": tls_key, "--trust": trust}
        tables = [*(("--distances", path) for path in distances), *(("--rates", path) for path in rates)]
        problems += _missing([*files.items(), *tables])
        if packs and not pathlib.Path(packs).is_dir():
            problems.append(f"--packs: {packs} is not a folder")
        if forget_after is not None and forget_after < FORGET_AFTER_MIN:
            problems.append("--forget-after: a minute at least, or never")
        if problems:
            raise adapters.SettingsError(problems)
        try:
            return cls(
                state_dir=pathlib.Path(state_dir).absolute() if state_dir else state_folder(environment),
                listen_host=host,
                listen_port=int(port),
                database=database,
                documents_dir=_path(documents_dir),
                secrets_dir=_path(secrets_dir),
                tls_cert=_path(tls_cert),
                tls_key=_path(tls_key),
                insecure_behind_proxy=insecure_behind_proxy,
                allowed_hosts=allowed_hosts,
                distances=tuple(pathlib.Path(path).absolute() for path in distances),
                rates=tuple(pathlib.Path(path).absolute() for path in rates),
                forget_after=forget_after,
                one_person=one_person,
                log_level=log_level,
                packs=_path(packs),
                packs_off=packs_off,
                packs_on=packs_on,
                stale_grace=stale_grace,
                policy_tests_required=policy_tests_required,
                trust=_path(trust),
            )
        except pydantic.ValidationError as error:
            raise adapters.SettingsError(adapters.problems_of(error)) from error

    @property
    def database_url(self) -> str:
        """Return the URL of the database."""
        return self.database or f"sqlite:///{self.state_dir / 'comity.db'}"


def _of_tls(host: str | None, cert: str | None, key: str | None, behind_proxy: bool) -> list[str]:
    """Return what is wrong about who may listen in; ``host`` None: the address is wrong already."""
    if bool(cert) != bool(key):
        return ["--tls-cert and --tls-key: give both or none"]
    if host is None or is_loopback(host) or cert or behind_proxy:
        return []
    text = f"--listen: {host} can be reached from other machines, and tokens would travel in the clear"
    return [f"{text}: give --tls-cert and --tls-key, or say --insecure-behind-proxy if a proxy ends TLS"]


def _missing(files: Iterable[tuple[str, str | None]]) -> list[str]:
    return [f"{flag}: {path} is not a file" for flag, path in files if path and not pathlib.Path(path).is_file()]


def state_folder(environment: Mapping[str, str]) -> pathlib.Path:
    """Return ``$COMITY_STATE_DIR``, else ``$XDG_STATE_HOME/comity``, else ``~/.local/state/comity``."""
    if own := environment.get("COMITY_STATE_DIR"):
        return pathlib.Path(own).absolute()
    xdg = environment.get("XDG_STATE_HOME", "")
    if xdg.startswith("/"):  # the specification ignores relative paths
        return pathlib.Path(xdg) / "comity"
    home = environment.get("HOME")
    return (pathlib.Path(home) if home else pathlib.Path.home()) / ".local" / "state" / "comity"


def split_address(text: str) -> tuple[str, str]:
    """Return host and port of ``host:port`` or ``[v6]:port``; raises ValueError with what is wrong."""
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not host or not (port.isascii() and port.isdigit()) or int(port) > 65535:
        raise ValueError(f"{text!r} is not an address; write host:port, e.g. {DEFAULT_LISTEN}")
    return host, port


def is_loopback(host: str) -> bool:
    """Say whether only this machine reaches ``host``."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _path(text: str | None) -> pathlib.Path | None:
    return pathlib.Path(text).absolute() if text else None
