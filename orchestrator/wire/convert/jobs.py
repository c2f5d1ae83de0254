"""Kind Job, both ways: a checked document to a :class:`~orchestrator.domain.jobs.JobSpec`, and back.

Back means: the shortest document that means the same. ``job_spec(read(job_spec_document(spec))) == spec``.
"""

from __future__ import annotations

import base64
from typing import Any

from orchestrator.domain import ids, jobs
from orchestrator.wire import fields, quantities
from orchestrator.wire.convert import exports, sovereignties
from orchestrator.wire.documents import jobs as documents

_DEFAULT = jobs.JobSpec(name="")
_RESOURCES, _LIMITS, _OBJECTIVE, _RETRY = jobs.Resources(), jobs.Limits(), jobs.Objective(), jobs.Retry()
_WAIT, _DRAIN = jobs.OnUnreachable.WAIT, jobs.OnNonCompliant.DRAIN


class UnresolvedError(Exception):
    """A source that only a client can resolve reached a conversion: the caller read a file as if it were resolved."""


def job_spec(document: documents.Job) -> jobs.JobSpec:
    """Return what the document asks for. Read it in the API flavour first: sources must be resolved.

    Raises :class:`UnresolvedError` for ``fromFile``, ``fromDir`` and ``fromEnv``.
    """
    spec = document.spec
    return jobs.JobSpec(
        name=document.metadata.name,
        command=tuple(spec.command or ()),
        image=spec.image,
        type=None if spec.type is None else jobs.JobType(spec.type),
        env=tuple((name, _variable(name, value)) for name, value in spec.env.items() if not _secret(value)),
        workdir=_workdir(spec.workdir),
        files=tuple((path, _content(path, source)) for path, source in spec.files.items()),
        outputs=tuple(jobs.Output(path=output.path, as_name=output.as_) for output in spec.outputs),
        data=_data(spec.data),
        resources=_resources(spec.resources),
        nodes=1 if spec.nodes is None else spec.nodes,
        array=None if spec.array is None else jobs.ArraySpec(size=spec.array.size, parallel=spec.array.parallel),
        tier=spec.tier,
        sovereignty=sovereignties.sovereignty(spec.sovereignty),
        objective=_objective(spec.objective),
        latency_from=spec.latency_from,
        limits=_limits(spec.limits),
        queue=spec.queue,
        priority=spec.priority,
        retry=_retry(spec.retry),
        on_unreachable=jobs.OnUnreachable(spec.on_unreachable) if spec.on_unreachable else _WAIT,
        on_non_compliant=jobs.OnNonCompliant(spec.on_non_compliant) if spec.on_non_compliant else _DRAIN,
        labels=tuple(document.metadata.labels.items()),
        annotations=tuple(document.metadata.annotations.items()),
        model=_model(spec.model),
        egress=None if spec.network is None else _egress(spec.network.egress),
        secrets=tuple(
            jobs.SecretUse(name, found.name, found.key)
            for name, value in spec.env.items()
            if (found := _secret(value)) is not None
        ),
        verification=None if spec.verification is None else _verification(spec.verification),
    )


def _verification(written: documents.Verification) -> jobs.Verification:
    return jobs.Verification(
        replicas=written.replicas,
        quorum=written.replicas // 2 + 1 if written.quorum is None else written.quorum,
        distinct=frozenset(jobs.Distinct(word) for word in written.distinct),
        spot_check=written.spot_check or 0.0,
        tolerance=None
        if written.tolerance is None
        else jobs.Tolerance(written.tolerance.absolute or 0.0, written.tolerance.relative or 0.0),
    )


def _variable(name: str, value: str | documents.EnvSource) -> str:
    if isinstance(value, str):
        return value
    raise UnresolvedError(f"spec.env.{name}")


def _secret(value: str | documents.EnvSource) -> documents.SecretRef | None:
    return None if isinstance(value, str) else value.from_secret


def _content(path: str, source: documents.FileSource) -> bytes:
    if source.content is None:
        raise UnresolvedError(f"spec.files: {path}")
    return source.content


def _workdir(written: documents.Workdir | None) -> ids.Digest | None:
    if written is None:
        return None
    if written.digest is None:
        raise UnresolvedError("spec.workdir")
    return ids.Digest(written.digest)


def _data(written: str | documents.Data | None) -> jobs.DataClause | None:
    if written is None:
        return None
    if isinstance(written, str):
        return jobs.DataClause(declared_none=True)
    return jobs.DataClause(
        reads=tuple(jobs.DataUse(name=read.name, mount_path=read.mount_path) for read in written.reads),
        writes=tuple(written.writes),
    )


def _resources(written: documents.Resources | None) -> jobs.Resources:
    if written is None:
        return _RESOURCES
    return jobs.Resources(
        cpu_milli=written.cpus or 0,
        memory_bytes=written.memory or 0,
        accelerators=None if written.accelerators is None else _accelerators(written.accelerators),
    )


def _accelerators(written: documents.Accelerators) -> jobs.AcceleratorRequest:
    """Return the request; a count in an alias (``h100:8``) is the count, names stay as written."""
    parts = [quantities.split_accelerator(name) for name in written.any_of]
    counts = [count for _, count in parts if count is not None]
    return jobs.AcceleratorRequest(
        any_of=tuple(name for name, _ in parts),
        count=written.count or (counts[0] if counts else 1),
        memory_gb=written.memory,
        interconnect=written.interconnect,
    )


def _objective(written: documents.Objective | None) -> jobs.Objective:
    """Return the weights. Cost alone is the default; whoever names another weight means those that are named."""
    if written is None or (written.cost is None and written.carbon is None and written.latency is None):
        return _OBJECTIVE
    return jobs.Objective(cost=written.cost or 0.0, carbon=written.carbon or 0.0, latency=written.latency or 0.0)


def _limits(written: documents.Limits | None) -> jobs.Limits:
    if written is None:
        return _LIMITS
    return jobs.Limits(
        price_per_hour=written.price_per_hour,
        deadline=written.deadline,
        rtt_ms=written.rtt_ms,
        start_within=written.start_within,
    )


def _retry(written: documents.Retry | None) -> jobs.Retry:
    if written is None:
        return _RETRY
    return jobs.Retry(
        attempts=_RETRY.attempts if written.attempts is None else written.attempts,
        on=_RETRY.on if written.on is None else tuple(jobs.RetryOn(word) for word in written.on),
    )


def _egress(written: documents.Egress) -> jobs.Egress:
    level = jobs.Enforcement(written.enforcement) if written.enforcement else jobs.Enforcement.DECLARED
    return jobs.Egress(tuple(written.allow), written.dns is True, level)


def _model(written: documents.ModelUse | None) -> jobs.ModelClause | None:
    if written is None:
        return None
    return jobs.ModelClause(
        id=written.id,
        controller_country=written.controller.country if written.controller else None,
        train_flop=written.train_flop,
        ai_act=written.ai_act,
        export_control=exports.items(written.export_control),
    )


def job_spec_document(spec: jobs.JobSpec) -> dict[str, Any]:
    """Return ``{apiVersion, kind, metadata, spec}``; defaults are left out."""
    metadata: dict[str, Any] = {"name": spec.name}
    if spec.labels:
        metadata["labels"] = dict(spec.labels)
    if spec.annotations:
        metadata["annotations"] = dict(spec.annotations)
    return {"apiVersion": fields.API_VERSION, "kind": "Job", "metadata": metadata, "spec": _spec_document(spec)}


def _spec_document(spec: jobs.JobSpec) -> dict[str, Any]:
    default = _DEFAULT
    found: dict[str, Any] = {
        "type": spec.type and spec.type.value,
        "image": spec.image,
        "command": list(spec.command) or None,
        "env": {
            **dict(spec.env),
            **{one.variable: {"fromSecret": {"name": one.name, "key": one.key}} for one in spec.secrets},
        }
        or None,
        "workdir": spec.workdir and {"digest": spec.workdir},
        "files": {path: {"content": base64.b64encode(content).decode()} for path, content in spec.files} or None,
        "outputs": [_present(path=output.path, **{"as": output.as_name}) for output in spec.outputs] or None,
        "data": _data_document(spec.data),
        "resources": None if spec.resources is _RESOURCES else _resources_document(spec.resources) or None,
        "network": None if spec.egress is None else {"egress": _egress_document(spec.egress)},
        "nodes": None if spec.nodes == 1 else spec.nodes,
        "array": spec.array and _present(size=spec.array.size, parallel=spec.array.parallel),
        "tier": spec.tier,
        "sovereignty": sovereignties.document(spec.sovereignty) or None,
        "model": None if spec.model is None else _model_document(spec.model),
        "objective": None if spec.objective == default.objective else _objective_document(spec.objective),
        "latencyFrom": spec.latency_from,
        "limits": None if spec.limits is _LIMITS else _limits_document(spec.limits) or None,
        "queue": spec.queue,
        "priority": spec.priority,
        "retry": None if spec.retry == default.retry else _retry_document(spec.retry),
        "onUnreachable": None if spec.on_unreachable is default.on_unreachable else spec.on_unreachable.value,
        "verification": None if spec.verification is None else _verification_document(spec.verification),
        "onNonCompliant": None if spec.on_non_compliant is default.on_non_compliant else spec.on_non_compliant.value,
    }
    return {key: value for key, value in found.items() if value is not None}


def _verification_document(wanted: jobs.Verification) -> dict[str, Any]:
    return _present(
        replicas=wanted.replicas,
        quorum=None if wanted.quorum == wanted.replicas // 2 + 1 else wanted.quorum,
        distinct=sorted(field.value for field in wanted.distinct) or None,
        spotCheck=wanted.spot_check or None,
        compare=None if wanted.tolerance is None else "tolerance",
        tolerance=wanted.tolerance
        and _present(absolute=wanted.tolerance.absolute or None, relative=wanted.tolerance.relative or None),
    )


def _present(**members: Any) -> dict[str, Any]:
    return {key: value for key, value in members.items() if value is not None}


def _data_document(clause: jobs.DataClause | None) -> str | dict[str, Any] | None:
    if clause is None:
        return None
    if clause.declared_none:
        return "none"
    found: dict[str, Any] = {}
    if clause.reads:
        found["reads"] = [_present(name=use.name, mountPath=use.mount_path) for use in clause.reads]
    if clause.writes:
        found["writes"] = list(clause.writes)
    return found


def _egress_document(egress: jobs.Egress) -> dict[str, Any]:
    vouched = egress.enforcement is jobs.Enforcement.DECLARED
    return {
        "allow": list(egress.allow),
        **({"dns": True} if egress.dns else {}),
        **({} if vouched else {"enforcement": egress.enforcement.value}),
    }


def _model_document(model: jobs.ModelClause) -> dict[str, Any]:
    controller = None if model.controller_country is None else {"country": model.controller_country}
    return _present(
        id=model.id,
        controller=controller,
        trainFlop=model.train_flop,
        aiAct=model.ai_act,
        exportControl=exports.document(model.export_control) or None,
    )


def _resources_document(resources: jobs.Resources) -> dict[str, Any]:
    request = resources.accelerators
    return _present(
        cpus=quantities.format_cpus(resources.cpu_milli) if resources.cpu_milli else None,
        memory=quantities.format_memory(resources.memory_bytes) if resources.memory_bytes else None,
        accelerators=request
        and _present(
            anyOf=list(request.any_of),
            count=request.count,
            memory=None if request.memory_gb is None else quantities.format_accelerator_memory(request.memory_gb),
            interconnect=request.interconnect,
        ),
    )


def _objective_document(objective: jobs.Objective) -> dict[str, Any]:
    return {"cost": objective.cost, "carbon": objective.carbon, "latency": objective.latency}


def _limits_document(limits: jobs.Limits) -> dict[str, Any]:
    price, deadline, start = limits.price_per_hour, limits.deadline, limits.start_within
    return _present(
        pricePerHour=None if price is None else quantities.format_money(price),
        deadline=None if deadline is None else quantities.format_duration(deadline),
        rttMs=limits.rtt_ms,
        startWithin=None if start is None else quantities.format_duration(start),
    )


def _retry_document(retry: jobs.Retry) -> dict[str, Any]:
    return {"attempts": retry.attempts, "on": [outcome.value for outcome in retry.on]}
