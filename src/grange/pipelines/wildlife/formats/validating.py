"""The rules of the canonical format, checked on what a file says, whoever wrote it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import islice, pairwise
from pathlib import Path
from typing import Any, Final

from grange.errors import FormatInvalid
from grange.pipelines.wildlife.formats.jsontext import open_json
from grange.pipelines.wildlife.formats.mdreading import head_of, mapping_of, media_of
from grange.pipelines.wildlife.results import Detection, Kind, Media, Results

JSON = Any

LEAST_VERSION: Final = 1.3
# Nobody reads more than this.
MOST_FAULTS: Final = 100
# A box may leave the picture by what rounding does.
_SLACK: Final = 0.001
_NUMBER = re.compile(r"\d+")
_VERSION = re.compile(r"\d+\.\d+")


def faults_of(path: Path) -> list[str]:
    """What is wrong with a file of results, in words, the first of it only; empty when nothing is.

    It is read an item at a time.
    """
    try:
        return list(islice(_faults(path), MOST_FAULTS))
    except FormatInvalid as error:
        return [error.message]


def _faults(path: Path) -> Iterator[str]:
    shared: dict[str, JSON] = {"images": []}
    with open_json(path) as text:
        for name in text.members():
            if name == "images" and text.peek() == "[":
                for _ in text.elements():
                    text.skip()
            else:
                shared[name] = text.value()
        text.end()
    head = head_of(shared, path.name)
    yield from _shared_faults(shared)
    files: set[str] = set()
    with open_json(path) as text:
        for name in text.members():
            if name != "images":
                text.value()
                continue
            for number, _ in enumerate(text.elements()):
                where = f"images[{number}]"
                entry = mapping_of(text.value(), where)
                yield from _entry_faults(entry, where)
                media = media_of(entry, where, head)
                if media.file in files:
                    yield f"{where}.file {media.file!r} comes twice"
                files.add(media.file)
                yield from _media_faults(media, where, head)


def _shared_faults(shared: dict[str, JSON]) -> Iterator[str]:
    version = mapping_of(shared.get("info"), "info").get("format_version")
    if not isinstance(version, str) or not _VERSION.fullmatch(version):
        yield "info.format_version is no text such as '1.6'"
    elif float(version) < LEAST_VERSION:
        yield f"info.format_version is {version}, which is older than {LEAST_VERSION}"
    if "detection_categories" not in shared:
        yield "detection_categories is missing"
    for key in ("detection_categories", "classification_categories"):
        for number, name in mapping_of(shared.get(key) or {}, key).items():
            if not _NUMBER.fullmatch(number):
                yield f"{key} has {number!r}, which is no number from 0 on"
            if not isinstance(name, str) or not name.strip():
                yield f"{key}.{number} has no name"


def _entry_faults(entry: dict[str, JSON], where: str) -> Iterator[str]:
    detections = entry.get("detections")
    if entry.get("failure") is not None:
        if detections is not None:
            yield f"{where} has failed, and yet has detections"
    elif not isinstance(detections, list):
        yield f"{where} has no list of detections"
    for number, one in enumerate(detections or ()):
        if isinstance(one, dict) and not isinstance(one.get("category"), str):
            yield f"{where}.detections[{number}].category is no text"


def _media_faults(media: Media, where: str, head: Results) -> Iterator[str]:
    if media.kind is Kind.VIDEO and not media.failure:
        yield from _video_faults(media, where)
    for number, one in enumerate(media.detections):
        yield from _detection_faults(one, f"{where}.detections[{number}]", media, head)


def _video_faults(media: Media, where: str) -> Iterator[str]:
    if media.frame_rate is None:
        yield f"{where}.frame_rate is missing, or not above 0"
    if not _ascends(media.processed):
        yield f"{where}.frames_processed does not ascend"
    if not _ascends(media.times):
        yield f"{where}.times does not ascend"
    if media.frames and media.processed and media.processed[-1] >= media.frames:
        yield f"{where}.frames_processed goes beyond the last frame"


def _detection_faults(one: Detection, where: str, media: Media, head: Results) -> Iterator[str]:
    x, y, width, height = one.box
    if min(x, y) < -_SLACK or max(x + width, y + height) > 1 + _SLACK:
        yield f"{where}.bbox leaves the picture"
    if width < 0 or height < 0:
        yield f"{where}.bbox has a negative size"
    confs = [conf for _, conf in one.guesses]
    if confs != sorted(confs, reverse=True):
        yield f"{where}.classifications are not in descending order"
    if one.pose and head.keypoints and len(one.pose) != len(head.keypoints):
        yield f"{where}.keypoints are {len(one.pose)}, and info.keypoints {len(head.keypoints)}"
    if media.kind is Kind.VIDEO and one.frame is None:
        yield f"{where}.frame_number is missing"


def _ascends(numbers: Sequence[float]) -> bool:
    return all(one < other for one, other in pairwise(numbers))
