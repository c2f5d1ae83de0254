"""Does what a job names exist, and may this one name it? One answer for submit and plan; every problem at once."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.domain import jobs, tenants
from orchestrator.inventory import worlds
from orchestrator.service import access, problems
from orchestrator.wire import errors

NO_DATA_DECLARED = "no data declared: judged as public"


def check(who: access.Principal, spec: jobs.JobSpec, world: worlds.World) -> None:
    """Refuse a job that names what is not there; raises ServiceError ``document.invalid`` with all of it."""
    tenant = world.tenants.get(who.tenant)
    found = [*_queue(who, spec, world), *_tier(spec, tenant), *_data(who, spec, world), *_accelerators(spec, world)]
    if found:
        raise problems.invalid(found)
    _may_declare_none(who, spec, tenant)


def notices(who: access.Principal, spec: jobs.JobSpec, world: worlds.World) -> tuple[str, ...]:
    """Return what a person should hear about a job that is accepted all the same."""
    tenant = world.tenants.get(who.tenant)
    if spec.data is None and (tenant is None or tenant.default_data is None):
        return (NO_DATA_DECLARED,)
    return ()


def _queue(who: access.Principal, spec: jobs.JobSpec, world: worlds.World) -> Iterator[errors.DocumentError]:
    if spec.queue is None:
        if spec.priority not in (None, "normal"):
            yield _unknown("spec.priority", "priority", str(spec.priority), "a job without a queue has only `normal`")
        return
    queue = world.queue(who.tenant, spec.queue)
    if queue is None:
        yield _unknown("spec.queue", "queue", spec.queue, "apply the Queue first, or leave the field out")
    elif spec.priority not in (None, "normal") and spec.priority not in dict(queue.priorities):
        known = ", ".join(name for name, _ in queue.priorities) or "none but normal"
        yield _unknown("spec.priority", "priority", str(spec.priority), f"queue {spec.queue} has: {known}")


def _tier(spec: jobs.JobSpec, tenant: tenants.Tenant | None) -> Iterator[errors.DocumentError]:
    if spec.tier is None:
        return
    known = dict(tenant.tiers) if tenant else {}
    if spec.tier not in known:
        yield _unknown("spec.tier", "tier", spec.tier, f"the tenant defines: {', '.join(known) or 'none'}")


def _data(who: access.Principal, spec: jobs.JobSpec, world: worlds.World) -> Iterator[errors.DocumentError]:
    named: list[tuple[str, str]] = []
    if spec.data is not None:
        named += [(f"spec.data.reads[{i}].name", use.name) for i, use in enumerate(spec.data.reads)]
        named += [(f"spec.data.writes[{i}]", name) for i, name in enumerate(spec.data.writes)]
    named += [(f"spec.outputs[{i}].as", out.as_name) for i, out in enumerate(spec.outputs) if out.as_name is not None]
    known = world.data_of(who.tenant)
    for path, name in named:
        if name not in known:
            yield _unknown(path, "data", name, "apply the DataSet first")


def _accelerators(spec: jobs.JobSpec, world: worlds.World) -> Iterator[errors.DocumentError]:
    wanted = spec.resources.accelerators
    for index, name in enumerate(wanted.any_of if wanted is not None else ()):
        if not world.knows_accelerator(name):
            yield unknown_accelerator(f"spec.resources.accelerators.anyOf[{index}]", name, world)


def unknown_accelerator(path: str, name: str, world: worlds.World) -> errors.DocumentError:
    """Return the error of a name that no catalogue has."""
    meant = world.catalogue.nearest(name)
    remedy = f"did you mean {meant}?" if meant else "names are slugs such as nvidia-h100-sxm, or aliases such as H100"
    return _unknown(path, "accelerator", name, remedy)


def _may_declare_none(who: access.Principal, spec: jobs.JobSpec, tenant: tenants.Tenant | None) -> None:
    if spec.data is None or not spec.data.declared_none or tenant is None or tenant.may_declare_no_data is None:
        return
    if not who.is_admin and not who.roles & frozenset(tenant.may_declare_no_data):
        words = ", ".join(tenant.may_declare_no_data) or "nobody"
        raise problems.ServiceError(
            problems.Kind.FORBIDDEN,
            "data.none-not-allowed",
            f"only these roles of tenant {tenant.name} may say `data: none`: {words}; leave the field out "
            "to be judged with the tenant's default data",
        )


def _unknown(path: str, what: str, name: str, remedy: str) -> errors.DocumentError:
    return errors.DocumentError(f"{name!r} is not known", path, remedy, f"{what}.unknown:{name}")
