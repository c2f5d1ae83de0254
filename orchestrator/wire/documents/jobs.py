"""Kind Job: what a user asks for, all of it, in both flavours.

A person's file may say ``fromFile``, ``fromDir`` and ``fromEnv``, which the client resolves before it sends; over HTTP
``files.X`` is ``{content: BASE64}`` and ``workdir`` is ``{digest: "sha256:..."}``. One model reads both, and
:mod:`orchestrator.wire.documents.reading` refuses over HTTP what only a client can resolve.
"""

# ruff: noqa: RUF012 -- pydantic copies defaults; they are not shared
from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Discriminator, Field, Tag

from orchestrator.wire import fields, vocabulary
from orchestrator.wire.documents import common, sovereignties


def _shape(value: object) -> str:
    return "<fields>" if isinstance(value, dict) else "<text>"


class SecretRef(fields.Model):
    """A secret that exists at the backend; its value never passes through here."""

    name: fields.Name
    key: fields.Word


class EnvSource(fields.Model):
    """Where a variable's value comes from, instead of the value."""

    from_secret: SecretRef | None = None
    from_env: fields.VariableName | None = None
    """Client only: the variable of the person who submits."""


class FileSource(fields.Model):
    """The content of one file of the working folder."""

    content: fields.Content | None = None
    from_file: fields.Line | None = None
    """Client only: a file of the person who submits."""


class Workdir(fields.Model):
    """The working folder: an archive sent before, or (client only) a folder to send."""

    digest: fields.Sha256 | None = None
    from_dir: fields.Line | None = None
    ignore: fields.Line | None = None


class Output(fields.Model):
    """A file or folder kept when the job ends."""

    path: fields.RelativePath
    as_: fields.Name | None = Field(default=None, alias="as")


class DataRead(fields.Model):
    """A data set the job reads, and where it appears."""

    name: fields.Name
    mount_path: fields.AbsolutePath | None = None


class Data(fields.Model):
    """What the job reads and writes."""

    reads: Annotated[list[DataRead], Field(max_length=64)] = []
    writes: Annotated[list[fields.Name], Field(max_length=64)] = []


class Accelerators(fields.Model):
    """Accelerators per node: any one of these models."""

    any_of: Annotated[list[fields.Word], Field(min_length=1, max_length=64)]
    count: Annotated[int, Field(ge=1, le=100_000), fields.RESOLVED] | None = None
    memory: fields.AcceleratorMemory | None = None
    interconnect: fields.Word | None = None


class Resources(fields.Model):
    """What one node needs."""

    cpus: fields.Cpus | None = None
    memory: fields.Memory | None = None
    accelerators: Accelerators | None = None


class Array(fields.Model):
    """``size`` elements, at most ``parallel`` at once."""

    size: Annotated[int, Field(ge=1, le=1_000_000), fields.RESOLVED]
    parallel: Annotated[int, Field(ge=1, le=1_000_000), fields.RESOLVED] | None = None


class Egress(fields.Model):
    """Where the job may connect to; all else is refused. An empty ``allow`` without ``dns`` allows nothing."""

    allow: Annotated[list[fields.Network], Field(max_length=64)]
    dns: fields.Bool | None = None
    """Names may be resolved, by the resolver of the place; a question is itself a way out for data."""
    enforcement: Literal["declared", "unchecked"] | None = None
    """``unchecked``: also where nobody says that the rule is enforced."""


class Network(fields.Model):
    """What the job may reach over the network."""

    egress: Egress


class ModelController(fields.Model):
    """Who controls the model's weights."""

    country: fields.Country | None = None


class ModelUse(fields.Model):
    """The AI model the job trains or serves, as rules read it."""

    id: fields.Word | None = None
    controller: ModelController | None = None
    train_flop: Annotated[float, Field(ge=0, le=1e40), fields.RESOLVED] | None = None
    ai_act: vocabulary.AiAct | None = None
    export_control: common.ExportControls = []


Weight = Annotated[float, Field(ge=0, le=1_000_000), fields.RESOLVED]


class Objective(fields.Model):
    """What is best: weights of the scorers. ``cost`` alone where nothing is said."""

    cost: Weight | None = None
    carbon: Weight | None = None
    latency: Weight | None = None


class Limits(fields.Model):
    """Bounds of the whole job."""

    price_per_hour: fields.Money | None = None
    deadline: fields.Duration | None = None
    rtt_ms: Annotated[int, Field(ge=1, le=3_600_000), fields.RESOLVED] | None = None
    start_within: fields.Duration | None = None


class Retry(fields.Model):
    """How many tries in all, and after which outcomes."""

    attempts: Annotated[int, Field(ge=1, le=100), fields.RESOLVED] | None = None
    on: Annotated[list[Literal["preempted", "backendLost", "exitCode"]], Field(max_length=3)] | None = None


class Checkpoint(fields.Model):
    """Where and how often the job writes its state."""

    path: fields.AbsolutePath
    every: fields.Duration | None = None


class Tolerance(fields.Model):
    """How far numbers may lie apart: the larger of both bounds."""

    absolute: Annotated[float, Field(ge=0, le=1e300), fields.RESOLVED] | None = None
    relative: Annotated[float, Field(ge=0, le=0.999999), fields.RESOLVED] | None = None


class Verification(fields.Model):
    """Run it several times in different hands, and compare."""

    replicas: Annotated[int, Field(ge=1, le=100), fields.RESOLVED]
    quorum: Annotated[int, Field(ge=1, le=100), fields.RESOLVED] | None = None
    """How many must agree: more than half; that is also what it is where nothing is said."""
    distinct: Annotated[list[Literal["operator", "country"]], Field(max_length=2)] = []
    compare: Literal["exact", "tolerance"] | None = None
    tolerance: Tolerance | None = None
    spot_check: Annotated[float, Field(ge=0, le=1), fields.RESOLVED] | None = None
    """The share of jobs whose result a trusted site runs again although enough agree."""


EnvValue = Annotated[
    Annotated[fields.Argument, Tag("<text>")] | Annotated[EnvSource, Tag("<fields>")], Discriminator(_shape)
]


class JobSpec(fields.Model):
    """A job: what runs, on what, under which constraints."""

    type: common.JobType | None = None
    image: fields.Image | None = None
    command: Annotated[list[fields.Argument], Field(min_length=1, max_length=4096)] | None = None
    env: Annotated[dict[fields.VariableName, EnvValue], Field(max_length=1024)] = {}
    workdir: Workdir | None = None
    files: Annotated[dict[fields.RelativePath, FileSource], Field(max_length=fields.FILES_MAX)] = {}
    outputs: Annotated[list[Output], Field(max_length=fields.LIST_MAX)] = []
    data: (
        Annotated[Annotated[Literal["none"], Tag("<text>")] | Annotated[Data, Tag("<fields>")], Discriminator(_shape)]
        | None
    ) = None
    resources: Resources | None = None
    network: Network | None = None
    nodes: Annotated[int, Field(ge=1, le=100_000), fields.RESOLVED] | None = None
    array: Array | None = None
    tier: fields.Name | None = None
    sovereignty: sovereignties.Sovereignty | None = None
    model: ModelUse | None = None
    objective: Objective | None = None
    latency_from: fields.Country | None = None
    limits: Limits | None = None
    queue: fields.Name | None = None
    priority: fields.Name | None = None
    retry: Retry | None = None
    on_unreachable: Literal["wait", "fenceThenMove", "duplicateOk"] | None = None
    on_non_compliant: Literal["drain", "stop", "hold"] | None = None
    checkpoint: Checkpoint | None = None
    verification: Verification | None = None


class Job(common.Document):
    """A job."""

    kind: Literal["Job"]
    spec: JobSpec
