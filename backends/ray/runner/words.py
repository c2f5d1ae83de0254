"""What the runner and the adapter have agreed on: names of files, last words, the first line of a log."""

from __future__ import annotations

MANIFEST = "comity_manifest.json"
SELF = "comity_runner"
"""The folder of a package that holds the runner; Python runs it."""
WORDS = {"output-missing": 123, "timed-out": 124, "setup-failed": 125, "not-executable": 126, "not-found": 127}
"""Why an attempt ended that did not end by itself: the word of its last line of log, and the exit code with it."""


class Refused(Exception):  # noqa: N818 -- a sentence, not a type of error
    """The attempt ends with a word of ``WORDS``."""

    def __init__(self, word: str, detail: str) -> None:
        super().__init__(detail)
        self.word = word
        self.detail = detail


def begins(key: str) -> bytes:
    """Return the line after which the log is the command's own."""
    return b"comity: attempt " + key.encode() + b" begins\n"
