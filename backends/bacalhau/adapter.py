"""The port, spoken to a Bacalhau network: each node a site, each attempt one job that only its node may run."""

from __future__ import annotations

import dataclasses
import datetime as dt
import hashlib
import json
import pathlib
import re
import threading
import time
import urllib.parse
from collections.abc import Mapping, Sequence

from backends.bacalhau import books, client, errors, observe, rooms, settings, wire
from orchestrator.domain import errors as port_errors
from orchestrator.domain import ids
from orchestrator.domain import offers as offer_values
from orchestrator.ports import backends

NODES_AGE_S = 1.0
"""Monotonic seconds for which a list of nodes answers for all attempts that are observed."""
VISIBILITY = dt.timedelta(seconds=10)
"""A submission that was sent may take effect so much later: longer than a request may take."""
_KEY = re.compile(r"[0-9A-Za-z]{1,64}(-[0-9]{1,12}){1,2}", re.ASCII)
_CURSOR = re.compile(r"[0-9]{1,9}", re.ASCII)
_OVER_MAX = 65_536
_NODE_PAGE = 1000

POWERS = frozenset(
    {
        offer_values.Capability.MODULES,
        offer_values.Capability.FILES,
        offer_values.Capability.LOGS,
        offer_values.Capability.LISTS_OWNED,
    }
)


class BacalhauAdapter(backends.BackendAdapter):
    """One network. Safe to call from any thread."""

    def __init__(self, wanted: settings.BacalhauSettings, context: backends.AdapterContext) -> None:
        self._settings = wanted
        self._context = context
        self._rest = client.Rest(wanted)
        own = hashlib.sha256(f"{context.installation}\0{context.backend}".encode()).hexdigest()
        self._mark = own[:32]
        self._namespace = wanted.namespace or f"comity-{own[:32]}"
        self._book = books.Book(self._rest, self._namespace)
        self._fences = pathlib.Path(context.state_folder) / "stopped"
        self._lock, self._submitting = threading.Lock(), threading.Lock()
        self._nodes: tuple[float, Mapping[str, wire.Node]] | None = None
        self._over: dict[str, backends.Observation] = {}

    def capabilities(self) -> offer_values.Capabilities:
        """Return what a job on this network can use."""
        return offer_values.Capabilities(POWERS, max(VISIBILITY, dt.timedelta(seconds=self._settings.timeout_seconds)))

    def offers(self) -> Sequence[offer_values.Offer]:
        """Return one offer a node: of those that are declared as pools, else of all that run WebAssembly."""
        nodes = self._read_nodes(age_s_max=0.0)
        with self._lock:
            known = [one for one in self._book.read().values() if self._is_own(one)]
        declared = self._context.pools or rooms.discovered(nodes.values(), self._settings)
        now, made = self._context.now(), []
        for pool in declared:
            node = self._node(pool.name)
            here = [one for one in known if one.node == node]
            made.append(rooms.offer(self._context.backend, pool, nodes.get(node), here, now))
        return (
            made
            if self._context.pools
            else [dataclasses.replace(o, pool=p) for o, p in zip(made, declared, strict=True)]
        )

    def submit(self, placement: backends.SealedPlacement) -> backends.Handle:
        """Get or create the attempt of this key; see the port. A key that was stopped before is refused."""
        key = str(placement.key)
        if not _KEY.fullmatch(key):
            raise errors.refused("invalid", "the key is none that this backend takes")
        if placement.spec.nodes > 1 or placement.spec.resources.accelerators is not None:
            raise errors.refused("invalid", "a job of several nodes, or with accelerators, is not run here")
        body = wire.document(placement, self._settings, self._namespace, self._mark, self._node(placement.pool))
        with self._submitting:  # several calls with one key need one name
            known = self._job(key)
            if known is None:
                if self._fence(key).exists():
                    raise errors.stopped()
                self._put(body)
                known = self._job(key)
        if known is None:
            raise errors.no_answer(self._rest.url, "no-answer", "it took a job, and does not know it")
        if known.labels.get(wire.SPEC) != wire.fingerprint(placement.spec_digest):
            raise errors.refused("conflict", f"a job {key} of another document is already there")
        return backends.Handle(f"bacalhau:{known.id}")

    def observe(self, refs: Sequence[backends.AttemptRef]) -> Sequence[backends.Observation]:
        """Return what each attempt is now. What is over is not read again."""
        return [self._observe(ref) for ref in refs]

    def stop(self, ref: backends.AttemptRef, fence: backends.Fence, grace: dt.timedelta) -> None:
        """Ask exactly this attempt to end; one that never came never will. A module hears nothing: no grace."""
        key = str(ref.key)
        if not _KEY.fullmatch(key):
            return
        known = self._job(key)
        if known is None:
            self._fences.mkdir(parents=True, exist_ok=True)
            self._fence(key).touch()
            known = self._job(key)  # whoever submitted meanwhile has been seen here, or sees the mark
        if known is not None and not known.over:
            self._end(known)

    def close(self) -> None:
        """Nothing is held. Attempts go on."""

    def read_logs(
        self, ref: backends.AttemptRef, *, cursor: str | None, node: int | None, limit: int
    ) -> tuple[Sequence[backends.LogChunk], str]:
        """Return what stands in the output after ``cursor``: what is kept is its first write, once it is over."""
        key, at = str(ref.key), cursor or "0"
        if not _CURSOR.fullmatch(at):
            raise errors.refused("cursor", "the cursor is none of this attempt's log")
        if node not in (None, 0) or not _KEY.fullmatch(key) or limit <= 0:
            return (), at
        known = self._job(key)
        if known is None:
            if ref.handle is not None:
                raise errors.no_log(self._context.backend, key)
            return (), at
        whole = known.executions[-1].stdout.encode() if known.executions else b""
        data = whole[int(at) : int(at) + limit]
        end = str(int(at) + len(data))
        return ([backends.LogChunk(data, end, 0)] if data else []), end

    def list_owned(self) -> Sequence[backends.AttemptRef]:
        """Return every attempt of our namespace with our mark that is not over."""
        with self._lock:
            known = list(self._book.read().values())
        live = [one for one in known if self._is_own(one) and not one.over and _KEY.fullmatch(one.name)]
        return [
            backends.AttemptRef(ids.AttemptKey(one.name), f"bacalhau:{one.id}")
            for one in sorted(live, key=lambda one: one.name)
        ]

    def forget(self, ref: backends.AttemptRef) -> None:
        """Remove the mark of a stop. The record at the orchestrator stays: there is no way to remove it."""
        key = str(ref.key)
        if _KEY.fullmatch(key) and (known := self._job(key)) is not None and known.over:
            self._fence(key).unlink(missing_ok=True)
            self._over.pop(key, None)

    def identity(self) -> offer_values.PinnedIdentity:
        """Return the names of the orchestrators, as they say."""
        query = {"limit": str(_NODE_PAGE)}
        rows = self._rest.get("orchestrator/nodes", query, "Nodes").body.get("Nodes") or ()
        found = sorted({str((one.get("Info") or {}).get("NodeID", "")) for one in rows if _orchestrates(one)})
        if not any(found):
            raise errors.malformed(self._rest.url, "list of nodes: it names no orchestrator")
        return offer_values.PinnedIdentity((("bacalhau-orchestrators", " ".join(found)[:256]),))

    # --- reading ------------------------------------------------------------------------------------------------------

    def _observe(self, ref: backends.AttemptRef) -> backends.Observation:
        key, state = str(ref.key), offer_values.ObservedState
        if not _KEY.fullmatch(key):
            return backends.Observation(ref.key, state.GONE, detail="not a key of this backend")
        if (told := self._over.get(key)) is not None:
            return told
        known = self._job(key)
        if known is None:
            return backends.Observation(ref.key, state.GONE, detail="the orchestrator knows no job of this key")
        if not known.over and (self._fence(key).exists() or observe.strays(known)):
            # It came after its stop, or to a node that was not chosen.
            self._end(known)
        nodes = self._read_nodes(age_s_max=NODES_AGE_S)
        seen = observe.observation(ref, known, nodes, self._settings.country_label)
        if seen.state is state.ENDED:
            if len(self._over) >= _OVER_MAX:
                self._over.clear()
            self._over[key] = seen
        return seen

    def _job(self, key: str) -> wire.Job | None:
        """Return the job of a key with its executions; None where the orchestrator says that there is none."""
        path = f"orchestrator/jobs/{urllib.parse.quote(key, safe='')}"
        answer = self._rest.call("GET", path, {"namespace": self._namespace, "include": "executions"})
        if answer.status == 404:
            return None
        row, rows = answer.body.get("Job"), answer.body.get("Executions")
        if answer.status != 200:
            raise errors.of_answer(self._rest.url, answer.status, answer.said)
        items = rows.get("Items") if isinstance(rows, dict) else None
        made = wire.job(row, items or ()) if isinstance(row, dict) and isinstance(items, list | None) else None
        if made is None or made.name != key or made.namespace != self._namespace:
            raise errors.malformed(self._rest.url, f"job {key}")
        return made

    def _read_nodes(self, *, age_s_max: float) -> Mapping[str, wire.Node]:
        known = self._nodes
        if known is not None and time.monotonic() - known[0] < age_s_max:
            return known[1]
        asked_s, found, token = time.monotonic(), {}, ""
        for _ in range(_NODE_PAGE):
            query = {"limit": str(_NODE_PAGE)} | ({"next_token": token} if token else {})
            answer = self._rest.get("orchestrator/nodes", query, "Nodes")
            for row in answer.body.get("Nodes") or ():
                if (one := wire.node(row)) is not None:
                    found[one.name] = one
            token = str(answer.body.get("NextToken") or "")
            if not token:
                break
        self._nodes = (asked_s, found)
        return found

    def _is_own(self, job: wire.Job) -> bool:
        return job.namespace == self._namespace and job.labels.get(wire.OWNER) == self._mark

    def _node(self, pool: str) -> str:
        return self._settings.nodes.get(pool, pool)

    def _fence(self, key: str) -> pathlib.Path:
        return self._fences / key

    # --- changing -----------------------------------------------------------------------------------------------------

    def _put(self, body: bytes) -> None:
        """Submit. What says that the name is taken is as good as done: the caller looks who has it."""
        answer = self._rest.call("PUT", "orchestrator/jobs", {}, body)
        taken = answer.status == 409 or (answer.status == 500 and "no changes detected" in answer.said)
        if answer.status == 200:
            if not isinstance(answer.body.get("JobID"), str):
                raise errors.malformed(self._rest.url, "answer to a submission")
        elif not taken:
            raise errors.of_answer(self._rest.url, answer.status, answer.said)

    def _end(self, job: wire.Job) -> None:
        path = f"orchestrator/jobs/{urllib.parse.quote(job.id, safe='')}"
        body = json.dumps({"reason": observe.STOP_WORD}).encode()
        answer = self._rest.call("DELETE", path, {"namespace": self._namespace}, body)
        if answer.status in (200, 404):
            return
        again = self._job(job.name)
        if again is None or again.over:
            return  # it ended meanwhile, which is said by an error
        problem = errors.of_answer(self._rest.url, answer.status, answer.said)
        if isinstance(problem, port_errors.TransientError):
            raise problem
        raise errors.elsewhere("failed", f"job {job.name} could not be ended: {problem}")


def _orchestrates(row: Mapping[str, object]) -> bool:
    info = row.get("Info")
    return isinstance(info, dict) and info.get("NodeType") == "Requester"


class BacalhauPlugin:
    """What the entry point names."""

    name = "bacalhau"
    port_version = backends.PORT_VERSION
    summary = ""

    def settings_schema(self) -> Mapping[str, object]:
        """Return the JSON Schema of the settings."""
        return settings.BacalhauSettings.schema_document()

    def build(self, settings_: Mapping[str, object], context: backends.AdapterContext) -> backends.BackendAdapter:
        """Return an adapter. No I/O."""
        return BacalhauAdapter(settings.BacalhauSettings.read(settings_), context)
