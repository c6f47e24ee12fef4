"""The canonical format: MegaDetector's batch output, version 1.6, and nothing lost in it.

What that format has no field for stands in fields of our own, which its
readers pass over: tracks, poses, exact rates and times, sizes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import IO, Any, Final, Self, overload

from grange.errors import FormatInvalid
from grange.pipelines.wildlife.formats.jsonlists import text_of
from grange.pipelines.wildlife.formats.jsontext import JsonText, open_json
from grange.pipelines.wildlife.formats.mdreading import detection_of, head_of, media_of
from grange.pipelines.wildlife.formats.naming import HELD
from grange.pipelines.wildlife.results import Detection, Kind, Media, Results

JSON = Any

FORMAT_VERSION: Final = "1.6"
# What stands before the items, and after them.
_OPENING: Final = '\n "images": ['
_CLOSING: Final = "\n ]\n}\n"
_COPIED_CHARACTERS: Final = 1 << 16
# Fields that MegaDetector's own files do not have.
_OWN_INFO: Final = frozenset({"pose", "finished", "keypoints", "skeleton"})
_OWN_FACTS: Final = frozenset(
    {"kind", "width", "height", "frame_rate_exact", "variable_rate", "frames", "times"}
)
_OWN_OF_DETECTIONS: Final = frozenset({"track", "keypoints"})
# A failed video's rate, as the field's programs write it.
NO_RATE: Final = -1.0
# Readers of the format ask for a rate and for frames wherever a name ends so.
_VIDEO_NAME = re.compile(
    r".*\.(?:mp4|avi|mpeg|mpg|mov|mkv|flv|wmv|webm|m4v)", re.IGNORECASE | re.DOTALL
)


def write_results(results: Results, path: Path) -> None:
    """Write the result of one item or of many; `read_results` gives the same again."""
    write_run(path, results, results.media)


def write_run(path: Path, head: Results, media: Iterable[Media], *, plain: bool = False) -> None:
    """Write many items' results as they come: what they share is `head`'s, whose media don't count.

    Neither the items nor their detections are held in memory. A `plain` file
    has no fields but those of MegaDetector's own.
    """
    with RunWriter(path, head, plain=plain) as run:
        for one in media:
            run.add(one)


class RunWriter:
    """Writes a file of results an item at a time; use it in a `with` statement."""

    def __init__(self, path: Path, head: Results, *, plain: bool = False) -> None:
        """Begin the file with what all items share; the media of `head` don't count."""
        self._path = path
        self._plain = plain
        self._file = path.open("w", encoding="ascii", newline="\n")
        self._file.write("{\n")
        for name, value in _head(head, plain=plain).items():
            self._file.write(f" {text_of(name)}: {text_of(value)},\n")
        self._file.write(_OPENING[1:])
        self._comma = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self._file as file:
            file.write(_CLOSING)

    def add(self, media: Media) -> None:
        """Add an item; its detections are gone through once."""
        self._file.write(f"{self._comma}\n  ")
        self._comma = ","
        _write_media(self._file, media, plain=self._plain)

    def add_file(self, path: Path) -> None:
        """Add all items of another file that `write_results` or `write_run` wrote, as they stand.

        Its head has to be the same, but for the time of the work: nobody looks at it.

        Raises:
            FormatInvalid: It was written by somebody else.
        """
        with path.open(encoding="ascii", newline="\n") as other:
            for line in other:
                if line.rstrip("\n") == _OPENING[1:]:
                    break
            else:
                raise FormatInvalid(f"{str(path)!r} is no file of results that Grange wrote.")
            waiting = other.read(_COPIED_CHARACTERS)
            if waiting.startswith("\n ]"):
                return
            self._file.write(f"{self._comma}\n")
            self._comma = ","
            while piece := other.read(_COPIED_CHARACTERS):
                self._file.write(waiting[: -len(_CLOSING)])
                waiting = waiting[-len(_CLOSING) :] + piece
            self._file.write(waiting.removesuffix(_CLOSING))


def read_results(path: Path) -> Results:
    """All of a file of results.

    Raises:
        FormatInvalid: It is not of this format; says where and why.
    """
    found = ResultsFile(path)
    return replace(found.head, media=tuple(found))


class ResultsFile:
    """A file of results, read an item at a time, as often as it is iterated over."""

    def __init__(self, path: Path) -> None:
        """Read what all items share.

        Raises:
            FormatInvalid: It is not of this format.
        """
        self._path = path
        self.head: Results = head_of(self._shared(), path.name)

    def __iter__(self) -> Iterator[Media]:
        """The items in their order.

        Raises:
            FormatInvalid: One breaks the format's rules; says which.
        """
        with open_json(self._path) as text:
            for name in text.members():
                if name != "images":
                    text.value()
                    continue
                for number, _ in enumerate(text.elements()):
                    yield self._media(text, number)

    def _media(self, text: JsonText, number: int) -> Media:
        """The next item; if much was found in it, that is left in the file."""
        where = f"images[{number}]"
        fields: dict[str, JSON] = {}
        count = place = 0
        for name in text.members():
            if name != "detections" or text.peek() != "[":
                fields[name] = text.value()
                continue
            fields[name], place = [], text.place
            for count, _ in enumerate(text.elements(), start=1):
                if count > HELD:
                    fields[name] = []
                    text.value()
                else:
                    fields[name].append(text.value())
        media = media_of(fields, where, self.head)
        if count <= HELD or media.failure:
            return media
        left = _Left(self._path, place, count, (where, self.head, media.kind))
        return replace(media, detections=left)

    def _shared(self) -> dict[str, JSON]:
        found: dict[str, JSON] = {}
        with open_json(self._path) as text:
            for name in text.members():
                if name != "images" or text.peek() != "[":
                    found[name] = text.value()
                    continue
                found[name] = []
                for _ in text.elements():
                    text.skip()
            text.end()
        return found


class _Left(Sequence[Detection]):
    """The detections of an item of which there are many: read from their place each time."""

    def __init__(self, path: Path, place: int, count: int, how: tuple[str, Results, Kind]) -> None:
        self._path = path
        self._place = place
        self._count = count
        self._where, self._head, self._kind = how

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Detection]:
        in_video = self._kind is Kind.VIDEO
        with open_json(self._path, self._place) as text:
            for number, _ in enumerate(text.elements()):
                where = f"{self._where}.detections[{number}]"
                yield detection_of(text.value(), where, self._head, in_video=in_video)

    @overload
    def __getitem__(self, place: int) -> Detection: ...

    @overload
    def __getitem__(self, place: slice) -> Sequence[Detection]: ...

    def __getitem__(self, place: int | slice) -> Detection | Sequence[Detection]:
        return tuple(self)[place]


def _head(results: Results, *, plain: bool) -> dict[str, JSON]:
    head: dict[str, JSON] = {"info": _info(results), "detection_categories": results.categories}
    if plain:
        head["info"] = {name: one for name, one in head["info"].items() if name not in _OWN_INFO}
    return head | ({"classification_categories": results.species} if results.species else {})


def _info(results: Results) -> dict[str, JSON]:
    source = results.source
    info: dict[str, JSON] = {"format_version": FORMAT_VERSION, "detector": source.detector}
    info |= {"classifier": source.classifier} if source.classifier else {}
    info |= {"pose": source.pose} if source.pose else {}
    if source.finished is not None:
        info["detection_completion_time"] = source.finished.strftime("%Y-%m-%d %H:%M:%S")
        if (exactly := source.finished.isoformat(sep=" ")) != info["detection_completion_time"]:
            info["finished"] = exactly
    info["detector_metadata"] = {
        "typical_detection_threshold": source.typical_threshold,
        "conservative_detection_threshold": source.conservative_threshold,
    }
    info |= {"keypoints": list(results.keypoints)} if results.keypoints else {}
    info |= {"skeleton": list(map(list, results.skeleton))} if results.skeleton else {}
    return info


def _write_media(file: IO[str], media: Media, *, plain: bool) -> None:
    facts = _facts(media)
    if plain:
        facts = {name: one for name, one in facts.items() if name not in _OWN_FACTS}
    file.write(text_of(facts)[:-1])
    if media.failure:
        file.write(f', "failure": {text_of(media.failure)}, "detections": null}}')
        return
    file.write(', "detections": [')
    in_frames = "frames_processed" in facts
    comma = "\n   "
    for detection in media.detections:
        found = _detection(detection, in_frames=in_frames)
        if plain:
            found = {name: one for name, one in found.items() if name not in _OWN_OF_DETECTIONS}
        file.write(comma + text_of(found))
        comma = ",\n   "
    file.write("]}")


def _facts(media: Media) -> dict[str, JSON]:
    facts: dict[str, JSON] = {"file": media.file}
    as_video = media.kind is Kind.VIDEO or bool(_VIDEO_NAME.fullmatch(media.file))
    if as_video and media.kind is Kind.IMAGE:
        facts["kind"] = str(media.kind)
    if media.width or media.height:
        facts |= {"width": media.width, "height": media.height}
    if media.taken is not None:
        facts["datetime"] = media.taken.isoformat(sep=" ")
    if as_video:
        facts |= _video_facts(media)
    return facts


def _video_facts(media: Media) -> dict[str, JSON]:
    facts = _rate(media.frame_rate, failed=bool(media.failure))
    facts |= {"variable_rate": True} if media.variable_rate else {}
    facts |= {"frames": media.frames} if media.frames else {}
    facts["frames_processed"] = _numbers(media.processed)
    return facts | ({"times": _numbers(media.times)} if media.times else {})


def _rate(rate: Fraction | None, *, failed: bool) -> dict[str, JSON]:
    """The rate as a number, and exactly where no number is exact."""
    if rate is None:
        return {"frame_rate": NO_RATE if failed else 0.0}
    if rate.denominator == 1:
        return {"frame_rate": int(rate)}
    return {"frame_rate": float(rate), "frame_rate_exact": str(rate)}


def _detection(one: Detection, *, in_frames: bool) -> dict[str, JSON]:
    found: dict[str, JSON] = {
        "category": one.category,
        "conf": float(one.conf),
        "bbox": _numbers(one.box),
    }
    if one.frame is not None or in_frames:
        found["frame_number"] = one.frame or 0
    if one.track is not None:
        found["track"] = one.track
    if one.guesses:
        found["classifications"] = [[number, float(conf)] for number, conf in one.guesses]
    if one.pose:
        found["keypoints"] = [_numbers(point) for point in one.pose]
    return found


def _numbers(given: Sequence[float]) -> list[float]:
    return list(given)
