"""What the readers of lists share: the error, the bounds, dates, country names, and the last checks of a whole list."""

from __future__ import annotations

import csv
import datetime as dt
import functools
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from orchestrator.domain import countries as codes
from orchestrator.domain import ids, listings
from orchestrator.evidence import canonical
from orchestrator.sources import countries

BYTES_MAX = 256 * 2**20
"""Largest file read. The largest published one (Consolidated Screening List, JSON) is a fifth of it."""
ENTRIES_MAX = 500_000
NAMES_MAX = 2_000
"""Names and aliases of one entry."""
TEXT_MAX = 2_000
"""Characters of one name, number or programme."""


class ListError(ValueError):
    """A file is not the list it should be. The text names file, place, problem and what to do."""

    def __init__(self, file: str, line: int | str | None, problem: str, remedy: str) -> None:
        where = file if line is None else f"{file}:{line}"
        super().__init__(f"{where}: {problem}; {remedy}")


@dataclass(frozen=True, slots=True)
class Parsed:
    """A whole list as read: the day the file states (None: it states none), and its entries in the file's order."""

    published: dt.date | None
    entries: tuple[listings.Entry, ...]


AGAIN = "fetch the file again; if it stays so, the publisher changed the form and this version cannot read it"


def whole(file: str, published: dt.date | None, entries: Sequence[listings.Entry], stated: int | None = None) -> Parsed:
    """Return the list, checked as a whole. Raises ListError: empty, an id twice, or not as many as the file states."""
    if stated is not None and stated != len(entries):
        raise ListError(file, None, f"the file states {stated} entries and holds {len(entries)}", AGAIN)
    if not entries:
        raise ListError(file, None, "no entry in it", AGAIN)
    if len(entries) > ENTRIES_MAX:
        raise ListError(file, None, f"more than {ENTRIES_MAX} entries", "that is no list we know")
    seen: set[str] = set()
    for entry in entries:
        if entry.id in seen:
            raise ListError(file, None, f"the entry {entry.id} stands there twice", AGAIN)
        seen.add(entry.id)
    return Parsed(published, tuple(entries))


def clean(value: str | None, *, file: str, line: int | str | None) -> str:
    """Return text on one line, without blanks around it. Raises ListError when it is absurdly long."""
    text = " ".join((value or "").split())
    if len(text) > TEXT_MAX:
        raise ListError(file, line, f"a value of {len(text)} characters", AGAIN)
    return text


def distinct(values: Iterable[str], *, file: str, line: int | str | None) -> tuple[str, ...]:
    """Return the values cleaned, without empty ones and repetitions, in order. Raises ListError when too many."""
    found = tuple(dict.fromkeys(text for value in values if (text := clean(value, file=file, line=line))))
    if len(found) > NAMES_MAX:
        raise ListError(file, line, f"{len(found)} values in one entry", AGAIN)
    return found


def names_of(
    values: Iterable[str], aliases: Iterable[str], *, file: str, line: int | str | None
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return primary names and aliases. Raises ListError for an entry without a name: nobody could match it."""
    primary = distinct(values, file=file, line=line)
    if not primary:
        raise ListError(file, line, "an entry without a name", AGAIN)
    return primary, tuple(one for one in distinct(aliases, file=file, line=line) if one not in primary)


def digest(*texts: str | None) -> ids.Digest:
    """Return the digest of the publisher's free text; NO_DIGEST where there is none."""
    found = [text for text in texts if text]
    return canonical.digest(found) if found else ids.NO_DIGEST


def day(value: str | None, form: str, *, file: str, line: int | str | None) -> dt.date | None:
    """Return a date written as ``form`` (``strptime``), None for no text. Raises ListError for any other text."""
    text = (value or "").strip()
    if not text:
        return None
    try:
        return dt.datetime.strptime(text, form).replace(tzinfo=dt.UTC).date()
    except ValueError as error:
        raise ListError(file, line, f"{text[:40]!r} is not a date written as {form}", AGAIN) from error


def iso_day(value: str | None, *, file: str, line: int | str | None) -> dt.date | None:
    """Return the day in UTC of an ISO 8601 date or moment, None for no text. Raises ListError for any other text."""
    text = (value or "").strip()
    if not text:
        return None
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError as error:
        raise ListError(file, line, f"{text[:40]!r} is not a date of ISO 8601", AGAIN) from error
    return moment.astimezone(dt.UTC).date() if moment.tzinfo else moment.date()


_ALSO: Mapping[str, str] = {
    "bolivia": "BO", "bosnia and herzegovina": "BA", "brunei": "BN", "burma": "MM", "cape verde": "CV", "china": "CN",
    "congo, democratic republic of the": "CD", "congo, republic of the": "CG", "cote d ivoire": "CI",
    "cote d'ivoire": "CI", "czech republic": "CZ", "democratic people's republic of korea": "KP",
    "democratic republic of the congo": "CD", "hong kong": "HK", "iran": "IR", "iran (islamic republic of)": "IR",
    "iran, islamic republic of": "IR", "ivory coast": "CI", "korea, north": "KP", "korea, south": "KR", "kosovo": "XK",
    "laos": "LA", "macau": "MO", "micronesia": "FM", "moldova": "MD", "north korea": "KP", "palestine": "PS",
    "russia": "RU", "russian federation": "RU", "south korea": "KR", "syria": "SY", "syrian arab republic": "SY",
    "taiwan": "TW", "tanzania": "TZ", "the gambia": "GM", "turkey": "TR", "uae": "AE", "uk": "GB",
    "united kingdom": "GB", "united states": "US", "united states of america": "US", "usa": "US", "venezuela": "VE",
    "viet nam": "VN", "vietnam": "VN",
}  # fmt: skip
"""Names that publishers use and our table spells otherwise. A name that is in neither stays unknown."""


@functools.lru_cache(maxsize=1)
def _by_name() -> Mapping[str, str]:
    return {**{name.casefold(): code for code, name in countries.names().items()}, **_ALSO}


def country(value: str | None) -> str | None:
    """Return the ISO 3166-1 code of a code or a name, exactly as publishers write them; None: not one we know.

    Never the nearest: Niger is not Nigeria.
    """
    text = " ".join((value or "").split())
    if text in codes.CODES:
        return text
    found = _by_name().get(text.casefold())
    return found if found in codes.CODES else None


def country_codes(values: Iterable[str | None]) -> tuple[str, ...]:
    """Return the codes of those values that are countries, in order, each once."""
    return tuple(dict.fromkeys(code for value in values if (code := country(value))))


_LEI = re.compile(r"^[0-9A-Z]{18}[0-9]{2}$")


def is_lei(text: str) -> bool:
    """Say whether ``text`` is a legal entity identifier (ISO 17442: the number modulo 97 is 1)."""
    return bool(_LEI.fullmatch(text)) and int("".join(str(int(char, 36)) for char in text)) % 97 == 1


def identifier(kind: str, value: str, given_by: str | None) -> listings.Identifier | None:
    """Return a number; an LEI is told by its check digits, whatever the publisher calls it. None: no number in it."""
    bare = value.replace(" ", "").upper()
    if is_lei(bare):
        return listings.Identifier("lei", bare)
    if not any(char.isdigit() for char in value) and kind != "swift":
        return None
    if kind in ("swift", "imo"):
        return listings.Identifier(kind, bare.removeprefix("IMO"))
    return listings.Identifier(kind, value, given_by)


def utf8(raw: bytes, file: str) -> str:
    """Return the text of a file. Raises ListError where it is not UTF-8, or holds NUL characters."""
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ListError(file, None, f"is not UTF-8 text at byte {error.start}", AGAIN) from error
    if "\0" in text:
        raise ListError(file, text.count("\n", 0, text.index("\0")) + 1, "a NUL character", AGAIN)
    return text


def table(
    text: str, file: str, required: Iterable[str], *, first_line: int = 1
) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield line and cells by column of each row of CSV text with a header.

    Raises ListError: a required column is missing or a column stands there twice, a row is longer or shorter than
    the header (as the last one of a file that was cut off), a quote is not closed, the last line does not end.
    """
    if not text.endswith("\n"):
        raise ListError(file, text.count("\n") + first_line, "the last line does not end: the file was cut off", AGAIN)
    rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = [name.strip() for name in next(rows, [])]
        missing = [name for name in required if name not in header]
        if missing:
            raise ListError(file, first_line, f"the column {', '.join(missing)} is missing", AGAIN)
        if len(set(header)) != len(header):
            raise ListError(file, first_line, "a column stands there twice", AGAIN)
        for row in rows:
            line = rows.line_num + first_line - 1
            if not row:
                continue
            if len(row) != len(header):
                raise ListError(file, line, f"{len(row)} cells under {len(header)} columns", AGAIN)
            yield line, dict(zip(header, row, strict=True))
    except csv.Error as error:
        raise ListError(file, rows.line_num + first_line - 1, f"is not CSV: {error}", AGAIN) from error
