"""What both makes of the store promise, one question a test."""

import datetime as dt
import functools
import hashlib
import json
from dataclasses import replace

import pytest
import store_samples as samples

from orchestrator.domain import decisions, ids, jobs
from orchestrator.evidence import chain
from orchestrator.ports import stores

TTL = dt.timedelta(seconds=10)


def test_job_comes_back(store: stores.Store) -> None:
    """A new job is version 1, gets the next place in the queue, and reads back equal."""
    first = store.commit(samples.submission(1)).jobs[0]
    second = store.commit(samples.submission(2)).jobs[0]
    assert (first.version, first.queue_seq, second.queue_seq) == (1, 1, 2)
    assert store.job(first.id) == first
    assert store.live_jobs() == [first, second]
    assert store.job(ids.JobId("nobody")) is None


def test_conflict_refuses_all_of_it(store: stores.Store) -> None:
    """A stale version refuses the whole commit, and says what was stale."""
    job = store.commit(samples.submission(1)).jobs[0]
    store.commit(stores.Changes(jobs=[replace(job, reason="x")]))
    stale = stores.Changes(jobs=[samples.job(2), replace(job, reason="y")], entries=[samples.entry()])
    with pytest.raises(stores.VersionConflictError) as caught:
        store.commit(stale)
    assert caught.value.what == f"job/{job.id}"
    assert len(store.live_jobs()) == 1
    assert store.head().seq == 1


def test_terminal_jobs_move(store: stores.Store) -> None:
    """A job that ends leaves the live ones and is still found."""
    job = store.commit(samples.submission(1)).jobs[0]
    done = store.commit(stores.Changes(jobs=[replace(job, phase=jobs.Phase.FAILED)])).jobs[0]
    assert store.live_jobs() == []
    assert store.job(job.id) == done
    assert done.version == 2
    assert store.count_jobs("acme") == {jobs.Phase.FAILED: 1}
    with pytest.raises(stores.VersionConflictError):
        store.commit(stores.Changes(jobs=[samples.job(1)]))


def test_versions_of_what_lives(store: stores.Store) -> None:
    """Each live job has its version of now, elements and arrays too; one that ended has none."""
    first, second, third = (store.commit(samples.submission(number)).jobs[0] for number in (1, 2, 3))
    store.commit(stores.Changes(jobs=[replace(second, reason="x")]))
    store.commit(stores.Changes(jobs=[replace(third, phase=jobs.Phase.FAILED)]))
    assert store.live_versions() == {first.id: 1, second.id: 2} == {job.id: job.version for job in store.live_jobs()}


def test_idempotency_keys(store: stores.Store) -> None:
    """A second use of a key says what the first one was for; another tenant's key is another key."""
    changes = samples.submission(1)
    store.commit(changes)
    with pytest.raises(stores.DuplicateKeyError) as caught:
        store.commit(replace(samples.submission(2), keys=changes.keys))
    assert caught.value.existing == changes.keys[0]
    assert store.idempotency_key("acme", "key-1") == changes.keys[0]
    assert store.idempotency_key("other", "key-1") is None
    store.commit(stores.Changes(keys=[replace(changes.keys[0], tenant="other")]))


def test_documents(store: stores.Store) -> None:
    """Documents are versioned; a deleted and remade one never repeats a version; each change is visible cheaply."""
    document = stores.Document("Queue", "q", "acme", "{}")
    find = functools.partial(store.document, "Queue", "q", tenant="acme")
    before = store.documents_version()
    made = store.commit(stores.Changes(documents=[document])).documents[0]
    assert find() == made
    assert store.document("Queue", "q") is None
    assert made.created_at == made.updated_at == samples.NOW
    with pytest.raises(stores.VersionConflictError, match="Queue/q"):
        store.commit(stores.Changes(documents=[document]))
    store.commit(stores.Changes(delete_documents=[("Queue", "acme", "q", made.version)]))
    assert find() is None
    again = store.commit(stores.Changes(documents=[document])).documents[0]
    assert again.version > made.version
    assert store.documents_version() == before + 3
    assert store.documents("Tenant") == []
    assert store.documents("Queue") == store.documents() == [again]
    with pytest.raises(stores.VersionConflictError):
        store.commit(stores.Changes(delete_documents=[("Queue", "acme", "q", made.version)]))


def test_names_are_a_tenants_own(store: stores.Store) -> None:
    """Documents of one kind and name live apart by tenant: made, changed and deleted each alone, also in one commit."""
    three = [stores.Document("Queue", "q", tenant, json.dumps({"of": tenant})) for tenant in ("b", "", "a")]
    made = store.commit(stores.Changes(documents=three)).documents
    assert [one.tenant for one in store.documents("Queue")] == ["", "a", "b"]
    shared, a, b = store.documents()
    changed = store.commit(stores.Changes(documents=[replace(a, body="[]")])).documents[0]
    assert store.document("Queue", "q", tenant="a") == changed
    assert store.document("Queue", "q", tenant="b") == b
    with pytest.raises(stores.VersionConflictError):
        store.commit(stores.Changes(delete_documents=[("Queue", "a", "q", a.version)]))
    store.commit(
        stores.Changes(delete_documents=[("Queue", "a", "q", changed.version), ("Queue", "", "q", shared.version)])
    )
    assert store.documents() == [b]
    assert {one.version for one in made} == {b.version}


def test_documents_of_later_versions(store: stores.Store) -> None:
    """What changed since a version, each as it is now, and the number of all, which tells what was deleted."""
    one, two = [
        store.commit(stores.Changes(documents=[stores.Document("Queue", n, "", "{}")])).documents[0] for n in "ab"
    ]
    assert store.documents_since(-1)[1] == 2
    assert store.documents_since(one.version) == ([two], 2)
    assert store.documents_since(two.version) == ([], 2)
    again = store.commit(stores.Changes(documents=[replace(one, body="[]")])).documents[0]
    assert store.documents_since(two.version) == ([again], 2)
    store.commit(stores.Changes(delete_documents=[("Queue", "", "b", two.version)]))
    assert store.documents_since(again.version) == ([], 1)


def test_tokens(store: stores.Store) -> None:
    """Tokens are versioned too, and revoked ones stay."""
    token = stores.Token("t1", "hash", "acme", ("admin", "user"), samples.NOW, None, note="é")
    store.commit(stores.Changes(tokens=[token]))
    with pytest.raises(stores.VersionConflictError, match="token/t1"):
        store.commit(stores.Changes(tokens=[token]))
    revoked = replace(store.tokens()[0], revoked_at=samples.NOW)
    store.commit(stores.Changes(tokens=[revoked]))
    assert store.tokens() == [replace(revoked, version=2)]


def test_decisions_and_placements(store: stores.Store) -> None:
    """Content-addressed things may come twice; a placement record may not."""
    content = decisions.Content(ids.Digest("sha256:c"), b"{}")
    decision = decisions.Decision(ids.Digest("sha256:d"), samples.DIGEST, samples.NOW, None, True, b"[]")
    key = ids.AttemptKey("x-1")
    placement = decisions.Placement(
        key, ids.JobId("X"), 1, ids.SiteName("a/b"), decision.digest, samples.DIGEST, samples.DIGEST, samples.NOW,
        samples.NOW, ids.Term(0),
    )  # fmt: skip
    for _ in range(2):
        store.commit(stores.Changes(contents=[content], decisions=[decision]))
    store.commit(stores.Changes(placements=[placement]))
    assert store.content(content.digest) == content
    assert store.decision(decision.digest) == decision
    assert store.placement(key) == placement
    with pytest.raises(stores.VersionConflictError, match="placement/x-1"):
        store.commit(stores.Changes(placements=[placement]))
    assert store.content(samples.DIGEST) is store.decision(samples.DIGEST) is None


def test_term_fences(store: stores.Store) -> None:
    """Only the term of the newest lease commits; changes without a term need none."""
    store.commit(stores.Changes(term=ids.Term(0)))
    lease = store.acquire_lease("a", TTL)
    assert lease is not None
    assert store.current_term() == lease.term == 1
    store.commit(replace(samples.submission(1), term=lease.term))
    for wrong in (0, 2):
        with pytest.raises(stores.StaleTermError):
            store.commit(replace(samples.submission(2), term=ids.Term(wrong)))
    store.commit(samples.submission(3))


def test_lease_is_renewed_lost_and_let_go(store: stores.Store, clock: samples.Clock) -> None:
    """A holder renews with the same term; another waits for the end, or for it to be let go, and has a new term."""
    first = store.acquire_lease("a", TTL)
    assert first is not None
    clock.advance(9)
    assert store.acquire_lease("b", TTL) is None
    renewed = store.acquire_lease("a", TTL)
    assert renewed is not None
    assert (renewed.term, renewed.expires_at) == (first.term, clock.now() + TTL)
    clock.advance(9.9)
    assert store.acquire_lease("b", TTL) is None
    clock.advance(0.2)
    second = store.acquire_lease("b", TTL)
    assert second is not None
    assert second.term == first.term + 1
    store.release_lease(first)
    assert store.acquire_lease("a", TTL) is None
    store.release_lease(second)
    third = store.acquire_lease("a", TTL)
    assert third is not None
    assert third.term == second.term + 1


def test_wall_clock_jumps_end_no_lease(store: stores.Store, clock: samples.Clock) -> None:
    """An hour forward or back on the wall neither ends a lease early nor keeps it for ever."""
    store.acquire_lease("a", TTL)
    for hours in (1, -2):
        clock.wall += dt.timedelta(hours=hours)
        assert store.acquire_lease("b", TTL) is None
    clock.seconds += 10
    assert store.acquire_lease("b", TTL) is not None


def test_lists_page_newest_first(store: stores.Store) -> None:
    """Pages go on where the last one ended, live and finished jobs together, whatever ends in between."""
    for number in range(7):
        store.commit(samples.submission(number))
    for job in store.live_jobs()[::3]:
        store.commit(stores.Changes(jobs=[replace(job, phase=jobs.Phase.SUCCEEDED)]))
    seen, cursor = [], None
    for _ in range(4):
        page = store.list_jobs(stores.JobFilter(), limit=2, cursor=cursor)
        seen += [int(job.id) for job in page.items]
        cursor = page.cursor
    assert seen == [6, 5, 4, 3, 2, 1, 0]
    assert cursor is None
    for bad in ("", "x", "e1.1", "j1.\n"):
        with pytest.raises(ValueError, match="cursor"):
            store.list_jobs(stores.JobFilter(), limit=2, cursor=bad)


def test_elements_list_by_index(store: stores.Store) -> None:
    """Touched elements are listed under their parent by number, and not among other jobs."""
    parent = store.commit(samples.submission(1)).jobs[0]
    elements = [
        samples.job(1, id=ids.element_id(parent.id, index), parent=parent.id, index=index) for index in (10, 2, 0)
    ]
    store.commit(stores.Changes(jobs=elements))
    first = store.list_jobs(stores.JobFilter(parent=parent.id), limit=2)
    rest = store.list_jobs(stores.JobFilter(parent=parent.id), limit=2, cursor=first.cursor)
    assert [job.index for job in (*first.items, *rest.items)] == [0, 2, 10]
    assert [job.id for job in store.list_jobs(stores.JobFilter(), limit=9).items] == [parent.id]
    assert len(store.list_jobs(stores.JobFilter(top_level_only=False), limit=9).items) == 4


def test_journal_reads_and_verifies(store: stores.Store) -> None:
    """Entries come back in order, by subject too, and the chain over them holds."""
    for number in range(4):
        store.commit(samples.submission(number))
    last = store.commit(stores.Changes(entries=[samples.entry("job/x", é="ß"), samples.entry("job/x")]))
    assert last.head == store.head()
    assert last.head.seq == 6
    assert [link.seq for link in store.entries(after=2, limit=2)] == [3, 4]
    assert [link.seq for link in store.entries(subject="job/x", after=5)] == [6]
    kind = store.entries(limit=1)[0].entry.kind
    assert [link.seq for link in store.entries(kind=kind, after=2, limit=2)] == [3, 4]
    assert [link.seq for link in store.entries(kind=kind, subject="job/x", after=5)] == [6]
    assert not store.entries(kind="nothing.of-the-kind")
    hashes = [entry.hash for entry in store.entries(after=2, limit=2)]
    assert [chain.to_digest(link) for link in store.links(after=2, limit=2)] == hashes
    assert store.entries(after=4)[0].entry == samples.entry("job/x", é="ß")
    assert store.verify_journal() is None


def test_blobs(store: stores.Store) -> None:
    """A blob is kept under the digest of its bytes only."""
    digest = ids.Digest("sha256:" + hashlib.sha256(b"abc").hexdigest())
    for _ in range(2):
        assert store.put_blob(digest, iter([b"a", b"bc"])) == stores.Blob(digest, 3)
    assert store.blob(digest) == b"abc"
    assert store.blob(samples.DIGEST) is None
    with pytest.raises(ValueError, match="not those of"):
        store.put_blob(samples.DIGEST, iter([b"abc"]))
    for bad in ("", "sha256:../../etc/passwd", "sha256:" + "A" * 64):
        with pytest.raises(ValueError, match="not a digest"):
            store.blob(ids.Digest(bad))
        with pytest.raises(ValueError, match="not a digest"):
            store.put_blob(ids.Digest(bad), iter([b""]))


def test_blobs_are_bounded(store: stores.Store) -> None:
    """More than 64 MiB are refused while they come in."""
    chunk = b"\0" * (1 << 20)
    with pytest.raises(ValueError, match="at most"):
        store.put_blob(samples.DIGEST, (chunk for _ in range(65)))


@pytest.mark.parametrize(
    "changes",
    [
        stores.Changes(jobs=[samples.job(1), samples.job(1)]),
        stores.Changes(jobs=[samples.job(1, spec_digest="")]),
        stores.Changes(entries=[samples.entry(x=float("nan"))]),
        stores.Changes(entries=[replace(samples.entry(), at=samples.NOW.replace(tzinfo=None))]),
        stores.Changes(documents=[stores.Document("K", "n", "", "{}")], delete_documents=[("K", "", "n", 1)]),
    ],
    ids=["twice", "no digest", "not a number", "no zone", "put and delete"],
)
def test_nonsense_is_refused(store: stores.Store, changes: stores.Changes) -> None:
    """Changes that contradict themselves or cannot be written are a ValueError, and change nothing."""
    with pytest.raises(ValueError, match=r"."):
        store.commit(changes)
    with pytest.raises(ValueError, match=r"."):
        store.commit_async(changes).result()
    assert store.head().seq == 0


def test_health_and_close(store: stores.Store) -> None:
    """Health counts; a closed store refuses commits."""
    store.commit(samples.submission(1))
    health = store.health()
    assert (health.read_only_reason, health.counts) == ("", {"QUEUED": 1})
    assert health.journal == store.head()
    store.close()
    with pytest.raises(stores.StoreError, match="closed"):
        store.commit(samples.submission(2))
