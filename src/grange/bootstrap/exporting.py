"""Results in other formats than a run's own, and results of other programs in ours."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from grange.errors import ExportRefused, FormatInvalid, PipelineNotFound, SettingInvalid

if TYPE_CHECKING:
    from grange.bootstrap.sites import Site
    from grange.client.api import Client
    from grange.runs.models import RunView

# What names files of this machine, which a server does not have.
HERE: Final = frozenset({"deployments", "times", "taxa", "project"})
# What people are asked to fill in lies beside the results.
TEMPLATE: Final = "template"
# So much may come of a server's archive.
MOST_BYTES: Final = 1 << 40
_PIECE_BYTES: Final = 1 << 20
_UNFIT = re.compile(r"[^\w.-]+")
_SIZE = re.compile(r"(\d{1,6})x(\d{1,6})")


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written, and where."""

    run: RunView
    place: Path
    files: int
    remarks: Sequence[str]


@dataclass(frozen=True, slots=True)
class Imported:
    """What was read, and where it is now."""

    place: Path
    dialect: str
    items: int
    faults: Sequence[str]


def export(
    site: Site, run: str, dialect: str, options: Mapping[str, str], *, out: str = ""
) -> Exported:
    """Write a run's results in another format, to a folder, or to a file where there is one alone.

    What is there is not overwritten; nothing is there unless all of it is.

    Raises:
        ExportRefused: The format demands what nobody has said; says what.
        SettingInvalid: There is something at `out` already.
    """
    view = site.find_run(run)
    place = Path(out).expanduser() if out else Path(f"{_plain(view.name or view.id)}-{dialect}")
    place = place.absolute()
    if place.is_file() or (place.is_dir() and any(place.iterdir())):
        message = f"{str(place)!r} is there already."
        raise SettingInvalid(message, hint="Move it away, or name another --out.")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        aside = Path(tempfile.mkdtemp(dir=place.parent, prefix=f".{place.name}."))
    except OSError as error:
        message = f"Nothing can be written to {str(place)!r}: {error.strerror}."
        raise SettingInvalid(message, hint="Name another --out.") from error
    try:
        template = {TEMPLATE: str(place.with_suffix("") if place.suffix else place)}
        remarks = site.export(view.id, dialect, aside, {**options, **template})
        return Exported(view, place, _publish(aside, place), remarks)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def export_here(
    run: RunView, dialect: str, target: Path, options: Mapping[str, str]
) -> Sequence[str]:
    """Write the results of a run whose outputs are on this machine; returns remarks."""
    from grange.pipelines.bringing import results_here
    from grange.pipelines.exporting import export_run

    with results_here(run.pipeline, run.out, target.parent) as results:
        return export_run(run.pipeline, dialect, results, target, options)


def export_there(
    client: Client, run: RunView, dialect: str, target: Path, options: Mapping[str, str]
) -> Sequence[str]:
    """Let the server write the results of a run, and bring them.

    What needs files of this machine is written here, from what the server has.
    """
    if not HERE & options.keys():
        asked = {name: value for name, value in options.items() if name != TEMPLATE}
        try:
            return _brought(client, run, dialect, target, asked)
        except ExportRefused:
            # This machine may say more of what is missing, and leave a file to be filled in.
            if not _knows(run.pipeline, dialect):
                raise
    return _written_here(client, run, dialect, target, options)


def import_file(
    file: Path, out: Path, *, dialect: str = "", images: Path | None = None, size: str = ""
) -> Imported:
    """Write another program's results in the canonical format.

    Raises:
        FormatInvalid: They are in no format that is known, or break its rules.
        SettingInvalid: There is something at `out` already.
    """
    from grange.pipelines.wildlife.formats.importing import import_results
    from grange.pipelines.wildlife.formats.validating import faults_of

    if images is not None and not images.is_dir():
        raise FormatInvalid(f"There is no folder {str(images)!r}.", hint="Name another --images.")
    shape = None
    if size:
        found = _SIZE.fullmatch(size.strip().lower())
        shape = (int(found[1]), int(found[2])) if found else (0, 0)
        if not all(shape):
            raise FormatInvalid(f"{size!r} is no size.", hint="Write it as 1920x1080.")
    if out.exists():
        message = f"{str(out)!r} is there already."
        raise SettingInvalid(message, hint="Move it away, or name another --out.")
    out.parent.mkdir(parents=True, exist_ok=True)
    known, items = import_results(file, out, dialect=dialect, images=images, size=shape)
    return Imported(out, known, items, faults_of(out))


def _plain(name: str) -> str:
    return _UNFIT.sub("-", name).strip("-.") or "run"


def _publish(aside: Path, place: Path) -> int:
    """Put what was written under its name; returns how many files that are."""
    files = [path for path in aside.rglob("*") if path.is_file()]
    if len(files) == 1 and place.suffix and place.suffix == files[0].suffix:
        os.replace(files[0], place)
        return 1
    umask = os.umask(0)
    os.umask(umask)
    aside.chmod(0o777 & ~umask)
    os.rename(aside, place)
    return len(files)


def _brought(
    client: Client, run: RunView, dialect: str, target: Path, options: Mapping[str, str]
) -> Sequence[str]:
    from grange.client.schemas.runs import REMARKS_FILE

    archive = target / ".archive.zip"
    with archive.open("wb") as file:
        for piece in client.runs.export_run(run.id, dialect, options):
            file.write(piece)
    _unpack(archive, target)
    archive.unlink()
    remarks = target / REMARKS_FILE
    if not remarks.is_file():
        return ()
    said = remarks.read_text(encoding="utf-8").splitlines()
    remarks.unlink()
    return said


def _unpack(archive: Path, target: Path) -> None:
    """Unpack plain files alone, below the folder, over nothing that is there."""
    from grange.uploads.archives import members

    for member in members(archive, left_bytes=MOST_BYTES):
        path = target / member.path
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb") as file:
            while piece := member.content.read(_PIECE_BYTES):
                file.write(piece)


def _knows(pipeline: str, dialect: str) -> bool:
    from grange.errors import PipelineInvalid
    from grange.pipelines import catalog

    try:
        return dialect in catalog.find(pipeline).exports
    except (PipelineNotFound, PipelineInvalid):
        return False


def _written_here(
    client: Client, run: RunView, dialect: str, target: Path, options: Mapping[str, str]
) -> Sequence[str]:
    from grange.pipelines import catalog
    from grange.pipelines.exporting import export_run

    with tempfile.TemporaryDirectory(dir=target.parent) as name:
        results = Path(name)
        for path in catalog.find(run.pipeline).exports_from:
            file = results / path
            file.parent.mkdir(parents=True, exist_ok=True)
            with file.open("wb") as brought:
                for piece in client.runs.download_output(run.id, path):
                    brought.write(piece)
        return export_run(run.pipeline, dialect, results, target, options)
