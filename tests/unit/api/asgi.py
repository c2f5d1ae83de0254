"""A client of the application in this process: httpx over ASGI, one event loop, no network."""

import asyncio
from typing import Any

import httpx


class Client:
    """Sends requests with a token; ``headers`` of a call replace those of the client, None takes one away."""

    def __init__(self, app: Any, token: str | None, *, host: str = "127.0.0.1") -> None:
        self._app = app
        self._runner = asyncio.Runner()
        self.headers = {"Host": host} | ({"Authorization": f"Bearer {token}"} if token is not None else {})

    def request(self, method: str, path: str, *, headers: dict[str, str | None] | None = None, **more: Any) -> Any:
        """Return the whole response."""
        merged = {**self.headers, **(headers or {})}
        return self._runner.run(self._send(method, path, merged, more))

    def with_token(self, token: str | None) -> "Client":
        """Return another client of the same application."""
        other = Client(self._app, token)
        other._runner.close()
        other._runner = self._runner
        return other

    async def _send(
        self, method: str, path: str, headers: dict[str, str | None], more: dict[str, Any]
    ) -> httpx.Response:
        transport = httpx.ASGITransport(app=self._app, raise_app_exceptions=False)
        given = [(key, value) for key, value in headers.items() if value is not None]
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:7070") as client:
            request = client.build_request(method, path, headers=given, **more)
            if headers.get("Host") is None:
                del request.headers["Host"]
            return await client.send(request)

    def get(self, path: str, **more: Any) -> Any:
        """Send GET."""
        return self.request("GET", path, **more)

    def post(self, path: str, **more: Any) -> Any:
        """Send POST."""
        return self.request("POST", path, **more)

    def put(self, path: str, **more: Any) -> Any:
        """Send PUT."""
        return self.request("PUT", path, **more)

    def delete(self, path: str, **more: Any) -> Any:
        """Send DELETE."""
        return self.request("DELETE", path, **more)

    def close(self) -> None:
        """Close the event loop."""
        self._runner.close()
