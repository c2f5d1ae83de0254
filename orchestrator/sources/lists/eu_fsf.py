"""The EU's Financial Sanctions Files, the full list in XML (``xmlFullSanctionsList_1_1``).

Values stand in attributes. The file states its moment (``generationDate``) and no count. A country is its ISO code,
``00`` where nobody knows it.
"""

from __future__ import annotations

from orchestrator.domain import listings
from orchestrator.sources.lists import base, xmls

REGIME = "eu"
_FORM = xmls.Form(root="export", namespaces=("http://eu.europa.ec/fpi/fsd/export",), records=[("sanctionEntity",)])
_KINDS = {"person": listings.Kind.PERSON, "enterprise": listings.Kind.ENTITY}
_NUMBERS = {
    "regnumber": "registration", "fiscalcode": "tax", "tradelic": "registration", "swiftbic": "swift", "imo": "imo",
    "lei": "lei",
}  # fmt: skip
"""Codes of numbers of companies; the others are facts about people: not kept. All codes that the file of 2026 uses are
in OpenSanctions' settings (``datasets/eu/fsf/eu_fsf.yml``): besides these id, ssn, passport, birthcert, nationcert,
travelcardid, electionid, residentperm, drivinglicence, NRN; ``lei`` is not among them and would be read.
``other`` is kept for companies only, as their registration often stands there."""


def read(raw: bytes, file: str) -> base.Parsed:
    """Return the list. Raises ListError."""
    entries: list[listings.Entry] = []
    root = xmls.read(raw, file, _FORM, lambda element: entries.append(_entry(element, file)))
    published = base.iso_day(root.get("generationDate"), file=file, line=None)
    if published is None:
        raise base.ListError(file, None, "the root states no generationDate", base.AGAIN)
    return base.whole(file, published, entries)


def _entry(element: xmls.Element, file: str) -> listings.Entry:
    line, stated = element.line, element.attributes
    id_ = stated.get("euReferenceNumber") or (f"logical-{stated['logicalId']}" if stated.get("logicalId") else "")
    if not id_:
        raise base.ListError(file, line, "sanctionEntity has neither euReferenceNumber nor logicalId", base.AGAIN)
    code = next((one.attributes.get("code", "") for one in element.all("subjectType")), "")
    if code not in _KINDS:
        raise base.ListError(file, line, f"the subjectType {code[:40]!r} is not one of this list", base.AGAIN)
    written = [_whole_name(alias) for alias in element.all("nameAlias")]
    names, aliases = base.names_of(written[:1], written[1:], file=file, line=line)
    places = [*element.all("address"), *element.all("citizenship")]
    regulations = element.all("regulation")
    days = [base.iso_day(one.attributes.get("publicationDate"), file=file, line=one.line) for one in regulations]
    listed = base.iso_day(stated.get("designationDate"), file=file, line=line)
    return listings.Entry(
        id=id_,
        regime=REGIME,
        kind=_KINDS[code],
        names=names,
        aliases=aliases,
        identifiers=_numbers(element, _KINDS[code]),
        countries=base.country_codes(one.attributes.get("countryIso2Code") for one in places),
        programs=base.distinct((one.attributes.get("programme", "") for one in regulations), file=file, line=line),
        listed_from=listed or min((day for day in days if day is not None), default=None),
        remarks=base.digest(*element.texts_of("remark")),
    )


def _whole_name(alias: xmls.Element) -> str:
    parts = alias.attributes
    return parts.get("wholeName") or " ".join(parts.get(key, "") for key in ("firstName", "middleName", "lastName"))


def _numbers(element: xmls.Element, kind: listings.Kind) -> tuple[listings.Identifier, ...]:
    found = []
    for one in element.all("identification"):
        stated = one.attributes
        code = _NUMBERS.get(stated.get("identificationTypeCode", ""))
        if code is None and kind is listings.Kind.ENTITY and stated.get("identificationTypeCode") == "other":
            code = "other"
        value = stated.get("number") or stated.get("latinNumber") or ""
        made = base.identifier(code, value, base.country(stated.get("countryIso2Code"))) if code and value else None
        if made is not None:
            found.append(made)
    return tuple(dict.fromkeys(found))
