"""A replica fixes its answer before any answer is shown: who copies must copy a seal, which names its maker.

    seal = SHA-256( JCS([salt, "verification/JOB/REPLICA", answer]) )       (``evidence.commitments``)

The control plane takes seals until a moment that it fixes, and lets nothing be opened before. This stops copying of
answers that are seen through *us* (a shared folder, a published receipt). It cannot stop two operators who tell each
other the answer before they seal it; only independent hands and trusted runs do. An adapter whose jobs leave files
and nothing else makes no seal: there the control plane reads outputs itself and shows them to no other site.
"""

from __future__ import annotations

from collections.abc import Mapping

from orchestrator.domain import ids
from orchestrator.evidence import commitments
from orchestrator.verification import results


def path(job: str, replica: str) -> str:
    """Return what a seal of a replica stands for; another replica's seal does not open under it."""
    return f"verification/{job}/{replica}"


def seal(job: str, replica: str, answer: ids.Digest, salt: bytes) -> ids.Digest:
    """Return the seal of an answer. Raises ValueError for a salt that is not 16 bytes."""
    return commitments.disclosure(path(job, replica), answer, salt).commitment()


def opened(
    job: str,
    replica: str,
    sealed: Mapping[str, ids.Digest],
    said: commitments.Disclosure | None,
    left: ids.Digest | None,
) -> results.Seal:
    """Judge what a replica opened against what it had sealed in time, and against the answer that it left.

    ``sealed`` holds the seals that came in time, by replica. No seal, or one that was never opened, is NONE: it does
    not count, and is nobody's fault (a site may die in between). Whoever
    took another's seal cannot open it under its own name; the one that made it can.
    """
    mine = sealed.get(replica)
    if mine is None:
        return results.Seal.NONE
    if said is None or left is None:
        return results.Seal.NONE
    if said.path != path(job, replica) or said.value != left or not commitments.fits(said, {said.path: mine}):
        return results.Seal.BROKEN
    return results.Seal.KEPT
