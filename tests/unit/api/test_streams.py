"""Long answers: bounded in number, and over when their token is."""

import asyncio

from installations import Installation, job

from orchestrator.api import services


def test_too_many_streams_are_refused_before_their_first_byte(installation: Installation) -> None:
    """With every stream taken, another is 503; short answers go on."""
    client = installation.client()
    id = client.post("/v1/jobs", json=job()).json()["id"]
    installation.given.streams = services.STREAMS_MAX
    paths = ("/v1/events", f"/v1/jobs/{id}/logs?follow=true", f"/v1/jobs/{id}:wait")
    assert [client.get(path).json()["code"] for path in paths] == ["server.busy"] * 3
    assert client.get(f"/v1/jobs/{id}").status_code == 200
    installation.given.streams = 0
    assert client.get("/v1/events?follow=false").status_code == 200
    assert installation.given.streams == 0


def test_a_followed_stream_ends_with_its_token(installation: Installation) -> None:
    """When the token is revoked, the stream closes as soon as there is something to tell."""
    text = installation.token("audit")
    admin = installation.client()
    seen: list[bytes] = []

    async def follow() -> None:
        scope = {
            "type": "http",
            "method": "GET",
            "path": "/v1/events",
            "raw_path": b"/v1/events",
            "query_string": b"",
            "headers": [(b"host", b"127.0.0.1"), (b"authorization", f"Bearer {text}".encode())],
            "server": ("127.0.0.1", 7070),
            "scheme": "http",
            "http_version": "1.1",
            "root_path": "",
        }
        asleep = asyncio.Event()

        async def receive() -> dict[str, object]:
            await asleep.wait()
            return {"type": "http.disconnect"}

        async def send(message: dict[str, object]) -> None:
            seen.append(bytes(message.get("body", b"")))  # type: ignore[arg-type]

        await installation.app(scope, receive, send)

    async def both() -> None:
        task = asyncio.create_task(follow())
        while not any(b"token.created" in one for one in seen):
            await asyncio.sleep(0)
        installation.tokens.revoke(
            installation.tokens.authenticate(admin.headers["Authorization"].split()[1]), text.split("_")[1]
        )
        await asyncio.wait_for(task, 10)

    asyncio.run(both())
    assert not any(b"token.revoked" in one for one in seen)
    assert installation.given.streams == 0
