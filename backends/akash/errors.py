"""From what the Console API answers to the errors of the port. Codes begin with ``akash.``."""

from __future__ import annotations

from orchestrator.domain import errors

TEXT_MAX = 300


def refused(code: str, message: str) -> errors.PermanentError:
    """Return the error for something that this backend will never do with this job. Nothing was started."""
    return errors.PermanentError(f"akash.{code}", message)


def elsewhere(code: str, message: str) -> errors.TransientError:
    """Return the error for something that another place may still do. Nothing was started."""
    return errors.TransientError(
        f"akash.{code}", message, retry=errors.RetryWhere.ELSEWHERE, effects=errors.SideEffects.NONE
    )


def unsent(code: str, message: str) -> errors.TransientError:
    """Return the error for a request that never left."""
    return errors.TransientError(f"akash.{code}", message, effects=errors.SideEffects.NONE)


def unsure(code: str, message: str) -> errors.TransientError:
    """Return the error for a request that was sent, and whose effect nobody knows."""
    return errors.TransientError(f"akash.{code}", message)


def stopped() -> errors.PermanentError:
    """Return the error for an attempt that was stopped before it began."""
    return refused("stopped", "this attempt was stopped before it began, and will not start any more")


def of_answer(url: str, status: int, said: str) -> errors.BackendError:
    """Return the error for an answer whose status is not one of success."""
    text = shown(said) or f"status {status}"
    if 300 <= status < 400:
        return elsewhere("redirected", f"{url} answers with a redirect, which is not followed: name the API itself")
    if status in (401, 403):
        return elsewhere("denied", f"{url} refuses the key: {text}. Is it the key in force, and not expired?")
    if status == 402:
        return elsewhere("credit", f"the account at {url} cannot pay: {text}")
    if status == 429:
        return unsent("busy", f"{url} takes no more requests just now: {text}")
    if status >= 500 or status in (408, 409, 425):
        return unsure("failed", f"{url} answers {status}: {text}")
    return refused("refused", f"Akash's Console refuses it: {text}")


def shown(text: str) -> str:
    """Return a text in one line that may be shown."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())[:TEXT_MAX]
