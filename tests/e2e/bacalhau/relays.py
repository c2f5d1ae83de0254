"""A wire between a node and its orchestrator that can be cut: TCP on loopback, carried by threads of the test."""

import contextlib
import socket
import threading

from tests.e2e import ports

PIECE = 65536


class Relay:
    """Listens on ``port`` and hands on to another one. Cut, it closes what is open and takes nothing new."""

    def __init__(self, target: int) -> None:
        (self.port,) = ports.free(1)
        self._target = target
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._cut = False
        self._server = socket.create_server(("127.0.0.1", self.port), backlog=64)
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Part both sides until ``mend``."""
        with self._lock:
            self._cut = True
            for one in self._open:
                with contextlib.suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)

    def mend(self) -> None:
        """Carry again."""
        with self._lock:
            self._cut = False

    def end(self) -> None:
        """Listen no more, and carry nothing."""
        self.cut()
        self._server.close()

    def _accept(self) -> None:
        while True:
            try:
                one, _ = self._server.accept()
            except OSError:
                if self._server.fileno() < 0:
                    return
                continue  # whoever called hung up before it was answered
            try:
                other = socket.create_connection(("127.0.0.1", self._target), timeout=60)
            except OSError:
                one.close()
                continue
            other.settimeout(None)
            with self._lock:
                taken = not self._cut
                if taken:
                    self._open |= {one, other}
            if not taken:
                one.close()
                other.close()
                continue
            for source, sink in ((one, other), (other, one)):
                threading.Thread(target=self._carry, args=(source, sink), daemon=True).start()

    def _carry(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while piece := source.recv(PIECE):
                sink.sendall(piece)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_RDWR)
        with self._lock:
            self._open.discard(source)
        source.close()
