"""Where the bars, lines and labels of the page's charts go, in shares of the width and height."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

from grange.runs.report.survey import RESOLUTION, Survey
from grange.runs.report.words import duration, plural, round_duration

HISTOGRAM_BARS = 40
TIMELINE_BARS = 80
MOST_TICKS = 6
LEAST_BARS = 12
LEAST_ITEMS = 4

_MINUTE = 60.0
_HOUR = 60 * _MINUTE
_DAY = 24 * _HOUR
_ROUND_SECONDS = (
    *(digit * 10.0**power for power in range(-6, 1) for digit in (1, 2, 5)),
    *(10.0, 20.0, 30.0, _MINUTE, 2 * _MINUTE, 5 * _MINUTE, 10 * _MINUTE, 20 * _MINUTE),
    *(30 * _MINUTE, _HOUR, 2 * _HOUR, 5 * _HOUR, 10 * _HOUR, _DAY, 2 * _DAY, 5 * _DAY),
    *(10 * _DAY, 20 * _DAY, 50 * _DAY, 100 * _DAY, 365 * _DAY),
)


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar: `x`, `width`, `height` and the part `extra` of the height, all in percent."""

    x: float
    width: float
    height: float
    extra: float
    title: str


@dataclass(frozen=True, slots=True)
class Mark:
    """A label at a place of the axis, in percent; it grows to the side that has room."""

    x: float
    label: str

    @property
    def side(self) -> str:
        """How the label stands at its place: begins, is centred, or ends there."""
        if self.x < 10:  # noqa: PLR2004  # a short label's half
            return "start"
        return "end" if self.x > 90 else "middle"  # noqa: PLR2004  # a short label's half


@dataclass(frozen=True, slots=True)
class Chart:
    """Bars over an axis, and what they say in words."""

    bars: Sequence[Bar]
    ticks: Sequence[Mark]
    lines: Sequence[Mark]
    words: str


def histogram(survey: Survey) -> Chart | None:
    """How long items took, on a scale that doubles; None for too few to see a shape."""
    if survey.durations.total() < LEAST_ITEMS:
        return None
    low, high = min(survey.durations), max(survey.durations) + 1
    step = math.ceil((high - low) / HISTOGRAM_BARS)
    count = max(LEAST_BARS, math.ceil((high - low) / step))
    # What is narrower than the least stands in the middle.
    low -= (count * step - (high - low)) // 2
    heights = [0] * count
    for bucket, items in survey.durations.items():
        heights[(bucket - low) // step] += items

    def place(seconds: float) -> float:
        return 100 * (math.log(seconds) / math.log(RESOLUTION) - low) / (count * step)

    top = max(heights)
    bars = [
        Bar(
            100 * index / count,
            100 / count,
            100 * items / top,
            0,
            f"{_edge(low + index * step)} to {_edge(low + (index + 1) * step)}: "
            f"{plural(items, 'item')}",
        )
        for index, items in enumerate(heights)
        if items
    ]
    median, most = survey.quantile(0.5) or 0.0, survey.quantile(0.95) or 0.0
    words = f"Half of the items took at most {duration(median)}, 95 % at most {duration(most)}."
    lines = [
        Mark(place(median), f"median {duration(median)}"),
        Mark(place(most), f"95 % {duration(most)}"),
    ]
    ticks = _log_ticks(RESOLUTION**low, RESOLUTION ** (low + count * step))
    return Chart(bars, [Mark(place(tick), round_duration(tick)) for tick in ticks], lines, words)


def throughput(survey: Survey) -> Chart | None:
    """How many items ended when; None for too few to see a shape."""
    line = survey.timeline
    if line.done.total() + line.failed.total() < LEAST_ITEMS:
        return None
    last = max(max(line.done, default=0), max(line.failed, default=0)) + 1
    per_bar = math.ceil(last / TIMELINE_BARS)
    count = math.ceil(last / per_bar)
    done, failed = [0] * count, [0] * count
    for bins, counted in ((done, line.done), (failed, line.failed)):
        for place, items in counted.items():
            bins[place // per_bar] += items
    seconds = per_bar * line.width_seconds
    top = max(one + two for one, two in zip(done, failed, strict=True))
    bars = [
        Bar(
            100 * index / count,
            100 / count,
            100 * (done[index] + failed[index]) / top,
            100 * failed[index] / top,
            f"after {duration(index * seconds)}: {rate(done[index] + failed[index], seconds)}",
        )
        for index in range(count)
        if done[index] or failed[index]
    ]
    whole = count * seconds
    ticks = [Mark(100 * tick / whole, round_duration(tick)) for tick in _even_ticks(whole)]
    words = f"At most {rate(top, seconds)}, over {duration(whole)}."
    return Chart(bars, ticks, [], words)


def rate(items: float, seconds: float) -> str:
    """So many items in so much time, per the unit that makes it readable."""
    for unit, name in ((1.0, "s"), (_MINUTE, "min"), (_HOUR, "h")):
        per_unit = items * unit / seconds
        if per_unit >= 1 or unit == _HOUR:
            digits = 0 if per_unit >= 100 else 1  # noqa: PLR2004  # three digits say enough
            return f"{per_unit:,.{digits}f} items/{name}"
    raise AssertionError(seconds)


def _log_ticks(low: float, high: float) -> list[float]:
    inside = [tick for tick in _ROUND_SECONDS if low <= tick <= high]
    if len(inside) < 2:  # noqa: PLR2004  # one label alone gives no scale
        return [low, high]
    return inside[:: math.ceil(len(inside) / MOST_TICKS)]


def _even_ticks(whole: float) -> list[float]:
    step = _ROUND_SECONDS[min(bisect_left(_ROUND_SECONDS, whole / 5), len(_ROUND_SECONDS) - 1)]
    return [index * step for index in range(int(whole / step) + 1)][: 2 * MOST_TICKS]


def _edge(bucket: int) -> str:
    return duration(RESOLUTION**bucket)
