"""The ledger in SQLite beside PostgreSQL: submitting, driving no-op tasks, lists, details."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks.listing import REASONS, insert_rows, run_row
from benchmarks.measure import ROOT, Result, Row, in_child, in_turn, make_files, renewed
from benchmarks.postgres import postgres, postgres_there
from benchmarks.submit import stream

WORKERS = 2
STREAMED = 200_000
TASKS = 50_000
RUNS = 20_000
REPETITIONS = 3
LOOKS = 21

SQLITE, POSTGRESQL = "SQLite", "PostgreSQL"
RATES = {
    "submitted": "items submitted",
    "worked": "no-op tasks, every end on disk",
    "closed": "no-op tasks, manifest and report written too",
}


def measure(*, quick: bool = False) -> Result:
    """Let both do the same in turn, each time in a database that has the same in it."""
    streamed, tasks, runs = (2_000, 500, 100) if quick else (STREAMED, TASKS, RUNS)
    with tempfile.TemporaryDirectory() as name, ExitStack() as opened:
        make_files(Path(name, "inputs"), tasks)
        places = {SQLITE: f"sqlite:///{name}/home/grange.db"}
        if postgres_there() and find_spec("psycopg"):
            places[POSTGRESQL] = opened.enter_context(postgres())
        for url in places.values():
            fill(url, runs)
        contestants = {
            which: _turns(Path(name), url, streamed, tasks) for which, url in places.items()
        }
        found = in_turn(contestants, repetitions=1 if quick else REPETITIONS)
    result = Result(
        "databases",
        "The ledger in SQLite and in PostgreSQL",
        f"A stream of {streamed:,} items is submitted; a run over {tasks:,} empty files is driven "
        f"by {WORKERS} workers of a pipeline that does nothing; and both are looked at beside "
        f"{runs:,} runs. All of it by one process without a server between, and each commit waits "
        "for the disk: SQLite in WAL mode with `synchronous=FULL`, PostgreSQL as Debian sets it "
        "up, on this very machine, of whose cores it takes its own.",
    )
    for key, words in RATES.items():
        for which, answers in found.items():
            rates = [one[key] for one in answers]
            result.rows.append(Row(f"{words}, {which}", "items/s", rates))
    for words in found[SQLITE][0]["looks"]:
        for which, answers in found.items():
            times = [time for one in answers for time in one["looks"][words]]
            result.rows.append(Row(f"{words}, {which}", "ms", times, 1))
    return result


def fill(url: str, number: int) -> None:
    """Make the tables, and so many ended runs."""
    from grange.core.ids import new_id
    from grange.db import open_database
    from grange.db.schema import prepare
    from grange.runs.tables import runs

    database = open_database(url)
    prepare(database)
    insert_rows(database, runs, (run_row(one, new_id(), len(REASONS)) for one in range(number)))
    database.close()


def _turns(place: Path, url: str, streamed: int, tasks: int) -> Callable[[], Any]:
    turn = iter(range(2, 1000))

    def one() -> Any:  # noqa: ANN401  # what the child prints
        pipeline = renewed(ROOT / "benchmarks" / "noop.py", place / "pipelines", next(turn))
        return in_child("databases", place, url, pipeline, streamed, tasks)

    return one


def work(place: str, url: str, pipeline: str, streamed: str, tasks: str) -> dict[str, Any]:
    """Submit, drive and look, in this process."""
    from grange import settings
    from grange.bootstrap import open_site
    from grange.core.events import Event, ItemEnded
    from grange.runs.models import RunRequest

    last = 0.0

    def observe(event: Event) -> None:
        nonlocal last
        if isinstance(event, ItemEnded):
            last = time.perf_counter()

    rate = int(streamed) / submit_stream(url, int(streamed))
    with tempfile.TemporaryDirectory(dir=place) as folder:
        chosen = settings.load({"home": f"{place}/home", "database": url})
        inputs = [f"{place}/inputs"]
        request = RunRequest(pipeline=pipeline, inputs=inputs, out=f"{folder}/out")
        with open_site(chosen) as site:
            run = site.submit(request).run
            begun = time.perf_counter()
            view = site.drive(run.id, workers=WORKERS, observer=observe)
            closed = time.perf_counter()
    assert view.counts.done == int(tasks), view.counts
    return {
        "submitted": rate,
        "worked": int(tasks) / (last - begun),
        "closed": int(tasks) / (closed - begun),
        "looks": look(url, view.id),
    }


def submit_stream(url: str, number: int) -> float:
    """Submit items that come from a generator; how many seconds it took."""
    from grange.core.ids import new_id
    from grange.db import open_database
    from grange.runs.models import RunSpec
    from grange.runs.service import Runs

    database = open_database(url)
    spec = RunSpec(
        pipeline="noop",
        version="1",
        params={},
        function_key="none",
        out=f"file:///nowhere/{new_id()}",
        inputs={},
    )
    begun = time.perf_counter()
    submitted = Runs(database, logs=Path("/nowhere")).submit(spec, stream(number))
    seconds = time.perf_counter() - begun
    database.close()
    assert submitted.run.counts.total == number
    return seconds


def look(url: str, run: str) -> dict[str, list[float]]:
    """How long lists and details take, in ms."""
    from grange.db import open_database
    from grange.runs.itempages import ItemFilter
    from grange.runs.pages import RunFilter, Sight
    from grange.runs.reads import Reads

    database = open_database(url)
    reads = Reads(database)
    view = reads.find(run)
    sight = Sight(everything=True)
    looks: dict[str, Callable[[], object]] = {
        "a page of 50 runs": lambda: reads.page(sight, RunFilter(), after=None, limit=50),
        "a run": lambda: reads.of_id(run),
        "a page of 50 items": lambda: reads.page_of_items(view, ItemFilter(), after=None, limit=50),
        "the 50 items that ended last": lambda: reads.newest_ended(view, limit=50),
        "why items failed": lambda: reads.failures(view),
    }
    for one in looks.values():
        one()
    found = {what: [_ms(one) for _ in range(LOOKS)] for what, one in looks.items()}
    database.close()
    return found


def _ms(one: Callable[[], object]) -> float:
    begun = time.perf_counter()
    one()
    return 1000 * (time.perf_counter() - begun)


if __name__ == "__main__":
    print(json.dumps(work(*sys.argv[1:])))
