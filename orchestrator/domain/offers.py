"""What a site could take, and what a backend can do at all."""

from __future__ import annotations

import datetime as dt
import enum
from dataclasses import dataclass, field

from orchestrator.domain import executions, ids, sites


class Capability(enum.Enum):
    """Powers an adapter states. Absent means unsupported, and a refusal says so (``fit.capability:<value>``)."""

    CONTAINERS = "containers"
    """Runs images."""
    IMAGE_TAGS = "imageTags"
    """Runs images that are named by a tag too, not by digest only."""
    PROCESSES = "processes"
    """Runs a bare command on a host."""
    GANGS = "gangs"
    """Starts ``nodes`` > 1 all or none, with rendezvous variables."""
    OUTPUTS = "outputs"
    WORKDIR = "workdir"
    FILES = "files"
    DATA_MOUNTS = "dataMounts"
    LOGS = "logs"
    COPIES = "copies"
    FENCES = "fences"
    """Holds a term and refuses a stale one."""
    LISTS_OWNED = "listsOwned"
    WATCHES = "watches"
    SUSPENDS = "suspends"
    CHECKPOINTS = "checkpoints"
    ATTESTS = "attests"
    """Brings an attestation result for one attempt, bound to a challenge of the core."""
    EGRESS = "egress"
    """Lets an attempt connect to what its job names and nothing else; its operator declares that this is enforced."""
    EGRESS_RULES = "egressRules"
    """Writes down where an attempt may connect to; whether anything enforces it is not known."""
    SECRETS = "secrets"
    """Gives an attempt variables whose values lie there already, by the name of a secret and its key."""
    MODULES = "modules"
    """Runs a WebAssembly module (WASI preview 1) that is one of the job's files."""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """Static powers of an adapter with given settings; no I/O to know them.

    ``visibility_lag``: how long a thing that exists may be missing from reads. Zero means consistent reads, and
    only then does one GONE count.
    """

    powers: frozenset[Capability]
    visibility_lag: dt.timedelta = dt.timedelta(0)
    port_version: int = 1
    max_nodes: int = 1

    def has(self, power: Capability) -> bool:
        """Say whether ``power`` is stated."""
        return power in self.powers


@dataclass(frozen=True, slots=True)
class Room:
    """An amount of each resource, whole units. ``slots`` bounds the number of attempts; None: no bound known."""

    cpu_milli: int = 0
    memory_bytes: int = 0
    accelerators: int = 0
    slots: int | None = None


@dataclass(frozen=True, slots=True)
class QueueOffer:
    """What waits behind a site that queues by itself."""

    accepts: bool
    expected_wait: dt.timedelta | None = None


@dataclass(frozen=True, slots=True)
class Offer:
    """What one site could take at ``observed_at``.

    ``free`` is what is left after everything in ``counted``; ``largest_node`` is the biggest node of the pool, for
    jobs that can never fit; ``counted`` names the attempts that the backend has already subtracted from ``free``.
    ``pool`` describes what the adapter discovered and the document did not declare.
    """

    site: ids.SiteName
    free: Room
    total: Room
    observed_at: dt.datetime
    counted: frozenset[ids.AttemptKey] = frozenset()
    largest_node: Room | None = None
    queue: QueueOffer | None = None
    pool: sites.Pool | None = None
    isolation_none: bool = False
    detail: str = ""


class ObservedState(enum.Enum):
    """What a backend says of one attempt."""

    QUEUED = "QUEUED"
    STARTING = "STARTING"
    RUNNING = "RUNNING"
    ENDED = "ENDED"
    """Over; the outcome stands beside it."""
    GONE = "GONE"
    """The backend answers, its read can be trusted, and it knows nothing of this key."""
    UNKNOWN = "UNKNOWN"
    """No answer that can be trusted."""


Whereabouts = executions.Whereabouts
"""What was seen of where one node of an attempt runs."""
OutputFile = executions.OutputFile
"""A file that an attempt left, with its digest."""


@dataclass(frozen=True, slots=True)
class PinnedIdentity:
    """What a backend proves itself by, e.g. ``machine-id`` of a host or UID of a cluster."""

    values: tuple[tuple[str, str], ...] = field(default=())
