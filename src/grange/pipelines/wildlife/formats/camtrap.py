"""Camtrap DP 1.0.2: a package of deployments, media and observations for archives such as GBIF."""

from __future__ import annotations

import csv
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from grange.errors import ExportRefused
from grange.pipelines.wildlife.formats import camtrapinputs as inputs
from grange.pipelines.wildlife.formats import camtrapobservations as rows
from grange.pipelines.wildlife.formats.naming import folder_of
from grange.pipelines.wildlife.results import Media, Results

JSON = Any

VERSION: Final = "1.0.2"
HOME: Final = f"https://raw.githubusercontent.com/tdwg/camtrap-dp/{VERSION}"
MEDIA_LEVEL: Final = "media"
EVENT_LEVEL: Final = "event"
LEVELS: Final = (MEDIA_LEVEL, EVENT_LEVEL)
TEMPLATE: Final = "deployments.csv"
TIMES_TEMPLATE: Final = "times.csv"
# A list of this many shows what is meant.
_EXAMPLES: Final = 3


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the package is to be made with."""

    deployments: Path | None = None
    times: Path | None = None
    taxa: Path | None = None
    project: Path | None = None
    level: str = MEDIA_LEVEL
    gap: timedelta = timedelta(seconds=120)
    # What the names of files to be filled in begin with; empty where nobody could find them.
    template: str = ""


def write_camtrap(folder: Path, head: Results, media: Iterable[Media], wanted: Wanted) -> list[str]:
    """Write the package; returns, in words, what is missing in it.

    `media` is gone through three times.

    Raises:
        ExportRefused: Coordinates or times are missing; a file to fill in has been written.
    """
    given = inputs.read_times(wanted.times) if wanted.times else {}
    deployments = _deployments(media, wanted, given)
    naming = rows.Naming(head, inputs.read_taxa(wanted.taxa) if wanted.taxa else {})
    _check_times(media, wanted, given)
    left_out = _write_tables(folder, media, deployments, given, (naming, wanted))
    package = _package(head, deployments, naming, wanted)
    text = json.dumps(package, indent=2, ensure_ascii=False)
    (folder / "datapackage.json").write_text(text + "\n", encoding="utf-8")
    return list(_notes(naming, left_out, wanted))


def _deployments(
    media: Iterable[Media], wanted: Wanted, given: dict[str, datetime]
) -> inputs.Deployments:
    """The deployments of all items.

    Raises:
        ExportRefused: There is no file of them, or one lacks some; a new one has been written.
    """
    known = inputs.read_deployments(wanted.deployments) if wanted.deployments else None
    spans = _spans(media, given)
    lacking = [
        folder for folder in spans if known is None or known.of(f"{folder}/x".lstrip("/")) is None
    ]
    if known is not None and not lacking:
        return known
    rows_to_fill = _template(lacking, spans)
    path = _put_template(wanted, TEMPLATE, inputs.TEMPLATE_COLUMNS, rows_to_fill)
    shown = ", ".join(repr(one or ".") for one in lacking[:_EXAMPLES])
    more = f" and {len(lacking) - _EXAMPLES} more" if len(lacking) > _EXAMPLES else ""
    raise ExportRefused(
        "Camtrap DP demands the coordinates and the dates of every deployment, and nobody has said "
        f"those of the folder{'s' if len(lacking) > 1 else ''} {shown}{more}.",
        hint=f"Fill in {path}, and name it: --deployments FILE.csv",
    )


def _spans(
    media: Iterable[Media], given: dict[str, datetime]
) -> dict[str, tuple[datetime | None, datetime | None]]:
    """The folders that items lie in, with the first and the last time of each.

    What failed and says no time is left out: it can't be in the package.
    """
    found: dict[str, tuple[datetime | None, datetime | None]] = {}
    for one in media:
        folder = folder_of(one.file)
        first, last = found.get(folder, (None, None))
        taken = given.get(one.file, one.taken)
        if taken is None and one.failure:
            continue
        if taken is not None:
            plain = taken.replace(tzinfo=None)
            first, last = min(first or plain, plain), max(last or plain, plain)
        found[folder] = (first, last)
    return found


def _template(
    folders: Sequence[str], spans: dict[str, tuple[datetime | None, datetime | None]]
) -> Iterator[dict[str, str]]:
    for folder in folders:
        first, last = spans[folder]
        yield {
            inputs.FOLDER: folder or ".",
            inputs.TIMEZONE: "",
            "deploymentID": folder or "all",
            "deploymentStart": "" if first is None else first.isoformat(timespec="seconds"),
            "deploymentEnd": "" if last is None else last.isoformat(timespec="seconds"),
        }


def _put_template(
    wanted: Wanted, name: str, columns: Sequence[str], filled: Iterable[Mapping[str, str]]
) -> str:
    """Write a table to be filled in, over nothing that is there; returns what to call it."""
    if not wanted.template:
        return f"a table with the columns {', '.join(columns[:_EXAMPLES])} …"
    stem, _, suffix = name.partition(".")
    path = Path(f"{wanted.template}-{name}")
    number = 2
    while path.exists():
        path = Path(f"{wanted.template}-{stem}-{number}.{suffix}")
        number += 1
    inputs.write_template(path, columns, filled)
    return str(path)


def _check_times(media: Iterable[Media], wanted: Wanted, given: dict[str, datetime]) -> None:
    """Make sure that it is known when everything was taken, but for what failed.

    Raises:
        ExportRefused: It is not; a file to fill in has been written.
    """
    lacking = [
        one.file for one in media if one.taken is None and one.file not in given and not one.failure
    ]
    if not lacking:
        return
    rows_to_fill = ({"file": one} for one in lacking)
    path = _put_template(wanted, TIMES_TEMPLATE, inputs.TIMES_COLUMNS, rows_to_fill)
    shown = ", ".join(map(repr, lacking[:_EXAMPLES]))
    raise ExportRefused(
        "Camtrap DP demands when each picture and video was taken; "
        f"{len(lacking):,} of them do not say it, among them {shown}.",
        hint=f"Fill in {path}, and name it: --times FILE.csv",
    )


def _write_tables(
    folder: Path,
    media: Iterable[Media],
    deployments: inputs.Deployments,
    given: dict[str, datetime],
    how: tuple[rows.Naming, Wanted],
) -> int:
    """Write the three tables; returns how many items had no time to be in them."""
    naming, wanted = how
    left_out = 0
    sightings: dict[str, list[rows.Sighting]] = defaultdict(list)
    with ExitStack() as stack:
        put_media = _table(stack, folder / "media.csv", rows.MEDIA)
        put_observation = _table(stack, folder / "observations.csv", rows.OBSERVATIONS)
        for one in media:
            deployment = deployments.of(one.file)
            taken = given.get(one.file, one.taken)
            if deployment is None or taken is None:
                left_out += 1
                continue
            if taken.tzinfo is None:
                taken = taken.replace(tzinfo=deployment.zone)
            put_media(rows.media_row(one, deployment, taken))
            if wanted.level == MEDIA_LEVEL:
                for row in rows.of_media(one, deployment, taken, naming):
                    put_observation(row)
            elif not one.failure:
                sightings[deployment.id].append(rows.sighting_of(one, taken, naming))
        for deployment in deployments.all:
            seen = sightings.get(deployment.id, ())
            for row in rows.of_events(deployment, seen, wanted.gap, naming):
                put_observation(row)
        write = csv.writer(
            stack.enter_context(
                (folder / "deployments.csv").open("w", encoding="utf-8", newline="")
            ),
            lineterminator="\n",
        )
        write.writerow(inputs.DEPLOYMENT_COLUMNS)
        write.writerows(deployment.row() for deployment in deployments.all)
    return left_out


def _table(stack: ExitStack, path: Path, columns: Sequence[str]) -> Callable[[rows.Row], object]:
    file = stack.enter_context(path.open("w", encoding="utf-8", newline=""))
    write = csv.DictWriter(file, columns, restval="", lineterminator="\n")
    write.writeheader()
    return write.writerow


def _package(
    head: Results, deployments: inputs.Deployments, naming: rows.Naming, wanted: Wanted
) -> dict[str, JSON]:
    package: dict[str, JSON] = {
        "resources": [_resource(name) for name in ("deployments", "media", "observations")],
        "profile": f"{HOME}/camtrap-dp-profile.json",
        "created": inputs.moment_text(_created(head)),
        "contributors": [{"title": "Unknown", "role": "contributor"}],
        "sources": [{"title": "Grange", "path": "https://pypi.org/project/grange"}],
        "project": {
            "title": "Camera traps",
            "samplingDesign": "opportunistic",
            "captureMethod": ["activityDetection"],
            "individualAnimals": False,
            "observationLevel": [wanted.level],
        },
        "spatial": _spatial(deployments.all),
        "temporal": {
            "start": min(one.start for one in deployments.all).date().isoformat(),
            "end": max(one.end for one in deployments.all).date().isoformat(),
        },
        "taxonomic": rows.taxonomic(naming.used, naming.taxa),
    }
    said = _project(wanted.project) if wanted.project else {}
    project = {**package["project"], **said.pop("project", {})}
    return {**package, **said, "project": project}


def _created(head: Results) -> datetime:
    finished = head.source.finished
    if finished is None:
        return datetime.now(UTC)
    return finished if finished.tzinfo is not None else finished.replace(tzinfo=UTC)


def _resource(name: str) -> dict[str, str]:
    return {
        "name": name,
        "path": f"{name}.csv",
        "profile": "tabular-data-resource",
        "format": "csv",
        "mediatype": "text/csv",
        "encoding": "utf-8",
        "schema": f"{HOME}/{name}-table-schema.json",
    }


def _spatial(deployments: Sequence[inputs.Deployment]) -> dict[str, JSON]:
    points = sorted({(one.longitude, one.latitude) for one in deployments})
    return {"type": "MultiPoint", "coordinates": [list(point) for point in points]}


def _project(path: Path) -> dict[str, JSON]:
    """What a person says of the package: members of datapackage.json, but for its tables."""
    try:
        said = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise ExportRefused(f"{path.name!r} is no JSON: {error}") from error
    if not isinstance(said, dict) or not isinstance(said.get("project", {}), dict):
        raise ExportRefused(
            f"{path.name!r} is no object with members of datapackage.json.",
            hint='For example {"contributors": […], "project": {"title": …}}',
        )
    return {name: one for name, one in said.items() if name not in {"resources", "profile"}}


def _notes(naming: rows.Naming, left_out: int, wanted: Wanted) -> Iterator[str]:
    if left_out:
        told = "item says no time and is" if left_out == 1 else "items say no time and are"
        yield f"{left_out:,} failed {told} not in the package"
    if naming.unnamed:
        labels = ", ".join(sorted(naming.unnamed)[:_EXAMPLES])
        if len(naming.unnamed) > _EXAMPLES:
            labels += f" and {len(naming.unnamed) - _EXAMPLES} more"
        yield (
            f"labels that are no scientific names are tags only: {labels}; say what they mean: "
            f"--taxa FILE.csv ({', '.join(inputs.TAXA_COLUMNS)})"
        )
    if wanted.project is None:
        yield "contributors and project are placeholders; say what they are: --project FILE.json"
