"""The SQL store against the memory store: the same history gives the same answers, errors included."""

from __future__ import annotations

import dataclasses
import datetime as dt
import pathlib
import shutil
import sys
import tempfile
from concurrent.futures import Future
from typing import Any

import hypothesis
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from orchestrator.domain import decisions, ids, jobs
from orchestrator.ports import stores
from orchestrator.store import opening

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "unit" / "store"))
import store_samples as samples

NUMBERS = st.integers(1, 5)
TENANTS = st.sampled_from(["acme", "globex"])
NAMES = st.sampled_from(["train", "eval"])
SITES = st.sampled_from(["a/x", "b/y"])
VERSIONS = st.sampled_from(["right", "right", "right", "old", "new"])
TTL = dt.timedelta(seconds=10)
FILTERS = st.builds(
    stores.JobFilter,
    tenant=st.none() | TENANTS,
    phases=st.none() | st.frozensets(st.sampled_from(jobs.Phase)),
    name=st.none() | NAMES,
    id_prefix=st.sampled_from([None, None, "0" * 25, f"{1:026d}", "9"]),
    queue=st.sampled_from([None, None, "q"]),
    site=st.none() | SITES,
    labels=st.sampled_from([(), (), (("k", "v"),), (("k", "v"), ("l", "w"))]),
    parent=st.sampled_from([None, None, None, ids.JobId(f"{1:026d}")]),
    top_level_only=st.booleans(),
)
SPECS = st.builds(
    jobs.JobSpec,
    name=NAMES,
    queue=st.sampled_from([None, "q"]),
    labels=st.sampled_from([(), (("k", "v"),), (("k", "v"), ("l", "w"))]),
)


def told(error: BaseException) -> tuple[str, str]:
    """Return what of an error must agree."""
    return type(error).__name__, str(error)


class Agreement(RuleBasedStateMachine):
    """Two stores on one clock, told the same."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="comity-"))
        self.clock = samples.Clock()
        self.memory = opening.open_store("memory:", self.clock)
        self.sql = opening.open_store(self.folder / "db", self.clock)
        self.leases: list[stores.Lease] = []

    def teardown(self) -> None:
        self.sql.close()
        shutil.rmtree(self.folder)

    def commit(self, *group: stores.Changes) -> None:
        """Give both the same commits; the SQL store may group them as it likes."""
        futures: list[Future[stores.Receipt]] = [self.sql.commit_async(changes) for changes in group]
        for changes, future in zip(group, futures, strict=True):
            try:
                wanted: object = self.memory.commit(changes)
            except (stores.StoreError, ValueError) as error:
                wanted = told(error)
            error = future.exception(timeout=180)
            got = told(error) if error else self.plain(future.result())
            assert got == (self.plain(wanted) if isinstance(wanted, stores.Receipt) else wanted)

    @staticmethod
    def plain(receipt: stores.Receipt) -> tuple[object, ...]:
        """Return a receipt for comparison."""
        return receipt.head, list(receipt.jobs), list(receipt.documents)

    def version(self, right: int, choice: str) -> int:
        """Return a version that is right, stale or new."""
        return {"right": right, "old": max(right - 1, 0), "new": 0}[choice]

    def changed_job(self, number: int, tenant: str, spec: jobs.JobSpec, data: st.DataObject) -> jobs.Job:
        """Return a job, new or moved."""
        element = data.draw(st.booleans()) and number > 1
        id_ = ids.element_id(ids.JobId(f"{1:026d}"), number) if element else ids.JobId(f"{number:026d}")
        stored = self.memory.job(id_)
        choice = data.draw(VERSIONS)
        if stored is None:
            parts: dict[str, Any] = {"parent": ids.JobId(f"{1:026d}"), "index": number} if element else {}
            return samples.job(number, id=id_, tenant=tenant, spec=spec, **parts)
        attempts = stored.attempts
        if data.draw(st.booleans()):
            site = ids.SiteName(data.draw(SITES))
            count = len(attempts) + 1
            attempts += (
                jobs.Attempt(count, ids.attempt_key(id_, count), site, jobs.Phase.PLACED, samples.DIGEST, samples.NOW),
            )
        return dataclasses.replace(
            stored,
            version=self.version(stored.version, choice),
            phase=data.draw(st.sampled_from(jobs.Phase)),
            attempts=attempts,
            reason=data.draw(st.sampled_from(["", "Because"])),
        )

    def changes(self, data: st.DataObject) -> stores.Changes:
        """Return a commit that may or may not be refused."""
        moved = [
            self.changed_job(number, data.draw(TENANTS), data.draw(SPECS), data)
            for number in data.draw(st.lists(NUMBERS, max_size=3))
        ]
        keys = [
            stores.IdempotencyKey(data.draw(TENANTS), f"k{number}", samples.DIGEST, ids.JobId(f"{number:026d}"))
            for number in data.draw(st.lists(NUMBERS, max_size=1))
        ]
        terms = st.sampled_from([None, None, None, 0, 1, int(self.memory.current_term())])
        entries = [samples.entry(f"job/{n}", n=n) for n in data.draw(st.lists(NUMBERS, max_size=2))]
        term = data.draw(terms)
        return stores.Changes(jobs=moved, keys=keys, entries=entries, term=None if term is None else ids.Term(term))

    @initialize()
    def begin(self) -> None:
        """Start with an array's parent."""
        self.commit(samples.submission(1))

    @rule(data=st.data())
    def commit_one(self, data: st.DataObject) -> None:
        """One commit."""
        self.commit(self.changes(data))

    @rule(data=st.data(), count=st.integers(2, 4))
    def commit_group(self, data: st.DataObject, count: int) -> None:
        """Several commits at once, some against the same rows."""
        self.commit(*[self.changes(data) for _ in range(count)])

    @rule(
        name=NAMES,
        tenant=st.sampled_from(["", "acme", "other"]),
        choice=VERSIONS,
        delete=st.booleans(),
        status=st.sampled_from(["{}", '{"ok":true}']),
    )
    def change_document(self, name: str, tenant: str, choice: str, delete: bool, status: str) -> None:
        """A document is made, changed or deleted."""
        stored = self.memory.document("Queue", name, tenant=tenant)
        assert self.sql.document("Queue", name, tenant=tenant) == stored
        version = self.version(stored.version if stored else 0, choice)
        document = stores.Document("Queue", name, tenant, "{}", version, status)
        self.commit(
            stores.Changes(delete_documents=[("Queue", tenant, name, version)])
            if delete
            else stores.Changes(documents=[document])
        )

    @rule(name=NAMES, choice=VERSIONS)
    def change_token(self, name: str, choice: str) -> None:
        """A token is made or changed."""
        stored = next((token for token in self.memory.tokens() if token.id == name), None)
        version = self.version(stored.version if stored else 0, choice)
        token = stores.Token(name, "hash", "acme", ("user",), samples.NOW, None, version=version)
        self.commit(stores.Changes(tokens=[token]))

    @rule(number=NUMBERS)
    def place(self, number: int) -> None:
        """A placement record and what it refers to."""
        key = ids.AttemptKey(f"x-{number}")
        digest = ids.Digest(f"sha256:{number}")
        placement = decisions.Placement(
            key, ids.JobId("X"), number, ids.SiteName("a/x"), digest, digest, digest, None, samples.NOW, ids.Term(0)
        )
        decision = decisions.Decision(digest, digest, samples.NOW, None, True, b"{}")
        content = decisions.Content(digest, b"{}")
        self.commit(
            stores.Changes(contents=[content], decisions=[decision]),
            stores.Changes(placements=[placement], decisions=[decision], contents=[content]),
        )
        assert self.sql.placement(key) == self.memory.placement(key) == placement
        assert self.sql.decision(digest) == self.memory.decision(digest)
        assert self.sql.content(digest) == self.memory.content(digest)

    @rule(holder=st.sampled_from("ab"))
    def acquire(self, holder: str) -> None:
        """Somebody wants the lease."""
        got, wanted = self.sql.acquire_lease(holder, TTL), self.memory.acquire_lease(holder, TTL)
        assert got == wanted
        if got is not None:
            self.leases.append(got)

    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        """Somebody lets a lease go, perhaps one lost long ago."""
        if self.leases:
            lease = data.draw(st.sampled_from(self.leases))
            self.sql.release_lease(lease)
            self.memory.release_lease(lease)

    @rule(seconds=st.sampled_from([1.0, 9.0, 10.0]))
    def wait(self, seconds: float) -> None:
        """Time passes."""
        self.clock.advance(seconds)

    @rule(wanted=FILTERS, limit=st.integers(1, 3))
    def list_pages(self, wanted: stores.JobFilter, limit: int) -> None:
        """Any list, page by page."""
        cursor = None
        for _ in range(12):
            got = self.sql.list_jobs(wanted, limit=limit, cursor=cursor)
            page = self.memory.list_jobs(wanted, limit=limit, cursor=cursor)
            assert (list(got.items), got.cursor) == (list(page.items), page.cursor)
            cursor = got.cursor
            if cursor is None:
                return
        raise AssertionError("the list does not end")

    @invariant()
    def same_state(self) -> None:
        """Whatever can be read is the same."""
        sql, memory = self.sql, self.memory
        assert sql.head() == memory.head()
        assert list(sql.live_jobs()) == list(memory.live_jobs())
        assert sql.current_term() == memory.current_term()
        assert sql.documents_version() == memory.documents_version()
        assert list(sql.documents()) == list(memory.documents())
        for version in (-1, memory.documents_version() - 1, memory.documents_version()):
            changed, count = sql.documents_since(version)
            also, others = memory.documents_since(version)
            assert (sorted(changed, key=lambda one: one.key), count) == (sorted(also, key=lambda one: one.key), others)
        assert list(sql.tokens()) == list(memory.tokens())
        assert list(sql.entries()) == list(memory.entries())
        assert list(sql.links(after=1, limit=3)) == list(memory.links(after=1, limit=3))
        for tenant in (None, "acme"):
            assert sql.count_jobs(tenant) == memory.count_jobs(tenant)
        assert sql.verify_journal() is memory.verify_journal() is None


TestAgreement = Agreement.TestCase
TestAgreement.settings = hypothesis.settings(
    max_examples=30, stateful_step_count=25, deadline=None, suppress_health_check=list(hypothesis.HealthCheck)
)
