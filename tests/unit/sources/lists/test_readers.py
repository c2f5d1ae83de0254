"""Readers of published lists: invented files in exactly the published forms, and every way to spoil them."""

# ruff: noqa: RUF001 -- letters of other scripts are what some of this is about
import datetime as dt
import pathlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.domain import listings
from orchestrator.sources.lists import base, catalogue

DATA = pathlib.Path(__file__).parent / "data"
FILES = sorted(path.name for path in DATA.iterdir())


def raw(name):
    return (DATA / name).read_bytes()


def read(name, content=None):
    return catalogue.read(name.partition(".")[0], raw(name) if content is None else content, name)[1]


def entries(name):
    return {entry.id: entry for entry in read(name).entries}


def refused(name, old, new, count=1):
    """Return the error for the file with one change; the change must be one."""
    content = raw(name)
    changed = content.replace(old, new, count)
    assert changed != content
    with pytest.raises(base.ListError) as caught:
        read(name, changed)
    return str(caught.value)


def test_all_sources_have_a_file():
    """Each list in each of its forms is read in these tests."""
    forms = {(name.partition(".")[0], name.partition(".")[2]) for name in FILES}
    assert forms == {(one.id, form) for one in catalogue.SOURCES.values() for form in one.readers}


def test_sdn():
    """Names, numbers of companies, programmes and countries; passports are not kept."""
    found = read("us-sdn.xml")
    company, person, ship, _ = found.entries
    assert found.published == dt.date(2026, 11, 20)
    assert company.names == ("NORDKAP COMPUTE HOLDING JSC",)
    assert company.aliases == ("AO NORDKAP",)
    assert company.identifiers == (
        listings.Identifier("registration", "1090001112223", "RU"),
        listings.Identifier("lei", "000012INVENTED000096"),
        listings.Identifier("swift", "NKAPXX22"),
    )
    assert (company.regime, company.countries, company.reach) == ("us", ("RU",), listings.Reach.OWNED)
    assert (person.names, person.identifiers, person.countries) == (("Ivan Invented EXAMPLEVICH",), (), ("KP",))
    assert (ship.kind, ship.identifiers) == (listings.Kind.VESSEL, (listings.Identifier("imo", "9000001"),))


def test_csl_json():
    """The source of each entry is part of its id, and says whether what it owns is listed with it."""
    found = read("us-csl.json")
    assert found.published == dt.date(2026, 11, 22)  # 22:30 in Washington is the next day in UTC
    reach = {entry.id: entry.reach for entry in found.entries}
    assert reach == {
        "SDN-900001": listings.Reach.OWNED,
        "EL-b6e90000invented": listings.Reach.AFFILIATES,
        "UVL-2446000invented": listings.Reach.NAMED,
    }
    assert found.entries[0].identifiers == (listings.Identifier("registration", "1090001112223", "RU"),)
    assert [entry.countries for entry in found.entries] == [("RU",), ("CN",), ("AE",)]
    assert found.entries[1].listed_from == dt.date(2024, 12, 2)


def test_csl_csv():
    """Several values of a cell, and no day: the file states none."""
    found = read("us-csl.csv")
    assert found.published is None
    company, entity, _ = found.entries
    assert company.aliases == ("AO NORDKAP", "NORDKAP CLOUD")
    assert company.identifiers == (
        listings.Identifier("registration", "1090001112223", "RU"),
        listings.Identifier("swift", "NKAPXX22"),
    )
    assert (entity.countries, entity.names) == (("CN", "HK"), ("Inventronix Technology Co., Ltd.",))


@pytest.mark.parametrize(
    ("cell", "numbers"),
    [
        (b"1090001112223, Registration ID; 44463, Government Gazette Number", {"1090001112223", "44463"}),
        (b"CH, X0906223, Passport; mail@example.invalid, Email Address", set()),
        (b"7700000001, Tax ID No.; Subject to Directive 2, Directive Determination -", {"7700000001"}),
        (b"1090001112223, Registration ID     ;  NKAPXX22, SWIFT/BIC", {"1090001112223", "NKAPXX22"}),
    ],
)
def test_csl_numbers_are_read_by_their_label(cell, numbers):
    """A country in front or none, blanks, other values between: numbers of companies are kept, others are not."""
    content = raw("us-csl.csv").replace(b"RU, 1090001112223, Registration Number; NKAPXX22, SWIFT/BIC", cell)
    assert content != raw("us-csl.csv")
    (first, *_) = read("us-csl.csv", content).entries
    assert {one.value for one in first.identifiers} == numbers


def test_csl_programmes_may_stand_between_brackets():
    """Some cells of the published file part programmes by brackets."""
    content = raw("us-csl.csv").replace(b"INVENTED-EO1; INVENTED-EO2", b"INVENTED-EO1] [INVENTED-EO2")
    (first, *_) = read("us-csl.csv", content).entries
    assert first.programs == ("SDN", "INVENTED-EO1", "INVENTED-EO2")


def test_eu():
    """Names in several scripts, the earliest publication as the day of listing, names in parts put together."""
    company, person = read("eu-fsf.xml").entries
    assert (company.id, company.kind, company.listed_from) == (
        "EU.90001.10",
        listings.Kind.ENTITY,
        dt.date(2023, 6, 23),
    )
    assert company.identifiers[1] == listings.Identifier("swift", "NKAPXX22")
    assert person.names == ("Invented Examplevich",)
    assert (person.identifiers, person.listed_from) == ((), dt.date(2022, 3, 9))


def test_uk_says_the_same_in_both_forms():
    """Rows of one designation are one entry; the two files differ in their remarks only."""
    plain = [
        {field: getattr(entry, field) for field in entry.__slots__ if field != "remarks"}
        for entry in read("uk-sl.csv").entries
    ]
    assert plain == [
        {field: getattr(entry, field) for field in entry.__slots__ if field != "remarks"}
        for entry in read("uk-sl.xml").entries
    ]
    assert plain[0]["aliases"] == ("Nordkap Cloud", "АО Нордкап")
    assert plain[0]["identifiers"] == (listings.Identifier("registration", "1090001112223", None),)
    assert plain[2]["kind"] is listings.Kind.VESSEL


def test_un():
    """Individuals and entities, with their own references."""
    person, company = read("un-sc.xml").entries
    assert (person.id, person.names) == ("KPi.999", ("IVAN INVENTED EXAMPLEVICH",))
    assert (company.id, company.aliases, company.countries) == ("KPe.999", ("Nordkap Import-Export",), ("KP",))


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_was_cut_off_is_refused(name):
    """Wherever it ends, but for a CSV file that ends with a whole row: that one is for the comparison with the last."""
    content = raw(name).rstrip(b"\n") + b"\n"
    for end in range(0, len(content) - 1, max(1, len(content) // 150)):
        cut = content[:end]
        if name.endswith(".csv") and cut.endswith(b"\n") and cut.count(b"\n") > 2:
            continue
        with pytest.raises(base.ListError):
            read(name, cut)


@pytest.mark.parametrize("name", [name for name in FILES if name.endswith("xml")])
def test_a_document_type_is_refused(name):
    """Nothing is declared, so nothing is expanded and nothing is fetched."""
    root = {"us-sdn": "sdnList", "eu-fsf": "export", "uk-sl": "Designations", "un-sc": "CONSOLIDATED_LIST"}[name[:-4]]
    for body in ('<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;&a;">', '<!ENTITY x SYSTEM "file:///etc/passwd">', ""):
        doctype = f"<!DOCTYPE {root} [{body}]>".encode()
        said = refused(name, f"<{root}".encode(), doctype + f"<{root}".encode())
        assert "document type" in said
        assert f"{name}:" in said


SPOILED = [
    ("us-sdn.xml", b"<Record_Count>4<", b"<Record_Count>5<", "states 5 entries and holds 4"),
    ("us-sdn.xml", b"<Record_Count>4</Record_Count>", b"", "does not state Publish_Date and Record_Count"),
    ("us-sdn.xml", b"<uid>900002</uid>", b"<uid>900001</uid>", "900001 stands there twice"),
    ("us-sdn.xml", b"<uid>900002</uid>", b"<ref>900002</ref>", "us-sdn.xml:56: sdnEntry has no uid"),
    ("us-sdn.xml", b"<sdnType>Vessel<", b"<sdnType>Ship<", "the sdnType 'Ship' is not one"),
    ("us-sdn.xml", b"<lastName>BANCO INVENTADO</lastName>", b"", "an entry without a name"),
    ("us-sdn.xml", b"11/20/2026", b"2026-11-20", "is not a date"),
    ("us-sdn.xml", b"exports/XML", b"exports/XML2", "the namespace"),
    ("us-sdn.xml", b"<sdnEntry>", b"<entry></entry><sdnEntry>", "the element entry is not part of this list"),
    ("us-csl.json", b'"total": 3', b'"total": 30', "states 30 entries and holds 3"),
    ("us-csl.json", b'"results"', b'"items"', "`results` is missing"),
    ("us-csl.json", b'"alt_names": null', b'"aliases": null', "results[1]: the field alt_names is missing"),
    ("us-csl.json", b"Entity List (EL)", b"Entity List", "names no list in brackets"),
    ("us-csl.json", b'"type": "Entity"', b'"type": "Robot"', "the type 'Robot'"),
    ("us-csl.json", b'"id": "900001"', b'"id": "900001", "id": "7"', "a field stands twice"),
    ("us-csl.json", b"2024-12-02", b"12/02/2024", "is not a date of ISO 8601"),
    ("us-csl.csv", b"alt_names,", b"aka,", "the column alt_names is missing"),
    ("us-csl.csv", b"99 FR 00001,2025-03-01", b"2025-03-01", "cells under 29 columns"),
    ("us-csl.csv", b"NORDKAP COMPUTE", b"NORDKAP\xff", "is not UTF-8"),
    ("us-csl.csv", b"_id,source", b"_id,_id", "is missing"),
    ("eu-fsf.xml", b' generationDate="2026-11-20T16:47:04.449+01:00"', b"", "generationDate"),
    ("eu-fsf.xml", b'code="person"', b'code="human"', "the subjectType 'human'"),
    ("eu-fsf.xml", b'euReferenceNumber="EU.90002.20" logicalId="900012"', b"", "neither euReferenceNumber nor"),
    ("uk-sl.csv", b"Report Date", b"Date", "the first line is not"),
    ("uk-sl.csv", b"20-Nov-2026", b"20/11/2026", "is not a date"),
    ("uk-sl.csv", b"Unique ID", b"UniqueID", "the column Unique ID is missing"),
    ("uk-sl.csv", b",Individual,", b",Person,", "the type 'Person'"),
    ("uk-sl.xml", b"<DateGenerated>20/11/2026</DateGenerated>", b"", "DateGenerated is missing"),
    ("uk-sl.xml", b"<UniqueID>RUS90002</UniqueID>", b"", "a Designation without UniqueID"),
    ("un-sc.xml", b"<REFERENCE_NUMBER>KPe.999<", b"<REFERENCE_NUMBER>KPi.999<", "KPi.999 stands there twice"),
    ("un-sc.xml", b' dateGenerated="2026-11-20T23:00:06.496Z"', b"", "dateGenerated"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "old", "new", "words"), SPOILED)
def test_a_changed_form_is_refused_with_its_place(name, old, new, words):
    """What is not as published is an error that names the file and says what to do."""
    said = refused(name, old, new)
    assert words in said
    assert said.startswith(name)
    assert "; " in said


def test_one_part_of_the_un_list_alone_is_refused():
    """A file without entities is half a list."""
    content = raw("un-sc.xml")
    half = content[: content.index(b"<ENTITIES>")] + b"</CONSOLIDATED_LIST>"
    with pytest.raises(base.ListError, match="no ENTITY in it"):
        read("un-sc.xml", half)


def test_depth_and_size_of_a_record_are_bounded():
    """A stranger's file cannot make the reader hold everything."""
    deep = b"<a>" * 40 + b"</a>" * 40
    assert "deeper than" in refused("us-sdn.xml", b"<remarks>", deep + b"<remarks>")
    wide = b"<a/>" * 20_001
    assert "a record of more than" in refused("us-sdn.xml", b"<remarks>", wide + b"<remarks>")
    long = b"<lastName>" + b"x" * 3_000
    assert "a value of" in refused("us-sdn.xml", b"<lastName>", long)


def test_another_form_than_the_list_has_is_refused():
    """The list and the form of the file must belong together; an unknown list names the nearest."""
    with pytest.raises(base.ListError, match="is json, and us-sdn comes as xml"):
        catalogue.read("us-sdn", raw("us-csl.json"), "f")
    with pytest.raises(catalogue.UnknownListError, match="did you mean us-sdn"):
        catalogue.read("ofac-sdn", b"", "f")


def test_countries_are_never_guessed():
    """A name that is not exactly a country's is unknown."""
    assert base.country("Niger") == "NE"
    assert base.country("Nigeri") is None
    assert base.country("Korea, North") == "KP"
    assert base.country("00") is None


def test_lei_check_digits():
    """ISO 17442: the number modulo 97 is 1."""
    assert base.is_lei("000012INVENTED000096")
    assert not base.is_lei("000012INVENTED000097")
    assert not base.is_lei("000012INVENTED0000")


@settings(max_examples=150, deadline=None)
@given(
    name=st.sampled_from(FILES),
    at=st.floats(0, 1),
    length=st.integers(0, 40),
    junk=st.binary(max_size=12),
)
def test_a_file_with_junk_in_it_is_read_or_refused(name, at, length, junk):
    """Whatever bytes stand there, the answer is a list or the reader's own error."""
    content = raw(name)
    start = int(at * len(content))
    try:
        found = read(name, content[:start] + junk + content[start + length :])
    except base.ListError:
        return
    assert found.entries
