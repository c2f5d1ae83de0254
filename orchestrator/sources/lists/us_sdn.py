"""OFAC's list of Specially Designated Nationals, ``SDN.XML`` of the Sanctions List Service.

The file states its day (``Publish_Date``, month first) and how many entries it holds (``Record_Count``); both must be
there, and the count must agree. Its namespace changed when the service moved; both are known.
"""

from __future__ import annotations

from orchestrator.domain import listings
from orchestrator.sources.lists import base, us_csl, xmls

REGIME = "us"
_FORM = xmls.Form(
    root="sdnList",
    namespaces=(
        "https://sanctionslistservice.ofac.treas.gov/api/PublicationPreview/exports/XML",
        "http://tempuri.org/sdnList.xsd",
    ),
    records=[("sdnEntry",)],
    extras=[("publshInformation",)],
)
_KINDS = {
    "Individual": listings.Kind.PERSON,
    "Entity": listings.Kind.ENTITY,
    "Vessel": listings.Kind.VESSEL,
    "Aircraft": listings.Kind.AIRCRAFT,
}


def read(raw: bytes, file: str) -> base.Parsed:
    """Return the list. Raises ListError."""
    heads: list[xmls.Element] = []
    entries: list[listings.Entry] = []

    def take(element: xmls.Element) -> None:
        if element.tag == "sdnEntry":
            entries.append(_entry(element, file))
        else:
            heads.append(element)

    xmls.read(raw, file, _FORM, take)
    if len(heads) != 1:
        raise base.ListError(file, None, "publshInformation is missing or stands there twice", base.AGAIN)
    published = base.day(heads[0].first("Publish_Date"), "%m/%d/%Y", file=file, line=heads[0].line)
    stated = heads[0].first("Record_Count")
    if published is None or not stated.isascii() or not stated.isdecimal() or len(stated) > len("999999999"):
        problem = "publshInformation does not state Publish_Date and Record_Count"
        raise base.ListError(file, heads[0].line, problem, base.AGAIN)
    return base.whole(file, published, entries, int(stated))


def _entry(element: xmls.Element, file: str) -> listings.Entry:
    line = element.line
    id_, kind = element.first("uid"), element.first("sdnType")
    if not id_.isascii() or not id_.isdecimal():
        raise base.ListError(file, line, "sdnEntry has no uid", base.AGAIN)
    if kind not in _KINDS:
        raise base.ListError(file, line, f"the sdnType {kind[:40]!r} is not one of this list", base.AGAIN)
    names, aliases = base.names_of(
        [_full(element)], [_full(one) for one in element.all("akaList", "aka")], file=file, line=line
    )
    numbers = [
        us_csl.number(one.first("idType"), one.first("idNumber"), one.first("idCountry"))
        for one in element.all("idList", "id")
    ]
    if _KINDS[kind] is listings.Kind.VESSEL:
        numbers += [
            base.identifier("imo", one.first("idNumber"), None)
            for one in element.all("idList", "id")
            if one.first("idNumber").upper().startswith("IMO")
        ]
    places = [*element.texts_of("addressList", "address", "country")]
    places += element.texts_of("nationalityList", "nationality", "country")
    places += element.texts_of("citizenshipList", "citizenship", "country")
    return listings.Entry(
        id=id_,
        regime=REGIME,
        kind=_KINDS[kind],
        names=names,
        aliases=aliases,
        identifiers=tuple(dict.fromkeys(one for one in numbers if one is not None)),
        countries=base.country_codes(places),
        programs=base.distinct(element.texts_of("programList", "program"), file=file, line=line),
        remarks=base.digest(element.first("remarks"), element.first("title")),
    )


def _full(element: xmls.Element) -> str:
    """Return ``first last``; companies have a last name only."""
    return f"{element.first('firstName')} {element.first('lastName')}"
