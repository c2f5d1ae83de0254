"""From what an orchestrator answers to the errors of the port. Codes begin with ``bacalhau.``."""

from __future__ import annotations

from orchestrator.domain import errors

TEXT_MAX = 300


def refused(code: str, message: str) -> errors.PermanentError:
    """Return the error for something that this backend will never do with this job. Nothing was started."""
    return errors.PermanentError(f"bacalhau.{code}", message)


def elsewhere(code: str, message: str) -> errors.TransientError:
    """Return the error for something that another place may still do. Nothing was started."""
    return errors.TransientError(
        f"bacalhau.{code}", message, retry=errors.RetryWhere.ELSEWHERE, effects=errors.SideEffects.NONE
    )


def unreachable(url: str, why: str) -> errors.TransientError:
    """Return the error for an orchestrator to which nothing could be sent."""
    text = f"no Bacalhau orchestrator answers at {url}: {why}. Is it up, and listening there?"
    return errors.TransientError("bacalhau.unreachable", text, effects=errors.SideEffects.NONE)


def no_answer(url: str, code: str, why: str) -> errors.TransientError:
    """Return the error for a request that was sent, and whose effect nobody knows. ``why`` begins with *it*."""
    return errors.TransientError(f"bacalhau.{code}", f"the orchestrator at {url}: {why}")


def not_json(url: str) -> errors.TransientError:
    """Return the error for an answer that is not JSON: a page of whatever stands before it."""
    return errors.TransientError(
        "bacalhau.not-json", f"what {url} answered is not JSON: does something stand before it?"
    )


def malformed(url: str, what: str) -> errors.TransientError:
    """Return the error for an answer that is none of an orchestrator."""
    return errors.TransientError("bacalhau.malformed", f"what {url} answered is no {what} of a Bacalhau orchestrator")


def error_inside(url: str, status: int, said: str) -> errors.TransientError:
    """Return the error for an answer of success that is an error."""
    return errors.TransientError("bacalhau.error-inside", f"{url} answers {status} with an error: {shown(said)}")


def stopped() -> errors.PermanentError:
    """Return the error for an attempt that was stopped before it began."""
    return refused("stopped", "this attempt was stopped before it began, and will not start any more")


def no_log(backend: str, key: str) -> errors.PermanentError:
    """Return the error for the log of an attempt that is kept nowhere any more."""
    text = f"backend {backend} knows nothing of attempt {key} any more. Run the job again (comity retry)"
    return errors.PermanentError("logs.not-found", text)


def of_answer(url: str, status: int, said: str) -> errors.BackendError:
    """Return the error for an answer that is not 200."""
    text = shown(said) or f"status {status}"
    if status in (401, 403):
        return elsewhere("denied", f"the orchestrator at {url} refuses the key: {text}")
    if 300 <= status < 400:
        return elsewhere("redirected", f"{url} answers with a redirect, which is not followed: name the API itself")
    if status >= 500 or status in (404, 408, 409, 429):
        return errors.TransientError("bacalhau.failed", f"the orchestrator at {url} answers {status}: {text}")
    return refused("refused", f"Bacalhau refuses it: {text}")


def shown(text: str) -> str:
    """Return a text in one line that may be shown."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())[:TEXT_MAX]
