"""What a person, or a program, sees while an inbox is watched: a line for each item."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from grange.cli import summary, terminal, words
from grange.cli.displays import PROGRESS_SECONDS, item_record, progress_record
from grange.cli.records import counts_record, record

if TYPE_CHECKING:
    from grange.core.events import Event, ItemEnded, RunProgress
    from grange.runs.models import FailureGroup, RunView


class ArrivalsDisplay:
    """Lines of words: items to stdout, everything else to stderr. Used from several threads."""

    def __init__(self, *, quiet: bool = False) -> None:
        """`quiet` says only what went wrong."""
        self._quiet = quiet
        self._lock = threading.Lock()

    def watching(self, run: RunView, inbox: str) -> None:
        """The run is open, and what arrives will be taken."""
        if not self._quiet:
            terminal.say(
                f"Watching {words.visible(inbox)}. Results go to {words.place(run.out)}, "
                f"as run {run.id}. Ctrl-C ends it."
            )

    def observe(self, event: Event) -> None:
        """Something happened to the run."""
        from grange.core.events import ItemEnded, RunNote

        if isinstance(event, ItemEnded):
            self._item(event)
        elif isinstance(event, RunNote):
            self.note(event.text)

    def note(self, text: str) -> None:
        """Something that a person should know."""
        with self._lock:
            terminal.say(text)

    def ended(self, run: RunView, failures: list[FailureGroup], left_out: int) -> None:
        """The watch is over."""
        if left_out and not self._quiet:
            terminal.say(f"{words.items(left_out)} still being written: left for the next time.")
        if not self._quiet or run.state != "done":
            for line in summary.lines(run, failures):
                terminal.say(line)

    def _item(self, event: ItemEnded) -> None:
        if self._quiet and not event.failure:
            return
        state = "known" if event.reused else str(event.state)
        took = "" if event.reused else f"  {words.duration(event.seconds)}"
        why = f"  {event.failure['message']} [{event.failure['code']}]" if event.failure else ""
        line = f"{words.moment(time.time())}  {state:<6}  {words.visible(event.path)}{took}"
        with self._lock:
            if self._quiet:
                terminal.say(line + words.visible(why))
            else:
                terminal.put(line + words.visible(why))
                terminal.flush()


class ArrivalsLines(ArrivalsDisplay):
    """Lines of JSON; a reader that goes away doesn't stop the watch."""

    def __init__(self) -> None:
        """Nothing is written yet."""
        super().__init__()
        self._told_at = 0.0
        self._told: tuple[int, ...] = ()
        self._heard = True

    def watching(self, run: RunView, inbox: str) -> None:
        """Write `watching`."""
        self._write(
            "watching",
            run=run.id,
            inbox=inbox,
            pipeline=run.pipeline,
            version=run.version,
            out=run.out,
            counts=counts_record(run),
        )

    def observe(self, event: Event) -> None:
        """Write `item` and `note`, and `progress` when something has moved."""
        from grange.core.events import RunProgress

        if isinstance(event, RunProgress):
            self._progress(event)
        else:
            super().observe(event)

    def note(self, text: str) -> None:
        """Write `note`."""
        self._write("note", text=text)

    def ended(self, run: RunView, failures: list[FailureGroup], left_out: int) -> None:
        """Write `finished`, or `stopped` for a run that has something left to do."""
        self._write(
            "finished" if run.state.is_finished() else "stopped",
            run=run.id,
            state=run.state,
            counts=counts_record(run),
            out=run.out,
            report=summary.report_of(run),
            failures=[record(group) for group in failures],
            left_out=left_out,
            next=summary.next_steps(run),
        )

    def _item(self, event: ItemEnded) -> None:
        self._write("item", **item_record(event))

    def _progress(self, event: RunProgress) -> None:
        stands = (event.total, event.done, event.failed)
        if stands != self._told and time.monotonic() - self._told_at >= PROGRESS_SECONDS:
            self._told, self._told_at = stands, time.monotonic()
            self._write("progress", **progress_record(event))

    def _write(self, event: str, **data: object) -> None:
        with self._lock:
            if not self._heard:
                return
            try:
                terminal.put_json({"event": event, **data})
            except BrokenPipeError:
                self._heard = False
                terminal.close_stdout()
