"""The app: routers, pages, guards, and errors that are told in one way."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI
from fastapi.responses import JSONResponse

from grange.server import guard, refusals, web
from grange.server.api import ROUTERS, metrics
from grange.server.documents import API, PROBLEMS, document, operation_id
from grange.server.doors import scopes
from grange.server.visitors import Visitor

if TYPE_CHECKING:
    from grange.server.parts import Parts


def make_app(parts: Parts) -> FastAPI:
    """The whole server as an ASGI app over these services."""
    app = _make_api()
    app.state.parts = parts
    refusals.install(app)
    _serve_document(app)
    app.include_router(metrics.plain)
    web.add_pages(app)
    guard.install(app, parts.settings, parts.tally)
    return app


def describe() -> dict[str, Any]:
    """The document of the API, without any server."""
    return document(_make_api(), scopes())


def _make_api() -> FastAPI:
    app = FastAPI(
        title="Grange",
        version=version("grange"),
        # The pages of FastAPI load scripts from elsewhere.
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
        generate_unique_id_function=operation_id,
    )
    for router in ROUTERS:
        app.include_router(router, prefix=API, responses=PROBLEMS)
    return app


def _serve_document(app: FastAPI) -> None:
    @app.get(f"{API}/openapi.json", include_in_schema=False, response_class=JSONResponse)
    def show_document(_visitor: Visitor) -> dict[str, Any]:
        """The document of the API, for people and programs that may use it."""
        return document(app, scopes())
