"""What people are told of the way to the workers, where there is one: down, back, nobody there."""

from __future__ import annotations

import time

from grange.core.events import Observer, RunNote
from grange.core.resources import words
from grange.engines.base import Engine
from grange.runs.driven import Driven

# What passes within this is nobody's concern.
PATIENCE_SECONDS = 5.0


class Link:
    """Watches the way to the workers of a run, and says when something changes."""

    def __init__(self, engine: Engine, driven: Driven, observer: Observer) -> None:
        """Assume that all is well."""
        self._engine = engine
        self._driven = driven
        self._observer = observer
        self._said = ""
        self._quiet_since: float | None = None

    def look(self, *, quiet: bool, away: str = "") -> str | None:
        """The note that the run should carry from now on; None while the last one holds.

        `quiet` says that there is work to do, and that nobody was seen or heard to do any;
        `away` in words what workers wait for.
        """
        now = time.time()
        self._quiet_since = (self._quiet_since or now) if quiet else None
        trouble = self._trouble(now, away)
        if trouble == self._said:
            return None
        self._said = trouble
        text = trouble or "Workers are at it again."
        self._observer(RunNote(run=self._driven.id, text=text))
        return trouble

    def _trouble(self, now: float, away: str) -> str:
        health = self._engine.health()
        if health is None:
            return away
        if health.state == "down":
            if now - health.since < PATIENCE_SECONDS and not self._said:
                return ""
            reason = health.reason.rstrip(".")
            why = f": {reason}" if reason else ""
            # What says why may end with a question.
            end = "" if why.endswith("?") else "."
            return f"The workers can't be reached{why}{end} The run goes on when they can."
        if away:
            return away
        if self._quiet_since is not None and now - self._quiet_since >= PATIENCE_SECONDS:
            needed = words(self._driven.job.needs)
            return f"No worker has begun: none is free, or none has what a task needs ({needed})."
        return ""
