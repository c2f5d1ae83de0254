"""From what the network and the marks tell of an attempt to what the port says of it. Pure.

The network knows deployments that are open or closed, and never how a command ended: that tells the end mark alone.
"""

from __future__ import annotations

from dataclasses import dataclass

from backends.akash import errors, wire, wrapper
from orchestrator.domain import jobs, offers
from orchestrator.ports import backends

FUNDS = "insufficient_funds"


@dataclass(frozen=True, slots=True)
class Marks:
    """What an attempt wrote. ``ended``: the end mark's bytes, None where there is none."""

    began: bool
    again: bool
    ended: bytes | None


def whereabouts(lease: wire.Lease | None, known: wire.Provider | None) -> tuple[offers.Whereabouts, ...]:
    """Return where it is: at the provider of its lease, in the country that its record says now."""
    if lease is None:
        return ()
    country = known.country if known is not None else None
    source = "the provider's record at the Console" if country else ""
    return (offers.Whereabouts(0, lease.provider, country=country, source=source),)


def live(
    ref: backends.AttemptRef, found: wire.Deployment, marks: Marks, where: tuple[offers.Whereabouts, ...]
) -> backends.Observation:
    """Return the observation of a deployment that is open and may go on."""
    states, handle, lease = offers.ObservedState, f"akash:{found.dseq}", found.lease
    state, text = (states.RUNNING, "") if marks.began else (states.STARTING, "leased; it has not begun yet")
    if found.state != "active":
        state, text = states.UNKNOWN, f"state {errors.shown(found.state)[:40] or 'none'}, which is not known here"
    elif lease is None:
        state, text = states.QUEUED, "deployed; no bid was taken yet"
    elif lease.state != "active":
        told = errors.shown(lease.state)[:40] or "none"
        state, text = states.UNKNOWN, f"state {told} of its lease, which is not known here"
    return backends.Observation(ref.key, state, None, handle, None, text, where)


def outcome(found: wire.Deployment, marks: Marks, *, stopped: bool) -> jobs.Outcome:
    """Return how an attempt ended whose deployment is closed."""
    kinds, lease = jobs.OutcomeKind, found.lease
    if marks.ended is not None:
        end = wrapper.ended(marks.ended)
        if end is None:
            return jobs.Outcome(kinds.LOST, detail="its end mark cannot be read")
        if end.late:
            return jobs.Outcome(kinds.TIMED_OUT, detail="it had run for as long as it may")
        return jobs.Outcome(kinds.EXITED, end.code, detail=f"exit code {end.code}" if end.code else "")
    if stopped:
        return jobs.Outcome(kinds.STOPPED)
    if marks.again:
        return jobs.Outcome(kinds.LOST, detail="its container was started again: how the first one ended nobody knows")
    if lease is None:
        return jobs.Outcome(kinds.NO_ROOM, detail="closed before a bid was taken")
    if lease.state == FUNDS or FUNDS in lease.reason:
        return jobs.Outcome(kinds.PREEMPTED, detail="its escrow is used up")
    told = errors.shown(lease.reason or lease.state)
    return jobs.Outcome(kinds.PREEMPTED, detail=f"its lease was ended by somebody else: {told}")


def no_end() -> jobs.Outcome:
    """Return the outcome of an attempt that began, should have ended long ago, and never said so."""
    text = "it has had all of its time, and could not tell how it ended: closed"
    return jobs.Outcome(jobs.OutcomeKind.TIMED_OUT, detail=text)


def no_sign(minutes: int) -> jobs.Outcome:
    """Return the outcome of an attempt whose container never wrote that it began."""
    text = f"no sign of life within {minutes} minutes: is the image there, with sh and curl or python3, and may it "
    return jobs.Outcome(jobs.OutcomeKind.START_FAILED, detail=f"{text}reach the store?")
