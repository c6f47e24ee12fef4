"""The live display: how far a run is, what each worker does, what failed lately."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.console import Console, ConsoleDimensions, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from grange.cli import summary, terminal, words
from grange.cli.displays import Display
from grange.core.events import Event, ItemEnded, RunNote, RunProgress, WorkerActivity

if TYPE_CHECKING:
    from grange.runs.models import FailureGroup, RunView, Submitted

# Calm to look at, and nothing beside the work itself.
UPDATES_PER_SECOND = 4

# Lines around the workers' lines: title, bar, counts, rate, failures, a margin.
_OTHER_LINES = 10
_FAILURES = 3
_BAR_WIDTH = 12
_TIME_WIDTH = 12
_KINDS = {
    "digest": "reading",
    "copy": "copying a known result",
    "merge": "merging",
    "report": "reporting",
}


class LiveDisplay(Display):
    """Draws on the terminal while the run goes, and leaves a summary there in its place."""

    def __init__(self, stop: threading.Event) -> None:
        """Show what it is told; `stop` is set when the run is asked to stop."""
        self._stop = stop
        self._console = Console(stderr=True, highlight=False, markup=False, emoji=False)
        self._title = Text()
        self._progress: RunProgress | None = None
        self._heard_at = time.monotonic()
        self._failures: deque[ItemEnded] = deque(maxlen=_FAILURES)
        self._note = ""
        self._live = Live(
            get_renderable=self._draw,
            console=self._console,
            refresh_per_second=UPDATES_PER_SECOND,
            transient=True,
        )

    def __enter__(self) -> Self:
        """Begin to draw."""
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Wipe the drawing off and show the cursor again."""
        self._live.stop()

    def submitted(self, submitted: Submitted) -> None:
        """Name the run."""
        run = submitted.run
        self._title = Text.assemble(
            (words.visible(run.name or run.pipeline), "bold"),
            (f"  {run.id}  → {words.place(run.out)}", "dim"),
            no_wrap=True,
            overflow="ellipsis",
        )
        if submitted.driver:
            self._note = f"{submitted.driver} works on this run; following it"
        elif submitted.resumed:
            self._note = f"going on where it stopped: {summary.counts_words(run.counts)}"

    def observe(self, event: Event) -> None:
        """Keep what the next drawing needs."""
        if isinstance(event, RunProgress):
            self._heard_at = time.monotonic()
            self._progress = event
        elif isinstance(event, ItemEnded) and event.failure is not None:
            self._failures.append(event)
        elif isinstance(event, RunNote):
            self._note = event.text

    def ended(self, run: RunView, failures: list[FailureGroup]) -> None:
        """Say how it ended."""
        for line in summary.lines(run, failures):
            terminal.put(line)

    def _draw(self) -> RenderableType:
        progress = self._progress
        if progress is None:
            return Group(self._title, *self._remarks())
        return Group(
            self._title,
            _bar(progress),
            _counts(progress),
            _pace(progress, since_seconds=time.monotonic() - self._heard_at),
            _workers(progress.workers, self._console.size),
            *(_failure(one) for one in self._failures),
            *self._remarks(),
        )

    def _remarks(self) -> Iterator[Text]:
        if self._note:
            yield _line(words.visible(self._note), "dim")
        if self._stop.is_set():
            yield _line("Stopping; the run can go on later. Again to stop at once.", "yellow")


def _bar(progress: RunProgress) -> Table:
    ended = progress.done + progress.failed + progress.cancelled
    line = Table.grid(padding=(0, 1, 0, 0), expand=True)
    line.add_column(ratio=1)
    line.add_column(justify="right", width=5, no_wrap=True)
    # 100 % is for what is really over.
    percent = min(100 * ended // progress.total, 100) if progress.total else 0
    line.add_row(
        ProgressBar(
            total=max(progress.total, 1),
            completed=ended,
            style="bright_black",
            complete_style="blue",
            finished_style="red" if progress.failed else "green",
        ),
        f"{percent} %",
    )
    return line


def _counts(progress: RunProgress) -> Text:
    left = progress.total - progress.done - progress.failed - progress.cancelled
    parts = [
        (f"{progress.done:,} of {words.items(progress.total)} done", "green"),
        (f"{progress.failed:,} failed", "red" if progress.failed else "dim"),
    ]
    if progress.reused:
        parts.append((f"{progress.reused:,} known already", ""))
    if progress.cancelled:
        parts.append((f"{progress.cancelled:,} cancelled", "dim"))
    parts.append((f"{left:,} left", ""))
    if progress.bytes_total:
        parts.append((f"{words.size(progress.bytes_total)} in all", "dim"))
    return _joined(parts)


def _pace(progress: RunProgress, *, since_seconds: float) -> Text:
    parts = [(f"{words.duration(progress.elapsed_seconds + since_seconds)} so far", "")]
    if progress.per_second:
        parts.append((_rate(progress.per_second), ""))
    if progress.left_seconds is not None:
        left = max(progress.left_seconds - since_seconds, 0)
        parts.append((f"about {words.duration(left)} to go", ""))
    if progress.state not in {"running", "waiting"}:
        parts.append((str(progress.state), "yellow"))
    return _joined(parts)


def _rate(per_second: float) -> str:
    """Per second, or per minute or hour where that would be nearly nothing."""
    units = (("s", 1), ("min", 60), ("h", 3600))
    unit, factor = next((one for one in units if per_second * one[1] >= 1), units[-1])
    return f"{per_second * factor:,.1f} per {unit}"


def _workers(workers: Sequence[WorkerActivity], size: ConsoleDimensions) -> Table:
    """A line for each worker, as far as there is room."""
    table = Table.grid(padding=(0, 2, 0, 0), expand=True)
    table.add_column(no_wrap=True, style="dim")
    table.add_column(no_wrap=True, ratio=1, overflow="ellipsis")
    table.add_column(no_wrap=True, justify="right", style="dim", width=_TIME_WIDTH)
    table.add_column(no_wrap=True, width=_BAR_WIDTH)
    longest = max((len(one.name) for one in workers), default=0)
    room = size.width - longest - _TIME_WIDTH - _BAR_WIDTH - 3 * 2
    for one in workers[: max(size.height - _OTHER_LINES, 1)]:
        table.add_row(*_worker(one, room))
    return table


def _worker(one: WorkerActivity, room: int) -> tuple[RenderableType, ...]:
    if one.silent:
        doing = Text("gives no sign of life", style="yellow")
    elif one.item is None and one.kind is None:
        return one.name, Text("waiting", style="dim"), "", ""
    else:
        kind = f"{_KINDS[one.kind]} " if one.kind in _KINDS else ""
        doing = Text.assemble((kind, "dim"), _end(words.visible(one.item or ""), room - len(kind)))
    return one.name, doing, words.duration(one.seconds), _small_bar(one.progress)


def _small_bar(progress: float | None) -> RenderableType:
    if progress is None:
        return ""
    return ProgressBar(
        total=1.0,
        completed=progress,
        width=_BAR_WIDTH,
        style="bright_black",
        complete_style="blue",
        finished_style="blue",
    )


def _end(path: str, room: int) -> str:
    """As much of a path's end as there is room for: that is where paths differ."""
    return path if len(path) <= room else f"…{path[len(path) - max(room, 2) + 1 :]}"


def _failure(event: ItemEnded) -> Text:
    failure = event.failure or {}
    reason = " ".join(str(failure.get("message", "")).split())
    line = Text.assemble(
        ("failed  ", "red"),
        words.visible(event.path),
        (f"  {words.visible(reason)}", "dim"),
    )
    line.no_wrap, line.overflow = True, "ellipsis"
    return line


def _joined(parts: list[tuple[str, str]]) -> Text:
    line = Text(no_wrap=True, overflow="ellipsis")
    for place, part in enumerate(parts):
        line.append(" · " if place else "", "dim")
        line.append(*part)
    return line


def _line(text: str, style: str) -> Text:
    return Text(text, style=style, no_wrap=True, overflow="ellipsis")
