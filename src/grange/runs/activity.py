"""What a run's workers are doing right now, left in a file for whoever shows it.

The ledger is no place for it: it changes every second and matters for no longer.
"""

from __future__ import annotations

import json
import os
import time
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from grange.core.events import Event, RunProgress

JSON = Any

ACTIVITY_FILE = "activity.json"
WRITE_SECONDS = 1.0
# What is older than this says nothing about now.
FRESH_SECONDS = 10.0
MOST_WORKERS = 256


class ActivityWriter:
    """Listens to a run and writes its newest progress down, at most once a second."""

    def __init__(self, folder: Path) -> None:
        """Write into a run's folder of logs."""
        self._path = folder / ACTIVITY_FILE
        self._next = 0.0

    def __call__(self, event: Event) -> None:
        """Take an event."""
        now = time.monotonic()
        if isinstance(event, RunProgress) and now >= self._next:
            self._next = now + WRITE_SECONDS
            # It is for show: no run fails by it.
            with suppress(OSError):
                self._write(event)

    def close(self) -> None:
        """The run is not worked on any more."""
        with suppress(OSError):
            self._path.unlink()

    def _write(self, event: RunProgress) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        aside = self._path.with_suffix(".new")
        told = {
            "at": time.time(),
            "per_second": event.per_second,
            "left_seconds": event.left_seconds,
            "workers": [asdict(worker) for worker in event.workers[:MOST_WORKERS]],
        }
        aside.write_text(json.dumps(told))
        os.replace(aside, self._path)


def read_activity(folder: Path, *, now: float) -> dict[str, JSON] | None:
    """What was written last, if it is about now."""
    try:
        told: dict[str, JSON] = json.loads((folder / ACTIVITY_FILE).read_bytes())
    except (OSError, ValueError):
        return None
    return told if told["at"] > now - FRESH_SECONDS else None
