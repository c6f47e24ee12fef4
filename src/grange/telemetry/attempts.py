"""What an ended attempt adds to the counts, on the server and on a worker."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from grange.telemetry import metrics
from grange.telemetry.metrics import Metric
from grange.telemetry.tally import OTHER, Tally

# A pipeline that is installed has a name; one that somebody brings has a path, which is not told.
_NAME: Final = re.compile(r"[a-z][a-z0-9_-]{0,39}")
_WORD: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,39}")
OWN: Final = "file"
# How a pipeline says what its counts are: `reading seconds`, `pose loads`; the rest are things.
_SECONDS: Final = " seconds"
_LOADS: Final = " loads"


@dataclass(frozen=True)
class Counters:
    """Which metrics take what pipelines count: those of the server, or those of a worker."""

    stage_seconds: Metric
    loads: Metric
    counted: Metric


OF_SERVER: Final = Counters(metrics.STAGE_SECONDS, metrics.MODEL_LOADS, metrics.COUNTED)
OF_WORKER: Final = Counters(
    metrics.WORKER_STAGE_SECONDS, metrics.WORKER_LOADS, metrics.WORKER_COUNTED
)


def pipeline_label(pipeline: str) -> str:
    """What a pipeline is called in labels: its name, if it is installed under one."""
    return pipeline if _NAME.fullmatch(pipeline) else OWN


def add_counts(tally: Tally, which: Counters, pipeline: str, counts: Mapping[str, float]) -> None:
    """Add what a pipeline has counted during one attempt."""
    for name, amount in counts.items():
        if amount < 0:
            continue  # A counter never falls.
        if name.endswith(_SECONDS):
            stage = _word(name.removesuffix(_SECONDS))
            tally.observe(which.stage_seconds, pipeline, stage, value=amount)
        elif name.endswith(_LOADS):
            tally.add(which.loads, pipeline, _word(name.removesuffix(_LOADS)), amount=amount)
        else:
            tally.add(which.counted, pipeline, _word(name), amount=amount)


def _word(name: str) -> str:
    return name if _WORD.fullmatch(name) else OTHER
