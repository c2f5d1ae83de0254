"""What somebody must say to reach a HyperQueue server."""

from __future__ import annotations

from typing import Annotated

import pydantic

from orchestrator.settings import adapters

AbsolutePath = Annotated[str, pydantic.StringConstraints(pattern=r"^/[^\x00]{0,4000}$")]


class HyperqueueSettings(adapters.AdapterSettings):
    """Settings of one backend: one server, whose workers have one machine type and one place."""

    server_dir: AbsolutePath = pydantic.Field(description="server directory: what `hq server start` was given")
    folder: AbsolutePath = pydantic.Field(description="folder that this machine and every worker see under this path")
    cpus: Annotated[int, pydantic.Field(ge=1, le=1_000_000)] = pydantic.Field(
        description="CPUs of all workers together: HyperQueue's Python API does not tell"
    )
    node_cpus: Annotated[int, pydantic.Field(ge=1, le=100_000)] | None = pydantic.Field(
        default=None, description="CPUs of the largest worker; default: all"
    )
    python: AbsolutePath = pydantic.Field(
        default="/usr/bin/python3", description="a Python from 3.9 on, under this path on every worker"
    )
    log_bytes_max: Annotated[int, pydantic.Field(ge=1, le=2**40)] = pydantic.Field(
        default=64 * 2**20, description="what is kept of one attempt's output"
    )
    lost_after_seconds: Annotated[int, pydantic.Field(ge=4, le=86_400)] = pydantic.Field(
        default=60,
        description="an attempt that gave no sign of life for so long, and whose server is another now, is lost; "
        "an attempt that cannot give one for half as long ends itself",
    )
