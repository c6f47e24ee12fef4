"""Which frames of a video are analysed: told exactly, by numbers and times that are no floats."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

# Whether a frame is analysed: its number in the video, and its time in ticks since the first.
Wanted = Callable[[int, int], bool]

ALL: Final = "all"
USUAL_FPS: Final = Fraction(5)
# More frames a second than any camera takes, and fewer than one in a day.
MOST_FPS: Final = 1000
LEAST_FPS: Final = Fraction(1, 86_400)


@dataclass(frozen=True, slots=True)
class Sampling:
    """So many frames a second, or every so-manieth frame; all of them where neither is said."""

    fps: Fraction | None = None
    every: int = 1

    def rate_of(self, rate: Fraction) -> Fraction:
        """How many frames a second are analysed of a video of this rate."""
        return rate / self.every if self.fps is None else min(self.fps, rate)


@dataclass(frozen=True, slots=True)
class Clock:
    """The times of a video: what one tick is, and how steady its frames come.

    Ticks are counted from the first frame on.
    """

    time_base: Fraction
    # None where the rate varies: then a frame's own time decides.
    rate: Fraction | None


def parse_fps(given: object) -> str | None:
    """Frames a second, as an exact text such as `5`, `1/3` or `all`; None stays what it is.

    Raises:
        ValueError: It is no such number.
    """
    if given is None or given == ALL:
        return None if given is None else ALL
    if isinstance(given, bool) or not isinstance(given, str | int | float | Fraction):
        raise ValueError(_NO_FPS)  # noqa: TRY004  # the one error that a check of parameters knows
    text = str(given).strip()
    try:
        fps = Fraction(text) if len(text) <= 32 else Fraction(0)  # noqa: PLR2004  # no such number is longer
    except (ValueError, ZeroDivisionError):
        raise ValueError(_NO_FPS) from None
    if not LEAST_FPS <= fps <= MOST_FPS:
        raise ValueError(_NO_FPS)
    return str(fps)


def wanted_frames(sampling: Sampling, clock: Clock, before: int | None) -> Wanted:
    """The frames of one segment that are analysed; the same, wherever a video is cut.

    Of the frames in each span of 1/fps seconds, counted from the video's
    first frame, the first one is analysed.

    Args:
        sampling: What was asked for.
        clock: The video's times.
        before: The time of the frame before the segment's first; None at the video's beginning.
    """
    if sampling.fps is None:
        return _every(sampling.every)
    if clock.rate is not None:
        return _by_number(sampling.fps / clock.rate)
    return _by_time(sampling.fps * clock.time_base, before)


_NO_FPS: Final = "should be a number of frames a second such as 5, 0.5 or 1/3, or all"


def _every(step: int) -> Wanted:
    return lambda number, _: number % step == 0


def _by_number(spans_a_frame: Fraction) -> Wanted:
    above, below = spans_a_frame.numerator, spans_a_frame.denominator

    def wanted(number: int, _: int) -> bool:
        return number * above // below != (number - 1) * above // below

    return wanted


def _by_time(spans_a_tick: Fraction, before: int | None) -> Wanted:
    above, below = spans_a_tick.numerator, spans_a_tick.denominator
    span = None if before is None else before * above // below

    def wanted(_: int, time: int) -> bool:
        nonlocal span
        last, span = span, time * above // below
        return span != last

    return wanted
