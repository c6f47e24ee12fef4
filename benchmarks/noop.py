"""The pipeline that does nothing: what is left is the cost of Grange itself."""

from __future__ import annotations

from typing import Any

from grange.pipelines import Parameters, Part, Pipeline, Work


class Noop(Pipeline[Parameters]):
    """Takes any file, makes nothing of it."""

    name = "noop"
    version = "1"
    summary = "Does nothing."

    def process(self, part: Part, params: Parameters, model: Any, work: Work) -> None:  # noqa: ANN401
        """Do nothing."""
