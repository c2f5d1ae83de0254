"""The command line with the sealing of the journal taken out: ``python -m bench.unsealed serve ...``.

For B14 alone: entries are written as ever, but no link is hashed, no tree is grown, no head is signed. What it costs
less than the real server is what being provable costs.
"""

from __future__ import annotations

import sys

from orchestrator.bootstrap import sealing
from orchestrator.cli import main
from orchestrator.evidence import chain


def _same(previous: bytes, _entry: bytes) -> bytes:
    """Return a link that covers nothing."""
    return previous


def _nothing(*_: object) -> bytes:
    """Return no canonical entry: nobody hashes it."""
    return b""


def take_out() -> None:
    """Replace what seals by what does nothing."""
    chain.link = _same
    chain.record_bytes = _nothing
    sealing.Sealer.start = lambda _: None  # type: ignore[method-assign]  # a bench that takes a part out
    sealing.Sealer.stop = lambda _: None  # type: ignore[method-assign]  # as above


if __name__ == "__main__":
    take_out()
    sys.exit(main.run(sys.argv[1:]))
