"""Items as COCO's files see them: pictures, and the frames of videos as pictures of a sequence."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, groupby
from typing import Any

from grange.pipelines.wildlife.formats.naming import HELD, clock_of, is_video, moment_of
from grange.pipelines.wildlife.results import Detection, Media

JSON = Any


@dataclass(frozen=True, slots=True)
class Frame:
    """A picture, or a frame of a video, with what was found in it."""

    id: str
    media: Media
    detections: tuple[Detection, ...]
    # ---- of videos: its number in the original, its place among the analysed ones, its time
    number: int | None = None
    place: int = 0
    seconds: float = 0.0

    def record(self) -> dict[str, JSON]:
        """The picture as both of COCO's formats say it."""
        media = self.media
        about: dict[str, JSON] = {"id": self.id, "file_name": media.file}
        if media.width and media.height:
            about |= {"width": media.width, "height": media.height}
        taken = moment_of(media, self.seconds)
        if taken is not None:
            about["datetime"] = taken.strftime("%Y-%m-%d %H:%M:%S")
            if taken.isoformat(sep=" ") != about["datetime"]:
                about["datetime_exact"] = taken.isoformat(sep=" ")
        if self.number is not None:
            about |= {
                "file_name": f"{media.file}/frame{self.number:06d}.jpg",
                "video": media.file,
                "frame_number": self.number,
                "seconds": self.seconds,
            }
        return about


def frames_of(results: Iterable[Media]) -> Iterator[Frame]:
    """All pictures and all analysed frames, in their order."""
    for media in results:
        if not is_video(media) or media.failure:
            yield Frame(id=media.file, media=media, detections=tuple(media.detections))
            continue
        clock = clock_of(media)
        for place, (number, found) in enumerate(_by_frame(media)):
            yield Frame(
                id=f"{media.file}/frame{number:06d}",
                media=media,
                detections=found,
                number=number,
                place=place,
                seconds=clock(number),
            )


def _by_frame(media: Media) -> Iterator[tuple[int, tuple[Detection, ...]]]:
    """All analysed frames of a video with what was found in each, in their order."""
    found: Iterable[Detection] = media.detections
    if len(media.detections) <= HELD:
        found = sorted(found, key=lambda one: one.frame or 0)
    waiting: Iterator[int] = iter(media.processed)
    for frame, those in groupby(found, key=lambda one: one.frame or 0):
        for number in waiting:
            if number >= frame:
                # One that is beyond has its turn later.
                if number > frame:
                    waiting = chain((number,), waiting)
                break
            yield number, ()
        yield frame, tuple(those)
    for number in waiting:
        yield number, ()
