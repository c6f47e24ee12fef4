"""A fed queue of very unequal tasks: whether all workers are busy until the end.

The spread is that of a cluster that was in daily use: from 19 to 1,324 units of work, half of
them below 165. A unit is a millisecond here, and nothing is done in it but waiting, so
that more workers than cores are no lie.
"""

from __future__ import annotations

import random
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from itertools import count
from math import exp, log
from pathlib import Path

from benchmarks.broker import broker, broker_there
from benchmarks.machines import Machine, done, farm, submit
from benchmarks.measure import ROOT, Result, Row, Target, in_turn, renewed
from benchmarks.site import Server, Site, make_site, serving
from benchmarks.waiting import UNIT_SECONDS
from grange.bootstrap.scaling import accounted
from grange.db import open_database
from grange.runs.reads import Reads

WORKERS = 4
TASKS = 300
REPETITIONS = 2
LEAST, MEDIAN, MOST = 19, 165, 1324
BUSY_AT_LEAST = 0.97
LONGER_AT_MOST = 1.05
PIPELINE = ROOT / "benchmarks" / "waiting.py"

PARTS = ("working", "starting", "waiting", "idle")

HERE, AWAY = "workers of this machine", "machines over RabbitMQ"

Found = dict[str, float]


def measure(*, quick: bool = False) -> Result:
    """Let workers of one machine do it, and as many machines over a broker, in turn."""
    tasks, repetitions = (12, 1) if quick else (TASKS, REPETITIONS)
    with tempfile.TemporaryDirectory() as name, ExitStack() as opened:
        share = Path(name, "share")
        total, longest = _fill(share, tasks)
        found = in_turn(_turns(opened, Path(name), share), repetitions=repetitions)
    bound = max(total / WORKERS, longest)
    result = Result(
        "fed",
        f"A fed queue of unequal tasks, {WORKERS} workers",
        f"{tasks} tasks that wait {1000 * LEAST * UNIT_SECONDS:g} to "
        f"{1000 * MOST * UNIT_SECONDS:,g} ms, half of them less than "
        f"{1000 * MEDIAN * UNIT_SECONDS:g} ms, submitted in no order. The lower bound, "
        f"{bound:.2f} s, is what workers would take that never wait and can cut tasks as they "
        "like. The makespan is from the beginning of the first task to the end of the last one "
        "in the ledger, the time of the run from its submission until its report is written.",
    )
    for who, answers in found.items():
        result.rows += _rows(who, answers)
        result.targets += _targets(who, answers, bound)
    return result


def units(number: int) -> list[int]:
    """So many amounts of work: evenly spread over the distribution, the ends included."""
    normal = statistics.NormalDist()
    found = []
    for index in range(number):
        far = normal.inv_cdf((index + 0.5) / number)
        # As far below the middle as above, the ends are reached.
        end = log(MEDIAN / LEAST) if far < 0 else log(MOST / MEDIAN)
        found.append(round(MEDIAN * exp(end * far / normal.inv_cdf(1 - 0.5 / number))))
    return found


def _fill(share: Path, number: int) -> tuple[float, float]:
    """Make inputs of so many bytes as they have units; says how long all and one take, in seconds.

    Each has other bytes, or the result of one would be taken for another's.
    """
    share.mkdir()
    amounts = units(number)
    random.Random(5).shuffle(amounts)  # noqa: S311  # no secret
    for index, amount in enumerate(amounts):
        Path(share, f"{index:05}.dat").write_bytes(f"{index:05}".encode().ljust(amount))
    return sum(amounts) * UNIT_SECONDS, max(amounts) * UNIT_SECONDS


def _turns(opened: ExitStack, place: Path, share: Path) -> dict[str, Callable[[], Found]]:
    """Those who do it, with their servers up. Each turn is new to them."""
    turns = count(2)
    here = make_site(place / "here" / "home", runs_number=0)
    environment = {"GRANGE_WORKERS": str(WORKERS)}
    server = opened.enter_context(serving(here, "--shares", str(share), environment=environment))

    def turn(server: Server, site: Site) -> Found:
        return _run(server, site, renewed(PIPELINE, place / "pipelines", next(turns)), share)

    found: dict[str, Callable[[], Found]] = {HERE: partial(turn, server, here)}
    if broker_there():
        away = make_site(place / "away" / "home", runs_number=0)
        url = opened.enter_context(broker())
        server = opened.enter_context(farm(away, url, share, [Machine()] * WORKERS))
        found[AWAY] = partial(turn, server, away)
    return found


def _run(server: Server, site: Site, pipeline: str, share: Path) -> Found:
    token = site.tokens["ada"]
    began_at = time.time()
    run = submit(server, token, pipeline, share)
    done(server, token, run)
    whole = time.time() - began_at
    database = open_database(site.database)
    reads = Reads(database)
    spans = reads.newest_spans(reads.find(run), limit=TASKS)
    database.close()
    first_at = min(span.began_at for span in spans)
    last_at = max(span.ended_at for span in spans)
    parts = accounted(spans, workers=WORKERS, began_at=first_at, ended_at=last_at)
    return {"makespan": last_at - first_at, "whole": whole, **parts}


def _rows(who: str, found: Sequence[Found]) -> list[Row]:
    named = {"makespan": "makespan", "whole": "time of the run"}
    named |= {part: f"of a worker, {part}" for part in PARTS}
    return [
        Row(f"{who}, {words}", "s", [one[key] for one in found], 2) for key, words in named.items()
    ]


def _targets(who: str, found: Sequence[Found], bound: float) -> list[Target]:
    busy = statistics.median(one["working"] / one["makespan"] for one in found)
    longer = statistics.median(one["makespan"] for one in found) / bound
    return [
        Target(f"of the workers' time is work, {who}", busy, BUSY_AT_LEAST),
        Target(f"times the lower bound, {who}", longer, LONGER_AT_MOST, at_most=True),
    ]
