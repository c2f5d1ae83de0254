"""The peer of B17: posts Jobs and watches them, with asyncio and nothing else; ``SUBMITTED ENDED`` seconds on stdout.

On stdin a JSON object: ``kubeconfig``, ``namespace``, ``jobs`` (bodies), ``calls`` (connections that post at once).
"""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
import sys
import tempfile
import time
import urllib.parse
from collections.abc import Mapping, Sequence
from typing import Any

import yaml


class Server:
    """An API server and the credentials for it."""

    def __init__(self, kubeconfig: str) -> None:
        with open(kubeconfig, encoding="utf-8") as file:
            document = yaml.safe_load(file)
        cluster, user = document["clusters"][0]["cluster"], document["users"][0]["user"]
        self.url = urllib.parse.urlsplit(cluster["server"])
        self.context = ssl.create_default_context(
            cadata=base64.b64decode(cluster["certificate-authority-data"]).decode()
        )
        with tempfile.NamedTemporaryFile() as pair:
            for part in ("client-certificate-data", "client-key-data"):
                pair.write(base64.b64decode(user[part]))
            pair.flush()
            self.context.load_cert_chain(pair.name)

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Open a connection."""
        return await asyncio.open_connection(self.url.hostname, self.url.port, ssl=self.context, limit=2**22)

    def request(self, method: str, path: str, body: bytes = b"") -> bytes:
        """Return a request, byte for byte."""
        head = f"{method} {path} HTTP/1.1\r\nHost: {self.url.netloc}\r\nAccept: application/json\r\n"
        return f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


async def head(reader: asyncio.StreamReader) -> tuple[int, Mapping[str, str]]:
    """Read the head of an answer: status and fields."""
    lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    fields = dict(line.lower().split(": ", 1) for line in lines[1:] if ": " in line)
    return int(lines[0].split()[1]), fields


async def chunks(reader: asyncio.StreamReader) -> Any:
    """Yield the pieces of a chunked answer."""
    while size := int(await reader.readline(), 16):
        yield await reader.readexactly(size)
        await reader.readexactly(2)
    await reader.readexactly(2)


async def whole(reader: asyncio.StreamReader, fields: Mapping[str, str]) -> bytes:
    """Read the body of an answer."""
    if "content-length" in fields:
        return await reader.readexactly(int(fields["content-length"]))
    return b"".join([piece async for piece in chunks(reader)])


async def post(server: Server, path: str, bodies: Sequence[Mapping[str, Any]]) -> None:
    """Create Jobs, one after the other, on one connection."""
    reader, writer = await server.connect()
    for body in bodies:
        writer.write(server.request("POST", path, json.dumps(body).encode()))
        status, fields = await head(reader)
        answer = await whole(reader, fields)
        if status != 201:
            raise RuntimeError(f"{status} {answer[:400].decode()}")
        json.loads(answer)
    writer.close()


async def watch(server: Server, path: str, version: str, count: int) -> None:
    """Return once so many Jobs have completed."""
    reader, writer = await server.connect()
    query = urllib.parse.urlencode({"watch": "true", "resourceVersion": version})
    writer.write(server.request("GET", f"{path}?{query}"))
    status, _ = await head(reader)
    if status != 200:
        raise RuntimeError(f"watch: {status}")
    ended: set[str] = set()
    left = b""
    async for piece in chunks(reader):
        *lines, left = (left + piece).split(b"\n")
        for line in lines:
            found = json.loads(line)["object"]
            if found["status"].get("completionTime"):
                ended.add(found["metadata"]["name"])
        if len(ended) == count:
            break
    writer.close()


async def run(given: Mapping[str, Any]) -> tuple[float, float]:
    """Return the seconds until all were posted, and until all were seen to have completed."""
    server = Server(given["kubeconfig"])
    path = f"/apis/batch/v1/namespaces/{given['namespace']}/jobs"
    reader, writer = await server.connect()
    writer.write(server.request("GET", path))
    _, fields = await head(reader)
    version = json.loads(await whole(reader, fields))["metadata"]["resourceVersion"]
    writer.close()
    bodies, calls = given["jobs"], given["calls"]
    begun = time.perf_counter()
    watching = asyncio.create_task(watch(server, path, version, len(bodies)))
    await asyncio.gather(*(post(server, path, bodies[number::calls]) for number in range(calls)))
    submitted = time.perf_counter() - begun
    await watching
    return submitted, time.perf_counter() - begun


if __name__ == "__main__":
    print(*asyncio.run(run(json.load(sys.stdin))))
