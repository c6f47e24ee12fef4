"""Tables for spreadsheets and statistics: every detection, every track, every item."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Self

from grange.pipelines.wildlife.formats.naming import (
    clock_of,
    is_video,
    moment_of,
    pixels_of,
    species_of,
)
from grange.pipelines.wildlife.formats.trackrows import TRACKS, track_rows
from grange.pipelines.wildlife.results import CATEGORIES, Detection, Media, Results

JSON = Any
Cell = str | float | int | None

DETECTIONS: Final = (
    *("file", "kind", "frame_number", "time_seconds", "datetime", "category", "confidence"),
    *("track", "species", "species_confidence"),
    *("x_fraction", "y_fraction", "width_fraction", "height_fraction"),
    *("x_pixels", "y_pixels", "width_pixels", "height_pixels"),
)
SUMMARY: Final = (
    *("file", "kind", "found", "datetime", "duration_seconds", "frames", "analysed_frames"),
    *("animal_confidence", "person_confidence", "vehicle_confidence", "detections", "tracks"),
    *("species", "species_confidence", "failure"),
)
# As MegaDetector's own report has them.
MEGADETECTOR: Final = (
    *("filename", "datetime", "detection_category", "max_detection_confidence"),
    *("classification_category", "max_classification_confidence", "count"),
)
_COPIED_CHARACTERS: Final = 1 << 16
# A cell that begins so is a formula to spreadsheets, and a file may be called like one.
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


class TableWriter:
    """Writes a table a row at a time; use it in a `with` statement."""

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        """Begin the file with the names of its columns."""
        # Names that are no text keep their bytes.
        self._file = path.open("w", encoding="utf-8", errors="surrogateescape", newline="")
        self._write = csv.writer(self._file, lineterminator="\n")
        self._write.writerow(columns)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def add(self, row: Iterable[Cell]) -> None:
        """Add a row, which begins with the item's path; what is unknown becomes an empty cell.

        A path that spreadsheets would compute is written as the same path from here: `./=a.jpg`.
        """
        cells = ["" if one is None else one for one in row]
        if isinstance(cells[0], str) and cells[0].startswith(_FORMULA):
            cells[0] = f"./{cells[0]}"
        self._write.writerow(cells)

    def add_file(self, path: Path) -> None:
        """Add all rows of another table of the same columns, as they stand."""
        with path.open(encoding="utf-8", errors="surrogateescape", newline="") as other:
            other.readline()
            while piece := other.read(_COPIED_CHARACTERS):
                self._file.write(piece)


def write_detections(path: Path, head: Results, media: Iterable[Media]) -> None:
    """One row for each detection; `head` has the names that their numbers mean."""
    with TableWriter(path, DETECTIONS) as table:
        for one in media:
            clock = clock_of(one)
            for detection in one.detections:
                table.add(_detection_row(one, detection, head, clock(detection.frame or 0)))


def write_tracks(path: Path, head: Results, media: Iterable[Media]) -> None:
    """One row for each individual that was followed through a video."""
    with TableWriter(path, TRACKS) as table:
        for one in media:
            for row in track_rows(one, head):
                table.add(row)


def write_summary(path: Path, head: Results, media: Iterable[Media]) -> None:
    """One row for each item, those in which nothing was found and those that failed as well.

    `found` names what is at least as sure as the detector's typical threshold.
    """
    with TableWriter(path, SUMMARY) as table:
        for one in media:
            record = record_of(one, head)
            typical = head.source.typical_threshold
            table.add(summary_row(one.file, record, one.failure, typical=typical))


def write_megadetector(path: Path, head: Results, media: Iterable[Media], threshold: float) -> None:
    """MegaDetector's own report: a row for each pair of categories in an item."""
    with TableWriter(path, MEGADETECTOR) as table:
        for one in media:
            for row in _megadetector_rows(one, head, threshold):
                table.add(row)


def summary_row(
    file: str, record: Mapping[str, JSON], failure: str = "", *, typical: float
) -> tuple[Cell, ...]:
    """An item's row of the summary, from the record that the pipeline keeps of it.

    The record's members are `kind`, `taken`, `seconds`, `frames`, `analysed`,
    `found` (for each category its best `conf`, and how many `detections` and
    `tracks`) and `species` (the best confidence of each); a failed item may
    have none.
    """
    found: Mapping[str, Mapping[str, JSON]] = record.get("found") or {}
    species: Mapping[str, float] = record.get("species") or {}
    best = max(sorted(species), key=lambda name: species[name], default="")
    seen = sorted(name for name, one in found.items() if one["conf"] >= typical)
    in_video = record.get("kind") == "video"
    return (
        file,
        record.get("kind"),
        "failed" if failure else " ".join(seen) or "empty",
        record.get("taken"),
        *((record.get(name) for name in _OF_VIDEOS) if in_video else (None,) * len(_OF_VIDEOS)),
        *(found.get(name, {}).get("conf") for name in CATEGORIES.values()),
        *(sum(one.get(name) or 0 for one in found.values()) for name in ("detections", "tracks")),
        *(best, species.get(best), failure),
    )


_OF_VIDEOS: Final = ("seconds", "frames", "analysed")


def record_of(media: Media, head: Results) -> dict[str, JSON]:
    """The members of an item's record that its row of the summary is made of."""
    found: dict[str, dict[str, JSON]] = {}
    tracks: dict[str, set[int]] = {}
    species: dict[str, float] = {}
    for one in media.detections:
        name = head.categories.get(one.category, one.category)
        so_far = found.setdefault(name, {"conf": 0.0, "detections": 0})
        so_far["conf"] = max(so_far["conf"], one.conf)
        so_far["detections"] += 1
        if one.track is not None:
            tracks.setdefault(name, set()).add(one.track)
        label, sure = species_of(one, head)
        if sure is not None:
            species[label] = max(species.get(label, 0.0), sure)
    for name, so_far in found.items():
        so_far["tracks"] = len(tracks.get(name, ()))
    rate = media.frame_rate
    return {
        "kind": str(media.kind),
        "taken": time_text(media.taken) or None,
        "seconds": round(float(media.frames / rate), 3) if rate and media.frames else None,
        "frames": media.frames or None,
        "analysed": len(media.processed),
        "found": found,
        "species": species,
    }


def time_text(moment: datetime | None) -> str:
    """A time in ISO 8601, with as many digits as it needs."""
    return "" if moment is None else moment.isoformat()


def _detection_row(
    media: Media, detection: Detection, head: Results, seconds: float
) -> tuple[Cell, ...]:
    species, sure = species_of(detection, head)
    pixels = pixels_of(detection.box, media) if media.width else ("",) * 4
    in_video = is_video(media)
    return (
        media.file,
        str(media.kind),
        detection.frame,
        seconds if in_video else None,
        time_text(moment_of(media, seconds if in_video else 0.0)),
        head.categories.get(detection.category, detection.category),
        detection.conf,
        detection.track,
        species,
        sure,
        *detection.box,
        *pixels,
    )


def _megadetector_rows(media: Media, head: Results, threshold: float) -> Iterator[tuple[Cell, ...]]:
    first = (media.file, time_text(media.taken))
    if media.failure:
        yield (*first, "error", None, media.failure, None, None)
        return
    pairs: dict[tuple[str, str], list[float]] = {}
    top = 0.0
    for one in media.detections:
        top = max(top, one.conf)
        if one.conf < threshold:
            continue
        species, sure = species_of(one, head)
        pair = (head.categories.get(one.category, one.category), species)
        found = pairs.setdefault(pair, [0.0, 0.0, 0])
        found[0] = max(found[0], one.conf)
        found[1] = max(found[1], sure or 0.0)
        found[2] += 1
    if not pairs:
        yield (*first, "empty", top, "", None, None)
    for (category, species), (conf, sure, count) in pairs.items():
        yield (*first, category, conf, species, sure if species else None, int(count))
