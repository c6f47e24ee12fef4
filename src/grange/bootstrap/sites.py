"""What every site offers, whether it is this machine or a server; and which one is meant."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from grange.core.events import Observer
    from grange.core.states import ItemState, RunState
    from grange.runs.models import (
        AttemptView,
        FailureGroup,
        ItemView,
        RunPlan,
        RunRequest,
        RunView,
        Submitted,
    )
    from grange.settings import Settings


def open_site(settings: Settings) -> AbstractContextManager[Site]:
    """The site of these settings: the server that they name, or this machine."""
    if settings.server is None:
        from grange.bootstrap import embedded

        return embedded.open_site(settings)
    from grange.bootstrap import remote

    return remote.open_site(settings)


class Site(Protocol):
    """All that may be done with runs."""

    @property
    def server(self) -> str:
        """The URL of the server that works on the runs; empty where this machine does."""

    def plan(self, request: RunRequest) -> RunPlan:
        """What the request would do: checks and counts, writes nothing."""

    def submit(self, request: RunRequest, *, told: Callable[[str], None] = ...) -> Submitted:
        """Put the run on disk, durably; `told` hears words for a person when that takes long."""

    def drive(
        self,
        run: str,
        *,
        workers: int | None = None,
        observer: Observer | None = None,
        stop: threading.Event | None = None,
    ) -> RunView:
        """Bring the run to its end, and its results to their place.

        Returns the run as it is then: unfinished when `stop` was set, or somebody paused it.
        """

    def follow(
        self, run: str, *, observer: Observer | None = None, stop: threading.Event | None = None
    ) -> RunView:
        """Say what happens to the run, until it ends or nobody works on it."""

    def detach(self, run: str, *, workers: int | None = None) -> int | None:
        """Let the run go on without this process; returns the number of the one that drives it."""

    def find_run(self, text: str) -> RunView:
        """The run of an id, of the beginning of one, or of a name; `last` is the newest."""

    def list_runs(self, *, state: RunState | None = None, limit: int | None = 50) -> list[RunView]:
        """The newest runs first."""

    def items(self, run: str, *, state: ItemState | None = None) -> Iterator[ItemView]:
        """The run's items in the order of submission, streaming."""

    def find_item(self, run: str, path: str) -> ItemView:
        """The item of a path, or of the end of one."""

    def attempts(self, run: str, item: ItemView) -> list[AttemptView]:
        """The ended attempts at an item, with where their logs are."""

    def read_log(self, place: str) -> Iterator[bytes]:
        """The log that an attempt names, as it comes.

        Raises:
            NotFound: It is gone.
        """

    def failures(self, run: str) -> list[FailureGroup]:
        """Why items failed, the most frequent reason first."""

    def cancel(self, run: str) -> RunView:
        """Call the run off; whoever works on it stops within seconds."""

    def pause(self, run: str) -> RunView:
        """Let the run stand still until somebody resumes it."""

    def unpause(self, run: str) -> RunView:
        """Let a paused run go on."""

    def retry(self, run: str) -> RunView:
        """Open the run's failed and cancelled items again."""

    def export(
        self, run: str, dialect: str, target: Path, options: Mapping[str, str]
    ) -> Sequence[str]:
        """Write the run's results in another format into an empty folder; returns remarks.

        Raises:
            ExportRefused: Its pipeline knows no such format, or the format demands more.
        """

    def delete(self, run: str, *, outputs: bool = False) -> None:
        """Delete the run's account and logs; its outputs too, when asked to."""
