"""What a part leaves for the merge: lines of what was found, labelled segments, its best frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

from grange.pipelines.wildlife.kit import Kit
from grange.pipelines.wildlife.looking.thumbs import thumb_size, write_thumb
from grange.pipelines.wildlife.media.drawing import draw
from grange.pipelines.wildlife.media.encoding import LabelledWriter, labelled_size
from grange.pipelines.wildlife.media.videos import VideoInfo
from grange.pipelines.wildlife.records import Analysed, line_of
from grange.pipelines.wildlife.results import Detection
from grange.pipelines.wildlife.stages import Piece

if TYPE_CHECKING:
    from grange.pipelines.wildlife.media.decoding import Frame
    from grange.pipelines.wildlife.pictures import Picture, Pixels

JSON = Any

LINES: Final = "frames.jsonl"
THUMB: Final = "thumb.jpg"
LABELLED: Final = "labelled"
LABELLED_STILL: Final = "labelled.jpg"
# Times are told in millionths of a second.
SECONDS_DIGITS: Final = 6

# How good a frame is for the small picture; the largest of all is chosen, wherever parts end.
Score = tuple[int, float, int]


@dataclass(slots=True)
class Best:
    """The best frame so far: how good it is, its pixels, and what is in it."""

    score: Score
    pixels: Pixels
    detections: Sequence[Detection]


class PartWriter:
    """Writes what was found in a part's pieces into a folder; leaving it ends its files."""

    def __init__(
        self, folder: Path, info: VideoInfo, kit: Kit, *, labelled_rate: Fraction | None
    ) -> None:
        """Begin; a labelled video has about so many pictures a second, and None makes none."""
        self._folder = folder
        self._info = info
        self._kit = kit
        self._legend = kit.legend()
        self._size = labelled_size(info.width, info.height)
        self._rate = labelled_rate
        self._lines = (folder / LINES).open("w", encoding="ascii", newline="\n")
        self._segment: LabelledWriter | None = None
        self._best: Best | None = None
        self.frames = 0
        self.labelled: list[str] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._lines.close()
        if self._segment is not None:
            self._segment.close()

    def write(self, piece: Piece) -> None:
        """Add a piece."""
        self.frames += len(piece.frames)
        for frame, detections in zip(piece.frames, piece.detections, strict=True):
            seconds = round(frame.seconds, SECONDS_DIGITS)
            self._lines.write(line_of(Analysed(frame.number, seconds, detections)))
            if self._rate is not None:
                self._paint(piece.stretch.number, frame, detections, self._rate)
        if piece.last and self._segment is not None:
            self._segment.close()
            self._segment = None
        self._choose(piece)

    def end(self) -> JSON:
        """Write the best frame; says how good it is."""
        if self._best is None:
            return None
        best = self._best
        write_thumb(best.pixels, sure_of(best.detections, self._kit), self._folder / THUMB)
        return list(best.score)

    def _paint(
        self, number: int, frame: Frame, detections: Sequence[Detection], rate: Fraction
    ) -> None:
        if self._segment is None:
            name = f"{LABELLED}-{number:06d}"
            tick = self._info.time_base
            self._segment = LabelledWriter(self._folder / name, *self._size, tick, rate)
            self.labelled.append(name)
        pixels = frame.picture.scaled(*self._size)
        if shown := sure_of(detections, self._kit):
            # What the picture gives is its own.
            pixels = pixels.copy()
            draw(pixels, shown, self._legend)
        self._segment.write(pixels, frame.pts)

    def _choose(self, piece: Piece) -> None:
        middle = self._info.frames // 2
        scored = [
            (score_of(detections, self._kit, frame.number - middle), place)
            for place, (frame, detections) in enumerate(
                zip(piece.frames, piece.detections, strict=True)
            )
        ]
        if not scored:
            return
        score, place = max(scored)
        if self._best is None or score > self._best.score:
            pixels = small(piece.frames[place].picture)
            self._best = Best(score, pixels, piece.detections[place])


def score_of(detections: Sequence[Detection], kit: Kit, from_middle: int) -> Score:
    """How good a frame is: with a sure animal, with anything sure, else near the middle.

    No two frames of a video are equally good.
    """
    sure = sure_of(detections, kit)
    rank = 2 if any(one.category in kit.animals for one in sure) else 1 if sure else 0
    conf = max((one.conf for one in sure), default=0.0)
    # The one before the middle is preferred to that which is as far behind it.
    return rank, conf, -2 * abs(from_middle) - (from_middle > 0)


def sure_of(detections: Sequence[Detection], kit: Kit) -> list[Detection]:
    """Those that are painted."""
    return [one for one in detections if one.conf >= kit.label_threshold]


def small(picture: Picture) -> Pixels:
    """A picture in the size in which it stands for its item."""
    return picture.scaled(*thumb_size(picture.width, picture.height))
