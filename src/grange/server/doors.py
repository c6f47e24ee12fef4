"""Which scope each operation of the API asks for, as its own dependencies say."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, get_args

from fastapi.routing import APIRoute

from grange.accounts.models import Scope
from grange.server.api import ROUTERS
from grange.server.desk import DeskOf
from grange.server.documents import WORKER
from grange.server.stations import Working
from grange.server.visitors import (
    SAFE_METHODS,
    Administrator,
    Oneself,
    Scraper,
    Submitter,
    Visitor,
)

if TYPE_CHECKING:
    from fastapi.dependencies.models import Dependant


def scopes() -> dict[str, str | None]:
    """The scope of each operation by its name; None where nobody has to be logged in.

    Of operations that are for workers it is the word `worker`.
    """
    return {
        route.name: _scope(route)
        for router in ROUTERS
        for route in router.routes
        if isinstance(route, APIRoute)
    }


def _scope(route: APIRoute) -> str | None:
    asked = set(_calls(route.dependant))
    if _call(Working) in asked:
        return WORKER
    if _call(Administrator) in asked:
        return Scope.ADMIN
    if _call(Scraper) in asked:
        return Scope.METRICS
    # A desk lets whoever reads look, and whoever runs change something.
    changes = _call(DeskOf) in asked and SAFE_METHODS.isdisjoint(route.methods or ())
    if changes or _call(Submitter) in asked:
        return Scope.RUN
    reads = {_call(one) for one in (Visitor, Oneself, DeskOf)}
    return Scope.READ if asked & reads else None


def _call(annotated: Any) -> Any:  # noqa: ANN401  # `Annotated[T, Depends(call)]`
    return get_args(annotated)[1].dependency


def _calls(dependant: Dependant) -> Iterator[Any]:
    for one in dependant.dependencies:
        yield one.call
        yield from _calls(one)
