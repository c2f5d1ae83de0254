"""The second fence's parameter object: entered before, taken away later, asked again, and never left out."""

from __future__ import annotations

from typing import Any

import pytest

from backends.kubernetes import decided, errors, names
from orchestrator.domain import errors as port_errors

POLICY = "ValidatingAdmissionPolicy 'comity-jobs' with binding 'comity-jobs' denied request"
DENIED = f'jobs.batch "{{}}" is forbidden: {POLICY}: {{}}'


class Cluster:
    """An API server with a fence: it knows an entry ``lag`` attempts to create late, and can refuse merges."""

    hint = ""

    def __init__(
        self, *, lag: int = 0, kind: bool = True, conflicts: int = 0, refusal: errors.StatusError | None = None
    ) -> None:
        self.lag, self.kind, self.conflicts, self.refusal = lag, kind, conflicts, refusal
        self.object: dict[str, str] | None = None
        self.jobs: list[str] = []
        self.asked: list[tuple[str, dict[str, Any]]] = []

    def patch(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        if not self.kind or self.object is None:
            raise errors.StatusError(404, "NotFound", "not found")
        if self.conflicts:
            self.conflicts -= 1
            raise errors.StatusError(409, "Conflict", "please apply your changes to the latest version")
        self.asked.append(("patch", body["data"]))
        for name, digest in body["data"].items():
            if digest is None:
                self.object.pop(name, None)
            else:
                self.object[name] = digest
        return {}

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        if path.endswith(decided.PLURAL):
            if not self.kind:
                raise errors.StatusError(404, "NotFound", "the server could not find the requested resource")
            self.object = dict(body["data"])
            return body
        name = body["metadata"]["name"]
        if self.refusal is not None:
            self.jobs.append("refused")
            raise self.refusal
        if self.lag:
            self.lag -= 1
            raise errors.StatusError(403, "Forbidden", DENIED.format(name, "no placement was decided for a job"))
        if (self.object or {}).get(name) != body["metadata"]["annotations"][names.SPEC_ANNOTATION]:
            raise errors.StatusError(422, "Invalid", DENIED.format(name, "no params found for policy binding"))
        self.jobs.append(name)
        return body


def _job(name: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "annotations": {names.SPEC_ANNOTATION: f"sha256:{name}"}}}


def _book(cluster: Cluster, *, fence: bool = True, waits: int = 3) -> decided.Book:
    return decided.Book(cluster, "jobs", fence=fence, waits_s=(0.0,) * waits)  # type: ignore[arg-type]


def test_an_entry_stands_before_its_job_and_goes_with_the_next() -> None:
    """The object is made where there is none; what was created is taken away by the entry that follows."""
    cluster = Cluster()
    book = _book(cluster)
    for name in ("a-1", "b-1", "c-1"):
        book.create(_job(name))
    assert cluster.jobs == ["a-1", "b-1", "c-1"]
    assert cluster.object == {"c-1": "sha256:c-1"}
    assert cluster.asked[-1] == ("patch", {"b-1": None, "c-1": "sha256:c-1"})


def test_a_cache_that_is_late_is_asked_again() -> None:
    """A refusal for want of the entry is no end; after the last try it is one for now, and the entry stays."""
    late = Cluster(lag=3)
    _book(late).create(_job("a-1"))
    assert late.jobs == ["a-1"]
    never = Cluster(lag=100)
    with pytest.raises(port_errors.TransientError) as raised:
        _book(never).create(_job("a-1"))
    assert raised.value.code == "kubernetes.fence"
    assert raised.value.effects is port_errors.SideEffects.NONE
    assert never.object == {"a-1": "sha256:a-1"}


def test_every_other_refusal_is_the_callers() -> None:
    """What is there already, or what the fence refuses for another reason, is not asked again."""
    for status, reason, said in ((409, "AlreadyExists", "exists"), (403, "Forbidden", DENIED.format("a", "other"))):
        cluster = Cluster(refusal=errors.StatusError(status, reason, said))
        with pytest.raises(errors.StatusError):
            _book(cluster).create(_job("a-1"))
        assert cluster.jobs == ["refused"]


def test_merges_that_collide_are_tried_again_and_a_missing_kind_is_told() -> None:
    """Two that write at once both get in; a cluster without the kind is told what to apply."""
    cluster = Cluster(conflicts=2)
    cluster.object = {}
    _book(cluster).create(_job("a-1"))
    assert cluster.jobs == ["a-1"]
    with pytest.raises(port_errors.TransientError, match="policy export --to kubernetes"):
        _book(Cluster(kind=False)).create(_job("a-1"))


def test_what_could_not_be_taken_away_is_taken_away_later() -> None:
    """A write that fails forgets nothing."""
    cluster = Cluster()
    book = _book(cluster)
    book.create(_job("a-1"))
    cluster.conflicts = 100
    with pytest.raises(port_errors.BackendError):
        book.create(_job("b-1"))
    cluster.conflicts = 0
    book.create(_job("c-1"))
    assert cluster.asked[-1] == ("patch", {"a-1": None, "c-1": "sha256:c-1"})


def test_without_a_fence_nothing_is_entered() -> None:
    """One call a Job, as before."""
    cluster = Cluster()
    cluster.object = {"a-1": "sha256:a-1"}
    _book(cluster, fence=False).create(_job("a-1"))
    assert (cluster.jobs, cluster.asked) == (["a-1"], [])
