"""Runs to look at: a server with a shared folder, and people's requests over it."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

PATIENCE_SECONDS = 60.0
# Fails for inputs that begin with "bad"; says something in any case.
SOMETIMES = (
    'echo "looking at {name}" >&2; if grep -q ^bad {input}; '
    'then echo "bad header at byte 12" >&2; exit 3; fi; cp {input} {output}/copy.txt'
)
ENDS = {"done", "failed", "cancelled"}


def fill(folder: Path, *, good: int, bad: int = 0) -> Path:
    """Write so many small inputs."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(good):
        (folder / f"good{number}.txt").write_text(f"good {number}\n")
    for number in range(bad):
        (folder / f"wrong{number}.txt").write_text(f"bad {number}\n")
    return folder


def submit(who: httpx.Client, inputs: Path, shell: str = SOMETIMES, **more: Any) -> str:
    """Submit a run over a shared folder; gives its id."""
    body = {
        "pipeline": "command",
        "inputs": [{"share": str(inputs)}],
        "params": {"shell": shell},
        **more,
    }
    answer = who.post("/runs", json=body)
    assert 201 == answer.status_code, answer.text
    run: str = answer.json()["id"]
    return run


def ended(who: httpx.Client, run: str) -> dict[str, Any]:
    """Wait until a run has ended; gives it."""
    return reached(who, run, lambda found: found["state"] in ENDS)


def reached(who: httpx.Client, run: str, there: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """Wait until a run is as it should be; gives it."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        found: dict[str, Any] = who.get(f"/runs/{run}").json()
        if there(found):
            return found
        assert time.monotonic() < deadline, found
        time.sleep(0.1)
