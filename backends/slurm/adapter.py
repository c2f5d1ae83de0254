"""The port, spoken to a Slurm cluster: jobs by slurmrestd, and their folders in a file system that both sides see."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import math
import re
import threading
import time
from collections.abc import Iterator, Mapping, Sequence

from backends import kept
from backends.slurm import (
    bounds,
    client,
    errors,
    folders,
    hours,
    logs,
    looking,
    observe,
    places,
    reservations,
    rooms,
    settings,
    wire,
)
from orchestrator.domain import errors as port_errors
from orchestrator.domain import ids, sites
from orchestrator.domain import offers as offer_values
from orchestrator.ports import backends

LIST_AGE_S = 1.0
"""Monotonic seconds for which a list of jobs answers for all attempts that are observed."""
_KEY = re.compile(r"[0-9A-Za-z]{1,64}(-[0-9]{1,12}){1,2}", re.ASCII)
_PATIENCE_S = 10.0
"""So long after its grace a script may take to end, before Slurm is asked to end it."""
_OVER_MAX = 65_536
_LEFT_MAX = 4096

POWERS = frozenset(
    {
        offer_values.Capability.PROCESSES,
        offer_values.Capability.WORKDIR,
        offer_values.Capability.FILES,
        offer_values.Capability.LOGS,
        offer_values.Capability.OUTPUTS,
        offer_values.Capability.COPIES,
        offer_values.Capability.LISTS_OWNED,
    }
)


class SlurmAdapter(backends.BackendAdapter):
    """One cluster. Safe to call from any thread."""

    def __init__(self, wanted: settings.SlurmSettings, context: backends.AdapterContext) -> None:
        self._settings = wanted
        self._context = context
        self._rest = client.Rest(wanted, context.now)
        self._cluster = looking.Cluster(self._rest)
        self._folder = folders.Folder(wanted.folder)
        self._lock = threading.Lock()
        self._listed: tuple[float, Sequence[wire.Job]] | None = None
        self._over: dict[str, tuple[float, wire.Job]] = {}
        self._left: dict[str, tuple[tuple[offer_values.OutputFile, ...] | None]] = {}
        self._mark = f"comity {context.installation} {context.backend} "
        self._places = places.Places(wanted, context.pools)
        self._hours = hours.Hours(wanted, context.state_folder, context.now)
        self._bounds = bounds.Bounds(wanted, self._mark)

    def capabilities(self) -> offer_values.Capabilities:
        """Return what a job on this cluster can use."""
        nodes = self._settings.nodes_max
        powers = POWERS | {offer_values.Capability.GANGS} if nodes > 1 else POWERS
        if self._settings.container is not None:
            powers |= {offer_values.Capability.CONTAINERS}
        lag = dt.timedelta(seconds=self._settings.visibility_seconds)
        return offer_values.Capabilities(powers, lag, max_nodes=nodes)

    def offers(self) -> Sequence[offer_values.Offer]:
        """Return one offer a pool: of the nodes of its partition, and of its queue."""
        seen = self._cluster.look(age_s_max=0.0, jobs=self._jobs(age_s_max=0.0))
        return [self._offer(pool, seen) for pool in self._places.pools]

    def submit(self, placement: backends.SealedPlacement) -> backends.Handle:
        """Get or create the attempt of this key; see the port. A key that was stopped before is refused."""
        key = str(placement.key)
        if not _KEY.fullmatch(key):
            raise errors.refused("invalid", "the key is none that this backend takes")
        if placement.spec.nodes > self._settings.nodes_max:
            raise errors.refused("invalid", f"a job of more than {self._settings.nodes_max} nodes is not run here")
        identity = self._places.identity(placement.tenant)
        comment = self._bounds.comment(str(placement.spec_digest), placement.tenant)
        asked = self._places.submission(placement, identity, comment)
        # Where anything is bounded, one after the other: each counts what the one before has sent.
        with self._bounds.lock if self._bounds.any else contextlib.nullcontext():
            left, listed = self._folder.look(key), self._jobs(age_s_max=0.0)
            known = self._mine(key, left, listed)
            if known is not None:
                return backends.Handle(observe.handle_of(known))
            if left.claimed:
                return backends.Handle(f"slurm:{left.number or 0}:{key}")
            if left.stopped:
                raise errors.stopped()
            self._check_window(placement, asked.minutes)
            self._bounds.check(key, placement.tenant, filter(self._is_own, listed))
            if self._hours.any:
                seen = self._cluster.look(age_s_max=looking.AGE_S)
                self._hours.promise(asked, placement.tenant, seen.given_minutes.get(asked.partition, 0))
            self._bounds.sent(key, placement.tenant)
            number = self._send(asked, self._places.who(identity.user))
        return backends.Handle(f"slurm:{number}:{key}")

    def observe(self, refs: Sequence[backends.AttemptRef]) -> Sequence[backends.Observation]:
        """Return what each attempt is now, by one list of Slurm's and the folder of each."""
        # Slurm first: a job that ends in between has written its last word by the time its folder is read.
        listed = self._jobs(age_s_max=LIST_AGE_S)
        by_name: dict[str, list[wire.Job]] = {}
        for job in listed:
            if self._is_own(job):
                by_name.setdefault(job.name, []).append(job)
        return [self._observe(ref, by_name) for ref in refs]

    def stop(self, ref: backends.AttemptRef, fence: backends.Fence, grace: dt.timedelta) -> None:
        """Ask exactly this attempt to end; one that never came never will. What runs is told by its script, which
        kills when the grace is over; a script that does not end then is cancelled by Slurm, when asked again.
        """
        key = str(ref.key)
        if not _KEY.fullmatch(key):
            return
        left = self._folder.look(key)
        if left.end:
            return
        grace_s = max(0, math.ceil(grace.total_seconds()))
        self._folder.mark_stopped(key, grace_s)
        now_s = self._context.now().timestamp()
        patient = left.stopped_s is None or now_s < left.stopped_s + grace_s + _PATIENCE_S
        for job in self._jobs(age_s_max=0.0):
            if job.name == key and self._is_own(job) and not observe.is_over(job):
                gently = patient and "RUNNING" in job.states
                if not (
                    gently and max(job.node_count, left.nodes) > 1
                ):  # of a gang each node looks for the mark: srun would kill
                    self._cancel(job, gently=gently)

    def close(self) -> None:
        """Nothing is held. Attempts go on."""

    def read_logs(
        self, ref: backends.AttemptRef, *, cursor: str | None, node: int | None, limit: int
    ) -> tuple[Sequence[backends.LogChunk], str]:
        """Return what stands in the log after ``cursor``, which is a place in the file of each node."""
        key = str(ref.key)
        if not _KEY.fullmatch(key) or limit <= 0:
            return (), cursor or "0"
        left = self._folder.look(key)
        found = logs.read(self._folder, key, left, cursor=cursor, node=node, limit=limit)
        if found is None:
            if ref.handle is not None and self._mine(key, folders.Left(), self._jobs(age_s_max=LIST_AGE_S)) is None:
                raise errors.no_log(self._context.backend, key)
            return (), cursor or "0"
        return found

    def list_outputs(self, ref: backends.AttemptRef) -> Sequence[tuple[str, int]]:
        """Return (path, size in bytes) of each file that was left in the shared folder."""
        key = str(ref.key)
        return kept.files(self._settings.folder, f"{key}/out") if _KEY.fullmatch(key) else ()

    def read_output(self, ref: backends.AttemptRef, path: str) -> Iterator[bytes]:
        """Yield the bytes of one file that was left; raises PermanentError ``outputs.not-found``, at once."""
        key = str(ref.key)
        return kept.read(self._settings.folder, path, f"{key}/out" if _KEY.fullmatch(key) else "-")

    def list_owned(self) -> Sequence[backends.AttemptRef]:
        """Return every attempt with our mark that is not over."""
        found: dict[str, backends.AttemptRef] = {}
        for job in self._jobs(age_s_max=0.0):
            live = self._is_own(job) and _KEY.fullmatch(job.name) and not observe.is_over(job)
            if live and not self._folder.look(job.name).end:
                found[job.name] = backends.AttemptRef(ids.AttemptKey(job.name), observe.handle_of(job))
        return [found[name] for name in sorted(found)]

    def forget(self, ref: backends.AttemptRef) -> None:
        """Remove the folder of an attempt that is over. One that may still run stays."""
        key = str(ref.key)
        if not _KEY.fullmatch(key):
            return
        listed = self._jobs(age_s_max=0.0)
        if any(job.name == key and self._is_own(job) and not observe.is_over(job) for job in listed):
            return
        left = self._folder.look(key)
        if left.claimed and not left.end and left.over_by_s is None and self._mine(key, left, listed) is None:
            return
        self._folder.remove(key)
        self._over.pop(key, None)
        self._left.pop(key, None)

    def identity(self) -> offer_values.PinnedIdentity:
        """Return the controllers' names, as Slurm says them."""
        hosts = sorted(str(one.get("hostname", "")) for one in self._rest.get("ping", "pings"))
        if not any(hosts):
            raise errors.malformed(self._settings.url, "ping")
        return offer_values.PinnedIdentity((("slurm-controllers", " ".join(filter(None, hosts))[:256]),))

    # --- reading ------------------------------------------------------------------------------------------------------

    def _observe(self, ref: backends.AttemptRef, by_name: Mapping[str, Sequence[wire.Job]]) -> backends.Observation:
        key = str(ref.key)
        if not _KEY.fullmatch(key):
            return backends.Observation(ref.key, offer_values.ObservedState.GONE, detail="not a key of this backend")
        left = self._folder.look(key)
        job = self._mine(key, left, by_name.get(key, ()))
        if left.end:
            self._over.pop(key, None)
            return self._with_outputs(observe.ended(ref, left, job))
        if job is not None and observe.is_not_launched(left, job):
            # Whoever lets it go afterwards must not begin it; one that began meanwhile has made its claim by now.
            self._folder.mark_stopped(key, 0)
            if not (left := self._folder.look(key)).claimed:
                return observe.not_launched(ref, job)
        if job is not None and not observe.is_over(job) and not observe.is_again(left, job):
            self._over.pop(key, None)
            return observe.live(ref, left, job, self._window(job))
        if job is None and key not in self._over:
            return observe.unknown_to_slurm(ref, left, self._context.now().timestamp())
        if len(self._over) >= _OVER_MAX:
            self._over.clear()
        # Slurm may forget it before its last word would have come: what it said once holds.
        since_s, job = self._over.setdefault(key, (time.monotonic(), job)) if job is not None else self._over[key]
        if time.monotonic() - since_s < observe.SETTLE_S:
            text = "over, as Slurm says; its last word is waited for"
            return backends.Observation(
                ref.key, offer_values.ObservedState.RUNNING, handle=observe.handle_of(job), detail=text
            )
        return observe.without_word(ref, left, job)

    def _with_outputs(self, seen: backends.Observation) -> backends.Observation:
        """Return the observation of an end with the files that were left, read once."""
        key = str(seen.key)
        known = self._left.get(key)
        if known is None:
            if len(self._left) >= _LEFT_MAX:
                self._left.clear()
            known = self._left[key] = (kept.digests(self._settings.folder, f"{key}/out"),)
        return dataclasses.replace(seen, outputs=known[0])

    def _window(self, job: wire.Job) -> reservations.Window | None:
        """Return the maintenance for which a job waits, as far as is known: what cannot be read explains nothing."""
        if not job.states & observe.WAITING:
            return None
        try:
            seen = self._cluster.look(age_s_max=looking.AGE_S)
        except port_errors.BackendError:
            return None
        now_s = self._context.now().timestamp()
        return seen.window(
            job.partition,
            self._places.share_of(job.partition),
            now_s,
            now_s + job.limit_s if job.limit_s is not None else None,
        )

    def _check_window(self, placement: backends.SealedPlacement, minutes: int) -> None:
        """Raise ``slurm.maintenance`` for a job that is to start sooner than the site's maintenance would let it."""
        within, now_s = placement.spec.limits.start_within, self._context.now().timestamp()
        if within is None:
            return
        seen, partition = self._cluster.look(age_s_max=0.0), self._places.partition(placement.pool)
        minutes = minutes or seen.given_minutes.get(partition, 0)
        until_s = now_s + minutes * 60 if minutes else None
        window = seen.window(partition, self._places.share(placement.pool), now_s, until_s)
        if window is not None and window.end_s - now_s > within.total_seconds():
            limit = f"its time limit of {minutes} min" if minutes else "it has no time limit, and so"
            raise errors.full("maintenance", f"{window.text} comes before it: {limit} reaches into that")

    def _offer(self, pool: sites.Pool, seen: rooms.Seen) -> offer_values.Offer:
        name, share, gres = self._context.backend, self._places.share(pool.name), self._places.gres(pool.name)
        found = rooms.offer(
            pool, share, gres, name, seen, self._context.now(), self._is_own, isolated=self._places.isolated
        )
        found = rooms.bounded(found, self._bounds.left(filter(self._is_own, seen.jobs)), self._settings.jobs_max)
        return found if self._context.pools else dataclasses.replace(found, pool=pool)

    def _mine(self, key: str, left: folders.Left, listed: Sequence[wire.Job]) -> wire.Job | None:
        """Return the job of Slurm that is an attempt: the one that made the claim, else one that may yet, else any."""
        found = [job for job in listed if job.name == key and self._is_own(job)]
        if left.number is not None:
            return next((job for job in found if job.number == left.number), None)
        return min(found, key=lambda job: (observe.is_over(job), job.number), default=None)

    def _is_own(self, job: wire.Job) -> bool:
        return job.comment.startswith(self._mark) and job.user in self._places.users

    def _jobs(self, *, age_s_max: float) -> Sequence[wire.Job]:
        known = self._listed
        if known is not None and time.monotonic() - known[0] < age_s_max:
            return known[1]
        with self._lock:  # several calls at once need one list
            known = self._listed
            if known is not None and time.monotonic() - known[0] < age_s_max:
                return known[1]
            asked_s = time.monotonic()
            made = wire.jobs(self._rest.get("jobs", "jobs"))
            self._listed = (asked_s, made)
            return made

    # --- changing -----------------------------------------------------------------------------------------------------

    def _send(self, asked: wire.Submission, who: tuple[str, str]) -> int:
        """Submit and return the number. What Slurm would ignore of it is not let through."""
        self._listed = None  # what was listed before it does not answer for it
        answer = self._rest.call("POST", "job/submit", wire.encode(asked, self._rest.version()), who=who)
        number = answer.body.get("job_id")
        if not answer.good:
            failed = errors.of_answer(self._settings.url, answer.status, answer.errors)
            if failed.effects is port_errors.SideEffects.NONE:
                self._bounds.answered(asked.name)
            raise failed
        if type(number) is not int or number <= 0:
            raise errors.malformed(self._settings.url, "answer to a submission")
        self._bounds.answered(asked.name)
        if answer.warnings:
            self._folder.mark_stopped(asked.name, 0)
            self._rest.call("DELETE", f"job/{number}", who=who)
            text = "; ".join(answer.warnings)
            raise errors.refused("ignored", f"Slurm would have ignored a part of the job: {errors.shown(text)}")
        return number

    def _cancel(self, job: wire.Job, *, gently: bool) -> None:
        self._listed = None
        path = f"job/{job.number}{'?signal=TERM' if gently else ''}"
        answer = self._rest.call("DELETE", path, who=self._places.who(job.user))
        if not answer.good and not {number for number, _ in answer.errors} & {errors.UNKNOWN_JOB}:
            raise errors.of_answer(self._settings.url, answer.status, answer.errors)


class SlurmPlugin:
    """What the entry point names."""

    name = "slurm"
    port_version = backends.PORT_VERSION
    summary = ""

    def settings_schema(self) -> Mapping[str, object]:
        """Return the JSON Schema of the settings."""
        return settings.SlurmSettings.schema_document()

    def build(self, settings_: Mapping[str, object], context: backends.AdapterContext) -> backends.BackendAdapter:
        """Return an adapter. No I/O."""
        return SlurmAdapter(settings.SlurmSettings.read(settings_), context)
