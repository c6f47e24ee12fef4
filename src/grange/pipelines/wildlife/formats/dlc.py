"""DeepLabCut's tables of poses, its multi-animal layout: one individual for each track.

Columns are (scorer, individuals, bodyparts, coords), rows the frames of the
original video from 0 on; what was not seen, or not analysed, is empty.
"""

from __future__ import annotations

import csv
import re
import warnings
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from grange.errors import ExportRefused, ExtraMissing
from grange.pipelines.wildlife.formats.naming import PIXEL_DIGITS, folder_of, is_video, name_of
from grange.pipelines.wildlife.results import Media, Point, Results

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

KEY: Final = "df_with_missing"
LEVELS: Final = ("scorer", "individuals", "bodyparts", "coords")
COORDS: Final = ("x", "y", "likelihood")
# A table has a cell for every frame and point, seen or not: beyond this it is of no use to anyone.
MOST_CELLS: Final = 200_000_000
# HDF5 keeps the names of a table's columns in one header of 64 KiB.
MOST_COLUMNS_OF_TABLES: Final = 500
# A wider table is written at once: it has to fit into memory several times over.
MOST_CELLS_AT_ONCE: Final = 20_000_000
_ROWS_AT_ONCE: Final = 10_000
# What individuals are called: by the number of their track, or by their place among the others.
_TRACK: Final = "track"
_LOOSE: Final = "untracked"
_UNFIT = re.compile(r"[^A-Za-z0-9-]+")

# Who was seen in a frame, and with which points.
Seen = dict[str, Sequence[Point]]


def scorer_of(head: Results) -> str:
    """What the files call the model that made the poses."""
    return f"DLC_{_UNFIT.sub('-', head.source.pose).strip('-') or 'pose'}"


def has_poses(media: Media) -> bool:
    """Whether there is anything for such a table to hold: a video in which poses were found."""
    return is_video(media) and any(one.pose for one in media.detections)


class Stems:
    """What to call the videos' tables: their stems, as DeepLabCut does.

    Where videos of one folder share a stem, all but the first keep their suffix in it.
    """

    def __init__(self) -> None:
        """No name is taken yet."""
        self._taken: set[str] = set()

    def of(self, file: str) -> str:
        """The stem for this video; each is asked for once."""
        name = name_of(file)
        stem = Path(name).stem
        place = f"{folder_of(file)}/{stem}".casefold()
        if place in self._taken:
            return name.replace(".", "_")
        self._taken.add(place)
        return stem


def write_csv(path: Path, head: Results, media: Media) -> None:
    """The poses of a video as DeepLabCut's .csv; detections are gone through twice, never held.

    Raises:
        ExportRefused: The size of its picture is not known, or the table would be far too large.
    """
    individuals, _ = _individuals(media, head)
    columns = list(_columns(head, individuals))
    nothing = [""] * (len(head.keypoints) * len(COORDS))
    with path.open("w", encoding="utf-8", newline="") as file:
        write = csv.writer(file, lineterminator="\n")
        for level, name in enumerate(LEVELS):
            write.writerow([name, *(column[level] for column in columns)])
        for number, seen in enumerate(_rows(media)):
            row: list[float | str] = [number]
            for individual in individuals:
                points = seen.get(individual)
                row += nothing if points is None else _pixels(points, media)
            write.writerow(row)


def write_h5(path: Path, head: Results, media: Media) -> None:
    """The poses of a video as DeepLabCut's .h5.

    Raises:
        ExportRefused: The size of its picture is not known, or the table would be far too large.
        ExtraMissing: pandas or PyTables is not installed.
    """
    pandas = _pandas()
    individuals, frames = _individuals(media, head)
    columns = pandas.MultiIndex.from_tuples(_columns(head, individuals), names=LEVELS)
    in_pieces = len(columns) <= MOST_COLUMNS_OF_TABLES
    if not in_pieces and len(columns) * frames > MOST_CELLS_AT_ONCE:
        raise ExportRefused(
            f"{media.file!r} has so many individuals and frames that its .h5 would take more "
            "memory than there may be.",
            hint="Use --to dlc-csv, which takes none.",
        )
    rows, first = iter(_rows(media)), 0
    with warnings.catch_warnings(), pandas.HDFStore(str(path), mode="w") as store:
        # That there are many columns is no news.
        warnings.simplefilter("ignore")
        while some := list(islice(rows, _ROWS_AT_ONCE if in_pieces else None)):
            values = _values(some, individuals, media, len(head.keypoints))
            index = range(first, first + len(some))
            frame = pandas.DataFrame(values, columns=columns, index=list(index))
            if in_pieces:
                store.append(KEY, frame, format="table")
            else:
                store.put(KEY, frame, format="fixed")
            first += len(some)


def _values(
    rows: Sequence[Seen], individuals: Sequence[str], media: Media, keypoints: int
) -> NDArray[np.float64]:
    import numpy as np

    width = keypoints * len(COORDS)
    values = np.full((len(rows), len(individuals) * width), np.nan)
    for row, seen in enumerate(rows):
        for place, individual in enumerate(individuals):
            points = seen.get(individual)
            if points is not None:
                values[row, place * width : (place + 1) * width] = _pixels(points, media)
    return values


def _pixels(points: Iterable[Point], media: Media) -> list[float]:
    return [
        one
        for x, y, conf in points
        for one in (
            round(x * media.width, PIXEL_DIGITS),
            round(y * media.height, PIXEL_DIGITS),
            conf,
        )
    ]


def _columns(head: Results, individuals: Iterable[str]) -> Iterator[tuple[str, str, str, str]]:
    scorer = scorer_of(head)
    for individual in individuals:
        for keypoint in head.keypoints:
            for coord in COORDS:
                yield scorer, individual, keypoint, coord


def _individuals(media: Media, head: Results) -> tuple[tuple[str, ...], int]:
    """All who are seen in a video: its tracks, then as many as are seen at once without one.

    With them comes how many frames the table has.
    """
    if not media.width or not media.height:
        raise ExportRefused(
            f"The size of {media.file!r} is not known, so its poses can't be said in pixels.",
            hint="Import its results with --images FOLDER or --size WIDTHxHEIGHT.",
        )
    tracks: set[int] = set()
    loose = last = 0
    for number, seen in _seen(media):
        last = number
        tracks |= {int(name[len(_TRACK) :]) for name in seen if name.startswith(_TRACK)}
        loose = max(loose, sum(name.startswith(_LOOSE) for name in seen))
    names = [f"{_TRACK}{number}" for number in sorted(tracks)]
    names += [f"{_LOOSE}{number}" for number in range(1, loose + 1)]
    frames = max(media.frames, last + 1)
    cells = frames * len(names) * len(head.keypoints) * len(COORDS)
    if cells > MOST_CELLS:
        raise ExportRefused(
            f"{media.file!r} would need {cells:,} cells in DeepLabCut's layout, which has one for "
            "every frame, individual and point.",
            hint="Use another format, such as coco-keypoints or md.",
        )
    return tuple(names), frames


def _rows(media: Media) -> Iterator[Seen]:
    """Who was seen in each frame of the video, from the first one on."""
    number = 0
    for frame, seen in _seen(media):
        for _ in range(number, frame):
            yield {}
        yield seen
        number = frame + 1
    for _ in range(number, media.frames):
        yield {}


def _seen(media: Media) -> Iterator[tuple[int, Seen]]:
    """The frames in which poses were found, with who was seen.

    What no track follows gets the first free name that says so.
    """
    for number, those in groupby(media.detections, key=lambda one: one.frame or 0):
        seen: Seen = {}
        loose = 0
        for one in those:
            if not one.pose:
                continue
            name = f"{_TRACK}{one.track}"
            if one.track is None or name in seen:
                loose += 1
                name = f"{_LOOSE}{loose}"
            seen[name] = one.pose
        if seen:
            yield number, seen


def _pandas() -> Any:  # noqa: ANN401  # it brings no types
    try:
        import pandas as pd
        import tables  # noqa: F401  # pandas would say too late that it is not there
    except ImportError as error:
        raise ExtraMissing(
            "DeepLabCut's .h5 files need pandas and PyTables, which are not installed.",
            hint="Install them: pip install 'grange[dlc]'; or use --to dlc-csv.",
        ) from error
    return pd
