"""What the document of the API says of all operations alike."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from fastapi.openapi.utils import get_openapi

from grange.client.schemas.basis import Problem

if TYPE_CHECKING:
    from fastapi import FastAPI
    from fastapi.routing import APIRoute
    from starlette.types import Scope

API = "/api/v1"
PROBLEM_TYPE = "application/problem+json"
STREAMED = (f"{API}/uploads", f"{API}/work")

# Every router names these, so that every operation tells its errors in the same words.
PROBLEMS: dict[int | str, dict[str, Any]] = {
    "default": {
        "description": "What went wrong, as RFC 9457 says.",
        "content": {PROBLEM_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
}

_DESCRIPTION = """Lists come in pages: `next` of one is the `after` of the following.
Creates take an `Idempotency-Key`: the same request again gives the same answer, and makes nothing.
Errors are problem documents (RFC 9457) whose `code` is for programs and whose `hint` for people."""

_SECURITY = {
    "token": {"type": "http", "scheme": "bearer", "description": "A token: grange_<id>_<secret>."},
    "session": {"type": "apiKey", "in": "cookie", "name": "grange_session"},
}
# What `scopes` says of operations that are for workers, who have a key of their own.
WORKER = "worker"
_WORKERS_KEY = {
    "type": "http",
    "scheme": "bearer",
    "description": "A worker's key, which it gets when it joins: grangeworker_<id>_<secret>.",
}


def is_streamed(scope: Scope) -> bool:
    """Whether the body goes on to the app as it comes, of whatever size."""
    path = scope["path"]
    return any(path == one or path.startswith(f"{one}/") for one in STREAMED)


def operation_id(route: APIRoute) -> str:
    """An operation is called as its function is: `list_runs`."""
    return route.name


def document(app: FastAPI, scopes: Mapping[str, str | None]) -> dict[str, Any]:
    """The OpenAPI document; made once, at the first call.

    `scopes` says what each operation asks for of a token or a session: None for those
    that are there for everyone.
    """
    if app.openapi_schema is None:
        made = get_openapi(
            title=app.title, version=app.version, description=_DESCRIPTION, routes=app.routes
        )
        components = made.setdefault("components", {})
        problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
        components.setdefault("schemas", {})["Problem"] = problem
        components["securitySchemes"] = {**_SECURITY, WORKER: _WORKERS_KEY}
        for operations in made["paths"].values():
            for operation in operations.values():
                operation["summary"] = operation["description"].partition("\n")[0]
                scope = scopes[operation["operationId"]]
                operation["security"] = _security(scope)
        app.openapi_schema = made
    return app.openapi_schema


def _security(scope: str | None) -> list[dict[str, list[str]]]:
    if scope == WORKER:
        return [{WORKER: []}]
    return [{name: [str(scope)]} for name in _SECURITY if scope]
