"""The official vectors of Akash's language, where they are: ``COMITY_AKASH_SPEC_DIR`` names their folder."""

import json
import os
import pathlib

import pytest
import yaml

from backends.akash.sdl import documents, outcomes

WHY = "COMITY_AKASH_SPEC_DIR names no folder with the published files of Akash (sdl/input, sdl/output-fixtures)"


@pytest.fixture(scope="module")
def folder() -> pathlib.Path:
    """Return the folder with the vectors."""
    given = os.environ.get("COMITY_AKASH_SPEC_DIR", "")
    if not given or not (pathlib.Path(given) / "sdl" / "input").is_dir():
        pytest.skip(WHY)
    return pathlib.Path(given) / "sdl"


def test_what_is_valid_becomes_what_it_must(folder: pathlib.Path) -> None:
    """Groups and manifest of each valid vector, value for value."""
    inputs = sorted((folder / "input").glob("v2.*/*/input.yaml"))
    assert inputs
    for path in inputs:
        wanted = folder / "output-fixtures" / path.parent.relative_to(folder / "input")
        groups, manifest = outcomes.made(documents.read(yaml.safe_load(path.read_text())))
        assert groups == json.loads((wanted / "group-specs.json").read_text()), path
        assert manifest == json.loads((wanted / "manifest.json").read_text()), path


def test_what_is_invalid_is_refused(folder: pathlib.Path) -> None:
    """Each with a reason; also what the reference implementation lets through and its schema does not."""
    inputs = sorted((folder / "input").glob("*invalid/*.yaml"))
    assert inputs
    for path in inputs:
        with pytest.raises(ValueError, match=r"\w+ \w+"):
            outcomes.made(documents.read(yaml.safe_load(path.read_text())))
