"""Which frames are analysed: exact, and the same wherever a video is cut."""

from __future__ import annotations

from fractions import Fraction

import pytest

from grange.pipelines.wildlife.sampling import Clock, Sampling, parse_fps, wanted_frames

NTSC = Fraction(30_000, 1001)


def _chosen(
    sampling: Sampling, clock: Clock, times: list[int], cuts: tuple[int, ...] = ()
) -> list[int]:
    """The analysed ones of the frames that are shown at these times, cut before some of them."""
    chosen = []
    wanted = wanted_frames(sampling, clock, None)
    for number, time in enumerate(times):
        if number in cuts:
            wanted = wanted_frames(sampling, clock, times[number - 1])
        if wanted(number, time):
            chosen.append(number)
    return chosen


def test_a_fractional_rate_keeps_its_time_for_hours() -> None:
    """5 frames a second of 29.97 are never more than a frame late, and none is lost."""
    clock = Clock(NTSC**-1, NTSC)
    hours = round(2 * 3600 * NTSC)

    chosen = _chosen(Sampling(fps=Fraction(5)), clock, list(range(hours)))

    assert 2 * 3600 * 5 == len(chosen)
    late = [number / NTSC - Fraction(place, 5) for place, number in enumerate(chosen)]
    assert 0 <= min(late)
    assert max(late) < 1 / NTSC


def test_times_decide_where_the_rate_varies() -> None:
    """The first frame of each fifth of a second, however many frames come in it."""
    clock = Clock(Fraction(1, 1000), None)
    times = [0, 10, 190, 205, 210, 399, 401, 900, 1000, 1001]

    chosen = _chosen(Sampling(fps=Fraction(5)), clock, times)

    assert [0, 3, 6, 7, 8] == chosen


@pytest.mark.parametrize("rate", [NTSC, None])
@pytest.mark.parametrize("fps", [Fraction(5), Fraction(1, 3), Fraction(60)])
def test_cuts_change_nothing(rate: Fraction | None, fps: Fraction) -> None:
    """A segment knows by itself which of its frames are analysed."""
    clock = Clock(Fraction(1001, 60_000), rate)
    times = [2 * number + (number % 3 == 0) for number in range(500)]

    whole = _chosen(Sampling(fps=fps), clock, times)

    assert 0 == whole[0]
    for cuts in ((1, 2, 3), (100, 101, 377), tuple(range(1, 500))):
        assert whole == _chosen(Sampling(fps=fps), clock, times, cuts)


def test_every_so_manieth_frame_is_counted_from_the_first() -> None:
    """Whatever their times are; without any wish all are analysed."""
    clock = Clock(Fraction(1, 25), None)

    assert [0, 7, 14] == _chosen(Sampling(every=7), clock, [3] * 20)
    assert list(range(20)) == _chosen(Sampling(), clock, list(range(20)))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (5, "5"),
        (0.5, "1/2"),
        ("0.1", "1/10"),
        ("1/3", "1/3"),
        (" 29.97 ", "2997/100"),
        ("all", "all"),
    ],
)
def test_a_rate_is_read_exactly(given: object, expected: str) -> None:
    """As a number, a decimal or a fraction; what was read is read as the same again."""
    assert expected == parse_fps(given)
    assert expected == parse_fps(expected)


@pytest.mark.parametrize(
    "given", [0, -1, 1e9, "", "five", "1/0", "nan", "inf", True, [5], "9" * 99]
)
def test_what_is_no_rate_is_refused(given: object) -> None:
    """In words that say what would be one."""
    with pytest.raises(ValueError, match=r"frames a second such as 5, 0\.5 or 1/3"):
        parse_fps(given)
