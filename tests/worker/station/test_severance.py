"""Which attempts can't go on while the server is away, and for how long that is waited for."""

from __future__ import annotations

import pytest

from grange.core.resources import Needs
from grange.core.tasks import Job, Task, TaskKind
from grange.worker.station.holding import Held, Phase
from grange.worker.station.routes import Route, Way
from grange.worker.station.severance import is_stuck

LEASE = 60.0


def _held(
    phase: Phase, outputs: Way, *, uri: str = "file:///in", logs: bool = False, spent: float = 1.0
) -> Held:
    job = Job("run", "p", {}, "file:///out", "/logs")
    route = Route(job, job, outputs, carries_logs=logs)
    task = Task(1, 1, TaskKind.PROCESS, uri=uri)
    return Held(route, task, Needs(), phase, 0.0, spent_seconds=spent)


@pytest.mark.parametrize(
    ("held", "stuck"),
    [
        (_held(Phase.COMING, Way.SERVER), True),
        (_held(Phase.COMING, Way.MOUNT), True),
        (_held(Phase.COMING, Way.BUCKET, uri="s3://in/a"), False),
        (_held(Phase.COMING, Way.SERVER, uri="s3://in/a"), True),
        (_held(Phase.READY, Way.SERVER), True),
        (_held(Phase.READY, Way.MOUNT), False),
        (_held(Phase.WORKING, Way.SERVER), False),
        (_held(Phase.RESTING, Way.SERVER), False),
        (_held(Phase.LEAVING, Way.SERVER), True),
        (_held(Phase.LEAVING, Way.BUCKET), False),
        (_held(Phase.LEAVING, Way.MOUNT, logs=True), True),
    ],
)
def test_what_needs_the_server_is_stuck_after_a_lease(held: Held, stuck: bool) -> None:
    """What the workers are at goes on, and what lies where all see it."""
    assert not is_stuck(held, LEASE - 1, LEASE)
    assert stuck is is_stuck(held, LEASE + 1, LEASE)


def test_what_took_long_to_make_is_kept_for_as_long() -> None:
    """To do it again takes as long: to wait for that long costs twice as much at most."""
    made = _held(Phase.LEAVING, Way.SERVER, spent=600)

    assert not is_stuck(made, 599, LEASE)
    assert is_stuck(made, 601, LEASE)
