"""Rows of Camtrap DP's media and observations: what was seen, in which file or event, when."""

from __future__ import annotations

import mimetypes
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from grange.pipelines.wildlife.formats.camtrapinputs import Deployment, moment_text
from grange.pipelines.wildlife.formats.naming import best_guess, clock_of, is_video, name_of
from grange.pipelines.wildlife.results import Detection, Media, Results

MEDIA: Final = (
    *("mediaID", "deploymentID", "captureMethod", "timestamp", "filePath", "filePublic"),
    *("fileName", "fileMediatype", "exifData", "favorite", "mediaComments"),
)
OBSERVATIONS: Final = (
    *("observationID", "deploymentID", "mediaID", "eventID", "eventStart", "eventEnd"),
    *("observationLevel", "observationType", "cameraSetupType", "scientificName", "count"),
    *("lifeStage", "sex", "behavior", "individualID", "individualPositionRadius"),
    *("individualPositionAngle", "individualSpeed", "bboxX", "bboxY", "bboxWidth", "bboxHeight"),
    *("classificationMethod", "classifiedBy", "classificationTimestamp"),
    *("classificationProbability", "observationTags", "observationComments"),
)
LATIN: Final = re.compile(r"[A-Z][a-z]+(?: [a-z]+){0,2}")
_TYPES: Final = {"animal": "animal", "person": "human", "vehicle": "vehicle"}
_MEDIATYPES: Final = {"image": "image/jpeg", "video": "video/mp4"}
_UNFIT = re.compile(r"^[./~]|\.(?=\.)|[\x00-\x1f\ud800-\udfff]")
_SMALLEST: Final = 1e-15

Row = dict[str, str | int | float]


@dataclass(slots=True)
class Naming:
    """What the labels of a result are called in the package, and who gave them."""

    head: Results
    taxa: Mapping[str, Mapping[str, str]]
    used: set[str] = field(default_factory=set)
    unnamed: set[str] = field(default_factory=set)

    def kind_of(self, one: Detection) -> str:
        """The standard's word for a detector's category."""
        return _TYPES.get(self.head.categories.get(one.category, ""), "unknown")

    def label_of(self, one: Detection) -> str:
        """The classifier's label; empty where it gave none."""
        guess = best_guess(one)
        return "" if guess is None else self.head.species.get(guess[0], guess[0])

    def latin(self, label: str) -> str:
        """The scientific name of a label; empty where it is none and nobody has said it."""
        if label in self.taxa:
            name = self.taxa[label]["scientificName"]
        elif LATIN.fullmatch(label):
            name = label
        else:
            if label:
                self.unnamed.add(label)
            return ""
        self.used.add(name)
        return name

    def classified_by(self) -> Row:
        """Who says so, and when."""
        source = self.head.source
        by = " and ".join(one for one in (source.detector, source.classifier) if one)
        about: Row = {"classificationMethod": "machine", "classifiedBy": by}
        if source.finished is not None and source.finished.tzinfo is not None:
            about["classificationTimestamp"] = moment_text(source.finished)
        return about


def media_row(media: Media, deployment: Deployment, taken: datetime) -> Row:
    """The row of an item."""
    return {
        "mediaID": media_id(media.file),
        "deploymentID": deployment.id,
        "timestamp": moment_text(taken),
        "filePath": file_path(media.file),
        "filePublic": "false",
        "fileName": _readable(name_of(media.file)),
        "fileMediatype": _mediatype(media),
        "mediaComments": _readable(media.failure),
    }


def media_id(file: str) -> str:
    """What an item is called in the package."""
    return file_path(file)


def file_path(file: str) -> str:
    """The path of an item, in which what the standard forbids is written as in URLs."""
    return _UNFIT.sub(lambda found: _quoted(found[0]), file)


def of_media(
    media: Media, deployment: Deployment, taken: datetime, naming: Naming
) -> Iterator[Row]:
    """What was seen in an item: a row for each detection, or one that says that nothing was."""
    first = {"deploymentID": deployment.id, "mediaID": media_id(media.file)}
    clock = clock_of(media)
    for number, one in enumerate(media.detections):
        at = moment_text(taken + timedelta(seconds=clock(one.frame or 0)))
        yield {
            "observationID": f"{media_id(media.file)}#{number}",
            **first,
            "eventStart": at,
            "eventEnd": at,
            "observationLevel": "media",
            **_what(one, naming),
            **_box(one),
            "observationTags": _tags(one, media, naming),
        }
    if not media.detections:
        end = taken + timedelta(seconds=_length(media))
        yield {
            "observationID": f"{media_id(media.file)}#0",
            **first,
            "eventStart": moment_text(taken),
            "eventEnd": moment_text(end),
            "observationLevel": "media",
            "observationType": "unclassified" if media.failure else "blank",
            **({} if media.failure else naming.classified_by()),
            "observationComments": _readable(media.failure),
        }


@dataclass(slots=True)
class Sighting:
    """What an item adds to the event that it is part of."""

    start: datetime
    end: datetime
    # For each type and label: how many at once, and how sure.
    seen: dict[tuple[str, str], tuple[int, float]]


def sighting_of(media: Media, taken: datetime, naming: Naming) -> Sighting:
    """What is to be remembered of an item until its event is over."""
    at_once: dict[tuple[str, str], Counter[int]] = defaultdict(Counter)
    best: dict[tuple[str, str], float] = {}
    for one in media.detections:
        key = (naming.kind_of(one), naming.label_of(one))
        at_once[key][one.frame or 0] += 1
        best[key] = max(best.get(key, 0.0), one.conf)
    seen = {key: (max(counts.values()), best[key]) for key, counts in at_once.items()}
    return Sighting(taken, taken + timedelta(seconds=_length(media)), seen)


def of_events(
    deployment: Deployment, sightings: Sequence[Sighting], gap: timedelta, naming: Naming
) -> Iterator[Row]:
    """What was seen at a camera: items that follow each other within `gap` are one event."""
    for number, event in enumerate(_events(sightings, gap), start=1):
        name = f"{deployment.id}#{number}"
        start, end = event[0].start, max(one.end for one in event)
        together: dict[tuple[str, str], tuple[int, float]] = {}
        for one in event:
            for key, (count, sure) in one.seen.items():
                before = together.get(key, (0, 0.0))
                together[key] = (max(before[0], count), max(before[1], sure))
        first: Row = {
            "deploymentID": deployment.id,
            "eventID": name,
            "eventStart": moment_text(start),
            "eventEnd": moment_text(end),
            "observationLevel": "event",
            **naming.classified_by(),
        }
        if not together:
            yield {"observationID": f"{name}/0", **first, "observationType": "blank"}
        for place, ((kind, label), (count, sure)) in enumerate(sorted(together.items())):
            yield {
                "observationID": f"{name}/{place}",
                **first,
                "observationType": kind,
                "scientificName": naming.latin(label),
                "count": count,
                "classificationProbability": sure,
                "observationTags": _tag("label", label),
            }


def _events(sightings: Sequence[Sighting], gap: timedelta) -> Iterator[list[Sighting]]:
    event: list[Sighting] = []
    end = datetime.min.replace(tzinfo=UTC)
    for one in sorted(sightings, key=lambda sighting: sighting.start):
        if event and one.start - end > gap:
            yield event
            event = []
        end = max(end, one.end) if event else one.end
        event.append(one)
    if event:
        yield event


def _what(one: Detection, naming: Naming) -> Row:
    guess = best_guess(one)
    return {
        "observationType": naming.kind_of(one),
        "scientificName": naming.latin(naming.label_of(one)),
        "count": 1,
        **naming.classified_by(),
        "classificationProbability": one.conf if guess is None else guess[1],
    }


def _box(one: Detection) -> Row:
    """The box, cut where it leaves the picture; none where nothing is left."""
    x, y, width, height = one.box
    left, top = min(max(x, 0.0), 1.0), min(max(y, 0.0), 1.0)
    width, height = min(x + width, 1.0) - left, min(y + height, 1.0) - top
    if width < _SMALLEST or height < _SMALLEST:
        return {}
    return {
        "bboxX": left,
        "bboxY": top,
        "bboxWidth": round(width, 6),
        "bboxHeight": round(height, 6),
    }


def _tags(one: Detection, media: Media, naming: Naming) -> str:
    in_video = is_video(media) and one.frame is not None
    tags = [
        _tag("frame", str(one.frame) if in_video else ""),
        _tag("second", repr(clock_of(media)(one.frame or 0)) if in_video else ""),
        _tag("track", "" if one.track is None else str(one.track)),
        _tag("label", naming.label_of(one)),
        _tag("detection", repr(one.conf)),
    ]
    return " | ".join(filter(None, tags))


def _tag(name: str, value: str) -> str:
    return f"{name}:{value.replace('|', '/')}" if value else ""


def _length(media: Media) -> float:
    last = max(media.frames - 1, 0)
    if media.times:
        return media.times[-1]
    return float(last / media.frame_rate) if media.frame_rate else 0.0


def _mediatype(media: Media) -> str:
    found = mimetypes.guess_type(name_of(media.file))[0] or ""
    return found if found.startswith(f"{media.kind}/") else _MEDIATYPES[media.kind]


def _readable(text: str) -> str:
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _quoted(character: str) -> str:
    raw = character.encode("utf-8", "surrogateescape")
    return "".join(f"%{byte:02X}" for byte in raw)


def taxonomic(used: Iterable[str], taxa: Mapping[str, Mapping[str, str]]) -> list[dict[str, str]]:
    """The taxa of a package, with what is known of each."""
    known = {row["scientificName"]: row for row in taxa.values()}
    fields = ("taxonID", "taxonRank", "kingdom", "phylum", "class", "order", "family", "genus")
    return [
        {"scientificName": name}
        | {key: known[name][key] for key in fields if name in known and known[name].get(key)}
        for name in sorted(used)
    ]
