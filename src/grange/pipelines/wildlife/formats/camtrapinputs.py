"""What people have to say before a Camtrap DP can be written: where cameras stood, and when."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from grange.errors import ExportRefused

# All columns of the standard, in its order.
DEPLOYMENT_COLUMNS: Final = (
    *("deploymentID", "locationID", "locationName", "latitude", "longitude"),
    *("coordinateUncertainty", "deploymentStart", "deploymentEnd", "setupBy", "cameraID"),
    *("cameraModel", "cameraDelay", "cameraHeight", "cameraDepth", "cameraTilt", "cameraHeading"),
    *("detectionDistance", "timestampIssues", "baitUse", "featureType", "habitat"),
    *("deploymentGroups", "deploymentTags", "deploymentComments"),
)
# What the file of deployments has besides: whose items they are, and what their clocks showed.
FOLDER: Final = "folder"
TIMEZONE: Final = "timezone"
TEMPLATE_COLUMNS: Final = (FOLDER, TIMEZONE, *DEPLOYMENT_COLUMNS)
TIMES_COLUMNS: Final = ("file", "timestamp")
TAXA_COLUMNS: Final = ("label", "scientificName")
# What readers of the standard take for an empty cell.
MISSING: Final = frozenset({"", "NA", "NaN", "nan"})
MOST_ROWS: Final = 1_000_000
_OFFSET = re.compile(r"([+-])(\d\d):?(\d\d)")
_LIMITS: Final = {"latitude": 90.0, "longitude": 180.0}


@dataclass(frozen=True, slots=True)
class Deployment:
    """A camera at a place for some time."""

    id: str
    folder: str
    zone: tzinfo
    start: datetime
    end: datetime
    latitude: float
    longitude: float
    cells: Mapping[str, str]

    def row(self) -> list[str]:
        """Its row of the standard's table."""
        known = {
            "deploymentID": self.id,
            "deploymentStart": moment_text(self.start),
            "deploymentEnd": moment_text(self.end),
            "latitude": repr(self.latitude),
            "longitude": repr(self.longitude),
        }
        return [known.get(name, self.cells.get(name, "")) for name in DEPLOYMENT_COLUMNS]


class Deployments:
    """The deployments of a file, found by the folder that an item lies in."""

    def __init__(self, found: Sequence[Deployment]) -> None:
        """Later rows of a folder are refused when they are read, so there is one for each."""
        self.all = found
        self._by_folder = {one.folder: one for one in found}

    def of(self, file: str) -> Deployment | None:
        """Whose item this is: that of its folder, or of the nearest one above."""
        folder = file
        while folder:
            folder = folder.rpartition("/")[0]
            if (found := self._by_folder.get(folder)) is not None:
                return found
        return None


def read_deployments(path: Path) -> Deployments:
    """The deployments of a file that was filled in.

    Raises:
        ExportRefused: A column or a cell that is needed is missing or makes no sense; says which.
    """
    found = [_deployment(row, where) for where, row in _rows(path, required=(FOLDER,))]
    for key in ("folder", "id"):
        seen: set[str] = set()
        for one in found:
            value = str(getattr(one, key))
            if value in seen:
                raise ExportRefused(f"{path.name!r} has two deployments of the {key} {value!r}.")
            seen.add(value)
    if not found:
        raise ExportRefused(f"{path.name!r} has no deployment.", hint="Fill in a row per camera.")
    return Deployments(found)


def read_times(path: Path) -> dict[str, datetime]:
    """When items were taken, as a file says that was filled in.

    Raises:
        ExportRefused: A column or a cell makes no sense; says which.
    """
    rows = _rows(path, required=TIMES_COLUMNS)
    return {
        row["file"]: _moment(row["timestamp"], None, f"{where}, timestamp")
        for where, row in rows
        if row["timestamp"] not in MISSING
    }


def read_taxa(path: Path) -> dict[str, dict[str, str]]:
    """The taxon that each of the classifier's labels means.

    Raises:
        ExportRefused: A column is missing.
    """
    rows = _rows(path, required=TAXA_COLUMNS)
    return {row["label"]: row for _, row in rows if row["scientificName"] not in MISSING}


def write_template(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, str]]) -> None:
    """Write a table for people to fill in."""
    with path.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file:
        write = csv.DictWriter(file, columns, restval="", lineterminator="\n")
        write.writeheader()
        write.writerows(rows)


def moment_text(moment: datetime) -> str:
    """A time as the standard wants it: to the second, with its zone."""
    text = moment.replace(microsecond=0).isoformat()
    return text.removesuffix("+00:00") + "Z" if text.endswith("+00:00") else text


def _rows(path: Path, *, required: Sequence[str]) -> Iterator[tuple[str, dict[str, str]]]:
    try:
        with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
            reader = csv.DictReader(file)
            missing = [name for name in required if name not in (reader.fieldnames or ())]
            if missing:
                raise ExportRefused(
                    f"{path.name!r} has no column {missing[0]!r}.",
                    hint=f"Its first line has to name its columns: {', '.join(required)} …",
                )
            for number, row in enumerate(reader, start=2):
                if number > MOST_ROWS:
                    raise ExportRefused(f"{path.name!r} has more than {MOST_ROWS:,} rows.")
                cells = {str(key): (value or "").strip() for key, value in row.items() if key}
                if any(cells.values()):
                    yield f"{path.name!r}, line {number}", cells
    except OSError as error:
        raise ExportRefused(f"{str(path)!r} can't be read: {error.strerror}.") from error
    except csv.Error as error:
        raise ExportRefused(
            f"{path.name!r} is no table of comma-separated values: {error}."
        ) from error


def _deployment(cells: dict[str, str], where: str) -> Deployment:
    folder = cells[FOLDER].replace("\\", "/").strip("/")
    folder = "" if folder == "." else folder
    zone = _zone(cells.get(TIMEZONE, ""), where)
    start = _moment(cells.get("deploymentStart", ""), zone, f"{where}, deploymentStart")
    end = _moment(cells.get("deploymentEnd", ""), zone, f"{where}, deploymentEnd")
    if end < start:
        raise ExportRefused(f"{where}: deploymentEnd lies before deploymentStart.")
    return Deployment(
        id=_id(cells.get("deploymentID", ""), folder),
        folder=folder,
        zone=zone,
        start=start,
        end=end,
        latitude=_degrees(cells, "latitude", where),
        longitude=_degrees(cells, "longitude", where),
        cells=cells,
    )


def _id(given: str, folder: str) -> str:
    """An identifier that no reader takes for an empty cell."""
    plain = given or folder.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return f"deployment {plain}".strip() if plain in MISSING else plain


def _degrees(cells: Mapping[str, str], name: str, where: str) -> float:
    limit = _LIMITS[name]
    try:
        value = float(cells.get(name, ""))
    except ValueError:
        value = math.nan
    # Not a number compares with nothing.
    if not -limit <= value <= limit:
        raise ExportRefused(
            f"{where}: the {name} {cells.get(name, '')!r} is no number within ±{limit:g}.",
            hint="Coordinates are decimal degrees (WGS84), such as 52.7044.",
        )
    return value


def _zone(text: str, where: str) -> tzinfo:
    """The zone of a camera's clock; UTC where none is said."""
    if text in {*MISSING, "Z", "UTC"}:
        return UTC
    if (offset := _OFFSET.fullmatch(text)) is not None:
        behind = timedelta(hours=int(offset[2]), minutes=int(offset[3]))
        if behind < timedelta(hours=24):
            return timezone(-behind if offset[1] == "-" else behind)
    try:
        return ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ExportRefused(
            f"{where}: there is no timezone {text!r}.",
            hint="Write one such as Europe/Warsaw or +02:00.",
        ) from None


def _moment(text: str, zone: tzinfo | None, where: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise ExportRefused(
            f"{where}: {text!r} is no time." if text else f"{where} is empty.",
            hint="Write times as 2026-05-01T18:30:00.",
        ) from None
    return found if found.tzinfo is not None or zone is None else found.replace(tzinfo=zone)
