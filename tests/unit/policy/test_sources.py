"""The readers of shipped data: YAML without surprises, countries, accelerators."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from orchestrator.domain import countries as domain_countries
from orchestrator.sources import accelerators, countries, yamls


def parse(text: str) -> object:
    """Parse a text."""
    return yamls.parse(text.encode("utf-8", "surrogatepass"), "f").data


def test_norway_is_a_country_and_dates_are_text() -> None:
    """Only true and false are booleans; quoted numbers and items of control lists are text."""
    found = parse(
        "a: NO\nb: 2026-01-26\nc: true\nd: yes\ne: 12\nf: '12'\ng: 2.5\nh: ~\ni: 3E001\nj: on\nk:\nl: 3.0e+24"
    )
    assert found == {
        "a": "NO", "b": "2026-01-26", "c": True, "d": "yes", "e": 12, "f": "12", "g": 2.5, "h": None, "i": "3E001",
        "j": "on", "k": None, "l": 3.0e24,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: 1\na: 2", "f:2: a: 'a' stands twice, first at line 1 (remove one of them)"),
        ("a: &x 1\nb: *x", "f:1: a: anchors are not allowed: &x (write the values out"),
        ("a: !!python/object:x {}", "f:1: a: tags are not allowed"),
        ("a: [1,\nb", "is not YAML: did not find"),
        ("<<: {a: 1}", "merge keys (<<) are not allowed (write the fields out)"),
        ("[" * 100, "nests deeper than 32 levels (flatten it)"),
        ("a: 1\n---\nb: 2", "f:3: holds more than 1 document (split it)"),
        ("a:\n- b: .nan", "f:2: a[0].b: is not a finite number (quote it if it is text)"),
        ("a: 1180591620717411303424", "f:1: a: is a whole number outside 64 bits"),
        ("a: \ud800", "f:1: is not UTF-8 text (save it as UTF-8)"),
        ("a: \x00", "f:1: holds the character U+0000"),
        ('a: "\\ud800"', "f:1: "),
        ("a: b" + "b" * (4 << 20), "f:1: is longer than 4194304 bytes"),
        ("- a\n" * 200_001, "holds more than 200000 values"),
    ],
)
def test_what_would_surprise_is_refused_with_its_line(text: str, problem: str) -> None:
    """Duplicates, anchors, tags, merges, depth and second documents are errors."""
    with pytest.raises(yamls.YamlError, match=re.escape(problem)):
        parse(text)


def test_every_mistake_of_a_file_is_told_at_once() -> None:
    """One line an error: file, line, path, problem, remedy."""
    with pytest.raises(yamls.YamlError) as caught:
        parse("a: 1\na: 2\nb: !x 3")
    assert [line.split(": ")[:2] for line in str(caught.value).splitlines()] == [["f:2", "a"], ["f:3", "b"]]


def test_a_path_leads_to_its_line() -> None:
    """The nearest existing part of a path is found."""
    document = yamls.parse(b"a:\n- b: 1\n  c: 2\n", "f")
    assert [document.locate(path) for path in (("a", 0, "c"), ("a", 0, "zzz"), ("q",))] == ["f:3", "f:2", "f:1"]


def test_a_file_that_is_not_there_is_an_error_of_this_kind(tmp_path: Path) -> None:
    """No other exception leaves the reader."""
    with pytest.raises(yamls.YamlError, match="No such file"):
        yamls.read(tmp_path / "none.yaml")


def test_there_are_249_countries() -> None:
    """ISO 3166-1 has 249 codes of two capital letters, each with a name of its own."""
    found = countries.names()
    assert set(found) == domain_countries.CODES
    assert len(found) == len(set(found.values())) == 249
    assert all(len(code) == 2 and code.isascii() and code.isupper() for code in found)


def test_the_nearest_country_is_found() -> None:
    """Common mistakes and names lead to the code."""
    assert [countries.nearest(text) for text in ("UK", "fr", "Germnay", "zz")] == ["GB", "FR", "DE", None]


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("H100", "nvidia-h100-sxm"), ("nvidia-h100-sxm", "nvidia-h100-sxm"), ("A100-80GB", "nvidia-a100-80g"),
        ("a100 80g", "nvidia-a100-80g"), ("mi300x", "amd-mi300x"), ("H200", "nvidia-h200-sxm"),
    ],
)  # fmt: skip
def test_names_lead_to_slugs(name: str, slug: str) -> None:
    """Slugs and aliases resolve whatever their case and separators."""
    assert accelerators.catalogue().resolve(name) == slug


def test_an_unknown_accelerator_names_the_nearest() -> None:
    """A misspelt name says what was probably meant."""
    with pytest.raises(accelerators.UnknownAcceleratorError, match="did you mean H100"):
        accelerators.catalogue().resolve("H1OO")


def test_a_count_follows_a_colon() -> None:
    """`h100:8` is eight of them; a count that is none is refused."""
    found = accelerators.catalogue()
    assert found.parse("h100:8") == ("nvidia-h100-sxm", 8)
    assert found.parse("H100") == ("nvidia-h100-sxm", None)
    for text in ("h100:", "h100:0", "h100:-1", "h100:x"):
        with pytest.raises(ValueError, match="whole number"):
            found.parse(text)


def test_every_accelerator_has_a_source_and_a_vendor() -> None:
    """41 rows, each with a source and a day; what has no figures is the one part whose figures are not public."""
    rows = accelerators.catalogue().rows
    assert len(rows) == 41
    for row in rows.values():
        assert row.known.source
        assert row.known.as_of
    assert [slug for slug, row in rows.items() if not row.known.performances] == ["amd-mi308-x"]
    assert {slug for slug, row in rows.items() if row.known.mark == "unverified"} == {
        "cambricon-mlu590",
        "cerebras-wse-3",
    }


@pytest.mark.parametrize(
    ("slug", "tpp", "density", "hq", "datacenter", "informed", "subject"),
    [
        ("nvidia-h100-sxm", 15832, 19.45, "US", True, False, True),
        ("nvidia-h20", 2368, 2.91, "US", True, True, True),
        ("nvidia-b300", 56000, 34.40, "US", True, False, True),
        ("nvidia-rtx-4090", 5285, 8.68, "US", False, False, True),
        ("amd-mi250x", 6128, 4.23, "US", True, False, True),
        ("amd-mi355x", 40266, None, "US", True, False, True),
        ("aws-trainium3", 20136, None, "US", True, False, True),
        ("huawei-ascend-910b", 5120, 7.69, "CN", True, False, False),
        ("cerebras-wse-3", 252800, 5.47, "US", True, False, True),
    ],
)
def test_the_catalogue_gives_published_figures(
    slug: str, tpp: float, density: float | None, hq: str, datacenter: bool, informed: bool, subject: bool
) -> None:
    """Operations x bits, at the length where they are highest, and per square millimetre, come out as published."""
    known = accelerators.catalogue().rows[slug].known
    most = max(each.tops * each.bits for each in known.performances)
    assert round(most) == tpp
    assert (known.die_area_mm2 and round(most / known.die_area_mm2, 2)) == density
    assert (known.vendor_hq, known.datacenter, known.is_informed, known.us_subject) == (
        hq,
        datacenter,
        informed,
        subject,
    )


def test_static_memory_states_no_bandwidth_of_dram() -> None:
    """A part whose memory is on the die has none, whatever its own bandwidth."""
    rows = accelerators.catalogue().rows
    assert rows["groq-lpu-v1"].known.dram_bandwidth_gbs is None
    assert rows["nvidia-h200-sxm"].known.dram_bandwidth_gbs == 4800


def test_vendors_are_placed() -> None:
    """Vendors of which no row is kept yet have a headquarters too."""
    found = accelerators.catalogue().vendors
    assert {found[name].hq for name in ("Hygon", "Biren", "T-Head")} == {"CN"}
    assert [found[name].hq for name in ("Rebellions", "Axelera", "Graphcore")] == ["KR", "NL", "GB"]


@pytest.mark.parametrize(
    "change",
    [
        "vendor: nobody",
        "dense: [{tops: -1, bits: 16}]",
        "mark: sure",
        "colour: red",
        "as_of: soon",
        "assurance: high",
        "source: ''",
    ],
)
def test_a_row_that_is_not_one_is_an_error_with_its_line(tmp_path: Path, change: str) -> None:
    """A vendor nobody placed, a figure that is none, an unknown mark or field: named with file and line."""
    file = tmp_path / "a.yaml"
    row = {"slug": "a", "model": "m", "vendor": "v", "source": "s"}
    name, _, value = change.partition(": ")
    text = ", ".join(f"{key}: {word}" for key, word in (row | {name: value}).items())
    file.write_text(f"{_VENDORS}accelerators:\n- {{{text}}}\n")
    with pytest.raises(yamls.YamlError, match=r"a\.yaml:4: not a catalogue"):
        accelerators.read(file)


_VENDORS = "as_of: 2026-11-22\nvendors: [{name: v, hq: US, source: s}]\n"


def test_a_name_used_twice_is_an_error_with_its_line(tmp_path: Path) -> None:
    """Two rows cannot share a name."""
    file = tmp_path / "a.yaml"
    row = "- {slug: %s, model: m, vendor: v, source: s, aliases: [x]}\n"
    file.write_text(_VENDORS + "accelerators:\n" + row % "a" + row % "b")
    with pytest.raises(yamls.YamlError, match=r"a\.yaml:5: the name 'x' is used twice"):
        accelerators.read(file)
