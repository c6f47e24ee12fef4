"""A page of 50 runs out of very many, for people who see all, some, or what is shared with them."""

from __future__ import annotations

import re
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, event

from benchmarks.measure import Result, Row, Target, in_turn
from benchmarks.site import API, Server, Site, make_site, serving
from grange.core.states import RunState
from grange.db import open_database
from grange.runs.pages import RunFilter, Sight, page_of_runs

RUNS = 100_000
REPETITIONS = 51
LIMIT_MS = 20.0
WHO = {"ada": "an administrator", "mia": "a member", "vera": "a viewer in two groups"}
ASKED = {"all states": "", "paused ones": "&state=paused"}
# The server's own log says how long it took from the head of a request to the end of its answer.
NOTED = re.compile(r"GET /api/v1/runs 200 ([0-9.]+)ms")


def measure(*, quick: bool = False) -> Result:
    """Ask in turn for each one's first page and a later one."""
    number, repetitions = (1_000, 3) if quick else (RUNS, REPETITIONS)
    with tempfile.TemporaryDirectory() as folder:
        site = make_site(Path(folder, "home"), runs_number=number)
        plans = list(_plans(site))
        with serving(site) as server:
            contestants: dict[str, Callable[[], float]] = {}
            for name, who in WHO.items():
                for what, query in ASKED.items():
                    path = f"{API}/runs?limit=50{query}"
                    contestants[f"{who}, {what}"] = partial(_ask, server, path, site.tokens[name])
            for ask in contestants.values():
                ask()
            found = in_turn(contestants, repetitions=repetitions)
            time.sleep(1)  # the log is written a moment later
            inside = _noted(server.log, contestants, repetitions)
    result = Result(
        "pages",
        f"A page of 50 runs out of {number:,}",
        f"`GET {API}/runs?limit=50` over a connection of its own, with a token; SQLite. The member "
        "has one run of twenty and sees one in forty more; the viewer sees two in forty. One in a "
        "hundred is paused: all the oldest ones. `at the server` is what the server's own log "
        "says, from the request's head to the end of the answer; the others are what a client "
        "waits.",
        [Row(f"{what}, at the server", "ms", times, 1) for what, times in inside.items()]
        + [Row(f"{what}, whole answer", "ms", times, 1) for what, times in found.items()],
    )
    slowest = max(row.median for row in result.rows)
    scans = [step for step in plans if step.startswith("SCAN") and "USING" not in step]
    sorts = [step for step in plans if "TEMP B-TREE FOR ORDER BY" in step]
    result.targets = [
        Target("ms, the slowest of these medians", slowest, LIMIT_MS, at_most=True),
        Target("tables read without an index, in all plans", len(scans), 0, at_most=True),
        Target("sorts of whole selections, in all plans", len(sorts), 0, at_most=True),
    ]
    return result


def _ask(server: Server, path: str, token: str) -> float:
    begun = time.perf_counter()
    server.ask(path, token)
    return 1000 * (time.perf_counter() - begun)


def _noted(log: Path, asked: dict[str, Any], repetitions: int) -> dict[str, list[float]]:
    """The times in the log; the first turn, in which caches are cold, is left out."""
    times = [float(one) for one in NOTED.findall(log.read_text())][len(asked) :]
    if len(times) != len(asked) * repetitions:
        raise RuntimeError(f"the log has {len(times)} lines")
    return {what: times[number :: len(asked)] for number, what in enumerate(asked)}


def _plans(site: Site) -> Iterator[str]:
    """The steps of SQLite's plans for all queries behind these pages."""
    database = open_database(site.database)
    groups = [site.groups[:1], site.groups[:2]]
    sights = [
        Sight(everything=True),
        Sight(owner=site.users["mia"], groups=groups[0]),
        Sight(owner=site.users["vera"], groups=groups[1]),
    ]
    for sight in sights:
        for states in ((), (RunState.PAUSED,)):
            with _written() as statements:
                page_of_runs(database, sight, RunFilter(states=states), after=None, limit=50)
            with database.read() as connection:
                for statement, values in statements:
                    plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)
                    yield from (row[3] for row in plan)
    database.close()


@contextmanager
def _written() -> Iterator[list[tuple[str, Any]]]:
    """All SELECTs that are sent meanwhile."""
    found: list[tuple[str, Any]] = []

    def note(_one: Connection, _cursor: object, statement: str, *given: Any) -> None:  # noqa: ANN401
        if statement.startswith("SELECT"):
            found.append((statement, given[0]))

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield found
    finally:
        event.remove(Engine, "before_cursor_execute", note)
