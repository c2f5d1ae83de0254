"""The YAML loader: what it reads, what it refuses, and that refusing is quick."""

import json
import pathlib
import re
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.wire import bounds, errors, spellings, yaml_loader

ISO_3166_ALPHA_2 = re.findall(
    r"[A-Z]{2}",
    """
AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY BZ CA CC
CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR GA GB GD
GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH
KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV MW
MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS RU RW SA SB SC
SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UM US UY
UZ VA VC VE VG VI VN VU WF WS YE YT ZA ZM ZW
""",
)


ROOT = pathlib.Path(yaml_loader.__file__).parents[2]


def refused(source: str | bytes) -> list[errors.DocumentError]:
    with pytest.raises(errors.InvalidDocumentError) as caught:
        yaml_loader.load(source, file="x.yaml")
    return list(caught.value.errors)


def test_every_country_code_is_a_word() -> None:
    """Each of the 249 codes of ISO 3166 reads as text, Norway too."""
    assert len(ISO_3166_ALPHA_2) == 249
    text = "\n".join(f"- {code}\n- {code.lower()}" for code in ISO_3166_ALPHA_2)
    assert yaml_loader.load_plain(text) == [[word for code in ISO_3166_ALPHA_2 for word in (code, code.lower())]]


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("true", True), ("false", False), ("yes", "yes"), ("no", "no"), ("on", "on"), ("off", "off"), ("y", "y"),
        ("null", None), ("~", None), ("", None), ("12", 12), ("-3", -3), ("+3", 3), ("0o17", 15), ("0x1F", 31),
        ("0123", "0123"), ("00", "00"), ("1:30", "1:30"), ("190:20:30", "190:20:30"), ("1_000", "1_000"),
        ("1.5", 1.5), ("3.0e+24", 3.0e24), (".5", 0.5), ("1e3", 1000.0), ("01.5", "01.5"), ("2026-12-01", "2026-12-01"),
        ("2001-12-14t21:59:43.10-05:00", "2001-12-14t21:59:43.10-05:00"), ("0b101", "0b101"), ("-0x1F", "-0x1F"),
        ("9223372036854775807", 2**63 - 1), ("-9223372036854775808", -(2**63)), ("=", "="), ("'true'", "true"),
        ('"12"', "12"), ("1.2.3", "1.2.3"), ("64Gi", "64Gi"), ("\u0661\u0662", "\u0661\u0662"),
    ],
)  # fmt: skip
def test_core_schema(written: str, value: object) -> None:
    """A plain scalar is what the YAML 1.2 core schema says, and text where in doubt."""
    loaded = yaml_loader.load_plain(f"a: {written}")[0]["a"]
    assert loaded == value
    assert type(loaded) is type(value)


@pytest.mark.parametrize("written", [".nan", ".inf", "-.INF", "1e999", "9223372036854775808", "0xFFFFFFFFFFFFFFFFF"])
def test_numbers_that_cannot_be_kept_are_refused(written: str) -> None:
    """Without a schema, a number that is not finite or not of 64 bits is an error with its place."""
    with pytest.raises(errors.InvalidDocumentError) as caught:
        yaml_loader.load_plain(f"a:\n  - b: {written}")
    (error,) = caught.value.errors
    assert (error.path, error.line, error.column) == ("a[0].b", 2, 8)


@pytest.mark.parametrize("written", ["3E001", "1.10", "0123", "0x1F", "true", "1e999", "2026-01-01"])
def test_spelling_is_kept(written: str) -> None:
    """The loader itself changes no letter of a plain scalar."""
    value = yaml_loader.load(f"a: {written}")[0].data["a"]
    assert isinstance(value, spellings.Plain)
    assert value == written


def test_places_are_exact() -> None:
    """Keys and values are found at their line and column; what is absent at what would hold it."""
    document = yaml_loader.load("# c\na: 1\nb:\n  - {c: 2, 'd': [x]}\n---\ne: f\n")[0]
    assert document.locate(("b", 0, "c")) == (4, 9)
    assert document.locate(("b", 0, "c"), key=True) == (4, 6)
    assert document.locate(("b", 0, "d", 0)) == (4, 18)
    assert document.locate(("b", 0, "z")) == (4, 5)
    assert document.locate(()) == (2, 1)


def test_many_documents() -> None:
    """A file holds many documents; empty ones are left out, keys are text."""
    assert yaml_loader.load_plain("---\n---\n1: a\n---\n# nothing\n---\n- b\n...\n") == [{"1": "a"}, ["b"]]
    assert yaml_loader.load_plain("") == []
    assert yaml_loader.load_plain("\ufeffa: b") == [{"a": "b"}]


@pytest.mark.parametrize(
    ("source", "line", "column", "words"),
    [
        ("a: 1\nb: 2\na: 3", 3, 1, "stands twice, first at line 1"),
        ("a:\n  1: x\n  '1': y", 3, 3, "stands twice"),
        ("a: !!python/object/apply:os.system ['true']", 1, 4, "tags are not allowed"),
        ("a: !!str 1", 1, 4, "tags are not allowed"),
        ("a: !x {b: c}", 1, 4, "tags are not allowed"),
        ("%TAG !e! tag:x\n---\na: 1", 1, 1, "tag directives"),
        ("a: &b {c: 1}\nd:\n  <<: *b", 3, 3, "merge keys"),
        ("? [a]\n: b", 1, 3, "a key is a list or a mapping"),
        ("~: b", 1, 1, "a key is empty"),
        ("a: &a [*a]", 1, 8, "stands inside what it names"),
        ("a: *b", 1, 4, "names nothing"),
        ("a: [1\nb: 2", 2, 2, "is not YAML"),
        ("a:\n\t- b", 2, 1, "is not YAML"),
        ('a:\n - "\\0"', 2, 4, "NUL"),
        ("a:\n - \x00", 2, 4, "U+0000"),
        ("a:\n - \ud800", 2, 4, "U+D800"),
        (b"a:\n - \xff", 2, 4, "UTF-8"),
    ],
)
def test_refused_with_place(source: str | bytes, line: int, column: int, words: str) -> None:
    """What is not read is refused with line, column and words."""
    error = refused(source)[0]
    assert words in error.problem
    assert (error.file, error.line, error.column) == ("x.yaml", line, column)


def test_all_mistakes_at_once() -> None:
    """Duplicates and tags do not hide each other."""
    assert [error.path for error in refused("a: 1\na: 2\nb: [{c: !x 1, c: 2}]")] == ["a", "b[0].c", "b[0].c"]


def test_alias_shares_what_it_names() -> None:
    """A modest alias is read, and counts what it expands to."""
    assert yaml_loader.load_plain("a: &x {b: [1, 2]}\nc: *x") == [{"a": {"b": [1, 2]}, "c": {"b": [1, 2]}}]
    small = bounds.Limits(nodes_max=12)
    with pytest.raises(errors.InvalidDocumentError, match="more than 12 values"):
        yaml_loader.load("a: &x {b: [1, 2]}\nc: [*x, *x]", limits=small)


BOMBS = {
    "laughs": "'a0: &a0 [x,x,x,x,x,x,x,x,x]\\n' + ''.join("
    "f'a{i}: &a{i} [' + ','.join([f'*a{i-1}'] * 9) + ']\\n' for i in range(1, 12))",
    "long name": "'metadata: {name: ' + 'x' * 10_000_000 + '}'",
    "deep flow": "'[' * 100_000",
    "deep map": "'{a: ' * 100_000",
    "deep lines": "'[\\n' * 100_000",
    "deep block": "'- ' * 100_000",
    "deep keys": "'? ' * 100_000",
    "many values": "'- a\\n' * 2_000_000",
    "many documents": "'---\\n' * 2_000_000",
    "tag directives": "''.join(f'%TAG !a{i}! x\\n' for i in range(400_000))",
    "text bomb": "'a: &a ' + 'x' * 1_000_000 + '\\nb: [' + '*a,' * 900 + ']'",
    "duplicates": "'a: 1\\n' * 1_000_000",
    "long anchor": "'- &' + 'a' * 8_000_000 + ' [}'",
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_bombs_are_refused_quickly(bomb: str) -> None:
    """Input made to hang or to fill memory is refused within seconds and 600 MiB, by an error and not a crash."""
    program = (
        "import resource, time\n"
        "resource.setrlimit(resource.RLIMIT_AS, (600 << 20, 600 << 20))\n"
        "from orchestrator.wire import yaml_loader, errors\n"
        f"text = {BOMBS[bomb]}\n"
        "start = time.process_time()\n"
        "try: yaml_loader.load(text)\n"
        "except errors.InvalidDocumentError as error: print(len(error.errors))\n"
        "assert time.process_time() - start < 5\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=180, check=False, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= 1


PLAIN_TEXT = st.text(st.characters(min_codepoint=32, max_codepoint=0xD7FF, exclude_characters="\x7f\x85\u2028\u2029"))
DATA = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | PLAIN_TEXT.filter(str.isascii),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(PLAIN_TEXT.filter(str.isascii), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=60, deadline=None)
@given(DATA)
def test_json_reads_as_itself(data: object) -> None:
    """Whatever JSON says, the YAML loader reads the same."""
    assert yaml_loader.load_plain(json.dumps({"a": data}, ensure_ascii=False)) == [{"a": data}]


@settings(max_examples=150, deadline=None)
@given(st.text(st.sampled_from("ab:-[]{}&*!|>'\"#%?,\n \t\\<~0"), max_size=60) | st.binary(max_size=40))
def test_noise_is_read_or_refused(source: str | bytes) -> None:
    """No input whatever raises anything but the loader's own error."""
    found: tuple[errors.DocumentError, ...] = ()
    try:
        yaml_loader.load(source)
    except errors.InvalidDocumentError as error:
        found = error.errors
    assert all(error.problem for error in found)
