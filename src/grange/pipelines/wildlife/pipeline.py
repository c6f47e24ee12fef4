"""The wildlife pipeline: what is done with an item, and in which order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from grange.pipelines.base import JSON, Item, ItemRecord, Part, PartResult, Pipeline, Work
from grange.pipelines.wildlife.formats import EXPORTS, RESULTS
from grange.pipelines.wildlife.looking.review import VIEWER
from grange.pipelines.wildlife.parameters import WildlifeParameters

if TYPE_CHECKING:
    from grange.pipelines.wildlife.stages import Loaded

PICTURE_SUFFIXES: Final = ("jpg", "jpeg", "png", "tif", "tiff", "webp", "bmp")
VIDEO_SUFFIXES: Final = (
    *("mp4", "m4v", "mov", "avi", "mkv", "webm", "mpg", "mpeg", "mts", "m2ts", "ts", "wmv"),
    *("3gp", "flv", "asf"),
)


class WildlifePipeline(Pipeline[WildlifeParameters]):
    """Finds animals, people and vehicles in camera-trap videos and pictures.

    A video's segments are fixed by the video alone, and each is looked at by
    itself, so that results are the same bytes for any parts and any workers.
    """

    name = "wildlife"
    version = "1"
    summary = "Finds, names and follows animals in camera-trap videos and pictures."
    Parameters = WildlifeParameters
    review = VIEWER
    exports = EXPORTS
    exports_asking = ("camtrap-dp",)
    exports_from = (RESULTS,)
    report_reads = ("detections.json", "detections.csv", "tracks.csv")
    # Cameras write their names in capitals.
    accepts = tuple(
        f"*.{suffix}"
        for one in (*PICTURE_SUFFIXES, *VIDEO_SUFFIXES)
        for suffix in (one, one.upper())
    )

    def models(self, params: WildlifeParameters) -> dict[str, str]:
        """The models' files, and what their manifests say."""
        from grange.pipelines.wildlife.kit import kit_of

        return kit_of(params).models()

    def load(self, params: WildlifeParameters) -> Loaded:
        """Open nothing yet: of what is known from an earlier run no model is needed."""
        from grange.pipelines.wildlife.kit import lasting_kit
        from grange.pipelines.wildlife.stages import Loaded

        return Loaded(lasting_kit(params))

    def split(self, item: Item, params: WildlifeParameters, work: Work) -> Iterator[JSON]:
        """Say which segments each part has.

        Raises:
            InputUnreadable: It is neither a video nor a picture, or a damaged one.
        """
        from grange.pipelines.wildlife.reading import parts_of

        return parts_of(item.file, params.part_seconds)

    def process(self, part: Part, params: WildlifeParameters, model: Loaded, work: Work) -> JSON:
        """Look at the frames of a part's segments, or at a picture.

        Raises:
            InputUnreadable: The file can't be read any more.
            ModelFailed: A model stopped, or its numbers are none.
        """
        from grange.pipelines.wildlife.attempt import look_at_still, look_at_video

        look = look_at_video if part.data else look_at_still
        return look(part, params, model, work)

    def merge(
        self, item: Item, parts: Iterator[PartResult], params: WildlifeParameters, work: Work
    ) -> JSON:
        """Follow individuals through all segments, and write the item's outputs.

        Raises:
            InputUnreadable: No frame of the video could be decoded.
        """
        from grange.pipelines.wildlife.kit import lasting_kit
        from grange.pipelines.wildlife.merging import Merge

        return Merge(item, params, lasting_kit(params), work).merge(parts)

    def report(self, items: Iterator[ItemRecord], params: WildlifeParameters, work: Work) -> None:
        """Write the results of all items in one, with tables and a page to look through them."""
        from grange.pipelines.wildlife.kit import lasting_kit
        from grange.pipelines.wildlife.reporting import write_run_report

        write_run_report(items, lasting_kit(params), work)

    def export(
        self, dialect: str, results: Path, target: Path, options: Mapping[str, str]
    ) -> Sequence[str]:
        """Write the run's results as camera-trap and pose programs have them.

        Raises:
            ExportRefused: The format demands what nobody has said.
        """
        from grange.pipelines.wildlife.formats import dialects

        return dialects.export(dialect, results, target, options)
