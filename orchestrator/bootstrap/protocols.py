"""uvicorn's fast HTTP protocol with a bound it lacks: how long the head of a request may be."""

from __future__ import annotations

from uvicorn.protocols.http import httptools_impl

HEAD_BYTES_MAX = 64 * 1024
HEADERS_MAX = 100


class BoundedProtocol(httptools_impl.HttpToolsProtocol):
    """Closes a connection whose request line and headers go on for too long."""

    _head_bytes = 0
    _headers = 0
    _header_bytes = 0
    _in_head = True
    _ended_here = False

    def data_received(self, data: bytes) -> None:
        """Parse a piece, and count it as long as the head does not end."""
        self._ended_here = False
        super().data_received(data)
        if self._in_head and not self._ended_here:  # else most of the piece was a body
            self._head_bytes += len(data)
            if self._head_bytes > HEAD_BYTES_MAX and not self.transport.is_closing():
                self.send_400_response("the head of the request is too long")

    def on_header(self, name: bytes, value: bytes) -> None:
        """Count a header; one that came in a single piece is counted here only."""
        self._headers += 1
        self._header_bytes += len(name) + len(value)
        if self._headers > HEADERS_MAX or self._header_bytes > HEAD_BYTES_MAX:
            raise ValueError("too many headers")  # the parser gives up, and the protocol answers 400
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The head is over."""
        self._in_head = False
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The next head may begin."""
        self._in_head, self._head_bytes, self._headers, self._header_bytes = True, 0, 0, 0
        self._ended_here = True
        super().on_message_complete()
