"""What is installed to run Comity carries no copyleft licence."""

import json
import re
from importlib import metadata

COPYLEFT = re.compile(r"\b(A|L)?GPL|GNU|MPL|Mozilla|EUPL|CDDL|EPL\b", re.IGNORECASE)


def _runtime_distributions() -> set[str]:
    """Return the names of the distribution's own requirements and of theirs, without extras."""
    seen: set[str] = set()
    todo = ["comity"]
    while todo:
        name = todo.pop()
        if name in seen:
            continue
        seen.add(name)
        try:
            requirements = metadata.requires(name) or []
        except metadata.PackageNotFoundError:
            continue  # a requirement of another platform
        for requirement in requirements:
            spec, _, marker = requirement.partition(";")
            if "extra" in marker:
                continue
            found = re.match(r"[A-Za-z0-9._-]+", spec.strip())
            if found:
                todo.append(re.sub(r"[-_.]+", "-", found.group()).lower())
    return seen - {"comity"}


def _files(name: str, pattern: str) -> list[str]:
    found = metadata.distribution(name).files or []
    return [file.read_text() for file in found if re.search(pattern, str(file))]


def _headings(name: str) -> list[str]:
    """Return the first words of the licence files that come with a distribution: some state it nowhere else."""
    return [" ".join(text.split())[:60] for text in _files(name, r"\.dist-info/licenses/")]


def _inside(name: str) -> list[str]:
    """Return the licences of what is linked into a distribution, where its bill of materials tells."""
    found = []
    for text in _files(name, r"\.dist-info/sboms/.*\.cdx\.json$|\.dist-info/sboms/.*cyclonedx\.json$"):
        for part in json.loads(text).get("components", []):
            licences = [one.get("expression") or str(one.get("license")) for one in part.get("licenses", [])]
            # `A OR B` is ours to choose: it is free if one of them is.
            found += [word for words in licences for word in _hardest(words)]
    return found


def _hardest(expression: str) -> list[str]:
    choices = re.split(r"\s+OR\s+", expression)
    return [] if any(not COPYLEFT.search(one) for one in choices) else choices


def test_nothing_at_run_time_is_copyleft() -> None:
    """Every run-time dependency, direct or not, states a permissive licence."""
    bad = {}
    names = _runtime_distributions()
    assert {"pydantic", "sqlalchemy", "numpy"} <= names
    for name in names:
        try:
            meta = metadata.metadata(name)
        except metadata.PackageNotFoundError:
            continue
        stated = [
            meta.get("License-Expression") or "",
            *(c for c in meta.get_all("Classifier") or () if "License ::" in c),
        ]
        if not any(stated):
            stated = [(meta.get("License") or "")[:60]]
        if not any(stated):
            stated = _headings(name)
        stated += _inside(name)
        if any(COPYLEFT.search(word) for word in stated) or not any(stated):
            bad[name] = stated
    assert bad == {}
