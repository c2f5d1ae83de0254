"""A thread that looks for changes now and then; whoever keeps something in force says how to look."""

from __future__ import annotations

import threading
from collections.abc import Callable

STOP_S = 5.0


class Watch:
    """Calls ``look`` every so often, and ``nudge`` when it says that something else is in force now.

    What ``look`` raises goes to ``failed``: what was in force stays, and the next change is looked at again.
    """

    def __init__(
        self,
        name: str,
        *,
        look: Callable[[], bool],
        nudge: Callable[[], None],
        failed: Callable[[Exception], None],
        every_s: float,
    ) -> None:
        self._look, self._nudge, self._failed, self._every_s = look, nudge, failed, every_s
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin to look for changes."""
        self._thread.start()

    def stop(self) -> None:
        """End."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join(STOP_S)

    def _run(self) -> None:
        while not self._ended.wait(self._every_s):
            try:
                if self._look():
                    self._nudge()
            except Exception as error:  # noqa: BLE001 -- told to whoever keeps what stays in force
                self._failed(error)
