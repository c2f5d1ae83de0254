"""The US Consolidated Screening List of the International Trade Administration, JSON and CSV.

One file that merges lists of Commerce (Entity List, Denied Persons, Unverified, Military End User), State (Arms
Export, Nonproliferation) and Treasury (SDN, SSI and others). Columns and fields as published at
data.trade.gov/downloadable_consolidated_screening_list/v1 (consolidated.csv, consolidated.json). The JSON file may
state ``total``, which is held against what it holds, and ``search_performed_at``, its day; the CSV file states no day.

The CSL alone does not do: it names parties, not what they own, and follows its sources after some hours.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from orchestrator.domain import listings
from orchestrator.sources.lists import base

REGIME = "us"
_FIELDS = frozenset({"id", "source", "name", "alt_names"})
_COLUMNS = (
    "_id", "source", "entity_number", "type", "programs", "name", "addresses", "start_date", "remarks", "alt_names",
    "ids",
)  # fmt: skip
_KINDS = {
    "": listings.Kind.UNKNOWN,
    "individual": listings.Kind.PERSON,
    "entity": listings.Kind.ENTITY,
    "vessel": listings.Kind.VESSEL,
    "aircraft": listings.Kind.AIRCRAFT,
}
_SOURCE = re.compile(r"\(([A-Z][A-Z-]{1,10})(?: List)?\)")
_REACH = {
    # OFAC's guidance of 2014-08-13: property blocked, or debt and equity restricted, reaches what is owned to 50 %.
    "SDN": listings.Reach.OWNED,
    "SSI": listings.Reach.OWNED,
    # 90 FR 47201 of 2025-09-30, stayed by 90 FR 50857: the pack us-affiliates-50 has the switch.
    "EL": listings.Reach.AFFILIATES,
    "MEU": listings.Reach.AFFILIATES,
}
_NUMBERS = {
    "registration number": "registration", "registration id": "registration", "company number": "registration",
    "business registration number": "registration", "business number": "registration",
    "commercial registry number": "registration", "unified social credit code (uscc)": "registration",
    "government gazette number": "registration", "tax id no.": "tax", "swift/bic": "swift",
    "legal entity number": "registration", "vessel registration identification": "imo", "d-u-n-s number": "other",
    "c.r. no.": "registration", "enterprise number": "registration", "trade license no.": "registration",
}  # fmt: skip
"""Kinds of numbers of companies among ``ids``. Passports, birth dates and the like are facts about people: not kept."""


def number(label: str, value: str, given_by: str | None) -> listings.Identifier | None:
    """Return a number under one of Treasury's labels, which the CSL repeats; None for what is no company's number."""
    kind = _NUMBERS.get(label.strip().casefold())
    return None if kind is None else base.identifier(kind, value, base.country(given_by))


def read_json(raw: bytes, file: str) -> base.Parsed:
    """Return the list of ``consolidated.json``. Raises ListError."""
    document = _document(base.utf8(raw, file), file)
    results = document.get("results")
    if not isinstance(results, list):
        raise base.ListError(file, None, "`results` is missing or no list", base.AGAIN)
    stated = document.get("total")
    if stated is not None and (not isinstance(stated, int) or isinstance(stated, bool)):
        raise base.ListError(file, None, "`total` is no whole number", base.AGAIN)
    published = base.iso_day(_text(document.get("search_performed_at")), file=file, line="search_performed_at")
    entries = [_entry(item, file, f"results[{position}]") for position, item in enumerate(results)]
    return base.whole(file, published, entries, stated)


def _document(text: str, file: str) -> dict[str, Any]:
    try:
        document = json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=_no_twins)
    except json.JSONDecodeError as error:
        raise base.ListError(file, error.lineno, f"is not JSON: {error.msg}", base.AGAIN) from error
    except (ValueError, RecursionError) as error:
        raise base.ListError(file, None, f"is not JSON that we read: {error}", base.AGAIN) from error
    if not isinstance(document, dict):
        raise base.ListError(file, None, "is no object", base.AGAIN)
    return document


def _refuse_constant(name: str) -> object:
    raise ValueError(f"{name} is no number")


def _no_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a field stands twice in one object")
    return found


def _entry(item: object, file: str, line: str) -> listings.Entry:
    if not isinstance(item, dict):
        raise base.ListError(file, line, "is no object", base.AGAIN)
    missing = sorted(_FIELDS - set(item))
    if missing:
        raise base.ListError(file, line, f"the field {', '.join(missing)} is missing", base.AGAIN)
    addresses = _many(item, "addresses", file, line)
    numbers = [
        number(_text(one.get("type")), _text(one.get("number")), _text(one.get("country")))
        for one in map(_object(file, line), _many(item, "ids", file, line))
    ]
    return _made(
        id_=_text(item["id"]),
        source=_text(item["source"]),
        kind=_text(item.get("type")),
        name=_text(item["name"]),
        aliases=[_text(one) for one in _many(item, "alt_names", file, line)],
        numbers=numbers,
        countries=[
            _text(item.get("country")),
            *(_text(one.get("country")) for one in map(_object(file, line), addresses)),
        ],
        programs=[_text(one) for one in _many(item, "programs", file, line)],
        start=_text(item.get("start_date")),
        remarks=_text(item.get("remarks")),
        file=file,
        line=line,
    )


def _many(item: Mapping[str, Any], field: str, file: str, line: str) -> Sequence[Any]:
    value = item.get(field)
    if value is None:
        return ()
    if not isinstance(value, list):
        raise base.ListError(file, line, f"{field} is no list", base.AGAIN)
    return value


def _object(file: str, line: str) -> Any:
    def check(one: object) -> Mapping[str, Any]:
        if not isinstance(one, dict):
            raise base.ListError(file, line, "holds text where an object belongs", base.AGAIN)
        return one

    return check


def _text(value: object) -> str:
    return "" if value is None else str(value)


def read_csv(raw: bytes, file: str) -> base.Parsed:
    """Return the list of ``consolidated.csv``. Several values of a cell stand between ``;``. Raises ListError."""
    entries = []
    for line, row in base.table(base.utf8(raw, file), file, _COLUMNS):
        places = [place.rpartition(",")[2].strip() for place in _cell(row, "addresses")]
        entry = _made(
            id_=row["_id"].strip(),
            source=row["source"],
            kind=row["type"].strip(),
            name=row["name"],
            aliases=_cell(row, "alt_names"),
            numbers=[_csv_number(text) for text in _cell(row, "ids")],
            countries=places,
            programs=_programs(row["programs"]),
            start=row["start_date"],
            remarks=row["remarks"],
            file=file,
            line=str(line),
        )
        entries.append(entry)
    return base.whole(file, None, entries)


def _cell(row: Mapping[str, str], column: str) -> list[str]:
    return [part.strip() for part in row[column].split(";") if part.strip()]


def _programs(cell: str) -> list[str]:
    """Return the programmes of a cell; some stand between brackets (``IFSR] [SDGT``) instead of ``;``."""
    return [part.strip() for part in cell.replace("[", ";").replace("]", ";").split(";") if part.strip()]


def _csv_number(text: str) -> listings.Identifier | None:
    """Return a number of the ``ids`` cell: ``RU, 1027700159497, Registration Number``, often without the country.

    Read by what the parts are, not by where they stand; rows of the published file are quoted in the tests of
    moov-io/watchman (``pkg/csl_us/reader_test.go``).
    """
    parts = [part.strip() for part in text.split(",") if part.strip()]
    given_by = next((part for part in parts if base.country(part) == part), None)
    label = next((part for part in parts if part.casefold() in _NUMBERS), None)
    value = next((part for part in parts if part not in (given_by, label) and any(map(str.isdigit, part))), "")
    if label is not None and label.casefold() == "swift/bic" and not value:
        value = next((part for part in parts if part not in (given_by, label)), "")
    return None if label is None or not value else number(label, value, given_by)


def _made(
    *,
    id_: str,
    source: str,
    kind: str,
    name: str,
    aliases: Sequence[str],
    numbers: Sequence[listings.Identifier | None],
    countries: Sequence[str],
    programs: Sequence[str],
    start: str,
    remarks: str,
    file: str,
    line: str,
) -> listings.Entry:
    found = _SOURCE.search(source)
    if found is None:
        problem = f"the source {source[:60]!r} names no list in brackets, as `Entity List (EL)` does"
        raise base.ListError(file, line, problem, base.AGAIN)
    if kind.casefold() not in _KINDS:
        raise base.ListError(file, line, f"the type {kind[:40]!r} is not one of this list", base.AGAIN)
    if not id_:
        raise base.ListError(file, line, "an entry without an id", base.AGAIN)
    part = found.group(1)
    names, others = base.names_of([name], aliases, file=file, line=line)
    return listings.Entry(
        # Numbers of one source may be those of another: the source is part of the id.
        id=f"{part}-{id_}",
        regime=REGIME,
        kind=_KINDS[kind.casefold()],
        names=names,
        aliases=others,
        identifiers=tuple(dict.fromkeys(one for one in numbers if one is not None)),
        countries=base.country_codes(countries),
        programs=base.distinct([part, *programs], file=file, line=line),
        listed_from=base.iso_day(start, file=file, line=line),
        reach=_REACH.get(part, listings.Reach.NAMED),
        remarks=base.digest(remarks),
    )
