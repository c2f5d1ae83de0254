"""Answers: what is built for JSON is what the models promise."""

from __future__ import annotations

import datetime as dt
import json
import pathlib
import sys

import pytest

from orchestrator.domain import decisions, facts, ids, jobs, money, reasons
from orchestrator.wire import api, errors, spellings
from orchestrator.wire.convert import answers
from orchestrator.wire.convert import jobs as job_conversion
from orchestrator.wire.documents import reading

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import wire_samples as samples

NOW = dt.datetime(2026, 11, 22, 10, 0, tzinfo=dt.UTC)
REASON = reasons.Reason(
    code="exposure.US",
    effect=reasons.Effect.DENY,
    basis=reasons.Basis.HOUSE,
    message="the job denies exposure to US",
    facts=(
        reasons.FactCitation(
            "operator.ultimateParentHq", "US", "report", dt.date(2026, 3, 31), None, facts.Assurance.DOCUMENTED
        ),
    ),
    remedy=reasons.Remedy(reasons.RemedyKind.CHANGE_JOB, "accept immunity", NOW, drops_constraint=True),
)


def a_job() -> jobs.Job:
    spec = job_conversion.job_spec(reading.read(samples.FULL["Job"]).model)  # type: ignore[arg-type]
    attempt = jobs.Attempt(
        number=1,
        key=ids.AttemptKey("k-1"),
        site=ids.SiteName("gra/h100"),
        phase=jobs.Phase.FAILED,
        decision=ids.Digest(samples.DIGEST_A),
        placed_at=NOW,
        started_at=NOW,
        ended_at=NOW + dt.timedelta(milliseconds=1500),
        outcome=jobs.Outcome(jobs.OutcomeKind.EXITED, exit_code=3),
        reason="ExitCode",
    )
    return jobs.Job(
        id=ids.JobId("01J"),
        tenant="hospital",
        spec=spec,
        spec_digest=ids.Digest(samples.DIGEST_B),
        submitted_at=NOW,
        submitted_by="token",
        phase=jobs.Phase.FAILED,
        attempts=(attempt,),
        conditions=(jobs.Condition("Unplaceable", False, "Placed", "", NOW),),
        array_state=jobs.ArrayState(((1, 100),), ((jobs.Phase.FAILED, 1),)),
    )


def test_a_job_answers_as_promised() -> None:
    """A job's answer is its document with id and status, and fits the published model."""
    document = json.loads(json.dumps(answers.job(a_job())))
    api.JobStatus.model_validate(document["status"])
    assert document["metadata"]["id"] == "01J"
    assert document["status"]["exitCode"] == 3
    assert document["status"]["attempts"][0]["endedAt"] == "2026-11-22T10:00:01.500000Z"
    assert document["status"]["elements"] == {"size": 100, "untouched": 99, "phases": {"FAILED": 1}}
    clean = {**document, "metadata": {"name": "first"}}
    clean.pop("status")
    assert reading.read(clean).kind == "Job"


def test_a_plan_answers_as_promised() -> None:
    """A plan holds every site with every reason, and fits the published model."""
    site = decisions.SiteAnswer(
        site=ids.SiteName("eusc/h100"),
        backend="eusc",
        allowed=False,
        reasons=(REASON,),
        scores={"cost": 1},
        price_per_hour=money.Money(2_200_000, "EUR"),
        starts_in=dt.timedelta(hours=2),
        rtt_ms=21.0,
    )
    answer = decisions.Answer(
        digest=ids.Digest(samples.DIGEST_A),
        class_digest=ids.Digest(samples.DIGEST_B),
        at=NOW,
        versions=decisions.Versions(ids.Digest("p"), ids.Digest("f"), "eval 1", (("core", "1"),), ("eu-cada",)),
        sites=(site,),
        ranking=(),
        expires=None,
        nearest_change=(reasons.Remedy(reasons.RemedyKind.WAIT, "wait"),),
    )
    document = json.loads(json.dumps(answers.plan(answer, chosen=None, notices=["no data declared"])))
    api.Plan.model_validate(document)
    assert (document["placeable"], document["chosen"]) == (False, None)
    found = document["sites"][0]
    assert (found["price"], found["startsIn"], found["rttMs"]) == ("2.20 EUR", "2h", 21.0)
    assert found["reasons"][0]["remedy"]["dropsConstraint"] is True
    assert found["reasons"][0]["facts"][0]["assurance"] == "documented"


@pytest.mark.parametrize(
    ("codes", "status", "code"),
    [
        ([errors.SYNTAX], 400, errors.SYNTAX),
        ([errors.TOO_COMPLEX], 400, errors.TOO_COMPLEX),
        ([errors.TOO_LARGE], 413, errors.TOO_LARGE),
        ([errors.INVALID, errors.UNKNOWN_FIELD], 422, errors.INVALID),
        (["job.unsupported:spec.model"], 422, "job.unsupported:spec.model"),
        (["job.unsupported:spec.model", errors.INVALID], 422, errors.INVALID),
    ],
)
def test_problems(codes: list[str], status: int, code: str) -> None:
    """Malformed is 400, too large 413, invalid 422 with all errors; a field without meaning keeps its code."""
    error = errors.InvalidDocumentError(errors.DocumentError("is wrong", "spec", code=entry) for entry in codes)
    problem = answers.invalid_document(error)
    api.Problem.model_validate(problem)
    assert (problem["status"], problem["code"], len(problem["errors"])) == (status, code, len(codes))


def test_schemas_of_answers_exist() -> None:
    """Each published answer has a schema for OpenAPI."""
    for model in api.MODELS:
        assert model.model_json_schema(by_alias=True)["properties"]


def test_resolved_shares_aliases() -> None:
    """Plain data keeps what an alias shares, so that it never grows beyond what was read."""
    shared = [spellings.Plain("1")]
    found = spellings.resolved({"a": shared, "b": shared})
    assert found == {"a": [1], "b": [1]}
    assert found["a"] is found["b"]  # type: ignore[index]
