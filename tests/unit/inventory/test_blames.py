"""Dated facts of who answered for a wrong result, in the status of operators."""

import dataclasses
import datetime as dt
import json

from orchestrator.domain import ids, sites
from orchestrator.inventory import blames
from orchestrator.ports import stores
from orchestrator.store import memory
from orchestrator.testing import fakes

BLAME = sites.Blame("J", "J[1]", ids.SiteName("a/p"), "differs", fakes.START, ids.NO_DIGEST)


def a_store(status="{}"):
    store = memory.MemoryStore(fakes.VirtualClock())
    store.commit(stores.Changes(documents=[stores.Document("Operator", "alder", "", "{}", 0, status)]))
    return store


def put(store, *found):
    made = blames.documents([("alder", one) for one in found], store)
    if made:
        store.commit(stores.Changes(documents=made))
    return len(made)


def read(store):
    status = json.loads(store.document("Operator", "alder").status)
    return blames.of_statuses({("Operator", "alder"): status}).get("alder", ())


def test_what_is_written_is_read():
    """Beside whatever else stands there."""
    store = a_store('{"answers": {"x": 1}}')
    assert put(store, BLAME) == 1
    assert read(store) == (BLAME,)
    assert json.loads(store.document("Operator", "alder").status)["answers"] == {"x": 1}


def test_one_run_is_blamed_once():
    """Judged again with more results, by another receipt: the first fact stays."""
    store = a_store()
    put(store, BLAME)
    assert put(store, dataclasses.replace(BLAME, receipt=ids.Digest("sha256:" + "1" * 64))) == 0
    assert put(store, dataclasses.replace(BLAME, run="J[2]")) == 1
    assert [one.run for one in read(store)] == ["J[1]", "J[2]"]


def test_the_oldest_go_where_there_are_too_many():
    """What is kept is bounded, and is the newest."""
    store = a_store()
    many = [dataclasses.replace(BLAME, job=f"J{number}") for number in range(blames.BLAMES_MAX + 5)]
    put(store, *many)
    assert read(store) == tuple(many[5:])


def test_an_operator_that_was_withdrawn_is_left_alone():
    """Nobody is left to answer."""
    assert blames.documents([("birch", BLAME)], a_store()) == []


def test_damage_is_a_blame_without_an_end():
    """Nobody knows what it said: a rule that asks for none, or for none lately, refuses."""
    for status in ({"blames": "x"}, {"blames": [{}]}, {"blames": [{"job": "J"}]}, {"blames": {"a": 1}}):
        (found,) = blames.of_statuses({("Operator", "alder"): status})["alder"]
        assert found.at.year == dt.MAXYEAR
    assert blames.of_statuses({("Operator", "alder"): {"blames": []}, ("Backend", "b"): {"blames": "x"}}) == {}
