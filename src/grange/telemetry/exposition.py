"""Samples in the text that Prometheus reads, with those of this process itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.core import (
    Metric as Family,
)

from grange.telemetry.metrics import Kind, Metric
from grange.telemetry.tally import Sample, Spread

# The format that every version of Prometheus takes.
CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


def expose(samples: Iterable[Sample]) -> bytes:
    """The samples as text, and beside them memory, processor time and files of this process."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Told(samples))
    ProcessCollector(registry=registry)
    text: bytes = generate_latest(registry)
    return text


class _Told:
    """Hands over samples as the library wants them."""

    def __init__(self, samples: Iterable[Sample]) -> None:
        self._samples = list(samples)

    def collect(self) -> Iterator[Family]:
        grouped: dict[str, list[Sample]] = {}
        for sample in self._samples:
            grouped.setdefault(sample.metric.name, []).append(sample)
        for group in grouped.values():
            yield _family(group[0].metric, sorted(group, key=lambda one: one.labels))


def _family(metric: Metric, samples: Iterable[Sample]) -> Family:
    if metric.kind is Kind.HISTOGRAM:
        histogram = HistogramMetricFamily(metric.name, metric.help, labels=metric.labels)
        for one in samples:
            if isinstance(one.value, Spread):
                buckets = list(_buckets(metric, one.value))
                histogram.add_metric(list(one.labels), buckets, one.value.sum)
        return histogram
    family = CounterMetricFamily if metric.kind is Kind.COUNTER else GaugeMetricFamily
    plain = family(metric.name, metric.help, labels=metric.labels)
    for one in samples:
        if not isinstance(one.value, Spread):
            plain.add_metric(list(one.labels), one.value)
    return plain


def _buckets(metric: Metric, spread: Spread) -> Iterator[tuple[str, float]]:
    """Each bucket holds what is smaller, too."""
    seen = 0
    for bound, count in zip((*metric.buckets, float("inf")), spread.counts, strict=True):
        seen += count
        yield "+Inf" if bound == float("inf") else f"{bound:g}", seen
