"""Which pipelines can be run: those that are installed here, or those of a server."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from grange.client.api import Client
    from grange.pipelines.catalog import ParameterInfo, PipelineInfo
    from grange.settings import Settings


@dataclass(frozen=True, slots=True)
class Described:
    """A pipeline with its parameters."""

    name: str
    version: str
    summary: str
    accepts: Sequence[str]
    parameters: Sequence[ParameterInfo]


class Catalog(Protocol):
    """What can be run somewhere."""

    def names(self) -> list[PipelineInfo]:
        """All that are installed, by name."""

    def find(self, reference: str) -> Described:
        """One of them.

        Raises:
            PipelineNotFound: There is none of this name.
        """


@contextmanager
def open_catalog(settings: Settings) -> Iterator[Catalog]:
    """The pipelines of the server that the settings name, or of this machine."""
    if settings.server is None:
        yield _Installed()
        return
    from grange.bootstrap.remote.login import open_client

    with open_client(settings) as client:
        yield _Served(client)


class _Installed:
    def names(self) -> list[PipelineInfo]:
        from grange.pipelines import catalog

        return catalog.names()

    def find(self, reference: str) -> Described:
        from grange.pipelines import catalog

        found = catalog.find(reference)
        parameters = catalog.describe(found)
        return Described(found.name, found.version, found.summary, found.accepts, parameters)


class _Served:
    def __init__(self, client: Client) -> None:
        self._client = client

    def names(self) -> list[PipelineInfo]:
        from grange.pipelines.catalog import PipelineInfo

        return [
            PipelineInfo(
                one.name,
                one.version,
                one.summary,
                self._client.server,
                error="" if one.allowed else "an administrator has to allow you to run it",
            )
            for one in self._client.runs.list_pipelines().items
        ]

    def find(self, reference: str) -> Described:
        from grange.pipelines.parameters import describe_schema

        one = self._client.runs.show_pipeline(reference)
        parameters = describe_schema(one.parameters)
        return Described(one.name, one.version, one.summary, one.accepts, parameters)
