"""The means to see a string become shell see it: each careless way to write a script is caught."""

import base64
import pathlib
import re
import shlex
from collections.abc import Callable

import pytest

from tests import shells

DATA = re.compile(r"'[A-Za-z0-9+/=]+'")
CARELESS: dict[str, Callable[[str], str]] = {
    "bare": lambda text: f"#!/bin/bash\nprintf %s {text}\n",
    "double quotes": lambda text: f'#!/bin/bash\nprintf %s "{text}"\n',
    "single quotes": lambda text: f"#!/bin/bash\nprintf %s '{text}'\n",
    "a here document": lambda text: f"#!/bin/bash\ncat <<EOF\n{text}\nEOF\n",
    "a quoted here document": lambda text: f"#!/bin/bash\ncat <<'EOF'\n{text}\nEOF\n",
    "a comment": lambda text: f"#!/bin/bash\n# {text}\ntrue\n",
    "a variable, evaluated": lambda text: f"#!/bin/bash\nx={shlex.quote(text)}\neval printf %s $x\n",
}


def careful(text: str) -> str:
    """Return a script with its parameter as data."""
    blob = base64.b64encode(text.encode()).decode()
    return f"#!/bin/bash\nx=$(printf %s '{blob}' | base64 -d)\nprintf %s \"$x\"\n"


@pytest.mark.parametrize("name", CARELESS)
def test_each_careless_way_is_caught_by_running(name: str, tmp_path: pathlib.Path) -> None:
    """Among the first hundred strings at least one makes the script call the canary or make its file."""
    for number, text in enumerate(shells.hostile(100, 1, nul=False)):
        folder = tmp_path / str(number)
        folder.mkdir()
        if shells.run(CARELESS[name](text), folder, programs=("cat", "base64")).harm:
            return
    pytest.fail(f"{name}: no harm seen")


@pytest.mark.parametrize("name", CARELESS)
def test_each_careless_way_is_caught_by_the_parser(name: str) -> None:
    """The shape of the script depends on the string."""
    shapes = {shells.shape(CARELESS[name](text), DATA) for text in shells.hostile(300, 2, nul=False)}
    assert len(shapes) > 1


def test_a_careful_script_has_one_shape_and_does_no_harm(tmp_path: pathlib.Path) -> None:
    """Neither way cries wolf; the string arrives as it was."""
    texts = [text for text in shells.hostile(300, 3, nul=False) if text]
    assert len({shells.shape(careful(text), DATA) for text in texts}) == 1
    for number, text in enumerate(texts[:20]):
        folder = tmp_path / str(number)
        folder.mkdir()
        found = shells.run(careful(text), folder, programs=("base64",))
        assert (found.harm, found.made, [call[0] for call in found.called]) == ([], (), ["base64"])


def test_directives_hidden_in_strings_are_seen() -> None:
    """sbatch reads a line that begins so as an option, whoever wrote it."""
    assert shells.directives("#!/bin/sh\n#SBATCH --time=1\n") == ["#SBATCH --time=1"]
    assert shells.directives(CARELESS["a comment"]("x\r#SBATCH -p de")) == ["#SBATCH -p de"]
    assert shells.directives(careful("\n#SBATCH -p de\n")) == []
