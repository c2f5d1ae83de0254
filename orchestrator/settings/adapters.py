"""The settings of an adapter: a strict model, and one error that names every problem at once.

An adapter derives its model from :class:`AdapterSettings`; ``AdapterSettings.read`` is what its plugin's ``build``
calls, and ``schema`` what ``settings_schema`` returns. References to secrets are resolved before (``plugins.fleet``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import pydantic
from pydantic.alias_generators import to_camel

PROBLEMS_MAX = 50
"""So many problems are told; more help nobody."""


class SettingsError(Exception):
    """Settings that cannot be used. ``problems`` are sentences that begin with the path, all of them at once."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)[:PROBLEMS_MAX]
        super().__init__("; ".join(self.problems))


class AdapterSettings(pydantic.BaseModel):
    """Base of every adapter's settings: camelCase names, no unknown fields, no silent conversion, immutable."""

    model_config = pydantic.ConfigDict(
        extra="forbid", frozen=True, strict=True, alias_generator=to_camel, populate_by_name=True, allow_inf_nan=False
    )

    @classmethod
    def read(cls, values: Mapping[str, object]) -> Self:
        """Return the settings; raises :class:`SettingsError` with every problem at once."""
        try:
            return cls.model_validate_json(pydantic.TypeAdapter(Any).dump_json(dict(values)))
        except (pydantic.ValidationError, ValueError) as error:
            raise SettingsError(problems_of(error)) from error

    @classmethod
    def schema_document(cls) -> Mapping[str, object]:
        """Return the JSON Schema, in the names that a document uses."""
        return cls.model_json_schema(by_alias=True)


def problems_of(error: Exception) -> list[str]:
    """Return one sentence a problem: the path in front, what is wrong behind. Values are never repeated."""
    if not isinstance(error, pydantic.ValidationError):
        return ["settings cannot be written as JSON"]
    found = error.errors(include_url=False, include_context=False, include_input=False)
    return [f"{_path(problem['loc'])}: {problem['msg']}" for problem in found[:PROBLEMS_MAX]]


def _path(parts: Sequence[int | str]) -> str:
    text = ""
    for part in parts:
        text += f"[{part}]" if isinstance(part, int) else f"{'.' if text else ''}{part}"
    return text or "settings"
