"""The pipeline that only takes its time: its input's size says how long."""

from __future__ import annotations

import time
from typing import Any

from grange.pipelines import Parameters, Part, Pipeline, Work

# What a byte of the input takes.
UNIT_SECONDS = 0.001


class Waiting(Pipeline[Parameters]):
    """Takes any file, and waits; no processor is needed for it."""

    name = "waiting"
    version = "1"
    summary = "Waits for as long as its input says."

    def process(self, part: Part, params: Parameters, model: Any, work: Work) -> None:  # noqa: ANN401
        """Wait."""
        time.sleep(part.item.size * UNIT_SECONDS)
