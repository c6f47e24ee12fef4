"""Whether frames come at a constant rate, and at which one: told by their times alone."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

# What is said of a video of one frame whose file says nothing.
FALLBACK_RATE: Final = Fraction(25)

# Rates that cameras use; where rounded times allow several, one of these is meant.
_NTSC: Final = tuple(Fraction(1000 * rate, 1001) for rate in (30, 60, 24, 15, 120))
_USUAL: Final = (*(Fraction(rate) for rate in (30, 25, 24, 60, 50, 15, 10, 20, 12, 5)), *_NTSC)
# Where a frame lasts for one tick, a frame left out and a rounded time look the same.
_MIN_ROUNDED_TICKS: Final = 2
# No camera takes more pictures in a second: a file that says so states its time base.
_MAX_RATE: Final = 1000


class Pace:
    """Takes the times of a video's frames, ascending and some at a time, and keeps none of them.

    Containers round times to their ticks (Matroska to milliseconds), so that
    frames of a constant rate lie up to a tick off. What fits no rate within
    that is variable.
    """

    def __init__(self) -> None:
        """Begin with no frame seen."""
        self.count = 0
        self.first = 0
        self.last = 0
        self._shortest = self._longest = 0
        # All periods that fit the rounded times lie between these two: ticks, as fractions.
        self._low = (0, 1)
        self._high = (1, 0)

    def add(self, times: NDArray[np.int64]) -> None:
        """Take the next times, in ticks."""
        if not len(times):
            return
        if not self.count:
            self.first = self.last = int(times[0])
            times, self.count = times[1:], 1
        if len(times):
            self._add(times)
            self.count += len(times)
            self.last = int(times[-1])

    @property
    def variable(self) -> bool:
        """Whether no constant rate explains the times."""
        if self._shortest == self._longest:
            return self.count > 1 and not self._shortest
        return not (self._rounded and _less(self._low, self._high))

    def rate(self, time_base: Fraction, declared: Iterable[Fraction | None]) -> Fraction:
        """Frames in a second: exact of a constant rate, else the mean.

        Args:
            time_base: Seconds in a tick.
            declared: What the file says of it; believed only where the times allow it.
        """
        said = [rate for rate in declared if rate and 0 < rate <= _MAX_RATE]
        if self.last <= self.first:
            return said[0] if said else FALLBACK_RATE
        mean = (self.count - 1) / ((self.last - self.first) * time_base)
        if self.variable:
            return mean
        # A rate that cameras use, as the file says or as it comes out; then any that the file says.
        usual = [rate for rate in said if rate in _USUAL] + [mean] * (mean in _USUAL)
        candidates = (*usual, *said, *_USUAL)
        return next((rate for rate in candidates if self._allows(rate, time_base)), mean)

    @property
    def _rounded(self) -> bool:
        return self._longest - self._shortest == 1 and self._shortest >= _MIN_ROUNDED_TICKS

    def _add(self, times: NDArray[np.int64]) -> None:
        steps = np.diff(times, prepend=self.last)
        shortest, longest = int(steps.min()), int(steps.max())
        if self.count == 1:
            self._shortest, self._longest = shortest, longest
        self._shortest = min(self._shortest, shortest)
        self._longest = max(self._longest, longest)
        if self._longest - self._shortest <= 1:
            # So many frames last so many ticks, of which rounding may have moved less than one.
            frames = np.arange(self.count, self.count + len(times))
            ticks = times - self.first
            self._raise(ticks - 1, frames)
            self._lower(ticks + 1, frames)

    def _raise(self, ticks: NDArray[np.int64], frames: NDArray[np.int64]) -> None:
        place = (ticks / frames).argmax()
        found = (int(ticks[place]), int(frames[place]))
        self._low = found if _less(self._low, found) else self._low

    def _lower(self, ticks: NDArray[np.int64], frames: NDArray[np.int64]) -> None:
        place = (ticks / frames).argmin()
        found = (int(ticks[place]), int(frames[place]))
        self._high = found if _less(found, self._high) else self._high

    def _allows(self, rate: Fraction, time_base: Fraction) -> bool:
        period = (1 / (rate * time_base)).as_integer_ratio()
        return _less(self._low, period) and _less(period, self._high)


def _less(one: tuple[int, int], other: tuple[int, int]) -> bool:
    """Whether a fraction is smaller than another; (1, 0) is larger than all."""
    return one[0] * other[1] < other[0] * one[1]
