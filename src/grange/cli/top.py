"""`grange top`: the workers, what waits for them, how fast it goes, and what each does."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any

import typer

from grange.cli import terminal, words
from grange.cli.options import Json, examples, open_crew, open_site
from grange.cli.workerwords import doing, percent, share_of_memory, state_of
from grange.errors import GrangeError

if TYPE_CHECKING:
    from grange.bootstrap import Site
    from grange.bootstrap.crews import WorkersOfSite
    from grange.client.schemas.workers import Worker
    from grange.runs.models import RunView

EXAMPLES = examples("grange top", "grange top --json")
EVERY_SECONDS = 2.0
# Over how long the rate of a run is measured.
RATE_SECONDS = 60.0
MOST_RUNS = 50
RUN_HEADINGS = ("run", "state", "pipeline", "done", "failed", "left", "per min")
WORKER_HEADINGS = ("worker", "state", "slots", "per min", "cpu", "memory", "does")
NUMBERS = "slots cpu memory done failed left"


@dataclass(frozen=True)
class Snapshot:
    """How things stand at a moment; `rates` are items a minute by the runs' ids."""

    at: float
    workers: Sequence[Worker] = ()
    runs: Sequence[RunView] = ()
    rates: dict[str, float] = field(default_factory=dict)

    @property
    def up(self) -> list[Worker]:
        """The workers that are heard of."""
        return [worker for worker in self.workers if worker.presence == "up"]


class Watching:
    """Asks how things stand, and remembers as much as rates need."""

    def __init__(self, crew: WorkersOfSite, site: Site) -> None:
        """Ask these."""
        self._crew = crew
        self._site = site
        self._ended: dict[str, deque[tuple[float, int]]] = {}

    def look(self) -> Snapshot:
        """How things stand now.

        Raises:
            GrangeError: The server can't be asked.
        """
        from grange.core.states import RunState

        workers = sorted(self._crew.workers(), key=lambda one: (-one.busy, one.name))
        runs = [
            run
            for state in (RunState.RUNNING, RunState.WAITING, RunState.PAUSED)
            for run in self._site.list_runs(state=state, limit=MOST_RUNS)
        ]
        now = time.monotonic()
        rates = {run.id: self._rate(run, now) for run in runs}
        self._ended = {run: seen for run, seen in self._ended.items() if run in rates}
        return Snapshot(time.time(), workers, runs, rates)

    def _rate(self, run: RunView, now: float) -> float:
        seen = self._ended.setdefault(run.id, deque())
        seen.append((now, run.counts.ended))
        while seen[0][0] < now - RATE_SECONDS:
            seen.popleft()
        began, ended = seen[0]
        return (run.counts.ended - ended) * 60 / (now - began) if now > began else 0.0


def top(
    *,
    once: Annotated[
        bool, typer.Option("--once", help="Say how it stands, and end; so also without a terminal.")
    ] = False,
    json: Json = False,
) -> None:
    """Watch the workers: what waits for them, how fast it goes, what each does. q to leave."""
    with open_crew() as crew, open_site() as site:
        watching = Watching(crew, site)
        if json:
            terminal.put_json(_record(watching.look()))
        elif once or not terminal.is_interactive():
            put_plain(watching.look())
        else:
            _watch(watching)


def put_plain(snapshot: Snapshot) -> None:
    """Say how things stand in plain lines."""
    terminal.put(headline(snapshot))
    terminal.put()
    rows = [run_row(snapshot, run) for run in snapshot.runs]
    if rows:
        terminal.put_table(RUN_HEADINGS, rows, right=NUMBERS)
        terminal.put()
    terminal.put_table(WORKER_HEADINGS, map(worker_row, snapshot.workers), right=NUMBERS)


def headline(snapshot: Snapshot) -> str:
    """The whole in one line."""
    up = snapshot.up
    busy, slots = sum(one.busy for one in up), sum(one.capacity.slots for one in up)
    share = f" ({busy / slots:.0%})" if slots else ""
    left = sum(run.counts.left for run in snapshot.runs)
    parts = [
        f"{len(up)} of {len(snapshot.workers)} workers up",
        f"{busy} of {slots} slots at work{share}",
        f"{sum(one.per_minute for one in up):,.1f} tasks per min",
        f"{words.items(left)} left",
    ]
    if up and not any(one.engine_up for one in up):
        parts.append("the broker is away")
    return " · ".join(parts)


def run_row(snapshot: Snapshot, run: RunView) -> tuple[str, ...]:
    """A run's line."""
    counts = run.counts
    rate = snapshot.rates.get(run.id, 0.0)
    return (
        words.visible(run.name or run.id),
        str(run.state),
        words.visible(run.pipeline),
        f"{counts.done:,}",
        f"{counts.failed:,}",
        f"{counts.left:,}",
        f"{rate:,.1f}" if rate else "",
    )


def worker_row(worker: Worker) -> tuple[str, ...]:
    """A worker's line."""
    is_up = worker.presence == "up"
    return (
        words.visible(worker.name),
        state_of(worker),
        f"{worker.busy}/{worker.capacity.slots}",
        f"{worker.per_minute:,.1f}" if is_up and worker.per_minute else "",
        percent(worker.cpu) if is_up else "",
        share_of_memory(worker) if is_up else "",
        doing(worker) if is_up else "",
    )


def _record(snapshot: Snapshot) -> dict[str, Any]:
    from grange.cli.records import answer_record, run_record

    return {
        "at": words.iso(snapshot.at),
        "workers": [answer_record(one) for one in snapshot.workers],
        "runs": [run_record(run) for run in snapshot.runs],
    }


def _watch(watching: Watching) -> None:
    from grange.cli.stopping import StopSignals
    from grange.cli.topscreen import Screen

    first = watching.look()
    with StopSignals() as stop, Screen(first) as screen:
        looking = threading.Thread(target=_look_on, args=(watching, screen.show, stop.event))
        looking.start()
        screen.wait(stop.event)
        stop.event.set()
        looking.join()


def _look_on(
    watching: Watching, show: Callable[[Snapshot | None, str], None], over: threading.Event
) -> None:
    """Look every few seconds; a server that does not answer is asked again."""
    while not over.wait(EVERY_SECONDS):
        try:
            show(watching.look(), "")
        except GrangeError as error:
            show(None, error.message)
