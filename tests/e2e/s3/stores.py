"""One real S3 server on loopback, over a folder of its own, with one bucket. It ends with who started it."""

import dataclasses
import datetime as dt
import os
import pathlib
import secrets
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from typing import Any

import httpx

from tests.e2e import ports
from tests.e2e.s3 import building, signing

READY_S, STOP_S, CALL_S, POLL_S = 180.0, 60.0, 60.0, 0.05
REGION = "eu-central-1"


def moment() -> dt.datetime:
    """Return the time that a signature names: the server has the same clock."""
    return dt.datetime.fromtimestamp(time.time_ns() / 1e9, dt.UTC)


class StoreError(Exception):
    """The server did not start; the text is what it said last."""


@dataclasses.dataclass
class Store:
    """The server, its keys and its bucket. Made by the fixture ``s3``."""

    bucket: str = "comity-tests"
    region: str = REGION
    access: str = dataclasses.field(default_factory=lambda: f"AK{secrets.token_hex(9).upper()}")
    secret: str = dataclasses.field(default_factory=lambda: secrets.token_hex(20))
    port: int = dataclasses.field(default_factory=lambda: ports.free(1)[0])
    folder: pathlib.Path = dataclasses.field(
        default_factory=lambda: pathlib.Path(tempfile.mkdtemp(prefix="comity-s3-"))
    )
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def endpoint(self) -> str:
        """Return where it answers; buckets are the first part of the path."""
        return f"http://127.0.0.1:{self.port}"

    def url(self, key: str = "") -> str:
        """Return the address of an object, or of the bucket."""
        return f"{self.endpoint}/{self.bucket}/{key}" if key else f"{self.endpoint}/{self.bucket}"

    def start(self) -> None:
        """Start the server, with what its folder holds, and make the bucket where it is not.

        :raises StoreError: when it does not come.
        """
        for name in ("objects", "facts", "home"):
            (self.folder / name).mkdir(exist_ok=True)
        kept = {name: text for name, text in os.environ.items() if not name.startswith(("VGW_", "AWS_", "ROOT_"))}
        own = {"ROOT_ACCESS_KEY": self.access, "ROOT_SECRET_KEY": self.secret, "HOME": str(self.folder / "home")}
        where = ["--port", f"127.0.0.1:{self.port}", "--region", self.region]
        # Facts of objects in files of their own: not every temporary folder has extended attributes.
        kind = ["posix", "--sidecar", str(self.folder / "facts"), str(self.folder / "objects")]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", str(building.program()), *where, *kind],
                cwd=self.folder,
                env=kept | own,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self._wait()

    def stop(self) -> None:
        """End the server; what it holds stays."""
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None

    def close(self) -> None:
        """End the server and remove what it holds."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def call(self, method: str, key: str = "", body: bytes = b"") -> httpx.Response:
        """Send one signed request for an object, or for the bucket."""
        url = self.url(key)
        told = signing.headers(method, url, self.access, self.secret, self.region, moment(), body)
        return httpx.request(method, url, headers=told, content=body, timeout=CALL_S, trust_env=False)

    def presigned(self, method: str, key: str, valid_s: int = 3600) -> str:
        """Return a URL by which whoever has it may do this one thing."""
        return signing.presigned(method, self.url(key), self.access, self.secret, self.region, moment(), valid_s)

    def _wait(self) -> None:
        def made() -> bool:
            return self.call("HEAD").status_code == 200 or self.call("PUT").status_code == 200

        if self._holds(made):
            return
        self.stop()
        raise StoreError((self.folder / "log").read_text(errors="replace")[-2000:] or "it said nothing")

    def _holds(self, wanted: Callable[[], Any]) -> bool:
        end, pause = time.monotonic() + READY_S, threading.Event()
        while time.monotonic() < end and self.process is not None and self.process.poll() is None:
            try:
                if wanted():
                    return True
            except httpx.TransportError:
                pass
            pause.wait(POLL_S)
        return False
