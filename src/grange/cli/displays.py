"""Who is told how a run goes: a terminal, a program that reads lines, or nobody."""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from grange.cli import summary, terminal
from grange.cli.records import counts_record, record

if TYPE_CHECKING:
    from grange.core.events import Event, ItemEnded, RunProgress
    from grange.runs.models import FailureGroup, RunView, Submitted

# A reader of lines is told at most so often how the run stands.
PROGRESS_SECONDS = 1.0


class Display(ABC):
    """Is told what happens to one run, from its submission to its end."""

    @abstractmethod
    def submitted(self, submitted: Submitted) -> None:
        """The run is on disk."""

    @abstractmethod
    def observe(self, event: Event) -> None:
        """Something happened. Called by whoever drives the run; must return quickly."""

    @abstractmethod
    def ended(self, run: RunView, failures: list[FailureGroup]) -> None:
        """Nobody waits for the run any longer: it has ended, or was let go."""

    def __enter__(self) -> Self:
        """Begin to show."""
        return self

    def __exit__(  # noqa: B027  # only a display that draws has something to wipe off
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leave the terminal as it was."""


class SilentDisplay(Display):
    """Says only what went wrong, once it is over."""

    def submitted(self, submitted: Submitted) -> None:
        """Say nothing."""

    def observe(self, event: Event) -> None:
        """Say nothing."""

    def ended(self, run: RunView, failures: list[FailureGroup]) -> None:
        """Say what is not as it should be."""
        if run.state != "done":
            for line in summary.lines(run, failures):
                terminal.say(line)


class LineDisplay(Display):
    """Writes lines of JSON to stdout; a reader that goes away doesn't stop the run."""

    def __init__(self, *, asked_for: bool) -> None:
        """Who asked for JSON is told of each item; others get a summary in words besides."""
        self._asked_for = asked_for
        self._told_at = 0.0
        self._heard = True

    def submitted(self, submitted: Submitted) -> None:
        """Write `submitted`."""
        run = submitted.run
        self._write(
            "submitted",
            run=run.id,
            name=run.name,
            pipeline=run.pipeline,
            version=run.version,
            out=run.out,
            state=run.state,
            resumed=submitted.resumed,
            driver=submitted.driver,
            counts=counts_record(run),
            skipped=dict(submitted.skipped),
        )

    def observe(self, event: Event) -> None:
        """Write `item`, `note`, and from time to time `progress`."""
        from grange.core.events import ItemEnded, RunNote, RunProgress

        if isinstance(event, RunProgress):
            if time.monotonic() - self._told_at >= PROGRESS_SECONDS:
                self._told_at = time.monotonic()
                self._write("progress", **progress_record(event))
        elif isinstance(event, ItemEnded):
            if self._asked_for:
                self._write("item", **item_record(event))
        elif isinstance(event, RunNote):
            self._write("note", run=event.run, text=event.text)

    def ended(self, run: RunView, failures: list[FailureGroup]) -> None:
        """Write `finished`, or `stopped` for a run that can go on."""
        self._write(
            "finished" if run.state.is_finished() else "stopped",
            run=run.id,
            state=run.state,
            counts=counts_record(run),
            seconds=summary.seconds_of(run),
            out=run.out,
            report=summary.report_of(run),
            failures=[record(group) for group in failures],
            next=summary.next_steps(run),
        )
        if not self._asked_for:
            for line in summary.lines(run, failures):
                terminal.say(line)

    def _write(self, event: str, **data: object) -> None:
        if not self._heard:
            return
        try:
            terminal.put_json({"event": event, **data})
        except BrokenPipeError:
            self._heard = False
            terminal.close_stdout()


def choose(*, as_json: bool, quiet: bool, stop: threading.Event) -> Display:
    """The display for whoever is at the other end; `stop` lets it show that the run is stopping."""
    if quiet:
        return SilentDisplay()
    if as_json or not terminal.is_interactive():
        return LineDisplay(asked_for=as_json)
    from grange.cli.progress import LiveDisplay

    return LiveDisplay(stop)


def progress_record(event: RunProgress) -> dict[str, Any]:
    """How the run stands, as a line of JSON says it."""
    return {
        "run": event.run,
        "state": event.state,
        "total": event.total,
        "done": event.done,
        "failed": event.failed,
        "cancelled": event.cancelled,
        "reused": event.reused,
        "bytes_total": event.bytes_total,
        "elapsed_seconds": round(event.elapsed_seconds, 3),
        "per_second": round(event.per_second, 3),
        "left_seconds": None if event.left_seconds is None else round(event.left_seconds, 1),
        "workers": [
            {
                "name": one.name,
                "item": one.item,
                "kind": one.kind,
                "seconds": round(one.seconds, 3),
                "progress": one.progress,
                "silent": one.silent,
            }
            for one in event.workers
        ],
    }


def item_record(event: ItemEnded) -> dict[str, Any]:
    """An item's end, as a line of JSON says it."""
    return {
        "run": event.run,
        "path": event.path,
        "state": event.state,
        "seconds": round(event.seconds, 6),
        "attempts": event.attempts,
        "reused": event.reused,
        "outputs": event.outputs,
        "failure": event.failure,
    }
