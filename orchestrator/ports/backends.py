"""The port of an adapter: few verbs, each idempotent; none waits, none retries.

The control loop calls them from a bounded pool, one bulkhead a backend, each call with a deadline. A call may be
made twice, late, or by a controller that has just replaced another; the key is what keeps that harmless.
"""

from __future__ import annotations

import abc
import datetime as dt
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:  # an adapter is named and listed without them; whoever builds one has them anyway
    from orchestrator.domain import ids, jobs, offers, sites

PORT_VERSION = 1


@dataclass(frozen=True, slots=True)
class Fence:
    """Who acts: the term of the controller's lease and the attempt number it acts on."""

    term: ids.Term
    attempt: int


@dataclass(frozen=True, slots=True)
class SealedPlacement:
    """A decided placement, complete: all an adapter gets, and it gets it only after the decision is durable.

    ``environment`` holds the variables of interfaces.md that the core knows; the adapter adds those of its own
    machines (``COMITY_NODE_ADDRS``, ``MASTER_ADDR`` ...). ``workdir`` reads the archive's bytes when called.
    """

    key: ids.AttemptKey
    job: ids.JobId
    tenant: str
    number: int
    site: ids.SiteName
    pool: str
    spec: jobs.JobSpec
    spec_digest: ids.Digest
    fence: Fence
    environment: Mapping[str, str] = field(default_factory=dict)
    workdir: Callable[[], bytes] | None = None
    data: Mapping[str, str] = field(default_factory=dict)
    """Name of a data set -> URI or path where it lies."""
    time_limit: dt.timedelta | None = None
    """What is left of the deadline; the backend should end the attempt by itself then."""
    stop_grace: dt.timedelta = dt.timedelta(seconds=10)
    decision: ids.Digest | None = None
    """Of the decision, as the journal has it; an adapter may note it with the attempt."""


@dataclass(frozen=True, slots=True)
class Handle:
    """The adapter's own name for an attempt, opaque to everybody else; at most 512 characters."""

    value: str


@dataclass(frozen=True, slots=True)
class AttemptRef:
    """Which attempt is meant. ``handle`` None: look it up by key."""

    key: ids.AttemptKey
    handle: str | None = None
    submitted_at: dt.datetime | None = None


@dataclass(frozen=True, slots=True)
class Observation:
    """What the backend says of one attempt. ``outcome`` stands exactly when the state is ENDED.

    ``detail`` says in the backend's words why it is no further (or how it ended); while it waits, ``reason`` is one
    stable word for that (``Unschedulable``, letters and digits). Users are shown both as a condition of the job.
    ``whereabouts`` is what was seen of where it runs, or ran: one a node whose machine is known by now, each rank at
    most once; none where nothing was seen (yet). The core holds them against the place that was decided on.
    ``outputs``, once it has ended: the files it left, each with its SHA-256 where the adapter could read it without
    making the call long (a file that is too large for that stands without); None where they cannot be told, or are
    more than 256.
    """

    key: ids.AttemptKey
    state: offers.ObservedState
    outcome: jobs.Outcome | None = None
    handle: str | None = None
    started_at: dt.datetime | None = None
    detail: str = ""
    whereabouts: Sequence[offers.Whereabouts] = ()
    outputs: Sequence[offers.OutputFile] | None = None
    reason: str = ""


class BackendAdapter(abc.ABC):
    """Speaks to one registered backend. The constructor stores; it does no I/O."""

    @abc.abstractmethod
    def capabilities(self) -> offers.Capabilities:
        """Return what this adapter can do with its settings. Static, no I/O."""

    @abc.abstractmethod
    def offers(self) -> Sequence[offers.Offer]:
        """Return one offer a site. Raises BackendError."""

    @abc.abstractmethod
    def submit(self, placement: SealedPlacement) -> Handle:
        """Get or create the attempt of this key: the same key twice starts one. Raises BackendError."""

    @abc.abstractmethod
    def observe(self, refs: Sequence[AttemptRef]) -> Sequence[Observation]:
        """Return one observation a ref, in order. One bad ref never poisons the batch. Raises BackendError."""

    @abc.abstractmethod
    def stop(self, ref: AttemptRef, fence: Fence, grace: dt.timedelta) -> None:
        """Ask exactly this attempt to end; unknown or ended is fine, and it must not start afterwards."""

    @abc.abstractmethod
    def close(self) -> None:
        """Let go of connections. Attempts go on."""


@dataclass(frozen=True, slots=True)
class LogChunk:
    """A piece of a log. ``cursor`` is opaque and resumes right after ``data``; ``node`` is the rank."""

    data: bytes
    cursor: str
    node: int = 0


@runtime_checkable
class StreamsLogs(Protocol):
    """Capability LOGS."""

    def read_logs(
        self, ref: AttemptRef, *, cursor: str | None, node: int | None, limit: int
    ) -> tuple[Sequence[LogChunk], str]:
        """Return what stands after ``cursor`` now (at most ``limit`` bytes) and the cursor to go on from.

        Raises PermanentError ``logs.not-found`` where ``ref`` has a handle and nothing is kept of it any more.
        """


@runtime_checkable
class Copies(Protocol):
    """Capability COPIES."""

    def list_outputs(self, ref: AttemptRef) -> Sequence[tuple[str, int]]:
        """Return (relative path, size in bytes) of each output file kept."""

    def read_output(self, ref: AttemptRef, path: str) -> Iterator[bytes]:
        """Yield the bytes of one output file; raises PermanentError ``outputs.not-found``."""


@runtime_checkable
class ListsOwned(Protocol):
    """Capability LISTS_OWNED: what the backend holds in our name, for adoption and for orphans."""

    def list_owned(self) -> Sequence[AttemptRef]:
        """Return every attempt that is not ended and carries our mark."""

    def forget(self, ref: AttemptRef) -> None:
        """Remove what is left of an ended attempt. Unknown is fine."""


@runtime_checkable
class Watches(Protocol):
    """Capability WATCHES: may nudge the loop; a nudge only makes ``observe`` run sooner."""

    def watch(self, nudge: Callable[[], None]) -> None:
        """Start to nudge; called once."""


@dataclass(frozen=True, slots=True)
class News:
    """Which attempts ``observe`` may say something else of than when ``cursor`` was last asked with. None: any."""

    cursor: str
    """Opaque, at most 512 characters; good for one adapter object."""
    keys: frozenset[ids.AttemptKey] | None = None


@runtime_checkable
class TellsNews(Protocol):
    """What an adapter has that is told what changes: so that attempts of which there is no news need not be asked for.

    Called before attempts are observed, about twice a second. What a read said of an attempt that runs holds until a
    later answer names it: of any change after an answer, one that starts with that answer's cursor tells, however
    often it is asked. The core goes on to observe whatever did not run when it was last observed, and, now and then,
    everything.
    """

    def news(self, cursor: str | None) -> News:
        """Return what changed since ``cursor``. Of None, or one that is not its own or too old, it names no keys.

        Raises BackendError where ``observe`` would: what it knows is too old.
        """


@runtime_checkable
class Attests(Protocol):
    """Capability ATTESTS."""

    def attest(self, ref: AttemptRef, *, nonce: str, audience: str) -> str | None:
        """Return an attestation result of the environment in which this attempt runs; None: not ready, ask again.

        An EAT as compact JWS by a verifier that the installation trusts, at most 12,288 characters: ``eat_nonce`` holds
        ``nonce`` (64 hexadecimal digits), ``aud`` is ``audience``, and what it states of the place stands as in a token
        of a document (docs/assurance.md). Called while the attempt runs, again until it answers and each half day,
        with another nonce each time a result was accepted; it may be asked twice for one. The adapter proves nothing
        itself: it carries the evidence to the verifier, and the result back. Raises BackendError.
        """


@runtime_checkable
class Identifies(Protocol):
    """What to pin about a backend."""

    def identity(self) -> offers.PinnedIdentity:
        """Return what the backend proves itself by now."""


@dataclass(frozen=True, slots=True)
class AdapterContext:
    """What an adapter is given besides its settings: its own name, folder, pools and clock; nothing else.

    ``state_folder`` is a folder of its own for what must outlive the process. ``hidden_folders`` must not be
    visible to jobs. ``installation`` marks what is ours at the backend.
    """

    backend: str
    pools: Sequence[sites.Pool]
    state_folder: str
    installation: str
    now: Callable[[], dt.datetime]
    hidden_folders: Sequence[str] = ()


class AdapterPlugin(Protocol):
    """What an entry point of group ``orchestrator.backends`` names: cheap to import, loads its SDK at first use."""

    name: str
    port_version: int
    summary: str

    def settings_schema(self) -> Mapping[str, object]:
        """Return the JSON Schema of the settings."""

    def build(self, settings: Mapping[str, object], context: AdapterContext) -> BackendAdapter:
        """Return an adapter; raises ``SettingsError`` with every problem at once. No I/O."""
