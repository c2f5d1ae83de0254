"""The language against its authors' implementation: what that refuses we refuse; what we make is the same bytes."""

import fcntl
import json
import os
import pathlib
import shutil
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

from backends.akash.sdl import documents, outcomes
from tests.e2e import rays
from tests.unit.backends.akash import sdl_samples

PACKAGE, VERSION = "@akashnetwork/chain-sdk", "1.0.0-alpha.25"
INSTALL_S = 900
DOCUMENTS = 300
PROGRAM = """
const sdk = require("@akashnetwork/chain-sdk");
const fs = require("fs");
(async () => {
  for (const line of fs.readFileSync(0, "utf8").split("\\n").filter(Boolean)) {
    const document = JSON.parse(line);
    let said = {};
    try {
      said.problems = sdk.validateSDL(document, "mainnet") ?? null;
      const made = sdk.generateManifest(document, "mainnet");
      if (made.ok) {
        said.manifest = sdk.manifestToSortedJSON(made.value.groups);
        said.version = Buffer.from(await sdk.generateManifestVersion(made.value.groups)).toString("hex");
      } else {
        said.problems = said.problems ?? ["not ok"];
      }
    } catch (error) {
      said.problems = said.problems ?? [String(error)];
    }
    console.log(JSON.stringify(said));
  }
})();
"""


def installed() -> pathlib.Path:
    """Return the folder with the package, made where it is not there; skip, or fail where it is required."""
    folder = rays.cache().with_name(f"akash-sdk-{VERSION}")
    done = folder / "done-1"
    try:
        if shutil.which("node") is None or shutil.which("npm") is None:
            raise OSError("there is no node, or no npm")
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not done.exists():
                command = ["nice", "npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--no-save"]
                subprocess.run(
                    [*command, "--prefix", str(folder), f"{PACKAGE}@{VERSION}"],
                    check=True,
                    capture_output=True,
                    text=True,
                    timeout=INSTALL_S,
                )
                done.touch()
    except (OSError, subprocess.SubprocessError) as error:
        said = (getattr(error, "stderr", None) or str(error)).strip().splitlines()
        text = f"{PACKAGE} {VERSION} is missing and cannot be installed: {said[-1] if said else error}"
        if os.environ.get("COMITY_E2E") == "required":
            pytest.fail(text)
        pytest.skip(text)
    return folder


@pytest.fixture(scope="module")
def theirs() -> Callable[[list[dict[str, Any]]], list[dict[str, Any]]]:
    """Ask the authors' implementation about documents."""
    folder = installed()

    def ask(asked: list[dict[str, Any]]) -> list[dict[str, Any]]:
        program = folder / "ask.cjs"
        program.write_text(PROGRAM)
        lines = "".join(json.dumps(document) + "\n" for document in asked)
        ran = subprocess.run(
            ["node", str(program)], input=lines, capture_output=True, text=True, timeout=300, check=True, cwd=folder
        )
        return [json.loads(line) for line in ran.stdout.splitlines()]

    return ask


def test_random_documents_become_the_same_bytes(theirs: Callable[[list[dict[str, Any]]], list[dict[str, Any]]]) -> None:
    """Manifest and version, of nearly all."""
    drawn = [sdl_samples.drawn(seed) for seed in range(DOCUMENTS)]
    taken = 0
    for document, said in zip(drawn, theirs(drawn), strict=True):
        try:
            _, manifest = outcomes.made(documents.read(document))
        except ValueError:
            manifest = None
        if manifest is None:  # they let one port of one address stand for two services; their Go does not
            continue
        assert said["problems"] is None, (said, document)
        assert json.loads(said["manifest"]) == manifest, document
        assert said["version"] == outcomes.version(manifest), document
        taken += 1
    assert taken > DOCUMENTS * 0.9


def test_whatever_they_refuse_we_refuse(theirs: Callable[[list[dict[str, Any]]], list[dict[str, Any]]]) -> None:
    """Each part of a document taken out, emptied, or replaced by something of another kind."""
    asked = [one for seed in (1, 2, 3) for one in spoilt(sdl_samples.drawn(seed))]
    bad = 0
    for document, said in zip(asked, theirs(asked), strict=True):
        if said["problems"] is None:
            continue
        bad += 1
        with pytest.raises((ValueError, TypeError)):
            outcomes.made(documents.read(document))
    assert bad > 100


def spoilt(document: dict[str, Any]) -> list[dict[str, Any]]:
    """Return documents in each of which one part is wrong."""
    found = []
    for path in paths(document):
        for value in (None, "", -1, [], {"unknown": 1}):
            made = json.loads(json.dumps(document))
            inner = made
            for part in path[:-1]:
                inner = inner[part]
            if value is None:
                del inner[path[-1]]
            else:
                inner[path[-1]] = value
            found.append(made)
    return found


def paths(inside: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the path of every part."""
    parts = inside.items() if isinstance(inside, dict) else enumerate(inside) if isinstance(inside, list) else ()
    return [one for key, part in parts for one in ((*path, key), *paths(part, (*path, key)))]
