"""The screen of `grange top`: drawn anew as things change, with one key to leave it."""

from __future__ import annotations

import os
import select
import sys
import termios
import threading
import time
import tty
from types import TracebackType
from typing import Any, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from grange.cli import top, words

_POLL_SECONDS = 0.1
_LEAVING = b"qQ"
_COLOURS = {
    "working": "blue",
    "idle": "",
    "draining": "yellow",
    "running": "blue",
    "paused": "yellow",
    "silent": "yellow",
    "cut off": "yellow",
    "misfit": "red",
    "gone": "dim",
    "left": "dim",
}
# What stands around the tables: headings, gaps and the last line.
_OTHER_LINES = 7
_MOST_RUNS = 8


class Screen:
    """Takes the terminal over while entered, and leaves it as it was."""

    def __init__(self, first: top.Snapshot) -> None:
        """Begin with this."""
        self._snapshot = first
        self._trouble = ""
        self._console = Console(highlight=False, markup=False, emoji=False)
        self._live = Live(
            get_renderable=self._draw, console=self._console, screen=True, auto_refresh=False
        )
        self._before: list[Any] | None = None

    def __enter__(self) -> Self:
        """Draw, and hear keys as they are pressed."""
        if sys.stdin.isatty():
            self._before = termios.tcgetattr(sys.stdin)
            tty.setcbreak(sys.stdin)
        self._live.start(refresh=True)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Give the terminal back."""
        self._live.stop()
        if self._before is not None:
            termios.tcsetattr(sys.stdin, termios.TCSADRAIN, self._before)

    def show(self, snapshot: top.Snapshot | None, trouble: str) -> None:
        """Draw how things stand; without a snapshot the last one stays, beside the trouble."""
        self._snapshot = snapshot or self._snapshot
        self._trouble = trouble
        self._live.refresh()

    def wait(self, over: threading.Event) -> None:
        """Return when somebody wants to leave."""
        size = self._console.size
        while not over.is_set():
            if self._before is None:
                over.wait(_POLL_SECONDS)
            elif select.select([sys.stdin], [], [], _POLL_SECONDS)[0]:
                key = os.read(sys.stdin.fileno(), 1)
                if not key or key in _LEAVING:
                    return
            if self._console.size != size:
                size = self._console.size
                self._live.refresh()

    def _draw(self) -> RenderableType:
        snapshot = self._snapshot
        room = max(self._console.size.height - _OTHER_LINES, 2)
        runs = snapshot.runs[: min(_MOST_RUNS, room // 2)]
        shown = snapshot.workers[: max(room - len(runs), 1)]
        parts: list[RenderableType] = [_line(top.headline(snapshot), "bold"), ""]
        if runs:
            rows = [top.run_row(snapshot, run) for run in runs]
            parts += [_table(top.RUN_HEADINGS, rows), ""]
        parts.append(_table(top.WORKER_HEADINGS, [top.worker_row(one) for one in shown]))
        if len(shown) < len(snapshot.workers):
            parts.append(_line(f"and {len(snapshot.workers) - len(shown)} more workers", "dim"))
        parts += ["", self._foot()]
        return Group(*parts)

    def _foot(self) -> Text:
        if self._trouble:
            return _line(words.visible(self._trouble), "yellow")
        at = time.strftime("%H:%M:%S", time.localtime(self._snapshot.at))
        return _line(f"{at} · q to leave", "dim")


def _table(headings: tuple[str, ...], rows: list[tuple[str, ...]]) -> Table:
    table = Table(box=None, pad_edge=False, expand=True, header_style="dim")
    numbers = (*top.NUMBERS.split(), "per min")
    for heading in headings:
        wide = heading in {"does", "run"}
        table.add_column(
            heading,
            justify="right" if heading in numbers else "left",
            ratio=1 if wide else None,
            no_wrap=True,
            overflow="ellipsis",
        )
    place = headings.index("state")
    for row in rows:
        cells: list[RenderableType] = [Text(cell) for cell in row]
        cells[place] = Text(row[place], style=_COLOURS.get(row[place], ""))
        table.add_row(*cells)
    return table


def _line(text: str, style: str) -> Text:
    return Text(text, style=style, no_wrap=True, overflow="ellipsis")
