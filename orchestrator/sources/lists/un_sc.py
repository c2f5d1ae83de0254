"""The consolidated list of the UN Security Council, XML (``consolidated.xml``).

The root states its moment (``dateGenerated``) and no count; individuals and entities stand in two parts, and both
must be there. Documents in it are people's, except what ``COMMENTS1`` tells in prose, which is not read.
"""

from __future__ import annotations

from orchestrator.domain import listings
from orchestrator.sources.lists import base, xmls

REGIME = "un"
_FORM = xmls.Form(
    root="CONSOLIDATED_LIST", namespaces=("",), records=[("INDIVIDUALS", "INDIVIDUAL"), ("ENTITIES", "ENTITY")]
)
_KINDS = {"INDIVIDUAL": listings.Kind.PERSON, "ENTITY": listings.Kind.ENTITY}
_NAMES = ("FIRST_NAME", "SECOND_NAME", "THIRD_NAME", "FOURTH_NAME")


def read(raw: bytes, file: str) -> base.Parsed:
    """Return the list. Raises ListError."""
    entries: list[listings.Entry] = []
    seen: set[str] = set()

    def take(element: xmls.Element) -> None:
        seen.add(element.tag)
        entries.append(_entry(element, file))

    root = xmls.read(raw, file, _FORM, take)
    published = base.iso_day(root.get("dateGenerated"), file=file, line=None)
    if published is None:
        raise base.ListError(file, None, "the root states no dateGenerated", base.AGAIN)
    for tag in _KINDS:
        if entries and tag not in seen:
            raise base.ListError(file, None, f"no {tag} in it", base.AGAIN)
    return base.whole(file, published, entries)


def _entry(element: xmls.Element, file: str) -> listings.Entry:
    line = element.line
    id_ = element.first("REFERENCE_NUMBER") or element.first("DATAID")
    if not id_:
        raise base.ListError(file, line, f"{element.tag} has neither REFERENCE_NUMBER nor DATAID", base.AGAIN)
    names, aliases = base.names_of(
        [" ".join(element.first(part) for part in _NAMES)],
        [
            *element.texts_of(f"{element.tag}_ALIAS", "ALIAS_NAME"),
            *element.texts_of("NAME_ORIGINAL_SCRIPT"),
        ],
        file=file,
        line=line,
    )
    places = element.texts_of("NATIONALITY", "VALUE") + element.texts_of(f"{element.tag}_ADDRESS", "COUNTRY")
    return listings.Entry(
        id=id_,
        regime=REGIME,
        kind=_KINDS[element.tag],
        names=names,
        aliases=aliases,
        countries=base.country_codes(places),
        programs=base.distinct(element.texts_of("UN_LIST_TYPE"), file=file, line=line),
        listed_from=base.iso_day(element.first("LISTED_ON"), file=file, line=line),
        remarks=base.digest(*element.texts_of("COMMENTS1")),
    )
