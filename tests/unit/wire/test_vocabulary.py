"""A word that no rule knows is an error with the nearest known one; a word of one's own begins with ``x-``."""

from __future__ import annotations

import pathlib
import sys
from typing import Any

import pytest

from orchestrator.wire import errors, vocabulary
from orchestrator.wire.documents import reading, schemas

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import wire_samples as samples

# kind, the field's spec with @ for the word, path of the error, a misspelt word, the nearest, whether x- is possible
WORDS: list[tuple[str, dict[str, Any], str, str, str, bool]] = [
    ("Backend", {"certifications": [{"scheme": "@"}]}, "spec.certifications[0].scheme", "HDS-v2", "hds-v2", True),
    (
        "Backend",
        {"pools": [{"name": "a", "certifications": [{"scheme": "@"}]}]},
        "spec.pools[0].certifications[0].scheme",
        "secnumcloud",
        "secnumcloud-3.2",
        True,
    ),
    ("Backend", {"evidence": [{"type": "@"}]}, "spec.evidence[0].type", "bis-license", "bis-licence", True),
    ("Backend", {"accepts": {"denyClasses": ["@"]}}, "spec.accepts.denyClasses[0]", "helth", "health", True),
    ("DataSet", {"classes": ["open", "@"]}, "spec.classes[1]", "Personal", "personal", True),
    ("DataSet", {"safeguards": [{"type": "@"}]}, "spec.safeguards[0].type", "scc", "scc-eu", True),
    (
        "DataSet",
        {"exportControl": [{"regime": "@", "item": "none"}]},
        "spec.exportControl[0].regime",
        "eu-dualuse",
        "eu-dual-use",
        True,
    ),
    ("Operator", {"transferFrameworks": ["@"]}, "spec.transferFrameworks[0]", "DPF", "dpf", True),
    ("Operator", {"earSupplement8": "@"}, "spec.earSupplement8", "Core 42", "Core42", False),
    ("Tenant", {"defaultData": {"classes": ["@"]}}, "spec.defaultData.classes[0]", "genomics", "genomic", True),
    ("Tenant", {"floor": {"tee": ["@"]}}, "spec.floor.tee[0]", "sevsnp", "sev-snp", True),
    ("Job", {"sovereignty": {"certifications": ["@"]}}, "spec.sovereignty.certifications[0]", "iso-27001", "iso27001",
     True),
    (
        "Job",
        {"sovereignty": {"exposure": {"deny": ["US"], "acceptImmunity": ["@"]}}},
        "spec.sovereignty.exposure.acceptImmunity[0]",
        "secnumcloud-3.1",
        "secnumcloud-3.2",
        True,
    ),
    ("Job", {"sovereignty": {"tee": ["@"]}}, "spec.sovereignty.tee[0]", "TDX", "tdx", True),
    ("Job", {"model": {"aiAct": "@"}}, "spec.model.aiAct", "highrisk", "high-risk", False),
]  # fmt: skip
IDS = [path for _, _, path, *_ in WORDS]


def _filled(value: Any, word: str) -> Any:
    if isinstance(value, dict):
        return {key: _filled(member, word) for key, member in value.items()}
    if isinstance(value, list):
        return [_filled(member, word) for member in value]
    return word if value == "@" else value


def _problems(kind: str, spec: dict[str, Any], word: str) -> list[errors.DocumentError]:
    """Return what is wrong with a document that says ``word``, but for what is not built yet."""
    required: dict[str, dict[str, Any]] = {"Backend": {"adapter": "local"}, "Job": {"command": ["true"]}}
    needed = required.get(kind, {})
    document = {"apiVersion": samples.API, "kind": kind, "metadata": {"name": "a"}}
    try:
        reading.read({**document, "spec": {**needed, **_filled(spec, word)}})
    except errors.InvalidDocumentError as caught:
        return [one for one in caught.errors if "unsupported" not in one.code]
    return []


@pytest.mark.parametrize(("kind", "spec", "path", "word", "nearest", "own"), WORDS, ids=IDS)
def test_an_unknown_word_names_the_nearest(
    kind: str, spec: dict[str, Any], path: str, word: str, nearest: str, own: bool
) -> None:
    """A misspelt word is refused at its place with what was meant, which itself is taken."""
    (problem,) = _problems(kind, spec, word)
    assert (problem.path, problem.remedy) == (path, f"did you mean {nearest}?")
    assert _problems(kind, spec, nearest) == []
    assert bool(_problems(kind, spec, "x-mine")) is not own
    assert _problems(kind, spec, "x-") != []


@pytest.mark.parametrize(
    ("kind", "spec", "good", "bad"),
    [
        ("Backend", {"accepts": {"tenantCountries": ["@"]}}, ("FR", "EU", "EEA"), ("UK", "EAA", "A5", "fr")),
        (
            "DataSet",
            {"exportControl": [{"regime": "us-ear", "item": "x", "licences": [{"destinations": ["@"]}]}]},
            ("NO", "CH"),
            ("EEA", "EU", "UK", "A5"),
        ),
    ],
)
def test_sets_stand_only_where_they_are_resolved(
    kind: str, spec: dict[str, Any], good: tuple[str, ...], bad: tuple[str, ...]
) -> None:
    """A host's terms know two sets, a licence names countries: any other name would never match, and is an error."""
    assert [word for word in good if _problems(kind, spec, word)] == []
    assert [word for word in bad if not _problems(kind, spec, word)] == []


def test_a_word_like_no_other_is_told_all_known_ones() -> None:
    """Where nothing is near, the known words are listed."""
    (problem,) = _problems("DataSet", {"classes": ["@"]}, "zzzzzzzz")
    assert problem.remedy.startswith("known: personal, health,")
    assert problem.remedy.endswith("and your own as x-NAME")


def test_every_known_word_is_taken() -> None:
    """The pattern that the schema shows admits every word of its list."""
    assert _problems("DataSet", {"classes": list(vocabulary.DATA_CLASSES)}, "") == []
    assert _problems("Operator", {"transferFrameworks": list(vocabulary.FRAMEWORKS)}, "") == []
    wish = {"certifications": list(vocabulary.SCHEMES), "tee": list(vocabulary.ENCLAVES)}
    assert _problems("Job", {"sovereignty": wish}, "") == []
    assert _problems("DataSet", {"safeguards": [{"type": word} for word in vocabulary.SAFEGUARDS]}, "") == []
    assert _problems("Backend", {"evidence": [{"type": word} for word in vocabulary.EVIDENCE]}, "") == []
    items = [{"regime": word, "item": "none"} for word in vocabulary.REGIMES]
    assert _problems("DataSet", {"exportControl": items}, "") == []
    for word in vocabulary.AI_ACT:
        assert _problems("Job", {"model": {"aiAct": word}}, "") == []
    for word in vocabulary.SUPPLEMENT_8:
        assert _problems("Operator", {"earSupplement8": word}, "") == []


def test_the_schema_lists_the_words() -> None:
    """Whoever writes with the schema at hand sees which words there are."""
    text = str(schemas.json_schema("DataSet"))
    assert all(word in text for word in (*vocabulary.DATA_CLASSES, *vocabulary.SAFEGUARDS, *vocabulary.REGIMES))


@pytest.mark.parametrize(("lei", "problems"), [(samples.LEI, 0), (samples.LEI[:-1] + "9", 1), ("969500", 1)])
def test_an_identifier_of_a_legal_entity_has_check_digits(lei: str, problems: int) -> None:
    """An identifier of ISO 17442 with one wrong sign is refused."""
    assert len(_problems("Operator", {"lei": "@"}, lei)) == problems
