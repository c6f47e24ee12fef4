"""The pipeline that runs any command over any files."""

from grange.pipelines.command.pipeline import CommandPipeline

__all__ = ["CommandPipeline"]
