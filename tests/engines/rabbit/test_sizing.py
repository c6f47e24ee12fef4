"""How many tasks travel together, and how many are out."""

from __future__ import annotations

import pytest

from grange.engines.rabbit.sizing import (
    LARGEST_MESSAGE,
    LARGEST_ROOM,
    MESSAGE_SECONDS,
    OPENING,
    OUT_SECONDS,
    Sizing,
)

MOST = 10_000


def sizing(seconds: float) -> Sizing:
    """Know that tasks take so long."""
    found = Sizing()
    found.learn(seconds)
    return found


def test_tasks_of_which_nothing_is_known_travel_alone() -> None:
    """They may take an hour: none is to wait behind another one, while somebody has nothing."""
    assert 1 == Sizing().message(MOST, [32, 32], more=True)


@pytest.mark.parametrize("seconds", [0.1, 1.0, 3600.0])
def test_long_tasks_travel_alone(seconds: float) -> None:
    """However many there are, and however large the stations."""
    assert 1 == sizing(seconds).message(MOST, [32], more=True)


def test_short_tasks_travel_in_what_the_smallest_station_does_soon() -> None:
    """It may be the one that takes the message."""
    alone = round(MESSAGE_SECONDS / 0.01)

    assert alone == sizing(0.01).message(MOST, [1, 32], more=True)
    assert 8 * alone == sizing(0.01).message(MOST, [8, 32], more=True)


def test_no_message_is_longer_than_all_are() -> None:
    """Tasks that take nothing don't travel in one message all together."""
    assert LARGEST_MESSAGE == sizing(0.0).message(MOST, [64], more=True)


def test_the_last_tasks_are_spread_over_all() -> None:
    """What is left at a run's end is done by all slots together."""
    assert 3 == sizing(0.01).message(24, [4, 4])


def test_without_stations_a_few_are_out() -> None:
    """So that the first one which comes finds something."""
    assert OPENING == Sizing().room(0, [])
    assert 0 == Sizing().room(OPENING, [])


def test_so_much_work_is_out_for_each_slot() -> None:
    """Not more, since whoever comes later can't have it."""
    out = round(8 * OUT_SECONDS / 0.01)

    assert out == sizing(0.01).room(0, [4, 4])
    assert 0 == sizing(0.01).room(out, [4, 4])


def test_what_is_asked_for_makes_whole_messages() -> None:
    """A few at a time would make small messages, of which there would be ever more."""
    known, stations = sizing(0.01), [4, 4]
    message = known.message(MOST, stations, more=True)
    out = known.room(0, stations)

    assert 0 == known.room(out - message + 1, stations)
    assert message == known.room(out - message, stations)


def test_there_is_an_end_to_what_is_asked_for_at_once() -> None:
    """One transaction claims all of it."""
    assert LARGEST_ROOM == sizing(0.0).room(0, [64])


def test_a_first_task_that_loads_a_model_says_nothing_of_the_next() -> None:
    """The average is that of the quick ones from the first quick one on."""
    found = sizing(30.0)
    found.learn(0.01)

    assert sizing(0.01).room(0, [2]) == found.room(0, [2])
