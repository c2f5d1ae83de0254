"""Bytes as text, one way each: base64 and hexadecimal that read back to themselves.

Text that is signed or hashed elsewhere must have one spelling: Python's own readers take several (stray bits at the
end of base64, upper and lower case), so that a changed byte could pass unseen. These take one.
"""

from __future__ import annotations

import base64
import binascii


def to_base64(data: bytes) -> str:
    """Return standard base64 with padding."""
    return base64.b64encode(data).decode("ascii")


def from_base64(text: object, *, length: int | None = None) -> bytes:
    """Return the bytes of ``to_base64`` and of no other spelling. Raises ValueError."""
    if not isinstance(text, str):
        raise ValueError("base64 is text")
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError("not base64") from error
    if to_base64(data) != text:
        raise ValueError("not the one spelling of base64")
    if length is not None and len(data) != length:
        raise ValueError(f"{len(data)} bytes instead of {length}")
    return data


def from_hex(text: object, *, length: int) -> bytes:
    """Return the bytes of lower-case hexadecimal. Raises ValueError."""
    if not isinstance(text, str) or len(text) != 2 * length or text.strip("0123456789abcdef"):
        raise ValueError(f"not {length} bytes in lower-case hexadecimal")
    return bytes.fromhex(text)
