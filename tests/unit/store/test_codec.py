"""The codec gives back what it was given, whatever the domain can hold."""

import dataclasses
import datetime as dt
import json
import pathlib
import sys

import pytest
from hypothesis import HealthCheck, given, settings

from orchestrator.domain import decisions, jobs
from orchestrator.store import codec, codec_specs
from orchestrator.store.sql import rows

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import store_samples as samples

QUICK = settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


@QUICK
@given(samples.values(jobs.JobSpec))
def test_specs(spec: jobs.JobSpec) -> None:
    """Every field of a spec survives."""
    assert codec_specs.decode_spec(codec_specs.encode_spec(spec)) == spec


@QUICK
@given(samples.values(jobs.Job))
def test_jobs(job: jobs.Job) -> None:
    """Every field of a job survives the way through its row."""
    assert rows.job(rows.job_row(job, codec.encode_state(job)), job.spec) == job


@QUICK
@given(samples.values(decisions.Decision), samples.values(decisions.Placement))
def test_decisions(decision: decisions.Decision, placement: decisions.Placement) -> None:
    """Every field of decisions and placement records survives."""
    assert rows.decision(rows.decision_row(decision)) == decision
    assert rows.placement(rows.placement_row(placement)) == placement


def test_first_version_is_frozen() -> None:
    """What version 1 wrote for a full spec reads the same for ever, and its digest stays."""
    text = (
        '{"v":1,"name":"n","command":["a"],"data":{"reads":[["d","/m"]],"writes":["w"],"none":false},'
        '"files":[["f","AP8="]],"resources":[1,2,[["h100"],8,80,null]],"array":[3,null],"sovereignty":{"allow":[],'
        '"assurance":2},"objective":[0.5,0.25,0.0],"limits":[[1,"EUR"],2,3,null],"retry":[2,["preempted"]]}'
    )
    spec = codec_specs.decode_spec(text)
    assert spec.sovereignty.countries_allow == ()
    assert spec.files == (("f", b"\x00\xff"),)
    assert spec.limits.deadline == dt.timedelta(microseconds=2)
    assert json.loads(codec_specs.encode_spec(spec)) == json.loads(text)
    assert codec_specs.spec_digest(spec)[7:23] == "1293a95ac45c8e6a"
    assert codec_specs.encode_spec(jobs.JobSpec(name="n")) == '{"v":1,"name":"n"}'


def test_second_version_is_frozen() -> None:
    """A spec with a model says so in its version, and reads the same for ever."""
    text = (
        '{"v":2,"name":"n","model":["llama","FR",3e+24,"none",'
        '[["eu-dual-use","3E001",[["L1",["CH"],["x"],"2027-01-01"]]]]]}'
    )
    spec = codec_specs.decode_spec(text)
    assert spec.model is not None
    assert spec.model.export_control[0].licences[0].valid_to == dt.date(2027, 1, 1)
    assert json.loads(codec_specs.encode_spec(spec)) == json.loads(text)
    assert codec_specs.spec_digest(spec)[7:23] == "58211f95a87b58b7"


def test_waiting_job_has_no_state() -> None:
    """A job that just waits needs no JSON at all: a million of them are read quickly."""
    assert codec.encode_state(samples.job(1)) == ""


def test_secrets_of_the_backend_have_a_version_of_their_own():
    """A program that does not know them must not start the job without; with or without what came before."""
    spec = jobs.JobSpec(name="n", secrets=(jobs.SecretUse("TOKEN", "hub", "token"),))
    text = '{"v":4,"name":"n","secrets":[["TOKEN","hub","token"]]}'
    assert codec_specs.encode_spec(spec) == text
    assert codec_specs.decode_spec(text) == spec
    whole = jobs.JobSpec(name="n", secrets=spec.secrets, egress=jobs.Egress(), model=jobs.ModelClause(id="llama"))
    assert codec_specs.decode_spec(codec_specs.encode_spec(whole)) == whole


def test_where_a_job_may_connect_to_has_a_version_of_its_own():
    """A program that does not know such rules must not read the spec as one without; with or without a model."""
    egress = jobs.Egress(("192.0.2.0/24",), dns=True, enforcement=jobs.Enforcement.UNCHECKED)
    spec = jobs.JobSpec(name="n", egress=egress)
    text = '{"v":3,"name":"n","egress":[["192.0.2.0/24"],true,"unchecked"]}'
    assert codec_specs.encode_spec(spec) == text
    assert codec_specs.decode_spec(text) == spec
    both = jobs.JobSpec(name="n", egress=jobs.Egress(), model=jobs.ModelClause(id="llama"))
    assert codec_specs.decode_spec(codec_specs.encode_spec(both)) == both


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"v":2,"name":"x"}', '{"v":3,"name":"x"}', '{"v":1}', '{"v":1,"name":"x","array":7}']
)
def test_damaged_specs(text: str) -> None:
    """A spec that cannot be read is one clear error."""
    with pytest.raises(codec_specs.CodecError):
        codec_specs.decode_spec(text)


@pytest.mark.parametrize("text", ["[]", "{", '{"v":2}', '{"v":1,"a":[{}]}', '{"v":1,"s":["x"]}', '{"v":1,"n":"x"}'])
def test_damaged_states(text: str) -> None:
    """A state that cannot be read is one clear error."""
    with pytest.raises(codec_specs.CodecError):
        codec.decode_state(text)


def test_digest_tells_specs_apart() -> None:
    """Specs that differ in any one field have different digests."""
    spec = jobs.JobSpec(name="n")
    seen = {codec_specs.spec_digest(spec)}
    for field, value in (
        ("name", "m"), ("command", ("n",)), ("image", ""), ("type", jobs.JobType.TRAIN), ("env", (("a", "b"),)),
        ("labels", (("a", "b"),)), ("data", jobs.DataClause()), ("nodes", 2), ("tier", ""), ("queue", "q"),
        ("sovereignty", jobs.Sovereignty(countries_allow=())), ("retry", jobs.Retry(attempts=2)),
        ("model", jobs.ModelClause()), ("model", jobs.ModelClause(train_flop=1e25)),
    ):  # fmt: skip
        seen.add(codec_specs.spec_digest(dataclasses.replace(spec, **{field: value})))
    assert len(seen) == 15
