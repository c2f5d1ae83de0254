"""JobSpec to JSON and back, versions 1 to 5: compact, explicit, independent of the defaults in the code.

What equals the default *of this version* is left out, and the reader fills in the same literal: a default that
changes in the domain later does not change what was stored. A new shape gets a new number and keeps this reader.
Version 2 is version 1 with ``model``, version 3 either of them with ``egress``, version 4 any of them with
``secrets``, version 5 with ``verification``; a spec without them is still written as version 1, so that its digest
stays.
Not the document format users write (``wire``).
"""

from __future__ import annotations

import base64
import datetime as dt
import json
from typing import Any

from orchestrator.domain import facts, ids, jobs, money
from orchestrator.evidence import canonical, encoders
from orchestrator.store import codec_models

VERSION = 1
VERSION_WITH_MODEL = 2
"""A program that does not know models must not read such a spec as one that has none."""
VERSION_WITH_EGRESS = 3
"""Likewise for where a job may connect to."""
VERSION_WITH_SECRETS = 4
"""Likewise for variables that the backend fills in."""
VERSION_WITH_VERIFICATION = 5
"""Likewise for what is believed only once it was run several times."""
_LATER = (VERSION_WITH_EGRESS, VERSION_WITH_SECRETS, VERSION_WITH_VERIFICATION)
_encode = encoders.compact()
_MICROSECOND = dt.timedelta(microseconds=1)
_RETRY_ON = (jobs.RetryOn.PREEMPTED, jobs.RetryOn.BACKEND_LOST, jobs.RetryOn.EXIT_CODE)


class CodecError(ValueError):
    """Stored JSON is of a version that this code does not know, or damaged."""


def encode_spec(spec: jobs.JobSpec) -> str:
    """Return a spec as stored text. Raises ValueError for what JSON cannot hold (NaN, infinity)."""
    return _encode(spec_to_json(spec))


def decode_spec(text: str) -> jobs.JobSpec:
    """Return the spec that ``encode_spec`` wrote. Raises CodecError."""
    try:
        return spec_from_json(json.loads(text))
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise CodecError(f"a stored job spec cannot be read: {error}") from error


def spec_digest(spec: jobs.JobSpec) -> ids.Digest:
    """Return the digest under which a spec is stored and shared: that of the canonical form of this codec."""
    return canonical.digest(spec_to_json(spec))


def spec_to_json(spec: jobs.JobSpec) -> dict[str, Any]:
    """Return a spec as a JSON value; what equals the default of version 1 is absent."""
    out: dict[str, Any] = {"v": VERSION, "name": spec.name}
    if spec.command:
        out["command"] = spec.command
    if spec.image is not None:
        out["image"] = spec.image
    if spec.type is not None:
        out["type"] = spec.type.value
    if spec.env:
        out["env"] = spec.env
    if spec.workdir is not None:
        out["workdir"] = spec.workdir
    if spec.files:
        out["files"] = [(path, base64.b64encode(data).decode()) for path, data in spec.files]
    if spec.outputs:
        out["outputs"] = [(output.path, output.as_name) for output in spec.outputs]
    if spec.data is not None:
        out["data"] = _data_to_json(spec.data)
    if spec.resources is not _NO_RESOURCES and spec.resources != _NO_RESOURCES:
        out["resources"] = _resources_to_json(spec.resources)
    if spec.nodes != 1:
        out["nodes"] = spec.nodes
    if spec.array is not None:
        out["array"] = (spec.array.size, spec.array.parallel)
    if spec.sovereignty != _NO_SOVEREIGNTY:
        out["sovereignty"] = _sovereignty_to_json(spec.sovereignty)
    _rest_to_json(spec, out)
    return out


def _rest_to_json(spec: jobs.JobSpec, out: dict[str, Any]) -> None:
    if spec.tier is not None:
        out["tier"] = spec.tier
    objective = spec.objective
    if objective != _COST_ALONE:
        out["objective"] = (objective.cost, objective.carbon, objective.latency)
    if spec.latency_from is not None:
        out["latencyFrom"] = spec.latency_from
    if spec.limits != _NO_LIMITS:
        out["limits"] = _limits_to_json(spec.limits)
    if spec.queue is not None:
        out["queue"] = spec.queue
    if spec.priority is not None:
        out["priority"] = spec.priority
    if spec.retry.attempts != 1 or spec.retry.on != _RETRY_ON:
        out["retry"] = (spec.retry.attempts, [on.value for on in spec.retry.on])
    if spec.on_unreachable is not jobs.OnUnreachable.WAIT:
        out["onUnreachable"] = spec.on_unreachable.value
    if spec.on_non_compliant is not jobs.OnNonCompliant.DRAIN:
        out["onNonCompliant"] = spec.on_non_compliant.value
    if spec.labels:
        out["labels"] = spec.labels
    if spec.annotations:
        out["annotations"] = spec.annotations
    if spec.model is not None:
        out["v"] = VERSION_WITH_MODEL
        out["model"] = codec_models.to_json(spec.model)
    if spec.egress is not None:
        out["v"] = VERSION_WITH_EGRESS
        out["egress"] = (spec.egress.allow, spec.egress.dns, spec.egress.enforcement.value)
    if spec.secrets:
        out["v"] = VERSION_WITH_SECRETS
        out["secrets"] = [(one.variable, one.name, one.key) for one in spec.secrets]
    if spec.verification is not None:
        wanted = spec.verification
        out["v"] = VERSION_WITH_VERIFICATION
        distinct = sorted(one.value for one in wanted.distinct)
        apart = wanted.tolerance and (wanted.tolerance.absolute, wanted.tolerance.relative)
        out["verification"] = (wanted.replicas, wanted.quorum, distinct, wanted.spot_check, apart)


def spec_from_json(value: dict[str, Any]) -> jobs.JobSpec:
    """Return the spec of a JSON value. Raises CodecError for another version, KeyError and the like for damage."""
    version = value["v"]
    if version not in (VERSION, VERSION_WITH_MODEL, *_LATER):
        raise CodecError(f"version {version!r} of stored job specs is not known here")
    get = value.get
    data, array, retry, type_ = get("data"), get("array"), get("retry"), get("type")
    objective = get("objective", (1.0, 0.0, 0.0))
    workdir = get("workdir")
    return jobs.JobSpec(
        name=value["name"],
        command=tuple(get("command", ())),
        image=get("image"),
        type=None if type_ is None else jobs.JobType(type_),
        env=_pairs(get("env", ())),
        workdir=None if workdir is None else ids.Digest(workdir),
        files=tuple((path, base64.b64decode(text)) for path, text in get("files", ())),
        outputs=tuple(jobs.Output(path, name) for path, name in get("outputs", ())),
        data=None if data is None else _data_from_json(data),
        resources=_resources_from_json(get("resources")),
        nodes=get("nodes", 1),
        array=None if array is None else jobs.ArraySpec(array[0], array[1]),
        tier=get("tier"),
        sovereignty=_sovereignty_from_json(get("sovereignty")),
        objective=jobs.Objective(cost=objective[0], carbon=objective[1], latency=objective[2]),
        latency_from=get("latencyFrom"),
        limits=_limits_from_json(get("limits")),
        queue=get("queue"),
        priority=get("priority"),
        retry=_DEFAULT_RETRY
        if retry is None
        else jobs.Retry(attempts=retry[0], on=tuple(jobs.RetryOn(on) for on in retry[1])),
        on_unreachable=jobs.OnUnreachable(get("onUnreachable", "wait")),
        on_non_compliant=jobs.OnNonCompliant(get("onNonCompliant", "drain")),
        labels=_pairs(get("labels", ())),
        annotations=_pairs(get("annotations", ())),
        model=_model_from_json(value, version),
        egress=_egress_from_json(value, version),
        secrets=_secrets_from_json(value, version),
        verification=_verification_from_json(value["verification"]) if version == VERSION_WITH_VERIFICATION else None,
    )


def _model_from_json(value: dict[str, Any], version: int) -> jobs.ModelClause | None:
    if version == VERSION_WITH_MODEL or (version in _LATER and "model" in value):
        return codec_models.from_json(value["model"])
    return None


def _secrets_from_json(value: dict[str, Any], version: int) -> tuple[jobs.SecretUse, ...]:
    if version == VERSION_WITH_SECRETS or (version == VERSION_WITH_VERIFICATION and "secrets" in value):
        return tuple(jobs.SecretUse(*one) for one in value["secrets"])
    return ()


def _verification_from_json(value: list[Any]) -> jobs.Verification:
    replicas, quorum, distinct, spot_check, apart = value
    tolerance = None if apart is None else jobs.Tolerance(*apart)
    return jobs.Verification(replicas, quorum, frozenset(jobs.Distinct(one) for one in distinct), spot_check, tolerance)


def _egress_from_json(whole: dict[str, Any], version: int) -> jobs.Egress | None:
    if version != VERSION_WITH_EGRESS and (version not in _LATER or "egress" not in whole):
        return None
    allow, dns, enforcement = whole["egress"]
    return jobs.Egress(tuple(allow), dns is True, jobs.Enforcement(enforcement))


_NO_RESOURCES = jobs.Resources(cpu_milli=0, memory_bytes=0, accelerators=None)
_NO_SOVEREIGNTY = jobs.Sovereignty(
    countries_allow=None,
    countries_deny=(),
    exposure=jobs.Exposure(deny=(), accept_immunity=()),
    certifications=(),
    seal=(),
    sovereignty_score=None,
    tee=(),
    min_assurance=None,
)
_COST_ALONE = jobs.Objective(cost=1.0, carbon=0.0, latency=0.0)
_NO_LIMITS = jobs.Limits(price_per_hour=None, deadline=None, rtt_ms=None, start_within=None)
_DEFAULT_RETRY = jobs.Retry(attempts=1, on=_RETRY_ON)


def _pairs(value: Any) -> tuple[tuple[str, str], ...]:
    return tuple((key, text) for key, text in value)


def _data_to_json(data: jobs.DataClause) -> dict[str, Any]:
    return {
        "reads": [(use.name, use.mount_path) for use in data.reads],
        "writes": data.writes,
        "none": data.declared_none,
    }


def _data_from_json(value: dict[str, Any]) -> jobs.DataClause:
    reads = tuple(jobs.DataUse(name, path) for name, path in value["reads"])
    return jobs.DataClause(reads=reads, writes=tuple(value["writes"]), declared_none=value["none"])


def _resources_to_json(resources: jobs.Resources) -> list[Any]:
    wanted = resources.accelerators
    return [
        resources.cpu_milli,
        resources.memory_bytes,
        None if wanted is None else (wanted.any_of, wanted.count, wanted.memory_gb, wanted.interconnect),
    ]


def _resources_from_json(value: list[Any] | None) -> jobs.Resources:
    if value is None:
        return _NO_RESOURCES
    cpu, memory, wanted = value
    accelerators = None
    if wanted is not None:
        names, count, memory_gb, interconnect = wanted
        accelerators = jobs.AcceleratorRequest(tuple(names), count, memory_gb, interconnect)
    return jobs.Resources(cpu_milli=cpu, memory_bytes=memory, accelerators=accelerators)


def _sovereignty_to_json(wish: jobs.Sovereignty) -> dict[str, Any]:
    out: dict[str, Any] = {}
    if wish.countries_allow is not None:
        out["allow"] = wish.countries_allow
    if wish.countries_deny:
        out["deny"] = wish.countries_deny
    if wish.exposure.deny:
        out["exposureDeny"] = wish.exposure.deny
    if wish.exposure.accept_immunity:
        out["immunity"] = wish.exposure.accept_immunity
    if wish.certifications:
        out["certifications"] = wish.certifications
    if wish.seal:
        out["seal"] = wish.seal
    if wish.sovereignty_score is not None:
        out["score"] = wish.sovereignty_score
    if wish.tee:
        out["tee"] = wish.tee
    if wish.min_assurance is not None:
        out["assurance"] = int(wish.min_assurance)
    return out


def _sovereignty_from_json(value: dict[str, Any] | None) -> jobs.Sovereignty:
    if value is None:
        return _NO_SOVEREIGNTY
    get = value.get
    allow, assurance = get("allow"), get("assurance")
    return jobs.Sovereignty(
        countries_allow=None if allow is None else tuple(allow),
        countries_deny=tuple(get("deny", ())),
        exposure=jobs.Exposure(deny=tuple(get("exposureDeny", ())), accept_immunity=tuple(get("immunity", ()))),
        certifications=tuple(get("certifications", ())),
        seal=tuple((axis, level) for axis, level in get("seal", ())),
        sovereignty_score=get("score"),
        tee=tuple(get("tee", ())),
        min_assurance=None if assurance is None else facts.Assurance(assurance),
    )


def _limits_to_json(limits: jobs.Limits) -> list[Any]:
    price = limits.price_per_hour
    return [
        None if price is None else (price.micro, price.currency),
        None if limits.deadline is None else limits.deadline // _MICROSECOND,
        limits.rtt_ms,
        None if limits.start_within is None else limits.start_within // _MICROSECOND,
    ]


def _limits_from_json(value: list[Any] | None) -> jobs.Limits:
    if value is None:
        return _NO_LIMITS
    price, deadline, rtt_ms, start_within = value
    return jobs.Limits(
        price_per_hour=None if price is None else money.Money(price[0], price[1]),
        deadline=None if deadline is None else dt.timedelta(microseconds=deadline),
        rtt_ms=rtt_ms,
        start_within=None if start_within is None else dt.timedelta(microseconds=start_within),
    )
