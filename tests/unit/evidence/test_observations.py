"""What was seen of an attempt, held against the journal's entry of its end."""

import copy
import dataclasses

import pytest

from orchestrator.domain import executions, facts, ids
from orchestrator.evidence import bindings, bundles, observations, statements

NODE = executions.Whereabouts(0, "n1", None, "FR", "label", facts.Assurance.DECLARED)
SEEN = executions.Execution(
    nodes=(NODE,),
    adapter=executions.Adapter("comity", "1", ids.Digest("sha256:" + "1" * 64)),
    outputs=(executions.OutputFile("a", 1, None),),
)


def _opened(found=SEEN):
    return {
        path: {"observed": True, "source": "x", "value": value} for path, value in observations.values(found).items()
    }


def _entry(digest):
    body = {"attempt": 1, "execution": digest}
    link = ids.Digest("sha256:" + "2" * 64)
    entry = {"at": "t", "body": body, "kind": "job.ended", "subject": "job/j", "actor": "a", "tenant": ""}
    fields = {one.name for one in dataclasses.fields(bundles.Shown)}
    known = {"seq": 7, "link": link, "entry": entry, "proof": ()}
    return bundles.Shown(**{name: known[name] for name in fields if name in known})


def _statement():
    return statements.Statement(statements.EXECUTION, {}, {"job": "j", "attempt": 1, "commitments": {}})


def test_what_was_seen_is_what_the_end_says():
    """The digest of what is opened is the one that the journal holds."""
    entry = _entry(observations.fingerprint(SEEN))
    assert bindings.unlike(_statement(), _opened(), [entry]) == []


@pytest.mark.parametrize(
    ("path", "change"),
    [
        ("node", lambda value: value[0].update(country="DE")),
        ("node", lambda value: value[0].update(node="n2")),
        ("adapterVersion", lambda value: value.update(version="2")),
        ("outputDigests", lambda value: value.clear()),
    ],
)
def test_another_value_than_at_the_end_is_named(path, change):
    """One changed word of node, adapter or files disagrees with the entry."""
    opened = copy.deepcopy(_opened())
    change(opened[path]["value"])
    (wrong,) = bindings.unlike(_statement(), opened, [_entry(observations.fingerprint(SEEN))])
    assert "entry 7" in wrong


def test_a_value_that_is_taken_back_altogether_is_named():
    """To say that nothing was seen is another value too."""
    opened = _opened() | {"node": {"observed": False, "source": None, "value": None}}
    assert bindings.unlike(_statement(), opened, [_entry(observations.fingerprint(SEEN))])


def test_what_is_kept_back_is_not_held_against_anybody():
    """Where one of the values is not opened, its commitment is all there is."""
    opened = {path: value for path, value in _opened().items() if path != "node"}
    assert bindings.unlike(_statement(), opened, [_entry(observations.fingerprint(SEEN))]) == []


def test_nothing_seen_has_no_digest():
    """An attempt of which nobody saw anything leaves its entry as it always was."""
    assert observations.fingerprint(executions.NOTHING) is None
