"""What the routers have in common: how a list is asked for, and how it is told."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from fastapi import APIRouter, Path, Query
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from grange.client.schemas.basis import Page

if TYPE_CHECKING:
    from grange.accounts.models import Page as Part

T = TypeVar("T")
A = TypeVar("A")

Limit = Annotated[int, Query(ge=1, le=1000, description="How many at most.")]
After = Annotated[str | None, Query(max_length=500, description="`next` of the part before.")]
Words = Annotated[str, Query(max_length=200, description="What must be in it.")]
# Ids of others than the caller are not told from ids of nobody, so any short text may be one.
IdInPath = Annotated[str, Path(min_length=1, max_length=40)]


def page(part: Part[T], told: Callable[[T], A]) -> Page[A]:
    """A part of a list, each of its things told by a function."""
    return Page[A](items=[told(one) for one in part.items], next=part.next, total=part.total)


class Router(APIRouter):
    """Routes whose models are written out in the thread that made them.

    FastAPI takes a second thread to check a model, which its own constructor has
    checked, and the loop's time to write it out.
    """

    def add_api_route(
        self,
        path: str,
        endpoint: Callable[..., Any],
        *,
        status_code: int | None = None,
        **options: Any,  # noqa: ANN401  # FastAPI's own
    ) -> None:
        """Add a route as FastAPI does."""
        telling = _telling(endpoint, status_code or 200)
        super().add_api_route(path, telling, status_code=status_code, **options)


def _telling(endpoint: Callable[..., Any], status: int) -> Callable[..., Any]:
    wants_headers = "response" in inspect.signature(endpoint).parameters
    if wants_headers or inspect.iscoroutinefunction(endpoint):
        return endpoint

    @functools.wraps(endpoint)
    def tell(*given: Any, **named: Any) -> Any:  # noqa: ANN401  # whatever the endpoint takes
        made = endpoint(*given, **named)
        return _Written(made, status) if isinstance(made, BaseModel) else made

    return tell


class _Written(JSONResponse):
    """A model as the answer's body."""

    def __init__(self, made: BaseModel, status: int) -> None:
        super().__init__(made, status)

    def render(self, content: BaseModel) -> bytes:
        return content.model_dump_json(by_alias=True).encode()
