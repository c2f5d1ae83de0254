"""Data is sticky: what a data set inherits from what was read to make it, until a named person declassifies it.

What a job reads binds what it writes, weights and checkpoints included. The record is made when the job is submitted,
before any of its output can exist, and it outlives the declaration of the data set: neither a new declaration nor
withdrawing and declaring again makes it forget. Rules read the data set together with everything it inherits.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass

from orchestrator.domain import jobs, tenants

DEFAULT_DATA = "@defaultData"
"""Source of what a job that said nothing about data was judged as reading. No data set has a name with an @."""
MODEL = "@model"
"""Source of the controlled items of the model that a job trained or served."""
INHERITS_MAX = 1_000
"""Sources of one data set. More are nobody's lineage."""


class TooManySourcesError(Exception):
    """A data set would inherit from more sources than are kept."""


@dataclass(frozen=True, slots=True)
class Inheritance:
    """One source. For a registered data set its name says everything; the other sources are kept with their content.

    ``job`` is the first job that brought it; None: a declaration (``derivedFrom``) that was withdrawn.
    """

    source: str
    at: dt.datetime
    job: str | None = None
    classes: tuple[str, ...] = ()
    subjects: tuple[str, ...] = ()
    export_control: tuple[jobs.ExportItem, ...] = ()


@dataclass(frozen=True, slots=True)
class Declassification:
    """A named person took a source off, with a reason. ``actor`` is the token that carried it out."""

    source: str
    person: str
    reason: str
    actor: str
    at: dt.datetime


@dataclass(frozen=True, slots=True)
class Lineage:
    """All that a data set of a tenant inherits beside what it declares, and what was taken off."""

    tenant: str
    name: str
    inherits: tuple[Inheritance, ...] = ()
    declassified: tuple[Declassification, ...] = ()

    def sources(self) -> frozenset[str]:
        """Return the sources in force."""
        return frozenset(one.source for one in self.inherits)

    def adding(self, new: Iterable[Inheritance]) -> Lineage:
        """Return the lineage with more sources; itself where it has all of it. Raises TooManySourcesError."""
        found = {one.source: one for one in self.inherits}
        for one in new:
            if one.source != self.name:
                found[one.source] = _merged(found[one.source], one) if one.source in found else one
        inherits = tuple(found.values())
        if len(inherits) > INHERITS_MAX:
            raise TooManySourcesError(f"{self.name} would inherit from {len(inherits)} sources, above {INHERITS_MAX}")
        return self if inherits == self.inherits else dataclasses.replace(self, inherits=inherits)

    def without(self, done: Declassification) -> Lineage:
        """Return the lineage after a declassification. A later job that reads the source brings it back."""
        rest = tuple(one for one in self.inherits if one.source != done.source)
        return dataclasses.replace(self, inherits=rest, declassified=(*self.declassified, done))


def written(spec: jobs.JobSpec) -> tuple[str, ...]:
    """Return the names of the data sets that a job writes, once each."""
    names = (*(spec.data.writes if spec.data else ()), *(each.as_name for each in spec.outputs if each.as_name))
    return tuple(dict.fromkeys(names))


def brought(job: jobs.Job, tenant: tenants.Tenant | None) -> tuple[Inheritance, ...]:
    """Return what everything that the job writes inherits: the data it reads, or is judged as reading; its model."""
    spec, at = job.spec, job.submitted_at
    found = [Inheritance(use.name, at, job.id) for use in spec.data.reads] if spec.data else []
    default = tenant.default_data if tenant else None
    if spec.data is None and default is not None:
        found.append(Inheritance(DEFAULT_DATA, at, job.id, default.classes, default.subjects))
    items = tuple(item for item in spec.model.export_control if item.item != "none") if spec.model else ()
    if spec.model is not None and items:
        source = f"{MODEL}:{spec.model.id}" if spec.model.id else MODEL
        found.append(Inheritance(source, at, job.id, export_control=items))
    return tuple(found)


def effective(
    data: tenants.DataSet, lineage: Lineage | None, default: tenants.DefaultData | None = None
) -> tenants.DataSet:
    """Return the data set as rules must see it. ``default`` is the tenant's default data of today."""
    if lineage is None or not lineage.inherits:
        return data
    classes, subjects = list(data.classes), list(data.subjects)
    parents, items = list(data.derived_from), list(data.export_control)
    for one in lineage.inherits:
        parents += [] if one.source.startswith("@") else [one.source]
        classes += one.classes
        subjects += one.subjects
        items += one.export_control
        if one.source == DEFAULT_DATA and default is not None:
            classes += default.classes
            subjects += default.subjects
    return dataclasses.replace(
        data,
        classes=tuple(dict.fromkeys(classes)),
        subjects=tuple(dict.fromkeys(subjects)),
        derived_from=tuple(dict.fromkeys(parents)),
        export_control=tuple(dict.fromkeys(items)),
    )


def _merged(old: Inheritance, new: Inheritance) -> Inheritance:
    return dataclasses.replace(
        old,
        classes=tuple(dict.fromkeys((*old.classes, *new.classes))),
        subjects=tuple(dict.fromkeys((*old.subjects, *new.subjects))),
        export_control=tuple(dict.fromkeys((*old.export_control, *new.export_control))),
    )
