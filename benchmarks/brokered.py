"""Tasks over RabbitMQ: how many in a second, how well many workers are fed, how long one takes.

Grange is a server, its driver, and one `grange worker`, all of them processes of their own.
The times are those of its ledger. Whoever is compared with it has its workers up, and keeps
no account.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from sqlalchemy import func, select

from benchmarks.broker import broker, broker_there
from benchmarks.engine import run_dask, run_ray
from benchmarks.machines import Machine, done, farm, submit
from benchmarks.measure import ROOT, Result, Row, Target, in_child, in_turn, make_files, renewed
from benchmarks.site import Server, Site, make_site
from grange.core.tasks import TaskKind
from grange.db import Database, open_database
from grange.runs.tables import attempts, items, runs, tasks

WORKERS = 2
TASKS = 60_000
REPETITIONS = 3
# These take too long for all of them; their rates do not depend on how many there are.
SHARES = {"dramatiq": 6, "celery": 30, "ray": 10, "distributed": 50}
CONFIRMED_SHARE = 100
TIMES_THE_BEST = 3

SLEEPERS = 32
SLEEP_MS = 10
SLEEPS = 25_600
SLEEP_REPETITIONS = 2
OF_THE_IDEAL = 0.95

LINKS = 50
AT_MOST_MS = 10

GRANGE = "Grange, every end on disk"
WHOLE = "Grange, with submission, manifest and report"
DRAMATIQ = "Dramatiq on RabbitMQ"
CONFIRMED = "Dramatiq on RabbitMQ, each message confirmed as Grange's are"
CELERY = "Celery on RabbitMQ, late acknowledgements"
RAY, DASK = "Ray, without a broker", "Dask, without a broker"
IDEAL = f"{SLEEPERS} simulated workers, tasks that sleep {SLEEP_MS} ms"
TASK = "one task, from ready to recorded"
RUN = "a run of one file, three tasks in turn"

_OTHERS = {DRAMATIQ: "dramatiq", CELERY: "celery", RAY: "ray", DASK: "distributed"}
_MODULES = {"dramatiq": "brokereddramatiq", "celery": "brokeredcelery"}
_NOOP, _WAITING, _CHAIN = (
    ROOT / "benchmarks" / f"{one}.py" for one in ("noop", "waiting", "chain")
)


def measure(*, quick: bool = False) -> Result:
    """Compare the rates side by side, then feed many, then time one."""
    result = Result(
        "brokered",
        f"Tasks over RabbitMQ, {WORKERS} worker processes",
        _about(quick=quick),
    )
    if not broker_there():
        return result
    with broker() as url, tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        _rates(result, url, place, quick=quick)
        _fed(result, url, place, quick=quick)
        _latency(result, url, place, quick=quick)
    return result


def _about(*, quick: bool) -> str:
    number = 1_000 if quick else TASKS
    return (
        f"{number:,} no-op tasks, of which others do a part, as their rates do not depend on how "
        "many there are. Grange reads and digests each of the (empty) input files, and commits "
        "every claim, attempt and end to its SQLite ledger with `synchronous=FULL`; its time is "
        "from the run's beginning to the end of its last item. The others' clock begins with the "
        "first call and ends with the last task. Everybody's workers have done some tasks before. "
        "Dramatiq has one thread in each process and 64 messages ahead, which was found to be "
        "quicker than what it has by itself; Celery has 64 ahead, too. "
        f"The {SLEEPERS} workers are simulated, so that they fit on this machine's cores: they are "
        "processes of one real `grange worker`, which do nothing with a task but take exactly "
        f"{SLEEP_MS} ms of it. Everything between them and the ledger is real. The ideal is that "
        "all of them are at work all the time. "
        "One task's time is measured on an idle system, at a merge, beside which nothing is done: "
        "from when the driver has the outcome of the last part, which makes it ready, to when it "
        "has the merge's own. In that time the ledger commits once, for both the outcome and the "
        "claim of the merge, the broker writes two messages to its disk, and a worker process "
        "does the task."
    )


# ---- how many


def _rates(result: Result, url: str, place: Path, *, quick: bool) -> None:
    number = 1_000 if quick else TASKS
    inputs = place / "inputs"
    make_files(inputs, number)
    contestants: dict[str, Callable[[], dict[str, float]]] = {
        GRANGE: partial(in_child, "brokered", "noop", url, inputs, number)
    }
    for name, module in _OTHERS.items():
        if find_spec(module):
            part = number // SHARES[module]
            words = [_MODULES[module], url] if module in _MODULES else ["brokered", module, ""]
            contestants[name] = partial(in_child, *words, part)
    if DRAMATIQ in contestants:
        part = number // CONFIRMED_SHARE
        contestants[CONFIRMED] = partial(in_child, _MODULES["dramatiq"], url, part, "confirmed")
    found = in_turn(contestants, repetitions=1 if quick else REPETITIONS)
    rates = {
        name: [one["tasks"] / one["seconds"] for one in answers] for name, answers in found.items()
    }
    rates[WHOLE] = [one["tasks"] / one["whole"] for one in found[GRANGE]]
    result.rows += [Row(name, "tasks/s", values) for name, values in rates.items()]
    others = [statistics.median(rates[name]) for name in _OTHERS if name in rates]
    if others:
        times = statistics.median(rates[GRANGE]) / max(others)
        result.targets.append(Target("times the best of the others", times, TIMES_THE_BEST))


def run_noop(url: str, inputs: str, number: int) -> dict[str, float]:
    """A run of so many tasks that do nothing, by workers that have done some before."""
    warm = Path(inputs).with_name("few")
    if not warm.exists():
        make_files(warm, 20 * WORKERS)
    with _machine(url, Path(inputs), Machine(WORKERS)) as machine:
        machine.run(_NOOP, 20 * WORKERS, folder=warm)
        return {"tasks": number, **machine.run(_NOOP, number)}


# ---- how well fed


def _fed(result: Result, url: str, place: Path, *, quick: bool) -> None:
    number = 640 if quick else SLEEPS
    inputs = place / "sleeps"
    # The files' sizes say how long; each has other bytes.
    for index in range(number):
        below = inputs / f"{index // 1000:04}"
        below.mkdir(parents=True, exist_ok=True)
        (below / f"{index:07}.dat").write_bytes(f"{index:07}".encode().ljust(SLEEP_MS))
    again = partial(in_child, "brokered", "sleep", url, inputs, number)
    found = in_turn({IDEAL: again}, repetitions=1 if quick else SLEEP_REPETITIONS)[IDEAL]
    ideal = number * SLEEP_MS / 1000 / SLEEPERS
    result.rows.append(Row(IDEAL, "tasks/s", [number / one["seconds"] for one in found]))
    part = ideal / statistics.median(one["seconds"] for one in found)
    words = f"of the ideal, {SLEEPERS} simulated workers, tasks of {SLEEP_MS} ms"
    result.targets.append(Target(words, part, OF_THE_IDEAL))


def run_sleep(url: str, inputs: str, number: int) -> dict[str, float]:
    """A run of sleepers, by workers that have done some before."""
    sleepers = Machine(SLEEPERS, program=("benchmarks.simulated",))
    with _machine(url, Path(inputs), sleepers) as machine:
        warm = Path(inputs).with_name("warm")
        if not warm.exists():
            make_files(warm, 10 * SLEEPERS, content=bytes(SLEEP_MS))
        seen: set[str] = set()
        while len(seen) < SLEEPERS:
            machine.run(_WAITING, 10 * SLEEPERS, folder=warm)
            seen |= machine.workers()
        return machine.run(_WAITING, number)


# ---- how long


def _latency(result: Result, url: str, place: Path, *, quick: bool) -> None:
    inputs = place / "one"
    make_files(inputs, 1)
    found = in_child("brokered", "chain", url, inputs, 2 if quick else LINKS)
    times = {name: [1000 * one for one in found[name]] for name in (TASK, RUN)}
    for name, values in times.items():
        median, worst = statistics.median(values), statistics.quantiles(values, n=100)[98]
        result.rows.append(Row(f"{name}, p50", "ms", [median], 1))
        result.rows.append(Row(f"{name}, p99", "ms", [worst], 1))
    words = "ms, one task on an idle system, p50"
    middle = statistics.median(times[TASK])
    result.targets.append(Target(words, middle, AT_MOST_MS, at_most=True))


def run_chain(url: str, inputs: str, number: int) -> dict[str, list[float]]:
    """Runs of one item, one after the other, each of which makes its tasks wait for each other."""
    found: dict[str, list[float]] = {TASK: [], RUN: []}
    with _machine(url, Path(inputs), Machine(WORKERS)) as machine:
        # The first one finds workers that have not loaded the pipeline.
        for turn in range(number + 1):
            took = machine.run(_CHAIN, 1)
            link = machine.last_link()
            if turn:
                found[TASK].append(link)
                found[RUN].append(took["whole"])
    return found


# ---- a machine that has joined


class _Machine:
    """A server over a ledger of its own, and one machine that works for it."""

    def __init__(self, server: Server, site: Site, place: Path, inputs: Path) -> None:
        self.place = place
        self._server = server
        self._token = site.tokens["ada"]
        self._inputs = inputs
        self._database: Database = open_database(site.database)
        self._turn = 1
        self._run = ""

    def run(self, pipeline: Path, number: int, *, folder: Path | None = None) -> dict[str, float]:
        """Do a run; how long the work took, and all of it from its submission on."""
        self._turn += 1
        mine = renewed(pipeline, self.place / "pipelines", self._turn)
        asked_at = time.time()
        self._run = submit(self._server, self._token, mine, folder or self._inputs)
        done(self._server, self._token, self._run)
        query = select(runs.c.number, runs.c.started_at, runs.c.finished_at)
        with self._database.read() as connection:
            row = connection.execute(query.where(runs.c.id == self._run)).one()
            last_at, count = connection.execute(
                select(func.max(items.c.ended_at), func.count()).where(
                    items.c.run == row.number, items.c.state == "done"
                )
            ).one()
        assert count == number, f"{count} of {number} items are done"
        return {"seconds": last_at - row.started_at, "whole": row.finished_at - asked_at}

    def workers(self) -> set[str]:
        """Who has worked on the latest run."""
        query = (
            select(attempts.c.worker)
            .distinct()
            .join(tasks, attempts.c.task == tasks.c.id)
            .join(runs, runs.c.number == tasks.c.run)
            .where(runs.c.id == self._run)
        )
        with self._database.read() as connection:
            return set(connection.execute(query).scalars())

    def last_link(self) -> float:
        """Of the latest run: how long after the parts of its item they were merged."""
        query = (
            select(tasks.c.kind, func.max(attempts.c.ended_at))
            .join(attempts, attempts.c.task == tasks.c.id)
            .join(runs, runs.c.number == tasks.c.run)
            .where(runs.c.id == self._run)
            .group_by(tasks.c.kind)
        )
        with self._database.read() as connection:
            ended: dict[str, float] = {row[0]: row[1] for row in connection.execute(query)}
        return ended[TaskKind.MERGE] - ended[TaskKind.PROCESS]

    def close(self) -> None:
        self._database.close()


@contextmanager
def _machine(url: str, inputs: Path, how: Machine) -> Iterator[_Machine]:
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        site = make_site(place / "home", runs_number=0)
        with farm(site, url, inputs.parent, [how]) as server:
            machine = _Machine(server, site, place, inputs)
            try:
                yield machine
            finally:
                machine.close()


_RUNNERS: dict[str, Callable[[str, str, int], Any]] = {
    "noop": run_noop,
    "sleep": run_sleep,
    "chain": run_chain,
}

if __name__ == "__main__":
    what, *words = sys.argv[1:]
    if what in _RUNNERS:
        print(json.dumps(_RUNNERS[what](words[0], words[1], int(words[2]))))
    else:
        print(json.dumps((run_ray if what == "ray" else run_dask)("", int(words[1]))))
