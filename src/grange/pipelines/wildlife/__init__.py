"""Wildlife: from camera-trap videos and pictures to tables, tracks and pictures to look at."""

from grange.pipelines.wildlife.pipeline import WildlifePipeline

__all__ = ["WildlifePipeline"]
