"""Writing a run's results in other formats than its own: what every pipeline's exports share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from grange.errors import ExportRefused
from grange.pipelines import catalog


def export_run(
    reference: str, dialect: str, results: Path, target: Path, options: Mapping[str, str]
) -> Sequence[str]:
    """Write what the run of a pipeline has in the folder `results` into the empty folder `target`.

    Returns remarks for people, in words.

    Raises:
        ExportRefused: The pipeline knows no such format, or the format demands more than there is.
        PipelineNotFound, PipelineInvalid: The pipeline is not here.
    """
    pipeline = catalog.find(reference)
    if dialect not in pipeline.exports:
        known = ", ".join(pipeline.exports)
        raise ExportRefused(
            f"The results of {pipeline.name} can't be written as {dialect[:100]!r}.",
            hint=f"There are: {known}." if known else "They are in the run's outputs as they are.",
        )
    return pipeline.export(dialect, results, target, options)
