"""Whatever happens to an attempt here comes to an end that is told."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from grange.client.connection import Connection
from grange.client.work import Work
from grange.core.resources import Needs
from grange.core.tasks import (
    Batch,
    Job,
    Outcome,
    OutcomeState,
    Output,
    Task,
    TaskKind,
    staging_token,
)
from grange.engines.local import LocalEngine
from grange.engines.strays import STATION_MARKER
from grange.errors import GrangeError
from grange.storage import file_uri, open_store
from grange.worker.station.bench import Bench
from grange.worker.station.carrying import Carrier
from grange.worker.station.ending import Ending
from grange.worker.station.errands import Errands
from grange.worker.station.holding import Held, Holding, Phase
from grange.worker.station.journal import Journal
from grange.worker.station.routes import Route, Way
from grange.worker.station.teller import Teller
from tests import aside
from tests.engines.rig import SCRIPTED

PATIENCE_SECONDS = 20.0
MARK = "mark"
JOB = Job("run", "command", {}, "file:///elsewhere", "/elsewhere")


class Quiet:
    """Hears what the work finds out, and does nothing about it."""

    def changed(self) -> None:
        """There is room."""

    def full(self, reason: str) -> None:
        """There is none."""

    async def doubt(self, held: Held) -> bool:
        """All mounts are there."""
        return False

    def ended(self, ended: Sequence[tuple[Held, Outcome]]) -> None:
        """Tasks have ended."""

    def brought(self, size_bytes: int, *, from_cache: bool) -> None:
        """An input is here."""

    def carried(self, size_bytes: int) -> None:
        """Outputs have gone."""


def test_outputs_that_shrink_on_their_way_fail_their_attempt(tmp_path: Path) -> None:
    """What goes wrong in no foreseen way is the attempt's end, which is not held for ever."""
    local = Job("run", "command", {}, file_uri(tmp_path / "store"), str(tmp_path / "logs"))
    folder = open_store(local.store).staging(staging_token("run", 1, 1))
    outputs = []
    for name in ("a", "b"):
        (folder / name).write_bytes(b"short")
        outputs.append(Output(name, 100, "0" * 64, 0))
    done = Outcome(1, 1, OutcomeState.DONE, outputs=tuple(outputs))

    route = Route(JOB, local, Way.SERVER, carries_logs=False)
    [told] = aside.run(_ended(route, done, tmp_path))

    assert OutcomeState.FAILED is told.state
    assert told.failure is not None


def test_a_bench_that_breaks_says_so() -> None:
    """Nobody goes on giving work to a thread that has ended."""

    class Breaking(LocalEngine):
        def collect(self, timeout_seconds: float) -> list[Outcome]:
            raise OSError(24, "Too many open files")

    failed: list[GrangeError] = []
    bench = Bench(Breaking(["true"], workers=1), hear=lambda _: None, fail=failed.append)
    bench.start()
    bench._thread.join(PATIENCE_SECONDS)

    assert ["Too many open files" in error.message for error in failed] == [True]


def test_what_is_dropped_in_the_middle_of_its_work_leaves_nothing_in_the_store(
    tmp_path: Path,
) -> None:
    """Not even an empty folder: the run may be over, and nobody comes to tidy up."""
    share = tmp_path / "store"
    local = Job("run", str(SCRIPTED), {}, file_uri(share), str(tmp_path / "logs"))
    route = Route(local, local, Way.MOUNT, carries_logs=False)
    script = tmp_path / "script"
    script.write_text("import time; (work.output / 'half').write_text('x'); time.sleep(600)")
    task = Task(1, 1, TaskKind.PROCESS, "script", file_uri(script), script.stat().st_size)
    task.mtime_ns = script.stat().st_mtime_ns

    aside.run(_dropped(route, task, tmp_path))

    assert [] == list(share.iterdir())


@asynccontextmanager
async def _ending(folder: Path, told: Callable[[Outcome], None]) -> AsyncIterator[Ending]:
    """What ends attempts, from whose hands outcomes come."""

    async def publish(_run: str, outcomes: Collection[Outcome]) -> bool:
        for one in outcomes:
            told(one)
        return True

    journal, errands = Journal(folder / "journal"), Errands(print)
    teller = Teller(publish, journal)
    with Connection("http://127.0.0.1:1") as nowhere:
        yield Ending(
            "rack",
            Holding(),
            errands,
            carrier=Carrier(lambda: Work(nowhere), folder / "work", MARK),
            journal=journal,
            teller=teller,
            watcher=Quiet(),
        )
        await teller.close()
        await errands.close()
    journal.close()


async def _ended(route: Route, outcome: Outcome, folder: Path) -> list[Outcome]:
    """What is told of an attempt whose work is done, and which has to be carried away."""
    told: list[Outcome] = []
    held = Held(route, Task(1, 1, TaskKind.PROCESS), Needs(), Phase.WORKING, 0.0)
    async with _ending(folder, told.append) as ending:
        ending._holding.add(held)
        ending.carry(held, outcome)
        await _until(lambda: told)
    return told


async def _dropped(route: Route, task: Task, folder: Path) -> None:
    """Have a worker begin an attempt, which nobody wants any more; wait for the end of that."""
    command = ["env", f"{STATION_MARKER}={MARK}", sys.executable, "-m", "grange.worker"]
    bench = Bench(LocalEngine(command, workers=1), hear=lambda _: None, fail=lambda _: None)
    bench.start()
    held = Held(route, task, Needs(), Phase.WORKING, 0.0)
    staged = Path(route.local.store.removeprefix("file://"), ".grange", "staging")
    async with _ending(folder, lambda _: None) as ending:
        ending._holding.add(held)
        bench.publish(Batch(route.local, (task,)))
        await _until(lambda: list(staged.glob("*/half")))
        held.stopped = bench.abandon([task.id])
        ending.drop(held)
        await _until(lambda: not ending._errands._going)
    bench.close()


async def _until(true: Callable[[], object]) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not true():  # noqa: ASYNC110  # files say nothing when they are there
            await asyncio.sleep(0.01)
