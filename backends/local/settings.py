"""The settings of a ``local`` backend. All are optional: without any, the whole machine is one place for jobs."""

from __future__ import annotations

import enum
from typing import Annotated

import pydantic

from orchestrator.settings import adapters

_Folder = Annotated[str, pydantic.Field(pattern=r"^/[^\x00]*$", max_length=1024)]
_Device = Annotated[str, pydantic.Field(pattern=r"^/dev/[^\x00]+$", max_length=255)]
_Name = Annotated[str, pydantic.Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=128)]
_Text = Annotated[str, pydantic.Field(pattern=r"^[^\x00]*$", max_length=32768)]
_Id = Annotated[int, pydantic.Field(ge=1, le=2**32 - 2)]


class Isolation(enum.Enum):
    """How far a job is kept from the rest of the machine."""

    AUTO = "auto"
    """The strongest that works here."""
    NAMESPACES = "namespaces"
    """Own user, own view of files, processes, devices and IPC. Needs root and Linux 5.12."""
    USER = "user"
    """Own user only. Needs root."""
    NONE = "none"
    """The server's own user: the site takes its owner's jobs only."""


class Limits(enum.Enum):
    """Whether jobs are held to the memory and the CPUs that they asked for."""

    AUTO = "auto"
    """Where control groups can be made here."""
    REQUIRED = "required"
    """Always: where they cannot be made, every job is refused."""
    OFF = "off"
    """Never: memory and CPUs are accounted only."""


class RunAs(adapters.AdapterSettings):
    """The user that jobs run as, never root. It needs no entry in ``/etc/passwd``, and should own nothing."""

    uid: _Id = 61007
    gid: _Id = 61007


class LocalSettings(adapters.AdapterSettings):
    """This machine as a place for jobs: supervised processes that outlive the control plane."""

    isolation: Isolation = pydantic.Field(
        default=Isolation.AUTO,
        description="auto takes the strongest level that works here; a named level is kept or every job is refused",
    )
    limits: Limits = pydantic.Field(
        default=Limits.AUTO,
        description="auto holds jobs to the memory and the CPUs they asked for where control groups can be made here "
        "(as root), and else to whole CPUs; required refuses every job where memory cannot be held; off only accounts",
    )
    run_as: RunAs = pydantic.Field(
        default_factory=RunAs, description="user and group of jobs where the server is root; not used otherwise"
    )
    devices: (
        Annotated[tuple[Annotated[int, pydantic.Field(ge=0, le=1023)], ...], pydantic.Field(max_length=64)] | None
    ) = pydantic.Field(
        default=None,
        description="indices of the accelerators that are this backend's; default all. Two local backends on one "
        "machine each name their own, because neither sees what the other has given away",
    )
    device_nodes: Annotated[tuple[_Device, ...], pydantic.Field(max_length=32)] = pydantic.Field(
        default=(), description="further nodes below /dev that every job sees under isolation namespaces"
    )
    overcommit: bool = pydantic.Field(
        default=False,
        description="believe a pool that declares more CPUs, memory or accelerators than are found here; otherwise "
        "the smaller figure counts",
    )
    log_bytes_max: Annotated[int, pydantic.Field(ge=4096, le=2**40)] = pydantic.Field(
        default=2**30, description="largest log of one node of a job, in bytes; what is over is cut, the job goes on"
    )
    work_folder: _Folder | None = pydantic.Field(
        default=None,
        description="folder for the working folders of jobs, e.g. on a larger disk; default below the state folder, "
        "and below /var/tmp under isolation user",
    )
    hide: Annotated[tuple[_Folder, ...], pydantic.Field(max_length=16)] = pydantic.Field(
        default=(), description="further folders that jobs must not see, under isolation namespaces"
    )
    env: Annotated[dict[_Name, _Text], pydantic.Field(max_length=64)] = pydantic.Field(
        default_factory=dict, description="variables that every job gets unless it sets them itself; nothing secret"
    )
