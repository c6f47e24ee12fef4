"""Counts of one process: kept in memory, added to from any thread, told as plain samples."""

from __future__ import annotations

import math
import threading
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from grange.telemetry.metrics import BY_NAME, Kind, Labels, Metric

JSON = Any

# Of one metric so many combinations of labels are told apart; what is more counts as "other".
MOST_SERIES = 1000
OTHER = "other"


@dataclass(slots=True)
class Spread:
    """What a histogram has seen: how many in each bucket, above the last one too, and their sum."""

    counts: list[int]
    sum: float = 0.0

    @property
    def count(self) -> int:
        """How many it has seen."""
        return sum(self.counts)


@dataclass(frozen=True, slots=True)
class Sample:
    """One series of a metric, as it stands."""

    metric: Metric
    labels: Labels
    value: float | Spread


@dataclass(slots=True)
class _Series:
    plain: dict[Labels, float] = field(default_factory=dict)
    spreads: dict[Labels, Spread] = field(default_factory=dict)


class Tally:
    """Adds up. Every method may be called from any thread."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._lock = threading.Lock()
        self._series: dict[str, _Series] = {}

    def add(self, metric: Metric, *labels: str, amount: float = 1.0) -> None:
        """Let a counter grow."""
        with self._lock:
            plain = self._of(metric).plain
            key = _within(plain, labels)
            plain[key] = plain.get(key, 0.0) + amount

    def put(self, metric: Metric, *labels: str, value: float) -> None:
        """Say how a gauge stands."""
        with self._lock:
            plain = self._of(metric).plain
            plain[_within(plain, labels)] = value

    def put_all(self, metric: Metric, values: Mapping[Labels, float]) -> None:
        """Say how a gauge stands, and that it has no other series than these."""
        with self._lock:
            plain = self._of(metric).plain
            plain.clear()
            for labels, value in values.items():
                plain[_within(plain, labels)] = value

    def observe(self, metric: Metric, *labels: str, value: float) -> None:
        """Let a histogram see a value."""
        self.observe_all(metric, *labels, values=(value,))

    def observe_all(self, metric: Metric, *labels: str, values: Sequence[float]) -> None:
        """Let a histogram see many values."""
        buckets = metric.buckets
        with self._lock:
            spreads = self._of(metric).spreads
            key = _within(spreads, labels)
            spread = spreads.get(key)
            if spread is None:
                spread = spreads[key] = Spread([0] * (len(metric.buckets) + 1))
            counts, below, ordered = spread.counts, 0, sorted(values)
            # Each bucket's share of all values at once: there may be thousands of them.
            for number, bound in enumerate(buckets):
                upto = bisect_right(ordered, bound)
                counts[number] += upto - below
                below = upto
            counts[-1] += len(ordered) - below
            spread.sum += sum(values)

    def take(self, samples: Iterable[Sample]) -> None:
        """Go on from what an earlier process has counted; gauges are not its business any more."""
        with self._lock:
            for sample in samples:
                _add_up(self._of(sample.metric), sample)

    def samples(self) -> list[Sample]:
        """How everything stands."""
        with self._lock:
            return [
                sample
                for name, series in self._series.items()
                for sample in _samples(BY_NAME[name], series)
            ]

    def _of(self, metric: Metric) -> _Series:
        found = self._series.get(metric.name)
        if found is None:
            found = self._series[metric.name] = _Series()
        return found


def added_up(samples: Iterable[Sample]) -> list[Sample]:
    """One sample for each series: what several processes counted is added up."""
    tally = Tally()
    gauges: dict[tuple[str, Labels], Sample] = {}
    for sample in samples:
        if sample.metric.kind is Kind.GAUGE:
            gauges[sample.metric.name, sample.labels] = sample
        else:
            tally.take([sample])
    return [*gauges.values(), *tally.samples()]


def to_json(samples: Iterable[Sample]) -> JSON:
    """Samples as plain data."""
    return [
        [
            one.metric.name,
            list(one.labels),
            [one.value.counts, one.value.sum] if isinstance(one.value, Spread) else one.value,
        ]
        for one in samples
    ]


def from_json(data: JSON) -> list[Sample]:
    """The samples that `to_json` took apart; those of which this version knows nothing are left."""
    return [sample for one in data if (sample := _sample(one)) is not None]


def _sample(data: JSON) -> Sample | None:
    name, labels, value = data
    metric = BY_NAME.get(name)
    if metric is None or len(labels) != len(metric.labels) or not all(map(_is_text, labels)):
        return None
    if metric.kind is Kind.HISTOGRAM:
        counts, total = value
        if len(counts) != len(metric.buckets) + 1:
            return None
        return Sample(metric, tuple(labels), Spread([int(one) for one in counts], float(total)))
    return Sample(metric, tuple(labels), float(value)) if math.isfinite(value) else None


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _samples(metric: Metric, series: _Series) -> Iterable[Sample]:
    for labels, value in series.plain.items():
        yield Sample(metric, labels, value)
    for labels, spread in series.spreads.items():
        yield Sample(metric, labels, Spread(list(spread.counts), spread.sum))


def _add_up(series: _Series, sample: Sample) -> None:
    value, labels = sample.value, sample.labels
    if isinstance(value, Spread):
        before = series.spreads.setdefault(labels, Spread([0] * len(value.counts)))
        before.counts = [one + more for one, more in zip(before.counts, value.counts, strict=True)]
        before.sum += value.sum
    elif sample.metric.kind is Kind.COUNTER:
        series.plain[labels] = series.plain.get(labels, 0.0) + value


def _within(known: Mapping[Labels, object], labels: Labels) -> Labels:
    """The labels, or those of everything that is too much to tell apart."""
    if labels in known or len(known) < MOST_SERIES:
        return labels
    return (OTHER,) * len(labels)
