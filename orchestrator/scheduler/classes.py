"""Classes: jobs that every question answers alike, so that each question is asked once.

A :class:`Kind` is what a spec says that any question reads; it depends on nothing else, so a queue can be kept by
kind. A :class:`JobClass` is a kind in a world (tenant's floor, data sets, control plane, catalogue): what policy and
placement read. When a document changes, kinds are classified again, not jobs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from orchestrator.domain import decisions, facts, ids, jobs, offers
from orchestrator.placement import contents, requirements
from orchestrator.policy import attributes, constraints, conversions
from orchestrator.scheduler import worlds

KINDS_MAX = 65_536
"""Kinds remembered in one world."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A tenant and the part of a spec that questions read; the rest is blank.

    It is the key of several tables, and a spec has many fields: its hash is made once.
    """

    tenant: str
    spec: jobs.JobSpec
    _hash: int = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_hash", hash((self.tenant, self.spec)))

    def __hash__(self) -> int:
        return self._hash


@dataclass(frozen=True, slots=True, eq=False)
class JobClass:
    """What policy and placement read of a class of jobs. ``content`` is both, stored by ``digest``."""

    digest: ids.Digest
    content: decisions.Content
    requirement: requirements.Requirement
    attributes: attributes.JobAttributes
    room: offers.Room

    @property
    def big(self) -> bool:
        """Say whether smaller jobs could starve it: a gang, or more than one accelerator."""
        return self.requirement.nodes > 1 or self.room.accelerators > 1


def kind_of(tenant: str, spec: jobs.JobSpec) -> Kind:
    """Return the kind of a job: its spec without what no question reads (names, commands, contents, retries).

    Verified jobs stand in lines of their own: whether their runs find places depends on where others are.
    """
    return Kind(
        tenant,
        jobs.JobSpec(
            name="",
            command=("a.wasm",) if spec.module else (),
            image=None if spec.image is None else "image@sha256:" if "@sha256:" in spec.image else "image",
            type=spec.type,
            workdir=None if spec.workdir is None else ids.NO_DIGEST,
            files=(("a.wasm" if spec.module else "", b""),) if spec.files else (),
            outputs=tuple(replace(output, path="") for output in spec.outputs),
            data=spec.data,
            resources=spec.resources,
            nodes=spec.nodes,
            tier=spec.tier,
            sovereignty=spec.sovereignty,
            model=spec.model,
            objective=spec.objective,
            latency_from=spec.latency_from,
            limits=replace(spec.limits, deadline=None),
            egress=spec.egress and jobs.Egress(enforcement=spec.egress.enforcement),
            secrets=(jobs.SecretUse("", "", ""),) if spec.secrets else (),
            verification=spec.verification,
        ),
    )


class Classes:
    """Classifies kinds in one world, each once; equal classes are one object."""

    def __init__(self, world: worlds.World) -> None:
        self.world = world
        self._by_kind: dict[Kind, JobClass] = {}
        self._by_value: dict[object, JobClass] = {}

    def of(self, kind: Kind) -> JobClass:
        """Return the class of a kind. May raise whatever a poisonous spec brings about."""
        known = self._by_kind.get(kind)
        if known is None:
            if len(self._by_kind) >= KINDS_MAX:
                self._by_kind.clear()
                self._by_value.clear()
            job, requirement = read(kind, self.world)
            known = self._by_value.get((job, requirement))
            if known is None:
                known = self._by_value[(job, requirement)] = make(job, requirement)
            self._by_kind[kind] = known
        return known


def classify(kind: Kind, world: worlds.World) -> JobClass:
    """Return the class of a kind in a world, without remembering it."""
    return make(*read(kind, world))


def read(kind: Kind, world: worlds.World) -> tuple[attributes.JobAttributes, requirements.Requirement]:
    """Return what policy and what placement read of a kind."""
    spec = kind.spec
    job = conversions.of_job(
        spec,
        tenant=world.tenants.get(kind.tenant),
        datasets=world.visible_data(kind.tenant),
        control_plane=world.control_plane,
        directives=world.directives,
        owner=kind.tenant,
        ledger=world.ledger,
    )
    wanted = spec.resources.accelerators
    requirement = requirements.Requirement(
        tenant=kind.tenant,
        nodes=spec.nodes,
        cpu_milli=spec.resources.cpu_milli,
        memory_bytes=spec.resources.memory_bytes,
        accelerators=wanted.count if wanted else 0,
        accelerators_any_of=_slugs(wanted.any_of, world.accelerators) if wanted else (),
        accelerator_memory_gb=wanted.memory_gb if wanted else None,
        interconnect=wanted.interconnect if wanted else None,
        capabilities=tuple(sorted(power.value for power in powers(spec) | _attesting(job.constraints))),
        countries_allow=job.constraints.countries_allow,
        countries_deny=job.constraints.countries_deny,
        price_per_hour_max=spec.limits.price_per_hour,
        rtt_ms_max=spec.limits.rtt_ms,
        latency_from=_origin(kind, world),
        start_within=spec.limits.start_within,
        objective=spec.objective,
        attested=bool(job.constraints.tee) or bool(_attesting(job.constraints)),
    )
    return job, requirement


def _attesting(wanted: constraints.Constraints) -> frozenset[offers.Capability]:
    """Return what an adapter must be able to do where facts are to be attested: of the attempt too, once it runs."""
    demanded = wanted.min_assurance is facts.Assurance.ATTESTED
    return frozenset({offers.Capability.ATTESTS}) if demanded else frozenset()


def make(job: attributes.JobAttributes, requirement: requirements.Requirement) -> JobClass:
    """Return the class with its content and digest."""
    stored = contents.content({"job": job, "requirement": requirement})
    return JobClass(stored.digest, stored, requirement, job, requirement.room)


def powers(spec: jobs.JobSpec) -> frozenset[offers.Capability]:
    """Return what a backend must be able to do for a job, beyond holding it."""
    power = offers.Capability
    needed = {power.CONTAINERS if spec.image is not None else power.MODULES if spec.module else power.PROCESSES}
    if spec.image is not None and "@sha256:" not in spec.image:
        needed.add(power.IMAGE_TAGS)
    if spec.nodes > 1:
        needed.add(power.GANGS)
    if spec.outputs:
        needed.add(power.OUTPUTS)
    if spec.workdir is not None:
        needed.add(power.WORKDIR)
    if spec.files:
        needed.add(power.FILES)
    if spec.data and any(use.mount_path for use in spec.data.reads):
        needed.add(power.DATA_MOUNTS)
    if spec.egress is not None:
        vouched = spec.egress.enforcement is jobs.Enforcement.DECLARED
        needed.add(power.EGRESS if vouched else power.EGRESS_RULES)
    if spec.secrets:
        needed.add(power.SECRETS)
    if spec.verification is not None and spec.verification.tolerance is not None:
        needed.add(power.COPIES)
    return frozenset(needed)


def _slugs(names: tuple[str, ...], resolve: Callable[[str], tuple[str, ...]]) -> tuple[str, ...]:
    # A name that nobody knows stays as written: it matches no pool, and the refusal shows it.
    return tuple(sorted({slug for name in names for slug in resolve(name) or (name,)}))


def _origin(kind: Kind, world: worlds.World) -> str | None:
    spec = kind.spec
    if spec.latency_from is not None or spec.data is None or not spec.data.reads:
        return spec.latency_from
    data = world.visible_data(kind.tenant).get(spec.data.reads[0].name)
    if data is None:
        return None
    region = data.location.region
    return region if region in world.tables.distances else data.location.country
