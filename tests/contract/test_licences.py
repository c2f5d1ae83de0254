"""What is installed to run Comity carries no copyleft licence."""

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
        if any(COPYLEFT.search(word) for word in stated) or not any(stated):
            bad[name] = stated
    assert bad == {}
