"""The UK Sanctions List of the Foreign, Commonwealth and Development Office, CSV and XML.

The list of asset freeze targets of OFSI is no longer published (since 2026-01-28); its group numbers stand in this
one. The CSV file begins with ``Report Date: DD-Mon-YYYY`` and has a row for each name and address of a designation;
the XML file states ``DateGenerated``. Neither states a count. Dates have the day first.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence

from orchestrator.domain import listings
from orchestrator.sources.lists import base, xmls

REGIME = "uk"
_COLUMNS = (
    "Unique ID", "OFSI Group ID", "UN Reference Number", "Name 6", "Name 1", "Name 2", "Name 3", "Name 4", "Name 5",
    "Name type", "Name non-latin script", "Regime Name", "Designation Type", "Other Information",
    "UK Statement of Reasons", "Address Country", "Date Designated", "Business registration number (s)", "IMO number",
)  # fmt: skip
_KINDS = {"Individual": listings.Kind.PERSON, "Entity": listings.Kind.ENTITY, "Ship": listings.Kind.VESSEL}
_FORM = xmls.Form(root="Designations", namespaces=("",), records=[("Designation",)], extras=[("DateGenerated",)])
_PRIMARY = "primary name"
_NAMES = ("1", "2", "3", "4", "5", "6")


def read_csv(raw: bytes, file: str) -> base.Parsed:
    """Return the list of the CSV file. Raises ListError."""
    head, _, rest = base.utf8(raw, file).partition("\n")
    label, colon, written = head.strip().strip(",").partition(":")
    if label != "Report Date" or not colon:
        raise base.ListError(file, 1, "the first line is not `Report Date: DD-Mon-YYYY`", base.AGAIN)
    published = base.day(written, "%d-%b-%Y", file=file, line=1)
    if published is None:
        raise base.ListError(file, 1, "the report has no date", base.AGAIN)
    groups: dict[str, list[tuple[int, dict[str, str]]]] = {}
    for line, row in base.table(rest, file, _COLUMNS, first_line=2):
        id_ = row["Unique ID"].strip()
        if not id_:
            raise base.ListError(file, line, "a row without Unique ID", base.AGAIN)
        groups.setdefault(id_, []).append((line, row))
    return base.whole(file, published, [_of_rows(id_, rows, file) for id_, rows in groups.items()])


def _of_rows(id_: str, rows: Sequence[tuple[int, Mapping[str, str]]], file: str) -> listings.Entry:
    line, first = rows[0]
    for other_line, row in rows:
        if row["Designation Type"] != first["Designation Type"]:
            raise base.ListError(file, other_line, f"{id_} is of two types", base.AGAIN)
    written = [(" ".join(row[f"Name {part}"] for part in _NAMES), row["Name type"]) for _, row in rows]
    return _made(
        id_=id_,
        kind=first["Designation Type"].strip(),
        written=written,
        other_scripts=[row["Name non-latin script"] for _, row in rows],
        registrations=[row["Business registration number (s)"] for _, row in rows],
        ships=[row["IMO number"] for _, row in rows],
        countries=[row["Address Country"] for _, row in rows],
        regimes=[row["Regime Name"] for _, row in rows],
        designated=first["Date Designated"],
        remarks=(first["Other Information"], first["UK Statement of Reasons"]),
        file=file,
        line=line,
    )


def read_xml(raw: bytes, file: str) -> base.Parsed:
    """Return the list of the XML file. Raises ListError."""
    entries: list[listings.Entry] = []
    dates: list[str] = []

    def take(element: xmls.Element) -> None:
        if element.tag == "Designation":
            entries.append(_of_element(element, file))
        else:
            dates.append(element.text)

    xmls.read(raw, file, _FORM, take)
    published = base.day(dates[0], "%d/%m/%Y", file=file, line=None) if len(dates) == 1 else None
    if published is None:
        raise base.ListError(file, None, "DateGenerated is missing or stands there twice", base.AGAIN)
    return base.whole(file, published, entries)


def _of_element(element: xmls.Element, file: str) -> listings.Entry:
    id_ = element.first("UniqueID")
    if not id_:
        raise base.ListError(file, element.line, "a Designation without UniqueID", base.AGAIN)
    company = ("EntityDetails", "Entity", "BusinessRegistrationNumbers", "BusinessRegistrationNumber")
    return _made(
        id_=id_,
        kind=element.first("IndividualEntityShip"),
        written=[
            (" ".join(one.first(f"Name{part}") for part in _NAMES), one.first("NameType"))
            for one in element.all("Names", "Name")
        ],
        other_scripts=element.texts_of("NonLatinNames", "NonLatinName", "NameNonLatinScript"),
        registrations=element.texts_of(*company),
        ships=element.texts_of("ShipDetails", "Ship", "IMONumbers", "IMONumber"),
        countries=element.texts_of("Addresses", "Address", "AddressCountry"),
        regimes=element.texts_of("RegimeName"),
        designated=element.first("DateDesignated"),
        remarks=(element.first("OtherInformation"), element.first("UKStatementofReasons")),
        file=file,
        line=element.line,
    )


def _made(
    *,
    id_: str,
    kind: str,
    written: Sequence[tuple[str, str]],
    other_scripts: Iterable[str],
    registrations: Iterable[str],
    ships: Iterable[str],
    countries: Iterable[str],
    regimes: Iterable[str],
    designated: str,
    remarks: tuple[str, str],
    file: str,
    line: int,
) -> listings.Entry:
    if kind not in _KINDS:
        raise base.ListError(file, line, f"the type {kind[:40]!r} is not one of this list", base.AGAIN)
    primary = [name for name, type_ in written if type_.strip().casefold() == _PRIMARY]
    others = [name for name, type_ in written if type_.strip().casefold() != _PRIMARY]
    if not any(name.split() for name in primary):
        primary, others = others[:1], others[1:]
    names, aliases = base.names_of(primary, [*others, *other_scripts], file=file, line=line)
    # No number says who gave it: it is compared, and asks a person.
    numbers = [base.identifier("registration", one, None) for one in _parts(registrations)]
    numbers += [base.identifier("imo", one, None) for one in _parts(ships)]
    return listings.Entry(
        id=id_,
        regime=REGIME,
        kind=_KINDS[kind],
        names=names,
        aliases=aliases,
        identifiers=tuple(dict.fromkeys(one for one in numbers if one is not None)),
        countries=base.country_codes(countries),
        programs=base.distinct(regimes, file=file, line=line),
        listed_from=base.day(designated, "%d/%m/%Y", file=file, line=line),
        remarks=base.digest(*remarks),
    )


def _parts(cells: Iterable[str]) -> list[str]:
    """Return the numbers of cells: several stand between ``|``, ``;`` or ``,``, some after a word and a colon."""
    pieces = itertools.chain.from_iterable(cell.replace("|", ";").replace(",", ";").split(";") for cell in cells)
    return [text for piece in pieces if (text := piece.rpartition(":")[2].strip())]
