"""Counts add up, from any thread, within bounds, and survive being written down."""

from __future__ import annotations

import json
import threading

import pytest

from grange.telemetry import metrics
from grange.telemetry.attempts import OF_SERVER, add_counts, pipeline_label
from grange.telemetry.exposition import expose
from grange.telemetry.metrics import Metric
from grange.telemetry.tally import (
    MOST_SERIES,
    OTHER,
    Sample,
    Spread,
    Tally,
    added_up,
    from_json,
    to_json,
)


def _value(tally: Tally, metric: Metric, *labels: str) -> float | Spread | None:
    return next(
        (one.value for one in tally.samples() if (one.metric, one.labels) == (metric, labels)),
        None,
    )


def test_counts_of_many_threads_add_up() -> None:
    """None is lost."""
    tally = Tally()

    def count() -> None:
        for number in range(1000):
            tally.add(metrics.RETRIES, "wildlife", "split")
            tally.observe(metrics.ATTEMPT_SECONDS, "wildlife", "split", value=number / 100)

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    spread = _value(tally, metrics.ATTEMPT_SECONDS, "wildlife", "split")
    assert 4000.0 == _value(tally, metrics.RETRIES, "wildlife", "split")
    assert isinstance(spread, Spread)
    assert 4000 == spread.count
    assert pytest.approx(4 * sum(range(1000)) / 100) == spread.sum


@pytest.mark.parametrize(("seconds", "bucket"), [(0.0, 0), (0.005, 0), (0.0051, 1), (1e9, -1)])
def test_a_value_falls_into_its_bucket(seconds: float, bucket: int) -> None:
    """A bound belongs to the bucket that it ends, and what is beyond all of them to the last."""
    tally = Tally()
    tally.observe(metrics.REQUEST_SECONDS, "/", value=seconds)

    spread = _value(tally, metrics.REQUEST_SECONDS, "/")

    assert isinstance(spread, Spread)
    assert 1 == spread.counts[bucket]
    assert len(metrics.REQUEST_SECONDS.buckets) + 1 == len(spread.counts)


def test_too_many_labels_count_as_others() -> None:
    """Whoever finds a way to name things without end costs a series more, and no memory."""
    tally = Tally()
    for number in range(MOST_SERIES + 50):
        tally.add(metrics.COUNTED, "wildlife", f"thing {number}")

    assert MOST_SERIES + 1 == len(tally.samples())
    assert 50.0 == _value(tally, metrics.COUNTED, OTHER, OTHER)


def test_samples_come_back_from_json() -> None:
    """As they were, counters and spreads and gauges."""
    tally = Tally()
    tally.add(metrics.RETRIES, "wildlife", "split", amount=2.5)
    tally.observe(metrics.ATTEMPT_PEAK, "wildlife", value=1e8)
    tally.put(metrics.STREAMS, value=3)

    back = from_json(json.loads(json.dumps(to_json(tally.samples()))))

    assert tally.samples() == back


@pytest.mark.parametrize(
    "strange",
    [
        ["grange_of_another_version_total", [], 1.0],
        ["grange_retries_total", ["wildlife"], 1.0],
        ["grange_retries_total", ["wildlife", 7], 1.0],
        ["grange_retries_total", ["wildlife", "split"], float("nan")],
        ["grange_attempt_peak_bytes", ["wildlife"], [[1, 2], 3.0]],
    ],
)
def test_what_another_version_counts_is_left_out(strange: object) -> None:
    """Other names, labels or buckets are no reason to tell nothing."""
    known = ["grange_retries_total", ["wildlife", "split"], 1.0]

    assert [metrics.RETRIES] == [one.metric for one in from_json([strange, known])]


def test_counts_of_several_processes_are_one_series() -> None:
    """Prometheus refuses a series that is told twice."""
    one, two = Tally(), Tally()
    for tally, seconds in ((one, 1.0), (two, 3.0)):
        tally.add(metrics.RETRIES, "wildlife", "split")
        tally.observe(metrics.ATTEMPT_SECONDS, "wildlife", "split", value=seconds)
        tally.put(metrics.DRIVER_BYTES, value=seconds)

    found = {one.metric: one.value for one in added_up([*one.samples(), *two.samples()])}

    spread = found[metrics.ATTEMPT_SECONDS]
    assert 2.0 == found[metrics.RETRIES]
    assert isinstance(spread, Spread)
    assert (2, 4.0) == (spread.count, spread.sum)
    assert 3.0 == found[metrics.DRIVER_BYTES]


def test_numbers_are_told_as_prometheus_reads_them() -> None:
    """Buckets hold what is smaller too, and labels are escaped."""
    tally = Tally()
    for seconds in (0.004, 0.2, 5000.0):
        tally.observe(metrics.ATTEMPT_SECONDS, 'a"b\\c\n', "split", value=seconds)

    lines = expose(tally.samples()).decode().splitlines()

    labels = 'pipeline="a\\"b\\\\c\\n",stage="split"'
    assert "# TYPE grange_attempt_seconds histogram" in lines
    for bound, count in (("0.005", 1), ("0.5", 2), ("3600", 2), ("+Inf", 3)):
        assert f'grange_attempt_seconds_bucket{{le="{bound}",{labels}}} {count}.0' in lines
    assert f"grange_attempt_seconds_count{{{labels}}} 3.0" in lines
    assert any(line.startswith("process_resident_memory_bytes ") for line in lines)


@pytest.mark.parametrize(
    ("pipeline", "label"),
    [
        ("wildlife", "wildlife"),
        ("my-own_2", "my-own_2"),
        ("/srv/ada/secret project.py:Look", "file"),
        ("./look.py", "file"),
        ("x" * 60, "file"),
    ],
)
def test_a_pipeline_from_a_file_is_not_named(pipeline: str, label: str) -> None:
    """A path says more than a scraper needs to know, and there is no end of them."""
    assert label == pipeline_label(pipeline)


def test_what_pipelines_count_is_told_apart() -> None:
    """Seconds of stages, models loaded, and all else that they count."""
    tally = Tally()
    counts = {
        "reading seconds": 1.5,
        "detector loads": 1.0,
        "frames": 300.0,
        "/etc/passwd {x}": 2.0,
        "falls": -5.0,
    }
    add_counts(tally, OF_SERVER, "wildlife", counts)

    spread = _value(tally, metrics.STAGE_SECONDS, "wildlife", "reading")
    assert isinstance(spread, Spread)
    assert 1.5 == spread.sum
    assert 1.0 == _value(tally, metrics.MODEL_LOADS, "wildlife", "detector")
    assert 300.0 == _value(tally, metrics.COUNTED, "wildlife", "frames")
    assert 2.0 == _value(tally, metrics.COUNTED, "wildlife", OTHER)
    assert 4 == len(tally.samples())


def test_a_sample_is_what_it_was_told() -> None:
    """What is counted later does not change what was told before."""
    tally = Tally()
    tally.observe(metrics.REQUEST_SECONDS, "/", value=1.0)
    before: list[Sample] = tally.samples()

    tally.observe(metrics.REQUEST_SECONDS, "/", value=1.0)

    assert isinstance(before[0].value, Spread)
    assert 1 == before[0].value.count
