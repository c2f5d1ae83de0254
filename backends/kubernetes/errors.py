"""From what an API server answers, or does not, to the errors of the port. Codes begin with ``kubernetes.``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from orchestrator.domain import errors

TEXT_MAX = 400
"""Characters of the cluster's own words that are passed on."""
_ADMISSION = re.compile(
    r"admission webhook|ValidatingAdmissionPolicy|denied the request|violates PodSecurity", re.ASCII
)
_QUOTA = re.compile(r"exceeded quota|is forbidden: failed quota", re.ASCII)
_NO_RIGHT = re.compile(
    r'cannot (?P<verb>\w+) resource "(?P<resource>[^"]{1,100})" in API group "(?P<group>[^"]{0,100})"'
)


class StatusError(Exception):
    """The API server answered with an error. ``reason`` is its word (``NotFound``), ``message`` its sentence."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(f"{status} {reason}: {message}")
        self.status = status
        self.reason = reason
        self.message = message


def status_of(status: int, body: object) -> StatusError:
    """Return the error that a ``Status`` object stands for; any other body is shortened and told."""
    if isinstance(body, Mapping):
        return StatusError(status, plain(body.get("reason")), plain(body.get("message")))
    return StatusError(status, "", plain(body))


def plain(text: object, limit: int = TEXT_MAX) -> str:
    """Return a stranger's words as one printable line, not too long; "" for what is no text."""
    if not isinstance(text, str):
        return ""
    line = "".join(char if char.isprintable() else " " for char in text[: limit * 2])
    line = " ".join(line.split())
    return line if len(line) <= limit else f"{line[: limit - 3]}..."


def unreachable(server: str, what: str, *, sent: bool) -> errors.TransientError:
    """Return the error for no answer. ``sent``: the request may have arrived."""
    return errors.TransientError(
        "kubernetes.unreachable",
        f"{server} does not answer: {plain(what, 200)}",
        effects=errors.SideEffects.UNKNOWN if sent else errors.SideEffects.NONE,
    )


def access(code: str, message: str) -> errors.TransientError:
    """Return the error for credentials or rights that do not do. It speaks against the backend, never a job."""
    return errors.TransientError(f"kubernetes.{code}", message, effects=errors.SideEffects.NONE)


def refused(code: str, message: str) -> errors.PermanentError:
    """Return the error for what this adapter never does with this job. Nothing was sent."""
    return errors.PermanentError(f"kubernetes.{code}", message)


def elsewhere(code: str, message: str) -> errors.PermanentError:
    """Return the error for what another place may still do. Nothing was started."""
    return errors.PermanentError(f"kubernetes.{code}", message, retry=errors.RetryWhere.ELSEWHERE)


def stopped(key: str) -> errors.PermanentError:
    """Return the error for an attempt that was stopped before it began."""
    return refused("stopped", f"attempt {key} was stopped before it began, and will not start any more")


def conflict(key: str, why: str) -> errors.PermanentError:
    """Return the error for a name that is taken by something that is not this attempt."""
    return refused("conflict", f"Job {key} is there already and is not this attempt: {why}")


def no_log(key: str) -> errors.PermanentError:
    """Return the error for the log of an attempt whose pods are gone."""
    return errors.PermanentError(
        "logs.not-found",
        f"the cluster keeps nothing of attempt {key} any more: logs go with the pods. Run the job again (comity "
        "retry), and copy what you need in time",
    )


def of_status(error: StatusError, doing: str, hint: str = "") -> errors.BackendError:
    """Return what an answer means. ``doing`` is the verb and object; ``hint`` what is known of the credentials."""
    said = error.message or error.reason or f"HTTP {error.status}"
    match error.status:
        case 401:
            return access(
                "unauthorized", f"the API server does not accept these credentials{hint}: make a new kubeconfig"
            )
        case 403 if missing := _NO_RIGHT.search(error.message):
            group = missing["group"] or "the core group"
            return access(
                "forbidden",
                f"the account may not {missing['verb']} {missing['resource']} ({group}): bind it to the role of "
                f"docs/kubernetes.md. {said}",
            )
        case 403 if _QUOTA.search(error.message):
            return elsewhere("quota", f"a quota of the namespace is used up: {said}")
        case 400 | 403 | 422 if _ADMISSION.search(error.message):
            return elsewhere("admission", said)
        case 403:
            return access("forbidden", f"the API server forbids to {doing}: {said}")
        case 404:
            return access("not-found", f"cannot {doing}: {said}")
        case 413:
            return elsewhere("too-large", f"the API server takes no object of this size: {said}")
        case 400 | 405 | 406 | 415 | 422:
            return elsewhere("invalid", f"the API server refuses to {doing}: {said}")
        case 429:
            return access("busy", f"the API server asks to come back later: {said}")
        case _:
            return errors.TransientError("kubernetes.server", f"the API server failed to {doing}: {said}")


def body_of(found: Any) -> Mapping[str, Any]:
    """Return an answer as a mapping; raises TransientError for anything else."""
    if isinstance(found, Mapping):
        return found
    raise errors.TransientError("kubernetes.answer", "the API server answered with something that is no object")
