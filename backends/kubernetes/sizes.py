"""How long the words of a container may be. Pure.

Linux starts no program with a word, or a variable, of more than 128 KiB (MAX_ARG_STRLEN, execve(2)); the API server
takes such an object, so the kubelet would be the first to say so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

WORD_BYTES_MAX = 131_072
"""With the zero at its end; of a variable with its name."""


def refusal(command: Sequence[str], variables: Sequence[Mapping[str, Any]]) -> str:
    """Return why no program can be started with these; "" where one can. ``variables`` are escaped for Kubernetes."""
    for number, word in enumerate(command):
        if (size := len(word.encode()) + 1) > WORD_BYTES_MAX:
            return f"word {number} of the command is {size} bytes; Linux takes {WORD_BYTES_MAX}"
    for one in variables:
        value = str(one.get("value", "")).replace("$$", "$")
        if (size := len(f"{one['name']}={value}".encode()) + 1) > WORD_BYTES_MAX:
            return f"variable {one['name'][:80]} is {size} bytes; Linux takes {WORD_BYTES_MAX}"
    return ""
