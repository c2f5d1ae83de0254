"""Round-trip times: the shipped ones, those of the house over them, and what a file must look like."""

from __future__ import annotations

import datetime as dt
import re
from pathlib import Path

import pytest

from orchestrator.domain import countries, facts
from orchestrator.sources import distances, yamls

HOUSE = """\
as_of: 2026-10-01
source: our own probes, median of a week
ms:
  FR: {eu-west-gra: 5, DE: 9.5}
  eu-west-gra: {FR: 5}
"""


def test_the_shipped_figures_are_dated_symmetric_and_between_countries() -> None:
    """Each origin and place is a country, each pair says the same both ways, and source and day are stated."""
    found = distances.load()
    assert len(found) == 19
    for origin, row in found.items():
        assert origin in countries.CODES
        assert row.stamp.source
        assert row.stamp.as_of == dt.date(2026, 7, 30)
        for place, ms in row.places.items():
            assert found[place].places[origin] == ms
            assert 0 < ms < 400


def test_the_example_of_the_documentation_is_read(tmp_path: Path) -> None:
    """The file on the page about operations is one."""
    page = (Path(__file__).parents[3] / "docs" / "operations.md").read_text()
    file = tmp_path / "distances.yaml"
    file.write_text(page.partition("# file: distances.yaml\n")[2].partition("```")[0])
    assert distances.load(file)["FR"].places["BG"] == 34


def test_no_distance_is_guessed_within_a_country_with_one_region() -> None:
    """Sweden has none to itself, France has, and a country nobody measured has no row."""
    found = distances.load()
    assert "SE" not in found["SE"].places
    assert found["FR"].places["FR"] == 17
    assert "BG" not in found


def test_figures_of_the_house_go_before_and_keep_their_source(tmp_path: Path) -> None:
    """What a file says replaces and adds pair by pair; what it does not say stays as shipped, each with its source."""
    file = tmp_path / "d.yaml"
    file.write_text(HOUSE)
    found = distances.load(file)
    assert found["FR"].places["DE"] == 9.5
    assert found["FR"].places["eu-west-gra"] == 5
    assert found["FR"].places["IT"] == distances.load()["FR"].places["IT"]
    assert found["eu-west-gra"].stamp.source == "our own probes, median of a week"
    assert found["FR"].stamps["DE"] == facts.FactStamp(
        "our own probes, median of a week", dt.date(2026, 10, 1), assurance=facts.Assurance.DOCUMENTED
    )
    assert "IT" not in found["FR"].stamps


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("as_of: 2026-10-01", "as_of: soon", "d.yaml:1: as_of: is not a date (write YYYY-MM-DD)"),
        ("as_of: 2026-10-01\n", "", "d.yaml:1: as_of: is required"),
        ("source: our own probes, median of a week", "source: 3", "d.yaml:2: source: is not text"),
        ("ms:", "milliseconds:", "d.yaml:3: milliseconds: is not known"),
        ("DE: 9.5", "DE: fast", "d.yaml:4: ms.FR.DE: is not a number of milliseconds (write one from 0 to 10000)"),
        ("DE: 9.5", "DE: -1", "d.yaml:4: ms.FR.DE: is not a number"),
        ("DE: 9.5", "DE: true", "d.yaml:4: ms.FR.DE: is not a number"),
        ("DE: 9.5", "DE: .nan", "d.yaml:4: ms.FR.DE: is not a finite number"),
        ("DE: 9.5", "UK: 9.5", "d.yaml:4: ms.FR.UK: UK is no country code (write GB)"),
        ("{FR: 5}", "5", "d.yaml:5: ms.eu-west-gra: is not a mapping (write {PLACE: milliseconds})"),
        ("  eu-west-gra: {FR: 5}", "  FR: {}", "d.yaml:5: ms.FR: 'FR' stands twice, first at line 4"),
    ],
)
def test_what_is_wrong_is_told_with_file_line_and_path(tmp_path: Path, old: str, new: str, problem: str) -> None:
    """A file that is half right is not used at all."""
    file = tmp_path / "d.yaml"
    assert old in HOUSE
    file.write_text(HOUSE.replace(old, new))
    with pytest.raises(yamls.YamlError, match=re.escape(problem)):
        distances.load(file)
