"""The control plane's verbs as methods: one call, one answer, typed errors.

A ``Client`` is synchronous and belongs to one thread. Each call that creates something carries an idempotency key,
made per call unless the caller brings one, and is repeated after a lost reply: the server answers with the first
result. It holds no rules: what may happen is decided by the server.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Self

from orchestrator.client import connections, errors, kinds, results
from orchestrator.client.connections import segment

PIECE_BYTES = 64 * 1024


def make_key() -> str:
    """Return a fresh idempotency key."""
    return os.urandom(16).hex()


class Client:
    """Speaks to one control plane with one token."""

    def __init__(
        self,
        server: str,
        token: str | None,
        *,
        timeout_s: float = 30.0,
        key_maker: Callable[[], str] = make_key,
        wait: Callable[[float], None] = connections.pause,
    ) -> None:
        self.connection = connections.Connection(server, token, timeout_s=timeout_s, wait=wait)
        self._make_key = key_maker

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the connection."""
        self.connection.close()

    # Jobs

    def submit(
        self, document: Mapping[str, Any], *, key: str | None = None, plan: str | None = None
    ) -> results.JobView:
        """Submit a Job; the same key with the same document is one job. Raises ProblemError.

        ``plan``: only if the decision is still that of the plan with this digest, else ``plan.changed``.
        """
        query = {"plan": plan} if plan is not None else None
        return results.JobView.of(self._post("/v1/jobs", document, key=key or self._make_key(), query=query))

    def submit_batch(self, body: Mapping[str, Any], *, key: str | None = None) -> results.JsonObject:
        """Submit ``{documents: [...]}`` or ``{template, parameters}`` at once."""
        return self._post("/v1/jobs:batch", body, key=key or self._make_key())

    def plan(self, document: Mapping[str, Any], *, at: str | None = None) -> results.PlanView:
        """Say where a Job would go, now or on another day, and why nowhere else; submits nothing."""
        return results.PlanView.of(self._post("/v1/plans", document, query={"at": at} if at else None))

    def job(self, id_: str) -> results.JobView:
        """Return one job by its id."""
        return results.JobView.of(self._get(f"/v1/jobs/{segment(id_)}"))

    def cancel(self, id_: str) -> results.JobView:
        """Ask a job to end; a job that has ended stays as it is."""
        return results.JobView.of(self._post(f"/v1/jobs/{segment(id_)}:cancel", {}))

    def retry(self, id_: str, *, key: str | None = None) -> results.JobView:
        """Submit the spec of an ended job again, as a new job."""
        return results.JobView.of(self._post(f"/v1/jobs/{segment(id_)}:retry", {}, key=key or self._make_key()))

    def find(self, word: str, *, changes: bool = False) -> results.JobView:
        """Return the job that an id, a unique prefix or a name means; ``changes`` refuses an ambiguous one."""
        query = {"job": word, "changes": "true" if changes else "false"}
        return results.JobView.of(self._get("/v1/jobs:find", query))

    def explain(self, id_: str, *, backend: str | None = None) -> results.PlanView:
        """Return every site with every reason: as decided for the current attempt, else as it would be now."""
        query = {"backend": backend} if backend else None
        return results.PlanView.of(self._post(f"/v1/jobs/{segment(id_)}:explain", {}, query=query))

    def decisions(self, id_: str) -> results.Page:
        """Return the decisions behind a job's attempts."""
        return self._page(f"/v1/jobs/{segment(id_)}/decisions", {})

    def log_page(
        self, id_: str, *, cursor: str | None = None, node: int | None = None, attempt: int | None = None
    ) -> results.LogPage:
        """Return what a job's log says after ``cursor`` now."""
        given = {"cursor": cursor, "node": node, "attempt": attempt}
        query = {key: str(value) for key, value in given.items() if value is not None}
        body = self._get(f"/v1/jobs/{segment(id_)}/logs", query)
        chunks = [(int(chunk.get("node", 0)), base64.b64decode(chunk["data"])) for chunk in body.get("chunks", [])]
        return results.LogPage(chunks, body.get("cursor") or cursor or "", bool(body.get("ended")))

    def outputs(self, id_: str) -> Sequence[results.OutputFile]:
        """Return the files a job left."""
        body = self._get(f"/v1/jobs/{segment(id_)}/outputs")
        return [results.OutputFile(item["path"], int(item.get("size", 0))) for item in body.get("items", [])]

    def read_output(self, id_: str, path: str) -> Iterator[bytes]:
        """Yield the bytes of one file a job left."""
        where = f"/v1/jobs/{segment(id_)}/outputs/{'/'.join(segment(part) for part in path.split('/'))}"
        with self.connection.stream(where, headers={"Accept": "application/octet-stream"}) as answer:
            while piece := answer.read(PIECE_BYTES):
                yield piece

    def put_blob(self, digest: str, content: bytes) -> None:
        """Store a working folder's archive under its digest; storing it twice is one."""
        headers = {"Content-Type": "application/octet-stream"}
        self.connection.request("POST", "/v1/blobs", query={"digest": digest}, body=content, headers=headers)

    # Documents

    def list(
        self, plural: str, *, filter: str | None = None, limit: int | None = None, cursor: str | None = None
    ) -> results.Page:
        """Return one page of a kind (``jobs``, ``backends`` ... ``sites``)."""
        given = {"filter": filter, "limit": str(limit) if limit else None, "cursor": cursor}
        return self._page(f"/v1/{plural}", {key: value for key, value in given.items() if value})

    def list_all(
        self, plural: str, *, filter: str | None = None, at_most: int = 10_000
    ) -> Iterator[results.JsonObject]:
        """Yield the items of every page, at most ``at_most``."""
        cursor, seen = None, 0
        while seen < at_most:
            page = self.list(plural, filter=filter, limit=min(500, at_most - seen), cursor=cursor)
            yield from page.items
            seen += len(page.items)
            cursor = page.cursor
            if cursor is None or not page.items:
                return

    def get(self, plural: str, name: str) -> results.JsonObject:
        """Return one document by kind and name."""
        return self._get(f"/v1/{plural}/{segment(name)}")

    def apply(
        self,
        document: Mapping[str, Any],
        *,
        dry_run: bool = False,
        etag: str | None = None,
        reason: str | None = None,
    ) -> results.JsonObject:
        """Declare a document: ``{document, change, hits, loosens}``; a Job is submitted once per tenant, name and spec.

        ``reason`` is journaled with what the change loosens.
        """
        plural = kinds.plural(str(document.get("kind", "")))
        if plural is None:
            raise errors.ProtocolError(f"{document.get('kind')!r} is no kind of document")
        name = document.get("metadata", {}).get("name", "")
        response = self.connection.request(
            "PUT",
            f"/v1/{plural}/{segment(name)}",
            query=_change(dry_run=dry_run, reason=reason),
            body=_encode(document),
            headers={"If-Match": etag} if etag else None,
        )
        return dict(response.json() or {})

    def delete(self, plural: str, name: str, *, dry_run: bool = False, reason: str | None = None) -> results.JsonObject:
        """Withdraw a document; refused while others refer to it. ``reason`` is journaled with what it loosens."""
        query = _change(dry_run=dry_run, reason=reason)
        return dict(self.connection.request("DELETE", f"/v1/{plural}/{segment(name)}", query=query).json() or {})

    # Backends, policies, tokens, the journal

    def check_backend(self, name: str) -> results.JsonObject:
        """Probe a backend now."""
        return self._post(f"/v1/backends/{segment(name)}:check", {})

    def cordon(self, name: str) -> results.JsonObject:
        """Take a backend out of new placements."""
        return self._post(f"/v1/backends/{segment(name)}:cordon", {})

    def challenge(self, name: str) -> results.JsonObject:
        """Have a challenge made for a backend's attestation; the newest stands last in ``status.challenges``."""
        return self._post(f"/v1/backends/{segment(name)}:challenge", {})

    def confirm(self, name: str, *, reason: str, identity: str | None = None) -> results.JsonObject:
        """Pin what a backend proves itself by now; ``identity``: the digest that was looked at."""
        said = {"reason": reason} | ({"identity": identity} if identity is not None else {})
        return self._post(f"/v1/backends/{segment(name)}:confirm", said)

    def uncordon(self, name: str) -> results.JsonObject:
        """Take it back in."""
        return self._post(f"/v1/backends/{segment(name)}:uncordon", {})

    def declassify(self, name: str, *, source: str, by: str, reason: str) -> results.JsonObject:
        """Take a source off what a data set inherits."""
        return self._post(f"/v1/datasets/{segment(name)}:declassify", {"from": source, "by": by, "reason": reason})

    def freezes(self) -> Sequence[results.JsonObject]:
        """Return the stops of new placements in force, oldest first."""
        return list(self._get("/v1/freezes").get("items", []))

    def freeze(self, extent: Mapping[str, str], *, reason: str) -> results.JsonObject:
        """Stop new placements; ``extent`` may name a backend, an operator, a country."""
        return self._post("/v1/freezes", {**extent, "reason": reason})

    def unfreeze(self, extent: Mapping[str, str]) -> results.JsonObject:
        """Let them begin again; ``extent`` as they were stopped. It is not repeated after a lost reply."""
        return self._post("/v1/freezes:end", dict(extent), repeatable=False)

    def changes(self) -> Sequence[results.JsonObject]:
        """Return the changes that are held because they would stop many running jobs, or were."""
        return list(self._get("/v1/changes").get("items", []))

    def confirm_change(self, id_: str, *, by: str, reason: str) -> results.JsonObject:
        """Let a held change go on."""
        return self._post(f"/v1/changes/{segment(id_)}:confirm", {"by": by, "reason": reason})

    def fulfil(
        self, id_: str, *, code: str, evidence: str, by: str, digest: str | None = None, note: str = ""
    ) -> results.JsonObject:
        """Note that an obligation of a job was done; the same words twice are one."""
        shown = {"ref": evidence} | ({"digest": digest} if digest else {})
        said: dict[str, Any] = {"code": code, "evidence": shown, "by": by} | ({"note": note} if note else {})
        return self._post(f"/v1/jobs/{segment(id_)}:fulfil", said)

    def answer_match(
        self,
        operator: str,
        *,
        list: str,
        entry: str,
        same: bool,
        by: str,
        reason: str,
        party: str | None = None,
        valid_to: str | None = None,
    ) -> results.JsonObject:
        """Say whether an operator, or its owner ``party``, is the party that a sanctions list names."""
        said: dict[str, Any] = {"list": list, "entry": entry, "same": same, "by": by, "reason": reason}
        said |= {key: value for key, value in (("party", party), ("validTo", valid_to)) if value is not None}
        return self._post(f"/v1/operators/{segment(operator)}:answer", said)

    def create_token(
        self, *, tenant: str | None, roles: Sequence[str], note: str = "", expires: str | None = None
    ) -> results.CreatedToken:
        """Make a token. It is not repeated after a lost reply: a token nobody saw would stay valid."""
        given = {"tenant": tenant, "roles": list(roles), "note": note or None, "expires": expires}
        body = {key: value for key, value in given.items() if value is not None}
        answer = self._post("/v1/tokens", body, repeatable=False)
        return results.CreatedToken(
            answer["id"], answer["token"], answer["tenant"], answer["roles"], answer.get("expires")
        )

    def tokens(self) -> results.Page:
        """List tokens, without their secrets."""
        return self._page("/v1/tokens", {})

    def revoke_token(self, id_: str) -> None:
        """Revoke a token at once; revoking it twice is fine."""
        self.connection.request("DELETE", f"/v1/tokens/{segment(id_)}")

    def checkpoint(self, *, since: Sequence[int] = ()) -> results.JsonObject:
        """Return the newest signed head of the journal, with proofs that it goes on from ``since`` entries."""
        return self._get("/v1/log/checkpoint", {"since": _numbers(since)} if since else None)

    def rotate_key(self) -> results.JsonObject:
        """Let a new key sign the log. It is not repeated after a lost reply: that would be another rotation."""
        return self._post("/v1/log:rotateKey", {}, repeatable=False)

    def evidence(self, id_: str, *, since: Sequence[int] = (), opens: Sequence[str] = ()) -> bytes:
        """Return the signed bundle of a job, as the bytes of its file."""
        given = {"since": _numbers(since), "open": ",".join(opens)}
        query = {key: value for key, value in given.items() if value}
        return self.connection.request("GET", f"/v1/jobs/{segment(id_)}/evidence", query=query).body

    def events(self, *, last_id: str | None = None, follow: bool = True) -> Iterator[results.ServerEvent]:
        """Yield the journal's events, from the first or after ``last_id``; ``follow`` goes on as they happen."""
        headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": last_id} if last_id else {})
        query = {} if follow else {"follow": "false"}
        with self.connection.stream("/v1/events", query=query, headers=headers) as answer:
            yield from _events(line.decode("utf-8", "replace").rstrip("\r\n") for line in answer)

    def ready(self) -> bool:
        """Say whether the server answers and is ready; raises nothing."""
        try:
            self.connection.request("GET", "/readyz", repeatable=False)
        except errors.ClientError:
            return False
        return True

    def _get(self, path: str, query: Mapping[str, str] | None = None) -> results.JsonObject:
        return dict(self.connection.request("GET", path, query=query).json() or {})

    def _page(self, path: str, query: Mapping[str, str]) -> results.Page:
        body = self._get(path, query)
        return results.Page(body.get("items", []), body.get("cursor") or None)

    def _post(
        self,
        path: str,
        body: Mapping[str, Any],
        *,
        query: Mapping[str, str] | None = None,
        key: str | None = None,
        repeatable: bool = True,
    ) -> results.JsonObject:
        headers = {"Idempotency-Key": key} if key else None
        response = self.connection.request(
            "POST", path, query=query, body=_encode(body), headers=headers, repeatable=repeatable
        )
        return dict(response.json() or {})


def _change(*, dry_run: bool, reason: str | None) -> dict[str, str] | None:
    given = {"dryRun": "true" if dry_run else None, "reason": reason}
    return {key: value for key, value in given.items() if value is not None} or None


def _numbers(sizes: Sequence[int]) -> str:
    return ",".join(str(size) for size in sizes)


def _encode(body: Mapping[str, Any]) -> bytes:
    return json.dumps(body, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode("utf-8")


def _events(lines: Iterator[str]) -> Iterator[results.ServerEvent]:
    """Read server-sent events; a comment or an unknown field is skipped, as the format says."""
    id_, kind, data = "", "message", ""
    for line in lines:
        if not line:
            if data:
                yield results.ServerEvent(id_, kind, json.loads(data))
            kind, data = "message", ""
            continue
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "id":
            id_ = value
        elif field == "event":
            kind = value
        elif field == "data":
            data = f"{data}\n{value}" if data else value
