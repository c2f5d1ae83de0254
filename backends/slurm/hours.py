"""CPU hours that the operator declares for a tenant, and what of them is promised: never more than there is.

slurmrestd tells hours only where the site runs slurmdbd, and then late. So a declared figure counts, from its date on,
less the most that each attempt submitted since could use; what it used less is the operator's to declare again.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import threading
from collections.abc import Callable

from backends.slurm import errors, settings, wire
from orchestrator.domain import errors as port_errors

FILE = "hours.jsonl"


class Hours:
    """The book of one backend, in its own folder; a line an attempt. Safe to call from any thread."""

    def __init__(self, wanted: settings.SlurmSettings, folder: str, now: Callable[[], dt.datetime]) -> None:
        self._wanted = wanted
        self._path = os.path.join(folder, FILE)
        self._folder = folder
        self._now = now
        self._lock = threading.Lock()
        self._book: dict[str, tuple[str, float, float]] | None = None

    @property
    def any(self) -> bool:
        """Say whether anything is demanded or declared."""
        return self._wanted.hours_required or any(one.hours is not None for one in self._wanted.tenants.values())

    def promise(self, asked: wire.Submission, tenant: str, given_minutes: int) -> None:
        """Note, durably, what an attempt may use at most; once a key. Raises ``slurm.hours``, ``slurm.no-hours``.

        :param given_minutes: time limit of a job that names none; 0: there is none.
        """
        share = self._wanted.tenants.get(tenant)
        declared = share.hours if share is not None else None
        if declared is None:
            if self._wanted.hours_required:
                text = f"hoursRequired: nothing declares the hours left of tenant {tenant} (tenants.{tenant}.hours)"
                raise errors.full("no-hours", text)
            return
        now = self._now()
        if not declared.since <= now <= declared.since + dt.timedelta(days=declared.good_days):
            text = f"the hours left of tenant {tenant} were declared as of {declared.as_of}"
            raise errors.full("no-hours", f"{text}, good for {declared.good_days} days: declare them again")
        minutes = asked.minutes or given_minutes
        if not minutes:
            text = "neither the job nor its partition bounds its time, and its hours are counted: set limits.deadline"
            raise errors.full("hours", text)
        needs = asked.cpus * asked.nodes * minutes / 60
        with self._lock:
            book = self._read()
            if asked.name in book:
                return
            since_s = declared.since.timestamp()
            promised = sum(hours for of, at_s, hours in book.values() if of == tenant and at_s >= since_s)
            if promised + needs > declared.left:
                left = f"{declared.left - promised:,.1f} CPU hours are left to tenant {tenant}"
                raise errors.full("hours", f"{left}, and this job may use {needs:,.1f}")
            self._note(asked.name, tenant, now.timestamp(), needs)

    def _read(self) -> dict[str, tuple[str, float, float]]:
        if self._book is None:
            found: dict[str, tuple[str, float, float]] = {}
            try:
                with open(self._path, encoding="utf-8") as file:
                    for line in file:
                        key, tenant, at_s, hours = json.loads(line)
                        found[str(key)] = (str(tenant), float(at_s), float(hours))
            except FileNotFoundError:
                pass
            except (OSError, ValueError, TypeError) as error:
                raise self._broken(error) from error
            self._book = found
        return self._book

    def _note(self, key: str, tenant: str, at_s: float, hours: float) -> None:
        line = json.dumps([key, tenant, at_s, hours]) + "\n"
        try:
            os.makedirs(self._folder, exist_ok=True)
            with open(self._path, "a", encoding="utf-8") as file:
                file.write(line)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            self._book = None  # a part of a line may stand there: read again, and refused where it does
            raise self._broken(error) from error
        self._read()[key] = (tenant, at_s, hours)

    def _broken(self, error: Exception) -> port_errors.PermanentError:
        return errors.full("no-hours", f"the book of hours ({FILE} of this backend) cannot be used: {error}")
