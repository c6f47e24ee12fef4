"""A million items in one run of a server: how fast, in how much memory, and how its pages open."""

from __future__ import annotations

import http.client
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.measure import ROOT, Result, Row, Target, in_turn, make_files, renewed
from benchmarks.site import API, Server, Site, make_site, serving

# What is a constant of the programs has come by the second of these: pages of the database and
# statements are kept up to a limit. From there on memory must not grow with the number of items.
SIZES = (1_000, 250_000, 1_000_000)
QUICK_SIZES = (100, 300, 1_000)
WORKERS = 2
REPETITIONS = 31
LARGER_AT_MOST = 1.15
SLOWER_AT_MOST = 1.5
PATIENCE_SECONDS = 600.0
LOOK_SECONDS = 0.1
PAGE = 50
PIPELINE = ROOT / "benchmarks" / "noop.py"

SERVER, DRIVER = "server", "process that drives runs"
# What people look at, and programs ask for, of a run; the list is of all runs.
LIST = "list of runs"
SHOWN = {
    "run": "{api}/runs/{run}",
    "page of items": "{api}/runs/{run}/items?limit=50",
    "page of items, the last one": "{api}/runs/{run}/items?limit=50&after={late}",
    "failed items": "{api}/runs/{run}/items?limit=50&state=failed",
    "all items at a glance": "{api}/runs/{run}/cells",
    "time line": "{api}/runs/{run}/timeline",
    "page of the run": "/runs/{run}",
    "page of its items": "/runs/{run}/items",
}
# It shows up to 2,000 spans of work, of which the smallest run has fewer: no pages of equal size.
UNEQUAL = frozenset({"time line"})
LISTED = {f"{LIST}": "{api}/runs?limit=50", f"page of the {LIST}": "/runs"}


@dataclass
class Done:
    """What one run of so many items took."""

    run: str
    submitted: float  # seconds
    worked: float  # seconds until the last end is on disk
    closed: float  # seconds until the run has ended, its manifest and report written too
    memory: dict[str, float]  # peaks of all time, in bytes, by process
    while_driven: list[float]  # ms that a page of the run took meanwhile


def measure(*, quick: bool = False) -> Result:
    """Drive a small run, a larger one and a huge one through one server, and look at them."""
    sizes = QUICK_SIZES if quick else SIZES
    with tempfile.TemporaryDirectory() as name:
        share = Path(name, "share")
        for size in sizes:
            make_files(share / str(size), size)
        site = make_site(Path(name, "home"), runs_number=0)
        flags = ("--shares", str(share))
        with serving(site, *flags, environment={"GRANGE_WORKERS": str(WORKERS)}) as server:
            look = _Looking(server, site, 3 if quick else REPETITIONS)
            done: dict[int, Done] = {}
            lists: dict[str, list[float]] = {}
            for size in sizes:
                done[size] = _drive(server, site, share / str(size), size)
                print(f"  {size:,} items", file=sys.stderr)
                if size in {sizes[0], sizes[-1]}:
                    lists |= look.at(LISTED, {f"{size:,}": ""})
            runs = {f"{size:,}": done[size].run for size in (sizes[0], sizes[-1])}
            first = look.first_glance(runs)
            pages = look.at(SHOWN, runs)
            seen = _peaks(server)[SERVER]
        shutil.rmtree(share)
    result = Result(
        "million",
        f"A run of {sizes[-1]:,} items",
        "`grange serve` over SQLite (WAL, `synchronous=FULL`), and the process that it drives runs "
        f"with: runs of a pipeline that does nothing over {', '.join(f'{one:,}' for one in sizes)} "
        f"empty files of a shared folder, one after the other, by {WORKERS} workers. Memory is the "
        "largest resident set that a process ever had until then. Each page is asked for over a "
        "connection of its own, with a token; `while driven` is the page of the run while its "
        "items go through.",
        [*_rates(done), *_memory(done, seen), *_times(lists | pages | first)],
    )
    result.targets = [*_flat(done, sizes), *_as_fast(lists | pages, sizes)]
    return result


def _drive(server: Server, site: Site, folder: Path, size: int) -> Done:
    token = site.tokens["ada"]
    pipeline = renewed(PIPELINE, folder.parent / "pipelines", size)
    asked = {"pipeline": pipeline, "inputs": [{"share": str(folder)}]}
    begun = time.perf_counter()
    run = server.ask(f"{API}/runs", token, method="POST", body=asked)["id"]
    submitted = time.perf_counter() - begun
    with _knocking(partial(_ask, server, f"/runs/{run}", token)) as times:
        worked = _await(server, token, run, lambda view: view["counts"]["done"] == size) - begun
    closed = _await(server, token, run, lambda view: view["state"] == "done") - begun
    return Done(run, submitted, worked - submitted, closed - submitted, _peaks(server), times)


def _await(server: Server, token: str, run: str, happened: Callable[[Any], bool]) -> float:
    deadline = time.perf_counter() + PATIENCE_SECONDS
    while not happened(server.ask(f"{API}/runs/{run}", token)):
        assert time.perf_counter() < deadline, run
        time.sleep(LOOK_SECONDS)
    return time.perf_counter()


@contextmanager
def _knocking(ask: Callable[[], float]) -> Iterator[list[float]]:
    """Ask again and again meanwhile, as an open page does, and keep how long it took."""
    times: list[float] = []
    over = threading.Event()

    def knock() -> None:
        while not over.wait(1.0 if times else 0.0):
            times.append(ask())

    thread = threading.Thread(target=knock)
    thread.start()
    try:
        yield times
    finally:
        over.set()
        thread.join()


class _Looking:
    """Looks at runs, in turn."""

    def __init__(self, server: Server, site: Site, repetitions: int) -> None:
        self._server = server
        self._token = site.tokens["ada"]
        self._repetitions = repetitions

    def at(self, what: Mapping[str, str], runs: Mapping[str, str]) -> dict[str, list[float]]:
        """How long each of these takes for each of the runs, in ms."""
        asked = {
            f"{name}, {size}": self._path(path, run)
            for name, path in what.items()
            for size, run in runs.items()
        }
        contestants = {
            name: partial(_ask, self._server, path, self._token) for name, path in asked.items()
        }
        for ask in contestants.values():
            ask()
        return in_turn(contestants, repetitions=self._repetitions)

    def first_glance(self, runs: Mapping[str, str]) -> dict[str, list[float]]:
        """How long it takes to see all items when nobody has looked before."""
        path = SHOWN["all items at a glance"]
        return {
            f"first look at all items at a glance, {size}": [
                _ask(self._server, self._path(path, run), self._token)
            ]
            for size, run in runs.items()
        }

    def _path(self, path: str, run: str) -> str:
        late = ""
        if "{late}" in path:
            # Items were submitted one after the other, and so are their ids.
            cells = self._server.ask(f"{API}/runs/{run}/cells", self._token)
            late = cells["first_ids"][0] + cells["total"] - PAGE - 1
        return path.format(api=API, run=run, late=late)


def _ask(server: Server, path: str, token: str) -> float:
    begun = time.perf_counter()
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    connection.request("GET", path, headers={"Authorization": f"Bearer {token}"})
    answer = connection.getresponse()
    answer.read()
    connection.close()
    assert answer.status == http.HTTPStatus.OK, (path, answer.status)
    return 1000 * (time.perf_counter() - begun)


def _peaks(server: Server) -> dict[str, float]:
    """The largest resident sets of the server and of the child that drives runs."""
    found = {SERVER: _peak_bytes(server.process.pid)}
    for child in _children(server.process.pid):
        if b"drive" in Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0"):
            found[DRIVER] = _peak_bytes(child)
    return found


def _peak_bytes(process: int) -> float:
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return 1024.0 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


def _children(process: int) -> list[int]:
    tasks = Path(f"/proc/{process}/task").glob("*/children")
    return [int(one) for task in tasks for one in task.read_text().split()]


def _rates(done: Mapping[int, Done]) -> list[Row]:
    found = []
    for size, one in done.items():
        found += [
            Row(f"{size:,} items, submitted", "items/s", [size / one.submitted]),
            Row(f"{size:,} items, every end on disk", "items/s", [size / one.worked]),
            Row(f"{size:,} items, manifest and report too", "items/s", [size / one.closed]),
        ]
    return found


def _memory(done: Mapping[int, Done], seen: float) -> list[Row]:
    return [
        Row(f"{which}, peak memory, {size:,} items", "MB", [one.memory[which] / 1e6])
        for which in (SERVER, DRIVER)
        for size, one in done.items()
    ] + [
        Row(f"{SERVER}, peak memory, all pages looked at", "MB", [seen / 1e6]),
        *[
            Row(f"page of the run while driven, {size:,} items", "ms", one.while_driven, 1)
            for size, one in done.items()
        ],
    ]


def _times(found: Mapping[str, list[float]]) -> list[Row]:
    return [Row(f"{what} items", "ms", times, 1) for what, times in found.items()]


def _flat(done: Mapping[int, Done], sizes: tuple[int, ...]) -> list[Target]:
    _, before, most = sizes
    return [
        Target(
            f"times the memory of {before:,} items, {which}",
            done[most].memory[which] / done[before].memory[which],
            LARGER_AT_MOST,
            at_most=True,
        )
        for which in (SERVER, DRIVER)
    ]


def _as_fast(found: Mapping[str, list[float]], sizes: tuple[int, ...]) -> list[Target]:
    return [
        Target(
            f"times the time of {sizes[0]:,} items, {what}",
            _median(found[f"{what}, {sizes[-1]:,}"]) / _median(found[f"{what}, {sizes[0]:,}"]),
            SLOWER_AT_MOST,
            at_most=True,
        )
        for what in (*LISTED, *SHOWN)
        if what not in UNEQUAL
    ]


def _median(values: list[float]) -> float:
    return sorted(values)[len(values) // 2]
