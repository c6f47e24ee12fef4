"""Models of pipelines."""

from __future__ import annotations

from grange.client.connection import Connection
from grange.client.paging import quoted
from grange.client.schemas.basis import Page
from grange.client.schemas.models import Model


class Models:
    """What the API says of models."""

    def __init__(self, connection: Connection) -> None:
        """Speak over this connection."""
        self._at = connection

    def list_models(self) -> Page[Model]:
        """The models that pipelines can use there."""
        return self._at.get(Page[Model], "models")

    def show_model(self, name: str) -> Model:
        """One model."""
        return self._at.get(Model, f"models/{quoted(name)}")
