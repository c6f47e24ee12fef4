"""What MegaDetector's batch output says, in any version of it, as results."""

from __future__ import annotations

import math
import re
from datetime import datetime
from fractions import Fraction
from typing import Any, Final, NoReturn

from grange.errors import FormatInvalid
from grange.pipelines.wildlife.results import (
    CATEGORIES,
    Box,
    Detection,
    Guess,
    Kind,
    Media,
    Point,
    Results,
    Source,
)

JSON = Any

# More of either in one picture or frame is no result of any model.
MOST_DETECTIONS: Final = 5_000_000
MOST_CATEGORIES: Final = 100_000
MOST_KEYPOINTS: Final = 1000
# Rates of cameras are exact fractions of small numbers, whatever digits a file gives of them.
_MOST_DENOMINATOR: Final = 100_000
_PLACES_IN_BOX: Final = 4
_EXIF_TIME = re.compile(r"(\d{4}):(\d\d):(\d\d) (\d\d:\d\d:\d\d.*)")


def refuse(where: str, what: str) -> NoReturn:
    """Say what is wrong with a file, and where in it.

    Raises:
        FormatInvalid: Always.
    """
    raise FormatInvalid(
        f"{where} {what}.", hint="See what the formats hold: docs/guides/formats.md"
    )


def head_of(shared: dict[str, JSON], name: str) -> Results:
    """What all entries of a file share: its models and the names of its categories.

    Raises:
        FormatInvalid: It is no MegaDetector output.
    """
    if not isinstance(shared.get("images"), list):
        refuse(repr(name), "is no MegaDetector output: it has no list of images")
    info = mapping_of(shared.get("info") or {}, "info")
    return Results(
        media=(),
        source=_source(info),
        categories=names_of(shared.get("detection_categories"), "detection_categories")
        or dict(CATEGORIES),
        species=names_of(shared.get("classification_categories"), "classification_categories"),
        keypoints=tuple(texts_of(info.get("keypoints") or [], "info.keypoints")),
        skeleton=_skeleton(info.get("skeleton") or []),
    )


def media_of(given: JSON, where: str, head: Results) -> Media:
    """One entry of a file.

    Raises:
        FormatInvalid: It breaks the format's rules.
    """
    entry = mapping_of(given, where)
    failure = entry.get("failure") or ""
    if not isinstance(failure, str):
        refuse(f"{where}.failure", "is no text")
    kind = _kind(entry, where)
    video = _video(entry, where) if kind is Kind.VIDEO else {}
    detections = [] if failure else list_of(entry.get("detections") or [], f"{where}.detections")
    if len(detections) > MOST_DETECTIONS:
        refuse(where, f"has more than {MOST_DETECTIONS:,} detections")
    return Media(
        file=text_of(entry.get("file"), f"{where}.file"),
        kind=kind,
        width=count_of(entry.get("width") or 0, f"{where}.width"),
        height=count_of(entry.get("height") or 0, f"{where}.height"),
        taken=time_of(entry.get("datetime")),
        failure=failure,
        detections=tuple(
            detection_of(one, f"{where}.detections[{number}]", head, in_video=kind is Kind.VIDEO)
            for number, one in enumerate(detections)
        ),
        **video,
    )


# ---- plain data


def mapping_of(given: JSON, where: str) -> dict[str, JSON]:
    """The object that a value has to be."""
    if not isinstance(given, dict):
        refuse(where, "is no object")
    return given


def list_of(given: JSON, where: str) -> list[JSON]:
    """The list that a value has to be."""
    if not isinstance(given, list):
        refuse(where, "is no list")
    return given


def text_of(given: JSON, where: str) -> str:
    """The text that a value has to be; not an empty one."""
    if not isinstance(given, str) or not given:
        refuse(where, "is missing, or no text")
    return given


def texts_of(given: JSON, where: str) -> list[str]:
    """The list of texts that a value has to be."""
    return [text_of(one, where) for one in list_of(given, where)]


def number_of(given: JSON, where: str) -> float:
    """The finite number that a value has to be."""
    if isinstance(given, bool) or not isinstance(given, int | float) or not math.isfinite(given):
        refuse(where, "is no number")
    return float(given)


def count_of(given: JSON, where: str) -> int:
    """The whole number, not below 0, that a value has to be."""
    number = number_of(given, where)
    if number < 0 or number != int(number):
        refuse(where, "is no whole number from 0 on")
    return int(number)


def names_of(given: JSON, where: str) -> dict[str, str]:
    """The categories of a file: number to name; numbers may have come as numbers."""
    found = {str(key): str(value) for key, value in mapping_of(given or {}, where).items()}
    if len(found) > MOST_CATEGORIES:
        refuse(where, f"has more than {MOST_CATEGORIES:,} entries")
    return found


def time_of(given: JSON) -> datetime | None:
    """A time as files say it, ISO 8601's way or EXIF's; none where it is no time at all."""
    if not isinstance(given, str):
        return None
    exif = _EXIF_TIME.fullmatch(given)
    try:
        return datetime.fromisoformat(f"{exif[1]}-{exif[2]}-{exif[3]} {exif[4]}" if exif else given)
    except ValueError:
        return None


def rate_of(given: float) -> Fraction:
    """The rate that a number with few or many digits means: 29.97002997 is 30000/1001."""
    near = Fraction(given).limit_denominator(_MOST_DENOMINATOR)
    return near if float(near) == given else Fraction(str(given))


def box_of(given: JSON, where: str) -> Box:
    """The four numbers of a box."""
    numbers = list_of(given, where)
    if len(numbers) != _PLACES_IN_BOX:
        refuse(where, "has not four numbers")
    x, y, width, height = (number_of(one, where) for one in numbers)
    return x, y, width, height


def conf_of(given: JSON, where: str) -> float:
    """A confidence: a number from 0 to 1."""
    number = number_of(given, where)
    if not 0 <= number <= 1:
        refuse(where, "is not between 0 and 1")
    return number


# ---- what entries are made of


def _source(info: dict[str, JSON]) -> Source:
    about = mapping_of(info.get("detector_metadata") or {}, "info.detector_metadata")
    plain = Source()
    typical = about.get("typical_detection_threshold", plain.typical_threshold)
    conservative = about.get("conservative_detection_threshold", plain.conservative_threshold)
    return Source(
        detector=str(info.get("detector") or ""),
        classifier=str(info.get("classifier") or ""),
        pose=str(info.get("pose") or ""),
        typical_threshold=number_of(typical, "info.detector_metadata"),
        conservative_threshold=number_of(conservative, "info.detector_metadata"),
        finished=time_of(info.get("finished") or info.get("detection_completion_time")),
    )


def _skeleton(given: JSON) -> tuple[tuple[str, str], ...]:
    found = []
    for pair in list_of(given, "info.skeleton"):
        match texts_of(pair, "info.skeleton"):
            case [one, other]:
                found.append((one, other))
            case _:
                refuse("info.skeleton", "has an entry that is no pair")
    return tuple(found)


def _kind(entry: dict[str, JSON], where: str) -> Kind:
    said = entry.get("kind")
    if said is not None:
        if said not in list(Kind):
            refuse(f"{where}.kind", "is neither 'image' nor 'video'")
        return Kind(said)
    return Kind.VIDEO if "frame_rate" in entry or "frames_processed" in entry else Kind.IMAGE


def _video(entry: dict[str, JSON], where: str) -> dict[str, JSON]:
    processed = [
        count_of(one, f"{where}.frames_processed")
        for one in list_of(entry.get("frames_processed") or [], f"{where}.frames_processed")
    ]
    times = [
        number_of(one, f"{where}.times")
        for one in list_of(entry.get("times") or [], f"{where}.times")
    ]
    if times and len(times) != len(processed):
        refuse(f"{where}.times", "has not one time for each processed frame")
    return {
        "frame_rate": _rate(entry, where),
        "variable_rate": bool(entry.get("variable_rate")),
        "frames": count_of(entry.get("frames") or 0, f"{where}.frames"),
        "processed": tuple(processed),
        "times": tuple(times),
    }


def _rate(entry: dict[str, JSON], where: str) -> Fraction | None:
    if (exactly := entry.get("frame_rate_exact")) is not None:
        try:
            return Fraction(text_of(exactly, f"{where}.frame_rate_exact"))
        except (ValueError, ZeroDivisionError):
            refuse(f"{where}.frame_rate_exact", "is no fraction such as 30000/1001")
    rate = number_of(entry.get("frame_rate") or 0, f"{where}.frame_rate")
    return rate_of(rate) if rate > 0 else None


def detection_of(given: JSON, where: str, head: Results, *, in_video: bool) -> Detection:
    """One detection of an entry.

    Raises:
        FormatInvalid: It breaks the format's rules.
    """
    entry = mapping_of(given, where)
    category = str(entry.get("category", ""))
    if category not in head.categories:
        refuse(f"{where}.category", f"is {category!r}, which detection_categories does not have")
    frame = entry.get("frame_number")
    track = entry.get("track")
    return Detection(
        category=category,
        conf=conf_of(entry.get("conf"), f"{where}.conf"),
        box=box_of(entry.get("bbox"), f"{where}.bbox"),
        frame=count_of(frame, f"{where}.frame_number") if in_video and frame is not None else None,
        track=None if track is None else count_of(track, f"{where}.track"),
        guesses=_guesses(entry.get("classifications") or [], f"{where}.classifications", head),
        pose=_pose(entry.get("keypoints") or [], f"{where}.keypoints"),
    )


def _guesses(given: JSON, where: str, head: Results) -> tuple[Guess, ...]:
    found = []
    for pair in list_of(given, where):
        match pair:
            case [number, conf] if str(number) in head.species:
                found.append((str(number), conf_of(conf, where)))
            case _:
                refuse(where, "has an entry that is no known category with its confidence")
    return tuple(found)


def _pose(given: JSON, where: str) -> tuple[Point, ...]:
    points = list_of(given, where)
    if len(points) > MOST_KEYPOINTS:
        refuse(where, f"has more than {MOST_KEYPOINTS:,} points")
    found = []
    for point in points:
        match point:
            case [x, y, conf]:
                found.append((number_of(x, where), number_of(y, where), number_of(conf, where)))
            case _:
                refuse(where, "has a point that is not x, y and a likelihood")
    return tuple(found)
