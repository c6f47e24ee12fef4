"""The wildlife pipeline: what is done with an item, and in which order."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from grange.pipelines.base import JSON, Item, Part, PartResult, Pipeline, Work
from grange.pipelines.wildlife.parameters import WildlifeParameters

PICTURE_SUFFIXES = ("jpg", "jpeg", "png", "tif", "tiff", "webp", "bmp")
VIDEO_SUFFIXES = ("mp4", "m4v", "mov", "avi", "mkv", "webm", "mts", "m2ts", "mpg", "mpeg", "3gp")


class WildlifePipeline(Pipeline[WildlifeParameters]):
    """Finds animals, people and vehicles in camera-trap videos and pictures."""

    name = "wildlife"
    version = "1"
    summary = "Finds, names and follows animals in camera-trap videos and pictures."
    Parameters = WildlifeParameters
    accepts = tuple(f"*.{one}" for one in (*PICTURE_SUFFIXES, *VIDEO_SUFFIXES))

    def split(self, item: Item, params: WildlifeParameters, work: Work) -> Iterator[JSON]:
        """Say which segments of the item each part has."""
        raise NotImplementedError

    def process(self, part: Part, params: WildlifeParameters, model: Any, work: Work) -> JSON:  # noqa: ANN401  # as the interface has it
        """Look at some segments."""
        raise NotImplementedError

    def merge(
        self, item: Item, parts: Iterator[PartResult], params: WildlifeParameters, work: Work
    ) -> JSON:
        """Make one result of all segments."""
        raise NotImplementedError
