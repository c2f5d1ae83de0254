"""Following a job: its output on stdout, what happens to it on stderr, its outcome as an exit code.

Ctrl-C detaches and changes nothing. A control plane that goes away and comes back is waited for: the job does not
depend on it.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import click

from orchestrator.cli import failures, style
from orchestrator.client import clients, errors, results

POLL_S_MIN, POLL_S_MAX = 0.05, 0.5
RECONNECT_S = 30.0
"""How long a follower waits for a control plane that answered before."""
SIGNAL_BASE = 128
T = TypeVar("T")

_COLOURS = {"SUCCEEDED": "green", "FAILED": "red", "CANCELLED": "magenta"}


@dataclass(slots=True)
class Follower:
    """Follows one job with one client. ``wait`` passes the time and can be replaced in tests."""

    client: clients.Client
    id: str
    show_output: bool = True
    node: int | None = None
    wait: Callable[[float], object] = field(default_factory=lambda: threading.Event().wait)
    _told: tuple[object, ...] = ()
    _cursor: str | None = None
    _attempt: int = 0
    _line_open: bool = False

    def until_ended(self, *, stop_if_unplaceable: bool = False) -> results.JobView | None:
        """Follow until the job has ended; None once no site would ever take it and that was asked for."""
        pause, judged = POLL_S_MIN, ""
        while True:
            job = self._patiently(lambda: self.client.job(self.id))
            told = self._tell(job)
            wrote = self._write(job) if self.show_output else False
            if job.ended:
                return job
            if stop_if_unplaceable and (condition := job.condition("Unplaceable")):
                words = str(condition.get("message"))
                if words != judged and not self.client.explain(self.id).can_wait:
                    return None
                judged = words
            pause = POLL_S_MIN if told or wrote else min(pause * 1.5, POLL_S_MAX)
            self.wait(pause)

    def _patiently(self, what: Callable[[], T]) -> T:
        """Call the server, waiting for one that went away meanwhile."""
        waited = 0.0
        while True:
            try:
                return what()
            except errors.UnreachableError:
                if waited == 0.0:
                    style.note("control plane does not answer; the job goes on without it, waiting ...")
                if waited >= RECONNECT_S:
                    raise
                self.wait(POLL_S_MAX)
                waited += POLL_S_MAX

    def _tell(self, job: results.JobView) -> bool:
        """Print what changed to stderr."""
        words = headline(job.document)
        if self._told == (words,):
            return False
        self._told = (words,)
        style.note(f"{style.paint(job.phase, _COLOURS.get(job.phase, 'cyan'), err=True)}  {words}")
        return True

    def _write(self, job: results.JobView) -> bool:
        """Print what the job wrote since, over all its attempts in turn; say whether there was anything."""
        wrote = False
        while job.attempts:
            number = self._attempt or int(job.attempts[0]["number"])
            self._attempt = number
            try:
                page = self._patiently(
                    lambda number=number: self.client.log_page(  # type: ignore[misc]
                        self.id, cursor=self._cursor, node=self.node, attempt=number
                    )
                )
            except errors.ProblemError as problem:
                if problem.status == 503 and not job.ended:
                    return wrote
                style.note(f"output cannot be read: {problem}")
                self.show_output = False
                return wrote
            self._cursor = page.cursor
            ranked = self.node is None and int(job.document.get("spec", {}).get("nodes") or 1) > 1
            for rank, data in page.chunks:
                write_output(data, rank if ranked else None)
                wrote = True
            later = [int(attempt["number"]) for attempt in job.attempts if int(attempt["number"]) > number]
            if page.chunks:
                continue
            if later:
                self._attempt, self._cursor = later[0], None
                continue
            return wrote
        return wrote


def write_output(data: bytes, rank: int | None) -> None:
    """Write a piece of a job's output to stdout as it is; ``rank`` stands in front of each line of a gang."""
    if rank is not None:
        data = b"".join(b"[%d] " % rank + line for line in data.splitlines(keepends=True))
    sys.stdout.flush()
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def headline(document: Mapping[str, Any]) -> str:
    """Return one line about where a job stands: site, outcome, reason, or why it waits."""
    job = results.JobView.of(document)
    words = [f"on {job.site}" if job.site else "", f"attempt {len(job.attempts)}" if len(job.attempts) > 1 else ""]
    if job.ended:
        if job.signal is not None:
            words.append(f"signal {job.signal}")
        elif job.exit_code is not None:
            words.append(f"exit code {job.exit_code}")
        words.append(job.reason)
    else:
        words += [
            f"{condition.get('type')}: {condition.get('message')}"
            for condition in job.conditions
            if condition.get("status") is True and condition.get("type") != "RetryOf"
        ]
    elements = document.get("status", {}).get("elements")
    if elements:
        phases = ", ".join(f"{count} {phase}" for phase, count in (elements.get("phases") or {}).items())
        words.append(f"{elements.get('size')} elements" + (f": {phases}" if phases else ""))
    return ", ".join(word for word in words if word) or job.name


def exit_code(job: results.JobView, *, own: bool) -> int:
    """Return 0 or 1, or with ``own`` the job's exit code (128 + n for a signal)."""
    if job.succeeded:
        return failures.DONE
    if own and job.signal is not None:
        return SIGNAL_BASE + job.signal
    if own and job.exit_code:
        return job.exit_code
    return failures.FAILED


def detached(id_: str) -> int:
    """Say how to go on after Ctrl-C; the code shells use for it."""
    style.note(f"\ndetached; the job goes on. comity logs {id_} -f | comity wait {id_} | comity cancel {id_}")
    return 130


def follow_one(
    client: clients.Client,
    id_: str,
    *,
    own_code: bool,
    show_output: bool = True,
    stop_if_unplaceable: bool = False,
    cancel_if_unplaceable: bool = False,
) -> int:
    """Follow a job to its end and return the exit code."""
    try:
        job = Follower(client, id_, show_output).until_ended(
            stop_if_unplaceable=stop_if_unplaceable or cancel_if_unplaceable
        )
    except KeyboardInterrupt:
        return detached(id_)
    if job is not None:
        return exit_code(job, own=own_code)
    if cancel_if_unplaceable:
        client.cancel(id_)
        failures.say(f"no site may take {id_}, and waiting does not help: cancelled")
    else:
        failures.say(f"no site may take {id_}, and waiting does not help; it stays queued")
    failures.hint(f"comity explain {id_} shows every reason")
    return failures.REFUSED


exit_code_option = click.option(
    "--exit-code",
    "exit_code",
    type=click.Choice(["comity", "job"]),
    default="comity",
    show_default=True,
    help="`job` passes the job's own, 128+n for a signal.",
)
