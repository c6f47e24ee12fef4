"""What the first page tells of the site: throughput, queue, and who holds the capacity."""

from __future__ import annotations

from grange.client.schemas.runs import Counts, Run
from grange.core.states import RunState
from grange.runs import models
from grange.server import pulse
from tests.runs.factories import make_run

NOW_MINUTE = 1_000_000


def _view(state: RunState, *, came: int, total: int, done: int) -> models.RunView:
    counts = models.Counts(total=total, done=done)
    return make_run(state=state, created_at=(NOW_MINUTE - came) * 60.0 + 1.0, counts=counts)


def _shown(owner: str, *, state: str = "running", total: int = 10, done: int = 0) -> Run:
    return Run.model_construct(
        owner=owner,
        state=state,
        counts=Counts(total=total, done=done),
    )


def test_the_queue_of_the_past_follows_from_what_ended_since() -> None:
    """Ten items came five minutes ago, six ended since: four wait now, none did before."""
    run = _view(RunState.RUNNING, came=5, total=10, done=6)
    ended = {NOW_MINUTE: 1, NOW_MINUTE - 1: 2, NOW_MINUTE - 3: 3}

    hour = pulse.minutes_of([run], ended, NOW_MINUTE).last(60, 1)

    assert [0, 10, 10, 7, 7, 5, 4] == hour.queued[-7:]
    assert [0, 0, 0, 3, 0, 2, 1] == hour.ended[-7:]
    assert 0 == sum(hour.queued[:-6])


def test_a_day_is_told_by_the_quarter_of_an_hour() -> None:
    """Each that ended counts once, and the queue is the longest of each step."""
    run = _view(RunState.DONE, came=100, total=60, done=60)
    ended = {NOW_MINUTE - minute: 1 for minute in range(20, 80)}

    day = pulse.minutes_of([run], ended, NOW_MINUTE).last(pulse.DAY_MINUTES, 15)

    assert 96 == len(day.ended) == len(day.queued)
    assert 60 == sum(day.ended)
    assert 60 == max(day.queued)
    assert 0 == day.queued[-1]


def test_who_holds_most_comes_first() -> None:
    """Shares of work are told by whose it is; files are told to administrators alone."""
    runs = [_shown("m"), _shown("a", total=50, done=10), _shown("m", state="waiting", total=5)]
    names = {"m": "Mia", "a": "Ada", "o": "Otto"}

    for_admin = pulse.holders(runs, {"o": 7, "m": 3}, names)
    for_member = pulse.holders(runs[:1], None, names)

    assert [("Ada", 1, 40, 0), ("Mia", 1, 15, 3), ("Otto", 0, 0, 7)] == [
        (one.name, one.running, one.left, one.used_bytes) for one in for_admin
    ]
    assert [("Mia", None)] == [(one.name, one.used_bytes) for one in for_member]
