"""Data is sticky: what is inherited only grows, until a person takes a source off."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.domain import ids, jobs, lineages, tenants

AT = dt.datetime(2026, 11, 22, tzinfo=dt.UTC)
CONTROLLED = jobs.ExportItem("eu-dual-use", "3E001", (jobs.Licence("L1", ("CH",), (), dt.date(2027, 1, 1)),))
HEALTH = tenants.DefaultData(("health",), ("FR",))


def job(**spec: object) -> jobs.Job:
    """Return a new job of this spec."""
    made = jobs.JobSpec(name="n", **spec)  # type: ignore[arg-type]
    return jobs.Job(ids.JobId("0" * 26), "acme", made, ids.Digest("sha256:0"), AT, "tok")


def reading(*names: str, writes: tuple[str, ...] = ("out",), **spec: object) -> jobs.Job:
    """Return a job that reads and writes these data sets."""
    clause = jobs.DataClause(reads=tuple(map(jobs.DataUse, names)), writes=writes)
    return job(data=clause, **spec)


def test_what_a_job_writes_is_named_once() -> None:
    """Outputs that become data sets, and data that is written."""
    outputs = (jobs.Output("model.pt", "out"), jobs.Output("log"), jobs.Output("eval", "scores"))
    assert lineages.written(reading("in", outputs=outputs).spec) == ("out", "scores")
    assert lineages.written(job().spec) == ()


def test_what_is_read_is_brought() -> None:
    """Each data set that the job reads; nothing of the tenant's default, since the job said what it reads."""
    tenant = tenants.Tenant("acme", default_data=HEALTH)
    assert [one.source for one in lineages.brought(reading("a", "b"), tenant)] == ["a", "b"]
    assert lineages.brought(job(data=jobs.DataClause(declared_none=True)), tenant) == ()


def test_who_says_nothing_brings_the_default_data() -> None:
    """A job without a word about data is judged as reading the tenant's default data, and passes it on."""
    (one,) = lineages.brought(job(), tenants.Tenant("acme", default_data=HEALTH))
    assert (one.source, one.classes, one.subjects) == (lineages.DEFAULT_DATA, ("health",), ("FR",))
    assert lineages.brought(job(), tenants.Tenant("acme")) == ()


def test_controlled_items_of_the_model_are_brought() -> None:
    """What is written carries the items that control the model, and their licences; `none` controls nothing."""
    model = jobs.ModelClause("llama", "FR", export_control=(jobs.ExportItem("us-ear", "none"), CONTROLLED))
    (one,) = lineages.brought(job(model=model), None)
    assert (one.source, one.export_control) == ("@model:llama", (CONTROLLED,))


def test_rules_see_what_is_inherited() -> None:
    """Sources become ``derivedFrom``; default data and items become the data set's own."""
    found = [
        lineages.Inheritance("in", AT, "j1"),
        lineages.Inheritance(lineages.DEFAULT_DATA, AT, "j2", ("health",), ("FR",)),
        lineages.Inheritance(lineages.MODEL, AT, "j3", export_control=(CONTROLLED,)),
    ]
    lineage = lineages.Lineage("acme", "out").adding(found)
    data = tenants.DataSet("out", "acme", classes=("model",), derived_from=("raw",))
    seen = lineages.effective(data, lineage, tenants.DefaultData(("biometric",), ("DE",)))
    assert seen.derived_from == ("raw", "in")
    assert seen.classes == ("model", "health", "biometric")
    assert seen.subjects == ("FR", "DE")
    assert seen.export_control == (CONTROLLED,)
    assert lineages.effective(data, None) is data


def test_the_same_again_is_nothing_new() -> None:
    """A lineage that has it all is itself; the first job stays its witness; nobody inherits from itself."""
    lineage = lineages.Lineage("acme", "out").adding([lineages.Inheritance("in", AT, "j1")])
    again = [lineages.Inheritance("in", AT, "j2"), lineages.Inheritance("out", AT, "j2")]
    assert lineage.adding(again) is lineage
    assert lineage.inherits[0].job == "j1"


def test_content_of_a_source_only_grows() -> None:
    """Default data that changes between two jobs is inherited from both."""
    first, second = (lineages.Inheritance(lineages.DEFAULT_DATA, AT, "j", (name,)) for name in ("health", "omic"))
    lineage = lineages.Lineage("acme", "out").adding([first]).adding([second])
    assert lineage.inherits[0].classes == ("health", "omic")


def test_only_what_is_named_is_taken_off() -> None:
    """A declassification takes one source off and stays on record; a later job brings the source back."""
    lineage = lineages.Lineage("acme", "out").adding([lineages.Inheritance(name, AT, "j") for name in ("a", "b")])
    done = lineages.Declassification("a", "A. Martin", "no personal data left", "tok", AT)
    freed = lineage.without(done)
    assert (freed.sources(), freed.declassified) == (frozenset({"b"}), (done,))
    assert freed.adding([lineages.Inheritance("a", AT, "j2")]).sources() == {"a", "b"}


def test_sources_are_bounded() -> None:
    """Nobody grows a lineage without end."""
    new = [lineages.Inheritance(f"d{number}", AT) for number in range(lineages.INHERITS_MAX + 1)]
    with pytest.raises(lineages.TooManySourcesError):
        lineages.Lineage("acme", "out").adding(new)


NAMES = st.lists(st.sampled_from("abcde"), max_size=4)


@settings(max_examples=100, deadline=None)
@given(st.lists(NAMES, max_size=5))
def test_order_and_repetition_lose_nothing(batches: list[list[str]]) -> None:
    """Whatever jobs come in whatever order, every source that any of them read is there."""
    lineage = lineages.Lineage("acme", "out")
    for names in batches:
        before = lineage.sources()
        lineage = lineage.adding([lineages.Inheritance(name, AT) for name in names])
        assert before <= lineage.sources()
    assert lineage.sources() == {name for names in batches for name in names}
