"""The lists we can read: id, whose law, who publishes it, and a reader for each form of its file."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from orchestrator.sources.lists import base, eu_fsf, uk_sl, un_sc, us_csl, us_sdn

Reader = Callable[[bytes, str], base.Parsed]


@dataclass(frozen=True, slots=True)
class Source:
    """A list. ``readers`` by form: ``json``, ``csv``, ``xml``."""

    id: str
    regime: str
    title: str
    readers: Mapping[str, Reader]


SOURCES: Mapping[str, Source] = {
    one.id: one
    for one in (
        Source("eu-fsf", "eu", "EU Financial Sanctions Files", {"xml": eu_fsf.read}),
        Source("uk-sl", "uk", "UK Sanctions List (FCDO)", {"csv": uk_sl.read_csv, "xml": uk_sl.read_xml}),
        Source("un-sc", "un", "UN Security Council consolidated list", {"xml": un_sc.read}),
        Source("us-csl", "us", "US Consolidated Screening List", {"csv": us_csl.read_csv, "json": us_csl.read_json}),
        Source("us-sdn", "us", "OFAC Specially Designated Nationals", {"xml": us_sdn.read}),
    )
}


class UnknownListError(LookupError):
    """Nobody knows a list of that id. The text names the nearest."""


def source(id_: str) -> Source:
    """Return the list of that id. Raises UnknownListError."""
    known = SOURCES.get(id_)
    if known is None:
        near = difflib.get_close_matches(id_, SOURCES, n=1, cutoff=0.4)
        hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(SOURCES)}"
        raise UnknownListError(f"no list {id_!r}; {hint}")
    return known


def read(id_: str, raw: bytes, file: str) -> tuple[str, base.Parsed]:
    """Return the form of a file and the list in it. Raises UnknownListError, ListError."""
    known = source(id_)
    if len(raw) > base.BYTES_MAX:
        raise base.ListError(file, None, f"is longer than {base.BYTES_MAX} bytes", "that is no list we know")
    form = _form(raw)
    if form not in known.readers:
        forms = " or ".join(known.readers)
        raise base.ListError(file, None, f"is {form}, and {id_} comes as {forms}", "fetch it in that form")
    return form, known.readers[form](raw, file)


def _form(raw: bytes) -> str:
    """Return what a file begins as; what begins as neither XML nor JSON can only be CSV."""
    start = raw[:64].removeprefix(b"\xef\xbb\xbf").lstrip()
    if start.startswith((b"<", b"\xff\xfe", b"\xfe\xff")):
        return "xml"
    return "json" if start.startswith((b"{", b"[")) else "csv"
