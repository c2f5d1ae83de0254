"""What the store's tests build with: a clock that stands still, jobs, changes, and a strategy for any domain value."""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import types
import typing

from hypothesis import strategies as st

from orchestrator.domain import ids, jobs, journal
from orchestrator.ports import stores
from orchestrator.store import codec_specs

NOW = dt.datetime(2026, 11, 22, 10, 0, tzinfo=dt.UTC)
DIGEST = ids.Digest("sha256:" + "0" * 64)


class Clock:
    """Time that moves when told. The wall can be moved alone."""

    def __init__(self) -> None:
        self.wall = NOW
        self.seconds = 0.0

    def now(self) -> dt.datetime:
        """Return the wall's time."""
        return self.wall

    def monotonic(self) -> float:
        """Return the seconds passed."""
        return self.seconds

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.seconds += seconds
        self.wall += dt.timedelta(seconds=seconds)


def job(number: int, **fields: typing.Any) -> jobs.Job:
    """Return a new job with a ULID made of its number."""
    spec = fields.pop("spec", None) or jobs.JobSpec(name=fields.pop("name", "hello"), command=("true",))
    made = {
        "id": ids.JobId(f"{number:026d}"), "tenant": "acme", "spec": spec, "submitted_at": NOW, "submitted_by": "tok",
        "spec_digest": codec_specs.spec_digest(spec),
    }  # fmt: skip
    return jobs.Job(**(made | fields))


def entry(subject: str = "job/1", **body: typing.Any) -> journal.Entry:
    """Return an entry."""
    return journal.Entry("job.submitted", subject, NOW, "tok", body, "acme")


def submission(number: int, **fields: typing.Any) -> stores.Changes:
    """Return what submitting one job commits."""
    new = job(number, **fields)
    key = stores.IdempotencyKey(new.tenant, f"key-{number}", DIGEST, new.id)
    return stores.Changes(jobs=[new], keys=[key], entries=[entry(f"job/{new.id}", n=number)])


def values(kind: typing.Any) -> st.SearchStrategy[typing.Any]:
    """Return values of any type hint of the domain; every field of a dataclass is drawn, defaults included."""
    if isinstance(kind, typing.NewType):
        return values(kind.__supertype__)
    if kind in _PLAIN:
        return _PLAIN[kind]
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return st.one_of(*map(values, arguments))
    if origin is frozenset:
        return st.frozensets(values(arguments[0]), max_size=2)
    if origin is tuple:
        if len(arguments) == 2 and arguments[1] is Ellipsis:
            return st.lists(values(arguments[0]), max_size=2).map(tuple)
        return st.tuples(*map(values, arguments))
    if dataclasses.is_dataclass(kind):
        hints = typing.get_type_hints(kind)
        return st.builds(kind, **{field.name: values(hints[field.name]) for field in dataclasses.fields(kind)})
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return st.sampled_from(kind)
    raise KeyError(kind)


_PLAIN: dict[typing.Any, st.SearchStrategy[typing.Any]] = {
    type(None): st.none(),
    str: st.text(max_size=6),
    int: st.integers(-(2**53) + 1, 2**53 - 1),
    float: st.floats(allow_nan=False, allow_infinity=False),
    bool: st.booleans(),
    bytes: st.binary(max_size=6),
    dt.datetime: st.datetimes(timezones=st.just(dt.UTC)),
    dt.date: st.dates(),
    dt.timedelta: st.timedeltas(),
    jobs.Tolerance: st.builds(jobs.Tolerance, st.floats(0, 1e9), st.floats(0, 1, exclude_max=True)),
}
