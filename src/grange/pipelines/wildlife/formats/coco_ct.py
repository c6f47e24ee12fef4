"""COCO Camera Traps: pictures with their boxes, as LILA's collections have them.

The analysed frames of a video are pictures of one sequence. Fields that the
format does not know stand beside its own, as it allows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from grange.pipelines.wildlife.formats.cocoframes import Frame, frames_of
from grange.pipelines.wildlife.formats.jsonlists import write_object
from grange.pipelines.wildlife.formats.naming import best_guess, folder_of, pixels_of, snake
from grange.pipelines.wildlife.results import Detection, Media, Results

JSON = Any

VERSION: Final = "1.0"
EMPTY: Final = 0


def write_coco_ct(path: Path, head: Results, media: Iterable[Media]) -> None:
    """Write one file; `media` is gone through twice, and never held."""
    categories, numbers = _categories(head)
    write_object(
        path,
        (
            ("info", _info(head)),
            ("categories", categories),
            ("images", map(_image, frames_of(media))),
            ("annotations", _annotations(head, media, numbers)),
        ),
    )


def _info(head: Results) -> dict[str, JSON]:
    models = [one for one in (head.source.detector, head.source.classifier) if one]
    info: dict[str, JSON] = {
        "version": VERSION,
        "description": f"Found by {' and '.join(models) or 'a detector'}; not checked by people.",
        "contributor": "Grange",
    }
    if (finished := head.source.finished) is not None:
        info |= {"year": finished.year, "date_created": finished.isoformat(sep=" ")}
    return info


def _categories(head: Results) -> tuple[list[JSON], dict[tuple[str, str], int]]:
    """The categories, and the number of each: the detector's first, then the classifier's."""
    found: list[JSON] = [{"id": EMPTY, "name": "empty"}]
    numbers: dict[tuple[str, str], int] = {}
    names = {"empty"}
    for kind, those in (("detector", head.categories), ("classifier", head.species)):
        for key, label in those.items():
            name = base = snake(label)
            again = 2
            while name in names:
                name, again = f"{base}_{again}", again + 1
            names.add(name)
            numbers[kind, key] = len(found)
            found.append({"id": len(found), "name": name, "label": label, "of": kind})
    return found, numbers


def _image(frame: Frame) -> dict[str, JSON]:
    about = frame.record()
    if folder := folder_of(frame.media.file):
        about["location"] = folder
    if frame.number is not None:
        about |= {
            "seq_id": frame.media.file,
            "seq_num_frames": len(frame.media.processed),
            "frame_num": frame.place,
        }
    if frame.media.failure:
        about |= {"corrupt": True, "failure": frame.media.failure}
    return about


def _annotations(
    head: Results, media: Iterable[Media], numbers: dict[tuple[str, str], int]
) -> Iterator[dict[str, JSON]]:
    for frame in frames_of(media):
        if not frame.detections and not frame.media.failure:
            yield {"id": f"{frame.id}#empty", "image_id": frame.id, "category_id": EMPTY}
        for number, one in enumerate(frame.detections):
            yield {
                "id": f"{frame.id}#{number}",
                "image_id": frame.id,
                **_annotation(one, frame.media, head, numbers),
            }


def _annotation(
    one: Detection, media: Media, head: Results, numbers: dict[tuple[str, str], int]
) -> dict[str, JSON]:
    guess = best_guess(one)
    detected = numbers["detector", one.category]
    about: dict[str, JSON] = {
        "category_id": detected if guess is None else numbers["classifier", guess[0]],
        "score": one.conf,
        "detection_category_id": detected,
    }
    if media.width and media.height:
        about["bbox"] = pixels_of(one.box, media)
    else:
        about["bbox_relative"] = one.box
    if one.track is not None:
        about["track_id"] = one.track
    if one.guesses:
        about["classifications"] = [
            [numbers["classifier", number], conf] for number, conf in one.guesses
        ]
    if one.pose:
        about["keypoints"] = dict(zip(head.keypoints, one.pose, strict=False))
    return about
