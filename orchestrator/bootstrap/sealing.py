"""Signs what was committed: one checkpoint for the batches of each second, on a thread of its own.

Not in the writer's thread: a signature more or less must not delay a commit. What a crash leaves unsealed is sealed
by the next checkpoint; what is signed is worth what others have kept of it, and they ask seldom.
"""

from __future__ import annotations

import threading
from typing import Any

from orchestrator.ports import stores
from orchestrator.service import checkpoints, problems

EVERY_S = 1.0
STOP_S = 5.0


class Sealer:
    """The thread that seals. A journal that is not the one that was signed is told once, loudly."""

    def __init__(self, sealed: checkpoints.Checkpoints, *, log: Any, every_s: float = EVERY_S) -> None:
        self._sealed = sealed
        self._log = log
        self._every_s = every_s
        self._stop = threading.Event()
        self._told = ""
        self._thread = threading.Thread(target=self._run, name="sealer", daemon=True)

    def start(self) -> None:
        """Begin to seal."""
        self._thread.start()

    def stop(self) -> None:
        """Seal once more and end."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(STOP_S)

    def _run(self) -> None:
        while not self._stop.wait(self._every_s):
            self._seal()
        self._seal()

    def _seal(self) -> None:
        try:
            self._sealed.seal()
            self._told = ""
        except problems.ServiceError as error:
            if error.code != self._told:
                self._told = error.code
                self._log.error("log.not-sealed", code=error.code, message=error.message)
        except (stores.StoreError, OSError) as error:
            self._log.warning("log.not-sealed", error=type(error).__name__)
        except Exception as error:  # noqa: BLE001 -- a defect here must not end sealing for good
            self._log.error("log.not-sealed", error=type(error).__name__, exc_info=error)
