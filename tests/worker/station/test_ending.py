"""Whatever happens to an attempt here comes to an end that is told."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from grange.client.connection import Connection
from grange.client.work import Work
from grange.core.resources import Needs
from grange.core.tasks import Job, Outcome, OutcomeState, Output, Task, TaskKind, staging_token
from grange.engines.local import LocalEngine
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

PATIENCE_SECONDS = 20.0
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
    # In a thread: where a browser was driven before, this one has a loop already.
    with ThreadPoolExecutor(1) as other:
        ended = other.submit(lambda: asyncio.run(_ended(route, done, tmp_path)))
        [told] = ended.result(2 * PATIENCE_SECONDS)

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


async def _ended(route: Route, outcome: Outcome, folder: Path) -> list[Outcome]:
    """What is told of an attempt whose work is done, and which has to be carried away."""
    told: list[Outcome] = []
    heard = asyncio.Event()

    async def publish(_run: str, outcomes: Collection[Outcome]) -> bool:
        told.extend(outcomes)
        heard.set()
        return True

    journal, holding, errands = Journal(folder / "journal"), Holding(), Errands(print)
    teller = Teller(publish, journal)
    with Connection("http://127.0.0.1:1") as nowhere:
        ending = Ending(
            "rack",
            holding,
            errands,
            carrier=Carrier(lambda: Work(nowhere), folder / "work"),
            journal=journal,
            teller=teller,
            watcher=Quiet(),
        )
        held = Held(route, Task(1, 1, TaskKind.PROCESS), Needs(), Phase.WORKING, 0.0)
        holding.add(held)
        ending.carry(held, outcome)
        await asyncio.wait_for(heard.wait(), PATIENCE_SECONDS)
        await teller.close()
        await errands.close()
    journal.close()
    return told
