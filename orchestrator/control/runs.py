"""The runs of a verified job as its rows tell them: which places they had, and what came back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from orchestrator.domain import ids, jobs
from orchestrator.verification import draws, families, results


def may_take(parent: jobs.Job, hand: jobs.Hand) -> bool:
    """Say whether a run may be given a place beside all that its siblings have or ever had."""
    wanted, state = parent.spec.verification, parent.array_state
    if wanted is None or state is None:
        return False
    request = results.request(wanted, ids.NO_DIGEST)
    children = {number: families.Child(places) for number, places in _held(state).items()}
    return families.may_lie(request, hand.number, children, _place(hand))


def subject(spec: jobs.JobSpec, digest: ids.Digest) -> ids.Digest:
    """Return the digest of what is to run: the spec with its files, its folder, its image."""
    inputs = [("workdir", spec.workdir)] if spec.workdir is not None else []
    image = spec.image.partition("@")[2] if spec.image is not None else ""
    return results.subject(spec=digest, inputs=inputs, image=ids.Digest(image) if image else None)


def children(parent: jobs.Job, rows: Iterable[jobs.Job]) -> dict[int, families.Child]:
    """Return the runs that somebody touched, by number. ``rows``: as stored, all of them."""
    state, wanted = parent.array_state, parent.spec.verification
    if state is None or wanted is None:
        raise ValueError(f"{parent.id} is no verified job")
    held, asked = _held(state), subject(parent.spec, parent.spec_digest)
    found: dict[int, families.Child] = {}
    for row in rows:
        if row.index is None or row.parent != parent.id:
            raise ValueError(f"{row.id} is no run of {parent.id}")
        places = held.get(row.index, ())
        result = _result(row, wanted, asked, places[-1] if places else None) if row.phase.terminal else None
        found[row.index] = families.Child(places, row.phase is jobs.Phase.QUEUED, result)
    return found


def _held(state: jobs.ArrayState) -> Mapping[int, tuple[draws.Candidate, ...]]:
    found: dict[int, tuple[draws.Candidate, ...]] = {}
    for hand in state.held:
        found[hand.number] = (*found.get(hand.number, ()), _place(hand))
    return found


def _place(hand: jobs.Hand) -> draws.Candidate:
    return draws.Candidate(hand.site, hand.operator, hand.country)


def _result(
    row: jobs.Job, wanted: jobs.Verification, asked: ids.Digest, place: draws.Candidate | None
) -> results.Result:
    attempt = row.attempt
    outputs = attempt.execution.outputs if attempt is not None and row.phase is jobs.Phase.SUCCEEDED else None
    number = row.index or 0
    return results.Result(
        name=row.id,
        operator=place.operator if place is not None else None,
        country=place.country if place is not None else None,
        # Nobody says what it ran: it was given just this, and a place that runs something else tells no truth of it.
        subject=asked,
        outputs=outputs,
        role=results.Role.REPLICA if number < wanted.replicas else results.Role.REFEREE,
    )
