"""Models: what pipelines find, tell apart and measure with."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path

from grange.client.schemas.basis import Page
from grange.client.schemas.models import Model
from grange.server.api.basis import Router
from grange.server.desk import DeskOf

router = Router(prefix="/models", tags=["models"])


@router.get("")
def list_models(desk: DeskOf) -> Page[Model]:
    """The models that pipelines can use here, by name."""
    found = desk.models()
    return Page[Model](items=found, total=len(found))


@router.get("/{name}")
def show_model(name: Annotated[str, Path(min_length=1, max_length=200)], desk: DeskOf) -> Model:
    """A model with what it tells apart."""
    return desk.model(name)
