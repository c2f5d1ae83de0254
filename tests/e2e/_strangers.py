"""What strangers send, to the real command line and to the real server: what holds for every input of every module.

Every input is answered in bounded time and memory, with what is wrong and where; never with a traceback, a 5xx or a
dead server.
"""

import contextlib
import pathlib
from collections.abc import Iterator

from tests.e2e._planes import Answer, Plane, job

SECONDS_MAX = 90.0
"""For one input; far above what it takes, so that a slow machine is not a failure."""
GROWTH_KIB_MAX = 192 * 1024
"""What all inputs of a module together may leave behind in the server's memory."""


@contextlib.contextmanager
def guarded(folder: pathlib.Path) -> Iterator[Plane]:
    """Give a control plane that must be alive, small and silent about bugs when all is over."""
    found = Plane(folder)
    found.init()
    found.start()
    assert found.submit(job("warm")).status == 202
    before = found.rss_kib()
    yield found
    assert found.alive(), found.log[-3000:]
    assert found.call("GET", "/readyz", token=None).status == 200
    assert (grown := found.rss_kib() - before) < GROWTH_KIB_MAX, f"{grown} KiB more"
    assert "Traceback" not in found.log, found.log[-5000:]
    assert '"request.failed"' not in found.log
    found.close()


def made(plane: Plane) -> float:
    """Return how many jobs this server has accepted."""
    text = plane.call("GET", "/metrics", headers={"Accept": "*/*"}).body.decode()
    return float(next(line.split()[1] for line in text.splitlines() if line.startswith("comity_jobs_submitted_total")))


def refused(answer: Answer, *statuses: int) -> None:
    """Assert that an answer is a problem with a code, of the client's making."""
    assert answer.status in (statuses or (400, 413, 422)), answer
    assert answer.code, answer
    assert b"Traceback" not in answer.body
