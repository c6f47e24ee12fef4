"""Requests per second, beside a bare FastAPI app over the same database."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.measure import Result, Row, Target, in_child, in_turn
from benchmarks.site import API, Site, make_site, serving, serving_bare

RUNS = 100_000
CONNECTIONS = 16
SECONDS = 4.0
REPETITIONS = 7
LIMIT = 0.5

ONE, LIST = "one run", "a page of 50 runs"
OURS, BARE = "grange serve", "bare FastAPI"


def measure(*, quick: bool = False) -> Result:
    """Let both answer in turn, one process each."""
    number, seconds = (500, 0.3) if quick else (RUNS, SECONDS)
    with tempfile.TemporaryDirectory() as folder, ExitStack() as opened:
        site = make_site(Path(folder, "home"), runs_number=number)
        contestants = _contestants(site, opened, seconds)
        found = in_turn(contestants, repetitions=1 if quick else REPETITIONS)
    result = Result(
        "requests",
        "Requests per second, beside a bare FastAPI app",
        f"`GET {API}/runs/ID` and `GET {API}/runs?limit=50` with an administrator's token, of "
        f"{number:,} runs in SQLite, over {CONNECTIONS} connections that are kept, asked by one "
        "process and answered by one process. The bare app has the same two endpoints as plain "
        "`def` functions over SQLAlchemy Core, the same tables and models and so the same bytes, "
        "the same loop and parser of uvicorn; it asks nobody who they are and guards nothing.",
        [
            Row(what, "requests/s", [one["per_second"] for one in answers])
            for what, answers in found.items()
        ],
    )
    for what in (ONE, LIST):
        ratio = result.median(f"{what}, {OURS}") / result.median(f"{what}, {BARE}")
        result.targets.append(Target(f"times bare FastAPI, {what}", ratio, LIMIT))
    return result


def _contestants(site: Site, opened: ExitStack, seconds: float) -> dict[str, Callable[[], Any]]:
    ours = opened.enter_context(serving(site))
    bare = opened.enter_context(serving_bare(site))
    one = site.runs[len(site.runs) // 2]
    asked = {
        f"{ONE}, {OURS}": (ours.port, f"{API}/runs/{one}"),
        f"{ONE}, {BARE}": (bare.port, f"/runs/{one}"),
        f"{LIST}, {OURS}": (ours.port, f"{API}/runs?limit=50"),
        f"{LIST}, {BARE}": (bare.port, "/runs?limit=50"),
    }
    token = site.tokens["ada"]
    return {
        which: partial(in_child, "knock", port, path, token, CONNECTIONS, seconds)
        for which, (port, path) in asked.items()
    }
