"""Tables held against the journal: what was committed agrees, and each edit of a row is named."""

import dataclasses
import datetime as dt
import pathlib
import sqlite3

import pytest
import store_samples as samples

from orchestrator.domain import decisions, ids, jobs, journal, obligations, reasons
from orchestrator.evidence import tables
from orchestrator.ports import stores
from orchestrator.store import opening

KEY = b"k" * 32
SITE = ids.SiteName("gra/p")


def one_of_each() -> list[stores.Changes]:
    """Return commits that touch every table: a placed job, one that ended, an element, documents, a token, a duty."""
    placed, ended = samples.job(1), samples.job(2, name="other")
    array = samples.job(3, name="many")
    element = samples.job(3, name="many", id=ids.element_id(array.id, 4), parent=array.id, index=4)
    kept = stores.Document("Backend", "gra", "", '{"spec":{"country":"FR"}}')
    token = stores.Token("t1", "h" * 64, "acme", ("submit",), samples.NOW, None, note="n")
    return [
        *(stores.Changes(jobs=[job], entries=[submitted(job)]) for job in (placed, ended, array)),
        stores.Changes(documents=[kept, stores.Document("Policy", "p", "", "{}")], tokens=[token]),
        stores.Changes(jobs=[moved(placed)], placements=[placement(placed)], entries=[said_placed(placed)]),
        stores.Changes(jobs=[over(ended)], entries=[said(ended, "QUEUED", "CANCELLED")]),
        stores.Changes(jobs=[element], entries=[said(element, "QUEUED", "QUEUED")]),
        stores.Changes(obligations=[owed(placed)], entries=[samples.entry("job/x")]),
    ]


def submitted(job: jobs.Job) -> journal.Entry:
    """Return the entry of a submission."""
    body = {"name": job.spec.name, "spec": job.spec_digest}
    return journal.Entry("job.submitted", f"job/{job.id}", job.submitted_at, job.submitted_by, body, job.tenant)


def said(job: jobs.Job, before: str, after: str) -> journal.Entry:
    """Return the entry of a change of phase."""
    return journal.Entry("job.moved", f"job/{job.id}", samples.NOW, "c", {"from": before, "to": after}, job.tenant)


def placement(job: jobs.Job) -> decisions.Placement:
    """Return a placement of the first attempt."""
    key, at = ids.attempt_key(job.id, 1), samples.NOW
    end = at + dt.timedelta(days=1)
    digest = samples.DIGEST
    return decisions.Placement(key, job.id, 1, SITE, digest, digest, digest, end, at, ids.Term(0))


def said_placed(job: jobs.Job) -> journal.Entry:
    """Return the entry of that placement."""
    one = placement(job)
    body = {"from": "QUEUED", "to": "PLACED", "attempt": 1, "site": str(SITE), "decision": str(one.decision)}
    body["record"] = tables.record_of(one)
    return journal.Entry("job.placed", f"job/{job.id}", samples.NOW, "controller", body, job.tenant)


def moved(job: jobs.Job) -> jobs.Job:
    """Return the job with that attempt."""
    one = placement(job)
    attempt = jobs.Attempt(1, one.key, SITE, jobs.Phase.PLACED, one.decision, one.placed_at)
    return dataclasses.replace(job, version=1, phase=jobs.Phase.PLACED, attempts=(attempt,))


def over(job: jobs.Job) -> jobs.Job:
    """Return the job at its end."""
    return dataclasses.replace(job, version=1, phase=jobs.Phase.CANCELLED, ended_at=samples.NOW)


def owed(job: jobs.Job) -> obligations.Obligation:
    """Return an obligation."""
    duty = obligations.Duty("a.b", reasons.Basis.LAW, "do it", "a law", 30)
    return obligations.Obligation(job.id, job.tenant, duty, SITE, 1, samples.NOW, None)


def differences(store: stores.Store, *, whole: bool = True) -> list[str]:
    """Return what differs."""
    account = tables.Account(whole=whole)
    with store.audit() as audit:
        assert account.read(audit.records()) is None
        assert account.head == audit.head
        assert audit.head_holds
        return [str(one) for one in account.compare(audit.rows(whole=whole))]


@pytest.fixture
def filled(path: pathlib.Path, clock: samples.Clock) -> pathlib.Path:
    """Return a database with rows in every table, and nobody who has it open."""
    store = opening.open_store(path, clock, key=KEY)
    for changes in one_of_each():
        store.commit(changes)
    store.close()
    return path


def test_what_was_committed_agrees(store: stores.Store) -> None:
    """Both makes state what they commit: nothing differs, of live rows and of all, however often a row changes."""
    for changes in one_of_each():
        store.commit(changes)
    document = store.document("Backend", "gra")
    assert document is not None
    store.commit(stores.Changes(documents=[dataclasses.replace(document, status='{"cordoned":true}')]))
    store.commit(stores.Changes(delete_documents=[("Policy", "", "p", store.documents("Policy")[0].version)]))
    token = store.tokens()[0]
    store.commit(stores.Changes(tokens=[dataclasses.replace(token, revoked_at=samples.NOW)]))
    assert differences(store) == differences(store, whole=False) == []


def test_a_job_may_forget_old_attempts(store: stores.Store) -> None:
    """A job with many attempts keeps the newest ones in its row; each placement stays, and the newest attempt must."""
    job = samples.job(1)
    store.commit(stores.Changes(jobs=[job], entries=[submitted(job)]))
    store.commit(stores.Changes(jobs=[moved(job)], placements=[placement(job)], entries=[said_placed(job)]))
    second = dataclasses.replace(placement(job), number=2, key=ids.attempt_key(job.id, 2))
    entry = said_placed(job)
    entry = dataclasses.replace(entry, body={**entry.body, "attempt": 2, "record": tables.record_of(second)})
    attempt = dataclasses.replace(moved(job).attempts[0], number=2, key=second.key)
    only_newest = dataclasses.replace(moved(job), version=2, attempts=(attempt,))
    store.commit(stores.Changes(jobs=[only_newest], placements=[second], entries=[entry]))
    assert differences(store) == differences(store, whole=False) == []
    forgotten = dataclasses.replace(only_newest, version=3, attempts=())
    store.commit(stores.Changes(jobs=[forgotten], entries=[samples.entry("job/x")]))
    assert [one[:30] for one in differences(store)] == ["attempt 0000000000000000000000"]


EDITS = {
    "update documents set body = replace(body, 'FR', 'DE')": ["document Backend//gra: the table does not say"],
    "update documents set status = '{\"cordoned\":false}' where kind = 'Backend'": ["document Backend//gra: the table"],
    "delete from documents where kind = 'Policy'": ["document Policy//p: entry 4 of the journal has it"],
    "update documents set name = 'q' where kind = 'Policy'": [
        "document Policy//q: it stands",
        "document Policy//p: en",
    ],
    "insert into tokens select 't2', hash, tenant, '[\"admin\"]', 0, null, null, '', 1 from tokens": [
        "token t2: it stands in the table, and no entry"
    ],
    "update tokens set roles = '[\"admin\"]'": ["token t1: the table does not say what entry 4"],
    "update tokens set note = x'00ff'": ["token t1: it holds what nobody wrote"],
    "update obligations set state = 'fulfilled'": ["obligation 00000000000000000000000001/a.b: the table does not"],
    "update live_jobs set tenant = 'evil' where id like '%1'": ["job 00000000000000000000000001: the table does not"],
    "update live_jobs set phase = 'QUEUED' where phase = 'PLACED'": ["job 00000000000000000000000001: the table"],
    "update live_jobs set state = replace(state, 'gra/p', 'sg/p')": ["attempt 00000000000000000000000001#1: the ta"],
    "update live_jobs set state = x'01' where phase = 'PLACED'": [
        "job 00000000000000000000000001: it holds what nobody wrote",
        "attempt 00000000000000000000000001#1: entry 5",
    ],
    "update placements set policy = ''": ["placement 00000000000000000000000001#1: the table does not"],
    "update placements set site = 'sg/p'": ["placement 00000000000000000000000001#1: the table does not"],
    "update placements set key = 'x-1'": ["placement 00000000000000000000000001#1: it holds what nobody wrote"],
    "update specs set body = replace(body, 'true', 'false') where body like '%hello%'": ["spec sha256:"],
    "delete from live_jobs where id = '00000000000000000000000003[4]'": ["job 00000000000000000000000003[4]: entry 7"],
}


@pytest.mark.parametrize("edit", EDITS)
def test_each_edit_is_named(filled: pathlib.Path, clock: samples.Clock, edit: str) -> None:
    """An insider's edit of a row is one difference, with the entry that says otherwise; live rows suffice for it."""
    _edit(filled, edit)
    store = opening.open_store(filled, clock, key=KEY)
    found, live = differences(store), differences(store, whole=False)
    store.close()
    assert [one[: len(start)] for one, start in zip(found, EDITS[edit], strict=True)] == EDITS[edit]
    assert found == live


def test_a_job_that_ended_is_seen_by_the_whole_look(filled: pathlib.Path, clock: samples.Clock) -> None:
    """What ended decides nothing any more, so only the whole look reads it; one that is let live again is seen."""
    _edit(filled, "update finished_jobs set phase = 'SUCCEEDED'")
    store = opening.open_store(filled, clock, key=KEY)
    assert differences(store, whole=False) == []
    assert len(differences(store)) == 1
    store.close()
    _edit(filled, "insert into live_jobs select * from finished_jobs", "update live_jobs set phase = 'QUEUED'")
    store = opening.open_store(filled, clock, key=KEY)
    found = differences(store, whole=False)
    store.close()
    assert "job 00000000000000000000000002: it stands in the table, and no entry of the journal put it there" in found


def test_an_entry_of_ones_own_convinces_nobody(filled: pathlib.Path, clock: samples.Clock) -> None:
    """Who writes with another key cannot state a row, and the head of the journal tells that it was not ours."""
    other = opening.open_store(filled, clock, key=b"another")
    other.commit(stores.Changes(documents=[stores.Document("Policy", "mine", "", "{}")]))
    other.close()
    store = opening.open_store(filled, clock, key=KEY)
    store.commit(stores.Changes(entries=[samples.entry()]))  # what goes on from it proves nothing
    with store.audit() as audit:
        assert not audit.head_holds
        account = tables.Account()
        assert account.read(audit.records()) is None
        assert [one.key for one in account.compare(audit.rows(whole=False))] == ["Policy//mine"]
    store.vouch()
    store.commit(stores.Changes(entries=[samples.entry()]))
    with store.audit() as audit:
        assert audit.head_holds
    store.close()


def test_the_account_goes_on_from_its_memo(store: stores.Store) -> None:
    """A memo and the entries after it say what all entries say; with another key, or changed, it is nobody's."""
    commits, digests = one_of_each(), tables.Digests(KEY)
    for changes in commits[:4]:
        store.commit(changes)
    first = tables.Account()
    with store.audit() as audit:
        assert first.read(audit.records()) is None
    memo = first.write(digests)
    for changes in commits[4:]:
        store.commit(changes)
    again = tables.Account.of_memo(memo, digests)
    assert again is not None
    with store.audit() as audit:
        assert again.read(audit.records(after=again.head.seq)) is None
        assert list(again.compare(audit.rows(whole=False))) == []
    assert tables.Account.of_memo(memo, tables.Digests(b"x")) is None
    assert tables.Account.of_memo(memo.replace(b"Policy", b"Police"), digests) is None


def test_a_bad_link_ends_the_reading(filled: pathlib.Path, clock: samples.Clock) -> None:
    """An account that rests on a changed entry is worth nothing, and says which entry."""
    _edit(filled, "update journal set actor = 'nobody' where seq = 4")
    store = opening.open_store(filled, clock, key=KEY)
    with store.audit() as audit:
        assert tables.Account().read(audit.records()) == 4
    store.close()


def test_a_foreign_write_stops_placements_until_it_is_settled(path: pathlib.Path, clock: samples.Clock) -> None:
    """Our own commits and readers are no foreign writes; one of another process is noticed by the next commit."""
    store = opening.open_store(path, clock, alone=True, key=KEY)
    changes = one_of_each()
    for one in changes[:4]:
        store.commit(one)
        differences(store)
    assert store.outside_writes(look=True) == 0
    opening.open_store(path, clock, key=KEY).close()  # as an auditor does beside a running server
    assert store.outside_writes(look=True) == 0
    _edit(path, "update documents set body = '{}'")
    with pytest.raises(stores.StoreTouchedError, match="somebody else wrote"):
        store.commit(changes[4])
    store.commit(changes[5])
    count = store.outside_writes()
    assert count == 1
    store.settle(count)
    store.commit(changes[4])
    store.close()


def _edit(path: pathlib.Path, *statements: str) -> None:
    with sqlite3.connect(path) as connection:
        for statement in statements:
            assert connection.execute(statement).rowcount > 0
    connection.close()


WRONG = {
    "update decisions set body = 'text'": lambda store: store.decision(samples.DIGEST),
    "update decisions set body = 1000000000000": lambda store: store.decision(samples.DIGEST),
    "update contents set body = 'text'": lambda store: store.content(samples.DIGEST),
    "update placements set placed_at = 'never'": lambda store: store.placement(ids.attempt_key(samples.job(1).id, 1)),
    "update documents set created_at = 'never'": lambda store: store.documents(),
    "update tokens set created_at = x'00'": lambda store: store.tokens(),
    "update live_jobs set submitted_at = 'never'": lambda store: store.live_jobs(),
}


@pytest.mark.parametrize("edit", WRONG)
def test_a_column_of_another_type_is_damage(filled: pathlib.Path, clock: samples.Clock, edit: str) -> None:
    """SQLite keeps a value of any type in any column: reading one that nobody wrote is a clear error."""
    store = opening.open_store(filled, clock, key=KEY)
    decision = decisions.Decision(samples.DIGEST, samples.DIGEST, samples.NOW, None, True, b"{}")
    content = decisions.Content(samples.DIGEST, b"{}")
    store.commit(stores.Changes(decisions=[decision], contents=[content], entries=[samples.entry()]))
    assert WRONG[edit](store) is not None
    store.close()
    _edit(filled, edit)
    store = opening.open_store(filled, clock, key=KEY)
    with pytest.raises(stores.StoreCorruptError, match="holds what nobody wrote there"):
        WRONG[edit](store)
    store.close()


@pytest.mark.parametrize("whole", [True, False])
def test_outputs_that_went_somewhere_change_no_phase(store: stores.Store, whole: bool) -> None:
    """What a job left was copied: that it went "to" a place is no phase, whether the job is live or has ended."""
    for changes in one_of_each():
        store.commit(changes)
    body = {"path": "out.txt", "to": "control-plane"}
    subjects = [f"job/{samples.job(number).id}" for number in (1, 2, 9)]
    store.commit(
        stores.Changes(entries=[journal.Entry("outputs.copied", one, samples.NOW, "t1", body) for one in subjects])
    )
    account = tables.Account(whole=whole)
    with store.audit() as audit:
        assert account.read(audit.records()) is None
        assert list(account.compare(audit.rows(whole=whole))) == []
    assert list(account.unread) == []
