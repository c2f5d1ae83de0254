"""A machine under the desk for tests: real folders, real runners, real processes, and no waiting but by polling."""

import collections.abc
import contextlib
import datetime as dt
import os
import pathlib
import shutil
import tempfile

from backends.local import adapter, settings
from orchestrator.domain import ids, jobs, offers, sites
from orchestrator.ports import backends
from tests.unit.backends.local import conftest

FENCE = backends.Fence(ids.Term(1), 1)
NOW = dt.datetime(2026, 11, 22, tzinfo=dt.UTC)


class Desk:
    """One state folder, and as many adapters of it as a test wants."""

    def __init__(self, root: pathlib.Path, values: dict[str, object], pools: tuple[sites.Pool, ...]) -> None:
        self.root = root
        self.values = values
        self.pools = pools
        (root / "admin.token").write_text("the administrator's token")
        self.folder = root / "backends" / "local"
        self.folder.mkdir(parents=True)
        self.adapter = self.fresh()
        self._count = 0

    def fresh(self) -> adapter.LocalAdapter:
        """An adapter that knows nothing but the folder."""
        context = backends.AdapterContext("local", self.pools, str(self.folder), "test", lambda: NOW, (str(self.root),))
        return adapter.LocalAdapter(settings.LocalSettings.read(self.values), context)

    def place(
        self,
        *command: str,
        number: int = 1,
        job: str = "",
        pool: str = "host",
        time_limit: dt.timedelta | None = None,
        workdir: collections.abc.Callable[[], bytes] | None = None,
        environment: dict[str, str] | None = None,
        data: dict[str, str] | None = None,
        **spec: object,
    ) -> backends.SealedPlacement:
        """A placement of a new job that runs this command."""
        self._count += 1
        job_id = ids.JobId(job or f"01JABCDEFGHJKMNPQRSTVW{self._count:04d}")
        return backends.SealedPlacement(
            key=ids.attempt_key(job_id, number),
            job=job_id,
            tenant="default",
            number=number,
            site=ids.SiteName(f"local/{pool}"),
            pool=pool,
            spec=jobs.JobSpec("test", command=command, **spec),  # type: ignore[arg-type]
            spec_digest=ids.NO_DIGEST,
            fence=FENCE,
            environment=environment or {},
            workdir=workdir,
            data=data or {},
            time_limit=time_limit,
        )

    def python(self, program: str, **more: object) -> backends.SealedPlacement:
        """A placement of a job that runs this Python program."""
        return self.place("python", "-I", "-S", "-c", program, **more)  # type: ignore[arg-type]

    def look(self, placement: backends.SealedPlacement) -> backends.Observation:
        """What a fresh adapter says of it, so that nothing remembered helps."""
        return self.fresh().observe([ref(placement)])[0]

    def ended(self, placement: backends.SealedPlacement) -> jobs.Outcome:
        """Wait for the end."""

        def over() -> jobs.Outcome | None:
            seen = self.adapter.observe([ref(placement)])[0]
            assert seen.state is not offers.ObservedState.GONE, seen
            return seen.outcome

        return conftest.until(f"{placement.key} ends", over)

    def run(self, placement: backends.SealedPlacement) -> jobs.Outcome:
        """Submit and wait for the end."""
        self.adapter.submit(placement)
        return self.ended(placement)

    def log(self, placement: backends.SealedPlacement, node: int | None = None) -> str:
        """All that it wrote."""
        chunks, _ = self.adapter.read_logs(ref(placement), cursor=None, node=node, limit=2**20)
        return b"".join(chunk.data for chunk in chunks).decode(errors="backslashreplace")

    def wait_log(self, placement: backends.SealedPlacement, text: str) -> str:
        """Wait until it wrote this."""
        return conftest.until(f"{text!r} in the log", lambda: (text in (log := self.log(placement)) and log) or None)

    def attempt(self, placement: backends.SealedPlacement) -> pathlib.Path:
        """Its folder."""
        return self.folder / "attempts" / str(placement.key)

    def stop(self, placement: backends.SealedPlacement, grace: float = 0) -> None:
        """Ask it to end."""
        self.adapter.stop(ref(placement), FENCE, dt.timedelta(seconds=grace))


def ref(placement: backends.SealedPlacement) -> backends.AttemptRef:
    """The attempt of a placement, as the loop names it."""
    return backends.AttemptRef(placement.key)


@contextlib.contextmanager
def desk(*pools: sites.Pool, **values: object) -> collections.abc.Iterator[Desk]:
    """A desk in a folder that other users may reach; what still runs is ended."""
    # Not below pytest's folders: those are closed to other users, and isolated jobs run as one.
    root = pathlib.Path(tempfile.mkdtemp(prefix="comity-desk-", dir="/var/tmp"))
    root.chmod(0o700)
    made = Desk(root, values, pools)
    try:
        yield made
    finally:
        last = made.fresh() if values.get("isolation") != "namespaces" or os.geteuid() == 0 else made.adapter
        for owned in last.list_owned():
            last.stop(owned, FENCE, dt.timedelta(0))
            conftest.until("it ends", lambda one=owned: last.observe([one])[0].outcome)  # type: ignore[misc]
        last.close()
        made.adapter.close()
        if last._base is not None and last._base.work:
            shutil.rmtree(last._base.work, ignore_errors=True)
        shutil.rmtree(root)
