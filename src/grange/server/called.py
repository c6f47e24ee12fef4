"""What workers are called: whoever drives a run knows those of other machines by their ids."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from grange.errors import GrangeError
from grange.runs.activity import read_activity

if TYPE_CHECKING:
    from pathlib import Path

    from grange.pool.models import Worker

JSON = Any

# A worker that joins or gets another name is called so after this at the latest.
KNOWN_SECONDS = 5.0


class Called:
    """Puts names in the place of ids. What is no worker's id stays as it is."""

    def __init__(self, every: Callable[[], list[Worker]] = list) -> None:
        """`every` gives the workers that have joined; it is asked now and then."""
        self._every = every
        self._names: Mapping[str, str] = {}
        self._until = float("-inf")

    def activity(self, logs: Path, *, now: float) -> dict[str, JSON] | None:
        """What the workers of a run do, as `read_activity` tells it, with `worker` for its id."""
        told = read_activity(logs, now=now)
        if told is None:
            return None
        names = self._known()
        return {**told, "workers": [_called(one, names) for one in told["workers"]]}

    def _known(self) -> Mapping[str, str]:
        now = time.monotonic()
        if now >= self._until:
            self._until = now + KNOWN_SECONDS
            with suppress(GrangeError):  # Their ids will do until the database is back.
                self._names = {worker.id: worker.name for worker in self._every()}
        return self._names


def _called(doing: Mapping[str, JSON], names: Mapping[str, str]) -> dict[str, JSON]:
    name = names.get(doing["name"])
    return dict(doing) if name is None else {**doing, "name": name, "worker": doing["name"]}
