"""What the routers have in common: how a list is asked for, and how it is told."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, TypeVar

from fastapi import Path, Query

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
