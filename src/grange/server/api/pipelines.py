"""Pipelines: what can be run."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path

from grange.client.schemas.basis import Page
from grange.client.schemas.runs import Pipeline
from grange.server.api.basis import Router
from grange.server.desk import DeskOf

router = Router(prefix="/pipelines", tags=["pipelines"])


@router.get("")
def list_pipelines(desk: DeskOf) -> Page[Pipeline]:
    """The installed pipelines, and whether you may run each."""
    found = desk.pipelines()
    return Page[Pipeline](items=found, total=len(found))


@router.get("/{name}")
def show_pipeline(
    name: Annotated[str, Path(min_length=1, max_length=200)], desk: DeskOf
) -> Pipeline:
    """A pipeline with its parameters, as a JSON schema."""
    return desk.pipeline(name)
