"""What shows a run while a program waits for it."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from grange.core.events import RunProgress
from grange.core.states import RunState
from grange.live import bars
from grange.runs.models import Counts


def _progress(done: int, **changes: Any) -> RunProgress:
    known: dict[str, Any] = {
        "run": "r",
        "state": RunState.RUNNING,
        "total": 10,
        "done": done,
        "failed": 1,
        "cancelled": 0,
        "reused": 0,
        "bytes_total": 0,
        "elapsed_seconds": 1.0,
        "per_second": 2.5,
        "left_seconds": 3.0,
    }
    return RunProgress(**{**known, **changes})


class Screen:
    """A stand-in of a notebook: what was displayed, and what replaced it."""

    def __init__(self) -> None:
        self.shown: list[str] = []

    def update(self, html: str) -> None:
        self.shown.append(html)

    def display(self, html: str, *, display_id: bool) -> Screen:
        assert display_id
        self.shown.append(html)
        return self


@pytest.fixture
def notebook(monkeypatch: pytest.MonkeyPatch) -> Screen:
    """Stand in for IPython inside a kernel."""
    screen = Screen()
    package, module = ModuleType("IPython"), ModuleType("IPython.display")
    package.get_ipython = lambda: SimpleNamespace(kernel=object())  # type: ignore[attr-defined]
    module.HTML, module.display = str, screen.display  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "IPython", package)
    monkeypatch.setitem(sys.modules, "IPython.display", module)
    return screen


def test_a_notebook_shows_a_bar_by_itself(notebook: Screen) -> None:
    """In a notebook a run is seen without asking, and its last word stays."""
    bar = bars.bar_for("spring", progress=None)
    assert bar is not None
    bar.show(_progress(4))
    bar.end(RunState.FAILED, Counts(10, 9, 1))

    assert len(notebook.shown) == 3
    assert "4 of 10 done, 1 failed, 2.5/s, 3 s left" in notebook.shown[1]
    assert "width:40.00%" in notebook.shown[1]
    assert "failed · 9 of 10 done, 1 failed" in notebook.shown[2]


def test_a_bar_is_drawn_no_oftener_than_people_see(notebook: Screen) -> None:
    """A thousand events in a moment are one picture."""
    bar = bars.bar_for("spring", progress=True)
    assert bar is not None
    for number in range(1000):
        bar.show(_progress(number % 10))

    assert len(notebook.shown) <= 4


@pytest.mark.usefixtures("notebook")
def test_a_bar_can_be_declined() -> None:
    """`progress=False` shows nothing anywhere."""
    assert bars.bar_for("spring", progress=False) is None


def test_a_script_shows_nothing_unless_asked() -> None:
    """No notebook and no terminal: nothing is written among a script's own words."""
    assert bars.bar_for("spring", progress=None) is None
    assert bars.bar_for("spring", progress=True) is None


def test_a_terminal_shows_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Asked for, it is a line on stderr that fits the terminal and is written over."""
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "60")
    bar = bars.bar_for("spring", progress=True)
    assert bar is not None

    bar.show(_progress(4))
    bar.end(RunState.DONE, Counts(10, 10))

    first, last = capsys.readouterr().err.split("\r\x1b[2K")[1:]
    assert first.startswith("spring [############............] 4 of 10")
    assert len(first) < 60
    assert last == "spring [########################] done: 10 of 10 done\n"


def test_names_are_no_markup() -> None:
    """A run called like a script is a text in the notebook."""
    assert "<script>" not in bars.html("<script>", RunState.DONE, Counts(), "")
