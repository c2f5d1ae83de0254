"""The floor of B3: the least that a durable submit over HTTP can be with the libraries that Comity uses.

A plain Starlette route, one pydantic model, a SHA-256 chain of what was submitted, one writer thread that commits what
waits as one SQLite transaction (WAL, synchronous=FULL), and the answer after that commit. No tokens, no policy, no
references, no idempotency, no scheduler, no metrics: ``python -m bench.floor DATABASE``.
"""

from __future__ import annotations

import asyncio
import gc
import hashlib
import queue
import signal
import socket
import sqlite3
import sys
import threading
from concurrent.futures import Future

import pydantic
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

GROUP_MAX = 1_000


class _Model(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid")


class _Metadata(_Model):
    name: str = pydantic.Field(max_length=63, pattern=r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$")
    labels: dict[str, str] = {}


class _Resources(_Model):
    cpus: str | float = "1"
    memory: str | float = "1Gi"


class _Countries(_Model):
    allow: list[str] = []
    deny: list[str] = []


class _Sovereignty(_Model):
    countries: _Countries = _Countries()


class _Spec(_Model):
    command: list[str]
    data: str
    env: dict[str, str] = {}
    resources: _Resources = _Resources()
    sovereignty: _Sovereignty = _Sovereignty()


class _Job(_Model):
    apiVersion: str  # noqa: N815 -- a word of the document
    kind: str
    metadata: _Metadata
    spec: _Spec


class Writer:
    """One thread that makes groups of rows durable."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._queue: queue.SimpleQueue[tuple[bytes, Future[int]]] = queue.SimpleQueue()
        threading.Thread(target=self._serve, daemon=True).start()

    def put(self, row: bytes) -> Future[int]:
        """Return a future that is done, with the row's number, when the row is on the disk."""
        future: Future[int] = Future()
        self._queue.put((row, future))
        return future

    def _serve(self) -> None:
        database = sqlite3.connect(self._path, isolation_level=None)
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("PRAGMA synchronous=FULL")
        database.execute("CREATE TABLE jobs (id INTEGER PRIMARY KEY, body BLOB NOT NULL)")
        database.execute("CREATE TABLE journal (id INTEGER PRIMARY KEY, hash BLOB NOT NULL)")
        number, chain = 0, b"\0" * 32
        while True:
            group = [self._queue.get()]
            while len(group) < GROUP_MAX and not self._queue.empty():
                group.append(self._queue.get())
            rows, links = [], []
            for body, _ in group:
                number += 1
                chain = hashlib.sha256(chain + body).digest()
                rows.append((number, body))
                links.append((number, chain))
            database.execute("BEGIN IMMEDIATE")
            database.executemany("INSERT INTO jobs VALUES (?, ?)", rows)
            database.executemany("INSERT INTO journal VALUES (?, ?)", links)
            database.execute("COMMIT")
            for (_, future), (id, _) in zip(group, rows, strict=True):
                future.set_result(id)


def application(writer: Writer) -> Starlette:
    """Return the ASGI application with its one route."""

    async def submit(request: Request) -> Response:
        job = _Job.model_validate_json(await request.body())
        id = await asyncio.wrap_future(writer.put(job.model_dump_json().encode()))
        return Response(b'{"id":%d}' % id, 202, media_type="application/json")

    return Starlette(routes=[Route("/v1/jobs", submit, methods=["POST"])])


def main(path: str) -> None:
    """Serve on a free port until told to stop."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=2048)
    config = uvicorn.Config(
        application(Writer(path)), loop="uvloop", http="httptools", ws="none", lifespan="off", log_config=None,
        access_log=False, server_header=False, date_header=False,
    )  # fmt: skip
    signal.signal(signal.SIGTERM, lambda *_: None)
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)
    sys.stderr.write(f"listening on http://127.0.0.1:{listener.getsockname()[1]}, {path}\n")
    sys.stderr.flush()
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main(sys.argv[1])
