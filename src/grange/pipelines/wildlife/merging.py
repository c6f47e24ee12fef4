"""From the parts of an item to its outputs: individuals followed, tables, the labelled video."""

from __future__ import annotations

import shutil
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import chain
from pathlib import Path
from typing import Any, Final

from grange.errors import InputUnreadable
from grange.pipelines.base import Item, PartResult, Work
from grange.pipelines.wildlife.formats import dlc, tables
from grange.pipelines.wildlife.formats.md import write_results
from grange.pipelines.wildlife.kit import Kit
from grange.pipelines.wildlife.looking.plots import write_plots
from grange.pipelines.wildlife.media.encoding import join
from grange.pipelines.wildlife.media.videos import VideoInfo
from grange.pipelines.wildlife.parameters import WildlifeParameters
from grange.pipelines.wildlife.records import Spool, frame_of
from grange.pipelines.wildlife.results import Kind, Media
from grange.pipelines.wildlife.stages import DAMAGED, SKIPPED
from grange.pipelines.wildlife.tally import Tally
from grange.pipelines.wildlife.tracking import Tracker
from grange.pipelines.wildlife.writing import LABELLED_STILL, LINES, SECONDS_DIGITS, THUMB

JSON = Any

RESULTS: Final = "detections.json"
DETECTIONS: Final = "detections.csv"
TRACKS: Final = "tracks.csv"
POSES: Final = "poses.csv"
LABELLED_VIDEO: Final = "labelled.mp4"
PLOTS: Final = "plot-poses"

# DeepLabCut's table has a cell for each frame, individual and number, seen or not: one that would
# have more is made by an export alone.
MOST_POSE_CELLS: Final = 20_000_000
# What the progress of a merge counts in.
_STEPS: Final = 4


class Merge:
    """Makes one item of its parts."""

    def __init__(self, item: Item, params: WildlifeParameters, kit: Kit, work: Work) -> None:
        """Nothing is written yet."""
        self._item = item
        self._params = params
        self._kit = kit
        self._head = kit.head()
        self._work = work
        self._tally = Tally(kit)

    def merge(self, parts: Iterator[PartResult]) -> JSON:
        """Write the item's outputs; gives its record.

        Raises:
            InputUnreadable: No frame of the video could be decoded.
        """
        first = next(parts)
        if "info" not in first.data:
            return self._still(first)
        with Spool(self._work.scratch / LINES) as spool:
            return self._video(chain([first], parts), spool)

    def _still(self, part: PartResult) -> JSON:
        with (part.folder / LINES).open(encoding="ascii") as lines:
            frame = frame_of(next(lines), in_video=False)
        taken = part.data["taken"]
        media = Media(
            file=self._item.path,
            kind=Kind.IMAGE,
            width=part.data["width"],
            height=part.data["height"],
            taken=datetime.fromisoformat(taken) if taken else None,
            detections=frame.detections,
        )
        self._tally.add(frame.detections)
        self._write_tables(media)
        shutil.copyfile(part.folder / THUMB, self._work.output / THUMB)
        labelled = None
        if self._params.labelled:
            labelled = LABELLED_STILL
            shutil.copyfile(part.folder / labelled, self._work.output / labelled)
        return self._tally.record(media, labelled=labelled, thumb=THUMB)

    # ---- videos

    def _video(self, parts: Iterator[PartResult], spool: Spool) -> JSON:
        gathered = self._gather(parts, spool)
        if not gathered.processed:
            raise InputUnreadable("No frame of the video can be decoded.")
        self._work.progress(1 / _STEPS)
        media = self._media(gathered, spool)
        self._write_tables(media)
        tables.write_tracks(self._work.output / TRACKS, self._head, [media])
        self._work.progress(2 / _STEPS)
        if self._tally.poses:
            self._write_poses(media)
        self._work.progress(3 / _STEPS)
        if gathered.labelled:
            join(gathered.labelled, self._work.output / LABELLED_VIDEO)
        if gathered.thumb is not None:
            shutil.copyfile(gathered.thumb, self._work.output / THUMB)
        record = self._tally.record(
            media,
            labelled=LABELLED_VIDEO if gathered.labelled else None,
            thumb=THUMB if gathered.thumb else None,
        )
        info = gathered.info
        seconds = round(info.seconds, SECONDS_DIGITS)
        return record | {"seconds": seconds, "loss": gathered.loss}

    def _gather(self, parts: Iterator[PartResult], spool: Spool) -> Gathered:
        """Go through all frames once, in order."""
        tracker = Tracker(self._kit.label_threshold)
        gathered: Gathered | None = None
        for part in parts:
            gathered = gathered or Gathered(VideoInfo.of(part.data["info"]))
            gathered.take(part)
            with (part.folder / LINES).open(encoding="ascii") as lines:
                for line in lines:
                    frame = frame_of(line)
                    followed = tracker.follow(frame.seconds, frame.detections)
                    self._tally.add(followed)
                    spool.add(replace(frame, detections=followed))
                    gathered.processed.append(frame.number)
                    gathered.times.append(frame.seconds)
        assert gathered is not None  # noqa: S101  # there is a first part
        self._tally.follow(tracker.tracks)
        return gathered

    def _media(self, gathered: Gathered, spool: Spool) -> Media:
        info = gathered.info
        return Media(
            file=self._item.path,
            kind=Kind.VIDEO,
            width=info.width,
            height=info.height,
            taken=info.taken,
            detections=spool,
            frame_rate=info.frame_rate,
            variable_rate=info.variable_rate,
            frames=info.frames,
            processed=gathered.processed,
            times=gathered.times if info.variable_rate else (),
        )

    def _write_poses(self, media: Media) -> None:
        head = self._head
        cells = media.frames * self._tally.tracks * len(head.keypoints) * len(dlc.COORDS)
        if cells <= MOST_POSE_CELLS:
            dlc.write_csv(self._work.output / POSES, head, media)
        if self._params.plots:
            folder = self._work.output / PLOTS / self._item.stem
            write_plots(folder, replace(head, media=(media,)), self._params.pcutoff)

    def _write_tables(self, media: Media) -> None:
        folder = self._work.output
        write_results(replace(self._head, media=(media,)), folder / RESULTS)
        tables.write_detections(folder / DETECTIONS, self._head, [media])


@dataclass(slots=True)
class Gathered:
    """What the parts of a video told together."""

    info: VideoInfo
    # Of the analysed frames, ascending; times are in seconds.
    processed: array[int] = field(default_factory=lambda: array("q"))
    times: array[float] = field(default_factory=lambda: array("d"))
    labelled: list[Path] = field(default_factory=list)
    thumb: Path | None = None
    best: list[float] = field(default_factory=list)
    skipped: int = 0
    damaged: int = 0

    @property
    def loss(self) -> str:
        """What of the video was not seen, in words; empty when it is whole."""
        told = [self.info.loss] if self.info.loss else []
        if self.skipped:
            frames = "frame" if self.skipped == 1 else "frames"
            told.append(f"{self.skipped} {frames} could not be decoded.")
        if self.damaged:
            told.append("Frames behind a damaged one may look wrong.")
        return " ".join(told)

    def take(self, part: PartResult) -> None:
        """Note the files of the next part."""
        score = part.data["best"]
        if score is not None and score > self.best:
            self.best, self.thumb = score, part.folder / THUMB
        self.skipped += part.data["seen"].get(SKIPPED, 0)
        self.damaged += part.data["seen"].get(DAMAGED, 0)
        self.labelled.extend(part.folder / name for name in part.data["labelled"])
