"""The verbs of the port, on this machine. Each reads or writes attempt folders; none waits for a job.

Nothing of an attempt is known here only: an adapter object that comes later, in another process, reads the same
folders and says the same. The runner (``runner/``) does the rest, with or without us.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import os
import threading
from collections.abc import Callable, Iterator, Sequence

from backends.local import (
    attempts,
    capacity,
    client,
    discovery,
    errors,
    limits,
    logs,
    observe,
    outputs,
    preparing,
    watching,
)
from backends.local import settings as schema
from orchestrator.domain import errors as port_errors
from orchestrator.domain import ids, jobs
from orchestrator.domain import offers as offer_values
from orchestrator.ports import backends

NODES_MAX = 64
"""Ranks of a gang on one machine."""
_REMEMBERED_MAX = 20_000
_DISCOVERY_AGE = dt.timedelta(minutes=10)
_ROLL_BACK_S = 5.0

POWERS = frozenset(
    {
        offer_values.Capability.PROCESSES,
        offer_values.Capability.GANGS,
        offer_values.Capability.OUTPUTS,
        offer_values.Capability.WORKDIR,
        offer_values.Capability.FILES,
        offer_values.Capability.LOGS,
        offer_values.Capability.COPIES,
        offer_values.Capability.LISTS_OWNED,
        offer_values.Capability.WATCHES,
    }
)


class LocalAdapter(backends.BackendAdapter):
    """This machine. Safe to call from any thread."""

    def __init__(self, settings: schema.LocalSettings, context: backends.AdapterContext) -> None:
        self._settings = settings
        self._context = context
        self._lock = threading.Lock()
        self._base: preparing.Base | None = None
        self._found: tuple[dt.datetime, discovery.Machine] | None = None
        self._ended: dict[str, backends.Observation] = {}
        self._watcher: watching.Watcher | None = None
        self._identity: offer_values.PinnedIdentity | None = None

    def capabilities(self) -> offer_values.Capabilities:
        """Return what this machine can do."""
        return offer_values.Capabilities(POWERS, max_nodes=NODES_MAX)

    def offers(self) -> Sequence[offer_values.Offer]:
        """Return one offer a pool, after everything that runs or is about to."""
        base, machine = self._ready(), self._machine()
        live, now = base.holdings.live(), self._context.now()
        found = capacity.shares(self._context.pools, machine, self._settings)
        name = self._context.backend
        return [
            capacity.offer(share, name, live, machine, self._settings, base.ground, now, base.limits.detail)
            for share in found
        ]

    def submit(self, placement: backends.SealedPlacement) -> backends.Handle:
        """Get or create the attempt of this key; see the port. A key that was stopped before is refused."""
        base, key = self._ready(), str(placement.key)
        self._folder(base, key)
        try:
            with base.holdings.turn(key):
                attempt, made = base.store.read(key), False
                if attempt is None:
                    attempt, made = self._create(base, placement)
                self._start(base, placement, attempt, made)
        except OSError as error:
            raise errors.of_os(error, "the attempt cannot be prepared") from error
        base.refill(attempt)
        return backends.Handle(observe.handle_of(key))

    def observe(self, refs: Sequence[backends.AttemptRef]) -> Sequence[backends.Observation]:
        """Return what each attempt is now, from its files."""
        base, boot = self._ready(), attempts.boot_id()
        budget = outputs.Budget()
        return [self._observe(base, ref, boot, budget) for ref in refs]

    def stop(self, ref: backends.AttemptRef, fence: backends.Fence, grace: dt.timedelta) -> None:
        """Ask the attempt to end; one that never came never will."""
        base, key = self._ready(), str(ref.key)
        folder = self._folder(base, key)
        try:
            attempt = base.store.read(key)
            if attempt is None and base.store.tombstone(key):
                return
            attempt = attempt or base.store.read(key) or attempts.Attempt(key, nodes=0)
            ranks = base.store.ranks(attempt)
            if ranks and all(rank.over for rank in ranks):
                return
            _stop(folder, ranks, int(grace / dt.timedelta(milliseconds=1)))
        except OSError as error:
            raise errors.of_os(error, f"attempt {key} cannot be stopped") from error

    def close(self) -> None:
        """Stop watching. Attempts go on."""
        with self._lock:
            watcher, self._watcher, base = self._watcher, None, self._base
        if base is not None:
            base.close()
        if watcher is not None:
            watcher.close()

    def read_logs(
        self, ref: backends.AttemptRef, *, cursor: str | None, node: int | None, limit: int
    ) -> tuple[Sequence[backends.LogChunk], str]:
        """Return what stands in the log after ``cursor``; see :mod:`backends.local.logs`.

        Raises PermanentError ``logs.not-found`` for an attempt that was accepted here and has no record any more.
        """
        base = self._ready()
        attempt = self._attempt(base, ref, kept=True)
        over = all(rank.over for rank in base.store.ranks(attempt))
        folder = base.store.folder(attempt.key)
        return logs.read(folder, attempt.nodes, cursor=cursor, node=node, limit=limit, over=over)

    def list_outputs(self, ref: backends.AttemptRef) -> Sequence[tuple[str, int]]:
        """Return (path, size in bytes) of each file kept."""
        return outputs.files(self._attempt(self._ready(), ref))

    def read_output(self, ref: backends.AttemptRef, path: str) -> Iterator[bytes]:
        """Yield the bytes of one kept file; raises PermanentError ``outputs.not-found``, at once."""
        return outputs.read(self._attempt(self._ready(), ref), path)

    def list_owned(self) -> Sequence[backends.AttemptRef]:
        """Return every attempt below our folder that is not over."""
        return [backends.AttemptRef(key, observe.handle_of(key)) for key in sorted(self._ready().holdings.live())]

    def forget(self, ref: backends.AttemptRef) -> None:
        """Remove an attempt that is over, with its log and its outputs. One that is not stays."""
        base, key = self._ready(), str(ref.key)
        self._folder(base, key)
        attempt = base.store.read(key)
        if attempt is None or key in base.holdings.live() or base.holdings.busy(key):
            return
        base.remove(attempt)
        self._ended.pop(key, None)

    def watch(self, nudge: Callable[[], None]) -> None:
        """Nudge when an attempt ends, also one that was adopted."""
        base = self._ready()
        watcher = watching.Watcher(nudge)
        with self._lock:
            self._watcher = watcher
        for attempt in base.holdings.live().values():
            watcher.add(_rank_folders(base, attempt))
        nudge()  # for those that ended before they were watched

    def identity(self) -> offer_values.PinnedIdentity:
        """Return what recognises this machine and our folder on it, the same after it was started again."""
        found = self._identity
        if found is None:
            try:
                folder = discovery.folder_id(self._context.state_folder)
            except OSError as error:
                raise errors.of_os(error, "the folder's mark cannot be read") from error
            machine = discovery.machine_id()
            values = (("folder", folder), *((("machine-id", machine),) if machine else ()))
            self._identity = found = offer_values.PinnedIdentity(values)
        return found

    # --- submitting -----------------------------------------------------------------------------------------------

    def _create(self, base: preparing.Base, placement: backends.SealedPlacement) -> tuple[attempts.Attempt, bool]:
        """Prepare the attempt and give it its name. False: somebody was faster, and this is theirs."""
        key, wanted = str(placement.key), placement.spec.resources.accelerators
        count = wanted.count * placement.spec.nodes if wanted else 0
        machine = self._machine()
        given: tuple[discovery.Device, ...] = ()
        if count:
            shares = capacity.shares(self._context.pools, machine, self._settings)
            share = next((share for share in shares if share.name == placement.pool), None)
            if share is None:
                raise errors.elsewhere("pool-unknown", f"this backend has no pool {placement.pool!r} any more")
            given = base.holdings.give(key, count, share.devices)
        return preparing.prepare(base, self._settings, placement, machine, given)

    def _start(
        self, base: preparing.Base, placement: backends.SealedPlacement, attempt: attempts.Attempt, made: bool
    ) -> None:
        """Start every rank that never was, unless the attempt was told to end."""
        ranks = base.store.ranks(attempt) if not made else ()
        folders = _rank_folders(base, attempt)
        begun = any(rank.state not in (attempts.RankState.FRESH, attempts.RankState.FENCED) for rank in ranks)
        if base.store.stopped(attempt.key):
            if begun:
                return
            raise errors.stopped()
        if not made:
            if not attempt.workspace and not begun:
                self._again(base, placement, attempt)
                return
            folders = [
                folder for folder, rank in zip(folders, ranks, strict=True) if rank.state is attempts.RankState.FRESH
            ]
        if self._watcher is not None:
            self._watcher.add(folders)
        try:
            results = _launch(base, attempt, folders, made)
        except (port_errors.BackendError, OSError):
            self._roll_back(base, attempt, made)
            raise
        problem = next((error for one in results if (error := errors.of_status(one.status, one.said))), None)
        bad_spec = any(one.status == errors.RunnerStatus.BAD_SPEC for one in results)
        if bad_spec and not made and not begun:
            self._again(base, placement, attempt)
        elif problem is not None and not any(one.status == -1 for one in results):
            if problem.code != "local.stopped":
                self._roll_back(base, attempt, made)
            raise problem
        elif len(results) > 1 and any(one.status in _NOT_RUN for one in results):
            _stop(base.store.folder(attempt.key), base.store.ranks(attempt), 0, whole=False)

    def _again(self, base: preparing.Base, placement: backends.SealedPlacement, torn: attempts.Attempt) -> None:
        """Prepare once more what a power cut left torn: no runner can have accepted it, so none is alive."""
        base.remove(torn)
        attempt, made = self._create(base, placement)
        if made:
            self._start(base, placement, attempt, made)

    def _roll_back(self, base: preparing.Base, attempt: attempts.Attempt, made: bool) -> None:
        """All or none: end what was started of an attempt that cannot be started whole, and leave no trace of it.

        Out of sight first, so that nobody takes this end for that of the attempt.
        """
        ranks = base.store.ranks(attempt)
        if not made:
            if attempts.live_count(ranks):
                _stop(base.store.folder(attempt.key), ranks, 0)
            return
        hidden = base.store.hide(attempt.key)
        if hidden is None:
            return
        _stop(hidden, ranks, 0)
        if all(client.wait_gone(f"{hidden}/{number}", _ROLL_BACK_S) for number in range(len(ranks))):
            base.clear(attempt, hidden)

    # --- observing ------------------------------------------------------------------------------------------------

    def _observe(
        self, base: preparing.Base, ref: backends.AttemptRef, boot: str, budget: outputs.Budget
    ) -> backends.Observation:
        """Return what one attempt is; UNKNOWN where its files cannot be read."""
        key = str(ref.key)
        if (known := self._ended.get(key)) is not None:
            return known
        try:
            return self._look(base, key, boot, budget)
        except ValueError:
            return backends.Observation(ref.key, offer_values.ObservedState.GONE, detail="not a key of this backend")
        except OSError as error:
            return backends.Observation(
                ref.key, offer_values.ObservedState.UNKNOWN, detail=f"its files: {error.strerror}"
            )

    def _look(self, base: preparing.Base, key: str, boot: str, budget: outputs.Budget) -> backends.Observation:
        store, submitting = base.store, base.holdings.busy(key)
        attempt = store.read(key)
        if attempt is None:
            state = offer_values.ObservedState.STARTING if submitting else offer_values.ObservedState.GONE
            return backends.Observation(ids.AttemptKey(key), state)
        ranks = store.ranks(attempt)
        stopped = store.stopped(key)
        if attempt.nodes > 1 and not stopped and not submitting and self._mend(base, attempt, ranks):
            ranks = store.ranks(attempt)
        seen = observe.observation(
            attempt, ranks, stopped=stopped, submitting=submitting, boot=boot, node=os.uname().nodename[:253]
        )
        if seen.outcome is None:
            return seen
        limits.remove(attempt.cgroups)  # of a runner that was killed before it could
        if seen.outcome.succeeded and (lacking := outputs.missing(attempt)):
            outcome = jobs.Outcome(
                jobs.OutcomeKind.OUTPUT_MISSING,
                seen.outcome.exit_code,
                detail=f"it ended well and left no {', '.join(lacking)[:500]}",
                started_at=seen.outcome.started_at,
                ended_at=seen.outcome.ended_at,
            )
            seen = dataclasses.replace(seen, outcome=outcome, detail=outcome.detail)
        seen = dataclasses.replace(seen, outputs=outputs.digests(attempt, budget))
        self._remember(seen)
        return seen

    def _mend(self, base: preparing.Base, attempt: attempts.Attempt, ranks: Sequence[attempts.Rank]) -> bool:
        """Keep a gang whole: end all when one failed, start the rest where the submitter died in between."""
        if observe.failed_first(ranks) is not None:
            if not all(rank.over for rank in ranks):
                _stop(base.store.folder(attempt.key), ranks, _GANG_GRACE_MS, whole=False)
                return True
            return False
        fresh = [
            folder
            for folder, rank in zip(_rank_folders(base, attempt), ranks, strict=True)
            if rank.state is attempts.RankState.FRESH
        ]
        if not fresh or len(fresh) == len(ranks):
            return False
        with base.holdings.turn(attempt.key):
            try:
                _hold(base, attempt, fresh)
                client.start(fresh)
            except (port_errors.BackendError, OSError):
                return False
        return True

    def _remember(self, seen: backends.Observation) -> None:
        while len(self._ended) >= _REMEMBERED_MAX:
            try:
                self._ended.pop(next(iter(self._ended)), None)
            except (StopIteration, RuntimeError):  # another thread was faster
                break
        self._ended[str(seen.key)] = seen

    # --- what all verbs need --------------------------------------------------------------------------------------

    def _ready(self) -> preparing.Base:
        """Return the folders and the isolation, made and chosen at first use."""
        with self._lock:
            if self._base is None:
                try:
                    self._base = preparing.open_base(self._settings, self._context)
                except OSError as error:
                    raise errors.of_os(error, "the state folder of this backend cannot be used") from error
            return self._base

    def _machine(self) -> discovery.Machine:
        now = self._context.now()
        with self._lock:
            if self._found is None or now - self._found[0] > _DISCOVERY_AGE:
                self._found = (now, discovery.machine())
            return self._found[1]

    def _folder(self, base: preparing.Base, key: str) -> str:
        try:
            return base.store.folder(key)
        except ValueError as error:
            raise errors.refused("key", str(error)) from error

    def _attempt(self, base: preparing.Base, ref: backends.AttemptRef, *, kept: bool = False) -> attempts.Attempt:
        """Return an attempt; ``kept``: one that was accepted here must still be known, else it is an error."""
        key = str(ref.key)
        self._folder(base, key)
        found = base.store.read(key)
        if found is None and kept and ref.handle is not None:
            raise errors.no_log(self._context.backend, key)
        return found or attempts.Attempt(key, nodes=0)


_GANG_GRACE_MS = 10_000
_NOT_RUN = (
    errors.RunnerStatus.EXEC_FAILED,
    errors.RunnerStatus.ISOLATION_FAILED,
    errors.RunnerStatus.SETUP_FAILED,
    errors.RunnerStatus.CALLED_OFF,
)


def _rank_folders(base: preparing.Base, attempt: attempts.Attempt) -> list[str]:
    folder = base.store.folder(attempt.key)
    return [f"{folder}/{rank}" for rank in range(attempt.nodes)]


def _hold(base: preparing.Base, attempt: attempts.Attempt, folders: Sequence[str]) -> None:
    """Make the control groups of those ranks whose folders are named."""
    if attempt.cgroups:
        paths = [path for folder in folders for path in attempt.groups(int(folder.rpartition("/")[2]))]
        cpu_milli = base.limits.held_milli(attempt.cpu_milli // attempt.nodes)
        limits.make(paths, attempt.memory_bytes // attempt.nodes, cpu_milli)


def _launch(
    base: preparing.Base, attempt: attempts.Attempt, folders: Sequence[str], made: bool
) -> Sequence[client.Started]:
    """Start the ranks in their groups; a first one in a seat, if there is any that fits."""
    seat = base.seats.take(attempt) if made else None
    try:
        _hold(base, attempt, folders)
        return client.start(folders, seat=None if seat is None else seat.starter)
    finally:
        if seat is not None:
            seat.starter.end()


def _stop(folder: str, ranks: Sequence[attempts.Rank], grace_ms: int, *, whole: bool = True) -> None:
    """Fence an attempt, then end its ranks. ``whole`` False: because one of its ranks failed, nobody asked for it."""
    if whole:
        attempts.fence(folder, grace_ms)
    for number, rank in enumerate(ranks):
        if not rank.over:
            client.end(f"{folder}/{number}", grace_ms)
