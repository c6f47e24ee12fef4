"""Workers say that they are there: what is seen of them, what is kept, and what they are told."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from grange.core.ids import new_id
from grange.errors import NameTaken, WorkerNotFound
from grange.pool.models import (
    BEAT_SECONDS,
    GONE_SECONDS,
    SILENT_SECONDS,
    Presence,
    Worker,
    WorkerState,
    beat_seconds_of,
    presence_of,
)
from grange.pool.tables import workers
from tests.pool.crews import Crew

NOW = 1000.0


@pytest.mark.parametrize(
    ("silence", "left", "expected"),
    [
        (0.0, False, Presence.UP),
        (-3600.0, False, Presence.UP),  # the server's clock was set back
        (SILENT_SECONDS, False, Presence.UP),
        (SILENT_SECONDS + 1, False, Presence.SILENT),
        (GONE_SECONDS, False, Presence.SILENT),
        (GONE_SECONDS + 1, False, Presence.GONE),
        (0.0, True, Presence.GONE),
    ],
)
def test_presence_follows_from_the_last_beat(
    silence: float, left: bool, expected: Presence
) -> None:
    """A worker is up, then silent, then gone; one that says that it leaves is gone at once."""
    assert expected == presence_of(NOW - silence, left=left, now=NOW)


def test_a_beat_is_seen_at_once(crew: Crew) -> None:
    """What a worker says stands in the list of this process, written down or not."""
    worker, _ = crew.joined()
    for busy in (1, 2, 3):
        crew.clock.forward(seconds=0.1)
        _beat(crew, worker, busy=busy)
        assert busy == crew.workers.find(crew.admin, worker.id).beat["busy"]


def test_other_processes_see_beats_within_seconds(crew_anywhere: Crew) -> None:
    """Beats are written down together, and silence is judged by them everywhere."""
    crew = crew_anywhere
    worker, _ = crew.joined()
    crew.clock.forward(seconds=30)
    assert Presence.SILENT == crew.process().presence(worker)
    _beat(crew, worker, busy=2, capacity={"slots": 16}, version="0.2.0", node_port=9100)
    seen = crew.process().find(crew.admin, "rack-1")

    assert Presence.UP == crew.process().presence(seen)
    assert (2, 9100, {"slots": 16}, "0.2.0") == (
        seen.beat["busy"],
        seen.beat["node_port"],
        seen.capacity,
        seen.version,
    )


def test_many_beats_are_few_transactions(crew: Crew) -> None:
    """Of those that come between two writings the last is kept, all workers' in one go."""
    found = [crew.joined(f"rack-{number}")[0] for number in range(5)]
    _beat(crew, found[0])
    for busy in range(100):
        for worker in found:
            _beat(crew, worker, busy=busy)
    with crew.database.read() as connection:
        assert [None] * 4 == [
            row.beat for row in connection.execute(workers.select()) if not row.beat
        ]
    crew.workers.close()

    assert [99] * 5 == [one.beat["busy"] for one in crew.process().all()]


def test_the_last_beat_is_written_down_at_once(crew: Crew) -> None:
    """That a worker has left is known everywhere, though no other beat may follow."""
    worker, _ = crew.joined()
    _beat(crew, worker)
    _beat(crew, worker, leaving=True)

    assert Presence.GONE == crew.workers.presence(crew.process().all()[0])


def test_a_worker_that_comes_back_is_known_everywhere_at_once(crew: Crew) -> None:
    """Nobody is held for gone who was only started again."""
    worker, _ = crew.joined()
    _beat(crew, worker)
    _beat(crew, worker, leaving=True)
    _beat(crew, worker, busy=1)

    assert Presence.UP == crew.workers.presence(crew.process().all()[0])


def test_an_older_beat_never_wins(crew: Crew) -> None:
    """Two servers over one database keep what was said last."""
    worker, _ = crew.joined()
    late, early = crew.process(), crew.process()
    early.beat(worker, {"busy": 1})
    crew.clock.forward(seconds=1)
    late.beat(worker, {"busy": 2})
    crew.clock.forward(seconds=-1)
    early.beat(worker, {"busy": 3})
    early.close()

    assert 2 == crew.process().find(crew.admin, "rack-1").beat["busy"]


def test_many_workers_beat_less_often() -> None:
    """A few are seen almost at once, a thousand are no load, and none seems silent for it."""
    assert [2.0, 2.0, 6.0, 10.0] == [beat_seconds_of(count) for count in (0, 32, 300, 5000)]
    assert beat_seconds_of(10_000) * 2 <= SILENT_SECONDS


def test_those_that_are_gone_slow_nobody_down(crew: Crew) -> None:
    """Machines that come and go for months are not counted for ever."""
    worker, _ = crew.joined()
    for _ in range(600):
        crew.workers.beat(replace(worker, id=new_id()), {})
    busy = crew.workers.beat(worker, {}).beat_seconds

    crew.clock.forward(seconds=GONE_SECONDS + 1)
    crew.workers.beat(worker, {})
    crew.clock.forward(seconds=GONE_SECONDS + 1)

    assert (BEAT_SECONDS, True) == (crew.workers.beat(worker, {}).beat_seconds, busy > BEAT_SECONDS)


def test_the_rate_is_that_of_the_last_minute(crew: Crew) -> None:
    """Counts that begin anew, since the worker did, make no rate below nothing."""
    worker, _ = crew.joined()
    for done in (100, 110, 120):
        _beat(crew, worker, done=done, failed=0)
        crew.clock.forward(seconds=5)
    assert 120.0 == crew.workers.all()[0].beat["per_minute"]

    _beat(crew, worker, done=0)
    assert 0.0 == crew.workers.all()[0].beat["per_minute"]


def test_a_worker_is_told_to_drain(crew: Crew) -> None:
    """Its next beat says so, whichever process it meets, until that is taken back."""
    worker, key = crew.joined()
    crew.workers.drain(crew.admin, worker.name)
    draining = crew.workers.beat(crew.workers.worker_of(key), {})
    crew.workers.drain(crew.admin, worker.id, drain=False)
    active = crew.process().beat(crew.process().worker_of(key), {})

    assert (WorkerState.DRAINING, WorkerState.ACTIVE) == (draining.state, active.state)
    assert ["worker.drained", "worker.resumed"] == [action for _, action in crew.said()][-2:]


def test_a_worker_of_another_version_is_told(crew: Crew) -> None:
    """After an upgrade of one side, beats are still understood, and say what is wrong."""
    worker, _ = crew.joined()

    assert "" == crew.workers.beat(worker, {"protocol": 1}).misfit
    assert "the server is older" in crew.workers.beat(worker, {"protocol": 2}).misfit
    assert "the worker is older" in crew.workers.beat(worker, {"protocol": 0}).misfit


def test_a_name_belongs_to_one(crew: Crew) -> None:
    """Renaming takes no other's name; by a name that was given up nobody is found."""
    first, _ = crew.joined("rack-1")
    crew.joined("rack-2")
    with pytest.raises(NameTaken):
        crew.workers.rename(crew.admin, "rack-1", "rack-2")
    crew.workers.rename(crew.admin, "rack-1", "attic")

    assert first.id == crew.workers.find(crew.admin, "attic").id
    for nobody in ("rack-1", new_id(), "", "x" * 500, "'"):
        with pytest.raises(WorkerNotFound):
            crew.workers.find(crew.admin, nobody)


def test_what_is_long_gone_is_removed(crew: Crew) -> None:
    """A machine that was not heard of for months has no credentials any longer, and goes."""
    crew.joined()
    for days in (91, 1):
        crew.workers.sweep()
        crew.clock.forward(days=days)
        crew.steady.forward(days=days)
    crew.workers.sweep()
    crew.steady.forward(days=1)
    crew.workers.sweep()
    assert [] == crew.workers.all()
    crew.clock.forward(days=31)
    crew.workers.sweep()
    with crew.database.read() as connection:
        assert [] == connection.execute(workers.select()).all()


def test_a_clock_that_is_wrong_removes_no_worker(crew: Crew) -> None:
    """Who says nothing for months by the clock alone stays: a process waits for it in its time."""
    worker, _ = crew.joined()
    crew.clock.forward(days=91)
    crew.workers.sweep()
    crew.steady.forward(seconds=600)
    crew.workers.sweep()
    assert [worker.id] == [one.id for one in crew.workers.all()]

    # It is set right before the worker is missed, and some months later it is wrong again.
    for days in (-91, 91):
        crew.clock.forward(days=days)
        crew.workers.sweep()
        crew.steady.forward(days=1 if days < 0 else 0)
    crew.workers.sweep()
    assert [worker.id] == [one.id for one in crew.workers.all()]


def test_a_worker_that_is_heard_under_a_wrong_clock_stays(crew: Crew) -> None:
    """However long it is wrong."""
    worker, _ = crew.joined()
    crew.clock.forward(days=91)
    crew.workers.sweep()
    _beat(crew, worker)
    crew.steady.forward(days=1)
    crew.workers.sweep()

    assert [worker.id] == [one.id for one in crew.workers.all()]


def _beat(crew: Crew, worker: Worker, **said: Any) -> None:
    crew.workers.beat(worker, said)
