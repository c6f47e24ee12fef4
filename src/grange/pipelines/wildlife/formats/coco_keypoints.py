"""COCO's keypoints: every detection that has a pose, in the layout that pose tools train on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from grange.errors import ExportRefused
from grange.pipelines.wildlife.formats.cocoframes import Frame, frames_of
from grange.pipelines.wildlife.formats.jsonlists import write_object
from grange.pipelines.wildlife.formats.naming import PIXEL_DIGITS, pixels_of, snake
from grange.pipelines.wildlife.results import Detection, Media, Results

JSON = Any

# What COCO says of a point: it lies there, and can be seen or not.
HIDDEN: Final = 1
VISIBLE: Final = 2


def write_coco_keypoints(path: Path, head: Results, media: Iterable[Media], pcutoff: float) -> None:
    """Write one file; a point at least as likely as `pcutoff` counts as visible.

    `media` is gone through twice, and never held.

    Raises:
        ExportRefused: There are no poses, or a picture's size is not known.
    """
    if not head.keypoints:
        raise ExportRefused(
            "These results have no poses.", hint="Run the pipeline with a pose model."
        )
    write_object(
        path,
        (
            (
                "info",
                {"version": "1.0", "description": f"Poses by {head.source.pose or 'a model'}"},
            ),
            ("licenses", []),
            ("categories", _categories(head)),
            ("images", (_image(number, one) for number, one in _posed(media))),
            ("annotations", _annotations(media, pcutoff)),
        ),
    )


def _posed(media: Iterable[Media]) -> Iterator[tuple[int, Frame]]:
    """The pictures and frames that have poses, numbered from 1."""
    number = 0
    for frame in frames_of(media):
        if any(one.pose for one in frame.detections):
            number += 1
            yield number, frame


def _image(number: int, frame: Frame) -> dict[str, JSON]:
    if not frame.media.width or not frame.media.height:
        raise ExportRefused(
            f"The size of {frame.media.file!r} is not known, so its poses can't be said in pixels.",
            hint="Import its results with --images FOLDER or --size WIDTHxHEIGHT.",
        )
    return frame.record() | {"id": number}


def _categories(head: Results) -> list[JSON]:
    place = {name: number for number, name in enumerate(head.keypoints, start=1)}
    skeleton = [
        [place[one], place[other]]
        for one, other in head.skeleton
        if one in place and other in place
    ]
    return [
        {
            "id": int(number),
            "name": snake(name),
            "supercategory": "",
            "keypoints": list(head.keypoints),
            "skeleton": skeleton,
        }
        for number, name in head.categories.items()
    ]


def _annotations(media: Iterable[Media], pcutoff: float) -> Iterator[dict[str, JSON]]:
    number = 0
    for image, frame in _posed(media):
        for one in frame.detections:
            if one.pose:
                number += 1
                yield {"id": number, "image_id": image, **_annotation(one, frame.media, pcutoff)}


def _annotation(one: Detection, media: Media, pcutoff: float) -> dict[str, JSON]:
    box = pixels_of(one.box, media)
    about: dict[str, JSON] = {
        "category_id": int(one.category),
        "bbox": box,
        "area": round(box[2] * box[3], PIXEL_DIGITS),
        "iscrowd": 0,
        "keypoints": [
            value
            for x, y, conf in one.pose
            for value in (
                round(x * media.width, PIXEL_DIGITS),
                round(y * media.height, PIXEL_DIGITS),
                VISIBLE if conf >= pcutoff else HIDDEN,
            )
        ],
        "num_keypoints": len(one.pose),
        "keypoint_scores": [conf for _, _, conf in one.pose],
        "score": one.conf,
    }
    return about | ({} if one.track is None else {"track_id": one.track})
