"""The few numbers of a site's first page: utilisation, pace, what is left."""

from __future__ import annotations

import pytest

from grange.server.figures import Figures, pace


@pytest.mark.parametrize(
    ("ended", "now", "expected"),
    [
        ([0] * 60, 120.0, 0.0),
        ([0] * 55 + [10, 10, 10, 10, 5], 150.0, 10.0),  # half of the last minute is over
        ([1000] * 55 + [0, 0, 0, 0, 0], 120.0, 0.0),  # what was before counts no more
        ([0] * 59 + [30], 179.0, pytest.approx(30 / (4 + 59 / 60))),
    ],
)
def test_the_pace_is_that_of_the_last_minutes(
    ended: list[int], now: float, expected: float
) -> None:
    """Of the minute that is not over only the part that has passed counts."""
    assert expected == pace(ended, now=now)


def test_what_is_left_takes_as_long_as_the_pace_says() -> None:
    """And nobody knows while nothing ends."""
    assert 600.0 == Figures(busy=2, slots=4, per_minute=5.0, left=50).left_seconds
    assert Figures(busy=2, slots=4, per_minute=0.0, left=50).left_seconds is None


@pytest.mark.parametrize(
    ("busy", "slots", "share"), [(0, 0, 0.0), (1, 4, 0.25), (4, 4, 1.0), (5, 4, 1.0)]
)
def test_utilisation_is_a_share_of_what_there_is(busy: int, slots: int, share: float) -> None:
    """It is never more than all, though a worker may have left a moment ago."""
    assert share == Figures(busy=busy, slots=slots, per_minute=0.0, left=0).share
