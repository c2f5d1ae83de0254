"""Asks process 1 of a cluster's namespaces (``inside``) to start, stop and run things."""

import json
import pathlib
import signal
import socket
from collections.abc import Sequence
from typing import Any

RUN_S = 180.0
SLACK_S = 60.0


class ProcessError(Exception):
    """A command inside the cluster failed, or there is nobody inside; the text says which and why."""


class Control:
    """The parts of one cluster, seen from the machine. Safe for many processes at once."""

    def __init__(self, path: pathlib.Path) -> None:
        self.path = path

    def ask(self, op: str, *, timeout_s: float = RUN_S, **fields: Any) -> dict[str, Any]:
        """Send one request and return the answer.

        :raises ProcessError: when nobody answers, or the answer is a refusal.
        """
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(timeout_s + SLACK_S)
                connection.connect(str(self.path))
                connection.sendall(json.dumps({"op": op, **fields}).encode() + b"\n")
                with connection.makefile("rb") as stream:
                    answer: dict[str, Any] = json.loads(stream.readline() or b'{"error": "it ended meanwhile"}')
        except OSError as error:
            raise ProcessError(f"no cluster answers at {self.path}: {error}") from error
        if "error" in answer:
            raise ProcessError(f"{op} {fields.get('name', '')}: {answer['error']}")
        return answer

    def start(self, name: str, argv: Sequence[str], log: pathlib.Path) -> None:
        """Start a part; ``restart`` repeats it as it was."""
        self.ask("start", name=name, argv=list(map(str, argv)), log=str(log))

    def restart(self, name: str) -> None:
        """Start a part that has ended again, with the same command; one that still runs is left alone."""
        self.ask("start", name=name)

    def send(self, name: str, number: signal.Signals, *, wait_s: float = 0.0) -> bool:
        """Send a signal to a part; return whether the part has ended within ``wait_s`` seconds."""
        return bool(self.ask("signal", name=name, signal=int(number), wait_s=wait_s, timeout_s=wait_s)["ended"])

    def stop(self, name: str, *, patience_s: float = 20.0) -> None:
        """End a part politely, then by force, and wait until it is gone: its port is free then."""
        if not self.send(name, signal.SIGTERM, wait_s=patience_s) and not self.send(
            name, signal.SIGKILL, wait_s=patience_s
        ):
            raise ProcessError(f"{name} did not end within {2 * patience_s:.0f} s")

    def kill(self, name: str) -> None:
        """End a part as a power cut would, and wait until it is gone."""
        if not self.send(name, signal.SIGKILL, wait_s=SLACK_S):
            raise ProcessError(f"{name} did not end")

    def parts(self) -> dict[str, dict[str, Any]]:
        """Return every part's process number (inside) and exit code."""
        return self.ask("parts")

    def run(self, *argv: str | pathlib.Path, given: str = "", timeout_s: float = RUN_S) -> str:
        """Run a command inside the namespaces and return its output.

        :raises ProcessError: when it fails; the text is what it said.
        """
        words = [str(word) for word in argv]
        answer = self.ask("run", argv=words, input=given, limit_s=timeout_s, timeout_s=timeout_s)
        if answer["code"]:
            raise ProcessError(f"{' '.join(words)[:200]} ended with {answer['code']}: {answer['output'].strip()}")
        return str(answer["output"])
