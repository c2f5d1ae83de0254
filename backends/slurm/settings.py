"""The settings of a ``slurm`` backend: where slurmrestd answers, as whom, and which partitions are which pool."""

from __future__ import annotations

import base64
import datetime as dt
import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import pydantic

from backends import addresses
from orchestrator.settings import adapters

MIB = 2**20

_User = Annotated[str, pydantic.Field(pattern=r"^[A-Za-z_][A-Za-z0-9_.-]{0,62}$")]
_Token = Annotated[str, pydantic.Field(pattern=r"^[\x21-\x7e]+$", max_length=8192)]
_Word = Annotated[str, pydantic.Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.:-]{0,127}$")]
_Constraint = Annotated[str, pydantic.Field(pattern=r"^[A-Za-z0-9_&|,*()\[\]. -]{1,256}$")]
_Name = Annotated[str, pydantic.Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=128)]
_Text = Annotated[str, pydantic.Field(pattern=r"^[^\x00]*$", max_length=32768)]
_Pool = Annotated[str, pydantic.Field(pattern=r"^[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$")]
_Jobs = Annotated[int, pydantic.Field(ge=1, le=1_000_000)]
_Folder = Annotated[str, pydantic.Field(pattern=r"^/[^\x00\r\n]*[^\x00\r\n/]$", max_length=512)]


class Share(adapters.AdapterSettings):
    """What of the cluster a pool is."""

    partition: _Word | None = pydantic.Field(default=None, description="partition; default: the name of the pool")
    account: _Word | None = None
    qos: _Word | None = None
    constraints: _Constraint | None = pydantic.Field(default=None, description="features that its nodes must have")
    reservation: _Word | None = pydantic.Field(default=None, description="reservation that its jobs run in")
    gres: _Word | None = pydantic.Field(
        default=None, description="GRES of its accelerators, e.g. gpu:h100; default: by accelerators, else gpu"
    )


class HoursLeft(adapters.AdapterSettings):
    """How much a tenant may still use at the site, as its operator declares it."""

    left: Annotated[float, pydantic.Field(ge=0, le=1e12, allow_inf_nan=False)] = pydantic.Field(
        description="CPU hours left at the beginning of that day"
    )
    as_of: Annotated[str, pydantic.Field(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$")] = pydantic.Field(
        description="day of which that is true, UTC, e.g. 2026-11-23"
    )
    good_days: Annotated[int, pydantic.Field(ge=1, le=366)] = pydantic.Field(
        default=7, description="days for which that counts; afterwards nobody knows"
    )

    @pydantic.field_validator("as_of")
    @classmethod
    def _a_day(cls, text: str) -> str:
        dt.date.fromisoformat(text)
        return text

    @property
    def since(self) -> dt.datetime:
        """Return the beginning of that day."""
        return dt.datetime.combine(dt.date.fromisoformat(self.as_of), dt.time(), dt.UTC)


class Identity(adapters.AdapterSettings):
    """As whom a tenant's jobs run, and what they are accounted to."""

    user: _User | None = pydantic.Field(default=None, description="Slurm user; default: settings.user")
    token: _Token | None = pydantic.Field(default=None, description="JSON web token of that user")
    account: _Word | None = None
    qos: _Word | None = None
    jobs_max: _Jobs | None = pydantic.Field(default=None, description="so many jobs of it in flight; more wait here")
    hours: HoursLeft | None = pydantic.Field(default=None, description="CPU hours that it may still use")

    @pydantic.model_validator(mode="after")
    def _both(self) -> Identity:
        if (self.user is None) != (self.token is None):
            raise ValueError("user and token go together")
        return self


class Container(adapters.AdapterSettings):
    """What runs images on the nodes of the site."""

    runtime: Literal["apptainer"] = pydantic.Field(description="what it is; its version must know --no-eval (1.1)")
    program: Annotated[str, pydantic.Field(pattern=r"^[A-Za-z0-9_./+-]{1,512}$")] = pydantic.Field(
        default="apptainer", description="its program, by path or found in settings.path"
    )
    options: Annotated[list[_Text], pydantic.Field(max_length=32)] = pydantic.Field(
        default_factory=list, description="further options, e.g. --nv; what they let in, jobs see"
    )
    env: Annotated[dict[_Name, _Text], pydantic.Field(max_length=32)] = pydantic.Field(
        default_factory=dict,
        description="variables of the runtime itself, e.g. APPTAINER_CACHEDIR; jobs do not see them",
    )


class SlurmSettings(adapters.AdapterSettings):
    """A Slurm cluster with slurmrestd."""

    url: Annotated[str, pydantic.Field(max_length=2048)] = pydantic.Field(
        description="where slurmrestd answers, e.g. https://slurm.example:6820; http or https, no user, no password"
    )
    user: _User = pydantic.Field(description="user of the site that jobs run as; neither root nor SlurmUser")
    token: _Token = pydantic.Field(
        description="JSON web token of this user (scontrol token), as {fromFile: ...} or {fromEnv: ...}"
    )
    auth: Literal["header", "bearer"] = pydantic.Field(
        default="header", description="how the token is sent: X-SLURM-USER-TOKEN, or Authorization: Bearer"
    )
    slurm_user: _User = pydantic.Field(default="slurm", description="SlurmUser of the site, whose token is refused")
    folder: _Folder = pydantic.Field(
        description="folder of a file system that every node and this server see at the same path; the users of jobs "
        "and this server can write there, and nobody else"
    )
    tenants: Annotated[dict[_Pool, Identity], pydantic.Field(max_length=256)] = pydantic.Field(
        default_factory=dict,
        description="tenant -> user, account, QoS; where any stands, a tenant without one is refused",
    )
    shared_trust: bool = pydantic.Field(
        default=False,
        description="let tenants other than the backend's owner run here although jobs of one user of the site can "
        "read and stop each other",
    )
    accelerators: Annotated[dict[_Word, _Pool], pydantic.Field(max_length=64)] = pydantic.Field(
        default_factory=dict, description="type of GRES gpu, e.g. h100 -> its name in the catalogue"
    )
    pools: Annotated[dict[_Pool, Share], pydantic.Field(max_length=64)] = pydantic.Field(
        default_factory=dict, description="pool -> partition, account, QoS, constraint, reservation, GRES"
    )
    container: Container | None = pydantic.Field(
        default=None, description="what runs images there; without it jobs with images are not taken"
    )
    ca: Annotated[str, pydantic.Field(max_length=MIB)] | None = pydantic.Field(
        default=None, description="certificates, PEM, that vouch for an https url; default: those of this machine"
    )
    env: Annotated[dict[_Name, _Text], pydantic.Field(max_length=64)] = pydantic.Field(
        default_factory=dict, description="variables that every job gets unless it sets them itself; nothing secret"
    )
    path: _Text = pydantic.Field(default="/usr/local/bin:/usr/bin:/bin", description="PATH of every job")
    log_bytes_max: Annotated[int, pydantic.Field(ge=4096, le=1024 * MIB)] = pydantic.Field(
        default=16 * MIB, description="largest log of a job, in bytes; what is over is cut, the job goes on"
    )
    script_bytes_max: Annotated[int, pydantic.Field(ge=65536, le=64 * MIB)] = pydantic.Field(
        default=3 * MIB, description="largest script, with files and working folder in it (max_script_size of the site)"
    )
    visibility_seconds: Annotated[int, pydantic.Field(ge=0, le=600)] = pydantic.Field(
        default=10, description="so long after a node wrote a file this server may not see it yet"
    )
    hours_required: bool = pydantic.Field(
        default=False, description="take jobs of tenants only whose hours left are declared and not used up"
    )
    nodes_max: Annotated[int, pydantic.Field(ge=1, le=10_000)] = pydantic.Field(
        default=64, description="most nodes of one job, which srun starts; 1: jobs of several nodes are not taken"
    )
    jobs_max: _Jobs | None = pydantic.Field(
        default=None,
        description="so many jobs of this backend in flight; more wait here, unseen by Slurm",
    )
    calls_per_minute: Annotated[int, pydantic.Field(ge=6, le=60000)] = pydantic.Field(
        default=600, description="so many requests a minute at most; more wait for the next turn"
    )
    timeout_seconds: Annotated[int, pydantic.Field(ge=1, le=60)] = pydantic.Field(
        default=8, description="deadline of one request"
    )

    @pydantic.field_validator("url")
    @classmethod
    def _plain_url(cls, url: str) -> str:
        return addresses.checked_url(url, whose="a slurmrestd", setting="token")

    @pydantic.model_validator(mode="after")
    def _bindable(self) -> SlurmSettings:
        if self.container is not None and set(self.folder) & {":", ","}:
            raise ValueError("a folder with a colon or comma cannot be given to a container")
        return self

    @pydantic.model_validator(mode="after")
    def _no_power(self) -> SlurmSettings:
        mighty = {"root", "0", self.slurm_user}
        pairs = [(self.user, self.token), *((one.user, one.token) for one in self.tenants.values())]
        for user, token in pairs:
            if user is None or token is None:
                continue
            if user in mighty:
                raise ValueError(f"user {user} may do anything at the site: name one that only runs jobs")
            named = subject(token)
            if named in mighty:
                raise ValueError(f"the token is of {named}, who may do anything at the site")
            if named is not None and named != user:
                raise ValueError("the token is of another user than the one beside it")
        return self


def subject(token: str) -> str | None:
    """Return the user that a JSON web token names (claim ``sun``); None where it cannot be read. Slurm verifies it."""
    claims = _claims(token)
    named = claims.get("sun", claims.get("username"))
    return None if named is None else str(named)


def lifetime(token: str) -> tuple[float | None, float | None]:
    """Return from when and until when a JSON web token holds (claims ``iat`` and ``exp``), seconds since 1970."""
    claims = _claims(token)
    first, last = (claims.get(name) for name in ("iat", "exp"))
    return _seconds(first), _seconds(last)


def _seconds(found: object) -> float | None:
    return float(found) if isinstance(found, int | float) and not isinstance(found, bool) else None


def _claims(token: str) -> Mapping[str, Any]:
    parts = token.split(".")
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (ValueError, IndexError, RecursionError):
        return {}
    return claims if isinstance(claims, dict) else {}
