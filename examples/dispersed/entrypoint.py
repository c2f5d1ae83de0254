"""Entry point of an image for Dispersed: runs the command of a Comity job, and says at the end how it ended.

The network gives a container no command and tells no exit code. So the command comes as a JSON list in
``COMITY_COMMAND``, and the last line of the output is ``comity-end <COMITY_END> <exit code>``. Needs Python 3.8 and
nothing else. In a Dockerfile: ``COPY entrypoint.py /`` and ``ENTRYPOINT ["python3", "/entrypoint.py"]``.
"""

import json
import os
import signal
import subprocess
import sys


def main() -> int:
    """Run the command and return its exit code: 128 + n where signal n ended it, 127 where it cannot be started."""
    mark = os.environ.pop("COMITY_END", "")
    words = json.loads(os.environ.pop("COMITY_COMMAND", "[]"))
    if not mark or not isinstance(words, list) or not words or not all(isinstance(word, str) for word in words):
        print("COMITY_COMMAND is no list of words, or COMITY_END is missing", file=sys.stderr)
        return 2
    code = run(words)
    sys.stderr.flush()
    print(f"\ncomity-end {mark} {code}", flush=True)
    return code


def run(words: "list[str]") -> int:
    """Run a command; signals that ask for an end are handed on to it."""
    try:
        child = subprocess.Popen(words)
    except OSError as error:
        print(f"{words[0]}: {error.strerror}", file=sys.stderr)
        return 127
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda got, frame: child.send_signal(got))
    code = child.wait()
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main())
