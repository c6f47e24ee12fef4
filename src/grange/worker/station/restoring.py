"""What an earlier station of this home has left: its outcomes are told, its tasks given back."""

from __future__ import annotations

import time

from grange.core.resources import Needs
from grange.core.tasks import Failure, Outcome, OutcomeState, Task, TaskKind
from grange.errors import WorkerLost
from grange.worker.station.ending import Ending
from grange.worker.station.holding import Held, Holding, Phase
from grange.worker.station.journal import Entry, Journal
from grange.worker.station.routes import Routes
from grange.worker.station.teller import Teller


def restore(
    name: str, journal: Journal, teller: Teller, *, routes: Routes, holding: Holding, ending: Ending
) -> int:
    """Go on where the earlier one was ended; returns how many attempts that are."""
    left = journal.unsettled()
    for entry in left:
        outcome = entry.outcome
        if outcome is None:
            outcome = _cut_off(entry, name)
            journal.end(entry.run, [outcome], carried=True)
        elif not entry.carried:
            route = routes.kept(entry.run)
            if route is not None and holding.find(entry.task) is None:
                task = Task(entry.task, entry.epoch, TaskKind.PROCESS)
                held = Held(route, task, Needs(), Phase.LEAVING, time.monotonic())
                holding.add(held)
                ending.carry(held, outcome)
                continue
            outcome = Outcome(entry.task, entry.epoch, OutcomeState.RETURNED, worker=name)
            journal.end(entry.run, [outcome], carried=True)
        teller.tell(entry.run, [outcome])
    return len(left)


def _cut_off(entry: Entry, name: str) -> Outcome:
    """One that was begun counts: it may be what has ended the station."""
    outcome = Outcome(entry.task, entry.epoch, OutcomeState.RETURNED, worker=name)
    if entry.begun:
        outcome.state = OutcomeState.LOST
        message = "The worker's own program was ended while it was at this task."
        outcome.failure = Failure(WorkerLost.code, message)
    return outcome
