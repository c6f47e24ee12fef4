"""How far a run is, shown where the program runs: in a notebook, or on a terminal."""

from __future__ import annotations

import sys
import time
from abc import ABC, abstractmethod
from html import escape
from importlib import import_module
from shutil import get_terminal_size

from grange.core.events import RunProgress
from grange.core.states import RunState
from grange.runs.models import Counts
from grange.runs.report.words import round_duration

# More often is nothing but flicker.
SHOW_SECONDS = 0.25

_BAR_CHARACTERS = 24
_COLOURS = {"done": "#2c8a4b", "failed": "#d0393b", "cancelled": "#8b949e"}
_STYLE = "font-family:system-ui,sans-serif;font-size:13px;line-height:1.5;max-width:640px"


class Bar(ABC):
    """Shows a run, as often as it is told to and no more often than people can see."""

    def __init__(self, name: str) -> None:
        """Name the run that is shown."""
        self._name = name
        self._next = 0.0

    def show(self, progress: RunProgress) -> None:
        """Show how the run stands, unless that was done a moment ago."""
        now = time.monotonic()
        if now >= self._next:
            self._next = now + SHOW_SECONDS
            self.draw(progress.state, _counts(progress), _words(progress))

    def end(self, state: RunState, counts: Counts) -> None:
        """Show how it ended, and leave that standing."""
        self.draw(state, counts, told(counts))

    @abstractmethod
    def draw(self, state: RunState, counts: Counts, words: str) -> None:
        """Show it now."""


class TerminalBar(Bar):
    """One line on stderr that is written over and over."""

    def draw(self, state: RunState, counts: Counts, words: str) -> None:
        """Write the line again."""
        full = _BAR_CHARACTERS * counts.ended // max(1, counts.total)
        blocks = "#" * full + "." * (_BAR_CHARACTERS - full)
        said = words if state is RunState.RUNNING else f"{state.value}: {words}"
        line = f"{self._name} [{blocks}] {said}"
        sys.stderr.write(f"\r\x1b[2K{line[: get_terminal_size().columns - 1]}")
        sys.stderr.flush()

    def end(self, state: RunState, counts: Counts) -> None:
        """Write the line a last time, and leave it."""
        super().end(state, counts)
        sys.stderr.write("\n")
        sys.stderr.flush()


class NotebookBar(Bar):
    """A display in the output of a notebook's cell, replaced in place."""

    def __init__(self, name: str) -> None:
        """Put the display below the cell that runs now."""
        super().__init__(name)
        shown = import_module("IPython.display")
        self._html = shown.HTML
        self._display = shown.display(self._html(_box(name, "", "")), display_id=True)

    def draw(self, state: RunState, counts: Counts, words: str) -> None:
        """Replace the display."""
        self._display.update(self._html(html(self._name, state, counts, words)))


def bar_for(name: str, *, progress: bool | None) -> Bar | None:
    """What shows the run: in a notebook unless declined, on a terminal when asked for."""
    if progress is False:
        return None
    if _in_notebook():
        return NotebookBar(name)
    return TerminalBar(name) if progress and sys.stderr.isatty() else None


def html(name: str, state: RunState, counts: Counts, words: str) -> str:
    """The run as a piece of a page that stands in any notebook, bright or dark."""
    shares = "".join(
        f'<span style="width:{100 * count / max(1, counts.total):.2f}%;background:{colour}"></span>'
        for colour, count in (
            (_COLOURS["done"], counts.done),
            (_COLOURS["failed"], counts.failed),
            (_COLOURS["cancelled"], counts.cancelled),
        )
    )
    return _box(name, shares, f"{state.value} · {words}")


def told(counts: Counts) -> str:
    """The counts in words; what is nought is not said."""
    words = [f"{counts.done:,} of {counts.total:,} done"]
    for count, word in (
        (counts.failed, "failed"),
        (counts.cancelled, "cancelled"),
        (counts.reused, "known already"),
    ):
        if count:
            words.append(f"{count:,} {word}")
    return ", ".join(words)


def _box(name: str, shares: str, note: str) -> str:
    return (
        f'<div style="{_STYLE}"><b>{escape(name)}</b> '
        f'<span style="opacity:.75">{escape(note)}</span>'
        '<div style="display:flex;height:10px;margin-top:4px;border-radius:4px;overflow:hidden;'
        f'background:rgba(128,128,128,.25)">{shares}</div></div>'
    )


def _counts(progress: RunProgress) -> Counts:
    return Counts(
        progress.total, progress.done, progress.failed, progress.cancelled, progress.reused
    )


def _words(progress: RunProgress) -> str:
    words = told(_counts(progress))
    if progress.per_second:
        words += f", {progress.per_second:.1f}/s"
    if progress.left_seconds:
        words += f", {round_duration(round(progress.left_seconds))} left"
    return words


def _in_notebook() -> bool:
    """Whether a notebook's kernel runs this; a terminal's IPython has none."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return getattr(shell, "kernel", None) is not None
