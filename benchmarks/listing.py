"""Looking at runs, where there are very many of them, beside a home that has just one small run."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Table, insert

from benchmarks.measure import Result, Row, Target, in_turn, program, seconds_of
from benchmarks.start import run_once
from grange.core.ids import new_id
from grange.db import Database, open_database
from grange.db.schema import prepare
from grange.runs.tables import attempts, items, runs, tasks

RUNS = 100_000
ITEMS = 1_000_000
SMALL_RUN_ITEMS = 3
REPETITIONS = 21
LIMIT = 1.5

# One item in a hundred failed, for one of these reasons.
FAILED_EVERY = 100
REASONS = ("command.failed", "task.timed_out", "input.unreadable")
BATCH = 20_000
BEGUN_AT = 1_700_000_000.0


def measure(*, quick: bool = False) -> Result:
    """Time `runs list` and `runs show` in both homes."""
    many, large, repetitions = (500, 5_000, 3) if quick else (RUNS, ITEMS, REPETITIONS)
    with tempfile.TemporaryDirectory() as name:
        small, full = Path(name, "small"), Path(name, "full")
        small.mkdir()
        run_once(small, {"GRANGE_HOME": str(small / "home")})
        big_run = fill(full / "home", runs_number=many, items_number=large)
        found = in_turn(
            {
                "runs list, one small run": _command(small, "list"),
                f"runs list, {many:,} runs": _command(full, "list"),
                "runs show, one small run": _command(small, "show", "last"),
                f"runs show, a run of {large:,} items": _command(full, "show", big_run),
            },
            repetitions=repetitions,
        )
    result = Result(
        "listing",
        "Looking at runs in a large ledger",
        f"`grange runs list` and `grange runs show RUN`, from the start of the process to its end. "
        f"The large ledger has {many:,} runs of {SMALL_RUN_ITEMS} items, and in its middle one of "
        f"{large:,} items with their tasks and attempts; 1 % of all items failed, for "
        f"{len(REASONS)} reasons.",
        [Row(what, "ms", [1000 * one for one in times], 1) for what, times in found.items()],
    )
    rows = result.rows
    for little, much in ((rows[0], rows[1]), (rows[2], rows[3])):
        ratio = much.median / little.median
        result.targets.append(
            Target(f"times the small ledger, {much.what}", ratio, LIMIT, at_most=True)
        )
    return result


def fill(home: Path, *, runs_number: int, items_number: int) -> str:
    """Make a large ledger; returns the id of its large run."""
    database = open_database(f"sqlite:///{home}/grange.db")
    prepare(database)
    large = runs_number // 2
    sizes = [items_number if one == large else SMALL_RUN_ITEMS for one in range(runs_number)]
    ids = [new_id() for _ in sizes]
    insert_rows(database, runs, (run_row(one, ids[one], size) for one, size in enumerate(sizes)))
    insert_rows(database, items, _items(sizes))
    insert_rows(database, tasks, (_task(number, large + 1) for number in range(items_number)))
    insert_rows(database, attempts, (_attempt(number) for number in range(items_number)))
    database.close()
    return ids[large]


def _command(folder: Path, *words: str) -> Callable[[], float]:
    environment = {"GRANGE_HOME": str(folder / "home")}
    return partial(seconds_of, [program("grange"), "runs", *words], environment=environment)


def insert_rows(database: Database, table: Table, rows: Iterator[dict[str, Any]]) -> None:
    """Insert them in batches, past the services: only the table's own rules hold."""
    while batch := list(islice(rows, BATCH)):

        def work(connection: Connection, batch: Sequence[dict[str, Any]] = batch) -> None:
            connection.execute(insert(table), batch)

        database.transact(work)


def run_row(number: int, name: str, size: int) -> dict[str, Any]:
    """The ledger's row of an ended run of so many items; `name` is its id."""
    failed = sum(_fails(index) for index in range(size))
    begun = BEGUN_AT + 60 * number
    return {
        "id": name,
        "name": f"night {number}",
        "state": "failed" if failed else "done",
        "pipeline": "command",
        "version": "1",
        "params": {"command": ["wc", "{input}"]},
        "models": {},
        "function_key": f"{number:064x}",
        "request_key": f"{number:064x}",
        "out": f"file:///data/results/{number}",
        "inputs": {"roots": [f"/data/inputs/{number}"], "include": [], "exclude": []},
        "plan": {"splits": False, "reports": False, "reads_name": True, "cwd": "/data"},
        "retries": 2,
        "created_at": begun,
        "started_at": begun + 1,
        "finished_at": begun + 2 + size / 1000,
        "items_total": size,
        "items_done": size - failed,
        "items_failed": failed,
        "bytes_total": 1000 * size,
    }


def _items(sizes: Sequence[int]) -> Iterator[dict[str, Any]]:
    number = 0
    for run, size in enumerate(sizes, start=1):
        for index in range(size):
            number += 1
            yield _item(run, index, number)


def _item(run: int, index: int, number: int) -> dict[str, Any]:
    path = f"camera {index // 1000:04}/{index:07}.jpg"
    code = REASONS[index // FAILED_EVERY % len(REASONS)] if _fails(index) else None
    return {
        "run": run,
        "path": path,
        "uri": f"file:///data/inputs/{run - 1}/{path}",
        "uri_key": f"file:///data/inputs/{run - 1}/{path}",
        "size": 1000,
        "mtime_ns": int(BEGUN_AT) * 10**9,
        "weight": 41,
        "state": "failed" if code else "done",
        "attempts": 3 if code else 1,
        "seconds": 0.01,
        "sha256": f"{number:064x}",
        "work_key": None if code else f"{number:032x}",
        "failure_code": code,
        "failure": code and {"code": code, "message": "It went wrong.", "evidence": {}},
        "ended_at": BEGUN_AT + 60 * run + index / 1000,
    }


def _fails(index: int) -> bool:
    return index % FAILED_EVERY == FAILED_EVERY - 1


def _task(number: int, run: int) -> dict[str, Any]:
    """The task of one item of the large run, whose items come after those of the runs before."""
    return {
        "run": run,
        "item": (run - 1) * SMALL_RUN_ITEMS + number + 1,
        "kind": "process",
        "part": 0,
        "state": "failed" if _fails(number) else "done",
        "weight": 41,
        "epoch": 1,
        "attempts": 1,
    }


def _attempt(number: int) -> dict[str, Any]:
    return {
        "task": number + 1,
        "epoch": 1,
        "end": "failed" if _fails(number) else "done",
        "worker": "w1",
        "ended_at": BEGUN_AT + number / 1000,
        "seconds": 0.01,
    }
