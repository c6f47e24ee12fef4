"""Runs and items as the ledger would show them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Any

from grange.core.states import ItemState, RunState
from grange.runs.models import Counts, ItemView, RunView
from grange.runs.report import Survey

# A Tuesday; every time in these runs is relative to it.
START = 1_763_715_600.0


def make_run(**changes: Any) -> RunView:
    """Give a finished run of the command pipeline."""
    known: dict[str, Any] = {
        "number": 1,
        "id": "0123456789",
        "name": "spring",
        "state": RunState.DONE,
        "priority": 0,
        "pipeline": "command",
        "version": "1",
        "params": {"command": ["cp", "{input}", "{output}"]},
        "models": {},
        "inputs": {"roots": ["/data/photos"], "include": [], "exclude": []},
        "out": "file:///data/out",
        "retries": 2,
        "timeout_seconds": None,
        "note": "",
        "created_at": START,
        "started_at": START + 1,
        "finished_at": START + 61.5,
        "counts": Counts(),
        "bytes_total": 0,
    }
    return RunView(**{**known, **changes})


def make_item(number: int = 0, **changes: Any) -> ItemView:
    """Give an item that is done and wrote one file."""
    known: dict[str, Any] = {
        "id": number,
        "path": f"day {number // 100}/{number:06}.txt",
        "uri": f"file:///data/photos/{number}",
        "size": 1000,
        "state": ItemState.DONE,
        "attempts": 1,
        "seconds": 0.5 + (number % 7) / 10,
        "sha256": f"{number:064x}",
        "reused": False,
        "result": None,
        "failure": None,
        "ended_at": START + 1 + number % 60,
        "outputs": ({"path": "out.txt", "size": 10, "sha256": "b" * 64},),
    }
    return ItemView(**{**known, **changes})


def make_failed(number: int = 0, **changes: Any) -> ItemView:
    """Give an item whose command failed three times."""
    failure = {
        "code": "command.failed",
        "message": "The command ended with exit code 2.",
        "evidence": {"exit_code": 2, "stderr": "line one\nline two <b>\n"},
    }
    given = {"state": ItemState.FAILED, "attempts": 3, "outputs": (), "failure": failure}
    return make_item(number, **{**given, **changes})


def surveyed(run: RunView, items: Iterable[ItemView]) -> Survey:
    """Look at the items of a run, as it is done while they are written down."""
    seen = Survey.of(run)
    deque(seen.along(items), maxlen=0)
    return seen
