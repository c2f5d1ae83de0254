"""The OpenAPI document: what the framework knows of its own routes, and what we write about the hot ones and bodies.

Made when somebody first asks for it, and kept as bytes.
"""

from __future__ import annotations

import json
from typing import Any

import fastapi
import fastapi.openapi.utils
from pydantic.json_schema import models_json_schema

from orchestrator import version
from orchestrator.api import bodies, changes, datasets, obligations, operators
from orchestrator.service import jobs
from orchestrator.wire import api as wire_api
from orchestrator.wire.documents import registry

_REF = "#/components/schemas/"
_METHODS = ("get", "put", "post", "delete")
_PROBLEMS = {
    400: "Malformed",
    401: "No valid token",
    403: "Not allowed",
    404: "Unknown, or another tenant's",
    413: "Too large",
    422: "Invalid",
    503: "Cannot answer now",
}
_ID = {"name": "id", "in": "path", "required": True, "schema": {"type": "string", "maxLength": 64}}
_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[\\x20-\\x7e]+$"},
}
_PLAN = {
    "name": "plan",
    "in": "query",
    "description": "submit only if the decision is still that of the plan with this digest, or its beginning",
    "schema": {"type": "string", "maxLength": 71, "pattern": "^(sha256:)?[0-9a-f]{6,64}$"},
}
_LIST = [
    {"name": "filter", "in": "query", "schema": {"type": "string", "maxLength": 1024}},
    {"name": "limit", "in": "query", "schema": {"type": "integer", "minimum": 1, "maximum": jobs.PAGE_MAX}},
    {"name": "cursor", "in": "query", "schema": {"type": "string", "maxLength": 256}},
]

_BODIES = {
    ("/v1/jobs", "post"): "Job",
    ("/v1/jobs/{name}", "put"): "Job",
    ("/v1/plans", "post"): "Job",
    ("/v1/jobs:batch", "post"): "Batch",
    ("/v1/tokens", "post"): "TokenRequest",
    ("/v1/datasets/{name}:declassify", "post"): "Declassification",
    ("/v1/backends/{name}:confirm", "post"): "IdentityConfirmation",
    ("/v1/operators/{name}:answer", "post"): "ListAnswer",
    ("/v1/jobs/{id}:fulfil", "post"): "Fulfilment",
    ("/v1/changes/{name}:confirm", "post"): "ChangeConfirmation",
}
_ANSWERS = {
    ("/v1/jobs/{id}", "get"): "JobDocument",
    ("/v1/jobs:find", "get"): "JobDocument",
    ("/v1/jobs/{id}:cancel", "post"): "JobDocument",
    ("/v1/jobs/{id}:wait", "get"): "JobDocument",
    ("/v1/plans", "post"): "Plan",
    ("/v1/jobs/{id}:fulfil", "post"): "Obligation",
}


def document(app: fastapi.FastAPI) -> bytes:
    """Return the OpenAPI document as JSON text."""
    kept: bytes | None = getattr(app.state, "openapi_bytes", None)
    if kept is None:
        kept = app.state.openapi_bytes = json.dumps(_make(app), separators=(",", ":")).encode()
    return kept


def _make(app: fastapi.FastAPI) -> dict[str, Any]:
    made: dict[str, Any] = fastapi.openapi.utils.get_openapi(
        title="Comity", version=version.__version__, routes=app.routes
    )
    paths = made["paths"]
    paths.setdefault("/v1/jobs", {}).update(
        post=_operation("Submit a job", [_KEY, _PLAN], "202"), get=_operation("List jobs, newest first", _LIST, "200")
    )
    paths.setdefault("/v1/jobs/{id}", {}).update(get=_operation("Read a job", [_ID], "200"))
    schemas = made.setdefault("components", {}).setdefault("schemas", {})
    schemas.update(_schemas())
    schemas.pop("HTTPValidationError", None)
    schemas.pop("ValidationError", None)
    made["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    made["security"] = [{"token": []}]
    for path, item in paths.items():
        for method in _METHODS:
            if method in item:
                _complete(path, method, item[method])
    return made


def _complete(path: str, method: str, operation: dict[str, Any]) -> None:
    """Add what all routes share: their problems, and the bodies that we read by ourselves."""
    if path in ("/healthz", "/readyz"):
        operation["security"] = []
        return
    for status, text in _PROBLEMS.items():
        content = {"application/problem+json": {"schema": {"$ref": f"{_REF}Problem"}}}
        operation["responses"][str(status)] = {"description": text, "content": content}
    if (path, method) in _BODIES:
        schema: dict[str, Any] = {"$ref": _REF + _BODIES[path, method]}
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    elif (path, method) == ("/v1/{kinds}/{name}", "put"):
        kinds = [{"$ref": _REF + kind} for kind in registry.MODELS if kind != "Job"]
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": {"anyOf": kinds}}}}
    elif (path, method) == ("/v1/blobs", "post"):
        binary = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
        operation["requestBody"] = {"required": True, "content": binary}
    if (path, method) in _ANSWERS:
        answer = {"application/json": {"schema": {"$ref": _REF + _ANSWERS[path, method]}}}
        success = next(status for status in operation["responses"] if status.startswith("2"))
        operation["responses"][success]["content"] = answer


def _operation(summary: str, parameters: list[dict[str, Any]], status: str) -> dict[str, Any]:
    return {
        "tags": ["jobs"],
        "summary": summary,
        "parameters": parameters,
        "responses": {status: {"description": summary, "content": {"application/json": {"schema": {}}}}},
    }


def _schemas() -> dict[str, Any]:
    models = [*registry.MODELS.values(), *wire_api.MODELS, wire_api.Batch, bodies.TokenRequest]
    models.append(bodies.IdentityConfirmation)
    models += [datasets.Declassification, operators.ListAnswer, changes.ChangeConfirmation, obligations.Fulfilment]
    inputs = [(model, "validation") for model in models]
    _, found = models_json_schema(inputs, ref_template=_REF + "{model}")  # type: ignore[arg-type]  # pairs of literals
    schemas: dict[str, Any] = found["$defs"]
    return schemas
