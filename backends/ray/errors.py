"""From what a head answers to the errors of the port. Codes begin with ``ray.``."""

from __future__ import annotations

from orchestrator.domain import errors

TEXT_MAX = 300


def refused(code: str, message: str) -> errors.PermanentError:
    """Return the error for something that this backend will never do with this job. Nothing was started."""
    return errors.PermanentError(f"ray.{code}", message)


def elsewhere(code: str, message: str) -> errors.TransientError:
    """Return the error for something that another place may still do. Nothing was started."""
    return errors.TransientError(
        f"ray.{code}", message, retry=errors.RetryWhere.ELSEWHERE, effects=errors.SideEffects.NONE
    )


def unreachable(url: str, why: str) -> errors.TransientError:
    """Return the error for a head to which nothing could be sent."""
    text = f"no Ray head answers at {url}: {why}. Is it up, and its dashboard listening there?"
    return errors.TransientError("ray.unreachable", text, effects=errors.SideEffects.NONE)


def no_answer(url: str, why: str) -> errors.TransientError:
    """Return the error for a request that was sent, and whose effect nobody knows."""
    return errors.TransientError("ray.no-answer", f"the Ray head at {url} did not answer: {why}")


def malformed(what: str) -> errors.TransientError:
    """Return the error for an answer that is none of a Ray head."""
    return errors.TransientError("ray.malformed", f"what was answered is no {what} of Ray")


def stopped() -> errors.PermanentError:
    """Return the error for an attempt that was stopped before it began."""
    return refused("stopped", "this attempt was stopped before it began, and will not start any more")


def no_log(backend: str, key: str, why: str) -> errors.PermanentError:
    """Return the error for the log of an attempt that is kept nowhere any more."""
    return errors.PermanentError(
        "logs.not-found",
        f"backend {backend} keeps no log of attempt {key}: {why}. Ray keeps a log on the node that wrote it, until "
        "that node or its head ends. Run the job again (comity retry), and have it write elsewhere what must last",
    )


def of_status(url: str, status: int, body: bytes) -> errors.BackendError:
    """Return the error for an answer that is not 200."""
    said = last_line(body)
    if status == 401:
        return elsewhere(
            "token-missing", f"the Ray head at {url} wants a token: settings.token names none that it reads"
        )
    if status == 403:
        return elsewhere(
            "token-refused", f"the Ray head at {url} refuses the token of settings.token: wrong, or it expired"
        )
    if 300 <= status < 400:
        return elsewhere("redirected", f"{url} answers with a redirect, which is not followed: name the head itself")
    if status >= 500:
        return errors.TransientError("ray.failed", f"the Ray head at {url} answers {status}: {said}")
    return refused("refused", f"the Ray head at {url} answers {status}: {said}")


def last_line(body: bytes) -> str:
    """Return the line of a traceback that says what it was, as text that may be shown."""
    text = body[-8192:].decode("utf-8", "replace")
    lines = [line.strip() for line in text.splitlines() if line.strip(" .\t\n\r")]
    said = lines[-1] if lines else "nothing"
    return "".join(letter if letter.isprintable() else " " for letter in said)[:TEXT_MAX]
