"""Where documents take signed claims, and where they do not."""

import pytest

from orchestrator.wire import errors
from orchestrator.wire.documents import reading
from tests.unit.wire import wire_samples as samples

LONG = "x" * 1025
CLAIM = "jws:" + "a" * 3000
TAKES = [
    ("ControlPlane", "spec.facts.source"),
    ("Operator", "spec.facts.source"),
    ("Backend", "spec.facts.source"),
    ("Backend", "spec.pools.0.facts.source"),
    ("Backend", "spec.certifications.0.evidence"),
    ("Backend", "spec.pools.0.certifications.0.evidence"),
    ("Backend", "spec.evidence.0.ref"),
]
REFUSES = [("DataSet", "spec.facts.source"), ("DataSet", "spec.safeguards.0.ref")]


def problems(kind, path, value):
    with pytest.raises(errors.InvalidDocumentError) as caught:
        reading.read(samples.put(samples.FULL[kind], path, value))
    return str(caught.value)


@pytest.mark.parametrize(("kind", "path"), TAKES)
def test_a_claim_is_long_and_a_name_is_not(kind, path):
    """16 KiB for claims; what names a paper stays one short line."""
    assert reading.read(samples.put(samples.FULL[kind], path, CLAIM)).kind == kind
    assert "at most 1024" in problems(kind, path, LONG)
    assert problems(kind, path, "jws:" + "a" * 16_384)
    assert problems(kind, path, "jws:a\nb")


@pytest.mark.parametrize(("kind", "path"), REFUSES)
@pytest.mark.parametrize("word", ["jws:", "dsse:"])
def test_a_claim_where_nobody_reads_it_is_refused(kind, path, word):
    """Never accepted and ignored."""
    assert "claims are read on places and operators" in problems(kind, path, f"{word}abc")
