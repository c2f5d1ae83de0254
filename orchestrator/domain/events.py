"""Events: what happened to a job. Facts of the past, applied by ``lifecycle.apply``; a late or repeated one is safe."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from orchestrator.domain import errors, executions, ids, jobs


@dataclass(frozen=True, slots=True)
class Placed:
    """A cycle chose a site. ``number`` must be the next attempt's; ``hand``: whose place it is, for a verified job."""

    at: dt.datetime
    number: int
    site: ids.SiteName
    decision: ids.Digest
    hand: jobs.Hand | None = None


@dataclass(frozen=True, slots=True)
class SubmitTried:
    """A submit for an attempt that an earlier controller may have tried is about to be made (again)."""

    at: dt.datetime
    number: int


@dataclass(frozen=True, slots=True)
class SubmitAccepted:
    """The backend has the attempt. ``adapter``: the program that said so."""

    at: dt.datetime
    number: int
    handle: str
    adapter: executions.Adapter | None = None


@dataclass(frozen=True, slots=True)
class SubmitRefused:
    """The backend certainly did not take the attempt. ``not_before``: back-off before the next placement."""

    at: dt.datetime
    number: int
    code: str
    message: str
    retry: errors.RetryWhere
    not_before: dt.datetime | None = None


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """A placement was dropped before anything of it reached the backend (policy, facts or term changed)."""

    at: dt.datetime
    number: int
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Abandoned:
    """The job goes on elsewhere although the attempt may still run (``onUnreachable: duplicateOk``).

    Only where the backend lists what it holds, so that the attempt is stopped when it can be reached again.
    """

    at: dt.datetime
    number: int
    reason: str


@dataclass(frozen=True, slots=True)
class Started:
    """The backend says that the attempt runs. ``seen`` is what it says of where; () where it says nothing of that."""

    at: dt.datetime
    number: int
    started_at: dt.datetime | None = None
    handle: str | None = None
    seen: tuple[executions.Whereabouts, ...] = ()
    adapter: executions.Adapter | None = None


@dataclass(frozen=True, slots=True)
class SeenWaiting:
    """The backend has the attempt and it does not run yet; adopts a lost reply.

    ``reason`` and ``message`` say what it waits for there, "" where nothing is known to hold it up.
    """

    at: dt.datetime
    number: int
    handle: str | None = None
    reason: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True)
class Ended:
    """The attempt is over. ``not_before``: back-off should another attempt follow; ``outputs``: the files it left."""

    at: dt.datetime
    number: int
    outcome: jobs.Outcome
    not_before: dt.datetime | None = None
    seen: tuple[executions.Whereabouts, ...] = ()
    outputs: tuple[executions.OutputFile, ...] | None = None
    adapter: executions.Adapter | None = None


@dataclass(frozen=True, slots=True)
class Attested:
    """An attestation result for the attempt was verified."""

    at: dt.datetime
    number: int
    result: executions.AttestationResult


@dataclass(frozen=True, slots=True)
class GoneRead:
    """One trusted-looking read did not know the attempt; not yet believed."""

    at: dt.datetime
    number: int


@dataclass(frozen=True, slots=True)
class Vanished:
    """GONE is believed: consistent reads, or old enough and two reads agree."""

    at: dt.datetime
    number: int
    not_before: dt.datetime | None = None


@dataclass(frozen=True, slots=True)
class StopRequested:
    """The job must end, or leave its site: cancel, deadline, policy, fence."""

    at: dt.datetime
    cause: jobs.StopCause
    by: str
    message: str = ""


@dataclass(frozen=True, slots=True)
class RefereeAsked:
    """A verified job needs one more run, on a trusted site: its ``number`` among all runs."""

    at: dt.datetime
    number: int
    message: str


@dataclass(frozen=True, slots=True)
class Judged:
    """The runs of a verified job were compared for the last time.

    ``accepted``: the number of the run whose outputs hold; None: nobody can say. ``receipt`` is all it rests on, JSON.
    """

    at: dt.datetime
    accepted: int | None
    reason: str
    message: str
    receipt: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class ConditionChanged:
    """A condition became true or false, or its words changed."""

    at: dt.datetime
    type: str
    status: bool
    reason: str
    message: str


OfAttempt: TypeAlias = (
    SubmitTried
    | SubmitAccepted
    | SubmitRefused
    | Withdrawn
    | Abandoned
    | Started
    | SeenWaiting
    | Ended
    | Attested
    | GoneRead
    | Vanished
)
Event: TypeAlias = Placed | OfAttempt | StopRequested | RefereeAsked | Judged | ConditionChanged
