"""Use cases that meet each other, and the loop: one job a key, one spec a name, no cancel lost."""

import concurrent.futures
import dataclasses

import pytest
from installations import Installation, job

from orchestrator.domain import ids, jobs
from orchestrator.ports import stores
from orchestrator.service import access, problems, submissions
from orchestrator.service import jobs as job_service

WHO = access.Principal("t1", "default", frozenset({"submit"}))


def test_one_key_is_one_job_whoever_is_first(installation: Installation) -> None:
    """Sixteen submissions at once under one key are one job, and exactly one of them made it."""

    def submit(_: int) -> submissions.Submitted:
        return submissions.submit(installation.context, WHO, job(), key="k").result(120)

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        found = list(pool.map(submit, range(16)))
    assert len({one.job.id for one in found}) == 1
    assert [one.created for one in found].count(True) == 1
    assert len(installation.store.live_jobs()) == 1


def test_one_name_is_one_spec_whoever_is_first(installation: Installation) -> None:
    """Eight applies of different specs under one name leave one live job."""

    def apply(number: int) -> str:
        try:
            return submissions.apply(installation.context, WHO, "n", job("n", env={"N": str(number)})).job.id
        except problems.ServiceError as error:
            return error.code

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        found = sorted(pool.map(apply, range(8)))
    assert found.count("job.immutable") == 7
    assert len(installation.store.live_jobs()) == 1


def test_a_cancel_meets_the_loop_and_wins(installation: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the row moves under a cancel, it is read again and stopped where it is now."""
    made = submissions.submit(installation.context, WHO, job()).result(120).job
    commit, moved = installation.store.commit, []

    def meddle(changes: stores.Changes) -> stores.Receipt:
        if not moved:
            moved.append(1)
            monkeypatch.setattr(installation.store, "commit", commit)
            installation.run(made.id)
        return commit(changes)

    monkeypatch.setattr(installation.store, "commit", meddle)
    cancelled = job_service.cancel(
        installation.context, access.Principal("t1", "default", frozenset({"operate"})), made.id
    )
    assert (cancelled.changed, cancelled.job.phase) == (True, jobs.Phase.STOPPING)
    assert cancelled.job.attempt is not None


def test_a_cancel_that_never_gets_its_turn_says_so(installation: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a bounded number of conflicts the answer is busy, not an endless loop."""
    made = submissions.submit(installation.context, WHO, job()).result(120).job

    def conflict(_: stores.Changes) -> stores.Receipt:
        raise stores.VersionConflictError("job")

    monkeypatch.setattr(installation.store, "commit", conflict)
    with pytest.raises(problems.ServiceError) as caught:
        job_service.cancel(installation.context, WHO, made.id)
    assert caught.value.code == "store.busy"


def test_an_element_and_its_array_change_together(installation: Installation) -> None:
    """Cancelled elements are counted in their array, and the last one ends it."""
    array = submissions.submit(installation.context, WHO, job(array={"size": 3})).result(120).job
    for number in (0, 2, 1):
        assert job_service.cancel(installation.context, WHO, f"{array.id}[{number}]").changed
        assert not job_service.cancel(installation.context, WHO, f"{array.id}[{number}]").changed
    parent = installation.store.job(array.id)
    assert parent is not None
    assert parent.phase is jobs.Phase.CANCELLED
    assert installation.store.live_jobs() == []


def test_cancelling_an_array_cancels_what_nobody_touched(installation: Installation) -> None:
    """Every element of a cancelled array reads as cancelled."""
    array = submissions.submit(installation.context, WHO, job(array={"size": 3})).result(120).job
    job_service.cancel(installation.context, WHO, array.id)
    phases = {job_service.get(installation.context, WHO, f"{array.id}[{n}]").phase for n in range(3)}
    assert phases == {jobs.Phase.CANCELLED}


def test_a_key_lives_as_long_as_its_job(installation: Installation) -> None:
    """Long after the job has ended the key still stands for it."""
    made = submissions.submit(installation.context, WHO, job(), key="k").result(120).job
    job_service.cancel(installation.context, WHO, made.id)
    again = submissions.submit(installation.context, WHO, job(), key="k").result(120)
    assert (again.job.id, again.created, again.job.phase) == (made.id, False, jobs.Phase.CANCELLED)


def test_a_users_key_cannot_claim_an_apply(installation: Installation) -> None:
    """Keys of users live apart from those that apply computes."""
    applied = submissions.apply(installation.context, WHO, "n", job("n")).job
    keys = [key for key in (f"a:{applied.spec_digest}", applied.spec_digest) if submissions.check_key(key)]
    for key in keys:
        assert submissions.submit(installation.context, WHO, job("n"), key=key).result(120).created


def test_the_spec_that_is_stored_is_the_one_that_was_sent(installation: Installation) -> None:
    """A job reads back with its spec, whatever it holds."""
    spec = job(env={"E": "\u00e9\u202e'\"$(`"}, command=["sh", "-c", "a\nb; #SBATCH"])
    made = submissions.submit(installation.context, WHO, spec).result(120).job
    stored = installation.store.job(ids.JobId(made.id))
    assert stored is not None
    assert dataclasses.replace(stored, version=1, queue_seq=made.queue_seq) == made
