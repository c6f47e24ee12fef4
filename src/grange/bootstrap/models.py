"""Which models pipelines can use: those on this machine, or those of a server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from grange.client.schemas.models import Model
from grange.errors import ModelNotFound, UsageError

if TYPE_CHECKING:
    from grange.client.api import Client
    from grange.pipelines.wildlife.models.registry import Models
    from grange.settings import Settings


class Shelf(Protocol):
    """The models that there are somewhere."""

    def models(self) -> list[Model]:
        """All of them, by name."""

    def find(self, reference: str) -> Model:
        """One of them; on this machine also that of a file, by its path.

        Raises:
            ModelNotFound: There is none of this name.
        """


@contextmanager
def open_shelf(settings: Settings) -> Iterator[Shelf]:
    """The models of the server that the settings name, or of this machine."""
    if settings.server is None:
        yield _Here(models_here(settings))
        return
    from grange.bootstrap.remote.login import open_client

    with open_client(settings) as client:
        yield _There(client)


def models_here(settings: Settings, *, to_add: bool = False) -> Models:
    """The models of this machine, to be checked and removed, or also to be added to.

    Raises:
        UsageError: The settings name a server, whose models are looked after there.
    """
    from grange.pipelines.wildlife.models.registry import Models

    if settings.server is not None:
        raise UsageError(
            f"The models of {settings.server} are looked after on its own machine.",
            hint="Do it there. For the models of this machine: GRANGE_SERVER=none grange models …",
        )
    if to_add:
        from grange.bootstrap.embedded import make_home

        make_home(settings.home)
    return Models(settings.home / "models")


class _Here:
    def __init__(self, models: Models) -> None:
        self._models = models

    def models(self) -> list[Model]:
        from grange.pipelines.wildlife.models.describing import described

        return [Model(**described(one)) for one in self._models.entries()]

    def find(self, reference: str) -> Model:
        from grange.pipelines.wildlife.models.describing import described

        return Model(**described(self._models.entry(reference)))


class _There:
    def __init__(self, client: Client) -> None:
        self._client = client

    def models(self) -> list[Model]:
        return self._client.models.list_models().items

    def find(self, reference: str) -> Model:
        from grange.pipelines.wildlife.models.registry import is_path

        if is_path(reference):
            message = f"The models of {self._client.server} have names, and {reference!r} is none."
            raise ModelNotFound(message, hint="See them all: grange models list")
        return self._client.models.show_model(reference)
