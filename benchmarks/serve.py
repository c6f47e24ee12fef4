"""How long `grange serve` takes until it answers."""

from __future__ import annotations

import http.client
import itertools
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from http import HTTPStatus
from pathlib import Path

from benchmarks.measure import Result, Row, Target, in_turn
from benchmarks.site import API, end, environment_of, make_site

RUNS = 100_000
REPETITIONS = 11
MOST_SECONDS = 2.0
LOOK_SECONDS = 0.005
PATIENCE_SECONDS = 60.0
HEALTH, LOGIN = f"{API}/health", "/login"


def measure(*, quick: bool = False) -> Result:
    """Start it over a fresh home and over a full one."""
    number, repetitions = (500, 1) if quick else (RUNS, REPETITIONS)
    with tempfile.TemporaryDirectory() as folder:
        make_site(Path(folder, "full"), runs_number=number)
        fresh = (Path(folder, f"fresh-{turn}") for turn in itertools.count())
        contestants: dict[str, Callable[[], dict[str, float]]] = {
            "a fresh home": lambda: _start(next(fresh)),
            f"a home of {number:,} runs": partial(_start, Path(folder, "full")),
        }
        found = in_turn(contestants, repetitions=repetitions)
    result = Result(
        "serve",
        "Starting the server",
        "From the start of the process `grange serve` to the first whole answer, for "
        f"`GET {HEALTH}` and then for the page `{LOGIN}`. A fresh home has no database yet. The "
        "disk's cache is warm, and so are the `.pyc` files.",
        [
            Row(f"{what}, {path}", "ms", [1000 * one[path] for one in times])
            for what, times in found.items()
            for path in (HEALTH, LOGIN)
        ],
    )
    result.targets = [
        Target(f"seconds, {row.what}", row.median / 1000, MOST_SECONDS, at_most=True)
        for row in result.rows
    ]
    return result


def _start(home: Path) -> dict[str, float]:
    """Seconds until each path was answered."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "grange", "serve", "--port", str(port), "--json"],
        env=environment_of(home),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    try:
        return {path: _until(port, path) - began for path in (HEALTH, LOGIN)}
    finally:
        end(process)


def _until(port: int, path: str) -> float:
    """When this path was first answered, by the clock of `perf_counter`."""
    for _ in _looks():
        connection = http.client.HTTPConnection("127.0.0.1", port)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            answer.read()
        except ConnectionError:
            continue
        finally:
            connection.close()
        if answer.status < HTTPStatus.BAD_REQUEST:
            return time.perf_counter()
        sys.exit(f"{path} was answered with {answer.status}")
    sys.exit(f"{path} was not answered in {PATIENCE_SECONDS:g} s; load {os.getloadavg()}")


def _looks() -> Iterator[None]:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        yield
        time.sleep(LOOK_SECONDS)
